"""Exports, which the peer may call, and imports, which we hold; with their counts.

A count goes up with every time an object is sent, and down with every receipt that the other side gives back. When it
comes to nothing, the object is forgotten.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable, ItemsView, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pellucid.core.parting import Parting
from pellucid.core.references import RemoteReference
from pellucid.errors import Error, RemoteProtocolError
from pellucid.flavors.referenceable import Referenceable
from pellucid.flavors.serializable import identity
from pellucid.wire.messages import ExportId
from pellucid.wire.numbered import SECRET

__all__ = ["Exports", "Imports", "Knocking"]


@dataclass(slots=True)
class Export:
    """One object that the peer may call."""

    obj: Referenceable
    key: Hashable
    count: int = 0
    """Receipts that the peer has not given back."""


_NO_EXPORTS: dict[int, Export] = {}
_NO_IDS: dict[Hashable, int] = {}
"""Stand for tables that nothing was entered in: most connections never need them."""


class Exports:
    """Our objects that the peer may call: by number while it holds them, by name as long as they are published."""

    __slots__ = ("_by_id", "_cleanups", "_ids", "_others", "_parting", "_root", "changes")

    def __init__(self, parting: Parting[object]) -> None:
        self.changes: int = 0
        """How often a number or a name ceased to mean what it had meant."""
        self._parting = parting  # objects just released: see `original`
        # These are tables of their own once something is entered.
        self._by_id: dict[int, Export] = _NO_EXPORTS  # by number, mixed
        self._ids: dict[Hashable, int] = _NO_IDS
        # What is published: nearly always one object.
        self._root: tuple[bytes, Referenceable] | None = None
        self._others: dict[bytes, Referenceable] | None = None
        # What to run once the peer holds an object no more; the object is kept so that its identity stays its own.
        self._cleanups: dict[Hashable, list[tuple[Referenceable, Callable[[], object]]]] | None = None

    def __len__(self) -> int:
        return len(self._by_id)

    def items(self) -> ItemsView[int, Export]:
        """What the peer holds, by number."""
        return {place ^ SECRET: export for place, export in self._by_id.items()}.items()

    @property
    def has_cleanups(self) -> bool:
        """Whether anything is to be run once the peer holds some object no more."""
        return bool(self._cleanups)

    @property
    def named(self) -> Mapping[bytes, Referenceable]:
        """What is published, by name."""
        return {**dict((self._root,) if self._root is not None else ()), **(self._others or {})}

    def publish(self, name: bytes, obj: Referenceable) -> None:
        """Let the peer call `obj` by `name`, uncounted."""
        self.changes += 1
        if self._root is None or self._root[0] == name:
            self._root = name, obj
        else:
            self._others = {**(self._others or {}), name: obj}

    def find(self, obj: Referenceable) -> int | None:
        """The number of `obj`, where the peer holds it already."""
        return self._ids.get(identity(obj))

    def enter(self, obj: Referenceable, new_id: Callable[[], int]) -> int:
        """Count one more receipt of `obj`, under a new number where the peer does not hold it; the number."""
        key = identity(obj)
        export_id = self._ids.get(key)
        if export_id is None:
            if self._ids is _NO_IDS:
                self._by_id, self._ids = {}, {}
            export_id = self._ids[key] = new_id()
            self._by_id[export_id ^ SECRET] = Export(obj, key, 1)
        else:
            self._by_id[export_id ^ SECRET].count += 1
        return export_id

    def release(self, export_id: int, count: int) -> Sequence[Callable[[], object]]:
        """The peer gives back `count` receipts. Returns what to run where those were the last.

        Raises:
            RemoteProtocolError: it does not hold so many.
        """
        export = self._by_id.get(export_id ^ SECRET)
        if export is None or count > export.count:
            raise RemoteProtocolError("the peer released a reference that it does not hold")
        export.count -= count
        if export.count:
            return ()
        self._forget(export_id, export)
        if self._parting.of_references:
            self._parting.add(export_id, export.obj)
        return self._cleanups_of(export.key) if self._cleanups else ()

    def take_back(self, export_id: int) -> None:
        """One receipt was not sent after all."""
        export = self._by_id[export_id ^ SECRET]
        export.count -= 1
        if not export.count:
            self._forget(export_id, export)

    def target(self, export_id: ExportId) -> Referenceable:
        """What the peer calls. Raises Error where it may call no such thing, and does not say what exists."""
        if isinstance(export_id, bytes):
            named = self._published(export_id)
            if named is not None:
                return named
        else:
            export = self._by_id.get(export_id ^ SECRET)
            if export is not None:
                return export.obj
        raise Error("Invalid Object ID")

    def perspective_of(self, export_id: ExportId | None) -> Any:
        """Through whose eyes the peer sees when it calls that object; None where that is nobody in particular."""
        if isinstance(export_id, bytes):
            obj = self._published(export_id)
        else:
            export = self._by_id.get(export_id ^ SECRET) if export_id is not None else None
            obj = export.obj if export is not None else None
        return obj.perspective if obj is not None else None

    def original(self, export_id: ExportId) -> Referenceable:
        """The object that comes home, even if it was released just before. Raises Error where the peer never had it."""
        parting = self._parting.get(export_id) if isinstance(export_id, int) else None
        return parting if isinstance(parting, Referenceable) else self.target(export_id)

    def on_release(self, obj: Referenceable, cleanup: Callable[[], object]) -> None:
        """Run `cleanup` once the peer, which is about to be given `obj`, holds it no more."""
        if self._cleanups is None:
            self._cleanups = {}
        self._cleanups.setdefault(identity(obj), []).append((obj, cleanup))

    def not_sent(self, obj: Referenceable) -> list[Callable[[], object]]:
        """`obj` could not be sent. Returns what was to be run once the peer holds it no more, unless it does."""
        return [] if self.find(obj) is not None else self._cleanups_of(identity(obj))

    def clear(self) -> None:
        """The connection has ended: forget everything."""
        for table in (self._by_id, self._ids, self._parting):
            table.clear()
        self._root = self._others = self._cleanups = None

    def _published(self, name: bytes) -> Referenceable | None:
        if self._root is not None and self._root[0] == name:
            return self._root[1]
        return self._others.get(name) if self._others is not None else None

    def _cleanups_of(self, key: Hashable) -> list[Callable[[], object]]:
        return [cleanup for _, cleanup in self._cleanups.pop(key, ())] if self._cleanups else []

    def _forget(self, export_id: int, export: Export) -> None:
        self.changes += 1
        del self._by_id[export_id ^ SECRET]
        del self._ids[export.key]


class _Import(weakref.ref[RemoteReference]):
    """A reference that the application holds, and how often we received it."""

    __slots__ = ("export_id", "receipts")

    export_id: int
    receipts: int


class Knocking(Protocol):
    """Whose tables they are."""

    def knock(self) -> None:
        """There are receipts to give back. Called in any thread, in the middle of anything."""
        ...


_NO_IMPORTS: dict[int, _Import] = {}
"""As of exports."""


class Imports:
    """The peer's objects that we hold: one reference for each, for as long as somebody here holds it.

    A reference may be dropped in any thread, in the middle of anything: that only takes a note and knocks. The
    releases are made out by `take_dropped`, when the door asks.
    """

    __slots__ = ("_books", "_by_id", "_dropped", "_when_dropped")

    def __init__(self, books: Knocking) -> None:
        self._books = books
        self._by_id: dict[int, _Import] = _NO_IMPORTS  # by number, mixed
        self._dropped: list[_Import] = []
        # Bound once, when there is a reference: each has it.
        self._when_dropped: Callable[[weakref.ref[RemoteReference]], None] | None = None

    def __len__(self) -> int:
        return len(self._by_id)

    def receive(self, export_id: int) -> RemoteReference | None:
        """The reference to that object with one more receipt, where it is held."""
        held = self._by_id.get(export_id ^ SECRET)
        reference = held() if held is not None else None
        if held is not None and reference is not None:
            held.receipts += 1
        return reference

    def add(self, export_id: int, reference: RemoteReference) -> None:
        """Enter a reference made for an object received for the first time, or again after it was dropped."""
        if self._when_dropped is None:
            self._when_dropped = self._note
            self._by_id = {}
        held = _Import(reference, self._when_dropped)
        held.export_id = export_id
        held.receipts = 1
        self._by_id[export_id ^ SECRET] = held

    def see_through(self, export_id: int, count: int, perspective: Any) -> None:
        """Have calls of that object seen by `perspective`, where the last `count` receipts were the first."""
        held = self._by_id.get(export_id ^ SECRET)
        reference = held() if held is not None else None
        if held is not None and reference is not None and held.receipts == count:
            reference.perspective = perspective

    def release(self, export_id: int) -> bool:
        """Give back one receipt of a reference that is alive; False where none is left then."""
        held = self._by_id[export_id ^ SECRET]
        held.receipts -= 1
        if not held.receipts:
            del self._by_id[export_id ^ SECRET]
        return bool(held.receipts)

    def take_dropped(self) -> list[tuple[int, int]]:
        """Ids and receipts of references that were dropped since."""
        dropped: list[tuple[int, int]] = []
        while self._dropped:
            held = self._dropped.pop()  # from the end: another thread may add to it at any moment
            # The object may have been received again since, as a new reference.
            place = held.export_id ^ SECRET
            if self._by_id.get(place) is held:
                del self._by_id[place]
            dropped.append((held.export_id, held.receipts))
        dropped.reverse()
        return dropped

    def clear(self) -> None:
        """The connection has ended: forget everything."""
        self._by_id.clear()
        self._dropped.clear()
        self._when_dropped = None

    def _note(self, held: weakref.ref[RemoteReference]) -> None:
        assert isinstance(held, _Import)
        self._dropped.append(held)
        self._books.knock()
