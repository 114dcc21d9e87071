"""`Limits.queued_bytes` to the byte, through a transport whose peer reads exactly what a test says."""

from __future__ import annotations

import asyncio
import logging

import pytest

import pellucid as pb
from pellucid.asyncio.connection import Settings
from pellucid.errors import Overloaded, PBConnectionLost
from tests.dialects import each_dialect, over
from tests.unit.asyncio.door import Gate, call_message, encoded, on_each_loop, outcome, turns

pytestmark = each_dialect

QUEUED = 10_000
LIMITS = pb.Limits(queued_bytes=QUEUED, waiting_calls=1)


class Pipe(asyncio.Transport):
    """Holds what is written until it is read; tells its protocol of it by asyncio's rules."""

    def __init__(self, connection: pb.Connection) -> None:
        super().__init__()
        self.held = bytearray()
        self.aborted = False
        self._connection = connection
        self._high = 0
        self._paused = False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        assert high is not None
        self._high = high

    def get_write_buffer_size(self) -> int:
        return len(self.held)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.held += data
        if len(self.held) > self._high and not self._paused:
            self._paused = True
            self._connection.pause_writing()

    def read_all(self) -> bytes:
        """The peer reads."""
        data = bytes(self.held)
        self.held.clear()
        if self._paused:
            self._paused = False
            self._connection.resume_writing()
            self._connection.outbox.go_on()  # at once, so that no test needs another turn for it
        return data

    def abort(self) -> None:
        self.aborted = True


def piped(root: pb.Root) -> tuple[pb.Connection, Pipe]:
    """A connection whose peer has agreed on a dialect and reads nothing more."""
    connection = pb.Connection(Settings(limits=LIMITS), listens=True, root_for=lambda _: root)
    pipe = Pipe(connection)
    connection.connection_made(pipe)
    connection.data_received(encoded(b"none") + encoded([b"version", 6]))
    while pipe.read_all():
        pass
    return connection, pipe


def waiting_at(connection: pb.Connection, pipe: Pipe) -> int:
    """How many bytes wait for the peer to read."""
    return len(pipe.held) + connection.broker.queued_bytes


def queue(connection: pb.Connection, size: int) -> pb.Call:
    """Make a one-way call that takes `size` bytes on the wire."""
    around = len(encoded(call_message(1, b"take", bytes(1000), wants_answer=0))) - 1000
    return connection.root.call_with(one_way=True).call("take", bytes(size - around))


@over("none")
@pytest.mark.parametrize(("waiting", "has_room"), [(QUEUED, True), (QUEUED + 1, False)], ids=["at", "past"])
@on_each_loop
async def test_a_one_way_call_waits_for_room_where_more_waits_than_the_limit_says(waiting: int, has_room: bool) -> None:
    connection, pipe = piped(pb.Root())
    queue(connection, waiting)
    await turns()
    assert waiting_at(connection, pipe) == waiting
    call = queue(connection, 500)
    assert call.done is has_room
    await turns()
    pipe.read_all()
    assert call.done
    connection.abort("for the test", level=logging.DEBUG)


@over("none")
@on_each_loop
async def test_a_one_way_call_that_waits_for_room_in_vain_says_whether_it_was_handed_over() -> None:
    connection, _ = piped(pb.Root())
    calls = [queue(connection, QUEUED + 1), queue(connection, 500)]  # the transport has enough with the first
    assert not any(call.done for call in calls)
    connection.abort("for the test", level=logging.DEBUG)
    errors = [await outcome(call) for call in calls]
    assert [(type(error), error.sent) for error in errors] == [(PBConnectionLost, True), (PBConnectionLost, False)]


@over("none")
@pytest.mark.parametrize(("waiting", "overloaded"), [(2 * QUEUED, False), (2 * QUEUED + 1, True)], ids=["at", "past"])
@pytest.mark.parametrize("one_way", [False, True], ids=["ordinary", "one-way"])
@on_each_loop
async def test_a_call_raises_overloaded_where_more_waits_than_twice_the_limit(
    waiting: int, overloaded: bool, one_way: bool
) -> None:
    connection, pipe = piped(pb.Root())
    queue(connection, QUEUED + 1)
    await turns()
    queue(connection, waiting - QUEUED - 1)  # in this turn of the loop the transport has not been given it
    target = connection.root.call_with(one_way=one_way)
    if overloaded:
        with pytest.raises(Overloaded) as caught:
            target.call("echo")
        assert (caught.value.limit, caught.value.value, caught.value.asked) == ("queued_bytes", QUEUED, waiting)
    else:
        target.call("echo").cancel()
    await turns()
    assert (waiting_at(connection, pipe) == waiting) is overloaded
    pipe.read_all()
    target.call("echo").cancel()
    connection.abort("for the test", level=logging.DEBUG)


@over("none")
@pytest.mark.parametrize(("waiting", "runs"), [(QUEUED, True), (QUEUED + 1, False)], ids=["at", "past"])
@on_each_loop
async def test_a_peers_further_calls_wait_where_more_waits_than_the_limit_says(waiting: int, runs: bool) -> None:
    gate = Gate()
    gate.opened.set()
    connection, pipe = piped(gate)
    queue(connection, waiting)
    await turns()
    connection.data_received(encoded(call_message(1, b"wait", b"a call")))
    await turns()
    assert gate.entered.empty() is not runs
    pipe.read_all()
    await turns()
    assert gate.entered.get_nowait() == b"a call"
    connection.abort("for the test", level=logging.DEBUG)


@over("none")
@pytest.mark.parametrize(("waiting", "lives"), [(2 * QUEUED, True), (2 * QUEUED + 1, False)], ids=["at", "past"])
@on_each_loop
async def test_a_peer_that_goes_on_calling_is_cut_off_where_more_waits_than_twice_the_limit(
    waiting: int, lives: bool
) -> None:
    connection, pipe = piped(Gate())
    queue(connection, QUEUED + 1)
    await turns()
    queue(connection, waiting - QUEUED - 1)
    await turns()
    connection.data_received(encoded(call_message(1, b"echo")))  # it may wait
    assert not pipe.aborted
    connection.data_received(encoded(call_message(2, b"echo")))
    assert pipe.aborted is not lives
    if lives:
        assert b"over Limits.waiting_calls=1" in (pipe.read_all() + pipe.read_all())[waiting:]
        connection.abort("for the test", level=logging.DEBUG)
