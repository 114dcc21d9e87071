"""Arguments as they are typed, and results as JSON."""

from __future__ import annotations

import dataclasses
import json
import sys
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.cli.showing import show_value
from pellucid.cli.texts import printable
from pellucid.cli.values import parse_arguments, to_json


class Colour(Enum):
    RED = 1


@dataclasses.dataclass
class Point:
    x: int
    y: Any = None


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text().filter(lambda key: not key.startswith("$")), inner),
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("42", 42),
        ("-1.5e3", -1500.0),
        ("'42'", "42"),
        ("b'\\x00'", b"\0"),
        ("{1: (2, None)}", {1: (2, None)}),
        ("{1, 2}", {1, 2}),
        ("true", True),
        ('{"a": [null, false]}', {"a": [None, False]}),
        ("hello", "hello"),
        ("two words", "two words"),
        ("a-b=c", "a-b=c"),
        ("...", "..."),
        ("NaN", "NaN"),
        ("0777", "0777"),
        ("-", "-"),
        ("", ""),
        ("'\\d'", "\\d"),
        ('"\\ud83d\\ude00"', "\N{GRINNING FACE}"),
        ("os.system('true')", "os.system('true')"),
    ],
)
def test_an_argument_is_json_else_a_literal_else_text(text: str, value: object) -> None:
    ((parsed,), kwargs) = parse_arguments([text])
    assert (parsed, type(parsed), kwargs) == (value, type(value), {})


def test_names_are_what_python_takes_for_names() -> None:
    assert parse_arguments(["grün=1", "x=y=z"]) == ([], {"grün": 1, "x": "y=z"})


@pytest.mark.parametrize("texts", [["--no"], ["-x"], ["a=1", "a=1"], ["a=1", "2"], ["@/nowhere/at/all"]])
def test_what_stands_for_nothing_is_refused(texts: list[str]) -> None:
    with pytest.raises(click.UsageError):
        parse_arguments(texts)


@pytest.mark.parametrize("begins", ["@", "b@"])
def test_a_file_that_is_not_there_is_named_as_it_was_written(begins: str) -> None:
    with pytest.raises(click.UsageError, match=f"^{begins}/nowhere: .* begins with {begins} is written in quotes"):
        parse_arguments([f"{begins}/nowhere"])


@given(st.text())
def test_any_text_can_be_written_in_quotes(text: str) -> None:
    assert parse_arguments([repr(text)]) == ([text], {})


@given(PLAIN)
def test_plain_json_can_be_written_as_such(value: Any) -> None:
    text = json.dumps(value)
    assert parse_arguments([f"x={text}"]) == ([], {"x": value})


@given(PLAIN)
def test_what_json_has_is_left_as_it_is(value: Any) -> None:
    assert to_json(value) == value


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (float("-inf"), {"$float": "-inf"}),
        (b"\xff", {"$bytes": "/w=="}),
        (bytearray(b"a"), {"$bytes": "YQ=="}),
        ((1, (2,)), {"$tuple": [1, {"$tuple": [2]}]}),
        ({2, 1}, {"$set": [1, 2]}),
        (frozenset({"a"}), {"$frozenset": ["a"]}),
        ({1: {"$a": None}}, {"$dict": [[1, {"$dict": [["$a", None]]}]]}),
        (datetime(2026, 1, 2, 3, tzinfo=UTC), {"$datetime": "2026-01-02T03:00:00+00:00"}),
        (date(2026, 1, 2), {"$date": "2026-01-02"}),
        (time(3, 4), {"$time": "03:04:00"}),
        (timedelta(minutes=1), {"$timedelta": 60.0}),
        (Decimal("1.50"), {"$decimal": "1.50"}),
        (UUID(int=1), {"$uuid": "00000000-0000-0000-0000-000000000001"}),
        (Colour.RED, {"$enum": "Colour", "name": "RED"}),
        (Point(1, b""), {"$object": "Point", "fields": {"x": 1, "y": {"$bytes": ""}}}),
        (ValueError("no"), {"$exception": "ValueError", "text": "no"}),
        (object(), {"$object": "object", "fields": {}}),
    ],
    ids=str,
)
def test_what_json_lacks_has_one_key_that_says_what_it_is(value: object, told: object) -> None:
    assert to_json(value) == told
    assert json.loads(json.dumps(told)) == told


def test_what_is_part_of_itself_is_told_by_how_far_out_it_begins() -> None:
    ring: list[Any] = [1]
    ring.append(ring)
    point = Point(1)
    point.y = {"here": [point, ()]}
    assert to_json(ring) == [1, {"$within": 1}]
    assert to_json((ring, ring)) == {"$tuple": [[1, {"$within": 1}]] * 2}
    assert to_json(point)["fields"]["y"] == {"here": [{"$within": 3}, {"$tuple": []}]}


def test_an_int_with_more_digits_than_python_writes_is_told_in_hexadecimal() -> None:
    most = 10 ** sys.get_int_max_str_digits()
    assert to_json([most - 1, most, -most]) == [most - 1, {"$int": hex(most)}, {"$int": hex(-most)}]
    assert to_json({most}) == {"$set": [{"$int": hex(most)}]}


@given(st.text())
def test_what_is_printed_does_nothing_to_a_terminal(text: str) -> None:
    shown = printable(text)
    assert all(each.isprintable() or each in "\n\t" for each in shown)
    assert shown == text or not all(each.isprintable() or each in "\n\t" for each in text)


def test_what_an_object_writes_of_itself_does_nothing_to_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    class Odd:
        def __repr__(self) -> str:
            return "\x1b[31m[bold]:smile:"

    show_value([Odd()], as_json=False)
    assert capsys.readouterr().out == "[\\x1b[31m[bold]:smile:]\n"
