from __future__ import annotations

import asyncio
import logging
import socket
from pathlib import Path
from typing import Any

import pytest

import pellucid as pb
from pellucid.errors import ConnectFailed, NoCommonDialect, PBConnectionLost, RemoteProtocolError
from tests.dialects import each_dialect, over
from tests.unit.asyncio.door import HERE, Gate, RawPeer, encoded, on_each_loop, outcome, pair, raw_server, run

pytestmark = each_dialect


@on_each_loop
async def test_a_connection_can_be_awaited_or_entered() -> None:
    async with pb.serve(Gate(), HERE) as server:
        connection = await pb.connect(server.urls[0])
        assert await connection.root.call("echo", 1) == 1
        await connection.close()
        async with pb.connect(server.urls[0]) as entered:
            assert await entered.root.call("echo", 2) == 2
        assert entered.is_closed


@on_each_loop
async def test_leaving_the_block_by_an_exception_closes_the_connection() -> None:
    async with pb.serve(Gate(), HERE) as server:
        connections: list[pb.Connection] = []

        async def fail() -> None:
            async with pb.connect(server.urls[0]) as connection:
                connections.append(connection)
                raise ZeroDivisionError

        assert isinstance(await outcome(fail()), ZeroDivisionError)
        assert connections[0].is_closed


@pytest.mark.parametrize(
    ("url", "options", "problem"),
    [
        ("localhost:8787", {}, "scheme"),
        ("pb://127.0.0.1:1", {"dialects": ["jelly"]}, "'jelly'"),
        ("pb://127.0.0.1:1", {"dialects": []}, "at least one dialect"),
        ("pb://127.0.0.1:1", {"tls": object()}, "tls= is for pbs://"),
        ("pb+unix:/nowhere", {"tls": object()}, "tls= is for pbs://"),
    ],
)
def test_what_cannot_be_meant_is_a_value_error_at_once(url: str, options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        pb.connect(url, **options)


def test_a_connection_that_was_not_awaited_says_what_it_is() -> None:
    assert repr(pb.connect("pb://127.0.0.1:1")) == "<Connecting to pb://127.0.0.1:1>"


# Nobody there.


async def failure_of(url: str, **options: Any) -> ConnectFailed:
    error = await outcome(pb.connect(url, **options))
    assert isinstance(error, ConnectFailed)
    return error


@on_each_loop
async def test_a_refused_connection_has_the_os_error_as_its_cause() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"pb://127.0.0.1:{closed.getsockname()[1]}"
        error = await failure_of(url)
    assert isinstance(error.__cause__, ConnectionRefusedError)
    assert url in str(error)


@on_each_loop
async def test_a_name_that_nobody_has_is_a_connect_failed_with_its_cause() -> None:
    error = await failure_of("pb://no-such-host.invalid:1")
    assert isinstance(error.__cause__, socket.gaierror)
    assert "pb://no-such-host.invalid:1" in str(error)


@on_each_loop
async def test_a_unix_socket_that_is_not_there_is_a_connect_failed_with_its_cause(tmp_path: Path) -> None:
    error = await failure_of(f"pb+unix:{tmp_path}/nothing")
    assert isinstance(error.__cause__, FileNotFoundError)
    assert f"pb+unix:{tmp_path}/nothing" in str(error)


@over("none")
@on_each_loop
async def test_a_server_that_never_speaks_is_given_up_in_time() -> None:
    async with raw_server(greet=False) as (url, peers):
        error = await failure_of(url, limits=pb.Limits(connect_seconds=0.05))
        assert str(error).startswith(f"no connection to {url} within 0.05 s (Limits.connect_seconds)")
        assert isinstance(error.__cause__, TimeoutError)
        assert await (await peers.get()).receive_until_closed() == []


@on_each_loop
async def test_a_listener_that_accepts_nobody_is_given_up_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=1) as listener:
        url = f"pb://127.0.0.1:{listener.getsockname()[1]}"
        await failure_of(url, limits=pb.Limits(connect_seconds=0.05))


@over("none")
@on_each_loop
async def test_cancelling_whoever_connects_ends_the_attempt() -> None:
    async with raw_server(greet=False) as (url, peers):
        task = asyncio.ensure_future(outcome(pb.connect(url)))
        peer = await peers.get()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert await peer.receive_until_closed() == []


# Somebody else there.


async def failure_at(peer_says: bytes, *, and_hangs_up: bool = False, **options: Any) -> ConnectFailed:
    """How connecting fails to a server that says just this."""
    async with raw_server(greet=False) as (url, peers):
        connecting = asyncio.ensure_future(failure_of(url, **options))
        peer = await peers.get()
        peer.send_bytes(peer_says)
        if and_hangs_up:
            await peer.hang_up()
        return await connecting


