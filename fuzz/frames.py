"""Of any bytes the deframer makes the same bodies and buffers, or the same protocol error, however they are cut.

What it holds of what is not complete stays within the limits.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from fuzz.mutate import NATIVE, Mutate, with_flags
from fuzz.seeds import native_messages, native_streams
from pellucid.errors import RemoteProtocolError
from pellucid.limits import Limits
from pellucid.wire.native.frames import HEADER, Deframer

__all__ = ["check", "mutate", "seeds"]

_LIMITS = Limits(inline_bytes=200, buffer_bytes=1_000)


def check(data: bytes) -> None:
    """Try one input."""
    step, stream = 1 + (data[0] if data else 0), data[1:]
    assert _told([stream[at : at + step] for at in range(0, len(stream), step)]) == _told([stream])


def _told(pieces: list[bytes]) -> list[object]:
    deframer = Deframer(_LIMITS)
    told: list[object] = []
    for piece in pieces:
        deframer.receive_data(piece)
        try:
            while deframer.bodies or not deframer.is_drained:
                if deframer.bodies:
                    told.append((deframer.bodies.pop(), ()))
                    continue
                body = deframer.next_body()
                if body is None:
                    break
                told.append((body, tuple(deframer.buffers)))
                deframer.buffers = ()
        except RemoteProtocolError as error:
            return [*told, repr(error)]
        held = [*(deframer._finished or ()), *(deframer._pieces or ())]
        assert sum(map(len, held)) <= _LIMITS.buffer_bytes
        assert 64 * len(held) <= _LIMITS.buffer_bytes + 64
        assert len(deframer._data) - deframer._at <= HEADER + _LIMITS.inline_bytes
    return told


def mutate(data: bytes, most: int, rng: Random, by_bytes: Mutate) -> bytes:
    """Another input."""
    return with_flags(data, most, rng, by_bytes, NATIVE)


def seeds() -> Iterator[bytes]:
    """What a corpus begins with."""
    for stream in (*native_messages(), *native_streams()):
        yield b"\2" + stream
