from __future__ import annotations

import asyncio
import sys

import pytest

import pellucid as pb
from tests.unit.asyncio.door import HERE, LOOPS, Gate


async def a_round_trip() -> str:
    async with pb.serve(Gate(), HERE) as server, pb.connect(server.urls[0]) as connection:
        answer: str = await connection.root.call("echo", "hello")
        return answer


async def kind_of_loop() -> str:
    return type(asyncio.get_running_loop()).__module__.partition(".")[0]


async def fail() -> None:
    raise ZeroDivisionError


def test_running_a_program_gives_its_result() -> None:
    assert pb.run(a_round_trip()) == "hello"


def test_what_a_program_raises_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        pb.run(fail())


@pytest.mark.skipif("uvloop" not in LOOPS, reason="uvloop is not installed")
def test_a_program_runs_on_uvloop_where_that_is_installed() -> None:
    assert pb.run(kind_of_loop()) == "uvloop"


def test_a_program_runs_on_asyncio_where_uvloop_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert pb.run(kind_of_loop()) == "asyncio"
    assert pb.run(a_round_trip()) == "hello"


def test_every_run_has_a_loop_of_its_own() -> None:
    async def loop() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    first, second = pb.run(loop()), pb.run(loop())
    assert first is not second
    assert first.is_closed()
