"""A connection whose transport a test plays: what it holds, what the peer reads of it, and what the peer says."""

from __future__ import annotations

import asyncio
import logging
import sys
from dataclasses import replace
from typing import Any

import pellucid as pb
from pellucid.asyncio.connection import Settings
from pellucid.wire.dialects import dialects_named
from pellucid.wire.native.codes import VERSION, Kind
from tests.pair import read_with_ends, write
from tests.unit.asyncio.door import encoded
from tests.unit.asyncio.raw import packed

__all__ = ["Pipe", "piped"]


class Pipe(asyncio.Transport):
    """Holds what is written until it is read; tells its protocol of it by asyncio's rules."""

    def __init__(self, connection: pb.Connection) -> None:
        super().__init__()
        self.held = bytearray()
        self.most = 0
        """The most bytes that it ever held."""
        self.system_buffer = 0
        """Bytes that the system takes from it whether or not the peer reads."""
        self.breaks_at = sys.maxsize
        """So many bytes held, and a write finds the peer gone: this throws all away from then on, and says nothing."""
        self.aborted = False
        self.ended = False
        self.is_read = True
        """Whether the connection reads what the peer says."""
        self._connection = connection
        self._high = self._low = 0
        self._paused = False

    @property
    def is_broken(self) -> bool:
        return len(self.held) >= self.breaks_at

    # What a connection asks of it.

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        assert high is not None
        self._high, self._low = high, high // 4
        self._note()

    def get_write_buffer_size(self) -> int:
        return max(0, len(self.held) - self.system_buffer)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.ended
        if self.is_broken:
            return
        self.held += data
        self.most = max(self.most, len(self.held))
        self._note()

    def pause_reading(self) -> None:
        self.is_read = False

    def resume_reading(self) -> None:
        self.is_read = True

    def abort(self) -> None:
        if not self.aborted:
            self.aborted = True
            self._connection.connection_lost(None)

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def is_closing(self) -> bool:
        return self.ended or self.aborted or self.is_broken

    def close(self) -> None:
        self.abort()

    # What the peer does.

    def read(self, size: int | None = None) -> bytes:
        """The peer reads so many bytes, or all that there is."""
        data = bytes(self.held[:size])
        del self.held[: len(data)]
        if self._paused and self.get_write_buffer_size() <= self._low:
            self._paused = False
            self._connection.resume_writing()
            self._connection.outbox.go_on()  # at once, so that no test needs another turn for it
        return data

    def messages(self) -> list[Any]:
        """The peer reads all that there is, and that is these messages; chunks of buffers are their bytes."""
        messages: list[Any] = []
        rest = b""
        while data := self.read():
            rest += data
            whole = list(read_with_ends(rest, "pellucid"))
            messages += [message for message, _ in whole]
            rest = rest[whole[-1][1] :] if whole else rest
        assert not rest
        return messages

    def say(self, *messages: Any) -> None:
        """The peer says these."""
        self.send(b"".join(map(packed, messages)))

    def send(self, data: bytes) -> None:
        """The peer sends bytes of any kind."""
        if not self.aborted:
            self._connection.data_received(data)

    def end(self) -> None:
        """The test is over."""
        self._connection.abort("for the test", level=logging.DEBUG)

    def _note(self) -> None:
        if self.get_write_buffer_size() > self._high and not self._paused:
            self._paused = True
            self._connection.pause_writing()


def piped(root: pb.Root, *, dialect: str = "pellucid", **options: Any) -> tuple[pb.Connection, Pipe]:
    """A server's connection whose peer has greeted it."""
    settings = replace(Settings(dialects=dialects_named([dialect])), **options)
    connection = pb.Connection(settings, listens=True, root_for=lambda _: root)
    pipe = Pipe(connection)
    connection.connection_made(pipe)
    hello = packed([Kind.HELLO.value, VERSION, []]) if dialect == "pellucid" else write([b"version", 6], dialect)
    pipe.send(encoded(dialect.encode()) + hello)
    while pipe.read():
        pass
    return connection, pipe
