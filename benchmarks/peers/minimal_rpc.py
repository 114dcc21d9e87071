"""The least that can be called an RPC, on a protocol of asyncio or uvloop: what a pure Python one can hope for.

A message is its length and a msgpack array: of a call its number, the method's name and an argument, of an answer the
number and the result. Calls under way are in a dict. There are no errors, objects, limits or checks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import ormsgpack

from benchmarks.peers.base import HOST, AsyncioClient, Method, Ready, Setup, run_on_loop
from benchmarks.peers.floor_protocols import Frames


class Messages(Frames):
    """Sends what is said in one turn of the loop in one write, once more than one thing is."""

    def __init__(self) -> None:
        super().__init__()
        self._outgoing: list[bytes] = []
        self._loop = asyncio.get_running_loop()

    def say(self, message: list[Any], busy: bool) -> None:
        body = ormsgpack.packb(message)
        frame = len(body).to_bytes(4, "big") + body
        if not busy:
            self.transport.write(frame)
            return
        if not self._outgoing:
            self._loop.call_soon(self._flush)
        self._outgoing.append(frame)

    def _flush(self) -> None:
        frames, self._outgoing = self._outgoing, []
        self.transport.write(b"".join(frames))


class Server(Messages):
    def __init__(self) -> None:
        super().__init__()
        self._methods: dict[str, Callable[[Any], Any]] = {
            "echo": lambda value: value,
            "swallow": len,
        }
        self._coroutines = {"echo_coroutine": self._echo_coroutine}
        self._tasks: set[asyncio.Task[None]] = set()

    def data_received(self, data: bytes) -> None:
        self._answers: list[bytes] = []
        super().data_received(data)
        if self._answers:
            self.transport.write(self._answers[0] if len(self._answers) == 1 else b"".join(self._answers))

    def message_received(self, message: bytes) -> None:
        number, name, value = ormsgpack.unpackb(memoryview(message)[4:])
        method = self._methods.get(name)
        if method is None:
            task = self._loop.create_task(self._run(number, self._coroutines[name](value)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return
        body = ormsgpack.packb([number, method(value)])
        self._answers.append(len(body).to_bytes(4, "big") + body)

    async def _run(self, number: int, work: Any) -> None:
        self.say([number, await work], busy=len(self._tasks) > 1)

    async def _echo_coroutine(self, value: object) -> object:
        return value


class Caller(Messages):
    def __init__(self) -> None:
        super().__init__()
        self._pending: dict[int, asyncio.Future[Any]] = {}
        self._last = 0

    def call(self, name: str, value: object) -> asyncio.Future[Any]:
        self._last = number = self._last + 1
        future = self._loop.create_future()
        self._pending[number] = future
        self.say([number, name, value], busy=len(self._pending) > 1)
        return future

    def message_received(self, message: bytes) -> None:
        number, value = ormsgpack.unpackb(memoryview(message)[4:])
        self._pending.pop(number).set_result(value)


def serve(setup: Setup, ready: Ready) -> None:
    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(Server, HOST, 0, backlog=4096)
        ready(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    run_on_loop(main(), setup.variant)


class Client(AsyncioClient):
    async def open(self) -> None:
        self._caller = await self._connect()

    def method(self, name: str) -> Method:
        return partial(self._caller.call, "echo" if name in ("echo_bytes", "echo_structure") else name)

    async def open_another(self) -> Method:
        return partial((await self._connect()).call, "echo")

    async def _connect(self) -> Caller:
        _, caller = await asyncio.get_running_loop().create_connection(Caller, HOST, self.setup.port)
        return caller
