"""Logins where too many have failed: who still gets in, and that nobody can tell who that is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

import pellucid as pb
from pellucid.auth.credentials import Password
from pellucid.testing import World
from tests.dialects import each_dialect
from tests.unit.asyncio.door import outcome
from tests.unit.asyncio.hall import Challenging, Hall, portal

pytestmark = each_dialect

ALICE, NOT_ALICE, NOT_BOB = Password("alice", "secret"), Password("alice", "wrong"), Password("bob", "wrong")


class Directory(Challenging):
    """Answers after so many seconds, and may break."""

    def __init__(self, seconds: float, error: Exception | None = None) -> None:
        super().__init__({"alice": "secret"})
        self.seconds = 0.0
        self.error: Exception | None = None
        self.then = seconds, error

    async def check(self, credentials: Any) -> Any:
        await asyncio.sleep(self.seconds)
        if self.error is not None:
            raise self.error
        return super().check(credentials)

    def change(self) -> None:
        self.seconds, self.error = self.then


Scenario = Callable[[pb.Connection, World], Any]


def where_others_failed(directory: Directory, scenario: Scenario) -> Any:
    """Run `scenario` at a place where alice has logged in once, and others have failed too often."""

    async def serve() -> None:
        async with pb.serve(guarded, "pb://server:7") as server:
            await server.serve_forever()

    async def run(world: World) -> Any:
        world.process("server", serve)
        await asyncio.sleep(1)  # of simulated time
        async with pb.connect("pb://server:7") as connection:
            await connection.login(ALICE, allow_md5=True)
            for _ in range(2):
                assert isinstance(await outcome(connection.login(NOT_BOB, allow_md5=True)), pb.UnauthorizedLogin)
            directory.change()
            return await scenario(connection, world)

    throttle = pb.LoginThrottle(by_peer=2, peer_seconds=600, refused_seconds=3.0)
    guarded = portal(Hall(), directory, throttle=throttle, allow_md5=True)
    return World(1).run(run)


async def timed(connection: pb.Connection, world: World, *, credentials: Password) -> tuple[str, float]:
    began = world.now
    return repr(await outcome(connection.login(credentials, allow_md5=True))), world.now - began


@pytest.mark.parametrize(
    ("seconds", "error"), [(0.0, None), (2.0, None), (100.0, None), (0.5, ValueError("the directory broke"))]
)
def test_failures_are_alike_in_what_they_say_and_in_the_time_they_take(seconds: float, error: Exception | None) -> None:
    def failed(credentials: Password) -> tuple[str, float]:
        told, after = where_others_failed(Directory(seconds, error), partial(timed, credentials=credentials))
        return str(told), float(after)

    told, after = failed(NOT_ALICE)
    assert told == "TooManyLogins('too many logins have failed; try again in 600 s')"
    assert 3.0 < after < 3.1
    same, as_late = failed(NOT_BOB)
    assert same == told
    assert as_late == pytest.approx(after, abs=1e-4)  # each step of a loop takes a microsecond there


def test_who_was_there_before_gets_in_without_a_delay() -> None:
    async def scenario(connection: pb.Connection, world: World) -> float:
        began = world.now
        assert await (await connection.login(ALICE, allow_md5=True)).call("name") == "alice"
        return world.now - began

    assert where_others_failed(Directory(0.0), scenario) < 0.5


def test_a_fault_of_the_checker_is_shown_to_the_log_alone(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(connection: pb.Connection, world: World) -> None:
        assert "broke" not in repr(await outcome(connection.login(NOT_ALICE, allow_md5=True)))

    caplog.set_level(logging.WARNING, "pellucid")
    where_others_failed(Directory(0.0, ValueError("the directory broke")), scenario)
    assert "the directory broke" in caplog.text
    assert caplog.records[-1].__dict__["event"] == "login.refused"
