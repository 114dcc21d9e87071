"""Users and the keys of their passwords, in a file.

A line is a username, a tab, and its keys as `pellucid.auth.keys.ScramKeys.to_text` writes them; maybe another tab and
``md5:`` with the md5 digest of the password, in hexadecimal. The first line is ``#secret``, a tab, and random bytes in
base64, from which the salts of users that do not exist are made. Other lines that start with ``#``, and empty ones, are
comments. The text is UTF-8. ``python -m pellucid.passwords`` writes such files.
"""

from __future__ import annotations

import os
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pellucid.auth.challenge import password_digest
from pellucid.auth.credentials import PasswordChallenge
from pellucid.auth.keys import SALT_BYTES, Decoys, ScramKeys, check_username, scramp
from pellucid.errors import UnauthorizedLogin

__all__ = ["SECRET_BYTES", "PasswordFile", "User", "Users", "make_user", "read_users", "written"]

SECRET_BYTES = 32
"""Bytes in the secret of a file."""

_SECRET = "#secret"  # noqa: S105  # what stands before it
_MD5 = "md5:"

_Path = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class User:
    """What a file says of one."""

    keys: ScramKeys
    md5: bytes | None = field(default=None, repr=False)
    """The md5 digest of the password, where there is one. It opens as much as the password does."""


@dataclass(frozen=True, slots=True)
class Users:
    """What is in a file."""

    secret: bytes = field(repr=False)
    by_name: Mapping[str, User]


def make_user(username: str, password: str, salt: bytes, iterations: int, *, with_md5: bool = False) -> User:
    """What a file is to say of a user of that name.

    Raises:
        ValueError: the name or the password has characters that SCRAM, or a file, does not allow.
    """
    check_username(username)
    if username.startswith("#"):
        raise ValueError("a username in a file does not start with #")
    keys = ScramKeys.of_password(password, salt, iterations)
    return User(keys, password_digest(password) if with_md5 else None)


def read_users(path: _Path) -> Users:
    """What is in the file at `path`.

    Raises:
        OSError: it can't be read.
        ValueError: it is not what it should be. The error names the line and shows nothing of it.
    """
    return _parsed(Path(path).read_bytes().decode("utf-8"), os.fspath(path))


def _parsed(text: str, path: str) -> Users:
    secret: bytes | None = None
    users: dict[str, User] = {}
    for number, line in enumerate(text.split("\n"), 1):
        try:
            if line.startswith(f"{_SECRET}\t"):
                secret = b64decode(line.split("\t")[1], validate=True)
                if len(secret) < SALT_BYTES:
                    raise ValueError(f"a secret has {SALT_BYTES} bytes or more")
            elif line and not line.startswith("#"):
                username, user = _parsed_user(line)
                if username in users:
                    raise ValueError("there is a user of this name above")
                users[username] = user
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {error}") from None
    if secret is None:
        raise ValueError(f"{path} has no line that starts with {_SECRET}: make it with python -m pellucid.passwords")
    return Users(secret, users)


def _parsed_user(line: str) -> tuple[str, User]:
    match line.split("\t"):
        case [username, keys] if username:
            return username, User(ScramKeys.from_text(keys))
        case [username, keys, md5] if username and md5.startswith(_MD5) and len(md5) == len(_MD5) + 32:
            return username, User(ScramKeys.from_text(keys), bytes.fromhex(md5.removeprefix(_MD5)))
        case _:
            raise ValueError("a line is a username, a tab, keys, and maybe a tab and md5:...")


def written(users: Users) -> str:
    """The text of a file with that in it."""
    lines = [f"{_SECRET}\t{b64encode(users.secret).decode()}"]
    for username, user in sorted(users.by_name.items()):
        md5 = "" if user.md5 is None else f"\t{_MD5}{user.md5.hex()}"
        lines.append(f"{username}\t{user.keys.to_text()}{md5}")
    return "".join(f"{line}\n" for line in lines)


class PasswordFile:
    """Users and the SCRAM keys of their passwords, in a file that ``python -m pellucid.passwords`` manages.

    The file is read again when it has changed, at the next login. If it can't be used then nobody logs in, and the log
    says why. Replace it in one step, as the command does.

    With `md5`, users whose line has an md5 digest can log in by PB's md5 challenge as well. These digests open as much
    as the passwords do: whoever reads the file can log in with them.

    Raises:
        OSError: it can't be read.
        ValueError: it is not what it should be.
        ImportError: ``pellucid[scram]`` is not installed.
    """

    def __init__(self, path: _Path, *, md5: bool = False) -> None:
        scramp()
        self.credentials: tuple[type, ...] = (PasswordChallenge,) if md5 else ()
        self._path = path
        self._stamp = stamp(path)
        self._take(read_users(path))

    @property
    def decoys(self) -> Decoys:
        """What users that don't exist seem to have for keys."""
        return self._decoys

    def scram_keys(self, username: str) -> ScramKeys | None:
        """The keys of that user, if there is one."""
        self._renew()
        user = self._users.get(username)
        return user.keys if user is not None else None

    def check(self, credentials: PasswordChallenge) -> str:
        """The username.

        Raises:
            UnauthorizedLogin: no such user, none with an md5 digest, or another password; it does not tell which.
        """
        self._renew()
        user = self._users.get(credentials.username)
        digest = user.md5 if user is not None else None
        matches = credentials.matches_md5(digest or bytes(16))  # the same work for all
        if digest is None or not matches:
            raise UnauthorizedLogin("wrong username or password")
        return credentials.username

    def _renew(self) -> None:
        try:
            seen = stamp(self._path)
            if seen != self._stamp:
                self._take(read_users(self._path))
                self._stamp = seen
        except (OSError, ValueError) as error:
            # This text goes to the client, and the whole to the log.
            raise RuntimeError("the server's file of passwords can't be used") from error

    def _take(self, users: Users) -> None:
        self._users = users.by_name
        self._decoys = Decoys(users.secret, (user.keys for user in users.by_name.values()))


def stamp(path: _Path) -> tuple[int, ...]:
    """What changes when the file is replaced, or written to."""
    seen = Path(path).stat()
    return seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns
