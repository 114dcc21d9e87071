"""What a client logs in with, and what a server's checkers see of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from hmac import compare_digest

from pellucid.auth.challenge import password_digest, respond_with_digest

__all__ = ["Anonymous", "Bearer", "Certificate", "Password", "PasswordChallenge", "PeerCertificate", "PlainPassword"]


@dataclass(frozen=True, slots=True)
class Anonymous:
    """Asks for an avatar without saying who one is. Both sides see it."""


@dataclass(frozen=True, slots=True)
class Password:
    """A username and its password, for a client. The password is never sent, and `repr()` hides it.

    What is sent proves that one knows it: by SCRAM-SHA-256 where the server has that, else by PB's md5 challenge where
    the connection is protected or that is allowed.
    """

    username: str
    password: str = field(repr=False)

    def __post_init__(self) -> None:
        _check_text("username", self.username)
        _check_text("password", self.password)


@dataclass(frozen=True, slots=True)
class PlainPassword:
    """A username and its password, sent as they are: over TLS, loopback addresses and unix sockets alone.

    For servers that have to know it, such as those that ask a directory. A checker that takes this kind sees it; for
    one that keeps SCRAM keys the portal compares it with these.
    """

    username: str
    password: str = field(repr=False)

    def __post_init__(self) -> None:
        _check_text("username", self.username)
        _check_text("password", self.password)


@dataclass(frozen=True, slots=True)
class Bearer:
    """A token that lets in whoever has it, such as a JSON web token. Both sides see it; `repr()` hides it.

    It is sent over TLS, loopback addresses and unix sockets alone. A checker of the application's says whose it is:
    compare tokens with `hmac.compare_digest`, or look up a hash of them.
    """

    token: str = field(repr=False)

    def __post_init__(self) -> None:
        _check_text("token", self.token)


@dataclass(frozen=True, slots=True)
class Certificate:
    """Asks to be let in as whom the client's own TLS certificate names, for a client. Nothing else is sent."""


@dataclass(frozen=True, slots=True)
class PeerCertificate:
    """What a server's checker sees of a `Certificate`: what TLS has found out about the client, and verified.

    Any authority that the server's TLS trusts can have written it: trust one that vouches for what you go by.
    """

    subject: tuple[tuple[str, str], ...]
    """Pairs of a field's name and what it says, such as ``("commonName", "alice")``."""
    alternative_names: tuple[tuple[str, str], ...]
    """Pairs of a kind and a name, such as ``("DNS", "worker1.example.org")`` or ``("email", "alice@example.org")``."""
    der: bytes = field(repr=False)
    """All of the certificate."""

    @property
    def common_name(self) -> str | None:
        """The common name of the subject; None where there is none, or more than one."""
        names = [value for field_name, value in self.subject if field_name == "commonName"]
        return names[0] if len(names) == 1 else None

    def names(self, kind: str) -> tuple[str, ...]:
        """The alternative names of that kind: "DNS", "email", "URI", "IP Address"."""
        return tuple(name for kind_of_name, name in self.alternative_names if kind_of_name == kind)


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


def _check_text(what: str, value: object) -> None:
    """Raise TypeError where `value` is none: Twisted's credentials are bytes, and so is what is read from files."""
    if not isinstance(value, str):
        raise TypeError(f"a {what} is text, not {type(value).__name__}" + ": decode it" * isinstance(value, bytes))
