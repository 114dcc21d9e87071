"""Two brokers that speak the native dialect, on wires that carry only what a test lets through."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import replace
from typing import Any

from pellucid.core.calls import Call
from pellucid.errors import Error
from pellucid.flavors.referenceable import Referenceable, Root
from pellucid.limits import Limits
from pellucid.wire.dialects import dialects_named
from pellucid.wire.native.codes import Kind, Leaf
from tests.pair import Desk, Extension, Pair, Settings, Side, Stranger

__all__ = [
    "ERROR",
    "NATIVE",
    "ROOT",
    "SETTINGS",
    "Broken",
    "Counter",
    "Hall",
    "Later",
    "Notes",
    "Scene",
    "Stranger",
    "call_of",
    "is_clean",
    "promise",
    "reply",
    "stranger",
]

NATIVE = dialects_named(["pellucid"])

SETTINGS = Settings(dialects=NATIVE)

ROOT = "root"

ERROR = "twisted.spread.pb.Error"
"""What `pellucid.Error` is called on the wire."""


class Broken(Error):
    """Expected, and known to both sides."""


class Later:
    """A coroutine's wait for what a test decides on."""

    def __init__(self) -> None:
        self.result: Any = None
        self.is_there = False

    def __await__(self) -> Generator[None, None, Any]:
        while not self.is_there:
            yield
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


class Notes(Referenceable):
    """Notes what it is called with."""

    def __init__(self) -> None:
        self.noted: list[Any] = []

    def remote_note(self, value: Any = None, **named: Any) -> Any:
        self.noted.append(named or value)
        return value

    def remote_itself(self) -> Notes:
        return self

    def remote_fail(self, text: str = "as expected") -> None:
        raise Broken(text)


class Counter(Referenceable):
    """Counts up, and hands out others."""

    def __init__(self, number: int = 0) -> None:
        self.number = number

    def remote_next(self) -> Counter:
        return Counter(self.number + 1)

    def remote_number(self) -> int:
        return self.number

    def remote_three(self, factor: int) -> int:
        return 3 * factor


class Hall(Root):
    """Answers at once, or when a test says so."""

    def __init__(self) -> None:
        self.notes = Notes()
        self.laters: dict[str, Later] = {}
        self.finished: list[str] = []

    def remote_note(self, value: Any = None, **named: Any) -> Any:
        return self.notes.remote_note(value, **named)

    def remote_echo(self, value: Any = None) -> Any:
        return value

    def remote_all(self, *args: Any, **kwargs: Any) -> Any:
        return [*args, kwargs]

    def remote_fail(self, text: str = "as expected") -> None:
        raise Broken(text)

    def remote_notes(self) -> Notes:
        return self.notes

    def remote_fresh(self) -> Notes:
        return Notes()

    def remote_counter(self) -> Counter:
        return Counter()

    async def remote_later(self, name: str = "it") -> Any:
        self.laters[name] = later = Later()
        try:
            return await later
        finally:
            self.finished.append(name)


class Scene:
    """A pair whose server answers `later` when it is told to, and whose wires are held."""

    def __init__(
        self,
        hall: Root | None = None,
        limits: Limits | None = None,
        *,
        client: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        self.hall: Any = hall or Hall()
        settings = replace(SETTINGS, limits=limits or Limits(), **options)
        self.pair = Pair(self.hall, client_root=Desk(), server=settings, client=replace(settings, **(client or {})))
        self.root = self.pair.root
        self.server, self.client = self.pair.server, self.pair.client
        self.pair.to_server.held = self.pair.to_client.held = True

    def there(self) -> int:
        """Carry what the client has to say; how many bytes that was."""
        self.pair.flush()
        return self.pair.to_server.deliver()

    def back(self) -> int:
        """Carry what the server has to say; how many bytes that was."""
        self.server.go_on()
        self.pair.flush()
        return self.pair.to_client.deliver()

    def round_trip(self) -> None:
        """There and back, once."""
        self.there()
        self.back()

    def finish(self) -> None:
        """Let everything through from now on."""
        self.pair.to_server.held = self.pair.to_client.held = False
        self.pair.pump()

    def later(self, name: str = "it") -> Any:
        """A call that is under way until `give`."""
        return self.root.call("later", name)

    def give(self, result: Any, name: str = "it") -> None:
        """Answer it, where it has arrived."""
        later = self.hall.laters[name]
        later.result, later.is_there = result, True
        self.server.go_on()

    def results(self, calls: Iterable[Call]) -> list[Any]:
        """What they ended in: results, or errors."""
        return [call.error if call.error is not None else call.outcome() for call in calls]

    @property
    def noted(self) -> list[Any]:
        notes: list[Any] = self.hall.notes.noted
        return notes

    def kinds(self, *, of_client: bool = True) -> list[Kind]:
        """What was said so far by one side, greeting aside."""
        wire = self.pair.to_server if of_client else self.pair.to_client
        return [Kind(message[0]) for message in wire.said() if isinstance(message, list)]


def is_clean(side: Side) -> bool:
    """Whether all tables are empty, those of calls and answers included."""
    arrivals = side.broker.arrivals
    held = (arrivals.running, arrivals.ready, arrivals._promised, arrivals._waiting, arrivals._kept)
    counts = (arrivals._kept_bytes, arrivals._waiting_bytes, side.broker.outgoing.queued_bytes)
    return side.is_empty() and not any(held) and not any(counts) and not side.broker.outgoing.lane


def stranger(hall: Root | None = None, limits: Limits | None = None, **kwargs: Any) -> Stranger:
    """A peer that says in the native dialect what a test makes it say."""
    settings = replace(SETTINGS, limits=limits or Limits())
    return Stranger(hall or Hall(), settings, dialect="pellucid", **kwargs)


def call_of(number: int, name: str, *args: Any, target: Any = ROOT, kind: Kind = Kind.CALL) -> list[Any]:
    """The message that calls a method."""
    return [kind.value, number, target, name, [*args]]


def promise(number: int) -> Extension:
    """What stands for the result of that call."""
    return Extension(Leaf.PROMISE.value, number.to_bytes(4, "big"))


def reply(messages: list[Any]) -> dict[int, Any]:
    """By number of the call, the result or, of an error, a pair of its class's name and its text."""
    replies: dict[int, Any] = {}
    for kind, number, value, *_ in messages:
        if kind == Kind.ANSWER:
            replies[number] = value
        elif kind == Kind.FAIL:
            replies[number] = (value[1], value[2])
    return replies
