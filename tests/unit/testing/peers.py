"""Protocols for the tests of the simulator: they write down what they are told, and do what a test says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from pellucid.testing import World

__all__ = ["Peer", "forever", "listening", "meet"]


class Peer(asyncio.Protocol):
    """Writes down what happens to its connection."""

    def __init__(self, *, keep_open: bool = False) -> None:
        self.transport: asyncio.Transport
        self.data = b""
        self.pieces: list[int] = []
        self.said: list[str] = []
        self.error: Exception | None = None
        self.keep_open = keep_open

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.said.append("made")

    def data_received(self, data: bytes) -> None:
        self.data += data
        self.pieces.append(len(data))

    def eof_received(self) -> bool:
        self.said.append("end")
        return self.keep_open

    def connection_lost(self, exc: Exception | None) -> None:
        self.said.append("lost")
        self.error = exc

    def pause_writing(self) -> None:
        self.said.append("full")

    def resume_writing(self) -> None:
        self.said.append("room")


async def forever() -> None:
    await asyncio.get_running_loop().create_future()


def listening(make: Callable[[], Any], port: int = 7, host: str | None = None) -> Callable[[], Any]:
    """The main of a process that listens, for ever."""

    async def main() -> None:
        await asyncio.get_running_loop().create_server(make, host, port)
        await forever()

    return main


async def meet(world: World, *, keep_open: bool = False) -> tuple[Peer, Peer]:
    """A process "far" that listens; this end of a connection to it, and that one."""
    made: list[Peer] = []

    def make() -> Peer:
        made.append(Peer(keep_open=keep_open))
        return made[-1]

    world.process("far", listening(make))
    await asyncio.sleep(0)
    near = Peer()
    await asyncio.get_running_loop().create_connection(lambda: near, "far", 7)
    await asyncio.sleep(1)
    (far,) = made
    return near, far
