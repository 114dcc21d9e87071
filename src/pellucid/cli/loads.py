"""Ways to call again and again: as fast as answers come, or so many times a second."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from time import perf_counter  # a loop's own time may have no more than milliseconds

from pellucid.cli.failures import type_and_text
from pellucid.cli.latencies import Latencies
from pellucid.errors import DeadReferenceError, PBConnectionLost

__all__ = ["Measured", "closed_loop", "open_loop"]

Make = Callable[[], Awaitable[object]]
"""Makes one call."""

_MOST_UNDER_WAY = 10_000
"""In the open loop: a server that falls so far behind will not catch up."""

_COARSE = 0.002
"""Seconds by which a loop may be late, as its timers have milliseconds. What comes sooner is waited for awake."""


@dataclass
class Measured:
    """What came of the calls so far."""

    latencies: Latencies = field(default_factory=Latencies)
    errors: Counter[str] = field(default_factory=Counter[str])
    """How many calls failed, by the name of the error."""
    under_way: int = 0
    """Calls that were made and are not answered."""
    skipped: int = 0
    """Calls that were not made, as too many were under way."""
    seconds: float = 0.0
    """How long it has taken."""

    async def one(self, make: Make, began: float) -> None:
        """Make one call, which counts from `began`. Raises what tells that no other can be made."""
        self.under_way += 1
        try:
            await make()
        except (DeadReferenceError, PBConnectionLost):
            raise
        except Exception as error:  # noqa: BLE001 - whatever the peer answers is counted
            self.errors[type_and_text(error)[0]] += 1
        else:
            self.latencies.add(perf_counter() - began)
        finally:
            self.under_way -= 1


async def closed_loop(make: Make, measured: Measured, *, workers: int, seconds: float) -> None:
    """Have so many `workers` call, each anew when it has its answer."""
    start = perf_counter()

    async def work() -> None:
        while (now := perf_counter()) - start < seconds:
            await measured.one(make, now)
            measured.seconds = perf_counter() - start

    async with asyncio.TaskGroup() as group:
        for _ in range(workers):
            group.create_task(work())


async def open_loop(make: Make, measured: Measured, *, rate: float, seconds: float) -> None:
    """Make `rate` calls a second, whether or not they are answered.

    Each counts from when it was due: what waits because of others, here or at the peer, has waited.
    """
    start = perf_counter()
    number = 0
    async with asyncio.TaskGroup() as group:
        while (due := number / rate) < seconds:
            while (early := start + due - perf_counter()) > 0:  # noqa: ASYNC110 - it is the time that is waited for
                await asyncio.sleep(max(0.0, early - _COARSE))
            if measured.under_way < _MOST_UNDER_WAY:
                group.create_task(measured.one(make, start + due))
            else:
                measured.skipped += 1
            await asyncio.sleep(0)  # let it begin, and answers be taken in, however late it is
            number += 1
            measured.seconds = perf_counter() - start
    measured.seconds = perf_counter() - start
