"""Tables by numbers that a peer chooses, in which no choice makes looking things up slow."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import count
from time import process_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.flavors.cacheable import RemoteCache
from pellucid.flavors.registry import Registry
from pellucid.limits import Limits
from pellucid.wire.native.codes import Kind, Leaf, Mark
from pellucid.wire.numbered import Numbered
from tests.pair import Extension, Settings, Stranger

BITS = 15
PLACES = 1 << BITS
"""In a dictionary with as many entries as `MEMBERS`."""
MEMBERS = 15_000
TIMES = 5_000


class Pond(RemoteCache):
    pass


REGISTRY = Registry()
REGISTRY.register(Pond, "pond")
SETTINGS = Settings(registry=REGISTRY, limits=Limits(kept_answers=MEMBERS))


def places(number: int) -> Iterable[int]:
    """Where a dictionary looks for `number`, in this order, until that depends on the last place alone."""
    place = number % PLACES
    yield place
    while number:
        number >>= 5
        place = (5 * place + number + 1) % PLACES
        yield place


def members() -> list[int]:
    """Numbers that fill a long stretch of the order in which a dictionary looks for a free place in the end."""
    stretch = [1]
    while len(stretch) < MEMBERS:
        stretch.append((5 * stretch[-1] + 1) % PLACES)
    return stretch


def walker(stretch: list[int]) -> int:
    """A number that comes upon that stretch near its beginning, and walks to its end."""
    taken, beginning = set(stretch), set(stretch[: MEMBERS // 10])
    for number in count(1 << 20, 977):
        met = [*places(number)]
        if taken.issuperset(met) and met[-1] in beginning:
            return number
    raise AssertionError("there are numbers without end")


def unsigned(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def references(table: list[int], number: int) -> list[Any]:
    values = [Extension(Leaf.REMOTE, unsigned(each)) for each in [*table, *[number] * TIMES]]
    return [[Kind.CALL, 1, "root", "keep", [values]]]


def caches(table: list[int], number: int) -> list[Any]:
    # To make a copy takes far longer than to look one up: so there are more look-ups.
    states: list[Any] = [[Extension(Mark.CACHE, unsigned(each)), "pond", {}] for each in [*table, number]]
    return [[Kind.CALL, 1, "root", "keep", [states + [Extension(Leaf.CACHED, unsigned(number))] * 10 * TIMES]]]


def shared(table: list[int], number: int) -> list[Any]:
    values: list[Any] = [[Extension(Mark.SHARED, unsigned(each)), []] for each in [*table, number]]
    return [[Kind.CALL, 1, "root", "keep", [values + [Extension(Leaf.AGAIN, unsigned(number))] * TIMES]]]


def seen(table: list[int], number: int) -> list[Any]:
    return [[Kind.CALL, each, "root", "keep", []] for each in table] + [[Kind.SEEN, [number] * TIMES]]


def jelly(table: list[int], number: int) -> list[Any]:
    values = [[b"remote", each] for each in [*table, *[number] * TIMES]]
    return [[b"message", 1, b"root", b"keep", 1, [b"tuple", [b"list", *values]], [b"dictionary"]]]


def shared_jelly(table: list[int], number: int) -> list[Any]:
    values = [[b"reference", each, [b"list"]] for each in [*table, number]]
    again = [[b"dereference", number]] * TIMES
    return [[b"message", 1, b"root", b"keep", 1, [b"tuple", [b"list", *values, *again]], [b"dictionary"]]]


@pytest.mark.parametrize(
    ("dialect", "messages"),
    [
        ("pellucid", references),
        ("pellucid", caches),
        ("pellucid", shared),
        ("pellucid", seen),
        ("pb", jelly),
        ("pb", shared_jelly),
    ],
)
def test_numbers_chosen_to_be_in_each_others_way_take_no_longer_than_others(
    dialect: str, messages: Callable[[list[int], int], list[Any]]
) -> None:
    stretch = members()
    chosen, others = messages(stretch, walker(stretch)), messages([*range(1, MEMBERS + 1)], PLACES)
    assert seconds(dialect, chosen) < 3 * seconds(dialect, others)


def seconds(dialect: str, messages: list[Any]) -> float:
    """Of the processor's, that it takes to deal with `messages`: of two times the shorter, for one may be disturbed."""
    took = []
    for _ in range(2):
        stranger = Stranger(settings=SETTINGS, dialect=dialect)
        before = process_time()
        stranger.say(*messages)
        took.append(process_time() - before)
        assert not stranger.side.is_closed
    return min(took)


NUMBERS = st.integers(0, 2**64 - 1) | st.integers(0, 9)


@given(st.lists(st.tuples(NUMBERS, st.sampled_from(["set", "delete"]))))
def test_it_is_a_dictionary_in_all_else(steps: list[tuple[int, str]]) -> None:
    table, model = Numbered[int](), dict[int, int]()
    for value, (number, verb) in enumerate(steps):
        if verb == "set":
            table[number] = model[number] = value
        else:
            assert table.pop(number, None) == model.pop(number, None)
        assert (number in table) is (number in model)
        assert table.get(number) == model.get(number)
        assert table.get(number, -1) == model.get(number, -1)
    assert [*table.items()] == [*model.items()]
    assert len(table) == len(model)
    assert table == model
    table.clear()
    assert not table
