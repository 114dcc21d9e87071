"""Calls of results, and with results, that have not come yet, where the dialect has words for them."""

from __future__ import annotations

import gc
import weakref
from dataclasses import dataclass
from typing import Any

import pytest

from pellucid.core.references import RemoteReference
from pellucid.errors import (
    CallCancelled,
    DeadReferenceError,
    Error,
    ForeignReference,
    InsecureJelly,
    LimitExceeded,
    NotAReference,
    PBConnectionLost,
    RemoteError,
    TooManyCalls,
)
from pellucid.flavors.cacheable import Cacheable, RemoteCache
from pellucid.flavors.copyable import Copyable, RemoteCopy
from pellucid.flavors.referenceable import Referenceable, Root, Viewable
from pellucid.flavors.registry import Registry
from pellucid.limits import Limits
from pellucid.wire.native.codes import Kind
from tests.pair import Pair
from tests.unit.core.native import (
    ERROR,
    Broken,
    Hall,
    Later,
    Notes,
    Scene,
    call_of,
    is_clean,
    promise,
    reply,
    stranger,
)
from tests.work import SLACK, ratio

# One round trip.


def test_a_call_of_a_result_is_one_round_trip() -> None:
    scene = Scene()
    call = scene.root.call("counter").call("three", 12)
    scene.round_trip()
    assert call.outcome() == 36
    assert scene.kinds() == [Kind.CALL, Kind.CALL]


def test_a_call_of_a_result_that_is_there_has_nothing_to_wait_for() -> None:
    scene = Scene(limits=Limits(waiting_calls=0))
    counter = scene.root.call("counter")
    three = counter.call("three", 12)
    bad = counter.call("three", scene.root.call("echo", 12))
    scene.round_trip()
    assert three.outcome() == 36
    assert isinstance(bad.error, TooManyCalls)


def test_a_result_as_an_argument_is_one_round_trip() -> None:
    scene = Scene()
    call = scene.root.call("all", scene.root.call("echo", 1), named=scene.root.call("echo", 2))
    scene.round_trip()
    assert call.outcome() == [1, {"named": 2}]


def test_a_result_as_an_argument_of_a_reference_is_one_round_trip() -> None:
    scene = Scene()
    first = scene.root.call("fresh")
    scene.round_trip()
    notes: RemoteReference = first.outcome()
    call = notes.call("note", scene.root.call("echo", 1))
    scene.round_trip()
    assert call.outcome() == 1


def test_a_result_as_an_argument_of_a_call_of_a_result_is_one_round_trip() -> None:
    scene = Scene()
    call = scene.root.call("fresh").call("note", scene.root.call("counter").call("next").call("number"))
    scene.round_trip()
    assert call.outcome() == 1


def test_a_result_that_is_there_goes_beside_one_that_is_not_in_the_same_round_trip() -> None:
    scene = Scene()
    there = scene.root.call("echo", "there")
    scene.round_trip()
    call = scene.root.call("all", there, scene.root.call("echo", "not there"))
    scene.round_trip()
    assert call.outcome() == ["there", "not there", {}]


def test_the_same_result_twice_is_one_object_once_more() -> None:
    scene = Scene()
    notes = scene.root.call("notes")
    call = scene.root.call("all", notes, notes)
    scene.round_trip()
    assert call.outcome()[:2] == [notes.outcome()] * 2


def test_a_chain_of_2000_calls_is_one_round_trip() -> None:
    scene = Scene()
    call: Any = scene.root.call("counter")
    for _ in range(2_000):
        call = call.call("next")
    number = call.call("number")
    scene.round_trip()
    assert number.outcome() == 2_000


@pytest.mark.parametrize("ends", ["result", "error", "cancelled"])
def test_a_chain_of_2000_calls_behind_one_that_is_answered_late_ends_as_one(ends: str) -> None:
    scene = Scene()
    calls: list[Any] = [scene.later()]
    for _ in range(2_000):
        calls.append(calls[-1].call("itself"))
    scene.there()
    assert len(scene.server.broker.arrivals.running) == 2_001
    if ends == "cancelled":
        calls[0].cancel()
    else:
        scene.give(Notes() if ends == "result" else Broken("far"))
    scene.finish()
    outcomes = scene.results(calls)
    if ends == "result":
        assert all(outcome is outcomes[0] for outcome in outcomes)
    else:
        assert {type(outcome) for outcome in outcomes} == {Broken if ends == "error" else CallCancelled}
    assert scene.hall.finished == ["it"]
    del outcomes, calls
    scene.pair.settle()
    assert not scene.server.broker.arrivals.running


