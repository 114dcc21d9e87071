"""The words that the core speaks: what one broker can say to another, whatever the dialect.

A message is a small value. On the way in the broker completes a `MethodCall` with what it found in its tables and hands
that same object to the door, so that a call costs one object in each direction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = [
    "NUMBER_BITS",
    "Answer",
    "Batch",
    "BatchAnswer",
    "CallFailed",
    "Cancel",
    "Command",
    "DropCache",
    "ExportId",
    "Message",
    "MethodCall",
    "NotUnderstood",
    "Ping",
    "Pong",
    "Promised",
    "Release",
    "ReleaseCache",
    "Seen",
    "SharedUpdate",
    "Unknown",
    "method_name",
]

NUMBER_BITS = 64
"""Of what peers number: calls, objects, caches. Among longer ints a peer finds as many of one hash as it likes, and a
table of those is searched through at every look-up."""

_SHOWN = 100
"""Characters of the name of a method that are shown."""

ExportId = int | bytes
"""What stands for an exported object: a number, or the name of one that is published under a name."""


@dataclass(slots=True, unsafe_hash=True)
class Promised:
    """What a call that the sender made before results in: a target, or an argument."""

    call_id: int


def method_name(name: object) -> str:
    """`name` as it is sent: a plain str, which a member of a StrEnum is not.

    Raises:
        TypeError: it is no str.
    """
    if not isinstance(name, str):
        raise TypeError(f"the name of a method is a str, not {type(name).__name__}")
    return str.__str__(name)


@dataclass(slots=True)
class MethodCall:
    """Run a method of an object that the receiver exported or, where `to_cache` is true, holds as a cache."""

    call_id: int
    target: ExportId | Promised
    name: str
    args: tuple[Any, ...] | list[Any]
    kwargs: dict[str, Any]
    size: int = 0
    """Bytes that it took on the wire; of a call in a batch, its share. The receiver's broker puts here what it takes in
    memory, roughly, and adds the results that it is given."""

    wants_answer: bool = field(default=True, init=False)
    to_cache: bool = field(default=False, init=False)
    """The owner of a cacheable updates a holder's copy: `target` is a cache id."""
    perspective: Any = field(default=None, init=False)
    """Through whose eyes the values are seen. On the way in the broker fills it from the target."""
    timeout: float | None = field(default=None, init=False)
    """Seconds that the caller waits from now on; None where there is no end to that."""
    waits: bool = field(default=False, init=False)
    """Whether its target or an argument is a `Promised`."""
    came: Sequence[tuple[int, int]] | None = field(default=None, init=False)
    """Receipts that came with it, by number, where its target is a `Promised`: see `Ledger.see_through`."""
    batch: Any = field(default=None, init=False)
    """What gathers the answers of the `Batch` that it came in; `call_id` is its place there."""
    error: Exception | None = field(default=None, init=False)
    """What was wrong with the arguments; such a call is answered with it and not run."""
    method: Callable[..., Any] | None = field(default=None, init=False)
    """What to run; the broker fills it in."""
    deadline: float | None = field(default=None, init=False)
    """When the caller gives up, by the receiver's clock; the broker fills it in."""
    ended: bool = field(default=False, init=False)
    """Whether it was answered, or given up before it began; the broker fills it in."""
    begun: bool = field(default=False, init=False)
    """Whether its method, where that is a coroutine, has begun; the door fills it in."""
    handle: Any = field(default=None, init=False)
    """What the receiver's door runs it in."""

    @property
    def shown_name(self) -> str:
        """The name, as texts have it and as it is kept: a peer may choose one of megabytes."""
        return self.name[:_SHOWN]


