"""Classes that take a whole call, as Perspective Broker lets them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pellucid.errors import NoSuchMethod, RemoteError
from pellucid.flavors.cacheable import Cacheable, RemoteCache
from pellucid.flavors.dispatch import DECODED
from pellucid.flavors.referenceable import (
    AsReferenceable,
    Avatar,
    AvatarReference,
    Referenceable,
    Root,
    Viewpoint,
    method_of,
)
from pellucid.flavors.registry import Registry
from tests.dialects import each_dialect
from tests.pair import Pair, Settings

pytestmark = each_dialect


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


class AvatarFirst(Avatar, Referenceable):
    def remote_where(self) -> str:
        return "by reference"

    def perspective_where(self) -> str:
        return "as avatar"

    def perspective_secret(self) -> str:
        return "for whom it is the avatar of"


class ReferenceableFirst(Referenceable, Avatar):
    remote_where = AvatarFirst.remote_where
    perspective_where = AvatarFirst.perspective_where
    perspective_secret = AvatarFirst.perspective_secret


class Picky(Referenceable):
    """Lets a peer call what it says, and nothing else."""

    def method_for(self, name: str) -> Callable[..., Any]:
        if name != "allowed":
            raise NoSuchMethod(f"not {name}")
        return super().method_for(name)

    def remote_allowed(self) -> str:
        return "allowed"

    def remote_where(self) -> str:
        return "not allowed"


class PickyAvatar(Avatar, Picky):
    def perspective_where(self) -> str:
        return "as avatar"


class LoggedAvatar(Avatar, Logged):
    pass


@pytest.mark.parametrize("cls", [AvatarFirst, ReferenceableFirst])
def test_an_avatar_that_is_a_referenceable_too_has_for_each_the_methods_of_that(cls: type[Referenceable]) -> None:
    pair = Pair(cls())
    assert pair.call(pair.root, "where") == "by reference"
    with pytest.raises(NoSuchMethod, match="remote_secret"):
        pair.call(pair.root, "secret")
    pair = Pair(AvatarReference(cls()))
    assert pair.call(pair.root, "where") == "as avatar"
    assert pair.call(pair.root, "secret") == "for whom it is the avatar of"


def test_a_referenceable_that_is_no_avatar_acts_as_one_by_its_own_methods() -> None:
    pair = Pair(AvatarReference(Picky()))
    assert pair.call(pair.root, "allowed") == "allowed"


def test_what_a_referenceable_says_of_its_calls_counts_though_it_is_an_avatar_first() -> None:
    pair = Pair(PickyAvatar())
    assert pair.call(pair.root, "allowed") == "allowed"
    with pytest.raises(NoSuchMethod, match="not where"):
        pair.call(pair.root, "where")
    pair = Pair(AvatarReference(PickyAvatar()))
    assert pair.call(pair.root, "where") == "as avatar"
    root = LoggedAvatar()
    pair = Pair(root)
    assert pair.call(pair.root, "echo", 1) == [1]
    assert [message for message, *_ in root.log] == ["echo"]


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


# PB's rule: methods of the instance may be called too.


class Lenient:
    """A translator that says so."""

    dynamic = True
    unserialize = staticmethod(DECODED.unserialize)
    serialize = staticmethod(DECODED.serialize)


class Delegating:
    """Has whatever its original has."""

    def __init__(self, original: object) -> None:
        self.original = original

    def __getattr__(self, name: str) -> Any:
        return getattr(self.original, name)


class Original:
    name = "original"

    def remote_name(self) -> str:
        return self.name

    perspective_name = observe_name = remote_name

    def view_name(self, perspective: str) -> str:
        return f"{self.name} for {perspective}"


class DelegatingRoot(Delegating, Root): ...


class DelegatingAvatar(Delegating, Avatar): ...


class DelegatingCache(Delegating, RemoteCache): ...


LENIENT = Lenient()

CALLED: list[tuple[Any, str]] = [
    (DelegatingRoot(Original()), "original"),
    (AvatarReference(DelegatingAvatar(Original())), "original"),
    (AvatarReference(Delegating(Original())), "original"),
    (AsReferenceable(Delegating(Original())), "original"),
    (Viewpoint("Alice", Delegating(Original())), "original for Alice"),
    (DelegatingCache(Original()), "original"),
]


@pytest.mark.parametrize(("obj", "result"), CALLED)
def test_methods_of_the_instance_are_found_by_pbs_rule_alone(obj: Any, result: str) -> None:
    assert method_of(obj, "name", LENIENT)() == result
    with pytest.raises(NoSuchMethod):
        method_of(obj, "name", DECODED)
    with pytest.raises(NoSuchMethod):
        method_of(obj, "name_", LENIENT)


def test_an_override_that_goes_on_finds_them_as_well() -> None:
    class Gate(DelegatingRoot):
        def remoteMessageReceived(self, broker: Any, message: str, args: Any, kw: Any) -> Any:
            return ["gate", super().remoteMessageReceived(broker, message, args, kw)]

    assert method_of(Gate(Original()), "name", LENIENT)() == ["gate", "original"]


def test_a_class_that_says_itself_what_may_be_called_is_asked_in_any_case() -> None:
    class Closed(DelegatingRoot):
        def method_for(self, name: str) -> Any:
            raise NoSuchMethod(name)

    with pytest.raises(NoSuchMethod, match="name"):
        method_of(Closed(Original()), "name", LENIENT)


def test_a_translator_need_not_know_of_the_rule() -> None:
    class Bare:
        unserialize = staticmethod(DECODED.unserialize)
        serialize = staticmethod(DECODED.serialize)

    assert Logged().remoteMessageReceived(Bare(), "echo", (1,), {}) == [1]
