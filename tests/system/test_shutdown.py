"""How servers and connections end: what is still answered, what is not run any more, and for how long one waits."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

import pytest

import pellucid as pb
from pellucid.errors import ConnectFailed, DeadReferenceError, PBConnectionLost
from tests.unit.asyncio.door import (
    HERE,
    LOOPS,
    Gate,
    NewLoop,
    Pair,
    RawPeer,
    Sink,
    call_message,
    crowd,
    encoded,
    on_each_loop,
    outcome,
    pair,
    raw_server,
    run,
    turns,
)

QUICK = pb.Limits(close_seconds=0.05)
SOON = 2
"""Seconds in which what is bounded by `QUICK` has certainly ended."""


async def until_draining(both: Pair) -> asyncio.Task[None]:
    """Start to close the server, and return once it starts no further calls."""
    closing = asyncio.ensure_future(both.server.close())
    await turns()
    return closing


# Draining.


@on_each_loop
async def test_methods_that_run_are_answered_before_a_closing_server_ends_their_connection() -> None:
    gate = Gate()
    async with pair(gate) as both:
        calls = [both.client.root.call("wait", bytes(300_000)) for _ in range(3)]
        for _ in calls:
            await gate.entered.get()
        closing = await until_draining(both)
        assert not closing.done()
        gate.opened.set()
        assert await asyncio.gather(*calls) == [bytes(300_000)] * 3
        await closing
        await both.client.wait_closed()
        with pytest.raises(DeadReferenceError):
            both.client.root.call("echo")


@on_each_loop
async def test_a_method_that_runs_in_a_thread_is_answered_too() -> None:
    class Threaded(pb.Root):
        entered = threading.Event()
        opened = threading.Event()

        @pb.in_thread
        def remote_wait(self) -> str:
            self.entered.set()
            assert self.opened.wait(5)
            return "from a thread"

    root = Threaded()
    async with pair(root) as both:
        call = both.client.root.call("wait")
        await asyncio.to_thread(root.entered.wait, 5)
        closing = await until_draining(both)
        root.opened.set()
        assert await call == "from a thread"
        await closing


@on_each_loop
async def test_calls_that_had_not_started_are_not_run_and_their_callers_get_connection_lost() -> None:
    gate = Gate()
    async with pair(gate, limits=pb.Limits(running_calls=1)) as both:
        running, waiting = (both.client.root.call("wait", name) for name in ("running", "waiting"))
        assert await gate.entered.get() == "running"
        await turns(50)
        closing = await until_draining(both)
        late = both.client.root.call("wait", "late")
        await turns(50)
        gate.opened.set()
        assert await running == "running"
        assert [type(await outcome(call)) for call in (waiting, late)] == [PBConnectionLost, PBConnectionLost]
        await closing
        assert gate.entered.empty()


@on_each_loop
async def test_answers_and_releases_still_get_through_while_a_server_drains() -> None:
    class Asking(Gate):
        async def remote_ask(self, gate: pb.RemoteReference) -> Any:
            await self.remote_wait()
            return await gate.call("echo", "asked while draining")

    root = Asking()
    async with pair(root) as both:
        call = both.client.root.call("ask", Gate())
        await root.entered.get()
        closing = await until_draining(both)
        root.opened.set()
        assert await call == "asked while draining"
        await closing


@on_each_loop
async def test_a_peer_that_reads_again_while_a_server_drains_starts_nothing() -> None:
    class Much(Gate):
        def remote_much(self) -> bytes:
            return bytes(500_000)

    root = Much()
    async with pb.serve(root, HERE, limits=pb.Limits(queued_bytes=100_000)) as server:
        peer = await RawPeer.connect(server.urls[0])
        peer.send(*call_message(0, b"wait", b"running"))
        await root.entered.get()
        peer.send_bytes(b"".join(encoded(call_message(number, b"much")) for number in range(1, 100)))
        peer.send(*call_message(100, b"wait", b"waiting"))
        await turns(50)
        closing = asyncio.ensure_future(server.close())
        await turns()
        reading = asyncio.ensure_future(peer.receive_until_closed())
        await turns(200)
        root.opened.set()
        answered = [message[1] for message in await reading]
        await closing
        assert 0 in answered
        assert 100 not in answered
        assert root.entered.empty()
        await peer.close()


@on_each_loop
async def test_a_slow_method_is_cut_off_in_time_and_its_caller_gets_connection_lost() -> None:
    gate = Gate()
    async with pair(gate, limits=QUICK) as both:
        call = both.client.root.call("wait", "slow")
        await gate.entered.get()
        async with asyncio.timeout(SOON):
            await both.server.close()
        assert await gate.cancelled.get() == "slow"
        assert isinstance(await outcome(call), PBConnectionLost)


@on_each_loop
async def test_a_slow_method_is_left_to_finish_where_the_server_says_so() -> None:
    gate = Gate()
    async with pair(gate, limits=QUICK, on_disconnect="finish") as both:
        call = both.client.root.call("wait", "slow")
        await gate.entered.get()
        async with asyncio.timeout(SOON):
            await both.server.close()
        assert isinstance(await outcome(call), PBConnectionLost)
        gate.opened.set()
        assert await gate.left.get() == "slow"


@on_each_loop
async def test_every_connection_is_drained_at_the_same_time() -> None:
    gate = Gate()
    async with pb.serve(gate, HERE, limits=QUICK) as server:
        connections = [await pb.connect(server.urls[0]) for _ in range(5)]
        calls = [connection.root.call("wait") for connection in connections]
        for _ in calls:
            await gate.entered.get()
        async with asyncio.timeout(SOON):
            await server.close()
        assert [type(await outcome(call)) for call in calls] == [PBConnectionLost] * 5
        for connection in connections:
            await connection.wait_closed()


@on_each_loop
async def test_when_a_server_has_closed_nothing_of_it_is_left() -> None:
    gate = Gate()
    before = asyncio.all_tasks()
    async with pair(gate, limits=QUICK) as both:
        both.client.root.call("wait").notice()
        await gate.entered.get()
        await both.server.close()
        await gate.cancelled.get()
        await both.client.wait_closed()
    await turns()
    assert asyncio.all_tasks() == before


@on_each_loop
async def test_a_closed_server_admits_nobody() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        url = f"pb://127.0.0.1:{sock.getsockname()[1]}"
        server = await pb.serve(Gate(), sock=sock.dup())
        early = await RawPeer.connect_silently(url)  # the kernel has accepted it; the server perhaps not yet
        await server.close()
        assert await early.receive_until_closed() in ([], [[b"pellucid", b"pb", b"none"]])
        await early.close()
        assert not server.connections
    with pytest.raises(ConnectFailed):
        await pb.connect(url)


@on_each_loop
async def test_a_method_may_have_its_own_server_closed() -> None:
    class Closing(pb.Root):
        def remote_close(self) -> str:
            self.closing = asyncio.ensure_future(both.server.close())
            return "closing"

    root = Closing()
    async with pair(root) as both:
        assert await both.client.root.call("close") == "closing"
        await root.closing
        await both.client.wait_closed()


@on_each_loop
async def test_a_method_may_close_its_own_connection() -> None:
    class Closing(pb.Root):
        async def remote_close(self) -> None:
            await both.served.close()

    async with pair(Closing()) as both:
        assert isinstance(await outcome(both.client.root.call("close")), PBConnectionLost)
        await both.served.wait_closed()
        await both.client.wait_closed()


# Peers that hold up the end.


@on_each_loop
async def test_a_peer_that_does_not_read_holds_up_closing_no_longer_than_allowed() -> None:
    async with raw_server() as (url, peers):
        connection = await pb.connect(url, limits=pb.Limits(close_seconds=0.05, queued_bytes=200_000))
        await peers.get()
        waiting = await crowd(connection)
        async with asyncio.timeout(SOON):
            await connection.close()
        assert isinstance(await outcome(waiting), PBConnectionLost)


@on_each_loop
async def test_a_peer_that_reads_and_never_hangs_up_holds_up_closing_no_longer_than_allowed() -> None:
    heard, closed = asyncio.Event(), asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(encoded([b"none"]))
        while await reader.read(1000):
            pass
        heard.set()
        await closed.wait()  # asyncio's streams stay open on this side
        writer.transport.abort()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    connection = await pb.connect(f"pb://127.0.0.1:{server.sockets[0].getsockname()[1]}", limits=QUICK)
    async with asyncio.timeout(SOON):
        await connection.close()
    assert heard.is_set()
    closed.set()
    server.close()
    await turns()


@on_each_loop
async def test_a_peer_that_neither_reads_nor_sends_holds_up_a_server_no_longer_than_allowed() -> None:
    root = Gate()
    root.opened.set()
    server = await pb.serve(root, HERE, limits=QUICK)
    peer = await RawPeer.connect(server.urls[0])
    (served,) = server.connections
    peer.send_bytes(b"".join(encoded(call_message(number, b"wait", bytes(500_000))) for number in range(40)))
    for _ in range(8):
        await root.left.get()
    peer.say_no_more()
    # A peer that will say nothing any more has gone, whatever it may still want to read.
    await served.wait_closed()
    assert not server.connections
    async with asyncio.timeout(SOON):
        await server.close()
    await peer.close()


@on_each_loop
async def test_a_peer_that_ended_its_half_is_gone_and_its_methods_are_cancelled() -> None:
    gate = Gate()
    async with pb.serve(gate, HERE) as server:
        peer = await RawPeer.connect(server.urls[0])
        peer.send(*call_message(1, b"wait", b"running"))
        await gate.entered.get()
        peer.say_no_more()
        assert await gate.cancelled.get() == b"running"
        assert await peer.receive_until_closed() == []
        await peer.close()


@on_each_loop
async def test_closing_at_both_ends_at_once_is_no_trouble() -> None:
    async with pair(Gate()) as both:
        call = both.client.root.call("wait")
        await asyncio.gather(both.client.close(), both.served.close(), both.server.close(), both.client.close())
        assert isinstance(await outcome(call), PBConnectionLost)


@on_each_loop
async def test_closing_after_the_peer_has_gone_leaves_no_timer_behind() -> None:
    async with pair(Gate()) as both:
        both.served.abort("for the test")
        await both.client.wait_closed()
        await both.client.close()
        await both.served.close()
    loop: Any = asyncio.get_running_loop()
    timers = [timer for timer in getattr(loop, "_scheduled", []) if not timer.cancelled()]
    assert len(timers) <= 1  # the test's own


# Peers that go on sending: a system that closes a socket with something unread drops what was not yet delivered.


@on_each_loop
async def test_what_was_sent_before_closing_arrives_though_the_peer_goes_on_sending() -> None:
    calls = 16
    async with raw_server() as (url, peers):
        connection = await pb.connect(url, limits=pb.Limits(queued_bytes=100_000_000))
        peer = await peers.get()
        for number in range(calls):
            await connection.root.call_with(one_way=True).call("take", bytes([number]) * 500_000)
        closing = asyncio.ensure_future(connection.close())
        await turns()
        peer.send(*call_message(1, b"still_there"))
        await turns()
        assert [(await peer.receive())[5][1][0] for _ in range(calls)] == list(range(calls))
        assert await peer.receive_until_closed() == []
        await peer.hang_up()
        await closing


@on_each_loop
async def test_answers_of_a_closing_server_arrive_though_their_caller_goes_on_calling() -> None:
    gate = Gate()
    calls = 16
    server = await pb.serve(gate, HERE, limits=pb.Limits(queued_bytes=100_000_000))
    peer = await RawPeer.connect(server.urls[0])
    for call_id in range(calls):
        peer.send(*call_message(call_id, b"wait", bytes(500_000)))
        await gate.entered.get()
    closing = asyncio.ensure_future(server.close())
    gate.opened.set()
    for _ in range(calls):
        await gate.left.get()
    await turns()
    peer.send(*call_message(calls, b"wait", b"too late"))
    await turns()
    assert sorted([(await peer.receive())[1] for _ in range(calls)]) == list(range(calls))
    assert await peer.receive_until_closed() == []
    await peer.hang_up()
    await closing


# A loop that ends right after.


@pytest.mark.parametrize("new_loop", LOOPS.values(), ids=LOOPS)
def test_what_was_sent_one_way_before_closing_arrives_though_the_loop_ends(
    new_loop: NewLoop,
) -> None:
    async def serve_it() -> list[int]:
        sink = Sink()
        async with pb.serve(sink, HERE) as server:

            async def send_it() -> None:
                async with pb.connect(server.urls[0]) as connection:
                    for number in range(30):
                        await connection.root.call_with(one_way=True).call("take", bytes([number]) * 500_000)

            await asyncio.to_thread(run, send_it(), new_loop)
            return [(await sink.taken.get())[0] for _ in range(30)]

    assert run(serve_it(), new_loop) == list(range(30))


@pytest.mark.parametrize("new_loop", LOOPS.values(), ids=LOOPS)
def test_what_a_closing_server_answers_arrives_though_its_loop_ends(
    new_loop: NewLoop,
) -> None:
    async def call_it() -> list[bytes]:
        urls: asyncio.Queue[str] = asyncio.Queue()
        here = asyncio.get_running_loop()

        async def serve_it() -> None:
            gate = Gate()
            async with pb.serve(gate, HERE) as server:
                here.call_soon_threadsafe(urls.put_nowait, server.urls[0])
                for _ in range(8):
                    await gate.entered.get()
                asyncio.get_running_loop().call_soon(gate.opened.set)

        serving = asyncio.ensure_future(asyncio.to_thread(run, serve_it(), new_loop))
        connection = await pb.connect(await urls.get())
        answers = await asyncio.gather(*(connection.root.call("wait", bytes(500_000)) for _ in range(8)))
        await connection.wait_closed()
        await serving
        return answers

    assert run(call_it(), new_loop) == [bytes(500_000)] * 8
