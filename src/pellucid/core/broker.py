"""The broker: one end of one connection.

It knows no event loop, socket or clock. Its door feeds it the bytes that arrive and takes the events that they mean,
one at a time and each settled before the next is read::

    broker.receive_data(data)
    while (event := broker.next_event()) is not None:
        ...
    transport.write(broker.data_to_send())

The door runs the methods of a `MethodCall` and gives back what came of it with `answer` or `fail`. Calls are made with
`RemoteReference.call`; the door is told when there is one to send. When the connection ends it takes what is left
behind with `close`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, assert_never

from pellucid.core.arrivals import Arrivals, BatchRun
from pellucid.core.caches import CacheExport, CacheObserver
from pellucid.core.calls import Call
from pellucid.core.door import Door
from pellucid.core.events import Event, Lost, Ready, Released, StoppedObserving
from pellucid.core.ledger import Books
from pellucid.core.loopback import Loopback
from pellucid.core.outgoing import Outgoing
from pellucid.core.promises import Gathering, Promises, has_promises
from pellucid.core.references import CallOptions, Prepared, RemoteReference, Target
from pellucid.core.states import Input, State, step
from pellucid.errors import (
    DeadReferenceError,
    Error,
    ForeignReference,
    LimitBroken,
    LoginFailed,
    NotAReference,
    PBConnectionLost,
    told_without_traceback,
)
from pellucid.flavors.policy import Policy
from pellucid.flavors.referenceable import Referenceable, method_of
from pellucid.flavors.registry import Registry
from pellucid.limits import Limits
from pellucid.wire.dialect import Dialect, DialectClass, Sharing
from pellucid.wire.dialects import DIALECTS
from pellucid.wire.messages import (
    Answer,
    Batch,
    BatchAnswer,
    CallFailed,
    Cancel,
    DropCache,
    Message,
    MethodCall,
    NotUnderstood,
    Ping,
    Pong,
    Release,
    ReleaseCache,
    Seen,
    SharedUpdate,
    Unknown,
)
from pellucid.wire.negotiation import Negotiation

__all__ = ["Broker", "is_expected"]


ROOT = b"root"
"""The name under which PB publishes the object that a client gets first."""


def is_expected(error: BaseException) -> bool:
    """Whether a method raised `error` to be understood by its caller, so that it is no news on this side."""
    return isinstance(error, Error | LoginFailed)


class Broker:
    """One end of one connection: it keeps the tables and speaks a dialect.

    `listens` tells the side that offers dialects from the one that chooses.
    """

    def __init__(
        self,
        *,
        listens: bool,
        registry: Registry,
        policy: Policy,
        limits: Limits,
        door: Door,
        dialects: Sequence[DialectClass] = DIALECTS,
        sharing: Sharing = "tree",
    ) -> None:
        self.state = State.NEGOTIATING
        self.promises = Promises(
            make=door.make_call,
            check=self._check_callable,
            send=self._send_call,
            right_of=self._right_of,
            gave_up=self._gave_up,
        )
        self.books = Books(registry, policy, limits, sharing=sharing, broker=self, door=door)
        self.arrivals = Arrivals(
            limits,
            exported=self.books.exports.target,
            find=self._find_method,
            refuse=self.fail,
            brought_back=self._brought_back,
        )
        self.outgoing = Outgoing()
        self._door = door
        self._dialects = {dialect.name: dialect for dialect in dialects}
        self._negotiation = Negotiation(tuple(self._dialects), limits, listens=listens)
        self._dialect: Dialect | None = None
        self.outgoing.add(self._negotiation.greeting())
        self._chains = False
        self._loopback: Loopback | None = None
        # What came with others in one message and is still to be told of.
        self._more: deque[MethodCall | Cancel] = deque()
        # Answers of which the peer has not been told that they are seen.
        self._unseen: list[int] = []
        self._unseen_bytes = 0
        self._handed_over = 0
        self._dropped: CacheExport | None = None
        # Calls made before a dialect was agreed on.
        self._early: list[tuple[Call, Target, tuple[Any, ...], dict[str, Any], CallOptions]] = []
        self._unknown = 0
        self._pings = 0

    def __repr__(self) -> str:
        books = self.books
        return (
            f"<Broker {self.dialect} {self.state.name} exports={len(books.exports)} imports={len(books.imports)}"
            f" calls={len(books.pending)}>"
        )

    @property
    def dialect(self) -> str | None:
        """The name of the dialect, once it is agreed on."""
        return self._dialect.name if self._dialect is not None else None

    @property
    def limits(self) -> Limits:
        """The limits in force. Others count from when they are set on; what is held already stays."""
        return self.books.limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self.books.limits = self.books.pending.limits = self.arrivals.limits = limits
        self._negotiation.bound(limits)

    # Bytes in, events out.

    def receive_data(self, data: bytes) -> None:
        """Take in bytes from the peer; then call `next_event` until it returns None."""
        if self.state is not State.READY:  # which it stays, as nearly always
            self.state = step(self.state, Input.DATA)
        (self._dialect or self._negotiation).receive_data(data)

    def next_event(self) -> Event | None:
        """What happens next, or None until more bytes come. Settle it before you ask for another.

        Raises:
            NoCommonDialect: the connection is of no use.
            RemoteProtocolError: the peer broke the protocol; close the connection.
        """
        if self.state is State.NEGOTIATING:
            return self._negotiate()
        if self._dropped is not None:
            self._drop(self._dropped)
        while self.state is State.READY and self._dialect is not None:
            if self.arrivals.ready:
                return self.arrivals.ready.popleft()
            if self._more:
                more = self._more.popleft()
                told = self._take_call(more) if isinstance(more, MethodCall) else more
                if told is not None:
                    return told
                continue
            message = self._dialect.next_message()
            if message is None:
                break
            event = self._take(message)
            if event is not None:
                return event
        return None

    def _negotiate(self) -> Event | None:
        chosen = self._negotiation.choose()
        if chosen is None:
            return None
        name, reply = chosen
        self._dialect = self._dialects[name](self.books)
        self._chains = self.promises.chains = self._dialect.chains
        self.outgoing.add(reply + self._dialect.greeting())
        self._dialect.receive_data(self._negotiation.take_rest())
        self.state = step(self.state, Input.DIALECT)
        early, self._early = self._early, []
        for call in early:
            if not call[0].done:
                self._send_call(*call)
        return Ready(name)

    def _take(self, message: Message) -> Event | None:
        match message:
            case MethodCall():
                return self._take_call(message) if self._chains else self._found(message)
            case Answer() | CallFailed():
                message.call = self.books.pending.take(message.call_id)
                self.books.call_answered()
                if self._chains:
                    self._saw(message.call_id)
                return message
            case Release():
                cleanups: list[Callable[[], object]] = []
                for export_id, count in message.receipts:
                    cleanups += self.books.exports.release(export_id, count)
                return Released(cleanups) if cleanups else None
            case ReleaseCache():
                dropped = self.books.cache_exports.release(message.cache_id, message.count)
                if dropped is None:
                    return None
                self._dropped = dropped
                return _stopped(dropped)
            case DropCache():
                self.books.cache_imports.forget(message.cache_id)
                return None
            case Batch():
                self._take_batch(message)
                return None
            case BatchAnswer():
                return self._take_batch_answer(message)
            case Cancel():
                for call in self.arrivals.cancel(message.call_id):
                    self._more.append(Cancel(message.call_id, call))
                return None
            case Seen():
                self.arrivals.seen(message.call_ids)
                return None
            case Ping():
                self._send(Pong(message.number))
                return None
            case Pong():
                return None
            case Unknown() | NotUnderstood():
                self._unknown += 1
                if self._unknown > self.limits.unknown_messages:
                    raise LimitBroken("unknown_messages", self.limits.unknown_messages)
                if isinstance(message, NotUnderstood):
                    return message
                self._send(NotUnderstood(message.name))
                return None
            case _:
                assert_never(message)

    def _take_call(self, call: MethodCall) -> MethodCall | None:
        """A call came in a dialect with chains: it may have to wait, and others for it."""
        arrivals = self.arrivals
        if call.wants_answer and call.batch is None:
            arrivals.enter(call.call_id, call)
        if call.timeout is not None:
            call.deadline = self._door.now() + call.timeout
        if (call.waits or arrivals.is_queueing) and call.error is None:
            arrivals.hold(call)
            return None
        return self._found(call)

    def _take_batch(self, batch: Batch) -> None:
        run = BatchRun(batch.call_id, batch.calls)
        self.arrivals.enter(batch.call_id, run)
        if batch.error is not None or not batch.calls:
            del self.arrivals.running[batch.call_id]
            self._send(
                BatchAnswer(batch.call_id, [], []) if batch.error is None else CallFailed(batch.call_id, batch.error)
            )
            return
        for call in batch.calls:
            call.batch = run
            call.timeout = batch.timeout
        self._more.extend(batch.calls)

    def _take_batch_answer(self, answer: BatchAnswer) -> Answer | CallFailed:
        """The answer of a batch as that of one call: the results, with errors among them if the caller wants that."""
        call = self.books.pending.take(answer.call_id)
        self.books.call_answered()
        outcomes = [outcome.error if isinstance(outcome, CallFailed) else outcome for outcome in answer.outcomes]
        failed = next((outcome for outcome in answer.outcomes if isinstance(outcome, CallFailed)), None)
        if failed is not None and not call.takes_errors:
            return CallFailed(answer.call_id, failed.error, call=call)
        return Answer(answer.call_id, outcomes, call=call)

    def _saw(self, call_id: int) -> None:
        """An answer was seen: the peer need not keep it. It is told so now and then."""
        self._unseen.append(call_id)
        self._unseen_bytes += self._dialect.size if self._dialect is not None else 0
        if len(self._unseen) >= _SEEN_AT_A_TIME or self._unseen_bytes >= _SEEN_BYTES:
            self._send_seen()

    def _send_seen(self) -> None:
        seen, self._unseen = self._unseen, []
        self._unseen_bytes = 0
        self._send(Seen(seen))

    def _drop(self, dropped: CacheExport) -> None:
        """The owner of a cacheable was told that the peer drops its copy, and could say a last word to it."""
        self._dropped = None
        dropped.observer.observing = False
        if self.state is State.READY:
            self._send(DropCache(dropped.observer.cache_id))

    def _found(self, call: MethodCall) -> MethodCall:
        """`call`, with what to run, or why there is nothing."""
        if call.error is None:
            self._find_method(call, None)
        return call

    def _find_method(self, call: MethodCall, obj: Referenceable | None) -> None:
        """Say in `call` what to run, or why there is nothing: `obj` is what is called, where that is known already."""
        try:
            if call.to_cache:
                assert isinstance(call.target, int)  # caches have no names: the dialect saw to it
                cache = self.books.cache_imports.target(call.target)
                call.method = method_of(cache, call.name, self._door.translator)
            else:
                target = obj if obj is not None else self.books.exports.target(call.target)  # type: ignore[arg-type]
                call.method = method_of(target, call.name, self._door.translator)
                call.perspective = target.perspective
        except Exception as error:  # noqa: BLE001 - also whatever an overridden method_for raises
            call.error = told_without_traceback(error)

    # Commands in, bytes out.

    @property
    def queued_bytes(self) -> int:
        """Bytes of messages that wait for `data_to_send`, large buffers aside."""
        return self.outgoing.queued_bytes

    def data_to_send(self) -> bytes:
        """Everything that waits to be sent, releases included, but for large buffers; then ask `next_piece` for those.

        Hand it to the transport: it is not kept here.
        """
        if self.state is State.READY and self.books.owes_releases:
            self._send_releases()
        self._handed_over = self.books.pending.last_id
        return self.outgoing.take()

    def next_piece(self, size: int) -> list[bytes | memoryview]:
        """What to send next of messages with large buffers, about so many bytes of those; nothing where there are none.

        Hand it to the transport when that has sent what it was given before. What `data_to_send` has comes first.
        """
        return self.outgoing.next_piece(size)

    def answer(self, call: MethodCall, value: Any) -> Exception | None:
        """Answer `call` with `value`. Where that can't be sent, an error is sent in its place, and returned.

        Raises:
            LimitExceeded: not even that can be sent; see `fail`.
        """
        if not call.wants_answer or call.ended or self.state is State.CLOSED:
            return None
        if call.batch is not None:
            self._end_in_batch(call, value)
            return None
        try:
            size = self._send(Answer(call.call_id, value, call.perspective))
        except Exception as error:  # noqa: BLE001 - also what an application's hooks raise
            if isinstance(value, Referenceable):
                self.books.unsent_cleanups += self.books.exports.not_sent(value)
            self.fail(call, error)
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
        if not call.wants_answer or call.ended or self.state is State.CLOSED:
            return
        failed = CallFailed(call.call_id, error, with_traceback, raised)
        if call.batch is not None:
            self._end_in_batch(call, failed)
            return
        try:
            size = self._send(failed)
        except Exception as hindrance:  # noqa: BLE001 - also what an application's hooks raise
            kind = type(error).__qualname__
            failed = CallFailed(call.call_id, Error(f"a {kind}, which can't be sent: {hindrance}"[:500]))
            size = self._send(failed)
        if self._chains:
            call.ended = True
            self.arrivals.answered(call, failed, size)

    def _end_in_batch(self, call: MethodCall, outcome: Any) -> None:
        """A call of a batch has ended so; the last of them has the batch answered."""
        run: BatchRun = call.batch
        call.ended = True
        if not run.end(call, outcome):
            return
        self.arrivals.running.pop(run.call_id, None)
        try:
            self._send(BatchAnswer(run.call_id, run.outcomes, [each.perspective for each in run.calls]))
        except Exception as error:  # noqa: BLE001 - also what an application's hooks raise
            self._send(CallFailed(run.call_id, told_without_traceback(error)))

    def until_gone(self, obj: Referenceable, callback: Callable[[], object]) -> None:
        """Have `callback` run exactly once: when the peer, given `obj`, lets go of it, or when the connection ends."""

        def once() -> object:
            if not waiting:
                return None
            waiting.clear()
            take_back()
            return callback()

        waiting = [callback]
        take_back = self.books.notify_on_disconnect(once)
        self.books.exports.on_release(obj, once)

    @property
    def has_unsent(self) -> bool:
        """Whether `take_unsent` has anything."""
        return bool(self.books.unsent_caches or self.books.unsent_cleanups)

    def take_unsent(self) -> list[StoppedObserving | Released]:
        """Whom to tell of what could not be sent: it was prepared for, and will not happen."""
        caches, self.books.unsent_caches = self.books.unsent_caches, []
        cleanups, self.books.unsent_cleanups = self.books.unsent_cleanups, []
        unsent: list[StoppedObserving | Released] = [_stopped(export) for export in caches]
        return [*unsent, Released(cleanups)] if cleanups else unsent

    def publish(self, obj: Referenceable, name: bytes = ROOT) -> None:
        """Let the peer get hold of `obj`, by `name`, without being given it."""
        self.books.exports.publish(name, obj)

    def reference(self, name: bytes) -> RemoteReference:
        """A reference to what the peer publishes under `name`. Nothing is asked of the peer for it."""
        return self.books.door.reference_class.made(self.books, name)

    def root(self) -> RemoteReference:
        """A reference to the object that the peer publishes. PB asks nothing of the peer for it."""
        return self.reference(ROOT)

    def check_alive(self) -> None:
        """Raise DeadReferenceError where the connection has ended."""
        if self.state is State.CLOSED:
            raise DeadReferenceError("the connection to the object's owner has ended")

    # The end.

    def close(self, reason: str) -> Lost:
        """The connection has ended, for `reason`. The second time, nothing is left to be told.

        When what it returns has been dealt with, `take_notice` has who asked to be told.
        """
        self.state = step(self.state, Input.CLOSE)
        books, handed_over, outgoing = self.books, self._handed_over, self.outgoing
        calls: list[tuple[Call, Exception]] = [
            (call, PBConnectionLost(reason, sent=call_id <= handed_over and not outgoing.holds(call_id)))
            for call_id, call in books.pending.take_all().items()
        ]
        early, self._early = self._early, []
        unsent = [call for call, *_ in early] + self.promises.take_all()
        calls += [(call, PBConnectionLost(reason, sent=False)) for call in unsent]
        lost = Lost(calls, observers=[_stopped(export) for export in books.cache_exports.take_all()])
        books.close()
        self.arrivals.clear()
        self.outgoing.clear()
        self._more.clear()
        self._unseen.clear()
        return lost

    def take_notice(self) -> Callable[[], object] | None:
        """The next of those who asked to be told of the end and did not take that back, in the order of asking."""
        notices = self.books.notices
        return notices.pop(next(iter(notices))) if notices else None

    def _check_callable(self) -> None:
        self.check_alive()
        self._door.check_room()

    @property
    def pings(self) -> bool:
        """Whether the dialect has a word for signs of life."""
        return self._chains

    def ping(self) -> None:
        """Ask the peer for a sign of life, where the dialect has a word for it."""
        if self._chains and self.state is State.READY:
            self._pings += 1
            self._send(Ping(self._pings))

    # Calls of ours.

    def _send_call(
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
        if self.state is State.NEGOTIATING:
            self._early.append((call, target, args, kwargs, options))
            return
        if self.books.owes_releases:
            self._send_releases()  # in their place: what was let go of before is not held when this call is run
        pending = self.books.pending
        wants_answer = not options.one_way
        try:
            pending.check_room()
            call_id = pending.new_id()
            message = MethodCall(
                call_id, target.id, call.name, args, kwargs, wants_answer, target.to_cache, target.perspective
            )
            if call.deadline is not None and self._chains:
                message.timeout = max(0.0, call.deadline - self._door.now())
            if waits:
                message.waits = True
            self._send(message)
        except Exception as error:  # noqa: BLE001 - also what an application's hooks raise
            call.fail(told_without_traceback(error))
            return
        call.call_id = call_id
        if wants_answer:
            call.is_nameable = self._chains
            pending.add(call_id, call)
        self._door.call_was_made(call, one_way=options.one_way)

    def gather(self, prepared: Sequence[Prepared], options: CallOptions, *, takes_errors: bool) -> Call:
        """Make many calls at once; the result is the promise of all their results, in this order.

        Where one ends in an error, that is the error of all; with `takes_errors` it stands among the results instead.

        Raises:
            DeadReferenceError, Overloaded: at once; no call was made.
            ForeignReference: at once, where they are not all of this connection.
        """
        self._check_callable()
        targets = [each.reference.live_target() for each in prepared]
        if any(each.reference.keeper is not self.books for each in prepared):
            raise ForeignReference("calls that are gathered go to one peer: gather those of each connection apart")
        call = self._door.make_call(self.promises, "gather", options)
        call.takes_errors = takes_errors
        if not self._send_batch(call, prepared, targets):
            each_options = replace(options, timeout=None)  # the whole has its own
            parts = [self.promises.call(*each.parts, each_options) for each in prepared]
            call.parts = parts
            Gathering(call, parts).start()
        return call

    def _send_batch(self, call: Call, prepared: Sequence[Prepared], targets: Sequence[Target]) -> bool:
        """Make those calls in one message, where the dialect can and none has to wait for others here."""
        if not self._chains or self.promises.is_queueing or not prepared:
            return False
        if any(target.perspective is not targets[0].perspective for target in targets):
            return False
        calls = []
        for place, (each, target) in enumerate(zip(prepared, targets, strict=True)):
            if has_promises(each.args, each.kwargs):
                return False
            calls.append(
                MethodCall(place, target.id, each.name, each.args, each.kwargs, True, False, target.perspective)
            )
        pending = self.books.pending
        if self.books.owes_releases:
            self._send_releases()
        try:
            pending.check_room()
            call_id = pending.new_id()
            batch = Batch(call_id, calls)
            if call.deadline is not None:
                batch.timeout = max(0.0, call.deadline - self._door.now())
            self._send(batch)
        except Exception as error:  # noqa: BLE001 - also what an application's hooks raise
            call.fail(told_without_traceback(error))
            return True
        call.call_id = call_id
        pending.add(call_id, call)
        self._door.call_was_made(call, one_way=False)
        return True

    def update(self, observer: CacheObserver, shared: SharedUpdate) -> None:
        """Tell the peer's copy of a change that others are told of, too; see `pellucid.core.caches.update_all`."""
        self._check_callable()
        target = observer.live_target()
        data = None
        if self._chains and self.state is State.READY and not (self.promises.is_queueing or self.outgoing.lane):
            assert self._dialect is not None and isinstance(target.id, int)  # there is one, and caches have no names
            data = self._dialect.encode_shared(target.id, shared)
        if data is None:
            observer.update(shared.name, *shared.args, **shared.kwargs)
            return
        if self.books.owes_releases:
            self._send_releases()
        self.outgoing.add(data)
        self._door.knock()

    def _gave_up(self, call: Call) -> None:
        """`call` was cancelled here: the peer is told so."""
        for part in call.parts:
            part.cancel()
        if self._chains and call.call_id is not None and self.books.pending.has(call.call_id):
            self._send(Cancel(call.call_id))
            self._door.knock()

    def _right_of(self, promise: Call, waiting: Call) -> RemoteReference:
        """The right to call what `promise` resulted in, for the call that waits for it."""
        value = promise.outcome()
        if not isinstance(value, RemoteReference):
            kind = type(value).__name__
            raise NotAReference(f"{promise.name!r} returned a {kind}: it has no remote {waiting.name!r}")
        if value.keeper is not self.books:
            raise ForeignReference(f"{promise.name!r} returned a reference of another connection: call that itself")
        return value

    def _brought_back(self, value: Any, perspective: Any) -> Any:
        """What `value`, the result of a call of the peer's, is as an argument of another."""
        if self._loopback is None:
            assert self._dialect is not None  # there are no such calls without one
            self._loopback = Loopback(self.books, self._dialects[self._dialect.name])
        return self._loopback.bring_back(value, perspective)

    def _send_releases(self) -> None:
        if self._unseen:
            self._send_seen()  # an answer that is kept keeps the objects in it
        for release in self.books.take_releases():
            self._send(release)

    def _send(self, message: Any) -> int:
        """Have `message` sent; the number of its bytes."""
        if self.state is not State.READY:
            self.state = step(self.state, Input.COMMAND)
        assert self._dialect is not None  # there is one once the broker is ready
        data = self._dialect.encode(message)
        outgoing = self.outgoing
        if type(data) is bytes and not outgoing.lane:
            outgoing.messages.append(data)
            size = len(data)
            outgoing.queued_bytes += size
            return size
        outgoing.add(data, may_pass=not (isinstance(message, _MUST_NOT_PASS) or getattr(message, "waits", False)))
        return len(data) if isinstance(data, bytes) else data.inline_bytes + data.left


_MUST_NOT_PASS = (Release, ReleaseCache, DropCache, Cancel)

_SEEN_AT_A_TIME = 32
"""Answers of which the peer is told together that they are seen, ..."""

_SEEN_BYTES = 64 * 1024
"""... or fewer, where they were so many bytes."""


def _stopped(export: Any) -> StoppedObserving:
    return StoppedObserving(export.obj, export.observer, export.observer.perspective)
