"""How much memory a hostile peer can make a connection hold: ``python -m tests.system.appetite`` measures each case.

It prints the peaks as JSON, in bytes, by the names of the cases. Each case pours something into a server's connection,
for as long as it lives, and is let off with what `bound` says, which comes from the limits alone.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pellucid as pb
from pellucid.asyncio.connection import Settings
from pellucid.wire.dialects import dialects_named
from pellucid.wire.native.codes import Kind, Leaf, Mark
from pellucid.wire.native.frames import CHUNK, LAST_CHUNK, frame, header
from tests.pair import Extension, write
from tests.unit.asyncio.door import encoded
from tests.unit.asyncio.pipe import Pipe

__all__ = ["CASES", "LIMITS", "Case", "main"]

KIB, MIB = 1024, 1024 * 1024

LIMITS = pb.Limits(
    inline_bytes=256 * KIB,
    message_bytes=256 * KIB,
    buffer_bytes=1 * MIB,
    elements=50_000,
    expanded_elements=50_000,
    references_exported=2_000,
    references_imported=2_000,
    kept_answers=500,
    kept_bytes=1 * MIB,
    running_calls=4,
    running_bytes=1 * MIB,
    waiting_calls=500,
    waiting_bytes=1 * MIB,
    queued_bytes=256 * KIB,
)

PER_BYTE = 100
"""Bytes in memory for which one on the wire can stand, at worst: an array of four bytes that stands for a set."""

PER_KEPT = 7
"""Bytes in memory for which one can stand, at worst, of those that limits count of what is kept."""

PER_ELEMENT = 400
"""Bytes in memory for which one element of PB's can stand, at worst: a set of none."""

PER_THING = 2_000
"""Bytes that a reference, a call or an answer costs to hold, beside its own."""

SPARE = 256 * KIB
"""What a connection and the measurement itself cost."""


class Cup(pb.RemoteCopy):
    """A copy."""


class Pond(pb.RemoteCache):
    """A copy that its owner may change."""


REGISTRY = pb.Registry()
REGISTRY.register(Cup, "cup")
REGISTRY.register(Pond, "pond")


class Desk(pb.Root):
    def __init__(self) -> None:
        self.kept: list[Any] = []

    def remote_echo(self, *args: Any) -> Any:
        return args[0]

    def remote_drop(self, *args: Any) -> None:
        """Nothing is kept."""

    def remote_keep(self, *args: Any) -> None:
        self.kept += args

    def remote_fresh(self) -> Any:
        return pb.Referenceable()

    async def remote_never(self, *args: Any) -> None:
        await asyncio.get_running_loop().create_future()


@dataclass
class Case:
    """What a peer sends, again and again, and how much it may cost."""

    send: Callable[[], Iterator[bytes]]
    bound: int
    dialect: str = "pellucid"
    reads: bool = True
    """Whether the peer reads what it is told."""


ONE_MESSAGE = PER_BYTE * LIMITS.inline_bytes + SPARE
ONE_OF_PB = PER_ELEMENT * LIMITS.elements + 4 * LIMITS.message_bytes + SPARE
IN_THE_WAY_OUT = 16 * LIMITS.queued_bytes + SPARE  # up to twice that many, and seven bytes cost fifty to hold


def _filled(body: bytes, name: str = "drop", marks: str = "list") -> Iterator[bytes]:
    """A call with a list of as many of `body` as there is room for."""
    count = (LIMITS.inline_bytes - 60) // len(body)
    start = write([Kind.CALL, 1, "root", name], "pellucid")[4:]
    whole = bytes([0x95]) + start[1:] + b"\x91\xdd" + count.to_bytes(4, "big") + body * count
    yield frame(whole)


def one(body: bytes) -> Callable[[], Iterator[bytes]]:
    return lambda: _filled(body)


def packed(form: Any) -> bytes:
    return write(form, "pellucid")[4:]


