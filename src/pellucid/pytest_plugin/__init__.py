"""Fixtures for pytest: something served, or two ends joined in memory, with a look at what is left afterwards.

pytest loads this in every run where pellucid is installed, so it loads nothing but pytest itself until a test asks.
"""

from __future__ import annotations

from collections.abc import Generator
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pellucid.pytest_plugin.kit import Kit, PairFactory, ServeFactory

__all__ = ["pellucid_pair", "pellucid_serve"]

_FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note that a test has failed: its error holds all that it had, which is no leak."""
    report = yield
    if report.failed:
        item.stash[_FAILED] = True
    return report


@pytest.fixture
def pellucid_serve(_pellucid_kit: Kit) -> ServeFactory:
    """Serves an object on a free port of this machine, to a client that is connected.

    ``async with pellucid_serve(root) as served: await served.root.call("name")``, or, in a test that blocks,
    ``with pellucid_serve(root) as served: served.root.call("name")``.
    """
    return _pellucid_kit.serve


@pytest.fixture
def pellucid_pair(_pellucid_kit: Kit) -> PairFactory:
    """Joins a server and a client in memory, without sockets.

    ``async with pellucid_pair(root) as pair: await pair.root.call("name")``.
    """
    return _pellucid_kit.pair


@pytest.fixture
def _pellucid_kit(request: pytest.FixtureRequest) -> Generator[Kit]:
    kit: Any = import_module("pellucid.pytest_plugin.kit").Kit()
    yield kit
    if not request.node.stash.get(_FAILED, False):
        leaks = kit.leaks()
        if leaks:
            pytest.fail("\n  ".join(["references are held after the end of their connections:", *leaks]), pytrace=False)
