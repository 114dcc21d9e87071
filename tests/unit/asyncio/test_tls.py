"""`TLS`: certificates from files, which may be renewed while a server runs; and what the two sides know of them."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

import pellucid as pb
from pellucid.asyncio.tls import client_context, server_contexts
from tests.unit.asyncio.certificates import SECURELY_HERE, Authority, der, log_of, replace
from tests.unit.asyncio.door import HERE, Gate, on_each_loop


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


class Remembering:
    """Makes the roots of a server, and remembers its ends of connections."""

    def __init__(self) -> None:
        self.served: list[pb.Connection] = []

    def __call__(self, connection: pb.Connection) -> Gate:
        self.served.append(connection)
        return Gate()


# Files.


@on_each_loop
async def test_files_are_enough_for_both_sides(authority: Authority, tmp_path: Path) -> None:
    tls = authority.issue(tmp_path)
    trusting = pb.TLS(authorities=str(authority.trusted(tmp_path)))
    async with pb.serve(Gate(), SECURELY_HERE, tls=tls) as server:
        for url in server.urls[0], server.urls[0].replace("127.0.0.1", "localhost"):
            async with pb.connect(url, tls=trusting) as connection:
                # More than one TLS record, in both directions.
                assert await connection.root.call("echo", bytes(500_000)) == bytes(500_000)


@on_each_loop
async def test_the_key_may_be_in_the_file_of_the_certificate(authority: Authority, tmp_path: Path) -> None:
    two = authority.issue(tmp_path)
    both = replace(tmp_path / "both.pem", content(two.key) + content(two.certificate))
    async with (
        pb.serve(Gate(), SECURELY_HERE, tls=pb.TLS(certificate=both)) as server,
        pb.connect(server.urls[0], tls=pb.TLS(authorities=authority.trusted(tmp_path))) as connection,
    ):
        assert connection.server_certificate == der(two)


@on_each_loop
async def test_a_certificate_may_be_followed_by_those_of_authorities_in_between(
    authority: Authority, tmp_path: Path
) -> None:
    tls = Authority(above=authority).issue(tmp_path)
    assert content(tls.certificate).count(b"BEGIN CERTIFICATE") == 2
    roots = Remembering()
    async with (
        pb.serve(roots, SECURELY_HERE, tls=tls) as server,
        pb.connect(server.urls[0], tls=pb.TLS(authorities=authority.trusted(tmp_path))) as connection,
    ):
        await connection.root.call("echo")
        assert connection.server_certificate == roots.served[0].server_certificate == der(tls)


@on_each_loop
async def test_an_encrypted_key_is_opened_with_its_password(authority: Authority, tmp_path: Path) -> None:
    plain = authority.issue(tmp_path)
    tls = pb.TLS(certificate=plain.certificate, key=encrypted(plain, "sesame"), key_password="sesame")
    async with (
        pb.serve(Gate(), SECURELY_HERE, tls=tls) as server,
        pb.connect(server.urls[0], tls=authority.client()) as connection,
    ):
        assert await connection.root.call("echo", 1) == 1


@on_each_loop
async def test_a_socket_handed_in_speaks_tls_where_the_server_has_a_certificate(
    authority: Authority, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        async with pb.serve(Gate(), sock=sock, tls=authority.issue(tmp_path)) as server:
            assert server.urls == (f"pbs://127.0.0.1:{sock.getsockname()[1]}",)
            async with pb.connect(server.urls[0], tls=authority.client()) as connection:
                assert await connection.root.call("echo", 1) == 1
        assert sock.fileno() == -1


def test_a_password_is_not_shown() -> None:
    assert "sesame" not in repr(pb.TLS(certificate="a.pem", key_password="sesame"))


# What can't be used is found out at once.

Change = Callable[[pb.TLS, Path], pb.TLS]


def content(path: Any) -> bytes:
    return Path(path).read_bytes()


def encrypted(tls: pb.TLS, password: str) -> Path:
    key = serialization.load_pem_private_key(content(tls.key), None)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(password.encode()),
    )
    assert tls.key is not None
    return replace(Path(tls.key), pem)


def without(name: str) -> Change:
    def change(tls: pb.TLS, folder: Path) -> pb.TLS:
        (folder / name).unlink()
        return tls

    return change


def with_content(name: str, text: bytes) -> Change:
    def change(tls: pb.TLS, folder: Path) -> pb.TLS:
        replace(folder / name, text)
        return tls

    return change


def another_key(tls: pb.TLS, folder: Path) -> pb.TLS:
    certificate = content(tls.certificate)
    Authority().issue(folder)
    replace(folder / "certificate.pem", certificate)
    return tls


def a_folder(tls: pb.TLS, folder: Path) -> pb.TLS:
    (folder / "key.pem").unlink()
    (folder / "key.pem").mkdir()
    return tls


def a_secret_key(tls: pb.TLS, folder: Path) -> pb.TLS:
    encrypted(tls, "sesame")
    return tls


def a_wrong_password(tls: pb.TLS, folder: Path) -> pb.TLS:
    return pb.TLS(certificate=tls.certificate, key=encrypted(tls, "sesame"), key_password="open")


def no_key_named(tls: pb.TLS, folder: Path) -> pb.TLS:
    return pb.TLS(certificate=tls.certificate)


SHORT = b"-----BEGIN CERTIFICATE-----\nabcd\n-----END CERTIFICATE-----\n"
SPOILT = b"-----BEGIN CERTIFICATE-----\n\xff\n-----END CERTIFICATE-----\n"

UNUSABLE = [
    pytest.param(without("certificate.pem"), r"certificate.pem can't be read: No such file", id="no certificate"),
    pytest.param(without("key.pem"), r"key.pem can't be read: No such file", id="no key"),
    pytest.param(a_folder, r"key.pem can't be read: Is a directory", id="a folder"),
    pytest.param(
        with_content("certificate.pem", b"?"), r"certificate.pem has no certificate in PEM form", id="garbage"
    ),
    pytest.param(with_content("certificate.pem", SHORT), r"certificate.pem or .*key.pem can't be used", id="short"),
    pytest.param(with_content("certificate.pem", SPOILT), r"certificate.pem or .*key.pem can't be used", id="spoilt"),
    pytest.param(with_content("key.pem", b"?"), r"key.pem has no private key in PEM form", id="garbled key"),
    pytest.param(
        no_key_named, r"certificate.pem has no private key: name the file that has it with key=", id="keyless"
    ),
    pytest.param(another_key, r"the key in .*key.pem is not that of the certificate in .*certificate.pem", id="misfit"),
    pytest.param(a_secret_key, r"key.pem is encrypted: give its password with key_password=", id="no password"),
    pytest.param(a_wrong_password, r"key.pem can't be read: key_password= may be wrong", id="wrong password"),
]


@pytest.mark.parametrize(("change", "problem"), UNUSABLE)
def test_files_that_cannot_be_used_are_a_value_error_at_once(
    authority: Authority, tmp_path: Path, change: Change, problem: str
) -> None:
    tls = change(authority.issue(tmp_path), tmp_path)
    with pytest.raises(ValueError, match=problem):
        pb.serve(Gate(), SECURELY_HERE, tls=tls)
    with pytest.raises(ValueError, match=problem):
        pb.connect("pbs://127.0.0.1:1", tls=tls)


@pytest.mark.parametrize(
    ("name", "problem"),
    [("key.pem", "has no certificates of authorities in PEM form"), ("nothing.pem", "can't be read: No such file")],
)
def test_authorities_that_cannot_be_used_are_a_value_error_at_once(
    authority: Authority, tmp_path: Path, name: str, problem: str
) -> None:
    tls = authority.issue(tmp_path)
    with pytest.raises(ValueError, match=f"{name} {problem}"):
        pb.connect("pbs://127.0.0.1:1", tls=pb.TLS(authorities=tmp_path / name))
    with pytest.raises(ValueError, match=f"{name} {problem}"):
        pb.serve(
            Gate(), SECURELY_HERE, tls=pb.TLS(certificate=tls.certificate, key=tls.key, authorities=tmp_path / name)
        )


def test_a_server_needs_a_certificate(authority: Authority, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a server needs a certificate"):
        pb.serve(Gate(), SECURELY_HERE, tls=pb.TLS(authorities=authority.trusted(tmp_path)))
    with pytest.raises(ValueError, match="needs the server's certificate"):
        pb.serve(Gate(), SECURELY_HERE)


@pytest.mark.parametrize("more", [{"key": "key.pem"}, {"key_password": "sesame"}])
def test_a_key_without_a_certificate_is_a_value_error(more: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="certificate="):
        pb.TLS(**more)


def test_what_is_neither_files_nor_a_context_is_a_type_error() -> None:
    path: Any = "certificate.pem"
    with pytest.raises(TypeError, match=r"a pellucid.TLS or an ssl.SSLContext, not str"):
        pb.serve(Gate(), SECURELY_HERE, tls=path)
    with pytest.raises(TypeError, match="not str"):
        pb.connect("pbs://127.0.0.1:1", tls=path)


def test_the_context_of_the_other_side_is_a_value_error(authority: Authority) -> None:
    with pytest.raises(ValueError, match="a context for clients"):
        pb.serve(Gate(), SECURELY_HERE, tls=authority.client())
    with pytest.raises(ValueError, match="a context for servers"):
        pb.connect("pbs://127.0.0.1:1", tls=authority.server("127.0.0.1"))


def test_files_that_would_not_be_used_are_a_value_error(authority: Authority, tmp_path: Path) -> None:
    tls = authority.issue(tmp_path)
    for url in HERE, "pb+unix:/nowhere":
        with pytest.raises(ValueError, match="no pbs:// URL or TCP socket"):
            pb.serve(Gate(), url, tls=tls)
        with pytest.raises(ValueError, match="tls= is for pbs:// URLs"):
            pb.connect(url, tls=tls)


def test_there_is_no_tls_on_a_unix_socket_that_is_handed_in(authority: Authority, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as sock, pytest.raises(ValueError, match="no TLS on Unix sockets"):
        pb.serve(Gate(), sock=sock, tls=authority.issue(tmp_path))


# Renewal.


async def shown(server: pb.Server, authority: Authority) -> bytes | None:
    """The certificate that a client sees who comes now."""
    async with pb.connect(server.urls[0], tls=authority.client()) as connection:
        assert await connection.root.call("echo", 1) == 1
        return connection.server_certificate


@on_each_loop
async def test_those_who_come_after_a_renewal_see_the_new_certificate_and_others_live_on(
    authority: Authority, tmp_path: Path
) -> None:
    roots = Remembering()
    tls = authority.issue(tmp_path)
    old = der(tls)
    async with (
        pb.serve(roots, SECURELY_HERE, tls=tls) as server,
        pb.connect(server.urls[0], tls=authority.client()) as early,
    ):
        assert early.server_certificate == old
        authority.issue(tmp_path)
        assert der(tls) != old
        async with pb.connect(server.urls[0], tls=authority.client()) as late:
            assert await late.root.call("echo", 1) == 1
            assert late.server_certificate == der(tls)
            assert await early.root.call("echo", 2) == 2
            assert [served.server_certificate for served in roots.served] == [old, der(tls)]


@on_each_loop
async def test_links_that_point_elsewhere_are_a_renewal(authority: Authority, tmp_path: Path) -> None:
    for version in "first", "second":
        (tmp_path / version).mkdir()
        authority.issue(tmp_path / version)
    (live := tmp_path / "live").symlink_to("first")
    tls = pb.TLS(certificate=live / "certificate.pem", key=live / "key.pem")
    async with pb.serve(Gate(), SECURELY_HERE, tls=tls) as server:
        old = der(tls)
        assert await shown(server, authority) == old
        (tmp_path / "next").symlink_to("second")
        (tmp_path / "next").rename(live)
        assert await shown(server, authority) == der(tls) != old


@on_each_loop
async def test_authorities_are_renewed_as_well(authority: Authority, tmp_path: Path) -> None:
    tls = authority.issue(tmp_path)
    (theirs := tmp_path / "theirs").mkdir()
    newcomers = Authority()
    of_newcomers = newcomers.issue(theirs)
    trusting = authority.trusted(theirs)
    newcomer = pb.TLS(certificate=of_newcomers.certificate, key=of_newcomers.key, authorities=trusting)
    demanding = pb.TLS(certificate=tls.certificate, key=tls.key, authorities=authority.trusted(tmp_path))
    async with pb.serve(Gate(), SECURELY_HERE, tls=demanding) as server:
        with pytest.raises(pb.ConnectFailed):
            await pb.connect(server.urls[0], tls=newcomer)
        newcomers.trusted(tmp_path)
        async with pb.connect(server.urls[0], tls=newcomer) as connection:
            assert await connection.root.call("echo", 1) == 1


@on_each_loop
async def test_no_session_outlives_a_renewal(authority: Authority, tmp_path: Path) -> None:
    tls = authority.issue(tmp_path)
    context = authority.client()
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # in 1.3 a session is known only some time after the handshake

    def connect(address: tuple[str, int], session: ssl.SSLSession | None) -> tuple[ssl.SSLSession | None, bool | None]:
        with (
            socket.create_connection(address, timeout=10) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1", session=session) as client,
        ):
            assert client.recv(1)
            return client.session, client.session_reused

    async with pb.serve(Gate(), SECURELY_HERE, tls=tls) as server:
        address = "127.0.0.1", int(server.urls[0].rpartition(":")[2])
        session, _ = await asyncio.to_thread(connect, address, None)
        assert (await asyncio.to_thread(connect, address, session))[1]
        authority.issue(tmp_path)
        assert not (await asyncio.to_thread(connect, address, session))[1]


@on_each_loop
async def test_a_broken_renewal_leaves_the_old_certificate_in_use_and_is_logged_once(
    authority: Authority, tmp_path: Path
) -> None:
    tls = authority.issue(tmp_path)
    old = der(tls)
    async with pb.serve(Gate(), SECURELY_HERE, tls=tls) as server:
        with log_of("tls.kept") as errors:
            replace(tmp_path / "certificate.pem", b"rubbish")
            assert [await shown(server, authority) for _ in range(3)] == [old] * 3
            error = errors.get_nowait()
            assert errors.empty()
            assert error.levelno == logging.ERROR
            assert f"{tmp_path / 'certificate.pem'} has no certificate" in error.getMessage()
            (tmp_path / "certificate.pem").unlink()
            assert await shown(server, authority) == old
            assert "No such file" in errors.get_nowait().getMessage()
        authority.issue(tmp_path)
        assert await shown(server, authority) == der(tls)


@on_each_loop
async def test_a_certificate_whose_key_is_not_there_yet_is_not_shown(authority: Authority, tmp_path: Path) -> None:
    tls = authority.issue(tmp_path)
    old = der(tls)
    (aside := tmp_path / "aside").mkdir()
    renewed = authority.issue(aside)
    async with pb.serve(Gate(), SECURELY_HERE, tls=tls) as server:
        with log_of("tls.kept") as errors, log_of("tls.renewed") as renewals:
            replace(tmp_path / "certificate.pem", content(renewed.certificate))
            assert await shown(server, authority) == old
            assert "is not that of the certificate" in errors.get_nowait().getMessage()
            replace(tmp_path / "key.pem", content(renewed.key))
            assert await shown(server, authority) == der(renewed) != old
            assert str(tmp_path / "key.pem") in renewals.get_nowait().getMessage()
            assert errors.empty()
            assert renewals.empty()


def test_files_that_change_while_they_are_read_are_not_used(authority: Authority, tmp_path: Path) -> None:
    class Restless:
        """A path that is replaced, with its certificate, whenever somebody asks for it."""

        def __fspath__(self) -> str:
            return str(authority.issue(tmp_path).key)

    tls = pb.TLS(certificate=authority.issue(tmp_path).certificate, key=Restless())
    with pytest.raises(ValueError, match="changed while it was read"):
        pb.serve(Gate(), SECURELY_HERE, tls=tls)


# What the two sides know.


@on_each_loop
async def test_both_sides_know_the_certificate_of_the_server_and_without_one_from_the_client_no_other(
    authority: Authority, tmp_path: Path
) -> None:
    roots = Remembering()
    tls = authority.issue(tmp_path, "127.0.0.1", "broker.example.org")
    async with (
        pb.serve(roots, SECURELY_HERE, tls=tls) as server,
        pb.connect(server.urls[0], tls=authority.client()) as connection,
    ):
        await connection.root.call("echo")
        (served,) = roots.served
        assert connection.server_certificate == served.server_certificate == der(tls)
        assert connection.peer_certificate is not None
        assert ("DNS", "broker.example.org") in connection.peer_certificate["subjectAltName"]
        assert served.peer_certificate is None

    ended: list[object] = [connection.server_certificate, connection.peer_certificate]
    assert ended == [None, None]


@on_each_loop
async def test_a_server_with_authorities_knows_its_clients_by_their_certificates(
    authority: Authority, tmp_path: Path
) -> None:
    roots = Remembering()
    own = authority.issue(tmp_path)
    (theirs := tmp_path / "theirs").mkdir()
    clients = Authority()
    of_alice = clients.issue(theirs, "alice@example.org", common_name="alice")
    trusting = authority.trusted(theirs)
    alice = pb.TLS(certificate=of_alice.certificate, key=of_alice.key, authorities=trusting)
    tls = pb.TLS(certificate=own.certificate, key=own.key, authorities=clients.trusted(tmp_path))
    async with (
        pb.serve(roots, SECURELY_HERE, tls=tls) as server,
        pb.connect(server.urls[0], tls=alice) as connection,
    ):
        assert await connection.root.call("echo", 1) == 1
        (served,) = roots.served
        assert served.peer_certificate is not None
        assert (("commonName", "alice"),) in served.peer_certificate["subject"]
        assert ("email", "alice@example.org") in served.peer_certificate["subjectAltName"]


@on_each_loop
async def test_a_server_with_a_context_does_not_know_its_own_certificate(authority: Authority) -> None:
    roots = Remembering()
    async with (
        pb.serve(roots, SECURELY_HERE, tls=authority.server("127.0.0.1")) as server,
        pb.connect(server.urls[0], tls=authority.client()) as connection,
    ):
        await connection.root.call("echo")
        assert roots.served[0].server_certificate is None
        assert connection.server_certificate is not None


@on_each_loop
async def test_without_tls_there_are_no_certificates() -> None:
    async with pb.serve(Gate(), HERE) as server, pb.connect(server.urls[0]) as connection:
        assert (connection.server_certificate, connection.peer_certificate) == (None, None)


def test_contexts_are_as_strict_as_those_of_python(authority: Authority, tmp_path: Path) -> None:
    own, trusted = authority.issue(tmp_path), authority.trusted(tmp_path)
    of_client = ssl.create_default_context()
    of_server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    of_server.verify_mode = ssl.CERT_REQUIRED
    demanding = pb.TLS(certificate=own.certificate, key=own.key, authorities=trusted)
    for ours, theirs in (
        (client_context(None), of_client),
        (client_context(pb.TLS(authorities=trusted)), of_client),
        (server_contexts(demanding)(), of_server),
    ):
        for name in "verify_mode", "check_hostname", "verify_flags", "options", "minimum_version":
            assert getattr(ours, name) == getattr(theirs, name), name
