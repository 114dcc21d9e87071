from __future__ import annotations

import pytest

from pellucid.core.calls import Admission, PendingCalls
from pellucid.errors import RemoteProtocolError, TooManyCalls
from pellucid.limits import Limits
from pellucid.wire.messages import MethodCall
from tests.pair import Promise


def method_call(number: int, size: int = 10) -> MethodCall:
    return MethodCall(number, b"root", "echo", (), {}, size=size)


def admission(*, running: int, waiting: int, waiting_bytes: int = 1_000) -> Admission:
    return Admission(Limits(running_calls=running, waiting_calls=waiting, waiting_bytes=waiting_bytes))


# Calls of ours.


def test_ids_count_up_from_1() -> None:
    pending = PendingCalls(Limits())
    assert [pending.last_id, pending.new_id(), pending.new_id(), pending.last_id] == [0, 1, 2, 2]


def test_a_call_is_taken_once() -> None:
    pending = PendingCalls(Limits())
    call = Promise()
    pending.enter(call)
    assert pending.take(1) is call
    for unknown in (1, 2, -1, 2**447):
        with pytest.raises(RemoteProtocolError, match="the peer answered a call that is not under way"):
            pending.take(unknown)


def test_all_calls_are_taken_in_the_order_made_and_none_is_left() -> None:
    pending = PendingCalls(Limits())
    for _ in range(3):
        pending.enter(Promise())
    assert list(pending.take_all()) == [1, 2, 3]
    assert len(pending) == 0
    assert pending.take_all() == {}


def test_there_is_room_for_as_many_calls_as_the_limit_says() -> None:
    pending = PendingCalls(Limits(calls_pending=1))
    pending.enter(Promise())
    with pytest.raises(TooManyCalls, match="calls_pending=1"):
        pending.enter(Promise())
    pending.take(1)
    pending.enter(Promise())


def test_it_is_known_whether_an_early_call_is_still_unanswered() -> None:
    pending = PendingCalls(Limits())
    assert not pending.any_up_to(0)
    for _ in range(3):
        pending.enter(Promise())
    pending.new_id()  # a one-way call is never unanswered
    pending.take(1)
    assert [pending.any_up_to(number) for number in (1, 2, 4)] == [False, True, True]
    pending.take(3)
    pending.take(2)
    assert not pending.any_up_to(4)


# Calls of the peer's.


def test_calls_run_up_to_the_limit_and_then_wait_in_order() -> None:
    gate = admission(running=2, waiting=2)
    first, second, third, fourth, fifth = map(method_call, range(5))
    assert [gate.arrive(first), gate.arrive(second), gate.arrive(third), gate.arrive(fourth)] == [
        True,
        True,
        False,
        False,
    ]
    with pytest.raises(TooManyCalls, match=r"over Limits.waiting_calls=2"):
        gate.arrive(fifth)
    assert (gate.running, gate.waiting) == (2, 2)
    assert gate.next() is None
    gate.end()
    assert gate.next() is third
    assert (gate.running, gate.waiting) == (2, 1)


def test_a_call_does_not_overtake_those_that_wait() -> None:
    gate = admission(running=1, waiting=5)
    first, second, third = map(method_call, range(3))
    gate.arrive(first)
    gate.arrive(second)
    gate.end()
    assert not gate.arrive(third)
    assert gate.next() is second


def test_no_call_starts_while_the_peer_does_not_read() -> None:
    gate = admission(running=5, waiting=5)
    call = method_call(1)
    gate.held = True
    assert not gate.arrive(call)
    assert gate.next() is None
    gate.held = False
    assert gate.next() is call
    assert gate.next() is None


def test_waiting_calls_may_take_as_many_bytes_as_the_limit_says() -> None:
    gate = admission(running=1, waiting=5, waiting_bytes=100)
    running, large, small = method_call(1, 1_000), method_call(2, 60), method_call(3, 40)
    assert gate.arrive(running)
    gate.arrive(large)
    gate.arrive(small)
    with pytest.raises(TooManyCalls, match=r"over Limits.waiting_bytes=100: 101 asked"):
        gate.arrive(method_call(4, 1))
    gate.end()
    assert gate.next() is large
    assert not gate.arrive(method_call(5, 60))


def test_calls_wait_once_those_whose_methods_are_under_way_have_as_many_bytes_as_the_limit_says() -> None:
    gate = Admission(Limits(running_bytes=100))
    for size in 60, 39:
        assert gate.arrive(method_call(1, size))
        gate.running_bytes += size
    assert gate.has_room
    assert gate.arrive(method_call(2, 1))
    gate.running_bytes += 1
    assert not gate.has_room
    third = method_call(3, 1)
    assert not gate.arrive(third)
    assert gate.next() is None
    gate.running_bytes -= 1
    assert gate.next() is third


def test_calls_that_wait_are_forgotten_with_their_caller() -> None:
    gate = admission(running=1, waiting=1, waiting_bytes=10)
    gate.arrive(method_call(1))
    gate.arrive(method_call(2))
    gate.clear()
    assert (gate.running, gate.waiting) == (1, 0)
    assert not gate.arrive(method_call(3))
