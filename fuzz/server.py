"""Whatever a client sends a server, in any dialect, before and after it has logged in, harms nobody but itself.

What must hold is in poured.py. No method runs that the server does not offer. The first byte says how far the client
is when the others come, how these are cut, and whether it reads what it is told.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pellucid as pb
from fuzz.mutate import NATIVE, NONE, PB, Language, Mutate, with_flags
from fuzz.poured import STEPS, Poured, attempt
from fuzz.seeds import native_messages, native_streams, pb_streams
from fuzz.things import LIMITS, REGISTRY, Desk, Room
from pellucid.asyncio.connection import Settings
from pellucid.asyncio.server import _root_for
from tests.pair import write
from tests.unit.asyncio.door import encoded

__all__ = ["check", "mutate", "seeds"]

_SETTINGS = Settings(registry=REGISTRY, limits=LIMITS)
_HELLO = write([0, 1, []], "pellucid")
_VERSION = write([b"version", 6], "pb")
_ANONYMOUSLY = [b"message", 1, b"root", b"loginAnonymous", 1, [b"tuple", [b"None"]], [b"dictionary"]]

_BEFORE: tuple[tuple[bytes, Language, bool], ...] = (
    (b"", NONE, False),
    (encoded(b"pb") + _VERSION, PB, False),
    (encoded(b"none") + write([b"version", 6], "none"), NONE, False),
    (encoded(b"pellucid") + _HELLO, NATIVE, False),
    (encoded(b"pb") + _VERSION, PB, True),
    (encoded(b"pellucid") + _HELLO, NATIVE, True),
    (encoded(b"pellucid") + _HELLO + write([1, 1, "root", "loginAnonymous", [None]], "pellucid"), NATIVE, True),
    (encoded(b"pb") + _VERSION + write(_ANONYMOUSLY, "pb"), PB, True),
)
"""What the client has said before, how it goes on, and whether it has to log in."""

_PORTAL = pb.Portal(Room(), [pb.InMemoryPasswords({"alice": "secret"}), pb.AllowAnonymous()])
_GUARDED, _OPEN = _root_for(_PORTAL), _root_for(lambda _: Desk())


def check(data: bytes) -> None:
    """Try one input."""
    flags, stream = data[0] if data else 0, data[1:]
    before, _, logs_in = _BEFORE[flags & 7]

    async def scenario() -> None:
        poured = Poured(_SETTINGS, root=_GUARDED if logs_in else _OPEN, reads=not flags >> 5 & 1)
        await poured.pour(before, len(before) or 1)
        await poured.pour(stream, STEPS[flags >> 3 & 3])
        await poured.end()

    attempt(scenario)


def mutate(data: bytes, most: int, rng: Random, by_bytes: Mutate) -> bytes:
    """Another input."""
    return with_flags(data, most, rng, by_bytes, _BEFORE[data[0] & 7 if data else 0][1])


def seeds() -> Iterator[bytes]:
    """What a corpus begins with: what clients say, from where it goes on."""
    for dialect, stream in pb_streams("C"):
        yield b"\0" + stream
        messages, _ = PB.parse(stream) if dialect == "pb" else NONE.parse(stream)
        if dialect == "pb":
            for mode in b"\1", b"\4", b"\7":
                yield mode + PB.write(messages[2:])
        else:
            yield b"\2" + NONE.write(messages[2:])
    for stream in (*native_messages(), *native_streams()):
        for mode in b"\3", b"\5", b"\6":
            yield mode + stream
    yield b"\0" + encoded(b"pellucid") + _HELLO
