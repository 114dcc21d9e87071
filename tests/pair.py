"""Two brokers joined by a wire, in one thread and without a loop, a socket or a clock.

::

    pair = Pair(Desk())
    assert pair.call(pair.root, "echo", thing) is thing

Bytes move only in `Pair.pump`, which `Pair.call` does for you. Either direction of the wire can be held back, cut into
pieces of any size, and listened to. A `Stranger` talks to one broker alone, and says what no broker would.
"""

from __future__ import annotations

import gc
from collections.abc import Coroutine, Generator, Iterator
from dataclasses import dataclass, field
from inspect import iscoroutine
from itertools import repeat
from typing import Any, NamedTuple, assert_never, cast

import ormsgpack

from pellucid.core.batches import BatchRun
from pellucid.core.broker import Broker
from pellucid.core.caches import CacheObserver
from pellucid.core.calls import Call, Maker
from pellucid.core.events import Event, Ready, Released, StoppedObserving
from pellucid.core.ledger import Books
from pellucid.core.references import CallOptions, RemoteReference
from pellucid.core.states import State
from pellucid.errors import CallCancelled, ConnectFailed, Overloaded, ProtocolError
from pellucid.flavors.dispatch import DECODED
from pellucid.flavors.hooks import hook
from pellucid.flavors.policy import Policy
from pellucid.flavors.referenceable import Referenceable, Root
from pellucid.flavors.registry import Registry
from pellucid.limits import Limits
from pellucid.wire.dialect import DialectClass, Sharing
from pellucid.wire.dialects import dialects_named
from pellucid.wire.messages import Answer, CallFailed, Cancel, MethodCall, NotUnderstood
from pellucid.wire.native.codes import NAME as NATIVE
from pellucid.wire.native.codes import VERSION, Kind
from pellucid.wire.native.frames import CHUNK, HEADER, frame
from pellucid.wire.pb import banana
from pellucid.wire.pb.jelly import Jellier, find_encoders
from pellucid.wire.pb.unjelly import Unjellier, find_decoders
from pellucid.wire.pb.vocabulary import TOKENS, WORDS

__all__ = [
    "Desk",
    "Extension",
    "Jelly",
    "Pair",
    "Promise",
    "Settings",
    "Side",
    "Stranger",
    "Wire",
    "command_of",
    "read",
    "write",
]

ROUNDS = 1_000
"""How often a pair carries bytes to and fro before it is said never to fall silent."""


class Promise(Call):
    """The answer of a call, as a test looks at it."""

    def __init__(self, maker: Maker | None = None, name: str = "a call") -> None:
        super().__init__(cast("Maker", maker), name)  # one on which no other call depends needs none

    def result(self) -> Any:
        """What the method returned; raises what the call ended in."""
        assert self.done, f"{self.name} is not answered yet"
        if self.error is not None:
            raise self.error.with_traceback(None)
        return self.outcome()

    def fail(self, error: Exception) -> None:
        # Its traceback would keep alive all that the broker was at, arguments included.
        super().fail(error.with_traceback(None))

    def __await__(self) -> Generator[Any, None, Any]:
        while not self.done:
            yield
        return self.result()


@dataclass(frozen=True)
class Settings:
    """In what the two sides may differ."""

    registry: Registry = field(default_factory=Registry)
    policy: Policy = field(default_factory=Policy)
    limits: Limits = field(default_factory=Limits)
    dialects: tuple[DialectClass, ...] = field(default_factory=lambda: dialects_named(None))
    tracebacks: bool = False
    sharing: Sharing = "tree"


