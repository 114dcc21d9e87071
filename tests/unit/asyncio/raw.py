"""A peer that says in the native dialect exactly what a test makes it say."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import ormsgpack

from pellucid.wire.native.codes import VERSION, Kind, Leaf
from pellucid.wire.native.frames import CHUNK, HEADER, frame
from pellucid.wire.native.plain import write_int
from tests.pair import Extension
from tests.unit.asyncio.door import encoded

__all__ = ["NativePeer", "call_of", "packed", "until"]


def call_of(number: int, name: str, *args: Any, target: Any = "root", kind: Kind = Kind.CALL) -> list[Any]:
    """The message that calls a method."""
    return [kind.value, number, target, name, [*args]]


def packed(message: Any) -> bytes:
    """The frame of one message."""

    def default(value: Any) -> Any:
        if isinstance(value, Extension):
            return value.packed()
        if isinstance(value, int):
            return ormsgpack.Ext(Leaf.INT.value, write_int(value))
        raise TypeError

    return frame(ormsgpack.packb(message, default, ormsgpack.OPT_PASSTHROUGH_BIG_INT))


async def until(condition: Callable[[], Any]) -> None:
    """Let the loop turn until that is so: a test's own limit of time bounds it."""
    while not condition():  # noqa: ASYNC110 - nothing tells of what it waits for
        await asyncio.sleep(0)


class NativePeer:
    """One that sends what it is told, and reads only when it is told."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._messages: list[Any] = []

    @classmethod
    @asynccontextmanager
    async def connect(
        cls, url: str, *, receive_buffer: int | None = None, log_number: Any = None
    ) -> AsyncGenerator[NativePeer]:
        """Connect to a server of ours and agree on the native dialect, as an older peer does that has no log number."""
        host, port = url.removeprefix("pb://").split(":")
        sock = socket.socket()
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, (host, int(port)))
        reader, writer = await asyncio.open_connection(sock=sock, limit=1024)
        peer = cls(reader, writer)
        try:
            offered = await reader.readexactly(len(encoded([b"pellucid", b"pb", b"none"])))
            assert offered == encoded([b"pellucid", b"pb", b"none"])
            writer.write(encoded(b"pellucid"))
            peer.say([Kind.HELLO.value, VERSION, [], *([] if log_number is None else [log_number])])
            assert (await peer.receive())[0] == Kind.HELLO
            yield peer
        finally:
            writer.transport.abort()
            try:
                await writer.wait_closed()
            except ConnectionError:
                pass

    def say(self, *messages: Any) -> None:
        """Send messages."""
        self._writer.write(b"".join(map(packed, messages)))

    def send(self, data: bytes) -> None:
        """Send bytes of any kind."""
        self._writer.write(data)

    async def receive(self) -> Any:
        """The next message that arrives; of a chunk, its bytes."""
        word = int.from_bytes(await self._reader.readexactly(HEADER), "big")
        body = await self._reader.readexactly(word & (1 << 30) - 1)
        return body if word >= CHUNK else ormsgpack.unpackb(body, ext_hook=Extension)

    async def next_of(self, *kinds: Kind) -> Any:
        """The next message of one of these kinds; those of other kinds are skipped."""
        while True:
            message = await self.receive()
            if isinstance(message, list) and message[0] in kinds:
                return message

    async def answer(self, number: int) -> Any:
        """The result of that call, whose answer is the next."""
        kind, answered, value = await self.next_of(Kind.ANSWER, Kind.FAIL)
        assert (kind, answered) == (Kind.ANSWER, number), value
        return value

    async def failure(self, number: int) -> tuple[str, str]:
        """The name of the class and the text of the error of that call, whose answer is the next."""
        kind, answered, value = await self.next_of(Kind.ANSWER, Kind.FAIL)
        assert (kind, answered) == (Kind.FAIL, number), value
        return value[1], value[2]

    async def until_closed(self) -> None:
        """Return once the other side has ended the connection."""
        try:
            while await self._reader.read(64 * 1024):
                pass
        except ConnectionError:
            pass
