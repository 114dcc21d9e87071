"""Logins, as a connection of this door lets them happen."""

from __future__ import annotations

import asyncio
import secrets
import ssl
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from pellucid.asyncio.events import Event
from pellucid.asyncio.places import is_unix
from pellucid.asyncio.threads import in_thread
from pellucid.auth import Login, PeerCertificate
from pellucid.auth.addresses import is_loopback
from pellucid.flavors.referenceable import AvatarReference

if TYPE_CHECKING:
    from pellucid.asyncio.connection import Connection

__all__ = ["Link", "clip", "is_protected"]

P = ParamSpec("P")
T = TypeVar("T")

_CLIP = 100
"""Characters of a name in the log: a peer chooses how many there are."""


class Link:
    """What the login at either end needs of its connection."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def protected(self) -> bool:
        """Whether nobody else can listen, nor, for a client, answer in the server's place."""
        return is_protected(self._connection.transport)

    @property
    def host(self) -> str:
        """The peer's address, without a port."""
        peer = self._connection.peer
        return peer if peer.startswith("unix:") else peer.rpartition(":")[0].strip("[]")

    @property
    def native(self) -> bool:
        """Whether the dialect spoken is pellucid's own."""
        return self._connection.dialect == "pellucid"

    @property
    def certificate(self) -> bytes | None:
        """The server's certificate, in DER, where the connection is TLS and it is known here."""
        return self._connection.server_certificate

    @property
    def peer_certificate(self) -> PeerCertificate | None:
        """The client's, at a server, where TLS has asked for one and verified it."""
        told, transport = self._connection.peer_certificate, self._connection.transport
        if told is None or transport is None:
            return None
        subject = tuple(pair for part in told.get("subject", ()) for pair in part)
        der: bytes = transport.get_extra_info("ssl_object").getpeercert(True)
        return PeerCertificate(subject, tuple(told.get("subjectAltName", ())), der)

    def work(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        """The result of a function that computes for a while, from a thread."""
        return in_thread(function)(*args, **kwargs)

    async def within(self, seconds: float, work: Awaitable[T]) -> T:
        """The result of `work`; where that fails, or takes longer, TimeoutError after exactly so many `seconds`."""
        until, failure = self._connection.loop.time() + seconds, None
        try:
            async with asyncio.timeout_at(until):
                return await work
        except Exception as error:  # noqa: BLE001 - its peer is to see none of it
            failure = error
        await asyncio.sleep(until - self._connection.loop.time())
        raise TimeoutError from failure

    def now(self) -> float:
        """The time in seconds, by the loop's clock."""
        return self._connection.now()

    def random_bytes(self, size: int) -> bytes:
        """So many bytes from the system's secure source."""
        return secrets.token_bytes(size)

    def admit(self, login: Login) -> AvatarReference:
        """The avatar as it is sent, its logout bound to the peer's hold of it."""
        connection = self._connection
        avatar = AvatarReference(login.avatar)
        connection.when_gone(avatar, login.logout)
        connection.let_in()
        who = clip(login.avatar_id)
        Event.LOGIN_GRANTED.log(
            "%s logged in as %s", connection.peer, repr(who), fields=connection.fields, avatar_id=who
        )
        return avatar


def is_protected(transport: asyncio.BaseTransport | None) -> bool:
    """Whether credentials may be sent over `transport`: TLS, a loopback address or a unix socket."""
    if transport is None:
        return False
    tls: Any = transport.get_extra_info("ssl_object")
    # Where a client does not check the certificate, anybody could be the server.
    if tls is not None and (tls.server_side or tls.context.verify_mode == ssl.CERT_REQUIRED):
        return True
    sock, peer = transport.get_extra_info("socket"), transport.get_extra_info("peername")
    if sock is not None and is_unix(sock):
        return True
    return isinstance(peer, tuple) and is_loopback(str(peer[0]))


def clip(name: str | None) -> str | None:
    """`name` as far as it goes into a line of the log."""
    return name if name is None or len(name) <= _CLIP else f"{name[:_CLIP]}..."
