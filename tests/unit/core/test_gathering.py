"""Many calls made together."""

from __future__ import annotations

from typing import Any

import pytest

from pellucid.core.gathering import gather
from pellucid.errors import (
    CallCancelled,
    DeadReferenceError,
    Error,
    ForeignReference,
    InsecureJelly,
    LimitExceeded,
    NotAReference,
    PBConnectionLost,
    TooManyCalls,
)
from pellucid.flavors.copyable import Copyable
from pellucid.flavors.referenceable import Referenceable, Root, Viewable
from pellucid.limits import Limits
from pellucid.wire.native.codes import Kind
from tests.pair import Desk, Pair, Settings
from tests.unit.core.native import Broken, Hall, Notes, Scene, is_clean, promise, stranger


class Odd(Hall):
    """Returns what may not cross, too."""

    def remote_odd(self) -> Any:
        return object()

    def remote_pair(self) -> Any:
        return [Notes(), object()]

    def remote_nothing_to_tell(self) -> Any:
        raise Unspeakable("x")


class Unspeakable(Copyable, Error):
    """An error whose state may not cross."""

    def get_state_to_copy_for(self, perspective: Any) -> Any:
        return {"it": object()}


class Both:
    """A pair in either dialect."""

    def __init__(self, hall: Root | None = None, **options: Any) -> None:
        self.hall: Any = hall or Odd()
        settings = Settings(**options)
        self.pair = Pair(self.hall, client_root=Desk(), server=settings, client=settings)
        self.root = self.pair.root

    def outcome(self, *prepared: Any, **options: Any) -> Any:
        call = gather(*prepared, **options)
        self.pair.pump()
        assert call.done
        if call.error is not None:
            raise call.error.with_traceback(None)
        return call.outcome()


@pytest.fixture
def both(dialect: str) -> Both:
    return Both()


# In each dialect.


def test_results_come_in_the_order_of_the_calls(both: Both) -> None:
    assert both.outcome(*(both.root.prepare("echo", number) for number in range(300))) == list(range(300))


def test_methods_that_end_in_another_order_change_nothing(both: Both) -> None:
    call = gather(*(both.root.prepare("later", name) for name in "abc"))
    both.pair.pump()
    for name in "cab":
        assert not call.done
        later = both.hall.laters[name]
        later.result, later.is_there = name.upper(), True
        both.pair.pump()
    assert call.outcome() == ["A", "B", "C"]


def test_keyword_arguments_and_objects_cross_as_in_any_call(both: Both) -> None:
    thing = Notes()
    results = both.outcome(both.root.prepare("all", 1, named=thing), both.root.prepare("notes"))
    assert results[0] == [1, {"named": thing}]
    assert both.pair.call(results[1], "note", 2) == 2


def test_calls_of_several_objects_go_together(both: Both) -> None:
    notes = both.pair.call(both.root, "fresh")
    assert both.outcome(both.root.prepare("echo", 1), notes.prepare("note", 2)) == [1, 2]


def test_an_error_is_that_of_the_whole_and_the_others_run(both: Both) -> None:
    with pytest.raises(Broken, match="this one"):
        both.outcome(*(both.root.prepare(*call) for call in (("note", 1), ("fail", "this one"), ("note", 2))))
    assert both.hall.notes.noted == [1, 2]


def test_of_two_errors_the_one_of_the_first_call_is_that_of_the_whole(both: Both) -> None:
    with pytest.raises(Broken, match="first"):
        both.outcome(both.root.prepare("fail", "first"), both.root.prepare("fail", "second"))


def test_errors_stand_among_the_results_where_that_is_wanted(both: Both) -> None:
    results = both.outcome(
        both.root.prepare("echo", 1),
        both.root.prepare("fail"),
        both.root.prepare("nonsense"),
        both.root.prepare("echo", 2),
        return_exceptions=True,
    )
    assert [type(result).__name__ for result in results] == ["int", "Broken", "NoSuchMethod", "int"]


def test_a_result_that_may_not_cross_fails_that_call_alone(both: Both) -> None:
    names = ("echo", "odd", "pair", "echo", "nothing_to_tell", "fresh")
    results = both.outcome(*(both.root.prepare(name) for name in names), return_exceptions=True)
    assert [type(result).__name__ for result in results][:4] == [
        "NoneType",
        "InsecureJelly",
        "InsecureJelly",
        "NoneType",
    ]
    assert isinstance(results[4], Exception)
    assert both.pair.call(results[5], "note", 1) == 1
    assert list(both.pair.server.exports().values()) == [1]  # and nothing of what could not be sent


