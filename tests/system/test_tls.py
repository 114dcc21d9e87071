"""``pbs://`` with contexts of one's own, and peers that never finish."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Any

import pytest

import pellucid as pb
from pellucid.errors import ConnectFailed
from tests.unit.asyncio.certificates import SECURELY_HERE, Authority
from tests.unit.asyncio.door import HERE, Gate, RawPeer, call_message, on_each_loop, outcome, turns


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
async def test_a_server_may_serve_with_tls_and_without(authority: Authority, certified: ssl.SSLContext) -> None:
    async with pb.serve(Gate(), HERE, SECURELY_HERE, tls=certified) as server:
        plain, secure = server.urls
        async with pb.connect(plain) as one, pb.connect(secure, tls=authority.client()) as two:
            assert [await connection.root.call("echo", 1) for connection in (one, two)] == [1, 1]


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
    limits = pb.Limits(handshake_seconds=0.5)
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
