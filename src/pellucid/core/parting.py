"""Objects that the peer has just released, and that may come home all the same."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

from pellucid.core.calls import PendingCalls

__all__ = ["Parting"]

T = TypeVar("T")

MOST = 1000
"""How many are kept: a release and the answer that brings such an object home follow each other closely."""


class Parting(Generic[T]):
    """What was released while calls of ours were under way, until those are answered.

    A Twisted peer may release a reference first and send it home in an answer right after (its ticket 2334). So an
    object just released is still found as data, though it can't be called any more.
    """

    __slots__ = ("_objects", "_pending", "kept", "of_references")

    def __init__(self, pending: PendingCalls) -> None:
        self.of_references: bool = True
        """Whether references that are released are kept. A copy may come home from an update that crossed its release,
        in every dialect."""
        self._pending = pending
        self._objects: dict[int, T] | None = None
        self.kept: deque[tuple[int, int]] | None = None
        """The last call made before each release, and what was released, where there was any."""

    def add(self, number: int, obj: T) -> None:
        """The peer has released `obj`, which it knew by `number`."""
        if len(self._pending):
            if self.kept is None or self._objects is None:
                self.kept, self._objects = deque(), {}
            self._objects[number] = obj
            self.kept.append((self._pending.last_id, number))
            if len(self.kept) > MOST:
                self._drop_first(self.kept)

    def get(self, number: int) -> T | None:
        """The object of that number, where it has only just gone."""
        return self._objects.get(number) if self._objects is not None else None

    def call_answered(self) -> None:
        """A call of ours was answered, and its answer read: forget what only it could bring home."""
        while self.kept and not self._pending.any_up_to(self.kept[0][0]):
            self._drop_first(self.kept)

    def clear(self) -> None:
        """The connection has ended: forget everything."""
        self._objects = self.kept = None

    def _drop_first(self, kept: deque[tuple[int, int]]) -> None:
        number = kept.popleft()[1]
        if self._objects is not None:
            self._objects.pop(number, None)
