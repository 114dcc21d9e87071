from __future__ import annotations

import copy
import gc
import pickle
import threading
from typing import Any

import pytest

from pellucid.core.gathering import gather
from pellucid.core.references import Caller, CallOptions, RemoteReference, Right
from pellucid.errors import DeadReferenceError, InsecureJelly, NoSuchMethod, RemoteError
from pellucid.flavors.referenceable import AvatarReference, Referenceable, Root, Viewable
from pellucid.limits import Limits
from pellucid.wire.native.codes import Kind, Leaf
from tests.dialects import each_dialect, over
from tests.pair import Desk, Extension, Pair, Promise, Stranger, command_of

pytestmark = each_dialect


class Thing(Referenceable):
    def __init__(self, name: str = "thing") -> None:
        self.name = name

    def remote_name(self) -> str:
        return self.name

    def remote_me(self) -> Thing:
        return self


class Shelf:
    """A thing of the server's, and the client that is given references to it."""

    def __init__(self) -> None:
        self.thing = Thing()
        self.desk = Desk()
        self.desk.kept = [self.thing]
        self.pair = Pair(self.desk)

    def give(self) -> RemoteReference:
        reference = self.pair.call(self.pair.root, "give")
        assert isinstance(reference, RemoteReference)
        return reference

    def counts(self) -> dict[int, int]:
        return self.pair.server.exports()


# Identity.


def test_r3_an_object_that_comes_home_is_the_original() -> None:
    pair = Pair()
    thing = Thing()
    assert pair.call(pair.root, "echo", [thing, {"again": thing}]) == [thing, {"again": thing}]


def test_r3_a_reference_sent_home_is_the_original_there() -> None:
    shelf = Shelf()
    shelf.pair.call(shelf.pair.root, "keep", shelf.give())
    assert shelf.desk.kept[-1] is shelf.thing


def test_r3_the_root_comes_home_by_its_name(dialect: str) -> None:
    pair = Pair()
    pair.call(pair.root, "keep", pair.root)
    desk: Any = pair.server.published
    assert desk.kept == [desk]
    (said,) = pair.to_server.said()
    if dialect == "pellucid":
        assert said[4] == [Extension(Leaf.LOCAL_NAME, b"root")]
    else:
        assert said[5] == [b"tuple", [b"local", b"root"]]


def test_one_object_is_one_reference_however_often_it_is_received() -> None:
    shelf = Shelf()
    shelf.desk.kept = [[shelf.thing, shelf.thing]]
    first, second = shelf.pair.call(shelf.pair.root, "give")
    assert first is second
    assert shelf.pair.call(first, "me") is first
    assert shelf.counts() == {1: 3}


def test_the_receiver_can_call_and_hand_back_what_it_was_given() -> None:
    pair = Pair()
    thing = Thing("mine")
    assert pair.call(pair.root, "relay", thing, "name") == "mine"
    assert pair.call(pair.root, "relay", thing, "me") is thing


def test_both_sides_are_peers() -> None:
    pair = Pair(client_root=Thing("client's"))
    assert pair.call(pair.server.root, "name") == "client's"
    assert pair.call(pair.root, "echo", 1) == 1


# Counts.


def test_r1_each_sending_is_a_receipt() -> None:
    shelf = Shelf()
    reference = shelf.give()
    shelf.give()
    assert shelf.counts() == {1: 2}
    assert reference.alive


def test_r2_when_the_last_holder_drops_it_the_owner_forgets_it(dialect: str) -> None:
    shelf = Shelf()
    reference = shelf.give()
    shelf.give()
    shelf.pair.settle()
    assert shelf.counts() == {1: 2}
    del reference
    shelf.pair.settle()
    assert shelf.counts() == {}
    said = [message for message in shelf.pair.to_server.said() if command_of(message) == b"decref"]
    assert said == ([[Kind.RELEASE, [1, 2]]] if dialect == "pellucid" else [[b"decref", 1]] * 2)


def test_an_object_sent_again_after_it_was_forgotten_has_a_new_number() -> None:
    shelf = Shelf()
    shelf.give()
    shelf.pair.settle()
    reference = shelf.give()
    assert shelf.counts() == {2: 1}
    assert shelf.pair.call(reference, "name") == "thing"


