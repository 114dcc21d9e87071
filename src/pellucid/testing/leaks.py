"""Finding references to a peer's objects that somebody still holds when the connection is over."""

from __future__ import annotations

import asyncio
import gc
from collections import deque
from functools import partial
from types import (
    AsyncGeneratorType,
    CellType,
    CoroutineType,
    FrameType,
    GeneratorType,
    MethodType,
    TracebackType,
)
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from pellucid.asyncio.connection import Connection
from pellucid.core.caches import CacheObserver
from pellucid.core.references import RemoteReference

__all__ = ["Watch"]

C = TypeVar("C", bound=Connection)

CONTAINERS = (dict, list, set, frozenset, tuple, deque, partial, CellType, MethodType)
"""Of these it is said what holds them in turn."""

MOST_HOLDERS = 4
"""How far it is said what holds what."""


class Watch:
    """Knows each reference and each observer that came in over the connections it watches, for as long as it lives.

    References to roots are no matter: they are made here, and the peer counts none of them.
    """

    def __init__(self) -> None:
        self._seen: WeakKeyDictionary[RemoteReference | CacheObserver, str] = WeakKeyDictionary()
        self._roots: list[object] = []
        self._ends: WeakKeyDictionary[Connection, tuple[Any, Any]] = WeakKeyDictionary()

    def keep(self, root: object) -> None:
        """Keep `root` alive, as a server does: what it holds of clients that are gone is a leak."""
        self._roots.append(root)

    def over(self, connection_class: type[C], end: str) -> type[C]:
        """A `connection_class` that is watched; `end` says which end of a connection it is, for people."""
        seen, ends = self._seen, self._ends
        reference_base: Any = connection_class.reference_class
        observer_base: Any = connection_class.observer_class
        base: Any = connection_class

        class Reference(reference_base):  # type: ignore[misc]  # it is known at run time alone
            __slots__ = ()

            @classmethod
            def made(cls, keeper: Any, export_id: Any, perspective: Any = None) -> RemoteReference:
                reference: RemoteReference = super().made(keeper, export_id, perspective)
                if not isinstance(export_id, bytes):
                    seen[reference] = f"at {end}"
                return reference

        class Observer(observer_base):  # type: ignore[misc]  # as above
            def __init__(self, *args: Any) -> None:
                super().__init__(*args)
                seen[self] = f"at {end}"

        class Watched(base):  # type: ignore[misc]  # as above
            __slots__ = ()

            reference_class = Reference
            observer_class = Observer

            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                ends[self] = transport.get_extra_info("sockname"), transport.get_extra_info("peername")
                super().connection_made(transport)

        for ours, theirs in (Reference, reference_base), (Observer, observer_base), (Watched, base):
            ours.__name__ = theirs.__name__
        return Watched

    def note(self) -> None:
        """Note what each reference stands for, and how often it was received: while both ends of its connection live.

        Run it in the thread of their loop.
        """
        by_name = {names: connection for connection, names in self._ends.items()}
        for held, where in list(self._seen.items()):
            connection = held.keeper.door
            here, there = self._ends[connection]
            owner = by_name.get((there, here))
            if owner is None or connection.is_closed:
                continue
            books = owner.broker.books
            exports: dict[Any, Any] = dict(books.exports.items())
            export = exports.get(held.export_id) if isinstance(held, RemoteReference) else None
            if export is not None:
                times = "once" if export.count == 1 else f"{export.count} times"
                self._seen[held] = f"to a {type(export.obj).__qualname__}, received {times} {where}"

    def leaks(self) -> list[str]:
        """What is held still, and by what: a line for each, for people. Ask when nobody should hold any of it."""
        gc.collect()
        if self._seen:
            _forget_errors()
            gc.collect()
        held = list(self._seen.items())
        lines: list[str] = []
        for each, where in held:  # no generator: it would be one more that holds it
            lines.append(f"{each!r} {where}; held by {' of '.join(_holders(each, [held, *held, self._roots]))}")
        return sorted(lines)


def _forget_errors() -> None:
    """Let go of what only errors hold, by the frames they were raised in: logs and test runners keep errors."""
    objects = gc.get_objects()
    suspended = {id(_frame_of(each)) for each in objects}
    for each in objects:
        if isinstance(each, TracebackType) and id(each.tb_frame) not in suspended:
            try:
                each.tb_frame.clear()
            except RuntimeError:
                pass  # it is running


def _frame_of(thing: object) -> FrameType | None:
    """Where a coroutine or a generator goes on, where it is one, and does."""
    if isinstance(thing, CoroutineType):
        return thing.cr_frame
    if isinstance(thing, GeneratorType):
        return thing.gi_frame
    return thing.ag_frame if isinstance(thing, AsyncGeneratorType) else None


def _holders(held: object, search: list[Any]) -> list[str]:
    """By what kind of thing `held` is held, by what that is, and so on, as far as that is simple to tell.

    What belongs to the `search` does not count.
    """
    kinds: list[str] = []
    passed = {id(search), *map(id, search)}
    while len(kinds) < MOST_HOLDERS:
        passed.add(id(held))
        holder = next((each for each in gc.get_referrers(held) if not _is_passing(each, passed)), None)
        if holder is None:
            break
        kinds.append(_kind_of(holder))
        if type(holder) not in CONTAINERS or kinds[-1].startswith("module "):
            break
        held = holder
    return kinds or ["something that can't be told"]


def _is_passing(holder: object, passed: set[int]) -> bool:
    """Whether `holder` is part of the search rather than what is looked for."""
    return id(holder) in passed or isinstance(holder, FrameType | type(iter([])))


def _kind_of(holder: object) -> str:
    if isinstance(holder, dict) and "__name__" in holder and "__spec__" in holder:
        return f"module {holder['__name__']}"
    return f"a {type(holder).__qualname__}"