def test_a_thousand_calls_of_one_result_run_in_the_order_made() -> None:
    scene = Scene()
    notes = scene.later()
    calls = [notes.call("note", number) for number in range(1_000)]
    scene.there()
    assert scene.noted == []
    scene.give(scene.hall.notes)
    scene.back()
    assert scene.noted == list(range(1_000))
    assert scene.results(calls) == list(range(1_000))


def test_a_thousand_calls_with_one_result_are_answered() -> None:
    scene = Scene()
    value = scene.later()
    calls = [scene.root.call("echo", value) for _ in range(1_000)]
    scene.there()
    scene.give(7)
    scene.back()
    assert scene.results(calls) == [7] * 1_000


# Errors.


def test_an_error_is_the_error_of_every_call_that_depends_on_it_as_itself() -> None:
    scene = Scene()
    failed = scene.root.call("fail", "just so")
    target = failed.call("note", 1)
    deeper = target.call("note", 2)
    argument = scene.root.call("note", failed)
    both = scene.root.call("note", scene.root.call("echo"), more=deeper)
    scene.round_trip()
    outcomes = scene.results([failed, target, deeper, argument, both])
    assert [(type(outcome), str(outcome)) for outcome in outcomes] == [(Broken, "just so")] * 5
    assert scene.noted == []


def test_an_error_that_comes_late_is_that_of_every_call_that_depends_on_it() -> None:
    scene = Scene()
    later = scene.later()
    calls = [later, later.call("note"), scene.root.call("note", later).call("itself"), scene.root.call("echo", 3)]
    scene.there()
    scene.give(Broken("late"))
    scene.back()
    assert [str(outcome) for outcome in scene.results(calls)] == ["late", "late", "late", "3"]


@pytest.mark.parametrize("value", [1, None, "text", [1], {"a": 1}])
def test_a_result_that_is_no_reference_can_not_be_called(value: Any) -> None:
    scene = Scene()
    call = scene.root.call("echo", value).call("note", 1)
    scene.round_trip()
    assert isinstance(call.error, NotAReference)
    assert str(call.error) == f"'echo' returned a {type(value).__name__}: it has no remote 'note'"


def test_an_object_of_the_callers_that_comes_home_can_not_be_called() -> None:
    scene = Scene()
    call = scene.root.call("echo", Notes()).call("note", 1)
    scene.round_trip()
    assert isinstance(call.error, NotAReference)


def test_a_call_of_what_could_not_be_sent_fails_with_the_same_error() -> None:
    scene = Scene()
    unsent = scene.root.call("echo", object())
    calls = [unsent, unsent.call("note"), scene.root.call("note", unsent)]
    outcomes = scene.results(calls)
    assert isinstance(outcomes[0], InsecureJelly)
    assert all(outcome is outcomes[0] for outcome in outcomes)
    assert scene.there() == 0


def test_a_call_of_a_result_that_could_not_be_sent_back_fails_with_the_same_error() -> None:
    class Odd(Hall):
        def remote_odd(self) -> Any:
            return [object()]

    scene = Scene(Odd())
    odd = scene.root.call("odd")
    calls = [odd, odd.call("note"), scene.root.call("note", odd)]
    scene.round_trip()
    outcomes = scene.results(calls)
    assert {type(outcome) for outcome in outcomes} == {InsecureJelly}
    assert len({str(outcome) for outcome in outcomes}) == 1


def test_no_such_method_of_a_result_is_the_error_of_that_call() -> None:
    scene = Scene()
    call = scene.root.call("notes").call("nonsense")
    scene.round_trip()
    assert "remote_nonsense" in str(call.error)


# Order.


def test_calls_of_one_object_keep_their_order_across_its_resolution() -> None:
    scene = Scene()
    first = scene.root.call("fresh")
    scene.round_trip()
    notes = first.outcome()
    later = scene.later()
    calls = [later.call("note", 1), later.call("note", 2), notes.call("note", "before")]
    scene.there()
    local: Any = next(export.obj for _, export in scene.server.broker.books.exports.items())
    scene.give(local)
    calls += [later.call("note", 3)]
    scene.there()
    scene.back()
    calls += [later.call("note", 4), later.outcome().call("note", 5)]
    scene.round_trip()
    assert local.noted == ["before", 1, 2, 3, 4, 5]
    assert all(call.done for call in calls)