def test_a_drop_crosses_a_receipt_on_the_wire_without_harm() -> None:
    shelf = Shelf()
    shelf.give()
    shelf.pair.to_server.held = True
    shelf.pair.settle()
    again: Any = shelf.pair.root.call("give")
    shelf.pair.to_client.held = True
    shelf.pair.flush()
    # The server gives it once more while the drop of the first receipt is still under way.
    messages = shelf.pair.to_server.messages()
    one_message = next(end for message, end in messages if command_of(message) == b"decref")
    shelf.pair.to_server.held = False
    shelf.pair.to_server.deliver(one_message - shelf.pair.to_server.delivered)
    shelf.pair.to_client.held = False
    shelf.pair.pump()
    reference = again.result()
    assert shelf.pair.call(reference, "name") == "thing"
    assert list(shelf.counts().values()) == [1]


def test_a_release_gives_back_one_receipt_and_the_last_one_ends_the_reference() -> None:
    shelf = Shelf()
    reference = shelf.give()
    shelf.give()
    reference.release()
    assert shelf.pair.client.knocks == 1
    shelf.pair.pump()
    assert reference.alive
    assert shelf.counts() == {1: 1}
    reference.release()
    shelf.pair.pump()
    assert not reference.alive
    assert shelf.counts() == {}
    reference.release()
    shelf.pair.pump()
    assert not shelf.pair.server.is_closed


def test_what_was_released_and_is_received_again_is_a_new_reference() -> None:
    shelf = Shelf()
    old = shelf.give()
    old.release()
    new = shelf.give()
    assert new is not old
    assert new.alive
    assert not old.alive
    del old
    shelf.pair.settle()
    assert shelf.pair.call(new, "name") == "thing"


def test_a_reference_with_receipts_left_that_is_dropped_gives_back_the_rest() -> None:
    shelf = Shelf()
    reference = shelf.give()
    for _ in range(2):
        shelf.give()
    reference.release()
    del reference
    shelf.pair.settle()
    assert shelf.counts() == {}


def test_leaving_the_context_gives_back_a_receipt() -> None:
    shelf = Shelf()

    async def use() -> str:
        async with shelf.give() as reference:
            return repr(reference)

    with pytest.raises(StopIteration) as stopped:
        use().send(None)
    assert stopped.value.value == "<RemoteReference 1 alive>"
    shelf.pair.pump()
    assert shelf.counts() == {}


def test_the_root_is_not_counted_and_never_released() -> None:
    pair = Pair()
    pair.root.release()
    assert pair.call(pair.root, "echo", 1) == 1
    assert b"decref" not in pair.to_server.commands()


def test_a_drop_in_another_thread_only_knocks() -> None:
    shelf = Shelf()
    held = [shelf.give()]
    thread = threading.Thread(target=held.clear)
    thread.start()
    thread.join(10)
    assert shelf.pair.client.knocks == 1
    assert shelf.counts() == {1: 1}
    shelf.pair.pump()
    assert shelf.counts() == {}


def test_the_door_is_knocked_at_once_for_many_drops() -> None:
    shelf = Shelf()
    shelf.desk.kept = [[Thing() for _ in range(10)]]
    references = shelf.pair.call(shelf.pair.root, "give")
    assert len(references) == 10
    del references
    assert shelf.pair.client.knocks == 1
    shelf.pair.settle()
    assert shelf.counts() == {}
    pair = shelf.pair
    assert pair.call(pair.root, "echo", 1) == 1
    assert len(pair.call(pair.root, "give")) == 10
    assert pair.client.knocks == 2


# What came with a message that failed.


@over("pb")
@pytest.mark.parametrize(
    "bad",
    [[b"bad.Tag", [b"dictionary"]], [b"unicode", b"\xff"], [b"dereference", 9], [b"local", 9], [b"unicode"]],
    ids=repr,
)
@pytest.mark.parametrize("bad_first", [True, False])
def test_receipts_of_a_message_that_can_not_be_decoded_are_given_back(bad: object, bad_first: bool) -> None:
    stranger = Stranger()
    good = [[b"list", [b"remote", 1], [b"remote", 2]], [b"dictionary", [b"k", [b"remote", 1]]]]
    heard = stranger.call("keep", *([bad, *good] if bad_first else [*good, bad]))
    gc.collect()
    heard += stranger.hear()
    assert heard[0][0] == b"error"
    assert sorted(heard[1:]) == [[b"decref", 1], [b"decref", 1], [b"decref", 2]]
    assert stranger.side.is_empty()


