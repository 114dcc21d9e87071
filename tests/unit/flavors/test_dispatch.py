"""Classes that take a whole call, as Perspective Broker lets them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pellucid.errors import NoSuchMethod, RemoteError
from pellucid.flavors.cacheable import Cacheable, RemoteCache
from pellucid.flavors.referenceable import Avatar, AvatarReference, Referenceable, Root, Viewpoint
from pellucid.flavors.registry import Registry
from tests.pair import Pair, Settings


class Logged(Root):
    """Notes each call, and lets it happen."""

    def __init__(self) -> None:
        self.log: list[Any] = []

    def remoteMessageReceived(self, broker: Any, message: str, args: Any, kw: Any) -> Any:
        self.log.append((message, broker.unserialize(args), broker.unserialize(kw)))
        return super().remoteMessageReceived(broker, message, args, kw)

    def remote_echo(self, value: Any, *, times: int = 1) -> Any:
        return [value] * times

    async def remote_later(self, value: Any) -> Any:
        return value


class Answering(Root):
    """Answers whatever it is asked."""

    def remoteMessageReceived(self, broker: Any, message: str, args: Any, kw: Any) -> Any:
        return broker.serialize([message, broker.unserialize(args), broker.unserialize(kw)], None)


def test_an_override_sees_the_call_and_can_let_it_happen() -> None:
    root = Logged()
    pair = Pair(root)
    thing = Referenceable()
    assert pair.call(pair.root, "echo", thing, times=2) == [thing, thing]
    ((message, (argument,), keywords),) = root.log
    assert (message, argument.alive, keywords) == ("echo", True, {"times": 2})


def test_the_method_it_lets_run_may_be_a_coroutine() -> None:
    pair = Pair(Logged())
    assert pair.call(pair.root, "later", 1) == 1


def test_a_method_that_is_missing_is_missed_there_too() -> None:
    pair = Pair(Logged())
    with pytest.raises(NoSuchMethod, match="No such method: remote_nothing"):
        pair.call(pair.root, "nothing")


def test_an_override_can_answer_by_itself() -> None:
    pair = Pair(Answering())
    assert pair.call(pair.root, "anything", 1, x=2) == ["anything", (1,), {"x": 2}]


def test_what_an_override_raises_is_that_calls_error() -> None:
    class Closed(Root):
        def remoteMessageReceived(self, broker: Any, message: str, args: Any, kw: Any) -> Any:
            raise ValueError("closed")

    pair = Pair(Closed())
    with pytest.raises(RemoteError, match="closed"):
        pair.call(pair.root, "anything")


def test_the_nearest_ancestor_that_dispatches_in_either_way_decides() -> None:
    class Ours(Answering):
        def method_for(self, name: str) -> Callable[..., Any]:
            return lambda: f"ours {name}"

    class Theirs(Ours):
        def remoteMessageReceived(self, broker: Any, message: str, args: Any, kw: Any) -> Any:
            return "theirs, " + super().method_for(message)()

    pair = Pair(Ours())
    assert pair.call(pair.root, "x") == "ours x"
    pair = Pair(Theirs())
    assert pair.call(pair.root, "x") == "theirs, ours x"


def test_a_viewpoint_can_be_overridden_as_well() -> None:
    class Shown:
        def view_name(self, perspective: Any) -> str:
            return f"for {perspective}"

    class Loud(Viewpoint):
        def remoteMessageReceived(self, broker: Any, message: str, args: Any, kw: Any) -> Any:
            result: str = super().remoteMessageReceived(broker, message, args, kw)
            return result.upper()

    class Desk(Root):
        def remote_shown(self) -> Loud:
            return Loud("Alice", Shown())

    pair = Pair(Desk())
    assert pair.call(pair.call(pair.root, "shown"), "name") == "FOR ALICE"


class Guarded(Avatar):
    """Lets only some calls happen."""

    def perspectiveMessageReceived(self, broker: Any, message: str, args: Any, kw: Any) -> Any:
        if message == "forbidden":
            raise ValueError("forbidden")
        return super().perspectiveMessageReceived(broker, message, args, kw)

    def perspective_forbidden(self) -> str:
        return "reached"

    def perspective_allowed(self, value: Any) -> Any:
        return value


class Alone:
    """An avatar that derives from nothing."""

    def perspectiveMessageReceived(self, broker: Any, message: str, args: Any, kw: Any) -> Any:
        return [message, broker.unserialize(args, self)]


def test_an_avatar_can_override_what_takes_its_calls() -> None:
    pair = Pair(AvatarReference(Guarded()))
    assert pair.call(pair.root, "allowed", 1) == 1
    with pytest.raises(RemoteError, match="forbidden"):
        pair.call(pair.root, "forbidden")
    with pytest.raises(NoSuchMethod, match="perspective_nothing"):
        pair.call(pair.root, "nothing")


def test_an_avatar_of_any_class_can_take_its_calls_itself() -> None:
    pair = Pair(AvatarReference(Alone()))
    assert pair.call(pair.root, "whatever", 1) == ["whatever", (1,)]


def test_a_cache_can_override_what_takes_its_updates() -> None:
    class Pond(Cacheable):
        def get_state_to_cache_and_observe_for(self, perspective: Any, observer: Any) -> Any:
            self.observer = observer
            return {}

    class RemotePond(RemoteCache):
        log: list[Any] = []  # noqa: RUF012  # one instance

        def remoteMessageReceived(self, broker: Any, message: str, args: Any, kw: Any) -> Any:
            self.log.append(message)
            return super().remoteMessageReceived(broker, message, args, kw)

        def observe_ducks(self, number: int) -> int:
            return number

    class Desk(Root):
        pond = Pond()

        def remote_pond(self) -> Pond:
            return self.pond

    registry = Registry()
    registry.register(RemotePond, Pond)
    pair = Pair(Desk(), client=Settings(registry=registry))
    held = pair.call(pair.root, "pond")
    promise = Desk.pond.observer.call("ducks", 3)
    pair.pump()
    assert promise.result() == 3
    assert held.log == ["ducks"]
