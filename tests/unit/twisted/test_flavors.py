"""What crosses a connection of the Twisted door, and how programs written for PB have a say in it."""

from __future__ import annotations

import gc
from dataclasses import dataclass
from typing import Any

import pytest
from twisted.internet import defer
from twisted.python.failure import Failure

from pellucid.errors import Error, InsecureJelly, NoSuchMethod
from pellucid.flavors.dispatch import DECODED
from pellucid.flavors.registry import DEFAULT_REGISTRY, copyable
from pellucid.twisted import flavors, jelly, pb
from tests.unit.twisted.link import Link

HERE = __name__

pytestmark = pytest.mark.usefixtures("dialect")


class Plain:
    pass


class Desk(pb.Root):
    """Keeps what it is given, and gives what it has."""

    kept: Any = None

    def remote_keep(self, value: Any) -> None:
        self.kept = value

    def remote_give(self) -> Any:
        return self.kept


class Box(flavors.Copyable, flavors.RemoteCopy):
    inside: Any

    def __init__(self, inside: Any) -> None:
        self.inside = inside


class Shelf(flavors.Cacheable):
    def __init__(self, inside: Any) -> None:
        self.inside = inside

    def getStateToCacheAndObserveFor(self, perspective: Any, observer: Any) -> Any:
        return {"inside": self.inside}


class ShelfCopy(flavors.RemoteCache):
    inside: Any


@pytest.fixture
def link() -> Link:
    jelly.setUnjellyableForClass(Box, Box)
    jelly.setUnjellyableForClass(Shelf, ShelfCopy)
    return Link(Desk())


def kept(link: Link, value: Any) -> Any:
    """What arrives where `value` is sent."""
    result = link.call(link.root, "keep", value)
    if isinstance(result, Failure):
        result.raiseException()
    return link.server_factory.root.kept


def given(link: Link, value: Any) -> Any:
    """What arrives where `value` is answered."""
    link.server_factory.root.kept = value
    return link.call(link.root, "give")


def same(one: Any, other: Any) -> bool:
    """Whether they are one object (mypy can't follow `is` through sent values)."""
    return one is other


# Placeholders.


def test_j14_an_instance_that_may_not_cross_fails_the_call_at_its_sender(link: Link) -> None:
    with pytest.raises(InsecureJelly, match=rf"{HERE}\.Plain objects may not cross.*\[0\]"):
        kept(link, [Plain()])
    assert link.server_factory.root.kept is None


def test_in_the_state_of_a_copyable_a_placeholder_is_sent_and_its_class_logged_once(messages: list[str]) -> None:
    class Unlogged:
        pass

    jelly.setUnjellyableForClass(Box, Box)
    link = Link(Desk())
    box = kept(link, Box([Unlogged(), 1]))
    assert isinstance(box.inside[0], jelly.Unpersistable)
    assert box.inside[1] == 1
    kept(link, Box(Unlogged()))
    assert len([text for text in messages if "Unlogged objects may not cross" in text]) == 1


def test_in_the_state_of_a_cacheable_too(link: Link) -> None:
    assert isinstance(kept(link, Shelf(Plain())).inside, jelly.Unpersistable)


def test_in_what_an_object_writes_of_itself_too(link: Link) -> None:
    class Own(jelly.Jellyable):
        def jellyFor(self, jellier: Any) -> Any:
            return [b"own", jellier.jelly(Plain())]

    jelly.setUnjellyableForClass("own", lambda unjellier, expression: unjellier.unjelly(expression[1]))
    assert isinstance(kept(link, Own()), jelly.Unpersistable)


def test_after_such_a_state_the_rule_holds_again(link: Link) -> None:
    with pytest.raises(InsecureJelly, match="Plain"):
        kept(link, [Box(Plain()), Plain()])


def test_what_has_no_form_fails_the_call_there_too(link: Link) -> None:
    with pytest.raises(InsecureJelly, match="surrogates"):
        kept(link, Box("\ud800"))


