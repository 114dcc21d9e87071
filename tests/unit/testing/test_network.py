from __future__ import annotations

import asyncio
import errno
import socket
from typing import Any

import pytest

from pellucid.testing import World, simulated
from tests.unit.testing.peers import Peer, forever, listening, meet

NOTHING: Any = object()


async def connect(host: str, port: int = 7) -> Peer:
    _, peer = await asyncio.get_running_loop().create_connection(Peer, host, port)
    return peer


@simulated(seeds=3)
async def test_where_nobody_listens_a_connection_is_refused(world: World) -> None:
    world.process("far", forever)
    with pytest.raises(ConnectionRefusedError):
        await connect("far")
    with pytest.raises(ConnectionRefusedError):
        await connect("localhost")


@simulated(seeds=3)
async def test_from_where_nothing_is_heard_a_connection_times_out_after_two_minutes(world: World) -> None:
    far = world.process("far", listening(Peer))
    await asyncio.sleep(0)
    for is_silent in (False, True):
        if is_silent:
            far.crash(silent=True)
        else:
            world.partition("far")
        begin = world.now
        with pytest.raises(TimeoutError):
            await connect("far")
        assert 120 < world.now - begin < 130
        world.heal()


@simulated(seeds=3)
async def test_a_connection_that_is_asked_for_in_a_partition_is_made_when_it_is_healed(world: World) -> None:
    world.process("far", listening(Peer))
    await asyncio.sleep(0)
    world.partition("main", "far")
    dialling = asyncio.ensure_future(connect("far"))
    await asyncio.sleep(60)
    assert not dialling.done()
    world.heal("main", "far")
    assert (await dialling).said == ["made"]


@simulated(seeds=3)
async def test_who_gives_up_dialling_leaves_nothing_behind(world: World) -> None:
    made: list[Peer] = []

    def make() -> Peer:
        made.append(Peer())
        return made[-1]

    world.process("far", listening(make))
    await asyncio.sleep(0)
    world.stall("main", "far", seconds=10)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(5):
            await connect("far")
    await asyncio.sleep(20)
    assert [peer.said[-1] for peer in made] == ["lost"]


@simulated(seeds=1)
async def test_an_unknown_host_has_no_address(world: World) -> None:
    loop = asyncio.get_running_loop()
    with pytest.raises(socket.gaierror, match="nowhere"):
        await loop.getaddrinfo("nowhere", 80)
    with pytest.raises(socket.gaierror, match="nowhere"):
        await connect("nowhere")
    world.process("far", listening(Peer))
    await asyncio.sleep(0)
    ((family, _, _, _, address),) = await loop.getaddrinfo("far", 7)
    assert (family, address[1]) == (socket.AF_INET, 7)
    assert (await connect(str(address[0]))).said == ["made"]


@simulated(seeds=1)
async def test_a_port_is_listened_at_once_and_only_at_home(world: World) -> None:
    loop = asyncio.get_running_loop()
    world.process("far", forever)
    server = await loop.create_server(Peer, "main", 7)
    with pytest.raises(OSError, match="in use") as caught:
        await loop.create_server(Peer, None, 7)
    assert caught.value.errno == errno.EADDRINUSE
    with pytest.raises(OSError, match="assign") as caught:
        await loop.create_server(Peer, "far", 8)
    assert caught.value.errno == errno.EADDRNOTAVAIL
    server.close()
    await server.wait_closed()
    assert not server.is_serving()
    with pytest.raises(ConnectionRefusedError):
        await connect("main")
    async with await loop.create_server(Peer, None, 0) as another:
        port = another.sockets[0].getsockname()[1]
        assert (await connect("main", port)).said == ["made"]


@simulated(seeds=1)
async def test_who_listens_at_localhost_is_heard_from_there_alone(world: World) -> None:
    async def main() -> str:
        await asyncio.get_running_loop().create_server(Peer, "127.0.0.1", 7)
        return (await connect("localhost")).said[0]

    assert await world.process("far", main).ended() == "made"
    near = world.process("near", listening(Peer, host="localhost"))
    await asyncio.sleep(0)
    with pytest.raises(ConnectionRefusedError):
        await connect(near.host)


@simulated(seeds=1)
async def test_what_is_not_simulated_says_so(world: World) -> None:
    loop = asyncio.get_running_loop()
    for attempt in (
        loop.create_connection(Peer, "far", 7, ssl=True),
        loop.create_connection(Peer, sock=NOTHING),
        loop.create_server(Peer, "main", 7, ssl=True),
        loop.create_server(Peer, sock=NOTHING),
        loop.create_unix_connection(Peer, "/run/x", ssl=True),
        loop.create_unix_connection(Peer),
        loop.create_unix_server(Peer, "/run/x", ssl=True),
        loop.create_unix_server(Peer),
        loop.create_datagram_endpoint(asyncio.DatagramProtocol),
        asyncio.create_subprocess_exec("true"),
        asyncio.create_subprocess_shell("true"),
    ):
        with pytest.raises(NotImplementedError, match="not simulated"):
            await attempt
    with pytest.raises(NotImplementedError, match="not simulated"):
        loop.add_signal_handler(15, print)


def test_a_host_that_is_unknown_to_a_world_is_named() -> None:
    world = World(1)
    with pytest.raises(ValueError, match="'nowhere'"):
        world.partition("nowhere")


@simulated(seeds=5)
async def test_connections_of_hosts_that_have_none_of_it_go_on(world: World) -> None:
    near, far = await meet(world)
    world.process("other", forever)
    world.partition("main", "other")
    world.cut("far", "other")
    near.transport.write(b"hello")
    await asyncio.sleep(1)
    assert far.data == b"hello"
