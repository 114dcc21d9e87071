"""Whatever a peer sends, what is held for it stays below what the limits allow: see appetite.py, which measures it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.appetite import CASES

ROOT = Path(__file__).parents[2]
SECONDS = 150


@pytest.fixture(scope="module")
def peaks() -> dict[str, int]:
    measured = subprocess.run(
        [sys.executable, "-m", "tests.system.appetite"], cwd=ROOT, check=True, capture_output=True, timeout=SECONDS
    )
    peaks: dict[str, int] = json.loads(measured.stdout)
    return peaks


@pytest.mark.timeout(SECONDS + 10)
@pytest.mark.parametrize("name", CASES)
def test_what_a_peer_can_make_us_hold_is_bounded_by_the_limits(peaks: dict[str, int], name: str) -> None:
    assert peaks[name] <= CASES[name].bound
