"""What a client logs in with, and what a server's checkers see of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from hmac import compare_digest

from pellucid.auth.challenge import password_digest, respond_with_digest

__all__ = ["Anonymous", "Password", "PasswordChallenge"]


@dataclass(frozen=True, slots=True)
class Anonymous:
    """Asks for an avatar without saying who one is. Both sides see it."""


@dataclass(frozen=True, slots=True)
class Password:
    """A username and its password, for a client. The password is never sent, and `repr()` hides it."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class PasswordChallenge:
    """What a server's checker sees of a `Password`: a response that only its owner could have computed."""

    username: str
    challenge: bytes = field(repr=False)
    """What this server sent, once, to this peer."""
    response: bytes = field(repr=False)
    """What the peer made of it; any bytes, since the peer chose them."""

    def matches(self, password: str | bytes) -> bool:
        """Whether the response was made with this password (text counts as UTF-8)."""
        return self.matches_md5(password_digest(password))

    def matches_md5(self, digest: bytes) -> bool:
        """Whether the response was made with the password whose md5 digest this is.

        The time taken does not tell how much of the response was right.
        """
        return compare_digest(respond_with_digest(self.challenge, digest), self.response)
