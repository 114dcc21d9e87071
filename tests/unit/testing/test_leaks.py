from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import pytest

import pellucid as pb
from pellucid import blocking
from pellucid.blocking.connection import Line, connected
from pellucid.blocking.loop import the_loop
from pellucid.testing.in_memory import pair
from pellucid.testing.leaks import Watch
from tests.dialects import each_dialect
from tests.unit.asyncio.door import run

pytestmark = each_dialect

kept_here: list[Any] = []


@pytest.fixture(autouse=True)
def nothing_kept() -> None:
    global kept_here
    kept_here = []  # a new one, at which the collector looks


class Thing(pb.Referenceable):
    pass


class Price(pb.Cacheable):
    def __init__(self) -> None:
        self.observers: list[Any] = []

    def get_state_to_cache_and_observe_for(self, perspective: Any, observer: Any) -> dict[str, Any]:
        self.observers.append(observer)
        return {}

    def stopped_observing(self, perspective: Any, observer: Any) -> None:
        """It forgets to forget."""


class PriceCopy(pb.RemoteCache):
    pass


REGISTRY = pb.Registry()
REGISTRY.register(PriceCopy, Price)


class Desk(pb.Root):
    def __init__(self) -> None:
        self.kept: set[Any] = set()
        self.price = Price()

    def remote_thing(self) -> Thing:
        return Thing()

    def remote_keep(self, thing: Any) -> None:
        self.kept.add(thing)

    def remote_forget(self, thing: Any) -> None:
        self.kept.discard(thing)

    def remote_price(self) -> Price:
        return self.price

    async def remote_fail(self, thing: Any) -> None:
        await asyncio.sleep(0)
        raise ZeroDivisionError

    def remote_fail_at_once(self, thing: Any) -> None:
        raise ZeroDivisionError


def leaks_of(scenario: Callable[[pb.Connection], Any]) -> list[str]:
    """What is held after `scenario`, by the root or by something in this module."""
    watch = Watch()
    desk = Desk()
    watch.keep(desk)

    async def main() -> None:
        ends = watch.over(pb.Connection, "the client's end"), watch.over(pb.Connection, "the server's end")
        async with pair(
            desk, client={"registry": REGISTRY}, registry=REGISTRY, client_class=ends[0], server_class=ends[1]
        ) as joined:
            await scenario(joined.client)
            watch.note()

    run(main())
    return watch.leaks()


def test_nothing_is_left_of_what_a_test_alone_has_held() -> None:
    async def scenario(client: pb.Connection) -> None:
        thing = await client.root.call("thing")
        mine = Thing()
        await client.root.call("keep", mine)
        await client.root.call("forget", mine)
        kept_here.append(repr(thing))

    assert leaks_of(scenario) == []


def test_what_a_root_keeps_of_a_client_is_told_with_how_often_it_came_and_by_whom_it_is_held() -> None:
    async def scenario(client: pb.Connection) -> None:
        mine = Thing()
        for _ in range(2):
            await client.root.call("keep", mine)
        await client.root.call("keep", Thing())

    (once, twice) = sorted(leaks_of(scenario), key=lambda line: "2 times" in line)
    assert "to a Thing, received once at the server's end; held by a set of a " in once
    assert once.endswith(("of a Desk", "of a dict of a Desk"))
    assert "to a Thing, received 2 times at the server's end" in twice
    assert twice.startswith("<RemoteReference 1 dead>")


def test_what_a_module_keeps_is_told() -> None:
    async def scenario(client: pb.Connection) -> None:
        kept_here.append(await client.root.call("thing"))

    (leak,) = leaks_of(scenario)
    assert leak.startswith("<RemoteReference 1 dead> to a Thing, received once at the client's end; held by a list")


def test_an_observer_that_a_cacheable_does_not_forget_is_told() -> None:
    async def scenario(client: pb.Connection) -> None:
        kept_here.append(type(await client.root.call("price")))

    (leak,) = leaks_of(scenario)
    assert "CacheObserver" in leak
    assert "held by a list of a" in leak


@pytest.mark.parametrize("name", ["fail", "fail_at_once"])
def test_what_only_an_error_holds_that_somebody_keeps_is_no_leak(name: str, caplog: pytest.LogCaptureFixture) -> None:
    errors: list[Any] = []

    async def scenario(client: pb.Connection) -> None:
        thing = await client.root.call("thing")
        try:
            await client.root.call(name, Thing())
        except pb.RemoteError as error:
            errors.append((error, sys.exc_info()))
        del thing

    assert leaks_of(scenario) == []
    assert errors
    assert caplog.records  # they hold the error of the method


def test_a_coroutine_that_waits_is_not_disturbed_by_the_search() -> None:
    """It has caught an error, whose traceback leads to where it waits."""
    ended: list[str] = []

    async def outer() -> None:
        waits = asyncio.get_running_loop().create_future()

        async def waiter() -> None:
            try:
                raise ZeroDivisionError
            except ZeroDivisionError as error:
                caught = error
                await waits
                ended.append(repr(caught))

        task = asyncio.ensure_future(waiter())
        await asyncio.sleep(0)
        watch = Watch()
        async with pair(Desk(), client_class=watch.over(pb.Connection, "the client's end")) as joined:
            kept_here.append(await joined.root.call("thing"))
        assert len(watch.leaks()) == 1
        waits.set_result(None)
        await task

    run(outer())
    assert ended == ["ZeroDivisionError()"]


def test_the_root_itself_is_no_matter() -> None:
    async def scenario(client: pb.Connection) -> None:
        kept_here.append(client.root)

    assert leaks_of(scenario) == []


def test_connections_of_the_blocking_front_can_be_watched_as_well() -> None:
    watch = Watch()
    connecting_class = watch.over(Line, "the client's end")
    with blocking.serve(Desk(), "pb://127.0.0.1:0") as server:
        connecting = pb.connect(*server.urls)
        connecting.connection_class = connecting_class
        with connected(connecting) as connection:
            kept_here.append(connection.root.call("thing"))
            the_loop().do(watch.note)
    (leak,) = watch.leaks()
    assert "at the client's end" in leak
