"""Virtual time, and what is due at which moment of it: one queue for all that a world runs."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Protocol

__all__ = ["BudgetSpent", "NothingLeft", "Runs", "Scheduler"]

STEP_SECONDS = 1e-6
"""What running a callback takes of virtual time. So whoever turns in circles until something happens sees it happen."""


class NothingLeft(Exception):
    """Nothing is ready to run, and nothing will become so."""


class BudgetSpent(Exception):
    """The world took more steps, or more of its seconds, than it may."""


class Runs(Protocol):
    """An event loop whose callbacks a scheduler runs."""

    number: int
    is_dead: bool
    """Whether nothing of it is ever run again."""
    held: deque[asyncio.Handle] | None
    """What waits while the loop's process is paused; None while it is not."""

    def enter(self) -> None:
        """The callbacks that follow are of this loop."""
        ...


class Scheduler:
    """Runs callbacks in the order in which they were made ready, and lets time jump when none is.

    Time is in seconds and begins at zero.
    """

    def __init__(self, *, steps: int, seconds: float) -> None:
        self.now: float = 0.0
        """Virtual seconds since the world began."""
        self.steps: int = 0
        """How many callbacks were run."""
        self.fingerprint: int = 0
        """Equal for two runs that did the same at the same times, and hardly ever for others."""
        self.interlude: Callable[[], int] | None = None
        """What to run between two turns once so many steps were made; it says after how many more to do so again."""
        self._interlude_at = 0
        self._most_steps = steps
        self._most_seconds = seconds
        self._ready: deque[tuple[Runs, asyncio.Handle]] = deque()
        # A timer is of a loop, or a plain callback of the world's own.
        self._timers: list[tuple[float, int, Runs | None, asyncio.Handle | None, Callable[[], None] | None]] = []
        self._timers_made = 0
        self._running: Runs | None = None

    def soon(self, loop: Runs, handle: asyncio.Handle) -> None:
        """Run `handle` when all that is ready already was run."""
        self._ready.append((loop, handle))

    def at(self, when: float, callback: Callable[[], None]) -> None:
        """Run `callback`, which belongs to no loop, when it is time for it."""
        self._timers_made += 1
        heappush(self._timers, (when, self._timers_made, None, None, callback))

    def timer(self, when: float, loop: Runs, handle: asyncio.TimerHandle) -> None:
        """Make `handle` ready when it is time for it."""
        self._timers_made += 1
        heappush(self._timers, (when, self._timers_made, loop, handle, None))

    def run_until(self, done: Callable[[], bool]) -> None:
        """Run what there is to run until `done`.

        Raises:
            NothingLeft: it never will be.
            BudgetSpent: it took too long.
        """
        while not done():
            self._turn()

    def clear(self) -> None:
        """Forget all that is due."""
        self._ready.clear()
        self._timers.clear()

    def _turn(self) -> None:
        if not self._ready:
            self._jump()
        self._ripen()
        ready = self._ready
        first = self.steps
        for _ in range(len(ready)):
            loop, handle = ready.popleft()
            if loop.is_dead or handle.cancelled():
                continue
            if loop.held is not None:
                loop.held.append(handle)
                continue
            self.steps += 1
            self.fingerprint = hash((self.fingerprint, self.now, loop.number))
            if loop is not self._running:
                loop.enter()
                self._running = loop
            handle._run()
            del handle  # or what it raised would hold this frame, which holds it
        self._running = None  # what the world does by itself may enter other loops
        self.now += (self.steps - first) * STEP_SECONDS
        if self.interlude is not None and self.steps >= self._interlude_at:
            self._interlude_at = self.steps + self.interlude()
        if self.steps > self._most_steps:
            raise BudgetSpent(f"it took over {self._most_steps:,} steps")

    def _jump(self) -> None:
        """To the moment at which the next timer is due."""
        timers = self._timers
        while timers:
            when, _, loop, handle, _ = timers[0]
            if handle is not None and (handle.cancelled() or (loop is not None and loop.is_dead)):
                heappop(timers)
                continue
            if when > self._most_seconds:
                raise BudgetSpent(f"it was not done within {self._most_seconds:,g} seconds of its own")
            self.now = max(self.now, when)
            return
        raise NothingLeft

    def _ripen(self) -> None:
        """Make ready, or run, what is due by now."""
        timers = self._timers
        while timers and timers[0][0] <= self.now:
            _, _, loop, handle, callback = heappop(timers)
            if callback is not None:
                callback()
            elif loop is not None and handle is not None:
                self._ready.append((loop, handle))
