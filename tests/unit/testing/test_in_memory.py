from __future__ import annotations

import asyncio
import gc
import logging
from typing import Any

import pytest

import pellucid as pb
from pellucid.testing.in_memory import InMemory, join, pair
from tests.dialects import each_dialect, over
from tests.unit.asyncio.door import Gate, on_each_loop, outcome, turns
from tests.unit.asyncio.hall import ALICE, Hall, portal
from tests.unit.asyncio.things import Things

pytestmark = each_dialect


@on_each_loop
async def test_two_ends_that_are_joined_in_memory_call_each_other() -> None:
    class Mine(pb.Referenceable):
        def remote_double(self, number: int) -> int:
            return 2 * number

    class Asking(pb.Root):
        async def remote_ask(self, whom: pb.RemoteReference) -> Any:
            return await whom.call("double", 21)

    async with pair(Asking()) as joined:
        assert await joined.root.call("ask", Mine()) == 42
        assert joined.client.dialect == joined.served.dialect is not None


@on_each_loop
async def test_references_are_released_as_over_a_network() -> None:
    async with pair(Things()) as joined:
        thing = await joined.root.call("thing")
        assert len(joined.served.broker.books.exports) == 1
        del thing
        gc.collect()
        await joined.root.call("echo")
        assert len(joined.served.broker.books.exports) == 0


@on_each_loop
async def test_all_is_closed_at_the_end_and_calls_under_way_fail() -> None:
    gate = Gate()
    async with pair(gate) as joined:
        call = joined.root.call("wait")
        await gate.entered.get()
    assert joined.client.is_closed
    assert joined.served.is_closed
    assert isinstance(await outcome(call), pb.PBConnectionLost)
    assert gate.cancelled.qsize() == 1


@pytest.mark.parametrize("end", ["client", "served"])
@on_each_loop
async def test_one_end_that_is_cut_off_is_noticed_by_the_other(end: str) -> None:
    async with pair(Gate()) as joined:
        getattr(joined, end).abort("for the test", level=logging.DEBUG)
        await joined.client.wait_closed()
        await joined.served.wait_closed()


@on_each_loop
async def test_what_is_large_arrives_and_nobody_holds_more_of_it_than_allowed() -> None:
    async with pair(Gate()) as joined:
        large = bytes(range(256)) * 2_000
        calls = [joined.root.call("echo", large) for _ in range(3)]
        assert [await call for call in calls] == [large] * 3
        assert await joined.root.call("echo", 1) == 1


@on_each_loop
async def test_options_are_those_of_serve_and_connect() -> None:
    async with pair(Gate(), limits=pb.Limits(running_calls=3), client={"limits": pb.Limits(running_calls=4)}) as joined:
        assert joined.served.usage["running_calls"].limit == 3
        assert joined.client.usage["running_calls"].limit == 4


@over("pellucid")
@on_each_loop
async def test_ends_without_a_common_dialect_are_not_joined() -> None:
    with pytest.raises(pb.NoCommonDialect):
        async with pair(Gate(), dialects=["pb"], client={"dialects": ["none"]}):
            raise AssertionError("they speak none")


@on_each_loop
async def test_a_client_can_log_in() -> None:
    async with pair(portal(Hall())) as joined:
        avatar = await joined.client.login(ALICE)
        assert await avatar.call("name") == "alice"


@on_each_loop
async def test_pairs_have_names_of_their_own() -> None:
    async with pair(Gate()) as one, pair(Gate()) as two:
        names = {each.peer for joined in (one, two) for each in (joined.client, joined.served)}
        assert len(names) == 4
        assert all(name.startswith("in-memory:") for name in names)


class Ends(asyncio.Protocol):
    """Notes what its transport tells it."""

    transport: InMemory

    def __init__(self) -> None:
        self.told: list[Any] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, InMemory)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.told.append(data)

    def eof_received(self) -> None:
        self.told.append("eof")

    def connection_lost(self, exc: Exception | None) -> None:
        self.told.append(("lost", exc))

    def pause_writing(self) -> None:
        self.told.append("pause")

    def resume_writing(self) -> None:
        self.told.append("resume")


@over("pellucid")
@on_each_loop
async def test_bytes_arrive_in_order_and_before_the_end() -> None:
    one, two = Ends(), Ends()
    join(one, two)
    one.transport.write(b"a")
    one.transport.write(bytearray(b"b"))
    one.transport.close()
    one.transport.write(b"too late")
    assert two.told == []  # in this turn of the loop
    await turns()
    assert two.told == [b"a", b"b", "eof", ("lost", None)]
    assert one.told == [("lost", None)]


@over("pellucid")
@on_each_loop
async def test_half_an_end_leaves_the_other_half_open() -> None:
    one, two = Ends(), Ends()
    two.eof_received = lambda: True  # type: ignore[method-assign, assignment]
    join(one, two)
    one.transport.write_eof()
    two.transport.write(b"still here")
    await turns()
    assert one.told == [b"still here"]
    assert not two.transport.is_closing()
    two.transport.close()
    await turns()
    assert one.told[1:] == ["eof", ("lost", None)]


@over("pellucid")
@on_each_loop
async def test_a_writer_is_told_when_it_has_written_enough_and_when_there_is_room() -> None:
    one, two = Ends(), Ends()
    join(one, two)
    one.transport.set_write_buffer_limits(high=10)
    one.transport.write(bytes(10))
    assert one.told == []
    one.transport.write(bytes(1))
    assert one.told == ["pause"]
    assert one.transport.get_write_buffer_size() == 11
    await turns()
    assert one.told == ["pause", "resume"]
    assert one.transport.get_write_buffer_size() == 0
