"""The words that the core speaks: what one broker can say to another, whatever the dialect.

A message is a small value. On the way in the broker completes a `MethodCall` with what it found in its tables and hands
that same object to the door, so that a call costs one object in each direction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = [
    "Answer",
    "CallFailed",
    "DropCache",
    "ExportId",
    "Message",
    "MethodCall",
    "NotUnderstood",
    "Release",
    "ReleaseCache",
    "Unknown",
]

ExportId = int | bytes
"""What stands for an exported object: a number, or the name of one that is published under a name."""


@dataclass(slots=True)
class MethodCall:
    """Run a method of an object that the receiver exported or, where `to_cache` is true, holds as a cache."""

    call_id: int
    target: ExportId
    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    wants_answer: bool = True
    to_cache: bool = False
    """The owner of a cacheable updates a holder's copy: `target` is a cache id."""
    perspective: Any = None
    """Through whose eyes the values are seen. On the way in the broker fills it from the target."""
    error: Exception | None = None
    """What was wrong with the arguments; such a call is answered with it and not run."""
    method: Callable[..., Any] | None = None
    """What to run; the broker fills it in."""
    size: int = 0
    """Bytes that it took on the wire."""


@dataclass(slots=True)
class Answer:
    """The result of a call."""

    call_id: int
    value: Any
    perspective: Any = None
    """Through whose eyes the value is seen on the way out."""
    call: Any = None
    """On the way in the broker puts here what the caller waits on."""


@dataclass(slots=True)
class CallFailed:
    """What a call ended in instead of a result."""

    call_id: int
    error: BaseException
    with_traceback: bool = False
    """Whether the text of the traceback travels too."""
    call: Any = None
    """On the way in the broker puts here what the caller waits on."""


@dataclass(slots=True)
class Release:
    """The sender no longer holds `count` of its receipts of one of the receiver's exports."""

    export_id: int
    count: int = 1


@dataclass(slots=True)
class ReleaseCache:
    """The sender, who holds the copy of a cacheable, drops `count` of its receipts of it."""

    cache_id: int
    count: int = 1


@dataclass(slots=True)
class DropCache:
    """The sender, who owns a cacheable, has seen every receipt dropped: the receiver may forget the state as well."""

    cache_id: int


@dataclass(slots=True)
class NotUnderstood:
    """The sender was told something it has no meaning for, and went on."""

    name: str


@dataclass(slots=True)
class Unknown:
    """The peer said something that the dialect has no meaning for: it is told so with `NotUnderstood`."""

    name: str


Message = MethodCall | Answer | CallFailed | Release | ReleaseCache | DropCache | NotUnderstood | Unknown
