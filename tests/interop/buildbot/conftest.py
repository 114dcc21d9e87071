"""Fixtures: a master and its worker, with ours in neither, in one of them, in both."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.buildbot.farm import SECONDS, SETUPS, Farm


@pytest.fixture(scope="session")
def python() -> Path:
    """The interpreter of the environment that has Buildbot."""
    try:
        return Path(os.environ["PELLUCID_BUILDBOT_PYTHON"])
    except KeyError:
        pytest.fail("PELLUCID_BUILDBOT_PYTHON is not set: run these by `make interop`")


@pytest.fixture(scope="session")
def database(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new master's database: it takes seconds to make, and a copy will do."""
    directory = tmp_path_factory.mktemp("database")
    subprocess.run([python.parent / "buildbot", "create-master", "--quiet", directory], check=True, timeout=SECONDS)
    return directory / "state.sqlite"


@pytest.fixture(scope="session", params=SETUPS)
def farm(
    request: pytest.FixtureRequest, python: Path, database: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Farm]:
    farm = Farm(python, tmp_path_factory.mktemp(request.param), SETUPS[request.param], database)
    try:
        farm.open()
        yield farm
    finally:
        farm.close()
