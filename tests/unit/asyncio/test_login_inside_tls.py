"""Logins that TLS has a part in: bound to the server's certificate, or by the client's."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trustme

import pellucid as pb
from pellucid.asyncio.login import Link
from pellucid.auth.credentials import Certificate, Password, PeerCertificate
from pellucid.errors import UnauthorizedLogin
from tests.dialects import each_dialect, over
from tests.unit.asyncio.door import HERE, on_each_loop, outcome
from tests.unit.asyncio.hall import ALICE, Hall, portal

pytestmark = each_dialect

AUTHORITY, ANOTHER = trustme.CA(), trustme.CA()

SECURELY_HERE = "pbs://127.0.0.1:0"


class Certified(ssl.SSLContext):
    """A server's context that knows its certificate, as those made of files do."""

    certificate: bytes | None = None


def of_server(authority: trustme.CA = AUTHORITY, *, asks: ssl.VerifyMode = ssl.CERT_NONE) -> Certified:
    context = Certified(ssl.PROTOCOL_TLS_SERVER)
    issued = authority.issue_cert("127.0.0.1")
    issued.configure_cert(context)
    context.certificate = ssl.PEM_cert_to_DER_cert(issued.cert_chain_pems[0].bytes().decode())
    AUTHORITY.configure_trust(context)
    context.verify_mode = asks
    return context


def of_client(*authorities: trustme.CA, named: str | None = None, by: trustme.CA = AUTHORITY) -> ssl.SSLContext:
    context = ssl.create_default_context()
    for authority in authorities or (AUTHORITY,):
        authority.configure_trust(context)
    if named is not None:
        by.issue_cert("alice@example.org", "worker.example.org", common_name=named).configure_cert(context)
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
async def inside(root: Any, server: ssl.SSLContext, client: ssl.SSLContext) -> AsyncGenerator[pb.Connection]:
    serving = pb.serve(root, SECURELY_HERE, tls=server)
    async with serving as server_, pb.connect(server_.urls[0], tls=client) as connection:
        yield connection


# By the client's certificate.


@pytest.mark.parametrize("asks", [ssl.CERT_REQUIRED, ssl.CERT_OPTIONAL], ids=str)
@on_each_loop
async def test_a_client_logs_in_as_whom_its_certificate_names(asks: ssl.VerifyMode) -> None:
    checker = Certificates()
    async with inside(portal(Hall(), checker), of_server(asks=asks), of_client(named="alice")) as connection:
        avatar = await connection.login(Certificate())
        assert await avatar.call("name") == "alice"
    (seen,) = checker.seen
    assert seen.names("email") == ("alice@example.org",)
    assert seen.names("DNS") == ("worker.example.org",)
    assert ("commonName", "alice") in seen.subject
    assert ssl.DER_cert_to_PEM_cert(seen.der).startswith("-----BEGIN CERTIFICATE-----")


@on_each_loop
async def test_a_client_without_a_certificate_is_refused() -> None:
    async with inside(portal(Hall(), Certificates()), of_server(asks=ssl.CERT_OPTIONAL), of_client()) as connection:
        error = await outcome(connection.login(Certificate()))
        assert isinstance(error, UnauthorizedLogin)
        assert "no certificate of the client's" in str(error)


@on_each_loop
async def test_a_certificate_that_nobody_asked_for_is_not_looked_at() -> None:
    checker = Certificates()
    async with inside(portal(Hall(), checker), of_server(), of_client(named="alice")) as connection:
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
async def test_both_ends_know_the_servers_certificate() -> None:
    context = of_server()
    async with (
        pb.serve(portal(Hall()), SECURELY_HERE, tls=context) as server,
        pb.connect(server.urls[0], tls=of_client()) as connection,
    ):
        (served,) = server.connections
        assert whose(connection) == whose(served) == context.certificate
        assert await (await connection.login(ALICE)).call("name") == "alice"
        assert isinstance(await outcome(connection.login(Password("alice", "wrong"))), UnauthorizedLogin)


@on_each_loop
async def test_a_server_whose_context_does_not_tell_has_logins_that_are_not_bound() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("127.0.0.1").configure_cert(context)
    async with inside(portal(Hall()), context, of_client()) as connection:
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
async def test_whoever_sits_between_with_a_trusted_certificate_does_not_get_in(hides: bool) -> None:
    hall = Hall()
    async with inside(portal(hall), of_server(), of_client()) as upstream:
        relay = Relay(upstream, hides=hides)
        async with inside(relay, of_server(ANOTHER), of_client(AUTHORITY, ANOTHER)) as connection:
            assert isinstance(await outcome(connection.login(ALICE)), UnauthorizedLogin)
    assert hall.came == []


@over("pellucid")
@on_each_loop
async def test_where_nothing_is_bound_whoever_sits_between_gets_in() -> None:
    hall = Hall()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("127.0.0.1").configure_cert(context)
    async with (
        inside(portal(hall), context, of_client()) as upstream,
        inside(Relay(upstream, hides=False), of_server(ANOTHER), of_client(ANOTHER)) as connection,
    ):
        await connection.login(ALICE)
    assert hall.came == ["alice"]
