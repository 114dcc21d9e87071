"""Who is not who it should be, or does not speak TLS: both sides are told what is wrong."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import logging
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import pellucid as pb
from pellucid.errors import ConnectFailed
from tests.unit.asyncio.certificates import SECURELY_HERE, YESTERDAY, Authority, log_of, only_old, replace
from tests.unit.asyncio.door import HERE, Gate, RawPeer, encoded, on_each_loop, outcome, raw_server

SOON = pb.Limits(connect_seconds=5)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


async def failure_of(url: str, limits: pb.Limits = SOON, **options: Any) -> ConnectFailed:
    error = await outcome(pb.connect(url, limits=limits, **options))
    assert type(error) is ConnectFailed
    assert str(error).startswith(f"no connection to {url}")
    return error


# A server that is not believed.


@on_each_loop
async def test_a_certificate_for_another_host_is_refused_and_its_names_are_told(
    authority: Authority, tmp_path: Path
) -> None:
    trusting = pb.TLS(authorities=authority.trusted(tmp_path))
    tls = authority.issue(tmp_path, "example.org", "*.example.net", "::1")
    async with pb.serve(Gate(), SECURELY_HERE, tls=tls) as server:
        for host in "127.0.0.1", "localhost":
            error = await failure_of(server.urls[0].replace("127.0.0.1", host), tls=trusting)
            assert f"the server's certificate is not for {host}. It is for 'example.org', '*.example.net'" in str(error)
            assert isinstance(error.__cause__, ssl.SSLCertVerificationError)
        assert not server.connections


@on_each_loop
async def test_of_very_many_names_only_some_are_told(authority: Authority, tmp_path: Path) -> None:
    tls = authority.issue(tmp_path, *(f"host-{number}.example.org" for number in range(100)))
    async with pb.serve(Gate(), SECURELY_HERE, tls=tls) as server:
        error = await failure_of(server.urls[0], tls=pb.TLS(authorities=authority.trusted(tmp_path)))
        assert "host-0.example.org" in str(error)
        assert len(str(error)) < 500


@on_each_loop
async def test_a_certificate_for_another_host_is_refused_where_a_context_was_given(
    authority: Authority, tmp_path: Path
) -> None:
    async with pb.serve(Gate(), SECURELY_HERE, tls=authority.issue(tmp_path, "example.org")) as server:
        error = await failure_of(server.urls[0], tls=authority.client())
        assert "the server's certificate is not for 127.0.0.1." in str(error)


@on_each_loop
async def test_a_certificate_whose_time_is_over_is_refused(authority: Authority, tmp_path: Path) -> None:
    trusting = pb.TLS(authorities=authority.trusted(tmp_path))
    long_ago = YESTERDAY - datetime.timedelta(days=30)
    tls = authority.issue(tmp_path, not_before=long_ago, not_after=YESTERDAY)
    async with pb.serve(Gate(), SECURELY_HERE, tls=tls) as server:
        error = await failure_of(server.urls[0], tls=trusting)
        assert "has expired: renew it there" in str(error)


@on_each_loop
async def test_a_certificate_whose_time_has_not_come_is_refused(authority: Authority, tmp_path: Path) -> None:
    trusting = pb.TLS(authorities=authority.trusted(tmp_path))
    tomorrow = YESTERDAY + datetime.timedelta(days=2)
    tls = authority.issue(tmp_path, not_before=tomorrow, not_after=tomorrow + datetime.timedelta(days=2))
    async with pb.serve(Gate(), SECURELY_HERE, tls=tls) as server:
        error = await failure_of(server.urls[0], tls=trusting)
        assert "is not valid yet: is the clock right" in str(error)


@on_each_loop
async def test_a_certificate_of_an_unknown_authority_is_refused(authority: Authority, tmp_path: Path) -> None:
    strangers = pb.TLS(authorities=Authority().trusted(tmp_path))
    async with pb.serve(Gate(), SECURELY_HERE, tls=authority.issue(tmp_path)) as server:
        for tls in None, strangers:
            error = await failure_of(server.urls[0], tls=tls)
            assert "the authority that signed the server's certificate is not trusted here" in str(error)
            assert "tls=pellucid.TLS(authorities=...)" in str(error)


@on_each_loop
async def test_a_certificate_that_signs_itself_is_refused_until_it_is_trusted(
    self_signed: pb.TLS,
) -> None:
    async with pb.serve(Gate(), SECURELY_HERE, tls=self_signed) as server:
        error = await failure_of(server.urls[0])
        assert "is signed by nobody but itself; if you trust it" in str(error)
        async with pb.connect(server.urls[0], tls=pb.TLS(authorities=self_signed.certificate)) as connection:
            assert await connection.root.call("echo", 1) == 1


@on_each_loop
async def test_a_client_that_does_not_trust_the_server_is_seen_in_its_log(authority: Authority, tmp_path: Path) -> None:
    async with pb.serve(Gate(), SECURELY_HERE, tls=authority.issue(tmp_path)) as server:
        with log_of("tls.failed") as records:
            await failure_of(server.urls[0])
            record = await records.get()
        assert "may not trust the server's certificate" in record.getMessage()
        assert record.levelno == logging.INFO
        assert record.peer.startswith("127.0.0.1:")  # type: ignore[attr-defined]


# A client that is not believed.

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


def showing(shown: pb.TLS | None, authority: Authority, version: ssl.TLSVersion) -> ssl.SSLContext:
    """What a client needs that shows this certificate, in this version of TLS."""
    context = authority.client()
    context.minimum_version = context.maximum_version = version
    if shown is not None:
        assert shown.certificate is not None
        context.load_cert_chain(shown.certificate, shown.key)
    return context


@pytest.mark.parametrize("version", VERSIONS)
@on_each_loop
async def test_a_client_without_a_certificate_is_refused_where_one_is_asked_for(
    authority: Authority, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    own = authority.issue(tmp_path)
    tls = pb.TLS(certificate=own.certificate, key=own.key, authorities=authority.trusted(tmp_path))
    async with pb.serve(Gate(), SECURELY_HERE, tls=tls) as server:
        with log_of("tls.failed") as records:
            error = await failure_of(server.urls[0], tls=showing(None, authority, version))
            assert "it may ask for a certificate" in str(error)
            assert "it shows no certificate, and has to" in (await records.get()).getMessage()
        assert not server.connections


@pytest.mark.parametrize("version", VERSIONS)
@on_each_loop
async def test_a_client_with_a_certificate_of_an_unknown_authority_is_refused(
    authority: Authority, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    own = authority.issue(tmp_path)
    tls = pb.TLS(certificate=own.certificate, key=own.key, authorities=authority.trusted(tmp_path))
    (theirs := tmp_path / "theirs").mkdir()
    stranger = Authority().issue(theirs, "mallory@example.org")
    async with pb.serve(Gate(), SECURELY_HERE, tls=tls) as server:
        with log_of("tls.failed") as records:
            error = await failure_of(server.urls[0], tls=showing(stranger, authority, version))
            assert "refuse the one shown here" in str(error)
            record = await records.get()
            assert "the certificate that it shows is refused: unable to get local issuer" in record.getMessage()
            assert record.levelno == logging.WARNING


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("shows", [False, True])
@on_each_loop
async def test_what_another_kind_of_server_says_of_the_clients_certificate_is_told(
    authority: Authority, tmp_path: Path, version: ssl.TLSVersion, shows: bool
) -> None:
    context = authority.server("127.0.0.1")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.trusted(tmp_path))
    stranger = Authority().issue(tmp_path, "mallory@example.org") if shows else None
    with socket.create_server(("127.0.0.1", 0)) as listener:
        refusal = asyncio.create_task(asyncio.to_thread(refuse, listener, context))
        url = f"pbs://127.0.0.1:{listener.getsockname()[1]}"
        error = await failure_of(url, tls=showing(stranger, authority, version))
        assert await refusal
    if shows:
        assert "the server refuses the certificate that this client shows" in str(error)
    elif version is ssl.TLSVersion.TLSv1_3:
        assert "the server asks for a certificate: tls=pellucid.TLS(certificate=..., key=...)" in str(error)
    else:
        assert "SSLV3_ALERT_HANDSHAKE_FAILURE" in str(error)  # TLS 1.2 has no word for it
    assert isinstance(error.__cause__, ssl.SSLError)


def refuse(listener: socket.socket, context: ssl.SSLContext) -> bool:
    """Whether the client that comes is refused; it is told why."""
    listener.settimeout(10)
    accepted, _ = listener.accept()
    accepted.settimeout(10)
    with context.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False) as tls:
        try:
            tls.do_handshake()
        except ssl.SSLError:
            return True
    return False


# Older versions.


@on_each_loop
async def test_tls_1_1_is_spoken_with_nobody_who_does_not_insist(authority: Authority, tmp_path: Path) -> None:
    old_client = only_old(authority.client())
    trusting = pb.TLS(authorities=authority.trusted(tmp_path))
    async with (
        pb.serve(Gate(), SECURELY_HERE, tls=only_old(authority.server("127.0.0.1"))) as old,
        pb.serve(Gate(), SECURELY_HERE, tls=authority.issue(tmp_path)) as new,
    ):
        async with pb.connect(old.urls[0], tls=old_client) as connection:
            assert await connection.root.call("echo", 1) == 1
        with log_of("tls.failed") as records:
            error = await failure_of(new.urls[0], tls=old_client)
            assert "know no TLS as new as 1.2" in str(error)
            assert "no version of TLS in common" in (await records.get()).getMessage()
        error = await failure_of(old.urls[0], tls=trusting)
        assert "know no TLS as new as 1.2" in str(error)


# TLS to one who does not speak it, and the reverse.


@on_each_loop
async def test_a_client_with_tls_at_a_port_without_is_told_and_so_is_the_server(authority: Authority) -> None:
    async with pb.serve(Gate(), HERE) as server:
        with log_of("connection.aborted") as records:
            url = server.urls[0].replace("pb:", "pbs:")
            error = await failure_of(url, tls=authority.client())
            assert "does not speak TLS: is it a server for pb:// URLs?" in str(error)
            assert "the peer speaks TLS, which is not spoken here" in (await records.get()).getMessage()


@on_each_loop
async def test_a_client_without_tls_at_a_port_with_it_is_told_and_so_is_the_server(
    authority: Authority, tmp_path: Path
) -> None:
    limits = pb.Limits(handshake_seconds=0.05)
    async with pb.serve(Gate(), SECURELY_HERE, tls=authority.issue(tmp_path), limits=limits) as server:
        url = server.urls[0].replace("pbs:", "pb:")
        with log_of("tls.failed") as records:
            error = await failure_of(url)
            assert "a server for pbs:// URLs says nothing to a client without TLS: is it one?" in str(error)
            assert "within Limits.handshake_seconds=0.05" in (await records.get()).getMessage()

    async with pb.serve(Gate(), SECURELY_HERE, tls=authority.issue(tmp_path)) as server:
        error = await failure_of(server.urls[0].replace("pbs:", "pb:"), limits=pb.Limits(connect_seconds=0.3))
        assert "(Limits.connect_seconds); a server for pbs:// URLs says nothing" in str(error)


@pytest.mark.parametrize("said", [b"GET / HTTP/1.0\r\n\r\n", encoded(b"pellucid"), b"\x15\x03\x03\x00\x02\x02\x28"])
@on_each_loop
async def test_what_is_not_tls_is_logged_and_costs_nobody_else_anything(
    authority: Authority, tmp_path: Path, said: bytes
) -> None:
    async with pb.serve(Gate(), SECURELY_HERE, tls=authority.issue(tmp_path)) as server:
        with log_of("tls.failed") as records:
            garbage = await RawPeer.connect_silently(server.urls[0])
            garbage.send_bytes(said)
            await garbage.receive_bytes_until_closed()
            assert "no connection with 127.0.0.1:" in (await records.get()).getMessage()
        assert not server.connections
        async with pb.connect(server.urls[0], tls=authority.client()) as connection:
            assert await connection.root.call("echo", 1) == 1
        await garbage.close()


@on_each_loop
async def test_a_client_asked_to_speak_tls_says_nothing_without_it(authority: Authority) -> None:
    async with raw_server(greet=False) as (url, peers):
        connecting = asyncio.ensure_future(failure_of(url.replace("pb:", "pbs:"), tls=authority.client()))
        peer = await peers.get()
        peer.send_bytes(encoded([b"none"]))
        assert "does not speak TLS" in str(await connecting)
        assert (await peer.receive_bytes_until_closed()).startswith(b"\x16\x03")
        assert peers.empty()


@pytest.fixture
def self_signed(tmp_path: Path) -> pb.TLS:
    """A certificate that nobody else has signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(YESTERDAY)
        .not_valid_after(YESTERDAY + datetime.timedelta(days=9))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return pb.TLS(
        certificate=replace(tmp_path / "self.pem", certificate.public_bytes(serialization.Encoding.PEM)),
        key=replace(tmp_path / "self-key.pem", key.private_bytes(*form)),
    )
