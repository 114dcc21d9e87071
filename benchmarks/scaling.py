"""How cost grows with the size of the work: what a unit of it costs at each size, and the exponent of the whole.

The exponent is the slope of total cost over size, both as logarithms, from a hundredth of the greatest size on: what
is small has mostly fixed cost. 1 is linear, less is better.
"""

from __future__ import annotations

import argparse
import sys
from math import log
from pathlib import Path
from statistics import linear_regression, median

from benchmarks.cases import SCALES, Scale
from benchmarks.peers import PEERS as ALL_PEERS
from benchmarks.processes import measure
from benchmarks.results import Measurement, Missing, Results, circumstances
from benchmarks.table import duration

__all__ = ["PEERS", "exponent", "main", "per_unit"]

PEERS = ("twisted-pb", "pellucid-pb-uvloop", "pellucid-native-uvloop", "pellucid-twisted-native")
"""Those measured where nobody says which."""


def main(options: argparse.Namespace) -> int:
    """Measure, or render what was measured."""
    output: Path = options.output
    file = output / "scaling.json"
    if options.render:
        results = Results.load(file)
    else:
        results = _run(options)
        results.save(file)
    text = page(results)
    (output / "scaling.md").write_text(text, encoding="utf-8")
    try:
        from benchmarks import charts
    except ModuleNotFoundError as missing:
        print(f"no charts: {missing.name} is not installed", file=sys.stderr)
    else:
        charts.draw_scaling(results, output)
    print(text)
    return int(any(item.why.startswith("failed") for item in results.missing))


def _run(options: argparse.Namespace) -> Results:
    names = ("peers", "cases", "repeats", "seconds")
    results = Results(circumstances(), {name: getattr(options, name) for name in names})
    for name in options.cases:
        sizes = [size for size in SCALES[name].sizes if not options.quick or size <= 1_000]
        too_much: dict[str, int] = {}
        for repeat in range(options.repeats):
            for size in sizes:
                for peer in options.peers:
                    if size < too_much.get(peer, sys.maxsize) and not _grow(results, options, peer, name, size, repeat):
                        too_much[peer] = size  # and so is what is larger
    return results


def _grow(results: Results, options: argparse.Namespace, peer: str, case: str, size: int, repeat: int) -> bool:
    """Measure one size once; whether it could be."""
    why = ALL_PEERS[peer].lacks.get(case, "")
    if not why:
        outcome = measure(peer, case, seconds=options.seconds, timeout=options.timeout, size=size)
        why = outcome.unavailable
    print(f"{repeat + 1}/{options.repeats} {peer:24} {case:12} {size:>9,} {why}", flush=True)
    if why:
        results.missing.append(Missing(peer, case, why, size))
        return False
    facts = outcome.facts
    cost = facts["cost"] / (size if case == "structure" else 1)
    results.measurements.append(Measurement(peer, case, repeat, cost, facts["operations"], facts["extra"], size))
    return True


def per_unit(results: Results, peer: str, scale: Scale) -> dict[int, float]:
    """By size, the median of what a unit cost."""
    found = {size: results.costs((peer, scale.case), size) for size in scale.sizes}
    return {size: median(costs.values()) for size, costs in found.items() if costs}


def exponent(costs: dict[int, float], largest: int) -> float | None:
    """The exponent of total cost in size; None where too few sizes were measured."""
    points = [(log(size), log(size * cost)) for size, cost in costs.items() if size * 100 >= largest]
    if len(points) < 3:
        return None
    return linear_regression(*zip(*points, strict=True)).slope


def page(results: Results) -> str:
    """A Markdown page."""
    made = results.made
    parts = [
        "# How cost grows",
        f"{made['date']}, {made['python']}, {made['processor']}, {made['cores']} cores; commit {made['commit']}. "
        f"Medians of {results.options['repeats']}. The *exponent* is that of total cost in size, over the greatest two "
        "decades: 1 is linear, less is better.",
    ]
    for name in results.options["cases"]:
        scale = SCALES[name]
        heads = "".join(f" {size:,} |" for size in scale.sizes)
        lines = [f"| cost of one {scale.unit} at |{heads} exponent |", "|---|" + "---:|" * (len(scale.sizes) + 1)]
        for peer in results.peers():
            costs = per_unit(results, peer, scale)
            slope = exponent(costs, scale.sizes[-1])
            cells = "".join(f" {duration(costs[size]) if size in costs else '–'} |" for size in scale.sizes)
            lines.append(f"| {ALL_PEERS[peer].title} |{cells} {'–' if slope is None else f'{slope:.2f}'} |")
        lines += [
            f"\n{ALL_PEERS[item.peer].title}, {item.size:,} and more: {item.why}."
            for item in results.missing
            if item.case == name and item.size is not None
        ]
        parts += [f"## {scale.title}", "\n".join(lines)]
    return "\n\n".join(parts) + "\n"
