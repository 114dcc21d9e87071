"""Calls of a result that has not come yet."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import pellucid as pb
from pellucid.errors import DeadReferenceError, NotAReference, PBConnectionLost
from tests.unit.asyncio.door import RawPeer, on_each_loop, outcome, pair, raw_server
from tests.unit.asyncio.things import Broken, Thing, Things


async def answer(peer: RawPeer, name: bytes, jelly: object) -> int:
    """Expect a call of `name` and answer it."""
    message = await peer.receive()
    assert message[3] == name
    peer.send(b"answer", message[1], jelly)
    target: int = message[2]
    return target


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
async def test_a_call_of_a_result_that_was_given_up_is_not_sent() -> None:
    gate = Things()
    async with pair(gate) as both:
        first = both.client.root.call("thing_later")
        first.call("note", "given up").cancel()
        kept = first.call("note", "kept")
        gate.opened.set()
        assert await kept == ["kept"]


@on_each_loop
async def test_a_call_of_a_result_that_was_released_fails() -> None:
    async with pair(Things()) as both:
        first = both.client.root.call("thing")
        (await first).release()
        assert isinstance(await outcome(first.call("note", 1)), DeadReferenceError)


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
