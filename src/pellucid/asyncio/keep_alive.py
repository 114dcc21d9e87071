"""Noticing peers that have vanished: connections are looked at in turn, many by one timer.

A timer for each connection would cost more memory than the rest of what an idle one takes.
"""

from __future__ import annotations

import asyncio
from typing import Protocol
from weakref import WeakValueDictionary

__all__ = ["LOOKS", "Round", "Watched", "watch"]

LOOKS = 3
"""How often a connection is looked at within the time in which its peer must give a sign of life: whoever was silent
for one look is asked, and whoever is silent for another is dead."""


class Watched(Protocol):
    """A connection, as far as it is looked at."""

    def look_for_life(self) -> None:
        """Look, and end it where nobody is there."""
        ...


class Round:
    """The connections of one loop that are looked at every so many seconds."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._loop = loop
        self._seconds = seconds
        self._connections: set[Watched] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, connection: Watched) -> None:
        """Look at `connection` from the next time on."""
        self._connections.add(connection)
        if self._timer is None:
            self._timer = self._loop.call_later(self._seconds, self._look)

    def discard(self, connection: Watched) -> None:
        """`connection` has ended."""
        self._connections.discard(connection)
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
