"""A batch of calls of which one has nearly all the bytes: they count wherever that one is."""

from __future__ import annotations

import gc
from typing import Any
from weakref import WeakSet

import pytest

import pellucid as pb
from pellucid.wire.messages import MethodCall
from pellucid.wire.native.codes import Kind
from tests.pair import Extension
from tests.unit.asyncio.door import Gate, on_each_loop, turns
from tests.unit.asyncio.pipe import piped
from tests.unit.asyncio.raw import call_of

LARGE = bytes(4000)
PROMISE_OF_1 = Extension(21, b"\x01")


class CopiedError(pb.Error, pb.Copyable):
    """Crosses with its state."""


class Desk(Gate):
    pages = 0

    def __init__(self) -> None:
        super().__init__()
        self.alive: WeakSet[Gate] = WeakSet()

    def remote_get(self) -> pb.Referenceable:
        self.drawer = Gate()
        return self.drawer

    def remote_nothing(self) -> None:
        pass

    def remote_take(self, value: str) -> None:
        pass

    def remote_fail(self, value: str) -> None:
        raise pb.Error(value)  # of which nothing is logged: a record would keep the traceback

    def remote_fail_after(self, cls: type[Exception]) -> None:
        self.alive.add(in_hand := Gate())
        try:
            in_hand.remote_nothing()  # type: ignore[attr-defined]
        except AttributeError as error:
            raise cls("no more") from error

    def remote_fail_as_copy(self) -> None:
        self.remote_fail_after(CopiedError)

    def remote_fail_as_text(self) -> None:
        self.remote_fail_after(pb.Error)

    def remote_page(self) -> bytes:
        self.pages += 1
        return bytes(1000)

    async def remote_later_page(self) -> bytes:
        return self.remote_page()


def batch(number: int, *last: Any) -> list[Any]:
    return [Kind.BATCH.value, number, [["root", "nothing", []]] * 99 + [list(last)]]


def used(connection: pb.Connection, *limits: str) -> list[float]:
    return [connection.usage[name].used for name in limits]


@on_each_loop
async def test_a_large_call_among_many_that_have_ended_counts_while_it_runs() -> None:
    desk = Desk()
    connection, pipe = piped(desk, limits=pb.Limits(running_bytes=16 * 9_000))
    pipe.say(*(batch(number, "root", "wait", [LARGE]) for number in range(1, 5)))
    await turns()
    running, running_bytes, waiting = used(connection, "running_calls", "running_bytes", "waiting_calls")
    assert (running, waiting) == (2, 100 + 100)
    assert 16 * 9_000 < running_bytes < 16 * 13_000
    desk.opened.set()
    await turns()
    await turns()
    assert used(connection, "running_calls", "running_bytes", "waiting_calls", "waiting_bytes") == [0, 0, 0, 0]
    pipe.end()


@on_each_loop
async def test_a_large_call_among_many_that_have_ended_counts_while_it_waits_for_another() -> None:
    desk = Desk()
    connection, pipe = piped(desk, limits=pb.Limits(waiting_bytes=16 * 15_000))
    pipe.say(call_of(1, "get"))
    drawer = int.from_bytes(pipe.messages()[-1][2].body, "big")
    pipe.say([Kind.SEEN.value, [1]], call_of(1, "wait"))
    await turns()
    pipe.say(*(batch(number, drawer, "echo", [PROMISE_OF_1, LARGE]) for number in range(2, 8)))
    waiting, waiting_bytes = used(connection, "waiting_calls", "waiting_bytes")
    assert waiting == 2
    assert 16 * 10_000 < waiting_bytes < 16 * 15_000
    refused = [message for message in pipe.messages() if message[0] == Kind.BATCH_ANSWER]
    assert [message[1] for message in refused] == [4, 5, 6, 7]
    desk.opened.set()
    await turns()
    assert used(connection, "waiting_calls", "waiting_bytes", "running_bytes") == [0, 0, 0]
    pipe.end()


