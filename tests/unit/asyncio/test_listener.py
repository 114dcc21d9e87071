"""Where a server listens: what is in the way, what is left behind, and a system that has no descriptor left."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

import pellucid as pb
from pellucid.asyncio import listener
from pellucid.errors import ConnectFailed
from tests.unit.asyncio.door import HERE, Gate, on_each_loop, outcome, pair
from tests.unit.asyncio.raw import until

# What is in the way.


async def refusal(*urls: str) -> OSError:
    """Of a server that can't listen there."""
    error = await outcome(pb.serve(Gate(), *urls))
    assert isinstance(error, OSError)
    assert not isinstance(error, ConnectFailed)
    return error


@on_each_loop
async def test_a_port_in_use_is_named_with_its_url() -> None:
    async with pb.serve(Gate(), HERE) as server:
        (url,) = server.urls
        error = await refusal(HERE, url)
        assert error.errno == errno.EADDRINUSE
        assert f"can't listen at {url}: " in str(error)
        assert "already in use" in str(error)


@on_each_loop
async def test_a_host_that_nobody_knows_is_named_with_its_url() -> None:
    error = await refusal("pb://nonexistent.invalid:0")
    assert "can't listen at pb://nonexistent.invalid:0: " in str(error)
    assert isinstance(error.__cause__, socket.gaierror)


@on_each_loop
async def test_a_unix_socket_that_is_served_is_not_taken_away(tmp_path: Path) -> None:
    url = f"pb+unix:{tmp_path / 'socket'}"
    async with pb.serve(Gate(), url):
        error = await refusal(url)
        assert error.errno == errno.EADDRINUSE
        assert f"can't listen at {url}: " in str(error)
        async with pb.connect(url) as connection:
            assert await connection.root.call("echo", 1) == 1


@on_each_loop
async def test_a_unix_socket_that_a_dead_server_left_behind_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
        left.listen()
    assert path.is_socket()
    assert isinstance(await outcome(pb.connect(f"pb+unix:{path}")), ConnectFailed)
    async with pb.serve(Gate(), f"pb+unix:{path}") as server, pb.connect(*server.urls) as connection:
        assert await connection.root.call("echo", 1) == 1


@on_each_loop
async def test_a_file_in_the_place_of_a_unix_socket_stays(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("data")
    assert (await refusal(f"pb+unix:{path}")).errno == errno.EADDRINUSE
    assert path.read_text() == "data"


@pytest.mark.parametrize(
    ("name", "kind"), [("missing/socket", FileNotFoundError), ("long" * 50, OSError)], ids=["missing", "long"]
)
@on_each_loop
async def test_a_path_where_no_unix_socket_can_be_is_named_with_its_url(
    tmp_path: Path, name: str, kind: type[OSError]
) -> None:
    url = f"pb+unix:{tmp_path / name}"
    error = await refusal(url)
    assert isinstance(error, kind)
    assert f"can't listen at {url}: " in str(error)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is forbidden to root")
@on_each_loop
async def test_a_directory_that_is_not_ours_is_a_permission_error(tmp_path: Path) -> None:
    os.chmod(tmp_path, 0o500)  # noqa: PTH101 - a path's own is not for coroutines
    assert isinstance(await refusal(f"pb+unix:{tmp_path / 'socket'}"), PermissionError)


# Who comes, and others.


@on_each_loop
async def test_clients_that_come_together_are_let_in_one_after_another() -> None:
    made: list[int] = []  # how many had been, whenever one was accepted
    take = listener.Listener._take

    def noting(self: listener.Listener, *accepted: Any) -> None:
        made.append(len(server.connections))
        take(self, *accepted)

    with patch.object(listener.Listener, "_take", noting):
        async with pb.serve(Gate(), HERE) as server:
            port = int(server.urls[0].rpartition(":")[2])
            clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(6)]
            await until(lambda: len(server.connections) == 6)
            for client in clients:
                client.close()
    assert made == [*range(6)]


# What is left behind.


@on_each_loop
async def test_a_server_that_closes_removes_its_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    async with pb.serve(Gate(), f"pb+unix:{path}"):
        assert path.is_socket()
    assert not path.exists()


@on_each_loop
async def test_a_server_that_closes_leaves_what_took_the_place_of_its_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    async with pb.serve(Gate(), f"pb+unix:{path}"):
        path.rename(tmp_path / "elsewhere")
        path.write_text("another's")
    assert path.read_text() == "another's"


@on_each_loop
async def test_a_unix_socket_that_was_handed_in_stays_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        sock.listen()
        async with pb.serve(Gate(), sock=sock):
            pass
    assert path.is_socket()


# Sockets that are handed in.


@on_each_loop
async def test_what_is_sent_leaves_at_once_however_the_socket_was_made() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        async with pb.serve(Gate(), sock=sock) as server, pb.connect(*server.urls) as connection:
            await connection.root.call("echo")
            (served,) = server.connections
            transport: Any = served._transport
            assert transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@on_each_loop
async def test_a_socket_that_is_bound_and_no_more_is_listened_at() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        async with pb.serve(Gate(), sock=sock) as server, pb.connect(*server.urls) as connection:
            assert await connection.root.call("echo", 1) == 1


class Exhausted(socket.socket):
    """A socket of a process that has no descriptor left, until it has."""

    is_exhausted = True
    tries = 0

    def accept(self) -> tuple[socket.socket, Any]:
        self.tries += 1
        if self.is_exhausted:
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


@on_each_loop
async def test_a_server_without_descriptors_says_so_once_and_accepts_again_later(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(listener, "RETRY_SECONDS", 0.001)
    caplog.set_level(logging.INFO, "pellucid")
    with Exhausted() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        async with pb.serve(Gate(), sock=sock) as server:
            connecting = asyncio.ensure_future(outcome(pb.connect(*server.urls)))
            await until(lambda: sock.tries >= 5)
            sock.is_exhausted = False
            async with await connecting as connection:
                assert await connection.root.call("echo", 1) == 1
            listening, exhausted, recovered = caplog.records
    assert listening.__dict__["event"] == "server.listening"
    assert exhausted.levelno == logging.ERROR
    assert exhausted.__dict__["event"] == "server.exhausted"
    assert exhausted.getMessage() == (
        f"can't accept connections at {server.urls[0]}, and tries again every 0.001 s: Too many open files"
    )
    assert recovered.__dict__["event"] == "server.recovered"


@on_each_loop
async def test_a_server_that_can_not_accept_can_close(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "pellucid")
    with Exhausted() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        server = await pb.serve(Gate(), sock=sock)
        with socket.create_connection(sock.getsockname()):
            await until(lambda: sock.tries)
            await server.close()
        assert sock.fileno() == -1


class Gone(socket.socket):
    """A socket at which somebody hung up before it was accepted."""

    has_gone = False

    def accept(self) -> tuple[socket.socket, Any]:
        if not self.has_gone:
            self.has_gone = True
            raise ConnectionAbortedError
        return super().accept()


@on_each_loop
async def test_one_that_has_gone_before_it_was_accepted_is_no_news(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, "pellucid")
    with Gone() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        async with pb.serve(Gate(), sock=sock) as server, pb.connect(*server.urls) as connection:
            assert await connection.root.call("echo", 1) == 1
    assert not caplog.records


@on_each_loop
async def test_many_may_connect_at_once() -> None:
    async with pair(Gate()) as both:
        connections = await asyncio.gather(*(pb.connect(*both.server.urls) for _ in range(300)))
        assert await asyncio.gather(*(connection.root.call("echo", 1) for connection in connections)) == [1] * 300
        for connection in connections:
            await connection.close()
