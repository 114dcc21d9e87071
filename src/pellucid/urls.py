"""Where to listen or connect: ``pb://host:port``, ``pbs://host:port`` (TLS) and ``pb+unix:/path``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import TypeAlias
from urllib.parse import quote, unquote

__all__ = ["DEFAULT_PORT", "TCPURL", "URL", "UnixURL", "parse_url"]

DEFAULT_PORT = 8787
"""The port of a URL that names none: Twisted's PB has it as ``twisted.spread.pb.portno``."""

_EXAMPLES = "pb://localhost:8787, pbs://[2001:db8::1]:8787 or pb+unix:/run/app.sock"

# A name holds no colon; an address in brackets holds at least one.
_AUTHORITY = re.compile(r"(?:\[(?P<address>[^\]]*:[^\]]*)\]|(?P<name>[^:]*))(?::(?P<port>.*))?", re.DOTALL)
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_PORT = re.compile(r"[0-9]{1,5}")


@dataclass(frozen=True, slots=True)
class TCPURL:
    """A TCP port, with TLS or without. `str()` gives the URL, its port always written out.

    Raises:
        ValueError: the host or the port could not stand in a URL; the text says why.
    """

    host: str
    """A name or an IPv4 address, made lower case; or an IPv6 address without brackets, made as short as can be."""

    port: int = DEFAULT_PORT
    """0 to 65535; listening on 0 takes any free port."""

    tls: bool = False
    """Whether bytes travel inside TLS: ``pbs``."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "host", _canonical_host(self.host))
        if not 0 <= self.port <= 65535:
            raise _malformed(f"port {self.port} is not between 0 and 65535")

    def __str__(self) -> str:
        scheme = "pbs" if self.tls else "pb"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class UnixURL:
    """A Unix domain socket. `str()` gives the URL, with percent signs where a URL needs them.

    Raises:
        ValueError: the path could not be a socket's; the text says why.
    """

    path: str
    """An absolute path, not percent-encoded; several slashes at its start become one."""

    def __post_init__(self) -> None:
        if not self.path.startswith("/"):
            raise _malformed(f"the path {self.path!r} of a Unix socket does not start with /")
        if "\0" in self.path or not _is_utf8(self.path):
            raise _malformed(f"the path {self.path!r} of a Unix socket is not UTF-8 text without NUL")
        # Two slashes after the colon would start a host.
        object.__setattr__(self, "path", "/" + self.path.lstrip("/"))

    def __str__(self) -> str:
        return f"pb+unix:{quote(self.path)}"


URL: TypeAlias = TCPURL | UnixURL
"""What `parse_url` gives."""


def parse_url(text: str) -> URL:
    """Read a URL; ``parse_url(str(url)) == url`` holds for every one.

    Raises:
        ValueError: it is not one of the three kinds. The text says what is wrong with it and shows right ones; it
            never repeats what might be a password.
        TypeError: it is no text.
    """
    if not isinstance(text, str):
        raise TypeError(f"a URL is a str, not {type(text).__name__}; write it like {_EXAMPLES}")
    scheme, _, rest = text.partition(":")
    match scheme.lower():
        case "pb" | "pbs" as tcp_scheme:
            return _parse_tcp(rest, tls=tcp_scheme == "pbs")
        case "pb+unix":
            return _parse_unix(rest)
        case _:
            raise _malformed("the scheme is not pb, pbs or pb+unix")


def _parse_tcp(rest: str, *, tls: bool) -> TCPURL:
    # First of all, since a password may contain any of the characters that are looked for below.
    if "@" in rest:
        raise _malformed("a URL holds no username and no password (log in once connected)")
    _refuse_query_and_fragment(rest)
    if not rest.startswith("//"):
        raise _malformed("two slashes are missing before the host")
    authority, slash, _ = rest[2:].partition("/")
    if slash:
        raise _malformed("nothing may follow the host and the port, not even a slash")
    found = _AUTHORITY.fullmatch(authority)
    if found is None or ":" in (found["port"] or ""):
        raise _malformed(f"{authority!r} is not host:port (an IPv6 address needs brackets)")
    port = found["port"]
    if port is not None and not _PORT.fullmatch(port):
        raise _malformed(f"port {port!r} is not a number between 0 and 65535")
    return TCPURL(found["address"] or found["name"], DEFAULT_PORT if port is None else int(port), tls)


def _parse_unix(rest: str) -> UnixURL:
    _refuse_query_and_fragment(rest)
    if rest.startswith("//") and not rest.startswith("///"):
        raise _malformed("a Unix socket has no host: one slash follows the colon")
    # Bytes that are not UTF-8 become surrogates here, and are refused with all others.
    return UnixURL(unquote(rest, errors="surrogateescape"))


def _refuse_query_and_fragment(rest: str) -> None:
    for mark, part in ("?", "query"), ("#", "fragment"):
        if mark in rest:
            raise _malformed(f"a URL of PB has no {part} ({mark!r})")


def _canonical_host(host: str) -> str:
    if not host:
        raise _malformed("there is no host (to listen everywhere, use 0.0.0.0 or [::])")
    if ":" in host:
        return _canonical_ipv6(host)
    if not _NAME.fullmatch(host):
        raise _malformed(f"{host!r} is not a host (an international name is written in its xn-- form)")
    return host.lower()


def _canonical_ipv6(host: str) -> str:
    address, percent, zone = host.partition("%")
    if percent and not _NAME.fullmatch(zone):
        raise _malformed(f"{zone!r} is not the name of a network interface")
    try:
        return f"{IPv6Address(address)}{percent}{zone}"
    except ValueError as error:
        raise _malformed(f"{address!r} is not an IPv6 address") from error


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _malformed(problem: str) -> ValueError:
    return ValueError(f"{problem}; write it like {_EXAMPLES}")
