"""S-expressions of PB's inside native messages: of objects that write themselves so, and of an application's commands.

They are what banana would carry: bytes, ints, floats, and lists of those.
"""

from __future__ import annotations

from typing import Any

from ormsgpack import packb

from pellucid.errors import LimitExceeded
from pellucid.wire.native.plain import WRITERS

__all__ = ["flaw_of", "pack_expression", "plain_expression"]

_LEAVES = frozenset({bytes, int, float, bool})


def flaw_of(expression: Any, nesting: int) -> str | None:
    """What is wrong with `expression`; None where it is an s-expression.

    Raises:
        LimitExceeded: it is nested more than `nesting` levels deep.
    """
    waiting = [iter((expression,))]
    while waiting:
        for part in waiting[-1]:
            cls = type(part)
            if cls is list or cls is tuple:
                if len(waiting) > nesting:
                    raise LimitExceeded("nesting", nesting)
                waiting.append(iter(part))
                break
            if cls not in _LEAVES:
                return f"holds a {cls.__name__}"
        else:
            waiting.pop()
    return None


def plain_expression(value: Any) -> Any:
    """What the codec writes for what it can't write itself of an s-expression. Raises TypeError where there is none."""
    if type(value) is tuple:
        return list(value)
    if type(value) is int:
        return WRITERS[int][1](value)
    raise TypeError


def pack_expression(start: list[Any], expression: Any, options: int) -> bytes:
    """A message of `start` and of an expression without flaws."""
    return packb([*start, expression], plain_expression, options)
