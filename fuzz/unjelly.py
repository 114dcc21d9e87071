"""Of any jelly there come values or an error that is documented; each receipt in it is held, or is given back.

A value can be told of, and written again or refused, whatever it refers to. The first byte says by which limits.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from random import Random
from typing import Any

from fuzz.mutate import PB, Mutate, with_flags
from fuzz.seeds import pb_streams
from fuzz.things import DOCUMENTED, LIMITS, REGISTRY
from pellucid.core.broker import Broker
from pellucid.errors import LimitBroken
from pellucid.wire.messages import Answer
from tests.interop.peers.samples import describe
from tests.pair import Settings, Stranger, write

__all__ = ["check", "mutate", "seeds"]

_LOOSE, _TIGHT = Settings(registry=REGISTRY), Settings(registry=REGISTRY, limits=LIMITS)


def check(data: bytes) -> None:
    """Try one input."""
    expressions, _ = PB.parse(data[1:])
    stranger = Stranger(settings=_TIGHT if data and data[0] & 1 else _LOOSE)
    broker, desk = stranger.side.broker, stranger.side.published
    for number, expression in enumerate(expressions):
        if not isinstance(expression, list):
            continue
        arguments = [b"tuple", *expression[1:]] if number & 1 else [b"tuple", expression]
        stranger.send(_call(number, arguments))
        if stranger.side.is_closed:
            assert isinstance(stranger.side.ended_by, LimitBroken)
            return
    while desk.kept:  # type: ignore[attr-defined]
        _look_at(broker, desk.kept.pop())  # type: ignore[attr-defined]
    heard = stranger.hear()
    for message in heard:
        if message[0] == b"error":
            (_, _, (_, (_, *pairs))) = message
            failure = {key[1]: value for key, value in pairs}
            assert failure[b"type"] in _NAMES, failure
    if not stranger.side.is_empty():
        gc.collect()
        stranger.hear()
    assert len(broker.books.imports) == 0


def _look_at(broker: Broker, value: Any) -> None:
    try:
        describe(value)
    except RecursionError:
        pass
    try:
        broker.send(Answer(1, value))
    except DOCUMENTED:
        pass


_NAMES = {
    b"twisted.spread.jelly.InsecureJelly",
    b"twisted.spread.pb.Error",
    b"pellucid.errors.RemoteProtocolError",
    b"pellucid.errors.LimitExceeded",
    b"pellucid.errors.TooManyReferences",
}


def _call(number: int, arguments: Any) -> bytes:
    return write([b"message", number, b"root", b"keep", 1, arguments, [b"dictionary"]], "pb")


def mutate(data: bytes, most: int, rng: Random, by_bytes: Mutate) -> bytes:
    """Another input."""
    return with_flags(data, most, rng, by_bytes, PB)


def seeds() -> Iterator[bytes]:
    """What a corpus begins with: the values of all calls and answers."""
    for dialect, stream in pb_streams():
        if dialect == "pb":
            messages, _ = PB.parse(stream)
            values = [message[-2 if message[0] == b"message" else -1] for message in messages if type(message) is list]
            yield b"\0" + PB.write([value for value in values if type(value) is list])
