"""Batches of the peer's: many calls that came in one message, and are answered in one."""

from __future__ import annotations

from typing import Any

from pellucid.core.weights import memory_of
from pellucid.wire.messages import Batch, MethodCall

__all__ = ["BatchRun"]


class BatchRun:
    """A batch of the peer's that is under way: what its calls have ended in so far."""

    __slots__ = (
        "_batch",
        "call_id",
        "given_up",
        "items",
        "kept",
        "left",
        "made",
        "outcomes",
        "results",
        "share",
        "size",
    )

    deadline = None
    """A batch has none that comes as one of these to be run: each of its calls has its own then."""

    def __init__(self, batch: Batch) -> None:
        self.call_id: int = batch.call_id
        self.items: list[Any] | None = batch.items
        """See `Batch.items`."""
        self.outcomes: list[Any] = [_UNDER_WAY] * len(batch)
        """By place: a result, or `CallFailed`."""
        self.left: int = len(batch)
        """How many have not ended."""
        self.given_up: bool = False
        """Whether its caller has given it up."""
        self.made: list[MethodCall] | None = None
        """Its calls, by place, where anybody asked for them."""
        held = [(call.args, call.kwargs) for call in batch.calls] if batch.items is None else batch.items
        self.size: int = memory_of(held, batch.size)
        """Bytes that it takes in memory, roughly."""
        self.share: int = batch.size // (len(batch) or 1)
        """The size that each of its calls came with."""
        self.kept: dict[str, int] = {}
        """How many of its calls are kept, by where; see `pellucid.core.calls.keep`."""
        self.results: int = 0
        """Bytes of the results among the outcomes, roughly."""
        self._batch = batch

    @property
    def calls(self) -> list[MethodCall]:
        """Its calls, by place."""
        if self.made is None:
            self.made = self._batch.calls
            self.items = self._batch.items = None
            for call, outcome in zip(self.made, self.outcomes, strict=True):
                call.batch = self
                call.ended = outcome is not _UNDER_WAY
        return self.made

    def end(self, place: int, outcome: Any) -> None:
        """The call at `place` has ended so."""
        self.outcomes[place] = outcome
        self.left -= 1
        if self.made is not None:
            self.made[place].ended = True
            self._forget(self.made, place)

    def abandon(self) -> None:
        """Nobody waits for the answer any more: what runs may run on, and needs neither results nor what waits."""
        self.outcomes = [outcome if outcome is _UNDER_WAY else None for outcome in self.outcomes]
        for call in self.made or ():
            if call is not _ENDED:
                call.args, call.kwargs = (), {}

    def forget_ended(self) -> None:
        """Some are under way still: nothing but the outcome is to be kept of each that is not."""
        made = self.calls
        for place, call in enumerate(made):
            if call.ended:
                self._forget(made, place)

    @staticmethod
    def _forget(made: list[MethodCall], place: int) -> None:
        if made[place].perspective is None:
            made[place] = _ENDED

    @property
    def perspectives(self) -> list[Any]:
        """Through whose eyes each outcome is seen."""
        if self.made is None:
            return [None] * len(self.outcomes)
        return [call.perspective for call in self.made]


_ENDED = MethodCall(0, b"", "", (), {})
"""Stands among the calls of a batch for those that have ended."""
_ENDED.ended = True

_UNDER_WAY = object()
"""Stands among the outcomes of a batch for those that are still to come."""
