"""Calls of a result, and with a result, that has not come yet."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

import pellucid as pb
from pellucid.errors import DeadlineExceeded, DeadReferenceError, NotAReference, PBConnectionLost
from tests.dialects import each_dialect, over
from tests.unit.asyncio.door import RawPeer, on_each_loop, outcome, pair, raw_server
from tests.unit.asyncio.things import Broken, Thing, Things

pytestmark = each_dialect


async def answer(peer: RawPeer, name: bytes, jelly: object) -> int:
    """Expect a call of `name` and answer it."""
    message = await peer.receive()
    assert message[3] == name
    peer.send(b"answer", message[1], jelly)
    target: int = message[2]
    return target


@over("none")
@on_each_loop
async def test_a_call_of_a_result_is_sent_once_that_is_known() -> None:
    async with raw_server() as (url, peers), pb.connect(url) as connection:
        peer = await peers.get()
        first = connection.root.call("first")
        second = first.call("second")
        unrelated = connection.root.call("unrelated")
        received = [await peer.receive(), await peer.receive()]
        assert [message[3] for message in received] == [b"first", b"unrelated"]
        peer.send(b"answer", received[0][1], [b"remote", 7])
        assert await answer(peer, b"second", 2) == 7
        assert await second == 2
        unrelated.cancel()


@over("none")
@on_each_loop
async def test_calls_of_a_result_keep_their_order_before_and_after_it_is_known() -> None:
    async with raw_server() as (url, peers), pb.connect(url) as connection:
        peer = await peers.get()
        first = connection.root.call("first")
        calls = [first.call("a"), first.call("b")]
        task = asyncio.ensure_future(outcome(first))
        await answer(peer, b"first", [b"remote", 7])
        reference = await task
        calls += [first.call("c"), reference.call("d")]
        assert [(await peer.receive())[2:4] for _ in calls] == [[7, b"a"], [7, b"b"], [7, b"c"], [7, b"d"]]
        for call in calls:
            call.cancel()


@on_each_loop
async def test_calls_of_results_can_be_chained() -> None:
    async with pair(Things()) as both:
        assert await both.client.root.call("thing").call("itself").call("itself").call("note", "far") == ["far"]


@on_each_loop
async def test_a_call_of_a_result_that_has_come_goes_out_at_once() -> None:
    async with pair(Things()) as both:
        first = both.client.root.call("thing")
        await first
        assert await first.call("note", 1) == [1]


@on_each_loop
async def test_the_error_of_a_call_is_the_error_of_the_calls_of_its_result() -> None:
    async with pair(Things()) as both:
        first = both.client.root.call("fail")
        second = first.call("second")
        third = second.call("third")
        errors = [await outcome(call) for call in (third, second, first, first.call("late"))]
        assert isinstance(errors[0], Broken)
        assert all(error is errors[0] for error in errors)


@pytest.mark.parametrize("result", [1, None, [b"list"]])
@on_each_loop
async def test_a_call_of_a_result_that_is_no_reference_fails(result: Any) -> None:
    async with pair(Things()) as both:
        with pytest.raises(NotAReference, match=f"'echo' returned a {type(result).__name__}.*'note'"):
            await both.client.root.call("echo", result).call("note", 1)


@on_each_loop
async def test_an_object_of_our_own_that_comes_home_is_no_reference() -> None:
    async with pair(Things()) as both:
        error = await outcome(both.client.root.call("echo", Thing([])).call("note", 1))
        assert isinstance(error, NotAReference)


@on_each_loop
async def test_a_call_of_a_result_that_was_given_up_is_not_run() -> None:
    gate = Things()
    async with pair(gate) as both:
        first = both.client.root.call("thing_later")
        first.call("note", "given up").cancel()
        kept = first.call("note", "kept")
        await both.client.root.call("echo")
        gate.opened.set()
        assert await kept == ["kept"]


@on_each_loop
async def test_a_call_of_a_result_that_was_released_fails() -> None:
    async with pair(Things()) as both:
        first = both.client.root.call("thing")
        (await first).release()
        assert isinstance(await outcome(first.call("note", 1)), DeadReferenceError)


@over("none")
@on_each_loop
async def test_the_calls_of_a_result_that_never_came_were_certainly_not_sent() -> None:
    async with raw_server() as (url, peers), pb.connect(url) as connection:
        first = connection.root.call("first")
        second = first.call("second")
        peer = await peers.get()
        await peer.receive()
        await peer.close()
        errors = [await outcome(first), await outcome(second)]
        assert [type(error) for error in errors] == [PBConnectionLost, PBConnectionLost]
        assert [error.sent for error in errors] == [True, False]


# As an argument.


@over("none")
@on_each_loop
async def test_a_call_with_a_result_is_sent_once_that_is_known_and_later_ones_of_that_object_behind_it() -> None:
    async with raw_server() as (url, peers), pb.connect(url) as connection:
        peer = await peers.get()
        first = connection.root.call("first")
        calls = [connection.root.call("second", first), connection.root.call("third")]
        await answer(peer, b"first", 7)
        received = [await peer.receive(), await peer.receive()]
        assert [(message[3], message[5]) for message in received] == [
            (b"second", [b"tuple", 7]),
            (b"third", [b"tuple"]),
        ]
        for call in calls:
            call.cancel()


@on_each_loop
async def test_results_can_be_combined_without_awaiting_any() -> None:
    async with pair(Things()) as both:
        root = both.client.root
        thing = root.call("thing")
        combined = root.call("keywords", number=root.call("echo", 1), thing=thing, noted=thing.call("note", "x"))
        assert await combined == {"number": 1, "thing": await thing, "noted": ["x"]}


@on_each_loop
async def test_cancelling_the_last_awaiter_leaves_a_call_whose_result_is_an_argument() -> None:
    gate = Things()
    async with pair(gate) as both:
        call = both.client.root.call("thing_later")
        dependant = both.client.root.call("echo", call)
        task = asyncio.ensure_future(outcome(call))
        await gate.entered.get()
        task.cancel()
        await asyncio.wait([task])
        gate.opened.set()
        assert await dependant is await call


@on_each_loop
async def test_a_timeout_counts_from_when_the_call_is_made_and_lets_others_go_on() -> None:
    async with pair(Things()) as both:
        root = both.client.root
        late = root.call("thing_later")
        waiting = root.call_with(timeout=0.01).call("echo", late)
        behind = root.call("echo", "behind")
        assert isinstance(await outcome(waiting), DeadlineExceeded)
        assert await behind == "behind"
        late.cancel()


@on_each_loop
async def test_a_failure_passed_on_to_a_call_that_it_is_an_argument_of_is_logged_for_that_one_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with pair(Things()) as both:
        both.client.root.call("echo", both.client.root.call("fail"))
        await both.client.root.call("echo")
        gc.collect()
        (record,) = [record for record in caplog.records if vars(record).get("event") == "call.unnoticed"]
        assert "'echo'" in record.getMessage()


@on_each_loop
async def test_a_method_that_takes_the_whole_call_may_be_a_coroutine() -> None:
    class Logged(pb.Root):
        async def remoteMessageReceived(self, broker: Any, message: str, args: Any, kw: Any) -> Any:
            result = super().remoteMessageReceived(broker, message, args, kw)
            return message, await result

        async def remote_echo(self, value: Any) -> Any:
            return value

    async with pair(Logged()) as both:
        assert await both.client.root.call("echo", 1) == ("echo", 1)
