"""Raw protocols of asyncio or uvloop: bytes behind their length, echoed; with ormsgpack where the variant says so.

This is what the loop itself costs: nothing says which answer belongs to which message, so they come in order.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from benchmarks.peers.base import HOST, AsyncioClient, Method, Ready, Setup, run_on_loop


class Frames(asyncio.Protocol):
    """Takes bytes apart into messages, each with its length in front."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._missing = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        if self._pieces:
            self._pieces.append(data)
            self._missing -= len(data)
            if self._missing > 0:
                return
            data = b"".join(self._pieces)
            self._pieces.clear()
        size, start = len(data), 0
        while size - start >= 4:
            end = start + 4 + int.from_bytes(data[start : start + 4], "big")
            if end > size:
                break
            self.message_received(data if end - start == size else data[start:end])
            start = end
        if start < size:
            rest = data[start:]
            self._pieces.append(rest)
            self._missing = 4 + int.from_bytes(rest[:4], "big") - len(rest) if len(rest) >= 4 else 1

    def message_received(self, message: bytes) -> None:
        raise NotImplementedError


class Echo(Frames):
    """Sends back what comes, all messages that came together in one write."""

    def __init__(self) -> None:
        super().__init__()
        self._answers: list[bytes] = []

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        answers = self._answers
        if answers:
            self.transport.write(answers[0] if len(answers) == 1 else b"".join(answers))
            answers.clear()

    def message_received(self, message: bytes) -> None:
        self._answers.append(message)


class PackedEcho(Echo):
    """Unpacks each message and packs its value again, as a server that looks at it must."""

    def __init__(self) -> None:
        import ormsgpack

        super().__init__()
        self._pack, self._unpack = ormsgpack.packb, ormsgpack.unpackb

    def message_received(self, message: bytes) -> None:
        body = self._pack(self._unpack(memoryview(message)[4:]))
        self._answers.append(len(body).to_bytes(4, "big") + body)


class Caller(Frames):
    """The client's end: answers come in the order of the messages. What is sent in one turn leaves in one write."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: deque[asyncio.Future[bytes]] = deque()
        self._outgoing: list[bytes] = []
        self._loop = asyncio.get_running_loop()

    def message_received(self, message: bytes) -> None:
        self._waiting.popleft().set_result(message)

    def send(self, message: bytes) -> asyncio.Future[bytes]:
        future = self._loop.create_future()
        self._waiting.append(future)
        if len(self._waiting) == 1:
            self.transport.write(message)
        else:
            if not self._outgoing:
                self._loop.call_soon(self._flush)
            self._outgoing.append(message)
        return future

    def send_large(self, data: bytes) -> asyncio.Future[bytes]:
        """The same, the length put in front by the transport: on uvloop that copies nothing."""
        future = self._loop.create_future()
        self._waiting.append(future)
        self.transport.writelines((len(data).to_bytes(4, "big"), data))
        return future

    def _flush(self) -> None:
        messages, self._outgoing = self._outgoing, []
        self.transport.write(b"".join(messages))


def serve(setup: Setup, ready: Ready) -> None:
    async def main() -> None:
        protocol = PackedEcho if "ormsgpack" in setup.variant else Echo
        server = await asyncio.get_running_loop().create_server(protocol, HOST, 0, backlog=4096)
        ready(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    run_on_loop(main(), setup.variant)


class Client(AsyncioClient):
    async def open(self) -> None:
        self._caller = await self._connect()

    def method(self, name: str) -> Method:
        send = self._caller.send
        if name == "echo_structure":
            return packed(send)
        if name == "echo_bytes":
            return on_bytes(self._caller.send_large)
        return on_text(send)

    async def open_another(self) -> Method:
        return on_text((await self._connect()).send)

    async def _connect(self) -> Caller:
        _, caller = await asyncio.get_running_loop().create_connection(Caller, HOST, self.setup.port)
        return caller


def on_bytes(send: Callable[[bytes], asyncio.Future[bytes]]) -> Method:
    async def call(data: bytes) -> bytes:
        return (await send(data))[4:]

    return call


def on_text(send: Callable[[bytes], asyncio.Future[bytes]]) -> Method:
    async def call(text: str) -> str:
        data = text.encode()
        return (await send(len(data).to_bytes(4, "big") + data))[4:].decode()

    return call


def packed(send: Callable[[bytes], asyncio.Future[bytes]]) -> Method:
    import ormsgpack

    async def call(value: object) -> Any:
        data = ormsgpack.packb(value)
        return ormsgpack.unpackb(memoryview(await send(len(data).to_bytes(4, "big") + data))[4:])

    return call
