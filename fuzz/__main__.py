"""``python -m fuzz [--seconds N] [TARGET...]`` runs targets one after the other; ``--minimise`` rewrites their corpora.

What a run finds that reaches more goes to .cache/fuzz/TARGET, and what fails to fuzz/failures/TARGET-*: try such a file
again with ``python -m fuzz --try FILE TARGET``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from fuzz import TARGETS
from fuzz.corpora import CORPUS, GROWN, check_of, minimise
from fuzz.seeds import write_seeds

_FAILURES = Path(__file__).parent / "failures"
_SLOW_SECONDS = 20
_MEGABYTES = 2048


def main() -> int:
    """Do what the command line says; 1 where a target failed."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; all by default")
    parser.add_argument("--seconds", type=int, default=60, help="for each target (default: 60)")
    parser.add_argument("--minimise", action="store_true", help="rewrite the corpora")
    parser.add_argument("--try", type=Path, dest="attempt", help="an input to try once")
    options = parser.parse_args()
    targets = options.targets or TARGETS
    if unknown := [target for target in targets if target not in TARGETS]:
        parser.error(f"there is no target {', '.join(unknown)}")
    if options.attempt is not None:
        for target in targets:
            check_of(target)(options.attempt.read_bytes())
        return 0
    if options.minimise:
        for target in targets:
            if target != "properties":  # Hypothesis gives its bytes another meaning in each release
                print(target, "{} inputs, {} bytes".format(*minimise(target)))
        return 0
    failed = [target for target in targets if not _run(target, options.seconds)]
    if failed:
        print("FAILED:", ", ".join(failed), f"- the inputs are in {_FAILURES}")
    return 1 if failed else 0


def _run(target: str, seconds: int) -> bool:
    grown = GROWN / target
    for folder in grown, _FAILURES, CORPUS / target:
        folder.mkdir(parents=True, exist_ok=True)
    write_seeds(target, grown)
    options = [
        f"-max_total_time={seconds}",
        f"-timeout={_SLOW_SECONDS}",
        f"-rss_limit_mb={_MEGABYTES}",
        "-max_len=8192",
        "-verbosity=1",
        f"-artifact_prefix={_FAILURES}/{target}-",
    ]
    print(f"=== {target}", flush=True)
    command = [sys.executable, "-m", "fuzz.engine", target, *options, str(grown), str(CORPUS / target)]
    return subprocess.run(command, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
