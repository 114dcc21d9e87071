"""Calls of ours that are under way, and calls of the peer's that wait for their turn."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Generator
from typing import Any

from pellucid.errors import RemoteProtocolError, TooManyCalls
from pellucid.limits import Limits
from pellucid.wire.messages import MethodCall

__all__ = ["Admission", "Call", "PendingCalls"]


class Call(ABC):
    """One invocation of a peer's method, and the promise of its answer. A door says how it is awaited."""

    @property
    @abstractmethod
    def done(self) -> bool:
        """Whether the call has ended, in one way or another."""

    @abstractmethod
    def succeed(self, value: Any) -> None:
        """The answer came."""

    @abstractmethod
    def fail(self, error: Exception) -> None:
        """The call ended without a result."""

    @abstractmethod
    def cancel(self) -> None:
        """Give the call up: whoever waits for it gets `CallCancelled`. Over PB the method may run all the same."""

    @abstractmethod
    def call(self, name: str, /, *args: Any, **kwargs: Any) -> Call:
        """Call a method of this call's result, as soon as there is one."""

    @abstractmethod
    def __await__(self) -> Generator[Any, None, Any]:
        """The result, or the error, of the method."""


class PendingCalls:
    """Calls that the peer has not answered, by id."""

    def __init__(self, limits: Limits) -> None:
        self._most = limits.calls_pending
        self._calls: dict[int, Call] = {}
        self._last_id = 0
        self._oldest = 1

    def __len__(self) -> int:
        return len(self._calls)

    @property
    def last_id(self) -> int:
        """The id given last; ids count up from 1."""
        return self._last_id

    def check_room(self) -> None:
        """Raise TooManyCalls where one more call can't be kept."""
        if len(self._calls) >= self._most:
            raise TooManyCalls("calls_pending", self._most)

    def new_id(self) -> int:
        """The id of the next call; one-way calls have one too."""
        self._last_id += 1
        return self._last_id

    def add(self, call_id: int, call: Call) -> None:
        """Remember `call` until it is answered."""
        self._calls[call_id] = call

    def take(self, call_id: int) -> Call:
        """The call that is answered now.

        Raises:
            RemoteProtocolError: there is none of that id; it was answered before, or never made.
        """
        try:
            return self._calls.pop(call_id)
        except KeyError:
            raise RemoteProtocolError("the peer answered a call that is not under way") from None

    def any_up_to(self, call_id: int) -> bool:
        """Whether a call made no later than `call_id` is still unanswered."""
        while self._oldest <= self._last_id and self._oldest not in self._calls:
            self._oldest += 1
        return self._oldest <= call_id

    def take_all(self) -> dict[int, Call]:
        """Every unanswered call, in the order made; none is left."""
        calls, self._calls = self._calls, {}
        return calls


class Admission:
    """How many of the peer's methods run at a time: the others wait in order, and beyond that are refused."""

    def __init__(self, limits: Limits) -> None:
        self._running_most = limits.running_calls
        self._waiting_most = limits.waiting_calls
        self._bytes_most = limits.waiting_bytes
        self._waiting: deque[MethodCall] = deque()
        self._waiting_bytes = 0
        self.running = 0
        """Methods that run now."""
        self.held = False
        """Whether no further call may start: the peer does not read what it is sent."""

    @property
    def waiting(self) -> int:
        """Calls that wait for their turn."""
        return len(self._waiting)

    def arrive(self, call: MethodCall) -> bool:
        """Whether `call` may run now; otherwise it waits for `next`.

        Raises:
            TooManyCalls: there is no room to wait either.
        """
        if self.running < self._running_most and not self._waiting and not self.held:
            self.running += 1
            return True
        if len(self._waiting) >= self._waiting_most:
            raise TooManyCalls("waiting_calls", self._waiting_most)
        if self._waiting_bytes + call.size > self._bytes_most:
            raise TooManyCalls("waiting_bytes", self._bytes_most, self._waiting_bytes + call.size)
        self._waiting.append(call)
        self._waiting_bytes += call.size
        return False

    def end(self) -> None:
        """A method that ran has ended; ask `next` for another."""
        self.running -= 1

    def next(self) -> MethodCall | None:
        """The call whose turn it is, which counts as running now; None where none may start."""
        if self.held or not self._waiting or self.running >= self._running_most:
            return None
        self.running += 1
        call = self._waiting.popleft()
        self._waiting_bytes -= call.size
        return call

    def clear(self) -> None:
        """Forget the calls that wait: their caller is gone."""
        self._waiting.clear()
        self._waiting_bytes = 0
