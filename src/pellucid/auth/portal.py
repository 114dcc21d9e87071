"""From credentials to an avatar: a portal asks its checkers who it is, and its realm what they act through."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol, cast

from pellucid.auth.checkers import Checker
from pellucid.auth.keys import PasswordKeeper, ScramKeys, has_scram
from pellucid.auth.throttle import LoginThrottle
from pellucid.errors import UnhandledCredentials
from pellucid.flavors.hooks import settled

__all__ = ["Login", "Portal", "Realm"]


class Realm(Protocol):
    """Makes the avatars of an application. Any object with this method will do."""

    def request_avatar(self, avatar_id: str, mind: Any, /) -> object:
        """The avatar for one login, or a pair of it and what to call when that login ends. May be async.

        `avatar_id` is what the checker gave, `ANONYMOUS` for nobody in particular; `mind` is whatever the client
        passed, often a reference to an object of its own, or None. An object of any class can be an avatar: its
        ``perspective_*`` methods are what the client may call.

        Where it is async and its client leaves meanwhile, it is cancelled, and no login was granted: nothing is called
        when it ends. So let it do what a logout would undo after it has waited for the last time.

        The second of the pair is called without arguments, once, when the client lets go of the avatar or is
        disconnected; it may be a coroutine function. It belongs to the login and not to the avatar, because several
        logins may share an avatar, and because closing over `mind` then says which of them has ended::

            def request_avatar(self, avatar_id, mind):
                user = self.users[avatar_id]
                user.attach(mind)
                return user, lambda: user.detach(mind)
        """
        ...


@dataclass(frozen=True, slots=True)
class Login:
    """What a portal grants."""

    avatar: object
    """What the peer will act through."""
    logout: Callable[[], object]
    """To be called exactly once, when the login ends; the result may be an awaitable, to be awaited."""
    avatar_id: str | None = None
    """Whose it is, for the log; None where the portal does not say."""


@dataclass(frozen=True, slots=True)
class KnownKeys:
    """The keys that a user has, or would have if it existed."""

    keys: ScramKeys
    exists: bool


class Portal:
    """The one way in: a realm, and the checkers that guard it.

    The first checker that takes the kind of credentials decides; a second one is not asked when it refuses. Passwords
    by SCRAM are for the first that keeps keys.

    PB's md5 login is taken over TLS, loopback addresses and unix sockets; with `allow_md5` over any connection.
    `throttle` says how often logins may fail.

    Raises:
        TypeError: `realm` is none, or a checker is none.
    """

    def __init__(
        self,
        realm: Realm,
        checkers: Iterable[Checker | PasswordKeeper],
        *,
        allow_md5: bool = False,
        throttle: LoginThrottle | None = None,
    ) -> None:
        if not isinstance(checkers, Iterable):
            raise TypeError(
                f"checkers are several, and {type(checkers).__name__} is one: write Portal(realm, [checker])"
            )
        self.allow_md5 = allow_md5
        self.throttle: LoginThrottle = throttle or LoginThrottle()
        self._realm = realm
        self._checkers: tuple[Any, ...] = tuple(checkers)
        _check_has(realm, "realm", "request_avatar")
        for checker in self._checkers:
            _check_has(checker, "checker", "check", "scram_keys")
        self.keeper: PasswordKeeper | None = next(filter(_keeps_keys, self._checkers), None)
        """The first checker that keeps SCRAM keys."""

    async def login(self, credentials: object, mind: object) -> Login:
        """Have `credentials` checked, and an avatar made for whom they belong to.

        Raises:
            UnhandledCredentials: no checker takes credentials of this kind.
            UnauthorizedLogin: the checker refused them.
            TypeError: a checker or the realm returned what it may not; a mistake in the application.
        """
        checker = self.checker_for(type(credentials))
        avatar_id = await settled(checker.check(credentials))
        # A checker that "returns False" to refuse must not let anyone in.
        if not isinstance(avatar_id, str):
            raise TypeError(
                f"{type(checker).__qualname__}.check returned {type(avatar_id).__qualname__}, not an avatar id (str);"
                " to refuse credentials, raise UnauthorizedLogin"
            )
        return await self.grant(avatar_id, mind)

    async def grant(self, avatar_id: str, mind: object) -> Login:
        """Have an avatar made for one who has proved to be `avatar_id`.

        Raises:
            TypeError: the realm returned what it may not; a mistake in the application.
        """
        asked: Any = self._realm.request_avatar(avatar_id, mind)
        try:
            granted = await settled(asked)
        except BaseException:
            # Cancelled in the very turn in which the future had come: with it, its logout would be lost.
            if not _has_come(asked):
                raise
            granted = asked.result()
        return _as_login(avatar_id, granted)

    async def keys_of(self, username: str) -> KnownKeys:
        """The SCRAM keys of that user, or those that it would have if it existed.

        Raises:
            UnhandledCredentials: no checker keeps any.
        """
        if self.keeper is None:
            raise UnhandledCredentials("no checker here keeps SCRAM keys, or pellucid[scram] is not installed")
        keys = await settled(self.keeper.scram_keys(username))
        decoy = self.keeper.decoys.keys_for(username)  # made for every user, so that it takes the same time
        if keys is None:
            return KnownKeys(decoy, exists=False)
        if not isinstance(keys, ScramKeys):
            raise TypeError(f"{type(self.keeper).__qualname__}.scram_keys returned {type(keys).__qualname__}")
        return KnownKeys(keys, exists=True)

    def takes(self, kind: type) -> bool:
        """Whether some checker takes credentials of that kind."""
        return any(issubclass(kind, _kinds_of(checker)) for checker in self._checkers)

    def checker_for(self, kind: type) -> Checker:
        """The first checker that takes credentials of that kind.

        Raises:
            UnhandledCredentials: there is none.
        """
        for checker in self._checkers:
            if issubclass(kind, _kinds_of(checker)):
                return cast(Checker, checker)
        kinds = sorted({kind.__name__ for checker in self._checkers for kind in _kinds_of(checker)})
        raise UnhandledCredentials(
            f"no checker here takes {kind.__name__}, only {', '.join(kinds) or 'nothing at all'}"
        )


def _check_has(thing: object, what: str, *methods: str) -> None:
    if not any(callable(getattr(thing, method, None)) for method in methods):
        raise TypeError(f"a {what} has a method {' or '.join(methods)}, and {type(thing).__name__} has none")


def _kinds_of(checker: Any) -> tuple[type, ...]:
    kinds: tuple[type, ...] = getattr(checker, "credentials", ())  # one that keeps keys may take no kind itself
    return kinds


def _keeps_keys(checker: Any) -> bool:
    return has_scram() and callable(getattr(checker, "scram_keys", None))


def _has_come(asked: Any) -> bool:
    """Whether it is a future, and has a result."""
    return hasattr(asked, "exception") and asked.done() and not asked.cancelled() and asked.exception() is None


def _as_login(avatar_id: str, granted: object) -> Login:
    pair = cast("tuple[object, ...]", granted) if isinstance(granted, tuple) else (granted, _nothing_to_do)
    match pair:
        case (avatar, logout) if avatar is not None and callable(logout):
            return Login(avatar, logout, avatar_id)
        case _:
            raise TypeError("request_avatar must return an avatar, or a pair of it and a function to call at logout")


def _nothing_to_do() -> None: ...
