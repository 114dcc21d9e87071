"""How methods are called, and how that is written."""

from __future__ import annotations

import functools
import inspect
from typing import Any

import pellucid as pb
from pellucid.flavors.signatures import method_signature, signature_text


def test_a_signature_is_shown_as_it_was_written() -> None:
    def order(item: list[str], count: int = 1, *, by: pb.Root | None = None) -> pb.Root:
        return pb.Root()

    assert signature_text(inspect.signature(order)) == (
        "(item: list[str], count: int = 1, *, by: pb.Root | None = None) -> pb.Root"
    )


def test_a_method_is_called_without_what_it_is_called_on() -> None:
    def wrapped(self: Any, session: int) -> None: ...

    class Shop:
        def plain(self, item: str) -> None: ...

        @classmethod
        def of_class(cls, item: str) -> None: ...

        @staticmethod
        def static(item: str) -> None: ...

        def rest(*args: Any) -> None: ...

        @functools.wraps(wrapped)
        def wrapper(self, item: str) -> None: ...

    taken = {name: [*method_signature(Shop, name).parameters] for name in vars(Shop) if not name.startswith("_")}
    assert taken == {
        "plain": ["item"],
        "of_class": ["item"],
        "static": ["item"],
        "rest": ["args"],
        "wrapper": ["session"],
    }
    assert [*method_signature(Shop, "wrapper", follow_wrapped=False).parameters] == ["item"]
