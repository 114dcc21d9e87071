"""Calls as asyncio awaits them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Generator
from typing import Any, Protocol

from pellucid.core import calls
from pellucid.core.references import CallOptions, RemoteReference, Target
from pellucid.errors import (
    CallCancelled,
    DeadlineExceeded,
    DeadReferenceError,
    NotAReference,
    Overloaded,
    PBConnectionLost,
)

__all__ = ["Call"]

log = logging.getLogger("pellucid")


class Line(Protocol):
    """What a call needs of its connection."""

    loop: asyncio.AbstractEventLoop
    number: str
    peer: str

    def start(
        self, call: Call, target: Target, args: tuple[Any, ...], kwargs: dict[str, Any], options: CallOptions
    ) -> None:
        """Send `call`."""
        ...


class Call(calls.Call):
    """One call under way, and the promise of its answer; await it as often as you like.

    It was sent when it was made: a call that nobody awaits runs all the same, and if it fails, that is logged once.
    """

    __slots__ = (
        "_dependants",
        "_done",
        "_error",
        "_line",
        "_noticed",
        "_timer",
        "_value",
        "_waiters",
        "call_id",
        "name",
    )

    def __init__(self, line: Line, name: str) -> None:
        self.name = name
        """The name that is called, without prefix."""
        self.call_id: int | None = None
        """Stands for the call on its connection; None where it was not sent."""
        self._line = line
        self._done = False
        self._value: Any = None
        self._error: Exception | None = None
        self._noticed = False
        self._waiters: list[asyncio.Future[None]] = []
        self._dependants: list[tuple[Call, Callable[[], None]]] = []
        self._timer: asyncio.TimerHandle | None = None

    @property
    def done(self) -> bool:
        """Whether the call has ended, in one way or another."""
        return self._done

    def succeed(self, value: Any) -> None:
        """The answer came. Too late it counts for nothing."""
        if not self._done:
            self._value = value
            self._end()

    def fail(self, error: Exception) -> None:
        """The call ended without a result. Too late that counts for nothing."""
        if not self._done:
            self._error = error
            self._end()

    def cancel(self) -> None:
        """Give the call up: whoever waits for it, or for a call of its result, gets `CallCancelled`.

        Over the PB dialects the method runs all the same, and its answer is thrown away.
        """
        self._noticed = True
        self.fail(CallCancelled(f"the call of {self.name!r} was cancelled here"))

    def call(self, name: str, /, *args: Any, **kwargs: Any) -> Call:
        """Call a method of the object that this call results in.

        Over the PB dialects it is sent when that object is known. Calls made this way go out in the order made, and
        before any that is made once the result has been awaited. An error of this call is the error of those, too.
        """
        dependant = Call(self._line, name)
        self._noticed = True

        def go_on() -> None:
            self._pass_on(dependant, args, kwargs)

        if self._done:
            go_on()
        else:
            self._dependants.append((dependant, go_on))
        return dependant

    def __await__(self) -> Generator[Any, None, Any]:
        while not self._done:
            yield from self._wait()
        self._noticed = True
        if self._error is not None:
            try:
                raise self._error
            finally:
                del self  # or the traceback would keep the call, and the call the traceback
        return self._value

    def set_timeout(self, seconds: float) -> None:
        """End the call in DeadlineExceeded after so many seconds."""
        self._timer = self._line.loop.call_later(
            seconds, lambda: self.fail(DeadlineExceeded(f"no answer to {self.name!r} within {seconds} s"))
        )

    def __repr__(self) -> str:
        state = "under way" if not self._done else "failed" if self._error is not None else "answered"
        return f"<Call {self.name} {state}>"

    def __del__(self) -> None:
        if self._error is not None and not self._noticed:
            correlation_id = f"{self._line.number}-{self.call_id}"
            fields = {"event": "call.unnoticed", "connection": self._line.number, "peer": self._line.peer}
            fields |= {"method": self.name, "call": correlation_id}
            log.error("call of %r failed and was never awaited: %r", self.name, self._error, extra=fields)

    def _wait(self) -> Generator[Any, None, None]:
        waiter = self._line.loop.create_future()
        self._waiters.append(waiter)
        self._noticed = True
        try:
            yield from waiter
        except asyncio.CancelledError:
            if not self._done:
                self._waiters.remove(waiter)
                if not self._waiters and all(dependant.done for dependant, _ in self._dependants):
                    self.cancel()
            raise

    def _end(self) -> None:
        self._done = True
        if self._timer is not None:
            self._timer.cancel()
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
        dependants, self._dependants = self._dependants, []
        for _, go_on in dependants:
            go_on()

    def _pass_on(self, dependant: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if dependant.done:
            return
        if isinstance(self._error, PBConnectionLost):
            dependant.fail(PBConnectionLost(str(self._error), sent=False))
        elif self._error is not None:
            dependant.fail(self._error)
        elif not isinstance(self._value, RemoteReference):
            kind = type(self._value).__name__
            dependant.fail(NotAReference(f"{self.name!r} returned a {kind}: it has no remote {dependant.name!r}"))
        else:
            try:
                self._line.start(dependant, self._value.live_target(), args, kwargs, CallOptions())
            except (DeadReferenceError, Overloaded) as error:
                dependant.fail(error)
