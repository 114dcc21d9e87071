"""Accepting who comes where a server listens.

The loops' own servers have one TLS context for all clients, tell nobody when a handshake fails, and part ways when the
process has no descriptor left: asyncio's logs a hundred tracebacks a second, uvloop's hangs up on whoever comes, and
says nothing. Here clients are accepted first, then given the TLS context of that moment; and where none can be accepted
they wait in the system's queue while the log says so, once.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from pellucid.asyncio.events import Event
from pellucid.asyncio.places import BACKLOG, Place, address_text, naming
from pellucid.asyncio.tls_failures import why_no_client
from pellucid.urls import TCPURL, UnixURL

__all__ = ["Listener", "LoopsListener", "can_watch"]

RETRY_SECONDS = 1.0
"""Seconds until it is tried again to accept where that has failed."""


def can_watch(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether `loop` can tell when a socket is readable. Windows' own can't, nor one that simulates a network."""
    return type(loop).add_reader is not asyncio.AbstractEventLoop.add_reader


class Listener:
    """Accepts clients at one place until it is closed."""

    def __init__(
        self,
        place: Place,
        make_connection: Callable[[], asyncio.Protocol],
        tls_contexts: Callable[[], ssl.SSLContext] | None,
        handshake_seconds: float,
        has_room: Callable[[int], bool] = lambda coming: True,
    ) -> None:
        """`has_room` tells whether one more client may come, where so many are on their way through TLS."""
        self.url: str = place.url
        self._place = place
        self._loop = asyncio.get_running_loop()
        self._make_connection = make_connection
        self._tls_contexts = tls_contexts if place.tls else None
        self._handshake_seconds = handshake_seconds
        self._has_room = has_room
        self._accepting: set[asyncio.Task[None]] = set()
        self._connecting: set[asyncio.Task[None]] = set()
        self._handshakes: set[_Handshake] = set()
        self._untouched: set[socket.socket] = set()  # of clients that the loop was not told of yet
        self._retries: dict[socket.socket, asyncio.TimerHandle] = {}
        self._troubled = self._is_closed = False
        for sock in place.sockets:
            if sock.family in (socket.AF_INET, socket.AF_INET6):
                # Those accepted inherit it. asyncio sees to it by itself only where the socket was made with the number
                # of TCP, and without it small messages wait 40 ms for each other.
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._listen(sock)

    def close(self) -> None:
        """Accept no more clients, and give up handshakes under way. Connections that are made live on."""
        self._is_closed = True
        for retry in self._retries.values():
            retry.cancel()
        for task in self._accepting:
            task.cancel()
        for handshake in self._handshakes:
            handshake.give_up()
        for sock in self._untouched:
            sock.close()
        if can_watch(self._loop):
            for sock in self._place.sockets:
                self._loop.remove_reader(sock)
            self._place.close()

    async def wait_closed(self) -> None:
        """Wait until nothing of it is under way any more."""
        try:
            await asyncio.gather(*self._accepting, *self._connecting, return_exceptions=True)
        finally:
            self._place.close()  # where the loop was at work on its sockets until now

    def _listen(self, sock: socket.socket) -> None:
        if can_watch(self._loop):
            self._retries.pop(sock, None)
            self._loop.add_reader(sock, self._accept_from, sock)
        else:
            self._begin(self._accept_one_by_one(sock), self._accepting)

    def _accept_from(self, sock: socket.socket) -> None:
        # One after another, as what each costs is spread over a few turns of the loop: those of many would come
        # together. Only handshakes are not waited for.
        if self._connecting and self._tls_contexts is None:
            return
        try:
            accepted, address = sock.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            pass  # another process was faster, or it was gone before it was accepted
        except OSError as error:
            self._note_trouble(error)
            self._loop.remove_reader(sock)
            self._retries[sock] = self._loop.call_later(RETRY_SECONDS, self._listen, sock)
        else:
            self._take(accepted, address)

    async def _accept_one_by_one(self, sock: socket.socket) -> None:
        while True:
            try:
                self._take(*await self._loop.sock_accept(sock))
            except ConnectionAbortedError:
                pass
            except OSError as error:
                self._note_trouble(error)
                await asyncio.sleep(RETRY_SECONDS)

    def _take(self, accepted: socket.socket, address: Any) -> None:
        if self._troubled:
            self._troubled = False
            Event.SERVER_RECOVERED.log("accepts connections at %s again", self.url, url=self.url)
        if self._tls_contexts is not None and not self._has_room(len(self._connecting)):
            accepted.close()
            return
        accepted.setblocking(False)
        self._untouched.add(accepted)
        self._begin(self._connect(accepted, address), self._connecting)

    async def _connect(self, sock: socket.socket, address: Any) -> None:
        if self._is_closed:
            return
        self._untouched.remove(sock)
        seconds, contexts = self._handshake_seconds, self._tls_contexts
        try:
            if contexts is None:
                await self._loop.connect_accepted_socket(self._make_connection, sock)
            else:
                await self._shake_hands(sock, contexts())
        except OSError as error:
            if contexts is None:
                return  # it has gone already: that is no news
            # Who connects and leaves, as those do who look whether a port is open, is no matter for a warning.
            level = logging.INFO if isinstance(error, ConnectionResetError | BrokenPipeError) else logging.WARNING
            peer, why = address_text(address), why_no_client(error, seconds)
            Event.TLS_FAILED.log("no connection with %s: %s", peer, why, level=level, peer=peer)

    async def _shake_hands(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        handshake = _Handshake(self._make_connection)
        self._handshakes.add(handshake)
        try:
            await self._loop.connect_accepted_socket(
                handshake.make, sock, ssl=context, ssl_handshake_timeout=self._handshake_seconds
            )
        finally:
            self._handshakes.discard(handshake)

    def _note_trouble(self, error: OSError) -> None:
        if not self._troubled:
            self._troubled = True
            text, why = "can't accept connections at %s, and tries again every %s s: %s", error.strerror or str(error)
            Event.SERVER_EXHAUSTED.log(text, self.url, f"{RETRY_SECONDS:g}", why, url=self.url, seconds=RETRY_SECONDS)

    def _begin(self, work: Coroutine[Any, Any, None], tasks: set[asyncio.Task[None]]) -> None:
        task = self._loop.create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)


