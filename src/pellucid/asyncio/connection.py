"""One connection, through asyncio: it moves the bytes of a broker and settles its events."""

from __future__ import annotations

import asyncio
import logging
import secrets
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from math import isinf
from typing import Any, Literal, cast

from pellucid.asyncio.callbacks import Callbacks
from pellucid.asyncio.calls import Call
from pellucid.asyncio.current import running_call
from pellucid.asyncio.events import Event, name_of
from pellucid.asyncio.inbox import Inbox
from pellucid.asyncio.keep_alive import LOOKS, Idleness, Round, probe, watch
from pellucid.asyncio.login import Link
from pellucid.asyncio.methods import Runner
from pellucid.asyncio.outbox import Outbox, WasMade
from pellucid.asyncio.places import peer_of
from pellucid.asyncio.tls import server_certificate
from pellucid.auth import login as log_in
from pellucid.core import calls
from pellucid.core.batches import BatchRun
from pellucid.core.broker import Broker
from pellucid.core.caches import CacheObserver
from pellucid.core.events import Lost, Ready, Released, StoppedObserving
from pellucid.core.references import CallOptions, RemoteReference
from pellucid.errors import ConnectFailed, LimitBroken, ProtocolError, TooManyReferences
from pellucid.flavors.dispatch import DECODED, VALIDATED, Translator
from pellucid.flavors.hooks import hook
from pellucid.flavors.policy import DEFAULT_POLICY, Policy
from pellucid.flavors.referenceable import Referenceable
from pellucid.flavors.registry import DEFAULT_REGISTRY, Registry
from pellucid.limits import DEFAULT_LIMITS, Limits, Usage
from pellucid.wire.dialect import DialectClass, Sharing
from pellucid.wire.dialects import DIALECTS
from pellucid.wire.messages import Answer, CallFailed, Cancel, MethodCall

__all__ = ["Connection", "Settings"]


@dataclass(frozen=True, slots=True)
class Settings:
    """What may differ from one server or client to another."""

    registry: Registry = DEFAULT_REGISTRY
    policy: Policy = DEFAULT_POLICY
    limits: Limits = DEFAULT_LIMITS
    before_login: Limits | None = None
    """The limits until a login is granted; None where nobody logs in."""
    dialects: tuple[DialectClass, ...] = DIALECTS
    unsafe_tracebacks: bool = False
    on_disconnect: Literal["cancel", "finish"] = "cancel"
    sharing: Sharing = "tree"
    validate: bool = False


