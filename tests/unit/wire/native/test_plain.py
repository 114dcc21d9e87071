from __future__ import annotations

import math
import struct
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from io import BytesIO
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from pellucid.errors import InsecureJelly, RemoteProtocolError
from pellucid.wire.native.codes import Leaf
from pellucid.wire.native.plain import READERS, WRITERS, write_int
from tests.pair import Extension
from tests.unit.wire.native.speech import Speech

BERLIN = ZoneInfo("Europe/Berlin")

FORMS: list[tuple[Any, int, bytes]] = [
    (2**64, Leaf.INT, b"\1" + bytes(8)),
    (-(2**63) - 1, Leaf.INT, b"\xff\x7f" + b"\xff" * 7),
    (Decimal("-1.50"), Leaf.DECIMAL, b"-1.50"),
    (Decimal("12E+5"), Leaf.DECIMAL, b"1.2E+6"),
    (Decimal("-0.00"), Leaf.DECIMAL, b"-0.00"),
    (Decimal("-Infinity"), Leaf.DECIMAL, b"-Infinity"),
    (datetime(2024, 2, 29, 23, 59, 58, 999999), Leaf.DATETIME, b"2024-02-29T23:59:58.999999"),
    (datetime(1, 1, 1), Leaf.DATETIME, b"0001-01-01T00:00:00"),
    (datetime(2024, 1, 1, tzinfo=timezone.utc), Leaf.DATETIME, b"2024-01-01T00:00:00+00:00"),  # noqa: UP017
    (datetime(2024, 1, 1, tzinfo=timezone(-timedelta(hours=3.5))), Leaf.DATETIME, b"2024-01-01T00:00:00-03:30"),
    (datetime(2024, 1, 1, tzinfo=timezone(timedelta(seconds=7))), Leaf.DATETIME, b"2024-01-01T00:00:00+00:00:07"),
    (datetime(2024, 7, 1, 12, tzinfo=BERLIN), Leaf.DATETIME, b"2024-07-01T12:00:00+02:00[Europe/Berlin]"),
    (date(1999, 12, 31), Leaf.DATE, b"1999-12-31"),
    (time(1, 2, 3, 4), Leaf.TIME, b"01:02:03.000004"),
    (time(1, tzinfo=BERLIN), Leaf.TIME, b"01:00:00[Europe/Berlin]"),
    (time(1, tzinfo=timezone.utc), Leaf.TIME, b"01:00:00+00:00"),  # noqa: UP017
    (timedelta(-1, 2, 3), Leaf.TIMEDELTA, b"\xff\xff\xff\xff\0\0\0\2\0\0\0\3"),
    (timedelta.max, Leaf.TIMEDELTA, b"\x3b\x9a\xc9\xff\0\1\x51\x7f\0\x0f\x42\x3f"),
    (UUID(int=5), Leaf.UUID, bytes(15) + b"\5"),
]


@pytest.mark.parametrize(("value", "code", "body"), FORMS, ids=lambda side: repr(side)[:40])
def test_each_kind_has_this_form_and_is_read_back(value: Any, code: int, body: bytes) -> None:
    speech = Speech()
    assert speech.write(value) == Extension(code, body)
    back = speech.read(Extension(code, body))
    assert (back, type(back), repr(back)) == (value, type(value), repr(value))


def test_every_kind_that_is_written_is_read() -> None:
    assert sorted(kind for kind, _ in WRITERS.values()) == sorted(kind for kind, _ in READERS.values())


@pytest.mark.parametrize("text", ["NaN", "-NaN", "sNaN", "NaN123"])
def test_a_decimal_that_is_no_number_arrives_as_it_is(text: str) -> None:
    assert str(Speech().across(Decimal(text))) == text


@pytest.mark.parametrize(
    ("number", "size"), [(0, 1), (127, 1), (128, 2), (-128, 2), (-129, 2), (2**4000, 501), (-(2**4000), 501)]
)
def test_an_int_is_in_twos_complement(number: int, size: int) -> None:
    body = write_int(number)
    assert len(body) == size
    assert int.from_bytes(body, "big", signed=True) == number


def test_an_int_of_any_size_crosses() -> None:
    for number in 2**64, -(2**63) - 1, 3**100_000, -(3**100_000):
        assert Speech().across([number]) == [number]


def test_an_int_may_come_in_any_form_that_stands_for_it() -> None:
    assert Speech().read(Extension(Leaf.INT, b"")) == 0
    assert Speech().read(Extension(Leaf.INT, bytes(100) + b"\5")) == 5