class _Handshake:
    """A TLS handshake of a client."""

    def __init__(self, make_connection: Callable[[], asyncio.Protocol]) -> None:
        self._make_connection = make_connection
        self._task = asyncio.current_task()
        self._connection: asyncio.Protocol | None = None

    def make(self) -> asyncio.Protocol:
        """What is to be connected when it has succeeded."""
        self._connection = self._make_connection()
        return self._connection

    def give_up(self) -> None:
        """End it, unless it has succeeded: uvloop would forget to tell the connection that it ends."""
        if not getattr(self._connection, "peer", "") and self._task is not None:
            self._task.cancel()


class LoopsListener:
    """A server of the loop's own, without TLS, on loops that can't watch sockets."""

    def __init__(self, url: str, server: asyncio.AbstractServer) -> None:
        self.url = url
        self._server = server

    @classmethod
    async def at(cls, url: TCPURL | UnixURL, make_connection: Callable[[], asyncio.Protocol]) -> LoopsListener:
        """Listen at `url`.

        Raises:
            OSError: one can't; the text names the URL.
        """
        loop = asyncio.get_running_loop()
        try:
            if isinstance(url, UnixURL):
                return cls(str(url), await loop.create_unix_server(make_connection, url.path))
            server = await loop.create_server(make_connection, url.host, url.port, backlog=BACKLOG)
        except OSError as error:
            raise naming(url, error) from error
        return cls(str(replace(url, port=server.sockets[0].getsockname()[1])), server)

    def close(self) -> None:
        """Accept no more clients."""
        self._server.close()

    async def wait_closed(self) -> None:
        """Wait for nothing: that of asyncio's waits for the connections, too, from Python 3.12 on."""
