"""The short way for most calls and answers: numbers and texts as jelly, and back, one after the other.

What it writes and reads is what `jelly` and `unjelly` write and read. It knows no object that can be shared, and hands
back to them whatever is not as plain as that.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

__all__ = ["read_plain", "write_plain"]

_AS_THEY_ARE = frozenset({int, float, bytes})
"""What banana carries by itself."""


def write_plain(values: Iterable[Any]) -> list[Any] | None:
    """What stands for each of `values`; None where one of them is no number, text or bytes."""
    expressions: list[Any] = []
    for value in values:
        cls = type(value)
        if cls is str:
            try:
                expressions.append([b"unicode", value.encode()])
            except UnicodeEncodeError:
                return None
        elif cls in _AS_THEY_ARE:
            expressions.append(value)
        elif value is None:
            expressions.append([b"None"])
        else:
            return None
    return expressions


def read_plain(expressions: list[Any], start: int) -> list[Any] | None:
    """What each of `expressions` from `start` on stands for; None where one is no number, text or bytes."""
    values: list[Any] = []
    for expression in expressions[start:] if start else expressions:
        if type(expression) is not list:
            values.append(expression)
        elif len(expression) == 2 and expression[0] == b"unicode" and type(expression[1]) is bytes:
            try:
                values.append(str(expression[1], "utf-8"))
            except UnicodeDecodeError:
                return None
        elif len(expression) == 1 and expression[0] == b"None":
            values.append(None)
        else:
            return None
    return values
