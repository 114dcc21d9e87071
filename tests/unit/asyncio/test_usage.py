"""What a peer uses of its limits, as the application is shown it."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

import pellucid as pb
from pellucid.errors import TooManyCalls, TooManyReferences
from tests.dialects import each_dialect, over
from tests.unit.asyncio.door import Gate, on_each_loop, outcome, pair, turns
from tests.unit.asyncio.pipe import piped

pytestmark = each_dialect


class Thing(pb.Referenceable):
    pass


class Board(pb.Cacheable):
    def get_state_to_cache_and_observe_for(self, perspective: Any, observer: Any) -> Any:
        return {}

    def stopped_observing(self, perspective: Any, observer: Any) -> None: ...


class BoardCopy(pb.RemoteCache):
    pass


REGISTRY = pb.Registry()
REGISTRY.register(BoardCopy, Board)


class Shelf(Gate):
    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Any] = []

    def remote_keep(self, *things: Any) -> None:
        self.kept += things

    def remote_thing(self) -> Thing:
        return Thing()

    def remote_board(self) -> Board:
        return Board()


def used(connection: pb.Connection) -> dict[str, int]:
    """What is used of limits, where that is anything."""
    return {name: usage.used for name, usage in connection.usage.items() if usage.used}


@on_each_loop
async def test_each_figure_stands_beside_its_limit() -> None:
    limits = pb.Limits(references_exported=7, queued_bytes=123_456)
    async with pair(Shelf(), limits=limits) as both:
        assert both.served.usage["references_exported"] == (0, 7)
        assert both.served.usage["queued_bytes"] == pb.Usage(used=0, limit=123_456)
        assert set(both.served.usage) < {field.name for field in fields(pb.Limits)}
        assert used(both.served) == used(both.client) == {}


@on_each_loop
async def test_references_and_caches_count_on_either_side_until_they_are_dropped() -> None:
    shelf = Shelf()
    async with pair(shelf, registry=REGISTRY, client={"registry": REGISTRY}) as both:
        held: Any = [await both.client.root.call(name) for name in ("thing", "thing", "board")]
        assert both.served.usage["references_exported"].used == 3
        assert both.client.usage["references_imported"].used == 3
        await both.client.root.call("keep", Thing(), Thing())
        assert both.served.usage["references_imported"].used == 2
        assert both.client.usage["references_exported"].used == 2
        held.clear()
        shelf.kept.clear()
        for _ in range(3):
            await both.client.root.call("echo")
        for connection in both.served, both.client:
            assert not [name for name in used(connection) if name.startswith("references")]


@on_each_loop
async def test_at_a_limit_all_of_it_is_used() -> None:
    limits = pb.Limits(references_exported=2, running_calls=1, waiting_calls=2)
    gate = Shelf()
    async with pair(gate, limits=limits) as both:
        things = [await outcome(both.client.root.call("thing")) for _ in range(3)]
        assert isinstance(things[2], TooManyReferences)
        assert both.served.usage["references_exported"] == (2, 2)
        calls = [both.client.root.call("wait") for _ in range(4)]
        assert isinstance(await outcome(calls[3]), TooManyCalls)
        assert both.served.usage["running_calls"] == (1, 1)
        assert both.served.usage["waiting_calls"] == (2, 2)
        assert both.served.usage["waiting_bytes"].used > 0
        assert both.client.usage["calls_pending"].used == 3
        gate.opened.set()
        for call in calls[:3]:
            await call
        await turns()
        assert not {"running_calls", "waiting_calls", "waiting_bytes"} & used(both.served).keys()
        assert "calls_pending" not in used(both.client)


@over("pellucid")
@on_each_loop
async def test_answers_that_are_kept_count_until_they_are_seen() -> None:
    async with pair(Shelf()) as both:
        await both.client.root.call("echo", "x" * 1_000)
        assert both.served.usage["kept_answers"].used == 1
        assert both.served.usage["kept_bytes"].used > 1_000


@over("pellucid")
@on_each_loop
async def test_what_a_peer_does_not_read_counts() -> None:
    connection, pipe = piped(Shelf())
    calls = [connection.root.call("take", bytes(size)) for size in (10_000, 100_000)]
    await turns(2)
    assert 10_000 < connection.usage["queued_bytes"].used < 11_000
    assert connection.usage["buffer_bytes"] == (100_000, connection.broker.limits.buffer_bytes)
    pipe.messages()
    await turns(2)
    pipe.messages()
    assert connection.usage["queued_bytes"].used == connection.usage["buffer_bytes"].used == 0
    for call in calls:
        call.cancel()
    pipe.end()


@on_each_loop
async def test_a_server_shows_the_connection_that_uses_most() -> None:
    async with pb.serve(Shelf(), "pb://127.0.0.1:0") as server:
        assert server.usage == {"connections": (0, 10_000)}
        async with pb.connect(server.urls[0]) as one, pb.connect(server.urls[0]) as other:
            held = [await one.root.call("thing") for _ in range(3)] + [await other.root.call("thing")]
            assert server.usage["references_exported"] == (3, pb.Limits().references_exported)
            assert len(held) == 4


@pytest.mark.parametrize("name", ["message_bytes", "connect_seconds"])
@on_each_loop
async def test_what_is_about_one_message_or_about_time_is_not_shown(name: str) -> None:
    async with pair(Shelf()) as both:
        assert name not in both.served.usage
