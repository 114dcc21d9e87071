"""Running the methods that a peer calls."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from functools import partial
from inspect import CO_COROUTINE
from types import CoroutineType
from typing import Any, NoReturn, Protocol

from pellucid.asyncio.call_log import CallLog
from pellucid.asyncio.calls import Call
from pellucid.asyncio.current import Caller, running_call
from pellucid.asyncio.deadlines import Deadlines
from pellucid.asyncio.outbox import Outbox
from pellucid.asyncio.slices import LARGE, PORTION, STIRRED
from pellucid.asyncio.threads import thread_behind
from pellucid.core.batches import BatchRun
from pellucid.core.calls import Admission
from pellucid.core.weights import weight_of
from pellucid.errors import (
    SELF_EXPLANATORY,
    CallCancelled,
    DeadlineExceeded,
    LimitExceeded,
    RemoteProtocolError,
    TooManyCalls,
)
from pellucid.limits import Limits
from pellucid.wire.messages import MethodCall

__all__ = ["Runner", "is_coroutine_function"]


class Host(Caller, Protocol):
    """What a runner needs of its connection."""

    unsafe_tracebacks: bool

    @property
    def outbox(self) -> Outbox:
        """Where what there is to send is waiting."""
        ...

    def drowning(self) -> bool:
        """Whether the peer reads so little of what it is sent that it can't even be refused any more."""
        ...

    def abort(self, reason: str) -> None:
        """End the connection now."""
        ...


_NONE: dict[str, Any] = {}
"""What is left of keyword arguments that were handed over."""

_SMALL = frozenset({type(None), bool, int, float})
"""Types of results that take next to nothing while they wait."""

_ANSWERS = frozenset({type(None), bool, int, float, str, bytes, list, dict, tuple})
"""Types that certainly can't be awaited."""

_ABOUT_TO_BEGIN = object()
"""Stands for the task of a method until there is one: an eager one begins, and may end, while it is made."""