def test_a_call_that_waits_for_an_argument_waits_alone_but_for_later_calls_of_its_target() -> None:
    scene = Scene()
    fresh = scene.root.call("fresh")
    scene.round_trip()
    later = scene.later()
    waits = scene.root.call("note", later)
    behind = scene.root.call("note", "behind")
    other = fresh.outcome().call("note", "other")
    scene.round_trip()
    assert [call.done for call in (waits, behind, other)] == [False, False, True]
    scene.give("it")
    scene.back()
    assert scene.noted == ["it", "behind"]
    assert behind.outcome() == "behind"


def test_a_call_behind_one_that_fails_goes_on() -> None:
    scene = Scene()
    later = scene.later()
    waits, behind = scene.root.call("note", later), scene.root.call("note", "behind")
    scene.there()
    scene.give(Broken())
    scene.back()
    assert isinstance(waits.error, Broken)
    assert behind.outcome() == "behind"


def test_a_call_of_a_result_with_another_keeps_its_place_among_the_calls_of_that_object() -> None:
    scene = Scene()
    target, argument = scene.later("target"), scene.later("argument")
    calls = [target.call("note", argument), target.call("note", "second")]
    scene.there()
    scene.give(scene.hall.notes, "target")
    scene.back()
    calls += [target.outcome().call("note", "third")]
    scene.round_trip()
    assert scene.noted == []
    scene.give("first", "argument")
    scene.finish()
    assert scene.noted == ["first", "second", "third"]
    assert scene.results(calls) == ["first", "second", "third"]


def test_a_one_way_call_with_a_result_keeps_its_place() -> None:
    scene = Scene()
    later = scene.later()
    one_way = scene.root.call_with(one_way=True)
    calls = [one_way.call("note", later), one_way.call("note", "behind")]
    assert all(call.done for call in calls)
    scene.there()
    assert scene.noted == []
    scene.give("it")
    scene.finish()
    assert scene.noted == ["it", "behind"]
    assert len(scene.server.broker.arrivals) == 1  # the answer to `later`


def test_a_one_way_call_whose_argument_fails_is_not_run() -> None:
    scene = Scene()
    scene.root.call_with(one_way=True).call("note", scene.root.call("fail"))
    scene.finish()
    assert scene.noted == []
    assert not scene.server.broker.arrivals._waiting


# When the answer comes.


def test_a_call_made_while_the_answer_is_under_way_finds_the_result() -> None:
    scene = Scene()
    first = scene.root.call("notes")
    scene.there()
    scene.pair.flush()  # the answer is on the wire
    call = first.call("note", "crossing")
    scene.there()
    assert scene.noted == ["crossing"]
    scene.finish()
    assert call.outcome() == "crossing"


def test_a_call_made_once_the_answer_was_seen_goes_to_the_reference() -> None:
    scene = Scene()
    first = scene.root.call("notes")
    scene.round_trip()
    call = first.call("note", 1)
    scene.round_trip()
    assert call.outcome() == 1
    assert scene.pair.to_server.said()[-1][2] == first.outcome().export_id


def test_a_result_that_was_released_can_not_be_called() -> None:
    scene = Scene()
    first = scene.root.call("notes")
    scene.round_trip()
    first.outcome().release()
    call = first.call("note", 1)
    assert isinstance(call.error, DeadReferenceError)


def test_what_is_seen_is_kept_no_longer() -> None:
    scene = Scene()
    for _ in range(100):
        scene.root.call("echo")
    scene.finish()
    assert len(scene.server.broker.arrivals) < 32
    assert Kind.SEEN in scene.kinds()


@pytest.mark.parametrize("limits", [Limits(kept_answers=2), Limits(kept_bytes=1_600)], ids=["answers", "bytes"])
@pytest.mark.parametrize("kept", [0, 1, 2])
def test_results_over_the_limit_are_forgotten_and_calls_of_them_fail(limits: Limits, kept: int) -> None:
    scene = Scene(limits=limits)
    results = [scene.root.call("echo", str(number) * 35) for number in range(3)]
    scene.there()
    call = scene.root.call("echo", results[kept])
    scene.finish()
    if kept:
        assert call.outcome() == results[kept].outcome()
    else:
        assert type(call.error) is Error
        assert "not kept any more" in str(call.error)
    assert [result.outcome()[0] for result in results] == ["0", "1", "2"]


