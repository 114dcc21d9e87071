from __future__ import annotations

import asyncio
import gc
import logging
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import pellucid as pb
from pellucid.errors import DeadReferenceError, PBConnectionLost
from tests.unit.asyncio.door import HERE, LOOPS, Gate, crowd, on_each_loop, outcome, pair, raw_server, run, turns


class Thing(pb.Referenceable):
    def remote_ping(self) -> str:
        return "pong"


class Things(Gate):
    """Hands out things that it does not hold itself, and tells when one is forgotten."""

    def __init__(self) -> None:
        super().__init__()
        self.forgotten = asyncio.Event()
        self.made = 0

    def remote_new(self) -> Thing:
        thing = Thing()
        self.made += 1
        weakref.finalize(thing, self.forgotten.set)
        return thing

    def remote_newer(self) -> list[Thing]:
        return [self.remote_new(), self.remote_new()]


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
        "notices": len(books.notices),
    }


EMPTY = {"calls": 0, "exports": 0, "imports": 0, "caches": 0, "notices": 0}


# References.


@on_each_loop
async def test_a_released_reference_is_dead_at_once_and_its_object_is_forgotten() -> None:
    things = Things()
    async with pair(things) as both:
        thing = await both.client.root.call("new")
        thing.release()
        with pytest.raises(DeadReferenceError, match="was released"):
            thing.call("ping")
        await things.forgotten.wait()
        assert held(both.client)["imports"] == 0


@on_each_loop
async def test_releasing_twice_gives_back_no_more_than_was_received() -> None:
    async with pair(Things()) as both:
        thing = await both.client.root.call("new")
        thing.release()
        thing.release()
        assert await both.client.root.call("echo", "alive") == "alive"


@on_each_loop
async def test_a_reference_received_twice_is_alive_until_it_is_released_twice() -> None:
    class Same(pb.Root):
        thing = Thing()

        def remote_same(self) -> Thing:
            return self.thing

    async with pair(Same()) as both:
        thing, again = await both.client.root.call("same"), await both.client.root.call("same")
        assert again is thing
        thing.release()
        assert await thing.call("ping") == "pong"
        thing.release()
        assert not thing.alive
        newer = await both.client.root.call("same")
        assert newer is not thing
        assert await newer.call("ping") == "pong"


@on_each_loop
async def test_leaving_the_block_of_a_reference_releases_it() -> None:
    things = Things()
    async with pair(things) as both:
        async with await both.client.root.call("new") as thing:
            assert await thing.call("ping") == "pong"
        assert not thing.alive
        await things.forgotten.wait()


@on_each_loop
async def test_the_root_can_be_called_after_it_was_released() -> None:
    async with pair(Things()) as both:
        both.client.root.release()
        assert await both.client.root.call("echo", 1) == 1


@on_each_loop
async def test_a_reference_that_nobody_holds_is_released_on_an_idle_connection() -> None:
    things = Things()
    async with pair(things) as both:
        await both.client.root.call("new")
        gc.collect()
        await things.forgotten.wait()


@on_each_loop
async def test_a_reference_dropped_in_another_thread_is_released_on_an_idle_connection() -> None:
    things = Things()
    async with pair(things) as both:
        held_there = await both.client.root.call("newer")
        dropping = threading.Thread(target=held_there.clear)
        dropping.start()
        await things.forgotten.wait()
        dropping.join()
        while held(both.served)["exports"]:
            await turns(1)
        assert held(both.client)["imports"] == 0


@on_each_loop
async def test_dropping_a_reference_sends_nothing_by_itself() -> None:
    class Dropping(pb.Root):
        def __init__(self) -> None:
            self.kept: list[Any] = []

        def remote_keep(self, thing: pb.RemoteReference) -> None:
            self.kept.append(thing)

        def remote_much(self) -> bytes:
            return bytes(200_000)

        def remote_drop(self) -> bool:
            queued = [both.served.broker.queued_bytes]
            self.kept.clear()
            return both.served.broker.queued_bytes == queued[0]

    async with pair(Dropping()) as both:
        root = both.client.root
        await root.call("keep", Thing())
        assert (await asyncio.gather(root.call("much"), root.call("drop")))[1]


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # a loop that is closed first leaves its transports behind
@pytest.mark.parametrize("new_loop", LOOPS.values(), ids=LOOPS)
def test_references_dropped_after_the_loop_was_closed_are_silent(
    new_loop: Callable[[], asyncio.AbstractEventLoop], caplog: pytest.LogCaptureFixture
) -> None:
    async def left_behind() -> tuple[list[Any], pb.Connection]:
        server = await pb.serve(Things(), HERE)
        connection = await pb.connect(server.urls[0])
        return await connection.root.call("newer"), connection

    things, connection = run(left_behind(), new_loop)
    assert not connection.is_closed
    things.pop()
    dropping = threading.Thread(target=things.clear)
    dropping.start()
    dropping.join()
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    del connection
    gc.collect()


