"""The page that compares pellucid with others has the versions that are measured, and claims what the figures say."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from statistics import median

import pytest

from tests.system.test_docs import ROOT, take_apart

PAGE = ROOT / "docs" / "explanation" / "how-it-compares.md"
RESULTS = ROOT / "benchmarks" / "results" / "results.json"

OURS = "pellucid-native-uvloop"
OTHERS = {"twisted-pb", "twisted-pb-nodelay", "foolscap", "pyro5", "rpyc", "grpc", "pycapnp"}


@pytest.fixture(scope="module")
def costs() -> dict[str, dict[str, float]]:
    """The cost of each case for each peer that was measured, the median of its repeats."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for measured in json.loads(RESULTS.read_text(encoding="utf-8"))["measurements"]:
        found[measured["case"]][measured["peer"]].append(measured["cost"])
    return {case: {peer: median(costs) for peer, costs in peers.items()} for case, peers in found.items()}


def test_the_versions_on_the_page_are_those_that_are_measured() -> None:
    requirements = (ROOT / "benchmarks" / "requirements.txt").read_text(encoding="utf-8").lower()
    pinned = dict(re.findall(r"^([\w.-]+)==(\S+)$", requirements, re.MULTILINE))
    rows = re.findall(r"^\| ([\w' ,]+?) \| ([\d.]+) \|", take_apart(PAGE).prose, re.MULTILINE)

    names = {"Twisted PB": "twisted", "gRPC": "grpcio", "Cap'n Proto, by pycapnp": "pycapnp"}
    said = {names.get(name, name.lower()): version for name, version in rows}
    measured = {"twisted", "foolscap", "pyro5", "rpyc", "grpcio", "pycapnp"}
    assert {name: said[name] for name in measured} == {name: pinned[name] for name in measured}


@pytest.mark.parametrize(
    "case",
    [
        "sequential",
        "sequential-coroutine",
        "in-flight",
        "in-flight-coroutine",
        "batch",
        "structure",
        "reference",
        "reference-pipelined",
    ],
)
def test_pellucid_is_the_fastest_where_the_page_says_so(case: str, costs: dict[str, dict[str, float]]) -> None:
    others = {peer: cost for peer, cost in costs[case].items() if peer in OTHERS}
    assert costs[case][OURS] < min(others.values())


@pytest.mark.parametrize(("case", "faster"), [("connections", "pyro5"), ("latency", "twisted-pb")])
def test_another_is_faster_where_the_page_says_so(case: str, faster: str, costs: dict[str, dict[str, float]]) -> None:
    assert costs[case][faster] < costs[case][OURS]


@pytest.mark.parametrize(
    ("case", "others", "least"), [("callback", ["pyro5"], 0.8), ("mebibyte", ["pyro5", "pycapnp"], 0.3)]
)
def test_others_take_as_long_or_longer_where_the_page_says_so(
    case: str, others: list[str], least: float, costs: dict[str, dict[str, float]]
) -> None:
    assert all(least < costs[case][OURS] / costs[case][other] < 1.25 for other in others)


def test_pycapnp_is_slower_in_all_else_that_was_measured_of_both(costs: dict[str, dict[str, float]]) -> None:
    both = [peers for case, peers in costs.items() if {"pycapnp", OURS} <= peers.keys() and case != "mebibyte"]
    assert both
    assert all(peers[OURS] < peers["pycapnp"] for peers in both)
