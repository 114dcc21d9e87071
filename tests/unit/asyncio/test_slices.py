"""A connection that is sent much at a time is served in slices, and others in between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

import pellucid as pb
from pellucid.asyncio.inbox import Inbox
from pellucid.asyncio.slices import AT_ONCE, LARGE, LONGEST_REST, PIECE, SLICE_SECONDS, Slices
from pellucid.wire.native.codes import Kind
from tests.pair import Extension
from tests.unit.asyncio.door import on_each_loop, turns
from tests.unit.asyncio.pipe import Pipe, piped
from tests.unit.asyncio.raw import call_of, packed, until

MANY = 1_000


class Noting(pb.Root):
    def __init__(self) -> None:
        self.noted: list[Any] = []

    def remote_note(self, number: Any) -> Any:
        self.noted.append(number)
        return number


def flood(first: int = 1) -> bytes:
    return b"".join(packed(call_of(number, "note", number)) for number in range(first, first + MANY))


def answers(pipe: Pipe) -> list[int]:
    return [message[1] for message in pipe.messages() if message[0] == Kind.ANSWER]


@on_each_loop
async def test_the_only_connection_of_a_loop_is_served_at_once() -> None:
    connection, pipe = piped(Noting())
    pipe.send(flood())
    assert answers(pipe) == list(range(1, MANY + 1))
    pipe.end()
    await connection.wait_closed()


@on_each_loop
async def test_one_that_says_little_is_answered_at_once_while_another_floods() -> None:
    noting = Noting()
    (flooded, flooding), (served, honest) = piped(noting), piped(Noting())
    flooding.send(flood())
    honest.say(call_of(1, "note", 7))
    assert answers(honest) == [1]
    assert (noting.noted, flooding.is_read) == ([], False)
    await until(lambda: flooding.is_read)
    assert noting.noted == answers(flooding) == list(range(1, MANY + 1))
    for connection, pipe in (flooded, flooding), (served, honest):
        pipe.end()
        await connection.wait_closed()


@on_each_loop
async def test_of_a_short_read_a_few_messages_are_dealt_with_and_the_rest_in_turn() -> None:
    noting = Noting()
    (first, pipe), (second, other) = piped(noting), piped(Noting())
    pipe.send(b"".join(packed(call_of(number, "note", number)) for number in range(1, AT_ONCE + 5)))
    assert len(noting.noted) == AT_ONCE
    pipe.send(packed(call_of(99, "note", 99)))  # a transport may hand over what it has read already
    assert not pipe.is_read
    await until(lambda: pipe.is_read)
    assert noting.noted == [*range(1, AT_ONCE + 5), 99]
    for connection, each in (first, pipe), (second, other):
        each.end()
        await connection.wait_closed()


@on_each_loop
async def test_calls_that_are_given_results_of_others_are_dealt_with_one_at_a_time() -> None:
    noting = Noting()
    (first, pipe), (second, other) = piped(noting), piped(Noting())
    pipe.say(call_of(1, "note", ["x"] * LARGE))
    await until(lambda: pipe.is_read)
    pipe.say(*[call_of(number, "note", Extension(21, b"\1")) for number in range(2, 6)])
    assert len(noting.noted) == 2
    first.inbox.take_slice(0.0)  # a message is read
    first.inbox.take_slice(0.0)  # and its call run
    assert len(noting.noted) == 3
    await until(lambda: pipe.is_read)
    assert len(noting.noted) == 5
    for connection, each in (first, pipe), (second, other):
        each.end()
        await connection.wait_closed()


class Later(Noting):
    """Has what it notes only when it is given it."""

    def __init__(self) -> None:
        super().__init__()
        self.value: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()

    async def remote_later(self) -> list[str]:
        return await self.value


@on_each_loop
async def test_calls_that_waited_for_a_result_are_given_it_one_at_a_time() -> None:
    later = Later()
    (first, pipe), (second, other) = piped(later), piped(Noting())
    pipe.say(call_of(1, "later"), *[call_of(number, "note", Extension(21, b"\1")) for number in range(2, 6)])
    await turns()
    later.value.set_result(["x"] * LARGE)
    served: list[int] = []
    for number in range(1, 20):
        await asyncio.sleep(0)
        other.say(call_of(number, "note", number))
        served.append(len(later.noted))
    assert {1, 2, 3, 4} <= set(served), served
    assert answers(other) == list(range(1, 20))
    assert answers(pipe) == [1, 2, 3, 4, 5]
    for connection, each in (first, pipe), (second, other):
        each.end()
        await connection.wait_closed()


@on_each_loop
async def test_of_calls_that_waited_one_whose_time_is_over_before_its_turn_is_not_run() -> None:
    later = Later()
    (first, pipe), (second, other) = piped(later), piped(Noting())
    late = [Kind.CALL, 3, "root", "note", [Extension(21, b"\1")], {}, {"timeout": 60.0}]
    pipe.say(call_of(1, "later"), call_of(2, "note", Extension(21, b"\1")), late)
    await turns()
    later.value.set_result(["x"] * 2 * LARGE)
    await until(lambda: bool(later.noted))
    assert first.broker.arrivals.ready
    assert first._runner._deadlines
    first._runner._deadlines.expire(first.broker.arrivals.ready[0])
    await turns()
    assert (later.noted, answers(pipe)) == ([["x"] * 2 * LARGE], [1, 2])
    for connection, each in (first, pipe), (second, other):
        each.end()
        await connection.wait_closed()


@on_each_loop
async def test_a_message_that_comes_in_many_pieces_arrives_whole() -> None:
    (first, pipe), (second, other) = piped(Noting()), piped(Noting())
    pipe.send(packed(call_of(1, "note", "x" * 5 * LARGE)))
    await until(lambda: pipe.is_read)
    (answer,) = [message for message in pipe.messages() if message[0] == Kind.ANSWER]
    assert answer[2] == "x" * 5 * LARGE
    for connection, each in (first, pipe), (second, other):
        each.end()
        await connection.wait_closed()


@pytest.mark.parametrize("dialect", ["pellucid", "pb"])
@on_each_loop
async def test_what_came_of_one_long_value_is_taken_in_at_once(dialect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pieces: list[int] = []
    take_piece = Inbox._take_piece

    def noted(inbox: Inbox, unread: memoryview) -> None:
        take_piece(inbox, unread)
        pieces.append(len(unread) - len(inbox._unread or b""))

    monkeypatch.setattr(Inbox, "_take_piece", noted)
    text = "x" * 500_000
    async with (
        pb.serve(Noting(), "pb://127.0.0.1:0", dialects=[dialect]) as server,
        pb.connect(server.urls[0]) as connection,
    ):
        assert await connection.root.call("note", text) == text
    assert max(pieces) > 10 * PIECE
    assert len(pieces) < len(text) / PIECE / 4


@on_each_loop
async def test_one_that_ends_while_it_waits_holds_up_nobody() -> None:
    noting = Noting()
    (first, pipe), (second, other) = piped(noting), piped(Noting())
    pipe.send(flood())
    other.send(flood())
    pipe.end()
    await first.wait_closed()
    await until(lambda: other.is_read)
    assert noting.noted == []
    assert len(answers(other)) == MANY
    other.end()
    await second.wait_closed()


@pytest.mark.parametrize("how", ["eof", "lost"])
@on_each_loop
async def test_what_a_peer_said_before_it_ended_is_dealt_with_though_it_waits(how: str) -> None:
    noting = Noting()
    (first, pipe), (second, other) = piped(noting), piped(Noting())
    noted_soon: list[int] = []
    pipe.send(flood())
    assert noting.noted == []
    if how == "eof":
        assert first.eof_received()  # one with TLS may say so at once, whether or not it is read; it is to stay open
    else:
        pipe.abort()
    first.loop.call_soon(lambda: noted_soon.append(len(noting.noted)))
    await first.wait_closed()
    assert noting.noted == list(range(1, MANY + 1))
    assert noted_soon[0] < MANY  # others have their turn in between
    assert answers(pipe) == (noting.noted if how == "eof" else [])
    other.end()
    await second.wait_closed()


@on_each_loop
async def test_one_that_says_what_makes_no_sense_ends_alone() -> None:
    (first, pipe), (second, other) = piped(Noting()), piped(Noting())
    pipe.send(flood() + b"\0\0\0\1\xc1" + flood(MANY + 1))
    other.send(flood())
    await first.wait_closed()
    assert "not msgpack" in str(first._ending)
    await until(lambda: other.is_read)
    assert len(answers(other)) == MANY
    other.end()
    await second.wait_closed()


@on_each_loop
async def test_a_peer_that_waits_for_its_turn_is_not_taken_for_dead() -> None:
    (first, pipe), (second, other) = piped(Noting()), piped(Noting())
    pipe.send(flood())
    for _ in range(5):
        first.look_for_life()
    assert not first.is_closed
    await turns(1)
    for connection, each in (first, pipe), (second, other):
        each.end()
        await connection.wait_closed()


class Clock:
    """A loop whose time a test tells."""

    def __init__(self) -> None:
        self.now = 0.0
        self.due: list[tuple[float, Callable[..., object], tuple[Any, ...]]] = []

    def time(self) -> float:
        return self.now

    def call_soon(self, callback: Callable[..., object], *args: Any) -> None:
        self.due.append((0.0, callback, args))

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> None:
        self.due.append((delay, callback, args))

    def turn(self) -> float:
        """Run what is due next; after how long that was."""
        delay, callback, args = self.due.pop(0)
        self.now += delay
        callback(*args)
        return delay


class Slow:
    """A connection that has something to do for so many seconds."""

    def __init__(self, clock: Clock, seconds: float, at_a_time: float = SLICE_SECONDS) -> None:
        self.clock = clock
        self.left = seconds
        self.at_a_time = at_a_time
        self.slices = 0

    def take_slice(self, until: float) -> bool:
        self.slices += 1
        self.clock.now += self.at_a_time
        self.left -= self.at_a_time
        return self.left > 1e-9


def queue() -> tuple[Clock, Slices]:
    clock = Clock()
    return clock, Slices(cast(asyncio.AbstractEventLoop, clock))


def test_the_queue_is_served_in_turn() -> None:
    clock, queued = queue()
    first, second = Slow(clock, 10 * SLICE_SECONDS), Slow(clock, 10 * SLICE_SECONDS)
    queued.wait(first)
    queued.wait(second)
    while clock.due:
        clock.turn()
        assert abs(first.slices - second.slices) <= 1
    assert (first.slices, second.slices) == (10, 10)


@pytest.mark.parametrize("at_a_time", [SLICE_SECONDS, 0.5])
def test_while_others_speak_the_queue_rests_three_times_as_long_as_it_took(at_a_time: float) -> None:
    clock, queued = queue()
    slow = Slow(clock, 3 * at_a_time, at_a_time)
    queued.wait(slow)
    delays = []
    while clock.due:
        delays.append(clock.turn())
        queued.others_spoke = True
    assert slow.slices == 3
    assert sum(delays) == pytest.approx(2 * 3 * at_a_time)  # between the three


def test_it_rests_no_longer_than_some_seconds_where_the_process_was_stopped_for_long() -> None:
    clock, queued = queue()
    queued.wait(Slow(clock, 2 * 3600.0, 3600.0))
    clock.turn()  # the slice
    queued.others_spoke = True
    assert [clock.turn(), clock.turn()] == [0, LONGEST_REST]


def test_while_nobody_else_speaks_it_goes_on() -> None:
    clock, queued = queue()
    queued.wait(Slow(clock, 3 * SLICE_SECONDS))
    while clock.due:
        assert clock.turn() == 0


class Faulty:
    def take_slice(self, until: float) -> bool:
        raise RuntimeError("a fault of ours")


def test_a_fault_in_one_does_not_stop_the_queue() -> None:
    clock, queued = queue()
    slow = Slow(clock, SLICE_SECONDS)
    queued.wait(Faulty())
    queued.wait(slow)
    with pytest.raises(RuntimeError):
        clock.turn()
    while clock.due:
        clock.turn()
    assert slow.slices == 1
