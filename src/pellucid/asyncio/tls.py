"""TLS from files, for both sides: who one is, whom one trusts, and what it means when that fails.

A server that is given paths has a context of its own for each state of the files. So the context of a connection tells
which certificate was shown to that client, and a client comes in with the whole of one state, or of another.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pellucid.asyncio.events import Event
from pellucid.asyncio.tls_failures import WRONG_HOST
from pellucid.auth.files import stamp

__all__ = ["TLS", "check_tls", "client_context", "server_certificate", "server_contexts"]

_Path = str | os.PathLike[str]

# RFC 8996 has done away with those before. TLS 1.3 is taken where both sides know it.
_OLDEST = ssl.TLSVersion.TLSv1_2

_LONGEST_NAMES = 300  # characters of an error that others have chosen


@dataclass(frozen=True, slots=True, kw_only=True)
class TLS:
    """Files in PEM form that say who one is and whom one trusts, for `tls=` of `serve` or `connect`.

    They are read, and found to fit, by `serve` and `connect` themselves. `connect` reads them each time. A server looks
    for each client that comes whether a file was replaced; if so, that client and those after it meet the new ones,
    and connections that were made before live on. Files that can't be used, such as a renewed certificate whose key is
    not there yet, are logged as an error, once, and those read before stay in use.

    What a peer shows is always checked. To be less strict, or to choose ciphers, hand in an `ssl.SSLContext` instead.
    """

    certificate: _Path | None = None
    """The certificate to show, followed by those of intermediate authorities, if any. A server needs one."""

    key: _Path | None = None
    """Its private key; None where that is in the file of the certificate."""

    key_password: str | bytes | None = field(default=None, repr=False)
    """What the key is encrypted with, if it is."""

    authorities: _Path | None = None
    """Certificates of the authorities whose signature is trusted.

    At a client: in place of those that the system trusts. At a server: clients have to show a certificate that one of
    them has signed. None there lets in clients without a certificate, and asks for none.
    """

    def __post_init__(self) -> None:
        if self.certificate is None and self.key is not None:
            raise ValueError(
                "TLS(key=...) without certificate=: name the file of the certificate that it is the key of"
            )
        if self.certificate is None and self.key_password is not None:
            raise ValueError("TLS(key_password=...) without a key: name the files with certificate= and key=")

    def paths(self) -> Iterator[Path]:
        """All of the files."""
        for path in self.certificate, self.key, self.authorities:
            if path is not None:
                yield Path(path)


def check_tls(tls: object) -> None:
    """Raise TypeError where `tls` is nothing that `tls=` takes."""
    if not isinstance(tls, ssl.SSLContext | TLS | None):
        raise TypeError(f"tls= is a pellucid.TLS or an ssl.SSLContext, not {type(tls).__name__}")


# Contexts.


class _ServerContext(ssl.SSLContext):
    """The context of one state of a server's files."""

    certificate: bytes | None = None
    """The server's certificate in DER form; None where it is in a form that we don't read."""


class _ClientSide(ssl.SSLObject):
    """A client's side of TLS, which notes whose certificate it was that is not for the host asked for."""

    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except ssl.SSLCertVerificationError as error:
            if error.verify_code in WRONG_HOST and (names := self._names()):
                error.add_note(f"It is for {names}.")
            raise

    def _names(self) -> str:
        # Since Python 3.13 there is a public way to the certificate, in DER form, and none to what it says once the
        # handshake has failed. Should this one end, the error tells no names.
        try:
            chain = self._sslobj.get_unverified_chain()  # type: ignore[attr-defined]
            named = chain[0].get_info().get("subjectAltName", ())
        except (AttributeError, IndexError, TypeError, ValueError, ssl.SSLError):
            return ""
        names = ", ".join(ascii(name) for _, name in named)  # from the wire
        return names if len(names) <= _LONGEST_NAMES else f"{names[:_LONGEST_NAMES]}..."


def client_context(tls: ssl.SSLContext | TLS | None) -> ssl.SSLContext:
    """The context for the next connection of a client.

    Raises:
        ValueError: a file is not there or not what it should be, or the context is not for clients.
    """
    if isinstance(tls, ssl.SSLContext):
        if tls.protocol is ssl.PROTOCOL_TLS_SERVER:
            raise ValueError("tls= has a context for servers; make that of a client with ssl.create_default_context()")
        return tls
    tls = tls or TLS()
    if tls.authorities is None:
        context = ssl.create_default_context()
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        _trust(context, Path(tls.authorities))
    context.minimum_version = _OLDEST
    context.sslobject_class = _ClientSide
    if tls.certificate is not None:
        _show(context, tls, Path(tls.certificate))
    return context


def server_contexts(tls: ssl.SSLContext | TLS) -> Callable[[], ssl.SSLContext]:
    """What gives the context for the next client of a server.

    Raises:
        ValueError: a file is not there or not what it should be, or the context is not for servers.
    """
    if isinstance(tls, ssl.SSLContext):
        if tls.protocol is ssl.PROTOCOL_TLS_CLIENT:
            raise ValueError("tls= has a context for clients; make that of a server with ssl.PROTOCOL_TLS_SERVER")
        return lambda: tls
    return _Renewed(tls).context


