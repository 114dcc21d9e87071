"""pb.Broker: one connection of PB as a protocol of Twisted's, on the sans-I/O broker of the core.

What is to be sent leaves at once, or at the end of the `dataReceived` that caused it, and never by a timer: programs
pump brokers by hand, without a reactor. Where the transport is a reactor's, that tells the time: it ends calls whose
time is up, and asks a silent peer for a sign of life, in the native dialect. Large buffers, which travel beside their
message there, are handed to it piece by piece, when it has sent what it had. All the same everything leaves in the
order made: programs written for PB count on that.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar

from twisted.internet import defer, error
from twisted.internet.interfaces import IPushProducer, IReactorTime, ITCPTransport
from twisted.python import log
from twisted.python.failure import Failure

from pellucid.auth import Login
from pellucid.core.batches import BatchRun
from pellucid.core.broker import Broker as Core
from pellucid.core.calls import Call as CoreCall
from pellucid.core.calls import Maker
from pellucid.core.events import Event, Ready, Released, StoppedObserving
from pellucid.core.ledger import Books
from pellucid.core.references import CallOptions
from pellucid.errors import ConnectFailed, InsecureJelly, LimitExceeded, ProtocolError, TooManyReferences
from pellucid.flavors.dispatch import DECODED, Translator
from pellucid.flavors.hooks import hook
from pellucid.flavors.referenceable import AvatarReference
from pellucid.flavors.serializable import Serializable
from pellucid.limits import Limits
from pellucid.twisted import banana, jelly
from pellucid.twisted._dialects import DIALECTS, NativeDialect
from pellucid.twisted._methods import COPIED_AT_A_TIME_BYTES, Runner, remaining_time, run
from pellucid.twisted._policy import TagRegistry, TasterPolicy
from pellucid.twisted._references import Call, RemoteCacheObserver, RemoteReference
from pellucid.twisted._turns import Turns, turns_of
from pellucid.twisted.interfaces import IJellyable
from pellucid.wire.dialect import Sharing
from pellucid.wire.messages import Answer, CallFailed, Cancel, Command, MethodCall, NotUnderstood

__all__ = ["Broker", "Local"]

_DIALECTS = {dialect.name.encode(): dialect for dialect in DIALECTS}

PIECE_BYTES = 256 * 1024
"""Bytes of a large buffer that are written at a time, so that the transport never holds all of it."""

AT_A_TIME_BYTES = 1024 * 1024
"""Bytes from which on what is to be sent is, while there is more that was received."""

PATIENCE = 4
"""Looks at a peer that was asked for a sign of life; the last one gives it up."""

_MANY = 1_000_000

LIMITS = Limits(running_calls=_MANY, running_bytes=_MANY * _MANY, waiting_calls=_MANY, queued_bytes=256 * 1024 * 1024)
"""The bounds of connections in this door. Deferreds that wait for ever are usual in PB's programs: they run, all. So is
sending without a look at what the peer has read; the transport keeps the rest."""


class Local:
    """An object of ours that the peer holds, as the tables of a `Broker` show it."""

    def __init__(self, object: Any, perspective: Any = None, refcount: int = 1) -> None:  # noqa: A002 - its name in PB
        self.object = object
        self.perspective = perspective
        self.refcount = refcount
        """Receipts that the peer has not given back."""

    def __repr__(self) -> str:
        return f"<pb.Local {self.object!r} ref:{self.refcount}>"


class _Dispatching:
    """A broker as an overridden ``remoteMessageReceived`` is given it: the values of its call are decoded already.

    In all else it is that broker: equal to it, of its class, and with the attributes that a program gives either.
    """

    unserialize: Callable[..., Any] = staticmethod(DECODED.unserialize)
    serialize: Callable[..., Any] = staticmethod(DECODED.serialize)

    dynamic = True
    """Whether methods of the instance alone may be called, too: PB's programs do."""

    validates = False
    """Whether arguments are checked where the class does not say: in this door classes do."""

    _broker: Broker

    def __init__(self, broker: Broker) -> None:
        vars(self)["_broker"] = broker

    @property  # type: ignore[misc]  # for isinstance alone, and never set
    def __class__(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        return type(self._broker)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._broker, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._broker, name, value)

    def __eq__(self, other: object) -> bool:
        return self is other or self._broker is other

    def __hash__(self) -> int:
        return hash(self._broker)

    def __repr__(self) -> str:
        return repr(self._broker)