def test_of_two_equal_times_on_the_clock_the_one_meant_arrives() -> None:
    speech = Speech()
    for fold, offset in (0, 2), (1, 1):
        there = speech.across(datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN, fold=fold))
        assert (there.fold, there.utcoffset(), there.tzinfo) == (fold, timedelta(hours=offset), BERLIN)
        naive = speech.across(datetime(2024, 10, 27, 2, 30, fold=fold))
        assert (naive.fold, naive.tzinfo) == (fold, None)
        fixed = speech.across(datetime(2024, 10, 27, 2, 30, fold=fold, tzinfo=timezone.utc))  # noqa: UP017
        assert (fixed.fold, fixed.utcoffset()) == (fold, timedelta(0))
        assert speech.across(time(2, 30, fold=fold)).fold == fold
    # There is no such time on the clock at all, and yet it means one or the other.
    for fold in 0, 1:
        skipped = datetime(2024, 3, 31, 2, 30, tzinfo=BERLIN, fold=fold)
        assert speech.across(skipped).utcoffset() == skipped.utcoffset()


class OfItsOwn(tzinfo):
    def utcoffset(self, _: datetime | None) -> timedelta:
        return timedelta(hours=1)

    def dst(self, _: datetime | None) -> None: ...

    def tzname(self, _: datetime | None) -> str:
        return "its own"


NAMELESS = BytesIO(b"TZif" + bytes(16) + struct.pack(">6i", 0, 0, 0, 0, 1, 4) + struct.pack(">iBB", 0, 0, 0) + b"UTC\0")
"""A file that says what the zone UTC is."""


@pytest.mark.parametrize("zone", [OfItsOwn(), ZoneInfo.from_file(NAMELESS)], ids=lambda zone: type(zone).__name__)
@pytest.mark.parametrize(
    "around",
    [lambda zone: datetime(2024, 1, 1, tzinfo=zone), lambda zone: time(1, tzinfo=zone)],
    ids=["datetime", "time"],
)
def test_a_zone_without_a_name_is_refused_at_the_sender_with_the_way_out(zone: tzinfo, around: Any) -> None:
    with pytest.raises(InsecureJelly, match=r"may not cross: use a zoneinfo.ZoneInfo with a name"):
        Speech().write([around(zone)])


def test_a_decimal_may_have_as_many_digits_as_take_no_time_to_compare() -> None:
    speech = Speech()
    assert speech.across(Decimal("1" * 10_000)) == Decimal("1" * 10_000)
    with pytest.raises(InsecureJelly, match="a Decimal of 10001 characters is too long: 10000 may cross"):
        speech.write(Decimal("1" * 10_001))
    with pytest.raises(RemoteProtocolError, match="a Decimal is too long"):
        speech.read(Extension(Leaf.DECIMAL, b"1" * 10_001))


MALFORMED: list[tuple[int, bytes]] = [
    (Leaf.DECIMAL, b""),
    (Leaf.DECIMAL, b"one"),
    (Leaf.DECIMAL, b"\xff"),
    (Leaf.DECIMAL, "١".encode()),
    (Leaf.DATETIME, b""),
    (Leaf.DATETIME, b"2024-13-01T00:00:00"),
    (Leaf.DATETIME, b"2024-01-01T00:00:00\xff"),
    (Leaf.DATETIME, b"2024-01-01T00:00:00" + b"0" * 200),
    (Leaf.DATETIME, b"2024-07-01T12:00:00+02:00[Mars/Olympus]"),
    (Leaf.DATETIME, b"2024-07-01T12:00:00+02:00[../../etc/passwd]"),
    (Leaf.DATETIME, b"2024-07-01T12:00:00+02:00[]"),
    (Leaf.DATETIME, b"2024-07-01T12:00:00+03:00[Europe/Berlin]"),
    (Leaf.DATETIME, b"2024-07-01T12:00:00[Europe/Berlin]"),
    (Leaf.DATE, b"0000-01-01"),
    (Leaf.DATE, b"2024-01-01T00:00:00"),
    (Leaf.TIME, b"25:00"),
    (Leaf.TIME, b"01:00:00[nowhere]"),
    (Leaf.TIMEDELTA, b""),
    (Leaf.TIMEDELTA, bytes(11)),
    (Leaf.TIMEDELTA, bytes(13)),
    (Leaf.TIMEDELTA, b"\x7f" + b"\xff" * 11),
    (Leaf.UUID, b""),
    (Leaf.UUID, bytes(15)),
]


@pytest.mark.parametrize(("code", "body"), MALFORMED, ids=lambda side: repr(side)[:50])
def test_a_body_that_makes_no_sense_is_a_protocol_error_with_words(code: int, body: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match=r"\w+ \w+ \w+"):
        Speech().read([Extension(code, body)])


def test_what_is_more_than_the_codec_gives_a_form_is_one_all_the_same() -> None:
    values: list[Any] = [-0.0, math.inf, -(2**63), 2**64 - 1, True, False, None, "", b"", [], {}, "\0", "naïve ☃"]
    there = Speech().across(values)
    assert [(value, type(value), repr(value)) for value in there] == [(each, type(each), repr(each)) for each in values]
    assert math.isnan(Speech().across(math.nan))