def jelly(form: Any) -> Callable[[], Iterator[bytes]]:
    """A call of PB's with as many of `form` as may be."""

    def send() -> Iterator[bytes]:
        size = len(write(form, "pb"))
        count = min((LIMITS.message_bytes - 100) // size, LIMITS.elements // (2 + len(form)))
        yield write([b"message", 1, b"root", b"drop", 1, [b"tuple", [b"list", *[form] * count]], [b"dictionary"]], "pb")

    return send


def again(*messages: Any, times: int = 3_000, dialect: str = "pellucid") -> Callable[[], Iterator[bytes]]:
    """These messages many times, a hundred in one piece."""

    def send() -> Iterator[bytes]:
        piece = b"".join(write(message, dialect) for message in messages) * 100
        for _ in range(times // 100):
            yield piece

    return send


def numbered(
    make: Callable[[int], Any], times: int = 3_000, dialect: str = "pellucid"
) -> Callable[[], Iterator[bytes]]:
    """A message for each number."""

    def send() -> Iterator[bytes]:
        for start in range(1, times, 50):
            yield b"".join(write(make(number), dialect) for number in range(start, start + 50))

    return send


def call(number: int, name: str, *args: Any) -> list[Any]:
    return [Kind.CALL, number, "root", name, [*args]]


def promise(number: int) -> Extension:
    return Extension(Leaf.PROMISE, number.to_bytes(4, "big"))


def remote(number: int) -> Extension:
    return Extension(Leaf.REMOTE, number.to_bytes(4, "big"))


def _behind(name: str, *args: Any) -> Callable[[], Iterator[bytes]]:
    """Calls that wait: all places where calls run are taken by such that never end."""

    def send() -> Iterator[bytes]:
        for number in range(LIMITS.running_calls):
            yield write(call(1_000_000 + number, "never"), "pellucid")
        yield from numbered(lambda number: call(number, name, *args), 2_000)()

    return send


def _with_a_result() -> Iterator[bytes]:
    yield write(call(1_000_000, "echo", [{}] * 20_000), "pellucid")
    yield write(call(1_000_001, "never"), "pellucid")
    yield from numbered(lambda number: call(number, "drop", promise(1_000_000), promise(1_000_001)), 1_000)()


def _named_often() -> Iterator[bytes]:
    yield write(call(1_000_000, "echo", [{}] * 20_000), "pellucid")
    yield write(call(1_000_001, "drop", *[promise(1_000_000)] * 30_000), "pellucid")


def _texts_met_again() -> Iterator[bytes]:
    text = [Extension(Mark.SHARED, b"\1"), "x" * 150 * KIB]
    for number, times in enumerate((30, 10_000), 1):
        yield write(call(number, "echo", [text, *[Extension(Leaf.AGAIN, b"\1")] * times]), "pellucid")


def _texts_of_pb_met_again() -> Iterator[bytes]:
    text = [b"reference", 1, [b"unicode", b"x" * 150 * KIB]]
    for number, times in enumerate((30, 10_000), 1):
        values = [b"list", text, *[[b"dereference", 1]] * times]
        yield write([b"message", number, b"root", b"echo", 1, [b"tuple", values], [b"dictionary"]], "pb")


CASES: dict[str, Case] = {
    "empty dictionaries": Case(one(b"\x80"), ONE_MESSAGE),
    "empty lists": Case(one(b"\x90"), ONE_MESSAGE),
    "short texts": Case(one(b"\xa2ab"), ONE_MESSAGE),
    "floats": Case(one(b"\xca\0\0\0\1"), ONE_MESSAGE),
    "decimals": Case(one(packed(Extension(Leaf.DECIMAL, b"1"))), ONE_MESSAGE),
    "unknown extensions": Case(one(packed(Extension(99, b""))), ONE_MESSAGE),
    "marks": Case(one(packed(Extension(Mark.SET, b""))), ONE_MESSAGE),
    "sets": Case(one(packed([Extension(Mark.SET, b"")])), ONE_MESSAGE),
    "maps": Case(one(packed([Extension(Mark.MAP, b"")])), ONE_MESSAGE),
    "copies": Case(one(packed([Extension(Mark.COPY, b""), "cup", None])), ONE_MESSAGE),
    "failures": Case(one(packed([Extension(Mark.FAILURE, b"")])), ONE_MESSAGE),
    "shared lists": Case(one(packed([Extension(Mark.SHARED, b"\1"), []])), ONE_MESSAGE),
    "texts that are met again": Case(_texts_met_again, ONE_MESSAGE),
    "texts of PB's that are met again": Case(_texts_of_pb_met_again, ONE_OF_PB, "pb"),
    "promises inside a value": Case(one(packed(promise(1))), ONE_MESSAGE),
    "a result that one call names often": Case(_named_often, ONE_MESSAGE),
    "a result that many calls wait with": Case(
        _with_a_result, PER_KEPT * (LIMITS.waiting_bytes + LIMITS.kept_bytes) + SPARE
    ),
    "lists of PB's": Case(jelly([]), ONE_OF_PB, "pb"),
    "sets of PB's": Case(jelly([b"set"]), ONE_OF_PB, "pb"),
    "dictionaries of PB's": Case(jelly([b"dictionary"]), ONE_OF_PB, "pb"),
    "copies of PB's": Case(jelly([b"cup", []]), ONE_OF_PB, "pb"),
    "failures of PB's": Case(jelly([b"twisted.spread.pb.CopyableFailure", [b"dictionary"]]), ONE_OF_PB, "pb"),
    "a long string of PB's that never comes": Case(
        lambda: iter([b"\x07\x80\x1a\x87\x01\x81\0\0\x08\x82", *[b"x"] * 1_000]), SPARE, "pb"
    ),
    "a buffer that is announced and never comes": Case(
        lambda: iter([header(LIMITS.buffer_bytes, LAST_CHUNK), *[b"x"] * 1_000]), SPARE
    ),
    "buffers of one byte": Case(
        lambda: iter([(header(1, LAST_CHUNK) + b"x") * 100] * 100), 3 * LIMITS.buffer_bytes + SPARE
    ),
    "chunks of one byte": Case(lambda: iter([(header(1, CHUNK) + b"x") * 100] * 100), 2 * LIMITS.buffer_bytes + SPARE),
    "a message that is dripped": Case(
        lambda: iter([header(LIMITS.inline_bytes), *[b"\x90"] * 5_000]), 2 * LIMITS.inline_bytes + SPARE
    ),
    "answers that are kept": Case(
        numbered(lambda number: call(number, "echo", [{}] * 500), 1_500), PER_KEPT * LIMITS.kept_bytes + SPARE
    ),
    "small answers that are kept": Case(
        numbered(lambda number: call(number, "echo", 1)), PER_THING * LIMITS.kept_answers + IN_THE_WAY_OUT
    ),
    "long names": Case(
        numbered(lambda number: call(number, "x" * 20_000), 1_500), PER_THING * LIMITS.kept_answers + ONE_MESSAGE // 4
    ),
    "calls that wait for their turn": Case(
        _behind("drop", [{}] * 400), PER_KEPT * LIMITS.waiting_bytes + PER_THING * LIMITS.waiting_calls + IN_THE_WAY_OUT
    ),
    "small calls that wait for their turn": Case(_behind("drop"), PER_THING * LIMITS.waiting_calls + IN_THE_WAY_OUT),
    "calls that wait for a promise": Case(
        _behind("drop", promise(1_000_000), [{}] * 400),
        PER_KEPT * LIMITS.waiting_bytes + PER_THING * LIMITS.waiting_calls + IN_THE_WAY_OUT,
    ),
    "calls under way": Case(
        numbered(lambda number: call(number, "never", [{}] * 250_000), 10),
        PER_KEPT * (LIMITS.running_bytes + LIMITS.waiting_bytes) + 2 * ONE_MESSAGE + IN_THE_WAY_OUT,
    ),
    "calls of PB's under way": Case(
        numbered(
            lambda number: [
                b"message",
                number,
                b"root",
                b"never",
                1,
                [b"tuple", [b"list", *[[]] * 45_000]],
                [b"dictionary"],
            ],
            40,
            dialect="pb",
        ),
        PER_KEPT * (LIMITS.running_bytes + LIMITS.waiting_bytes) + 2 * ONE_MESSAGE + IN_THE_WAY_OUT,
        "pb",
    ),
    "batches that never end": Case(
        numbered(lambda number: [Kind.BATCH, number, [["root", "never", []]] * 400], 200),
        PER_THING * (LIMITS.waiting_calls + 2 * 400) + PER_KEPT * LIMITS.waiting_bytes + IN_THE_WAY_OUT,
    ),
    "references sent": Case(
        numbered(lambda number: call(number, "keep", remote(number)), 5_000),
        PER_THING * (LIMITS.references_imported + LIMITS.kept_answers) + IN_THE_WAY_OUT,
    ),
    "references asked for": Case(
        numbered(lambda number: call(number, "fresh"), 5_000),
        PER_THING * (LIMITS.references_exported + LIMITS.kept_answers) + IN_THE_WAY_OUT,
    ),
    "caches": Case(
        numbered(
            lambda number: call(
                number, "keep", [Extension(Mark.CACHE, number.to_bytes(4, "big")), "pond", {"level": number}]
            ),
            5_000,
        ),
        PER_THING * (LIMITS.references_imported + LIMITS.kept_answers) + IN_THE_WAY_OUT,
    ),
    "cancels of calls that never were": Case(numbered(lambda number: [Kind.CANCEL, number]), SPARE),
    "answers seen that never were": Case(again([Kind.SEEN, [*range(100)]]), SPARE),
    "pings": Case(again([Kind.PING, 1], times=80_000), IN_THE_WAY_OUT, reads=False),
    "messages that nobody understands": Case(again([99]), IN_THE_WAY_OUT, reads=False),
    "empty batches": Case(numbered(lambda number: [Kind.BATCH, number, []], 50_000), IN_THE_WAY_OUT, reads=False),
    "answers that nobody reads": Case(
        numbered(lambda number: call(number, "echo", "x" * 2_000)),
        IN_THE_WAY_OUT + LIMITS.kept_bytes + 2 * LIMITS.waiting_bytes + PER_THING * LIMITS.waiting_calls,
        reads=False,
    ),
    "refusals that nobody reads": Case(
        numbered(lambda number: call(number, "none"), 20_000),
        IN_THE_WAY_OUT + PER_THING * (LIMITS.kept_answers + LIMITS.waiting_calls),
        reads=False,
    ),
    "answers of PB's that nobody reads": Case(
        numbered(
            lambda number: [b"message", number, b"root", b"echo", 1, [b"tuple", b"x" * 2_000], [b"dictionary"]],
            dialect="pb",
        ),
        IN_THE_WAY_OUT + 2 * LIMITS.waiting_bytes + PER_THING * LIMITS.waiting_calls,
        "pb",
        reads=False,
    ),
}


async def peak_of(case: Case) -> int:
    """The most bytes that the connection held, beside what was there before."""
    settings = Settings(dialects=dialects_named([case.dialect]), registry=REGISTRY, limits=LIMITS)
    desk = Desk()
    connection = pb.Connection(settings, listens=True, root_for=lambda _: desk)
    pipe = Pipe(connection)
    connection.connection_made(pipe)
    hello = [Kind.HELLO, 1, []] if case.dialect == "pellucid" else [b"version", 6]
    pipe.send(encoded(case.dialect.encode()) + write(hello, case.dialect))
    pipe.read()
    gc.collect()
    sent = case.send()
    held = most = 0
    for data in sent:
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        pipe.send(data)
        for _ in range(3):
            await asyncio.sleep(0)
            if case.reads:
                pipe.read()
        after, peak = tracemalloc.get_traced_memory()
        most = max(most, held + peak - before)  # what the case itself makes, it makes outside of this
        held += after - before
        del data
        if connection.is_closed:
            break
    pipe.end()
    await connection.wait_closed()
    return most


def main() -> None:
    """Measure each case."""
    logging.disable()
    tracemalloc.start()
    sys.stdout.write(json.dumps({name: asyncio.run(peak_of(case)) for name, case in CASES.items()}))


if __name__ == "__main__":
    main()
