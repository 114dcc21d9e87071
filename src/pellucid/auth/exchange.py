"""The server's half of a login: what a portal publishes.

Facts on PB's own from Twisted 26.10 (``twisted.spread.pb``): the root answers ``login(username)`` with a challenge and
an object; that object's ``respond(response, mind)`` answers with the avatar, and so does the root's
``loginAnonymous(mind)``. The others are pellucid's: docs/reference/protocol-native.md.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import NoReturn, ParamSpec, Protocol, TypeVar

from pellucid.auth.challenge import CHALLENGE_BYTES
from pellucid.auth.credentials import Anonymous, Bearer, PasswordChallenge, PeerCertificate, PlainPassword
from pellucid.auth.portal import Login, Portal
from pellucid.auth.scram import BOUND, UNBOUND, ServerExchange
from pellucid.auth.throttle import Attempt
from pellucid.errors import LoginFailed, UnauthorizedLogin, UnprotectedLogin
from pellucid.flavors.referenceable import Referenceable

__all__ = [
    "Admit",
    "Guard",
    "PBPortalRoot",
    "PortalRoot",
    "ServerLink",
]

P = ParamSpec("P")
T = TypeVar("T")

NAMELESS, BEARER, EXTERNAL, MD5, PLAIN = "ANONYMOUS", "BEARER", "EXTERNAL", "PB-MD5", "PLAIN"
"""Mechanisms beside those of SCRAM, as a server lists them."""

_PROTECTED = "TLS, a loopback address or a unix socket"

_WRONG = "wrong username or password"

_MOST_CHARACTERS = 1024
"""In a username."""


class ServerLink(Protocol):
    """What the server's half needs of its connection."""

    @property
    def protected(self) -> bool:
        """Whether nobody on the way can listen: TLS, a loopback address or a unix socket."""
        ...

    @property
    def certificate(self) -> bytes | None:
        """This server's certificate, in DER, where the connection is TLS and it is known."""
        ...

    @property
    def peer_certificate(self) -> PeerCertificate | None:
        """The client's, where TLS has asked for one and verified it."""
        ...

    @property
    def host(self) -> str:
        """The peer's address, without a port."""
        ...

    def work(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        """The result of a function that computes for a while, and holds up nobody."""
        ...

    def within(self, seconds: float, work: Awaitable[T], /) -> Awaitable[T]:
        """The result of `work`; where that fails, or takes longer, TimeoutError after exactly so many `seconds`."""
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
            UnauthorizedLogin: `username` is neither text nor UTF-8, or has more than 1,024 characters.
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

    def remote_mechanisms(self) -> list[str]:
        """The mechanisms by which one can log in over this connection."""
        return [MD5, NAMELESS]

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
        """
        self._portal.checker_for(PasswordChallenge)
        if not (self._link.protected or self._portal.allow_md5):
            raise UnprotectedLogin(
                f"this server takes PB's md5 login over {_PROTECTED} alone; connect so, or have it allowed with"
                " Portal(..., allow_md5=True)"
            )
        return super().remote_login(username)

    def remote_mechanisms(self) -> list[str]:
        """As in `PBPortalRoot`."""
        portal, link = self._portal, self._link
        keeps_keys = portal.keeper is not None
        offered = {
            BOUND: keeps_keys and link.certificate is not None,
            UNBOUND: keeps_keys,
            PLAIN: link.protected and (keeps_keys or portal.takes(PlainPassword)),
            BEARER: link.protected and portal.takes(Bearer),
            EXTERNAL: link.peer_certificate is not None and portal.takes(PeerCertificate),
            MD5: (link.protected or portal.allow_md5) and portal.takes(PasswordChallenge),
            NAMELESS: portal.takes(Anonymous),
        }
        return [name for name, is_offered in offered.items() if is_offered]

    async def remote_scram(self, first: object) -> tuple[str, Referenceable]:
        """The first of the server's messages of SCRAM-SHA-256, in answer to the client's, and what takes the next.

        Says nothing about who exists.

        Raises:
            UnauthorizedLogin: the message is malformed, or asks for another channel binding than there is.
            UnhandledCredentials: the portal has no checker that keeps keys.
        """
        if self._portal.keeper is None:
            await self._portal.keys_of("")  # says why
        exchange = ServerExchange(first, self._link.certificate)
        username = exchange.username
        known = await self._portal.keys_of(username)

        async def finish(final: object, mind: object) -> object:
            async def look(attempt: Attempt) -> object:
                last = exchange.finish(final)
                # What the client has proved counts as long as it is so: the password may have been changed since.
                if not known.exists or await self._portal.keys_of(username) != known:
                    raise UnauthorizedLogin(_WRONG)
                return await self._grant(attempt, self._portal.grant(username, mind)), last

            return await self._try(username, look)

        return exchange.answer(known.keys), _Finisher(username, finish)

    async def remote_loginPlain(self, username: object, password: object, mind: object) -> object:  # noqa: N802
        """The avatar of the user who has that password.

        Raises:
            UnauthorizedLogin: no such user, or another password.
            UnhandledCredentials: the portal has no checker for `PlainPassword`, nor one that keeps keys.
            UnprotectedLogin: the connection is not one for passwords.
            TooManyLogins: too many have failed before.
        """
        portal, name = self._portal, _as_text(username)
        if not self._link.protected:
            raise UnprotectedLogin(f"this server takes passwords over {_PROTECTED} alone")
        if not isinstance(password, str):
            raise UnauthorizedLogin("a password is text")
        if portal.takes(PlainPassword):
            return await self._enter(name, PlainPassword(name, password), mind)
        if portal.keeper is None:
            await portal.keys_of(name)  # says why

        async def look(attempt: Attempt) -> object:
            known = await portal.keys_of(name)
            if not await self._link.work(known.keys.match, password) or not known.exists:
                raise UnauthorizedLogin(_WRONG)
            return await self._grant(attempt, portal.grant(name, mind))

        with _named(name):
            return await self._try(name, look)

    async def remote_loginBearer(self, token: object, mind: object) -> object:  # noqa: N802  # as the others
        """The avatar of whom the token belongs to.

        Raises:
            UnauthorizedLogin: the checker refuses it.
            UnhandledCredentials: the portal has no checker for `Bearer`.
            UnprotectedLogin: the connection is not one for tokens.
            TooManyLogins: too many have failed before.
        """
        if not self._link.protected:
            raise UnprotectedLogin(f"this server takes tokens over {_PROTECTED} alone")
        if not isinstance(token, str):
            raise UnauthorizedLogin("a token is text")
        return await self._enter(None, Bearer(token), mind)

    async def remote_loginCertificate(self, mind: object) -> object:  # noqa: N802  # as the others
        """The avatar of whom the client's certificate names.

        Raises:
            UnauthorizedLogin: the checker refuses it, or TLS has verified none.
            UnhandledCredentials: the portal has no checker for `PeerCertificate`.
            TooManyLogins: too many have failed before.
        """
        self._portal.checker_for(PeerCertificate)
        certificate = self._link.peer_certificate
        if certificate is None:
            raise UnauthorizedLogin(
                "no certificate of the client's came with this connection: connect by pbs://, with a certificate in"
                " tls=, to a server that asks for one"
            )
        return await self._enter(None, certificate, mind)

    async def _enter(self, username: str | None, credentials: object, mind: object) -> object:
        with _named(username):
            self._portal.checker_for(type(credentials))  # what nobody takes is no failure to log in
            return await self._try(
                username, lambda attempt: self._grant(attempt, self._portal.login(credentials, mind))
            )

    async def _try(self, username: str | None, look: Callable[[Attempt], Awaitable[object]]) -> object:
        """What `look` comes to, as often as the throttle allows.

        Beyond that all failures are alike, in what they say and in the time they take: looked at or not, they end in
        TooManyLogins when the time is up.
        """
        throttle = self._portal.throttle
        attempt = throttle.begin(self._link.host, username, self._link.now())
        if attempt.refusal is None:
            return await look(attempt)
        work = look(attempt) if attempt.is_looked_at else _not_looked_at()
        try:
            return await self._link.within(throttle.refused_seconds, work)
        except TimeoutError as error:
            raise attempt.refusal from error.__cause__

    async def _grant(self, attempt: Attempt, granting: Awaitable[Login]) -> object:
        login = await granting
        attempt.succeeded()
        return self._admit(login)


class _Finisher(Referenceable):
    """Takes the last message of a client's SCRAM, once."""

    def __init__(self, username: str, finish: Callable[[object, object], Awaitable[object]]) -> None:
        self._username = username
        self._finish: Callable[[object, object], Awaitable[object]] | None = finish

    async def remote_finish(self, final: object, mind: object) -> object:
        """The avatar, and the server's last message.

        Raises:
            UnauthorizedLogin: the client does not know the password, or has been here before.
            TooManyLogins: too many have failed before.
        """
        finish, self._finish = self._finish, None
        if finish is None:
            raise UnauthorizedLogin("this exchange has ended; log in again")
        with _named(self._username):
            return await finish(final, mind)


async def _not_looked_at() -> NoReturn:
    raise UnauthorizedLogin(_WRONG)


@contextmanager
def _named(username: str | None) -> Generator[None]:
    """A login that fails here says for the log whose it was."""
    try:
        yield
    except LoginFailed as error:
        error.username = username
        raise


def _as_text(username: object) -> str:
    text = username
    if isinstance(text, bytes):  # how Python 2 sends text, and what `login` sends
        try:
            text = text.decode()
        except UnicodeDecodeError:
            raise UnauthorizedLogin("a username is text in UTF-8") from None
    if not isinstance(text, str):
        raise UnauthorizedLogin("a username is text")
    if len(text) > _MOST_CHARACTERS:  # it is kept with each challenge
        raise UnauthorizedLogin(f"a username has at most {_MOST_CHARACTERS} characters")
    return text
