"""The call that runs the method we are in."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol

from pellucid.core.batches import BatchRun
from pellucid.core.broker import Broker
from pellucid.core.correlation import id_of_theirs
from pellucid.wire.messages import MethodCall

__all__ = ["Caller", "CurrentCall", "correlation_id", "current_call", "running_call"]


class Caller(Protocol):
    """The peer that makes calls, as the connection with it is known here."""

    loop: asyncio.AbstractEventLoop
    broker: Broker
    peer: str

    @property
    def log_number(self) -> str:
        """Stands for the connection in the log."""
        ...

    @property
    def fields(self) -> dict[str, str | None]:
        """What the log says of the connection in every record."""
        ...


@dataclass(frozen=True, slots=True)
class CurrentCall:
    """The call that a remote method was run for."""

    method: str
    """The name that was called, without prefix."""
    peer: str
    """The address of the caller, as text."""
    avatar: Any
    """What the caller acts through, or None outside a login."""
    correlation_id: str
    """Stands for this call in the log; for its caller it is `Call.correlation_id`, in the native dialect."""
    size: int
    """Bytes that it takes in memory, roughly, with results that it was given by promise: see `Limits.running_bytes`."""
    remaining: float | None = None
    """Seconds until the caller gives up; None where it waits without end, or speaks a PB dialect, which can't tell."""


running_call: ContextVar[tuple[Caller, MethodCall | BatchRun, int]] = ContextVar("pellucid_call")
"""The call that runs the method we are in, if we are in one; or the batch that it came in, and its place there."""


def current_call() -> CurrentCall:
    """The call that runs the method we are in.

    Raises:
        LookupError: we are in none.
    """
    try:
        caller, running, place = running_call.get()
    except LookupError:
        raise LookupError("current_call() has an answer only inside a method that a peer called") from None
    call = running.shown(place) if isinstance(running, BatchRun) else running
    remaining = None if call.deadline is None else max(0.0, call.deadline - caller.loop.time())
    return CurrentCall(call.name, caller.peer, call.perspective, correlation_id(caller, call), call.size, remaining)


def correlation_id(caller: Caller, call: MethodCall) -> str:
    """What `call` is named in the log."""
    return id_of_theirs(caller.log_number, caller.broker.peer_log_number, call)
