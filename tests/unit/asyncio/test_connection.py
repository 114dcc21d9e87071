from __future__ import annotations

import asyncio
import gc
import logging
import socket
import struct
import threading
import weakref
from pathlib import Path
from typing import Any

import pytest

import pellucid as pb
from pellucid.errors import DeadReferenceError, PBConnectionLost
from tests.dialects import each_dialect, over
from tests.unit.asyncio.door import (
    HERE,
    LOOPS,
    Gate,
    NewLoop,
    on_each_loop,
    outcome,
    pair,
    raw_server,
    run,
    turns,
)

pytestmark = each_dialect


class Thing(pb.Referenceable):
    def remote_ping(self) -> str:
        return "pong"


class Things(Gate):
    """Hands out things that it does not hold itself, and tells when one is forgotten."""

    def __init__(self) -> None:
        super().__init__()
        self.forgotten = asyncio.Event()
        self.made = 0

    def remote_new(self) -> Thing:
        thing = Thing()
        self.made += 1
        weakref.finalize(thing, self.forgotten.set)
        return thing

    def remote_newer(self) -> list[Thing]:
        return [self.remote_new(), self.remote_new()]


# References.


@on_each_loop
async def test_a_released_reference_is_dead_at_once_and_its_object_is_forgotten() -> None:
    things = Things()
    async with pair(things) as both:
        thing = await both.client.root.call("new")
        thing.release()
        with pytest.raises(DeadReferenceError, match="was released"):
            thing.call("ping")
        await things.forgotten.wait()
        assert len(both.client.broker.books.imports) == 0


@on_each_loop
async def test_releasing_twice_gives_back_no_more_than_was_received() -> None:
    async with pair(Things()) as both:
        thing = await both.client.root.call("new")
        thing.release()
        thing.release()
        assert await both.client.root.call("echo", "alive") == "alive"


@on_each_loop
async def test_a_reference_received_twice_is_alive_until_it_is_released_twice() -> None:
    class Same(pb.Root):
        thing = Thing()

        def remote_same(self) -> Thing:
            return self.thing

    async with pair(Same()) as both:
        thing, again = await both.client.root.call("same"), await both.client.root.call("same")
        assert again is thing
        thing.release()
        assert await thing.call("ping") == "pong"
        thing.release()
        assert not thing.alive
        newer = await both.client.root.call("same")
        assert newer is not thing
        assert await newer.call("ping") == "pong"


@on_each_loop
async def test_leaving_the_block_of_a_reference_releases_it() -> None:
    things = Things()
    async with pair(things) as both:
        async with await both.client.root.call("new") as thing:
            assert await thing.call("ping") == "pong"
        assert not thing.alive
        await things.forgotten.wait()


@on_each_loop
async def test_the_root_can_be_called_after_it_was_released() -> None:
    async with pair(Things()) as both:
        both.client.root.release()
        assert await both.client.root.call("echo", 1) == 1


@on_each_loop
async def test_a_reference_that_nobody_holds_is_released_on_an_idle_connection() -> None:
    things = Things()
    async with pair(things) as both:
        await both.client.root.call("new")
        gc.collect()
        await things.forgotten.wait()


@on_each_loop
async def test_a_reference_dropped_in_another_thread_is_released_on_an_idle_connection() -> None:
    things = Things()
    async with pair(things) as both:
        held_there = await both.client.root.call("newer")
        dropping = threading.Thread(target=held_there.clear)
        dropping.start()
        await things.forgotten.wait()
        dropping.join()
        while len(both.served.broker.books.exports):
            await turns(1)
        assert len(both.client.broker.books.imports) == 0


@on_each_loop
async def test_dropping_a_reference_sends_nothing_by_itself() -> None:
    class Dropping(pb.Root):
        def __init__(self) -> None:
            self.kept: list[Any] = []

        def remote_keep(self, thing: pb.RemoteReference) -> None:
            self.kept.append(thing)

        def remote_much(self) -> bytes:
            return bytes(200_000)

        def remote_drop(self) -> bool:
            queued = [both.served.broker.queued_bytes]
            self.kept.clear()
            return both.served.broker.queued_bytes == queued[0]

    async with pair(Dropping()) as both:
        root = both.client.root
        await root.call("keep", Thing())
        assert (await asyncio.gather(root.call("much"), root.call("drop")))[1]


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # a loop that is closed first leaves its transports behind
@pytest.mark.parametrize("new_loop", LOOPS.values(), ids=LOOPS)
def test_references_dropped_after_the_loop_was_closed_are_silent(
    new_loop: NewLoop, caplog: pytest.LogCaptureFixture
) -> None:
    async def left_behind() -> tuple[list[Any], pb.Connection]:
        server = await pb.serve(Things(), HERE)
        connection = await pb.connect(server.urls[0])
        return await connection.root.call("newer"), connection

    things, connection = run(left_behind(), new_loop)
    assert not connection.is_closed
    things.pop()
    dropping = threading.Thread(target=things.clear)
    dropping.start()
    dropping.join()
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    del connection
    gc.collect()


# Dead references, and calls under way.


@on_each_loop
async def test_calling_over_a_closed_connection_raises_dead_reference_error_synchronously() -> None:
    async with pair(Things()) as both:
        thing = await both.client.root.call("new")
        await both.client.close()
        for reference in thing, both.client.root:
            with pytest.raises(DeadReferenceError):
                reference.call("ping")
            with pytest.raises(DeadReferenceError):
                reference.call_with(one_way=True).call("ping")
            with pytest.raises(DeadReferenceError):
                reference.notify_on_disconnect(print)
        with pytest.raises(DeadReferenceError):
            both.client.notify_on_disconnect(print)