@on_each_loop
async def test_a_batch_whose_calls_all_wait_counts_once() -> None:
    desk = Desk()
    connection, pipe = piped(desk, limits=pb.Limits(running_calls=1, waiting_bytes=16 * 9_000))
    pipe.say(call_of(1, "wait"))
    await turns()
    pipe.say(batch(2, "root", "wait", [LARGE]))
    waiting, waiting_bytes = used(connection, "waiting_calls", "waiting_bytes")
    assert waiting == 100
    assert 16 * 4_000 < waiting_bytes < 16 * 6_500
    pipe.end()


def pages_of(batch: list[Any]) -> int:
    """How many pages an answer has; all else in it is refusals."""
    _, _, results, errors = batch
    assert all("running_bytes=5000" in error[2] for _, error in errors)
    assert len(errors) + results.count(bytes(1000)) == len(results)
    return int(results.count(bytes(1000)))


@pytest.mark.parametrize("method", ["page", "later_page"])
@on_each_loop
async def test_results_that_wait_for_others_of_their_batch_are_bounded(method: str) -> None:
    desk = Desk()
    _, pipe = piped(desk, limits=pb.Limits(running_bytes=5_000, running_calls=2))
    pipe.say([Kind.BATCH.value, 1, [["root", method, []]] * 100])
    for _ in range(30):
        await turns()
    (answer,) = pipe.messages()
    assert 6 <= pages_of(answer) == desk.pages <= 8
    pipe.say([Kind.BATCH.value, 2, [["root", method, []]] * 4])  # which may have as many again
    for _ in range(10):
        await turns()
    (answer,) = pipe.messages()
    assert pages_of(answer) == 4
    pipe.end()


@on_each_loop
async def test_results_of_several_batches_that_wait_are_bounded_together() -> None:
    desk = Desk()
    _, pipe = piped(desk, limits=pb.Limits(running_bytes=5_000))
    for number in 1, 2, 3:
        pipe.say([Kind.BATCH.value, number, [["root", "wait", [b""]], *[["root", "page", []]] * 4]])
        await turns()
    assert desk.pages == 6
    pipe.say(call_of(4, "page"))  # a call that is not in a batch waits for nobody
    assert desk.pages == 7
    desk.opened.set()
    for _ in range(5):
        await turns()
    answers = [message for message in pipe.messages() if message[0] == Kind.BATCH_ANSWER]
    assert {number: len(errors) for _, number, _, errors in answers} == {1: 0, 2: 2, 3: 5}
    pipe.end()


@pytest.mark.parametrize("method", ["take", "fail"])
@pytest.mark.parametrize("options", [[], [None, {"timeout": 20}]])
@on_each_loop
async def test_of_the_calls_of_a_batch_that_have_ended_nothing_is_kept_while_another_runs(
    method: str, options: list[Any]
) -> None:
    gc.collect()  # what other tests have left behind does not count
    desk = Desk()
    connection, pipe = piped(desk)
    pipe.say([Kind.BATCH.value, 1, [*[["root", method, ["kept?"], *options]] * 500, ["root", "wait", [1]]]])
    await turns()
    assert used(connection, "running_calls") == [1]
    assert sum(type(each) is MethodCall for each in gc.get_objects()) < 50
    assert sum(type(each) is list and each == ["kept?"] for each in gc.get_objects()) == 0
    desk.opened.set()
    await turns()
    ((_, _, results, errors),) = pipe.messages()
    assert results == [None] * 500 + [1]
    assert len(errors) == (500 if method == "fail" else 0)
    pipe.end()


@pytest.mark.parametrize("method", ["fail_as_copy", "fail_as_text"])
@on_each_loop
async def test_nothing_that_a_method_had_in_hand_is_kept_once_it_has_failed(method: str) -> None:
    desk = Desk()
    connection, pipe = piped(desk)
    pipe.say(call_of(1, method), [Kind.BATCH.value, 2, [["root", method, []], ["root", "wait", [1]]]])
    await turns()
    assert used(connection, "running_calls", "kept_answers") == [1, 1]
    gc.collect()
    assert not desk.alive  # neither while its outcome is kept, nor while it waits for the others of its batch
    desk.opened.set()
    await turns()
    pipe.end()
