"""Many seeds of the random application, in several processes: ``python -m tests.simulation.soak --seeds 100000``.

Prints each seed that fails with what it failed of, and ends with 1 where there was any.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import time
import traceback
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed

from tests.simulation import scenario

AT_A_TIME = 100
"""Seeds that one process takes up at once."""

MOST_SHOWN = 20
"""Failures that are shown in full."""

NEWS_SECONDS = 10.0


def run_some(seeds: range) -> tuple[int, Counter[str], list[tuple[int, str]]]:
    """How many seeds were run, how their calls ended, and what each failed of that did."""
    outcomes: Counter[str] = Counter()
    failures: list[tuple[int, str]] = []
    for seed in seeds:
        try:
            outcomes += scenario.run(seed).outcomes
        except Exception:  # noqa: BLE001 - whatever it is, the seed is told
            failures.append((seed, traceback.format_exc()))
    gc.collect()
    return len(seeds), outcomes, failures


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the random application in many simulated worlds.")
    parser.add_argument("--seeds", type=int, default=100_000, help="how many worlds (default: 100000)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (default: 0)")
    parser.add_argument(
        "--processes", type=int, default=os.cpu_count(), help="how many at a time (default: one a core)"
    )
    options = parser.parse_args()
    say = sys.stdout.write
    last = options.first + options.seeds
    done, failed, begin, told = 0, 0, time.monotonic(), 0.0
    outcomes: Counter[str] = Counter()
    with ProcessPoolExecutor(options.processes) as pool:
        chunks = [
            pool.submit(run_some, range(seed, min(seed + AT_A_TIME, last)))
            for seed in range(options.first, last, AT_A_TIME)
        ]
        for chunk in as_completed(chunks):
            count, ended, failures = chunk.result()
            done += count
            outcomes += ended
            for seed, text in failures:
                failed += 1
                say(f"seed {seed} FAILED\n{text if failed <= MOST_SHOWN else ''}")
            passed = time.monotonic() - begin
            if passed - told > NEWS_SECONDS or done == options.seeds:
                told = passed
                say(f"{done:,} of {options.seeds:,} seeds in {passed:.0f} s, {failed} failed\n")
            sys.stdout.flush()
    say(f"calls ended: {', '.join(f'{kind} {number:,}' for kind, number in outcomes.most_common())}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
