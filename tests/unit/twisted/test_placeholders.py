"""Placeholders that a stock client sends among the arguments of a call: refused, unless they are asked for."""

from __future__ import annotations

from typing import Any

import pytest

from pellucid.twisted import jelly, pb
from tests.unit.twisted.link import Link, outcome

pytestmark = pytest.mark.usefixtures("speaks_pb")


class Keeper(pb.Root):
    def __init__(self) -> None:
        self.kept: list[Any] = []

    def remote_keep(self, value: Any = None, **kw: Any) -> None:
        self.kept.append((value, kw))


class Lax(pb.Broker):
    acceptPlaceholders = True


REASON = b"instance of class old.Plain deemed insecure"
PLACEHOLDER = b"\x02\x80\x0c\x87" + bytes((len(REASON),)) + b"\x82" + REASON


def send_as_stock(link: Link) -> Any:
    """Have the client call ``keep`` as a stock one does with an instance that may not cross: a list, and a keyword."""
    waiting = link.root.callRemote("keep", b"in its place", name=b"in its place")
    data = link.to_server.value()
    link.to_server.clear()
    stands_for = b"\x0c\x82in its place"
    assert data.count(stands_for) == 2
    link.to_server.write(data.replace(stands_for, PLACEHOLDER))
    link.pump()
    return outcome(waiting)


def test_a_placeholder_among_the_arguments_is_refused() -> None:
    root = Keeper()
    assert send_as_stock(Link(root)).check(pb.InsecureJelly)
    assert root.kept == []


@pytest.mark.parametrize("where", ["class", "instance"])
def test_a_placeholder_among_the_arguments_arrives_where_the_broker_accepts_it(where: str) -> None:
    root = Keeper()
    link = Link(root, protocol=Lax) if where == "class" else Link(root)
    if where == "instance":
        link.server.acceptPlaceholders = True
    assert send_as_stock(link) is None
    ((value, kw),) = root.kept
    for each in value, kw["name"]:
        assert isinstance(each, jelly.Unpersistable)
        assert each.reason == f"Unpersistable data: {REASON.decode()}"


def test_accepting_placeholders_sends_none() -> None:
    link = Link(Keeper())
    link.client.acceptPlaceholders = True
    assert link.call(link.root, "keep", object()).check(pb.InsecureJelly)
