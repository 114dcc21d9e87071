"""Serving a root object."""

from __future__ import annotations

import asyncio
import inspect
import logging
import socket
import ssl
from collections.abc import Callable, Generator, Iterable, Set
from typing import Any, Literal

from pellucid.asyncio.connection import Connection, Settings
from pellucid.asyncio.events import Event
from pellucid.asyncio.listener import Listener, LoopsListener, can_watch
from pellucid.asyncio.login import Link
from pellucid.asyncio.places import Place, bind, given, is_unix
from pellucid.asyncio.tls import TLS, check_tls, server_contexts
from pellucid.auth import Portal, PortalRoot
from pellucid.flavors.hooks import hook
from pellucid.flavors.policy import DEFAULT_POLICY, Policy
from pellucid.flavors.referenceable import Referenceable, Root
from pellucid.flavors.registry import DEFAULT_REGISTRY, Registry
from pellucid.flavors.validation import prepare, validates
from pellucid.limits import DEFAULT_LIMITS, Limits, Usage
from pellucid.urls import TCPURL, UnixURL, parse_url
from pellucid.wire.dialect import Sharing
from pellucid.wire.dialects import dialects_named, sharing_named

__all__ = ["Server", "serve"]

RootFactory = Callable[[Connection], Referenceable]
"""Makes the root object of each connection."""


def serve(
    root: Referenceable | Portal | RootFactory,
    *urls: str,
    registry: Registry = DEFAULT_REGISTRY,
    policy: Policy | None = None,
    limits: Limits | None = None,
    limits_before_login: Limits | None = None,
    dialects: Iterable[str] | None = None,
    tls: ssl.SSLContext | TLS | None = None,
    sock: socket.socket | Iterable[socket.socket] = (),
    on_disconnect: Literal["cancel", "finish"] = "cancel",
    sharing: Sharing = "tree",
    unsafe_tracebacks: bool = False,
    validate: bool = False,
) -> Server:
    """Publish `root` at `urls`: ``async with serve(...) as server``, or ``server = await serve(...)``.

    `root` is an object for everybody, a `Portal` that has clients log in, or a function that makes the root object of
    each `Connection` it is given. `sock` are sockets that listen already, such as systemd's. `tls` is needed for
    ``pbs://`` URLs, and used at TCP sockets of `sock`: a `TLS`, whose files may be renewed while the server runs, or
    an `ssl.SSLContext`. `limits_before_login` count for each client of a portal until it has been granted a login; they
    are `Limits.before_login` of `limits` unless others are given. `on_disconnect` says what happens to methods that run
    when their caller vanishes. With `unsafe_tracebacks` clients are shown the traceback of what fails here: they learn
    about your code by it. With `validate` the arguments of their calls are checked by the annotations of the methods; a
    class that was made with ``validate=`` has its own say. The other parameters are those of `connect`.

    Raises:
        ValueError: a URL is none, or none is given; `tls` is missing or not needed, or a file of it can't be used;
            `dialects` or `on_disconnect` is unknown; `limits_before_login` are given, and `root` is no portal.
        TypeError: `root` is none, or a function that takes no connection; a URL is no text; or the annotations of a
            method are to be checked and can't be.

    Entering or awaiting it raises:
        OSError: a URL can't be listened at; the text names it.
    """
    parsed = [parse_url(url) for url in urls]
    secure = [isinstance(url, TCPURL) and url.tls for url in parsed]
    if any(secure) and tls is None:
        raise ValueError("a pbs:// URL needs the server's certificate: tls=pellucid.TLS(certificate=..., key=...)")
    sockets = (sock,) if isinstance(sock, socket.socket) else tuple(sock)
    if not parsed and not sockets:
        raise ValueError('say where to listen, as in serve(root, "pb://localhost:8787")')
    if on_disconnect not in ("cancel", "finish"):
        raise ValueError(f'on_disconnect is "cancel" or "finish", not {on_disconnect!r}')
    if tls is not None and not any(secure) and all(map(is_unix, sockets)):
        raise ValueError(
            "tls= is given, but no pbs:// URL or TCP socket to use it for; there is no TLS on Unix sockets"
        )
    check_tls(tls)
    if limits_before_login is not None and not isinstance(root, Portal):
        raise ValueError("limits_before_login= are given, but nobody logs in at a root that is no Portal")
    limits = limits or DEFAULT_LIMITS
    settings = Settings(
        registry=registry,
        policy=policy or DEFAULT_POLICY,
        limits=limits,
        before_login=(limits_before_login or limits.before_login()) if isinstance(root, Portal) else None,
        dialects=dialects_named(dialects),
        sharing=sharing_named(sharing),
        unsafe_tracebacks=unsafe_tracebacks,
        on_disconnect=on_disconnect,
        validate=validate,
    )
    if isinstance(root, Referenceable) and validates(type(root), validate):
        prepare(type(root), "remote_")
    return Server(_root_for(root), parsed, sockets, settings, None if tls is None else server_contexts(tls))


