"""Tables by numbers that a peer chooses, in which no choice makes looking things up slow.

The hash of an int is the int. A table that has no room for one where that says tries other places, in an order that
depends on it alone: numbers that fill a long stretch of that order make whatever comes upon it walk to its end. A
message can name one such number hundreds of thousands of times. So they are mixed with one that no peer knows: here,
and by ``number ^ SECRET`` in the tables that every call or every reference is looked up in.
"""

from __future__ import annotations

from collections.abc import Iterator, KeysView
from typing import Any, Final, TypeVar

__all__ = ["SECRET", "Numbered", "count"]

V = TypeVar("V")

SECRET: Final = hash("what no peer knows") & (1 << 60) - 1
"""Python mixes a number of the process's own into the hash of a text, for the sake of tables by texts."""

_get, _set = dict.get, dict.__setitem__


class Numbered(dict[int, V]):
    """A dictionary with numbers of a peer's for keys. It has what is here, `len`, `values` and `clear`, and no more."""

    __slots__ = ()

    def __getitem__(self, number: int) -> V:
        return super().__getitem__(number ^ SECRET)

    def __setitem__(self, number: int, value: V) -> None:
        super().__setitem__(number ^ SECRET, value)

    def __delitem__(self, number: int) -> None:
        super().__delitem__(number ^ SECRET)

    def __contains__(self, number: Any) -> bool:
        return super().__contains__(number ^ SECRET)

    def __iter__(self) -> Iterator[int]:
        for place in super().__iter__():
            yield place ^ SECRET

    def __eq__(self, other: object) -> bool:
        return dict(self.items()) == other

    __hash__ = None  # as of any dictionary

    def get(self, number: int, default: Any = None, /) -> Any:
        """What has that number, or `default`."""
        return super().get(number ^ SECRET, default)

    def pop(self, number: int, default: Any = None, /) -> Any:
        """What has that number, or `default`; it has it no more."""
        return super().pop(number ^ SECRET, default)

    def keys(self) -> KeysView[int]:  # type: ignore[override]  # a view as of any mapping
        """The numbers."""
        return KeysView(self)

    def items(self) -> list[tuple[int, V]]:  # type: ignore[override]  # which takes less time than a view
        """The numbers, and what has them."""
        return [(place ^ SECRET, value) for place, value in super().items()]


def count(counts: Numbered[int], number: int, more: int = 1) -> None:
    """Count `more` of what has that number."""
    place = number ^ SECRET
    _set(counts, place, _get(counts, place, 0) + more)