def server_certificate(tls: ssl.SSLObject) -> bytes | None:
    """The certificate of the server of this connection, in DER form, at either side of it.

    None at a server that was given an `ssl.SSLContext`, which does not tell.
    """
    if not tls.server_side:
        return tls.getpeercert(binary_form=True)
    context = tls.context
    return context.certificate if isinstance(context, _ServerContext) else None


class _Renewed:
    """The context of a server whose files may be replaced while it runs."""

    def __init__(self, tls: TLS) -> None:
        self._tls = tls
        self._paths = list(tls.paths())
        self._read = _stamps(self._paths)
        self._context = _server_context(tls)

    def context(self) -> ssl.SSLContext:
        """The context for the next client."""
        stamps = _stamps(self._paths)
        if stamps != self._read:
            self._read = stamps  # of files that can't be used, too: they are tried, and complained of, once
            files = ", ".join(map(str, self._paths))
            try:
                self._context = _server_context(self._tls)
            except ValueError as error:
                text = "TLS goes on with the files read before, as the new ones can't be used: %s"
                Event.TLS_KEPT.log(text, str(error), files=files)
            else:
                Event.TLS_RENEWED.log("TLS renewed from %s", files, files=files)
        return self._context


def _server_context(tls: TLS) -> _ServerContext:
    if tls.certificate is None:
        raise ValueError("a server needs a certificate: tls=pellucid.TLS(certificate=..., key=...)")
    certificate = Path(tls.certificate)
    context = _ServerContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _OLDEST
    before = _first_certificate(_content(certificate, "certificate"))
    _show(context, tls, certificate)
    context.certificate = _first_certificate(_content(certificate, "certificate"))
    if context.certificate != before:
        raise ValueError(
            f"TLS certificate {certificate} changed while it was read: replace it in one step, by renaming"
        )
    if tls.authorities is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        _trust(context, Path(tls.authorities))
    return context


def _trust(context: ssl.SSLContext, path: Path) -> None:
    _content(path, "authorities")
    try:
        context.load_verify_locations(cafile=path)
    except OSError as error:  # an SSLError is one
        raise ValueError(f"TLS authorities {path} has no certificates of authorities in PEM form: {error}") from error
    # Python's own contexts have become stricter with time.
    context.verify_flags = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).verify_flags


def _show(context: ssl.SSLContext, tls: TLS, certificate: Path) -> None:
    if b"CERTIFICATE-----" not in _content(certificate, "certificate"):
        raise ValueError(f"TLS certificate {certificate} has no certificate in PEM form")
    key = certificate if tls.key is None else Path(tls.key)
    content = _content(key, "key")
    if b"PRIVATE KEY-----" not in content:
        hint = ": name the file that has it with key=" if tls.key is None else " in PEM form"
        raise ValueError(f"TLS {'certificate' if tls.key is None else 'key'} {key} has no private key{hint}")
    try:
        context.load_cert_chain(certificate, key, _password(tls, key))
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            text = f"the key in {key} is not that of the certificate in {certificate}"
            raise ValueError(f"TLS files don't fit: {text}; has one of them been renewed without the other?") from error
        if tls.key_password is not None:
            raise ValueError(f"TLS key {key} can't be read: key_password= may be wrong ({error})") from error
        raise ValueError(f"TLS certificate {certificate} or key {key} can't be used: {error}") from error
    except OSError as error:
        raise ValueError(f"TLS files {certificate} and {key} can't be read: {error}") from error


def _password(tls: TLS, key: Path) -> Callable[[], str | bytes]:
    def password() -> str | bytes:  # asked for only where the key is encrypted; without it OpenSSL asks the terminal
        if tls.key_password is None:
            raise ValueError(f"TLS key {key} is encrypted: give its password with key_password=")
        return tls.key_password

    return password


def _content(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ValueError(f"TLS {what} {path} can't be read: {error.strerror}") from error


def _first_certificate(pem: bytes) -> bytes | None:
    """In DER form; it is the one that OpenSSL shows."""
    found = re.search(rb"-----BEGIN ([A-Z0-9 ]*CERTIFICATE)-----.*?-----END \1-----", pem, re.DOTALL)
    if found is None or found[1] != b"CERTIFICATE":
        return None
    try:
        return ssl.PEM_cert_to_DER_cert(found[0].decode("ascii"))
    except ValueError:
        return None


def _stamps(paths: Iterable[Path]) -> list[tuple[int, ...] | None]:
    """What changes when a file is replaced, or written to. It costs a few microseconds, a handshake a millisecond."""
    stamps: list[tuple[int, ...] | None] = []
    for path in paths:
        try:
            stamps.append(stamp(path))
        except OSError:
            stamps.append(None)
    return stamps
