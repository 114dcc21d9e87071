"""What waits to be sent to one peer, and how much of it."""

from __future__ import annotations

import asyncio
import threading
from typing import Protocol

from pellucid.core.broker import Broker
from pellucid.core.calls import Call
from pellucid.errors import Overloaded
from pellucid.limits import Limits

__all__ = ["Outbox", "WasMade"]

PACKET_BYTES = 1_400
"""Bytes that are collected for one write: then a packet is full, and the peer can begin while this side goes on."""

PIECE_BYTES = 1024 * 1024
"""Bytes of a large buffer that are written in one piece where nothing else waits, ..."""

SMALL_PIECE_BYTES = 256 * 1024
"""... and where the buffer is longer than that: what comes up meanwhile waits for so many."""


class Host(Protocol):
    """What an outbox needs of its connection."""

    def tell_unsent(self) -> None:
        """There are those to tell of what could not be sent."""
        ...

    def crowded(self) -> None:
        """Too much waits to be sent."""
        ...

    def roomy(self) -> None:
        """There is room again."""
        ...

    def abort(self, reason: str, *, limit: str) -> None:
        """End the connection now, as its peer broke that limit."""
        ...


class WasMade(Protocol):
    """What is told that there is a call to send: see `pellucid.core.door.Door`."""

    def __call__(self, call: Call, *, one_way: bool) -> None: ...


