"""Limits on the wire where a container, a peer not known yet, or a form of header makes a difference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from pellucid.errors import LimitBroken, LimitExceeded, NoCommonDialect, RemoteProtocolError
from pellucid.flavors.copyable import Copyable, RemoteCopy
from pellucid.flavors.registry import Registry
from pellucid.limits import Limits
from pellucid.wire.negotiation import Negotiation
from pellucid.wire.pb import banana
from tests.dialects import each_dialect, over
from tests.pair import Pair, Settings, write

pytestmark = each_dialect

# Banana.


def test_a_list_with_a_long_header_may_be_as_deep_as_any() -> None:
    limits = replace(Limits(), nesting=2)
    decoder = banana.Decoder(limits, None)
    decoder.receive_data(banana.encode([[1] * 200], limits, None))
    assert decoder.next_expression() == [[1] * 200]


def test_what_is_sent_as_something_simpler_may_fill_a_message_as_well() -> None:
    limits = replace(Limits(), message_bytes=2)
    assert banana.encode(True, limits, None) == b"\x01\x81"
    with pytest.raises(LimitExceeded, match="message_bytes=2"):
        banana.encode([True], limits, None)


# Negotiation: strangers get less.


def offer(said: object, limits: Limits) -> None:
    side = Negotiation(["pb", "none"], limits, listens=False)
    side.receive_data(write(said, None))
    side.choose()


@pytest.mark.parametrize("limits", [Limits(negotiation_bytes=100), Limits(message_bytes=100)])
def test_what_a_stranger_says_is_bounded(limits: Limits) -> None:
    with pytest.raises(NoCommonDialect):
        offer([b"x" * 96], limits)
    with pytest.raises(LimitBroken, match=r"over Limits\.negotiation_bytes=100"):
        offer([b"x" * 97], limits)


def test_what_is_deeper_than_a_list_of_names_does_not_speak_of_dialects() -> None:
    with pytest.raises(NoCommonDialect):
        offer([[b"x"]], Limits())
    with pytest.raises(RemoteProtocolError, match="does not speak of dialects"):
        offer([[[b"x"]]], Limits())


# Nesting, at its default: no kind of value may use up Python's stack before.


class Box(Copyable):
    """A copy with the usual state."""

    def __init__(self, inside: object) -> None:
        self.inside = inside


class Bare(Box):
    """A copy whose state is what it holds, with nothing around it."""

    def get_state_to_copy(self) -> Any:
        return self.inside


class RemoteBox(RemoteCopy):
    inside: Any


class RemoteBare(RemoteBox):
    def set_copyable_state(self, state: Any) -> None:
        self.inside = state


def boxes() -> Registry:
    registry = Registry()
    registry.register(RemoteBox, f"{Box.__module__}.Box")
    registry.register(RemoteBare, f"{Bare.__module__}.Bare")
    return registry


Wrap = Callable[[Any], Any]

WRAPS: dict[str, tuple[Wrap, int]] = {
    "list": (lambda inside: [inside], 1),
    "tuple": (lambda inside: (inside,), 1),
    "frozenset": (lambda inside: frozenset([inside]), 1),
    "dictionary": (lambda inside: {1: inside}, 2),
    "copy": (Box, 3),
    "bare copy": (Bare, 1),
}
"""How to nest, and how many lists each level takes on the wire."""


def wrapped(wrap: Wrap, lists: int, depth: int) -> Any:
    """A value of which so many lists stand inside each other on the wire."""
    times, rest = divmod(depth - 1, lists)
    value: Any = 1
    for _ in range(rest + 1):
        value = (value,)
    for _ in range(times):
        value = wrap(value)
    return value


each_wrap = pytest.mark.parametrize(("wrap", "lists"), WRAPS.values(), ids=WRAPS)
AROUND = 2
"""The message and its arguments are lists as well."""


@over("pb")
@each_wrap
def test_every_kind_of_value_may_be_nested_as_deep_as_the_limit_says(wrap: Wrap, lists: int) -> None:
    pair = Pair(server=Settings(registry=boxes()))
    deepest = wrapped(wrap, lists, Limits().nesting - AROUND)
    assert pair.call(pair.root, "keep", deepest) is None
    assert not pair.server.is_closed


@over("pb")
@each_wrap
def test_no_kind_of_value_that_is_nested_deeper_is_sent(wrap: Wrap, lists: int) -> None:
    pair = Pair()
    with pytest.raises(LimitExceeded, match=r"over Limits.nesting=256: 257 asked"):
        pair.call(pair.root, "keep", wrapped(wrap, lists, Limits().nesting - AROUND + 1))
    assert pair.to_server.said() == []


@over("pb")
@each_wrap
def test_no_kind_of_value_that_is_nested_deeper_is_received(wrap: Wrap, lists: int) -> None:
    pair = Pair(client=Settings(limits=Limits(nesting=257)))
    pair.root.call("keep", wrapped(wrap, lists, Limits().nesting - AROUND + 1))
    pair.pump()
    assert str(pair.server.ended_by) == "over Limits.nesting=256: 257 asked"
