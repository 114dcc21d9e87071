"""Views through the Twisted door."""

from __future__ import annotations

from typing import Any

from twisted.internet import defer
from twisted.python.failure import Failure

import pellucid
from pellucid.errors import NoSuchMethod
from pellucid.twisted import pb
from tests.unit.twisted.link import Link


class Account(pellucid.Interface):
    async def balance(self) -> int: ...


class Bank(pellucid.Interface):
    async def open(self, owner: str) -> Account:
        """Open an account."""
        ...

    async def echo(self, thing: object) -> object: ...


class ServedAccount(pb.Referenceable, implements=Account):
    def remote_balance(self) -> int:
        return 100


class ServedBank(pellucid.Described, pb.Root, implements=Bank):
    def __init__(self) -> None:
        self.account = ServedAccount()

    def remote_open(self, owner: str) -> ServedAccount:
        return self.account

    def remote_echo(self, thing: object) -> defer.Deferred[object]:
        return defer.succeed(thing)


def result(link: Link, coroutine: Any) -> Any:
    """What a coroutine comes to."""
    seen: list[Any] = []
    defer.ensureDeferred(coroutine).addBoth(seen.append)
    link.pump()
    return seen[0]


def test_a_call_through_a_view_is_a_deferred(dialect: str) -> None:
    link = Link(ServedBank())
    waiting: Any = link.root.as_(Bank).echo("hi")
    assert isinstance(waiting, defer.Deferred)
    assert result(link, waiting) == "hi"


def test_a_coroutine_awaits_views_as_the_interfaces_say(dialect: str) -> None:
    link = Link(ServedBank())
    bank = link.root.as_(Bank)

    async def balances() -> list[int]:
        account = await bank.open("alice")
        return [await account.balance(), await pellucid.promised(bank.open("bob")).balance()]

    assert result(link, balances()) == [100, 100]


def test_a_view_arrives_at_its_owner_as_the_object(dialect: str) -> None:
    served = ServedBank()
    link = Link(served)
    bank = link.root.as_(Bank)

    async def sent_home() -> Any:
        account = await bank.open("alice")
        return account, await bank.echo([account])

    account, (echoed,) = result(link, sent_home())
    assert pellucid.reference_of(account) == echoed
    assert len(link.server.books.exports) == 1  # it went home as itself


def test_views_are_equal_where_references_are(dialect: str) -> None:
    link = Link(ServedBank())
    bank, account = link.root.as_(Bank), link.root.as_(Account)
    assert {bank, account} == {bank}
    assert hash(bank) == hash(link.root)


def test_a_description_is_asked_for_through_this_door_too(dialect: str) -> None:
    link = Link(ServedBank())
    described = result(link, pellucid.describe(link.root))
    assert described.name == "ServedBank"
    assert [method.name for method in described.methods] == ["echo", "open"]


def test_what_tells_nothing_is_no_such_method(dialect: str) -> None:
    link = Link(ServedBank())
    failure = result(link, pellucid.describe(link.call(link.root, "open", "alice")))
    assert isinstance(failure, Failure)
    assert failure.check(NoSuchMethod)
