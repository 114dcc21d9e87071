"""Whatever a server sends a client, in any dialect, ends each of the client's calls, in a result or a known error.

What else must hold is in poured.py. The first byte says in which dialect, how the others are cut, and whether the
server reads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from random import Random
from typing import Any

import pellucid as pb
from fuzz.mutate import NATIVE, NONE, PB, Language, Mutate, with_flags
from fuzz.poured import STEPS, Poured, attempt
from fuzz.seeds import native_messages, native_streams, pb_streams
from fuzz.things import LIMITS, REGISTRY, Desk, is_documented
from pellucid.asyncio.connection import Settings
from tests.pair import write
from tests.unit.asyncio.door import encoded

__all__ = ["check", "mutate", "seeds"]

_SETTINGS = Settings(registry=REGISTRY, limits=LIMITS)

_BEFORE: tuple[tuple[bytes, Language], ...] = (
    (b"", NONE),
    (encoded([b"pb"]) + write([b"version", 6], "pb"), PB),
    (encoded([b"none"]) + write([b"version", 6], "none"), NONE),
    (encoded([b"pellucid"]) + write([0, 1, []], "pellucid"), NATIVE),
)
"""What the server has said before, and how it goes on."""


def check(data: bytes) -> None:
    """Try one input."""
    flags, stream = data[0] if data else 0, data[1:]
    before, _ = _BEFORE[flags & 3]

    async def scenario() -> None:
        poured = Poured(_SETTINGS, reads=not flags >> 4 & 1)
        await poured.pour(before, len(before) or 1)
        root, desk = poured.connection.root, Desk()
        first = root.call("echo", desk)
        calls: list[Any] = [first, root.call("keep", desk.score), root.call("take", first), first.call("echo", 5)]
        calls.append(pb.gather(*(root.prepare("echo", number) for number in range(4)), return_exceptions=True))
        calls.append(poured.connection.login(pb.credentials.Password("alice", "secret"), desk))
        outcomes = asyncio.gather(*calls, return_exceptions=True)
        await asyncio.sleep(0)
        await poured.pour(stream, STEPS[flags >> 2 & 3])
        del first, calls
        await poured.end()
        for outcome in await outcomes:
            assert not isinstance(outcome, BaseException) or is_documented(outcome), outcome

    attempt(scenario)


def mutate(data: bytes, most: int, rng: Random, by_bytes: Mutate) -> bytes:
    """Another input."""
    return with_flags(data, most, rng, by_bytes, _BEFORE[data[0] & 3 if data else 0][1])


def seeds() -> Iterator[bytes]:
    """What a corpus begins with: what servers say, from where it goes on."""
    for dialect, stream in pb_streams("S"):
        yield b"\0" + stream
        if dialect == "pb":
            yield b"\1" + PB.write(PB.parse(stream)[0][2:])
        else:
            yield b"\2" + NONE.write(NONE.parse(stream)[0][2:])
    for stream in (*native_messages(), *native_streams()):
        yield b"\3" + stream
