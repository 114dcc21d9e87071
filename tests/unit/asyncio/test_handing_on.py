"""Methods that return a call that they have made: what that ends in is their answer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import pellucid as pb
from tests.dialects import each_dialect, over
from tests.unit.asyncio.door import Gate, on_each_loop, outcome, pair, turns

pytestmark = each_dialect


class Asker(pb.Root):
    """Hands on what it is asked."""

    def __init__(self) -> None:
        self.made: list[pb.Call] = []
        self.asked = 0

    def remote_ask(self, whom: pb.RemoteReference, name: str, *args: Any) -> pb.Call:
        self.made.append(whom.call(name, *args))
        self.asked += 1
        return self.made[-1]

    def remote_again(self) -> pb.Call:
        return self.made[-1]

    def remote_count(self) -> int:
        return self.asked


class Answerer(Gate):
    def remote_refuse(self) -> None:
        raise pb.Error("not that")


@on_each_loop
async def test_what_the_call_results_in_is_the_answer() -> None:
    async with pair(Asker()) as both:
        assert await both.client.root.call("ask", Answerer(), "echo", [1, "two"]) == [1, "two"]


@on_each_loop
async def test_what_the_call_fails_with_is_the_error() -> None:
    async with pair(Asker()) as both:
        error = await outcome(both.client.root.call("ask", Answerer(), "refuse"))
        assert isinstance(error, pb.Error)
        assert str(error) == "not that"


@on_each_loop
async def test_a_call_that_has_ended_can_be_handed_on_as_well() -> None:
    async with pair(Asker()) as both:
        for _ in range(2):
            assert await both.client.root.call("ask", Answerer(), "echo", 7) == 7
            assert await both.client.root.call("again") == 7


@on_each_loop
async def test_no_task_is_made_for_it() -> None:
    asker, answerer = Asker(), Answerer()
    async with pair(asker) as both:
        await both.client.root.call("count")
        before = asyncio.all_tasks()
        calls = [both.client.root.call("ask", answerer, "wait", number) for number in range(10)]
        for _ in calls:
            await answerer.entered.get()
        # Each waits in one task, that of the coroutine at the client.
        assert len(asyncio.all_tasks() - before) == len(calls)
        answerer.opened.set()
        assert [await call for call in calls] == list(range(10))


@on_each_loop
async def test_it_counts_among_the_methods_begun_in_a_turn() -> None:
    answerer = Answerer()
    async with pair(Asker()) as both:
        both.served._runner.stirred = 0
        asked = both.client.root.call("ask", answerer, "wait", 1)
        await answerer.entered.get()
        assert both.served._runner.stirred == 1
        answerer.opened.set()
        await asked


@on_each_loop
async def test_meanwhile_it_counts_as_running() -> None:
    answerer = Answerer()
    async with pair(Asker(), limits=pb.Limits(running_calls=1)) as both:
        asked = both.client.root.call("ask", answerer, "wait", 1)
        await answerer.entered.get()
        assert both.served.usage["running_calls"].used == 1
        assert both.served.usage["running_bytes"].used > 0
        count = asyncio.ensure_future(both.client.root.call("count"))
        await turns()
        assert not count.done()
        answerer.opened.set()
        assert (await asked, await count) == (1, 1)
        assert both.served.usage["running_calls"].used == both.served.usage["running_bytes"].used == 0


@over("pellucid")
@on_each_loop
async def test_who_cancels_the_method_cancels_the_call() -> None:
    asker, answerer = Asker(), Answerer()
    async with pair(asker) as both:
        asked = both.client.root.call("ask", answerer, "wait", 1)
        await answerer.entered.get()
        asked.cancel()
        assert await answerer.cancelled.get() == 1
        assert isinstance(await outcome(asker.made[0]), pb.CallCancelled)
        assert await both.client.root.call("count") == 1
        assert both.served.usage["running_calls"].used == 0


@over("pellucid")
@on_each_loop
async def test_a_call_that_somebody_else_waits_for_goes_on() -> None:
    asker, answerer = Asker(), Answerer()
    async with pair(asker) as both:
        asked = both.client.root.call("ask", answerer, "wait", 1)
        await answerer.entered.get()
        again = both.client.root.call("again")
        await both.client.root.call("count")
        asked.cancel()
        await both.client.root.call("count")
        answerer.opened.set()
        assert await again == 1


@over("pellucid")
@on_each_loop
async def test_it_ends_at_the_deadline_of_the_method() -> None:
    asker, answerer = Asker(), Answerer()
    async with pair(asker) as both:
        error = await outcome(both.client.root.call_with(timeout=0.05).call("ask", answerer, "wait", 1))
        assert isinstance(error, pb.DeadlineExceeded)
        assert isinstance(await outcome(asker.made[0]), pb.DeadlineExceeded)
        assert await both.client.root.call("count") == 1
        assert both.served.usage["running_calls"].used == 0


@pytest.mark.parametrize("on_disconnect", ["cancel", "finish"])
@on_each_loop
async def test_it_ends_with_the_connection_that_it_was_made_on(on_disconnect: Any) -> None:
    asker, answerer = Asker(), Answerer()
    async with pair(asker, on_disconnect=on_disconnect) as both:
        asked = both.client.root.call("ask", answerer, "wait", 1)
        await answerer.entered.get()
        await both.client.close()
        assert isinstance(await outcome(asked), pb.PBConnectionLost)
        await both.served.wait_closed()
        assert isinstance(await outcome(asker.made[0]), pb.PBConnectionLost | pb.CallCancelled)
        await turns()
        assert both.served.usage["running_calls"].used == 0


@pytest.mark.parametrize(("on_disconnect", "cancelled"), [("cancel", True), ("finish", False)])
@on_each_loop
async def test_the_call_of_a_third_party_is_cancelled_where_methods_are(on_disconnect: Any, cancelled: bool) -> None:
    class Middle(pb.Root):
        def remote_ask(self) -> pb.Call:
            return beyond.client.root.call("wait", 1)

    gate = Gate()
    async with pair(gate) as beyond, pair(Middle(), on_disconnect=on_disconnect) as both:
        asked = both.client.root.call("ask")
        await gate.entered.get()
        await both.client.close()
        assert isinstance(await outcome(asked), pb.PBConnectionLost)
        await both.served.wait_closed()
        gate.opened.set()
        if beyond.client.dialect == "pellucid" and cancelled:
            assert await gate.cancelled.get() == 1
        else:
            assert await gate.left.get() == 1
