"""Ending calls of a peer's by the time that their caller gave them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pellucid.wire.messages import MethodCall

__all__ = ["Deadlines"]


class Deadlines:
    """The calls of one peer that have a deadline and have not ended."""

    __slots__ = ("_end", "_loop", "_overdue", "_timers")

    def __init__(self, loop: asyncio.AbstractEventLoop, end: Callable[[MethodCall], None]) -> None:
        """`end` is called with each of them that has not ended by its deadline."""
        self._loop = loop
        self._end = end
        # By id() of the call.
        self._timers: dict[int, asyncio.TimerHandle] = {}
        self._overdue: set[int] = set()

    def __len__(self) -> int:
        return len(self._timers) + len(self._overdue)

    def watch(self, call: MethodCall) -> None:
        """Have `call` end by its deadline, if it has one."""
        if call.deadline is not None and id(call) not in self._timers:
            self._timers[id(call)] = self._loop.call_at(call.deadline, self.expire, call)

    def unwatch(self, call: MethodCall) -> None:
        """`call` has ended: nothing is to end it any more."""
        self._overdue.discard(id(call))
        timer = self._timers.pop(id(call), None)
        if timer is not None:
            timer.cancel()

    def expire(self, call: MethodCall) -> None:
        """The deadline of `call` has passed: have it end, unless it has."""
        self._timers.pop(id(call), None)
        if not call.ended:
            self._overdue.add(id(call))
            self._end(call)

    def is_overdue(self, call: MethodCall) -> bool:
        """Whether the deadline of `call` has passed, and it has not ended yet."""
        return id(call) in self._overdue

    def clear(self) -> None:
        """Watch none of them any more."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._overdue.clear()
