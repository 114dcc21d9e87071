"""A byte on the wire can stand for dozens in memory: of what is large, limits count these."""

from __future__ import annotations

import asyncio
from typing import Any

import pellucid as pb
from pellucid.errors import TooManyCalls
from tests.dialects import each_dialect, over
from tests.unit.asyncio.door import Gate, on_each_loop, outcome, pair, turns

pytestmark = each_dialect

MANY: list[Any] = [[] for _ in range(80_000)]
"""Some 80 kB on the wire, 5 MB in memory."""

COUNTED = 1_000_000
"""Bytes that this counts at least."""


@on_each_loop
async def test_large_calls_under_way_count_as_what_they_take_in_memory() -> None:
    gate = Gate()
    async with pair(gate) as both:
        calls = [both.client.root.call("wait", []), both.client.root.call("wait", MANY)]
        for _ in calls:
            await gate.entered.get()
        assert both.served.usage["running_bytes"].used > COUNTED
        gate.opened.set()
        for call in calls:
            await call
        assert both.served.usage["running_bytes"].used == 0


@on_each_loop
async def test_beyond_running_bytes_a_call_waits_though_it_is_small_on_the_wire() -> None:
    gate = Gate()
    async with pair(gate, limits=pb.Limits(running_bytes=COUNTED)) as both:
        calls = [both.client.root.call("wait", value) for value in (MANY, 1)]
        echo = asyncio.ensure_future(both.client.root.call("echo"))
        await gate.entered.get()
        await turns()
        assert gate.entered.empty()
        assert not echo.done()
        gate.opened.set()
        assert len(await calls[0]) == len(MANY)
        assert await calls[1] == 1
        await echo


@on_each_loop
async def test_large_calls_that_wait_count_as_what_they_take_in_memory() -> None:
    gate = Gate()
    async with pair(gate, limits=pb.Limits(running_calls=1, waiting_bytes=7 * COUNTED)) as both:
        first, *waiting = [both.client.root.call("wait", value) for value in (1, *[MANY] * 6)]
        error = await outcome(waiting.pop())
        assert isinstance(error, TooManyCalls)
        assert "waiting_bytes" in str(error)
        assert both.served.usage["waiting_bytes"].used > COUNTED
        gate.opened.set()
        assert await first == 1
        for call in waiting:
            await outcome(call)
        assert both.served.usage["waiting_bytes"].used == 0


@over("pellucid")
@on_each_loop
async def test_so_do_batches() -> None:
    gate = Gate()
    async with pair(gate) as both:
        batch = pb.gather(*(both.client.root.prepare("wait", MANY[:20_000]) for _ in range(4)))
        for _ in range(4):
            await gate.entered.get()
        assert both.served.usage["running_bytes"].used > COUNTED
        gate.opened.set()
        await batch
        assert both.served.usage["running_bytes"].used == 0


@over("pellucid")
@on_each_loop
async def test_texts_and_buffers_count_as_they_are() -> None:
    gate = Gate()
    async with pair(gate) as both:
        call = both.client.root.call("wait", ["x" * 100_000, bytes(200_000)])
        await gate.entered.get()
        assert 300_000 <= both.served.usage["running_bytes"].used <= 310_000
        gate.opened.set()
        await call
