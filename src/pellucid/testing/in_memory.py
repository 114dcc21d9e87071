"""Two connections of the asyncio door, joined in memory: no socket, no port, and nothing that takes its time."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from pellucid.asyncio.client import connect
from pellucid.asyncio.connection import Connection
from pellucid.asyncio.server import serve
from pellucid.core.references import RemoteReference

__all__ = ["InMemory", "Pair", "join", "pair"]

_ports = itertools.count(1)

NOWHERE = "pb+unix:/in-memory"
"""A URL that nobody listens at, and nobody connects to."""


class InMemory(asyncio.Transport):
    """One end of a way for bytes in memory: what is written arrives in the next turn of the loop, in order."""

    other: InMemory

    def __init__(self, protocol: asyncio.Protocol, name: tuple[str, int], peer: tuple[str, int]) -> None:
        super().__init__(extra={"sockname": name, "peername": peer})
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._on_its_way = 0
        self._high, self._low = 64 * 1024, 16 * 1024
        self._is_paused = self._has_ended = self._is_closing = self._is_lost = False
        # What has come while the protocol does not want to hear, and whether the end has.
        self._is_deaf = self._end_waits = False
        self._unheard: deque[bytes] = deque()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = 64 * 1024 if high is None else high
        self._low = self._high // 4 if low is None else low

    def get_write_buffer_size(self) -> int:
        return self._on_its_way

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not data or self._is_closing or self._has_ended:
            return
        data = bytes(data)
        self._on_its_way += len(data)
        self._loop.call_soon(self._arrive, data)
        if self._on_its_way > self._high and not self._is_paused:
            self._is_paused = True
            self._protocol.pause_writing()

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        if not self._has_ended:
            self._has_ended = True
            self._loop.call_soon(self.other.hear_end)

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        if not self._is_closing:
            self.write_eof()
            self._is_closing = True
            self._loop.call_soon(self._lose)

    def abort(self) -> None:
        self.close()

    def is_reading(self) -> bool:
        return not (self._is_deaf or self._is_closing)

    def pause_reading(self) -> None:
        self._is_deaf = True

    def resume_reading(self) -> None:
        if self._is_deaf:
            self._is_deaf = False
            self._loop.call_soon(self._hear_rest)

    def hear(self, data: bytes) -> None:
        """Bytes have come from the other end."""
        if self._is_deaf or self._unheard:
            self._unheard.append(data)
            return
        if not self._is_closing:
            self._protocol.data_received(data)
        self.other.was_heard(len(data))

    def hear_end(self) -> None:
        """The other end has no more to say."""
        self._end_waits = self._is_deaf or bool(self._unheard)
        if not self._end_waits and not self._is_closing and not self._protocol.eof_received():
            self.close()

    def was_heard(self, size: int) -> None:
        """So many bytes have been taken in by the other end."""
        self._on_its_way -= size
        if self._is_paused and self._on_its_way <= self._low and not self._is_lost:
            self._is_paused = False
            self._protocol.resume_writing()

    def _arrive(self, data: bytes) -> None:
        self.other.hear(data)

    def _hear_rest(self) -> None:
        while self._unheard and not self._is_deaf:
            data = self._unheard.popleft()
            if not self._is_closing:
                self._protocol.data_received(data)
            self.other.was_heard(len(data))
        if self._end_waits and not self._is_deaf:
            self.hear_end()

    def _lose(self) -> None:
        self._is_lost = True
        self._protocol.connection_lost(None)


def join(one: asyncio.Protocol, two: asyncio.Protocol) -> None:
    """Have two protocols talk to each other, in memory."""
    names = ("in-memory", next(_ports)), ("in-memory", next(_ports))
    ends = InMemory(one, *names), InMemory(two, *reversed(names))
    ends[0].other, ends[1].other = ends[1], ends[0]
    for protocol, transport in zip((one, two), ends, strict=True):
        protocol.connection_made(transport)


@dataclass(frozen=True, slots=True)
class Pair:
    """The two ends of one connection."""

    client: Connection
    """The end that has connected."""
    served: Connection
    """The end of the server."""

    @property
    def root(self) -> RemoteReference:
        """What the server publishes, as the client holds it."""
        return self.client.root


@asynccontextmanager
async def pair(
    root: Any,
    *,
    client: Mapping[str, Any] | None = None,
    client_class: type[Connection] = Connection,
    server_class: type[Connection] = Connection,
    **options: Any,
) -> AsyncGenerator[Pair]:
    """Publish `root` to one client, in memory: ``async with pair(root) as joined: await joined.root.call("name")``.

    The `options` are those of `pellucid.serve`, and `client` has those of `pellucid.connect`. Both ends are real, of
    these classes, and speak a dialect; what is missing is the network. At the end both are closed.
    """
    server = serve(root, NOWHERE, **options)
    connecting = connect(NOWHERE, **(client or {}))
    server.connection_class, connecting.connection_class = server_class, client_class
    served, connection = server.accept(), connecting.begin()
    join(served, connection)
    try:
        await connection.ready
        await served.ready
        yield Pair(connection, served)
    finally:
        await connection.close()
        await server.close()
