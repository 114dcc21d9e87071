"""The workloads, what one operation of each is, and what is sent in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["CASES", "IN_FLIGHT", "LARGE", "MEBIBYTE", "SCALES", "TEXTS", "Case", "Cell", "Scale", "groups", "rows"]

Cell = tuple[str, str]
"""The name of a peer, the name of a case."""


@dataclass(frozen=True)
class Case:
    """A workload."""

    name: str
    title: str
    """As the table shows it."""
    operation: str
    """What the cost is the cost of."""
    group: str
    """Cases of a group are measured next to each other, so that their ratios are paired."""
    reference: Cell
    """What a cost is compared with: in the same repeat, of that peer, in that case."""
    one_shot: bool = False
    """Whether it is measured once a repeat, however long it takes, rather than for `--seconds`."""


FLOOR = "uvloop-floor"
CODEC_FLOOR = "uvloop-floor-ormsgpack"
PB = "twisted-pb"

IN_FLIGHT = 256
"""Calls under way at the same time."""

CASES: dict[str, Case] = {
    case.name: case
    for case in [
        Case("sequential", "sequential echo, plain method", "call", "sequential", (FLOOR, "sequential")),
        Case("sequential-coroutine", "sequential echo, coroutine", "call", "sequential", (FLOOR, "sequential")),
        Case("in-flight", "256 in flight, plain method", "call", "in-flight", (PB, "in-flight")),
        Case("in-flight-coroutine", "256 in flight, coroutine", "call", "in-flight", (PB, "in-flight")),
        Case("batch", "256 calls as one message", "call", "in-flight", (PB, "in-flight")),
        Case("mebibyte", "1 MiB echo", "call", "mebibyte", (FLOOR, "mebibyte")),
        Case("structure", "200 dicts of five fields echoed", "call", "structure", (CODEC_FLOOR, "structure")),
        Case("reference", "new reference, call, drop", "reference", "reference", (PB, "reference")),
        Case("reference-pipelined", "the same, pipelined", "reference", "reference", (PB, "reference")),
        Case("callback", "server calls back", "call", "callback", (PB, "callback")),
        Case("connections", "500 connections, a call each", "connection", "connections", (PB, "connections"), True),
        Case("references", "20,000 live references", "reference", "references", (PB, "references"), True),
        Case("observers", "one change to 100 observers", "change", "observers", (PB, "observers")),
        Case("latency", "small call while 100 MB pass, median", "call", "latency", (PB, "latency"), True),
    ]
}


@dataclass(frozen=True)
class Scale:
    """A workload of growing size."""

    case: str
    title: str
    unit: str
    """What there are more and more of."""
    sizes: Sequence[int]


SCALES: dict[str, Scale] = {
    scale.case: scale
    for scale in [
        Scale("connections", "connections, a call each", "connection", (1, 10, 100, 500, 1_000, 2_000)),
        Scale("references", "live references", "reference", (1, 10, 100, 1_000, 10_000, 100_000)),
        Scale("structure", "structure echoed", "element", (10, 100, 1_000, 10_000, 100_000, 1_000_000)),
        Scale("in-flight", "calls in flight", "call", (1, 10, 100, 1_000, 10_000)),
    ]
}

MEBIBYTE = bytes(range(256)) * 4096
LARGE = bytes(range(256)) * 390_625
"""100 MB."""

TEXTS = tuple(f"hello network, number {number}" for number in range(IN_FLIGHT))
"""What small calls echo: different texts, lest an answer to another call pass for the right one."""


def rows(count: int) -> list[dict[str, Any]]:
    """Dicts of five fields."""
    return [
        {
            "name": f"customer number {number}",
            "number": number * 1000,
            "price": number * 1.5,
            "tag": f"b{number}",
            "ok": True,
        }
        for number in range(count)
    ]


def groups(names: Sequence[str]) -> dict[str, list[str]]:
    """The names of cases by group, groups and cases in the order of `CASES`."""
    found: dict[str, list[str]] = {}
    for name, case in CASES.items():
        if name in names:
            found.setdefault(case.group, []).append(name)
    return found
