"""Peers that do not read: what waits to be sent to them, and who waits for that."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import Callable
from typing import Any

import pytest

import pellucid as pb
from pellucid.asyncio.connection import Settings
from pellucid.asyncio.outbox import PACKET_BYTES
from pellucid.errors import CallCancelled, DeadlineExceeded, Overloaded, PBConnectionLost
from tests.dialects import each_dialect, over
from tests.unit.asyncio.door import (
    HERE,
    Gate,
    NewLoop,
    RawPeer,
    call_message,
    crowd,
    encoded,
    on_each_loop,
    outcome,
    raw_server,
    run,
    turns,
)

pytestmark = each_dialect


class Ears(asyncio.Transport):
    """A transport that keeps each write."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.heard.append(bytes(data))

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0

    def abort(self) -> None: ...


def listening_to(connection: pb.Connection) -> Ears:
    """What `connection`, which is made by this, writes from now on."""
    ears = Ears()
    connection.connection_made(ears)
    ears.heard.clear()
    return ears


def client_with_ears() -> tuple[pb.Connection, Ears]:
    """A client's connection that has agreed on a dialect, and what it writes from now on."""
    connection = pb.Connection(Settings(), listens=False)
    ears = listening_to(connection)
    connection.data_received(encoded([b"none"]))
    ears.heard.clear()
    return connection, ears


def server_with_ears() -> tuple[pb.Connection, Ears]:
    """The same of a server, which publishes a `Gate`."""
    connection = pb.Connection(Settings(), listens=True, root_for=lambda _: Gate())
    ears = listening_to(connection)
    connection.data_received(encoded(b"none") + encoded([b"version", 6]))
    ears.heard.clear()
    return connection, ears


QUEUED = 200_000
CHUNK = bytes(20_000)
LIMITS = pb.Limits(queued_bytes=QUEUED, close_seconds=0.01)


def until_overloaded(send: Callable[[], object]) -> tuple[int, Overloaded]:
    """How often `CHUNK` could still be sent, and what said that it was enough."""
    for sent in range(1000):
        try:
            send()
        except Overloaded as error:
            return sent, error
    raise AssertionError("nothing was ever too much")


@on_each_loop
async def test_the_first_of_some_calls_goes_out_at_once_and_the_others_go_together() -> None:
    connection, ears = client_with_ears()
    calls = [connection.root.call("echo", number) for number in range(10)]
    assert ears.heard == [encoded(call_message(1, b"echo", 0))]
    await turns(2)
    assert ears.heard[1:] == [b"".join(encoded(call_message(number + 1, b"echo", number)) for number in range(1, 10))]
    for call in calls:
        call.cancel()


@on_each_loop
async def test_answers_to_calls_that_arrive_together_go_out_together() -> None:
    connection, ears = server_with_ears()
    connection.data_received(b"".join(encoded(call_message(number, b"echo", number)) for number in range(10)))
    assert ears.heard == [b"".join(encoded([b"answer", number, number]) for number in range(10))]


@on_each_loop
async def test_a_full_packet_of_calls_leaves_while_more_are_made() -> None:
    connection, ears = client_with_ears()
    calls = [connection.root.call("echo", number) for number in range(500)]
    assert len(ears.heard) > 2
    assert all(PACKET_BYTES < len(written) < PACKET_BYTES + 100 for written in ears.heard[1:])
    await turns(2)
    assert b"".join(ears.heard) == b"".join(encoded(call_message(1 + n, b"echo", n)) for n in range(500))
    for call in calls:
        call.cancel()


@on_each_loop
async def test_a_full_packet_of_answers_leaves_while_more_calls_are_run() -> None:
    connection, ears = server_with_ears()
    connection.data_received(b"".join(encoded(call_message(number, b"echo", number)) for number in range(500)))
    assert len(ears.heard) > 2
    assert all(PACKET_BYTES < len(written) < PACKET_BYTES + 100 for written in ears.heard[:-1])
    assert b"".join(ears.heard) == b"".join(encoded([b"answer", number, number]) for number in range(500))


