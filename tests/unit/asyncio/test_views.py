"""Views through the asyncio door, in each dialect: awaited, gathered, as tasks."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Coroutine
from typing import Any

import pytest

import pellucid as pb
from pellucid.errors import CallCancelled, DeadlineExceeded
from tests.dialects import each_dialect
from tests.unit.asyncio.door import on_each_loop, outcome, pair
from tests.unit.asyncio.things import Broken

pytestmark = each_dialect


class Account(pb.Interface):
    async def balance(self) -> int: ...


class Bank(pb.Interface):
    async def open(self, owner: str) -> Account: ...

    async def echo(self, thing: object) -> object: ...

    async def fail(self) -> Account: ...

    async def wait(self) -> Account: ...


class Keeper(pb.Interface):
    async def keep(self, account: Account) -> str: ...

    async def give(self) -> Account: ...


class ServedAccount(pb.Referenceable, implements=Account):
    async def remote_balance(self) -> int:
        return 100


class ServedBank(pb.Root, implements=Bank):
    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def remote_open(self, owner: str) -> ServedAccount:
        return ServedAccount()

    def remote_echo(self, thing: object) -> object:
        return thing

    async def remote_fail(self) -> ServedAccount:
        raise Broken("on purpose")

    async def remote_wait(self) -> ServedAccount:
        self.entered.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self.cancelled.set()
        return ServedAccount()


@on_each_loop
async def test_a_view_is_awaited_as_its_interface_says() -> None:
    async with pair(ServedBank()) as both:
        bank = both.client.root.as_(Bank)
        assert await bank.echo("hi") == "hi"
        account = await bank.open("alice")
        assert await account.balance() == 100
        assert await pb.promised(bank.open("bob")).balance() == 100


@on_each_loop
async def test_a_call_through_a_view_may_be_awaited_more_than_once() -> None:
    async with pair(ServedBank()) as both:
        call: Any = both.client.root.as_(Bank).open("alice")
        assert await call == await call


@on_each_loop
async def test_calls_through_a_view_are_gathered() -> None:
    async with pair(ServedBank()) as both:
        bank = both.client.root.as_(Bank)
        echoed, account = await asyncio.gather(bank.echo(1), bank.open("alice"))
        assert echoed == 1
        assert await account.balance() == 100


@on_each_loop
async def test_a_call_is_a_coroutine_to_who_makes_a_task_of_it() -> None:
    async with pair(ServedBank()) as both:
        bank = both.client.root.as_(Bank)
        assert isinstance(bank.echo(0), Coroutine)
        async with asyncio.TaskGroup() as tasks:
            echoed = tasks.create_task(bank.echo(1))
            opened = tasks.create_task(bank.open("alice"))
        assert echoed.result() == 1
        assert await opened.result().balance() == 100


@on_each_loop
async def test_several_tasks_may_be_made_of_one_call() -> None:
    async with pair(ServedBank()) as both:
        call: Any = both.client.root.as_(Bank).echo("hi")
        tasks = [asyncio.create_task(call) for _ in range(3)]
        assert await asyncio.gather(*tasks) == ["hi"] * 3
        assert await asyncio.create_task(call) == "hi"
        call.close()
        assert await call == "hi"


@on_each_loop
async def test_an_error_reaches_who_awaits_a_view_directly_or_in_a_task(caplog: pytest.LogCaptureFixture) -> None:
    async with pair(ServedBank()) as both:
        bank = both.client.root.as_(Bank)
        assert isinstance(await outcome(bank.fail()), Broken)
        assert isinstance(await outcome(asyncio.create_task(bank.fail())), Broken)
        gc.collect()
        assert not [record for record in caplog.records if record.levelno >= logging.ERROR and record.exc_info is None]


@on_each_loop
async def test_cancelling_a_task_made_of_a_call_gives_the_call_up() -> None:
    served = ServedBank()
    async with pair(served) as both:
        call: Any = both.client.root.as_(Bank).wait()
        task = asyncio.create_task(call)
        await served.entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert isinstance(await outcome(call), CallCancelled)


@on_each_loop
async def test_a_call_that_another_task_waits_for_is_not_given_up_with_the_first() -> None:
    served = ServedBank()
    async with pair(served) as both:
        call: Any = both.client.root.as_(Bank).wait()
        first, second = asyncio.create_task(call), asyncio.create_task(call)
        await served.entered.wait()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert not call.done
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        assert call.done


@on_each_loop
async def test_a_deadline_holds_for_a_view() -> None:
    async with pair(ServedBank()) as both:
        bank = both.client.root.call_with(timeout=0.05).as_(Bank)
        assert isinstance(await outcome(bank.wait()), DeadlineExceeded)


@on_each_loop
async def test_an_avatar_may_implement_an_interface_and_describe_itself() -> None:
    class Desk(pb.Interface):
        async def name(self) -> str:
            """Who is logged in."""
            ...

    class Avatar(pb.Described, pb.Avatar, implements=Desk):
        def perspective_name(self) -> str:
            return "alice"

        def perspective_other(self) -> None:
            raise AssertionError("it is not told of")

    class Realm:
        def request_avatar(self, avatar_id: str, mind: object) -> Avatar:
            return Avatar()

    portal = pb.Portal(Realm(), [pb.AllowAnonymous()])
    async with pb.serve(portal, "pb://127.0.0.1:0") as server, pb.connect(*server.urls) as connection:
        desk = (await connection.login(pb.credentials.Anonymous())).as_(Desk)
        assert await desk.name() == "alice"
        described = await pb.describe(desk)
        assert [(method.name, method.doc) for method in described.methods] == [("name", "Who is logged in.")]


@on_each_loop
async def test_arguments_that_are_annotated_as_interfaces_can_be_checked() -> None:
    class Strict(pb.Root, implements=Keeper, validate=True):
        async def remote_keep(self, account: Account) -> str:  # what comes is a reference, or what implements it here
            return type(account).__name__

        def remote_give(self) -> ServedAccount:
            return ServedAccount()

        def remote_facet(self) -> pb.Facet:
            return pb.facet(ServedAccount())

        def remote_other(self) -> ServedBank:
            return ServedBank()

    async with pair(Strict()) as both:
        root = both.client.root
        keeper = root.as_(Keeper)
        assert await root.call("keep", ServedAccount()) == "RemoteReference"
        assert await keeper.keep(await keeper.give()) == "ServedAccount"
        assert await root.call("keep", await root.call("facet")) == "Facet"
        for wrong in ("account", 5, await root.call("other")):
            assert isinstance(await outcome(root.call("keep", wrong)), pb.InvalidArgument)
