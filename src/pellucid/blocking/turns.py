"""Threads for plain methods, so that one which blocks holds up no loop; and the order in which they run."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from inspect import isawaitable
from queue import SimpleQueue
from typing import Any

from pellucid.asyncio.methods import is_coroutine_function
from pellucid.asyncio.threads import leave_behind

__all__ = ["ProgramEnds", "Turns", "Workers", "is_in_turn", "let_others_begin"]

MOST_IDLE = 8
"""How many threads are kept for what comes next."""

_here = threading.local()


class ProgramEnds(RuntimeError):
    """Nothing can be waited for any more, since the program ends."""


class Workers:
    """Threads that run what they are given, as many as it takes. None of them keeps the program from ending.

    There is always one more than is needed: when a program has begun to end, Python 3.12 starts no thread any more, and
    until it has ended there are methods to be run.
    """

    def __init__(self) -> None:
        self._idle: list[SimpleQueue[Callable[[], None]]] = [self._start()]

    def run(self, work: Callable[[], None]) -> None:
        """Have `work` run in a thread. Raises RuntimeError where the system has none left."""
        queue = self._idle.pop() if self._idle else self._start()
        queue.put(work)
        if not self._idle:
            with suppress(RuntimeError):
                self._idle.append(self._start())

    def _start(self) -> SimpleQueue[Callable[[], None]]:
        queue: SimpleQueue[Callable[[], None]] = SimpleQueue()
        threading.Thread(target=self._work, args=(queue,), name="pellucid.blocking worker", daemon=True).start()
        return queue

    def _work(self, queue: SimpleQueue[Callable[[], None]]) -> None:
        while True:
            work = queue.get()
            work()
            del work  # it may hold the last references to objects of a peer
            if len(self._idle) >= MOST_IDLE:
                return
            self._idle.append(queue)


class Turns:
    """The plain methods of one connection's objects: each begins when the one before has ended, or waits for an answer.

    So they run in order, and no two at a time, as in a loop; and one may make blocking calls that come back to others.
    """

    __slots__ = ("_current", "_waiting", "_workers", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, workers: Workers) -> None:
        self.loop: asyncio.AbstractEventLoop = loop
        self._workers = workers
        self._waiting: deque[_Turn] | None = None
        self._current: _Turn | None = None

    def in_turn(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function` as the loop is to call it: itself where it is ``async``, else what runs it when its turn comes."""
        if is_coroutine_function(function):
            return function

        async def run(*args: Any, **kwargs: Any) -> Any:
            result = await self._take(partial(function, *args, **kwargs))
            return await result if isawaitable(result) else result

        return run

    def pass_on(self, turn: _Turn) -> None:
        """`turn` is over, or keeps nobody waiting any more."""
        if self._current is turn:
            self._current = None
            self._go_on()

    def drop(self, turn: _Turn) -> bool:
        """The caller of `turn` gave it up; whether it had not begun, and never will."""
        if self._waiting is None or turn not in self._waiting:
            return False
        self._waiting.remove(turn)  # what its method would have been called with is not to wait for those before it
        return True

    def _take(self, function: Callable[[], Any]) -> Coroutine[Any, Any, Any]:
        turn = _Turn(self, function)
        if self._waiting is None:
            self._waiting = deque()
        self._waiting.append(turn)
        self._go_on()
        return turn.outcome()

    def _go_on(self) -> None:
        while self._current is None and self._waiting:
            turn = self._current = self._waiting.popleft()
            try:
                self._workers.run(turn.work)
            except RuntimeError as error:
                turn.settle(None, error)


class _Turn:
    """One method that is run when its turn comes."""

    def __init__(self, turns: Turns, function: Callable[[], Any]) -> None:
        self.ended: asyncio.Future[None] = turns.loop.create_future()
        self._turns = turns
        self._function: Callable[[], Any] | None = function
        self._context = copy_context()
        self._has_passed_on = False
        self._left: asyncio.Future[None] | None = None
        self._value: Any = None
        self._error: BaseException | None = None

    async def outcome(self) -> Any:
        """What the method returned; raises what it raised."""
        try:
            await self.ended
        except asyncio.CancelledError as cancelled:
            if self.ended.cancelled() and not self._turns.drop(self):
                self._left = self._turns.loop.create_future()
                leave_behind(cancelled, self._left)
            raise
        error, self._error = self._error, None
        try:
            if error is not None:
                raise error
            return self._value
        finally:
            del error

    def work(self) -> None:
        """Run the method, in a thread."""
        assert self._function is not None
        value: Any = None
        error: BaseException | None = None
        _here.turn = self
        try:
            value = self._context.run(self._function)
        except ProgramEnds:
            return  # it is left there, as one that waits is: nobody is to hear of it
        except (Exception, asyncio.CancelledError) as raised:  # noqa: BLE001 - whatever it raises is its answer
            error = raised
        except BaseException as raised:  # noqa: BLE001 - the program is not ended from here
            error = RuntimeError(f"{raised!r} ends a program only in its main thread")
            error.__cause__ = raised
        finally:
            _here.turn = self._function = None
        self._tell(partial(self.settle, value, error))

    def pass_on(self) -> None:
        """The method waits for an answer now: let the next one begin."""
        if not self._has_passed_on:
            self._has_passed_on = True
            self._tell(partial(self._turns.pass_on, self))

    def settle(self, value: Any, error: BaseException | None) -> None:
        """The method has ended so. In the loop's thread, as all else that has to do with turns."""
        self._turns.pass_on(self)
        if self._left is not None:
            self._left.set_result(None)
        if not self.ended.done():
            self._value, self._error = value, error
            self.ended.set_result(None)

    def _tell(self, what: Callable[[], None]) -> None:
        try:
            self._turns.loop.call_soon_threadsafe(what)
        except RuntimeError:
            pass  # the loop is closed: nobody is left to tell


def let_others_begin() -> None:
    """This thread is about to wait for an answer: if it runs a method, the next one need not wait for it."""
    turn: _Turn | None = getattr(_here, "turn", None)
    if turn is not None:
        turn.pass_on()


def is_in_turn() -> bool:
    """Whether this thread runs a method that a peer called, or a notice."""
    return getattr(_here, "turn", None) is not None