@on_each_loop
async def test_a_transport_is_given_nothing_more_until_it_has_sent_what_it_has() -> None:
    connection, ears = client_with_ears()
    connection.pause_writing()
    calls = [connection.root.call("echo", number) for number in range(500)]
    await turns(2)
    assert not ears.heard
    connection.resume_writing()
    assert not ears.heard  # it is in the middle of sending
    await turns(1)
    assert ears.heard == [b"".join(encoded(call_message(1 + n, b"echo", n)) for n in range(500))]
    for call in calls:
        call.cancel()


@on_each_loop
async def test_a_transport_that_has_had_enough_again_meanwhile_is_given_nothing() -> None:
    connection, ears = client_with_ears()
    connection.pause_writing()
    call = connection.root.call("echo", 1)
    connection.resume_writing()
    connection.pause_writing()
    await turns(2)
    assert not ears.heard
    connection.resume_writing()
    await turns(1)
    assert ears.heard
    call.cancel()


@over("none")
@on_each_loop
async def test_a_one_way_call_waits_for_room_and_goes_on_when_the_peer_reads() -> None:
    async with raw_server() as (url, peers), pb.connect(url, limits=LIMITS) as connection:
        peer = await peers.get()
        task = asyncio.ensure_future(outcome(await crowd(connection)))
        await turns()
        assert not task.done()
        while not task.done():
            await peer.receive()
        assert await task is None


@over("none")
@pytest.mark.parametrize(("queued_bytes", "size"), [(10_000, 1000), (10_000, 50_000), (200_000, 600_000)])
@on_each_loop
async def test_whoever_awaits_each_one_way_call_is_never_overloaded(queued_bytes: int, size: int) -> None:
    async with raw_server() as (url, peers), pb.connect(url, limits=pb.Limits(queued_bytes=queued_bytes)) as connection:
        peer = await peers.get()
        calls = 15_000_000 // size

        async def send_all() -> None:
            for _ in range(calls):
                await connection.root.call_with(one_way=True).call("take", bytes(size))

        async def receive_all() -> None:
            for _ in range(calls):
                await peer.receive()

        await asyncio.gather(send_all(), receive_all())


@over("none")
@on_each_loop
async def test_beyond_twice_the_limit_a_call_raises_overloaded_synchronously_and_nothing_more_is_queued() -> None:
    async with raw_server() as (url, peers), pb.connect(url, limits=LIMITS) as connection:
        await peers.get()
        (await crowd(connection)).cancel()
        one_way = connection.root.call_with(one_way=True)
        sent, error = until_overloaded(lambda: one_way.call("take", CHUNK))
        assert sent * len(CHUNK) <= QUEUED + 2 * len(CHUNK)
        assert (error.limit, error.value) == ("queued_bytes", QUEUED)
        assert error.asked is not None
        assert 2 * QUEUED < error.asked < 3 * QUEUED
        with pytest.raises(Overloaded):
            connection.root.call("anything")


@over("none")
@on_each_loop
async def test_an_overloaded_connection_takes_calls_again_when_the_peer_has_read() -> None:
    async with raw_server() as (url, peers), pb.connect(url, limits=LIMITS) as connection:
        peer = await peers.get()
        waiting = asyncio.ensure_future(outcome(await crowd(connection)))
        one_way = connection.root.call_with(one_way=True)
        until_overloaded(lambda: one_way.call("take", CHUNK))
        while not waiting.done():
            await peer.receive()
        call = connection.root.call("answer_me")
        while (message := await peer.receive())[3] != b"answer_me":
            pass
        peer.send(b"answer", message[1], 42)
        assert await call == 42


@over("none")
@on_each_loop
async def test_a_timeout_ends_a_call_to_a_peer_that_does_not_read() -> None:
    async with raw_server() as (url, peers), pb.connect(url, limits=LIMITS) as connection:
        await peers.get()
        (await crowd(connection)).cancel()
        options = connection.root.call_with(timeout=0.01)
        assert isinstance(await outcome(options.call("wait")), DeadlineExceeded)
        one_way = connection.root.call_with(timeout=0.01, one_way=True)
        assert isinstance(await outcome(one_way.call("take")), DeadlineExceeded)


