from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pellucid.core.states import Input, State, step
from pellucid.errors import ConnectFailed, LocalProtocolError, ProtocolError
from tests.pair import Desk, Pair, write

inputs = st.lists(st.sampled_from(Input))


@given(st.sampled_from(State), inputs)
def test_from_any_state_any_input_leads_to_a_state_or_is_refused_and_changes_nothing(
    state: State, seen: list[Input]
) -> None:
    order = list(State)
    for each in seen:
        try:
            after = step(state, each)
        except LocalProtocolError:
            after = state
        assert order.index(after) >= order.index(state)
        state = after


words = st.sampled_from([b"pb", b"none", b"version", b"message", b"answer", b"decref", b"root", b"echo", b"tuple"])
hostile_bytes = st.one_of(
    st.binary(max_size=20),
    st.just(write([b"pb", b"none"], None)),
    st.just(write(b"pb", None)),
    st.just(write([b"version", 6], "pb")),
    st.recursive(words | st.integers(0, 3), lambda inner: st.lists(inner, max_size=7)).map(
        lambda expression: write(expression, "pb")
    ),
)
steps = st.lists(st.one_of(hostile_bytes, st.sampled_from(["call", "answer", "close", "send"])), max_size=12)


@given(st.booleans(), steps)
def test_whatever_happens_to_a_broker_it_is_in_a_state_or_raises_a_protocol_error(
    listens: bool, steps: list[object]
) -> None:
    pair = Pair(connect=False, client_root=Desk())
    side = pair.server if listens else pair.client
    order, before = list(State), State.NEGOTIATING
    for each in steps:
        try:
            match each:
                case bytes():
                    side.receive(each)
                case "call":
                    side.root.call("echo", Desk())
                case "send":
                    side.broker.data_to_send()
                case "close":
                    side.lose("closed")
                case _:
                    side.go_on()
        except (ProtocolError, ConnectFailed):
            pass
        assert order.index(side.broker.state) >= order.index(before)
        before = side.broker.state
    side.lose("done")
    assert side.is_empty()
