"""What stock Twisted makes of bytes of PB is what is made of them here, or it is refused for a documented reason.

See tests/interop/oracle.py, which has the reasons. The first byte says in which dialect.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from random import Random

from fuzz.mutate import NONE, PB, Mutate, with_flags
from fuzz.seeds import pb_streams
from tests.interop.oracle import Codec, compare

__all__ = ["check", "mutate", "seeds"]


@cache
def _codec() -> Codec:
    return Codec()  # it ends when its input does, with this process


def check(data: bytes) -> None:
    """Try one input."""
    dialect = "none" if data and data[0] & 1 else "pb"
    (theirs,) = _codec().look_at(dialect, [data[1:]])
    assert not (wrong := compare(dialect, data[1:], theirs)), wrong


def mutate(data: bytes, most: int, rng: Random, by_bytes: Mutate) -> bytes:
    """Another input."""
    return with_flags(data, most, rng, by_bytes, NONE if data and data[0] & 1 else PB)


def seeds() -> Iterator[bytes]:
    """What a corpus begins with: the values of all calls and answers, each by itself."""
    for dialect, stream in pb_streams():
        language = PB if dialect == "pb" else NONE
        for message in language.parse(stream)[0]:
            if type(message) is list and message[0] in (b"message", b"answer", b"error"):
                value = message[-2 if message[0] == b"message" else -1]
                yield (b"\0" if dialect == "pb" else b"\1") + language.write([value])
