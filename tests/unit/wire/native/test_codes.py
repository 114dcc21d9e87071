from __future__ import annotations

import ormsgpack
import pytest

from pellucid.wire.native.codes import Kind, Leaf, Mark, number_of, with_number
from tests.pair import Extension


@pytest.mark.parametrize(
    ("number", "body"),
    [(0, b"\0"), (1, b"\1"), (255, b"\xff"), (256, b"\1\0"), (2**64 - 1, b"\xff" * 8)],
)
def test_a_number_is_as_short_as_it_can_be_and_at_least_a_byte(number: int, body: bytes) -> None:
    written = ormsgpack.packb(with_number(Leaf.REMOTE, number))
    assert ormsgpack.unpackb(written, ext_hook=Extension) == (Leaf.REMOTE, body)
    assert number_of(body) == number


def test_a_number_may_come_in_more_bytes_than_it_needs_and_no_bytes_are_zero() -> None:
    assert number_of(bytes(1000) + b"\5") == 5
    assert number_of(b"") == 0


def test_no_extension_has_two_meanings_and_all_are_for_applications_to_choose() -> None:
    codes = [*Leaf, *Mark]
    assert len({int(code) for code in codes}) == len(codes)
    assert all(0 < code < 128 for code in codes)  # msgpack keeps the negative ones to itself


def test_kinds_of_message_are_small_numbers() -> None:
    assert sorted(Kind) == list(range(18))
