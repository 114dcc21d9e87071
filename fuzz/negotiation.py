"""Of any first bytes either side makes the same choice, or the same error, however they are cut, and loses no byte.

It holds no more than `Limits.negotiation_bytes` of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from fuzz.mutate import NONE, Mutate, with_flags
from fuzz.seeds import pb_streams
from pellucid.errors import NoCommonDialect, RemoteProtocolError
from pellucid.limits import Limits
from pellucid.wire.negotiation import Negotiation

__all__ = ["check", "mutate", "seeds"]

_NAMES = ["pellucid", "pb", "none"]
_LIMITS = Limits(negotiation_bytes=200)


def check(data: bytes) -> None:
    """Try one input."""
    flags, stream = data[0] if data else 0, data[1:]
    listens, step = bool(flags & 1), 1 + (flags >> 1)
    whole = _choose([stream], listens)
    pieces = _choose([stream[at : at + step] for at in range(0, len(stream), step)], listens)
    assert pieces == whole


def _choose(pieces: list[bytes], listens: bool) -> tuple[str, bytes, bytes] | str | None:
    negotiation = Negotiation(_NAMES, _LIMITS, listens=listens)
    for place, piece in enumerate(pieces):
        negotiation.receive_data(piece)
        try:
            chosen = negotiation.choose()
        except (NoCommonDialect, RemoteProtocolError) as error:
            assert len(str(error)) < 300
            return type(error).__name__
        if chosen is not None:
            return *chosen, negotiation.take_rest() + b"".join(pieces[place + 1 :])
    return None


def mutate(data: bytes, most: int, rng: Random, by_bytes: Mutate) -> bytes:
    """Another input."""
    return with_flags(data, most, rng, by_bytes, NONE)


def seeds() -> Iterator[bytes]:
    """What a corpus begins with."""
    yield b"\1\x08\x82pellucid\0\0\0\4\x93\0\1\x90"
    yield b"\0\3\x80\x08\x82pellucid\2\x82pb\4\x82none\0\0\0\4\x93\0\1\x90"
    for _, stream in list(pb_streams("C"))[:2]:
        yield b"\1" + stream[:40]
    for _, stream in list(pb_streams("S"))[:2]:
        yield b"\0" + stream[:40]
