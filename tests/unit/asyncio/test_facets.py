"""Facets on the wire, through the asyncio door, in each dialect."""

from __future__ import annotations

import asyncio
import datetime
import logging
from typing import Any

import pytest

import pellucid as pb
from pellucid.errors import NoSuchMethod, RateExceeded, Revoked
from tests.dialects import each_dialect
from tests.unit.asyncio.door import on_each_loop, outcome, pair

pytestmark = each_dialect


class Account(pb.Referenceable):
    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.entered = asyncio.Event()

    def remote_balance(self) -> int:
        return 5

    def remote_card(self) -> Account:
        return self.card

    @property
    def card(self) -> Account:
        if not hasattr(self, "_card"):
            self._card = Account()
        return self._card

    async def remote_wait(self) -> str:
        self.entered.set()
        await self.opened.wait()
        return "waited"

    async def remote_who(self) -> str:
        return pb.current_call().method


class Bank(pb.Root):
    """Gives out its one account, and facets of it."""

    def __init__(self, **options: Any) -> None:
        self.account = Account()
        self.facet = pb.facet(self.account, **options)
        self.brought: list[Any] = []

    def remote_account(self) -> Account:
        return self.account

    def remote_facet(self) -> pb.Facet:
        return self.facet

    def remote_bring(self, *things: Any) -> None:
        self.brought += things


@on_each_loop
async def test_a_facet_is_an_object_of_its_own_and_itself_when_it_comes_home() -> None:
    bank = Bank(methods=["balance"])
    async with pair(bank) as both:
        account, facet = await both.client.root.call("account"), await both.client.root.call("facet")
        assert facet is not account
        assert await both.client.root.call("facet") is facet
        await both.client.root.call("bring", account, facet)
        assert bank.brought[0] is bank.account
        assert bank.brought[1] is bank.facet
        assert await facet.call("balance") == 5


@on_each_loop
async def test_what_it_does_not_expose_is_not_there_and_that_is_no_news(caplog: pytest.LogCaptureFixture) -> None:
    async with pair(Bank(methods=["balance"])) as both:
        facet = await both.client.root.call("facet")
        for name in "card", "nonsense":
            error = await outcome(facet.call(name))
            assert type(error) is NoSuchMethod
            assert str(error) == f"No such method: remote_{name}"
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@on_each_loop
async def test_who_calls_a_revoked_facet_is_told_so(caplog: pytest.LogCaptureFixture) -> None:
    bank = Bank()
    async with pair(bank) as both:
        facet = await both.client.root.call("facet")
        waiting = facet.call("wait")
        await bank.account.entered.wait()
        bank.facet.revoke()
        assert type(await outcome(facet.call("balance"))) is Revoked
        bank.account.opened.set()
        assert await waiting == "waited"
        account = await both.client.root.call("account")
        assert await account.call("balance") == 5
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("deep", [False, True])
@on_each_loop
async def test_an_async_method_does_not_begin_once_its_facet_was_revoked(
    deep: bool, caplog: pytest.LogCaptureFixture
) -> None:
    def audit(use: pb.FacetUse) -> None:
        asyncio.get_running_loop().call_soon(facet.revoke)  # before the task of the method, which is made now, begins

    account = Account()
    facet = pb.facet(account, audit=audit, deep=deep)
    async with pair(facet) as both:
        with pytest.raises(Revoked):
            await both.client.root.call("wait")
    assert not account.entered.is_set()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@on_each_loop
async def test_who_calls_too_often_is_told_so_and_others_are_served() -> None:
    async with pair(Bank(calls_per_second=2)) as both:
        facet = await both.client.root.call("facet")
        outcomes = [await outcome(facet.call("balance")) for _ in range(3)]
        assert outcomes[:2] == [5, 5]
        assert type(outcomes[2]) is RateExceeded
        assert await (await both.client.root.call("account")).call("balance") == 5


@on_each_loop
async def test_what_is_obtained_through_a_facet_is_revoked_with_it() -> None:
    bank = Bank(deep=True)
    async with pair(bank) as both:
        facet = await both.client.root.call("facet")
        card = await facet.call("card")
        assert await card.call("balance") == 5
        assert await facet.call("card") is card
        assert await facet.call("card").call("card").call("balance") == 5
        bank.facet.revoke()
        for reference in facet, card:
            assert type(await outcome(reference.call("balance"))) is Revoked


@on_each_loop
async def test_auditors_know_whose_call_it_is() -> None:
    seen: list[tuple[str, str]] = []

    def note(use: pb.FacetUse) -> None:
        seen.append((use.method, pb.current_call().peer))

    async with pair(Bank(audit=note)) as both:
        facet = await both.client.root.call("facet")
        assert await facet.call("who") == "who"
        assert seen == [("who", both.served.peer)]


@on_each_loop
async def test_a_facet_can_be_what_a_server_publishes() -> None:
    async with pair(pb.facet(Bank(), methods=["account"])) as both:
        assert await (await both.client.root.call("account")).call("balance") == 5
        assert type(await outcome(both.client.root.call("facet"))) is NoSuchMethod


@on_each_loop
async def test_a_facet_can_be_an_avatar() -> None:
    facet = pb.facet(Account(), ["balance"])

    class Realm:
        def request_avatar(self, avatar_id: str, mind: object) -> pb.Facet:
            return facet

    async with pair(pb.Portal(Realm(), [pb.AllowAnonymous()])) as both:
        avatar = await both.client.login(pb.credentials.Anonymous())
        assert await avatar.call("balance") == 5
        assert type(await outcome(avatar.call("wait"))) is NoSuchMethod
        facet.revoke()
        assert type(await outcome(avatar.call("balance"))) is Revoked


@on_each_loop
async def test_a_facet_leaves_the_tables_as_anything_does() -> None:
    async with pair(Bank(deep=True)) as both:
        facet = await both.client.root.call("facet")
        card = await facet.call("card")
        assert len(both.served.broker.books.exports) == 2
        del facet, card
        await both.client.root.call("bring")
        assert len(both.served.broker.books.exports) == 0


@on_each_loop
async def test_it_ends_at_a_time_or_after_a_while() -> None:
    account = Account()
    now = datetime.datetime.now(datetime.UTC)
    hour = datetime.timedelta(hours=1)
    for until, is_over in (now + hour, False), (now, True), (hour, False), (-hour, True):
        assert pb.facet(account, until=until).revoked is is_over
    elsewhere = datetime.timezone(hour)
    assert pb.facet(account, until=(now + hour).astimezone(elsewhere)).revoked is False
    with pytest.raises(ValueError, match="could mean any time zone"):
        pb.facet(account, until=datetime.datetime(2030, 1, 1))
    with pytest.raises(TypeError, match="until is a datetime or a timedelta, not a float"):
        pb.facet(account, until=5.0)  # type: ignore[arg-type]
