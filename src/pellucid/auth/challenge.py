"""The arithmetic of PB's challenge login: ``response = md5(md5(password) + challenge)``.

Compared with what Twisted 26.10 computes (``twisted.spread.pb.respond``). The password itself does not travel, but
whoever listens can try guesses at leisure: over a network that others share, log in inside TLS.
"""

from __future__ import annotations

from hashlib import md5

__all__ = ["CHALLENGE_BYTES", "password_digest", "respond", "respond_with_digest"]

CHALLENGE_BYTES = 16
"""Bytes in a challenge: Twisted's own is an md5 digest."""


def respond(challenge: bytes, password: str | bytes) -> bytes:
    """The 16 bytes that prove knowledge of `password` (text counts as UTF-8) to whoever sent `challenge`."""
    return respond_with_digest(challenge, password_digest(password))


def respond_with_digest(challenge: bytes, digest: bytes) -> bytes:
    """The same from the `password_digest`, which is all that a server needs to keep."""
    return md5(digest + challenge).digest()  # noqa: S324  # what PB's peers compute


def password_digest(password: str | bytes) -> bytes:
    """The md5 digest of a password (text counts as UTF-8). Keep it as secret as the password: it opens as much."""
    text = password.encode() if isinstance(password, str) else password
    return md5(text).digest()  # noqa: S324  # what PB's peers compute
