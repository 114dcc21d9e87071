"""How long calls took: their percentiles, and how they are spread."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable
from typing import Any

__all__ = ["PERCENTILES", "Latencies"]

PERCENTILES = (50.0, 90.0, 99.0, 99.9)
_PER_DOUBLING = 2
"""Buckets of the histogram between a time and its double."""


class Latencies:
    """Seconds that calls took, each of them kept: eight bytes a call."""

    def __init__(self) -> None:
        self._seconds = array("d")
        self.add: Callable[[float], None] = self._seconds.append
        """Take in one more."""

    def __len__(self) -> int:
        return len(self._seconds)

    def percentile(self, percent: float, ordered: list[float] | None = None) -> float:
        """The least time within which so many in a hundred calls were answered. There has to be one."""
        ordered = sorted(self._seconds) if ordered is None else ordered
        return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]

    def summary(self) -> dict[str, Any]:
        """The figures in seconds, by name: least, mean, percentiles and most. Empty where nothing was answered."""
        ordered = sorted(self._seconds)
        if not ordered:
            return {}
        named = {f"p{percent:g}": self.percentile(percent, ordered) for percent in PERCENTILES}
        return {"min": ordered[0], "mean": math.fsum(ordered) / len(ordered), **named, "max": ordered[-1]}

    def histogram(self) -> list[tuple[float, int]]:
        """How many calls took no longer than each time, and longer than the one before; in steps of the root of two."""
        counts: dict[int, int] = {}
        for seconds in self._seconds:
            bucket = math.ceil(math.log2(max(seconds, 1e-9)) * _PER_DOUBLING)
            counts[bucket] = counts.get(bucket, 0) + 1
        if not counts:
            return []
        every = range(min(counts), max(counts) + 1)
        return [(2 ** (bucket / _PER_DOUBLING), counts.get(bucket, 0)) for bucket in every]
