"""What waits to be sent to one peer, and how much of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from pellucid.core.broker import Broker
from pellucid.core.calls import Call
from pellucid.errors import Overloaded, PBConnectionLost

__all__ = ["Outbox"]

# Bytes that are collected for one write, at most, while more is sent in the same turn of the loop.
BATCH_BYTES = 64 * 1024


class Outbox:
    """Moves what a broker has to send to its transport, in few writes, and minds a peer that does not read.

    The transport says that it is crowded (`pause`) and that there is room again (`resume`). While it is crowded one-way
    calls are not done; beyond twice the limit nothing more is taken.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, broker: Broker, before_flush: Callable[[], None]) -> None:
        self.held_back = False
        """Whether whoever reads from the peer at this moment will flush when it is done."""
        self._loop = loop
        self._thread = threading.get_ident()
        self._broker = broker
        self._before_flush = before_flush
        self._transport: asyncio.WriteTransport | None = None
        self._limit = broker.limits.queued_bytes
        self._batch = min(BATCH_BYTES, self._limit)
        self._is_due = False
        self._crowded = False
        self._waiting: list[Call] = []

    def attach(self, transport: asyncio.WriteTransport) -> None:
        """The connection is made."""
        transport.set_write_buffer_limits(high=self._limit)
        self._transport = transport

    def schedule(self) -> None:
        """There is something to send: soon, so that what is sent together travels together.

        Much is sent at once: only what the transport has makes it say that the peer does not read.
        """
        if self._broker.queued_bytes > self._batch:
            self.flush()
        elif not self.held_back and not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._flush_due)

    def flush(self) -> None:
        """Send what there is."""
        if self._transport is None or self._broker.books.closed:
            return
        self._before_flush()
        data = self._broker.data_to_send()
        if data:
            self._transport.write(data)

    def knock(self) -> None:
        """A reference was dropped, perhaps in another thread, perhaps after the loop was closed."""
        try:
            if threading.get_ident() == self._thread:
                self._loop.call_soon(self.flush)
            else:
                self._loop.call_soon_threadsafe(self.flush)
        except RuntimeError:
            pass  # the loop is closed: nobody is left to tell

    def pause(self) -> None:
        """The transport is crowded."""
        self._crowded = True

    def resume(self) -> None:
        """There is room again."""
        self._crowded = False
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            call.succeed(None)

    def check_room(self) -> None:
        """Raise Overloaded where too much waits already."""
        if self.drowning():
            raise Overloaded("queued_bytes", self._limit, self._queued())

    def drowning(self) -> bool:
        """Whether twice as much as `Limits.queued_bytes` waits to be sent."""
        return self._crowded and self._queued() > 2 * self._limit

    def call_was_made(self, call: Call, *, one_way: bool) -> None:
        """The broker has `call` to send: do so, at once where nobody else is calling."""
        if one_way or self.held_back or len(self._broker.books.pending) > 1:
            self.schedule()
        else:
            self.flush()
        if one_way and self._crowded:
            self._waiting.append(call)
        elif one_way:
            call.succeed(None)

    def lose(self, reason: str) -> None:
        """The connection has ended: what waits for room waits in vain."""
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            call.fail(PBConnectionLost(reason))

    def _flush_due(self) -> None:
        self._is_due = False
        self.flush()

    def _queued(self) -> int:
        waiting = self._transport.get_write_buffer_size() if self._transport is not None else 0
        return waiting + self._broker.queued_bytes
