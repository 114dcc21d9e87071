from __future__ import annotations

from typing import Any

import pytest

from pellucid.wire.pb.disowned import receipts_in

REMOTE = [b"remote", 5]
CACHED = [b"cached", 7]


@pytest.mark.parametrize(
    ("expression", "references", "caches"),
    [
        (REMOTE, {5: 1}, {}),
        (CACHED, {}, {7: 1}),
        ([b"list", REMOTE, [b"tuple", REMOTE, CACHED], [b"set", REMOTE], [b"frozenset", CACHED]], {5: 3}, {7: 2}),
        ([b"dictionary", [REMOTE, CACHED], [[b"unicode", b"key"], REMOTE]], {5: 2}, {7: 1}),
        ([b"reference", 1, [b"list", REMOTE, [b"dereference", 1]]], {5: 1}, {}),
        ([b"zoo.Duck", [b"dictionary", [b"owner", REMOTE]]], {5: 1}, {}),
        ([b"zoo.Pond", 9, [b"dictionary", [b"owner", REMOTE]]], {5: 1}, {9: 1}),
        ([b"zoo.Pond", 9, 4], {}, {9: 1}),
        ([b"zoo.Pond", 9, b"state"], {}, {9: 1}),
        ([b"reference", 1, [b"zoo.Pond", 9, [b"list", [b"dereference", 1]]]], {}, {9: 1}),
        ([b"twisted.spread.pb.CopyableFailure", [b"dictionary", [b"value", REMOTE]]], {5: 1}, {}),
    ],
)
def test_every_receipt_counts_where_it_stands(
    expression: object, references: dict[int, int], caches: dict[int, int]
) -> None:
    assert [*map(dict, receipts_in(expression))] == [references, caches]


@pytest.mark.parametrize(
    "expression",
    [
        5,
        b"remote",
        [b"list", b"remote", 5],
        [b"dictionary", [b"remote", 5], [b"cached", 7]],
        [b"decimal", 5, 7],
        [b"unicode", b"remote"],
        [b"local", 5],
        [b"lcache", 7],
        [b"dereference", 5],
        [b"datetime", b"2024 1 1 0 0 0 0"],
        [b"persistent", 5],
    ],
    ids=repr,
)
def test_what_only_looks_like_a_receipt_is_none(expression: object) -> None:
    assert [*map(dict, receipts_in(expression))] == [{}, {}]


@pytest.mark.parametrize(
    "expression",
    [[], [[]], [5], [b"remote"], [b"remote", b"root"], [b"reference"], [b"dictionary", 5, [], [REMOTE]], [1.5, REMOTE]],
    ids=repr,
)
def test_nothing_malformed_stops_the_count(expression: object) -> None:
    receipts_in([b"list", expression, REMOTE])
    assert receipts_in([b"list", expression, REMOTE])[0][5] >= 1


def test_depth_costs_no_stack() -> None:
    expression: Any = REMOTE
    for _ in range(10_000):
        expression = [b"list", expression]
    assert receipts_in(expression)[0] == {5: 1}
