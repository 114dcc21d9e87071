"""PB's login exchange, both halves.

Facts from Twisted 26.10 (``twisted.spread.pb``): the root answers ``login(username)`` with a challenge and an object;
that object's ``respond(response, mind)`` answers with the avatar, and so does the root's ``loginAnonymous(mind)``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, runtime_checkable

from pellucid.auth.challenge import CHALLENGE_BYTES, respond
from pellucid.auth.credentials import Anonymous, Password, PasswordChallenge
from pellucid.auth.portal import Login
from pellucid.errors import RemoteProtocolError, UnauthorizedLogin, UnhandledCredentials
from pellucid.flavors.referenceable import Referenceable

__all__ = ["Admit", "Callee", "Guard", "PortalRoot", "login", "parse_challenge"]

# Ours and Twisted's servers send CHALLENGE_BYTES; no server has reason to send more than this.
_MAX_CHALLENGE_BYTES = 64


class Admit(Protocol):
    """How the broker's side lets a login in."""

    def __call__(self, login: Login, /) -> object:
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


class PortalRoot(Referenceable):
    """What one connection publishes in place of a root object where a portal guards it."""

    def __init__(self, portal: Guard, random_bytes: Callable[[int], bytes], admit: Admit) -> None:
        self._portal = portal
        self._random_bytes = random_bytes
        self._admit = admit

    def remote_login(self, username: object) -> tuple[bytes, Referenceable]:
        """A fresh challenge, and the object that takes the response to it. Says nothing about who exists.

        Raises:
            UnauthorizedLogin: `username` is neither text nor UTF-8.
        """
        challenge = self._random_bytes(CHALLENGE_BYTES)
        return challenge, _Challenger(self._portal, self._admit, _as_text(username), challenge)

    async def remote_loginAnonymous(self, mind: object) -> object:  # noqa: N802  # the name on the wire
        """The avatar of nobody in particular.

        Raises:
            UnhandledCredentials: the portal has no checker for `Anonymous`.
        """
        return self._admit(await self._portal.login(Anonymous(), mind))


class _Challenger(Referenceable):
    """Takes the response to one challenge, once."""

    def __init__(self, portal: Guard, admit: Admit, username: str, challenge: bytes) -> None:
        self._portal = portal
        self._admit = admit
        self._username = username
        self._challenge: bytes | None = challenge

    async def remote_respond(self, response: object, mind: object) -> object:
        """The avatar of the user who answered right.

        Raises:
            UnauthorizedLogin: wrong, or not the first response to this challenge.
            UnhandledCredentials: the portal has no checker for `PasswordChallenge`.
        """
        challenge, self._challenge = self._challenge, None
        if challenge is None:
            raise UnauthorizedLogin("this challenge has had its response; log in again")
        if not isinstance(response, bytes):
            raise UnauthorizedLogin("a response is bytes")
        credentials = PasswordChallenge(self._username, challenge, response)
        return self._admit(await self._portal.login(credentials, mind))


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


async def login(root: Callee, credentials: object, mind: object = None) -> object:
    """Log in at a peer's `root`, and return the reference to the avatar.

    `mind` is handed to the peer's realm: None, or any value that may cross, often a Referenceable for the avatar to
    call. An `Anonymous` or a `Password` can be sent.

    Raises:
        UnhandledCredentials: credentials of another kind, or of one that the peer does not take.
        UnauthorizedLogin: the peer refuses them.
        RemoteProtocolError: what answers is not PB's login; nothing made from the password was sent.
    """
    match credentials:
        case Anonymous():
            return await root.call("loginAnonymous", mind)
        case Password(username, password):
            # Bytes: Twisted's own checkers hold usernames as bytes, and refuse the same name as text.
            answer = await root.call("login", username.encode())
            challenge, challenger = parse_challenge(answer)
            return await challenger.call("respond", respond(challenge, password), mind)
        case _:
            kind = type(credentials).__name__
            raise UnhandledCredentials(f"PB's login can send Anonymous() or Password(username, password), not {kind}")


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