# Dead references, and calls under way.


@on_each_loop
async def test_calling_over_a_closed_connection_raises_dead_reference_error_synchronously() -> None:
    async with pair(Things()) as both:
        thing = await both.client.root.call("new")
        await both.client.close()
        for reference in thing, both.client.root:
            with pytest.raises(DeadReferenceError):
                reference.call("ping")
            with pytest.raises(DeadReferenceError):
                reference.call_with(one_way=True).call("ping")
            with pytest.raises(DeadReferenceError):
                reference.notify_on_disconnect(print)
        with pytest.raises(DeadReferenceError):
            both.client.notify_on_disconnect(print)


@on_each_loop
async def test_a_dead_reference_cannot_be_sent() -> None:
    async with pair(Things()) as both:
        thing = await both.client.root.call("new")
        thing.release()
        assert isinstance(await outcome(both.client.root.call("echo", thing)), DeadReferenceError)


@on_each_loop
async def test_calls_under_way_fail_and_tell_whether_they_were_sent() -> None:
    async with pair(Gate()) as both:
        sent = both.client.root.call("wait")
        unsent = both.client.root.call("wait")  # further calls wait for the end of this turn of the loop
        both.client.abort("for the test")
        errors = [await outcome(sent), await outcome(unsent)]
        assert [type(error) for error in errors] == [PBConnectionLost, PBConnectionLost]
        assert [error.sent for error in errors] == [True, False]


@on_each_loop
async def test_closing_sends_what_waits_to_be_sent() -> None:
    gate = Gate()
    async with pair(gate) as both:
        calls = [both.client.root.call("wait", number) for number in range(3)]
        both.client.root.call_with(one_way=True).call("wait", 3)
        await both.client.close()
        assert [(await outcome(call)).sent for call in calls] == [True, True, True]
        assert [await gate.entered.get() for _ in range(4)] == [0, 1, 2, 3]


@on_each_loop
async def test_a_peer_that_ends_the_connection_fails_the_calls_under_way() -> None:
    async with raw_server() as (url, peers), pb.connect(url) as connection:
        call = connection.root.call("wait")
        peer = await peers.get()
        await peer.receive()
        await peer.close()
        assert isinstance(await outcome(call), PBConnectionLost)
        await connection.wait_closed()
        assert connection.is_closed
        assert "CLOSED" in repr(connection)


# Disconnect notices.


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
        connection.notify_on_disconnect(lambda: given.append("last"))
        await connection.close()
        await connection.close()
        connection.abort("once more")
        await turns()
    assert sorted(given) == ["CancelledError", "ZeroDivisionError", "async", "last"]
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
    async with pair(Things()) as both:
        things = await both.client.root.call("newer")
        for thing in things:
            thing.notify_on_disconnect(given.append)
        things[0].notify_on_disconnect(given.append)()
        await both.client.close()
        assert len(given) == 2
        assert all(told is thing for told, thing in zip(given, things, strict=True))


@on_each_loop
async def test_a_released_reference_tells_of_nothing_any_more() -> None:
    async with pair(Things()) as both:
        thing = await both.client.root.call("new")
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
        assert held(both.served) == {"calls": 1, "exports": 0, "imports": 1, "caches": 1, "notices": 1}
        assert held(both.client) == {"calls": 0, "exports": 1, "imports": 0, "caches": 1, "notices": 0}
        await both.client.close()
        await both.served.wait_closed()
        assert held(both.served) == held(both.client) == EMPTY
        assert not both.server.connections
        assert await gate.cancelled.get() is None
        del ducks, call


@on_each_loop
async def test_a_connection_says_what_it_is() -> None:
    async with pair(Gate()) as both:
        assert both.client.peer == both.server.urls[0].removeprefix("pb://")
        assert both.client.dialect == both.served.dialect == "pb"
        assert repr(both.client) == (
            f"<Connection {both.client.number} {both.client.peer} <Broker pb READY exports=0 imports=0 calls=0>>"
        )
        assert both.client.root is both.client.root


@on_each_loop
async def test_the_dialect_is_one_that_both_sides_allow() -> None:
    async with pair(Gate(), client={"dialects": ["none"]}) as both:
        assert both.client.dialect == both.served.dialect == "none"
        assert await both.client.root.call("echo", [b"list"]) == [b"list"]
    async with pair(Gate(), dialects=["none", "pb"]) as both:
        assert both.client.dialect == "none"
