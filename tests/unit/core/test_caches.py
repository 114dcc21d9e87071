from __future__ import annotations

import gc
from typing import Any

import pytest

from pellucid.core.caches import CacheObserver
from pellucid.errors import (
    DeadReferenceError,
    Error,
    ForeignReference,
    InsecureJelly,
    LocalProtocolError,
    RemoteError,
    RemoteProtocolError,
)
from pellucid.flavors.cacheable import Cacheable, RemoteCache
from pellucid.flavors.referenceable import Referenceable
from pellucid.flavors.registry import Registry
from pellucid.flavors.serializable import qualified_name
from pellucid.wire.dialect import Sharing
from pellucid.wire.native.codes import Leaf, Mark
from tests.dialects import each_dialect, over
from tests.pair import Desk, Extension, Pair, Settings, Stranger

pytestmark = each_dialect


class Pond(Cacheable):
    """Tells its observers how many ducks there are."""

    def __init__(self, ducks: object = 0) -> None:
        self.ducks = ducks
        self.observers: list[Any] = []
        self.stopped: list[tuple[object, object]] = []

    def get_state_to_cache_and_observe_for(self, perspective: Any, observer: Any) -> Any:
        self.observers.append(observer)
        return {"ducks": self.ducks}

    def stopped_observing(self, perspective: Any, observer: Any) -> None:
        self.observers.remove(observer)
        self.stopped.append((perspective, observer))

    def set(self, ducks: object) -> list[Any]:
        self.ducks = ducks
        return [observer.call("ducks", ducks) for observer in self.observers]


class RemotePond(RemoteCache):
    made = 0
    ducks: Any

    def __init__(self) -> None:
        type(self).made += 1

    def observe_ducks(self, number: object) -> str:
        self.ducks = number
        return f"saw {number}"

    def observe_state(self, state: object) -> None:
        self.set_copyable_state(state)

    def observe_itself(self) -> RemotePond:
        return self

    def observe_failure(self) -> None:
        raise Error("no ducks to be seen")


def knowing(receiver: type[RemoteCache] = RemotePond) -> Settings:
    registry = Registry()
    registry.register(receiver, Pond)
    return Settings(registry=registry)


def cached(number: int, dialect: str) -> object:
    """What stands for a copy that the peer has."""
    return Extension(Leaf.CACHED, bytes([number])) if dialect == "pellucid" else [b"cached", number]


class Shore:
    """A server's pond, and the client that is given copies of it."""

    def __init__(
        self, pond: Pond | None = None, receiver: type[RemoteCache] = RemotePond, *, sharing: Sharing = "tree"
    ) -> None:
        self.pond = pond or Pond(2)
        self.desk = Desk()
        self.desk.kept = [self.pond]
        self.pair = Pair(self.desk, client=knowing(receiver), server=Settings(sharing=sharing))

    def give(self) -> RemotePond:
        copy = self.pair.call(self.pair.root, "give")
        assert isinstance(copy, RemotePond)
        return copy

    @property
    def observer(self) -> Any:
        (observer,) = self.pond.observers
        return observer

    def said(self) -> list[bytes]:
        """The commands that concern the pond, in each direction."""
        commands = self.pair.to_client.commands() + self.pair.to_server.commands()
        return [command for command in commands if command in (b"cachemessage", b"decache", b"uncache")]

    def counts(self) -> dict[int, int]:
        return self.pair.server.cache_exports()

    def settle(self) -> None:
        self.pair.settle()


# Sent, and sent again.


def test_f7_the_first_time_the_state_is_sent_and_after_that_only_the_number(dialect: str) -> None:
    shore = Shore()
    first, second = shore.give(), shore.give()
    assert first is second
    assert first.ducks == 2
    answers = [message[2] for message in shore.pair.to_client.said()]
    if dialect == "pellucid":
        assert answers[0][:2] == [Extension(Mark.CACHE, b"\1"), f"{__name__}.Pond"]
    else:
        assert answers[0][:2] == [f"{__name__}.Pond".encode(), 1]
    assert answers[1] == cached(1, dialect)
    assert shore.counts() == {1: 2}


def test_f7_sent_twice_in_one_message_it_is_shared_and_counted_once() -> None:
    shore = Shore(sharing="graph")
    shore.desk.kept = [(shore.pond, shore.pond)]
    first, second = shore.pair.call(shore.pair.root, "give")
    assert first is second
    assert shore.counts() == {1: 1}
    shore.pair.call(shore.pair.root, "give")
    assert shore.counts() == {1: 3}


