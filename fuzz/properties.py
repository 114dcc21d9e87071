"""What Hypothesis generates for the tests in tests/property, with coverage to guide it: each test holds.

The first byte says for which test, and the others are what Hypothesis draws from.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

from fuzz.mutate import Mutate
from tests.property import test_banana, test_jelly, test_native

__all__ = ["check", "mutate", "seeds"]

_TESTS: tuple[Any, ...] = (
    test_banana.test_results_and_errors_are_the_same_however_the_bytes_are_cut,
    test_banana.test_of_any_bytes_we_make_what_twisted_makes_or_refuse_them,
    test_jelly.test_hostile_arguments_come_to_a_documented_error_or_to_nothing,
    test_jelly.test_a_hostile_answer_ends_its_call_and_no_other,
    test_jelly.test_every_receipt_is_given_back_whatever_becomes_of_the_message,
    test_native.test_every_value_arrives_with_equal_contents_and_exact_types,
    test_native.test_a_stream_means_the_same_however_it_is_cut,
    test_native.test_of_any_bytes_come_messages_or_a_protocol_error_and_nothing_else,
    test_native.test_a_broker_takes_any_bytes_or_ends_the_connection_for_them,
    test_native.test_every_receipt_that_comes_is_held_or_given_back,
)


def check(data: bytes) -> None:
    """Try one input."""
    _TESTS[data[0] % len(_TESTS) if data else 0].hypothesis.fuzz_one_input(data[1:])


def mutate(data: bytes, most: int, rng: Random, by_bytes: Mutate) -> bytes:
    """Another input."""
    return by_bytes(data, most)


def seeds() -> Iterator[bytes]:
    """What a corpus begins with."""
    for number in range(len(_TESTS)):
        yield bytes([number]) + bytes(range(256))