@over("pb")
def test_receipts_of_an_answer_that_can_not_be_decoded_are_given_back() -> None:
    stranger = Stranger(listens=True)
    call: Any = stranger.side.root.call("anything")
    stranger.hear()
    stranger.say([b"answer", 1, [b"list", [b"remote", 1], [b"bad.Tag", [b"list", [b"remote", 2]]]]])
    with pytest.raises(InsecureJelly):
        call.result()
    gc.collect()
    assert sorted(stranger.hear()) == [[b"decref", 1], [b"decref", 2]]


@over("pb")
def test_receipts_of_an_error_that_can_not_be_decoded_are_given_back() -> None:
    stranger = Stranger(listens=True)
    call: Any = stranger.side.root.call("anything")
    stranger.hear()
    stranger.say([b"error", 1, [b"bad.Tag", [b"list", [b"remote", 1]]]])
    with pytest.raises(InsecureJelly):
        call.result()
    assert stranger.hear() == [[b"decref", 1]]


@pytest.mark.parametrize("name", ["nothing", "keep"])
def test_what_came_with_a_call_that_is_not_run_is_let_go_at_once(name: str) -> None:
    pair = Pair()
    gc.collect()
    gc.disable()
    try:
        with pytest.raises((NoSuchMethod, RemoteError)):
            pair.call(pair.root, name, Thing(), no_such_keyword=1)
        pair.pump()
        counts = pair.client.exports()
    finally:
        gc.enable()
    assert counts == {}


def test_what_went_with_a_call_that_can_not_be_sent_is_let_go_at_once() -> None:
    shelf = Shelf()
    gc.collect()
    gc.disable()
    try:
        promise: Any = shelf.pair.root.call("echo", shelf.give(), object())
        with pytest.raises(InsecureJelly):
            promise.result()
        shelf.pair.pump()
        counts = shelf.counts()
    finally:
        gc.enable()
    assert counts == {}


# Dead references.


def test_a_copy_of_a_reference_is_the_reference_as_nobody_would_count_another() -> None:
    shelf = Shelf()
    reference = shelf.give()
    assert copy.copy(reference) is reference
    assert copy.deepcopy({"things": [reference]})["things"][0] is reference


def test_a_reference_is_good_for_its_connection_alone_and_not_pickled() -> None:
    with pytest.raises(TypeError, match="good for its connection alone, and can't be pickled"):
        pickle.dumps(Shelf().give())


def test_a_call_on_a_released_reference_raises_at_once() -> None:
    shelf = Shelf()
    reference = shelf.give()
    reference.release()
    with pytest.raises(DeadReferenceError, match="<RemoteReference 1 dead> was released; receive the object again"):
        reference.call("name")
    with pytest.raises(DeadReferenceError):
        reference.call_with(one_way=True).call("name")


def test_p14_a_call_after_the_connection_has_ended_raises_at_once() -> None:
    shelf = Shelf()
    reference = shelf.give()
    shelf.pair.cut()
    for dead in reference, shelf.pair.root:
        assert not dead.alive
        with pytest.raises(DeadReferenceError, match="the connection to the object's owner has ended"):
            dead.call("name")
        dead.release()


def test_a_reference_dropped_after_the_end_tells_nobody() -> None:
    shelf = Shelf()
    reference = shelf.give()
    knocks = shelf.pair.client.knocks
    shelf.pair.cut()
    del reference
    gc.collect()
    assert shelf.pair.client.knocks == knocks


def test_p16_whoever_asked_is_told_of_the_end_with_the_reference() -> None:
    shelf = Shelf()
    reference = shelf.give()
    told: list[object] = []
    reference.notify_on_disconnect(told.append)
    take_back = reference.notify_on_disconnect(lambda _: told.append("taken back"))
    take_back()
    take_back()
    shelf.pair.cut()
    assert told == [reference]
    with pytest.raises(DeadReferenceError, match="will not be told of a disconnect any more"):
        reference.notify_on_disconnect(told.append)


# Options, and what it looks like.


