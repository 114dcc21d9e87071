"""Who is it? Checkers turn credentials into the id of an avatar, or refuse them."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol

from pellucid.auth.challenge import password_digest
from pellucid.auth.credentials import Anonymous, PasswordChallenge
from pellucid.auth.keys import LEAST_ITERATIONS, SALT_BYTES, Decoys, ScramKeys, check_username, has_scram
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

    credentials: tuple[type[Anonymous]] = (Anonymous,)

    def check(self, credentials: Anonymous) -> str:
        """Always `ANONYMOUS`."""
        return ANONYMOUS


class InMemoryPasswords:
    """Users and their passwords in a mapping, for tests and small servers; only md5 digests and SCRAM keys are kept.

    The keys have few `iterations`, as they are made anew for each process and not stored. There are none where
    ``pellucid[scram]`` is not installed.

    Raises:
        ValueError: a username is empty, which would make that user `ANONYMOUS`; or a name or password has characters
            that SCRAM does not allow.
    """

    credentials: tuple[type[PasswordChallenge]] = (PasswordChallenge,)

    def __init__(
        self,
        passwords: Mapping[str, str],
        *,
        iterations: int = LEAST_ITERATIONS,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        if ANONYMOUS in passwords:
            raise ValueError("a username may not be empty: that is the id of the anonymous avatar")
        self._digests = {username: password_digest(password) for username, password in passwords.items()}
        self._keys: dict[str, ScramKeys] = {}
        if has_scram():
            for username, password in passwords.items():
                check_username(username)
                self._keys[username] = ScramKeys.of_password(password, random_bytes(SALT_BYTES), iterations)
        self.decoys: Decoys = Decoys(random_bytes(32), self._keys.values())

    def scram_keys(self, username: str) -> ScramKeys | None:
        """The keys of that user, if there is one."""
        return self._keys.get(username)

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
