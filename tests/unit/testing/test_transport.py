from __future__ import annotations

import asyncio
import errno
import socket

import pytest

from pellucid.testing import Link, World, simulated
from tests.unit.testing.peers import Peer, forever, listening, meet


@simulated(seeds=20, link=Link(segments=(1, 100)))
async def test_bytes_arrive_in_order_whatever_the_pieces(world: World) -> None:
    near, far = await meet(world)
    sent = bytes(range(256)) * 20
    for start in range(0, len(sent), 1000):
        near.transport.write(sent[start : start + 1000])
        await asyncio.sleep(world.random.choice((0, 0.01)))
    await asyncio.sleep(1)
    assert far.data == sent
    assert len(far.pieces) > 5


@simulated(seeds=10)
async def test_who_closes_is_told_and_the_other_end_sees_the_end_after_all_bytes(world: World) -> None:
    near, far = await meet(world)
    near.transport.write(bytes(300_000))
    near.transport.close()
    await asyncio.sleep(1)
    assert (near.said[-1], near.error) == ("lost", None)
    assert len(far.data) == 300_000
    assert far.said == ["made", "end", "lost"]
    assert far.error is None


@simulated(seeds=10)
async def test_after_write_eof_the_other_direction_goes_on(world: World) -> None:
    near, far = await meet(world, keep_open=True)
    near.transport.write_eof()
    await asyncio.sleep(1)
    assert far.said == ["made", "end"]
    far.transport.write(b"so long")
    await asyncio.sleep(1)
    assert near.data == b"so long"
    with pytest.raises(RuntimeError, match="write_eof"):
        near.transport.write(b"more")


@simulated(seeds=10)
async def test_writing_to_who_has_closed_ends_in_a_reset(world: World) -> None:
    near, far = await meet(world, keep_open=True)
    near.transport.close()
    await asyncio.sleep(1)
    far.transport.write(b"are you there?")
    assert far.said == ["made", "end"]
    await asyncio.sleep(1)
    assert far.said == ["made", "end", "lost"]
    assert far.error is None or isinstance(far.error, ConnectionResetError)
    far.transport.write(b"nothing comes of it")


@simulated(seeds=10)
async def test_who_closes_with_something_unread_resets_the_connection(world: World) -> None:
    near, far = await meet(world)
    near.transport.pause_reading()
    far.transport.write(b"not read")
    await asyncio.sleep(1)
    near.transport.close()
    await asyncio.sleep(1)
    assert near.data == b""
    assert isinstance(far.error, ConnectionResetError)


@simulated(seeds=10)
async def test_abort_drops_what_was_not_sent(world: World) -> None:
    near, far = await meet(world)
    far.transport.pause_reading()
    near.transport.write(bytes(1_000_000))
    near.transport.abort()
    assert near.transport.is_closing()
    await asyncio.sleep(1)
    far.transport.resume_reading()
    await asyncio.sleep(1)
    assert near.said[-1] == "lost"
    assert 0 < len(far.data) < 1_000_000
    assert far.said[-1] == "lost"


@simulated(seeds=10, link=Link(window=10_000))
async def test_a_writer_waits_for_a_reader_that_does_not_read(world: World) -> None:
    near, far = await meet(world)
    near.transport.set_write_buffer_limits(high=5_000)
    far.transport.pause_reading()
    near.transport.write(bytes(12_000))
    assert near.said == ["made"]
    near.transport.write(bytes(8_000))
    assert near.said == ["made", "full"]
    assert near.transport.get_write_buffer_size() == 10_000
    await asyncio.sleep(60)
    assert (far.data, near.said) == (b"", ["made", "full"])
    far.transport.resume_reading()
    await asyncio.sleep(1)
    assert near.said == ["made", "full", "room"]
    assert len(far.data) == 20_000


@simulated(seeds=3)
async def test_a_transport_knows_its_addresses_and_its_limits(world: World) -> None:
    near, far = await meet(world)
    name, peer = (near.transport.get_extra_info(key) for key in ("sockname", "peername"))
    assert far.transport.get_extra_info("peername") == name
    assert far.transport.get_extra_info("sockname") == peer
    assert near.transport.get_extra_info("socket").getpeername() == peer
    assert near.transport.get_extra_info("cipher", 5) == 5
    assert near.transport.get_write_buffer_limits() == (16 * 1024, 64 * 1024)
    near.transport.set_write_buffer_limits(low=10)
    assert near.transport.get_write_buffer_limits() == (10, 40)
    with pytest.raises(ValueError, match="high"):
        near.transport.set_write_buffer_limits(high=1, low=2)


@simulated(seeds=5)
async def test_what_a_protocol_raises_ends_its_connection_and_is_told_to_the_loop(world: World) -> None:
    class Failing(Peer):
        def data_received(self, data: bytes) -> None:
            raise ZeroDivisionError

    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context["exception"]))
    _, far = await meet(world)
    near = Failing()
    made = [Peer()]
    world.process("other", listening(lambda: made[0], 8))
    await asyncio.sleep(0)
    await asyncio.get_running_loop().create_connection(lambda: near, "other", 8)
    await asyncio.sleep(1)
    made[0].transport.write(b"x")
    await asyncio.sleep(1)
    assert [type(complaint) for complaint in complaints] == [ZeroDivisionError]
    assert isinstance(near.error, ZeroDivisionError)
    assert made[0].said[-1] == "lost"
    assert far.said == ["made"]


@simulated(seeds=20)
async def test_a_connection_that_is_lost_while_it_is_made_is_lost_all_the_same(world: World) -> None:
    made: list[Peer] = []

    def make() -> Peer:
        made.append(Peer())
        made[-1].connection_made = lambda transport: transport.abort()  # type: ignore[method-assign, attr-defined]
        return made[-1]

    world.process("far", listening(make))
    await asyncio.sleep(0)
    near = Peer()
    await asyncio.get_running_loop().create_connection(lambda: near, "far", 7)
    await asyncio.sleep(1)
    assert near.said[0] == "made"
    assert near.said[-1] == "lost"
    assert near.said.count("lost") == 1


@simulated(seeds=5)
async def test_tcp_asks_for_signs_of_life_where_it_is_told_to(world: World) -> None:
    near, far = await meet(world)
    sock = near.transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (socket.TCP_KEEPIDLE, 30), (socket.TCP_KEEPINTVL, 6), (socket.TCP_KEEPCNT, 5):
        sock.setsockopt(socket.IPPROTO_TCP, option, value)
    await asyncio.sleep(300)
    assert near.said == far.said == ["made"]
    world.forget("main", "far")
    await asyncio.sleep(29)
    assert near.said == ["made"]
    await asyncio.sleep(62)
    assert near.said == ["made", "lost"]
    assert isinstance(near.error, TimeoutError)
    assert near.error.errno == errno.ETIMEDOUT
    assert far.said == ["made"]


@simulated(seeds=5)
async def test_a_host_that_has_forgotten_a_connection_says_so_when_it_is_asked(world: World) -> None:
    near, _ = await meet(world)
    near.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    far = world.processes["far"]
    far.crash(silent=True)
    await asyncio.sleep(60)
    far.start()
    await asyncio.sleep(7_000)
    assert near.said == ["made"]
    await asyncio.sleep(300)
    assert near.said == ["made", "lost"]
    assert isinstance(near.error, ConnectionResetError)


@simulated(seeds=3)
async def test_streams_of_asyncio_work_as_they_are(world: World) -> None:
    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line.upper())
            await writer.drain()
        writer.close()

    async def serve() -> None:
        async with await asyncio.start_server(shout, "far", 7) as server:
            await server.serve_forever()

    world.process("far", serve)
    await asyncio.sleep(0)
    reader, writer = await asyncio.open_connection("far", 7)
    writer.write(b"hello\nworld\n")
    assert [await reader.readline(), await reader.readline()] == [b"HELLO\n", b"WORLD\n"]
    writer.write_eof()
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()


@simulated(seeds=3)
async def test_processes_of_one_host_meet_at_a_path(world: World) -> None:
    made: list[Peer] = []

    def make() -> Peer:
        made.append(Peer())
        return made[-1]

    async def serve() -> None:
        await asyncio.get_running_loop().create_unix_server(make, "/run/here")
        await forever()

    async def call() -> str:
        await asyncio.sleep(0.1)
        near = Peer()
        await asyncio.get_running_loop().create_unix_connection(lambda: near, "/run/here")
        near.transport.write(b"hi")
        await asyncio.sleep(1)
        return near.said[-1]

    world.process("one", serve, host="here")
    other = world.process("other", call, host="here")
    assert await other.ended() == "made"
    assert made[0].data == b"hi"
