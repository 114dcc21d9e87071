"""Blocking functions in threads, whose caller may be gone before they end."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from typing import Any, ParamSpec, TypeVar

from pellucid.flavors.hooks import beginning

__all__ = ["in_thread", "leave_behind", "thread_behind"]

P = ParamSpec("P")
T = TypeVar("T")


def in_thread(method: Callable[P, T]) -> Callable[P, Awaitable[T]]:
    """Decorate a blocking ``def remote_`` method: it runs in a thread and holds up nobody.

    Threads are those of the loop's default executor; arguments and `current_call` are there as usual. One that has
    begun can't be cancelled: it runs on, and counts as running until it has ended, though its caller is told at once.
    """

    @functools.wraps(method)
    async def run(*args: P.args, **kwargs: P.kwargs) -> T:
        begins, check = beginning.get()
        work = _Work(functools.partial(copy_context().run, method, *args, **kwargs), check if begins is run else None)
        del args, kwargs
        future = asyncio.get_running_loop().run_in_executor(None, work)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError as error:
            work.give_up()
            if not future.done():
                future.add_done_callback(_forget)
                leave_behind(error, future)
            raise

    return run


def leave_behind(error: asyncio.CancelledError, thread: asyncio.Future[Any]) -> None:
    """A method ends in `error`, and its thread is free only once that future is done."""
    error.thread = thread  # type: ignore[attr-defined]  # who runs the method asks for it


def thread_behind(error: asyncio.CancelledError) -> asyncio.Future[Any] | None:
    """What is done once the thread is free that goes on behind a cancelled method; None where there is none."""
    return getattr(error, "thread", None)


def _forget(future: asyncio.Future[Any]) -> None:
    """Nobody is told what came of it: it is not to be logged that nobody asked."""
    if not future.cancelled():
        future.exception()


class _Work:
    """What a thread is to do. Executors keep what waits for a thread, however long that is given up."""

    __slots__ = ("_check", "_function")

    def __init__(self, function: Callable[[], Any], check: Callable[[], object] | None) -> None:
        """`check` raises where it is not to begin any more."""
        self._function: Callable[[], Any] | None = function
        self._check = check

    def __call__(self) -> Any:
        function, self._function = self._function, None
        if function is None:
            return None
        if self._check is not None:
            self._check()
        return function()

    def give_up(self) -> None:
        """Do nothing, unless that has begun, and keep nothing that it would take."""
        self._function = self._check = None
