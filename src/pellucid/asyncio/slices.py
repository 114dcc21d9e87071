"""A connection that is sent much at a time is served in slices, and others in between.

Most peers say little at a time, and that is dealt with at once. Of one that says more the rest waits in a queue, which
the connections of a loop share, and nothing further is read from it meanwhile. While others say something, too, the
queue has a quarter of the time: after each slice it rests for three times as long. So thousands of calls from a hundred
peers that flood, or one huge message, delay most calls of an honest one not at all, and the others by what is being
done just then.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol
from weakref import WeakValueDictionary

__all__ = [
    "AT_ONCE",
    "LARGE",
    "LONGEST_REST",
    "PIECE",
    "PORTION",
    "READ",
    "REST",
    "SLICE_SECONDS",
    "STIRRED",
    "Sliced",
    "Slices",
    "slices_of",
]

AT_ONCE = 16
"""Messages of one read that are dealt with at once where there is more than one connection."""

LARGE = 4096
"""Bytes of one read from which on it waits for a slice: they may hold thousands of messages of which nothing is told,
or one that takes long to decode."""

READ = 131_000
"""Bytes that are read at a time, at most. asyncio reads twice as many, and from 128 KiB on glibc has the system map the
memory for each read anew, however little came: that costs as much as a call."""

PIECE = 512
"""Bytes that are dealt with before the time is looked at, though nothing is told of the messages in them."""

PORTION = 256
"""Calls of one batch that are run at a time, where all of them end at once."""

STIRRED = 32
"""Methods that are begun or made to wait at a time: each takes longer than one that ends at once, and most have more to
do in the next turn of the loop. One that is cancelled counts twice: there it ends."""

SLICE_SECONDS = 0.0001
"""How long a connection from the queue is served at a time; the message at hand, or the portion of a batch, is always
finished."""

REST = 3
"""How much longer than a slice took the queue rests after it, while others speak. What the system reads for those of
the queue costs time as well, and is no part of a slice; with less than this most calls of others would be late."""

LONGEST_REST = 3.0
"""Seconds that the queue rests at most. A slice seems to take long where the process was stopped in it, or a method
blocked: nobody is to wait three times as long for that."""


class Sliced(Protocol):
    """A connection, as far as it waits to be served."""

    def take_slice(self, until: float) -> bool:
        """Deal with what the peer has said, until that time by the loop's clock; whether there may be more."""
        ...


class Slices:
    """The connections of one loop, and those of them that wait to be served."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._queue: deque[Sliced] = deque()
        self.connections = 0
        """How many there are."""
        self.others_spoke: bool = False
        """Whether a connection that is not in the queue was sent something since the last slice."""

    def wait(self, connection: Sliced) -> None:
        """`connection` has had its share: its next slice comes behind those that wait already."""
        self._queue.append(connection)
        if len(self._queue) == 1:
            self._loop.call_soon(self._serve)

    def _serve(self) -> None:
        loop, queue = self._loop, self._queue
        began = loop.time()
        self.others_spoke = False
        connection, has_more = queue[0], False  # it stays there meanwhile: `wait` is not to have the queue served, too
        try:
            has_more = connection.take_slice(began + SLICE_SECONDS)
        finally:
            queue.popleft()
            if has_more:
                queue.append(connection)
            if queue:
                loop.call_soon(self._go_on, loop.time() - began)

    def _go_on(self, took: float) -> None:
        """The loop has looked at everybody once since the last slice, which took so many seconds."""
        if self.others_spoke:
            self._loop.call_later(min(took * REST, LONGEST_REST), self._serve)
        else:
            self._serve()


# By the identity of its loop, which it holds; its connections hold it.
_slices: WeakValueDictionary[int, Slices] = WeakValueDictionary()


def slices_of(loop: asyncio.AbstractEventLoop) -> Slices:
    """Those of that loop."""
    slices = _slices.get(id(loop))
    if slices is None:
        slices = _slices[id(loop)] = Slices(loop)
    return slices
