"""Any text is a URL that is written and read again as itself, or a ValueError that never tells a password."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from fuzz.mutate import Mutate
from pellucid.urls import parse_url

__all__ = ["check", "mutate", "seeds"]


def check(data: bytes) -> None:
    """Try one input."""
    text = data.decode(errors="surrogateescape")
    try:
        url = parse_url(text)
    except ValueError as error:
        if "@" in text and text.partition(":")[0].lower() in ("pb", "pbs"):
            assert str(error).startswith("a URL holds no username")
        return
    assert parse_url(str(url)) == url
    assert str(parse_url(str(url))) == str(url)


def mutate(data: bytes, most: int, rng: Random, by_bytes: Mutate) -> bytes:
    """Another input."""
    return by_bytes(data, most)


def seeds() -> Iterator[bytes]:
    """What a corpus begins with."""
    yield from (
        b"pb://localhost:8787 pbs://[2001:db8::1]:0 pb+unix:/run/app.sock PB://a.b pb://u:p@h:1 pb+unix:///x "
        b"pb://[::1%e0] pb://h:65536 pb://h:1/ pb://h?q pb+unix:/a%00b pb+unix:/%ff pb+unix:/a%20b"
    ).split(b" ")
