"""What pellucid promises, in a thousand worlds in which all goes wrong that can; `make soak` has more of them."""

from __future__ import annotations

import gc
from collections import Counter

import pytest

from tests.simulation import scenario
from tests.simulation.record import Record
from tests.simulation.soak import run_some

WORLDS = 1_000
AT_A_TIME = 50


@pytest.mark.parametrize("first", range(0, WORLDS, AT_A_TIME))
def test_what_is_promised_holds_whatever_goes_wrong(first: int) -> None:
    for seed in range(first, first + AT_A_TIME):
        scenario.run(seed)
    gc.collect()


def test_the_application_meets_every_end_that_a_call_can_have() -> None:
    met: Counter[str] = Counter()
    for seed in range(100):
        met += scenario.run(seed).outcomes
    expected = (
        "CallCancelled DeadReferenceError DeadlineExceeded InsecureJelly NoSuchMethod Overloaded PBConnectionLost"
    )
    expected += " Revoked TooManyCalls TooManyReferences answered"
    assert set(expected.split()) <= set(met)
    assert met["answered"] > sum(met.values()) / 2


def test_a_soak_tells_of_each_seed_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    run = scenario.run

    def fail_at_three(seed: int) -> Record:
        assert seed != 3, "not this one"
        return run(seed)

    monkeypatch.setattr(scenario, "run", fail_at_three)
    count, outcomes, failures = run_some(range(5))
    assert count == 5
    assert outcomes["answered"]
    ((seed, text),) = failures
    assert seed == 3
    assert "not this one" in text
