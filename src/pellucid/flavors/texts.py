"""Values as errors tell of them: a peer may have sent anything, and as much of it as it liked."""

from __future__ import annotations

from collections import deque
from collections.abc import Sized

__all__ = ["kind_of", "value_text"]

_BITS = 64
_CHARACTERS = 50
_SIZED = (list, tuple, dict, set, frozenset, bytearray, memoryview, deque)
"""What tells its length; other classes may run anything for that, and raise it."""


def value_text(value: object) -> str:
    """`value` as an error shows it: never much of it, and never the digits of a long int, which take their time."""
    if value is None or isinstance(value, bool | float):
        return repr(value)
    if isinstance(value, int):
        bits = value.bit_length()
        return str(value) if bits <= _BITS else f"an int of {bits} bits"
    if isinstance(value, str | bytes):
        return repr(value) if len(value) <= _CHARACTERS else f"{value[:_CHARACTERS]!r}... of length {len(value)}"
    if type(value) in _SIZED and isinstance(value, Sized):
        return f"a {kind_of(value)} of length {len(value)}"
    return kind_of(value)


def kind_of(value: object) -> str:
    """The type of `value` as an error names it."""
    return "None" if value is None else type(value).__qualname__[:100]
