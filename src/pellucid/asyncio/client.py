"""Connecting to a server."""

from __future__ import annotations

import asyncio
import errno
import logging
import ssl
from collections.abc import Generator, Iterable
from typing import Any

from pellucid.asyncio.connection import Connection, Settings
from pellucid.asyncio.tls import TLS, check_tls, client_context
from pellucid.asyncio.tls_failures import why_no_server
from pellucid.errors import ConnectFailed, NoCommonDialect, RemoteProtocolError
from pellucid.flavors.policy import DEFAULT_POLICY, Policy
from pellucid.flavors.registry import DEFAULT_REGISTRY, Registry
from pellucid.limits import DEFAULT_LIMITS, Limits
from pellucid.urls import TCPURL, UnixURL, parse_url
from pellucid.wire.dialect import Sharing
from pellucid.wire.dialects import dialects_named, sharing_named

__all__ = ["Connecting", "connect"]

_SILENT = "; a server for pbs:// URLs says nothing to a client without TLS: is it one?"


def connect(
    url: str,
    *,
    registry: Registry = DEFAULT_REGISTRY,
    policy: Policy | None = None,
    limits: Limits | None = None,
    dialects: Iterable[str] | None = None,
    tls: ssl.SSLContext | TLS | None = None,
    sharing: Sharing = "tree",
    unsafe_tracebacks: bool = False,
    validate: bool = False,
) -> Connecting:
    """Connect to the server at `url`: ``async with connect(url) as connection``, or ``await connect(url)``.

    `registry`, `policy` and `limits` say what may cross; `dialects` are the names of wire languages to speak, all of
    them by default. `sharing` is for the native dialect: with "tree", what is met twice in one message arrives as two
    copies; with "graph" as one object, as it always does over the PB dialects, and that costs time. `tls` is for
    ``pbs://`` URLs, a `TLS` or an `ssl.SSLContext`; without it the server needs a certificate of an authority that the
    system trusts. That, and the server's name, are always checked, unless an `ssl.SSLContext` says otherwise. With
    `unsafe_tracebacks` the peer is shown the traceback of what fails here. With `validate` the arguments of its calls
    to objects of this side are checked by the annotations of the methods; a class that was made with ``validate=`` has
    its own say.

    Raises:
        ValueError: `url` is none, `tls` is not needed or a file of it can't be used, or `dialects` has an unknown name.
        TypeError: `url` is no text, `tls` is neither of the two, or `dialects` is one text.

    Awaiting it raises:
        ConnectFailed: nobody answers there, or not within `Limits.connect_seconds`, or who answers can't be trusted.
        NoCommonDialect: the server speaks none of the dialects.
    """
    settings = Settings(
        registry=registry,
        policy=policy or DEFAULT_POLICY,
        limits=limits or DEFAULT_LIMITS,
        dialects=dialects_named(dialects),
        sharing=sharing_named(sharing),
        unsafe_tracebacks=unsafe_tracebacks,
        validate=validate,
    )
    where = parse_url(url)
    if tls is not None and (isinstance(where, UnixURL) or not where.tls):
        raise ValueError(f"tls= is for pbs:// URLs, and {url!r} is none")
    check_tls(tls)
    context = client_context(tls) if isinstance(where, TCPURL) and where.tls else None
    return Connecting(where, settings, context)


class Connecting:
    """A connection about to be made: await it, or enter it with ``async with``, which closes it at the end."""

    connection_class: type[Connection] = Connection
    """What it makes: a front may have more to it."""

    def __init__(self, where: TCPURL | UnixURL, settings: Settings, tls: ssl.SSLContext | None) -> None:
        self._where = where
        self._settings = settings
        self._tls = tls
        self._connection: Connection | None = None

    def __await__(self) -> Generator[Any, None, Connection]:
        return self._connect().__await__()

    async def __aenter__(self) -> Connection:
        self._connection = await self._connect()
        return self._connection

    async def __aexit__(self, *exc_info: object) -> None:
        if self._connection is not None:
            await self._connection.close()

    def __repr__(self) -> str:
        return f"<Connecting to {self._where}>"

    def begin(self) -> Connection:
        """The client's end, for a transport of your own; it is connected once its `ready` is done."""
        return self.connection_class(self._settings, listens=False)

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        where = self._where
        connection = self.begin()
        seconds = self._settings.limits.connect_seconds
        try:
            async with asyncio.timeout(seconds):
                if isinstance(where, UnixURL):
                    await loop.create_unix_connection(lambda: connection, where.path)
                else:
                    await loop.create_connection(lambda: connection, where.host, where.port, ssl=self._tls)
                    _refuse_itself(connection)
                await connection.ready
        except TimeoutError as error:
            silent = _SILENT if connection.peer and self._tls is None else ""
            connection.abort("connecting took too long", level=logging.DEBUG)
            limit = f"{seconds} s (Limits.connect_seconds)"
            raise ConnectFailed(f"no connection to {where} within {limit}{silent}") from error
        except RemoteProtocolError as error:
            raise ConnectFailed(f"what answers at {where} does not speak PB: {error}") from error
        except NoCommonDialect:
            raise
        except (OSError, ConnectFailed) as error:
            raise ConnectFailed(f"no connection to {where}: {_why(error, where)}") from error
        except BaseException:
            connection.abort("connecting was given up", level=logging.DEBUG)
            raise
        return connection


def _refuse_itself(connection: Connection) -> None:
    """Raise ConnectionRefusedError where a client of this machine has become its own peer.

    TCP allows that where nobody listens at a port, and the system chose the same one for the client's end.
    """
    transport = connection.transport
    if transport is not None and transport.get_extra_info("sockname") == transport.get_extra_info("peername"):
        connection.abort("it is connected to itself", level=logging.DEBUG)
        raise ConnectionRefusedError(errno.ECONNREFUSED, "nobody listens there")


def _why(error: OSError | ConnectFailed, where: TCPURL | UnixURL) -> str:
    if isinstance(where, TCPURL) and where.tls:
        return why_no_server(error, where.host)
    return f"{error}{_SILENT}" if isinstance(error, ConnectFailed) and isinstance(where, TCPURL) else str(error)
