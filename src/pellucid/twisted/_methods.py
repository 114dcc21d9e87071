"""Running what a peer calls, and what an application asked to be run, with Deferreds, coroutines and Failures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from inspect import iscoroutine
from typing import Any, Protocol

from twisted.internet import defer
from twisted.python import log
from twisted.python.failure import Failure

from pellucid.core.broker import Broker as Core
from pellucid.core.calls import Admission
from pellucid.core.correlation import id_of_theirs
from pellucid.core.states import State
from pellucid.errors import (
    SELF_EXPLANATORY,
    CallCancelled,
    DeadlineExceeded,
    LimitExceeded,
    NoSuchMethod,
    RemoteProtocolError,
    TooManyCalls,
    is_refusal,
)
from pellucid.twisted._failures import CopyableFailure, answer_for, is_expected
from pellucid.wire.messages import MethodCall
from pellucid.wire.native.codes import NAME as NATIVE

__all__ = ["COPIED_AT_A_TIME_BYTES", "Runner", "remaining_time", "run"]

# Whose peer asks for what it can't have has its answer; PB logs a method that is missing all the same.
_NO_NEWS = tuple(kind for kind in SELF_EXPLANATORY if not issubclass(kind, NoSuchMethod))


class Host(Protocol):
    """What a runner needs of its broker."""

    security: Any

    @property
    def clock(self) -> Any:
        """What has things run later, an IReactorTime; None where there is nothing that does."""
        ...

    def now(self) -> float:
        """The time in seconds."""
        ...

    @property
    def log_number(self) -> str:
        """Stands for the connection in the log."""
        ...

    @property
    def tells_tracebacks(self) -> bool:
        """Whether the peer is sent the text of tracebacks."""
        ...

    def flush(self) -> None:
        """There is something to send."""
        ...

    def give_up(self, why: str) -> None:
        """Hang up on a peer that can't be talked to."""
        ...

    @property
    def is_resting(self) -> bool:
        """Whether others have their turn before anything further is done for this peer."""
        ...

    def rest(self) -> bool:
        """Let others have their turn, if that can be: then `Runner.go_on` is called later."""
        ...


COPIED_AT_A_TIME_BYTES = 16 * 1024
"""Bytes of results that the peer has handed on to its calls from which on others have their turn. A few bytes ask for
each copy, and the calls that ask come many at a time."""

running_call: ContextVar[tuple[Host, MethodCall]] = ContextVar("pellucid_twisted_call")
"""The call that runs the method we are in. Coroutines and inlineCallbacks keep it; callbacks of a Deferred don't."""


def remaining_time() -> float | None:
    """Seconds that the call which runs the method we are in has left; None where there is no end to that."""
    running = running_call.get(None)
    if running is None:
        return None
    host, call = running
    return None if call.deadline is None else max(0.0, call.deadline - host.now())


