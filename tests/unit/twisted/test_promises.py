"""Calls as promises, cancellation, deadlines and batches, with the verbs of the Twisted door."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from twisted.internet import defer, task

from pellucid.errors import CallCancelled, DeadlineExceeded, NotAReference
from pellucid.twisted import pb
from tests.unit.twisted.link import Link, outcome

pytestmark = pytest.mark.usefixtures("dialect")


class Oops(pb.Error):
    """Expected."""


class Two(pb.Referenceable):
    def remote_three(self, number: int) -> int:
        return number + 3


class One(pb.Root):
    def __init__(self) -> None:
        self.two = Two()
        self.waiting: list[defer.Deferred[Any]] = []
        self.cancelled: list[Any] = []
        self.ran: list[str] = []

    def remote_two(self) -> Two:
        return self.two

    def remote_echo(self, *values: Any) -> Any:
        self.ran.append("echo")
        return values[0] if len(values) == 1 else list(values)

    def remote_fail(self) -> None:
        raise Oops("as expected")

    def remote_later(self, *args: Any) -> defer.Deferred[Any]:
        self.ran.append("later")
        self.waiting.append(defer.Deferred(self.cancelled.append))
        return self.waiting[-1]

    def remote_stubborn(self) -> defer.Deferred[Any]:
        def cancel(_: object) -> None:
            raise ZeroDivisionError

        self.waiting.append(defer.Deferred(cancel))
        return self.waiting[-1]

    async def remote_coroutine(self) -> None:
        try:
            await defer.Deferred()
        finally:
            self.cancelled.append("finally")

    async def remote_ask(self, reference: Any) -> Any:
        return await reference.callRemote("later")


@pytest.fixture
def link() -> Link:
    return Link(One())


def one(link: Link) -> One:
    root: One = link.server_factory.root
    return root


def round_trips(link: Link) -> int:
    """Carry bytes to and fro until nobody says anything; how often there was something to carry."""
    count = 0
    while link.to_server.value() or link.to_client.value():
        count += 1
        up, down = link.to_server.value(), link.to_client.value()
        link.to_server.clear()
        link.to_client.clear()
        link.server.dataReceived(up)
        link.client.dataReceived(down)
    return count


# Promises.


def test_a_chain_is_one_round_trip_in_the_native_dialect(link: Link, dialect: str) -> None:
    two = link.root.callRemote("two")
    waiting = two.call("three", 12)
    trips = round_trips(link)
    assert outcome(waiting) == 15
    assert two.called
    assert trips == (2 if dialect == "pellucid" else 4)


def test_a_chain_of_any_length_and_calls_with_promises_for_arguments(link: Link) -> None:
    number: Any = link.root.callRemote("echo", 1)
    for _ in range(50):
        number = link.root.callRemote("two").call("three", number)
    link.pump()
    assert outcome(number) == 151


def test_the_error_of_a_call_is_that_of_every_call_that_depends_on_it(link: Link, logged: list[Any]) -> None:
    failing = link.root.callRemote("fail")
    dependants = [failing.call("three", 1), link.root.callRemote("echo", failing)]
    dependants.append(dependants[0].call("more"))
    link.pump()
    failures = list(map(outcome, dependants))
    assert all(failure.check(Oops) for failure in failures)
    assert {type(failure) for failure in failures} == {pb.CopiedFailure}
    del failing, dependants
    link.settle()
    assert logged == []  # nobody has to look at the first one as well


def test_a_result_that_is_no_reference_has_no_methods(link: Link) -> None:
    waiting = link.root.callRemote("echo", 1).call("three", 1)
    link.pump()
    assert outcome(waiting).check(NotAReference)


def test_a_call_is_given_what_the_callbacks_before_it_make_of_a_result(link: Link) -> None:
    two = link.call(link.root, "two")
    first = link.root.callRemote("echo", 1)
    first.addCallback(lambda number: (number, two)[1])
    later = first.call("three", 2)
    argument = link.root.callRemote("echo", first)
    assert one(link).ran == []
    link.pump()
    assert (outcome(later), outcome(argument)) == (5, two)


def test_and_not_what_those_after_it_make_of_it(link: Link) -> None:
    first = link.root.callRemote("two")
    later = first.call("three", 1)
    also = link.root.callRemote("echo", first, link.root.callRemote("later"))
    first.addCallback(lambda _: None)
    last = link.root.callRemote("echo", first)
    link.pump()
    one(link).waiting[0].callback("at last")
    link.pump()
    assert outcome(later) == 4
    assert outcome(also) == [link.call(link.root, "two"), "at last"]
    assert outcome(last) is None


def test_a_callback_may_make_a_result_of_an_error_and_an_error_of_a_result(link: Link) -> None:
    two = link.call(link.root, "two")
    saved = link.root.callRemote("fail")
    saved.addErrback(lambda _: two)
    spoilt = link.root.callRemote("two")
    spoilt.addCallback(lambda _: 1 / 0)
    calls = [saved.call("three", 1), spoilt.call("three", 1)]
    link.pump()
    assert outcome(calls[0]) == 4
    assert outcome(calls[1]).check(ZeroDivisionError)
    assert outcome(spoilt).check(ZeroDivisionError)


def test_what_a_callback_waits_for_is_waited_for(link: Link) -> None:
    two = link.call(link.root, "two")
    slow: defer.Deferred[Any] = defer.Deferred()
    first = link.root.callRemote("echo", 1)
    first.addCallback(lambda _: slow)
    later = first.call("three", 2)
    link.pump()
    after = first.call("three", 3)
    assert not later.called
    slow.callback(two)
    link.pump()
    assert (outcome(later), outcome(after)) == (5, 6)


def test_calls_of_one_object_run_in_the_order_made_though_some_wait(link: Link) -> None:
    first = link.root.callRemote("echo", 1)
    first.addCallback(lambda number: number)
    link.root.callRemote("echo", first)
    last = link.root.callRemote("later")
    link.pump()
    assert one(link).ran == ["echo", "echo", "later"]
    assert not last.called


def test_a_call_of_a_result_that_is_there_already_is_made_at_once(link: Link) -> None:
    first = link.root.callRemote("two")
    link.pump()
    later = first.call("three", 1)
    link.pump()
    assert outcome(later) == 4


# Cancelling.


def test_cancelling_ends_the_deferred_here_and_in_the_native_dialect_there(
    link: Link, dialect: str, logged: list[Any]
) -> None:
    waiting = link.root.callRemote("later")
    link.pump()
    waiting.cancel()
    assert outcome(waiting).check(defer.CancelledError)
    link.pump()
    native = dialect == "pellucid"
    assert one(link).cancelled == (one(link).waiting if native else [])
    if not native:
        one(link).waiting[0].callback("too late")
        link.pump()
    assert link.call(link.root, "echo", 1) == 1
    assert logged == []


@pytest.mark.parametrize("dialect", ["pellucid"], indirect=True)
def test_a_method_that_fails_to_cancel_is_logged_and_runs_on_with_all_others(link: Link, logged: list[Any]) -> None:
    waiting, other = link.root.callRemote("stubborn"), link.root.callRemote("later")
    link.pump()
    waiting.cancel()
    link.pump()
    assert outcome(waiting).check(defer.CancelledError)
    (event,) = logged
    assert event["failure"].check(ZeroDivisionError)
    assert event["why"] == "'stubborn' could not be cancelled"
    stubborn, later = one(link).waiting
    stubborn.callback("done all the same")
    later.callback("done")
    link.pump()
    assert outcome(other) == "done"


@pytest.mark.parametrize("dialect", ["pellucid"], indirect=True)
def test_a_coroutine_that_is_cancelled_runs_its_finally(link: Link, logged: list[Any]) -> None:
    waiting = link.root.callRemote("coroutine")
    link.pump()
    waiting.cancel()
    link.pump()
    assert outcome(waiting).check(defer.CancelledError)
    assert one(link).cancelled == ["finally"]
    assert logged == []


@pytest.mark.parametrize("dialect", ["pellucid"], indirect=True)
def test_a_call_that_is_cancelled_before_its_turn_never_runs(link: Link) -> None:
    link.server.limits = replace(link.server.limits, running_calls=1)
    link.root.callRemote("later")
    waiting = link.root.callRemote("echo", 1)
    link.pump()
    waiting.cancel()
    link.pump()
    one(link).waiting[0].callback(None)
    link.pump()
    assert outcome(waiting).check(defer.CancelledError)
    assert one(link).ran == ["later"]


def test_calls_wait_while_those_under_way_have_too_many_bytes(link: Link) -> None:
    link.server.limits = replace(link.server.limits, running_bytes=2_000)
    first = link.root.callRemote("later", b"x" * 2_000)
    waiting = link.root.callRemote("echo", 1)
    link.pump()
    assert one(link).ran == ["later"]
    one(link).waiting[0].callback(None)
    link.pump()
    assert outcome(first) is None
    assert outcome(waiting) == 1
    assert one(link).ran == ["later", "echo"]


@pytest.mark.parametrize("has_callbacks", [False, True])
def test_what_depends_on_a_call_that_is_cancelled_is_told_so(
    link: Link, has_callbacks: bool, logged: list[Any]
) -> None:
    first = link.root.callRemote("later")
    if has_callbacks:
        first.addCallback(lambda value: value)
    dependants = [first.call("three", 1), link.root.callRemote("echo", first)]
    link.pump()
    first.cancel()
    link.pump()
    assert outcome(first).check(defer.CancelledError)
    for each in dependants:
        assert outcome(each).check(CallCancelled)
    assert logged == []


# Deadlines.


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> task.Clock:
    """What tells all brokers the time."""
    clock = task.Clock()
    monkeypatch.setattr(pb.Broker, "clock", clock)
    return clock


def timers(clock: task.Clock) -> int:
    """How many calls are to be ended in time."""
    calls: list[Any] = list(clock.getDelayedCalls())
    return sum(call.func.__name__ == "_expire" for call in calls)


def test_a_call_with_a_timeout_ends_in_time_here_and_in_the_native_dialect_there(
    clock: task.Clock, link: Link, dialect: str, logged: list[Any]
) -> None:
    waiting: Any = link.root.call_with(timeout=5).call("later")
    link.pump()
    clock.advance(4.9)
    assert not waiting.called
    clock.advance(0.2)
    link.pump()
    assert outcome(waiting).check(DeadlineExceeded)
    assert one(link).cancelled == (one(link).waiting if dialect == "pellucid" else [])
    assert timers(clock) == 0
    assert logged == []


def test_a_call_that_is_answered_in_time_leaves_no_timer(clock: task.Clock, link: Link) -> None:
    waiting: Any = link.root.call_with(timeout=5).call("echo", 1)
    link.pump()
    assert outcome(waiting) == 1
    assert timers(clock) == 0


def test_nor_does_one_whose_connection_is_lost(clock: task.Clock, link: Link) -> None:
    waiting: Any = link.root.call_with(timeout=5).call("later")
    link.pump()
    link.cut()
    assert outcome(waiting).check(pb.PBConnectionLost)
    assert clock.getDelayedCalls() == []


@pytest.mark.parametrize("dialect", ["pellucid"], indirect=True)
def test_a_coroutine_hands_its_deadline_on_to_the_calls_that_it_makes(clock: task.Clock, link: Link) -> None:
    here = One()
    waiting: Any = link.root.call_with(timeout=5).call("ask", here)
    link.pump()
    assert timers(clock) == 4  # of the call and of the one that it makes, on either side
    clock.advance(5)
    link.pump()
    assert outcome(waiting).check(DeadlineExceeded)
    assert here.cancelled == here.waiting
    assert timers(clock) == 0


@pytest.mark.parametrize("dialect", ["pellucid"], indirect=True)
def test_no_timer_is_left_of_a_call_that_waited_and_could_not_run(clock: task.Clock, link: Link) -> None:
    first = link.root.callRemote("later")
    waiting: Any = link.root.call_with(timeout=5).call("echo", first)
    link.pump()
    assert timers(clock) == 2  # on either side
    first.cancel()
    link.pump()
    assert {outcome(each).type for each in (first, waiting)} == {defer.CancelledError, CallCancelled}
    assert timers(clock) == 0


@pytest.mark.parametrize("dialect", ["pellucid"], indirect=True)
def test_a_call_that_waits_for_others_ends_by_its_deadline(clock: task.Clock, link: Link) -> None:
    first = link.root.callRemote("later")
    waiting: Any = link.root.call_with(timeout=5).call("echo", first)
    behind = link.root.callRemote("echo", 2)
    link.pump()
    assert not behind.called
    clock.advance(5)
    link.pump()
    assert outcome(waiting).check(DeadlineExceeded)
    assert outcome(behind) == 2
    assert not first.called


# Batches.


def test_calls_that_are_gathered_have_one_deferred(link: Link) -> None:
    gathered = pb.gather(*(link.root.prepare("echo", number) for number in range(100)))
    assert isinstance(gathered, defer.Deferred)
    link.pump()
    assert outcome(gathered) == list(range(100))
    assert outcome(pb.gather()) == []


def test_the_first_error_of_them_is_that_of_all(link: Link) -> None:
    gathered = pb.gather(link.root.prepare("echo", 1), link.root.prepare("fail"))
    link.pump()
    assert outcome(gathered).check(Oops)


def test_or_failures_stand_among_the_results(link: Link) -> None:
    gathered = pb.gather(
        link.root.prepare("echo", 1), link.root.prepare("fail"), link.root.prepare("nothing"), return_exceptions=True
    )
    link.pump()
    number, expected, missing = outcome(gathered)
    assert number == 1
    assert expected.check(Oops)
    assert missing.check(pb.NoSuchMethod)


def test_cancelling_the_whole_cancels_each(link: Link, dialect: str) -> None:
    gathered = pb.gather(link.root.prepare("later"), link.root.prepare("later"))
    link.pump()
    gathered.cancel()
    link.pump()
    assert outcome(gathered).check(defer.CancelledError)
    assert len(one(link).cancelled) == (2 if dialect == "pellucid" else 0)


class Shelf(pb.Cacheable):
    def __init__(self) -> None:
        self.observers: list[Any] = []

    def getStateToCacheAndObserveFor(self, perspective: Any, observer: Any) -> Any:
        self.observers.append(observer)
        return {"books": []}


class ShelfCopy(pb.RemoteCache):
    books: list[Any]

    def observe_add(self, book: Any) -> None:
        self.books.append(book)


def test_all_copies_are_told_of_a_change() -> None:
    pb.setUnjellyableForClass(Shelf, ShelfCopy)
    shelf, links = Shelf(), [Link(One()) for _ in range(3)]
    copies = [given(link, shelf) for link in links]
    assert pb.update_all(shelf.observers, "add", "a book") == {}
    pb.update_all(shelf.observers, "add", ["another"])
    for link, copy in zip(links, copies, strict=True):
        link.pump()
        assert copy.books == ["a book", ["another"]]


def given(link: Link, value: Any) -> Any:
    waiting = link.root.callRemote("later")
    link.pump()
    one(link).waiting.pop().callback(value)
    link.pump()
    return outcome(waiting)