def test_of_a_large_result_it_counts_what_it_takes_in_memory() -> None:
    scene = Scene(limits=Limits(kept_bytes=1_000_000))
    result = scene.root.call("echo", [[] for _ in range(80_000)])  # a byte each as it is sent, and 64 in memory
    scene.there()
    call = scene.root.call("echo", result)
    scene.finish()
    assert "not kept any more" in str(call.error)


def test_a_call_that_waits_finds_its_result_whatever_the_limits() -> None:
    scene = Scene(limits=Limits(kept_answers=0, kept_bytes=0))
    later = scene.later()
    call = later.call("note", 1)
    scene.there()
    scene.give(scene.hall.notes)
    scene.back()
    assert call.outcome() == 1
    assert not scene.server.broker.arrivals._kept


# What a result is as an argument.


def test_a_result_arrives_as_a_copy() -> None:
    class Keeper(Hall):
        def __init__(self) -> None:
            super().__init__()
            self.own = {"numbers": [1, 2]}

        def remote_own(self) -> Any:
            return self.own

        def remote_spoil(self, value: Any) -> Any:
            value["numbers"].append(3)
            return value

    scene = Scene(Keeper())
    call = scene.root.call("spoil", scene.root.call("own"))
    scene.round_trip()
    assert call.outcome() == {"numbers": [1, 2, 3]}
    assert scene.hall.own == {"numbers": [1, 2]}


def test_a_large_result_arrives_as_a_copy_of_bytes() -> None:
    class Keeper(Hall):
        def remote_buffer(self) -> Any:
            return {"buffer": bytearray(200_000)}

        def remote_kind(self, value: Any) -> Any:
            return type(value["buffer"]).__name__, len(value["buffer"])

    scene = Scene(Keeper())
    call = scene.root.call("kind", scene.root.call("buffer"))
    scene.round_trip()
    assert call.outcome() == ("bytes", 200_000)


def test_a_referenceable_result_arrives_as_the_original() -> None:
    scene = Scene()
    scene.root.call("note", scene.root.call("notes"))
    scene.root.call("note", scene.root.call("all", scene.root.call("notes")))
    scene.round_trip()
    assert scene.noted == [scene.hall.notes, [scene.hall.notes, {}]]


def test_an_object_of_the_callers_that_is_a_result_arrives_as_its_reference() -> None:
    scene = Scene()
    thing = Notes()
    scene.root.call("note", scene.root.call("echo", thing))
    scene.root.call("note", scene.root.call("echo", [thing]))
    scene.round_trip()
    first, (second,) = scene.noted
    assert isinstance(first, RemoteReference)
    assert first is second


class Sheet(Copyable):
    def __init__(self, text: str) -> None:
        self.text = text


class SheetCopy(RemoteCopy):
    text: str


@dataclass
class Point:
    x: int
    y: list[int]


class Pond(Cacheable):
    def __init__(self) -> None:
        self.observers: list[Any] = []

    def get_state_to_cache_and_observe_for(self, perspective: Any, observer: Any) -> Any:
        self.observers.append(observer)
        return {"depth": 1}

    def stopped_observing(self, perspective: Any, observer: Any) -> None:
        self.observers.remove(observer)


class PondCopy(RemoteCache):
    depth: int


class View(Viewable):
    def view_note(self, perspective: Any, value: Any) -> Any:
        return value


class Museum(Hall):
    def __init__(self) -> None:
        super().__init__()
        self.sheet, self.point, self.pond, self.view = Sheet("text"), Point(1, [2]), Pond(), View()

    def remote_piece(self, name: str) -> Any:
        return getattr(self, name)


def known() -> Registry:
    registry = Registry()
    registry.register(SheetCopy, Sheet)
    registry.register(PondCopy, Pond)
    registry.register_copyable(Point)
    return registry


def test_a_copyable_result_arrives_as_its_copy() -> None:
    scene = Scene(Museum(), registry=known())
    scene.root.call("note", scene.root.call("piece", "sheet"))
    scene.root.call("note", scene.root.call("piece", "point"))
    scene.round_trip()
    sheet, point = scene.noted
    assert (type(sheet), sheet.text) == (SheetCopy, "text")
    assert point == Point(1, [2])
    assert point is not scene.hall.point


