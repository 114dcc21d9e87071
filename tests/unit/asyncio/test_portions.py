"""What one message asks for at once is done in portions, and others have their turn in between."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest

import pellucid as pb
from pellucid.asyncio.inbox import Inbox
from pellucid.asyncio.slices import LARGE, PIECE, PORTION, READ, SLICE_SECONDS, STIRRED
from pellucid.core.broker import Broker
from pellucid.wire.native.codes import Kind
from tests.pair import Extension
from tests.unit.asyncio.door import on_each_loop, run, turns
from tests.unit.asyncio.pipe import Pipe, piped
from tests.unit.asyncio.raw import call_of, until
from tests.unit.asyncio.test_limits_of_time import StoppedClock, on_a_stopped_clock

MANY = 1_000


class Counting(pb.Root):
    def __init__(self) -> None:
        self.noted: list[Any] = []
        self.begun = self.cancelled = 0
        self.opened = asyncio.Event()

    def remote_note(self, value: Any) -> Any:
        self.noted.append(value)
        return value

    async def remote_wait(self) -> None:
        self.begun += 1
        try:
            await self.opened.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


def batch_of(count: int, name: str, *args: Any, **kwargs: Any) -> list[Any]:
    more = [kwargs] if kwargs else []
    return [Kind.BATCH.value, 1, [["root", name, [*args], *more]] * count]


async def most_in_a_turn(count: Callable[[], int], wanted: int) -> int:
    """How much `count` goes up in one turn of the loop, at most, until it is `wanted`."""
    most, before = 0, count()
    while before < wanted:
        await asyncio.sleep(0)
        now = count()
        most, before = max(most, now - before), now
    return most


async def end(*served: tuple[pb.Connection, Pipe]) -> None:
    for connection, pipe in served:
        pipe.end()
        await connection.wait_closed()


# Batches.


@on_each_loop
async def test_of_a_batch_of_coroutines_a_few_begin_in_each_turn() -> None:
    counting = Counting()
    served, other = piped(counting), piped(Counting())
    served[1].say(batch_of(MANY, "wait"))
    assert await most_in_a_turn(lambda: counting.begun, 256) <= STIRRED
    counting.opened.set()
    await until(lambda: counting.begun == MANY)
    await turns()
    assert [message[:2] for message in served[1].messages()] == [[Kind.BATCH_ANSWER, 1]]
    await end(served, other)


@pytest.mark.parametrize(("kwargs", "most"), [({}, PORTION), ({"value": 1}, STIRRED)], ids=["items", "with keywords"])
@on_each_loop
async def test_of_a_batch_of_plain_methods_a_portion_is_run_at_a_time(kwargs: dict[str, Any], most: int) -> None:
    counting = Counting()
    served, other = piped(counting), piped(Counting())
    served[1].say(batch_of(MANY, "note", *([] if kwargs else [1]), **kwargs))
    portions: list[int] = []
    while len(counting.noted) < MANY:
        before = len(counting.noted)
        served[0].inbox.take_slice(0.0)
        portions.append(len(counting.noted) - before)
    assert max(portions) == most
    assert [message[:3] for message in served[1].messages()] == [[Kind.BATCH_ANSWER, 1, [1] * MANY]]
    await end(served, other)


@on_each_loop
async def test_of_a_short_batch_the_first_portion_is_run_at_once_and_the_rest_in_turn() -> None:
    counting = Counting()
    served, other = piped(counting), piped(Counting())
    with patch("pellucid.asyncio.inbox.SLICE_SECONDS", 60.0):  # a busy machine may take longer to read it
        served[1].say(batch_of(3 * STIRRED, "wait"))
    assert served[0].usage["running_calls"].used == STIRRED
    other[1].say(call_of(1, "note", 7))
    assert [message[1:] for message in other[1].messages()] == [[1, 7]]
    await until(lambda: counting.begun == 3 * STIRRED)
    await end(served, other)


@on_each_loop
async def test_calls_of_a_batch_that_have_no_room_to_run_wait_for_it_in_portions() -> None:
    counting = Counting()
    connection, pipe = served = piped(counting, limits=pb.Limits(running_calls=1))
    other = piped(Counting())
    pipe.say(batch_of(MANY, "wait"))
    portions, before = list[int](), 0
    while before < MANY - 1:
        connection.inbox.take_slice(0.0)
        waiting = connection.usage["waiting_calls"].used
        portions.append(waiting - before)
        before = waiting
    assert max(portions) == STIRRED
    await end(served, other)


@on_each_loop
async def test_the_only_connection_of_a_loop_has_a_batch_begin_at_once() -> None:
    connection, pipe = piped(Counting())
    pipe.say(batch_of(MANY, "wait"))
    assert {name: connection.usage[name].used for name in ("running_calls", "waiting_calls")} == {
        "running_calls": 256,
        "waiting_calls": MANY - 256,
    }
    await end((connection, pipe))


@on_each_loop
async def test_a_later_call_does_not_overtake_what_is_left_of_a_batch() -> None:
    counting = Counting()
    served, other = piped(counting), piped(Counting())
    items = [["root", "note", [number]] for number in range(MANY)]
    served[1].say([Kind.BATCH.value, 1, items], call_of(2, "note", "later"))
    await until(lambda: len(counting.noted) > MANY)
    assert counting.noted == [*range(MANY), "later"]
    await end(served, other)


# What is given up.


async def with_a_batch_that_waits(counting: Counting) -> tuple[pb.Connection, Pipe]:
    """A connection on which four calls of a batch run, and all others wait for their turn."""
    connection, pipe = piped(counting, limits=pb.Limits(running_calls=4))
    pipe.say(batch_of(MANY, "wait"))
    await until(lambda: connection.usage["waiting_calls"].used == MANY - 4)
    return connection, pipe


@on_each_loop
async def test_of_a_batch_that_is_given_up_a_few_methods_are_cancelled_in_each_turn() -> None:
    counting = Counting()
    served, other = piped(counting), piped(Counting())
    served[1].say(batch_of(200, "wait"))
    await until(lambda: counting.begun == 200)
    served[1].say([Kind.CANCEL.value, 1])
    assert await most_in_a_turn(lambda: counting.cancelled, 200) <= STIRRED // 2
    await end(served, other)


@on_each_loop
async def test_what_waits_of_a_batch_that_is_given_up_never_begins() -> None:
    counting = Counting()
    connection, pipe = served = await with_a_batch_that_waits(counting)
    other = piped(Counting())
    pipe.say([Kind.CANCEL.value, 1])
    await until(lambda: pipe.messages())
    assert (counting.begun, counting.cancelled, connection.usage["waiting_calls"].used) == (4, 4, 0)
    pipe.say(call_of(2, "note", "later"))
    assert counting.noted == ["later"]
    await end(served, other)


@on_each_loop
async def test_nothing_of_a_batch_that_is_given_up_begins_when_others_of_it_end_meanwhile() -> None:
    counting = Counting()
    connection, pipe = served = await with_a_batch_that_waits(counting)
    other = piped(Counting())
    pipe.say([Kind.CANCEL.value, 1])
    assert connection.inbox.is_waiting  # most are still to be told
    counting.opened.set()
    await until(lambda: pipe.messages())
    assert (counting.begun, counting.cancelled) == (4, 0)
    await end(served, other)


@on_each_loop
async def test_calls_that_wait_for_another_are_given_up_one_by_one_and_none_begins_meanwhile() -> None:
    counting = Counting()
    connection, pipe = served = piped(counting)
    other = piped(Counting())
    pipe.say(call_of(1, "wait"), [Kind.BATCH.value, 2, [["root", "note", [Extension(21, b"\1")]]] * MANY])
    await until(lambda: connection.usage["waiting_calls"].used == MANY)
    pipe.say([Kind.CANCEL.value, 2])
    assert connection.inbox.is_waiting
    left = connection.usage["waiting_calls"].used
    connection.inbox.take_slice(0.0)  # one is to be told, ...
    connection.inbox.take_slice(0.0)  # ... and is
    assert left - 2 <= connection.usage["waiting_calls"].used < left
    counting.opened.set()
    await until(lambda: any(message[1] == 2 for message in pipe.messages()))
    assert (counting.begun, counting.noted) == (1, [])
    await end(served, other)


@on_each_loop
async def test_a_batch_that_is_given_up_is_answered_with_one_error() -> None:
    counting = Counting()
    served, other = piped(counting), piped(Counting())
    served[1].say([Kind.BATCH.value, 1, [["root", "wait", []], ["root", "note", [1]], ["root", "wait", []]]])
    await turns()
    served[1].say([Kind.CANCEL.value, 1])
    await until(lambda: counting.cancelled == 2)
    await turns()
    ((kind, number, failure),) = served[1].messages()
    assert (kind, number, failure[1]) == (Kind.FAIL, 1, "pellucid.errors.CallCancelled")
    await end(served, other)


@on_each_loop
async def test_of_a_caller_that_vanishes_a_few_methods_are_cancelled_in_each_turn() -> None:
    counting = Counting()
    connection, pipe = piped(counting)
    pipe.say(*(call_of(number, "wait") for number in range(1, 201)))
    await until(lambda: counting.begun == 200)
    pipe.end()
    assert await most_in_a_turn(lambda: counting.cancelled, 200) <= STIRRED // 2
    await connection.wait_closed()


@on_each_loop
async def test_calls_that_waited_for_room_start_a_few_in_each_turn_and_in_their_order() -> None:
    counting = Counting()
    connection, pipe = piped(counting)
    connection.crowded()
    pipe.say(*(call_of(number, "note", number) for number in range(MANY)))
    connection.roomy()
    assert len(counting.noted) == STIRRED
    pipe.say(call_of(MANY, "note", MANY))
    assert await most_in_a_turn(lambda: len(counting.noted), MANY + 1) <= STIRRED
    assert counting.noted == [*range(MANY + 1)]
    await end((connection, pipe))


# Messages that take long by themselves.


@on_each_loop
async def test_what_took_long_to_read_is_done_in_the_next_slice() -> None:
    counting = Counting()
    served, other = piped(counting), piped(Counting())
    served[1].say(call_of(1, "note", "x" * LARGE))
    next_event = Broker.next_event
    is_read = False

    def noting(broker: Broker) -> Any:
        nonlocal is_read
        event = next_event(broker)
        is_read = is_read or event is not None
        return event

    with patch.object(Broker, "next_event", noting):
        while not is_read:
            served[0].inbox.take_slice(0.0)
        assert counting.noted == []
        served[0].inbox.take_slice(0.0)
    assert len(counting.noted) == 1
    await end(served, other)


@on_a_stopped_clock
async def test_messages_of_a_short_read_that_take_long_wait_for_a_slice(clock: StoppedClock) -> None:
    class Slow(Counting):
        def remote_note(self, value: Any) -> None:
            super().remote_note(value)
            clock.now += SLICE_SECONDS

    slow = Slow()
    served, other = piped(slow), piped(Counting())
    served[1].say(*(call_of(number, "note", "x" * PIECE) for number in range(1, 4)))
    assert len(slow.noted) == 1
    other[1].say(call_of(1, "note", 7))
    assert [message[1:] for message in other[1].messages()] == [[1, 7]]
    while len(slow.noted) < 3:
        await clock.let_pass(SLICE_SECONDS)
    await end(served, other)


def test_asyncio_reads_no_more_at_a_time_than_takes_little() -> None:
    read: list[int] = []
    receive = Inbox.receive

    def noting(inbox: Inbox, data: bytes) -> None:
        read.append(len(data))
        receive(inbox, data)

    async def read_from_one_that_sends_much() -> None:
        listening = socket.create_server(("127.0.0.1", 0))
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * READ)  # those that it accepts have it, too
        async with pb.serve(Counting(), sock=listening):
            with socket.create_connection(listening.getsockname()) as peer:
                peer.setblocking(False)
                sent = 0
                try:
                    while sent < 4 * READ:
                        sent += peer.send(bytes(READ))
                except BlockingIOError:
                    pass  # the system takes no more
                assert sent > READ
                await until(lambda: read)

    with patch.object(Inbox, "receive", noting):
        run(read_from_one_that_sends_much())
    assert max(read) <= READ
