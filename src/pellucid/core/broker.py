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

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pellucid.core.arrivals import Arrivals
from pellucid.core.caches import CacheExport
from pellucid.core.calling import Calling
from pellucid.core.calls import Call
from pellucid.core.door import Door
from pellucid.core.events import Event, Lost, Ready, Released, StoppedObserving
from pellucid.core.ledger import Books
from pellucid.core.outgoing import Aim, Outgoing
from pellucid.core.references import RemoteReference
from pellucid.core.serving import Serving
from pellucid.core.states import Input, State, step
from pellucid.errors import (
    DeadReferenceError,
    Error,
    LimitBroken,
    LoginFailed,
    NoSuchMethod,
    Overloaded,
    PBConnectionLost,
    TooManyReferences,
)
from pellucid.flavors.policy import Policy
from pellucid.flavors.referenceable import Referenceable
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
    Unknown,
)
from pellucid.wire.negotiation import Negotiation

__all__ = ["Broker", "is_expected"]


ROOT = b"root"
"""The name under which PB publishes the object that a client gets first."""


def is_expected(error: BaseException) -> bool:
    """Whether a method raised `error` to be understood by its caller, so that it is no news on this side."""
    return isinstance(error, Error | LoginFailed) or (isinstance(error, NoSuchMethod) and error.while_dispatching)


