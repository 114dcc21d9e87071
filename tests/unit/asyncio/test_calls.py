from __future__ import annotations

import asyncio
import enum
import gc
import logging
from typing import Any

import pytest

import pellucid as pb
from pellucid.errors import CallCancelled, DeadlineExceeded
from tests.dialects import each_dialect, over
from tests.unit.asyncio.door import Gate, Sink, on_each_loop, outcome, pair, raw_server, turns
from tests.unit.asyncio.things import Broken, Things

pytestmark = each_dialect


def unnoticed(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """What was logged of calls that failed unnoticed."""
    gc.collect()
    return [record for record in caplog.records if getattr(record, "event", "") == "call.unnoticed"]


class Name(enum.StrEnum):
    ECHO = "echo"


@on_each_loop
async def test_a_name_that_is_no_text_is_refused_at_once_and_the_connection_lives_on() -> None:
    async with pair(Things()) as both:
        root: Any = both.client.root
        for make in root.call, root.prepare, root.call_with(timeout=5.0).call, root.call("echo", 1).call:
            for name in b"echo", 3, None:
                with pytest.raises(TypeError, match=f"the name of a method is a str, not {type(name).__name__}"):
                    make(name, 1)
        assert await root.call("echo", 1) == 1


@on_each_loop
async def test_a_name_may_be_a_member_of_an_enumeration() -> None:
    async with pair(Things()) as both:
        root = both.client.root
        assert await root.call(Name.ECHO, 1) == 1
        assert await root.call(Name.ECHO, [1]) == [1]
        assert await pb.gather(root.prepare(Name.ECHO, [1]), root.prepare(Name.ECHO, 2)) == [[1], 2]


# Awaiting.


@on_each_loop
async def test_a_call_gives_its_answer_however_often_it_is_awaited() -> None:
    async with pair(Things()) as both:
        call = both.client.root.call("echo", [1])
        first: list[int] = await call
        second: list[int] = await call
        assert first == [1]
        assert second is first


@on_each_loop
async def test_a_call_raises_its_error_however_often_it_is_awaited() -> None:
    async with pair(Things()) as both:
        call = both.client.root.call("fail")
        first, second = await outcome(call), await outcome(call)
        assert isinstance(first, Broken)
        assert second is first


@on_each_loop
async def test_several_tasks_may_await_one_call() -> None:
    gate = Things()
    async with pair(gate) as both:
        call = both.client.root.call("wait", "answer")
        waiting = asyncio.gather(*(outcome(call) for _ in range(3)))
        await gate.entered.get()
        gate.opened.set()
        assert await waiting == ["answer", "answer", "answer"]


@on_each_loop
async def test_a_call_can_be_handed_to_asyncios_own_tools() -> None:
    async with pair(Things()) as both:
        root = both.client.root
        assert list(await asyncio.gather(root.call("echo", 1), root.call("echo", 2))) == [1, 2]
        assert await asyncio.wait_for(root.call("echo", 3), 5) == 3


@on_each_loop
async def test_a_call_tells_whether_it_is_done() -> None:
    gate = Things()
    async with pair(gate) as both:
        call = both.client.root.call("wait")
        failed = both.client.root.call("fail")
        await outcome(failed)
        assert (call.done, repr(call)) == (False, "<Call wait under way>")
        assert (failed.done, repr(failed)) == (True, "<Call fail failed>")
        gate.opened.set()
        await call
        assert (call.done, repr(call)) == (True, "<Call wait answered>")


@on_each_loop
async def test_a_call_can_not_be_part_of_an_argument_before_it_is_awaited() -> None:
    async with pair(Things()) as both:
        call = both.client.root.call("echo", 1)
        with pytest.raises(pb.InsecureJelly, match="await it first"):
            await both.client.root.call("echo", [call])
        assert await both.client.root.call("echo", [await call]) == [1]


# Not awaiting.


@on_each_loop
async def test_a_call_that_nobody_awaits_is_sent_and_dropping_it_cancels_nothing() -> None:
    gate = Gate()
    async with pair(gate) as both:
        both.client.root.call("wait", "me")
        gc.collect()
        assert await gate.entered.get() == "me"
        gate.opened.set()
        assert await gate.left.get() == "me"


@on_each_loop
async def test_a_failure_that_nobody_awaits_is_logged_once_with_method_and_peer_and_correlation_id(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with pair(Things()) as both:
        correlation_id = both.client.root.call("fail").correlation_id
        await both.client.root.call("echo")
        (record,) = unnoticed(caplog)
        assert record.levelno == logging.ERROR
        assert record.getMessage() == "call of 'fail' failed and was never awaited: Broken('as expected')"
        told = vars(record)
        assert (told["method"], told["peer"]) == ("fail", both.client.peer)
        assert told["call"] == correlation_id == f"{both.client.log_number}-1"


@on_each_loop
async def test_a_failure_that_was_awaited_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with pair(Things()) as both:
        await outcome(both.client.root.call("fail"))
    assert not unnoticed(caplog)


@on_each_loop
async def test_a_failure_that_is_awaited_after_the_event_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with pair(Things()) as both:
        failed = both.client.root.call("fail")
        unsendable = both.client.root.call("echo", object())
        await both.client.root.call("echo")
        assert failed.done
        assert isinstance(await outcome(failed), Broken)
        assert isinstance(await outcome(unsendable), pb.InsecureJelly)
        del failed, unsendable
        assert not unnoticed(caplog)


@on_each_loop
async def test_a_failure_that_was_awaited_by_a_task_cancelled_at_that_moment_is_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with pair(Gate()) as both:
        call = both.client.root.call("wait")
        task = asyncio.ensure_future(outcome(call))
        await turns()
        call.fail(Broken("now"))
        task.cancel()
        await asyncio.wait([task])
        del call, task
    assert not unnoticed(caplog)


@on_each_loop
async def test_a_call_that_was_cancelled_here_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with pair(Gate()) as both:
        both.client.root.call("wait").cancel()
        both.client.root.call_with(timeout=5).call("wait").cancel()
    assert not unnoticed(caplog)


@on_each_loop
async def test_a_failure_passed_on_to_a_call_of_the_result_is_logged_for_that_one_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with pair(Things()) as both:
        both.client.root.call("fail").call("note", 1)
        await both.client.root.call("echo")
        (record,) = unnoticed(caplog)
        assert "'note'" in record.getMessage()


# Giving up.


@on_each_loop
async def test_cancelling_one_awaiter_of_two_leaves_the_other_waiting() -> None:
    gate = Gate()
    async with pair(gate) as both:
        call = both.client.root.call("wait", "answer")
        first, second = asyncio.ensure_future(outcome(call)), asyncio.ensure_future(outcome(call))
        await gate.entered.get()
        first.cancel()
        await asyncio.wait([first])
        assert first.cancelled()
        assert not call.done
        gate.opened.set()
        assert await second == "answer"


@on_each_loop
async def test_cancelling_the_last_awaiter_abandons_the_call_at_once_and_its_late_answer_counts_for_nothing() -> None:
    gate = Gate()
    async with pair(gate) as both:
        call = both.client.root.call("wait", "late")
        task = asyncio.ensure_future(outcome(call))
        await gate.entered.get()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert call.done
        gate.opened.set()
        assert await both.client.root.call("wait", "next") == "next"
        assert isinstance(await outcome(call), CallCancelled)


@on_each_loop
async def test_cancelling_the_last_awaiter_leaves_a_call_whose_result_is_called() -> None:
    gate = Things()
    async with pair(gate) as both:
        call = both.client.root.call("thing_later")
        noted = call.call("note", 1)
        task = asyncio.ensure_future(outcome(call))
        await gate.entered.get()
        task.cancel()
        await asyncio.wait([task])
        gate.opened.set()
        assert await noted == [1]


@on_each_loop
async def test_cancelling_the_last_awaiter_abandons_a_call_whose_dependants_were_given_up() -> None:
    async with pair(Things()) as both:
        call = both.client.root.call("thing_later")
        call.call("note", 1).cancel()
        task = asyncio.ensure_future(outcome(call))
        await turns()
        task.cancel()
        await asyncio.wait([task])
        assert call.done


@on_each_loop
async def test_cancelling_a_call_ends_its_awaiters_and_dependants_in_call_cancelled() -> None:
    async with pair(Things()) as both:
        call = both.client.root.call("thing_later")
        dependant = call.call("note", 1)
        waiting = asyncio.gather(outcome(call), outcome(dependant))
        await turns()
        call.cancel()
        assert [type(error) for error in await waiting] == [CallCancelled, CallCancelled]


@on_each_loop
async def test_cancelling_a_call_that_is_done_changes_nothing() -> None:
    async with pair(Gate()) as both:
        call = both.client.root.call("echo", 1)
        await call
        call.cancel()
        assert await call == 1


# Options.


@on_each_loop
async def test_a_call_without_an_answer_in_time_ends_in_deadline_exceeded() -> None:
    gate = Gate()
    async with pair(gate) as both:
        call = both.client.root.call_with(timeout=0.01).call("wait", "late")
        with pytest.raises(DeadlineExceeded, match=r"'wait' within 0\.01 s"):
            await call
        gate.opened.set()
        assert await gate.entered.get() == "late"
        assert await both.client.root.call("echo", "alive") == "alive"
        assert isinstance(await outcome(call), TimeoutError)


@on_each_loop
async def test_an_answer_in_time_is_not_disturbed_by_the_timeout() -> None:
    async with pair(Gate()) as both:
        call = both.client.root.call_with(timeout=0.02).call("echo", "in time")
        await call
        passed = asyncio.Event()
        asyncio.get_running_loop().call_later(0.03, passed.set)
        await passed.wait()
        assert await call == "in time"


@on_each_loop
async def test_a_timeout_ends_a_call_that_nobody_awaits() -> None:
    async with pair(Gate()) as both:
        call = both.client.root.call_with(timeout=0.01).call("wait")
        dependant = call.call("anything")
        assert isinstance(await outcome(dependant), DeadlineExceeded)
        assert call.done


@over("none")
@on_each_loop
async def test_a_one_way_call_is_done_once_it_is_sent_and_is_never_answered() -> None:
    async with raw_server() as (url, peers), pb.connect(url) as connection:
        peer = await peers.get()
        call = connection.root.call_with(one_way=True).call("take", 1)
        assert call.done
        assert await call is None
        assert await peer.receive() == [b"message", 1, b"root", b"take", 0, [b"tuple", 1], [b"dictionary"]]
        assert len(connection.broker.books.pending) == 0


@on_each_loop
async def test_the_failure_of_a_one_way_call_is_known_where_it_ran_alone(caplog: pytest.LogCaptureFixture) -> None:
    class Failing(pb.Root):
        def remote_fail(self) -> None:
            raise ZeroDivisionError

    async with pair(Failing()) as both:
        assert await both.client.root.call_with(one_way=True).call("fail") is None
        await outcome(both.client.root.call("nothing"))
    assert "'fail' raised ZeroDivisionError()" in caplog.text
    assert not unnoticed(caplog)


@on_each_loop
async def test_a_one_way_call_that_cannot_be_sent_fails_like_any_other() -> None:
    async with pair(Sink()) as both:
        error = await outcome(both.client.root.call_with(one_way=True).call("take", object()))
        assert isinstance(error, pb.InsecureJelly)


@on_each_loop
async def test_no_option_collides_with_a_keyword_of_the_method() -> None:
    theirs = {"timeout": 1, "one_way": 2, "name": 3, "target": 4, "args": 5, "kwargs": 6, "options": 7, "call": 8}
    async with pair(Things()) as both:
        root = both.client.root
        assert await root.call("keywords", **theirs) == theirs
        assert await root.call_with(timeout=5).call("keywords", **theirs) == theirs
        assert await root.call("thing").call("itself").call("note", value=1) == [1]
