"""``pbs://``: who is trusted, and peers that fail at TLS or never finish it."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from typing import Any

import pytest
import trustme

import pellucid as pb
from pellucid.errors import ConnectFailed
from tests.unit.asyncio.door import HERE, Gate, RawPeer, call_message, on_each_loop, outcome, turns

SECURELY_HERE = "pbs://127.0.0.1:0"


class Authority:
    """A certificate authority, and contexts of servers and clients that know it."""

    def __init__(self) -> None:
        self._ca = trustme.CA()

    def server(self, *names: str) -> ssl.SSLContext:
        """What a server of those names needs."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._ca.issue_cert(*names).configure_cert(context)
        return context

    def client(self) -> ssl.SSLContext:
        """What a client that trusts this authority needs."""
        context = ssl.create_default_context()
        self._ca.configure_trust(context)
        return context


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def certified(authority: Authority) -> ssl.SSLContext:
    return authority.server("127.0.0.1", "localhost")


async def failure_of(url: str, **options: Any) -> ConnectFailed:
    error = await outcome(pb.connect(url, **options))
    assert isinstance(error, ConnectFailed)
    return error


def tcp_only(url: str) -> str:
    return url.replace("pbs:", "pb:")


# Trust.


@on_each_loop
async def test_a_client_that_trusts_the_servers_certificate_is_served(
    authority: Authority, certified: ssl.SSLContext
) -> None:
    async with pb.serve(Gate(), SECURELY_HERE, tls=certified) as server:
        assert server.urls[0].startswith("pbs://127.0.0.1:")
        async with pb.connect(server.urls[0], tls=authority.client()) as connection:
            # More than one TLS record, in both directions.
            assert await connection.root.call("echo", bytes(500_000)) == bytes(500_000)
            assert connection.peer == server.urls[0].removeprefix("pbs://")


@on_each_loop
async def test_a_server_may_be_known_by_name(authority: Authority, certified: ssl.SSLContext) -> None:
    async with pb.serve(Gate(), SECURELY_HERE, tls=certified) as server:
        url = server.urls[0].replace("127.0.0.1", "localhost")
        async with pb.connect(url, tls=authority.client()) as connection:
            assert await connection.root.call("echo", 1) == 1


@on_each_loop
async def test_a_certificate_for_another_host_is_refused_with_its_cause(authority: Authority) -> None:
    async with pb.serve(Gate(), SECURELY_HERE, tls=authority.server("example.org")) as server:
        error = await failure_of(server.urls[0], tls=authority.client())
        assert isinstance(error.__cause__, ssl.SSLCertVerificationError)
        assert not server.connections


@on_each_loop
async def test_a_certificate_of_an_unknown_authority_is_refused_with_its_cause(
    authority: Authority, certified: ssl.SSLContext
) -> None:
    async with pb.serve(Gate(), SECURELY_HERE, tls=certified) as server:
        for options in {}, {"tls": Authority().client()}:
            error = await failure_of(server.urls[0], **options)
            assert isinstance(error.__cause__, ssl.SSLCertVerificationError)


@on_each_loop
async def test_a_server_may_serve_with_tls_and_without(authority: Authority, certified: ssl.SSLContext) -> None:
    async with pb.serve(Gate(), HERE, SECURELY_HERE, tls=certified) as server:
        plain, secure = server.urls
        async with pb.connect(plain) as one, pb.connect(secure, tls=authority.client()) as two:
            assert [await connection.root.call("echo", 1) for connection in (one, two)] == [1, 1]


