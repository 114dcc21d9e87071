"""The life of a broker.

A broker negotiates a dialect, is ready, and is closed; it never goes back. While it negotiates only the negotiation's
own bytes travel. Once it is ready both sides may call, answer and release, in any order and at any time: there is no
client and no server any more. Closed is final: whatever was under way has ended, every table is empty, and every
reference is dead.

What may happen when is the table below; code only walks it.
"""

from __future__ import annotations

from enum import Enum, auto

from pellucid.errors import LocalProtocolError

__all__ = ["Input", "State", "step"]


class State(Enum):
    """What a broker is at."""

    NEGOTIATING = auto()
    """The two sides are agreeing on a dialect."""
    READY = auto()
    """Calls may be made in both directions."""
    CLOSED = auto()
    """The connection has ended, or is of no use any more."""


class Input(Enum):
    """What can happen to a broker."""

    DIALECT = auto()
    """A dialect was agreed on."""
    DATA = auto()
    """Bytes came from the peer."""
    COMMAND = auto()
    """The door wants something sent."""
    CLOSE = auto()
    """The connection ended, for whatever reason."""


NEXT = {
    (State.NEGOTIATING, Input.DATA): State.NEGOTIATING,
    (State.NEGOTIATING, Input.DIALECT): State.READY,
    (State.NEGOTIATING, Input.CLOSE): State.CLOSED,
    (State.READY, Input.DATA): State.READY,
    (State.READY, Input.COMMAND): State.READY,
    (State.READY, Input.CLOSE): State.CLOSED,
    (State.CLOSED, Input.CLOSE): State.CLOSED,
}


def step(state: State, seen: Input) -> State:
    """The state after `seen`. Raises LocalProtocolError where that is not legal now."""
    try:
        return NEXT[state, seen]
    except KeyError:
        raise LocalProtocolError(f"{seen.name} is not legal while the broker is {state.name}") from None
