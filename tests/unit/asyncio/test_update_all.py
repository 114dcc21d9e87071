"""One change told to many copies, through the asyncio door."""

from __future__ import annotations

import gc
from contextlib import AsyncExitStack
from typing import Any

import pellucid as pb
from pellucid.errors import DeadReferenceError, Overloaded
from tests.unit.asyncio.door import on_each_loop, turns
from tests.unit.asyncio.pipe import piped
from tests.unit.asyncio.raw import call_of, until


class Board(pb.Cacheable):
    def __init__(self) -> None:
        self.observers: list[Any] = []

    def get_state_to_cache_and_observe_for(self, perspective: Any, observer: Any) -> Any:
        self.observers.append(observer)
        return {"lines": []}

    def stopped_observing(self, perspective: Any, observer: Any) -> None:
        self.observers.remove(observer)

    def write(self, *args: Any) -> Any:
        return pb.update_all(self.observers, "line", *args)


class BoardCopy(pb.RemoteCache):
    lines: list[Any]

    def observe_line(self, line: Any) -> None:
        self.lines.append(line)


class Hall(pb.Root):
    def __init__(self) -> None:
        self.board = Board()

    def remote_board(self) -> Board:
        return self.board


REGISTRY = pb.Registry()
REGISTRY.register(BoardCopy, Board)


@on_each_loop
async def test_many_copies_over_either_dialect_are_told_in_order() -> None:
    hall = Hall()
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(pb.serve(hall, "pb://127.0.0.1:0"))
        copies: list[BoardCopy] = []
        for dialects in (["pellucid"], ["pb"], None, None):
            connecting = pb.connect(server.urls[0], registry=REGISTRY, dialects=dialects)
            connection = await stack.enter_async_context(connecting)
            copies.append(await connection.root.call("board"))
        lines = [1, "two", [3], bytes(100_000), {"five": 5}, 6]
        for line in lines:
            assert hall.board.write(line) == {}
        await until(lambda: all(len(copy.lines) == len(lines) for copy in copies))
        assert [copy.lines for copy in copies] == [lines] * 4


@on_each_loop
async def test_the_first_of_some_changes_leaves_at_once_and_the_others_together() -> None:
    hall = Hall()
    _, pipe = piped(hall, registry=REGISTRY)
    pipe.say(call_of(1, "board"))
    pipe.messages()
    pipe.system_buffer = 10_000
    for number in range(5):
        hall.board.write(number)
    assert [message[4] for message in pipe.messages()] == [[0]]
    await turns(2)
    assert [message[4] for message in pipe.messages()] == [[1], [2], [3], [4]]
    pipe.end()


@on_each_loop
async def test_one_that_has_gone_or_dropped_its_copy_keeps_nobody_from_it() -> None:
    hall = Hall()
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(pb.serve(hall, "pb://127.0.0.1:0"))
        connections = [await stack.enter_async_context(pb.connect(server.urls[0], registry=REGISTRY)) for _ in range(3)]
        copies = [await connection.root.call("board") for connection in connections]
        observers = list(hall.board.observers)
        connections[0].abort("test")
        copies[0] = copies[1] = None
        gc.collect()
        await until(lambda: len(hall.board.observers) == 1)
        failed = pb.update_all(observers, "line", "it")
        assert {type(error) for error in failed.values()} == {DeadReferenceError, pb.LocalProtocolError}
        await until(lambda: copies[2].lines == ["it"])


@on_each_loop
async def test_one_that_does_not_read_is_reported_and_bounded_and_keeps_nobody_from_it() -> None:
    hall = Hall()
    limits = pb.Limits(queued_bytes=10_000)
    slow, unread = piped(hall, limits=limits, registry=REGISTRY)
    fast, read = piped(hall, limits=limits, registry=REGISTRY)
    for pipe in (unread, read):
        pipe.say(call_of(1, "board"))
    first, second = hall.board.observers
    failed: Any = {}
    told = 0
    while not failed:
        assert told < 1_000
        failed = hall.board.write("x" * 1_000)
        told += 1
        read.messages()
        await until(lambda: not fast.broker.queued_bytes)
    assert {observer: type(error) for observer, error in failed.items()} == {first: Overloaded}
    assert first.keeper is slow.broker.books
    assert second.keeper is fast.broker.books
    assert unread.most < 25_000
    unread.end()
    read.end()
