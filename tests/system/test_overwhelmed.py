"""A server that is asked for more than it has: by clients that never read, and when no descriptor is left."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

import pellucid as pb
from tests.system.mortals import LITTLE, Life, Nursery
from tests.unit.asyncio.door import LOOPS, RawPeer, call_message, encoded, outcome, run
from tests.unit.asyncio.raw import NativePeer, call_of, until

pytestmark = [
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells what a process has"),
    pytest.mark.parametrize("loop", LOOPS),
]

CROWD = 50
"""Clients that ask and never read."""

MB = 1_000_000


def peak_memory(pid: int) -> int:
    """The most bytes of memory that a process has had so far."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("Linux no longer tells")


@pytest.mark.parametrize(("dialect", "size"), [("pellucid", 50_000), ("pellucid", 500_000), ("none", 500_000)])
def test_fifty_clients_that_never_read_cost_bounded_memory_and_others_are_served(
    nursery: Nursery, dialect: str, size: int, loop: str
) -> None:
    asked = 40 * MB // size  # each; two gigabytes together

    async def ask_and_never_read(url: str, stack: AsyncExitStack) -> None:
        if dialect == "pellucid":
            native = await stack.enter_async_context(NativePeer.connect(url, receive_buffer=4096))
            native.say(*(call_of(number, "page", size) for number in range(1, asked + 1)))
        else:
            raw = await RawPeer.connect(url, receive_buffer=4096)
            stack.push_async_callback(raw.close)
            calls = (call_message(number, b"page", size) for number in range(asked))
            raw.send_bytes(b"".join(map(encoded, calls)))

    async def overwhelm() -> None:
        url = nursery.bear_server(Life(dialect, loop, part="give_pages"))
        async with AsyncExitStack() as stack:
            friend = await stack.enter_async_context(pb.connect(url))
            pid = await friend.root.call("pid")
            before = peak_memory(pid)
            for _ in range(CROWD):
                await ask_and_never_read(url, stack)
            pages, given = 0, 0
            while given < CROWD or given != pages:  # until no more are given
                pages, given = given, await friend.root.call("pages")
            each = (peak_memory(pid) - before) / CROWD
            assert each < 2 * LITTLE.queued_bytes + 2 * LITTLE.buffer_bytes + LITTLE.kept_bytes
            assert await friend.root.call("echo", "friend") == "friend"
            async with pb.connect(url) as newcomer:
                assert await newcomer.root.call("echo", "newcomer") == "newcomer"

    run(overwhelm(), LOOPS[loop])


def test_a_server_without_descriptors_serves_whom_it_has_says_so_once_and_recovers(
    nursery: Nursery, tmp_path: Path, loop: str
) -> None:
    notebook = tmp_path / "log"

    def logged(words: str) -> int:
        return sum(words in line for line in notebook.read_text().splitlines())

    async def exhaust() -> None:
        url = nursery.bear_server(Life("pellucid", loop, notebook=str(notebook), part="run_short"))
        async with pb.connect(url) as friend:
            await friend.root.call("exhaust")
            connecting = [asyncio.ensure_future(outcome(pb.connect(url))) for _ in range(3)]
            await until(lambda: logged("can't accept"))
            for number in range(100):
                assert await friend.root.call("echo", number) == number
            await friend.root.call("free")
            for newcomer in await asyncio.gather(*connecting):
                assert isinstance(newcomer, pb.Connection), newcomer
                assert await newcomer.root.call("echo", "newcomer") == "newcomer"
                await newcomer.close()
        assert notebook.read_text().splitlines() == [
            f"listening at {url}",
            f"can't accept connections at {url}, and tries again every 1 s: Too many open files",
            f"accepts connections at {url} again",
        ]

    run(exhaust(), LOOPS[loop])
