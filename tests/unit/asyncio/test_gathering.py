"""Calls made together, through the asyncio door, in each dialect."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import pellucid as pb
from pellucid.errors import (
    CallCancelled,
    DeadReferenceError,
    ForeignReference,
    InsecureJelly,
    NoSuchMethod,
    Overloaded,
    PBConnectionLost,
)
from tests.dialects import each_dialect, over
from tests.unit.asyncio.door import on_each_loop, outcome, pair, turns
from tests.unit.asyncio.pipe import piped
from tests.unit.asyncio.things import Broken, Thing, Things

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


class Mixed(Things):
    """Ends calls in every way there is, and notes in which order they began."""

    def __init__(self) -> None:
        super().__init__()
        self.began: list[int] = []

    def remote_plain(self, number: int) -> int:
        self.began.append(number)
        return number

    async def remote_at_once(self, number: int) -> int:
        self.began.append(number)
        return number

    async def remote_in_a_while(self, number: int) -> int:
        self.began.append(number)
        await asyncio.sleep(0)
        return number

    def remote_raise(self, number: int) -> None:
        self.began.append(number)
        raise Broken(str(number))

    def remote_give_up(self, number: int) -> None:
        self.began.append(number)
        raise asyncio.CancelledError

    def remote_object(self, number: int) -> Thing:
        self.began.append(number)
        return self.thing

    def remote_unsendable(self, number: int) -> object:
        self.began.append(number)
        return object()


@pytest.mark.parametrize("running_calls", [1, 2, 256])
@pytest.mark.parametrize("first", range(8))
@on_each_loop
async def test_calls_begin_in_their_order_and_each_has_its_own_outcome(running_calls: int, first: int) -> None:
    ways = ["plain", "at_once", "raise", "plain", "in_a_while", "give_up", "object", "unsendable", "plain", "nonsense"]
    ways = ways[first:] + ways[:first]
    mixed = Mixed()
    async with pair(mixed, limits=pb.Limits(running_calls=running_calls)) as both:
        prepared = [both.client.root.prepare(way, number) for number, way in enumerate(ways * 3)]
        results = await pb.gather(*prepared, return_exceptions=True)
        assert mixed.began == [number for number, way in enumerate(ways * 3) if way != "nonsense"]
        for number, (way, result) in enumerate(zip(ways * 3, results, strict=True)):
            match way:
                case "raise":
                    assert (type(result), str(result)) == (Broken, str(number))
                case "give_up":
                    assert isinstance(result, CallCancelled)
                case "object":
                    assert await result.call("itself") is result
                case "unsendable":
                    assert isinstance(result, InsecureJelly)
                case "nonsense":
                    assert isinstance(result, NoSuchMethod)
                case _:
                    assert result == number
        await turns()
        assert both.served.usage["running_calls"].used == 0


@over("pellucid")
@on_each_loop
async def test_a_method_that_ends_the_connection_is_the_last_that_runs() -> None:
    class Closing(Mixed):
        def remote_close(self, number: int) -> int:
            both.served.abort("for the test")
            return number

    mixed = Closing()
    async with pair(mixed) as both:
        root = both.client.root
        whole = pb.gather(root.prepare("plain", 1), root.prepare("close", 2), root.prepare("plain", 3))
        assert isinstance(await outcome(whole), PBConnectionLost)
        assert mixed.began == [1]


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
