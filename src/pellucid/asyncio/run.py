"""Running a program."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["new_event_loop", "run"]

T = TypeVar("T")


def new_event_loop() -> asyncio.AbstractEventLoop:
    """A loop of uvloop's where that is installed, else one of asyncio's."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` to its end, as `asyncio.run` does, on uvloop where that is installed.

    SIGTERM, by which systems stop services, cancels `main` as Ctrl-C does, so that servers close and what they run
    may end; a second one ends the program at once. A handler for it that the program has set before is left alone.

    Raises:
        SystemExit: with code 143, when `main` was cancelled by SIGTERM.
        RuntimeError: a loop runs here already.
        TypeError: `main` is no coroutine.
    """
    if not asyncio.iscoroutine(main):
        raise TypeError(f"run takes a coroutine, as in run(main()), and {main!r} is none")
    if _is_in_a_loop():
        main.close()  # or there would be a warning, too, that it was never awaited
        raise RuntimeError("an event loop runs here already, as it does in a notebook: await what run was given")
    ending = _Ending()
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        try:
            return runner.run(ending.watch(main))
        except asyncio.CancelledError:
            if ending.came:
                raise SystemExit(128 + signal.SIGTERM) from None
            raise


def _is_in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class _Ending:
    """What SIGTERM does to a program."""

    def __init__(self) -> None:
        self.came = False
        """Whether the program was told to end."""

    async def watch(self, main: Coroutine[Any, Any, T]) -> T:
        """Run `main`, and cancel it when the signal comes."""
        if not self._may_be_handled():
            return await main
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None  # the runner made it

        def end() -> None:
            self.came = True
            loop.remove_signal_handler(signal.SIGTERM)  # the next one does what it does by default
            task.cancel()

        try:
            loop.add_signal_handler(signal.SIGTERM, end)
        except NotImplementedError:  # Windows has no such signals
            return await main
        try:
            return await main
        finally:
            loop.remove_signal_handler(signal.SIGTERM)

    def _may_be_handled(self) -> bool:
        is_main = threading.current_thread() is threading.main_thread()
        return is_main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
