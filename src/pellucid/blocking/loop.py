"""The event loop of the blocking front, in a thread of its own: one for the whole process.

One, since connections are cheap there and threads are not; and since an object that is passed to several peers is then
called from one loop, and no lock is needed around what belongs to that.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, ParamSpec, TypeVar

from pellucid.asyncio.connection import Connection
from pellucid.asyncio.events import Event, name_of
from pellucid.asyncio.run import new_event_loop
from pellucid.asyncio.server import Server
from pellucid.blocking.turns import ProgramEnds, Workers, let_others_begin

__all__ = ["LoopThread", "run", "the_loop"]

SECONDS_TO_CLOSE = 1.0
"""How long connections that are open at the end of the program may take to close; then they are cut off."""

SECONDS_TO_END = 2.0
"""How long the program waits for that and for what runs in the loop, and again for its thread, before it ends."""

P = ParamSpec("P")
T = TypeVar("T")


class LoopThread:
    """An event loop in a daemon thread of its own, which ends with the program."""

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop = new_event_loop()
        self.workers: Workers = Workers()
        self.open: set[Connection | Server] = set()
        """What is to be closed at the end of the program."""
        self.is_ending: bool = False
        """Whether the program ends: threads that wait are then left where they are, as all daemon threads."""
        self._pid = os.getpid()
        self._has_stopped = False
        self._thread = threading.Thread(target=self._run_loop, name="pellucid.blocking loop", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    @property
    def is_here(self) -> bool:
        """Whether it is the calling thread."""
        return threading.get_ident() == self._thread.ident

    def check(self) -> None:
        """Raise RuntimeError where the calling thread can't wait for what is done in the loop."""
        if os.getpid() != self._pid:
            raise RuntimeError("this belongs to the process that forked this one: connect again, here")
        if self.is_ending:
            raise ProgramEnds("the program ends, and so has the event loop of its connections")
        if self.is_here:
            raise RuntimeError(
                "a blocking call in the event loop's own thread would wait for itself: make the method async, and await"
            )

    def run(self, function: Callable[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run an async function in the loop, and wait for its result; what interrupts that cancels it.

        Raises:
            RuntimeError: this thread is the loop's own, or the process was forked.
        """
        self.check()
        let_others_begin()
        future = asyncio.run_coroutine_threadsafe(function(*args, **kwargs), self.loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def do(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What a plain function returns that waits for nothing, run in the loop's thread.

        Raises:
            RuntimeError: the program ends, or the process was forked.
            What the function raises.
        """
        if self.is_here:
            return function(*args, **kwargs)
        self.check()
        future: Future[T] = Future()

        def settle() -> None:
            try:
                future.set_result(function(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001 - it is raised where it was asked for
                future.set_exception(error)

        self.loop.call_soon_threadsafe(settle)
        return future.result()

    def close(self) -> None:
        """Close all that is open, and end the loop, in bounded time."""
        if os.getpid() != self._pid or self.is_ending:
            return
        self.is_ending = True
        ending = asyncio.run_coroutine_threadsafe(self._end(), self.loop)
        try:
            ending.result(SECONDS_TO_END)
        except TimeoutError:
            Event.LOOP_STUCK.log("what runs in the event loop's thread does not end")
        finally:
            self.loop.call_soon_threadsafe(self._stop)
            self._thread.join(SECONDS_TO_END)

    async def _end(self) -> None:
        closing = [asyncio.ensure_future(each.close()) for each in self.open]
        if closing:
            await asyncio.wait(closing, timeout=SECONDS_TO_CLOSE)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        for each in list(self.open):
            if isinstance(each, Connection):  # those of servers are among them
                each.abort("the program ends", level=logging.DEBUG)
        await asyncio.sleep(0)  # transports close when the loop goes on

    def _stop(self) -> None:
        self._has_stopped = True
        self.loop.stop()

    def _run_loop(self) -> None:
        while not self._has_stopped:
            try:
                self.loop.run_forever()
            except (KeyboardInterrupt, SystemExit) as error:
                # An async method raised it, and the loop goes on: all who wait for it would wait for ever.
                text, kind = "%s ends a program only in its main thread", name_of(error)
                Event.LOOP_INTERRUPTED.log(text, error, exc_info=error, error=kind)
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()


class _Shared:
    """The one of this process, once it is needed."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Start anew: a child that was forked has none of its parent's threads, and perhaps a lock that is held."""
        self.lock = threading.Lock()
        self.thread: LoopThread | None = None

    def get(self) -> LoopThread:
        """The one there is, made where there is none."""
        with self.lock:
            if self.thread is None:
                self.thread = LoopThread()
            return self.thread


_shared = _Shared()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_shared.forget)


def the_loop() -> LoopThread:
    """The loop of this process, started when it is first asked for."""
    return _shared.get()


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run `coroutine` in the loop that the connections of this front live in, and wait for its result.

    In it, `call` of a reference is awaited, as everywhere in asyncio. Interrupting the wait cancels it.

    Raises:
        RuntimeError: this is the loop's own thread.
    """

    async def awaited() -> T:
        return await coroutine

    thread = the_loop()
    try:
        thread.check()
    except RuntimeError:
        coroutine.close()  # or Python would warn that it was never awaited
        raise
    return thread.run(awaited)
