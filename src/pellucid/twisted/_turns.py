"""Connections that have had their share go on when the reactor has looked at all others; one at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

__all__ = ["Turns", "turns_of"]


class Turns:
    """Those that wait in one reactor: each time that it has looked at everybody, the first of them has its turn."""

    def __init__(self) -> None:
        self._queue: deque[Callable[[], None]] = deque()

    def wait(self, go_on: Callable[[], None], reactor: Any) -> None:
        """Call `go_on` when those have had their turn that wait already."""
        self._queue.append(go_on)
        if len(self._queue) == 1:
            reactor.callLater(0, self._serve, reactor)

    def leave(self, go_on: Callable[[], None]) -> None:
        """Do not call `go_on`, which waits, after all."""
        self._queue[self._queue.index(go_on)] = _nothing

    def _serve(self, reactor: Any) -> None:
        go_on = self._queue[0]  # it stays there meanwhile: `wait` is not to have the next one served, too
        try:
            go_on()
        finally:
            self._queue.popleft()
            if self._queue:
                reactor.callLater(0, self._serve, reactor)


def _nothing() -> None:
    """Stands for one that has left."""


_turns: WeakKeyDictionary[Any, Turns] = WeakKeyDictionary()


def turns_of(reactor: Any) -> Turns:
    """Those of that reactor."""
    turns = _turns.get(reactor)
    if turns is None:
        turns = _turns[reactor] = Turns()
    return turns
