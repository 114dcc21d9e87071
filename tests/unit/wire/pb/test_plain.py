from __future__ import annotations

import math
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from pellucid.errors import InsecureJelly, LimitExceeded, RemoteProtocolError
from tests.dialects import each_dialect, over
from tests.pair import Jelly, Pair

pytestmark = [each_dialect, over("pb")]

FORMS: list[tuple[Any, Any]] = [
    (7, 7),
    (-(2**447), -(2**447)),
    (1.5, 1.5),
    (b"list", b"list"),
    (None, [b"None"]),
    (True, [b"boolean", b"true"]),
    (False, [b"boolean", b"false"]),
    ("naïve", [b"unicode", b"na\xc3\xafve"]),
    (Decimal("-1.50"), [b"decimal", -150, -2]),
    (Decimal("12E+5"), [b"decimal", 12, 5]),
    (datetime(2024, 2, 29, 23, 59, 58, 999999), [b"datetime", b"2024 2 29 23 59 58 999999"]),
    (date(1999, 12, 31), [b"date", b"1999 12 31"]),
    (time(1, 2, 3, 4), [b"time", b"1 2 3 4"]),
    (timedelta(-1, 2, 3), [b"timedelta", b"-1 2 3"]),
]


@pytest.mark.parametrize(("value", "form"), FORMS, ids=lambda side: repr(side)[:40])
def test_each_kind_has_the_form_that_twisted_gives_it(value: Any, form: Any) -> None:
    jelly = Jelly()
    written, back = jelly.write(value), jelly.read(form)
    assert (written, type(written)) == (form, type(form))
    assert (back, type(back)) == (value, type(value))


def test_the_sign_of_a_decimal_zero_is_lost_and_its_places_are_not() -> None:
    jelly = Jelly()
    assert str(jelly.read(jelly.write(Decimal("-0.00")))) == "0.00"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (Decimal("NaN"), "the Decimal NaN has no form in PB"),
        (Decimal("-Infinity"), "has no form in PB"),
        (datetime(2024, 1, 1, tzinfo=timezone.utc), "a datetime with a time zone has no form in PB; send it in UTC"),  # noqa: UP017
        (time(1, tzinfo=timezone.utc), "a time with a time zone"),  # noqa: UP017
        ("lone \udc80", "a str with lone surrogates has no UTF-8 form"),
        (bytearray(b"x"), "builtins.bytearray objects may not cross"),
        (memoryview(b"x"), "builtins.memoryview objects may not cross"),
        (1j, "builtins.complex objects may not cross"),
        (type("Text", (str,), {})("x"), "Text objects may not cross"),
        (type("Number", (int,), {})(1), "Number objects may not cross"),
        (len, "builtins.builtin_function_or_method objects may not cross"),
    ],
    ids=lambda side: repr(side)[:40],
)
def test_what_has_no_form_is_refused_at_the_sender_with_the_way_out(value: object, words: str) -> None:
    pair = Pair()
    with pytest.raises(InsecureJelly, match=words) as caught:
        pair.call(pair.root, "echo", ["first", {"key": value}])
    assert caught.value.path == "[0][1]['key']"
    assert pair.to_server.said() == []


@pytest.mark.parametrize("digits", [136, 4_301])
def test_a_decimal_with_more_digits_than_an_int_may_have_fails_its_call(digits: int) -> None:
    pair = Pair()
    with pytest.raises((LimitExceeded, InsecureJelly)):
        pair.call(pair.root, "echo", Decimal("1" * digits))
    assert pair.call(pair.root, "echo", Decimal("1" * 134)) == Decimal("1" * 134)


MALFORMED: list[list[Any]] = [
    [],
    [5],
    [1.5],
    [[b"list"]],
    [b"boolean"],
    [b"boolean", b"maybe"],
    [b"boolean", 1],
    [b"unicode"],
    [b"unicode", b"\xff"],
    [b"unicode", 5],
    [b"unicode", [b"unicode", b"x"]],
    [b"unicode", 1.5],
    [b"decimal"],
    [b"decimal", 1],
    [b"decimal", b"1", 2],
    [b"decimal", 1, 1.5],
    [b"decimal", 1, 2**447],
    [b"decimal", 1, -(2**62)],
    [b"datetime", b""],
    [b"datetime", b"2024 13 1 0 0 0 0"],
    [b"datetime", b"2024 1 1 0 0 0"],
    [b"datetime", b"x 1 1 0 0 0 0"],
    [b"date", b"0 1 1"],
    [b"date", b"1" * 5_000 + b" 1 1"],
    [b"date", 5],
    [b"time", b"24 0 0 0"],
    [b"time", b"\xff 0 0 0"],
    [b"timedelta", b"9999999999 0 0"],
    [b"timedelta", [b"list"]],
]


@pytest.mark.parametrize("expression", MALFORMED, ids=lambda expression: repr(expression)[:40])
def test_j16_malformed_values_are_protocol_errors_with_words(expression: list[Any]) -> None:
    with pytest.raises(RemoteProtocolError, match=r"\w+ \w+"):
        Jelly().read(expression)


def test_j16_what_follows_the_operands_is_ignored() -> None:
    assert Jelly().read([b"unicode", b"x", 5, [b"nonsense"]]) == "x"
    assert Jelly().read([b"None", 5]) is None


def test_a_decimal_of_any_exponent_costs_nothing_to_read() -> None:
    assert Jelly().read([b"decimal", 1, 10**17]).adjusted() == 10**17
    assert math.isfinite(Jelly().read([b"decimal", 1, -(10**17)]))
