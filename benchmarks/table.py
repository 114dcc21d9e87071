"""Results as Markdown."""

from __future__ import annotations

from math import isnan
from statistics import median

from benchmarks.cases import CASES, Case
from benchmarks.peers import PEERS
from benchmarks.results import Results
from benchmarks.targets import report

__all__ = ["duration", "page"]

_EXTRAS = {
    "server_each_kib": "server {:.2f} KiB each",
    "client_each_kib": "client {:.2f} KiB each",
    "obtain_us": "obtaining {:.1f} µs",
    "drop_us": "dropping {:.1f} µs",
    "left_objects": "{:.0f} left at the server",
    "p99_ms": "p99 {:.2f} ms",
    "worst_ms": "worst {:.2f} ms",
    "large_s": "100 MB in {:.2f} s",
}


def page(results: Results) -> str:
    """The whole page."""
    made = results.made
    versions = ", ".join(f"{name} {number}" for name, number in made["versions"].items())
    parts = [
        "# Results",
        f"{made['date']}, {made['python']} ({made['compiler']}), {made['system']}, {made['processor']}, "
        f"{made['cores']} cores; commit {made['commit']}. {versions}. "
        f"Load average {made['load'][0]:.1f} before, {made['load'][-1]:.1f} after.",
        f"{results.options['repeats']} repeats, interleaved; {results.options['seconds']:g} seconds for each "
        "measurement that has no length of its own. *Cost* is the median. The ratio is the median of those within each "
        "repeat, the least and the greatest behind it; above 1 is faster than the reference. [How to read "
        "this](../README.md)",
        "## Targets",
        report(results),
    ]
    for name in results.options["cases"]:
        parts += [f"## {CASES[name].title}", _section(results, CASES[name])]
    return "\n\n".join(parts) + "\n"


def _section(results: Results, case: Case) -> str:
    peer, reference_case = case.reference
    reference = PEERS[peer].title
    if reference_case != case.name:
        reference += f" at “{CASES[reference_case].title}”"
    lines = [
        f"| | cost of one {case.operation} | × {reference} | |",
        "|---|---:|---:|---|",
    ]
    missing: dict[str, list[str]] = {}
    for name in results.peers():
        cell = (name, case.name)
        costs = results.costs(cell)
        if costs:
            ratios = results.ratios(cell)
            ratio = f"{median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})" if ratios else "–"
            cost = duration(median(costs.values()))
            lines.append(f"| {PEERS[name].title} | {cost} | {ratio} | {_notes(results, name, case.name)} |")
        elif why := results.why_missing(cell):
            missing.setdefault(why, []).append(PEERS[name].title)
    if missing:
        lines += ["", "Not measured:", ""]
        lines += [f"- {'; '.join(titles)}: *{why}*" for why, titles in missing.items()]
    return "\n".join(lines)


def _notes(results: Results, peer: str, case: str) -> str:
    notes = [_EXTRAS[name].format(value) for name, value in results.extras((peer, case)).items() if not isnan(value)]
    if case in PEERS[peer].notes:
        notes.append(PEERS[peer].notes[case])
    if partly := results.why_missing((peer, case)):
        notes.append(f"not in every repeat: {partly}")
    return "; ".join(notes)


def duration(seconds: float) -> str:
    """In the unit that suits it."""
    for factor, unit in ((1, "s"), (1e3, "ms"), (1e6, "µs")):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e9:.0f} ns"
