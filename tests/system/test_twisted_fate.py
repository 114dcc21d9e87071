"""The Twisted door among peers that die or never read: its reactor in a process of its own."""

from __future__ import annotations

import asyncio

import pytest

import pellucid as pb
from tests.system.mortals import Life, Nursery
from tests.system.programs import PEERS, Running, Start
from tests.unit.asyncio.door import run
from tests.unit.asyncio.raw import NativePeer, call_of

PROGRAM = PEERS / "twisted_fate.py"

each_dialect = pytest.mark.parametrize("dialect", ["pellucid", "pb"])


@each_dialect
def test_calls_of_a_server_that_is_killed_fail_and_notices_are_given_once(
    nursery: Nursery, start: Start, dialect: str
) -> None:
    url = nursery.bear_server(Life(dialect, "asyncio", part="be_doomed"))
    ended = start(PROGRAM, "call", url.rpartition(":")[2], dialect).wait()
    chained = dialect == "pellucid"  # over pb it waits here for the first
    assert ended.out.splitlines() == [
        *("lost True", "lost True", f"lost {chained}"),
        *("dead", "notice", "the connection's notice"),
    ]
    assert (ended.code, ended.err) == (0, "")


@each_dialect
@pytest.mark.parametrize("part", ["send_much", "receive_much"])
def test_a_client_that_is_killed_in_the_middle_of_much_disturbs_nobody(
    nursery: Nursery, start: Start, part: str, dialect: str
) -> None:
    (url,) = start(PROGRAM, "serve").urls()

    async def use() -> None:
        async with pb.connect(url) as friend:
            await nursery.until_client_dies(Life(dialect, "asyncio", url=url, part=part))
            assert await friend.root.call("echo", "friend") == "friend"

    run(use())


def test_a_peer_that_never_reads_is_given_up_in_time_in_the_native_dialect(start: Start) -> None:
    server: Running = start(PROGRAM, "serve")
    (url,) = server.urls()

    async def use() -> None:
        async with pb.connect(url) as friend, NativePeer.connect(url, receive_buffer=4096) as deaf:
            deaf.say(*(call_of(number, "page", 50_000) for number in range(1, 401)))
            gone = asyncio.ensure_future(asyncio.to_thread(until_told, server))
            while not gone.done():
                assert await friend.root.call("echo", "friend") == "friend"
            assert await friend.root.call("echo", "still") == "still"

    run(use())


def until_told(server: Running) -> None:
    """Return once a server has logged that it gives up a silent peer."""
    while "no sign of life within Limits.silence_seconds=1" not in (line := server.line(err=True)):
        assert line, "it has ended"
