from __future__ import annotations

from sys import getsizeof
from typing import Any

import pytest

from pellucid.core.weights import memory_of, weight_of


@pytest.mark.parametrize(
    ("value", "weight"),
    [
        (None, 0),
        (5, 0),
        ("four", 4),
        (bytes(1000), 1000),
        ([], 0),
        ([1, 2, 3], 24),
        (("four", [bytes(10)]), 16 + 4 + 8 + 10),
        ({"one": "three"}, 16 + 3 + 5),
        ({"a", "b"}, 16 + 2),
        (object(), 0),
    ],
)
def test_texts_count_wherever_they_are_and_so_do_the_places_of_containers(value: Any, weight: int) -> None:
    assert weight_of(value) == weight


def test_all_places_of_a_large_container_count_though_not_all_are_looked_at() -> None:
    assert weight_of([0] * 1_000_000) == 8_000_000
    assert 8_000_000 <= weight_of(["x" * 10] * 1_000_000) <= 8_010_000
    assert 16_000_000 <= weight_of(dict.fromkeys(range(1_000_000))) <= 16_010_000


def test_what_contains_itself_and_what_doubles_in_each_step_come_to_an_end() -> None:
    cyclic: list[Any] = []
    cyclic.append(cyclic)
    assert weight_of(cyclic) == 8_000
    doubled: list[Any] = []
    for _ in range(100):
        doubled = [doubled, doubled]
    assert weight_of(doubled) <= 16_000


RECORDS = [{"id": number, "name": f"number {number}", "tags": ["a", "b"]} for number in range(9)]


@pytest.mark.parametrize(
    "value", [[], "text" * 2000, RECORDS, ({"a": [1.5] * 90}, None), {("a", "b"), frozenset("cd")}]
)
def test_of_few_parts_the_memory_of_each_counts(value: Any) -> None:
    def size_of(part: Any) -> int:
        if isinstance(part, dict):
            return getsizeof(part) + sum(map(size_of, part)) + sum(map(size_of, part.values()))
        if isinstance(part, list | tuple | set | frozenset):
            return getsizeof(part) + sum(map(size_of, part))
        return getsizeof(part)

    assert memory_of(value, 4096) == max(size_of(value), 4096)


def test_what_takes_more_on_the_wire_than_in_memory_counts_by_that() -> None:
    assert memory_of(memoryview(bytes(100_000)), 100_012) == 100_012
    assert memory_of(["x"], 70_000) == 70_000


@pytest.mark.parametrize("value", [[[]] * 101, {"a": dict.fromkeys(range(60))}, [[0] * 60, [0] * 60], object()])
def test_of_many_parts_and_of_objects_a_byte_stands_for_sixteen(value: Any) -> None:
    assert memory_of(value, 100_000) == 1_600_000


def test_what_contains_itself_or_doubles_in_each_step_is_of_many_parts() -> None:
    cyclic: list[Any] = []
    cyclic.append(cyclic)
    doubled: list[Any] = []
    for _ in range(100):
        doubled = [doubled, doubled]
    assert memory_of(cyclic, 100_000) == memory_of(doubled, 100_000) == 1_600_000


def test_of_what_is_small_a_byte_stands_for_sixteen() -> None:
    assert memory_of("x" * 1000, 1010) == 16_160