def test_an_instance_whose_class_is_allowed_meanwhile_crosses() -> None:
    security = jelly.SecurityOptions()
    security.allowBasicTypes()
    link = Link(Desk(), security=security)
    link.client.security.allowTypes("unrelated")
    with pytest.raises(InsecureJelly):
        kept(link, Plain())
    client_classes = link.client.security.allowedClasses
    client_classes[Plain] = 1
    try:
        with pytest.raises(pb.RemoteError, match="not allowed"):
            kept(link, Plain())  # now the other side refuses it
        security.allowInstancesOf(Plain)
        assert type(kept(link, Plain())) is Plain
    finally:
        del client_classes[Plain]


# Copies.


def test_a_copyable_arrives_as_what_is_registered_for_it(link: Link) -> None:
    assert kept(link, Box(1)).inside == 1
    assert given(link, Box({"a": (2,)})).inside == {"a": (2,)}


def test_what_nobody_registered_is_refused() -> None:
    class Unknown(flavors.Copyable):
        pass

    with pytest.raises(pb.RemoteError, match="Unknown"):
        kept(Link(Desk()), Unknown())


def test_a_class_may_be_registered_while_a_connection_lasts(link: Link) -> None:
    class Late(flavors.Copyable, flavors.RemoteCopy):
        pass

    with pytest.raises(pb.RemoteError, match="Late"):
        kept(link, Late())
    jelly.setUnjellyableForClass(Late, Late)
    assert type(kept(link, Late())) is Late


def test_shared_and_cyclic_copies_stay_so(link: Link) -> None:
    box = Box(None)
    box.inside = [box, (box,)]
    first, second = kept(link, [box, box])
    assert first is second is first.inside[0] is first.inside[1][0]


def test_a_factory_builds_copies(link: Link) -> None:
    jelly.setUnjellyableFactoryForClass(Box, lambda state: state["inside"])
    del jelly.unjellyableRegistry[f"{HERE}.Box".encode()]
    assert kept(link, Box(7)) == 7


def test_a_copy_can_read_itself_and_go_on_with_the_rest(link: Link) -> None:
    class Wary(Box):
        wary: Any

        def unjellyFor(self, unjellier: Any, jellyList: Any) -> Any:
            self.wary = True  # lost when the state is set
            copy = super().unjellyFor(unjellier, jellyList)
            copy.inside = [copy.inside, unjellier.invoker]
            return copy

    jelly.setUnjellyableForClass(Box, Wary)
    copy = kept(link, Box(1))
    assert vars(copy) == {"inside": [1, link.server]}


def test_a_copyable_can_be_written_by_its_class_and_go_on_with_the_rest(link: Link) -> None:
    class Wrapped(Box):
        def jellyFor(self, jellier: Any) -> Any:
            return [b"wrapped", super().jellyFor(jellier)]

    jelly.setUnjellyableForClass("wrapped", lambda unjellier, expression: [unjellier.unjelly(expression[1])])
    jelly.setUnjellyableForClass(Wrapped, Box)
    (copy,) = kept(link, Wrapped(1))
    assert copy.inside == 1


def test_of_several_flavors_the_nearest_ancestors_counts(link: Link) -> None:
    class CopiedFirst(Box, flavors.Referenceable):
        pass

    class CalledFirst(flavors.Referenceable, Box):
        pass

    jelly.setUnjellyableForClass(CopiedFirst, Box)
    assert kept(link, CopiedFirst(1)).inside == 1
    assert isinstance(kept(link, CalledFirst(1)), pb.RemoteReference)


def test_a_dataclass_registered_in_pellucids_way_crosses_as_well(link: Link) -> None:
    @dataclass
    class Point:
        x: int

    copyable(tag="a point without a dot")(Point)
    try:
        assert kept(link, [Point(1)]) == [Point(1)]
    finally:
        del DEFAULT_REGISTRY._receivers["a point without a dot"], DEFAULT_REGISTRY._copiers[Point]


def test_security_options_without_references_let_none_through() -> None:
    security = jelly.SecurityOptions()
    security.allowBasicTypes()
    with pytest.raises(pb.RemoteError, match="remote may not cross"):
        kept(Link(Desk(), security=security), pb.Referenceable())


