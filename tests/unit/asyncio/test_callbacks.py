"""The end of a connection: in which order who is told, and that nothing is left."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

import pellucid as pb
from pellucid.errors import DeadReferenceError, PBConnectionLost
from tests.dialects import each_dialect, over
from tests.unit.asyncio.door import (
    Gate,
    crowd,
    on_each_loop,
    outcome,
    pair,
    raw_server,
    turns,
)

pytestmark = each_dialect


class Ducks(pb.Cacheable):
    def __init__(self, events: list[str]) -> None:
        self.events = events
        self.observers: list[pb.Observer] = []

    def get_state_to_cache_and_observe_for(self, perspective: Any, observer: pb.Observer) -> dict[str, int]:
        self.observers.append(observer)
        return {"count": 1}

    def stopped_observing(self, perspective: Any, observer: pb.Observer) -> None:
        self.observers.remove(observer)
        self.events.append("stopped observing")


class DucksSeen(pb.RemoteCache):
    count: int

    def observe_count(self, count: int) -> None:
        self.count = count


class Pond(pb.Root):
    def __init__(self, events: list[str]) -> None:
        self.ducks = Ducks(events)
        self.kept: list[pb.RemoteReference] = []

    def remote_keep(self, reference: pb.RemoteReference) -> None:
        self.kept.append(reference)

    def remote_nest(self) -> pb.Referenceable:
        return pb.Referenceable()

    def remote_ducks(self) -> Ducks:
        return self.ducks


def duck_watching() -> pb.Registry:
    registry = pb.Registry()
    registry.register(DucksSeen, Ducks)
    return registry


def held(connection: pb.Connection) -> dict[str, int]:
    """How much stands in the tables of `connection`."""
    books = connection.broker.books
    return {
        "calls": len(books.pending),
        "exports": len(books.exports),
        "imports": len(books.imports),
        "caches": len(books.cache_exports) + len(books.cache_imports),
        "notices": len(books.notices or ()),
    }


EMPTY = {"calls": 0, "exports": 0, "imports": 0, "caches": 0, "notices": 0}


async def end_of(connection: pb.Connection) -> None:
    connection.abort("for the test")
    await connection.wait_closed()


@on_each_loop
async def test_at_the_end_calls_fail_then_awaiters_run_then_observers_stop_then_notices_come_in_order() -> None:
    events: list[str] = []
    pond = Pond(events)

    async def awaiter() -> None:
        with pytest.raises(PBConnectionLost):
            await pond.kept[0].call("wait")
        events.append("awaiter")

    async with pair(pond, client={"registry": duck_watching()}) as both:
        gate = Gate()
        ducks = await both.client.root.call("ducks")
        await both.client.root.call("keep", gate)
        both.served.notify_on_disconnect(lambda: events.append(f"first notice, dead={not pond.kept[0].alive}"))
        task = asyncio.ensure_future(awaiter())
        await gate.entered.get()
        both.served.notify_on_disconnect(lambda: events.append("second notice"))
        await end_of(both.served)
        await task
        assert ducks.count == 1
    assert events == ["awaiter", "stopped observing", "first notice, dead=True", "second notice"]


@over("none")
@on_each_loop
async def test_an_awaiter_that_waits_for_room_runs_before_the_notices_too() -> None:
    events: list[str] = []

    async def awaiter(call: pb.Call) -> None:
        assert isinstance(await outcome(call), PBConnectionLost)
        events.append("awaiter")

    async with raw_server() as (url, peers):
        connection = await pb.connect(url, limits=pb.Limits(queued_bytes=200_000))
        await peers.get()
        call = await crowd(connection)
        connection.notify_on_disconnect(lambda: events.append("notice"))
        task = asyncio.ensure_future(awaiter(call))
        await turns()
        await end_of(connection)
        await task
    assert events == ["awaiter", "notice"]


@on_each_loop
async def test_each_notice_is_given_exactly_once_even_where_others_raise(caplog: pytest.LogCaptureFixture) -> None:
    given: list[str] = []

    def raising(error: BaseException) -> Callable[[], None]:
        def notice() -> None:
            given.append(type(error).__name__)
            raise error

        return notice

    async def raising_later() -> None:
        given.append("async")
        raise ValueError("raised by an async notice")

    async with pair(Gate()) as both:
        connection = both.client
        connection.notify_on_disconnect(raising(ZeroDivisionError()))
        connection.notify_on_disconnect(raising_later)
        connection.notify_on_disconnect(raising(asyncio.CancelledError()))
        connection.notify_on_disconnect(raising(BaseException()))
        connection.notify_on_disconnect(lambda: given.append("last"))
        await connection.close()
        await connection.close()
        connection.abort("once more")
        await turns()
    assert sorted(given) == ["BaseException", "CancelledError", "ZeroDivisionError", "async", "last"]
    assert "a callback raised ZeroDivisionError()" in caplog.text
    assert "raised by an async notice" in caplog.text


@on_each_loop
async def test_a_cacheable_that_raises_when_nobody_observes_any_more_stops_no_notice(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Clumsy(Ducks):
        def stopped_observing(self, perspective: Any, observer: pb.Observer) -> None:
            raise ZeroDivisionError

    registry = pb.Registry()
    registry.register(DucksSeen, Clumsy)
    pond = Pond([])
    pond.ducks = Clumsy([])
    given: list[str] = []
    async with pair(pond, client={"registry": registry}) as both:
        await both.client.root.call("ducks")
        both.served.notify_on_disconnect(lambda: given.append("notice"))
        await end_of(both.served)
    assert given == ["notice"]
    assert "ZeroDivisionError" in caplog.text


@on_each_loop
async def test_closing_returns_when_async_notices_have_ended() -> None:
    given: list[str] = []

    async def slow() -> None:
        await turns(20)
        given.append("slow")

    async with pair(Gate()) as both:
        both.client.notify_on_disconnect(slow)
        await both.client.close()
        assert given == ["slow"]


@pytest.mark.parametrize("wait", [pb.Connection.wait_closed, pb.Connection.close])
@on_each_loop
async def test_an_async_notice_may_wait_for_the_end_itself(wait: Callable[[pb.Connection], Any]) -> None:
    given: list[str] = []

    async with pair(Gate()) as both:

        async def notice() -> None:
            await wait(both.client)
            given.append("notice")

        both.client.notify_on_disconnect(notice)
        async with asyncio.timeout(1):
            await both.client.close()
        await turns()
        assert given == ["notice"]


@on_each_loop
async def test_a_notice_that_was_taken_back_is_not_given() -> None:
    given: list[str] = []
    async with pair(Gate()) as both:
        take_back = both.client.notify_on_disconnect(lambda: given.append("taken back"))
        both.client.notify_on_disconnect(lambda: given.append("kept"))
        take_back()
        take_back()
        await both.client.close()
    assert given == ["kept"]


@on_each_loop
async def test_a_notice_can_be_taken_back_by_whoever_awaited_a_call_that_failed() -> None:
    given: list[str] = []
    gate = Gate()
    async with pair(gate) as both:

        async def careful() -> None:
            take_back = both.client.notify_on_disconnect(lambda: given.append("taken back"))
            try:
                await both.client.root.call("wait")
            finally:
                take_back()

        task = asyncio.ensure_future(outcome(careful()))
        await gate.entered.get()
        await end_of(both.client)
        assert isinstance(await task, PBConnectionLost)
    assert not given


@on_each_loop
async def test_a_notice_can_be_taken_back_by_an_earlier_one() -> None:
    given: list[str] = []
    async with pair(Gate()) as both:
        both.client.notify_on_disconnect(lambda: take_back())
        take_back = both.client.notify_on_disconnect(lambda: given.append("taken back"))
        await both.client.close()
    assert not given


@on_each_loop
async def test_a_reference_tells_of_the_disconnect_with_itself() -> None:
    given: list[pb.RemoteReference] = []
    async with pair(Pond([])) as both:
        things = [await both.client.root.call("nest"), await both.client.root.call("nest")]
        for thing in things:
            thing.notify_on_disconnect(given.append)
        things[0].notify_on_disconnect(given.append)()
        await both.client.close()
        assert len(given) == 2
        assert all(told is thing for told, thing in zip(given, things, strict=True))


@on_each_loop
async def test_a_released_reference_tells_of_nothing_any_more() -> None:
    async with pair(Pond([])) as both:
        thing = await both.client.root.call("nest")
        thing.release()
        with pytest.raises(DeadReferenceError):
            thing.notify_on_disconnect(print)


# Afterwards.


@on_each_loop
async def test_when_the_connection_has_ended_every_table_is_empty() -> None:
    pond = Pond([])
    async with pair(pond, client={"registry": duck_watching()}) as both:
        gate = Gate()
        ducks = await both.client.root.call("ducks")
        await both.client.root.call("keep", gate)
        call = pond.kept[0].call("wait")
        await gate.entered.get()
        assert held(both.served) == {"calls": 1, "exports": 0, "imports": 1, "caches": 1, "notices": 0}
        assert held(both.client) == {"calls": 0, "exports": 1, "imports": 0, "caches": 1, "notices": 0}
        await both.client.close()
        await both.served.wait_closed()
        assert held(both.served) == held(both.client) == EMPTY
        assert not both.server.connections
        assert await gate.cancelled.get() is None
        del ducks, call