def test_an_argument_that_may_not_cross_fails_the_whole_and_the_others_run(both: Both) -> None:
    with pytest.raises(InsecureJelly):
        both.outcome(*(both.root.prepare("note", value) for value in ("first", object(), "last")))
    assert both.hall.notes.noted == ["first", "last"]
    both.pair.settle()


def test_nothing_gathered_is_nothing(both: Both) -> None:
    assert gather().outcome() == []


def test_nothing_gathered_is_no_reference() -> None:
    with pytest.raises(NotAReference):
        gather().call("anything").outcome()


def test_a_dead_reference_fails_at_once_and_nothing_is_called(both: Both) -> None:
    notes = both.pair.call(both.root, "fresh")
    notes.release()
    with pytest.raises(DeadReferenceError):
        gather(both.root.prepare("note", 1), notes.prepare("note", 2))
    both.pair.pump()
    assert both.hall.notes.noted == []


@pytest.mark.parametrize("place", [0, 1])
def test_a_call_that_was_made_already_can_not_be_gathered_and_nothing_is_called(both: Both, place: int) -> None:
    gathered: list[Any] = [both.root.prepare("note", 1)]
    gathered.insert(place, both.root.call("note", 2))
    both.pair.pump()
    noted = list(both.hall.notes.noted)
    with pytest.raises(TypeError, match=r"gather makes calls itself, as from reference\.prepare"):
        gather(*gathered)
    both.pair.pump()
    assert both.hall.notes.noted == noted


def test_references_of_two_connections_can_not_be_gathered(both: Both) -> None:
    other = Both()
    with pytest.raises(ForeignReference):
        gather(both.root.prepare("note", 1), other.root.prepare("note", 1))
    both.pair.pump()
    assert both.hall.notes.noted == []


def test_a_reference_of_another_connection_as_an_argument_fails_the_whole(both: Both) -> None:
    other = Both()
    thing = other.pair.call(other.root, "fresh")
    with pytest.raises(ForeignReference):
        both.outcome(both.root.prepare("note", thing))


def test_results_that_are_not_there_yet_can_be_arguments(both: Both) -> None:
    value, thing = both.root.call("echo", 5), both.root.call("notes")
    results = both.outcome(both.root.prepare("all", value, thing=thing), both.root.prepare("echo", 6))
    assert results == [[5, {"thing": thing.outcome()}], 6]


def test_the_whole_can_be_an_argument(both: Both) -> None:
    whole = gather(both.root.prepare("echo", 1), both.root.prepare("echo", 2))
    call = both.root.call("echo", whole)
    both.pair.pump()
    assert call.outcome() == [1, 2]


def test_the_whole_is_no_reference(both: Both) -> None:
    call = gather(both.root.prepare("notes")).call("note", 1)
    both.pair.pump()
    assert isinstance(call.error, NotAReference)


def test_giving_up_the_whole_gives_up_each(both: Both) -> None:
    value = both.root.call("later", "value")
    for prepared in (
        [both.root.prepare("later", "a"), both.root.prepare("later", "b")],
        [both.root.prepare("note", value), both.root.prepare("later", "a")],
    ):
        whole = gather(*prepared)
        both.pair.pump()
        whole.cancel()
        assert isinstance(whole.error, CallCancelled)
    value.cancel()
    both.pair.pump()
    assert both.hall.notes.noted == []
    both.pair.settle()
    if both.pair.client.broker.dialect == "pellucid":
        assert not both.pair.server.broker.arrivals.running
        assert sorted(both.hall.finished) == ["a", "a", "b", "value"]


def test_calls_under_way_end_with_the_connection(both: Both) -> None:
    whole = gather(both.root.prepare("later", "a"), both.root.prepare("echo", 1))
    both.pair.pump()
    both.pair.cut()
    assert isinstance(whole.error, PBConnectionLost)
    with pytest.raises(DeadReferenceError):
        gather(both.root.prepare("echo"))


# In the native dialect.


def test_many_calls_are_one_message_each_way() -> None:
    scene = Scene()
    whole = gather(*(scene.root.prepare("echo", number) for number in range(1_000)))
    scene.round_trip()
    assert whole.outcome() == list(range(1_000))
    assert scene.kinds() == [Kind.BATCH]
    assert scene.kinds(of_client=False) == [Kind.BATCH_ANSWER]