class Recorder:
    """A keeper that only notes with what options calls are made."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.promises: Caller = self
        self.closed = False
        self.door: Any = None
        self.calling: Any = None
        self.limits = Limits()

    def call(self, right: Right, name: str, args: Any, kwargs: Any, options: CallOptions, /) -> Any:
        self.calls.append((right.live_target().export_id, name, args, kwargs, options))

    def release(self, reference: RemoteReference) -> bool:
        return True

    def notify_on_disconnect(self, callback: Any) -> Any: ...


def test_options_do_not_share_names_with_the_methods_own_arguments() -> None:
    recorder = Recorder()
    RemoteReference(recorder, 7).call_with(timeout=2.0).call("resize", 5, timeout="its own", name="too")
    RemoteReference(recorder, 7).call("resize", one_way="its own", self="too")
    assert recorder.calls == [
        (7, "resize", (5,), {"timeout": "its own", "name": "too"}, CallOptions(timeout=2.0)),
        (7, "resize", (), {"one_way": "its own", "self": "too"}, CallOptions()),
    ]


def test_a_keyword_of_any_name_arrives() -> None:
    class Keywords(Referenceable):
        def remote_all(self, **kwargs: object) -> object:
            return kwargs

    pair = Pair(Keywords())
    names: dict[str, Any] = {"name": 1, "timeout": 2, "reference": 3, "naïve": 4, "not an identifier": 5}
    assert pair.call(pair.root, "all", **names) == names


def test_p10_a_one_way_call_is_done_when_it_is_sent_and_nobody_hears_of_its_errors() -> None:
    pair = Pair()
    promise = pair.root.call_with(one_way=True).call("keep", 5)
    failing = pair.root.call_with(one_way=True).call("nothing")
    assert isinstance(promise, Promise)
    assert promise.result() is None
    pair.pump()
    desk: Any = pair.server.published
    assert desk.kept == [5]
    assert isinstance(failing, Promise)
    assert failing.result() is None
    assert pair.to_client.said() == []


def test_a_reference_says_in_its_repr_what_it_is_and_whether_it_is_alive() -> None:
    shelf = Shelf()
    reference = shelf.give()
    assert repr(reference) == "<RemoteReference 1 alive>"
    assert repr(shelf.pair.root) == "<RemoteReference root alive>"
    shelf.pair.cut()
    assert repr(reference) == "<RemoteReference 1 dead>"


# Perspectives.


class Sight(Viewable):
    def view_seen_by(self, perspective: Any) -> str:
        return f"seen by {perspective.name}"


class Looker:
    """An avatar that shows what it sees to whoever asks, by calling them."""

    name = "Alice"
    listener: Any = None

    def perspective_listen(self, listener: Any) -> None:
        self.listener = listener


class Listener(Referenceable):
    heard: Any = None

    def remote_hear(self, value: Any) -> None:
        self.heard = value


def test_what_is_sent_through_a_reference_that_an_avatar_was_given_is_seen_through_its_eyes() -> None:
    looker, listener = Looker(), Listener()
    pair = Pair(AvatarReference(looker))
    pair.call(pair.root, "listen", listener)
    looker.listener.call("hear", Sight())
    pair.pump()
    assert pair.call(listener.heard, "seen_by") == "seen by Alice"


def seen_through(listener: Listener, pair: Pair, looker: Looker) -> Any:
    """Who it is that sees what `looker` sends to `listener`."""
    looker.listener.call("hear", Sight())
    pair.pump()
    return pair.call(listener.heard, "seen_by")


def test_it_is_seen_through_its_eyes_in_a_batch_too() -> None:
    looker, listener = Looker(), Listener()
    pair = Pair(AvatarReference(looker))
    batch: Any = gather(pair.root.prepare("listen", listener), pair.root.prepare("listen", listener))
    pair.pump()
    assert batch.result() == [None, None]
    assert seen_through(listener, pair, looker) == "seen by Alice"


def test_it_is_seen_through_its_eyes_though_the_avatar_was_a_promise_still() -> None:
    class Hall(Root):
        def remote_avatar(self) -> AvatarReference:
            return AvatarReference(looker)

    looker, listener = Looker(), Listener()
    pair = Pair(Hall())
    call: Any = pair.root.call("avatar").call("listen", listener)
    pair.pump()
    assert call.result() is None
    assert seen_through(listener, pair, looker) == "seen by Alice"


def test_what_is_sent_through_any_other_reference_is_seen_by_nobody_in_particular() -> None:
    desk = Desk()
    pair = Pair(desk)
    pair.call(pair.root, "keep", Referenceable())
    (kept,) = desk.kept
    assert kept.perspective is None


# Order.


def test_a_reference_that_is_dropped_before_a_call_is_not_held_any_more_when_that_is_run() -> None:
    class Counting(Desk):
        def remote_held(self) -> int:
            return len(pair.server.exports())

    desk = Counting()
    desk.kept.append(Referenceable())
    pair = Pair(desk)
    held = [pair.call(pair.root, "give")]
    assert pair.call(pair.root, "held") == 1
    held.clear()
    assert pair.call(pair.root, "held") == 0
