"""pycapnp: Cap'n Proto's own RPC in C++, on asyncio's loop, by the schema capnproto.capnp beside this file."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import capnp

from benchmarks.peers.base import HOST, AsyncioClient, Method, Ready, Setup, Thing

T = TypeVar("T")

SCHEMA: Any = capnp.load(str(Path(__file__).with_suffix(".capnp")))
WORDS = 1 << 30
"""How far a message may be read, in words of 8 bytes; what is usual is less than 100 MB."""


class Made(Thing, SCHEMA.Thing.Server):  # type: ignore[misc]
    async def echo(self, text: str, **rest: Any) -> str:
        return text


class Listener(SCHEMA.Thing.Server):  # type: ignore[misc]
    async def echo(self, text: str, **rest: Any) -> str:
        return text


class Root(SCHEMA.Root.Server):  # type: ignore[misc]
    async def echo(self, text: str, **rest: Any) -> str:
        return text

    async def echoBytes(self, data: bytes, **rest: Any) -> bytes:
        return data

    async def echoRows(self, rows: Any, **rest: Any) -> list[dict[str, Any]]:
        return [row.to_dict() for row in rows]

    async def swallow(self, data: bytes, **rest: Any) -> int:
        return len(data)

    async def make(self, **rest: Any) -> Made:
        return Made()

    async def live(self, **rest: Any) -> int:
        return Thing.alive

    async def offer(self, listener: Any, **rest: Any) -> None:
        self.listener = listener

    async def relay(self, text: str, **rest: Any) -> Any:
        return (await self.listener.echo(text)).text


def serve(setup: Setup, ready: Ready) -> None:
    async def answer(stream: Any) -> None:
        await capnp.TwoPartyServer(stream, bootstrap=Root(), traversal_limit_in_words=WORDS).on_disconnect()

    async def main() -> None:
        server = await capnp.AsyncIoStream.create_server(answer, HOST, 0, backlog=4096)
        ready(server.sockets[0].getsockname()[1])
        async with server:
            await server.serve_forever()

    asyncio.run(capnp.run(main()))


class Client(AsyncioClient):
    def run(self, work: Coroutine[Any, Any, T]) -> T:
        import asyncio

        return asyncio.run(capnp.run(work))

    async def open(self) -> None:
        self._root = await self._connect()

    def method(self, name: str) -> Method:
        root = self._root

        async def echo(text: str) -> Any:
            return (await root.echo(text)).text

        async def echo_bytes(data: bytes) -> Any:
            return (await root.echoBytes(data)).data

        async def echo_structure(rows: list[dict[str, Any]]) -> Any:
            return [row.to_dict() for row in (await root.echoRows(rows)).rows]

        async def swallow(data: bytes) -> Any:
            return (await root.swallow(data)).size

        async def make() -> Any:
            return (await root.make()).thing

        async def live() -> Any:
            return (await root.live()).count

        async def relay(text: str) -> Any:
            return (await root.relay(text)).text

        methods: dict[str, Method] = {
            "echo": echo,
            "echo_coroutine": echo,
            "echo_bytes": echo_bytes,
            "echo_structure": echo_structure,
            "swallow": swallow,
            "make": make,
            "live": live,
            "relay": relay,
        }
        return methods[name]

    async def open_another(self) -> Method:
        root = await self._connect()

        async def echo(text: str) -> Any:
            return (await root.echo(text)).text

        return echo

    async def call_thing(self, thing: Any, text: str) -> str:
        answer: str = (await thing.echo(text)).text
        return answer

    async def use_reference_pipelined(self, text: str) -> str:
        answer: str = (await self._root.make().thing.echo(text)).text
        return answer

    async def offer(self) -> None:
        await self._root.offer(Listener())

    async def _connect(self) -> Any:
        stream = await capnp.AsyncIoStream.create_connection(HOST, self.setup.port)
        client = capnp.TwoPartyClient(stream, traversal_limit_in_words=WORDS)
        self._clients = [*getattr(self, "_clients", []), client]
        return client.bootstrap().cast_as(SCHEMA.Root)
