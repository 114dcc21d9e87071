"""What takes the short way is written and read as everything else is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.flavors.policy import BASIC_TYPES, Policy
from pellucid.flavors.referenceable import Referenceable
from pellucid.limits import Limits
from pellucid.wire.dialects import dialects_named
from pellucid.wire.messages import Answer, MethodCall
from pellucid.wire.pb.dialect import PBDialect
from pellucid.wire.pb.short import read_plain
from tests.pair import Jelly, Settings

PLAIN: list[Any] = [
    *[None, True, False, 0, -1, 127, 128, 2**31, 2**70, -(2**70), 1.5, -0.0],
    *["", "naïve", "list", "x" * 127, "x" * 128, "x" * 5000, b"", b"\xff\0", b"list", b"x" * 128],
    *[
        [],
        (),
        {},
        [1, "x", [None]],
        (1, (2.5,), b""),
        {"name": "x", 5: [True], None: {}},
        {"list": "tuple"},
        [[[[[]]]]],
    ],
]

SHARED = [1]

OTHERS: list[Any] = [
    "\udc80",
    {"\udc80": 1},
    [SHARED, SHARED],
    {1, 2},
    frozenset({1}),
    bytearray(b"x"),
    Referenceable(),
    [[Referenceable()]],
    object(),
    type("Text", (str,), {})("x"),
    type("Number", (int,), {})(1),
    type("List", (list,), {})(),
]


def with_name(value: object) -> str:
    return ascii(value)[:20].partition(" at 0x")[0]


def spoken(name: str = "pb", **settings: Any) -> PBDialect:
    """A dialect of PB's, by the books of one side."""
    (made,) = dialects_named([name])
    dialect: Any = made(Jelly(Settings(**settings)).books)
    assert isinstance(dialect, PBDialect)
    return dialect


@pytest.mark.parametrize("value", [None, 0, 2**70, 1.5, "", "naïve", b""], ids=with_name)
def test_a_number_or_text_is_read_as_it_was_written(value: Any) -> None:
    jelly = Jelly()
    (read,) = read_plain([jelly.write(value)], 0) or []
    assert (type(read), repr(read)) == (type(value), repr(value))


@pytest.mark.parametrize(
    "expression",
    [
        [],
        [b"unicode"],
        [b"unicode", 5],
        [b"unicode", b"\xff"],
        [b"unicode", b"x", b"y"],
        [b"None", 5],
        [b"boolean", b"true"],
        [b"list", 1],
        [b"remote", 1],
        [[b"unicode", b"x"]],
    ],
    ids=str,
)
def test_what_stands_for_anything_else_or_makes_no_sense_is_left_to_those_who_know_of_it(expression: Any) -> None:
    assert read_plain([expression], 0) is None
    assert read_plain([1, expression, 2], 1) is None


def test_what_stands_before_the_values_is_not_read() -> None:
    assert read_plain([b"tuple", 1, [b"None"]], 1) == [1, None]
    assert read_plain([b"tuple"], 1) == []


@pytest.mark.parametrize("name", ["pb", "none"])
def test_a_plain_call_and_answer_have_the_bytes_that_any_have(name: str) -> None:
    dialect = spoken(name)
    for args in (), *((value,) for value in PLAIN), tuple(PLAIN[:22]):
        for target in b"root", b"message", 7, 300:
            plain = dialect.encode_plain_call(5, target, "echo", args)
            assert plain == dialect.encode(MethodCall(5, target, "echo", args, {}))
    for value in PLAIN:
        assert dialect.encode_plain_answer(300, value) == dialect.encode(Answer(300, value))


@pytest.mark.parametrize("value", OTHERS, ids=with_name)
def test_anything_else_is_left_to_those_who_know_of_it(value: Any) -> None:
    dialect = spoken()
    assert dialect.encode_plain_call(5, 7, "echo", (1, value)) is None
    assert dialect.encode_plain_answer(5, value) is None


def test_a_value_met_twice_is_sent_once() -> None:
    dialect = spoken()
    args = (SHARED, SHARED)
    assert dialect.encode_plain_call(5, 7, "echo", args) is None
    assert dialect.encode_plain_call(5, 7, "echo", (SHARED, [1])) is not None


def test_one_long_text_in_many_places_is_not_copied_beyond_the_limit_of_a_message() -> None:
    limits = Limits(message_bytes=10_000)
    assert spoken(limits=limits).encode_plain_answer(5, ["x" * 1_000] * 9) is not None
    assert spoken(limits=limits).encode_plain_answer(5, ["x" * 1_000] * 11) is None


def test_a_structure_as_deep_as_the_stack_is_left_to_those_who_do_not_need_it() -> None:
    deep: Any = []
    for _ in range(5_000):
        deep = [deep]
    assert spoken(limits=Limits(nesting=10_000)).encode_plain_answer(5, deep) is None


def test_a_call_of_a_name_that_is_too_long_is_left_to_those_who_can_say_so() -> None:
    dialect = spoken(limits=Limits(string_bytes=100))
    assert dialect.encode_plain_call(5, 7, "x" * 100, ()) is not None
    assert dialect.encode_plain_call(5, 7, "x" * 101, ()) is None
    assert dialect.encode_plain_call(5, 7, "\udc80", ()) is None


plain_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(max_size=200),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.integers(), inner),
)

tight = st.builds(
    Limits,
    string_bytes=st.sampled_from([0, 5, 127, 200, 10_000]),
    list_elements=st.sampled_from([1, 5, 1000]),
    nesting=st.sampled_from([1, 3, 8, 256]),
    elements=st.sampled_from([1, 20, 10_000]),
    prefix_digits=st.sampled_from([1, 64]),
    message_bytes=st.sampled_from([10, 200, 100_000]),
)


@given(plain_values, tight, st.sampled_from(["pb", "none"]))
def test_within_any_limits_the_short_way_comes_to_what_the_long_one_does(value: Any, limits: Limits, name: str) -> None:
    dialect = spoken(name, limits=limits)
    for message, plain in (
        (Answer(5, value), dialect.encode_plain_answer(5, value)),
        (MethodCall(5, b"root", "echo", (value, 1), {}), dialect.encode_plain_call(5, b"root", "echo", (value, 1))),
    ):
        if plain is not None:
            assert plain == dialect.encode(message)


@given(plain_values)
def test_nearly_everything_plain_takes_the_short_way(value: Any) -> None:
    dialect = spoken()
    if b"reference" not in dialect.encode(Answer(5, value)):
        assert dialect.encode_plain_answer(5, value) is not None


@pytest.mark.parametrize("kind", sorted(BASIC_TYPES))
def test_where_some_kind_of_plain_value_may_not_cross_nothing_takes_the_short_way(kind: str) -> None:
    dialect = spoken(policy=Policy(types=BASIC_TYPES - {kind}))
    for value in 5, "x", None:
        assert dialect.encode_plain_call(5, 7, "echo", (value,)) is None
        assert dialect.encode_plain_answer(5, value) is None