@on_each_loop
async def test_a_dead_reference_cannot_be_sent() -> None:
    async with pair(Things()) as both:
        thing = await both.client.root.call("new")
        thing.release()
        assert isinstance(await outcome(both.client.root.call("echo", thing)), DeadReferenceError)


@on_each_loop
async def test_calls_under_way_fail_and_tell_whether_they_were_sent() -> None:
    async with pair(Gate()) as both:
        sent = both.client.root.call("wait")
        unsent = both.client.root.call("wait")  # further calls wait for the end of this turn of the loop
        both.client.abort("for the test")
        errors = [await outcome(sent), await outcome(unsent)]
        assert [type(error) for error in errors] == [PBConnectionLost, PBConnectionLost]
        assert [error.sent for error in errors] == [True, False]


@on_each_loop
async def test_closing_sends_what_waits_to_be_sent() -> None:
    gate = Gate()
    async with pair(gate) as both:
        calls = [both.client.root.call("wait", number) for number in range(3)]
        both.client.root.call_with(one_way=True).call("wait", 3)
        await both.client.close()
        assert [(await outcome(call)).sent for call in calls] == [True, True, True]
        assert [await gate.entered.get() for _ in range(4)] == [0, 1, 2, 3]


@on_each_loop
async def test_closing_what_the_peer_has_just_reset_is_no_error() -> None:
    async with pair(Gate()) as both:
        transport = both.served.transport
        assert transport is not None
        resets = struct.pack("ii", 1, 0)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, resets)
        both.served.abort("for the test")
        await turns(1)  # the reset is there, and the loop has not looked since
        await both.client.close()


@over("none")
@on_each_loop
async def test_a_peer_that_ends_the_connection_fails_the_calls_under_way() -> None:
    async with raw_server() as (url, peers), pb.connect(url) as connection:
        call = connection.root.call("wait")
        peer = await peers.get()
        await peer.receive()
        await peer.close()
        assert isinstance(await outcome(call), PBConnectionLost)
        await connection.wait_closed()
        assert connection.is_closed
        assert "CLOSED" in repr(connection)


@on_each_loop
async def test_a_connection_says_what_it_is(dialect: str) -> None:
    async with pair(Gate()) as both:
        assert both.client.peer == both.server.urls[0].removeprefix("pb://")
        assert both.client.dialect == both.served.dialect == dialect
        broker = f"<Broker {dialect} READY exports=0 imports=0 calls=0>"
        assert repr(both.client) == f"<Connection {both.client.log_number} {both.client.peer} {broker}>"
        assert both.client.root is both.client.root


@over("none")
@on_each_loop
async def test_what_the_peer_does_not_understand_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with raw_server() as (url, peers), pb.connect(url) as connection:
        peer = await peers.get()
        peer.send(b"didNotUnderstand", b"message")
        call = connection.root.call("echo")
        peer.send(b"answer", (await peer.receive())[1], 1)
        await call
        (record,) = caplog.records
        assert record.getMessage() == "the peer did not understand 'message'"
        told = vars(record)
        assert told["event"] == "peer.confused"
        assert (told["connection"], told["peer"]) == (connection.log_number, connection.peer)


@on_each_loop
async def test_the_dialect_is_one_that_both_sides_allow() -> None:
    async with pair(Gate(), client={"dialects": ["none"]}) as both:
        assert both.client.dialect == both.served.dialect == "none"
        assert await both.client.root.call("echo", [b"list"]) == [b"list"]
    async with pair(Gate(), dialects=["none", "pb"]) as both:
        assert both.client.dialect == "none"


# Peers that vanish.


TCP_OPTIONS = ["TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT"]


def options_of(connection: Any) -> dict[str, int]:
    """What the system was told of noticing that the peer of `connection` has vanished."""
    sock = connection._transport.get_extra_info("socket")
    found = {"SO_KEEPALIVE": sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)}
    for name in TCP_OPTIONS:
        found[name] = sock.getsockopt(socket.IPPROTO_TCP, getattr(socket, name))
    return found


@pytest.mark.parametrize(
    ("seconds", "idle", "interval"), [(60, 30, 6), (100, 50, 10), (1, 1, 1)], ids=["default", "longer", "least"]
)
@over("pb", "none")
@on_each_loop
async def test_a_peer_that_vanishes_is_noticed_by_the_system_within_the_limit(
    seconds: int, idle: int, interval: int
) -> None:
    limits = pb.Limits(silence_seconds=seconds)
    async with pair(pb.Root(), limits=limits, client={"limits": limits}) as both:
        for side in both.client, both.served:
            assert options_of(side) == {
                "SO_KEEPALIVE": 1,
                "TCP_KEEPIDLE": idle,
                "TCP_KEEPINTVL": interval,
                "TCP_KEEPCNT": 5,
            }


@over("pellucid")
@on_each_loop
async def test_where_the_dialect_has_signs_of_life_the_system_is_not_asked_for_them() -> None:
    with socket.socket() as untouched:
        usual = [untouched.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) for name in TCP_OPTIONS]
    async with pair(pb.Root()) as both:
        for side in both.client, both.served:
            assert list(options_of(side).values()) == [0, *usual]
            assert side._round is not None


@over("pb")
@on_each_loop
async def test_the_system_is_not_asked_where_there_is_no_network(tmp_path: Path) -> None:
    url = f"pb+unix:{tmp_path}/s"
    async with pb.serve(Gate(), url), pb.connect(url) as connection:
        assert await connection.root.call("echo", 5) == 5
        sock: Any = connection._transport.get_extra_info("socket")  # type: ignore[union-attr]
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0
