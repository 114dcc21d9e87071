"""Frames: how messages and large buffers share one stream.

A frame is four bytes and a body. The two highest bits of the four, big-endian, say what it is, the others how long the
body is. A message is one msgpack array. Buffers that belong to a message travel ahead of it, in chunks, and other
messages may travel between the chunks; the message itself comes last and takes every buffer that was finished before.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from pellucid.errors import LimitBroken, RemoteProtocolError
from pellucid.limits import Limits

__all__ = [
    "CHUNK",
    "HEADER",
    "LAST_CHUNK",
    "MESSAGE_WITH_BUFFERS",
    "SHORT_HEADERS",
    "BufferedMessage",
    "Deframer",
    "frame",
    "header",
]

HEADER = 4
"""Bytes before each body."""

_LENGTH = (1 << 30) - 1
MESSAGE_WITH_BUFFERS = 1 << 30
CHUNK = 2 << 30
LAST_CHUNK = 3 << 30

SHORT_HEADERS = [length.to_bytes(HEADER, "big") for length in range(1024)]
"""What goes before messages shorter than this, by their length."""

_unpack_word = struct.Struct(">I").unpack_from

_PIECE_COST = 64
"""Bytes that a piece of a buffer costs to hold, beside its own: pieces are limited by this, apart from their bytes."""

_SHORT = 4096
"""Pieces shorter than this are gathered in one: a peer that sends single bytes must not cost an object for each."""


def header(length: int, flags: int = 0) -> bytes:
    """What goes before a body of so many bytes."""
    return (flags | length).to_bytes(HEADER, "big")


def frame(body: bytes) -> bytes:
    """A message without buffers."""
    length = len(body)
    return (SHORT_HEADERS[length] if length < len(SHORT_HEADERS) else length.to_bytes(HEADER, "big")) + body


class BufferedMessage:
    """A message on its way out, behind the buffers that belong to it: see `pellucid.wire.dialect.Bulk`."""

    def __init__(
        self,
        body: bytes,
        buffers: Sequence[bytes],
        *,
        is_barrier: bool = False,
    ) -> None:
        self.is_barrier = is_barrier
        self.inline_bytes: int = HEADER + len(body)
        # Whole buffers still to be sent, the next one last.
        self._buffers = [memoryview(buffer) for buffer in reversed(buffers)]
        self.left: int = sum(map(len, self._buffers))
        self._at = 0
        self._message = header(len(body), MESSAGE_WITH_BUFFERS) + body

    def next_piece(self, size: int) -> list[bytes | memoryview]:
        """A chunk of at most so many bytes; the message itself behind the last one."""
        buffer = self._buffers[-1]
        chunk = buffer[self._at : self._at + size]
        self._at += len(chunk)
        self.left -= len(chunk)
        if self._at < len(buffer):
            return [header(len(chunk), CHUNK), chunk]
        self._at = 0
        self._buffers.pop()
        pieces: list[bytes | memoryview] = [header(len(chunk), LAST_CHUNK), chunk]
        return pieces if self._buffers else [*pieces, self._message]


class Deframer:
    """Takes in bytes, gives out the bodies of messages. Buffers are kept until their message takes them."""

    __slots__ = (
        "_at",
        "_buffers_most",
        "_cost",
        "_data",
        "_finished",
        "_held",
        "_inline_most",
        "_is_last",
        "_missing",
        "_pieces",
        "bodies",
        "buffers",
        "is_drained",
        "size",
    )

    def __init__(self, limits: Limits) -> None:
        self.buffers: Sequence[bytes] = ()
        """Those that came with the message which `next_body` gave last."""
        self.size: int = 0
        """Bytes that the message which `next_body` gave last took, buffers included."""
        self.bodies: list[bytes] = []
        """Messages without buffers that came whole, the next one last: take them from here before `next_body`."""
        self.is_drained: bool = True
        """Whether nothing has come but those."""
        self.bound(limits)
        self._data: bytes | bytearray = b""
        self._at = 0
        # Of the message that is coming: buffers that are whole, and pieces of the next.
        self._finished: list[bytes] | None = None
        self._pieces: list[bytes | bytearray] | None = None
        self._held = self._cost = 0
        # Of the chunk that is arriving: how much of it has not, and whether the buffer ends with it.
        self._missing: int | None = None
        self._is_last = False

    def bound(self, limits: Limits) -> None:
        """Let these limits count from now on."""
        self._inline_most = limits.inline_bytes
        self._buffers_most = limits.buffer_bytes

    def receive_data(self, data: bytes) -> None:
        """Take in bytes from the peer."""
        if self._at == len(self._data):
            at = self._split(data) if self._missing is None else 0
            if at < len(data):
                self._data, self._at = data, at
                self.is_drained = False
            return
        self.is_drained = False
        if type(self._data) is bytes:
            self._data, self._at = bytearray(memoryview(self._data)[self._at :]), 0
        self._data += data

    @property
    def missing(self) -> int:
        """How many bytes are missing of the message or the chunk that is arriving, once its header is there; else 0."""
        if self._missing is not None:
            return self._missing
        start = self._at + HEADER
        if len(self._data) < start:
            return 0
        word = int.from_bytes(self._data[self._at : start], "big")
        return max(0, start + (word & _LENGTH) - len(self._data))

    def _split(self, data: bytes) -> int:
        """Take the whole messages without buffers at the start of `data`; the result is where they end."""
        at, end_of_data, most = 0, len(data), min(self._inline_most, _LENGTH)
        bodies: list[bytes] = []
        while end_of_data - at >= HEADER:
            (length,) = _unpack_word(data, at)
            end = at + HEADER + length
            if length > most or end > end_of_data:
                break
            bodies.append(data[at + HEADER : end])
            at = end
        bodies.reverse()
        self.bodies = bodies + self.bodies if self.bodies else bodies
        return at

    def next_body(self) -> bytes | None:
        """The next message that is complete, without its header.

        Raises:
            LimitBroken: it is longer than `Limits.inline_bytes`, or buffers are longer than `Limits.buffer_bytes`.
            RemoteProtocolError: a message takes buffers of which one is not finished.
        """
        while True:
            data, at = self._data, self._at
            start = at + HEADER
            if self._missing is None and len(data) >= start:
                word = int.from_bytes(data[at:start], "big")
                if word >= CHUNK:
                    self._begin_chunk(word)
                    continue
                length = word & _LENGTH
                if length > self._inline_most:
                    raise LimitBroken("inline_bytes", self._inline_most, length)
                end = start + length
                if len(data) >= end:
                    if end == len(data):  # nothing of it needs to be kept
                        self._data, self._at, self.is_drained = b"", 0, True
                    else:
                        self._at = end
                    self.size = HEADER + length
                    if self.buffers or word != length:
                        self._take_buffers(word != length)
                    body = data[start:end]
                    return body if type(body) is bytes else bytes(body)
            elif self._missing is not None and self._take_chunk():
                continue
            if at and type(data) is bytearray:
                del data[: self._at]
                self._at = 0
            return None

    def _take_buffers(self, takes: bool) -> None:
        """The message that is about to be given out takes the finished buffers, or has none."""
        if not takes:
            self.buffers = ()
            return
        if self._pieces:
            raise RemoteProtocolError("a message takes a buffer that is not finished")
        self.buffers, self._finished = self._finished or (), None
        self.size += self._held
        self._held = self._cost = 0

    def _begin_chunk(self, word: int) -> None:
        length = word & _LENGTH
        self._held += length
        self._cost += _PIECE_COST
        if self._held > self._buffers_most or self._cost > self._buffers_most:
            raise LimitBroken("buffer_bytes", self._buffers_most, max(self._held, self._cost))
        self._at += HEADER
        self._missing = length
        self._is_last = word >= LAST_CHUNK

    def _take_chunk(self) -> bool:
        """Take what is there of the chunk that is arriving; whether that is all of it."""
        assert self._missing is not None  # it is arriving
        piece = self._data[self._at : self._at + self._missing]
        self._at += len(piece)
        self._missing -= len(piece)
        if piece:
            self._add(piece)
        if self._missing:
            return False
        if self._is_last:
            if self._finished is None:
                self._finished = []
            self._finished.append(b"".join(self._pieces or ()))
            self._pieces = None
        self._missing = None
        return True

    def _add(self, piece: bytes | bytearray) -> None:
        if self._pieces is None:
            self._pieces = []
        last = self._pieces[-1] if self._pieces else None
        if len(piece) < _SHORT and type(last) is bytearray and len(last) < _SHORT:
            last += piece
        else:
            self._pieces.append(bytearray(piece) if len(piece) < _SHORT else piece)
