"""What pellucid is to reach, and whether it does."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from benchmarks.cases import CODEC_FLOOR, FLOOR, PB, Cell
from benchmarks.results import Results

__all__ = ["TARGETS", "Target", "report"]

NATIVE = "pellucid-native-uvloop"
OURS_IN_PB = "pellucid-pb-uvloop"


@dataclass(frozen=True)
class Target:
    """A bound on a ratio of costs, or on something measured besides."""

    title: str
    ours: Cell
    at_least: float
    hoped: float
    reference: Cell | None = None
    """Whose cost is divided by ours."""
    extra: str = ""
    """What is measured besides, that is to be at most so much; without a reference."""

    def measured(self, results: Results) -> float | None:
        """What it came to: the median over all repeats."""
        if self.reference is None:
            return results.extra(self.ours, self.extra)
        ratios = results.ratios(self.ours, self.reference)
        return median(ratios) if ratios else None

    def verdict(self, measured: float | None) -> str:
        """Met or not."""
        if measured is None:
            return "not measured"
        reached = (lambda bound: measured >= bound) if self.reference else (lambda bound: measured <= bound)
        if not reached(self.at_least):
            return "NOT MET"
        return "hoped for" if reached(self.hoped) else "met"


TARGETS = [
    Target("sequential echo, plain, of the floor", (NATIVE, "sequential"), 0.75, 0.85, (FLOOR, "sequential")),
    Target("the same, coroutine", (NATIVE, "sequential-coroutine"), 0.68, 0.76, (FLOOR, "sequential")),
    Target("256 in flight, plain, × Twisted PB", (NATIVE, "in-flight"), 12, 20, (PB, "in-flight")),
    Target("the same, coroutine", (NATIVE, "in-flight-coroutine"), 9, 20, (PB, "in-flight")),
    Target("a batch of 256, × Pyro5's", (NATIVE, "batch"), 1, 1, ("pyro5", "batch")),
    Target("1 MiB echo, of the floor", (NATIVE, "mebibyte"), 0.7, 1, (FLOOR, "mebibyte")),
    Target("structure, of floor + ormsgpack", (NATIVE, "structure"), 0.8, 0.95, (CODEC_FLOOR, "structure")),
    Target("new reference, call, drop, × Twisted PB", (NATIVE, "reference"), 2, 2.2, (PB, "reference")),
    Target("the same, pipelined", (NATIVE, "reference-pipelined"), 3.5, 4, (PB, "reference")),
    Target("server calls back, × Twisted PB", (NATIVE, "callback"), 1.8, 2.2, (PB, "callback")),
    Target("connections, × Twisted PB", (NATIVE, "connections"), 2, 3, (PB, "connections")),
    Target("KiB each, at most", (NATIVE, "connections"), 4, 2, extra="server_each_kib"),
    Target("20,000 references, × Twisted PB", (NATIVE, "references"), 8, 12, (PB, "references")),
    Target("KiB each at the server, at most", (NATIVE, "references"), 0.35, 0.25, extra="server_each_kib"),
    Target("KiB each at the client, at most", (NATIVE, "references"), 0.35, 0.2, extra="client_each_kib"),
    Target("left in the table, at most", (NATIVE, "references"), 0, 0, extra="left_objects"),
    Target("one change to 100 observers, × Twisted PB", (NATIVE, "observers"), 10, 30, (PB, "observers")),
    Target("pb: sequential echo, × Twisted PB", (OURS_IN_PB, "sequential"), 1.5, 2, (PB, "sequential")),
    Target("pb: 256 in flight, × Twisted PB", (OURS_IN_PB, "in-flight"), 3, 5, (PB, "in-flight")),
    Target("pb: structure, × Twisted PB", (OURS_IN_PB, "structure"), 6, 10, (PB, "structure")),
]


def report(results: Results) -> str:
    """A Markdown table of the targets, what was measured, and whether that will do."""
    lines = ["| target | at least | hoped for | measured | |", "|---|---:|---:|---:|---|"]
    for target in TARGETS:
        measured = target.measured(results)
        shown = "" if measured is None else f"{measured:.3g}"
        lines.append(
            f"| {target.title} | {target.at_least:g} | {target.hoped:g} | {shown} | {target.verdict(measured)} |"
        )
    return "\n".join(lines)
