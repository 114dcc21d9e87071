"""Twisted's own tests of what it builds on PB, with ours in the place of twisted.spread.

Not called test_*.py: it runs when it is named, as `make interop` does. The tests are those of the Twisted installed
beside the interpreter that PELLUCID_PEER_PYTHON names, or else beside this one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.interop.twisted_suites.differences import DIFFERENCES

RUNNER = Path(__file__).with_name("runner.py")
SOURCE = Path(__file__).parents[3] / "src"
PYTHON = os.environ.get("PELLUCID_PEER_PYTHON", sys.executable)
SECONDS = 55

SUITES = (
    "twisted.spread.test.test_banana",
    "twisted.spread.test.test_jelly",
    "twisted.spread.test.test_pb",
    "twisted.spread.test.test_pbfailure",
    "twisted.web.test.test_distrib",
    "twisted.words.test.test_service",
)


def outcomes(whose: str, directory: Path) -> dict[str, str]:
    """What went wrong in each test, by its name; nothing where it passed."""
    file = directory / "outcomes.json"
    ended = subprocess.run(
        [PYTHON, RUNNER, whose, file, *SUITES],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert file.exists(), ended.stdout
    found: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return outcomes("ours", tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return outcomes("stock", tmp_path_factory.mktemp("stock"))


@pytest.mark.parametrize("suite", SUITES)
def test_stock_passes_its_own_tests(suite: str, stock: dict[str, str]) -> None:
    troubles = [trouble for name, trouble in stock.items() if name.startswith(f"{suite}.")]

    assert len(troubles) > 10
    assert not any(troubles)


def test_ours_is_put_to_every_test(ours: dict[str, str], stock: dict[str, str]) -> None:
    assert ours.keys() == stock.keys()


@pytest.mark.parametrize("suite", SUITES)
def test_ours_passes_the_tests_of(suite: str, ours: dict[str, str]) -> None:
    failed = {
        name: trouble
        for name, trouble in ours.items()
        if trouble and name.startswith(f"{suite}.") and name not in DIFFERENCES
    }

    assert not failed, "\n\n".join(f"{name}\n{trouble}" for name, trouble in failed.items())


@pytest.mark.parametrize("name", DIFFERENCES)
def test_a_test_listed_as_different_is_there_and_fails(name: str, ours: dict[str, str]) -> None:
    assert ours[name]
