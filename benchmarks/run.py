"""The parent: has every peer do every workload in turn, again and again, and writes down what came of it.

    python -m benchmarks [--quick] [--peers A,B] [--cases A,B] [--repeats N] [--seconds S] [--check]
    python -m benchmarks --scaling [--peers A,B] [--cases A,B]
    python -m benchmarks --render

Results go to `--output`: results.json, and made from it alone results.md and charts. `--render` makes those anew.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from benchmarks import scaling, table, targets
from benchmarks.cases import CASES, SCALES, groups
from benchmarks.peers import PEERS
from benchmarks.processes import measure
from benchmarks.results import Measurement, Missing, Results, circumstances, load

__all__ = ["main"]

HERE = Path(__file__).parent
QUICK_OUTPUT = HERE.parent / ".cache" / "bench-quick"


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; 1 where an answer was wrong or a peer failed."""
    options = _options(arguments)
    output: Path = options.output
    if options.scaling:
        return scaling.main(options)
    file = output / "results.json"
    if options.render:
        results = Results.load(file)
    else:
        results = _run(options)
        results.save(file)
    (output / "results.md").write_text(table.page(results), encoding="utf-8")
    _draw(results, output)
    print(f"written: {file}, results.md and charts beside it")
    if options.check:
        print(targets.report(results))
    failures = [item for item in results.missing if item.why.startswith("failed")]
    for item in failures:
        print(f"FAILED: {item.peer}, {item.case}: {item.why}", file=sys.stderr)
    return int(bool(failures))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Pellucid beside its peers.")
    parser.add_argument("--peers", help=f"comma-separated, of {', '.join(PEERS)}; those compared with are added")
    parser.add_argument("--cases", help=f"comma-separated, of {', '.join(CASES)}")
    parser.add_argument("--repeats", type=int, help="how often each is measured (default: 7; 3 with --scaling)")
    parser.add_argument("--seconds", type=float, help="how long one measurement takes (default: 0.5)")
    parser.add_argument("--timeout", type=float, help="seconds for one, at most (default: 60; 120 with --scaling)")
    parser.add_argument("--quick", action="store_true", help="once and shortly, to see that it works")
    parser.add_argument("--check", action="store_true", help="print the targets, and which are met")
    parser.add_argument("--scaling", action="store_true", help="measure how cost grows with the size of the work")
    parser.add_argument("--render", action="store_true", help="make the table and charts anew, from the file there is")
    parser.add_argument("--output", type=Path, help="folder for results (default: benchmarks/results)")
    options = parser.parse_args(arguments)
    known = SCALES if options.scaling else CASES
    options.peers = _chosen(parser, options.peers, scaling.PEERS if options.scaling else tuple(PEERS), PEERS)
    options.cases = _chosen(parser, options.cases, tuple(known), known)
    options.repeats = options.repeats or (1 if options.quick else 3 if options.scaling else 7)
    options.seconds = options.seconds or (0.05 if options.quick else 0.5)
    options.timeout = options.timeout or (120 if options.scaling else 60)
    options.output = options.output or (QUICK_OUTPUT if options.quick else HERE / "results")
    return options


def _chosen(
    parser: argparse.ArgumentParser, given: str | None, default: Sequence[str], known: dict[str, object]
) -> list[str]:
    if given is None:
        return list(default)
    names = [name.strip() for name in given.split(",")]
    for name in names:
        if name not in known:
            parser.error(f"there is no {name!r}, only {', '.join(known)}")
    return [name for name in known if name in names]


def _run(options: argparse.Namespace) -> Results:
    plan = _plan(options.peers, options.cases)
    planned = list(dict.fromkeys(chain(options.peers, (peer for peer, _ in plan))))
    peers = [name for name in PEERS if name in planned]
    kept = {"peers": peers, "cases": options.cases, "repeats": options.repeats, "seconds": options.seconds}
    results = Results(circumstances(), kept)
    for cell in plan:
        if why := PEERS[cell[0]].lacks.get(cell[1]):
            results.missing.append(Missing(*cell, why))
    left_out = {(item.peer, item.case) for item in results.missing}
    for repeat, peer, case in _turns(plan, options.repeats):
        if (peer, case) in left_out:
            continue
        outcome = measure(peer, case, seconds=options.seconds, timeout=options.timeout + 10 * options.seconds)
        if why := outcome.unavailable:
            left_out.add((peer, case))
            results.missing.append(Missing(peer, case, why))
            print(f"{repeat + 1}/{options.repeats} {peer:24} {case:22} {why}", flush=True)
            continue
        facts = outcome.facts
        results.measurements.append(Measurement(peer, case, repeat, facts["cost"], facts["operations"], facts["extra"]))
        print(f"{repeat + 1}/{options.repeats} {peer:24} {case:22} {table.duration(facts['cost'])}", flush=True)
    results.made["load"].append(load())
    return results


def _plan(peers: Sequence[str], cases: Sequence[str]) -> set[tuple[str, str]]:
    """The cells to measure: those asked for, and those they are compared with."""
    asked = {(peer, case) for peer in peers for case in cases}
    references = {CASES[case].reference for case in cases}
    needed = {target.reference for target in targets.TARGETS if target.reference and target.ours in asked}
    return asked | references | needed


def _turns(plan: set[tuple[str, str]], repeats: int) -> Iterator[tuple[int, str, str]]:
    """In which order: the cases of a group next to each other, peer after peer, and that again and again."""
    for cases in groups({case for _, case in plan}).values():
        for repeat in range(repeats):
            for peer in PEERS:
                for case in cases:
                    if (peer, case) in plan:
                        yield repeat, peer, case


def _draw(results: Results, output: Path) -> None:
    try:
        from benchmarks import charts
    except ModuleNotFoundError as missing:
        print(f"no charts: {missing.name} is not installed", file=sys.stderr)
        return
    charts.draw(results, output)
