"""Logins that TLS has a part in: bound to the server's certificate, or by the client's."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

import pellucid as pb
from pellucid.asyncio.login import Link
from pellucid.auth.credentials import Certificate, Password, PeerCertificate
from pellucid.errors import UnauthorizedLogin
from tests.dialects import each_dialect, over
from tests.unit.asyncio.certificates import SECURELY_HERE, Authority, der
from tests.unit.asyncio.door import HERE, on_each_loop, outcome
from tests.unit.asyncio.hall import ALICE, Hall, portal

pytestmark = each_dialect

Secure = pb.TLS | ssl.SSLContext

AUTHORITY, ANOTHER = Authority(), Authority()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> pb.TLS:
    """What a server has that tells which certificate it shows."""
    return AUTHORITY.issue(tmp_path_factory.mktemp("server"))


@pytest.fixture(scope="module")
def alice(tmp_path_factory: pytest.TempPathFactory) -> pb.TLS:
    """What a client has that is known by its certificate."""
    folder = tmp_path_factory.mktemp("alice")
    named = AUTHORITY.issue(folder, "alice@example.org", "worker.example.org", common_name="alice")
    return replace(named, authorities=AUTHORITY.trusted(folder))


def asking(how: ssl.VerifyMode) -> ssl.SSLContext:
    """A server's context that asks clients for a certificate, or does not."""
    context = AUTHORITY.server("127.0.0.1")
    context.load_verify_locations(cadata=AUTHORITY.pem)
    context.verify_mode = how
    return context


class Certificates:
    """Lets in whom a certificate names, and notes what it saw."""

    credentials = (PeerCertificate,)

    def __init__(self) -> None:
        self.seen: list[PeerCertificate] = []

    def check(self, credentials: PeerCertificate) -> str:
        self.seen.append(credentials)
        if credentials.common_name is None:
            raise UnauthorizedLogin("no name")
        return credentials.common_name


@asynccontextmanager
async def inside(
    root: Any, server: pb.TLS | ssl.SSLContext, client: pb.TLS | ssl.SSLContext
) -> AsyncGenerator[pb.Connection]:
    serving = pb.serve(root, SECURELY_HERE, tls=server)
    async with serving as server_, pb.connect(server_.urls[0], tls=client) as connection:
        yield connection


# By the client's certificate.


@pytest.mark.parametrize("asks", [ssl.CERT_REQUIRED, ssl.CERT_OPTIONAL], ids=str)
@on_each_loop
async def test_a_client_logs_in_as_whom_its_certificate_names(asks: ssl.VerifyMode, alice: pb.TLS) -> None:
    checker = Certificates()
    async with inside(portal(Hall(), checker), asking(asks), alice) as connection:
        avatar = await connection.login(Certificate())
        assert await avatar.call("name") == "alice"
    (seen,) = checker.seen
    assert seen.names("email") == ("alice@example.org",)
    assert seen.names("DNS") == ("worker.example.org",)
    assert ("commonName", "alice") in seen.subject
    assert ssl.DER_cert_to_PEM_cert(seen.der).startswith("-----BEGIN CERTIFICATE-----")


@on_each_loop
async def test_a_client_without_a_certificate_is_refused() -> None:
    async with inside(portal(Hall(), Certificates()), asking(ssl.CERT_OPTIONAL), AUTHORITY.client()) as connection:
        error = await outcome(connection.login(Certificate()))
        assert isinstance(error, UnauthorizedLogin)
        assert "no certificate of the client's" in str(error)


@on_each_loop
async def test_a_certificate_that_nobody_asked_for_is_not_looked_at(alice: pb.TLS) -> None:
    checker = Certificates()
    async with inside(portal(Hall(), checker), asking(ssl.CERT_NONE), alice) as connection:
        assert isinstance(await outcome(connection.login(Certificate())), UnauthorizedLogin)
    assert checker.seen == []


@on_each_loop
async def test_without_tls_there_is_no_certificate() -> None:
    async with pb.serve(portal(Hall(), Certificates()), HERE) as server, pb.connect(server.urls[0]) as connection:
        assert isinstance(await outcome(connection.login(Certificate())), UnauthorizedLogin)


# Bound to the server's.


def whose(connection: pb.Connection) -> bytes | None:
    return Link(connection).certificate


@on_each_loop
async def test_both_ends_know_the_servers_certificate(files: pb.TLS) -> None:
    async with (
        pb.serve(portal(Hall()), SECURELY_HERE, tls=files) as server,
        pb.connect(server.urls[0], tls=AUTHORITY.client()) as connection,
    ):
        (served,) = server.connections
        assert whose(connection) == whose(served) == der(files)
        assert await (await connection.login(ALICE)).call("name") == "alice"
        assert isinstance(await outcome(connection.login(Password("alice", "wrong"))), UnauthorizedLogin)


@on_each_loop
async def test_a_server_whose_context_does_not_tell_has_logins_that_are_not_bound() -> None:
    async with inside(portal(Hall()), AUTHORITY.server("127.0.0.1"), AUTHORITY.client()) as connection:
        assert await (await connection.login(ALICE)).call("name") == "alice"


class Relay(pb.Root):
    """Sits between, with a certificate that the client trusts, and passes on all that is called."""

    def __init__(self, upstream: pb.Connection, *, hides: bool) -> None:
        self._upstream = upstream.root
        self._hides = hides

    async def remote_mechanisms(self) -> Any:
        names: Any = await self._upstream.call("mechanisms")
        return [name for name in names if not (self._hides and name.endswith("-PLUS"))]

    async def remote_scram(self, first: str) -> Any:
        answer: Any = await self._upstream.call("scram", first)
        return answer[0], Passing(answer[1])


class Passing(pb.Referenceable):
    def __init__(self, finisher: pb.RemoteReference) -> None:
        self._finisher = finisher

    async def remote_finish(self, final: str, mind: Any) -> Any:
        _, last = await self._finisher.call("finish", final, None)
        return pb.Referenceable(), last


@over("pellucid")  # over the others the client answers a challenge, which nothing binds
@pytest.mark.parametrize("hides", [False, True], ids=["passes on", "hides the binding"])
@on_each_loop
async def test_whoever_sits_between_with_a_trusted_certificate_does_not_get_in(hides: bool, files: pb.TLS) -> None:
    hall = Hall()
    async with inside(portal(hall), files, AUTHORITY.client()) as upstream:
        relay = Relay(upstream, hides=hides)
        async with inside(relay, ANOTHER.server("127.0.0.1"), ANOTHER.client()) as connection:
            assert isinstance(await outcome(connection.login(ALICE)), UnauthorizedLogin)
    assert hall.came == []


@over("pellucid")
@on_each_loop
async def test_where_nothing_is_bound_whoever_sits_between_gets_in() -> None:
    hall = Hall()
    async with (
        inside(portal(hall), AUTHORITY.server("127.0.0.1"), AUTHORITY.client()) as upstream,
        inside(Relay(upstream, hides=False), ANOTHER.server("127.0.0.1"), ANOTHER.client()) as connection,
    ):
        await connection.login(ALICE)
    assert hall.came == ["alice"]
