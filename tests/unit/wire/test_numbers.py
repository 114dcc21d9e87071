"""Numbers by which a peer knows things have 64 bits at most.

Of longer ones a peer finds as many of one hash as it likes, and a table of those is searched through at each look-up:
a megabyte of references took minutes.
"""

from __future__ import annotations

from typing import Any

import pytest

from pellucid.errors import RemoteProtocolError
from pellucid.flavors.cacheable import RemoteCache
from pellucid.flavors.registry import Registry
from pellucid.wire.native.codes import Kind, Leaf, Mark
from pellucid.wire.native.plain import write_int
from pellucid.wire.pb.disowned import receipts_in
from tests.pair import Extension, Settings, Stranger

LARGEST, TOO_LARGE = 2**64 - 1, 2**64


class Pond(RemoteCache):
    pass


REGISTRY = Registry()
REGISTRY.register(Pond, "pond")


def unsigned(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def state(number: int) -> Any:
    return [Extension(Mark.CACHE, unsigned(number)), "pond", {}]


JELLY: dict[str, Any] = {
    "a reference": lambda number: [b"remote", number],
    "a cacheable": lambda number: [b"pond", number, [b"dictionary"]],
    "an object that is met again": lambda number: [b"reference", number, [b"list"]],
}

VALUES: dict[str, Any] = {
    "a reference": lambda number: Extension(Leaf.REMOTE, unsigned(number)),
    "a cacheable": state,
    "an object that is met again": lambda number: [Extension(Mark.SHARED, unsigned(number)), []],
}


@pytest.mark.parametrize("what", JELLY)
def test_in_jelly_a_longer_number_fails_the_call(what: str) -> None:
    stranger = Stranger(settings=Settings(registry=REGISTRY))
    assert stranger.call("keep", JELLY[what](LARGEST)) == [[b"answer", 1, [b"None"]]]
    (failed,) = stranger.call("keep", JELLY[what](TOO_LARGE))
    assert b"is no id" in str(failed).encode()
    assert not stranger.side.is_closed


@pytest.mark.parametrize("what", VALUES)
def test_in_the_native_dialect_a_longer_number_fails_the_call(what: str) -> None:
    stranger = Stranger(settings=Settings(registry=REGISTRY), dialect="pellucid")
    stranger.say([Kind.CALL, 1, "root", "keep", [VALUES[what](LARGEST)]])
    assert stranger.hear() == [[Kind.ANSWER, 1, None]]
    stranger.say([Kind.CALL, 2, "root", "keep", [VALUES[what](TOO_LARGE)]])
    (failed,) = stranger.hear()
    assert failed[:2] == [Kind.FAIL, 2]
    assert failed[2][2] == "a number has more than 64 bits"
    assert not stranger.side.is_closed


def test_zeros_in_front_of_a_number_make_it_no_longer() -> None:
    stranger = Stranger(dialect="pellucid")
    stranger.say([Kind.CALL, 1, "root", "keep", [Extension(Leaf.REMOTE, bytes(100) + b"\5")]])
    assert stranger.hear() == [[Kind.ANSWER, 1, None]]
    assert len(stranger.side.broker.books.imports) == 1


def test_the_body_of_a_mark_without_a_number_is_ignored_however_long_it_is() -> None:
    stranger = Stranger(dialect="pellucid")
    stranger.say([Kind.CALL, 1, "root", "echo", [[Extension(Mark.TUPLE, b"\xff" * 100), 5]]])
    assert stranger.hear() == [[Kind.ANSWER, 1, [Extension(Mark.TUPLE, b""), 5]]]


@pytest.mark.parametrize("kind", [Kind.CALL, Kind.BATCH, Kind.CANCEL, Kind.PING])
def test_a_message_whose_number_is_longer_ends_the_connection(kind: Kind) -> None:
    stranger = Stranger(dialect="pellucid")
    rest: list[Any] = ["root", "echo", [1]] if kind is Kind.CALL else [[]] if kind is Kind.BATCH else []
    stranger.say([kind, LARGEST, *rest])
    assert not stranger.side.is_closed
    stranger.say([kind, Extension(Leaf.INT, write_int(TOO_LARGE)), *rest])
    assert isinstance(stranger.side.ended_by, RemoteProtocolError)
    assert "more than 64 bits" in str(stranger.side.ended_by)


def test_of_a_message_that_can_not_be_delivered_longer_numbers_are_not_given_back() -> None:
    expression = [b"list", [b"remote", TOO_LARGE], [b"cached", TOO_LARGE], [b"pond", TOO_LARGE, []], [b"remote", 5]]
    assert [*map(dict, receipts_in(expression))] == [{5: 1}, {}]
