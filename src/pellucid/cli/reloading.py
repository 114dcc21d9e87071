"""`pellucid serve --reload`: a process that starts another one, and starts it anew when a source file has changed."""

from __future__ import annotations

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
from watchfiles import PythonFilter, awatch

__all__ = ["run_again_and_again"]

_END = (signal.SIGINT, signal.SIGTERM)


async def run_again_and_again(arguments: Sequence[str]) -> int:
    """Run `pellucid serve` with `arguments`, anew whenever a Python file below this folder changes; until a signal.

    The first signal lets the process that runs come to its end, the second one kills it.
    """
    stop = asyncio.Event()
    child: Process | None = None

    def end() -> None:
        if stop.is_set() and child is not None and child.returncode is None:
            child.kill()
        stop.set()

    with _hearing_signals(end):
        changes = awatch(Path.cwd(), watch_filter=PythonFilter(), stop_event=stop)
        stopping = asyncio.ensure_future(stop.wait())
        while not stop.is_set():
            changing = asyncio.ensure_future(anext(changes, None))
            await asyncio.sleep(0)  # from here on it watches
            # In a session of its own no Ctrl-C of the terminal's reaches it: it is told once, from here. Should this
            # process be killed, the end of its standard input tells it.
            command = [sys.executable, "-m", "pellucid", "serve", "--until-stdin-ends", *arguments]
            child = await asyncio.create_subprocess_exec(*command, stdin=PIPE, start_new_session=True)
            ended = asyncio.ensure_future(child.wait())
            await asyncio.wait({ended, changing, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if ended.done() and not stop.is_set():
                _say(f"ended with exit code {child.returncode}; waiting for a change")
            await asyncio.wait({changing, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if child.returncode is None:
                child.terminate()
                await ended
            if changed := await changing:
                names = ", ".join(sorted({Path(path).name for _, path in changed}))
                _say(f"started anew, as these have changed: {names}")
    return 0


@contextmanager
def _hearing_signals(end: Callable[[], None]) -> Generator[None]:
    """Have signals that end a program call `end` in here."""
    loop, numbers = asyncio.get_running_loop(), [] if sys.platform == "win32" else [*_END, signal.SIGHUP]
    for number in numbers:
        loop.add_signal_handler(number, end)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


def _say(what: str) -> None:
    click.echo(f"pellucid: {what}", err=True)
