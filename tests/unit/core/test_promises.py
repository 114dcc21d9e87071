"""Calls that wait for the result of others, as target or as argument."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.core.calls import Call
from pellucid.core.references import RemoteReference
from pellucid.errors import (
    CallCancelled,
    DeadReferenceError,
    Error,
    ForeignReference,
    InsecureJelly,
    NotAReference,
    Overloaded,
    PBConnectionLost,
)
from pellucid.flavors.referenceable import Referenceable, Root
from tests.dialects import each_dialect, over
from tests.pair import Pair

pytestmark = each_dialect


class Later:
    """A coroutine's wait for what a test decides on."""

    def __init__(self) -> None:
        self.result: Any = None
        self.is_there = False

    def __await__(self) -> Any:
        while not self.is_there:
            yield
        return self.result


class Notes(Referenceable):
    """Notes what it is called with."""

    def __init__(self) -> None:
        self.noted: list[Any] = []

    def remote_note(self, value: Any = None, **named: Any) -> Any:
        self.noted.append(named or value)
        return value

    def remote_put(self, number: int, value: Any) -> Any:
        self.noted.append(number)
        return value

    def remote_itself(self) -> Notes:
        return self


class Hall(Root):
    """Answers when a test says so."""

    def __init__(self) -> None:
        self.notes = Notes()
        self.laters: dict[str, Later] = {}

    def remote_note(self, value: Any = None) -> Any:
        return self.notes.remote_note(value)

    def remote_put(self, number: int, value: Any) -> Any:
        return self.notes.remote_put(number, value)

    def remote_notes(self) -> Notes:
        return self.notes

    def remote_fail(self) -> None:
        raise Error("as expected")

    async def remote_later(self, name: str) -> Any:
        self.laters[name] = later = Later()
        return await later


class Scene:
    """A pair whose server answers `later` when it is told to."""

    def __init__(self) -> None:
        self.hall = Hall()
        self.pair = Pair(self.hall)
        self.root = self.pair.root

    @property
    def noted(self) -> list[Any]:
        self.pair.pump()
        return self.hall.notes.noted

    def later(self, name: str = "it") -> Call:
        """A call that is under way until `give`."""
        return self.root.call("later", name)

    def give(self, result: Any, name: str = "it") -> None:
        """Answer it."""
        self.pair.pump()
        later = self.hall.laters[name]
        later.result, later.is_there = result, True
        self.pair.pump()

    def outcome(self, call: Call) -> Any:
        """What a call gave or ended in."""
        self.pair.pump()
        assert call.done
        return call.error or call.outcome()


def test_a_call_waits_for_its_arguments_and_is_given_their_results() -> None:
    scene = Scene()
    promise = scene.later()
    scene.root.call("notes").call("note", promise)
    scene.root.call("notes").call("note", first=promise, second=3)
    assert scene.noted == []
    scene.give([1, 2])
    assert scene.noted == [[1, 2], {"first": [1, 2], "second": 3}]


def test_one_that_is_done_is_as_good_as_its_result() -> None:
    scene = Scene()
    promise = scene.root.call("notes")
    assert isinstance(scene.outcome(promise), RemoteReference)
    call = scene.root.call("note", promise)
    assert scene.outcome(call) is promise.outcome()


def test_the_same_call_can_be_several_arguments_and_the_target_too() -> None:
    scene = Scene()
    promise = scene.root.call("notes")
    call = promise.call("note", first=promise, second=promise)
    assert scene.outcome(call) is None
    assert scene.noted == [{"first": scene.hall.notes, "second": scene.hall.notes}]


def test_calls_of_one_object_keep_their_order_behind_one_that_waits_for_an_argument(dialect: str) -> None:
    scene = Scene()
    promise = scene.later()
    scene.pair.pump()
    scene.root.call("note", promise)
    scene.root.call("note", 2)
    third = scene.root.call_with(one_way=True).call("note", 3)
    assert scene.noted == []
    assert third.done is (dialect == "pellucid")  # it was sent, and waits there
    scene.give(1)
    assert scene.noted == [1, 2, 3]
    assert third.done
    scene.root.call("note", 4)
    assert scene.noted == [1, 2, 3, 4]


