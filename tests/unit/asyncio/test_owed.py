"""Receipts that can't be given back, since the peer does not read."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable
from typing import Any

import pytest

import pellucid as pb
from pellucid.wire.native.codes import Kind, Leaf
from tests.pair import Extension, write
from tests.unit.asyncio.door import on_each_loop
from tests.unit.asyncio.pipe import Pipe, piped
from tests.unit.asyncio.raw import call_of

MOST = 10


class Taking(pb.Root):
    """Forgets what it is given."""

    def remote_take(self, *values: Any) -> None: ...


def deaf() -> tuple[pb.Connection, Pipe]:
    """A connection whose peer has been sent something that it does not read."""
    connection, pipe = piped(Taking(), limits=pb.Limits(references_imported=MOST))
    pipe.say(call_of(1, "take"))
    assert pipe.held
    return connection, pipe


def numbered(leaf: Leaf, number: int) -> Extension:
    return Extension(leaf, bytes([number]))


# All that brings something with it, is taken, and is not answered.
MESSAGES: dict[str, Callable[[Leaf, int], list[Any]]] = {
    "a pong": lambda leaf, number: [Kind.PONG.value, 1, numbered(leaf, number)],
    "a call": lambda leaf, number: call_of(number, "take", numbered(leaf, number), kind=Kind.SEND),
    "a refused call": lambda leaf, number: call_of(number, "nothing", [numbered(leaf, number)], kind=Kind.SEND),
    "a seen mark": lambda leaf, number: [Kind.SEEN.value, [], numbered(leaf, number)],
}


@pytest.mark.parametrize("leaf", [Leaf.REMOTE, Leaf.CACHED], ids=["references", "caches"])
@pytest.mark.parametrize("kind", MESSAGES)
@on_each_loop
async def test_a_peer_that_does_not_read_can_not_have_receipts_without_end_kept_for_it(
    kind: str, leaf: Leaf, caplog: pytest.LogCaptureFixture
) -> None:
    connection, pipe = deaf()
    for number in range(1, MOST + 1):
        pipe.say(MESSAGES[kind](leaf, number), MESSAGES[kind](leaf, number))
        gc.collect()
    assert not connection.is_closed
    with caplog.at_level(logging.WARNING, "pellucid"):
        pipe.say(MESSAGES[kind](leaf, MOST + 1))
        connection.outbox.flush()
    assert connection.is_closed
    assert "references_imported=10" in caplog.text
    await connection.wait_closed()


def pb_call(name: bytes, *args: Any, wants_answer: int = 0) -> bytes:
    return write([b"message", 1, b"root", name, wants_answer, [b"tuple", *args], [b"dictionary"]], "pb")


@pytest.mark.parametrize("tag", [b"remote", b"cached"])
@on_each_loop
async def test_where_each_receipt_takes_a_message_those_of_one_object_are_bounded_too(
    tag: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    connection, pipe = piped(Taking(), dialect="pb", limits=pb.Limits(references_imported=MOST))
    pipe.send(pb_call(b"take", wants_answer=1))
    assert pipe.held
    pipe.send(pb_call(b"nothing", *[[tag, 5]] * MOST))
    assert not connection.is_closed
    with caplog.at_level(logging.WARNING, "pellucid"):
        pipe.send(pb_call(b"nothing", [tag, 5]))
        connection.outbox.flush()
    assert connection.is_closed
    assert "references_imported=10" in caplog.text
    await connection.wait_closed()


@on_each_loop
async def test_receipts_for_a_peer_that_reads_late_are_given_back_together() -> None:
    connection, pipe = deaf()
    for number in range(1, MOST + 1):
        pipe.say([Kind.PONG.value, 1, *[numbered(Leaf.REMOTE, number)] * 3])
        pipe.say([Kind.PONG.value, 1, *[numbered(Leaf.REMOTE, number)] * 4])
    (released,) = [message[1] for message in pipe.messages() if message[0] == Kind.RELEASE]
    assert released == [part for number in range(1, MOST + 1) for part in (number, 7)]
    pipe.end()
    await connection.wait_closed()
