"""A peer that is stopped, as by SIGSTOP, a debugger or a machine that swaps: its system answers, and it does not."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

import pellucid as pb
from pellucid.errors import DeadlineExceeded, DeadReferenceError, Overloaded, PBConnectionLost
from tests.system.conversation import tables
from tests.system.mortals import LIMITS, QUEUED, SILENCE, Life, Nursery
from tests.unit.asyncio.door import HERE, LOOPS, Gate, crowd, outcome, run
from tests.unit.asyncio.raw import until

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only Linux tells who has stopped")

each_loop = pytest.mark.parametrize("loop", LOOPS)
each_dialect = pytest.mark.parametrize("dialect", ["pellucid", "pb"])

GONE = f"no sign of life within Limits.silence_seconds={SILENCE}"


@contextmanager
def going_on(pid: int) -> Generator[None]:
    """At the end at the latest that process goes on."""
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def until_stopped(pid: int) -> None:
    """Return once that process has stopped."""
    stat = Path(f"/proc/{pid}/stat")
    await until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T")


def pour(connection: pb.Connection, value: bytes) -> None:
    """Make calls without awaiting any, ten times as many as may wait."""
    for _ in range(10 * QUEUED // len(value)):
        connection.root.call_with(one_way=True).call("echo", value).notice()


def read(notebook: Path) -> str:
    """What was noted there so far."""
    return notebook.read_text() if notebook.exists() else ""


@each_loop
def test_a_stopped_server_is_given_up_in_time_and_notices_when_it_goes_on(
    nursery: Nursery, tmp_path: Path, loop: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "pellucid")
    notebook = tmp_path / "notebook"

    async def call() -> None:
        url = nursery.bear_server(Life("pellucid", loop, notebook=str(notebook), part="be_doomed"))
        notices: list[str] = []
        connection = await pb.connect(url, limits=LIMITS)
        connection.notify_on_disconnect(lambda: notices.append("lost"))
        pid = await connection.root.call("pid")
        with going_on(pid):
            stopping = connection.root.call("stop")
            await until_stopped(pid)
            error = await outcome(stopping)
            assert isinstance(error, PBConnectionLost)
            assert (error.sent, error.reason) == (True, GONE)
            await connection.wait_closed()
            with pytest.raises(DeadReferenceError):
                connection.root.call("echo")
            assert notices == ["lost"]
            assert tables(connection) == [0] * 5
            assert not read(notebook)
        await until(lambda: read(notebook) == "lost\n")
        assert [record.getMessage() for record in caplog.records] == [f"connection with {url[5:]} aborted: {GONE}"]
        async with pb.connect(url) as again:
            assert await again.root.call("echo", 1) == 1

    run(call(), LOOPS[loop])


@each_loop
def test_a_stopped_client_is_given_up_in_time_and_notices_when_it_goes_on(
    nursery: Nursery, tmp_path: Path, loop: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "pellucid")
    notebook = tmp_path / "notebook"

    async def serve() -> None:
        gate = Gate()
        async with pb.serve(gate, HERE, limits=LIMITS) as server:
            life = Life("pellucid", loop, notebook=str(notebook), url=server.urls[0], part="stop_and_go_on")
            dying = asyncio.ensure_future(nursery.until_client_dies(life))
            pid = await gate.entered.get()
            with going_on(pid):
                await until_stopped(pid)
                assert await gate.cancelled.get() == pid
                await until(lambda: not server.connections)
                assert not read(notebook)
            await dying
            assert read(notebook) == "lost\n"
            assert [record.getMessage().partition(" aborted: ")[2] for record in caplog.records] == [GONE]

    run(serve(), LOOPS[loop])


def test_over_pb_a_stopped_peer_is_there_for_tcp_and_goes_on_where_it_was(nursery: Nursery) -> None:
    async def call() -> None:
        url = nursery.bear_server(Life("pb", "asyncio", part="be_doomed"))
        connection = await pb.connect(url, limits=LIMITS, dialects=["pb"])
        pid = await connection.root.call("pid")
        with going_on(pid):
            stopping = connection.root.call("stop")
            await until_stopped(pid)
            waiting = connection.root.call("echo", "while it was stopped")
            # Its system answers the probes of TCP's keep-alive all the same.
            asked = connection.root.call_with(timeout=1.5 * SILENCE).call("echo")
            assert isinstance(await outcome(asked), DeadlineExceeded)
            assert not connection.is_closed
        assert await waiting == "while it was stopped"
        assert await stopping is None
        await connection.close()

    run(call())


@each_loop
@each_dialect
def test_what_waits_for_a_stopped_peer_is_bounded_and_arrives_when_it_goes_on(
    nursery: Nursery, dialect: str, loop: str
) -> None:
    async def call() -> None:
        url = nursery.bear_server(Life(dialect, loop, part="be_doomed"))
        connection = await pb.connect(url, limits=pb.Limits(queued_bytes=QUEUED), dialects=[dialect])
        pid = await connection.root.call("pid")
        with going_on(pid):
            stopping = connection.root.call("stop")
            await until_stopped(pid)
            small = bytes(10_000)  # not so large that it would travel beside its message
            one_way = await crowd(connection, "echo", small)
            assert not one_way.done
            with pytest.raises(Overloaded, match=f"queued_bytes={QUEUED}"):
                pour(connection, small)
            used, limit = connection.usage["queued_bytes"]
            assert 2 * limit < used < 2 * limit + 2 * len(small)
        await stopping
        await one_way
        assert await connection.root.call("echo", 1) == 1
        assert connection.usage["queued_bytes"].used == 0
        await connection.close()

    run(call(), LOOPS[loop])