class Side:
    """A broker, and the smallest door it can have: plain methods run at once, coroutines when the pair is pumped."""

    translator = DECODED
    reference_class = RemoteReference
    observer_class = CacheObserver

    def __init__(self, root: Referenceable, settings: Settings, *, listens: bool) -> None:
        self.broker = Broker(
            listens=listens,
            registry=settings.registry,
            policy=settings.policy,
            limits=settings.limits,
            door=self,
            dialects=settings.dialects,
            sharing=settings.sharing,
        )
        self.published = root
        self.ended_by: Exception | None = None
        """Why this side ended the connection, where it did."""
        self.knocks = 0
        """How often it was asked to send releases."""
        self.calls: list[str] = []
        """Names of the methods that the peer called."""
        self.piece_bytes = 64 * 1024
        """Into how large pieces large buffers are cut."""
        self.log_number: str | None = None
        """What its log calls the connection."""
        self.clock = 0.0
        """The time, in seconds."""
        self.misunderstood: list[str] = []
        """What the peer said that it did not understand."""
        self._tracebacks = settings.tracebacks
        self._root: RemoteReference | None = None
        self._paused: list[tuple[MethodCall, Coroutine[Any, Any, Any]]] = []

    @property
    def root(self) -> RemoteReference:
        """The object that the other side publishes."""
        if self._root is None:
            self._root = self.broker.root()
        return self._root

    @property
    def is_closed(self) -> bool:
        return self.broker.state is State.CLOSED

    def exports(self) -> dict[int, int]:
        """By id, how many receipts of this side's objects the other has not given back."""
        return {number: export.count for number, export in self.broker.books.exports.items()}

    def cache_exports(self) -> dict[int, int]:
        """By id, how many receipts of this side's cacheables the other has not given back."""
        return {number: export.count for number, export in self.broker.books.cache_exports.items()}

    def is_empty(self) -> bool:
        """Whether all tables are."""
        books = self.broker.books
        theirs = len(books.exports) + len(books.cache_exports)
        ours = len(books.imports) + len(books.cache_imports)
        return theirs + ours + len(books.pending) == 0

    def receive(self, data: bytes) -> None:
        """Take in bytes and settle what they mean."""
        try:
            self.broker.receive_data(data)
            self._settle_all()
        except (ProtocolError, ConnectFailed) as error:
            self.ended_by = error.with_traceback(None)
            self.lose(str(error))

    def flush(self) -> bytes:
        """What this side has to say now."""
        if self.is_closed:
            return b""
        self._settle_unsent()
        pieces: list[bytes | memoryview] = [self.broker.data_to_send()]
        while self.broker.outgoing.lane:
            pieces += self.broker.next_piece(self.piece_bytes)
            pieces.append(self.broker.data_to_send())
        return b"".join(pieces)

    def go_on(self) -> bool:
        """Let paused methods run on; whether one ended."""
        paused, self._paused = self._paused, []
        for call, coroutine in paused:
            self._step(call, coroutine)
        if not self.is_closed:
            self._settle_all()  # calls that waited for those that have ended
        return len(self._paused) < len(paused)

    def lose(self, reason: str) -> None:
        """The connection has ended."""
        self._settle_unsent()
        lost = self.broker.close(reason)
        for call, error in lost.calls:
            call.fail(error)
        for stopped in lost.observers:
            self._tell_stopped(stopped)
        while (notice := self.broker.take_notice()) is not None:
            notice()

    def now(self) -> float:
        return self.clock

    def make_call(self, maker: Maker, name: str, options: CallOptions) -> Promise:
        promise = Promise(maker, name)
        if options.timeout is not None:
            promise.deadline = self.clock + options.timeout
        return promise

    @property
    def is_crowded(self) -> bool:
        """Whether no call can be made, as too much waits to be sent."""
        return self.broker.is_crowded

    @is_crowded.setter
    def is_crowded(self, is_crowded: bool) -> None:
        self.broker.is_crowded = is_crowded

    def check_room(self) -> None:
        raise Overloaded("queued_bytes", 0)

    def call_was_made(self, call: Call, *, one_way: bool) -> None:
        if one_way:
            call.succeed(None)

    def update_was_made(self) -> None:
        """It goes when the test says so."""

    def knock(self) -> None:
        self.knocks += 1

    def _settle_all(self) -> None:
        while (event := self.broker.next_event()) is not None:
            self._settle(event)
            del event  # it may hold the last references to objects of the other side

    def _settle(self, event: Event) -> None:
        match event:
            case MethodCall():
                self.calls.append(event.name)
                self._run(event)
            case BatchRun():
                self._run_together(event.calls)
            case Answer():
                event.call.succeed(event.value)
            case CallFailed():
                event.call.fail(event.error)
            case Ready():
                self.broker.publish(self.published)
            case Cancel():
                self._cancel(event.call)
            case Released():
                for cleanup in event.cleanups:
                    cleanup()
            case StoppedObserving():
                self._tell_stopped(event)
            case NotUnderstood():
                self.misunderstood.append(event.name)
            case _:
                assert_never(event)

    def _settle_unsent(self) -> None:
        for event in self.broker.take_unsent():
            self._settle(event)

    def _run_together(self, calls: list[MethodCall]) -> None:
        for call in calls:
            if self.broker.state is not State.CLOSED:
                if call.error is None:
                    self.broker.serving.find_method(call, None)
                self.calls.append(call.name)
                self._run(call)

    def _run(self, call: MethodCall) -> None:
        if call.method is None:
            assert call.error is not None
            self.broker.fail(call, call.error)
            return
        try:
            result = call.method(*call.args, **call.kwargs)
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller is told
            self.broker.fail(call, error, with_traceback=self._tracebacks, raised=True)
            return
        if iscoroutine(result):
            call.args, call.kwargs = (), {}
            self._step(call, result)
        else:
            self.broker.answer(call, result)

    def _cancel(self, call: MethodCall) -> None:
        for paused in self._paused:
            if paused[0] is call:
                self._paused.remove(paused)
                paused[1].close()
        self.broker.fail(call, CallCancelled(f"{call.name!r} was cancelled where it ran"))

    def _step(self, call: MethodCall, coroutine: Coroutine[Any, Any, Any]) -> None:
        try:
            coroutine.send(None)
        except StopIteration as stopped:
            self.broker.answer(call, stopped.value)
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller is told
            self.broker.fail(call, error, with_traceback=self._tracebacks, raised=True)
        else:
            self._paused.append((call, coroutine))

    def _tell_stopped(self, stopped: StoppedObserving) -> None:
        hook(stopped.cacheable, "stopped_observing")(stopped.perspective, stopped.observer)