class Runner:
    """Runs the calls of one peer: in the order made, many at a time, each answered when it ends."""

    __slots__ = (
        "_admission",
        "_arrivals",
        "_broker",
        "_deadlines",
        "_drained",
        "_due",
        "_gone",
        "_host",
        "_made_log",
        "_outbox",
        "_serving",
        "_starting",
        "_tasks",
        "stirred",
    )

    def __init__(self, host: Host) -> None:
        self.stirred: int = 0
        """Methods begun, and twice those cancelled, since whoever minds what they do in their turn set this to 0."""
        self._host = host
        self._broker = host.broker
        self._admission = Admission(host.broker.limits)
        self._serving = host.broker.serving
        self._arrivals = host.broker.arrivals
        self._outbox = host.outbox
        self._arrivals.watcher = self
        # These are there once they are needed.
        self._tasks: dict[asyncio.Future[None], MethodCall] | None = None
        self._deadlines: Deadlines | None = None
        self._made_log: CallLog | None = None
        # How many calls are due to start in this turn of the loop: a plain method must not overtake them.
        self._due = 0
        self._starting = False
        self._gone = False
        self._drained: asyncio.Future[None] | None = None

    def arrive(self, call: MethodCall) -> None:
        """The peer made `call`: run it now, or when it is its turn, or refuse it."""
        try:
            may_run = self._admission.arrive(call)
        except TooManyCalls as error:
            self._refuse(call, error)
            self.unwatch(call)  # it may have waited for others before
            self._outbox.schedule()
            return
        if call.deadline is not None:
            self.watch(call)
        if not may_run:
            return
        if self._due:
            self._start(call)
        else:
            self._run(call)

    def arrive_together(self, run: BatchRun) -> None:
        """The peer made these calls in one message: run one after the other, as far as it is their turn.

        What plain methods return is the outcome at once; all else goes the way of any call. A portion is run at a time;
        what is left comes again.
        """
        if run.items is not None:
            self._run_items(run, run.items)
        else:
            first, run.taken = run.taken, min(run.taken + STIRRED, len(run.outcomes))
            for place in range(first, run.taken):
                self._run_in_batch(run.call(place))
        if self._gone:
            return
        if run.taken < len(run.outcomes):
            self._serving.put_back(run)
            return
        if run.left:
            run.items = None  # nothing but the outcome is to be kept of those that have ended
        try:
            self._serving.answer_batch(run)
        except LimitExceeded as hindrance:
            self._host.abort(f"not even an error can be sent: {hindrance}")
        self._outbox.schedule()

    def _run_items(self, run: BatchRun, items: Sequence[tuple[int | str, str, list[Any]]]) -> None:
        """Run calls of which most end at once, so that there need not be a `MethodCall` for each."""
        admission, serving, host, exports = self._admission, self._serving, self._host, self._broker.books.exports
        arrivals, outcomes, ended = self._arrivals, run.outcomes, 0
        weight, room = 0, arrivals.room  # of results that are not counted yet, and how much there may be of these
        # Of the call before: what it called, where that was found, and of what state of the table that is true.
        known_by: int | str | None = None
        called = attribute = ""
        obj: Any = None
        state = -1
        first = place = run.taken
        to_stir = STIRRED
        token = running_call.set((host, run, 0))
        try:
            for place, (target, name, args) in enumerate(items[first : first + PORTION], first):
                if self._gone:
                    return
                if target != known_by or name != called or exports.changes != state:
                    known_by, called, state = target, name, exports.changes
                    obj, attribute = serving.find_plain(target, name)
                method: Any = getattr(obj, attribute, None) if attribute else None
                if not callable(method) or self._due or arrivals.is_full or not admission.has_room:
                    self._run_in_batch(run.call(place))
                    room = arrivals.room
                else:
                    running_call.set((host, run, place))
                    try:
                        result: Any = method(*args)
                        kind = type(result)
                        if kind in _ANSWERS:
                            outcomes[place] = result
                            ended += 1
                            if kind not in _SMALL:
                                weight += len(result) if kind is str or kind is bytes else weight_of(result)
                                if weight > room:
                                    arrivals.keep_results(run, weight)
                                    weight = 0
                            continue
                        if _is_awaitable(result):
                            admission.running += 1
                            self._begin(run.call(place), result)
                        else:
                            self._answer(run.call(place), result)
                    except asyncio.CancelledError:
                        self._tell(run.call(place), CallCancelled(f"{name!r} was cancelled where it ran"))
                    except BaseException as error:  # noqa: BLE001 - whatever the method raises is its answer
                        self._fail(run.call(place), error)
                to_stir -= 1
                if not to_stir:
                    break
        finally:
            running_call.reset(token)
            run.taken = place + 1
            run.left -= ended
            arrivals.keep_results(run, weight)

    def _run_in_batch(self, call: MethodCall) -> None:
        """Run a call of a batch, if it is its turn; what a plain method returns is the outcome at once."""
        if self._gone or call.ended:
            return
        if call.error is None:
            self._serving.find_method(call, None)  # those before it may have changed what there is
        method = call.method
        if method is None or self._due or self._arrivals.is_full or not self._admission.has_room:
            self.arrive(call)
            return
        args, call.args = call.args, ()
        token = running_call.set((self._host, call, 0))
        try:
            result = method(*args, **call.kwargs)
            if type(result) in _ANSWERS:
                call.batch.end(call.call_id, result)
                self._arrivals.keep_results(call.batch, weight_of(result))
            elif _is_awaitable(result):
                self._admission.running += 1
                self._begin(call, result)
            else:
                self._answer(call, result)
        except asyncio.CancelledError:
            self._tell(call, CallCancelled(f"{call.shown_name!r} was cancelled where it ran"))
        except BaseException as error:  # noqa: BLE001 - whatever the method raises is its answer
            self._fail(call, error)
        finally:
            running_call.reset(token)
            call.kwargs = _NONE
            del args

    def cancel(self, call: MethodCall) -> None:
        """The peer has given `call` up: cancel it where it runs; where it has not begun it never will."""
        if self._stop(call):
            self.stirred += 2
        else:
            self._tell(call, CallCancelled(f"the call of {call.shown_name!r} was cancelled before it began"))
            self._outbox.schedule()
            self.unwatch(call)

    def hold(self) -> None:
        """Start nothing until `go_on`."""
        self._admission.held = True

    def go_on(self) -> None:
        """Start what has been waiting, unless the runner was stopped."""
        if self._drained is None and not self._gone:
            self._admission.held = False
            self._start_next()

    def stop(self, *, cancel: bool) -> None:
        """The caller is gone: forget what waits, and cancel what runs where that is wanted."""
        self._gone = self._admission.held = True
        self._admission.clear()
        if self._deadlines is not None:
            self._deadlines.clear()
            self._deadlines = None
        if self._made_log is not None:
            self._made_log.close()
        if cancel and self._tasks:
            self._stop_some([*self._tasks.values()])

    def bound(self, limits: Limits) -> None:
        """Let these limits count from now on."""
        self._admission.limits = limits

    @property
    def is_busy(self) -> bool:
        """Whether methods run, or calls wait for their turn."""
        return self._admission.running > 0 or self._admission.waiting > 0

    @property
    def usage(self) -> dict[str, int]:
        """How many methods run and wait for their turn, by the name of the limit."""
        return self._admission.usage

    async def drain(self) -> None:
        """Start nothing any more, and return once no method runs."""
        self._admission.held = True
        if self._drained is None:
            self._drained = self._host.loop.create_future()
            if not self._admission.running:
                self._drained.set_result(None)
        await asyncio.shield(self._drained)

    def _start(self, call: MethodCall) -> None:
        if self._due and not is_coroutine_function(call.method):
            self._due += 1
            self._host.loop.call_soon(self._run_late, call)
        else:
            self._run(call)

    def _run_late(self, call: MethodCall) -> None:
        self._due -= 1
        if self._gone or call.ended:
            self._end(call)  # its caller has gone since, or does not want it any more
        else:
            self._run(call)

    def _run(self, call: MethodCall) -> None:
        method = call.method
        if self._arrivals.is_full and call.batch is not None:
            method, call.error = None, self._arrivals.no_room()
        if call.deadline is not None and call.deadline <= self._host.loop.time():
            if self._deadlines is not None:  # else its caller is gone
                self._deadlines.expire(call)
            self._end(call)
            return
        if method is None:
            # The call lets go of its error, whose traceback may hold the call.
            error, call.error = call.error or RemoteProtocolError("nothing to run"), None
            if isinstance(error, SELF_EXPLANATORY):
                self._refuse(call, error)
            else:
                self._fail(call, error)
            self._outbox.schedule()
            self._end(call)
            return
        # What it is called with may hold the last references to objects of the peer: nobody else is to keep it. And
        # of a method that goes on for a while the garbage collector has one object less to look at.
        args, kwargs = call.args, call.kwargs
        call.args, call.kwargs, call.method = (), _NONE, None
        host = self._host
        token = running_call.set((host, call, 0))
        try:
            result = method(*args, **kwargs)
            if type(result) not in _ANSWERS and _is_awaitable(result):
                self._begin(call, result)
                return
        except asyncio.CancelledError:
            self._tell(call, CallCancelled(f"{call.shown_name!r} was cancelled where it ran"))
        except BaseException as error:  # noqa: BLE001 - whatever the method raises is its answer
            self._fail(call, error)
        else:
            self._answer(call, result)
        finally:
            running_call.reset(token)
            del args, kwargs
        self._outbox.schedule()
        self._end(call)

    def _begin(self, call: MethodCall, result: Awaitable[Any]) -> None:
        """What the method returned has to be awaited: in a task, from the next turn of the loop on."""
        self.stirred += 1
        if type(result) is Call and not result.done:
            self._follow(call, result)
            return
        self._due += 1
        self._admission.keep_running(call)
        call.handle = _ABOUT_TO_BEGIN
        task = self._host.loop.create_task(self._await(call, result), name=call.name)
        if call.handle is None:
            return  # an eager one has ended
        call.handle = task
        if self._tasks is None:
            self._tasks = {}
        self._tasks[task] = call

    def _follow(self, call: MethodCall, result: Call) -> None:
        """The method has handed on a call that it made, which needs no task: what that ends in is the answer."""
        self._admission.keep_running(call)
        call.handle, call.begun = result.wait(), True
        if self._tasks is None:
            self._tasks = {}
        self._tasks[call.handle] = call
        call.handle.add_done_callback(partial(self._followed, call, result))

    def _followed(self, call: MethodCall, result: Call, waiter: asyncio.Future[None]) -> None:
        if waiter.cancelled():
            result.stop_waiting(waiter)
            self._tell(call, self._why_cancelled(call))
        elif result.error is not None:
            self._fail(call, result.error)
        elif self._admission.held:
            self._answer_late(call, result.outcome())
        else:
            self._answer(call, result.outcome())
        self._ended(call, waiter)

    async def _await(self, call: MethodCall, result: Awaitable[Any]) -> None:
        self._due -= 1
        if call.handle is None:  # whoever stopped it before its turn has told its caller
            _discard(result)
            self._ended(call, asyncio.current_task())
            return
        call.begun = True
        thread: asyncio.Future[Any] | None = None
        try:
            value = await result
        except asyncio.CancelledError as error:
            self._tell(call, self._why_cancelled(call))
            thread = thread_behind(error)
            raise
        except BaseException as error:  # noqa: BLE001 - whatever the method raises is its answer
            self._fail(call, error)
        else:
            if self._admission.held:
                self._answer_late(call, value)
            else:
                self._answer(call, value)
            del value
        finally:
            if thread is None:
                self._ended(call, call.handle)
            else:  # what it was called with is still there, and a caller that cancels is to have no more of that
                thread.add_done_callback(partial(self._thread_ended, call))  # a closure would cost each call its cells
                self._outbox.schedule()

    def _thread_ended(self, call: MethodCall, _: asyncio.Future[Any]) -> None:
        self._ended(call, call.handle)

    def _ended(self, call: MethodCall, task: asyncio.Future[None] | None) -> None:
        if task is not None and self._tasks is not None:
            self._tasks.pop(task, None)
        call.handle = None
        self._admission.let_go_of(call)
        self._outbox.schedule()
        self._end(call)

    def _end(self, call: MethodCall) -> None:
        if call.deadline is not None:
            self.unwatch(call)
            call.deadline = None  # what the method started, and what goes on after it, has all the time there is
        self._admission.running -= 1
        if self._arrivals.ready or self._admission.queue:
            self._start_next()
        if self._drained is not None and not self._admission.running and not self._drained.done():
            self._drained.set_result(None)

    def _start_next(self) -> None:
        if self._starting:
            return  # a plain method ended that was started below: the loop there goes on
        self._starting = True
        arrivals, started = self._arrivals, 0
        try:
            while True:
                if arrivals.copied > LARGE or started == STIRRED:  # that took a while: others have their turn
                    arrivals.copied = 0
                    self._host.loop.call_soon(self._start_next)
                    break
                if arrivals.ready:
                    ready = arrivals.next_ready()
                    if ready is not None:
                        self.arrive(ready)
                elif (call := self._admission.next()) is not None:
                    self._start(call)
                    started += 1
                else:
                    break
        finally:
            self._starting = False

    # Ends before the method's own.

    def _stop_some(self, calls: Sequence[MethodCall]) -> None:
        """Cancel the methods that these calls run, a few in each turn of the loop."""
        some, others = calls[: STIRRED // 2], calls[STIRRED // 2 :]
        for call in some:
            self._stop(call)
        if others:
            self._host.loop.call_soon(self._stop_some, others)

    def _stop(self, call: MethodCall) -> bool:
        """Cancel the method that `call` runs; whether it runs. Where it is about to begin it won't."""
        task: asyncio.Future[None] | None = call.handle
        if task is not None and call.begun:
            task.cancel()
            return True
        call.handle = None
        return False

    def watch(self, call: MethodCall) -> None:
        """Have `call`, which has a deadline, end by it: while it waits for others, for its turn, or while it runs."""
        if self._deadlines is None:
            self._deadlines = Deadlines(self._host.loop, self._expire)
        self._deadlines.watch(call)

    def _expire(self, call: MethodCall) -> None:
        """The caller of `call` does not wait any longer."""
        if self._stop(call):
            return
        why = self._why_cancelled(call)
        self.unwatch(call)
        if not self._arrivals.give_up(call, why):
            self._tell(call, why)
        self._outbox.schedule()
        if self._arrivals.ready:
            self._start_next()  # calls that waited behind it

    def unwatch(self, call: MethodCall) -> None:
        """`call` has ended: nothing is to end it any more."""
        if self._deadlines is not None:
            self._deadlines.unwatch(call)

    def _why_cancelled(self, call: MethodCall) -> Exception:
        if self._deadlines is not None and self._deadlines.is_overdue(call):
            return DeadlineExceeded(f"{call.shown_name!r} did not end in the time that its caller gave it")
        return CallCancelled(f"{call.shown_name!r} was cancelled where it ran")

    @property
    def _log(self) -> CallLog:
        if self._made_log is None:
            self._made_log = CallLog(self._host)
        return self._made_log

    def _answer(self, call: MethodCall, value: Any) -> None:
        try:
            failed = self._serving.answer(call, value)
        except LimitExceeded as hindrance:
            self._host.abort(f"not even an error can be sent: {hindrance}")
            return
        if failed is not None:
            self._log.unsendable(call, failed)

    def _answer_late(self, call: MethodCall, value: Any) -> None:
        """Answer `call`, whose method was under way when others were held back: its peer may have ceased to read."""
        flood = self._outbox.flood() if call.wants_answer and not call.ended and type(value) not in _SMALL else None
        if flood is None:
            self._answer(call, value)
            return
        self._serving.not_sent(value)
        self._log.unsendable(call, flood)
        self._tell(call, flood)

    def _fail(self, call: MethodCall, error: BaseException) -> None:
        if isinstance(error, GeneratorExit):
            raise error  # the coroutine is closed
        if isinstance(error, KeyboardInterrupt | SystemExit):
            # It ends the program. Raised here, uvloop would take it for a fault of the connection.
            self._host.loop.call_soon(_raise, error)
            return
        self._log.failed(call, error)
        self._tell(call, error, with_traceback=self._host.unsafe_tracebacks, raised=True)

    def _refuse(self, call: MethodCall, error: Exception) -> None:
        """Answer a call that did not run. Its caller is at fault, as a rule: that is no news."""
        if self._host.drowning():
            most = self._broker.limits.queued_bytes
            self._host.abort(f"the peer calls and does not read: over twice Limits.queued_bytes={most} wait for it")
            return
        self._log.refused(call, error)
        self._tell(call, error)

    def _tell(
        self, call: MethodCall, error: BaseException, *, with_traceback: bool = False, raised: bool = False
    ) -> None:
        try:
            self._serving.fail(call, error, with_traceback=with_traceback, raised=raised)
        except LimitExceeded as hindrance:
            self._host.abort(f"not even an error can be sent: {hindrance}")


def is_coroutine_function(method: Any) -> bool:
    """Whether calling `method` certainly runs nothing of it yet."""
    code: Any = getattr(method, "__code__", None)
    return code is not None and code.co_flags & CO_COROUTINE != 0


def _is_awaitable(result: object) -> bool:
    return type(result) is CoroutineType or hasattr(result, "__await__")


def _discard(result: Awaitable[Any]) -> None:
    """Nobody is going to await `result`, which a method returned."""
    cancel = getattr(result, "cancel", None)  # of a future, or a call of ours
    if isinstance(result, CoroutineType):
        result.close()
    elif cancel is not None:
        cancel()


def _raise(error: BaseException) -> NoReturn:
    raise error