def test_a_cacheable_result_arrives_as_the_original() -> None:
    scene = Scene(Museum(), registry=known())
    scene.root.call("note", scene.root.call("piece", "pond"))
    scene.root.call("note", scene.root.call("all", scene.root.call("piece", "pond")))
    scene.round_trip()
    assert scene.noted[0] is scene.hall.pond
    assert len(scene.hall.pond.observers) == 1


def test_a_viewable_result_can_be_called_and_handed_on_as_the_peer_sees_it() -> None:
    scene = Scene(Museum(), registry=known())
    call = scene.root.call("piece", "view").call("note", 1)
    scene.root.call("note", scene.root.call("piece", "view"))
    scene.round_trip()
    assert call.outcome() == 1
    assert scene.noted[0].object is scene.hall.view


def test_a_result_that_may_not_come_here_fails_the_call_that_it_is_an_argument_of_alone() -> None:
    scene = Scene(Museum(), registry=Registry(), client={"registry": known()})  # the server knows no copy of a Sheet
    refused = scene.root.call("note", scene.root.call("piece", "sheet"))
    deeper, behind = refused.call("note"), scene.root.call("note", "behind")
    scene.round_trip()
    assert isinstance(refused.error, InsecureJelly)
    assert isinstance(deeper.error, InsecureJelly)
    assert behind.outcome() == "behind"


def test_a_result_that_may_not_come_here_fails_a_call_that_waited_for_it() -> None:
    scene = Scene(registry=Registry(), client={"registry": known()})
    later = scene.later()
    refused, behind, other = scene.root.call("note", later), scene.root.call("note", "behind"), later.call("note")
    scene.there()
    scene.give(Sheet("text"))
    scene.back()
    assert isinstance(refused.error, InsecureJelly)
    assert behind.outcome() == "behind"
    assert isinstance(other.error, NotAReference)


# Connections.


def test_a_result_of_another_connection_is_waited_for() -> None:
    here, there = Scene(), Scene()
    value, notes = there.root.call("echo", 7), there.root.call("notes")
    calls = [here.root.call("note", value), here.root.call("note", "behind"), here.root.call("note", notes)]
    here.there()
    assert here.noted == []
    there.round_trip()
    here.round_trip()
    assert here.results(calls[:2]) == [7, "behind"]
    assert isinstance(calls[2].error, ForeignReference)


def test_calls_that_wait_there_when_the_connection_ends_fail_and_are_forgotten() -> None:
    scene = Scene()
    later = scene.later()
    calls = [later, later.call("note"), scene.root.call("note", later), scene.root.call("note")]
    scene.there()
    scene.pair.cut()
    assert {type(outcome) for outcome in scene.results(calls)} == {PBConnectionLost}
    assert is_clean(scene.server)
    assert is_clean(scene.client)


def test_the_same_calls_over_pb_give_the_same_results() -> None:
    pair = Pair(Hall())
    assert pair.client.broker.dialect == "pellucid"
    root = pair.root
    calls = [
        root.call("counter").call("three", 12),
        root.call("echo", root.call("echo", 1)),
        root.call("fail").call("x"),
    ]
    pair.pump()
    assert calls[0].outcome() == 36
    assert calls[1].outcome() == 1
    assert isinstance(calls[2].error, Broken)


# What is left.


def test_kept_answers_keep_no_object_alive_that_was_released() -> None:
    scene = Scene()
    scene.finish()
    calls = [scene.root.call("fresh").call("itself") for _ in range(3)]
    scene.pair.pump()
    (number,) = {call.outcome().export_id for call in calls[:1]}
    there = weakref.ref(scene.server.broker.books.exports.target(number))
    assert there() is not None
    calls.clear()
    scene.pair.settle()
    gc.collect()
    assert there() is None
    assert is_clean(scene.server)
    assert is_clean(scene.client)


def test_kept_answers_keep_no_object_of_the_callers_on_an_idle_connection() -> None:
    scene = Scene()
    scene.finish()
    thing = Notes()
    gone = weakref.ref(thing)
    scene.pair.call(scene.root, "echo", [thing])
    scene.pair.call(scene.root, "echo", thing)
    with pytest.raises(RemoteError):
        scene.pair.call(scene.root, "notes", thing)
    del thing
    scene.pair.settle()
    assert gone() is None
    assert scene.client.exports() == {}


