"""A server under attack by a hundred hostile connections answers an honest client, each call with its own answer."""

from __future__ import annotations

import pytest

from benchmarks.attack import KINDS, measure

CALLS = 20
"""What must be answered in the time: how fast it is under attack, `python -m benchmarks.attack` measures."""


@pytest.mark.parametrize("kind", ["all", "calls", "cancels", "structures"])
def test_a_server_under_attack_answers_an_honest_client(kind: str) -> None:
    found = measure(list(KINDS) if kind == "all" else [kind], seconds=2.0, places=(None, None))
    assert found["loud"]["calls"] > CALLS
