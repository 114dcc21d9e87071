"""Statements of Python that are run one after the other, with `await` wherever one likes."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

import pytest

from pellucid.cli.statements import Statements, error_text
from tests.unit.asyncio.door import on_each_loop


class Told:
    """Statements, and what they have shown."""

    def __init__(self, **names: Any) -> None:
        self.shown: list[Any] = []
        self.statements = Statements(names, self.shown.append)

    async def run(self, *lines: str) -> None:
        for line in lines:
            if (code := self.statements.add(line)) is not None:
                await self.statements.run(code)


async def double(number: int) -> int:
    await asyncio.sleep(0)
    return number * 2


@on_each_loop
async def test_results_are_shown_and_the_last_is_at_hand() -> None:
    told = Told(double=double)
    await told.run("1 + 1", "await double(_)", "x = await double(_)", "None", "_ + x")
    assert told.shown == [2, 4, 12]


@on_each_loop
async def test_a_block_goes_on_until_an_empty_line() -> None:
    told = Told(double=double)
    await told.run("async def four_times(x):", "    return await double(await double(x))")
    assert told.statements.goes_on
    await told.run("")
    assert not told.statements.goes_on
    await told.run("await four_times(1)", "for x in range(2):", "    await double(x)", "")
    assert told.shown == [4, 0, 2]


@on_each_loop
async def test_what_is_no_python_is_refused_and_forgotten() -> None:
    told = Told()
    with pytest.raises(SyntaxError):
        await told.run("what is this?")
    await told.run("1")
    assert told.shown == [1]


@on_each_loop
async def test_an_error_is_told_with_the_lines_of_the_statement_alone() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        await Told().run("await __import__('asyncio').sleep(1 / 0)")
    assert error_text(caught.value) == (
        'Traceback (most recent call last):\n  File "<shell>", line 1, in <module>\nZeroDivisionError: division by zero'
    )


@on_each_loop
async def test_an_interrupt_cancels_what_is_awaited() -> None:
    cancelled: list[bool] = []

    async def wait() -> None:
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGINT)
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    before = signal.getsignal(signal.SIGINT)
    told = Told(wait=wait)
    with pytest.raises(KeyboardInterrupt):
        await told.run("await wait()")
    assert cancelled == [True]
    assert signal.getsignal(signal.SIGINT) is before
    await told.run("1")
    assert told.shown == [1]


@on_each_loop
async def test_an_interrupt_ends_what_awaits_nothing() -> None:
    told = Told(interrupt=lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        await told.run("while True: interrupt()", "")


@on_each_loop
async def test_a_second_interrupt_ends_what_does_not_listen_to_the_first() -> None:
    told = Told(interrupt=lambda: os.kill(os.getpid(), signal.SIGINT), double=double)
    with pytest.raises(KeyboardInterrupt):
        await told.run("while True: interrupt(); interrupt(); await double(1)", "")


@on_each_loop
async def test_a_task_that_was_cancelled_ends_the_statement_and_not_the_shell() -> None:
    async def give_up() -> None:
        raise asyncio.CancelledError

    with pytest.raises(RuntimeError, match="cancelled"):
        await Told(give_up=give_up).run("await give_up()")


@on_each_loop
async def test_a_shell_that_is_cancelled_cancels_what_it_runs() -> None:
    entered, cancelled = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        entered.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            cancelled.set()

    shell = asyncio.ensure_future(Told(wait=wait).run("await wait()"))
    await entered.wait()
    shell.cancel()
    with pytest.raises(asyncio.CancelledError):
        await shell
    await cancelled.wait()


@on_each_loop
async def test_to_exit_leaves_the_loop_alone() -> None:
    with pytest.raises(SystemExit):
        await Told().run("raise SystemExit(3)")