class Connection(asyncio.Protocol):
    """One connection to a peer: who made it does not matter once it is ready.

    Get one from `pellucid.connect`; a server's root factory is given one.
    """

    # A server may have many thousands: without these, each would take a kilobyte more. Applications may add their own.
    __slots__ = (
        "__dict__",
        "__weakref__",
        "_asked",
        "_books",
        "_disconnected",
        "_ended",
        "_ending",
        "_giving_up",
        "_hurry",
        "_idleness",
        "_is_ready",
        "_last_id",
        "_listens",
        "_log_number",
        "_made_callbacks",
        "_notices_given",
        "_on_lost",
        "_on_made",
        "_ready",
        "_root",
        "_root_for",
        "_round",
        "_runner",
        "_settings",
        "_transport",
        "broker",
        "call_was_made",
        "inbox",
        "loop",
        "outbox",
        "peer",
        "translator",
        "unsafe_tracebacks",
    )

    def __init__(
        self,
        settings: Settings,
        *,
        listens: bool,
        root_for: Callable[[Connection], Referenceable] | None = None,
        on_made: Callable[[Connection], None] | None = None,
        on_lost: Callable[[Connection], None] | None = None,
    ) -> None:
        self.loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self._log_number: str | None = None
        self.peer: str = ""
        """The address of the peer, as text."""
        self.unsafe_tracebacks: bool = settings.unsafe_tracebacks
        self.translator: Translator = VALIDATED if settings.validate else DECODED
        """By what rules the methods are found that the peer calls."""
        self.broker: Broker = Broker(
            listens=listens,
            registry=settings.registry,
            policy=settings.policy,
            limits=settings.before_login or settings.limits,
            door=self,
            dialects=settings.dialects,
            sharing=settings.sharing,
        )
        self._is_ready = False
        self._ready: asyncio.Future[None] | None = None
        self._hurry: asyncio.TimerHandle | None = None
        self._settings = settings
        self._listens = listens
        self._root_for = root_for
        self._on_made = on_made
        self._on_lost = on_lost
        self._root: RemoteReference | None = None
        self.outbox: Outbox = Outbox(self.loop, self.broker, self)
        """Where what there is to send is waiting."""
        self.call_was_made: WasMade = self.outbox.call_was_made  # its broker asks for it for each call
        self._books = self.broker.books
        self._runner = self.runner_class(self)
        self.inbox: Inbox = Inbox(self.loop, self.broker, self.outbox, self._runner, self)
        """Where what the peer says arrives."""
        self._made_callbacks: Callbacks | None = None
        self._transport: asyncio.Transport | None = None
        self._giving_up: asyncio.TimerHandle | None = None
        self._round: Round | None = None
        self._idleness: Idleness | None = None
        self._last_id = 0  # of our last call at the last look
        self._asked = False  # whether the peer was asked for a sign of life
        self._ending: Exception | None = None
        # What has happened of the end, and who waits for all of it.
        self._notices_given = self._disconnected = False
        self._ended: asyncio.Future[None] | None = None

    async def __aenter__(self) -> Connection:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<Connection {self.log_number} {self.peer or 'not connected'} {self.broker!r}>"

    @property
    def log_number(self) -> str:
        """Stands for this connection in the log of this side; a peer that speaks the native dialect is told."""
        if self._log_number is None:
            self._log_number = secrets.token_hex(4)
        return self._log_number

    # For applications.

    @property
    def root(self) -> RemoteReference:
        """The object that the peer publishes. Getting it asks nothing of the peer."""
        if self._root is None:
            self._root = self.broker.root()
        return self._root

    @property
    def dialect(self) -> str | None:
        """The wire language spoken: "pellucid", "pb" or "none"."""
        return self.broker.dialect

    @property
    def peer_certificate(self) -> dict[str, Any] | None:
        """The certificate that the peer has shown and that was found good, as `ssl.SSLSocket.getpeercert` gives it.

        None without TLS, where none was asked for, and when the connection has ended.
        """
        tls = self._tls
        return (None if tls is None else cast(dict[str, Any] | None, tls.getpeercert())) or None

    @property
    def server_certificate(self) -> bytes | None:
        """The certificate of the connection's server in DER form, alike at both sides where nobody sits in between.

        None without TLS, at a server that was given an `ssl.SSLContext`, and when the connection has ended.
        """
        tls = self._tls
        return None if tls is None else server_certificate(tls)

    @property
    def usage(self) -> dict[str, Usage]:
        """How much of its limits the peer uses at this moment, by their names: of those that are not about one message.

        Calls can wait for their turn, or for others that they depend on, with a limit for each: what is shown of
        `waiting_calls` and `waiting_bytes` is the greater.
        """
        used = {**self.broker.usage, "queued_bytes": self.outbox.queued_bytes}
        for name, more in self._runner.usage.items():
            used[name] = max(more, used.get(name, 0))
        limits = self.broker.limits
        return {name: Usage(used[name], getattr(limits, name)) for name in sorted(used)}

    @property
    def is_closed(self) -> bool:
        """Whether the connection has ended."""
        return self._books.closed

    async def login(self, credentials: object, mind: object = None, *, allow_md5: bool = False) -> RemoteReference:
        """Log in at the peer's portal, and return the reference to the avatar.

        `credentials` are those for clients in `pellucid.credentials`. `mind` is handed to the peer's realm; often it is
        a Referenceable for the avatar to call. A `Password` is proved by SCRAM where the peer has it, else by PB's md5
        over TLS that checks the peer's certificate, to a loopback address or through a unix socket; with `allow_md5`
        over any connection. A `PlainPassword` or a `Bearer` token goes nowhere else than there.

        Raises:
            UnauthorizedLogin: the peer refuses the credentials.
            UnhandledCredentials: it takes none of this kind.
            UnprotectedLogin: they are not for a connection like this one. Nothing made of them was sent.
            TooManyLogins: the peer does not look at them for now.
            NoSuchMethod: it has no logins, or none by these.
            RemoteProtocolError: it does not keep to the rules of a login, or has not proved that it knows the user.
            ValueError: a username or password has characters that SCRAM does not allow.
        """
        avatar = await log_in(self.root, credentials, mind, link=Link(self), allow_md5=allow_md5)
        if not isinstance(avatar, RemoteReference):
            raise ProtocolError(f"the peer's login gave a {type(avatar).__name__} instead of an avatar's reference")
        return avatar

    def notify_on_disconnect(self, callback: Callable[[], object]) -> Callable[[], None]:
        """Run `callback`, plain or async, once when the connection has ended; call the result to take that back.

        Raises:
            DeadReferenceError: it has ended already.
        """
        self.broker.check_alive()
        return self.broker.books.notify_on_disconnect(callback)

    def when_gone(self, obj: Referenceable, callback: Callable[[], object]) -> None:
        """Run `callback` once when the peer, given `obj`, lets go of it, or when the connection has ended.

        Where it has ended already that is now: a login may be granted when its client is gone.

        Raises:
            TooManyReferences: so many wait for that already that it is now, too: `obj` is not to be sent.
        """
        if self.is_closed:
            self._callbacks.run(callback)
            return
        try:
            self.broker.until_gone(obj, callback)
        except TooManyReferences:
            self._callbacks.run(callback)
            raise

    async def close(self) -> None:
        """Send what waits to be sent, end the connection, and return when every disconnect notice has been given.

        A peer that reads nothing for `Limits.close_seconds` is not waited for any longer.
        """
        self._shut("the connection was closed here")
        await self.wait_closed()

    async def wait_closed(self) -> None:
        """Return once the connection has ended and every disconnect notice has been given."""
        if not (self._notices_given and self._disconnected):
            if self._ended is None:
                self._ended = self.loop.create_future()
            await asyncio.shield(self._ended)
        if self._made_callbacks is not None:
            await self._made_callbacks.wait()

    # For servers and clients of this package.

    @property
    def transport(self) -> asyncio.Transport | None:
        """What carries its bytes, once that is made."""
        return self._transport

    @property
    def ready(self) -> asyncio.Future[None]:
        """Done once a dialect is agreed on; fails with what prevented it."""
        if self._ready is None:
            self._ready = self.loop.create_future()
            if self._is_ready:
                self._ready.set_result(None)
            elif self.is_closed:
                self._fail_ready(self._ready)
        return self._ready

    @property
    def _tls(self) -> ssl.SSLObject | None:
        """What knows of its TLS. Transports that are closing may not tell any more."""
        return None if self._transport is None or self.is_closed else self._transport.get_extra_info("ssl_object")

    async def drain(self) -> None:
        """Start no further methods of the peer's, and return once none runs."""
        await self._runner.drain()

    def let_in(self) -> None:
        """The peer was granted a login: from now on it has what a stranger has not."""
        limits = self._settings.limits
        if self._settings.before_login is None or self.broker.limits is limits:
            return
        self.broker.limits = limits
        self._runner.bound(limits)
        self.outbox.bound(limits)
        self._take_time()

    def abort(self, reason: str, *, level: int = logging.WARNING, limit: str | None = None) -> None:
        """End the connection now; what waits to be sent is lost. `limit` is the one that the peer broke, if any."""
        if not self.is_closed:
            text, fields = "connection with %s aborted: %s", self.fields
            Event.CONNECTION_ABORTED.log(text, self.peer, reason, level=level, fields=fields, limit=limit)
        self._lose(reason)
        if self._transport is not None:
            self._transport.abort()

    # asyncio.Protocol.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are none by class
        self.inbox.attach(self._transport)
        self.peer = peer_of(transport)
        self.outbox.attach(self._transport)
        if Event.CONNECTION_MADE.is_heard():
            Event.CONNECTION_MADE.log("connected with %s", self.peer, fields=self.fields)
        if self._listens:
            self._make_haste("no dialect was agreed on", "handshake_seconds")
        if self._on_made is not None:
            self._on_made(self)
        self.outbox.flush()

    def data_received(self, data: bytes) -> None:
        self.inbox.receive(data)

    def break_off(self, error: Exception) -> None:
        """The peer has broken the protocol so."""
        self._ending = error
        limit = error.limit if isinstance(error, LimitBroken) else None
        is_strange = limit is not None and self.broker.limits is self._settings.before_login
        self.abort(f"{error}, before a login" if is_strange else str(error), limit=limit)

    def eof_received(self) -> bool:
        self.inbox.then(lambda: self._shut("the peer closed the connection", peer_has_ended=True))
        return not self.is_closed and self._tls is None  # else the transport closes, as one of TLS does in any case

    def connection_lost(self, exc: Exception | None) -> None:
        self.outbox.detach()
        self.inbox.then(lambda: self._end(exc))

    def _end(self, exc: Exception | None) -> None:
        if not self._is_ready:
            self._ending = self._ending or exc
        self._lose(f"the connection was lost: {exc}" if exc else "the peer closed the connection")
        if self._giving_up is not None:
            self._giving_up.cancel()
        if self._round is not None:
            self._round.discard(self)
        self.inbox.detach()
        self._disconnected = True
        self._note_end()
        if Event.CONNECTION_LOST.is_heard():
            Event.CONNECTION_LOST.log("disconnected from %s", self.peer, fields=self.fields)

    def pause_writing(self) -> None:
        self.outbox.pause()

    def resume_writing(self) -> None:
        self.inbox.heard = True  # the peer reads, and says nothing only because it has nothing to say
        self.outbox.resume()

    # Events.

    def settle(self, event: Any) -> None:
        """Do what an event of the broker's asks for."""
        match event:
            case MethodCall():
                self._runner.arrive(event)
            case Answer():
                event.call.succeed(event.value)
            case CallFailed():
                event.call.fail(event.error)
            case BatchRun():
                self._runner.arrive_together(event)
            case Cancel():
                self._runner.cancel(event.call)
            case Released():
                for cleanup in event.cleanups:
                    self._callbacks.run(cleanup)
            case StoppedObserving():
                self._tell_stopped(event)
            case Ready():
                self._become_ready()
            case _:
                Event.PEER_CONFUSED.log("the peer did not understand %s", repr(event.name), fields=self.fields)

    def _become_ready(self) -> None:
        if self._root_for is not None:
            try:
                self.broker.publish(self._root_for(self))
            except Exception as error:
                text, kind = "no root object for a new connection", name_of(error)
                Event.ROOT_FAILED.log(text, exc_info=error, fields=self.fields, error=kind)
                raise ProtocolError("the application has no root object for this connection") from error
        self._is_ready = True
        if Event.CONNECTION_READY.is_heard():
            Event.CONNECTION_READY.log("speaks %s", self.dialect, fields=self.fields, dialect=self.dialect)
        limits = self._settings.limits
        self._take_time()
        if self._settings.before_login is not None:
            self._make_haste("nobody logged in", "login_seconds")
        if not isinf(limits.idle_seconds):
            self._idleness = Idleness(self.loop, self, limits.idle_seconds)
        if self._ready is not None and not self._ready.done():
            self._ready.set_result(None)
        if not self.broker.pings and self._transport is not None:
            probe(self._transport, limits.silence_seconds)
        elif self.broker.pings:
            self._round = watch(self.loop, self, limits.silence_seconds / LOOKS)

    def _tell_stopped(self, event: StoppedObserving) -> None:
        stopped = hook(event.cacheable, "stopped_observing")
        self._callbacks.run(lambda: stopped(event.perspective, event.observer))

    def tell_unsent(self) -> None:
        """Tell those whom something concerns that could not be sent."""
        for event in self.broker.take_unsent():
            self.settle(event)

    # Signs of life, where the dialect has a word for them.

    def look_for_life(self) -> None:
        """Ask a peer that has been silent since the last look for a sign of life; at the next one it is dead."""
        if self.is_closed:
            return  # closing has a limit of its own
        if self.inbox.heard or self.inbox.is_waiting:
            self.inbox.heard, self._asked = False, False
        elif not self._asked:
            self._asked = True
            self.broker.ping()
            self.outbox.flush()
        else:
            self._lose_patience("no sign of life", "silence_seconds")

    # Whether it is of use.

    def was_used(self) -> bool:
        """Whether anything was called or answered since this was asked last, or is under way."""
        pending = self._books.pending
        used = self.inbox.used or pending.last_id != self._last_id or len(pending) > 0 or self._runner.is_busy
        self.inbox.used, self._last_id = False, pending.last_id
        return used

    def end_idle(self) -> None:
        """Close it: nothing was called for as long as the limits allow."""
        seconds = self._settings.limits.idle_seconds
        Event.CONNECTION_IDLE.log("%s was idle", self.peer, fields=self.fields, limit="idle_seconds")
        self._shut(f"nothing was called within Limits.idle_seconds={seconds}")

    # What its outbox and its callbacks need.

    def crowded(self) -> None:
        """Too much waits to be sent, or runs beside methods: no further method of the peer's is started."""
        self._runner.hold()

    def roomy(self) -> None:
        """There is room again, unless it is wanting elsewhere."""
        callbacks = self._made_callbacks
        if not self.broker.is_crowded and (callbacks is None or not callbacks.is_full):
            self._runner.go_on()

    # What its broker needs.

    reference_class = RemoteReference
    observer_class = CacheObserver

    # What a front may have more to.
    call_class = Call
    runner_class = Runner

    def check_room(self) -> None:
        """Raise Overloaded where so much waits to be sent that no call can be made."""
        self.outbox.check_room()

    def update_was_made(self) -> None:
        """There is a change of a cacheable to send."""
        self.outbox.update_was_made()

    def knock(self) -> None:
        """There are releases to send."""
        self.outbox.knock()

    def drowning(self) -> bool:
        """Whether the peer reads so little of what it is sent that it can't even be refused any more."""
        return self.outbox.drowning()

    def now(self) -> float:
        """The time in seconds, by the loop's clock."""
        return self.loop.time()

    def make_call(self, maker: calls.Maker, name: str, options: CallOptions) -> Call:
        """The promise of a call that begins now."""
        call = self.call_class(maker, name)
        within = running_call.get(None)
        deadline = within[1].deadline if within is not None else None
        if options.timeout is not None or deadline is not None:
            call.end_by(deadline, options.timeout)
        return call

    # The end.

    def _shut(self, reason: str, *, peer_has_ended: bool = False) -> None:
        """Send what waits to be sent, and end the connection, however little the peer reads."""
        self.outbox.flush_all()
        self._lose(reason)
        transport = self._transport
        if transport is None or self._disconnected:
            return
        if self._giving_up is None:
            self._giving_up = self.loop.call_later(self._settings.limits.close_seconds, transport.abort)
        if peer_has_ended or not transport.can_write_eof():
            transport.close()
        elif not transport.is_closing():
            # What a peer sends to a socket that is closed for reading, too, has the system throw away what the peer
            # has not read yet. So the end is announced, and the transport closed when the peer answers in kind.
            try:
                transport.write_eof()
            except (OSError, RuntimeError):  # the peer has reset it: asyncio, and uvloop, find out only now
                transport.abort()

    def _lose(self, reason: str) -> None:
        """The connection ends: fail what is under way now, give the notices once those who waited have run."""
        if self.is_closed:
            return
        self.tell_unsent()
        lost = self.broker.close(reason, self.outbox.take_waiting())
        self._runner.stop(cancel=self._settings.on_disconnect == "cancel")
        for call, error in lost.calls:
            call.fail(error)
        self._take_time()
        if self._idleness is not None:
            self._idleness.stop()
        if not self._is_ready:
            self._ending = self._ending or ConnectFailed(reason)
            if self._ready is not None and not self._ready.done():
                self._fail_ready(self._ready)
        self.loop.call_soon(self._give_notices, lost)

    def _make_haste(self, complaint: str, limit: str) -> None:
        """End the connection with that `complaint` unless it takes its time within the seconds that `limit` is."""
        self._hurry = self.loop.call_later(getattr(self._settings.limits, limit), self._lose_patience, complaint, limit)

    def _lose_patience(self, complaint: str, limit: str) -> None:
        self.abort(f"{complaint} within Limits.{limit}={getattr(self._settings.limits, limit)}", limit=limit)

    def _take_time(self) -> None:
        """What there was some hurry about has been done, or is of no use any more."""
        if self._hurry is not None:
            self._hurry.cancel()
            self._hurry = None

    @property
    def _callbacks(self) -> Callbacks:
        if self._made_callbacks is None:
            self._made_callbacks = Callbacks(self)
        return self._made_callbacks

    def _fail_ready(self, ready: asyncio.Future[None]) -> None:
        ready.set_exception(self._ending or ConnectFailed("the connection has ended"))
        ready.exception()  # where nobody waits for it, that is no news

    def _give_notices(self, lost: Lost) -> None:
        if self._on_lost is not None:
            self._on_lost(self)
        for stopped in lost.observers:
            self._tell_stopped(stopped)
        while (notice := self.broker.take_notice()) is not None:
            self._callbacks.run(notice)
        self._notices_given = True
        self._note_end()

    def _note_end(self) -> None:
        if self._notices_given and self._disconnected and self._ended is not None and not self._ended.done():
            self._ended.set_result(None)

    @property
    def fields(self) -> dict[str, str | None]:
        """What the log says of this connection in every record."""
        return {"connection": self.log_number, "peer_connection": self.broker.peer_log_number, "peer": self.peer}
