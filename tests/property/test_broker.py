from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.errors import Error
from pellucid.flavors.referenceable import Referenceable
from pellucid.wire.dialects import dialects_named
from tests.pair import Desk, Pair, Settings, Stranger

pieces = st.lists(st.integers(1, 40), min_size=1)


@settings(max_examples=50)
@given(st.sampled_from(["pellucid", "pb", "none"]), pieces, pieces)
def test_a_conversation_does_not_depend_on_how_its_bytes_are_cut(
    dialect: str, to_server: list[int], to_client: list[int]
) -> None:
    pair = Pair(client_root=Desk(), client=Settings(dialects=dialects_named([dialect])), connect=False)
    pair.to_server.pieces, pair.to_client.pieces = iter(to_server), iter(to_client)
    pair.pump()
    thing = Referenceable()
    assert pair.call(pair.root, "echo", [thing, {"key": ("list", b"list", 2**100, 1.5)}]) == [
        thing,
        {"key": ("list", b"list", 2**100, 1.5)},
    ]
    assert pair.call(pair.root, "relay", Desk(), "echo", "there and back") == "there and back"
    pair.settle()
    assert pair.client.is_empty()
    assert pair.server.is_empty()


@given(st.permutations(range(6)), st.sets(st.integers(0, 5)))
def test_each_call_gets_its_own_answer_in_whatever_order_they_come(order: list[int], failing: set[int]) -> None:
    stranger = Stranger(listens=True)
    calls: list[Any] = [stranger.side.root.call("anything", number) for number in range(6)]
    for number in order:
        failure = [b"twisted.spread.pb.CopyableFailure", [b"dictionary", [b"type", b"twisted.spread.pb.Error"]]]
        stranger.say([b"error", number + 1, failure] if number in failing else [b"answer", number + 1, number])
    for number, call in enumerate(calls):
        try:
            assert call.result() == number
        except Error:
            assert number in failing
    assert stranger.side.is_empty()
