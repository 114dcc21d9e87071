"""The releases of Twisted that the stock peers may be, and all that the old ones can't do."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from dataclasses import dataclass

__all__ = ["PEER_PYTHON", "UNABLE", "Release", "Unable", "modern", "peer_release", "unable"]

PEER_PYTHON = os.environ.get("PELLUCID_PEER_PYTHON", sys.executable)
"""The interpreter that runs the stock peers; it decides which release they are."""


@dataclass(frozen=True)
class Release:
    twisted: str
    python: int
    """2 or 3. On Python 2 names are bytes, dicts have no order, and exceptions keep no traceback."""


@functools.cache
def peer_release() -> Release:
    """What `PEER_PYTHON` runs."""
    program = "import json, sys, twisted; print(json.dumps([twisted.__version__, sys.version_info[0]]))"
    told = subprocess.run([PEER_PYTHON, "-c", program], check=True, capture_output=True, timeout=30)
    return Release(*json.loads(told.stdout))


@dataclass(frozen=True)
class Unable:
    """A test that a release fails, by no fault of pellucid's unless the reason says so."""

    test: str
    """The function's name; then, in brackets, some of its parameters, where it passes with others."""
    releases: tuple[str, ...]
    reason: str
    hangs: bool = False
    """Not to be run, because it would fail only when its time is up. The others are run, and must fail."""


UNABLE = [
    Unable(
        "test_the_transcripts_are_what_the_stock_peers_say_today",
        ("24.7.0", "24.3.0", "22.10.0", "20.3.0"),
        "the transcripts are those of 26.10",
    ),
    Unable(
        "test_an_error_that_a_servers_method_hands_on_comes_back_to_a_twisted_client[twisted]",
        ("24.7.0",),
        "its server never answers a call whose method hands on another peer's error",
        hangs=True,
    ),
    Unable(
        "test_an_error_that_a_servers_method_hands_on_comes_back_to_a_twisted_client[door-client]",
        ("24.7.0",),
        "its server never answers a call whose method hands on another peer's error",
        hangs=True,
    ),
    Unable(
        "test_an_error_that_twisted_hands_on_comes_back_as_what_it_was",
        ("24.7.0",),
        "it never answers a call whose method hands on another peer's error",
        hangs=True,
    ),
    Unable(
        "test_an_error_that_twisted_hands_on_comes_back_as_what_it_was[unexpected]",
        ("20.3.0",),
        "on Python 2 it never answers where the text of the error is not ASCII",
        hangs=True,
    ),
    Unable(
        "test_an_error_that_a_servers_method_hands_on_comes_back_to_a_twisted_client[door-client, unexpected]",
        ("20.3.0",),
        "on Python 2 it never answers where the text of the error is not ASCII",
        hangs=True,
    ),
    Unable("test_a_dict_from_a_twisted_client_keeps_its_order", ("20.3.0",), "the dicts of Python 2 have no order"),
    Unable("test_a_dict_at_a_twisted_server_keeps_its_order", ("20.3.0",), "the dicts of Python 2 have no order"),
]


def unable(test: str, parameters: list[str], release: Release) -> Unable | None:
    """Why `release` fails that test with those parameters, if it does."""
    for entry in UNABLE:
        name, _, named = entry.test.rstrip("]").partition("[")
        fits = all(parameter in parameters for parameter in named.split(", ") if parameter)
        if name == test and fits and release.twisted in entry.releases:
            return entry
    return None


def modern(name: str) -> str:
    """What Python 3 calls the built-in that Python 2 calls `name`; any other name is left as it is."""
    module, _, rest = name.rpartition(".")
    return f"builtins.{rest}" if module in ("exceptions", "__builtin__") else name
