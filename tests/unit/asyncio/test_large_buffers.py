"""Large buffers through real sockets, on each loop: they arrive, hold nobody up, and are bounded."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import pytest
import trustme

import pellucid as pb
from pellucid.errors import Overloaded, PBConnectionLost
from pellucid.wire.native.codes import Kind
from tests.unit.asyncio.door import Gate, on_each_loop, outcome, pair, turns
from tests.unit.asyncio.pipe import piped
from tests.unit.asyncio.raw import NativePeer, call_of, until

MIB = 1024 * 1024
LARGE = bytes(range(256)) * 4096 * 8
"""8 MiB: more than the sockets of this machine hold."""


class Taker(Gate):
    def __init__(self) -> None:
        super().__init__()
        self.taken: list[Any] = []
        self.arrived = asyncio.Event()

    def remote_take(self, value: Any) -> Any:
        self.taken.append(len(value) if isinstance(value, bytes) else value)
        self.arrived.set()
        return len(value) if isinstance(value, bytes) else value

    def remote_give(self, size: int) -> bytes:
        return bytes(size)

    def remote_other(self) -> Taker:
        """Another object, whose calls are in no order with those of this one."""
        other = Taker()
        other.taken = self.taken
        return other


@on_each_loop
async def test_a_large_buffer_goes_there_and_back() -> None:
    async with pair(Taker()) as both:
        assert await both.client.root.call("echo", LARGE) == LARGE
        assert await both.client.root.call("echo", [LARGE[: MIB + 1], {"b": LARGE[:70_000]}]) == [
            LARGE[: MIB + 1],
            {"b": LARGE[:70_000]},
        ]


@on_each_loop
async def test_a_large_buffer_goes_there_and_back_inside_tls() -> None:
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("localhost").configure_cert(server)
    authority.configure_trust(client)
    async with pb.serve(Taker(), "pbs://localhost:0", tls=server) as serving:
        port = serving.urls[0].rsplit(":", 1)[1]
        async with pb.connect(f"pbs://localhost:{port}", tls=client) as connection:
            other = await connection.root.call("other")
            large = connection.root.call("echo", LARGE)
            small = [other.call("echo", number) for number in range(10)]
            assert [await call for call in small] == list(range(10))
            assert not large.done
            assert await large == LARGE


@on_each_loop
async def test_small_calls_and_answers_overtake_large_ones() -> None:
    taker = Taker()
    async with pair(taker) as both:
        root = both.client.root
        other = await root.call("other")
        there = root.call("take", LARGE)
        behind = root.call("take", "behind")
        small = [other.call("take", number) for number in range(5)]
        assert [await call for call in small] == [0, 1, 2, 3, 4]
        assert await there == len(LARGE)
        assert await behind == "behind"
        assert taker.taken == [0, 1, 2, 3, 4, len(LARGE), "behind"]
        ended: list[Any] = []

        async def note(call: pb.Call) -> None:
            result = await call
            ended.append(len(result) if isinstance(result, bytes) else result)

        calls = [root.call("give", len(LARGE)), *(root.call("take", number) for number in range(5))]
        await asyncio.gather(*map(note, calls))
        assert ended == [0, 1, 2, 3, 4, len(LARGE)]


@on_each_loop
async def test_many_large_calls_in_both_directions_arrive_each_whole() -> None:
    class Caller(pb.Referenceable):
        def remote_echo(self, value: Any) -> Any:
            return value

    class Relay(Taker):
        async def remote_relay(self, whom: pb.RemoteReference, value: bytes) -> Any:
            return await whom.call("echo", value)

    async with pair(Relay()) as both:
        buffers = [bytes([number]) * (70_000 * number) for number in range(1, 20)]
        caller = Caller()
        calls = [both.client.root.call("relay", caller, buffer) for buffer in buffers]
        assert [await call for call in calls] == buffers


@on_each_loop
async def test_closing_sends_all_that_waits() -> None:
    taker = Taker()
    async with pb.serve(taker, "pb://127.0.0.1:0") as server:
        connection = await pb.connect(server.urls[0])
        calls = [connection.root.call_with(one_way=True).call("take", value) for value in (LARGE, LARGE, "last")]
        await connection.close()
        await until(lambda: len(taker.taken) == 3)
        assert sorted(taker.taken, key=str) == [len(LARGE), len(LARGE), "last"]
        for call in calls:
            await outcome(call)


@on_each_loop
async def test_a_call_that_was_not_handed_over_as_a_whole_was_not_sent() -> None:
    async with pb.serve(Taker(), "pb://127.0.0.1:0") as server:
        connection = await pb.connect(server.urls[0])
        small = connection.root.call("wait")
        large = connection.root.call("take", LARGE * 4)
        await turns(3)
        connection.abort("test")
        errors = [await outcome(call) for call in (small, large)]
        assert [type(error) for error in errors] == [PBConnectionLost] * 2
        assert [error.sent for error in errors] == [True, False]
        assert not connection.broker.outgoing.bulk_bytes


@pytest.mark.parametrize("closes", [False, True])
@on_each_loop
async def test_a_call_whose_end_a_broken_transport_threw_away_was_not_sent(closes: bool) -> None:
    connection, pipe = piped(Gate())
    pipe.system_buffer, pipe.breaks_at = (0 if closes else 2 * len(LARGE)), MIB
    large = connection.root.call("take", LARGE)
    await turns(1)
    assert (len(pipe.held) < MIB) is closes
    if closes:
        await connection.close()
    else:
        pipe.abort()
    error = await outcome(large)
    assert isinstance(error, PBConnectionLost)
    assert not error.sent


@on_each_loop
async def test_a_server_that_vanishes_in_mid_transfer_is_no_more_than_that() -> None:
    async with pb.serve(Taker(), "pb://127.0.0.1:0") as server, pb.connect(server.urls[0]) as connection:
        large = connection.root.call("take", LARGE * 4)
        (served,) = server.connections
        await turns(3)
        served.abort("test")
        assert isinstance(await outcome(large), PBConnectionLost)
        await connection.wait_closed()


@on_each_loop
async def test_a_client_that_vanishes_in_mid_transfer_is_no_more_than_that() -> None:
    taker = Taker()
    async with pb.serve(taker, "pb://127.0.0.1:0") as server:
        async with NativePeer.connect(server.urls[0]) as peer:
            peer.say(call_of(1, "give", len(LARGE)))
            await peer.receive()
            (served,) = server.connections
        await served.wait_closed()
        assert len(served.broker.arrivals) == 0


@on_each_loop
async def test_cancelling_a_call_in_mid_transfer_lets_the_others_go_on() -> None:
    taker = Taker()
    async with pair(taker) as both:
        root = both.client.root
        late = root.call("wait", "late")
        large = root.call("take", LARGE)
        other = root.call("take", LARGE[:-1])
        await turns(3)
        large.cancel()
        assert await other == len(LARGE) - 1
        late.cancel()
        await until(lambda: not len(both.served.broker.arrivals.running))


# A peer that does not read.


@pytest.mark.parametrize("one_way", [False, True])
@on_each_loop
async def test_what_waits_for_a_peer_that_never_reads_is_bounded(one_way: bool) -> None:
    limits = pb.Limits(buffer_bytes=MIB, queued_bytes=100_000)
    connection, pipe = piped(Gate(), limits=limits)
    target = connection.root.call_with(one_way=one_way)
    calls: list[pb.Call] = []
    overloaded = False
    while not overloaded:
        assert len(calls) < 100
        try:
            calls.append(target.call("take", bytes(200_000)))
        except Overloaded:
            overloaded = True
        await turns(1)
    assert 2 * MIB <= connection.broker.outgoing.bulk_bytes <= 2 * MIB + 400_000
    assert pipe.most <= 2 * MIB
    assert not all(call.done for call in calls)
    while not all(call.done for call in calls) and pipe.messages():
        await turns(1)
    pipe.messages()
    if one_way:
        assert all(call.done for call in calls)
    target.call("take", bytes(200_000)).cancel()
    for call in calls:
        call.cancel()
    pipe.end()


@on_each_loop
async def test_a_peer_that_asks_for_large_results_and_never_reads_is_bounded() -> None:
    taker = Taker()
    limits = pb.Limits(buffer_bytes=MIB, queued_bytes=10_000, running_calls=2, waiting_calls=3)
    connection, pipe = piped(taker, limits=limits)
    for number in range(1, 2_000):
        pipe.say(call_of(number, "give", 200_000))
        await turns(1)
        assert connection.broker.outgoing.bulk_bytes <= 2 * MIB + 400_000
        if pipe.aborted:
            break
    assert pipe.aborted


@on_each_loop
async def test_a_peer_that_asks_for_large_results_in_one_breath_is_given_no_more() -> None:
    connection, pipe = piped(Taker(), limits=pb.Limits(buffer_bytes=MIB))
    pipe.say(*(call_of(number, "give", 200_000) for number in range(1, 101)))
    assert MIB < connection.broker.outgoing.bulk_bytes <= MIB + 200_000
    pipe.end()


@on_each_loop
async def test_a_buffer_leaves_in_one_piece_where_it_is_short_and_in_small_ones_where_it_is_long() -> None:
    connection, pipe = piped(Gate())
    calls = [connection.root.call("take", bytes(MIB))]
    await turns(1)
    assert len(pipe.held) > MIB
    pipe.messages()
    calls.append(connection.root.call("take", bytes(10 * MIB)))
    await turns(1)
    assert len(pipe.held) < MIB
    calls.append(connection.root.call("take", "small"))
    await turns(1)
    chunks = 0
    while (message := pipe.messages()) and not isinstance(message[-1], list):
        chunks += 1
    assert chunks <= 2
    for call in calls:
        call.cancel()
    pipe.end()


@on_each_loop
async def test_methods_of_a_peer_that_reads_go_on_while_it_is_sent_much() -> None:
    taker = Taker()
    connection, pipe = piped(taker, limits=pb.Limits(queued_bytes=100_000))
    call = connection.root.call("take", bytes(10 * MIB))
    await turns(1)
    pipe.say(call_of(1, "take", "it"))
    await turns(2)
    assert taker.taken == ["it"]
    assert [message[1:3] for message in pipe.messages() if message[0] == Kind.ANSWER] == [[1, "it"]]
    call.cancel()
    pipe.end()
