from __future__ import annotations

from typing import Any

import pytest

from pellucid.core.weights import weight_of


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
