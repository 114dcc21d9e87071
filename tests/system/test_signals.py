"""Servers that are told to end: what runs is answered, and who tells them twice is obeyed at once."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

import pellucid as pb
from pellucid.errors import CallCancelled, ConnectFailed, PBConnectionLost
from tests.system.programs import PEERS, Running, Start
from tests.unit.asyncio.door import outcome, run

SERVER = PEERS / "slow_server.py"
PATIENT, QUICK = 60, 0.05
"""Seconds that a server waits for methods that run."""

SIGTERM_CODE = 128 + signal.SIGTERM

each_signal = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)


async def until_it_listens_no_more(url: str) -> None:
    """Return once the server there has begun to close."""
    # Linux may lose a handshake that meets the closing of the listening socket, and tells the client nothing.
    hasty = pb.Limits(connect_seconds=1)
    while not isinstance(connection := await outcome(pb.connect(url, limits=hasty)), ConnectFailed):
        await connection.close()


def closing(server: Running, number: signal.Signals, then: Callable[[], object]) -> object:
    """What a call comes to that runs when the signal arrives; `then` is done while the server closes."""
    (url,) = server.urls()

    async def call() -> object:
        async with pb.connect(url) as connection:
            waiting = connection.root.call("wait")
            while server.line() != "runs":
                pass
            server.process.send_signal(number)
            await until_it_listens_no_more(url)
            then()
            return await outcome(waiting)

    return run(call())


@each_signal
def test_a_method_that_ends_in_time_is_answered(start: Start, number: signal.Signals) -> None:
    server = start(SERVER, PATIENT, "ends")
    assert closing(server, number, lambda: None) == "in time"
    ended = server.wait()
    assert (ended.out.splitlines()[:2], ended.err) == (["has ended", "closed"], "")
    assert ended.code == (SIGTERM_CODE if number == signal.SIGTERM else 0)


@each_signal
def test_a_method_that_takes_too_long_is_cancelled_and_the_server_closes(start: Start, number: signal.Signals) -> None:
    server = start(SERVER, QUICK, "goes_on")
    assert isinstance(closing(server, number, lambda: None), PBConnectionLost)
    ended = server.wait()
    said = ["was cancelled", "closed", *["interrupted"] * (number == signal.SIGINT)]
    assert (ended.out.splitlines(), ended.err) == (said, "")
    assert ended.code == (SIGTERM_CODE if number == signal.SIGTERM else 0)


@each_signal
def test_a_second_signal_ends_a_server_that_waits_for_its_methods(start: Start, number: signal.Signals) -> None:
    server = start(SERVER, PATIENT, "goes_on")
    answer = closing(server, number, lambda: server.process.send_signal(number))
    assert isinstance(answer, PBConnectionLost | CallCancelled)
    ended = server.wait()
    if number == signal.SIGTERM:
        assert (ended.code, ended.out) == (-signal.SIGTERM, "")
    else:
        assert (ended.code, ended.out.splitlines()[-1]) == (0, "interrupted")
