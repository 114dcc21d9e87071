"""Listening with TLS.

The loop's own servers have one context for all clients, and tell nobody when a handshake fails. So here each client is
accepted first, and then given the context of that moment.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from pellucid.asyncio.connection import address_text
from pellucid.asyncio.tls_failures import why_no_client

__all__ = ["SecureListener", "listening_sockets", "sockets_at"]

log: logging.Logger = logging.getLogger("pellucid")

# As the loop's servers have them: how many clients may wait to be accepted, and for how long when the system has no
# descriptor or memory for another.
_BACKLOG = 100
_RETRY_SECONDS = 1.0


async def listening_sockets(host: str, port: int) -> list[socket.socket]:
    """A socket that listens for each address of `host`.

    Raises:
        OSError: there is none, or somebody listens there already.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return sockets_at(dict.fromkeys((family, address) for family, _, _, _, address in found))


def sockets_at(addresses: Iterable[tuple[int, Any]]) -> list[socket.socket]:
    """A socket that listens for each address, given with its family; those aside whose family the system has not.

    `localhost` may have an address of IPv6 all the same.

    Raises:
        OSError: none is left, or somebody listens at one already.
    """
    sockets: list[socket.socket] = []
    unknown: OSError | None = None
    try:
        for family, address in addresses:
            try:
                sockets.append(socket.create_server(address, family=family, backlog=_BACKLOG))
            except OSError as error:
                if error.errno != errno.EAFNOSUPPORT:
                    raise
                unknown = error
        if unknown is not None and not sockets:
            raise unknown
    except BaseException:
        for sock in sockets:
            sock.close()
        raise
    return sockets


class SecureListener:
    """Accepts clients at sockets, until it is closed, and makes connections of those that get through the handshake."""

    def __init__(
        self,
        sockets: Iterable[socket.socket],
        accept: Callable[[], asyncio.Protocol],
        contexts: Callable[[], ssl.SSLContext],
        handshake_seconds: float,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._accept = accept
        self._contexts = contexts
        self._handshake_seconds = handshake_seconds
        self._tasks: set[asyncio.Task[None]] = set()
        self._sockets = tuple(sockets)
        self._untouched: set[socket.socket] = set()  # those of clients whose handshake has not begun
        for sock in self._sockets:
            sock.setblocking(False)
            self._begin(self._listen(sock))

    def close(self) -> None:
        """Accept no more clients, and give up handshakes under way. Connections that are made live on."""
        for task in self._tasks:
            task.cancel()

    async def wait_closed(self) -> None:
        """Return once the sockets are closed."""
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for sock in (*self._sockets, *self._untouched):
            sock.close()

    async def _listen(self, sock: socket.socket) -> None:
        is_exhausted = False
        while True:
            try:
                accepted, address = await self._next_client(sock)
            except ConnectionAbortedError:
                continue  # it was gone before it was accepted
            except OSError as error:
                if not is_exhausted:  # once: it may go on for long
                    is_exhausted = True
                    log.error("no further clients for now: %s", error, extra={"event": "server.exhausted"})
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                is_exhausted = False
                self._untouched.add(accepted)
                self._begin(self._shake_hands(accepted, address_text(address)))
                await asyncio.sleep(0)  # those who have a connection get their turn, however many come

    async def _next_client(self, sock: socket.socket) -> tuple[socket.socket, tuple[Any, ...]]:
        # `sock_accept` of the loop may have a client already when it is cancelled, and forgets it. This hasn't.
        while True:
            try:
                return sock.accept()
            except BlockingIOError:
                readable = self._loop.create_future()
            try:
                self._loop.add_reader(sock, _note, readable)
            except NotImplementedError:  # that of Windows can't wait for this
                return await self._loop.sock_accept(sock)
            try:
                await readable
            finally:
                self._loop.remove_reader(sock)

    async def _shake_hands(self, sock: socket.socket, peer: str) -> None:
        self._untouched.remove(sock)
        seconds = self._handshake_seconds
        try:
            # asyncio does so by itself only where the listening socket was made with the number of this protocol.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await self._loop.connect_accepted_socket(
                self._accept, sock, ssl=self._contexts(), ssl_handshake_timeout=seconds
            )
        except OSError as error:
            # Who connects and leaves, as those do who look whether a port is open, is no matter for a warning.
            level = logging.INFO if isinstance(error, ConnectionResetError | BrokenPipeError) else logging.WARNING
            why = why_no_client(error, seconds)
            log.log(level, "no connection with %s: %s", peer, why, extra={"event": "tls.failed", "peer": peer})

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _note(readable: asyncio.Future[None]) -> None:
    if not readable.done():
        readable.set_result(None)
