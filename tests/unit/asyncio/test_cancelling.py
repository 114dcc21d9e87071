"""Calls that are given up: who hears of it, on both sides, and when."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import pellucid as pb
from pellucid.errors import CallCancelled, DeadReferenceError, PBConnectionLost
from pellucid.wire.native.codes import Kind
from tests.unit.asyncio.door import on_each_loop, outcome, pair, turns
from tests.unit.asyncio.pipe import piped
from tests.unit.asyncio.raw import NativePeer, call_of, until
from tests.unit.asyncio.things import Things
from tests.work import lines_of


class Patient(Things):
    """Notes who began, who was cancelled, and whose `finally` ran."""

    def __init__(self) -> None:
        super().__init__()
        self.ran: list[str] = []
        self.ended: asyncio.Queue[str] = asyncio.Queue()
        self.begun: asyncio.Queue[str] = asyncio.Queue()
        self.tidy = asyncio.Event()

    def remote_other(self) -> Patient:
        self.friend = Patient()
        return self.friend

    async def remote_hang(self, name: str = "it") -> str:
        self.begun.put_nowait(name)
        try:
            await self.opened.wait()
        except asyncio.CancelledError:
            self.ran.append(f"{name} cancelled")
            raise
        finally:
            self.ended.put_nowait(name)
        return name

    async def remote_hang_and_tidy(self, name: str = "it") -> None:
        self.begun.put_nowait(name)
        try:
            await self.opened.wait()
        finally:
            await self.tidy.wait()
            self.ended.put_nowait(name)

    async def remote_hang_on(self) -> str:
        self.begun.put_nowait("it")
        try:
            await self.opened.wait()
        except asyncio.CancelledError:
            self.ran.append("not minded")
        return "went on"

    async def remote_give_up(self) -> None:
        raise asyncio.CancelledError

    def remote_give_up_at_once(self) -> None:
        raise asyncio.CancelledError

    async def remote_cancel_itself(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    def remote_run(self, name: str, *rest: Any) -> str:
        self.ran.append(name)
        return name

    def remote_future(self) -> Any:
        self.future = asyncio.get_running_loop().create_future()
        self.begun.put_nowait("future")
        return self.future

    def remote_relay(self, whom: pb.RemoteReference, name: str) -> Any:
        self.relayed = whom.call(name)
        return self.relayed


def running(both: Any) -> int:
    """How many calls the server has not answered."""
    return len(both.served.broker.arrivals.running)


@on_each_loop
async def test_a_call_that_is_cancelled_fails_at_once_and_its_method_finally_runs() -> None:
    patient = Patient()
    async with pair(patient) as both:
        call = both.client.root.call("hang")
        await patient.begun.get()
        call.cancel()
        assert call.done
        with pytest.raises(CallCancelled, match="'hang' was cancelled here"):
            await call
        assert await patient.ended.get() == "it"
        assert patient.ran == ["it cancelled"]


@on_each_loop
async def test_a_call_is_answered_once_its_methods_finally_has_run() -> None:
    patient = Patient()
    async with pair(patient) as both:
        call = both.client.root.call("hang_and_tidy")
        await patient.begun.get()
        call.cancel()
        assert await both.client.root.call("echo", 1) == 1
        assert running(both) == 1
        assert len(both.client.broker.books.pending) == 1
        patient.tidy.set()
        assert await patient.ended.get() == "it"
        assert await both.client.root.call("echo", 2) == 2
        assert running(both) == 0
        assert len(both.client.broker.books.pending) == 0


@on_each_loop
async def test_cancelling_the_only_task_that_awaits_a_call_cancels_its_method() -> None:
    patient = Patient()
    async with pair(patient) as both:
        call = both.client.root.call("hang")

        async def wait() -> Any:
            return await call

        task = asyncio.create_task(wait())
        await patient.begun.get()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await patient.ended.get() == "it"
        assert isinstance(await outcome(call), CallCancelled)


@on_each_loop
async def test_cancelling_one_of_two_tasks_that_await_a_call_lets_it_go_on() -> None:
    patient = Patient()
    async with pair(patient) as both:
        call = both.client.root.call("hang")

        async def wait() -> Any:
            return await call

        first, second = asyncio.create_task(wait()), asyncio.create_task(wait())
        await patient.begun.get()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        await both.client.root.call("echo")
        assert patient.ran == []
        patient.opened.set()
        assert await second == "it"


@on_each_loop
async def test_a_timeout_around_a_call_cancels_its_method() -> None:
    patient = Patient()
    async with pair(patient) as both:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await both.client.root.call("hang")
        assert await patient.ended.get() == "it"


@on_each_loop
async def test_a_call_is_not_cancelled_with_its_awaiter_while_another_call_needs_it() -> None:
    patient = Patient()
    async with pair(patient) as both:
        call = both.client.root.call("hang")
        dependant = both.client.root.call("echo", call)
        task = asyncio.create_task(outcome(call))
        await patient.begun.get()
        task.cancel()
        await asyncio.wait([task])
        patient.opened.set()
        assert await dependant == "it"


@on_each_loop
async def test_dependants_end_with_the_call_that_is_cancelled_and_none_runs() -> None:
    patient = Patient()
    async with pair(patient) as both:
        call = both.client.root.call("hang")
        dependants = [call.call("note", 1), both.client.root.call("run", "never", call)]
        dependants.append(dependants[1].call("note", 1))
        await patient.begun.get()
        call.cancel()
        assert [type(await outcome(each)) for each in dependants] == [CallCancelled] * 3
        await patient.ended.get()
        await both.client.root.call("echo")
        assert patient.ran == ["it cancelled"]
        await until(lambda: not len(both.client.broker.books.pending))
        assert running(both) == 0


@on_each_loop
async def test_a_dependant_that_is_cancelled_leaves_the_call_alone() -> None:
    patient = Patient()
    async with pair(patient) as both:
        call = both.client.root.call("hang")
        dependant = both.client.root.call("run", "never", call)
        await patient.begun.get()
        dependant.cancel()
        assert await both.client.root.call("echo", 1) == 1
        patient.opened.set()
        assert await call == "it"
        assert await both.client.root.call("run", "last") == "last"
        assert patient.ran == ["last"]


@on_each_loop
async def test_a_call_that_waits_for_its_turn_is_cancelled_before_it_begins() -> None:
    patient = Patient()
    async with pair(patient, limits=pb.Limits(running_calls=1)) as both:
        first = both.client.root.call("hang")
        second, third = both.client.root.call("run", "second"), both.client.root.call("run", "third")
        await patient.begun.get()
        second.cancel()
        await until(lambda: running(both) == 2)
        patient.opened.set()
        assert await third == "third"
        await first
        assert patient.ran == ["third"]


@on_each_loop
async def test_a_call_that_waits_for_a_promise_is_cancelled_before_it_begins_and_those_behind_it_go_on() -> None:
    patient = Patient()
    async with pair(patient) as both:
        hangs = both.client.root.call("hang")
        waits = both.client.root.call("run", "never", hangs)
        behind = both.client.root.call("run", "behind")
        await patient.begun.get()
        waits.cancel()
        assert await behind == "behind"
        assert patient.ran == ["behind"]
        hangs.cancel()


@on_each_loop
async def test_a_coroutine_method_that_arrives_together_with_its_cancel_never_begins() -> None:
    patient = Patient()
    async with pb.serve(patient, "pb://127.0.0.1:0") as server, NativePeer.connect(server.urls[0]) as peer:
        peer.say(call_of(1, "hang"), [Kind.CANCEL.value, 1])
        assert "CallCancelled" in (await peer.failure(1))[0]
        assert patient.begun.empty()


@on_each_loop
async def test_a_plain_method_that_has_run_answers_and_its_cancel_is_too_late() -> None:
    patient = Patient()
    async with pair(patient) as both:
        call = both.client.root.call("run", "it")
        call.cancel()
        assert isinstance(await outcome(call), CallCancelled)
        assert await both.client.root.call("run", "last") == "last"
        assert patient.ran == ["it", "last"]
        assert len(both.client.broker.books.pending) == 0


@on_each_loop
async def test_a_cancel_that_crosses_the_answer_changes_nothing() -> None:
    patient = Patient()
    async with pb.serve(patient, "pb://127.0.0.1:0") as server, NativePeer.connect(server.urls[0]) as peer:
        peer.say(call_of(1, "run", "it"))
        assert await peer.answer(1) == "it"
        peer.say([Kind.CANCEL.value, 1], [Kind.CANCEL.value, 1], [Kind.CANCEL.value, 99], call_of(2, "run", "next"))
        assert await peer.answer(2) == "next"


@on_each_loop
async def test_a_call_cancelled_twice_is_answered_once() -> None:
    patient = Patient()
    async with pb.serve(patient, "pb://127.0.0.1:0") as server, NativePeer.connect(server.urls[0]) as peer:
        peer.say(call_of(1, "hang"))
        await patient.begun.get()
        peer.say([Kind.CANCEL.value, 1], [Kind.CANCEL.value, 1])
        assert "CallCancelled" in (await peer.failure(1))[0]
        peer.say(call_of(2, "run", "next"))
        assert await peer.answer(2) == "next"


@on_each_loop
async def test_a_method_that_does_not_mind_being_cancelled_answers_nobody() -> None:
    patient = Patient()
    async with pair(patient) as both:
        call = both.client.root.call("hang_on")
        await patient.begun.get()
        call.cancel()
        assert isinstance(await outcome(call), CallCancelled)
        await until(lambda: running(both) == 0)
        assert patient.ran == ["not minded"]
        assert await both.client.root.call("echo", 1) == 1


@on_each_loop
async def test_what_a_method_awaits_that_is_no_coroutine_is_cancelled_with_it() -> None:
    patient = Patient()
    async with pair(patient) as both:
        call = both.client.root.call("future")
        await patient.begun.get()
        await turns()
        call.cancel()
        await until(lambda: running(both) == 0)
        assert patient.future.cancelled()


@on_each_loop
async def test_what_a_method_would_have_awaited_is_cancelled_with_it_too() -> None:
    patient = Patient()
    async with pb.serve(patient, "pb://127.0.0.1:0") as server, NativePeer.connect(server.urls[0]) as peer:
        peer.say(call_of(1, "future"), [Kind.CANCEL.value, 1])
        assert "CallCancelled" in (await peer.failure(1))[0]
        assert patient.future.cancelled()


@on_each_loop
async def test_a_call_that_a_method_returns_is_cancelled_with_it() -> None:
    near, far = Patient(), Patient()

    class Caller(pb.Referenceable):
        async def remote_hang(self) -> None:
            await far.remote_hang()

    async with pair(near) as both:
        call = both.client.root.call("relay", Caller(), "hang")
        await far.begun.get()
        call.cancel()
        assert await far.ended.get() == "it"
        assert isinstance(await outcome(near.relayed), CallCancelled)


@pytest.mark.parametrize("name", ["give_up", "give_up_at_once", "cancel_itself"])
@on_each_loop
async def test_a_method_cancelled_on_its_own_side_ends_in_call_cancelled(name: str) -> None:
    async with pair(Patient()) as both:
        call = both.client.root.call(name)
        dependant = both.client.root.call("run", "never", call)
        error = await outcome(call)
        assert type(error) is CallCancelled
        assert f"'{name}' was cancelled where it ran" in str(error)
        other = await outcome(dependant)
        assert (type(other), str(other)) == (CallCancelled, str(error))
        assert await both.client.root.call("echo", 1) == 1


@on_each_loop
async def test_calls_made_together_are_cancelled_together() -> None:
    patient = Patient()
    async with pair(patient) as both:
        root = both.client.root
        whole = pb.gather(root.prepare("hang", "a"), root.prepare("run", "b"), root.prepare("hang", "c"))
        assert {await patient.begun.get(), await patient.begun.get()} == {"a", "c"}
        whole.cancel()
        assert isinstance(await outcome(whole), CallCancelled)
        assert {await patient.ended.get(), await patient.ended.get()} == {"a", "c"}
        await until(lambda: running(both) == 0 and not len(both.client.broker.books.pending))


@on_each_loop
async def test_cancelling_the_task_that_awaits_calls_made_together_cancels_them() -> None:
    patient = Patient()
    async with pair(patient) as both:
        root = both.client.root
        late = root.call("hang", "late")
        for whole in (
            pb.gather(root.prepare("hang", "a"), root.prepare("hang", "b")),
            pb.gather(root.prepare("hang", "a"), root.prepare("hang", late)),
        ):
            task = asyncio.create_task(outcome(whole))
            await turns(1)
            while await patient.begun.get() != "a":
                pass
            task.cancel()
            await asyncio.wait([task])
            while await patient.ended.get() != "a":
                pass
        late.cancel()
        await until(lambda: running(both) == 0)


@on_each_loop
async def test_a_one_way_call_can_not_be_given_up() -> None:
    patient = Patient()
    async with pair(patient) as both:
        call = both.client.root.call_with(one_way=True).call("hang")
        await call
        call.cancel()
        await patient.begun.get()
        patient.opened.set()
        assert await patient.ended.get() == "it"
        assert patient.ran == []


@on_each_loop
async def test_over_pb_the_method_runs_on() -> None:
    patient = Patient()
    async with pair(patient, dialects=["pb"]) as both:
        call = both.client.root.call("hang")
        await patient.begun.get()
        call.cancel()
        assert isinstance(await outcome(call), CallCancelled)
        patient.opened.set()
        assert await patient.ended.get() == "it"
        assert patient.ran == []


@on_each_loop
async def test_a_call_can_be_given_up_once_the_connection_has_ended() -> None:
    patient = Patient()
    async with pair(patient) as both:
        root = both.client.root
        call = root.call("hang")
        await patient.begun.get()
        both.client.abort("test")
        assert isinstance(await outcome(call), PBConnectionLost)
        call.cancel()
        assert isinstance(await outcome(call), PBConnectionLost)
        with pytest.raises(DeadReferenceError):
            root.call("hang")
        assert await patient.ended.get() == "it"


@on_each_loop
async def test_a_caller_that_vanishes_has_its_methods_cancelled_and_those_that_wait_never_run() -> None:
    patient = Patient()
    async with pair(patient) as both:
        hangs = both.client.root.call("hang")
        waits = [hangs.call("note", 1), both.client.root.call("run", "never", hangs)]
        await patient.begun.get()
        both.client.abort("test")
        assert [type(await outcome(call)) for call in (hangs, *waits)] == [PBConnectionLost] * 3
        assert await patient.ended.get() == "it"
        await turns()
        assert patient.ran == ["it cancelled"]
        assert len(both.served.broker.arrivals) == 0


@on_each_loop
async def test_more_calls_that_become_ready_at_once_than_may_wait_are_refused_without_delay() -> None:
    patient = Patient()
    async with pair(patient, limits=pb.Limits(running_calls=1, waiting_calls=3)) as both:
        root = both.client.root
        other = await root.call("other")
        hangs = root.call("hang")
        await patient.begun.get()
        waits = [root.call("hang_and_tidy", hangs) for _ in range(3)]
        filling = [other.call("hang_and_tidy") for _ in range(2)]
        await until(lambda: running(both) == 6)
        patient.opened.set()
        assert await hangs == "it"
        await until(lambda: sum(call.done for call in waits) == 2)  # the others run, or wait
        patient.tidy.set()
        patient.friend.opened.set()
        patient.friend.tidy.set()
        results = [await outcome(call) for call in (*waits, *filling)]
        assert sorted(type(result).__name__ for result in results) == ["NoneType"] * 3 + ["TooManyCalls"] * 2


@on_each_loop
async def test_a_batch_that_is_given_up_again_and_again_is_looked_through_once() -> None:
    patient = Patient()
    connection, pipe = piped(patient)
    pipe.say([Kind.BATCH.value, 1, [["root", "hang", []]] * 200])
    await until(lambda: patient.begun.qsize() == 200)
    once = lines_of(lambda: pipe.say([Kind.CANCEL.value, 1]))
    again = lines_of(lambda: pipe.say([Kind.CANCEL.value, 1]))
    assert again < once / 50
    await until(lambda: patient.ended.qsize() == 200)
    assert len(patient.ran) == 200
    pipe.end()
    await connection.wait_closed()
