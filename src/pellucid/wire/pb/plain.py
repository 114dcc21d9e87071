"""Plain values as jelly, and back: each kind is written and read side by side.

The forms are those of twisted.spread.jelly (26.10), watched on the wire. Reading never trusts an operand: whatever the
peer put in its place, the outcome is the value or `RemoteProtocolError`.
"""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Callable
from typing import Any, TypeVar

from pellucid.errors import InsecureJelly, RemoteProtocolError
from pellucid.wire.messages import NUMBER_BITS

__all__ = ["READERS", "WRITERS", "id_operand", "operand", "string_operand", "tag_of"]

T = TypeVar("T")


# Operands: what follows the tag.


def tag_of(expression: list[Any]) -> bytes:
    """What kind of expression it is. Raises RemoteProtocolError where it does not say."""
    tag = expression[0] if expression else None
    if type(tag) is not bytes:
        raise RemoteProtocolError("a list does not start with a tag")
    return tag


def operand(expression: list[Any], index: int) -> Any:
    """The operand at `index`, counted from 1. Raises RemoteProtocolError where there is none."""
    if index >= len(expression):
        raise RemoteProtocolError(f"{_shown(expression)} lacks an operand")
    return expression[index]


def string_operand(expression: list[Any]) -> bytes:
    """The first operand, a string. Raises RemoteProtocolError where it is none."""
    string = operand(expression, 1)
    if type(string) is not bytes:
        raise RemoteProtocolError(f"the operand of {_shown(expression)} is no string")
    return string


def id_operand(expression: list[Any]) -> int:
    """The first operand, the number of something exported. Raises RemoteProtocolError where it is none."""
    number = operand(expression, 1)
    if type(number) is not int or number.bit_length() > NUMBER_BITS:
        raise RemoteProtocolError(f"the operand of {_shown(expression)} is no id")
    return number


def _shown(expression: list[Any]) -> str:
    return tag_of(expression)[:50].decode(errors="backslashreplace")


# Kinds.


def _write_as_it_is(_: object, value: T) -> T:
    """Bytes, int and float are what banana carries."""
    return value


def _write_none(_: object, value: None) -> list[Any]:
    return [b"None"]


def _read_none(_: object, expression: list[Any]) -> None:
    return None


def _write_boolean(_: object, value: bool) -> list[Any]:
    return [b"boolean", b"true" if value else b"false"]


def _read_boolean(_: object, expression: list[Any]) -> bool:
    text = string_operand(expression)
    if text not in (b"true", b"false"):
        raise RemoteProtocolError("a boolean is neither true nor false")
    return text == b"true"


def _write_str(_: object, value: str) -> list[Any]:
    try:
        return [b"unicode", value.encode()]
    except UnicodeEncodeError:
        raise InsecureJelly("a str with lone surrogates has no UTF-8 form; send its bytes instead") from None


def _read_str(_: object, expression: list[Any]) -> str:
    try:
        return str(expression[1], "utf-8")
    except (IndexError, TypeError, UnicodeDecodeError):
        raise RemoteProtocolError("a unicode string has no operand that is UTF-8") from None


def _write_decimal(_: object, value: decimal.Decimal) -> list[Any]:
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        raise InsecureJelly(f"the Decimal {value} has no form in PB; send it as a float or a str")
    try:
        number = int("".join(map(str, digits)))
    except ValueError:  # Python converts no more than 4,300 digits, and banana carries 135
        raise InsecureJelly(f"a Decimal of {len(digits)} digits is too long for PB") from None
    return [b"decimal", -number if sign else number, exponent]


def _read_decimal(_: object, expression: list[Any]) -> decimal.Decimal:
    number, exponent = operand(expression, 1), operand(expression, 2)
    if type(number) is not int or type(exponent) is not int:
        raise RemoteProtocolError("a decimal is not two ints")
    try:
        # From its parts: 10 ** exponent would cost what the peer likes.
        digits = tuple(map(int, str(abs(number))))
        return decimal.Decimal((int(number < 0), digits, exponent))
    except (ValueError, ArithmeticError):
        raise RemoteProtocolError("a decimal is out of range") from None


def _write_datetime(_: object, value: datetime.datetime) -> list[Any]:
    _refuse_zone(value)
    date = f"{value.year} {value.month} {value.day}"
    return [b"datetime", f"{date} {value.hour} {value.minute} {value.second} {value.microsecond}".encode()]


def _read_datetime(_: object, expression: list[Any]) -> datetime.datetime:
    return _from_numbers(datetime.datetime, expression, 7)


def _write_date(_: object, value: datetime.date) -> list[Any]:
    return [b"date", f"{value.year} {value.month} {value.day}".encode()]


def _read_date(_: object, expression: list[Any]) -> datetime.date:
    return _from_numbers(datetime.date, expression, 3)


def _write_time(_: object, value: datetime.time) -> list[Any]:
    _refuse_zone(value)
    return [b"time", f"{value.hour} {value.minute} {value.second} {value.microsecond}".encode()]


def _read_time(_: object, expression: list[Any]) -> datetime.time:
    return _from_numbers(datetime.time, expression, 4)


def _write_timedelta(_: object, value: datetime.timedelta) -> list[Any]:
    return [b"timedelta", f"{value.days} {value.seconds} {value.microseconds}".encode()]


def _read_timedelta(_: object, expression: list[Any]) -> datetime.timedelta:
    return _from_numbers(datetime.timedelta, expression, 3)


def _refuse_zone(value: datetime.datetime | datetime.time) -> None:
    if value.tzinfo is not None:
        raise InsecureJelly(
            f"a {type(value).__name__} with a time zone has no form in PB; send it in UTC without one, or as a str"
        )


def _from_numbers(make: Callable[..., T], expression: list[Any], count: int) -> T:
    words = string_operand(expression).split()
    # A long run of digits would be slow to convert: no field has more than ten.
    if len(words) != count or any(len(word) > 10 for word in words):
        raise RemoteProtocolError(f"a {_shown(expression)} does not have its {count} numbers")
    try:
        return make(*[int(word) for word in words])
    except (ValueError, OverflowError):
        raise RemoteProtocolError(f"a {_shown(expression)} is out of range") from None


WRITERS: dict[type, tuple[str, Callable[[object, Any], Any]]] = {
    bytes: ("", _write_as_it_is),
    int: ("", _write_as_it_is),
    float: ("", _write_as_it_is),
    type(None): ("None", _write_none),
    bool: ("boolean", _write_boolean),
    str: ("str", _write_str),
    decimal.Decimal: ("decimal", _write_decimal),
    datetime.datetime: ("datetime", _write_datetime),
    datetime.date: ("date", _write_date),
    datetime.time: ("time", _write_time),
    datetime.timedelta: ("timedelta", _write_timedelta),
}
"""By type: what `Policy.types` calls it (nothing where it may always cross), and what writes it."""

READERS: dict[bytes, tuple[str, Callable[[object, list[Any]], Any]]] = {
    b"None": ("None", _read_none),
    b"boolean": ("boolean", _read_boolean),
    b"unicode": ("str", _read_str),
    b"decimal": ("decimal", _read_decimal),
    b"datetime": ("datetime", _read_datetime),
    b"date": ("date", _read_date),
    b"time": ("time", _read_time),
    b"timedelta": ("timedelta", _read_timedelta),
}
"""By tag: what `Policy.types` calls it, and what reads it."""