def test_objects_that_only_went_from_one_call_to_the_next_are_released() -> None:
    scene = Scene()
    scene.finish()
    thing = Notes()
    calls = [scene.root.call("all", scene.root.call("echo", thing), scene.root.call("fresh"))]
    scene.pair.pump()
    assert calls[0].outcome()[0] is thing
    calls.clear()
    del thing
    scene.pair.settle()
    assert is_clean(scene.server)
    assert is_clean(scene.client)


# Hostile peers.


def test_a_number_that_is_under_way_can_not_be_used_again() -> None:
    peer = stranger()
    peer.say(call_of(1, "later"), call_of(1, "echo"))
    assert "under way" in str(peer.side.ended_by)


def test_a_number_that_was_answered_can_be_used_again_and_costs_no_more_than_once() -> None:
    peer = stranger(limits=Limits(kept_bytes=16_000))
    for value in range(100):
        peer.say(call_of(1, "echo", str(value) * 100), call_of(2, "echo", promise(1)))
        replies = reply(peer.hear())
        assert replies[2] == str(value) * 100
    arrivals = peer.side.broker.arrivals
    assert arrivals._kept_bytes == sum(size for _, _, size, *_ in arrivals._kept.values())


@pytest.mark.parametrize("number", [2, 99, 2**32 - 1])
def test_a_promise_of_a_call_that_was_never_made_fails_the_call(number: int) -> None:
    peer = stranger()
    peer.say(call_of(1, "note", promise(number)), call_of(3, "note", target=promise(number)), call_of(2, "note", "ok"))
    replies = reply(peer.hear())
    assert [replies[1][0], replies[3][0], replies[2]] == [ERROR] * 2 + ["ok"]


def test_a_call_can_not_wait_for_itself() -> None:
    peer = stranger()
    peer.say(call_of(1, "note", promise(1)), call_of(2, "note", target=promise(2)), call_of(3, "note", "ok"))
    replies = reply(peer.hear())
    assert [replies[1][0], replies[2][0], replies[3]] == [ERROR] * 2 + ["ok"]
    assert not peer.side.broker.arrivals.running


def test_a_promise_inside_a_value_fails_the_call() -> None:
    peer = stranger()
    peer.say(call_of(1, "echo", 5), call_of(2, "note", [promise(1)]))
    assert "a promise is a target or an argument" in reply(peer.hear())[2][1]


def test_a_refused_call_of_a_result_fails_alone_while_calls_of_one_object_wait() -> None:
    hall = Hall()
    peer = stranger(hall)
    peer.say(call_of(1, "later"), call_of(2, "echo", promise(1)))
    peer.hear()
    peer.say(call_of(3, "echo", [promise(1)], target=promise(1)))
    assert "a promise is a target or an argument" in reply(peer.hear())[3][1]
    hall.laters["it"].result, hall.laters["it"].is_there = "there", True
    peer.side.go_on()
    peer.listen()
    assert reply(peer.hear()) == {1: "there", 2: "there"}


def test_a_promise_in_an_answer_fails_the_call_that_is_answered() -> None:
    peer = stranger()
    call = peer.side.root.call("anything")
    (message,) = [said for said in peer.hear() if said[0] == Kind.CALL]
    peer.say([Kind.ANSWER.value, message[1], promise(1)])
    assert call.error is not None


def test_calls_that_wait_are_bounded_in_number_and_in_bytes() -> None:
    for limits in (Limits(waiting_calls=3), Limits(waiting_bytes=16 * 400)):
        peer = stranger(limits=limits)
        peer.say(call_of(1, "later"), *[call_of(number, "note", promise(1), "x" * 100) for number in range(2, 10)])
        replies = reply(peer.hear())
        assert {kind for kind, _ in replies.values()} == {f"pellucid.errors.{TooManyCalls.__name__}"}
        assert len(peer.side.broker.arrivals._waiting) == 3
        assert sorted(replies) == [5, 6, 7, 8, 9]