def test_an_error_gets_through_whatever_may_not() -> None:
    factory = pb.PBClientFactory(security=jelly.SecurityOptions())
    link = Link(Desk(), factory)
    failure = link.call(link.root, "no_such_method")
    assert failure.check(NoSuchMethod)


# Caches.


def test_f8_a_cache_knows_its_broker_and_its_number(link: Link) -> None:
    shelf = Shelf(1)
    copy = given(link, shelf)
    assert copy.broker is link.client
    assert link.server.remotelyCachedObjects[copy.luid].object is shelf


def test_f7_a_cache_that_goes_home_is_the_original(link: Link) -> None:
    shelf = Shelf(1)
    assert same(kept(link, given(link, shelf)), shelf)


def test_a_cache_can_read_itself_and_go_on_with_the_rest(link: Link) -> None:
    class Noted(ShelfCopy):
        def __init__(self) -> None:
            self.made = True

        def setCopyableState(self, state: Any) -> None:
            vars(self).update(state)

        def unjellyFor(self, unjellier: Any, jellyList: Any) -> Any:
            copy = super().unjellyFor(unjellier, jellyList)
            copy.noted = True
            return copy

    jelly.setUnjellyableForClass(Shelf, Noted)
    first, second = given(link, [shelf := Shelf(1), shelf])
    assert first is second
    assert (first.inside, first.made, first.noted) == (1, True, True)
    assert same(kept(link, first), shelf)


# References.


class Station(pb.Referenceable):
    """An object that says with its reference where it is."""

    def jellyFor(self, jellier: Any) -> Any:
        return b"station", b"north", jellier.invoker.registerReference(self)

    def remote_where(self) -> str:
        return "here"


class StationReference(pb.RemoteReference):
    place: bytes

    def unjellyFor(self, unjellier: Any, unjellyList: Any) -> Any:
        tag, self.place, number = unjellyList
        return super().unjellyFor(unjellier, [tag, number])


def test_a_reference_may_be_of_a_registered_class_and_carry_more(link: Link) -> None:
    jelly.setUnjellyableForClass("station", StationReference)
    station = Station()
    first, second = given(link, [station, station])
    assert first is second
    assert (type(first), first.place) == (StationReference, b"north")
    assert link.call(first, "where") == "here"
    assert same(kept(link, first), station)


def test_its_object_is_forgotten_when_it_is(link: Link) -> None:
    jelly.setUnjellyableForClass("station", StationReference)
    reference = given(link, Station())
    number = reference.luid
    assert number in link.server.localObjects
    del reference
    link.settle()
    assert number not in link.server.localObjects


class Visible(pb.Viewable):
    def view_seen_by(self, perspective: Any) -> Any:
        return perspective.name


class Alice(pb.Avatar):
    name = "alice"
    thing: Any

    def perspective_visit(self, thing: Any) -> Any:
        self.thing = thing


class Visitor(pb.Referenceable):
    shown: Any

    def remote_look(self, shown: Any) -> None:
        self.shown = shown


def test_a_reference_that_came_from_an_avatars_peer_is_called_as_that_avatar_sees_it() -> None:
    alice, visitor = Alice(), Visitor()
    link = Link(Desk())
    avatar = given(link, pb.AsReferenceable(alice, "perspective"))
    link.call(avatar, "visit", visitor)
    assert alice.thing.perspective is alice
    link.call(alice.thing, "look", Visible())
    assert link.call(visitor.shown, "seen_by") == "alice"
    assert given(link, kept(link, visitor)) is visitor  # and elsewhere it has none
    gc.collect()


def test_an_object_that_writes_itself_is_told_who_sees_it() -> None:
    seen: list[Any] = []

    class Shown(jelly.Jellyable):
        def jellyFor(self, jellier: Any) -> Any:
            seen.append((jellier.perspective, jellier.invoker.serializingPerspective))
            return jellier.jelly(None)

    class Bob(pb.Avatar):
        def perspective_show(self) -> Any:
            return defer.succeed(Shown())

    bob = Bob()
    link = Link(Desk())
    avatar = given(link, pb.AsReferenceable(bob, "perspective"))
    assert link.call(avatar, "show") is None
    assert seen == [(bob, bob)]
    assert link.server.serializingPerspective is None