class Wire:
    """One direction: what it is given it carries at once, unless it is held, in pieces of any size."""

    def __init__(self, far_end: Side) -> None:
        self.held = False
        """Whether it keeps what it is given until `deliver`."""
        self.carried = bytearray()
        """Everything that was ever sent this way."""
        self.delivered = 0
        """How many of those bytes have arrived."""
        self.pieces: Iterator[int] = repeat(1 << 20)
        """Sizes of the pieces in which bytes arrive; the last one counts for all that follow."""
        self._piece = 1
        self._far_end = far_end

    def deliver(self, size: int | None = None) -> int:
        """Hand on `size` bytes of those that wait, or all; the result is how many there were."""
        end = len(self.carried) if size is None else min(len(self.carried), self.delivered + size)
        start = self.delivered
        while self.delivered < end:
            self._piece = next(self.pieces, self._piece)
            piece = bytes(self.carried[self.delivered : min(end, self.delivered + self._piece)])
            self.delivered += len(piece)
            if not self._far_end.is_closed:
                self._far_end.receive(piece)
        return end - start

    def said(self) -> list[Any]:
        """Every message sent this way, but for the greeting."""
        return [message for message, _ in self.messages()][1:]

    def commands(self) -> list[bytes]:
        """What every message sent this way asks for, in the words of PB whatever the dialect.

        What PB has no word for is left out.
        """
        commands = [command_of(message) for message in self.said()]
        return [command for command in commands if command is not None]

    def messages(self) -> Iterator[tuple[list[Any], int]]:
        """Every message sent this way, and where it ends in `carried`."""
        dialect = self._far_end.broker.dialect
        rest = without_negotiation(bytes(self.carried))
        start = len(self.carried) - len(rest)
        for message, end in read_with_ends(rest, dialect):
            yield message, start + end


