from __future__ import annotations

from itertools import product

import pytest

from pellucid.core.states import Input, State, step
from pellucid.errors import LocalProtocolError


def test_a_broker_negotiates_is_ready_and_is_closed() -> None:
    state = State.NEGOTIATING
    for seen, after in [
        (Input.DATA, State.NEGOTIATING),
        (Input.DIALECT, State.READY),
        (Input.DATA, State.READY),
        (Input.COMMAND, State.READY),
        (Input.CLOSE, State.CLOSED),
    ]:
        state = step(state, seen)
        assert state is after


@pytest.mark.parametrize("state", State)
def test_a_connection_may_end_at_any_time(state: State) -> None:
    assert step(state, Input.CLOSE) is State.CLOSED


@pytest.mark.parametrize("seen", set(Input) - {Input.CLOSE})
def test_nothing_happens_after_the_end(seen: Input) -> None:
    with pytest.raises(LocalProtocolError, match=f"{seen.name} is not legal while the broker is CLOSED"):
        step(State.CLOSED, seen)


def test_nothing_is_sent_before_a_dialect_is_agreed_on_and_none_is_agreed_on_twice() -> None:
    with pytest.raises(LocalProtocolError):
        step(State.NEGOTIATING, Input.COMMAND)
    with pytest.raises(LocalProtocolError):
        step(State.READY, Input.DIALECT)


def test_no_state_leads_back() -> None:
    order = list(State)
    for state, seen in product(State, Input):
        try:
            after = step(state, seen)
        except LocalProtocolError:
            continue
        assert order.index(after) >= order.index(state)