def test_calls_that_need_not_wait_are_run_however_many_others_wait() -> None:
    scene = Scene(limits=Limits(waiting_calls=2))
    fresh = scene.root.call("fresh")
    scene.round_trip()
    later = scene.later()
    waits = [scene.root.call("note", later) for _ in range(3)]
    other = fresh.outcome().call("note", 1)
    scene.round_trip()
    assert [call.done for call in waits] == [False, False, True]
    assert other.outcome() == 1


def test_what_was_never_answered_can_be_seen_and_given_up_without_harm() -> None:
    peer = stranger()
    peer.say([Kind.SEEN.value, [1, 2, 3]], [Kind.CANCEL.value, 7], call_of(1, "echo", 1))
    assert reply(peer.hear()) == {1: 1}


def test_seen_by_forged_numbers_forgets_nothing_else() -> None:
    peer = stranger()
    peer.say(call_of(1, "echo", 5), [Kind.SEEN.value, [-1, 2**63, 0]], call_of(2, "echo", promise(1)))
    assert reply(peer.hear()) == {1: 5, 2: 5}


def test_a_result_that_a_call_names_many_times_is_copied_once() -> None:
    peer = stranger()
    peer.say(call_of(1, "echo", [1, 2]), call_of(2, "note", promise(1)))
    peer.say(call_of(3, "all", *[promise(1)] * 100))
    values = reply(peer.hear())[3]
    assert values == [[1, 2]] * 100 + [{}]
    result = [*peer.side.broker.arrivals._kept.values()][-1][0]
    assert len({id(value) for value in result[:100]}) == 1


@pytest.mark.parametrize("kept", [True, False], ids=["kept", "under way"])
def test_a_result_that_a_call_names_again_counts_each_time(kept: bool) -> None:
    peer = stranger(limits=Limits(expanded_elements=10_000))
    peer.say(call_of(1, "echo" if kept else "later", *(["x" * 3_000] if kept else [])))
    peer.say(call_of(2, "all", *[promise(1)] * 4), call_of(3, "all", *[promise(1)] * 5), call_of(4, "echo", promise(1)))
    for later in peer.side.published.laters.values():  # type: ignore[attr-defined]
        later.result, later.is_there = "x" * 3_000, True
    replies = reply(peer.hear())
    assert replies[2] == ["x" * 3_000] * 4 + [{}]
    assert replies[3] == (f"pellucid.errors.{LimitExceeded.__name__}", "over Limits.expanded_elements=10000")
    assert replies[4] == "x" * 3_000


@pytest.mark.parametrize("kept", [True, False], ids=["kept", "under way"])
def test_what_many_results_in_one_call_cost_grows_no_faster_than_their_number(kept: bool) -> None:
    def prepare(count: int) -> Any:
        peer = stranger()
        method = "echo" if kept else "later"
        peer.say(*[call_of(number, method, number) for number in range(1, count)])
        if not kept:
            for later in peer.side.published.laters.values():  # type: ignore[attr-defined]
                later.is_there = True
        return lambda: peer.say(call_of(count, "all", *[promise(number) for number in range(1, count)]))

    assert ratio(prepare, 200) < SLACK


def test_results_that_calls_wait_with_count_as_bytes_that_wait() -> None:
    peer = stranger(limits=Limits(waiting_bytes=160_000))
    peer.say(call_of(1, "echo", ["x" * 3_000]), call_of(2, "later"))
    peer.hear()
    peer.say(*[call_of(number, "all", promise(1), promise(2)) for number in range(3, 9)])
    replies = reply(peer.hear())
    assert {kind for kind, _ in replies.values()} == {f"pellucid.errors.{TooManyCalls.__name__}"}
    assert sorted(replies) == [6, 7, 8]
    usage = peer.side.broker.arrivals.usage
    assert (usage["waiting_calls"], 16 * 9_000 < usage["waiting_bytes"] <= 160_000) == (3, True)
    peer.say([Kind.CANCEL.value, 3], call_of(9, "all", promise(1), promise(2)))
    assert 9 not in reply(peer.hear())
    for later in peer.side.published.laters.values():  # type: ignore[attr-defined]
        later.is_there = True
    assert sorted(reply(peer.hear())) == [2, 4, 5, 9]
    assert peer.side.broker.arrivals.usage["waiting_bytes"] == 0


