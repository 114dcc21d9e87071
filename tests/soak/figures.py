"""What a process holds: memory, objects, descriptors, tasks and the tables of its connections; and what has grown."""

from __future__ import annotations

import asyncio
import gc
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import pellucid as pb
from tests.system.conversation import tables

__all__ = ["Figures", "figures", "grown"]

Figures = dict[str, int]
"""By name: `memory`, `descriptors`, `tasks`, `tables`, and the number of objects of each class, as `object NAME`."""

MEMORY = 3 * 1024 * 1024
"""Bytes that an allocator may come to hold without any growth of what it is asked for."""

OBJECTS = 250
"""Objects of one class that may come and go: asyncio keeps a hundred timers, and more, after they were cancelled."""


def figures(connections: Iterable[pb.Connection]) -> Figures:
    """What this process holds at this moment. Only Linux tells of memory and descriptors."""
    gc.collect()
    found: Figures = {
        "memory": int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE"),
        "descriptors": sum(1 for _ in Path("/proc/self/fd").iterdir()),
        "tasks": len(asyncio.all_tasks()),
        "tables": sum(sum(tables(connection)) for connection in connections),
    }
    objects = Counter(f"object {type(thing).__module__}.{type(thing).__qualname__}" for thing in gc.get_objects())
    return {**found, **objects}


def grown(before: Mapping[str, int], after: Mapping[str, int]) -> list[str]:
    """What there is more of than there may be, in words."""
    found: list[str] = []
    for name, count in after.items():
        was = before.get(name, 0)
        may_grow = MEMORY if name == "memory" else OBJECTS if name.startswith("object ") else 0
        if count > was + may_grow:
            found.append(f"{name}: {was:,} became {count:,}")
    return found