def test_calls_are_answered_once_the_last_has_ended() -> None:
    scene = Scene()
    gather(scene.root.prepare("echo"), scene.root.prepare("later"))
    scene.round_trip()
    assert scene.kinds(of_client=False) == []
    scene.give(1)
    scene.back()
    assert scene.kinds(of_client=False) == [Kind.BATCH_ANSWER]


def test_calls_with_promises_cost_no_round_trip_more() -> None:
    scene = Scene()
    whole = gather(scene.root.prepare("echo", scene.root.call("echo", 1)), scene.root.prepare("echo", 2))
    scene.round_trip()
    assert whole.outcome() == [1, 2]


def test_calls_keep_their_place_behind_one_of_their_target_that_waits() -> None:
    scene = Scene()
    later = scene.later()
    scene.root.call("note", later)
    whole = gather(scene.root.prepare("note", 2), scene.root.prepare("note", 3))
    scene.root.call("note", 4)
    scene.there()
    assert scene.noted == []
    scene.give(1)
    scene.finish()
    assert scene.noted == [1, 2, 3, 4]
    assert whole.outcome() == [2, 3]


def test_calls_that_wait_are_given_up_before_any_begins() -> None:
    scene = Scene()
    later = scene.later()
    scene.root.call("note", later)
    whole = gather(scene.root.prepare("note", 2), scene.root.prepare("note", 3))
    scene.there()
    whole.cancel()
    scene.there()
    scene.give(1)
    scene.finish()
    assert scene.noted == [1]
    assert isinstance(whole.error, CallCancelled)
    assert not scene.server.broker.arrivals.running


def test_more_calls_than_may_run_and_wait_are_refused_as_a_whole() -> None:
    scene = Scene(limits=Limits(running_calls=1, waiting_calls=2))
    fits = gather(*(scene.root.prepare("echo") for _ in range(3)))
    too_many = gather(*(scene.root.prepare("echo") for _ in range(4)))
    scene.finish()
    assert fits.outcome() == [None] * 3
    assert isinstance(too_many.error, TooManyCalls)
    assert (too_many.error.limit, too_many.error.asked) == ("waiting_calls", 4)


def test_no_more_are_made_than_may_be_under_way() -> None:
    scene = Scene(limits=Limits(calls_pending=1))
    first, second = gather(scene.root.prepare("later")), gather(scene.root.prepare("echo"))
    assert not first.done
    assert isinstance(second.error, TooManyCalls)


def test_calls_too_large_for_one_message_go_in_several() -> None:
    scene = Scene(limits=Limits(inline_bytes=1_000))
    whole = gather(*(scene.root.prepare("note", "x" * 600) for _ in range(2)))
    scene.finish()
    assert whole.outcome() == scene.noted == ["x" * 600] * 2


def test_results_too_large_for_one_message_fail_the_whole() -> None:
    class Wordy(Hall):
        def remote_words(self) -> str:
            return "x" * 600

    scene = Scene(Wordy(), limits=Limits(inline_bytes=1_000))
    whole = gather(*(scene.root.prepare("words") for _ in range(2)))
    scene.finish()
    assert isinstance(whole.error, LimitExceeded)
    assert scene.pair.call(scene.root, "echo", 1) == 1


def test_large_buffers_travel_beside_the_message() -> None:
    scene = Scene()
    buffers = [bytes([value]) * 100_000 for value in range(3)]
    whole = gather(*(scene.root.prepare("echo", buffer) for buffer in buffers))
    scene.finish()
    assert whole.outcome() == buffers


class Eyes(Root):
    """Gives each of its callers a view."""

    def remote_enter(self, name: str) -> Referenceable:
        return Door(name)


class View(Viewable):
    def view_who(self, perspective: Any) -> Any:
        return perspective


class Door(Referenceable):
    def __init__(self, name: str) -> None:
        self.perspective = name
        self.met: list[Any] = []

    def remote_view(self) -> View:
        return View()

    def remote_meet(self, *who: Any) -> Any:
        self.met += who
        return [one.perspective for one in who]


def test_each_result_is_seen_by_whom_it_is_for() -> None:
    scene = Scene(Eyes())
    scene.finish()
    doors = [scene.pair.call(scene.root, "enter", name) for name in ("alice", "bob")]
    whole = gather(*(door.prepare("view") for door in doors))
    scene.pair.pump()
    assert [scene.pair.call(view, "who") for view in whole.outcome()] == ["alice", "bob"]


