"""Facets through the Twisted door."""

from __future__ import annotations

from typing import Any

from twisted.internet import defer
from twisted.python.failure import Failure

import pellucid
from pellucid.errors import NoSuchMethod, Revoked
from pellucid.twisted import pb
from tests.unit.twisted.link import Link


class Card(pb.Referenceable):
    def remote_number(self) -> int:
        return 7


class Desk(pb.Root):
    def __init__(self, thing: Any) -> None:
        self.thing = thing

    def remote_give(self) -> Any:
        return self.thing


class Account(pb.Referenceable):
    def __init__(self) -> None:
        self.card = Card()
        self.waiting: defer.Deferred[Any] = defer.Deferred()

    def remote_balance(self) -> int:
        return 5

    def remote_later(self) -> defer.Deferred[Any]:
        return self.waiting


def failed_as(result: Any, cls: type[Exception]) -> bool:
    return isinstance(result, Failure) and result.check(cls) is cls


def test_a_facet_exposes_what_it_says(dialect: str) -> None:
    link = Link(Desk(pellucid.facet(Account(), methods=["balance"])))
    account = link.call(link.root, "give")
    assert link.call(account, "balance") == 5
    assert failed_as(link.call(account, "later"), NoSuchMethod)


def test_a_facet_can_be_what_a_factory_publishes(dialect: str) -> None:
    facet = pellucid.facet(Account(), methods=["balance"])
    link = Link(facet)
    assert link.call(link.root, "balance") == 5
    facet.revoke()
    assert failed_as(link.call(link.root, "balance"), Revoked)


def test_that_a_facet_was_revoked_is_news_for_its_caller_alone(dialect: str, logged: list[Any]) -> None:
    facet = pellucid.facet(Account())
    link = Link(Desk(facet))
    account = link.call(link.root, "give")
    assert link.call(account, "balance") == 5
    facet.revoke()
    assert failed_as(link.call(account, "balance"), Revoked)
    assert not logged


def test_what_a_deferred_brings_is_revoked_with_the_facet_it_came_through(dialect: str) -> None:
    account = Account()
    facet = pellucid.facet(account, deep=True)
    link = Link(Desk(facet))
    waiting = link.call(link.root, "give").callRemote("later")
    link.pump()
    account.waiting.callback({"cards": [account.card]})
    link.pump()
    (card,) = waiting.result["cards"]
    assert link.call(card, "number") == 7
    facet.revoke()
    assert failed_as(link.call(card, "number"), Revoked)