class Batch:
    """Run many methods, in this order; they are answered together."""

    __slots__ = ("_calls", "call_id", "error", "items", "size", "timeout")

    def __init__(
        self,
        call_id: int,
        calls: list[MethodCall] | None = None,
        size: int = 0,
        *,
        items: list[Any] | None = None,
        timeout: float | None = None,
    ) -> None:
        self.call_id: int = call_id
        self._calls = calls
        self.items = items
        """In place of calls where there is nothing else to them: of each a number or text for the target, the name, and
        the arguments. Many that end as soon as they are made never need to be more."""
        self.size: int = size
        """Bytes that it took on the wire."""
        self.error: Exception | None = None
        """What was wrong with it as a whole; it is answered with that."""
        self.timeout: float | None = timeout
        """Seconds that the caller waits from now on; None where there is no end to that."""

    def __repr__(self) -> str:
        return f"Batch({self.call_id}, {self.calls}, {self.size}, timeout={self.timeout}, error={self.error!r})"

    def __len__(self) -> int:
        return len(self.items if self.items is not None else self.calls)

    @property
    def calls(self) -> list[MethodCall]:
        """Its calls, whose `call_id` is their place in the batch."""
        if self._calls is None:
            items = self.items or []
            size = self.size // (len(items) or 1)
            self._calls = [call_of_item(place, item, size) for place, item in enumerate(items)]
        return self._calls

    def fail(self, error: Exception) -> None:
        """None of it is to be run, for `error`."""
        self._calls, self.items, self.error = [], None, error


def call_of_item(place: int, item: Sequence[Any], size: int) -> MethodCall:
    """The call that is at `place` of a batch and of which `Batch.items` has no more than `item`."""
    target, name, args = item
    return MethodCall(place, target.encode() if type(target) is str else target, name, args, {}, size)


@dataclass(slots=True)
class BatchAnswer:
    """What the calls of a batch ended in."""

    call_id: int
    outcomes: list[Any]
    """In the order of the calls: a result, or `CallFailed`."""
    perspectives: list[Any]
    """Through whose eyes each result is seen on the way out."""
    call: Any = None
    """On the way in the broker puts here what the caller waits on."""


class SharedUpdate:
    """One change of cacheables that many copies are told of, on any number of connections: encoded once."""

    def __init__(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.name = name
        self.args = args
        self.kwargs = kwargs
        self.encoded: dict[object, Any] = {}
        """What dialects have made of it, each under a key of its own."""


@dataclass(slots=True)
class Answer:
    """The result of a call."""

    call_id: int
    value: Any
    perspective: Any = None
    """Through whose eyes the value is seen on the way out."""
    size: int = 0
    """Bytes that it took on the wire, where the dialect has a use for that."""
    call: Any = None
    """On the way in the broker puts here what the caller waits on."""
    brings_home: bool = field(default=False, init=False)
    """Whether objects of the receiver's are in it: its sender holds them for as long as it keeps the answer."""


@dataclass(slots=True)
class CallFailed:
    """What a call ended in instead of a result."""

    call_id: int
    error: BaseException
    with_traceback: bool = False
    """Whether the text of the traceback travels too."""
    raised: bool = False
    """Whether the method raised it, rather than the broker that was to run it."""
    size: int = 0
    """Bytes that it took on the wire, where the dialect has a use for that."""
    call: Any = None
    """On the way in the broker puts here what the caller waits on."""
    brings_home: bool = False
    """As of `Answer`."""


@dataclass(slots=True)
class Release:
    """The sender gives back receipts of the receiver's exports."""

    receipts: list[tuple[int, int]]
    """Numbers of exports, and how many receipts of each."""


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
class Cancel:
    """The sender has given that call of its up: the method need not run, or go on."""

    call_id: int
    call: Any = None
    """On the way in the broker puts the `MethodCall` here."""


@dataclass(slots=True)
class Seen:
    """The sender has the answers of these calls of its, and will not refer to what the calls result in any more."""

    call_ids: list[int]


@dataclass(slots=True)
class Ping:
    """The sender wants a sign of life."""

    number: int


@dataclass(slots=True)
class Pong:
    """A sign of life."""

    number: int


@dataclass(slots=True)
class Command:
    """A command of an application's own, which this side has no meaning for. What arrives of the kind is `Unknown`."""

    expression: Any
    """A list that starts with its name: what banana can carry."""


@dataclass(slots=True)
class NotUnderstood:
    """The sender was told something it has no meaning for, and went on."""

    name: str


@dataclass(slots=True)
class Unknown:
    """The peer said something that the dialect has no meaning for: it is told so with `NotUnderstood`."""

    name: str


Message = (
    MethodCall
    | Answer
    | CallFailed
    | Batch
    | BatchAnswer
    | Cancel
    | Seen
    | Release
    | ReleaseCache
    | DropCache
    | Ping
    | Pong
    | Command
    | NotUnderstood
    | Unknown
)
