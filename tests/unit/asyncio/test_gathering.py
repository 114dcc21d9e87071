"""Calls made together, through the asyncio door, in each dialect."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import pellucid as pb
from pellucid.errors import (
    CallCancelled,
    DeadlineExceeded,
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


@on_each_loop
async def test_what_all_of_them_end_in_stands_among_the_results_for_each() -> None:
    async with pair(Things()) as both:
        prepared = [both.client.root.prepare(name) for name in ("echo", "wait")]
        whole = pb.gather(*prepared, return_exceptions=True)
        await turns(3)
        both.client.abort("for the test")
        assert [type(result) for result in await whole][-1] is PBConnectionLost
        with pytest.raises(DeadReferenceError):
            pb.gather(*prepared, return_exceptions=True)


@on_each_loop
async def test_what_cannot_be_sent_is_an_error_among_the_results_of_the_others() -> None:
    async with pair(Things()) as both:
        prepared = [both.client.root.prepare("echo", value) for value in (1, object(), 3)]
        first, second, third = await pb.gather(*prepared, return_exceptions=True)
        assert (first, type(second), third) == (1, InsecureJelly, 3)


@on_each_loop
async def test_a_timeout_is_that_of_the_whole_whatever_stands_among_results() -> None:
    async with pair(Things()) as both:
        prepared = [both.client.root.prepare(name) for name in ("echo", "wait")]
        with pytest.raises(DeadlineExceeded):
            await pb.gather(*prepared, return_exceptions=True, timeout=0.01)


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


class Nosy(Things):
    """Tells which call is running, at once and from a task that goes on after the method."""

    def __init__(self) -> None:
        super().__init__()
        self.told_later: list[asyncio.Task[str]] = []

    def remote_which(self) -> str:
        return pb.current_call().correlation_id

    async def remote_which_coroutine(self) -> str:
        await asyncio.sleep(0)
        return pb.current_call().correlation_id

    def remote_start(self) -> None:
        self.told_later.append(asyncio.ensure_future(self.remote_which_coroutine()))


@on_each_loop
async def test_each_of_many_calls_knows_which_it_is_and_so_does_what_it_started(dialect: str) -> None:
    nosy = Nosy()
    async with pair(nosy) as both:
        root = both.client.root
        single = await root.call("which")
        ids = [await pb.gather(*(root.prepare(name) for _ in range(3))) for name in ("which", "which_coroutine")]
        await pb.gather(*(root.prepare("start") for _ in range(3)))
        ids.append(await asyncio.gather(*nosy.told_later))
        assert len({single, *ids[0], *ids[1], *ids[2]}) == 10
        number = both.client.log_number if dialect == "pellucid" else both.served.log_number
        assert {each.split("-")[0] for each in (*ids[0], *ids[1], *ids[2])} == {number}


@on_each_loop
async def test_what_one_of_many_calls_changes_counts_for_the_next() -> None:
    class Successor(Things):
        def remote_replace(self) -> str:
            return "the successor"

    class Abdicating(Things):
        def remote_replace(self) -> str:
            both.served.broker.publish(Successor())
            return "abdicated"

        def remote_learn(self) -> str:
            self.remote_learn = lambda: "learned"  # type: ignore[method-assign]
            return "what?"

        def remote_forget(self) -> str:
            del Abdicating.remote_forget
            return "forgotten"

    async with pair(Abdicating()) as both:
        root = both.client.root
        assert await pb.gather(root.prepare("learn"), root.prepare("learn")) == ["what?", "learned"]
        results = await pb.gather(*[root.prepare("forget")] * 2, return_exceptions=True)
        assert [results[0], type(results[1])] == ["forgotten", NoSuchMethod]
        assert await pb.gather(*[root.prepare("replace")] * 3) == ["abdicated", "the successor", "the successor"]


class Person(pb.Avatar):
    def perspective_name(self, number: int) -> tuple[str, int]:
        return type(pb.current_call().avatar).__name__, number

    def perspective_thing(self, number: int) -> pb.Referenceable:
        return pb.Referenceable()


class Realm:
    def request_avatar(self, avatar_id: str, mind: Any) -> Person:
        return Person()


@on_each_loop
async def test_many_calls_of_an_avatar_are_seen_through_its_eyes() -> None:
    async with pair(pb.Portal(Realm(), [pb.AllowAnonymous()])) as both:
        avatar = await both.client.login(pb.credentials.Anonymous())
        prepared = [avatar.prepare(name, number) for number, name in enumerate(["name", "name", "thing", "name"])]
        first, second, thing, last = await pb.gather(*prepared)
        assert [first, second, last] == [("Person", number) for number in (0, 1, 3)]
        assert isinstance(thing, pb.RemoteReference)


@on_each_loop
async def test_a_promise_among_the_arguments_of_many_calls_is_waited_for() -> None:
    things = Things()
    async with pair(things) as both:
        root = both.client.root
        promise = root.call("wait", 5)
        whole = pb.gather(root.prepare("echo", 1), root.prepare("echo", promise))
        await things.entered.get()
        things.opened.set()
        assert await whole == [1, 5]
        assert await pb.gather(root.prepare("echo", 2)) == [2]


@on_each_loop
async def test_giving_many_calls_up_spares_those_that_have_ended() -> None:
    things = Things()
    async with pair(things) as both:
        root = both.client.root
        whole = pb.gather(root.prepare("echo", 1), root.prepare("wait", 2), root.prepare("echo", 3))
        await things.entered.get()
        whole.cancel()
        assert isinstance(await outcome(whole), CallCancelled)
        assert await root.call("echo", 4) == 4
        await turns()
        assert both.served.usage["running_calls"].used == (0 if both.client.dialect == "pellucid" else 1)
        things.opened.set()
