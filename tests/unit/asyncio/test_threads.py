from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import pellucid as pb
from tests.unit.asyncio.door import HERE, SECONDS, Pair, on_each_loop, outcome, pair, turns
from tests.unit.asyncio.raw import until


class Blocking(pb.Root):
    def __init__(self) -> None:
        self.entered = 0
        self.opened = threading.Event()

    @pb.in_thread
    def remote_block(self, data: object) -> None:
        self.entered += 1
        assert self.opened.wait(SECONDS)

    def remote_echo(self, value: str) -> str:
        return value


def used(both: Pair, limit: str) -> float:
    """How much of that limit the client uses."""
    return both.served.usage[limit].used


def have_threads(count: int) -> None:
    """Let the loop have so many threads."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(count))


@on_each_loop
async def test_a_method_that_was_cancelled_counts_as_running_until_its_thread_has_ended() -> None:
    root = Blocking()
    have_threads(2)
    async with pair(root, limits=pb.Limits(running_calls=3, running_bytes=112_000)) as both:
        for _ in range(2):
            call, before = both.client.root.call("block", bytes(4000)), root.entered
            await until(lambda: root.entered > before)  # noqa: B023 - it is asked at once
            call.cancel()
            assert isinstance(await outcome(call), pb.CallCancelled)
        late = both.client.root.call("echo", "late")
        await until(lambda: used(both, "waiting_calls"))
        assert used(both, "running_calls") == 2
        assert 16 * 8_000 < used(both, "running_bytes") < 16 * 8_200
        root.opened.set()
        assert await late == "late"
        await until(lambda: not used(both, "running_calls"))
        assert not used(both, "running_bytes")


@on_each_loop
async def test_a_method_that_waits_for_a_thread_when_it_is_cancelled_never_runs_and_keeps_nothing() -> None:
    root = Blocking()
    have_threads(1)
    async with pair(root) as both:
        first = both.client.root.call("block", 1)
        await until(lambda: root.entered)
        second = both.client.root.call("block", pb.Referenceable())
        await until(lambda: used(both, "running_calls") == 2 and used(both, "references_imported"))
        await both.client.root.call("echo", "it has begun to wait by now")
        second.cancel()
        assert isinstance(await outcome(second), pb.CallCancelled)
        await until(lambda: not used(both, "references_imported"))
        assert used(both, "running_calls") == 2  # the executor keeps what stands for it
        root.opened.set()
        await first
        await until(lambda: not used(both, "running_calls"))
        assert root.entered == 1


@pytest.mark.parametrize("deep", [False, True])
@on_each_loop
async def test_a_method_that_waits_for_a_thread_does_not_begin_once_its_facet_was_revoked(deep: bool) -> None:
    root = Blocking()
    have_threads(1)
    facet = pb.facet(root, deep=deep)
    async with pair(facet) as both:
        first, second = (both.client.root.call("block", number) for number in range(2))
        await until(lambda: root.entered)
        await both.client.root.call("echo", "the second has begun to wait by now")
        facet.revoke()
        root.opened.set()
        await first
        assert isinstance(await outcome(second), pb.Revoked)
        assert root.entered == 1


@on_each_loop
async def test_what_a_method_does_in_threads_once_it_has_begun_is_not_ended_by_revoking_its_facet() -> None:
    class Relaying(Blocking):
        async def remote_relay(self) -> None:
            entered.set()
            await gone_on.wait()
            await self.remote_block(None)

    root, entered, gone_on = Relaying(), asyncio.Event(), asyncio.Event()
    root.opened.set()
    facet = pb.facet(root)
    async with pair(facet) as both:
        relayed = both.client.root.call("relay")
        await entered.wait()
        facet.revoke()
        gone_on.set()
        await relayed
        assert root.entered == 1


@on_each_loop
async def test_a_server_that_closes_waits_for_the_thread_of_a_method_that_was_cancelled() -> None:
    root = Blocking()
    async with pb.serve(root, HERE) as server, pb.connect(*server.urls) as client:
        call = client.root.call("block", 1)
        await until(lambda: root.entered)
        call.cancel()
        await outcome(call)
        await client.root.call("echo", "it knows by now")
        closing = asyncio.create_task(server.close())
        await turns()
        assert not closing.done()
        root.opened.set()
        await closing


@on_each_loop
async def test_the_error_of_a_thread_that_nobody_waits_for_any_more_is_no_matter() -> None:
    class Failing(Blocking):
        @pb.in_thread
        def remote_fail(self) -> None:
            self.entered += 1
            assert self.opened.wait(SECONDS)
            raise RuntimeError("nobody is told")

    root, strange = Failing(), list[object]()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: strange.append(context))
    async with pair(root) as both:
        call = both.client.root.call("fail")
        await until(lambda: root.entered)
        call.cancel()
        await outcome(call)
        root.opened.set()
        await until(lambda: not used(both, "running_calls"))
    assert not strange