def test_calls_of_other_objects_do_not_wait() -> None:
    scene = Scene()
    notes = scene.outcome(scene.root.call("notes"))
    promise = scene.later()
    notes.call("note", promise)
    notes.call("note", "behind it")
    assert scene.outcome(scene.root.call("note", "elsewhere")) == "elsewhere"
    scene.give("first")
    assert scene.noted == ["elsewhere", "first", "behind it"]


def test_calls_of_a_result_that_wait_for_arguments_keep_their_place_among_its_calls() -> None:
    scene = Scene()
    value = scene.later("value")
    target = scene.later("target")
    target.call("note", 1)
    target.call("note", value)
    target.call("note", 3)
    scene.give(scene.hall.notes, "target")
    target.outcome().call("note", 4)
    assert scene.noted == [1]
    scene.give(2, "value")
    assert scene.noted == [1, 2, 3, 4]


def test_a_call_never_waits_behind_one_that_was_made_after_it() -> None:
    scene = Scene()
    notes = scene.outcome(scene.root.call("notes"))
    early = scene.later().call("note", "early")  # of the same object, which is not known yet
    late = notes.call("note", early)
    scene.give(scene.hall.notes)
    assert scene.noted == ["early", "early"]
    assert scene.outcome(late) == "early"


def test_the_error_of_an_argument_is_the_error_of_the_call_and_nobody_waits_behind_it() -> None:
    scene = Scene()
    failing = scene.root.call("fail")
    call = scene.root.call("note", failing, other=scene.later())
    behind = scene.root.call("note", "behind")
    assert scene.outcome(call) is scene.outcome(failing)
    assert type(call.error) is Error
    assert scene.outcome(behind) == "behind"
    assert scene.outcome(scene.root.call("note", failing)) is failing.error


def test_an_argument_that_was_given_up_fails_the_call() -> None:
    scene = Scene()
    promise = scene.later()
    call = scene.root.call("note", promise)
    promise.cancel()
    assert isinstance(scene.outcome(call), CallCancelled)


def test_a_call_that_is_given_up_is_not_sent_and_holds_up_nobody() -> None:
    scene = Scene()
    promise = scene.later()
    call = scene.root.call("note", 1, other=promise)
    scene.root.call("note", 2)
    assert scene.noted == []
    call.cancel()
    assert scene.noted == [2]
    scene.give(0)
    assert scene.noted == [2]


def test_an_argument_that_may_not_cross_fails_the_call_when_it_is_sent_and_the_next_goes_out() -> None:
    scene = Scene()
    promise = scene.later()
    call = scene.root.call("note", promise, other=object())
    behind = scene.root.call("note", call)
    scene.root.call("note", 2)
    scene.give(1)
    assert isinstance(scene.outcome(call), InsecureJelly)
    assert behind.error is call.error
    assert scene.noted == [2]


def test_inside_another_argument_a_call_may_not_stand() -> None:
    scene = Scene()
    call = scene.root.call("note", [scene.later()])
    with pytest.raises(InsecureJelly, match=r"await it first.*\[0\]|\[0\].*await it first"):
        call.outcome()


def test_a_call_that_waits_keeps_its_target_alive(dialect: str) -> None:
    scene = Scene()
    promise = scene.later()
    notes = scene.outcome(scene.root.call("notes"))
    held = weakref.ref(notes)
    notes.call("note", promise)
    del notes
    scene.pair.settle()
    assert (held() is not None) is (dialect == "pb")  # else it waits at the side that owns it
    scene.give("alive")
    assert scene.noted == ["alive"]
    scene.pair.settle()
    assert held() is None
    assert scene.pair.server.exports() == {}


@over("pellucid")
def test_a_call_that_was_sent_is_run_though_its_target_is_released_meanwhile() -> None:
    scene = Scene()
    promise = scene.later()
    notes = scene.outcome(scene.root.call("notes"))
    call = notes.call("note", promise)
    notes.release()
    scene.pair.settle()
    assert scene.pair.server.exports() == {}
    scene.give("in time")
    assert scene.outcome(call) == "in time"
    assert scene.noted == ["in time"]


@over("pb")
def test_a_target_that_is_released_meanwhile_fails_the_call() -> None:
    scene = Scene()
    promise = scene.later()
    notes = scene.outcome(scene.root.call("notes"))
    call = notes.call("note", promise)
    notes.release()
    scene.give("too late")
    assert isinstance(scene.outcome(call), DeadReferenceError)
    assert scene.noted == []


