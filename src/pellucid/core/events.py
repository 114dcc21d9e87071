"""What a broker tells its door.

A `MethodCall`, an `Answer`, a `CallFailed` and a `Cancel` are events themselves, completed by the broker with what it
found in its tables. A `BatchRun` has many calls to run one after another: ask `Serving.find_method` what to run just
before each, since those before it may change that. The others are here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pellucid.core.batches import BatchRun
from pellucid.core.calls import Call
from pellucid.flavors.cacheable import Cacheable
from pellucid.wire.messages import Answer, CallFailed, Cancel, MethodCall, NotUnderstood

__all__ = ["Event", "Lost", "Ready", "Released", "StoppedObserving"]


@dataclass(slots=True)
class Ready:
    """A dialect is agreed on: calls may be made."""

    dialect: str


@dataclass(slots=True)
class Released:
    """The peer holds an object of ours no more: run what was asked for."""

    cleanups: list[Callable[[], object]]


@dataclass(slots=True)
class StoppedObserving:
    """The peer holds the copy of a cacheable of ours no more: tell the cacheable."""

    cacheable: Cacheable
    observer: Any
    perspective: Any


Event = MethodCall | BatchRun | Answer | CallFailed | Cancel | NotUnderstood | Ready | Released | StoppedObserving


@dataclass(slots=True)
class Lost:
    """What a broker leaves behind when its connection ends. Take the parts in this order, each exactly once."""

    calls: list[tuple[Call, Exception]]
    """Calls under way, and what each ends in."""
    observers: list[StoppedObserving]
    """Cacheables that nobody there observes any more."""
