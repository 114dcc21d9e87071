"""What a server grants whoever has not logged in, and how many it has at all."""

from __future__ import annotations

import asyncio
import logging
import re
from dataclasses import replace
from typing import Any

import pytest

import pellucid as pb
from pellucid.errors import ConnectFailed
from tests.dialects import each_dialect, over
from tests.unit.asyncio.door import HERE, Gate, on_each_loop, outcome, pair, turns

pytestmark = each_dialect


class Account(pb.Avatar):
    def perspective_length(self, value: bytes) -> int:
        return len(value)

    async def perspective_wait(self, opened: Any) -> None:
        await opened.call("wait")


class Realm:
    def request_avatar(self, avatar_id: str, mind: Any) -> pb.Avatar:
        if avatar_id == "nobody":
            raise pb.UnauthorizedLogin("nobody")
        return Account()


PORTAL = pb.Portal(Realm(), [pb.AllowAnonymous()])
LIMITS = pb.Limits(message_bytes=300_000, inline_bytes=300_000)
TOO_LARGE = bytes(100_000)


@on_each_loop
async def test_a_stranger_that_sends_more_than_a_login_takes_is_cut_off_and_nobody_else_is(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with pair(PORTAL, limits=LIMITS) as both, pb.connect(*both.server.urls) as friend:
        avatar = await friend.login(pb.credentials.Anonymous())
        assert isinstance(await outcome(both.client.root.call("login", TOO_LARGE, TOO_LARGE)), pb.PBConnectionLost)
        (reason,) = [each.getMessage() for each in caplog.records if getattr(each, "event", "") == "connection.aborted"]
        assert re.search(r"over Limits\.(buffer_bytes=65536|string_bytes=16384): 100000 asked, before a login$", reason)
        assert await avatar.call("length", TOO_LARGE) == len(TOO_LARGE)


@on_each_loop
async def test_whoever_is_granted_a_login_has_the_whole_budget(caplog: pytest.LogCaptureFixture) -> None:
    async with pair(PORTAL, limits=LIMITS) as both:
        stranger = {name: usage.limit for name, usage in both.served.usage.items()}
        avatar = await both.client.login(pb.credentials.Anonymous())
        assert await avatar.call("length", TOO_LARGE) == len(TOO_LARGE)
        known = {name: usage.limit for name, usage in both.served.usage.items()}
    assert stranger == {name: getattr(LIMITS.before_login(), name) for name in stranger}
    assert known == {name: getattr(LIMITS, name) for name in known}


@on_each_loop
async def test_as_many_calls_run_at_a_time_as_the_limit_says_once_a_login_is_granted() -> None:
    async with pair(PORTAL, limits=pb.Limits(running_calls=50)) as both:
        avatar = await both.client.login(pb.credentials.Anonymous())
        gate = Gate()
        waiting = [avatar.call("wait", gate) for _ in range(50)]
        for _ in waiting:
            await gate.entered.get()
        assert both.served.usage["running_calls"] == (50, 50)
        gate.opened.set()
        await asyncio.gather(*waiting)


@on_each_loop
async def test_a_login_that_is_refused_leaves_a_stranger_a_stranger() -> None:
    portal = pb.Portal(Realm(), [pb.InMemoryPasswords({"nobody": "x"})])
    async with pair(portal) as both:
        for _ in range(3):
            refused = await outcome(both.client.login(pb.credentials.Password("nobody", "x")))
            assert isinstance(refused, pb.UnauthorizedLogin)
        assert both.served.broker.limits == pb.Limits().before_login()


@on_each_loop
async def test_a_server_may_grant_strangers_what_it_likes() -> None:
    most = 200_000
    stranger = replace(
        LIMITS.before_login(), inline_bytes=most, buffer_bytes=most, message_bytes=most, string_bytes=most
    )
    async with pair(PORTAL, limits=LIMITS, limits_before_login=stranger) as both:
        with pytest.raises(pb.NoSuchMethod):
            await both.client.root.call("sign_up", TOO_LARGE)
        assert both.served.broker.limits == stranger


def test_nobody_is_a_stranger_where_nobody_logs_in() -> None:
    with pytest.raises(ValueError, match=r"limits_before_login= are given, but nobody logs in"):
        pb.serve(Gate(), HERE, limits_before_login=pb.Limits())


@on_each_loop
async def test_a_server_has_as_many_connections_as_the_limit_says_and_cuts_off_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with pb.serve(Gate(), HERE, limits=pb.Limits(connections=2)) as server:
        (url,) = server.urls
        async with pb.connect(url) as first, pb.connect(url) as second:
            assert server.usage["connections"] == (2, 2)
            for _ in range(3):
                assert isinstance(await outcome(pb.connect(url)), ConnectFailed)
            assert [await each.root.call("echo", 5) for each in (first, second)] == [5, 5]
            assert server.usage["connections"] == (2, 2)
            full = [record for record in caplog.records if getattr(record, "event", "") == "server.full"]
            assert [record.getMessage() for record in full] == [
                "further connections are cut off: over Limits.connections=2"
            ]
            assert [record.levelno for record in full] == [logging.WARNING]
            await second.close()
            await turns()
            async with pb.connect(url) as third:
                assert await third.root.call("echo", 6) == 6


@over("pb")
@on_each_loop
async def test_without_connections_a_server_shows_that_there_are_none() -> None:
    async with pb.serve(Gate(), HERE, limits=pb.Limits(connections=7)) as server:
        assert server.usage == {"connections": (0, 7)}
