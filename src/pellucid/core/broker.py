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

from collections.abc import Callable, Sequence
from typing import Any, assert_never

from pellucid.core.caches import CacheExport
from pellucid.core.calls import Call
from pellucid.core.door import Door
from pellucid.core.events import Event, Lost, Ready, Released, StoppedObserving
from pellucid.core.ledger import Books
from pellucid.core.promises import Promises
from pellucid.core.references import CallOptions, RemoteReference, Target
from pellucid.core.states import Input, State, step
from pellucid.errors import (
    DeadReferenceError,
    Error,
    LimitBroken,
    LoginFailed,
    PBConnectionLost,
    told_without_traceback,
)
from pellucid.flavors.policy import Policy
from pellucid.flavors.referenceable import Referenceable, method_of
from pellucid.flavors.registry import Registry
from pellucid.limits import Limits
from pellucid.wire.dialect import Dialect, DialectClass
from pellucid.wire.dialects import DIALECTS
from pellucid.wire.messages import (
    Answer,
    CallFailed,
    DropCache,
    Message,
    MethodCall,
    NotUnderstood,
    Release,
    ReleaseCache,
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
    ) -> None:
        self.state = State.NEGOTIATING
        self.promises = Promises(make=door.make_call, check=self._check_callable, send=self._send_call)
        self.books = Books(registry, policy, limits, caller=self.promises.call, door=door)
        self._door = door
        self._dialects = {dialect.name: dialect for dialect in dialects}
        self._negotiation = Negotiation(tuple(self._dialects), limits, listens=listens)
        self._dialect: Dialect | None = None
        self._out = [self._negotiation.greeting()]
        self.queued_bytes = 0
        """Bytes of messages that wait for `data_to_send`."""
        self._handed_over = 0
        self._dropped: CacheExport | None = None
        # Calls made before a dialect was agreed on.
        self._early: list[tuple[Call, Target, tuple[Any, ...], dict[str, Any], CallOptions]] = []
        self._unknown = 0

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
        self.books.limits = self.books.pending.limits = limits
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
        self._out += [reply, self._dialect.greeting()]
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
                self._find_method(message)
                return message
            case Answer() | CallFailed():
                message.call = self.books.pending.take(message.call_id)
                self.books.call_answered()
                return message
            case Release():
                cleanups = self.books.exports.release(message.export_id, message.count)
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

    def _drop(self, dropped: CacheExport) -> None:
        """The owner of a cacheable was told that the peer drops its copy, and could say a last word to it."""
        self._dropped = None
        dropped.observer.observing = False
        if self.state is State.READY:
            self._send(DropCache(dropped.observer.cache_id))

    def _find_method(self, call: MethodCall) -> None:
        """Say in `call` what to run, or why there is nothing."""
        if call.error is not None:
            return
        try:
            if call.to_cache:
                assert isinstance(call.target, int)  # caches have no names: the dialect saw to it
                cache = self.books.cache_imports.target(call.target)
                call.method = method_of(cache, call.name, self._door.translator)
            else:
                target = self.books.exports.target(call.target)
                call.method = method_of(target, call.name, self._door.translator)
                call.perspective = target.perspective
        except Exception as error:  # noqa: BLE001 - also whatever an overridden method_for raises
            call.error = told_without_traceback(error)

    # Commands in, bytes out.

    def data_to_send(self) -> bytes:
        """Everything that waits to be sent, releases included. Hand it to the transport: it is not kept here."""
        if self.state is State.READY:
            self._send_releases()
        self._handed_over = self.books.pending.last_id
        out, self._out, self.queued_bytes = self._out, [], 0
        return b"".join(out)

    def answer(self, call: MethodCall, value: Any) -> Exception | None:
        """Answer `call` with `value`. Where that can't be sent, an error is sent in its place, and returned.

        Raises:
            LimitExceeded: not even that can be sent; see `fail`.
        """
        if not call.wants_answer or self.state is State.CLOSED:
            return None
        try:
            self._send(Answer(call.call_id, value, call.perspective))
        except Exception as error:  # noqa: BLE001 - also what an application's hooks raise
            if isinstance(value, Referenceable):
                self.books.unsent_cleanups += self.books.exports.not_sent(value)
            self.fail(call, error)
            return told_without_traceback(error)
        return None

    def fail(self, call: MethodCall, error: BaseException, *, with_traceback: bool = False) -> None:
        """Answer `call` with `error`; where that can't be sent, as when it is a copyable, with what hinders it.

        Raises:
            LimitExceeded: the limits leave no room for that either; the connection is of no use.
        """
        if not call.wants_answer or self.state is State.CLOSED:
            return
        try:
            self._send(CallFailed(call.call_id, error, with_traceback))
        except Exception as hindrance:  # noqa: BLE001 - also what an application's hooks raise
            kind = type(error).__qualname__
            self._send(CallFailed(call.call_id, Error(f"a {kind}, which can't be sent: {hindrance}"[:500])))

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
        books = self.books
        calls: list[tuple[Call, Exception]] = [
            (call, PBConnectionLost(reason, sent=call_id <= self._handed_over))
            for call_id, call in books.pending.take_all().items()
        ]
        early, self._early = self._early, []
        unsent = [call for call, *_ in early] + self.promises.take_all()
        calls += [(call, PBConnectionLost(reason, sent=False)) for call in unsent]
        lost = Lost(calls, observers=[_stopped(export) for export in books.cache_exports.take_all()])
        books.close()
        self._out.clear()
        self.queued_bytes = 0
        return lost

    def take_notice(self) -> Callable[[], object] | None:
        """The next of those who asked to be told of the end and did not take that back, in the order of asking."""
        notices = self.books.notices
        return notices.pop(next(iter(notices))) if notices else None

    def _check_callable(self) -> None:
        self.check_alive()
        self._door.check_room()

    def _send_call(
        self, call: Call, target: Target, args: tuple[Any, ...], kwargs: dict[str, Any], options: CallOptions
    ) -> None:
        """Send a call, once there is a language. Where that can't be done it fails, and nothing was sent."""
        if self.state is State.NEGOTIATING:
            self._early.append((call, target, args, kwargs, options))
            return
        self._send_releases()  # in their place: an object that was let go of before is not held when this call is run
        pending = self.books.pending
        try:
            pending.check_room()
            call_id = pending.new_id()
            message = MethodCall(
                call_id, target.id, call.name, args, kwargs, not options.one_way, target.to_cache, target.perspective
            )
            self._send(message)
        except Exception as error:  # noqa: BLE001 - also what an application's hooks raise
            call.fail(told_without_traceback(error))
            return
        call.call_id = call_id
        if not options.one_way:
            pending.add(call_id, call)
        self._door.call_was_made(call, one_way=options.one_way)

    def _send_releases(self) -> None:
        if self.books.owes_releases:
            for release in self.books.take_releases():
                self._send(release)

    def _send(self, message: Any) -> None:
        if self.state is not State.READY:
            self.state = step(self.state, Input.COMMAND)
        assert self._dialect is not None  # there is one once the broker is ready
        data = self._dialect.encode(message)
        self._out.append(data)
        self.queued_bytes += len(data)


def _stopped(export: Any) -> StoppedObserving:
    return StoppedObserving(export.obj, export.observer, export.observer.perspective)
