"""Nothing stays behind, however often it is done: a soak of seconds, not of hours."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections import Counter
from typing import Any

import pytest

import pellucid as pb
from pellucid.auth.credentials import Password
from pellucid.core.broker import Broker
from pellucid.core.caches import CacheObserver
from pellucid.core.ledger import Books
from pellucid.errors import PBConnectionLost
from pellucid.wire.messages import Answer, MethodCall
from tests.dialects import each_dialect
from tests.system.conversation import tables
from tests.unit.asyncio.door import HERE, Gate, on_each_loop, outcome, pair, turns


class Thing(pb.Referenceable):
    def remote_ping(self) -> str:
        return "pong"


class Board(pb.Cacheable):
    def __init__(self) -> None:
        self.observers: list[pb.Observer] = []

    def get_state_to_cache_and_observe_for(self, perspective: Any, observer: pb.Observer) -> dict[str, Any]:
        self.observers.append(observer)
        return {"text": "hello"}

    def stopped_observing(self, perspective: Any, observer: pb.Observer) -> None:
        self.observers.remove(observer)


class BoardCopy(pb.RemoteCache):
    text: str


REGISTRY = pb.Registry()
REGISTRY.register(BoardCopy, Board)
KINDS = (
    *(pb.Connection, pb.Call, pb.RemoteReference, pb.Viewpoint, Broker, Books, CacheObserver, MethodCall, Answer),
    *(Thing, BoardCopy, asyncio.Task),
)


class Exchange(Gate):
    def __init__(self) -> None:
        super().__init__()
        self.board = Board()

    def remote_swap(self, things: list[pb.RemoteReference]) -> list[Thing]:
        return [Thing() for _ in things]

    async def remote_swap_later(self, things: list[pb.RemoteReference]) -> list[Any]:
        for thing in things:
            assert await thing.call("ping") == "pong"
        return [*things, Thing()]

    def remote_board(self) -> Board:
        return self.board

    def remote_fail(self, thing: pb.RemoteReference) -> None:
        raise pb.Error("as expected")

    def request_avatar(self, avatar_id: str, mind: Any) -> Any:
        return Visitor(mind), self.entered.get_nowait


class Visitor(pb.Avatar):
    def __init__(self, mind: Any) -> None:
        self.mind = mind

    def perspective_ping(self) -> str:
        return "pong"


def alive() -> Counter[str]:
    """How many there are of all that a connection is made of."""
    gc.collect()
    return Counter(type(thing).__name__ for thing in gc.get_objects() if type(thing) in KINDS)


@on_each_loop
async def test_ten_thousand_calls_with_references_leave_nothing_behind() -> None:
    exchange = Exchange()
    async with pair(exchange, registry=REGISTRY, client={"registry": REGISTRY}) as both:
        root = both.client.root

        async def swap_often(times: int) -> None:
            for _ in range(times):
                await root.call("swap", [Thing(), Thing()])
                await root.call("swap_later", [Thing()])
                await outcome(root.call("fail", Thing()))
                assert (await root.call("board")).text == "hello"

        async def quiet() -> None:
            gc.collect()
            while any(tables(both.client) + tables(both.served)) or exchange.board.observers:
                await turns(1)

        await swap_often(1)
        await quiet()
        before = alive()
        await asyncio.gather(*(swap_often(250) for _ in range(10)))
        await quiet()
        assert alive() == before


@on_each_loop
async def test_two_hundred_connections_leave_nothing_behind_however_they_end() -> None:
    exchange = Exchange()
    async with pb.serve(exchange, HERE, registry=REGISTRY) as server:

        async def visit(number: int) -> None:
            connection = await pb.connect(server.urls[0], registry=REGISTRY)
            thing, board = (await connection.root.call("swap", [Thing()]))[0], await connection.root.call("board")
            connection.notify_on_disconnect(lambda: board.text)
            thing.notify_on_disconnect(lambda _: None)
            waiting = connection.root.call("wait", Thing())
            await exchange.entered.get()
            (served,) = (served for served in server.connections if served.peer == here_of(connection))
            end = connection if number % 2 else served
            await (end.close() if number % 4 < 2 else abort(end))
            assert isinstance(await outcome(waiting), PBConnectionLost)
            await exchange.cancelled.get()
            await connection.wait_closed()
            await connection.close()
            await served.wait_closed()

        await visit(0)
        await turns(20)
        before = alive()
        for number in range(200):
            await visit(number)
        await turns(20)
        assert alive() == before
        assert not exchange.board.observers
        assert not server.connections


@on_each_loop
async def test_a_hundred_logins_leave_nothing_behind(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, "pellucid")  # pytest keeps what is logged, with the errors and all they refer to
    exchange = Exchange()
    patient = pb.LoginThrottle(by_peer=1000, by_user=1000)
    portal = pb.Portal(exchange, [pb.InMemoryPasswords({"alice": "secret"})], throttle=patient)
    async with pb.serve(portal, HERE) as server:

        async def visit() -> None:
            async with pb.connect(server.urls[0]) as connection:
                exchange.entered.put_nowait("alice")
                avatar = await connection.login(Password("alice", "secret"), Thing())
                assert await avatar.call("ping") == "pong"
                with pytest.raises(pb.UnauthorizedLogin):
                    await connection.login(Password("alice", "wrong"), Thing())
            while server.connections:
                await turns(1)
            assert exchange.entered.empty()

        await visit()
        await turns(20)
        before = alive()
        for _ in range(100):
            await visit()
        await turns(20)
        assert alive() == before


@each_dialect
@on_each_loop
async def test_calls_that_time_out_or_are_given_up_leave_nothing_behind_once_answered(dialect: str) -> None:
    gate = Gate()
    async with pair(gate) as both:

        async def give_up(count: int) -> None:
            gate.opened.clear()
            calls = [both.client.root.call_with(timeout=0.001).call("wait", Thing()) for _ in range(count)]
            for call in calls:
                assert isinstance(await outcome(call), TimeoutError)
            given_up = [both.client.root.call("wait", Thing()) for _ in range(count)]
            for call in given_up:
                call.cancel()
            gate.opened.set()
            for _ in range(2 * count if dialect == "pb" else 0):  # else they were cancelled, or never begun
                await gate.entered.get()
                await gate.left.get()
            while any(tables(both.client) + tables(both.served)):
                for noted in gate.entered, gate.cancelled, gate.left:
                    while not noted.empty():
                        noted.get_nowait()
                await turns(1)

        await give_up(1)
        await turns(20)
        before = alive()
        await give_up(100)
        await turns(20)
        assert alive() == before


def here_of(connection: pb.Connection) -> str:
    """By which address the other end knows `connection`."""
    transport: Any = connection._transport
    host, port = transport.get_extra_info("sockname")
    return f"{host}:{port}"


async def abort(connection: pb.Connection) -> None:
    connection.abort("for the test")