class Runner:
    """Runs the calls of one peer: each at once as a rule, and answers it when its result is there."""

    def __init__(self, host: Host, core: Core) -> None:
        self._host = host
        self._core = core
        self._admission = Admission(core.limits)
        self._arrivals = core.arrivals
        self._arrivals.watcher = self
        self._starting = False
        # By id() of the call: why it was cancelled, and what ends it in time.
        self._reasons: dict[int, Exception] = {}
        self._timers: dict[int, Any] = {}

    def arrive(self, call: MethodCall) -> None:
        """The peer made `call`: run it now, or when it is its turn, or refuse it."""
        self._admission.limits = self._core.limits
        try:
            may_run = self._admission.arrive(call)
        except TooManyCalls as refused:
            self._tell(call, refused)
            self.unwatch(call)  # it may have waited for others before
            return
        if call.deadline is not None:
            self.watch(call)
        if may_run:
            self._start(call)

    def arrive_together(self, calls: Sequence[MethodCall]) -> None:
        """The peer made these calls in one message."""
        for call in calls:
            if self._core.state is State.CLOSED:
                return
            if call.error is None:
                self._core.serving.find_method(call, None)  # those before it may have changed what there is
            self.arrive(call)

    def cancel(self, call: MethodCall) -> None:
        """The peer has given `call` up: cancel the Deferred that it waits for; where it has not begun it never will."""
        self._end_early(call, CallCancelled(f"the call of {call.shown_name!r} was cancelled by its caller"))

    def stop(self) -> None:
        """The caller is gone: forget what waits. What runs, runs on."""
        self._admission.clear()
        self._admission.held = True
        timers, self._timers = self._timers, {}
        for timer in timers.values():
            timer.cancel()

    def watch(self, call: MethodCall) -> None:
        """Have `call`, which has a deadline, end by it: while it waits for others, for its turn, or while it runs."""
        clock = self._host.clock
        if call.deadline is not None and clock is not None and id(call) not in self._timers:
            left = max(0.0, call.deadline - self._host.now())
            self._timers[id(call)] = clock.callLater(left, self._expire, call)

    def _expire(self, call: MethodCall) -> None:
        """The caller of `call` does not wait any longer."""
        self._timers.pop(id(call), None)
        self._end_early(call, DeadlineExceeded(f"{call.shown_name!r} did not end in the time that its caller gave it"))
        self._start_next()  # calls that waited behind it

    def _end_early(self, call: MethodCall, reason: Exception) -> None:
        if call.ended:
            return
        if call.handle is not None:
            self._reasons[id(call)] = reason
            try:
                call.handle.cancel()
            except BaseException:  # noqa: BLE001 - whatever its canceller raises is the application's: the call runs on
                self._log(Failure(), call, f"{call.shown_name!r} could not be cancelled")
            return
        if not self._arrivals.give_up(call, reason):
            self._tell(call, reason)
        call.ended = True
        self.unwatch(call)
        self._host.flush()

    def _start(self, call: MethodCall) -> None:
        if call.deadline is not None and call.deadline <= self._host.now() and self._host.clock is not None:
            self._expire(call)
            self._ended(None, call)
            return
        token = running_call.set((self._host, call))
        try:
            result = self._run(call)
        except BaseException:  # noqa: BLE001 - whatever the method raises, a Failure included, is its answer
            self._fail(Failure(), call, raised=True)
            self._ended(None, call)
            return
        finally:
            running_call.reset(token)
        if isinstance(result, defer.Deferred):
            call.handle = result
            self._admission.keep_running(call)
            result.addCallbacks(self._answer, self._fail, callbackArgs=(call,), errbackArgs=(call,))
            result.addBoth(self._ended, call)
        else:
            self._answer(result, call)
            self._ended(None, call)

    def _run(self, call: MethodCall) -> Any:
        """What the method returns: of a coroutine, the Deferred."""
        # What it is called with may hold the last references to objects of the peer: nobody else is to keep it.
        args, kwargs = call.args, call.kwargs
        call.args, call.kwargs = (), {}
        if call.batch is not None:
            self._check_results(call)
        try:
            if call.method is None:
                raise call.error or RemoteProtocolError("nothing to run")
            result = call.method(*args, **kwargs)
            return defer.Deferred.fromCoroutine(result) if iscoroutine(result) else result
        finally:
            call.error = None  # its traceback may hold the call
            del args, kwargs

    def _check_results(self, call: MethodCall) -> None:
        """Refuse `call`, one of a batch, where results that wait for others of theirs are more than could be sent."""
        kept, most = self._arrivals.results, self._core.limits.buffer_bytes
        if kept > 2 * most:
            call.method, call.error = None, TooManyCalls("buffer_bytes", most, kept)

    def _ended(self, result: Any, call: MethodCall) -> Any:
        if call.handle is not None:
            call.handle = None
            self._admission.let_go_of(call)
        if self._timers or self._reasons:
            self._reasons.pop(id(call), None)
            self.unwatch(call)
        call.deadline = None  # what the method started, and what goes on after it, has all the time there is
        self._admission.end()
        self._start_next()
        return result

    def go_on(self) -> None:
        """Others have had their turn: start what may start."""
        self._start_next()

    def _start_next(self) -> None:
        if self._starting:
            return  # a method ended that was started below: the loop there goes on
        self._starting = True
        try:
            while not self._host.is_resting:
                if self._arrivals.copied > COPIED_AT_A_TIME_BYTES and self._host.rest():
                    break
                if self._arrivals.ready:
                    ready = self._arrivals.next_ready()
                    if ready is not None:
                        self.arrive(ready)
                elif (waiting := self._admission.next()) is not None:
                    self._start(waiting)
                else:
                    break
        finally:
            self._starting = False

    def unwatch(self, call: MethodCall) -> None:
        """`call` has ended: nothing is to end it any more."""
        timer = self._timers.pop(id(call), None)
        if timer is not None:
            timer.cancel()

    def _answer(self, value: Any, call: MethodCall) -> None:
        try:
            failed = self._core.answer(call, value)
        except LimitExceeded as hindrance:
            self._host.give_up(f"not even an error can be sent: {hindrance}")
            return
        if failed is not None:
            text = f"The result of {call.shown_name!r} can't be sent: {failed}"
            if isinstance(failed, SELF_EXPLANATORY):
                log.msg(text)
            else:  # a hook of the application's raised it
                self._log(Failure(failed), call, text)
        self._host.flush()

    def _fail(self, failure: Failure, call: MethodCall, *, raised: bool = False) -> None:
        reason = self._reasons.get(id(call))
        if reason is not None and failure.check(defer.CancelledError):
            self._tell(call, reason)
            return
        if not is_expected(failure) and not isinstance(failure.value, _NO_NEWS):
            if call.wants_answer:
                # In PB as well, this is an error where the method itself raised it, and news where its Deferred failed.
                log.msg("Peer will receive following PB traceback:", isError=raised)
            self._log(failure, call)
        value: Any = failure.value
        raised = call.method is not None and not is_refusal(value)
        unsafe = self._host.tells_tracebacks
        if not (raised or unsafe) and isinstance(value, SELF_EXPLANATORY) and self._core.dialect == NATIVE:
            self._tell(call, value)  # its own form has what no Failure tells: of a limit, or of an argument
            return
        told = answer_for(failure, self._host.security, unsafe=unsafe)
        self._tell(call, told, raised=raised)
        if isinstance(told, CopyableFailure):
            told.forget()  # it may be kept for calls of what this one came to, or for the rest of its batch

    def _log(self, failure: Failure, call: MethodCall, why: str | None = None) -> None:
        number = self._host.log_number
        call_id = id_of_theirs(number, self._core.peer_log_number, call)
        log.err(failure, why, event="call.failed", connection=number, method=call.shown_name, call=call_id)

    def _tell(self, call: MethodCall, told: BaseException, *, raised: bool = False) -> None:
        try:
            self._core.fail(call, told, raised=raised)
        except LimitExceeded as hindrance:
            self._host.give_up(f"not even an error can be sent: {hindrance}")
        self._host.flush()


def run(callback: Callable[[], object]) -> None:
    """Run what an application asked for; its errors are logged, and stop nothing else."""
    try:
        result = callback()
    except BaseException:  # noqa: BLE001 - whatever it raises, a Failure included, is the application's
        log.err(Failure(), "a notice failed")
        return
    if iscoroutine(result):
        result = defer.Deferred.fromCoroutine(result)
    if isinstance(result, defer.Deferred):
        result.addErrback(lambda failure: log.err(failure, "a notice failed"))