class Broker(banana.Banana):
    """One end of one connection of Perspective Broker."""

    version = 6
    """The version of PB that is spoken."""

    username: Any = None
    factory: Any = None

    reference_class = RemoteReference
    observer_class = RemoteCacheObserver

    knownDialects: ClassVar[list[bytes]] = list(_DIALECTS)
    """What a server offers, best first, and of which a client takes the first that is offered.

    The first one is pellucid's own: stock peers pass it over.
    """

    sharing: Sharing = "graph"
    """Whether what is met twice in one message is one object at the peer, as in PB (``"graph"``), or two (``"tree"``).

    It counts in the native dialect, where the latter is faster, for connections made from then on.
    """

    clock: Any = None
    """What tells the time, an IReactorTime: the reactor of the transport, unless a class or an instance has another.

    Without one, as where a program carries bytes to and fro by hand, no timer runs but those that `call_with` asks for.
    """

    limits = LIMITS
    """Bounds on what the peer can make this side hold or do.

    A class or an instance may have its own, at any time. These count, like `prefixLimit`, `sizeLimit` and
    `banana.SIZE_LIMIT`, as they are at each message; what is held already stays.
    """

    acceptPlaceholders: bool = False
    """Whether calls may come with placeholders among their arguments, as in Twisted: they arrive as `Unpersistable`.

    A Twisted peer sends such a placeholder for an object that may not cross. Unless this is true, its call is answered
    with InsecureJelly. A class or an instance may have its own, at any time.
    """

    def __init__(self, isClient: int = 1, security: Any = jelly.globalSecurity) -> None:
        super().__init__(isClient)
        self._policy = TasterPolicy(security, self)
        self.disconnected: int = 0
        """Whether the connection has ended."""
        self.connects: list[Callable[[], object]] | None = []
        self.failures: list[Callable[[], object]] | None = []
        self.pageProducers: list[Any] = []
        self.serializingPerspective: Any = None
        self.unserializingPerspective: Any = None
        self.translator: Translator = _Dispatching(self)
        self._log_number: str | None = None
        self._core = Core(
            listens=not isClient,
            registry=TagRegistry(),
            policy=self._policy,
            limits=self.limits,
            door=self,
            dialects=[_DIALECTS[name] for name in self.knownDialects if name in _DIALECTS],
            sharing=self.sharing,
        )
        self._core.is_crowded = True  # so that `check_room` is asked about each call
        self._core.outgoing.in_order = True
        self._runner = Runner(self, self._core)
        self._thread = threading.get_ident()
        self._receiving = self._sending = False
        self._broken = False
        # Whether the transport asks for more when it has sent what it had, for pages or for large buffers.
        self._produces = False
        # What this waits in for its turn, where there is more to do than others should wait for.
        self._resting: Turns | None = None
        # Whether anything came since the last look, the looks left once the peer was asked for it, and what looks next.
        self._heard = True
        self._looks_left = 0
        self._watch: Any = None
        self._backlog: tuple[int, int] = 0, 0

    def __repr__(self) -> str:
        return f"<pb.Broker {self._core!r}>"

    @property
    def log_number(self) -> str:
        """Stands for this connection in the log; a peer that speaks the native dialect is told."""
        if self._log_number is None:
            self._log_number = secrets.token_hex(4)
        return self._log_number

    @property
    def books(self) -> Books:
        """The tables of this connection."""
        return self._core.books

    @property
    def security(self) -> Any:
        """What says which types may cross; other security options count from when they are set on."""
        return self._policy.taster

    @security.setter
    def security(self, security: Any) -> None:
        self._policy.taster = security

    # Protocol.

    def connectionMade(self) -> None:
        """Offer the dialects, where this is the side that listens."""
        self._thread = threading.get_ident()
        reactor = getattr(self.transport, "reactor", None)
        if self.clock is None and IReactorTime.providedBy(reactor):
            self.clock = reactor
        if ITCPTransport.providedBy(self.transport):
            # Else the end of what is larger than a packet waits 40 ms for word that the peer has the rest.
            self.transport.setTcpNoDelay(True)
        self._begin()
        self.renew_limits()
        self.flush()

    def dataReceived(self, data: bytes) -> None:
        """Take in bytes and do what they ask for. A peer that breaks the protocol is disconnected."""
        if self._broken or self.disconnected:
            return
        self._receiving = self._heard = True
        core, outgoing = self._core, self._core.outgoing
        arrivals = core.arrivals
        try:
            core.receive_data(data)
            while self._resting is None and (event := core.next_event()) is not None:
                self._settle(event)
                del event  # it may hold the last references to objects of the peer
                if outgoing.queued_bytes > AT_A_TIME_BYTES or outgoing.bulk_bytes > AT_A_TIME_BYTES:
                    self._flush_now()  # a few bytes can ask for gigabytes: see to the limits before the next call
                if self._broken:
                    break
                if arrivals.copied > COPIED_AT_A_TIME_BYTES:
                    self.rest()
        except (ProtocolError, ConnectFailed) as broken:
            self.give_up(str(broken))
        finally:
            self._receiving = False
        self.flush()

    @property
    def is_resting(self) -> bool:
        """Whether others have their turn before anything further is done for this peer."""
        return self._resting is not None

    def rest(self) -> bool:
        """Let others have their turn, where a reactor can see to that: whether what there is to do is done later."""
        if self._resting is None:
            self._core.arrivals.copied = 0
            reactor: Any = getattr(self.transport, "reactor", None)
            if self.disconnected or not (IReactorTime.providedBy(reactor) and IPushProducer.providedBy(self.transport)):
                return False
            self.transport.pauseProducing()
            self._resting = turns_of(reactor)
            self._resting.wait(self._go_on, reactor)
        return True

    def _go_on(self) -> None:
        """Others had their turn."""
        self._resting = None
        try:
            self._runner.go_on()
        except ProtocolError as broken:
            self.give_up(str(broken))
        self.dataReceived(b"")
        if not (self.is_resting or self._broken or self.disconnected):
            self.transport.resumeProducing()

    def connectionReady(self) -> None:
        """A dialect is agreed on: tell those who wait for that, and the factory."""
        notifiers, self.connects = self.connects or [], None
        for notifier in notifiers:
            run(notifier)
        self.factory.clientConnectionMade(self)

    def connectionLost(self, reason: Failure = Failure(error.ConnectionDone())) -> None:  # noqa: B008 - as Twisted's
        """The connection has ended: calls under way fail, observers and notices are told, each once, in that order."""
        if self.disconnected:
            return
        self._settle_unsent()
        self.disconnected = 1
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        if self._resting is not None:
            self._resting.leave(self._go_on)
            self._resting = None
        lost = self._core.close(reason.getErrorMessage())
        self._runner.stop()
        for call, failed in lost.calls:
            failed.args = (reason,)  # as in PB; programs ask it what it is
            call.fail(failed)
        for stopped in lost.observers:
            self._tell_stopped(stopped)
        while (notice := self._core.take_notice()) is not None:
            run(notice)
        self.pageProducers.clear()

    def connectionFailed(self) -> None:
        """No connection could be made: tell those who asked for that."""
        notifiers, self.failures = self.failures or [], None
        for notifier in notifiers:
            run(notifier)

    # Notices.

    @property
    def disconnects(self) -> list[Callable[[], object]]:
        """What is run when the connection ends, in that order."""
        return list((self.books.notices or {}).values())

    def notifyOnDisconnect(self, notifier: Callable[[], object]) -> None:
        """Run `notifier` when the connection ends. Raises DeadReferenceError where it has."""
        self._core.check_alive()
        self.books.notify_on_disconnect(notifier)

    def dontNotifyOnDisconnect(self, notifier: Callable[[], object]) -> None:
        """Do not run it after all."""
        notices: dict[object, Callable[[], object]] = self.books.notices or {}
        for key, known in notices.items():
            if known == notifier:
                del notices[key]
                return

    def notifyOnConnect(self, notifier: Callable[[], object]) -> None:
        """Run `notifier` when a dialect is agreed on; now, where it is."""
        if self.connects is None:
            run(notifier)
        else:
            self.connects.append(notifier)

    def notifyOnFail(self, notifier: Callable[[], object]) -> None:
        """Run `notifier` if `connectionFailed` is called."""
        if self.failures is not None:
            self.failures.append(notifier)

    # Objects by name and number.

    def setNameForLocal(self, name: str | bytes, object: Any) -> None:  # noqa: A002 - its name in PB
        """Let the peer call `object` by `name`."""
        self._core.publish(object, _as_bytes(name))

    def remoteForName(self, name: str | bytes) -> RemoteReference:
        """A reference to what the peer calls by `name`. Nothing is asked of the peer for it."""
        reference = self._core.reference(_as_bytes(name))
        assert isinstance(reference, RemoteReference)  # reference_class says so
        return reference

    def registerReference(self, object: Any) -> int:  # noqa: A002 - its name in PB
        """Count one more receipt of `object` by the peer, and return its number."""
        return self.books.export(object)

    def localObjectForID(self, luid: Any) -> Any:
        """The object of ours that the peer knows by that number or name; None where there is none."""
        local = self.localObjects.get(luid.encode() if isinstance(luid, str) else luid)
        return local.object if local is not None else None

    @property
    def localObjects(self) -> dict[Any, Local]:
        """Our objects that the peer may call, by number or name; made anew for each look."""
        exports = self.books.exports
        return {
            **{name: Local(obj) for name, obj in exports.named.items()},
            **{number: Local(export.obj, refcount=export.count) for number, export in exports.items()},
        }

    @property
    def remotelyCachedObjects(self) -> dict[int, Local]:
        """Our cacheables that the peer has copies of, by number; made anew for each look."""
        return {
            number: Local(export.obj, export.observer.perspective, export.count)
            for number, export in self.books.cache_exports.items()
        }

    @property
    def locallyCachedObjects(self) -> dict[int, Any]:
        """The copies held here of the peer's cacheables, by number; made anew for each look."""
        return dict(self.books.cache_imports.items())

    @property
    def waitingForAnswers(self) -> dict[int, CoreCall]:
        """Calls of ours that the peer has not answered, by number; made anew for each look."""
        return dict(self.books.pending.items())

    def cachedRemotelyAs(self, instance: Any, incref: int = 0) -> int | None:
        """The number of our cacheable, where the peer has a copy; with `incref`, one more receipt is counted."""
        cache_exports = self.books.cache_exports
        return cache_exports.count_up(instance) if incref else cache_exports.find(instance)

    def remotelyCachedForLUID(self, luid: int) -> Any:
        """Our cacheable of that number. Raises KeyError where there is none."""
        return self.remotelyCachedObjects[luid].object

    def cachedLocallyAs(self, cid: int) -> Any:
        """The copy of the peer's cacheable of that number. Raises KeyError where there is none."""
        return self.locallyCachedObjects[cid]

    # Values.

    def _bound(self, limits: Limits) -> None:
        self._core.limits = limits

    @property
    def tells_tracebacks(self) -> bool:
        """Whether the peer is sent the text of tracebacks: as its factory says at this moment."""
        return bool(self.factory is not None and self.factory.unsafeTracebacks)

    def serialize(
        self,
        object: Any,  # noqa: A002 - its name in PB
        perspective: Any = None,
        method: Any = None,
        args: Any = None,
        kw: Any = None,
    ) -> Any:
        """`object` as an s-expression for this peer, as `perspective` sees it; of a Deferred, that of its result."""
        if isinstance(object, defer.Deferred):
            return object.addCallback(self.serialize, perspective, method, args, kw)
        before, self.serializingPerspective = self.serializingPerspective, perspective
        try:
            return jelly.jelly(object, self.security, None, self)
        finally:
            self.serializingPerspective = before

    def unserialize(self, sexp: Any, perspective: Any = None) -> Any:
        """The object that an s-expression of this peer's stands for."""
        before, self.unserializingPerspective = self.unserializingPerspective, perspective
        try:
            return jelly.unjelly(sexp, self.security, None, self)
        finally:
            self.unserializingPerspective = before

    def hang_up(self) -> None:
        """Send what waits to be sent, and end the connection."""
        if self.transport is not None:
            self.transport.loseConnection()

    def sendCall(self, *exp: Any) -> None:
        """Send an expression of any kind."""
        self.sendEncoded(exp)

    def sendEncoded(self, obj: Any) -> None:
        """Send an expression: a command of the program's own, which the peer has a ``proto_`` method for.

        Raises:
            BananaError: it holds something else than lists, bytes and numbers, or is over a limit; nothing was sent.
        """
        if self.currentDialect != NativeDialect.name.encode():
            self._flush_now()
            super().sendEncoded(obj)
            return
        try:
            self._core.send(Command(obj))
        except (InsecureJelly, LimitExceeded) as error:
            raise banana.BananaError(str(error)) from None
        self._flush_now()

    # Logins.

    def admit(self, login: Login) -> Any:
        """What to send for the avatar of `login`, which ends when the peer lets go of that, or is disconnected."""
        given: Any = login.avatar
        crosses = isinstance(given, Serializable) or IJellyable.providedBy(given)
        avatar: Any = given if crosses else AvatarReference(given)
        if self.disconnected:
            run(login.logout)
            return avatar
        try:
            self._core.until_gone(avatar, login.logout)
        except TooManyReferences:
            run(login.logout)
            raise
        return avatar

    # Pages.

    def registerPageProducer(self, pager: Any) -> None:
        """Have `pager` send a page whenever there is room. Raises RuntimeError where the transport has a producer."""
        self.pageProducers.append(pager)
        try:
            self._produce()
        except RuntimeError:
            self.pageProducers.remove(pager)
            raise

    def resumeProducing(self) -> None:
        """There is room for a page of each pager, and for a piece of a large buffer."""
        self._heard = True  # the peer reads, and says nothing only because it has nothing to say
        self._send_piece()
        for pager in reversed(self.pageProducers.copy()):
            pager.sendNextPage()
            if not pager.stillPaging():
                self.pageProducers.remove(pager)
        if self._produces and not (self.pageProducers or self._core.outgoing.lane):
            self._produces = False
            self.transport.unregisterProducer()

    def _produce(self) -> None:
        """There is something to send when there is room. Raises RuntimeError where the transport has a producer."""
        if not self._produces:
            self._produces = True
            try:
                self.transport.registerProducer(self, False)
            except RuntimeError:
                self._produces = False
                raise

    def pauseProducing(self) -> None:
        """Pages are only sent when there is room."""

    def stopProducing(self) -> None:
        """The connection has ended: `connectionLost` sees to it."""

    # What the core needs of its door.

    def now(self) -> float:
        """The time in seconds, by the clock of its timers."""
        return time.monotonic() if self.clock is None else float(self.clock.seconds())

    def make_call(self, maker: Maker, name: str, options: CallOptions) -> Call:
        """The promise of a call that begins now. It has no more time than the call which runs the method we are in."""
        call = Call(maker, name)
        left = remaining_time()
        if options.timeout is not None and (left is None or options.timeout <= left):
            call.end_in(options.timeout, self._timer(), f"no answer to {name!r} within {options.timeout} s")
        elif left is not None:
            call.end_in(left, self._timer(), f"no answer to {name!r} in the time left to the call that made it")
        return call

    def _timer(self) -> Any:
        """What runs things later."""
        if self.clock is None:
            from twisted.internet import reactor  # only here, and in knock, is there any need of it

            self.clock = reactor
        return self.clock

    def check_room(self) -> None:
        """However much waits: PB's programs do not expect a call to be refused for that."""
        self.renew_limits()

    def call_was_made(self, call: CoreCall, *, one_way: bool) -> None:
        """There is a call to send."""
        self.flush()
        if one_way:
            call.succeed(None)

    def update_was_made(self) -> None:
        """There is a change of a cacheable to send."""
        self.flush()

    def knock(self) -> None:
        """There are releases to send. Called in any thread, in the middle of anything."""
        if threading.get_ident() == self._thread:
            if not self._sending:  # else they leave behind what is being sent
                self.flush()
        else:
            from twisted.internet import reactor

            reactor.callFromThread(self.flush)  # type: ignore[attr-defined]

    # Events.

    def _settle(self, event: Event) -> None:
        match event:
            case MethodCall():
                self._runner.arrive(event)
            case BatchRun():
                self._runner.arrive_together(event.calls)
            case Answer():
                event.call.succeed(event.value)
            case CallFailed():
                event.call.fail(event.error)
            case Cancel():
                self._runner.cancel(event.call)
            case Released():
                for cleanup in event.cleanups:
                    run(cleanup)
            case StoppedObserving():
                self._tell_stopped(event)
            case NotUnderstood():
                log.msg(f"Didn't understand command: {event.name!r}")
            case Ready():
                self.currentDialect: bytes | None = event.dialect.encode()
                self._flush_now()  # programs that are told now may look at what was sent
                if self.clock is not None and self._core.pings:
                    self._watch_in_time()
                self.connectionReady()

    def _tell_stopped(self, stopped: StoppedObserving) -> None:
        run(lambda: hook(stopped.cacheable, "stopped_observing")(stopped.perspective, stopped.observer))

    def _settle_unsent(self) -> None:
        for event in self._core.take_unsent():
            self._settle(event)

    # Signs of life, where the dialect has a word for them and there is a clock.

    def _watch_in_time(self) -> None:
        third, looks = self.limits.silence_seconds / 3, PATIENCE if self._looks_left else 1
        self._watch = self.clock.callLater(third / looks, self._look_for_life)

    def _look_for_life(self) -> None:
        """Ask a peer that has been silent for a third of the time for a sign of life; after another third it is dead.

        A reactor runs what is due before it sends and reads. Where it stood still for long, that is one look among
        several, and the question and the answer have the time of the others.
        """
        self._watch = None
        before, self._backlog = self._backlog, _backlog(self.transport)
        if self._heard or self._backlog != before:
            self._heard, self._looks_left = False, 0
        elif not self._looks_left:
            self._looks_left = PATIENCE
            self._core.ping()
            self.flush()
        else:
            self._looks_left -= 1
            if not self._looks_left:
                self._cut_off(f"no sign of life within Limits.silence_seconds={self.limits.silence_seconds}")
                return
        self._watch_in_time()

    # Bytes.

    def flush(self) -> None:
        """Send what there is to send; while bytes are taken in, that is done at the end."""
        if not self._receiving:
            self._flush_now()

    def _flush_now(self) -> None:
        if self.disconnected or self.transport is None:
            return
        self._settle_unsent()
        was_sending, self._sending = self._sending, True
        try:
            data = self._core.data_to_send()
            if data:
                self.transport.write(data)
        finally:
            self._sending = was_sending
        if data:
            most = self._core.limits.queued_bytes
            if _waiting(self.transport) > most:
                self._cut_off(f"it does not read, and over Limits.queued_bytes={most} wait for it")
                return
        outgoing = self._core.outgoing
        if outgoing.lane and not self._produces:
            self._send_large_buffers()
        limits = self._core.limits
        if outgoing.bulk_bytes > 2 * limits.buffer_bytes:
            self._cut_off(f"it does not read, and over twice Limits.buffer_bytes={limits.buffer_bytes} wait for it")
        elif outgoing.queued_bytes > limits.queued_bytes:  # behind large buffers
            self._cut_off(f"it does not read, and over Limits.queued_bytes={limits.queued_bytes} wait for it")
        elif self.books.owes_releases and not self._sending and not self.books.closed:
            self._flush_now()

    def _send_large_buffers(self) -> None:
        """Send them piece by piece, each when the transport has sent what it had; all at once where it does not ask."""
        # A reactor's transport asks a pull producer for more, and so it does for pages. One that a program carries the
        # bytes of may never ask; and another producer may be registered with it already.
        if self.clock is not None:
            with suppress(RuntimeError):
                self._produce()
                return
        while self._core.outgoing.lane:
            self._send_piece()

    def _send_piece(self) -> None:
        self._sending = True
        try:
            pieces = self._core.next_piece(PIECE_BYTES)
            if pieces:
                self.transport.write(b"".join(pieces))
        finally:
            self._sending = False
        if pieces:
            self._flush_now()

    def _cut_off(self, why: str) -> None:
        """End the connection with a peer that does not read any more."""
        if not self._broken:
            self._broken = True
            log.msg(f"Disconnecting a peer: {why}")
            # Pipes, and channels within other connections, can only be closed.
            getattr(self.transport, "abortConnection", self.transport.loseConnection)()

    def give_up(self, why: str) -> None:
        """Hang up on a peer that can't be talked to."""
        if not self._broken:
            self._broken = True
            log.msg(f"Disconnecting a peer: {why}")
            self.hang_up()


def _backlog(transport: Any) -> tuple[int, int]:
    """How much a reactor's transport has of what is to be sent: where that changes, the peer reads."""
    buffer = getattr(transport, "dataBuffer", None)
    return (len(buffer), getattr(transport, "offset", 0)) if isinstance(buffer, bytes) else (0, 0)


def _waiting(transport: Any) -> int:
    """How many bytes a reactor's transport, or what is below TLS, holds until the peer reads; 0 for any other."""
    buffer = getattr(transport, "dataBuffer", None)
    if not isinstance(buffer, bytes):  # a stand-in of a program's tests may have any attribute
        return 0
    held: int = len(buffer) - getattr(transport, "offset", 0)
    return held + int(getattr(transport, "_tempDataLen", 0))  # what comes after dataBuffer


def _as_bytes(name: str | bytes) -> bytes:
    return name.encode() if isinstance(name, str) else name
