"""What the fixtures give: see `pellucid.pytest_plugin`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from typing import Any, Protocol

from pellucid.asyncio.client import connect
from pellucid.asyncio.connection import Connection
from pellucid.asyncio.server import Server, serve
from pellucid.blocking import connection as blocking_connection
from pellucid.blocking import references as blocking_references
from pellucid.blocking import server as blocking_server
from pellucid.blocking.loop import the_loop
from pellucid.core.references import RemoteReference
from pellucid.testing.in_memory import Pair, pair
from pellucid.testing.leaks import Watch

__all__ = ["BlockingServed", "Kit", "PairFactory", "ServeFactory", "Served", "Serving"]

HERE = "pb://127.0.0.1:0"
"""Listening there takes any free port of this machine."""


class ServeFactory(Protocol):
    """What `pellucid_serve` is."""

    def __call__(
        self, root: Any, *, client: Mapping[str, Any] | None = None, leaks: bool = True, **options: Any
    ) -> Serving:
        """Serve `root` with `options` of `pellucid.serve`, and connect with those in `client`.

        With ``leaks=False`` nobody looks at what is left.
        """
        ...


class PairFactory(Protocol):
    """What `pellucid_pair` is."""

    def __call__(
        self, root: Any, *, client: Mapping[str, Any] | None = None, leaks: bool = True, **options: Any
    ) -> AbstractAsyncContextManager[Pair]:
        """Join a server that publishes `root` with a client, in memory; the parameters are as of `pellucid_serve`."""
        ...


class Kit:
    """All that one test has of this."""

    def __init__(self) -> None:
        self._watch = Watch()

    def serve(
        self, root: Any, *, client: Mapping[str, Any] | None = None, leaks: bool = True, **options: Any
    ) -> Serving:
        """See `ServeFactory`."""
        return Serving(root, dict(client or {}), options, self._watch_for(root, leaks=leaks))

    @asynccontextmanager
    async def pair(
        self, root: Any, *, client: Mapping[str, Any] | None = None, leaks: bool = True, **options: Any
    ) -> AsyncGenerator[Pair]:
        """See `PairFactory`."""
        watch = self._watch_for(root, leaks=leaks)
        async with pair(
            root,
            client=client,
            client_class=watch.over(Connection, "the client's end"),
            server_class=watch.over(Connection, "the server's end"),
            **options,
        ) as joined:
            try:
                yield joined
            finally:
                watch.note()

    def leaks(self) -> list[str]:
        """What is held after the end of it all."""
        return self._watch.leaks()

    def _watch_for(self, root: object, *, leaks: bool) -> Watch:
        if not leaks:
            return Watch()
        self._watch.keep(root)
        return self._watch


class Served:
    """Something that is served, and a client that is connected to it."""

    def __init__(self, server: Server, client: Mapping[str, Any], watch: Watch, clients: AsyncExitStack) -> None:
        self.server = server
        """What serves it."""
        self.connection: Connection
        """The client's end of the first connection."""
        self._client = client
        self._clients = clients
        self._class = watch.over(Connection, "the client's end")

    @property
    def url(self) -> str:
        """Where it is served."""
        return self.server.urls[0]

    @property
    def root(self) -> RemoteReference:
        """What it publishes, as the client holds it."""
        return self.connection.root

    async def connect(self, **options: Any) -> Connection:
        """One more client, which is closed at the end; `options` go over those of the first."""
        connecting = connect(self.url, **{**self._client, **options})
        connecting.connection_class = self._class
        return await self._clients.enter_async_context(connecting)


class BlockingServed:
    """Something that is served in the background, and a client that is connected to it, which blocks."""

    def __init__(
        self, server: blocking_server.Server, client: Mapping[str, Any], watch: Watch, clients: ExitStack
    ) -> None:
        self.server = server
        """What serves it."""
        self.connection: blocking_connection.Connection
        """The client's end of the first connection."""
        self._client = client
        self._clients = clients
        self._class = watch.over(blocking_connection.Line, "the client's end")

    @property
    def url(self) -> str:
        """Where it is served."""
        return self.server.urls[0]

    @property
    def root(self) -> blocking_references.RemoteReference:
        """What it publishes, as the client holds it."""
        return self.connection.root

    def connect(self, **options: Any) -> blocking_connection.Connection:
        """One more client, which is closed at the end; `options` go over those of the first."""
        connecting = connect(self.url, **{**self._client, **options})
        connecting.connection_class = self._class
        return self._clients.enter_context(blocking_connection.connected(connecting))


class Serving:
    """Something that is about to be served: enter it with ``async with``, or with ``with`` where code blocks."""

    def __init__(self, root: Any, client: dict[str, Any], options: dict[str, Any], watch: Watch) -> None:
        self._root = root
        self._client = client
        self._options = options
        self._watch = watch
        self._entered: Any = None

    async def __aenter__(self) -> Served:
        self._entered = self._serve()
        served: Served = await self._entered.__aenter__()
        return served

    async def __aexit__(self, *exc_info: Any) -> None:
        await self._entered.__aexit__(*exc_info)

    def __enter__(self) -> BlockingServed:
        self._entered = self._serve_in_background()
        served: BlockingServed = self._entered.__enter__()
        return served

    def __exit__(self, *exc_info: Any) -> None:
        self._entered.__exit__(*exc_info)

    @asynccontextmanager
    async def _serve(self) -> AsyncGenerator[Served]:
        server = serve(self._root, HERE, **self._options)
        server.connection_class = self._watch.over(Connection, "the server's end")
        async with server, AsyncExitStack() as clients:
            served = Served(server, self._client, self._watch, clients)
            served.connection = await served.connect()
            try:
                yield served
            finally:
                self._watch.note()

    @contextmanager
    def _serve_in_background(self) -> Generator[BlockingServed]:
        inner = blocking_server.unpublished(self._root, HERE, **self._options)
        inner.connection_class = self._watch.over(blocking_connection.Line, "the server's end")
        with blocking_server.published(inner) as server, ExitStack() as clients:
            served = BlockingServed(server, self._client, self._watch, clients)
            served.connection = served.connect()
            try:
                yield served
            finally:
                the_loop().do(self._watch.note)
