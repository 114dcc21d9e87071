"""Batches of the peer's: many calls that came in one message, and are answered in one."""

from __future__ import annotations

from typing import Any

from pellucid.core.weights import PER_BYTE, WORTH_A_LOOK, memory_of
from pellucid.wire.messages import Batch, MethodCall, call_of_item

__all__ = ["BatchRun"]


class BatchRun:
    """A batch of the peer's that is under way: what its calls have ended in so far."""

    __slots__ = (
        "_perspectives",
        "call_id",
        "given_up",
        "items",
        "kept",
        "left",
        "outcomes",
        "results",
        "share",
        "size",
        "taken",
        "under_way",
    )

    deadline = None
    """A batch has none that comes as one of these to be run: each of its calls has its own then."""

    def __init__(self, batch: Batch) -> None:
        self.call_id: int = batch.call_id
        self.items: list[Any] | None = batch.items
        """See `Batch.items`."""
        self.outcomes: list[Any] = [_UNDER_WAY] * len(batch)
        """By place: a result, or `CallFailed`."""
        self.taken: int = 0
        """How many, from the first on, have begun or wait for their turn."""
        self.left: int = len(batch)
        """How many have not ended."""
        self.given_up: bool = False
        """Whether its caller has given it up: no further one of its calls is to begin."""
        self.under_way: dict[int, MethodCall] = {}
        """Its calls that have not ended, by place, in their order; of those that are items, the ones asked for."""
        self.size: int = (
            batch.size * PER_BYTE if batch.size < WORTH_A_LOOK else memory_of(_values_in(batch), batch.size)
        )
        """Bytes that it takes in memory, roughly."""
        self.share: int = batch.size // (len(batch) or 1)
        """The size that each of its calls came with."""
        self.kept: dict[str, int] = {}
        """How many of its calls are kept, by where; see `pellucid.core.calls.keep`."""
        self.results: int = 0
        """Bytes of the results among the outcomes, roughly."""
        self._perspectives: dict[int, Any] | None = None  # of calls that have ended, where there are any
        if batch.items is None:
            for place, call in enumerate(batch.calls):
                call.batch = self
                self.under_way[place] = call

    @property
    def calls(self) -> list[MethodCall]:
        """All of its calls, by place, before any has ended: for a door that runs them all at once."""
        calls = [self.call(place) for place in range(len(self.outcomes))]
        self.items = None
        return calls

    def call(self, place: int) -> MethodCall:
        """The call at `place`, which is to be run."""
        call = self.under_way.get(place)
        if call is None:
            call = self.under_way[place] = self.shown(place)
        return call

    def shown(self, place: int) -> MethodCall:
        """The call at `place`, for whoever tells of it. Of one that has ended the name may be forgotten."""
        call = self.under_way.get(place)
        if call is None:
            item = self.items[place] if self.items is not None else _FORGOTTEN
            call = call_of_item(place, item, self.share)
            call.batch = self
        return call

    def end(self, place: int, outcome: Any) -> None:
        """The call at `place`, one of those under way, has ended so."""
        self.outcomes[place] = outcome
        self.left -= 1
        call = self.under_way.pop(place)
        call.ended = True
        if call.perspective is not None:
            if self._perspectives is None:
                self._perspectives = {}
            self._perspectives[place] = call.perspective

    def abandon(self) -> None:
        """Nobody waits for the answer any more: what runs may run on, and needs neither results nor what waits."""
        self.outcomes = [outcome if outcome is _UNDER_WAY else None for outcome in self.outcomes]
        for call in self.under_way.values():
            call.args, call.kwargs = (), {}

    @property
    def perspectives(self) -> list[Any]:
        """Through whose eyes each outcome is seen."""
        seen_by, count = self._perspectives, len(self.outcomes)
        return [None] * count if seen_by is None else [seen_by.get(place) for place in range(count)]


_FORGOTTEN: tuple[int, str, list[Any]] = (0, "", [])
"""Stands for the item of a call that has ended while others run on: nothing but the outcome is kept of it."""

_UNDER_WAY = object()
"""Stands among the outcomes of a batch for those that are still to come."""


def _values_in(batch: Batch) -> list[Any]:
    """All that came with the calls of `batch`."""
    return [(call.args, call.kwargs) for call in batch.calls] if batch.items is None else batch.items
