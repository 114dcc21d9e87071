"""What takes the short way is written and read as everything else is."""

from __future__ import annotations

from typing import Any

import pytest

from pellucid.flavors.policy import BASIC_TYPES, Policy
from pellucid.flavors.referenceable import Referenceable
from pellucid.wire.dialects import dialects_named
from pellucid.wire.messages import Answer, MethodCall
from pellucid.wire.pb.dialect import PBDialect
from pellucid.wire.pb.short import read_plain, write_plain
from tests.pair import Jelly, Settings

SCALARS: list[Any] = [None, 0, -1, 2**31, 2**70, -(2**70), 1.5, -0.0, "", "naïve", "x" * 5000, b"", b"\xff\0"]

OTHERS: list[Any] = [
    True,
    [],
    (1,),
    {},
    "\udc80",
    bytearray(b"x"),
    Referenceable(),
    object(),
    type("Text", (str,), {})("x"),
    type("Number", (int,), {})(1),
]


def with_name(value: object) -> str:
    return ascii(value)[:20].partition(" at 0x")[0]


def spoken(name: str = "pb", **settings: Any) -> PBDialect:
    """A dialect of PB's, by the books of one side."""
    (made,) = dialects_named([name])
    dialect: Any = made(Jelly(Settings(**settings)).books)
    assert isinstance(dialect, PBDialect)
    return dialect


@pytest.mark.parametrize("value", SCALARS, ids=with_name)
def test_a_number_or_text_is_written_as_jelly_and_read_back(value: Any) -> None:
    jelly = Jelly()
    (expression,) = write_plain([value]) or []
    assert expression == jelly.write(value)
    (read,) = read_plain([expression], 0) or []
    assert (type(read), repr(read)) == (type(value), repr(value))
    assert repr(jelly.read(expression)) == repr(value)


@pytest.mark.parametrize("value", OTHERS, ids=with_name)
def test_anything_else_is_left_to_those_who_know_of_it(value: Any) -> None:
    assert write_plain([value]) is None
    assert write_plain([1, "x", value, 2]) is None


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
    for args in (), *((value,) for value in SCALARS), tuple(SCALARS):
        for target in b"root", 7:
            assert dialect.encode_plain_call(5, target, "echo", args) == dialect.encode(
                MethodCall(5, target, "echo", args, {})
            )
    for value in SCALARS:
        assert dialect.encode_plain_answer(5, value) == dialect.encode(Answer(5, value))
    for value in OTHERS:
        assert dialect.encode_plain_call(5, 7, "echo", (value,)) is None
        assert dialect.encode_plain_answer(5, value) is None


@pytest.mark.parametrize("kind", sorted(BASIC_TYPES))
def test_where_some_kind_of_plain_value_may_not_cross_nothing_takes_the_short_way(kind: str) -> None:
    dialect = spoken(policy=Policy(types=BASIC_TYPES - {kind}))
    for value in 5, "x", None:
        assert dialect.encode_plain_call(5, 7, "echo", (value,)) is None
        assert dialect.encode_plain_answer(5, value) is None
