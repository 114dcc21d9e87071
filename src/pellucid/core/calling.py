"""The calls that this side makes of the peer."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any, Protocol

from pellucid.core.caches import CacheObserver
from pellucid.core.calls import Call
from pellucid.core.door import Door
from pellucid.core.ledger import Books
from pellucid.core.outgoing import Outgoing
from pellucid.core.promises import Gathering, Promises, has_promises
from pellucid.core.references import CallOptions, Prepared, RemoteReference, Target
from pellucid.core.states import State
from pellucid.errors import (
    DeadReferenceError,
    ForeignReference,
    NotAReference,
    RemoteError,
    RemoteProtocolError,
    told_without_traceback,
)
from pellucid.wire.dialect import Dialect
from pellucid.wire.messages import (
    Answer,
    Batch,
    BatchAnswer,
    CallFailed,
    Cancel,
    Message,
    MethodCall,
    Seen,
    SharedUpdate,
)

__all__ = ["Calling"]

_SEEN_AT_A_TIME = 32
"""Answers of which the peer is told together that they are seen, ..."""

_SEEN_BYTES = 64 * 1024
"""... or fewer, where they were so many bytes."""

Early = tuple[Call, Target, tuple[Any, ...], dict[str, Any], CallOptions]


class Line(Protocol):
    """What calling needs of its broker."""

    state: State
    books: Books
    outgoing: Outgoing

    @property
    def is_crowded(self) -> bool:
        """Whether the door is asked about each call."""
        ...

    def send(self, message: Message) -> int:
        """Have `message` sent; the number of its bytes."""
        ...

    def send_releases(self) -> None:
        """Have the peer given back what it is owed."""
        ...


class Calling:
    """The calls of ours on one connection, from when they are made until they are answered."""

    __slots__ = ("_chains", "_dialect", "_door", "_early", "_line", "_unseen", "_unseen_bytes", "promises")

    def __init__(self, line: Line, door: Door) -> None:
        self.promises: Promises = Promises(self, door)
        self._line = line
        self._door = door
        self._dialect: Dialect | None = None
        self._chains = False
        # Calls made before a dialect was agreed on.
        self._early: list[Early] | None = None
        # Answers of which the peer has not been told that they are seen.
        self._unseen: list[int] | None = None
        self._unseen_bytes = 0

    def begin(self, dialect: Dialect) -> None:
        """A dialect is agreed on: send what was called before."""
        self._dialect = dialect
        self._chains = self.promises.chains = dialect.chains
        self._line.books.parting.of_references = not dialect.answers_first
        early, self._early = self._early or (), None
        for call in early:
            if not call[0].done:
                self.send_call(*call)

    def take_unsent(self) -> list[Call]:
        """Calls that were not sent: the connection has ended."""
        early, self._early = self._early or (), None
        self._unseen = None
        return [call for call, *_ in early] + self.promises.take_all()

    def gather(self, prepared: Sequence[Prepared], options: CallOptions, *, takes_errors: bool) -> Call:
        """Make many calls at once; the result is the promise of all their results, in this order.

        Where one ends in an error, that is the error of all; with `takes_errors` it stands among the results instead.

        Raises:
            DeadReferenceError, Overloaded: at once; no call was made.
            ForeignReference: at once, where they are not all of this connection.
        """
        self.check()
        references = set(map(_REFERENCE_OF, prepared))
        perspectives = {id(reference.live_target().perspective) for reference in references}
        if any(reference.keeper is not self._line.books for reference in references):
            raise ForeignReference("calls that are gathered go to one peer: gather those of each connection apart")
        call = self._door.make_call(self.promises, "gather", options)
        call.takes_errors = takes_errors
        if len(perspectives) != 1 or not self._send_batch(call, prepared):
            call.parts = parts = [self.promises.call(*each.parts, options) for each in prepared]
            Gathering(call, parts).start()
        return call

    def update(self, observer: CacheObserver, shared: SharedUpdate) -> None:
        """Tell the peer's copy of a change that others are told of, too; see `pellucid.core.caches.update_all`."""
        self.check()
        target = observer.live_target()
        line, data = self._line, None
        if self._dialect is not None and not (self.promises.is_queueing or line.outgoing.lane):
            cache_id: Any = target.export_id  # caches have no names
            data = self._dialect.encode_shared(cache_id, shared)
        if data is None:
            call = observer.update(shared.name, *shared.args, **shared.kwargs)
            call.notice()
            if call.error is not None:
                raise call.error
            return
        if line.books.owes_releases:
            line.send_releases()
        outgoing = line.outgoing
        outgoing.messages.append(data)
        outgoing.queued_bytes += len(data)
        self._door.update_was_made()

    def answered(self, message: Answer | CallFailed) -> Answer | CallFailed:
        """A call was answered: the event that this is.

        Raises:
            RemoteProtocolError: there is no such call under way.
        """
        call_id = message.call_id
        books = self._line.books
        message.call = call = books.pending.take(call_id)
        if books.parting.kept:
            books.parting.call_answered()
        if self._chains:
            unseen = self._unseen
            if unseen is None:
                self._unseen = [call_id]
            else:
                unseen.append(call_id)
            self._unseen_bytes += message.size
            if message.brings_home or self._unseen_bytes >= _SEEN_BYTES or (unseen and len(unseen) >= _SEEN_AT_A_TIME):
                self.tell_seen()
        if isinstance(message, CallFailed):
            self._say_which(call, message.error)
        elif call.gathers is not None:
            return CallFailed(call_id, _wrong_answer(), call=call)
        return message

    def batch_answered(self, answer: BatchAnswer) -> Answer | CallFailed:
        """A batch was answered: the event that this is, as of one call."""
        books = self._line.books
        call = books.pending.take(answer.call_id)
        books.parting.call_answered()
        if call.gathers != len(answer.outcomes):
            return CallFailed(answer.call_id, _wrong_answer(), call=call)
        outcomes: list[Any] = answer.outcomes
        if CallFailed in set(map(type, outcomes)):
            for place, outcome in enumerate(outcomes):
                if type(outcome) is CallFailed:
                    self._say_which(call, outcome.error, f".{place}")
            if not call.takes_errors:
                failed = next(outcome for outcome in outcomes if type(outcome) is CallFailed)
                return CallFailed(answer.call_id, failed.error, call=call)
            outcomes = [
                call.among_results(each.error) if isinstance(each, CallFailed) else each  # type: ignore[arg-type]
                for each in outcomes
            ]
        return Answer(answer.call_id, outcomes, call=call)

    def _say_which(self, call: Call, error: BaseException, place: str = "") -> None:
        """Have `error`, which `call` ended in, say what the peer's log calls that, where the two have agreed on it."""
        if isinstance(error, RemoteError) and self._dialect is not None and self._dialect.peer_log_number is not None:
            correlation_id = call.correlation_id
            error.correlation_id = None if correlation_id is None else correlation_id + place

    def tell_seen(self) -> None:
        """Tell the peer which answers it need not keep: an answer that is kept keeps the objects in it."""
        if self._unseen:
            seen, self._unseen = self._unseen, None
            self._unseen_bytes = 0
            self._line.send(Seen(seen))

    # What making calls needs.

    def check(self) -> None:
        """Raise DeadReferenceError or Overloaded where no call can be made now."""
        line = self._line
        if line.state is State.CLOSED:
            raise DeadReferenceError("the connection to the object's owner has ended")
        if line.is_crowded:
            self._door.check_room()

    def send_call(
        self,
        call: Call,
        target: Target,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: CallOptions,
        *,
        waits: bool = False,
    ) -> None:
        """Send a call, once there is a language. Where that can't be done it fails, and nothing was sent."""
        if self._dialect is None:
            if self._early is None:
                self._early = []
            self._early.append((call, target, args, kwargs, options))
            return
        line = self._line
        if line.books.owes_releases:
            line.send_releases()  # in their place: what was let go of before is not held when this call is run
        one_way = options.one_way
        pending = line.books.pending
        call_id = 0
        try:
            call_id = pending.new_id() if one_way else pending.enter(call)
            data = None
            outgoing = line.outgoing
            if not (one_way or kwargs or call.deadline is not None or target.to_cache or outgoing.lane):
                data = self._dialect.encode_plain_call(call_id, target.export_id, call.name, args)
            if data is not None:
                outgoing.messages.append(data)
                outgoing.queued_bytes += len(data)
            else:
                message = MethodCall(call_id, target.export_id, call.name, args, kwargs)
                message.wants_answer = not one_way
                message.to_cache = target.to_cache
                message.perspective = target.perspective
                message.waits = waits
                if call.deadline is not None:
                    message.timeout = max(0.0, call.deadline - self._door.now())
                line.send(message)
        except Exception as error:  # noqa: BLE001 - also what an application's hooks raise
            pending.drop(call_id)
            call.fail(told_without_traceback(error))
            return
        call.call_id = call_id
        if not one_way:
            call.is_nameable = self._chains
        self._door.call_was_made(call, one_way=one_way)

    def _send_batch(self, call: Call, prepared: Sequence[Prepared]) -> bool:
        """Make those calls in one message, where the dialect can and none has to wait for others here."""
        if self._dialect is None or not self._chains or self.promises.is_queueing:
            return False
        line = self._line
        if line.books.owes_releases:
            line.send_releases()
        pending = line.books.pending
        call_id = 0
        call.gathers = len(prepared)
        try:
            call_id = pending.enter(call)
            data = None
            if call.deadline is None and not line.outgoing.lane:
                data = self._dialect.encode_plain_batch(call_id, prepared)
            if data is not None:
                line.outgoing.add(data)
            elif any(has_promises(each.args, each.kwargs) for each in prepared):
                pending.drop(call_id)
                call.gathers = None
                return False
            else:
                batch = Batch(call_id, [_as_message(place, each) for place, each in enumerate(prepared)])
                if call.deadline is not None:
                    batch.timeout = max(0.0, call.deadline - self._door.now())
                line.send(batch)
        except Exception:  # noqa: BLE001 - also what an application's hooks raise
            pending.drop(call_id)
            call.gathers = None
            return False  # by themselves those fail that can't be sent, and the others are run
        call.call_id = call_id
        self._door.call_was_made(call, one_way=False)
        return True

    def gave_up(self, call: Call) -> None:
        """`call` was cancelled here: the peer is told so."""
        for part in call.parts:
            part.cancel()
        self._line.books.pending.abandon(call)
        if self._chains and call.call_id is not None and self._line.books.pending.has(call.call_id):
            self._line.send(Cancel(call.call_id))
            self._door.knock()

    def outcome_of(self, promise: Call, waiting: Call) -> Any:
        """What `promise` resulted in, for the call that waits for it."""
        return promise.outcome()

    def right_of(self, promise: Call, waiting: Call) -> RemoteReference:
        """The right to call what `promise` resulted in, for the call that waits for it."""
        value = promise.outcome()
        if not isinstance(value, RemoteReference):
            kind = type(value).__name__
            raise NotAReference(f"{promise.name!r} returned a {kind}: it has no remote {waiting.name!r}")
        if value.keeper is not self._line.books:
            raise ForeignReference(f"{promise.name!r} returned a reference of another connection: call that itself")
        return value


_REFERENCE_OF = attrgetter("reference")


def _as_message(place: int, prepared: Prepared) -> MethodCall:
    """`prepared` as a call of a batch."""
    message = MethodCall(place, prepared.target, prepared.name, prepared.args, prepared.kwargs)
    message.perspective = prepared.reference.perspective
    return message


def _wrong_answer() -> RemoteProtocolError:
    return RemoteProtocolError("the peer answered calls that were made together with another number of results")
