"""The client's half of a login.

Facts on PB's own from Twisted 26.10 (``twisted.spread.pb``): the root answers ``login(username)`` with a challenge and
an object; that object's ``respond(response, mind)`` answers with the avatar, and so does the root's
``loginAnonymous(mind)``. The others are pellucid's: docs/reference/protocol-native.md.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import ParamSpec, Protocol, TypeVar, runtime_checkable

from pellucid.auth.challenge import CHALLENGE_BYTES, respond
from pellucid.auth.credentials import Anonymous, Bearer, Certificate, Password, PlainPassword
from pellucid.auth.keys import has_scram
from pellucid.auth.scram import UNBOUND, ClientExchange
from pellucid.errors import NoSuchMethod, RemoteProtocolError, UnhandledCredentials, UnprotectedLogin

__all__ = ["Callee", "ClientLink", "login", "parse_challenge"]

P = ParamSpec("P")
T = TypeVar("T")

# Ours and Twisted's servers send CHALLENGE_BYTES; no server has reason to send more than this.
_MAX_CHALLENGE_BYTES = 64

_PROTECTED = "TLS that checks the server's certificate, a loopback address or a unix socket"


@runtime_checkable
class Callee(Protocol):
    """What a client logs in with: a reference, whose calls can be awaited."""

    def call(self, name: str, /, *args: object) -> Awaitable[object]:
        """Call the method `name`."""
        ...


class ClientLink(Protocol):
    """What the client's half needs to know of its connection."""

    @property
    def native(self) -> bool:
        """Whether it speaks a dialect of pellucid's own, so that the peer is likely to have more logins than PB's."""
        ...

    @property
    def certificate(self) -> bytes | None:
        """The server's certificate, in DER, where the connection is TLS."""
        ...

    def work(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        """The result of a function that computes for a while, and holds up nobody."""
        ...

    @property
    def protected(self) -> bool:
        """Whether nobody on the way can listen, nor answer in the server's place.

        So it is with TLS where the certificate was checked, a loopback address or a unix socket.
        """
        ...


async def login(
    root: Callee, credentials: object, mind: object = None, *, link: ClientLink, allow_md5: bool = False
) -> object:
    """Log in at a peer's `root`, and return the reference to the avatar.

    `mind` is handed to the peer's realm: None, or any value that may cross, often a Referenceable for the avatar to
    call. `allow_md5` has PB's login of a `Password` used over any `link`, not only over one that is protected.

    Raises:
        UnhandledCredentials: credentials of another kind, or of one that the peer does not take.
        UnprotectedLogin: they are not to be sent over this `link`. Nothing made from them was.
        UnauthorizedLogin: the peer refuses them.
        TooManyLogins: it does not look at them for now.
        NoSuchMethod: it has no logins, or none by these.
        RemoteProtocolError: what answers does not keep to the rules of a login, or has not proved who it is.
        ValueError: a username or password has characters that SCRAM does not allow. Nothing made from it was sent.
    """
    try:
        return await _log_in(root, credentials, mind, link, allow_md5)
    except NoSuchMethod as error:
        kind = type(credentials).__name__
        raise NoSuchMethod(f"the server takes no login by {kind} ({error}): does it publish a Portal?") from None


async def _log_in(root: Callee, credentials: object, mind: object, link: ClientLink, allow_md5: bool) -> object:
    match credentials:
        case Anonymous():
            return await root.call("loginAnonymous", mind)
        case Password():
            return await _log_in_by_password(root, credentials, mind, link, allow_md5)
        case PlainPassword(username, password):
            if not link.protected:
                raise UnprotectedLogin(f"a PlainPassword is sent over {_PROTECTED} alone")
            return await root.call("loginPlain", username, password, mind)
        case Bearer(token):
            if not link.protected:
                raise UnprotectedLogin(f"a Bearer token is sent over {_PROTECTED} alone")
            return await root.call("loginBearer", token, mind)
        case Certificate():
            return await root.call("loginCertificate", mind)
        case _:
            kind = type(credentials).__name__
            raise UnhandledCredentials(
                f"a login sends what a client has, such as Anonymous() or Password(username, password), not {kind}"
            )


async def _log_in_by_password(
    root: Callee, credentials: Password, mind: object, link: ClientLink, allow_md5: bool
) -> object:
    md5_may_be_used = link.protected or allow_md5
    # Over PB's dialects the peer is a program of PB's, as a rule: it would log that it was asked for what it has not.
    if link.native or not md5_may_be_used:
        offered = await _mechanisms(root)
        if UNBOUND in offered and has_scram():
            return await _log_in_by_scram(root, credentials, mind, link, offered)
    if not md5_may_be_used:
        raise UnprotectedLogin(
            "the server has no SCRAM, or pellucid[scram] is not installed here, and PB's md5 login is for"
            f" {_PROTECTED} alone: over this connection others could guess the password from it. Connect with a pbs://"
            " URL, or allow it with login(..., allow_md5=True)"
        )
    try:
        # Bytes: Twisted's own checkers hold usernames as bytes, and refuse the same name as text.
        answer = await root.call("login", credentials.username.encode())
    except (UnhandledCredentials, UnprotectedLogin):  # it does not take md5, or not here
        offered = () if link.native else await _mechanisms(root)
        if UNBOUND in offered and has_scram():
            return await _log_in_by_scram(root, credentials, mind, link, offered)
        raise
    challenge, challenger = parse_challenge(answer)
    return await challenger.call("respond", respond(challenge, credentials.password), mind)


async def _mechanisms(root: Callee) -> Collection[str]:
    """The mechanisms that the peer says it has: none, where it is too old to be asked."""
    try:
        answer = await root.call("mechanisms")
    except NoSuchMethod:
        return ()
    match answer:
        case list() if all(isinstance(name, str) for name in answer):
            return answer
        case _:
            raise RemoteProtocolError(f"the peer's mechanisms are a {type(answer).__name__}, not a list of names")


async def _log_in_by_scram(
    root: Callee, credentials: Password, mind: object, link: ClientLink, offered: Collection[str]
) -> object:
    exchange = ClientExchange(credentials, offered, link.certificate)
    match await root.call("scram", exchange.first):
        case (first, Callee() as finisher):
            final = await link.work(exchange.answer, first)
        case _:
            raise RemoteProtocolError("the peer answered scram with something else than a message and a reference")
    match await finisher.call("finish", final, mind):
        case (avatar, last):
            exchange.verify(last)  # an impostor's avatar is not handed out
            return avatar
        case _:
            raise RemoteProtocolError("the peer answered finish with something else than an avatar and a message")


def parse_challenge(answer: object) -> tuple[bytes, Callee]:
    """The challenge, and the object to respond to, in a peer's answer to ``login``.

    Raises:
        RemoteProtocolError: it is something else.
    """
    match answer:
        case (bytes() as challenge, Callee() as challenger):
            if CHALLENGE_BYTES <= len(challenge) <= _MAX_CHALLENGE_BYTES:
                return challenge, challenger
            bounds = f"{CHALLENGE_BYTES} to {_MAX_CHALLENGE_BYTES}"
            raise RemoteProtocolError(f"the peer's challenge has {len(challenge)} bytes, not {bounds}")
        case _:
            kind = type(answer).__name__
            raise RemoteProtocolError(f"the peer answered login with a {kind}, not with a challenge and a reference")
