"""The exchange of a login, both halves.

Facts on PB's own from Twisted 26.10 (``twisted.spread.pb``): the root answers ``login(username)`` with a challenge and
an object; that object's ``respond(response, mind)`` answers with the avatar, and so does the root's
``loginAnonymous(mind)``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, runtime_checkable

from pellucid.auth.challenge import CHALLENGE_BYTES, respond
from pellucid.auth.credentials import Anonymous, Password, PasswordChallenge
from pellucid.auth.portal import Login, Portal
from pellucid.errors import (
    LoginFailed,
    RemoteProtocolError,
    UnauthorizedLogin,
    UnhandledCredentials,
    UnprotectedLogin,
)
from pellucid.flavors.referenceable import Referenceable

__all__ = [
    "Admit",
    "Callee",
    "ClientLink",
    "Guard",
    "PBPortalRoot",
    "PortalRoot",
    "ServerLink",
    "login",
    "parse_challenge",
]

# Ours and Twisted's servers send CHALLENGE_BYTES; no server has reason to send more than this.
_MAX_CHALLENGE_BYTES = 64

_PROTECTED = "TLS, a loopback address or a unix socket"


class ClientLink(Protocol):
    """What the client's half needs to know of its connection."""

    @property
    def protected(self) -> bool:
        """Whether nobody on the way can listen, nor answer in the server's place.

        So it is with TLS where the certificate was checked, a loopback address or a unix socket.
        """
        ...


class ServerLink(Protocol):
    """What the server's half needs of its connection."""

    @property
    def protected(self) -> bool:
        """Whether nobody on the way can listen: TLS, a loopback address or a unix socket."""
        ...

    @property
    def host(self) -> str:
        """The peer's address, without a port."""
        ...

    def now(self) -> float:
        """The time in seconds, by a clock that does not go back."""
        ...

    def random_bytes(self, size: int, /) -> bytes:
        """So many bytes that nobody can guess."""
        ...

    def admit(self, login: Login, /) -> object:
        """What to send for the avatar: something whose calls reach its ``perspective_*`` methods.

        From here on it answers for ``login.logout``: called exactly once, whether the peer lets go of the avatar, is
        disconnected, or was gone before its credentials were checked.
        """
        ...


class Guard(Protocol):
    """What decides on logins: a `Portal`, or something that stands for another kind of portal."""

    async def login(self, credentials: object, mind: object) -> Login:
        """Grant a login. Raises UnauthorizedLogin or UnhandledCredentials where there is to be none."""
        ...


class Admit(Protocol):
    """How the broker's side lets a login in."""

    def __call__(self, login: Login, /) -> object:
        """As `ServerLink.admit`."""
        ...


class PBPortalRoot(Referenceable):
    """What one connection publishes in place of a root object where a portal guards it: PB's own logins."""

    def __init__(self, portal: Guard, random_bytes: Callable[[int], bytes], admit: Admit) -> None:
        self._guard = portal
        self._random_bytes = random_bytes
        self._admit = admit

    def remote_login(self, username: object) -> tuple[bytes, Referenceable]:
        """A fresh challenge, and the object that takes the response to it. Says nothing about who exists.

        Raises:
            UnauthorizedLogin: `username` is neither text nor UTF-8.
        """
        name = _as_text(username)
        challenge = self._random_bytes(CHALLENGE_BYTES)

        async def respond(response: bytes, mind: object) -> object:
            return await self._enter(name, PasswordChallenge(name, challenge, response), mind)

        return challenge, _Challenger(respond)

    async def remote_loginAnonymous(self, mind: object) -> object:  # noqa: N802  # the name on the wire
        """The avatar of nobody in particular.

        Raises:
            UnhandledCredentials: the portal has no checker for `Anonymous`.
        """
        return await self._enter(None, Anonymous(), mind)

    async def _enter(self, username: str | None, credentials: object, mind: object) -> object:
        return self._admit(await self._guard.login(credentials, mind))


