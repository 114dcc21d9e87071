"""The calls that the peer makes of this side: what they run, and how they are answered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from pellucid.core.arrivals import Arrivals
from pellucid.core.batches import BatchRun
from pellucid.core.door import Door
from pellucid.core.ledger import Books
from pellucid.core.loopback import Loopback
from pellucid.core.outgoing import Outgoing
from pellucid.core.states import State
from pellucid.core.weights import PER_BYTE, WORTH_A_LOOK, memory_of, weight_of
from pellucid.errors import (
    SELF_EXPLANATORY,
    CallCancelled,
    Error,
    NoSuchMethod,
    drop_frames,
    is_refusal,
    told_without_traceback,
)
from pellucid.flavors.dispatch import is_validating
from pellucid.flavors.referenceable import Referenceable, attribute_of, method_of
from pellucid.limits import Limits
from pellucid.wire.dialect import Dialect, DialectClass
from pellucid.wire.messages import Answer, Batch, BatchAnswer, CallFailed, Cancel, ExportId, Message, MethodCall

__all__ = ["Serving"]


class Line(Protocol):
    """What serving needs of its broker."""

    state: State
    books: Books
    outgoing: Outgoing

    def send(self, message: Message) -> int:
        """Have `message` sent; the number of its bytes."""
        ...

    def check_reader(self) -> None:
        """Raise LimitBroken where the peer asks on and does not read."""
        ...


class Serving:
    """The peer's calls on one connection, from when they arrive until they are answered."""

    __slots__ = ("_chains", "_dialect", "_dialect_class", "_door", "_exports", "_line", "_loopback", "arrivals", "more")

    def __init__(self, line: Line, door: Door) -> None:
        self.arrivals: Arrivals = Arrivals(line.books.limits, self)
        self.more: Iterator[MethodCall | Cancel | BatchRun] | None = None
        """What is still to be taken of the message that came last, where there is any."""
        self._line = line
        self._door = door
        self._exports = line.books.exports
        self._chains = False
        self._dialect: Dialect | None = None
        self._dialect_class: DialectClass | None = None
        self._loopback: Loopback | None = None

    def begin(self, dialect: Dialect, dialect_class: DialectClass) -> None:
        """A dialect is agreed on."""
        self._dialect = dialect
        self._dialect_class = dialect_class
        self._chains = dialect.chains

    def bound(self, limits: Limits) -> None:
        """Let these limits count from now on."""
        self.arrivals.limits = limits
        self._loopback = None  # another will have them

    def take(self, call: MethodCall) -> MethodCall | None:
        """A call came: with what to run, or why there is nothing; None where it has to wait for others."""
        if call.batch is None:
            size = call.size
            call.size = size * PER_BYTE if size < WORTH_A_LOOK else memory_of((call.args, call.kwargs), size)
        if self._chains:
            arrivals = self.arrivals
            if call.wants_answer and call.batch is None:
                if call.call_id in arrivals.running:
                    arrivals.enter(call.call_id, call)  # which says what is wrong with that
                arrivals.running[call.call_id] = call
            if call.timeout is not None:
                call.deadline = self._door.now() + call.timeout
            # Of a call that is refused the target may be a promise, whatever it waits for.
            if (call.waits or arrivals.has_held) and call.error is None and (call.waits or arrivals.is_behind(call)):
                obj = arrivals.known_target(call)
                if obj is None:
                    arrivals.hold(call)
                    return None
                call.waits = False
                self.find_late(call, obj)
                return call
        if call.error is None:
            self.find_method(call, None)
        return call

    def take_batch(self, batch: Batch) -> BatchRun | None:
        """Many calls came in one message: `more` has them, where they can't be run one after another."""
        run = BatchRun(batch)
        self.arrivals.enter(batch.call_id, run)
        if batch.error is not None or not run.left:
            self._line.check_reader()
            del self.arrivals.running[batch.call_id]
            failed = CallFailed(batch.call_id, batch.error) if batch.error is not None else None
            self._line.send(failed or BatchAnswer(batch.call_id, [], []))
            return None
        is_simple = not self.arrivals.has_held and batch.timeout is None
        if is_simple and batch.items is not None:
            return run
        calls = run.calls
        for call in calls:
            if call.waits or call.timeout is not None:
                is_simple = False
            if batch.timeout is not None and (call.timeout is None or batch.timeout < call.timeout):
                call.timeout = batch.timeout
        if is_simple:
            return run
        self.more = iter(calls)
        return None

    def put_back(self, run: BatchRun) -> None:
        """A door has run a portion of `run`: it comes again, before anything that the peer said after it."""
        self.more = iter((run,))

    def take_cancel(self, cancel: Cancel) -> None:
        """The peer has given a call of its up, or a batch: `more` has whom to tell."""
        self.more = (Cancel(cancel.call_id, call) for call in self.arrivals.cancel(cancel.call_id))

    def answer(self, call: MethodCall, value: Any) -> Exception | None:
        """Answer `call` with `value`. Where that can't be sent, an error is sent in its place, and returned.

        What a hook of the application's raised is returned with its traceback.

        Raises:
            LimitExceeded: not even that can be sent; see `fail`.
        """
        if not call.wants_answer or call.ended or self._line.state is State.CLOSED:
            if value is not None:
                self.not_sent(value)
            return None
        if call.batch is not None:
            self._end_in_batch(call, value)
            return None
        try:
            data = self._dialect.encode_plain_answer(call.call_id, value) if self._dialect is not None else None
            if data is not None:
                size = len(data)
                outgoing = self._line.outgoing
                if outgoing.lane:
                    outgoing.add(data)
                else:
                    outgoing.messages.append(data)
                    outgoing.queued_bytes += size
            else:
                size = self._line.send(Answer(call.call_id, value, call.perspective))
        except Exception as error:  # noqa: BLE001 - also what an application's hooks raise
            self.not_sent(value)
            self.fail(call, error, raised=not isinstance(error, SELF_EXPLANATORY))
            return told_without_traceback(error)
        if self._chains:
            call.ended = True
            self.arrivals.answered(call, value, size)
        return None

    def fail(
        self, call: MethodCall, error: BaseException, *, with_traceback: bool = False, raised: bool = False
    ) -> None:
        """Answer `call` with `error`; where that can't be sent, as when it is a copyable, with what hinders it.

        `raised` says that its method did so, rather than that it could not be run.

        Raises:
            LimitExceeded: the limits leave no room for that either; the connection is of no use.
        """
        line = self._line
        if not call.wants_answer or call.ended or line.state is State.CLOSED:
            return
        if is_refusal(error):
            raised = False
        failed = CallFailed(call.call_id, error, with_traceback, raised)
        if call.batch is not None:
            if not with_traceback:  # it waits for the others, and is not to keep what the method had in hand
                drop_frames(error)
            self._end_in_batch(call, failed)
            return
        try:
            size = line.send(failed)
        except Exception as hindrance:  # noqa: BLE001 - also what an application's hooks raise
            kind = type(error).__qualname__
            failed = CallFailed(call.call_id, Error(f"a {kind}, which can't be sent: {hindrance}"[:500]))
            size = line.send(failed)
        if self._chains:
            call.ended = True
            self.arrivals.answered(call, failed, size)

    def _end_in_batch(self, call: MethodCall, outcome: Any) -> None:
        """A call of a batch has ended so; the last of them has the batch answered."""
        run: BatchRun = call.batch
        run.end(call.call_id, outcome)
        if type(outcome) is not CallFailed:
            self.arrivals.keep_results(run, weight_of(outcome))
        self.answer_batch(run)

    def answer_batch(self, run: BatchRun) -> None:
        """Answer `run`, if all its calls have ended and it was not answered before."""
        if run.left or not self.arrivals.take_batch(run):
            return
        try:
            if run.given_up:  # nobody looks at the outcomes, and to send a thousand errors takes long
                self._line.send(CallFailed(run.call_id, CallCancelled("the batch was cancelled by its caller")))
            else:
                self._line.send(BatchAnswer(run.call_id, run.outcomes, run.perspectives))
        except Exception as error:  # noqa: BLE001 - also what an application's hooks raise
            self._line.send(CallFailed(run.call_id, told_without_traceback(error)))
        if self._exports.has_cleanups:
            for outcome in run.outcomes:  # one that can't be sent is an error among the others
                self.not_sent(outcome)

    def not_sent(self, value: Any) -> None:
        """Unless the peer holds `value`, it is not given it: see to what was to happen once it lets go of that."""
        for part in value if type(value) is tuple else (value,):
            if isinstance(part, Referenceable):
                self._line.books.not_sent(part)

    def exported(self, export_id: ExportId) -> Referenceable:
        """The object of ours that the peer may call so. Raises Error where there is none."""
        return self._exports.target(export_id)

    def find_plain(self, target: int | str, name: str) -> tuple[Any, str]:
        """The object that is known by `target` and the attribute of it that a call of `name` runs.

        Nothing and no name where that has to be asked of the object, or there is none: `find_method` tells. What is
        found holds until `Exports.changes` is another number.
        """
        try:
            obj = self._exports.target(target.encode() if isinstance(target, str) else target)
            cls: Any = type(obj)
            validate = is_validating(self._door.translator)
            return (obj, attribute_of(cls, name, validate)) if obj.perspective is None else (None, "")
        except (Error, NoSuchMethod, UnicodeEncodeError):
            return None, ""

    def find_method(self, call: MethodCall, obj: Referenceable | None) -> None:
        """Say in `call` what to run, or why there is nothing: `obj` is what is called, where that is known already."""
        try:
            number: Any = call.target
            if call.to_cache:
                cache: Any = self._line.books.cache_imports.target(number)
                call.method = method_of(cache, call.name, self._door.translator)
            else:
                target: Any = obj if obj is not None else self._exports.target(number)
                call.method = method_of(target, call.name, self._door.translator)
                call.perspective = target.perspective
        except Exception as error:  # noqa: BLE001 - also whatever an overridden method_for raises
            call.error = told_without_traceback(error)

    def refuse(self, call: MethodCall, error: Exception) -> None:
        """Answer `call`, which came just now, with `error`. Raises LimitBroken where the peer does not read."""
        self._line.check_reader()
        self.fail(call, error)

    def find_late(self, call: MethodCall, obj: Referenceable | None) -> None:
        """As `find_method`, for a call that has waited: what came with it is seen through whoever is called now."""
        self.find_method(call, obj)
        if call.came is not None and call.perspective is not None:
            for number, count in call.came:
                self._line.books.imports.see_through(number, count, call.perspective)

    def brought_back(self, value: Any, perspective: Any) -> Any:
        """What `value`, the result of a call of the peer's, is as an argument of another."""
        if self._loopback is None:
            assert self._dialect_class is not None  # there are no such calls without one
            self._loopback = Loopback(self._line.books, self._dialect_class)
        return self._loopback.bring_back(value, perspective)
