"""Charts, made from a result file alone: the same file makes the same bytes."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

import matplotlib as mpl

from benchmarks.cases import CASES, SCALES, Case, groups
from benchmarks.peers import PEERS
from benchmarks.results import Results
from benchmarks.scaling import exponent, per_unit

__all__ = ["draw", "draw_scaling"]

mpl.use("svg")
mpl.rcParams.update(
    {
        "svg.hashsalt": "pellucid",
        "svg.fonttype": "none",
        "font.family": "sans-serif",
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 10,
        "axes.titlelocation": "left",
    }
)

from matplotlib.figure import Figure  # noqa: E402 - the settings above come first

OURS, FLOORS, OTHERS = "#1b6ca8", "#b8bec4", "#6f7a85"
LINES = ("#6f7a85", "#e0952f", "#1b6ca8", "#2f9e6e", "#a8481b", "#7a3fa0")


def draw(results: Results, output: Path) -> None:
    """One file for each group of cases: how often faster each peer is than the reference."""
    for group, names in groups(results.options["cases"]).items():
        rows = {name: _bars(results, CASES[name]) for name in names}
        rows = {name: bars for name, bars in rows.items() if bars}
        if not rows:
            continue
        figure = Figure(figsize=(9, 0.7 + 0.24 * sum(len(bars) + 3.2 for bars in rows.values())), layout="constrained")
        heights = [len(bars) + 1 for bars in rows.values()]
        panels = figure.subplots(len(rows), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
        for panel, (name, bars) in zip(panels, rows.items(), strict=True):
            _panel(panel, CASES[name], bars)
        _save(figure, output / f"{group}.svg", results)


def _bars(results: Results, case: Case) -> list[tuple[str, list[float]]]:
    found = [(name, results.ratios((name, case.name))) for name in results.peers()]
    return sorted([(name, ratios) for name, ratios in found if ratios], key=lambda bar: median(bar[1]))


def _panel(panel: Any, case: Case, bars: list[tuple[str, list[float]]]) -> None:
    middles = [median(ratios) for _, ratios in bars]
    colours = [_colour(name) for name, _ in bars]
    whiskers = [
        [middle - min(ratios) for middle, (_, ratios) in zip(middles, bars, strict=True)],
        [max(ratios) - middle for middle, (_, ratios) in zip(middles, bars, strict=True)],
    ]
    titles = [PEERS[name].title for name, _ in bars]
    # From 1, which is as fast as the reference, to the right or to the left.
    panel.barh(titles, [middle - 1 for middle in middles], left=1, color=colours, height=0.7)
    panel.errorbar(middles, range(len(bars)), xerr=whiskers, fmt="none", ecolor="#2b2f33", elinewidth=0.8)
    for place, (middle, (_, ratios)) in enumerate(zip(middles, bars, strict=True)):
        end, aside, anchor = (max(ratios), 4, "left") if middle >= 1 else (min(ratios), -4, "right")
        where = {"xytext": (aside, 0), "textcoords": "offset points", "va": "center", "ha": anchor}
        panel.annotate(f"{middle:.2f}" if middle >= 0.01 else f"{middle:.1g}", (end, place), fontsize=8, **where)
    panel.set_xscale("log")
    panel.axvline(1, color="#2b2f33", linewidth=0.8)
    panel.use_sticky_edges = False
    panel.margins(x=0.12)
    peer, reference_case = case.reference
    reference = PEERS[peer].title + (f" at “{CASES[reference_case].title}”" if reference_case != case.name else "")
    panel.set_title(f"{case.title}: speed, × {reference}")
    panel.xaxis.set_major_locator(mpl.ticker.LogLocator(subs=(1, 2, 5)))
    panel.xaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    panel.xaxis.set_minor_formatter(mpl.ticker.NullFormatter())


def _colour(name: str) -> str:
    if name.startswith("pellucid"):
        return OURS
    return FLOORS if PEERS[name].module.startswith("floor") or name.endswith("-rpc") else OTHERS


def draw_scaling(results: Results, output: Path) -> None:
    """One file: what a unit costs as there are more of them."""
    names = results.options["cases"]
    figure = Figure(figsize=(9, 4.1 * ((len(names) + 1) // 2)), layout="constrained")
    panels = figure.subplots((len(names) + 1) // 2, 2, squeeze=False).flat
    for name, panel in zip(names, panels, strict=False):
        scale = SCALES[name]
        for peer, colour in zip(results.peers(), LINES, strict=False):
            costs = per_unit(results, peer, scale)
            if not costs:
                continue
            slope = exponent(costs, scale.sizes[-1])
            label = PEERS[peer].title + ("" if slope is None else f" (exponent {slope:.2f})")
            micros = [cost * 1e6 for cost in costs.values()]
            panel.plot(list(costs), micros, color=colour, marker="o", markersize=3, linewidth=1.4, label=label)
        panel.set_xscale("log")
        panel.set_yscale("log")
        panel.set_title(scale.title)
        panel.set_xlabel(f"{scale.unit}s")
        panel.set_ylabel(f"µs for each {scale.unit}")
        panel.yaxis.set_major_locator(mpl.ticker.LogLocator(subs=(1, 2, 5)))
        panel.yaxis.set_minor_formatter(mpl.ticker.NullFormatter())
        for axis in (panel.xaxis, panel.yaxis):
            axis.set_major_formatter(
                mpl.ticker.FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}")
            )
        panel.grid(color="#e6e9ec", linewidth=0.6)
        # Below, where no line passes.
        panel.legend(fontsize=7, frameon=False, loc="upper left", bbox_to_anchor=(0, -0.2))
    for panel in panels:
        panel.set_visible(False)
    _save(figure, output / "scaling.svg", results)


def _save(figure: Figure, file: Path, results: Results) -> None:
    made = results.made
    where = f"{made['python']} · {made['processor']}, {made['cores']} cores"
    figure.supxlabel(f"{where} · {made['date'][:10]} · commit {made['commit']}", fontsize=7, color=OTHERS)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, metadata={"Date": None, "Creator": None})
    text = file.read_text(encoding="utf-8")
    file.write_text("\n".join(line.rstrip() for line in text.splitlines()) + "\n", encoding="utf-8")