class Stranger:
    """A peer that is no broker: it says what a test makes it say, to a broker that can't tell."""

    def __init__(
        self,
        root: Referenceable | None = None,
        settings: Settings | None = None,
        *,
        listens: bool = False,
        dialect: str = "pb",
        greets: bool = True,
    ) -> None:
        self.dialect = dialect
        self.side = Side(root or Desk(), settings or Settings(), listens=not listens)
        self._heard = b""
        if greets:
            self.send(write([dialect.encode()] if listens else dialect.encode(), None))
            self.say([Kind.HELLO.value, VERSION, []] if dialect == NATIVE else [b"version", 6])
            self._heard = b""

    def send(self, data: bytes) -> None:
        """Send bytes, and let the broker do all that it can about them."""
        self.side.receive(data)
        self.listen()

    def say(self, *messages: object) -> None:
        """Send messages."""
        self.send(b"".join(write(message, self.dialect) for message in messages))

    def call(self, name: str, *args: object, kwargs: object = (b"dictionary",), target: object = b"root") -> Any:
        """Call a method with arguments that are jelly already; what the broker said to it, as jelly."""
        self.hear()
        self.say([b"message", 1, target, name.encode(), 1, [b"tuple", *args], kwargs])
        return self.hear()

    def listen(self) -> None:
        """Take what the broker has to say, until it says no more."""
        for _ in range(ROUNDS):
            data = self.side.flush()
            self._heard += data
            if not self.side.go_on() and not data:
                return
        raise AssertionError("the broker never falls silent")

    def hear(self) -> list[Any]:
        """The messages that the broker has sent since it was last asked."""
        self.listen()
        heard, self._heard = self._heard, b""
        return list(read(heard, self.dialect))


class Extension(NamedTuple):
    """An extension of msgpack, as a test reads and writes it."""

    code: int
    body: bytes

    def packed(self) -> ormsgpack.Ext:
        """What the codec takes for it."""
        return ormsgpack.Ext(self.code, self.body)


def read(data: bytes, dialect: str | None) -> Iterator[Any]:
    """The messages in `data`, as expressions or as msgpack; a chunk of a buffer is its bytes."""
    return (message for message, _ in read_with_ends(data, dialect))


def read_with_ends(data: bytes, dialect: str | None) -> Iterator[tuple[Any, int]]:
    """As `read`; with each comes where it ends."""
    if dialect == NATIVE:
        yield from _read_frames(data)
        return
    decoder = banana.Decoder(Limits(), WORDS if dialect == "pb" else None)
    decoder.receive_data(data)
    end = 0
    while (expression := decoder.next_expression()) is not banana.NEED_DATA:
        end += len(write(expression, dialect))
        yield expression, end


def _read_frames(data: bytes) -> Iterator[tuple[Any, int]]:
    end = 0
    while len(data) >= end + HEADER:
        word, start = int.from_bytes(data[end : end + HEADER], "big"), end + HEADER
        end = start + (word & (1 << 30) - 1)
        body = data[start:end]
        if len(data) >= end:
            yield body if word >= CHUNK else ormsgpack.unpackb(body, ext_hook=Extension), end


def write(expression: Any, dialect: str | None) -> bytes:
    """The bytes of `expression`."""
    if dialect == NATIVE:
        return frame(ormsgpack.packb(expression, Extension.packed, ormsgpack.OPT_PASSTHROUGH_TUPLE))
    return banana.encode(expression, Limits(), TOKENS if dialect == "pb" else None)


_COMMANDS: dict[int, bytes] = {
    Kind.CALL: b"message",
    Kind.SEND: b"message",
    Kind.UPDATE: b"cachemessage",
    Kind.NOTIFY: b"cachemessage",
    Kind.ANSWER: b"answer",
    Kind.FAIL: b"error",
    Kind.RELEASE: b"decref",
    Kind.RELEASE_CACHE: b"decache",
    Kind.DROP_CACHE: b"uncache",
    Kind.NOT_UNDERSTOOD: b"didNotUnderstand",
}


