"""Whatever is nested in whatever, the interpreter lives: see deep.py."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_no_depth_crashes_the_interpreter_then_or_later() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-m", "tests.system.deep"], cwd=ROOT, capture_output=True, timeout=50
    )
    assert (done.returncode, done.stdout, done.stderr[-2000:]) == (0, b"alive", b"")