class Broker:
    """One end of one connection: it keeps the tables and speaks a dialect.

    `listens` tells the side that offers dialects from the one that chooses.
    """

    __slots__ = (
        "_dialect",
        "_dialects",
        "_door",
        "_dropped",
        "_farewells",
        "_handed_over",
        "_is_crowded",
        "_negotiation",
        "_pings",
        "_unknown",
        "arrivals",
        "books",
        "calling",
        "outgoing",
        "serving",
        "state",
    )

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
        self.state: State = State.NEGOTIATING
        self.calling: Calling = Calling(self, door)
        self.books: Books = Books(registry, policy, limits, sharing=sharing, calling=self.calling, door=door)
        self.serving: Serving = Serving(self, door)
        self.arrivals: Arrivals = self.serving.arrivals
        self.outgoing: Outgoing = Outgoing()
        self._is_crowded = False
        self._door = door
        self._dialects = tuple(dialects)
        names = [dialect.name for dialect in dialects]
        self._negotiation: Negotiation | None = Negotiation(names, limits, listens=listens)
        self._dialect: Dialect | None = None
        self.outgoing.add(self._negotiation.greeting())
        self._handed_over = 0
        self._dropped: CacheExport | None = None
        self._unknown = 0
        self._pings = 0
        self._farewells = 0  # what `until_gone` was given and has not run

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
    def peer_log_number(self) -> str | None:
        """What the peer's log calls the connection, where it has said so."""
        return self._dialect.peer_log_number if self._dialect is not None else None

    @property
    def limits(self) -> Limits:
        """The limits in force. Others count from when they are set on; what is held already stays."""
        return self.books.limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self.books.limits = self.books.pending.limits = limits
        self.serving.bound(limits)
        if self._negotiation is not None:
            self._negotiation.bound(limits)
        if self._dialect is not None:
            self._dialect.bound(limits)

    def owed(self) -> int:
        """How much the peer is to be told that it may forget: objects; receipts, where each takes a message."""
        dialect = self._dialect
        return self.books.owed(each=dialect is not None and not dialect.counts_receipts)

    @property
    def is_crowded(self) -> bool:
        """Whether so much waits to be sent that the door is asked about each call; the door says so."""
        return self._is_crowded

    @is_crowded.setter
    def is_crowded(self, is_crowded: bool) -> None:
        self._is_crowded = is_crowded
        self.calling.promises.is_open = not is_crowded and self.state is not State.CLOSED

    # Bytes in, events out.

    def receive_data(self, data: bytes) -> None:
        """Take in bytes from the peer; then call `next_event` until it returns None."""
        if self.state is not State.READY:  # which it stays, as nearly always
            self.state = step(self.state, Input.DATA)
        taker = self._dialect or self._negotiation
        assert taker is not None  # there is the one until there is the other
        taker.receive_data(data)

    @property
    def missing_bytes(self) -> int:
        """How many bytes have to come before there is a further event, as far as that is known; else 0."""
        return self._dialect.missing if self._dialect is not None else 0

    def next_event(self) -> Event | None:
        """What happens next, or None until more bytes come. Settle it before you ask for another.

        Raises:
            NoCommonDialect: the connection is of no use.
            RemoteProtocolError: the peer broke the protocol; close the connection.
        """
        dialect = self._dialect
        if dialect is None:
            return self._negotiate() if self.state is State.NEGOTIATING else None
        if self._dropped is not None:
            self._drop(self._dropped)
        serving, arrivals = self.serving, self.arrivals
        while self.state is State.READY:
            if arrivals.ready:
                event: Event | None = arrivals.next_ready()
            elif serving.more is not None:
                more = next(serving.more, None)
                if more is None:
                    serving.more = None
                event = serving.take(more) if isinstance(more, MethodCall) else more
            else:
                message = dialect.next_message()
                if message is None:
                    return None
                if type(message) is MethodCall:  # nearly all are one of these
                    event = serving.take(message)
                elif type(message) is Answer:
                    event = self.calling.answered(message)
                else:
                    event = _TAKERS[type(message)](self, message)
            if event is not None:
                return event
        return None

    def _negotiate(self) -> Event | None:
        negotiation = self._negotiation
        assert negotiation is not None  # it is there until a dialect is
        chosen = negotiation.choose()
        if chosen is None:
            return None
        name, reply = chosen
        chosen_class = next(dialect for dialect in self._dialects if dialect.name == name)
        dialect = self._dialect = chosen_class(self.books)
        self.outgoing.add(reply + dialect.greeting(self._door.log_number))
        rest = negotiation.take_rest()
        if rest:
            dialect.receive_data(rest)
        self._negotiation = None
        self._dialects = ()
        self.state = step(self.state, Input.DIALECT)
        self.serving.begin(dialect, chosen_class)
        self.calling.begin(dialect)
        return Ready(name)

    # One method for each kind of message.

    def _take_failure(self, failed: CallFailed) -> Event:
        return self.calling.answered(failed)

    def _take_batch(self, batch: Batch) -> Event | None:
        return self.serving.take_batch(batch)

    def _take_batch_answer(self, answer: BatchAnswer) -> Event:
        return self.calling.batch_answered(answer)

    def _take_cancel(self, cancel: Cancel) -> None:
        self.serving.take_cancel(cancel)

    def _take_seen(self, seen: Seen) -> None:
        self.arrivals.seen(seen.call_ids)

    def _take_release(self, release: Release) -> Event | None:
        cleanups: list[Callable[[], object]] = []
        exports = self.books.exports
        for export_id, count in release.receipts:
            cleanups += exports.release(export_id, count)
        return Released(cleanups) if cleanups else None

    def _take_release_of_cache(self, release: ReleaseCache) -> Event | None:
        dropped = self.books.cache_exports.release(release.cache_id, release.count)
        if dropped is None:
            return None
        self._dropped = dropped
        return _stopped(dropped)

    def _take_drop(self, drop: DropCache) -> None:
        self.books.cache_imports.forget(drop.cache_id)

    def _take_ping(self, ping: Ping) -> None:
        self.check_reader()
        self.send(Pong(ping.number))

    def _take_pong(self, pong: Pong) -> None:
        """That bytes came is all that it says."""

    def _take_unknown(self, message: Unknown | NotUnderstood) -> Event | None:
        self._unknown += 1
        if self._unknown > self.limits.unknown_messages:
            raise LimitBroken("unknown_messages", self.limits.unknown_messages)
        if isinstance(message, NotUnderstood):
            return message
        self.send(NotUnderstood(message.name))
        return None

    def _drop(self, dropped: CacheExport) -> None:
        """The owner of a cacheable was told that the peer drops its copy, and could say a last word to it."""
        self._dropped = None
        dropped.observer.observing = False
        if self.state is State.READY:
            self.send(DropCache(dropped.observer.cache_id))

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
            self.send_releases()
        self._handed_over = self.books.pending.last_id
        return self.outgoing.take()

    def next_piece(self, size: int) -> list[bytes | memoryview]:
        """What to send next of messages with large buffers, about so many bytes of those; nothing where there are none.

        Hand it to the transport when that has sent what it was given before. What `data_to_send` has comes first.
        """
        return self.outgoing.next_piece(size)

    def answer(self, call: MethodCall, value: Any) -> Exception | None:
        """Answer a call of the peer's: see `pellucid.core.serving.Serving.answer`."""
        return self.serving.answer(call, value)

    def fail(
        self, call: MethodCall, error: BaseException, *, with_traceback: bool = False, raised: bool = False
    ) -> None:
        """Answer a call of the peer's with an error: see `pellucid.core.serving.Serving.fail`."""
        self.serving.fail(call, error, with_traceback=with_traceback, raised=raised)

    @property
    def usage(self) -> dict[str, int]:
        """What this side holds or has done for the peer so far, by the name of the limit."""
        usage = {**self.books.usage, **self.arrivals.usage}
        return {**usage, "buffer_bytes": self.outgoing.bulk_bytes, "unknown_messages": self._unknown}

    def until_gone(self, obj: Referenceable, callback: Callable[[], object]) -> None:
        """Have `callback` run exactly once: when the peer, given `obj`, lets go of it, or when the connection ends.

        Raises:
            TooManyReferences: as many are to run already as objects may be held; of one there can be any number.
        """
        most = self.limits.references_exported
        if self._farewells >= most:
            refusal = TooManyReferences("references_exported", most, self._farewells + 1)
            refusal.while_dispatching = True
            raise refusal
        self._farewells += 1

        def once() -> object:
            if not waiting:
                return None
            waiting.clear()
            self._farewells -= 1
            take_back()
            return callback()

        waiting = [callback]
        take_back = self.books.notify_on_disconnect(once)
        self.books.exports.on_release(obj, once)

    def take_unsent(self) -> list[StoppedObserving | Released]:
        """Whom to tell of what could not be sent: it was prepared for, and will not happen."""
        caches, self.books.unsent_caches = self.books.unsent_caches, ()
        cleanups, self.books.unsent_cleanups = self.books.unsent_cleanups, ()
        unsent: list[StoppedObserving | Released] = [_stopped(export) for export in caches]
        return [*unsent, Released(list(cleanups))] if cleanups else unsent

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

    def close(self, reason: str, one_way: Iterable[Call] = ()) -> Lost:
        """The connection has ended, for `reason`. The second time, nothing is left to be told.

        `one_way` are calls that want no answer, and whose door has them wait for room. When what this returns has been
        dealt with, `take_notice` has who asked to be told.
        """
        self.state = step(self.state, Input.CLOSE)
        self.calling.promises.is_open = False
        books, handed_over, outgoing = self.books, self._handed_over, self.outgoing
        made = [*books.pending.take_all().items(), *((call.call_id or 0, call) for call in one_way)]
        calls: list[tuple[Call, Exception]] = [
            (call, PBConnectionLost(reason, sent=call_id <= handed_over and not outgoing.holds(call_id)))
            for call_id, call in made
        ]
        calls += [(call, PBConnectionLost(reason, sent=False)) for call in self.calling.take_unsent()]
        lost = Lost(calls, observers=[_stopped(export) for export in books.cache_exports.take_all()])
        books.close()
        self.arrivals.clear()
        self.outgoing.clear()
        self.serving.more = None
        return lost

    def take_notice(self) -> Callable[[], object] | None:
        """The next of those who asked to be told of the end and did not take that back, in the order of asking."""
        notices = self.books.notices
        return notices.popitem(last=False)[1] if notices else None

    @property
    def pings(self) -> bool:
        """Whether the dialect has a word for signs of life."""
        return self._dialect is not None and self._dialect.chains

    def ping(self) -> None:
        """Ask the peer for a sign of life, where the dialect has a word for it."""
        if self.pings and self.state is State.READY:
            self._pings += 1
            self.send(Ping(self._pings))

    # What the calls of either side need.

    def check_reader(self) -> None:
        """Something is to be replied at once, which nothing else bounds.

        Raises:
            LimitBroken: the peer asks on, and does not read what it is told.
        """
        if self.is_crowded:
            try:
                self._door.check_room()
            except Overloaded:
                raise LimitBroken("queued_bytes", self.limits.queued_bytes) from None

    def send_releases(self) -> None:
        """Have the peer given back what it is owed."""
        self.calling.tell_seen()
        for release in self.books.take_releases():
            self.send(release)

    def send(self, message: Message) -> int:
        """Have `message` sent; the number of its bytes.

        Raises:
            InsecureJelly, LimitExceeded, Exception: it can't be, as `pellucid.wire.dialect.Dialect.encode` says.
        """
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
        call_id: int | None = None
        aims: list[Aim] = []
        if isinstance(message, MethodCall | Batch):
            call_id = message.call_id
            calls = message.calls if isinstance(message, Batch) else [message]
            aims = [(call.to_cache, call.target) for call in calls]
        outgoing.add(data, may_pass=self._may_pass(message), call_id=call_id, aims=aims)
        return len(data) if isinstance(data, bytes) else data.inline_bytes + data.left

    def _may_pass(self, message: Message) -> bool:
        """Whether `message` can leave before what stands in the lane: see `pellucid.core.outgoing`."""
        if isinstance(message, MethodCall):
            return not message.waits
        if isinstance(message, Cancel):
            return not self.outgoing.holds(message.call_id)
        return not isinstance(message, _MUST_NOT_PASS)


_MUST_NOT_PASS = (Release, ReleaseCache, DropCache, Seen)

_TAKERS: dict[type, Callable[[Broker, Any], Event | None]] = {
    CallFailed: Broker._take_failure,
    Batch: Broker._take_batch,
    BatchAnswer: Broker._take_batch_answer,
    Cancel: Broker._take_cancel,
    Seen: Broker._take_seen,
    Release: Broker._take_release,
    ReleaseCache: Broker._take_release_of_cache,
    DropCache: Broker._take_drop,
    Ping: Broker._take_ping,
    Pong: Broker._take_pong,
    Unknown: Broker._take_unknown,
    NotUnderstood: Broker._take_unknown,
}


def _stopped(export: Any) -> StoppedObserving:
    return StoppedObserving(export.obj, export.observer, export.observer.perspective)
