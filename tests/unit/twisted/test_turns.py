"""Others have their turn while a peer hands large results on to its own calls: a few bytes ask for each copy."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet import defer, task

from pellucid.twisted import pb
from tests.unit.twisted.link import Link, outcome

pytestmark = pytest.mark.usefixtures("speaks_native")

RESULT = ["x"] * 20_000


class Turns(task.Clock):
    """A reactor whose turns a test gives: what is to run later runs in the next one."""

    def callLater(self, delay: float, *args: Any, **kwargs: Any) -> Any:
        return super().callLater(max(delay, 1), *args, **kwargs)


class One(pb.Root):
    def __init__(self) -> None:
        self.later: defer.Deferred[Any] = defer.Deferred()
        self.ran: list[str] = []

    def remote_echo(self, value: Any) -> Any:
        self.ran.append("echo")
        return value

    def remote_later(self, value: Any = None) -> defer.Deferred[Any]:
        self.ran.append("later")
        return self.later


class Paced(Link):
    """A link whose server has the transport of a reactor."""

    def __init__(self, reactor: Turns | None = None) -> None:
        self.one = One()
        super().__init__(self.one)
        self.reactor = reactor or Turns()
        self.to_client.reactor = self.reactor  # type: ignore[attr-defined]

    def turn(self) -> None:
        self.reactor.advance(1)
        self.pump()

    @property
    def reads(self) -> bool:
        """Whether the server reads on."""
        return bool(self.to_client.producerState == "producing")


def hand_on(link: Link, name: str = "echo") -> list[defer.Deferred[Any]]:
    """Four calls that are given the result of one, which is there when they arrive, or comes later."""
    first = link.root.callRemote(name, RESULT)
    return [link.root.callRemote("echo", first) for _ in range(4)]


@pytest.mark.parametrize("name", ["echo", "later"])
def test_between_calls_that_are_given_large_results_others_have_their_turn(name: str) -> None:
    link = Paced()
    calls = hand_on(link, name)
    link.pump()
    if name == "later":
        link.one.later.callback(RESULT)
        link.pump()
    for number in range(1, 5):
        assert link.one.ran == [name, *["echo"] * number]
        assert not link.reads
        link.turn()
    assert link.reads
    assert [outcome(call) for call in calls] == [RESULT] * 4
    assert link.reactor.getDelayedCalls() == []


def test_what_comes_meanwhile_waits_behind_them() -> None:
    link = Paced()
    hand_on(link)
    link.pump()
    link.root.callRemote("later")
    link.pump()
    assert link.one.ran == ["echo"] * 2
    for _ in range(4):
        link.turn()
    assert link.one.ran == [*["echo"] * 5, "later"]


def test_a_method_that_ends_meanwhile_starts_nothing() -> None:
    link = Paced()
    link.root.callRemote("later")
    hand_on(link)
    link.pump()
    ran = link.one.ran.copy()
    link.one.later.callback(None)
    assert link.one.ran == ran
    link.turn()
    assert len(link.one.ran) == len(ran) + 1


def test_calls_of_a_peer_that_has_gone_have_no_turn() -> None:
    link = Paced()
    for call in hand_on(link):
        call.addErrback(lambda _: None)
    link.pump()
    link.cut()
    link.turn()
    assert link.reactor.getDelayedCalls() == []
    assert link.one.ran == ["echo"] * 2


def test_connections_of_one_reactor_have_one_turn_between_them() -> None:
    reactor = Turns()
    links = [Paced(reactor) for _ in range(3)]
    for link in links:
        hand_on(link)
        link.pump()
    ran = [[2, 2, 2]]
    while reactor.getDelayedCalls():
        assert len(reactor.getDelayedCalls()) == 1
        links[0].turn()
        ran.append([len(link.one.ran) for link in links])
    assert ran[:6] == [[2, 2, 2], [3, 2, 2], [3, 3, 2], [3, 3, 3], [4, 3, 3], [4, 4, 3]]
    assert ran[-1] == [5, 5, 5]


def test_one_that_has_gone_does_not_keep_others_from_their_turn() -> None:
    reactor = Turns()
    first, second = links = [Paced(reactor) for _ in range(2)]
    for link in links:
        for call in hand_on(link):
            call.addErrback(lambda _: None)
        link.pump()
    first.cut()
    for _ in range(5):
        second.turn()
    assert (first.one.ran, second.one.ran) == (["echo"] * 2, ["echo"] * 5)


def test_where_no_reactor_runs_there_are_no_turns() -> None:
    link = Link(One())
    calls = hand_on(link)
    link.pump()
    assert [outcome(call) for call in calls] == [RESULT] * 4
