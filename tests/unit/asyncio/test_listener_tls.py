"""Accepting clients with TLS: at every address, as many as come, until the server is closed."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import socket
import ssl
from collections.abc import Generator
from contextlib import contextmanager

import pytest

import pellucid as pb
from pellucid.asyncio import listener
from pellucid.asyncio.listener import Listener
from pellucid.asyncio.places import bind, sockets_at
from pellucid.urls import TCPURL, parse_url
from tests.unit.asyncio.certificates import SECURELY_HERE, Authority, log_of
from tests.unit.asyncio.door import Gate, RawPeer, on_each_loop, run, turns


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def certified(authority: Authority) -> ssl.SSLContext:
    return authority.server("127.0.0.1", "localhost")


# Where.


@on_each_loop
async def test_every_address_of_a_host_is_listened_at() -> None:
    found = await asyncio.get_running_loop().getaddrinfo("localhost", 0, type=socket.SOCK_STREAM)
    place = await bind(TCPURL("localhost", 0))
    assert sorted(sock.getsockname()[0] for sock in place.sockets) == sorted({address[0] for *_, address in found})
    place.close()


def test_an_address_of_a_family_that_the_system_has_not_is_left_out() -> None:
    unknown = (99, ("127.0.0.1", 0))
    (sock,) = sockets_at([unknown, (socket.AF_INET, ("127.0.0.1", 0))])
    sock.close()
    with pytest.raises(OSError, match="Address family not supported"):
        sockets_at([unknown])


@on_each_loop
async def test_a_port_in_use_is_an_os_error_and_nothing_else_stays_open(certified: ssl.SSLContext) -> None:
    async with pb.serve(Gate(), SECURELY_HERE, tls=certified) as first:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        with pytest.raises(OSError, match=r"[Aa]ddress already in use"):
            await pb.serve(Gate(), f"pbs://127.0.0.1:{port}", first.urls[0], tls=certified)
    with socket.create_server(("127.0.0.1", port)):
        pass


@on_each_loop
async def test_a_server_that_is_closed_may_be_started_again_at_its_port(
    authority: Authority, certified: ssl.SSLContext
) -> None:
    server = await pb.serve(Gate(), SECURELY_HERE, tls=certified)
    port = server.urls[0]
    await server.close()
    async with (
        pb.serve(Gate(), port, tls=certified) as server,
        pb.connect(*server.urls, tls=authority.client()) as connection,
    ):
        assert await connection.root.call("echo", 1) == 1


# Who.


@on_each_loop
async def test_many_clients_at_once_are_served(authority: Authority, certified: ssl.SSLContext) -> None:
    async with pb.serve(Gate(), SECURELY_HERE, tls=certified) as server:
        context = authority.client()
        clients = await asyncio.gather(*(pb.connect(server.urls[0], tls=context) for _ in range(40)))
        assert await asyncio.gather(*(client.root.call("echo", 1) for client in clients)) == [1] * 40
        assert len(server.connections) == 40
        assert all(connection.peer.startswith("127.0.0.1:") for connection in server.connections)
        await asyncio.gather(*(client.close() for client in clients))


@on_each_loop
async def test_what_is_sent_leaves_at_once(authority: Authority, certified: ssl.SSLContext) -> None:
    at_once: list[int] = []

    class Noting(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            sock = transport.get_extra_info("socket")
            at_once.append(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            transport.close()

    place = await bind(TCPURL("127.0.0.1", 0, tls=True))
    listening = Listener(place, Noting, lambda: certified, 10)
    reader, writer = await asyncio.open_connection(*place.sockets[0].getsockname(), ssl=authority.client())
    assert await reader.read() == b""
    assert at_once[0]
    writer.close()
    await writer.wait_closed()
    listening.close()
    await listening.wait_closed()


@on_each_loop
async def test_one_who_leaves_before_it_has_said_anything_is_no_matter_for_a_warning(
    certified: ssl.SSLContext,
) -> None:
    async with pb.serve(Gate(), SECURELY_HERE, tls=certified) as server:
        with log_of("tls.failed") as records:
            passer_by = await RawPeer.connect_silently(server.urls[0])
            await passer_by.close()
            record = await records.get()
        assert record.levelno == logging.INFO
        assert "it ended the connection in the TLS handshake" in record.getMessage()


@on_each_loop
async def test_handshakes_under_way_count_as_connections(authority: Authority, certified: ssl.SSLContext) -> None:
    async with pb.serve(Gate(), SECURELY_HERE, tls=certified, limits=pb.Limits(connections=2)) as server:
        slow = [await RawPeer.connect_silently(server.urls[0]) for _ in range(2)]
        with log_of("server.full") as records:
            with pytest.raises(pb.ConnectFailed):
                await pb.connect(server.urls[0], tls=authority.client())
            assert "Limits.connections=2" in (await records.get()).getMessage()
        with log_of("tls.failed") as records:
            await slow.pop().close()
            await records.get()
        async with pb.connect(server.urls[0], tls=authority.client()) as client:
            assert await client.root.call("echo", 1) == 1
        await slow.pop().close()


@contextmanager
def no_descriptors_left() -> Generator[None]:
    """This process can open nothing more."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@on_each_loop