# What a peer's call runs.


class Echo:
    def echo_hello(self, name: str) -> str:
        return f"hello {name}"


class Whole:
    def remoteMessageReceived(self, broker: Any, message: str, args: Any, kw: Any) -> Any:
        return broker.serialize([message, *broker.unserialize(args)])


def test_any_object_can_be_made_callable_by_the_prefix_of_its_methods(link: Link) -> None:
    assert link.call(given(link, pb.AsReferenceable(Echo(), "echo")), "hello", "you") == "hello you"
    failure = link.call(given(link, pb.AsReferenceable(Echo())), "hello", "you")
    assert failure.check(NoSuchMethod)


def test_such_an_object_may_take_whole_calls(link: Link) -> None:
    assert link.call(given(link, pb.AsReferenceable(Whole())), "anything", 1) == ["anything", 1]
    assert pb.AsReferenceable(Whole()).remoteMessageReceived(DECODED, "some", (1,), {}) == ["some", 1]


# Failures.


class Allowed(Error):
    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class Told(Error, flavors.Copyable, flavors.RemoteCopy):
    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Failing(pb.Root):
    def __init__(self, error: Exception) -> None:
        self.error = error

    def remote_fail(self) -> Any:
        return defer.fail(self.error)


def test_e2_an_exception_that_is_a_copyable_arrives_as_its_copy() -> None:
    jelly.setUnjellyableForClass(Told, Told)
    link = Link(Failing(Told(7)))
    failure = link.call(link.root, "fail")
    assert (failure.type, failure.value.code) == (Told, 7)


def test_e2_an_exception_whose_class_is_allowed_arrives_as_itself() -> None:
    jelly.globalSecurity.allowInstancesOf(Allowed)
    try:
        link = Link(Failing(Allowed("so")))
        failure = link.call(link.root, "fail")
        assert (failure.type, failure.value.text) == (Allowed, "so")
    finally:
        del jelly.globalSecurity.allowedClasses[Allowed]
        del jelly.globalSecurity.allowedModules[HERE.encode()]


def test_an_answer_that_failed_at_a_third_party_is_handed_on() -> None:
    far = Link(Failing(pb.Error("far away")))

    class Middle(pb.Root):
        def remote_fail(self) -> Any:
            return far.root.callRemote("fail")

    link = Link(Middle())
    waiting = link.root.callRemote("fail")
    link.pump()
    far.pump()
    link.pump()
    caught: list[Any] = []
    waiting.addErrback(caught.append)
    assert caught[0].check(pb.Error)
    assert str(caught[0].value) == "far away"


# Names.


def test_the_flavors_of_all_doors_are_the_same_classes() -> None:
    import pellucid

    assert flavors.Copyable is pellucid.Copyable
    assert flavors.Referenceable is pellucid.Referenceable
    assert flavors.ViewPoint is pellucid.Viewpoint
    assert flavors.NoSuchMethod is pellucid.NoSuchMethod


def test_the_older_names_mean_the_same() -> None:
    assert flavors.setCopierForClass is jelly.setUnjellyableForClass
    assert flavors.setFactoryForClass is jelly.setUnjellyableFactoryForClass
    assert flavors.setCopierForClassTree is jelly.setUnjellyableForClassTree
    assert flavors.copyTags is jelly.unjellyableRegistry


@pytest.mark.parametrize(
    ("read", "tag"),
    [(flavors.unjellyCached, b"cached"), (flavors.unjellyLCache, b"lcache"), (flavors.unjellyLocal, b"local")],
)
def test_the_readers_of_what_was_sent_before_can_be_called(read: Any, tag: bytes) -> None:
    class Unjellier:
        def unjelly(self, expression: Any) -> Any:
            return expression

    assert read(Unjellier(), [b"anything", 5]) == [tag, 5]