def test_what_comes_with_a_call_is_seen_through_whom_it_is_given_to() -> None:
    scene = Scene(Eyes())
    scene.finish()
    doors = [scene.pair.call(scene.root, "enter", name) for name in ("alice", "bob")]
    whole = gather(
        doors[0].prepare("meet", Notes()), doors[1].prepare("meet", Notes()), scene.root.prepare("enter", "x")
    )
    scene.pair.pump()
    assert whole.outcome()[:2] == [["alice"], ["bob"]]


def test_nothing_is_left() -> None:
    scene = Scene(Odd())
    scene.finish()
    wholes = [
        gather(scene.root.prepare("all", Notes()), scene.root.prepare("fresh"), scene.root.prepare("pair")),
        gather(scene.root.prepare("echo", [Notes()]), scene.root.prepare("fail"), return_exceptions=True),
        gather(scene.root.prepare("note", scene.root.call("fresh")), scene.root.prepare("fresh")),
    ]
    scene.pair.pump()
    assert all(whole.done for whole in wholes)
    wholes.clear()
    scene.noted.clear()
    scene.pair.settle()
    assert is_clean(scene.client)
    assert is_clean(scene.server)


# Hostile peers.


def batch(number: int, *calls: list[Any]) -> list[Any]:
    return [Kind.BATCH.value, number, [*calls]]


def test_calls_of_a_batch_that_name_promises_wait_for_them() -> None:
    peer = stranger()
    peer.say([Kind.CALL.value, 1, "root", "echo", [5]], batch(2, ["root", "echo", [promise(1)]], ["root", "echo", [6]]))
    assert [Kind.BATCH_ANSWER.value, 2, [5, 6], []] in peer.hear()


def test_a_batch_can_not_wait_for_itself() -> None:
    peer = stranger()
    peer.say(batch(7, ["root", "echo", [promise(7)]], ["root", "echo", [6]]))
    (answer,) = peer.hear()
    assert answer[2] == [None, 6]
    assert [place for place, _ in answer[3]] == [0]


class Changing(Root):
    """What it can be asked for is another thing once it was asked."""

    dynamic = True

    def remote_open(self) -> str:
        self.remote_look = lambda: "inside"
        return "opened"


def test_a_call_of_a_batch_finds_what_those_before_it_have_changed() -> None:
    pair = Pair(Changing())
    root = pair.client.root
    call = gather(root.prepare("open"), root.prepare("look"))
    pair.pump()
    assert call.outcome() == ["opened", "inside"]


def test_an_empty_batch_is_answered() -> None:
    peer = stranger()
    peer.say(batch(1))
    assert peer.hear() == [[Kind.BATCH_ANSWER.value, 1, [], []]]
    assert not peer.side.broker.arrivals.running


def test_a_number_that_is_under_way_can_not_be_that_of_a_batch() -> None:
    peer = stranger()
    peer.say(batch(1, ["root", "later", []]), batch(1, ["root", "later", []]))
    assert "under way" in str(peer.side.ended_by)


@pytest.mark.parametrize(
    "message",
    [
        [Kind.BATCH.value],
        [Kind.BATCH.value, 1],
        [Kind.BATCH.value, 1, None],
        [Kind.BATCH.value, "x", []],
        [Kind.BATCH.value, 1, [None]],
        [Kind.BATCH.value, 1, [["root", "echo"]]],
        [Kind.BATCH.value, 1, [["root", 1, []]]],
        [Kind.BATCH.value, 1, [[None, "echo", []]]],
        [Kind.BATCH.value, 1, [["root", "echo", [], 5]]],
    ],
    ids=repr,
)
def test_a_batch_that_makes_no_sense_ends_the_connection(message: Any) -> None:
    peer = stranger()
    peer.say(message)
    assert peer.side.ended_by is not None


@pytest.mark.parametrize("outcomes", [[1], [1, 2, 3], []], ids=["fewer", "more", "none"])
def test_a_batch_that_is_answered_with_fewer_or_more_results_fails(outcomes: list[Any]) -> None:
    peer = stranger()
    root = peer.side.root
    whole = gather(root.prepare("a"), root.prepare("b"))
    (message,) = [said for said in peer.hear() if said[0] == Kind.BATCH]
    peer.say([Kind.BATCH_ANSWER.value, message[1], outcomes, []])
    assert whole.error is not None


def test_a_batch_that_is_answered_as_one_call_fails() -> None:
    peer = stranger()
    root = peer.side.root
    whole = gather(root.prepare("a"), root.prepare("b"))
    (message,) = [said for said in peer.hear() if said[0] == Kind.BATCH]
    peer.say([Kind.ANSWER.value, message[1], 5])
    assert whole.error is not None