class Server:
    """A root object, published. Enter it or await it to start listening; `close` it to end."""

    connection_class: type[Connection] = Connection
    """What its connections are: a front may have more to it."""

    def __init__(
        self,
        root_for: Callable[[Connection], Referenceable],
        urls: Iterable[TCPURL | UnixURL],
        sockets: Iterable[socket.socket],
        settings: Settings,
        tls_contexts: Callable[[], ssl.SSLContext] | None,
    ) -> None:
        # In the order in which they were made, so that what happens to each happens in the same order every time.
        self._connections: dict[Connection, None] = {}
        self._root_for = root_for
        self._urls = list(urls)
        self._sockets = list(sockets)
        self._settings = settings
        self._tls_contexts = tls_contexts
        self._listeners: list[Listener | LoopsListener] = []
        self._bound: list[str] = []
        self._closed = False
        self._is_full = False
        # Made once: each connection has them.
        self._on_made, self._on_lost = self._admit_connection, self._forget_connection

    @property
    def connections(self) -> Set[Connection]:
        """The connections that clients have made and not ended, in the order in which they were made."""
        return self._connections.keys()

    @property
    def urls(self) -> tuple[str, ...]:
        """Where clients can connect, with the port that was taken where port 0 was asked for."""
        return tuple(self._bound)

    @property
    def usage(self) -> dict[str, Usage]:
        """Of each limit, how much that connection uses which uses most of it; see `Connection.usage`.

        Limits hold for each connection by itself, but for `Limits.connections`.
        """
        most = {"connections": Usage(len(self.connections), self._settings.limits.connections)}
        for connection in self.connections:
            for name, usage in connection.usage.items():
                most[name] = max(usage, most.get(name, usage))
        return most

    async def start(self) -> None:
        """Start to listen; entering or awaiting the server does so, and once is enough."""
        if self._listeners:
            return
        self._closed = False
        self._bound.clear()
        by_ourselves = can_watch(asyncio.get_running_loop())
        try:
            for url in self._urls:
                if by_ourselves or (isinstance(url, TCPURL) and url.tls):
                    self._listen_at(await bind(url))
                else:
                    self._add(await LoopsListener.at(url, self.accept))
                if self._closed:
                    raise RuntimeError("the server was closed while it started")
            for sock in self._sockets:
                self._listen_at(given(sock, tls=self._tls_contexts is not None))
        except BaseException:
            await self._stop_listening()
            raise

    async def close(self) -> None:
        """Accept no more, let methods that run end and be answered, close every connection, and return.

        Calls that have not started are not run; their callers get PBConnectionLost. Methods that take longer than
        `Limits.close_seconds` are cancelled, or left to finish, as `on_disconnect` says. A remote method that wants to
        close its own server starts a task for it: awaited there, this would wait for that method to end.
        """
        self._closed = True
        await self._stop_listening()
        connections = list(self.connections)
        if connections:
            draining = [asyncio.ensure_future(connection.drain()) for connection in connections]
            _, slow = await asyncio.wait(draining, timeout=self._settings.limits.close_seconds)
            for task in draining:
                if task in slow:
                    task.cancel()
            await asyncio.gather(*(connection.close() for connection in connections))

    async def serve_forever(self) -> None:
        """Serve until cancelled, then close."""
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            await self.close()

    async def __aenter__(self) -> Server:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    def __await__(self) -> Generator[Any, None, Server]:
        return self.__aenter__().__await__()

    def __repr__(self) -> str:
        return f"<Server {' '.join(self._bound) or 'not listening'} connections={len(self.connections)}>"

    def accept(self) -> Connection:
        """The server's end of one more connection: for the transport of a client that comes, or one of your own."""
        return self.connection_class(
            self._settings,
            listens=True,
            root_for=self._root_for,
            on_made=self._on_made,
            on_lost=self._on_lost,
        )

    def _admit_connection(self, connection: Connection) -> None:
        if self._closed:  # it was accepted at the very end
            connection.abort("the server is closed", level=logging.DEBUG)
            return
        if not self._has_room():
            most = self._settings.limits.connections
            connection.abort(f"over Limits.connections={most}", level=logging.DEBUG)
            return
        self._is_full = False
        self._connections[connection] = None

    def _has_room(self, coming: int = 0) -> bool:
        """Whether one more client may come while so many are on their way; the log is told when that ceases."""
        most = self._settings.limits.connections
        count = len(self.connections) + coming
        if count < most:
            return True
        if not self._is_full:  # once: whoever attacks would have the log filled
            self._is_full = True
            text = "further connections are cut off: over Limits.connections=%s"
            Event.SERVER_FULL.log(text, most, connections=count, limit="connections")
        return False

    def _forget_connection(self, connection: Connection) -> None:
        self._connections.pop(connection, None)

    def _listen_at(self, place: Place) -> None:
        seconds = self._settings.limits.handshake_seconds
        self._add(Listener(place, self.accept, self._tls_contexts, seconds, self._has_room))

    def _add(self, listener: Listener | LoopsListener) -> None:
        self._listeners.append(listener)
        self._bound.append(listener.url)
        Event.SERVER_LISTENING.log("listening at %s", listener.url, url=listener.url)

    async def _stop_listening(self) -> None:
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener.close()
        await asyncio.gather(*(listener.wait_closed() for listener in listeners))


def _root_for(root: Referenceable | Portal | RootFactory) -> Callable[[Connection], Referenceable]:
    if isinstance(root, Root):
        return lambda connection: _checked(hook(root, "root_object")(connection))
    if isinstance(root, Referenceable):
        return lambda connection: root
    if isinstance(root, Portal):
        return lambda connection: PortalRoot(root, Link(connection))
    if callable(root):
        _check_takes_a_connection(root)
        return lambda connection: _checked(root(connection))
    raise TypeError(f"a root is a Referenceable, a Portal, or a function that makes one; not {type(root).__name__}")


def _check_takes_a_connection(factory: RootFactory) -> None:
    try:
        parameters = inspect.signature(factory)
    except ValueError:  # a few of C's have none that could be looked at
        return
    try:
        parameters.bind(None)
    except TypeError as error:
        name = getattr(factory, "__qualname__", repr(factory))
        raise TypeError(
            f"{name} is called with each connection, to make its root, and does not take one: {error}; an object for"
            " everybody is made first, as in serve(Echoer(), url)"
        ) from None


def _checked(root: object) -> Referenceable:
    if not isinstance(root, Referenceable):
        raise TypeError(f"the root object must be a Referenceable, not {type(root).__name__}")
    return root
