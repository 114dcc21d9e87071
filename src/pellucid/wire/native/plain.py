"""Plain values that msgpack has no form for, as extension types, and back: each is written and read side by side.

Reading never trusts a body: whatever the peer put there, the outcome is the value or `RemoteProtocolError`.
"""

from __future__ import annotations

import datetime
import decimal
import struct
import uuid
import zoneinfo
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from ormsgpack import Ext

from pellucid.errors import InsecureJelly, RemoteProtocolError
from pellucid.wire.native.codes import Leaf

__all__ = ["READERS", "WRITERS", "write_int"]

_FOLDED = "[_fold=1]"
"""What follows a time without a zone that is the second of two: RFC 9557 keeps such tags for private use."""

_LONGEST = 200
"""Characters in a date or time, its zone included."""

_DECIMAL_DIGITS = 10_000
"""Characters in a Decimal: to compare or hash one costs more than its length."""

_TIMEDELTA = struct.Struct(">iii")


def write_int(number: int) -> bytes:
    """`number` in two's complement, big-endian, as short as it can be."""
    return number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True)


def _write_int(value: int) -> Ext:
    return Ext(Leaf.INT, write_int(value))


def _read_int(body: bytes) -> int:
    return int.from_bytes(body, "big", signed=True)


def _write_decimal(value: decimal.Decimal) -> Ext:
    text = str(value)
    if len(text) > _DECIMAL_DIGITS:
        raise InsecureJelly(f"a Decimal of {len(text)} characters is too long: {_DECIMAL_DIGITS} may cross")
    return Ext(Leaf.DECIMAL, text.encode())


def _read_decimal(body: bytes) -> decimal.Decimal:
    if len(body) > _DECIMAL_DIGITS:
        raise RemoteProtocolError("a Decimal is too long")
    return decimal.Decimal(body.decode("ascii"))


def _write_datetime(value: datetime.datetime) -> Ext:
    return Ext(Leaf.DATETIME, (value.isoformat() + _zone(value)).encode())


def _read_datetime(body: bytes) -> datetime.datetime:
    text, name = _split(body)
    value = datetime.datetime.fromisoformat(text)
    if name is None:
        return value
    if name == _FOLDED:
        return value.replace(fold=1)
    offset = value.utcoffset()
    there = value.replace(tzinfo=_zone_named(name))
    if there.utcoffset() != offset:
        there = there.replace(fold=1)  # of two equal times on the clock, the offset tells which
        if there.utcoffset() != offset:
            raise RemoteProtocolError(f"the time zone {name} does not have the offset of the datetime")
    return there


def _write_date(value: datetime.date) -> Ext:
    return Ext(Leaf.DATE, value.isoformat().encode())


def _read_date(body: bytes) -> datetime.date:
    return datetime.date.fromisoformat(_split(body)[0])


def _write_time(value: datetime.time) -> Ext:
    return Ext(Leaf.TIME, (value.isoformat() + _zone(value)).encode())


def _read_time(body: bytes) -> datetime.time:
    text, name = _split(body)
    value = datetime.time.fromisoformat(text)
    if name is None:
        return value
    return value.replace(fold=1) if name == _FOLDED else value.replace(tzinfo=_zone_named(name))


def _zone(value: datetime.datetime | datetime.time) -> str:
    """The name of the zone of `value`, in brackets as in RFC 9557; its offset alone needs none."""
    zone = value.tzinfo
    if isinstance(zone, zoneinfo.ZoneInfo) and zone.key:  # one made from a file has none
        return f"[{zone.key}]"
    if zone is not None and type(zone) is not datetime.timezone:
        raise InsecureJelly(
            f"a {type(value).__name__} with a {type(zone).__name__} may not cross: use a zoneinfo.ZoneInfo with a name"
        )
    return _FOLDED if value.fold else ""


def _split(body: bytes) -> tuple[str, str | None]:
    """The time, and what follows in brackets."""
    if len(body) > _LONGEST:
        raise RemoteProtocolError("a date or time is too long")
    text, bracket, rest = body.decode("ascii").partition("[")
    if not bracket:
        return text, None
    return text, _FOLDED if bracket + rest == _FOLDED else rest.removesuffix("]")


@lru_cache(maxsize=1)
def _zone_names() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def _zone_named(name: str) -> zoneinfo.ZoneInfo:
    # Looked up in the list of those there are: what a peer names is never opened as a file.
    if name not in _zone_names():
        raise RemoteProtocolError(f"there is no time zone {name[:100]!r} here")
    return zoneinfo.ZoneInfo(name)


def _write_timedelta(value: datetime.timedelta) -> Ext:
    return Ext(Leaf.TIMEDELTA, _TIMEDELTA.pack(value.days, value.seconds, value.microseconds))


def _read_timedelta(body: bytes) -> datetime.timedelta:
    if len(body) != _TIMEDELTA.size:
        raise RemoteProtocolError("a timedelta is three numbers of four bytes")
    days, seconds, microseconds = _TIMEDELTA.unpack(body)
    return datetime.timedelta(days, seconds, microseconds)


def _write_uuid(value: uuid.UUID) -> Ext:
    return Ext(Leaf.UUID, value.bytes)


def _read_uuid(body: bytes) -> uuid.UUID:
    return uuid.UUID(bytes=body)


WRITERS: dict[type, tuple[str, Callable[[Any], Ext]]] = {
    int: ("", _write_int),
    decimal.Decimal: ("decimal", _write_decimal),
    datetime.datetime: ("datetime", _write_datetime),
    datetime.date: ("date", _write_date),
    datetime.time: ("time", _write_time),
    datetime.timedelta: ("timedelta", _write_timedelta),
    uuid.UUID: ("uuid", _write_uuid),
}
"""By type: what `Policy.types` calls it (nothing where it may always cross), and what writes it.

An int comes here only where it is longer than 64 bits.
"""

READERS: dict[int, tuple[str, Callable[[bytes], Any]]] = {
    Leaf.INT: ("", _read_int),
    Leaf.DECIMAL: ("decimal", _read_decimal),
    Leaf.DATETIME: ("datetime", _read_datetime),
    Leaf.DATE: ("date", _read_date),
    Leaf.TIME: ("time", _read_time),
    Leaf.TIMEDELTA: ("timedelta", _read_timedelta),
    Leaf.UUID: ("uuid", _read_uuid),
}
"""By extension type: what `Policy.types` calls it, and what reads it. They may raise ValueError and its like."""
