"""Calls as promises through the asyncio door, in each dialect: the same code, the same results."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

import pellucid as pb
from pellucid.errors import ForeignReference, NotAReference
from pellucid.wire.native.codes import Kind
from tests.dialects import each_dialect, over
from tests.unit.asyncio.door import on_each_loop, outcome, pair
from tests.unit.asyncio.hall import ALICE, Hall, portal
from tests.unit.asyncio.raw import NativePeer, call_of, until
from tests.unit.asyncio.things import Broken, Thing, Things
from tests.unit.core.native import promise

pytestmark = each_dialect


class Link(pb.Referenceable):
    def __init__(self, depth: int = 0) -> None:
        self.depth = depth

    def remote_next(self) -> Link:
        return Link(self.depth + 1)

    async def remote_next_later(self) -> Link:
        await asyncio.sleep(0)
        return Link(self.depth + 1)

    def remote_depth(self) -> int:
        return self.depth

    def remote_three(self, factor: int) -> int:
        return 3 * factor


class Chained(Things):
    def remote_link(self) -> Link:
        return Link()

    def remote_two(self) -> Link:
        return Link(2)

    def remote_add(self, *numbers: int, **more: int) -> int:
        return sum(numbers) + sum(more.values())


@on_each_loop
async def test_the_result_of_a_call_can_be_called_before_it_comes() -> None:
    async with pair(Chained()) as both:
        assert await both.client.root.call("two").call("three", 12) == 36


@pytest.mark.parametrize("name", ["next", "next_later"])
@on_each_loop
async def test_a_long_chain_comes_to_its_end(name: str) -> None:
    async with pair(Chained()) as both:
        link: Any = both.client.root.call("link")
        for _ in range(2_000):
            link = link.call(name)
        assert await link.call("depth") == 2_000


@on_each_loop
async def test_a_long_chain_of_errors_comes_to_its_end() -> None:
    async with pair(Chained()) as both:
        call: Any = both.client.root.call("fail")
        for _ in range(2_000):
            call = call.call("next")
        error = await outcome(call)
        assert (type(error), str(error)) == (Broken, "as expected")


@on_each_loop
async def test_a_tree_of_calls_comes_to_one_result() -> None:
    async with pair(Chained()) as both:
        root = both.client.root
        level: list[Any] = [root.call("echo", number) for number in range(256)]
        while len(level) > 1:
            level = [root.call("add", *level[at : at + 2]) for at in range(0, len(level), 2)]
        assert await level[0] == sum(range(256))


@on_each_loop
async def test_a_result_can_be_used_a_thousand_times() -> None:
    async with pair(Chained()) as both:
        number = both.client.root.call("echo", 1)
        calls = [both.client.root.call("add", number, more=number) for _ in range(1_000)]
        assert [await call for call in calls] == [2] * 1_000


@on_each_loop
async def test_calls_keep_their_order_while_results_come() -> None:
    things = Chained()
    async with pair(things) as both:
        later = both.client.root.call("thing_later")
        calls = [later.call("note", number) for number in range(5)]
        await things.entered.get()
        things.opened.set()
        calls += [later.call("note", number) for number in range(5, 10)]
        thing = await later
        calls += [thing.call("note", number) for number in range(10, 15)]
        for call in calls:
            await call
        assert things.noted == list(range(15))


@on_each_loop
async def test_a_login_and_what_its_avatar_is_asked_go_together() -> None:
    async with pair(portal(Hall(), pb.AllowAnonymous())) as both:
        avatar = both.client.root.call("loginAnonymous", None)
        assert await avatar.call("me") is True
        assert (await avatar.call("board").call("who"))[0] == "nobody"


@over("pellucid")
@on_each_loop
async def test_a_login_and_what_its_avatar_is_asked_are_one_round_trip() -> None:
    async with (
        pb.serve(portal(Hall(), pb.AllowAnonymous()), "pb://127.0.0.1:0") as server,
        NativePeer.connect(server.urls[0]) as peer,
    ):
        peer.say(
            call_of(1, "loginAnonymous", None),
            call_of(2, "board", target=promise(1)),
            call_of(3, "who", target=promise(2)),
        )
        answers: dict[int, Any] = {}
        while len(answers) < 3:
            _, number, value = await peer.next_of(Kind.ANSWER)
            answers[number] = value
        assert answers[3][1] == "nobody"


@on_each_loop
async def test_an_avatar_that_was_refused_can_not_be_asked() -> None:
    async with pair(portal(Hall())) as both:
        error = await outcome(both.client.root.call("loginAnonymous", None).call("me"))
        assert "UnhandledCredentials" in f"{type(error).__name__}{error}"
        avatar = await both.client.login(ALICE)
        assert await avatar.call("me") is True


@on_each_loop
async def test_a_result_of_another_connection_goes_by_its_value() -> None:
    async with pair(Chained()) as both, pair(Chained()) as other:
        number, thing = other.client.root.call("echo", 4), other.client.root.call("thing")
        assert await both.client.root.call("add", number, 3) == 7
        assert isinstance(await outcome(both.client.root.call("echo", thing)), ForeignReference)
        assert await both.client.root.call("echo", 1) == 1


@on_each_loop
async def test_calls_of_the_client_by_the_server_chain_too() -> None:
    class Caller(pb.Referenceable):
        def remote_two(self) -> Link:
            return Link(2)

    class Asker(Things):
        async def remote_ask(self, whom: pb.RemoteReference) -> Any:
            return await whom.call("two").call("three", 12)

    async with pair(Asker()) as both:
        assert await both.client.root.call("ask", Caller()) == 36


@on_each_loop
async def test_a_method_may_return_a_chain() -> None:
    class Caller(pb.Referenceable):
        def remote_two(self) -> Link:
            return Link(2)

    class Asker(Things):
        def remote_ask(self, whom: pb.RemoteReference) -> Any:
            return whom.call("two").call("next").call("depth")

    async with pair(Asker()) as both:
        assert await both.client.root.call("ask", Caller()) == 3


@on_each_loop
async def test_what_only_served_a_chain_is_forgotten_on_both_sides() -> None:
    async with pair(Chained()) as both:
        await both.client.root.call("echo", both.client.root.call("link").call("next").call("next"))
        await both.client.root.call("echo", Thing([]))
        gc.collect()
        for side in (both.client, both.served):
            await until(lambda side=side: not len(side.broker.books.exports))  # type: ignore[misc]
            await until(lambda side=side: not len(side.broker.books.imports))  # type: ignore[misc]


@on_each_loop
async def test_nothing_can_be_called_of_what_is_no_reference() -> None:
    async with pair(Chained()) as both:
        assert isinstance(await outcome(both.client.root.call("add", 1).call("next")), NotAReference)