@over("none")
@on_each_loop
async def test_no_common_dialect_is_a_connect_failed() -> None:
    error = await failure_at(encoded([b"pb", b"native"]), dialects=["none"])
    assert type(error) is NoCommonDialect
    assert str(error) == "the peer offers none of the dialects none"


@over("none")
@on_each_loop
async def test_a_dialect_that_nobody_knows_is_skipped() -> None:
    async with raw_server(greet=False) as (url, peers):
        connecting = asyncio.ensure_future(pb.connect(url))
        peer = await peers.get()
        peer.send_bytes(encoded([b"future", b"none", b"pb"]))
        connection = await connecting
        assert connection.dialect == "none"
        assert await peer.receive() == b"none"
        await connection.close()


@over("none")
@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\nDate: \xff\r\n\r\n",
        encoded(b"pb"),
        encoded(1),
        encoded([[b"pb"]]),
        encoded([b"x" * 200] * 30),
        b"\x7f\x7f\x7f\x7f\x80",
        b"\x01" * 100,
    ],
    ids=["http", "string", "number", "nested", "many names", "long list", "long prefix"],
)
@on_each_loop
async def test_what_does_not_speak_pb_is_a_connect_failed_with_its_cause(said: bytes) -> None:
    error = await failure_at(said)
    assert isinstance(error.__cause__, RemoteProtocolError) or isinstance(error, NoCommonDialect)


@over("none")
@pytest.mark.parametrize("said", [b"", b"\x02", encoded([b"pb", b"none"])[:-1]], ids=["nothing", "a byte", "a part"])
@on_each_loop
async def test_a_server_that_dies_before_it_has_offered_a_dialect_is_a_connect_failed(said: bytes) -> None:
    error = await failure_at(said, and_hangs_up=True)
    assert "closed the connection" in str(error)


@over("none")
@on_each_loop
async def test_a_server_that_dies_once_a_dialect_is_chosen_is_noticed_by_the_first_call() -> None:
    async with raw_server(greet=False) as (url, peers):
        connecting = asyncio.ensure_future(pb.connect(url))
        peer = await peers.get()
        peer.send_bytes(encoded([b"none"]))
        connection = await connecting
        call = connection.root.call("echo")
        await peer.hang_up()
        assert isinstance(await outcome(call), PBConnectionLost)
        await connection.close()


@over("none")
@pytest.mark.parametrize("said", [[b"version", 5], [b"version"], [b"message"], [b"answer", 1, 1], [], 7])
@on_each_loop
async def test_a_server_that_does_not_send_its_version_is_cut_off_with_words(
    said: object, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    async with raw_server(greet=False) as (url, peers):
        connecting = asyncio.ensure_future(pb.connect(url))
        peer = await peers.get()
        peer.send_bytes(encoded([b"none"]))
        connection = await connecting
        call = connection.root.call("echo")
        peer.send_bytes(encoded(said))
        assert isinstance(await outcome(call), PBConnectionLost)
        await connection.wait_closed()
        (record,) = caplog.records
        assert record.getMessage().startswith(f"connection with {connection.peer} aborted: ")


# Both sides are peers.


@on_each_loop
async def test_a_server_can_call_what_a_client_gave_it() -> None:
    class Calling(pb.Root):
        async def remote_call_back(self, client: pb.RemoteReference) -> Any:
            return await client.call("echo", client)

    async with pair(Calling()) as both:
        gate = Gate()
        assert await both.client.root.call("call_back", gate) is gate


@over("none")
@on_each_loop
async def test_bytes_in_single_steps_mean_the_same() -> None:
    async with pb.serve(Gate(), HERE) as server:
        peer = await RawPeer.connect_silently(server.urls[0])
        said = encoded(b"none") + encoded([b"version", 6])
        said += encoded([b"message", 1, b"root", b"echo", 1, [b"tuple", b"in steps"], [b"dictionary"]])
        for place in range(len(said)):
            peer.send_bytes(said[place : place + 1])
            await asyncio.sleep(0)
        assert [await peer.receive() for _ in range(3)] == [
            [b"none", b"pellucid", b"pb"],
            [b"version", 6],
            [b"answer", 1, b"in steps"],
        ]
        await peer.close()


class OwnPeer(asyncio.SelectorEventLoop):
    """A loop whose system gives a client the port that it connects to, as may happen to any where nobody listens."""

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        sock.bind(address)
        await super().sock_connect(sock, address)


@over("pb")
def test_a_client_that_is_connected_to_itself_has_found_nobody() -> None:
    async def connect() -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        error = await outcome(pb.connect(f"pb://127.0.0.1:{port}"))
        assert isinstance(error, ConnectFailed)
        assert isinstance(error.__cause__, ConnectionRefusedError)

    run(connect(), OwnPeer)
