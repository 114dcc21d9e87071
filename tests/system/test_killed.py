"""A peer that is killed at any moment, the other side in this process: every call ends, and everything exactly once."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from pathlib import Path

import pytest

import pellucid as pb
from pellucid.errors import ConnectFailed, DeadReferenceError, PBConnectionLost
from tests.system.conversation import REGISTRY, Caller, Realm, each_call_ended_as_documented, portal, tables
from tests.system.mortals import Life, Nursery
from tests.unit.asyncio.door import HERE, LOOPS, SECONDS, outcome, run, turns

DIALECTS = ("pellucid", "pb")
DEATHS = int(os.environ.get("DEATHS", "20"))
"""How many moments of one life are tried, evenly spread: some 1,500 are all there are."""

each_loop = pytest.mark.parametrize("loop", LOOPS)
each_dialect = pytest.mark.parametrize("dialect", DIALECTS)


def deaths(entered: int) -> range:
    """Moments of a life in which so many functions are entered."""
    return range(1, entered, max(1, entered // DEATHS))


@each_loop
@each_dialect
def test_calls_of_a_server_that_is_killed_at_any_moment_end_as_documented(
    nursery: Nursery, tmp_path: Path, dialect: str, loop: str
) -> None:
    async def outlive(dies_at: int) -> int | None:
        ran, own = tmp_path / f"ran {dies_at}", Counter[str]()
        url = nursery.bear_server(Life(dialect, loop, dies_at, str(ran)))
        caller = Caller(lambda line: own.update([line]))
        counted = await outcome(caller.converse(url, dialect))
        noted = ran.read_text().splitlines() if ran.exists() else []
        if caller.connection is None:
            assert isinstance(counted, ConnectFailed)
            assert not noted
            return None
        if isinstance(counted, int):  # lives differ a little in how many functions are entered
            assert counted < dies_at or not dies_at
            await caller.connection.close()
        else:
            assert isinstance(counted, PBConnectionLost | DeadReferenceError), repr(counted)
        await caller.connection.wait_closed()
        await each_call_ended_as_documented(caller, noted)
        assert own["notice"] == 1
        assert tables(caller.connection) == [0] * 5
        return counted if isinstance(counted, int) else None

    async def live_and_die() -> None:
        entered = await outlive(0)
        assert entered is not None
        for dies_at in deaths(entered):
            await outlive(dies_at)

    run(live_and_die(), LOOPS[loop])


@each_loop
@each_dialect
def test_a_client_that_is_killed_at_any_moment_leaves_nothing_and_disturbs_nobody(
    nursery: Nursery, tmp_path: Path, dialect: str, loop: str
) -> None:
    async def live_and_die() -> None:
        own = Counter[str]()
        realm = Realm(lambda line: own.update([line]))
        async with pb.serve(portal(realm), HERE, registry=REGISTRY) as server:
            (url,) = server.urls
            friend = Caller(lambda line: None)
            await friend.converse(url, dialect)
            friends = set(server.connections)

            async def outlive(dies_at: int) -> Path:
                own.clear()
                seen: set[pb.Connection] = set()
                notebook = tmp_path / f"noted {dies_at}"
                life = asyncio.create_task(nursery.until_client_dies(Life(dialect, loop, dies_at, str(notebook), url)))
                while not (life.done() and server.connections == friends):
                    seen |= server.connections - friends
                    await turns(1)
                await life
                assert len(seen) <= 1
                for connection in seen:
                    await connection.wait_closed()
                    assert tables(connection) == [0] * 5
                assert own["logout"] == own["login"] <= 1
                assert own["unobserved"] == own["observed"] <= 1
                return notebook

            lived = (await outlive(0)).read_text().splitlines()
            assert own["without end"] == 1
            for dies_at in deaths(int(lived[-1].removeprefix("counted "))):
                await outlive(dies_at)
            assert not friend.calls["without end"].done
            async with asyncio.timeout(SECONDS):
                assert friend.avatar is not None
                assert await friend.avatar.call("echo", "friend", 7) == 7
            friend.calls["without end"].notice()
            assert friend.connection is not None
            await friend.connection.close()

    run(live_and_die(), LOOPS[loop])