def command_of(message: list[Any]) -> bytes | None:
    """What `message` asks for, in the words of PB; None where PB has none for it."""
    command: bytes | int = message[0]
    return _COMMANDS.get(command) if isinstance(command, int) else command


def without_negotiation(data: bytes) -> bytes:
    """What follows the first expression in `data`."""
    decoder = banana.Decoder(Limits(), None)
    decoder.receive_data(data)
    return b"" if decoder.next_expression() is banana.NEED_DATA else decoder.take_rest()


class Pair:
    """A client and a server, connected unless `connect` is false."""

    def __init__(
        self,
        root: Referenceable | None = None,
        *,
        client_root: Referenceable | None = None,
        server: Settings | None = None,
        client: Settings | None = None,
        connect: bool = True,
    ) -> None:
        self.server = Side(root or Desk(), server or Settings(), listens=True)
        self.client = Side(client_root or Root(), client or Settings(), listens=False)
        self.to_server = Wire(self.server)
        self.to_client = Wire(self.client)
        if connect:
            self.pump()

    @property
    def root(self) -> RemoteReference:
        """The server's root, as the client holds it."""
        return self.client.root

    def call(self, reference: RemoteReference, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """Call a method and wait for what it returns, or raises."""
        promise = reference.call(name, *args, **kwargs)
        self.pump()
        assert isinstance(promise, Promise)
        return promise.result()

    def pump(self) -> None:
        """Carry bytes to and fro, and let methods go on, until nobody has anything to say any more."""
        for _ in range(ROUNDS):
            if not self._round():
                break
        else:
            raise AssertionError("the two sides never fall silent")
        if self.client.is_closed or self.server.is_closed:
            self.cut("the other side has gone")

    def flush(self) -> None:
        """Give the wires what the two sides have to say, without delivering it."""
        self.to_server.carried += self.client.flush()
        self.to_client.carried += self.server.flush()

    def settle(self) -> None:
        """Let go of everything that nobody refers to any more, and tell the owners."""
        gc.collect()
        self.pump()

    def cut(self, reason: str = "cut") -> None:
        """End the connection, the client first; what is on the wires is lost."""
        for side in (self.client, self.server):
            side.lose(reason)

    def _round(self) -> bool:
        self.flush()
        carried = [wire.deliver() for wire in (self.to_server, self.to_client) if not wire.held]
        ended = [side.go_on() for side in (self.client, self.server)]
        return any(carried) or any(ended)


class Jelly:
    """Jelly without messages: `write` and `read` values by the books of one side."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.side = Side(Desk(), self.settings, listens=True)

    @property
    def books(self) -> Books:
        return self.side.broker.books

    def write(self, value: object, perspective: object = None) -> Any:
        """`value` as an expression."""
        return Jellier(self.books, find_encoders(self.settings.policy.types), perspective).write(value)

    def read(self, expression: object, *, placeholders: bool = True) -> Any:
        """What `expression` stands for."""
        return Unjellier(self.books, find_decoders(self.settings.policy.types), placeholders=placeholders).read(
            expression
        )


class Desk(Root):
    """A root that hands back what it is given, or keeps it."""

    def __init__(self) -> None:
        self.kept: list[Any] = []

    def remote_echo(self, thing: Any) -> Any:
        return thing

    async def remote_echo_later(self, thing: Any) -> Any:
        return thing

    def remote_keep(self, *things: Any) -> None:
        self.kept += things

    def remote_give(self) -> Any:
        return self.kept[-1]

    def remote_take(self) -> Any:
        return self.kept.pop()

    def remote_clear(self) -> None:
        self.kept.clear()

    async def remote_relay(self, reference: RemoteReference, name: str, *args: Any) -> Any:
        return await reference.call(name, *args)
