"""Calls made together, through the asyncio door, in each dialect."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import pellucid as pb
from pellucid.errors import DeadReferenceError, ForeignReference, Overloaded, PBConnectionLost
from tests.dialects import each_dialect, over
from tests.unit.asyncio.door import on_each_loop, outcome, pair
from tests.unit.asyncio.pipe import piped
from tests.unit.asyncio.things import Broken, Things

pytestmark = each_dialect


@on_each_loop
async def test_many_calls_give_one_list_of_results() -> None:
    async with pair(Things()) as both:
        root = both.client.root
        assert await pb.gather(*(root.prepare("echo", number) for number in range(1_000))) == list(range(1_000))
        assert await pb.gather() == []
        assert [*await asyncio.gather(pb.gather(root.prepare("echo", 1)), pb.gather())] == [[1], []]


@on_each_loop
async def test_plain_methods_and_coroutines_run_side_by_side() -> None:
    things = Things()
    async with pair(things) as both:
        root = both.client.root
        whole = pb.gather(root.prepare("wait", 1), root.prepare("echo", 2), root.prepare("wait", 3))
        assert [await things.entered.get(), await things.entered.get()] == [1, 3]
        assert not whole.done
        things.opened.set()
        assert await whole == [1, 2, 3]


@on_each_loop
async def test_an_error_is_raised_or_stands_among_the_results() -> None:
    async with pair(Things()) as both:
        prepared = [both.client.root.prepare(name) for name in ("echo", "fail", "nonsense")]
        with pytest.raises(Broken):
            await pb.gather(*prepared)
        results = await pb.gather(*prepared, return_exceptions=True)
        assert [type(result).__name__ for result in results] == ["NoneType", "Broken", "NoSuchMethod"]


@on_each_loop
async def test_more_calls_than_run_at_a_time_wait_for_their_turn() -> None:
    async with pair(Things(), limits=pb.Limits(running_calls=2)) as both:
        root = both.client.root
        assert await pb.gather(*(root.prepare("echo", number) for number in range(100))) == list(range(100))


@on_each_loop
async def test_whatever_can_be_made_of_dead_or_foreign_references_fails_at_once() -> None:
    async with pair(Things()) as both, pair(Things()) as other:
        with pytest.raises(ForeignReference):
            pb.gather(both.client.root.prepare("echo"), other.client.root.prepare("echo"))
        prepared = other.client.root.prepare("echo")
    with pytest.raises(DeadReferenceError):
        pb.gather(prepared)


@on_each_loop
async def test_the_end_of_the_connection_is_that_of_the_whole() -> None:
    things = Things()
    async with pair(things) as both:
        whole = pb.gather(both.client.root.prepare("wait"), both.client.root.prepare("echo"))
        await things.entered.get()
        both.served.abort("test")
        assert isinstance(await outcome(whole), PBConnectionLost)


@over("pellucid")
@on_each_loop
async def test_calls_made_together_obey_the_limit_of_what_waits() -> None:
    connection, pipe = piped(Things(), limits=pb.Limits(queued_bytes=10_000))
    wholes: list[Any] = []
    overloaded = False
    while not overloaded:
        assert len(wholes) < 100
        try:
            wholes.append(pb.gather(*(connection.root.prepare("echo", "x" * 100) for _ in range(10))))
        except Overloaded:
            overloaded = True
        await asyncio.sleep(0)
    assert pipe.most < 25_000
    for whole in wholes:
        whole.cancel()
    pipe.end()
