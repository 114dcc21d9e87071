from __future__ import annotations

from collections import deque

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pellucid.core.calls import Admission
from pellucid.errors import TooManyCalls
from pellucid.limits import Limits
from pellucid.wire.messages import MethodCall

RUNNING, WAITING, BYTES, RUNNING_BYTES = 3, 3, 100, 150


class Admissions(RuleBasedStateMachine):
    """Calls start in the order made, never more than may run, and none is lost or started twice."""

    def __init__(self) -> None:
        super().__init__()
        limits = Limits(running_calls=RUNNING, waiting_calls=WAITING, waiting_bytes=BYTES, running_bytes=RUNNING_BYTES)
        self.admission = Admission(limits)
        self.made = 0
        self.running = 0
        self.under_way: list[int] = []
        self.waiting: deque[MethodCall] = deque()
        self.last_started = 0

    def start(self, call: MethodCall) -> None:
        assert call.call_id > self.last_started
        assert not self.admission.held
        self.last_started = call.call_id
        self.running += 1
        if call.call_id % 2:  # its method does not end at once
            self.admission.running_bytes += call.size
            self.under_way.append(call.size)

    @property
    def has_room(self) -> bool:
        return self.running < RUNNING and sum(self.under_way) < RUNNING_BYTES and not self.admission.held

    @rule(size=st.integers(0, BYTES))
    def arrive(self, size: int) -> None:
        self.made += 1
        call = MethodCall(self.made, b"root", "echo", (), {}, size=size)
        idle = self.has_room and not self.waiting
        assert self.admission.has_room is idle
        room = len(self.waiting) < WAITING and sum(each.size for each in self.waiting) + size <= BYTES
        try:
            may_run = self.admission.arrive(call)
        except TooManyCalls:
            assert not idle
            assert not room
            return
        assert may_run is idle
        if may_run:
            self.start(call)
        else:
            assert room
            self.waiting.append(call)

    @rule()
    def start_next(self) -> None:
        call = self.admission.next()
        may_start = self.waiting and self.has_room
        assert (call is not None) is bool(may_start)
        if call is not None:
            assert call is self.waiting.popleft()
            self.start(call)

    @precondition(lambda self: self.running > len(self.under_way))
    @rule()
    def end(self) -> None:
        self.admission.end()
        self.running -= 1

    @precondition(lambda self: self.under_way)
    @rule()
    def end_of_what_took_a_while(self) -> None:
        self.admission.running_bytes -= self.under_way.pop()
        self.admission.end()
        self.running -= 1

    @rule(held=st.booleans())
    def hold(self, held: bool) -> None:
        self.admission.held = held

    @rule()
    def clear(self) -> None:
        self.admission.clear()
        self.waiting.clear()

    @invariant()
    def it_counts_right_and_stays_within_the_limits(self) -> None:
        assert self.admission.running == self.running <= RUNNING
        assert self.admission.waiting == len(self.waiting) <= WAITING


Admissions.TestCase.settings = settings(deadline=None, max_examples=50)
TestAdmissions = Admissions.TestCase