@over("none")
@on_each_loop
async def test_a_call_to_a_peer_that_does_not_read_can_be_given_up() -> None:
    async with raw_server() as (url, peers), pb.connect(url, limits=LIMITS) as connection:
        await peers.get()
        for call in await crowd(connection), connection.root.call("wait"):
            task = asyncio.ensure_future(outcome(call))
            await turns()
            call.cancel()
            assert isinstance(await task, CallCancelled)


@over("none")
@on_each_loop
async def test_cancelling_whoever_waits_for_room_abandons_the_call(caplog: pytest.LogCaptureFixture) -> None:
    async with raw_server() as (url, peers), pb.connect(url, limits=LIMITS) as connection:
        await peers.get()
        for call in await crowd(connection), connection.root.call("wait"):
            task = asyncio.ensure_future(outcome(call))
            await turns()
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()
            assert call.done
    assert "never awaited" not in caplog.text


@over("none")
@on_each_loop
async def test_whoever_waits_for_room_is_told_when_the_connection_ends() -> None:
    async with raw_server() as (url, peers), pb.connect(url, limits=LIMITS) as connection:
        await peers.get()
        task = asyncio.ensure_future(outcome(await crowd(connection)))
        await turns()
        connection.abort("for the test")
        assert isinstance(await task, PBConnectionLost)


class Ticker(pb.Cacheable):
    observer: Any

    def get_state_to_cache_and_observe_for(self, perspective: Any, observer: pb.Observer) -> dict[str, int]:
        self.observer = observer
        return {}


class Tickers(pb.Root):
    def __init__(self) -> None:
        self.ticker = Ticker()

    def remote_ticker(self) -> Ticker:
        return self.ticker


@over("none")
@on_each_loop
async def test_updates_of_observers_obey_the_same_rule() -> None:
    tickers = Tickers()
    async with pb.serve(tickers, HERE, limits=LIMITS) as server:
        peer = await RawPeer.connect(server.urls[0])
        peer.send(*call_message(1, b"ticker"))
        await peer.receive()
        observer = tickers.ticker.observer
        while (update := observer.update("tick", CHUNK)).done:
            await update
        task = asyncio.ensure_future(outcome(update))
        await turns()
        assert not task.done()
        until_overloaded(lambda: observer.update("tick", CHUNK))
        with pytest.raises(Overloaded):
            observer.call("tick")
        while not task.done():
            assert (await peer.receive())[0] == b"cachemessage"
        await peer.close()


class Generous(Gate):
    """Answers a few bytes with many."""

    def __init__(self) -> None:
        super().__init__()
        self.ran = 0

    def remote_much(self) -> bytes:
        self.ran += 1
        return bytes(400_000)

    async def remote_much_later(self) -> bytes:
        return self.remote_much()


@over("none")
@pytest.mark.parametrize("method", [b"much", b"much_later"])
@on_each_loop
async def test_the_further_calls_of_a_peer_that_does_not_read_wait_until_it_does(method: bytes) -> None:
    generous = Generous()
    calls = 150
    limits = pb.Limits(queued_bytes=QUEUED, running_calls=2)
    async with pb.serve(generous, HERE, limits=limits) as server:
        peer = await RawPeer.connect(server.urls[0])
        peer.send_bytes(b"".join(encoded(call_message(number, method)) for number in range(calls)))
        received: list[int] = []
        for _ in range(calls):
            received.append((await peer.receive())[1])
            # What has been answered and not read is in the kernel, some 10 MB of it at most, or queued.
            assert generous.ran - len(received) < 50
        assert sorted(received) == list(range(calls))
        await peer.close()


