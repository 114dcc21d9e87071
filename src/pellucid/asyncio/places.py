"""Where servers listen, at URLs and with sockets that were handed in; and where peers are, as text."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from pellucid.urls import TCPURL, UnixURL

__all__ = ["BACKLOG", "Place", "address_text", "bind", "given", "is_unix", "naming", "peer_of", "sockets_at"]

BACKLOG = 1024
"""Clients that the system keeps until they are accepted. It drops the greetings of further ones, who try again after a
second: so many may come back at once after a restart."""


class Place(NamedTuple):
    """Where to listen."""

    url: str
    """What clients connect to."""
    sockets: list[socket.socket]
    tls: bool = False
    file: tuple[Path, int] | None = None
    """The path and the inode of a Unix socket that was made for this."""

    def close(self) -> None:
        """Nobody listens here any more."""
        for sock in self.sockets:
            sock.close()
        if self.file is not None:
            path, inode = self.file
            if path.exists() and path.stat().st_ino == inode:  # and nothing else has taken its place
                path.unlink()


async def bind(url: TCPURL | UnixURL) -> Place:
    """Sockets that listen at `url`.

    Raises:
        OSError: there can be none; the text names the URL.
    """
    try:
        return _bind_unix(url) if isinstance(url, UnixURL) else await _bind_tcp(url)
    except OSError as error:
        raise naming(url, error) from error


def naming(url: TCPURL | UnixURL, error: OSError) -> OSError:
    """`error` with a text that tells where one can't listen."""
    # A positive number is the system's; Python adds the address, asyncio more than that.
    why = os.strerror(error.errno) if error.errno is not None and error.errno > 0 else error.strerror or error
    text = f"can't listen at {url}: {why}"
    return OSError(text) if error.errno is None else OSError(error.errno, text)


def given(sock: socket.socket, *, tls: bool) -> Place:
    """A socket that was handed in: it listens, or it is bound and does so from now on."""
    sock.setblocking(False)
    sock.listen(BACKLOG)
    if is_unix(sock):
        return Place(f"pb+unix:{sock.getsockname()}", [sock])
    host, port = sock.getsockname()[:2]
    return Place(str(TCPURL(host, port, tls)), [sock], tls)


def is_unix(sock: Any) -> bool:
    """Whether that socket, or what stands for one in a transport, is one of those that are files."""
    return bool(sock.family == getattr(socket, "AF_UNIX", None))


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
                sockets.append(socket.create_server(address, family=family, backlog=BACKLOG))
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


async def _bind_tcp(url: TCPURL) -> Place:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(url.host, url.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets = sockets_at(dict.fromkeys((family, address) for family, _, _, _, address in found))
    for sock in sockets:
        sock.setblocking(False)
    return Place(str(replace(url, port=sockets[0].getsockname()[1])), sockets, url.tls)


def _bind_unix(url: UnixURL) -> Place:
    path = Path(url.path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if _is_left_behind(path):
            path.unlink()
        sock.bind(url.path)
        sock.setblocking(False)
        sock.listen(BACKLOG)
        return Place(str(url), [sock], file=(path, path.stat().st_ino))
    except BaseException:
        sock.close()
        raise


def _is_left_behind(path: Path) -> bool:
    """Whether a socket is there at which nobody listens: its server has ended without removing it."""
    if not path.is_socket():
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        return probe.connect_ex(str(path)) == errno.ECONNREFUSED


def peer_of(transport: asyncio.BaseTransport) -> str:
    """The address of the peer at the other end of `transport`."""
    name = transport.get_extra_info("peername")
    if isinstance(name, tuple):
        return address_text(name)
    here = transport.get_extra_info("sockname")
    return "a peer that has gone" if isinstance(here, tuple) else f"unix:{here or name}"


def address_text(address: tuple[Any, ...]) -> str:
    """The address of a TCP socket, as the system tells it."""
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
