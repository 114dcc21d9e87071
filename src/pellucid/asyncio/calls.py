"""Calls as asyncio awaits them."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any, NoReturn

from pellucid.asyncio.events import Event, name_of
from pellucid.core import calls
from pellucid.errors import DeadlineExceeded

__all__ = ["Call"]


class Call(calls.Call):
    """One call under way, and the promise of its answer; await it as often as you like.

    It was sent when it was made: a call that nobody awaits runs all the same, and if it fails, that is logged once.
    """

    __slots__ = ()

    _waiters: list[asyncio.Future[None]] | None
    _timer: asyncio.TimerHandle | None

    def __await__(self) -> Generator[Any, None, Any]:
        while not self._done:
            waiter = self.wait()
            try:
                yield from waiter
            except asyncio.CancelledError:
                self.stop_waiting(waiter)
                raise
        self._noticed = True
        if self._error is not None:
            try:
                raise self._error
            finally:
                del self  # or the traceback would keep the call, and the call the traceback
        return self._value

    def wait(self) -> asyncio.Future[None]:
        """What is done once the call is, which is not done yet. Who cancels it says so: `stop_waiting`."""
        waiter: asyncio.Future[None] = self.maker.door.loop.create_future()
        if self._waiters is None:
            self._waiters = [waiter]
        else:
            self._waiters.append(waiter)
        self._noticed = True
        return waiter

    def stop_waiting(self, waiter: asyncio.Future[None]) -> None:
        """Somebody who waited does not any more: where it was the last who needs the call, it is cancelled."""
        if self._waiters is not None:
            self._waiters.remove(waiter)
            if not self._waiters and not self.needed:
                self.cancel()

    # With these it is a coroutine to those who ask for one, such as asyncio.create_task. Tasks may share it: nothing is
    # kept of how far one has come.

    def send(self, value: Any, /) -> asyncio.Future[None]:
        """As of a coroutine: what to wait for; once the call is done, StopIteration with its result, or its error."""
        steps = self.__await__()
        del self  # as above
        waiter: asyncio.Future[None] = steps.send(value)
        return waiter

    def throw(self, error: BaseException, /, *_: object) -> NoReturn:
        """As of a coroutine: a task that awaits this was cancelled."""
        for waiter in [waiter for waiter in self._waiters or () if waiter.cancelled()]:
            self.stop_waiting(waiter)
        raise error

    def close(self) -> None:
        """As of a coroutine: nothing is held that would have to be let go of."""

    def end_by(self, deadline: float | None, timeout: float | None) -> None:
        """End the call in DeadlineExceeded at `deadline`, by the loop's clock, or after `timeout` seconds."""
        now = self.maker.door.loop.time()
        if timeout is None or (deadline is not None and deadline < now + timeout):
            assert deadline is not None  # there is one or the other
            self.deadline = deadline
            why = f"no answer to {self.name!r} in the time left to the call that made it"
        else:
            self.deadline = now + timeout
            why = f"no answer to {self.name!r} within {timeout} s"
        self._timer = self.maker.door.loop.call_at(self.deadline, self._expire, why)

    def __repr__(self) -> str:
        state = "under way" if not self._done else "failed" if self._error is not None else "answered"
        return f"<Call {self.name} {state}>"

    def __del__(self) -> None:
        if self._error is not None and not self._noticed:
            text, error = "call of %s failed and was never awaited: %s", self._error
            fields = self.maker.door.fields | {"method": self.name, "call": self.correlation_id}
            Event.CALL_UNNOTICED.log(text, repr(self.name), error, fields=fields, error=name_of(error))

    def _expire(self, why: str) -> None:
        self.fail(DeadlineExceeded(why))
        # There, too, nobody is to wait behind it: its own clock only bounds a method that runs.
        self.maker.gave_up(self)

    def _wake(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._waiters is not None:
            waiters, self._waiters = self._waiters, None
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)
