"""Of any bytes the banana decoder makes the same expressions, or the same protocol error, however they are cut.

What it makes can be encoded, and is then decoded to itself. The first byte says in which dialect and by which limits.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from fuzz.mutate import NONE, PB, Mutate, with_flags
from fuzz.seeds import pb_streams
from pellucid.errors import LimitExceeded
from pellucid.limits import Limits
from pellucid.wire.pb.banana import encode
from tests.property.test_banana import DIALECTS, cut, decode, told

__all__ = ["check", "mutate", "seeds"]

_LIMITS = (
    Limits(),
    Limits(string_bytes=10, list_elements=5, prefix_digits=3, nesting=3, elements=12, message_bytes=60),
)


def check(data: bytes) -> None:
    """Try one input."""
    flags, stream = data[0] if data else 0, data[1:]
    dialect = "none" if flags & 1 else "pb"
    limits = _LIMITS[flags >> 1 & 1]
    received, error = decode([stream], limits, dialect)
    once = told((received, error))
    assert told(decode(cut(stream, range(0, len(stream), 1 + (flags >> 2))), limits, dialect)) == once
    try:
        written = [encode(value, limits, DIALECTS[dialect][1]) for value in received]
    except LimitExceeded as over:
        assert over.limit == "message_bytes"  # of a message that came in fewer bytes than it is written in
        return
    assert told(decode(written, limits, dialect)) == told((received, None))


def mutate(data: bytes, most: int, rng: Random, by_bytes: Mutate) -> bytes:
    """Another input."""
    return with_flags(data, most, rng, by_bytes, NONE if data and data[0] & 1 else PB)


def seeds() -> Iterator[bytes]:
    """What a corpus begins with."""
    for dialect, stream in pb_streams():
        yield (b"\1" if dialect == "none" else b"\0") + stream
