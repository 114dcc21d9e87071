"""Who is it? Checkers turn credentials into the id of an avatar, or refuse them."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any, Final, Protocol

from pellucid.auth.challenge import password_digest
from pellucid.auth.credentials import Anonymous, PasswordChallenge
from pellucid.errors import UnauthorizedLogin

__all__ = ["ANONYMOUS", "AllowAnonymous", "Checker", "InMemoryPasswords"]

ANONYMOUS: Final = ""
"""The avatar id of everyone who logs in without a name. No name is empty, so no user has this id by accident."""


class Checker(Protocol):
    """Decides whether credentials are good, and whose they are. Any object with these two attributes will do."""

    @property
    def credentials(self) -> tuple[type, ...]:
        """The kinds of credentials that it can check, such as ``(PasswordChallenge,)``."""
        ...

    # Any, so that an implementation may name the kind of credentials that it asked for.
    def check(self, credentials: Any, /) -> str | Awaitable[str]:
        """The avatar id, usually the username: for the realm. May be async.

        Raises:
            UnauthorizedLogin: the credentials are not good. Let its text not tell which part of them.
        """
        ...


class AllowAnonymous:
    """Lets everyone in as `ANONYMOUS`."""

    credentials = (Anonymous,)

    def check(self, credentials: Anonymous) -> str:
        """Always `ANONYMOUS`."""
        return ANONYMOUS


class InMemoryPasswords:
    """Users and their passwords in a mapping, for tests and small servers; a copy is taken, of digests only.

    Raises:
        ValueError: a username is empty, which would make that user `ANONYMOUS`.
    """

    credentials = (PasswordChallenge,)

    def __init__(self, passwords: Mapping[str, str]) -> None:
        if ANONYMOUS in passwords:
            raise ValueError("a username may not be empty: that is the id of the anonymous avatar")
        self._digests = {username: password_digest(password) for username, password in passwords.items()}

    def check(self, credentials: PasswordChallenge) -> str:
        """The username.

        Raises:
            UnauthorizedLogin: no such user, or another password; it does not tell which, nor does the time taken.
        """
        digest = self._digests.get(credentials.username)
        # The work is done for unknown users too; what it is done with does not matter, they are refused regardless.
        matches = credentials.matches_md5(digest or bytes(16))
        if digest is None or not matches:
            raise UnauthorizedLogin("wrong username or password")
        return credentials.username