def test_a_call_that_waited_is_refused_where_too_much_waits_to_be_sent(dialect: str) -> None:
    scene = Scene()
    promise = scene.later()
    call = scene.root.call("note", promise)
    scene.pair.pump()
    scene.pair.client.is_crowded = True
    scene.give(1)
    if dialect == "pb":
        assert isinstance(scene.outcome(call), Overloaded)
    else:
        assert scene.outcome(call) == 1  # it was sent before
    with pytest.raises(Overloaded):
        scene.root.call("note", promise)


def test_the_connection_ends_calls_that_wait_too() -> None:
    scene, other = Scene(), Scene()
    foreign = other.later()
    calls = [
        scene.root.call("note", foreign),
        scene.root.call("note", 2),
        scene.root.call("later", "x").call("note"),
        foreign.call("note"),
    ]
    scene.pair.pump()
    scene.pair.cut()
    assert [type(call.error) for call in calls[:3]] == [PBConnectionLost] * 3
    assert [call.error.sent for call in calls[:3] if isinstance(call.error, PBConnectionLost)] == [False] * 3
    assert not calls[3].done
    other.give(1)
    assert isinstance(calls[3].error, NotAReference)


def test_a_call_of_a_dead_connection_is_refused_at_once_whatever_it_would_wait_for() -> None:
    scene, other = Scene(), Scene()
    scene.pair.cut()
    with pytest.raises(DeadReferenceError):
        scene.root.call("note", other.later())


def test_a_reference_of_another_connection_can_be_neither_argument_nor_target() -> None:
    scene, other = Scene(), Scene()
    foreign = other.root.call("notes")
    call = scene.root.call("note", foreign)
    other.pair.pump()
    assert isinstance(scene.outcome(call), ForeignReference)


@over("pb")
def test_a_result_of_another_connection_is_no_target() -> None:
    scene, other = Scene(), Scene()
    foreign = other.root.call("notes")
    other.pair.pump()
    mixed = scene.root.call("note", 1)
    dependant = mixed.call("note", 2)
    mixed.succeed(foreign.outcome())  # no answer can do that, but an application's own classes might
    assert isinstance(dependant.error, ForeignReference)


def test_a_chain_of_any_length_fails_as_a_whole() -> None:
    scene = Scene()
    call = first = scene.root.call("fail")
    for _ in range(5_000):
        call = call.call("itself")
    assert scene.outcome(call) is first.error


def test_nothing_is_left_of_calls_that_waited() -> None:
    scene = Scene()
    call = scene.root.call("note", scene.root.call("note", 1))
    assert scene.outcome(call) == 1
    gone = weakref.ref(call)
    del call
    gc.collect()
    assert gone() is None
    assert not scene.pair.client.broker.calling.promises.is_queueing


# A program is a list of calls. Each is aimed at one of the references there are, or at the result of one of three calls
# that are answered late; and has as its argument a number, or the result of an earlier call.
plans = st.lists(
    st.tuples(st.integers(0, 4), st.one_of(st.none(), st.integers(0, 20))),
    max_size=20,
)


@given(plan=plans, answers=st.permutations(range(3)))
def test_calls_of_one_object_arrive_in_the_order_made_and_none_waits_for_ever(
    plan: list[tuple[int, int | None]], answers: list[int]
) -> None:
    scene = Scene()
    late = [scene.later(str(number)) for number in range(3)]
    targets: list[Any] = [scene.root, scene.outcome(scene.root.call("notes")), *late]
    calls: list[Call] = []
    expected: list[int] = []
    for number, (aim, argument) in enumerate(plan):
        earlier = argument if argument is not None and argument < number else None
        calls.append(targets[aim].call("put", number, number if earlier is None else calls[earlier]))
        expected.append(number if earlier is None else expected[earlier])
    for answer in answers:
        scene.give(scene.hall.notes, str(answer))
    assert [scene.outcome(call) for call in calls] == expected
    for aim in range(len(targets)):
        arrived = [number for number in scene.noted if plan[number][0] == aim]
        assert arrived == [number for number, each in enumerate(plan) if each[0] == aim]
    assert not scene.pair.client.broker.calling.promises.is_queueing