@on_each_loop
async def test_a_socket_handed_in_speaks_tls_where_the_server_has_a_certificate(
    authority: Authority, certified: ssl.SSLContext
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        async with pb.serve(Gate(), sock=sock, tls=certified) as server:
            assert server.urls == (f"pbs://127.0.0.1:{sock.getsockname()[1]}",)
            async with pb.connect(server.urls[0], tls=authority.client()) as connection:
                assert await connection.root.call("echo", 1) == 1


def test_a_certificate_that_would_not_be_used_is_a_value_error(certified: ssl.SSLContext) -> None:
    with pytest.raises(ValueError, match="no pbs:// URL"):
        pb.serve(Gate(), HERE, tls=certified)


# Speaking TLS to one who does not, and the reverse.


@on_each_loop
async def test_a_client_without_tls_fails_and_costs_the_server_nothing(
    authority: Authority, certified: ssl.SSLContext, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "pellucid")
    limits = pb.Limits(connect_seconds=0.1)
    async with pb.serve(Gate(), SECURELY_HERE, tls=certified) as server:
        await failure_of(tcp_only(server.urls[0]), limits=limits)
        garbage = await RawPeer.connect_silently(server.urls[0])
        garbage.send_bytes(b"GET / HTTP/1.0\r\n\r\n")
        await garbage.receive_bytes_until_closed()
        assert not server.connections
        async with pb.connect(server.urls[0], tls=authority.client()) as connection:
            assert await connection.root.call("echo", 1) == 1
        await garbage.close()
    assert not caplog.records


@on_each_loop
async def test_a_client_with_tls_fails_at_a_server_without(authority: Authority) -> None:
    async with pb.serve(Gate(), HERE) as server:
        url = server.urls[0].replace("pb:", "pbs:")
        error = await failure_of(url, tls=authority.client())
        assert isinstance(error.__cause__, OSError)


# Peers that never finish.


@on_each_loop
async def test_a_client_that_never_starts_tls_is_cut_off_in_time(certified: ssl.SSLContext) -> None:
    limits = pb.Limits(handshake_seconds=0.05)
    async with pb.serve(Gate(), SECURELY_HERE, tls=certified, limits=limits) as server:
        silent = await RawPeer.connect_silently(server.urls[0])
        assert await silent.receive_until_closed() == []
        await silent.close()


@on_each_loop
async def test_a_client_that_says_nothing_inside_tls_is_cut_off_in_time(
    authority: Authority, certified: ssl.SSLContext
) -> None:
    limits = pb.Limits(handshake_seconds=0.1)
    async with pb.serve(Gate(), SECURELY_HERE, tls=certified, limits=limits) as server:
        silent = await RawPeer.connect_silently(server.urls[0])
        await silent.start_tls(authority.client())
        assert b"none" in await silent.receive()
        assert await silent.receive_until_closed() == []
        await silent.close()


@on_each_loop
async def test_a_server_that_never_starts_tls_is_given_up_in_time(authority: Authority) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"pbs://127.0.0.1:{listener.getsockname()[1]}"
        error = await failure_of(url, tls=authority.client(), limits=pb.Limits(connect_seconds=0.05))
        assert "within 0.05 s" in str(error)


@on_each_loop
async def test_closing_a_server_does_not_wait_for_a_handshake_under_way(certified: ssl.SSLContext) -> None:
    server = await pb.serve(Gate(), SECURELY_HERE, tls=certified)
    silent = await RawPeer.connect_silently(server.urls[0])
    await turns()
    async with asyncio.timeout(1):
        await server.close()
    await silent.close()
    await turns()


@on_each_loop
async def test_a_client_whose_handshake_ends_after_the_server_is_closed_is_not_served(
    authority: Authority, certified: ssl.SSLContext
) -> None:
    server = await pb.serve(Gate(), SECURELY_HERE, tls=certified)
    late = await RawPeer.connect_silently(server.urls[0])
    # The server has accepted it once it serves somebody who came later.
    async with pb.connect(server.urls[0], tls=authority.client()) as connection:
        await connection.root.call("echo")
    await server.close()
    assert isinstance(await outcome(late.start_tls(authority.client())), OSError | None)
    assert await late.receive_until_closed() == []
    assert not server.connections
    await late.close()


@on_each_loop
async def test_what_was_sent_before_closing_arrives_through_tls(
    authority: Authority, certified: ssl.SSLContext
) -> None:
    gate = Gate()
    async with pb.serve(gate, SECURELY_HERE, tls=certified, on_disconnect="finish") as server:
        gate.opened.set()
        async with pb.connect(server.urls[0], tls=authority.client()) as connection:
            for number in range(10):
                await connection.root.call_with(one_way=True).call("wait", bytes(300_000) + bytes([number]))
        assert [(await gate.entered.get())[-1] for _ in range(10)] == list(range(10))


@on_each_loop
async def test_a_peer_that_does_not_read_holds_up_closing_no_longer_than_allowed(
    authority: Authority, certified: ssl.SSLContext
) -> None:
    gate = Gate()
    gate.opened.set()
    limits = pb.Limits(close_seconds=0.05)
    server = await pb.serve(gate, SECURELY_HERE, tls=certified, limits=limits)
    deaf = await RawPeer.connect_silently(server.urls[0])
    await deaf.start_tls(authority.client())
    await deaf.agree()
    for call_id in range(30):
        deaf.send(*call_message(call_id, b"wait", bytes(500_000)))
    for _ in range(10):
        await gate.left.get()
    async with asyncio.timeout(2):
        await server.close()
    await deaf.close()
