"""What a program asks of Python, and gets from its world: the time, dice, and when garbage is collected."""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from pellucid.testing.scheduler import Scheduler

__all__ = ["surroundings"]

BEGIN = 1_000_000_000.0
"""What `time.time` says when a world begins: on the ninth of September 2001."""


@contextmanager
def surroundings(scheduler: Scheduler, seed: int) -> Generator[None]:
    """Have the functions of `time` and `random` go by a world, and garbage be collected only when it says so.

    What other code reads them at the same time sees the same. All is as it was before when this ends.
    """

    def nanoseconds(begin: float) -> int:
        return round((begin + scheduler.now) * 1e9)

    clocks: dict[str, Callable[[], float]] = {
        "time": lambda: BEGIN + scheduler.now,
        "time_ns": lambda: nanoseconds(BEGIN),
        "monotonic": lambda: scheduler.now,
        "monotonic_ns": lambda: nanoseconds(0.0),
        "perf_counter": lambda: scheduler.now,
        "perf_counter_ns": lambda: nanoseconds(0.0),
    }
    real = {name: getattr(time, name) for name in clocks}
    dice = random.getstate()
    was_enabled = gc.isenabled()
    gc.disable()
    gc.freeze()  # what was there before is none of this world's, and looking at it would take long
    random.seed(f"{seed} of the program")
    try:
        for name, clock in clocks.items():
            setattr(time, name, clock)
        yield
        gc.collect()
    finally:
        for name, clock in real.items():
            setattr(time, name, clock)
        random.setstate(dice)
        gc.unfreeze()
        if was_enabled:
            gc.enable()