@over("pb")
@pytest.mark.parametrize("method", [b"much", b"no_such_method"])
@on_each_loop
async def test_a_peer_that_floods_calls_and_reads_nothing_is_cut_off_and_others_are_served(
    method: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    limits = pb.Limits(queued_bytes=20_000, waiting_calls=10)
    async with pb.serve(Generous(), HERE, limits=limits) as server, pb.connect(server.urls[0]) as other:
        peer = await RawPeer.connect(server.urls[0], receive_buffer=4096)
        (flooded,) = (served for served in server.connections if served.peer != other.peer and served.dialect == "none")
        flood = b"".join(encoded(call_message(number, method)) for number in range(1000))
        for turn in range(1000):
            if flooded.is_closed:
                break
            peer.send_bytes(flood)
            assert await other.root.call("echo", turn) == turn
        await flooded.wait_closed()
        assert await other.root.call("echo", "alive") == "alive"
        assert [record.getMessage() for record in caplog.records] == [
            f"connection with {flooded.peer} aborted: the peer calls and does not read:"
            " over twice Limits.queued_bytes=20000 wait for it"
        ]
        await peer.close()


class Fragile(socket.socket):
    """A socket whose peer is found gone by the send that follows one which sent all that had waited."""

    armed = fails = False

    def send(self, data: Any, flags: int = 0) -> int:
        return self._sent(super().send, data, len(data))

    def sendmsg(self, buffers: Any, *rest: Any) -> int:
        listed = list(buffers)  # it may be an iterator
        return self._sent(super().sendmsg, listed, sum(map(len, listed)))

    def _sent(self, send: Any, data: Any, size: int) -> int:
        if self.fails:
            raise ConnectionResetError
        sent: int = send(data)
        self.fails = self.armed and sent == size
        return sent


class Brittle(socket.socket):
    """Accepts fragile ones."""

    def accept(self) -> tuple[socket.socket, Any]:
        sock, address = super().accept()
        self.accepted = Fragile(fileno=sock.detach())
        return self.accepted, address


@over("none")
@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop], ids=["asyncio"])  # uvloop sends past the socket object
def test_a_peer_that_is_found_gone_when_there_is_room_again_is_lost_once(new_loop: NewLoop) -> None:
    async def find_it_gone() -> None:
        lost: list[str] = []
        gate = Gate()
        with Brittle() as sock:
            sock.bind(("127.0.0.1", 0))
            sock.listen()
            async with pb.serve(gate, sock=sock) as server:
                peer = await RawPeer.connect(server.urls[0], receive_buffer=4096)
                (served,) = server.connections
                served.notify_on_disconnect(lambda: lost.append("lost"))
                waiting = await crowd(served)
                sock.accepted.armed = True
                await peer.receive_until_closed()
                await outcome(waiting)
                await served.wait_closed()
                assert lost == ["lost"]
                await peer.close()

    run(find_it_gone(), new_loop)  # which fails where the loop has something to complain of


@over("none")
@on_each_loop
async def test_what_is_sent_when_the_peer_has_just_reset_the_connection_is_lost_with_it() -> None:
    async with pb.serve(Gate(), HERE) as server:
        host, port = server.urls[0].removeprefix("pb://").split(":")
        with socket.create_connection((host, int(port))) as peer:
            peer.sendall(encoded(b"none") + encoded([b"version", 6]))
            while not server.connections:
                await turns()
            (served,) = server.connections
            await served.ready
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # The transport finds out when it writes, at the end of a turn. uvloop's takes nothing then, and its protocol
        # is told behind those whose turn it is.
        calls = [served.root.call("echo", number) for number in range(2)]
        await asyncio.sleep(0)
        await served.close()
        assert [type(await outcome(call)) for call in calls] == [PBConnectionLost] * 2


# Finalisers.


class Lender(pb.Root):
    """Gives an object of its own to whoever asks."""

    def remote_lend(self) -> pb.Referenceable:
        return pb.Referenceable()


@on_each_loop
async def test_a_reference_that_is_dropped_in_the_middle_of_sending_sends_nothing_by_itself() -> None:
    async with pb.serve(Lender(), HERE) as server, pb.connect(server.urls[0]) as connection:
        held = [await connection.root.call("lend")]
        waiting = connection.broker.outgoing
        message = bytes(2 * PACKET_BYTES)
        waiting.add(message)  # whoever does so is about to have it sent
        held.clear()
        assert waiting.messages == [message]
        waiting.clear()
        held.append(await connection.root.call("lend"))  # it comes behind the release
        (served,) = server.connections
        assert served.usage["references_exported"].used == 1
