"""Cacheables: ours that the peer holds copies of, and copies that we hold of the peer's.

The owner sends the state once and updates after that. A holder gives back a receipt for each time it was sent the
object and dropped it; when the owner has all of them back it says so, and until then the holder keeps the state, since
the owner may send the object again without it at any moment.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Any

from pellucid.core.calls import Call
from pellucid.core.parting import Parting
from pellucid.core.references import NO_OPTIONS, CallOptions, Keeper
from pellucid.core.tables import Knocking
from pellucid.errors import Error, LocalProtocolError, RemoteProtocolError
from pellucid.flavors.cacheable import Cacheable, RemoteCache
from pellucid.flavors.serializable import identity
from pellucid.wire.messages import SharedUpdate
from pellucid.wire.numbered import Numbered

__all__ = ["CacheExport", "CacheExports", "CacheImports", "CacheObserver", "update_all"]

_ONE_WAY = CallOptions(one_way=True)


class CacheObserver:
    """The peer's copy of a cacheable of ours. Each cacheable has one for each connection that holds a copy.

    It is equal to itself alone, so an owner can keep observers in a list, a set or a dictionary.
    """

    def __init__(self, keeper: Keeper, cache_id: int, perspective: Any) -> None:
        self.keeper = keeper
        self.export_id = cache_id
        """By which the peer knows its copy."""
        self.perspective = perspective
        self.observing: bool | None = None
        """Whether the peer has the copy: None before it is sent, False after it was dropped."""

    def call(self, name: str, /, *args: Any, **kwargs: Any) -> Call:
        """Run ``observe_name`` on the peer's copy; the result is the promise of its answer.

        Raises:
            DeadReferenceError: the connection has ended.
            LocalProtocolError: the peer does not have the copy yet, or not any more.
        """
        return self.keeper.promises.call(self, name, args, kwargs, NO_OPTIONS)

    def update(self, name: str, /, *args: Any, **kwargs: Any) -> Call:
        """As `call`, but no answer is wanted: the cheaper way to tell of a change."""
        return self.keeper.promises.call(self, name, args, kwargs, _ONE_WAY)

    to_cache = True

    @property
    def cache_id(self) -> int:
        """By which the peer knows its copy."""
        return self.export_id

    def live_target(self) -> CacheObserver:
        """What an update is aimed at. Raises LocalProtocolError where the peer does not have the copy."""
        if not self.observing:
            when = "has not been sent its copy yet" if self.observing is None else "has dropped its copy"
            raise LocalProtocolError(f"{self!r} can't be told: the peer {when}")
        return self

    def __repr__(self) -> str:
        return f"<CacheObserver {self.cache_id} observing={self.observing}>"


def update_all(
    observers: Iterable[CacheObserver], name: str, /, *args: Any, **kwargs: Any
) -> dict[CacheObserver, Exception]:
    """Run ``observe_name`` on the copies of many peers: as `update` on each, but what is sent is made only once.

    One that can't be told does not keep the others from it. Returns those that could not, and why: their connection
    has ended or the copy was dropped, of which the cacheable is told by `stopped_observing`; the peer reads too
    slowly, `Overloaded`, or an argument may not cross to it, and its copy is wrong from now on, so end its connection.
    """
    shared = SharedUpdate(name, args, kwargs)
    failed: dict[CacheObserver, Exception] = {}
    for observer in list(observers):
        try:
            observer.keeper.calling.update(observer, shared)
        except Exception as error:  # noqa: BLE001 - also what an application's hooks raise
            failed[observer] = error
    return failed


@dataclass(slots=True)
class CacheExport:
    """One cacheable of ours that the peer has a copy of."""

    obj: Cacheable
    key: Hashable
    observer: CacheObserver
    count: int = 1


class CacheExports:
    """Our cacheables of which the peer has copies."""

    __slots__ = ("_by_id", "_ids", "_observer", "_parting")

    def __init__(self, observer: Callable[[int, Any], CacheObserver], parting: Parting[object]) -> None:
        self._parting = parting  # cacheables just dropped by the peer: see `original`
        self._observer = observer
        self._by_id: Numbered[CacheExport] = Numbered()
        self._ids: dict[Hashable, int] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def items(self) -> list[tuple[int, CacheExport]]:
        """What the peer has copies of, by id."""
        return self._by_id.items()

    def find(self, obj: Cacheable) -> int | None:
        """The id of `obj`, where the peer has a copy."""
        return self._ids.get(identity(obj))

    def count_up(self, obj: Cacheable) -> int | None:
        """Count one more receipt of `obj` and return its id, where the peer has a copy."""
        cache_id = self.find(obj)
        if cache_id is not None:
            self._by_id[cache_id].count += 1
        return cache_id

    def add(self, obj: Cacheable, cache_id: int, perspective: Any) -> CacheObserver:
        """Enter `obj` with its first receipt."""
        key = identity(obj)
        observer = self._observer(cache_id, perspective)
        self._by_id[cache_id] = CacheExport(obj, key, observer)
        self._ids[key] = cache_id
        return observer

    def sent(self, cache_id: int) -> None:
        """The peer is being sent its copy: it may be updated from now on."""
        self._by_id[cache_id].observer.observing = True

    def original(self, cache_id: int) -> Cacheable:
        """The cacheable whose copy comes home, even if it was dropped just before.

        Raises:
            Error: the peer never had such a copy.
        """
        export: CacheExport | None = self._by_id.get(cache_id)
        obj = self._parting.get(cache_id) if export is None else export.obj
        if not isinstance(obj, Cacheable):
            raise Error("Invalid Object ID")
        return obj

    def release(self, cache_id: int, count: int) -> CacheExport | None:
        """The peer gives back `count` receipts; the result is the entry, where they were the last.

        Raises:
            RemoteProtocolError: it does not hold so many.
        """
        export: CacheExport | None = self._by_id.get(cache_id)
        if export is None or count > export.count:
            raise RemoteProtocolError("the peer dropped a cache that it does not hold")
        export.count -= count
        if export.count:
            return None
        del self._by_id[cache_id]
        del self._ids[export.key]
        self._parting.add(cache_id, export.obj)
        return export

    def take_all(self) -> list[CacheExport]:
        """Every entry; none is left."""
        exports = list(self._by_id.values())
        self._by_id.clear()
        self._ids.clear()
        self._parting.clear()
        return exports


class _CacheImport(weakref.ref[RemoteCache]):
    """A copy that the application holds, or has held, and its state."""

    __slots__ = ("cache_id", "cls", "copy_id", "receipts", "state")

    cache_id: int
    copy_id: int
    receipts: int
    cls: type[RemoteCache]
    state: dict[str, Any]


class CacheImports:
    """Copies that we hold of the peer's cacheables: one object for each, for as long as somebody here holds it."""

    __slots__ = ("_books", "_by_id", "_dropped", "_ids")

    def __init__(self, books: Knocking) -> None:
        self._books = books
        self._by_id: Numbered[_CacheImport] = Numbered()
        self._ids: dict[int, int] = {}  # by id() of the copy that the application holds
        self._dropped: list[_CacheImport] = []

    def __len__(self) -> int:
        return len(self._by_id)

    def add(self, cache_id: int, make: Callable[[], RemoteCache]) -> RemoteCache:
        """Enter the copy of a cacheable that arrives for the first time.

        Raises:
            RemoteProtocolError: it has arrived before.
        """
        if cache_id in self._by_id:
            raise RemoteProtocolError("the peer sent the state of a cacheable twice")
        copy = make()
        self._enter(cache_id, copy, receipts=1)
        return copy

    def items(self) -> dict[int, RemoteCache]:
        """The copies that the application holds now, by id."""
        held = {cache_id: entry() for cache_id, entry in self._by_id.items()}
        return {cache_id: copy for cache_id, copy in held.items() if copy is not None}

    def receive(self, cache_id: int) -> RemoteCache:
        """The copy, with one more receipt. Raises Error where there is none."""
        copy = self.target(cache_id)
        self._by_id[cache_id].receipts += 1
        return copy

    def keep_state(self, cache_id: int) -> None:
        """The state of the copy has been set: keep it from now on, even when the copy is dropped."""
        entry = self._by_id.get(cache_id)
        copy = entry() if entry is not None else None
        if entry is not None and copy is not None:
            entry.state = vars(copy)

    def target(self, cache_id: int) -> RemoteCache:
        """The copy that its owner updates. Raises Error where there is none."""
        entry: _CacheImport | None = self._by_id.get(cache_id)
        if entry is None:
            raise Error("Invalid Object ID")
        copy = entry()
        if copy is None:
            # The application dropped it, and its owner did not know that yet.
            self._forget_copy(entry)
            copy = entry.cls.__new__(entry.cls)
            copy.__dict__ = entry.state
            self._enter(cache_id, copy, receipts=0)
        return copy

    def id_of(self, copy: RemoteCache) -> int | None:
        """By which number the owner of `copy` knows it, where it is the peer of this connection."""
        cache_id = self._ids.get(id(copy))
        entry = self._by_id.get(cache_id) if cache_id is not None else None
        return cache_id if entry is not None and entry() is copy else None

    def forget(self, cache_id: int) -> None:
        """The owner has all receipts back. It says so of copies, too, that could not be decoded and never were here."""
        entry = self._by_id.pop(cache_id, None)
        if entry is not None:
            self._forget_copy(entry)

    def take_dropped(self) -> list[tuple[int, int]]:
        """Ids and receipts of copies that were dropped since; their state is kept until `forget`."""
        dropped: list[tuple[int, int]] = []
        while self._dropped:
            entry = self._dropped.pop()  # from the end: another thread may add to it at any moment
            if entry.receipts:
                dropped.append((entry.cache_id, entry.receipts))
        dropped.reverse()
        return dropped

    def clear(self) -> None:
        """The connection has ended: forget everything."""
        self._by_id.clear()
        self._ids.clear()
        self._dropped.clear()

    def _enter(self, cache_id: int, copy: RemoteCache, receipts: int) -> None:
        entry = _CacheImport(copy, self._note)
        entry.cache_id, entry.copy_id, entry.receipts = cache_id, id(copy), receipts
        entry.cls, entry.state = type(copy), vars(copy)
        self._by_id[cache_id] = entry
        self._ids[entry.copy_id] = cache_id

    def _forget_copy(self, entry: _CacheImport) -> None:
        # Another copy may have come to live at the same address since.
        if self._ids.get(entry.copy_id) == entry.cache_id:
            del self._ids[entry.copy_id]

    def _note(self, entry: weakref.ref[RemoteCache]) -> None:
        assert isinstance(entry, _CacheImport)
        self._dropped.append(entry)
        self._books.knock()