async def test_a_client_that_comes_when_no_descriptors_are_left_is_served_when_there_are_again(
    authority: Authority, certified: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "RETRY_SECONDS", 0.01)
    async with pb.serve(Gate(), SECURELY_HERE, tls=certified) as server:
        port = int(server.urls[0].rpartition(":")[2])
        with log_of("server.exhausted") as records, socket.socket() as sock:
            sock.setblocking(False)
            with no_descriptors_left():
                await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
                assert "Too many open files" in (await records.get()).getMessage()
            context = authority.client()
            reader, writer = await asyncio.open_connection(sock=sock, ssl=context, server_hostname="127.0.0.1")
            assert b"none" in await reader.read(100)
            writer.close()
            await writer.wait_closed()


# Until when.


@on_each_loop
async def test_closing_at_any_moment_of_a_handshake_leaves_nothing_open(certified: ssl.SSLContext) -> None:
    for moment in range(12):
        for comes_first in True, False:
            place = await bind(TCPURL("127.0.0.1", 0, tls=True))
            listening = Listener(place, asyncio.Protocol, lambda: certified, 10)
            if not comes_first:
                await turns()
            with socket.create_connection(place.sockets[0].getsockname()) as client:
                client.settimeout(5)
                await turns(moment)
                listening.close()
                await listening.wait_closed()
                assert place.sockets[0].fileno() == -1
                await turns()
                gc.collect()  # what is still open complains, and that is a failure
                try:
                    assert client.recv(1) == b""
                except ConnectionError:
                    pass


@pytest.mark.parametrize("moment", range(4))
@on_each_loop
async def test_who_waits_no_longer_for_the_closing_has_closed_it_all_the_same(
    certified: ssl.SSLContext, moment: int
) -> None:
    async with pb.serve(Gate(), SECURELY_HERE, SECURELY_HERE, tls=certified) as server:
        where = [parse_url(url) for url in server.urls]
        ports = [place.port for place in where if isinstance(place, TCPURL)]
        clients = [socket.create_connection(("127.0.0.1", port)) for port in ports]
        await turns(3)
        closing = asyncio.ensure_future(server.close())
        await turns(moment)
        closing.cancel()
        await asyncio.gather(closing, return_exceptions=True)
        await turns()
        assert moment == 0 or [is_open(port) for port in ports] == [False, False]
        for client in clients:
            client.close()


def is_open(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


class LikeThatOfWindows(asyncio.SelectorEventLoop):
    """A loop that tells nobody what can be read."""

    add_reader = asyncio.AbstractEventLoop.add_reader


def test_on_a_loop_that_cannot_wait_for_readers_clients_are_accepted_as_well(
    authority: Authority, certified: ssl.SSLContext
) -> None:
    async def main() -> None:
        async with pb.serve(Gate(), SECURELY_HERE, tls=certified) as server:
            for number in range(3):
                async with pb.connect(server.urls[0], tls=authority.client()) as connection:
                    assert await connection.root.call("echo", number) == number

    run(main(), LikeThatOfWindows)
