"""How much work a call costs, as a count that is the same on every machine: the lines of pellucid's that run.

What C code does in one line is not seen. `benchmarks/growth.py` measures the same inputs in seconds.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pellucid

__all__ = ["SLACK", "lines_of", "ratio"]

SLACK = 2.2
"""How much more work twice the input may be: what is linear has some rounding."""

_SOURCE = str(Path(pellucid.__file__).parent)


def lines_of(work: Callable[[], object]) -> int:
    """How many lines of pellucid's run in `work`."""
    count = 0

    def local(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal count
        count += event == "line"
        return local

    def enter(frame: FrameType, event: str, arg: Any) -> Any:
        return local if frame.f_code.co_filename.startswith(_SOURCE) else None

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def ratio(prepare: Callable[[int], Callable[[], object]], size: int) -> float:
    """How many times the work is when the input has twice the `size`; `prepare` makes the work for an input."""
    work, twice = prepare(size), prepare(2 * size)
    return lines_of(twice) / lines_of(work)
