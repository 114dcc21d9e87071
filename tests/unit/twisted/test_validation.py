"""Checked arguments through the Twisted door: classes ask for it."""

from __future__ import annotations

from typing import Any

from twisted.internet import defer
from twisted.python.failure import Failure

from pellucid.errors import InvalidArgument
from pellucid.twisted import pb
from tests.unit.twisted.link import Link


class Desk(pb.Root, validate=True):
    def remote_double(self, number: int) -> int:
        return number * 2

    def remote_double_later(self, number: int) -> defer.Deferred[int]:
        return defer.succeed(number * 2)


def test_a_class_checks_there_as_well_and_that_is_news_for_its_caller_alone(dialect: str, logged: list[Any]) -> None:
    link = Link(Desk())
    for name in "double", "double_later":
        assert link.call(link.root, name, 2) == 4
        failure = link.call(link.root, name, "2")
        assert isinstance(failure, Failure)
        assert failure.check(InvalidArgument) is InvalidArgument
        assert failure.getErrorMessage() == f"argument number of remote_{name}: expected int, got str"
        assert failure.check(pb.Error) is pb.Error
    assert not logged