@pytest.mark.parametrize("kept", [True, False], ids=["kept", "under way"])
def test_a_result_is_copied_for_no_more_bytes_than_may_wait(kept: bool) -> None:
    peer = stranger(limits=Limits(waiting_bytes=160_000))
    peer.say(call_of(1, "echo" if kept else "later", *([["x" * 3_000]] if kept else [])), call_of(2, "echo", 5))
    peer.say(*[call_of(number, "all", promise(1), promise(2)) for number in range(3, 9)])
    for later in peer.side.published.laters.values():  # type: ignore[attr-defined]
        later.result, later.is_there = ["x" * 3_000], True
    replies = reply(peer.hear())
    told = f"pellucid.errors.{TooManyCalls.__name__}"
    assert [number for number in range(3, 9) if replies[number][0] == told] == [7, 8]
    assert "waiting_bytes" in replies[7][1]
    peer.say(call_of(9, "all", promise(2)), call_of(1, "echo", ["x" * 3_000]), call_of(10, "all", promise(1)))
    assert reply(peer.hear())[10] == [["x" * 3_000], {}]


class Unwelcome(Copyable):
    """May not cross to where it comes from, and counts how often that was tried."""

    tries = 0

    def get_state_to_copy(self) -> dict[str, Any]:
        Unwelcome.tries += 1
        return {}


class Maker(Root):
    """Makes something at once, or a little later."""

    def __init__(self) -> None:
        self.later = Later()

    def remote_make(self) -> Unwelcome:
        return Unwelcome()

    async def remote_make_later(self) -> Unwelcome:
        await self.later
        return Unwelcome()

    def remote_take(self, *values: Any) -> None: ...


@pytest.mark.parametrize("method", ["make", "make_later"])
def test_a_result_that_can_not_be_an_argument_is_found_out_once_for_all_calls(method: str) -> None:
    Unwelcome.tries = 0
    maker = Maker()
    peer = stranger(maker)
    peer.say(call_of(1, method), *[call_of(number, "take", promise(1)) for number in range(2, 12)])
    maker.later.is_there = True
    replies = reply(peer.hear())
    peer.say(call_of(12, "take", promise(1)))
    replies |= reply(peer.hear())
    assert {replies[number][0] for number in range(2, 13)} == {"twisted.spread.jelly.InsecureJelly"}
    assert Unwelcome.tries == 2  # for the answer, and as an argument


LONG = "x" * 500_000


def test_of_a_long_name_little_is_kept_and_little_is_said() -> None:
    peer = stranger()
    peer.say(call_of(1, "later"), call_of(2, LONG, promise(1)), call_of(3, LONG, target=promise(2)))
    peer.say(call_of(4, LONG), call_of(5, LONG, target=promise(4)), [Kind.CANCEL.value, 2])
    peer.say(call_of(6, "echo", 5), call_of(7, LONG, target=promise(6)))
    replies = reply(peer.hear())
    assert sorted(replies) == [2, 3, 4, 5, 6, 7]
    assert max(len(text) for _, text in (replies[number] for number in (2, 3, 4, 5, 7))) < 400
    assert max(len(name) for _, _, _, name, *_ in peer.side.broker.arrivals._kept.values()) == 100


class Greeter(Root):
    """Hands out what calls are seen through."""

    def __init__(self) -> None:
        self.met: list[Any] = []

    def remote_enter(self, name: str) -> Referenceable:
        return Door(self, name)


class Door(Referenceable):
    def __init__(self, greeter: Greeter, name: str) -> None:
        self.greeter = greeter
        self.perspective = name

    def remote_meet(self, who: RemoteReference, *rest: Any) -> None:
        self.greeter.met.append(who)


@pytest.mark.parametrize("pipelined", [False, True])
def test_what_comes_with_a_call_of_a_result_is_seen_as_with_any_other(pipelined: bool) -> None:
    scene = Scene(Greeter())
    scene.finish()
    door: Any = scene.root.call("enter", "alice")
    if not pipelined:
        scene.pair.pump()
        door = door.outcome()
    door.call("meet", Notes())
    scene.pair.pump()
    (who,) = scene.hall.met
    assert who.perspective == "alice"


def test_what_comes_beside_a_promise_is_seen_as_with_any_other_call() -> None:
    scene = Scene(Greeter())
    scene.finish()
    door = scene.pair.call(scene.root, "enter", "alice")
    door.call("meet", Notes(), scene.root.call("enter", "bob"))
    scene.pair.pump()
    (who,) = scene.hall.met
    assert who.perspective == "alice"
