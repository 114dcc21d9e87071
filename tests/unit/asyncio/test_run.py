from __future__ import annotations

import asyncio
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

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


@pytest.mark.parametrize("told", [signal.default_int_handler, signal.SIG_IGN], ids=["handled", "ignored"])
def test_a_programs_own_handler_of_sigterm_is_left_alone(told: Any) -> None:
    async def handler() -> Any:
        return signal.getsignal(signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, told)
    try:
        assert pb.run(handler()) is told
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_program_that_is_told_to_end_is_cancelled_and_ends_with_the_code_of_that() -> None:
    cancelled: list[bool] = []

    async def wait() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.append(True)

    with pytest.raises(SystemExit) as ended:
        pb.run(wait())
    assert ended.value.code == 143
    assert cancelled
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_program_that_was_told_to_end_and_has_a_result_gives_that() -> None:
    async def wait() -> str:
        os.kill(os.getpid(), signal.SIGTERM)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass
        return "all done"

    assert pb.run(wait()) == "all done"


def test_a_program_that_cancels_itself_is_cancelled() -> None:
    async def give_up() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        pb.run(give_up())


def test_a_program_may_run_in_another_thread() -> None:
    with ThreadPoolExecutor() as pool:
        assert pool.submit(lambda: pb.run(a_round_trip())).result() == "hello"


def test_what_is_no_coroutine_is_not_run() -> None:
    main: Any = a_round_trip
    with pytest.raises(TypeError, match=r"as in run\(main\(\)\), and <function a_round_trip at .*> is none"):
        pb.run(main)


def test_a_program_does_not_run_inside_another_one() -> None:
    async def outer() -> None:
        with pytest.raises(RuntimeError, match="runs here already, as it does in a notebook: await what"):
            pb.run(a_round_trip())

    pb.run(outer())
