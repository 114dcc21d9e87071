"""Noticing peers that have vanished, or have nothing to say: connections are looked at in turn, many by one timer.

A timer for each connection would cost more memory than the rest of what an idle one takes.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Protocol
from weakref import WeakValueDictionary

__all__ = ["LOOKS", "Idleness", "Round", "Watched", "probe", "watch"]

LOOKS = 3
"""How often a connection is looked at within the time in which its peer must give a sign of life: whoever was silent
for one look is asked, and whoever is silent for another is dead."""


class Watched(Protocol):
    """What is looked at."""

    def look_for_life(self) -> None:
        """Look, and end the connection where nobody is there."""
        ...


class Round:
    """The connections of one loop that are looked at every so many seconds."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._loop = loop
        self._seconds = seconds
        self._connections: dict[Watched, None] = {}  # in the order in which they came, to look in the same order
        self._timer: asyncio.TimerHandle | None = None

    def add(self, connection: Watched) -> None:
        """Look at `connection` from the next time on."""
        self._connections[connection] = None
        if self._timer is None:
            self._timer = self._loop.call_later(self._seconds, self._look)

    def discard(self, connection: Watched) -> None:
        """`connection` has ended."""
        self._connections.pop(connection, None)
        if not self._connections and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = self._loop.call_later(self._seconds, self._look)
        for connection in list(self._connections):
            connection.look_for_life()


# By the identity of its loop, which a round holds, and the seconds; its connections and its timer hold the round.
_rounds: WeakValueDictionary[tuple[int, float], Round] = WeakValueDictionary()


def watch(loop: asyncio.AbstractEventLoop, connection: Watched, seconds: float) -> Round:
    """Have `connection` looked at every so many seconds, until the round that is returned discards it."""
    key = id(loop), seconds
    around = _rounds.get(key)
    if around is None:
        around = _rounds[key] = Round(loop, seconds)
    around.add(connection)
    return around


class Working(Protocol):
    """A connection, as far as it is of use."""

    def was_used(self) -> bool:
        """Whether anything was called or answered since this was asked last, or is under way."""
        ...

    def end_idle(self) -> None:
        """Close it: it is of no use."""
        ...


class Idleness:
    """Watches a connection that may not be idle for longer than so many seconds, until it is told to `stop`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, connection: Working, seconds: float) -> None:
        self._connection = connection
        self._idle_looks = 0
        self._round = watch(loop, self, seconds / LOOKS)

    def look_for_life(self) -> None:
        """Look, and end it where it was idle for so long."""
        self._idle_looks = 0 if self._connection.was_used() else self._idle_looks + 1
        if self._idle_looks == LOOKS:
            self._connection.end_idle()

    def stop(self) -> None:
        """The connection has ended."""
        self._round.discard(self)


def probe(transport: asyncio.BaseTransport, seconds: int) -> None:
    """Have the system notice within `seconds` that the peer has vanished: half of them idle, then five probes."""
    sock = transport.get_extra_info("socket")
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in ("TCP_KEEPIDLE", seconds // 2), ("TCP_KEEPINTVL", seconds // 10), ("TCP_KEEPCNT", 5):
        option = getattr(socket, name, None)  # not every system has them
        if option is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, max(1, value))