class _Challenger(Referenceable):
    """Takes the response to one challenge, once."""

    def __init__(self, respond: Callable[[bytes, object], Awaitable[object]]) -> None:
        self._respond: Callable[[bytes, object], Awaitable[object]] | None = respond

    async def remote_respond(self, response: object, mind: object) -> object:
        """The avatar of the user who answered right.

        Raises:
            UnauthorizedLogin: wrong, or not the first response to this challenge.
            UnhandledCredentials: the portal has no checker for `PasswordChallenge`.
        """
        respond, self._respond = self._respond, None
        if respond is None:
            raise UnauthorizedLogin("this challenge has had its response; log in again")
        if not isinstance(response, bytes):
            raise UnauthorizedLogin("a response is bytes")
        return await respond(response, mind)


class PortalRoot(PBPortalRoot):
    """The same for a `Portal`, which says what is taken over which connection, and how often a login may fail."""

    def __init__(self, portal: Portal, link: ServerLink) -> None:
        super().__init__(portal, link.random_bytes, link.admit)
        self._portal = portal
        self._link = link

    def remote_login(self, username: object) -> tuple[bytes, Referenceable]:
        """As in `PBPortalRoot`.

        Raises:
            UnhandledCredentials: the portal has no checker for `PasswordChallenge`.
            UnprotectedLogin: the connection is not one for this kind of login.
            TooManyLogins: the response would not be looked at.
        """
        self._portal.checker_for(PasswordChallenge)
        if not (self._link.protected or self._portal.allow_md5):
            raise UnprotectedLogin(
                f"this server takes PB's md5 login over {_PROTECTED} alone; connect so, or have it allowed with"
                " Portal(..., allow_md5=True)"
            )
        self._portal.throttle.check(self._link.host, _as_text(username), self._link.now())
        return super().remote_login(username)

    async def _enter(self, username: str | None, credentials: object, mind: object) -> object:
        link = self._link
        try:
            attempt = self._portal.throttle.begin(link.host, username, link.now())
            login = await self._portal.login(credentials, mind)
        except LoginFailed as error:
            error.username = username
            raise
        attempt.succeeded()
        return self._admit(login)


def _as_text(username: object) -> str:
    match username:
        case str():
            return username
        case bytes():  # how Python 2 sends text, and what `login` sends
            try:
                return username.decode()
            except UnicodeDecodeError:
                raise UnauthorizedLogin("a username is text in UTF-8") from None
        case _:
            raise UnauthorizedLogin("a username is text")


@runtime_checkable
class Callee(Protocol):
    """What a client logs in with: a reference, whose calls can be awaited."""

    def call(self, name: str, /, *args: object) -> Awaitable[object]:
        """Call the method `name`."""
        ...


async def login(
    root: Callee, credentials: object, mind: object = None, *, link: ClientLink, allow_md5: bool = False
) -> object:
    """Log in at a peer's `root`, and return the reference to the avatar.

    `mind` is handed to the peer's realm: None, or any value that may cross, often a Referenceable for the avatar to
    call. An `Anonymous` or a `Password` can be sent. `allow_md5` has PB's login used over any `link`, not only over one
    that is protected.

    Raises:
        UnhandledCredentials: credentials of another kind, or of one that the peer does not take.
        UnprotectedLogin: they are not to be sent over this `link`. Nothing made from them was.
        UnauthorizedLogin: the peer refuses them.
        TooManyLogins: it does not look at them for now.
        RemoteProtocolError: what answers is not a login; nothing made from the password was sent.
    """
    match credentials:
        case Anonymous():
            return await root.call("loginAnonymous", mind)
        case Password():
            if not (link.protected or allow_md5):
                raise UnprotectedLogin(
                    f"PB's md5 login is for {_PROTECTED} alone: over this connection others could guess the password"
                    " from it. Connect with a pbs:// URL, or allow it with login(..., allow_md5=True)"
                )
            return await _log_in_by_md5(root, credentials, mind)
        case _:
            kind = type(credentials).__name__
            raise UnhandledCredentials(f"a login can send Anonymous() or Password(username, password), not {kind}")


async def _log_in_by_md5(root: Callee, credentials: Password, mind: object) -> object:
    # Bytes: Twisted's own checkers hold usernames as bytes, and refuse the same name as text.
    answer = await root.call("login", credentials.username.encode())
    challenge, challenger = parse_challenge(answer)
    return await challenger.call("respond", respond(challenge, credentials.password), mind)


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
