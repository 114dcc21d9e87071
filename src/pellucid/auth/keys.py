"""What a server keeps of a password: the keys of SCRAM-SHA-256 (RFC 5802, RFC 7677), which do not open anything.

The arithmetic is that of the library scramp, which the extra ``pellucid[scram]`` brings.
"""

from __future__ import annotations

import hmac
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol

__all__ = [
    "ITERATIONS",
    "LEAST_ITERATIONS",
    "MECHANISM",
    "MOST_ITERATIONS",
    "SALT_BYTES",
    "Decoys",
    "PasswordKeeper",
    "ScramKeys",
    "check_username",
    "has_scram",
    "scramp",
]

ITERATIONS = 600_000
"""How often a password is hashed for keys that are stored. OWASP's advice for PBKDF2 with SHA-256; 0.1 s and more."""

LEAST_ITERATIONS = 4096
"""RFC 7677 asks for no fewer, and a client takes no fewer from a server."""

MOST_ITERATIONS = 2_000_000
"""How much work a server may ask of a client: less than a second's. More would let nobody in."""

SALT_BYTES, LEAST_SALT_BYTES = 16, 12
"""Bytes in a salt of ours; and at least in one of another program's."""

_MOST_CHARACTERS = 1024
"""In a password. Preparing and hashing one takes a time that a peer must not choose."""

MECHANISM = "SCRAM-SHA-256"
"""Its name in RFC 7677, and in what is kept of a user."""


@dataclass(frozen=True, slots=True)
class ScramKeys:
    """What a password is checked against. Whoever steals it has to guess the password, `iterations` hashes a guess.

    With `stored_key` and what travels in one login, the password's owner can be impersonated: keep both secret.
    """

    salt: bytes
    """It makes equal passwords differ."""
    iterations: int
    """How often the password was hashed."""
    stored_key: bytes = field(repr=False)
    """What the client's proof is checked against."""
    server_key: bytes = field(repr=False)
    """What the server proves itself with."""

    @classmethod
    def of_password(cls, password: str, salt: bytes, iterations: int = ITERATIONS) -> ScramKeys:
        """The keys of `password`, with a fresh random `salt`.

        Raises:
            ValueError: the password has characters that SCRAM does not allow, or more than 1,024; or there are too few
                iterations, or bytes of salt, or more iterations than a client takes.
            ImportError: scramp is not installed.
        """
        if len(password) > _MOST_CHARACTERS:
            raise ValueError(f"a password has at most {_MOST_CHARACTERS} characters")
        if iterations > MOST_ITERATIONS:
            raise ValueError(f"a client takes at most {MOST_ITERATIONS} iterations, and not {iterations}")
        library = scramp()
        try:
            made = library.ScramMechanism(MECHANISM).make_auth_info(password, iterations, salt)
        except library.ScramException as error:
            raise ValueError(f"no keys can be made of this password: {error}") from None
        salt, stored_key, server_key, iterations = made
        return cls(salt, iterations, stored_key, server_key)

    @classmethod
    def from_text(cls, text: str) -> ScramKeys:
        """The keys that `to_text` has written.

        Raises:
            ValueError: it has not.
        """
        try:
            scheme, first, second = text.split("$")
            iterations, salt = first.split(":")
            stored_key, server_key = (b64decode(part, validate=True) for part in second.split(":"))
            keys = cls(b64decode(salt, validate=True), int(iterations), stored_key, server_key)
        except ValueError:
            raise ValueError(f"keys are written as {MECHANISM}$iterations:salt$stored key:server key") from None
        if scheme != MECHANISM or {len(stored_key), len(server_key)} != {sha256().digest_size}:
            raise ValueError(f"these are no keys of {MECHANISM}")
        if not LEAST_ITERATIONS <= keys.iterations <= MOST_ITERATIONS or len(keys.salt) < LEAST_SALT_BYTES:
            iterations = f"{LEAST_ITERATIONS} to {MOST_ITERATIONS} iterations"
            raise ValueError(f"keys have {iterations}, and {LEAST_SALT_BYTES} bytes of salt or more")
        return keys

    def to_text(self) -> str:
        """One line of ASCII, in the form of RFC 5803, which PostgreSQL has as well."""
        salt, stored_key, server_key = (
            b64encode(part).decode() for part in (self.salt, self.stored_key, self.server_key)
        )
        return f"{MECHANISM}${self.iterations}:{salt}${stored_key}:{server_key}"

    def match(self, password: str) -> bool:
        """Whether they are the keys of `password`. It takes the time of its iterations, whatever the answer."""
        try:
            keys = ScramKeys.of_password(password, self.salt, self.iterations)
        except ValueError:
            ScramKeys.of_password("", self.salt, self.iterations)
            return False
        return hmac.compare_digest(keys.stored_key, self.stored_key)


class Decoys:
    """The keys that users who don't exist are taken to have, so that nobody can tell.

    They depend on the name and on `secret` alone, 16 random bytes or more that are kept as long as real keys are: salts
    that change would tell. `like` are the real keys, all of them or some of each kind: decoys have as many iterations
    and bytes of salt as one or another of these.
    """

    def __init__(self, secret: bytes, like: Iterable[ScramKeys] = ()) -> None:
        self._secret = secret
        self._shapes = sorted({(keys.iterations, len(keys.salt)) for keys in like}) or [(ITERATIONS, SALT_BYTES)]

    def keys_for(self, username: str) -> ScramKeys:
        """The keys of a user of that name, which no password has."""
        which = int.from_bytes(self._made("shape", username)[:8])
        iterations, salt_bytes = self._shapes[which % len(self._shapes)]
        salt = b"".join(self._made(f"salt {part}", username) for part in range(salt_bytes // 32 + 1))
        return ScramKeys(
            salt[:salt_bytes], iterations, self._made("stored key", username), self._made("server key", username)
        )

    def _made(self, purpose: str, username: str) -> bytes:
        text = f"{purpose}\0{username}".encode("utf-8", "surrogatepass")
        return hmac.digest(self._secret, text, "sha256")


class PasswordKeeper(Protocol):
    """A checker that knows passwords by their keys: it is asked for these, and the portal does the rest.

    Any object with these two attributes will do. A name is an avatar id as it is.
    """

    @property
    def decoys(self) -> Decoys:
        """What users that don't exist are taken to have for keys."""
        ...

    def scram_keys(self, username: str, /) -> ScramKeys | Awaitable[ScramKeys | None] | None:
        """The keys of that user; None where there is no such user. May be async."""
        ...


def has_scram() -> bool:
    """Whether scramp is installed."""
    return find_spec("scramp") is not None


def scramp() -> Any:
    """The library scramp, which has no types.

    Raises:
        ImportError: it is not installed.
    """
    try:
        return import_module("scramp")
    except ImportError as error:
        raise ImportError("SCRAM needs scramp: pip install 'pellucid[scram]'") from error


def check_username(username: str) -> None:
    """Raise ValueError for a name that no login by SCRAM can arrive with, as it changes on its way or is forbidden."""
    library = scramp()
    try:
        first = library.ScramClient([MECHANISM], username, "").get_client_first()
    except library.ScramException as error:
        raise ValueError(f"{username!r} can't be a username: {error}") from None
    arrives = first.partition("n=")[2].rpartition(",r=")[0].replace("=2C", ",").replace("=3D", "=")
    if arrives != username:
        raise ValueError(f"{username!r} can't be a username, as logins would arrive with {arrives!r}")