def test_f7_sent_twice_in_one_message_as_a_tree_each_is_a_receipt_of_one_copy(dialect: str) -> None:
    shore = Shore(sharing="tree")
    shore.desk.kept = [[(shore.pond, {"again": shore.pond})]]
    ((first, again),) = shore.pair.call(shore.pair.root, "give")
    assert again["again"] is first
    assert shore.counts() == {1: 2 if dialect == "pellucid" else 1}
    del first, again
    shore.settle()
    assert shore.counts() == {}


def test_f7_the_copy_that_comes_home_is_the_original(dialect: str) -> None:
    shore = Shore()
    copy = shore.give()
    shore.pair.call(shore.pair.root, "keep", copy)
    assert shore.desk.kept[-1] is shore.pond
    said = shore.pair.to_server.said()[-1]
    if dialect == "pellucid":
        assert said[4] == [Extension(Leaf.LOCAL_CACHE, b"\1")]
    else:
        assert said[5] == [b"tuple", [b"lcache", 1]]


def test_f7_a_copy_is_not_for_a_third_party() -> None:
    shore, other = Shore(), Pair()
    with pytest.raises(ForeignReference):
        other.call(other.root, "echo", shore.give())
    with pytest.raises(ForeignReference):
        other.call(other.root, "echo", RemotePond())


def test_f8_a_copy_is_made_by_calling_the_class_without_arguments() -> None:
    before = RemotePond.made
    Shore().give()
    assert RemotePond.made == before + 1


def test_f8_copies_can_be_compared_and_hashed() -> None:
    shore, other = Shore(), Shore()
    copy = shore.give()
    assert copy == shore.give()
    assert len({copy, shore.give(), other.give()}) == 2


def test_a_cacheable_may_contain_itself() -> None:
    shore = Shore()
    shore.pond.ducks = [shore.pond]
    copy = shore.give()
    assert copy.ducks[0] is copy


# Updates.


def test_f9_an_update_runs_the_holders_method_and_is_answered() -> None:
    shore = Shore()
    copy = shore.give()
    (update,) = shore.pond.set(3)
    shore.pair.pump()
    assert copy.ducks == 3
    assert update.result() == "saw 3"


def test_f9_the_holders_errors_reach_the_owner() -> None:
    shore = Shore()
    copy = shore.give()
    failed, unknown = shore.observer.call("failure"), shore.observer.call("nothing")
    shore.pair.pump()
    with pytest.raises(Error, match="no ducks to be seen"):
        failed.result()
    with pytest.raises(AttributeError, match="No such method: observe_nothing"):
        unknown.result()
    assert copy.ducks == 2


def test_an_update_without_an_answer_is_a_message_less() -> None:
    shore = Shore()
    copy = shore.give()
    assert shore.observer.update("ducks", 4).result() is None
    shore.pair.pump()
    assert copy.ducks == 4
    assert shore.pair.to_server.commands() == [b"message"]


def test_f9_before_the_copy_is_sent_there_is_nothing_to_update() -> None:
    class Hasty(Pond):
        def get_state_to_cache_and_observe_for(self, perspective: Any, observer: Any) -> Any:
            with pytest.raises(LocalProtocolError, match="can't be told: the peer has not been sent its copy"):
                observer.call("ducks", 5)
            return super().get_state_to_cache_and_observe_for(perspective, observer)

    registry = Registry()
    registry.register(RemotePond, Hasty)
    desk = Desk()
    desk.kept = [Hasty()]
    pair = Pair(desk, client=Settings(registry=registry))
    pair.call(pair.root, "give")
    assert b"cachemessage" not in pair.to_client.commands()


def test_a_call_made_while_the_copy_is_written_does_not_let_updates_overtake_it() -> None:
    shore = Shore()
    reference: Any = shore.pair.server.broker.root()

    class Calling(Pond):
        def get_state_to_cache_and_observe_for(self, perspective: Any, observer: Any) -> Any:
            reference.call("anything")
            with pytest.raises(LocalProtocolError):
                observer.call("ducks", 5)
            return super().get_state_to_cache_and_observe_for(perspective, observer)

    shore.desk.kept = [[Calling()]]
    with pytest.raises(InsecureJelly, match="Calling"):
        shore.pair.call(shore.pair.root, "give")


def test_an_update_cannot_overtake_the_state_that_it_changes() -> None:
    shore = Shore()
    shore.pair.to_client.held = True
    given: Any = shore.pair.root.call("give")
    shore.pair.pump()
    shore.pond.set(9)
    shore.pair.flush()
    shore.pair.to_client.deliver()
    assert given.result().ducks == 9


# Several observers.


def test_f10_one_of_two_observers_can_be_removed_from_a_list() -> None:
    pond = Pond(1)
    one, other = Shore(pond), Shore(pond)
    copies = [one.give(), other.give()]
    first, second = pond.observers
    pond.set(2)
    for shore in one, other:
        shore.pair.pump()
    assert [copy.ducks for copy in copies] == [2, 2]
    one.pair.cut()
    assert pond.observers == [second]
    assert pond.stopped == [(None, first)]
    assert {first: "may be a key", second: "too"}[first] == "may be a key"
    assert first != second


def test_an_observer_says_in_its_repr_whether_it_observes() -> None:
    shore = Shore()
    shore.give()
    assert repr(shore.observer) == "<CacheObserver 1 observing=True>"
    assert isinstance(shore.observer, CacheObserver)


# Dropped.


def test_a_copy_that_nobody_holds_is_given_back_with_every_receipt_and_then_forgotten(dialect: str) -> None:
    shore = Shore()
    copy = shore.give()
    shore.give()
    observer = shore.observer
    shore.settle()
    assert shore.said() == []
    del copy
    shore.settle()
    one_by_one = [b"decache", b"decache"]
    assert shore.said() == [b"uncache", *(one_by_one if dialect == "pb" else [b"decache"])]
    assert shore.pond.stopped == [(None, observer)]
    assert shore.pair.server.is_empty()
    assert shore.pair.client.is_empty()


def test_its_owner_may_send_a_last_word_when_it_is_told_of_the_drop() -> None:
    class Polite(Pond):
        def get_type_to_copy(self) -> str:
            return qualified_name(Pond)

        def stopped_observing(self, perspective: Any, observer: Any) -> None:
            observer.update("ducks", 0)
            super().stopped_observing(perspective, observer)

    shore = Shore(Polite())
    shore.give()
    observer = shore.observer
    shore.settle()
    assert shore.said() == [b"cachemessage", b"uncache", b"decache"]
    assert observer.observing is False
    assert shore.pair.client.ended_by is None
    assert shore.pair.server.is_empty()
    assert shore.pair.client.is_empty()


def test_once_dropped_it_can_not_be_updated_any_more() -> None:
    shore = Shore()
    shore.give()
    assert shore.pair.client.knocks == 1
    observer = shore.observer
    shore.settle()
    assert shore.pair.client.broker.books.cache_imports._ids == {}
    with pytest.raises(LocalProtocolError, match="can't be told: the peer has dropped its copy"):
        observer.call("ducks", 1)


def test_once_dropped_it_is_sent_whole_again_under_a_new_number() -> None:
    shore = Shore()
    shore.give()
    shore.settle()
    shore.pond.ducks = 7
    assert shore.give().ducks == 7
    assert shore.counts() == {2: 1}


def dropped_and_sent_again(shore: Shore, held: list[RemotePond]) -> RemotePond:
    """A copy received by number alone, as its owner sent it before it knew that what is `held` would be dropped."""
    shore.pair.to_server.held = True
    given: Any = shore.pair.root.call("give")
    shore.pair.flush()
    shore.pair.to_server.deliver()
    held.clear()
    gc.collect()
    shore.pair.flush()  # the drop waits on the wire
    shore.pair.pump()
    shore.pair.to_server.held = False
    shore.pair.pump()
    copy = given.result()
    assert isinstance(copy, RemotePond)
    return copy


def test_a_copy_dropped_and_sent_again_at_the_same_time_keeps_its_state(dialect: str) -> None:
    shore = Shore()
    copy = dropped_and_sent_again(shore, [shore.give()])
    assert shore.pair.to_client.said()[-1][2] == cached(1, dialect)
    assert copy.ducks == 2
    assert shore.counts() == {1: 1}
    shore.pond.set(3)
    shore.pair.pump()
    assert copy.ducks == 3
    shore.pair.call(shore.pair.root, "keep", copy)
    assert shore.desk.kept[-1] is shore.pond


def test_a_copy_sent_again_has_the_updates_that_came_while_nobody_held_it() -> None:
    shore = Shore()
    shore.give()
    shore.pair.to_server.held = True
    shore.settle()
    shore.pond.set(3)
    shore.pair.pump()
    given: Any = shore.pair.root.call("give")
    shore.pair.flush()
    commands = shore.pair.to_server.commands()
    shore.pair.to_server.held = False
    shore.pair.pump()
    assert commands[-3:] == [b"decache", b"answer", b"message"]
    assert given.result().ducks == 3


def test_an_update_that_replaces_the_whole_state_is_kept_when_the_copy_is_dropped() -> None:
    shore = Shore()
    held = [shore.give()]
    shore.observer.call("state", {"geese": 5})
    shore.observer.call("state", {"ducks": 8})
    shore.pair.pump()
    assert vars(held[0]) == {"ducks": 8}
    assert dropped_and_sent_again(shore, held).ducks == 8


def test_a_copy_that_minds_its_own_state_keeps_it_when_it_is_dropped() -> None:
    class Own(RemotePond):
        def set_copyable_state(self, state: Any) -> None:
            self.__dict__ = {"ducks": state["ducks"] * 10}

    shore = Shore(receiver=Own)
    assert dropped_and_sent_again(shore, [shore.give()]).ducks == 20


def test_an_update_of_a_dropped_copy_may_return_the_copy() -> None:
    shore = Shore()
    shore.give()
    shore.pair.to_server.held = True
    gc.collect()
    shore.pair.flush()
    update = shore.observer.call("itself")
    shore.pair.pump()
    shore.pair.to_server.held = False
    shore.pair.pump()
    assert update.result() is shore.pond
    assert shore.pair.client.is_empty()


# Given back, though it was never whole.


def test_a_copy_that_is_not_known_here_is_given_back_and_the_connection_lives() -> None:
    desk = Desk()
    pond = Pond(2)
    desk.kept = [[pond, pond]]
    pair = Pair(desk)
    for _ in range(2):
        with pytest.raises(InsecureJelly, match="Pond may not cross; register it"):
            pair.call(pair.root, "give")
    assert len(pond.stopped) == 2
    assert pair.server.is_empty()
    assert pair.call(pair.root, "echo", 1) == 1


@over("pb")
def test_every_receipt_of_a_copy_is_given_back_where_its_message_can_not_be_decoded() -> None:
    stranger = Stranger(settings=knowing())
    whole = [f"{__name__}.Pond".encode(), 1, [b"dictionary", [b"ducks", 2]]]
    cached = [b"cached", 1]
    heard = stranger.call("keep", whole, [b"list", cached, cached], [b"bad.Tag", [b"list", cached]])
    gc.collect()
    assert (heard + stranger.hear())[1:] == [[b"decache", 1]] * 4
    stranger.say([b"uncache", 1])
    assert stranger.side.is_empty()


def test_a_copy_whose_class_can_not_be_made_is_given_back() -> None:
    class Broken(RemoteCache):
        def __init__(self) -> None:
            raise RuntimeError("out of order")

    registry = Registry()
    registry.register(Broken, Pond)
    pond = Pond()
    desk = Desk()
    desk.kept = [pond]
    pair = Pair(desk, client=Settings(registry=registry))
    with pytest.raises(RuntimeError, match="out of order"):
        pair.call(pair.root, "give")
    pair.settle()
    assert pond.observers == []
    assert pair.client.is_empty()
    assert pair.server.is_empty()


def test_a_copy_that_refuses_its_state_is_given_back() -> None:
    class Picky(RemoteCache):
        def set_copyable_state(self, state: Any) -> None:
            raise ValueError("not to my taste")

    registry = Registry()
    registry.register(Picky, Pond)
    pond = Pond()
    desk = Desk()
    desk.kept = [pond]
    pair = Pair(desk, client=Settings(registry=registry))
    with pytest.raises(ValueError, match="not to my taste"):
        pair.call(pair.root, "give")
    pair.settle()
    assert pond.observers == []
    assert pair.client.is_empty()


def test_a_cacheable_in_a_message_that_can_not_be_sent_has_stopped_observing() -> None:
    shore = Shore()
    shore.desk.kept = [[shore.pond, object()]]
    with pytest.raises(InsecureJelly, match=r"builtins.object objects may not cross"):
        shore.pair.call(shore.pair.root, "give")
    assert shore.pond.observers == []
    assert len(shore.pond.stopped) == 1
    assert shore.pair.server.is_empty()
    with pytest.raises(LocalProtocolError):
        shore.pond.stopped[0][1].call("ducks", 1)  # type: ignore[attr-defined]


def test_a_cacheable_that_the_peer_holds_already_is_only_counted_back() -> None:
    shore = Shore()
    copy = shore.give()
    shore.desk.kept = [[shore.pond, object()]]
    with pytest.raises(InsecureJelly):
        shore.pair.call(shore.pair.root, "give")
    assert shore.counts() == {1: 1}
    shore.pond.set(5)
    shore.pair.pump()
    assert copy.ducks == 5


# A peer that breaks the rules.


@over("pb")
def test_more_copies_than_there_are_can_not_be_dropped() -> None:
    stranger = Stranger()
    stranger.say([b"decache", 1])
    assert str(stranger.side.ended_by) == "the peer dropped a cache that it does not hold"
    assert isinstance(stranger.side.ended_by, RemoteProtocolError)


@over("pb")
def test_the_state_of_a_copy_is_taken_once() -> None:
    stranger = Stranger(settings=knowing())
    state = [f"{__name__}.Pond".encode(), 1, [b"dictionary", [b"ducks", 1]]]
    assert stranger.call("keep", state)[0][0] == b"answer"
    failure = stranger.call("keep", state)
    assert b"the peer sent the state of a cacheable twice" in str(failure).encode()
    assert not stranger.side.is_closed


@over("pb")
def test_an_update_of_a_copy_that_is_not_held_is_an_invalid_id() -> None:
    stranger = Stranger()
    stranger.say([b"cachemessage", 1, 1, b"ducks", 1, [b"tuple", 1], [b"dictionary"]])
    assert "Invalid Object ID" in str(stranger.hear())


@over("pb")
def test_a_cache_has_no_name() -> None:
    stranger = Stranger()
    stranger.say([b"cachemessage", 1, b"root", b"ducks", 1, [b"tuple"], [b"dictionary"]])
    assert "a cache has a number, not a name" in str(stranger.side.ended_by)


@over("pb")
def test_an_uncache_out_of_turn_hurts_nobody_but_the_copy() -> None:
    stranger = Stranger(settings=knowing())
    stranger.call("keep", [f"{__name__}.Pond".encode(), 1, [b"dictionary", [b"ducks", 1]]])
    stranger.say([b"uncache", 1], [b"uncache", 5])
    assert not stranger.side.is_closed
    desk: Any = stranger.side.published
    assert desk.kept.pop().ducks == 1
    gc.collect()
    stranger.listen()
    assert stranger.side.is_empty()
    assert not stranger.side.is_closed


# The end.


def test_when_the_connection_ends_every_cacheable_is_told_once_and_observers_are_dead() -> None:
    shore = Shore()
    copy = shore.give()
    observer = shore.observer
    shore.pair.cut()
    shore.pair.cut()
    assert shore.pond.stopped == [(None, observer)]
    with pytest.raises(DeadReferenceError):
        observer.call("ducks", 1)
    assert copy.ducks == 2
    del copy
    gc.collect()
    assert shore.pair.client.is_empty()


def test_a_copy_of_one_connection_is_none_of_the_next() -> None:
    pond = Pond(1)
    before, after = Shore(pond), Shore(pond)
    copy = before.give()
    before.pair.cut()
    with pytest.raises(ForeignReference):
        after.pair.call(after.pair.root, "echo", copy)
    assert after.give() is not copy


def test_a_cacheable_and_a_reference_never_share_a_number() -> None:
    shore = Shore()
    shore.desk.kept = [[Referenceable(), shore.pond, Referenceable()]]
    shore.pair.call(shore.pair.root, "echo", 1)
    kept = shore.pair.call(shore.pair.root, "give")
    references, caches = shore.pair.server.exports(), shore.counts()
    assert sorted([*references.values(), *caches.values()]) == [1, 1, 1]
    assert len(references | caches) == len(kept) == 3


def test_a_cacheable_whose_hook_raises_fails_the_call_and_has_stopped_observing() -> None:
    class Failing(Pond):
        def get_state_to_cache_and_observe_for(self, perspective: Any, observer: Any) -> Any:
            super().get_state_to_cache_and_observe_for(perspective, observer)
            raise OSError("the pond is frozen")

    shore = Shore(Failing())
    with pytest.raises(RemoteError, match="the pond is frozen"):
        shore.give()
    assert shore.pond.observers == []
    assert shore.pair.server.is_empty()
