"""Values as errors tell of them."""

from __future__ import annotations

import pytest

from pellucid.flavors.texts import value_text


class Odd:
    def __len__(self) -> int:
        raise ValueError("its state is missing")


TEXTS: list[tuple[object, str]] = [
    (None, "None"),
    (True, "True"),
    (5, "5"),
    (-(2**2000), "an int of 2001 bits"),
    (1.5, "1.5"),
    ("a" * 50, repr("a" * 50)),
    ("a" * 10**6, f"{'a' * 50!r}... of length 1000000"),
    (b"a" * 10**6, f"{b'a' * 50!r}... of length 1000000"),
    ([1] * 10**6, "a list of length 1000000"),
    ({}, "a dict of length 0"),
    (object(), "object"),
    (Odd(), "Odd"),
    (type("x" * 10**6, (), {})(), "x" * 100),
]


@pytest.mark.parametrize(("value", "text"), TEXTS, ids=map(str, range(len(TEXTS))))
def test_little_of_a_value_is_told(value: object, text: str) -> None:
    assert value_text(value) == text
