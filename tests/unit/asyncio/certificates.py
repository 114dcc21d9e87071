"""Authorities, and the certificates that they sign, in files and in contexts; and what is logged of TLS."""

from __future__ import annotations

import asyncio
import datetime
import logging
import ssl
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import trustme

import pellucid as pb

__all__ = ["SECURELY_HERE", "YESTERDAY", "Authority", "der", "log_of", "only_old"]

SECURELY_HERE = "pbs://127.0.0.1:0"
"""Listening there takes any free port of this machine, with TLS."""

YESTERDAY = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)


class Authority:
    """A certificate authority, and what servers and clients need that know it."""

    def __init__(self, above: Authority | None = None) -> None:
        self._ca: trustme.CA = trustme.CA() if above is None else above._ca.create_child_ca()

    def server(self, *names: str) -> ssl.SSLContext:
        """What a server of those names needs, as a context."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._ca.issue_cert(*names).configure_cert(context)
        return context

    def client(self) -> ssl.SSLContext:
        """What a client that trusts this authority needs, as a context."""
        context = ssl.create_default_context()
        self._ca.configure_trust(context)
        return context

    def issue(self, folder: Path, *names: str, **options: Any) -> pb.TLS:
        """A new certificate, in place of the one that may be in `folder`: each of the two files at once."""
        certificate = self._ca.issue_cert(*(names or ("127.0.0.1", "localhost")), **options)
        chain = b"".join(pem.bytes() for pem in certificate.cert_chain_pems)
        return pb.TLS(
            certificate=replace(folder / "certificate.pem", chain),
            key=replace(folder / "key.pem", certificate.private_key_pem.bytes()),
        )

    @property
    def pem(self) -> str:
        """The certificate of the authority itself."""
        return self._ca.cert_pem.bytes().decode()

    def trusted(self, folder: Path) -> Path:
        """A file with the certificate of the authority itself."""
        return replace(folder / "authority.pem", self._ca.cert_pem.bytes())


def replace(path: Path, content: bytes) -> Path:
    """Put `content` in place of what `path` may hold, at once."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(content)
    return fresh.replace(path)


def der(tls: pb.TLS) -> bytes:
    """The certificate that the files hold now."""
    assert tls.certificate is not None
    pem = Path(tls.certificate).read_text()
    return ssl.PEM_cert_to_DER_cert(pem[: pem.index("-----END CERTIFICATE-----") + 25])


def only_old(context: ssl.SSLContext) -> ssl.SSLContext:
    """Have `context` speak TLS 1.1, and nothing newer."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # just so
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


@contextmanager
def log_of(event: str) -> Generator[asyncio.Queue[logging.LogRecord]]:
    """What is logged of such an event, to wait for."""
    records: asyncio.Queue[logging.LogRecord] = asyncio.Queue()

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if getattr(record, "event", None) == event:
                records.put_nowait(record)

    logger, handler = logging.getLogger("pellucid"), Handler()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield records
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)