class Outbox:
    """Moves what a broker has to send to its transport, in few writes, and minds a peer that does not read.

    The transport says when it could not send all that it has (`pause`), and when it has (`resume`): until then it is
    given no more. Where more waits than the limits allow this is crowded, and one-way calls are not done; beyond twice
    the limit nothing more is taken. Large buffers are written piece by piece, so that other messages pass between them.
    """

    __slots__ = (
        "_books",
        "_broker",
        "_crowded",
        "_host",
        "_in_piece",
        "_is_due",
        "_limit",
        "_loop",
        "_most_bulk",
        "_most_results",
        "_outgoing",
        "_packet",
        "_paused",
        "_pending",
        "_piece",
        "_resumes",
        "_thread",
        "_transport",
        "_waiting",
        "held_back",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, broker: Broker, host: Host) -> None:
        self.held_back: bool = False
        """Whether whoever reads from the peer at this moment will flush when it is done."""
        self._loop = loop
        self._thread = threading.get_ident()
        self._broker = broker
        self._outgoing = broker.outgoing
        self._books = broker.books
        self._pending = broker.books.pending.calls
        self._host = host
        self._transport: asyncio.WriteTransport | None = None
        self.bound(broker.limits)
        self._is_due = False
        self._crowded = False
        self._paused = self._resumes = False
        # A transport of TLS may say that it has sent what it had while it is given more: nothing is to come between the
        # parts of a piece.
        self._in_piece = False
        self._piece = 0  # bytes of a large buffer that the transport was given, and has not sent yet
        self._waiting: list[Call] | None = None

    def bound(self, limits: Limits) -> None:
        """Let these limits count from now on."""
        self._limit = limits.queued_bytes
        self._most_bulk = limits.buffer_bytes
        self._most_results = limits.running_bytes
        self._packet = min(PACKET_BYTES, self._limit)

    def attach(self, transport: asyncio.WriteTransport) -> None:
        """The connection is made."""
        # The least: it is to say so when anything is left. With 0, a transport of TLS would never have sent all.
        transport.set_write_buffer_limits(high=1)
        self._transport = transport

    def detach(self) -> None:
        """It is no more, though the last that the peer said may have to be dealt with still."""
        self._transport = _NOWHERE

    def schedule(self) -> None:
        """There is something to send: soon, so that what is sent together travels together."""
        outgoing = self._outgoing
        if outgoing.queued_bytes > self._packet or outgoing.bulk_bytes > self._most_bulk:
            self.flush()
        elif not self.held_back and not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._flush_due)

    def flush(self) -> None:
        """Send what there is, as much as the transport takes now."""
        transport, books = self._transport, self._books
        if transport is None or self._in_piece or books.closed:
            return
        if books.unsent_caches or books.unsent_cleanups:
            self._host.tell_unsent()
        if self._paused:
            if not self._crowded and self._is_over():
                self._become_crowded()
            if books.owes_releases:
                self._check_owed()
            return
        outgoing = self._outgoing
        if outgoing.messages or books.owes_releases:
            data = self._broker.data_to_send()
            if data:
                _write(transport, data)
        if outgoing.lane:
            self._send_pieces(transport)

    def flush_all(self) -> None:
        """Send all there is, however much waits then."""
        self.flush()
        transport = self._transport
        if transport is not None and not self._books.closed:
            _write(transport, self._broker.data_to_send())
            while self._outgoing.lane and not transport.is_closing():
                self._write_piece(transport, PIECE_BYTES)
                _write(transport, self._broker.data_to_send())

    def knock(self) -> None:
        """There is something to send: perhaps in another thread, perhaps after the loop was closed.

        Nothing is sent before the loop turns: this may come in the middle of anything, of sending too.
        """
        try:
            if threading.get_ident() != self._thread:
                self._loop.call_soon_threadsafe(self.flush)
            elif not self.held_back and not self._is_due:
                self._is_due = True
                self._loop.call_soon(self._flush_due)
        except RuntimeError:
            pass  # the loop is closed: nobody is left to tell

    def pause(self) -> None:
        """The transport has enough for now."""
        self._paused, self._resumes = True, False
        if self._is_over():
            self._become_crowded()

    def resume(self) -> None:
        """The transport has sent what it had: go on, when it has said so."""
        # Not at once: asyncio's transport says so in the middle of sending. Where what it is given then finds the peer
        # gone, it ends twice, and the log is told (CPython 3.11 to 3.13).
        self._resumes = True
        self._loop.call_soon(self.go_on)

    def go_on(self) -> None:
        """Send further, unless the transport has had enough meanwhile."""
        if not self._resumes:
            return
        self._paused = self._resumes = False
        if not self._in_piece:
            self._piece = 0
        self.flush()
        if self._crowded and not self._is_over():
            self._crowded = self._broker.is_crowded = False
            waiting, self._waiting = self._waiting or (), None
            for call in waiting:
                call.succeed(None)
            self._host.roomy()

    def check_room(self) -> None:
        """Raise Overloaded where too much waits already."""
        if self.drowning():
            raise Overloaded("queued_bytes", self._limit, self.queued_bytes)

    def drowning(self) -> bool:
        """Whether twice as much waits to be sent as the limits allow."""
        return self._crowded and (
            self.queued_bytes > 2 * self._limit or self._outgoing.bulk_bytes > 2 * self._most_bulk
        )

    def flood(self) -> Overloaded | None:
        """Why no further result can wait to be sent, if so much waits that there is a reason.

        Methods that ran already when the peer ceased to read are not to end in all that they may.
        """
        if not self._crowded:
            return None
        waiting = self.queued_bytes + self._outgoing.bulk_bytes
        return Overloaded("running_bytes", self._most_results, waiting) if waiting > self._most_results else None

    def call_was_made(self, call: Call, *, one_way: bool) -> None:
        """The broker has `call` to send: do so, at once where nobody else is calling."""
        if one_way or self.held_back or len(self._pending) > 1:
            self.schedule()
        else:
            self.flush()
        if one_way and self._crowded:
            if self._waiting is None:
                self._waiting = []
            self._waiting.append(call)
        elif one_way:
            call.succeed(None)

    @property
    def queued_bytes(self) -> int:
        """Bytes that wait for the peer to read, here and at the transport, large buffers aside."""
        waiting = self._transport.get_write_buffer_size() if self._transport is not None else 0
        # A large buffer has a limit of its own, wherever it waits.
        return max(0, waiting - self._piece) + self._outgoing.queued_bytes

    def take_waiting(self) -> list[Call]:
        """One-way calls that wait for room; none is left: the connection has ended, and they wait in vain."""
        waiting, self._waiting = self._waiting or [], None
        return waiting

    def update_was_made(self) -> None:
        """The broker has a change to send: the first in a turn of the loop leaves at once, others together."""
        if self.held_back or self._is_due:
            self.schedule()
        else:
            self._is_due = True
            self._loop.call_soon(self._flush_due)
            self.flush()

    def _send_pieces(self, transport: asyncio.WriteTransport) -> None:
        # One that found the peer gone takes all it is given, and throws it away: that is no longer sent.
        while self._outgoing.lane and not self._paused and not transport.is_closing():
            left = self._outgoing.bulk_bytes
            self._write_piece(transport, PIECE_BYTES if left <= PIECE_BYTES else SMALL_PIECE_BYTES)
            data = self._broker.data_to_send()
            if data:
                _write(transport, data)
        if self._paused and not self._crowded and self._is_over():
            self._become_crowded()

    def _write_piece(self, transport: asyncio.WriteTransport, size: int) -> None:
        parts = self._broker.next_piece(size)
        self._piece = sum(map(len, parts))
        self._in_piece = True
        try:
            for part in parts:
                _write(transport, part)
        finally:
            self._in_piece = False

    def _check_owed(self) -> None:
        """A peer that does not read can't be given back what comes with its messages, and is to send no end of it."""
        owed, most = self._broker.owed(), self._broker.limits.references_imported
        if owed > most:
            what = f"the peer does not read, and is to be told {owed} times that it may forget an object of its own"
            self._host.abort(f"{what}: over Limits.references_imported={most}", limit="references_imported")

    def _become_crowded(self) -> None:
        self._crowded = self._broker.is_crowded = True
        self._host.crowded()

    def _flush_due(self) -> None:
        self._is_due = False
        self.flush()

    def _is_over(self) -> bool:
        """Whether more waits than the limits allow."""
        return self.queued_bytes > self._limit or self._outgoing.bulk_bytes > self._most_bulk


class _Nowhere(asyncio.WriteTransport):
    """Takes the answers to a peer that is gone. At the transport that there was, asyncio would log each of them."""

    def write(self, data: object) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return True


_NOWHERE = _Nowhere()


def _write(transport: asyncio.WriteTransport, data: bytes | memoryview) -> None:
    try:
        transport.write(data)
    except RuntimeError:
        pass  # uvloop's, where the connection has ended: its protocol is told soon, behind those whose turn it is
