"""The books of one connection: who holds what of whom. A dialect reads and writes them while it works."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from pellucid.core.caches import CacheExport, CacheExports, CacheImports, CacheObserver
from pellucid.core.calls import PendingCalls
from pellucid.core.door import Door
from pellucid.core.parting import Parting
from pellucid.core.promises import Promises
from pellucid.core.references import CallMaker, RemoteReference
from pellucid.core.tables import Exports, Imports
from pellucid.core.views import bare
from pellucid.errors import DeadReferenceError, ForeignReference, TooManyReferences
from pellucid.flavors.cacheable import Cacheable, RemoteCache
from pellucid.flavors.policy import Policy
from pellucid.flavors.referenceable import Referenceable
from pellucid.flavors.registry import Registry
from pellucid.flavors.serializable import Held
from pellucid.limits import Limits
from pellucid.wire.dialect import Ledger, Sharing
from pellucid.wire.messages import ExportId, Release, ReleaseCache
from pellucid.wire.numbered import Numbered, count

__all__ = ["Books"]

T = TypeVar("T")

RECEIPTS_AT_A_TIME = 100
"""Objects that are released in one message: a kilobyte or less, which fits whatever limits the peer has."""

_NO_RECEIPTS: Numbered[int] = Numbered()
"""Stands for those of a peer that is owed none."""


class Books(Ledger):
    """What this side exported, what it imported, and the receipts still to be given back.

    It is the `pellucid.wire.dialect.Ledger` of its broker, and what references know of their connection.
    """

    __slots__ = (
        "_cache_exports",
        "_cache_imports",
        "_cache_receipts",
        "_knocked",
        "_last_id",
        "_receipts",
        "calling",
        "closed",
        "door",
        "exports",
        "imports",
        "limits",
        "notices",
        "owes_releases",
        "parting",
        "pending",
        "policy",
        "promises",
        "registry",
        "sharing",
        "unsent_caches",
        "unsent_cleanups",
    )

    def __init__(
        self, registry: Registry, policy: Policy, limits: Limits, *, sharing: Sharing, calling: CallMaker, door: Door
    ) -> None:
        self.registry: Registry = registry
        self.policy: Policy = policy
        self.limits: Limits = limits
        self.sharing: Sharing = sharing
        self.calling: CallMaker = calling
        self.promises: Promises = calling.promises
        self.door: Door = door
        self.closed: bool = False
        self.pending: PendingCalls = PendingCalls(limits)
        self.parting: Parting[object] = Parting(self.pending)
        """Objects that the peer has just released, and may yet bring home."""
        self.exports: Exports = Exports(self.parting)
        self.imports: Imports = Imports(self)
        # Few connections have any.
        self._cache_exports: CacheExports | None = None
        self._cache_imports: CacheImports | None = None
        self.notices: OrderedDict[object, Callable[[], object]] | None = None
        """What to run when the connection ends, in the order asked for."""
        # Sequences that rarely hold anything begin as tuples, which take no memory.
        self.unsent_caches: Sequence[CacheExport] = ()
        """Cacheables that were given an observer and then not sent after all."""
        self.unsent_cleanups: Sequence[Callable[[], object]] = ()
        """What was to be run on the release of objects that were not sent after all."""
        self.owes_releases: bool = False
        """Whether there may be receipts to give back."""
        self._knocked = False
        self._last_id = 0
        # Receipts to be given back: of references and of caches, by id.
        self._receipts: Numbered[int] = _NO_RECEIPTS
        self._cache_receipts: Numbered[int] = _NO_RECEIPTS

    @property
    def cache_exports(self) -> CacheExports:
        """Our cacheables of which the peer has copies."""
        if self._cache_exports is None:
            self._cache_exports = CacheExports(self._observer, self.parting)
        return self._cache_exports

    @property
    def cache_imports(self) -> CacheImports:
        """Copies that we hold of the peer's cacheables."""
        if self._cache_imports is None:
            self._cache_imports = CacheImports(self)
        return self._cache_imports

    # What a dialect does while it encodes: see Ledger.

    def export(self, obj: Referenceable) -> int:
        return self.exports.enter(obj, self._new_id)

    def unexport(self, export_id: int) -> None:
        self.exports.take_back(export_id)

    def export_cache(self, obj: Cacheable, perspective: Any) -> tuple[int, CacheObserver | None]:
        cache_id = self.cache_exports.count_up(obj)
        if cache_id is not None:
            return cache_id, None
        cache_id = self._new_id()
        return cache_id, self.cache_exports.add(obj, cache_id, perspective)

    def unexport_cache(self, cache_id: int) -> None:
        unsent = self.cache_exports.release(cache_id, 1)
        if unsent is not None:
            self.unsent_caches = _with(self.unsent_caches, [unsent])

    def not_sent(self, obj: Referenceable) -> None:
        """`obj` was not sent after all: unless the peer holds it, see to what was to be run once it lets go of it."""
        cleanups = self.exports.not_sent(obj)
        if cleanups:
            self.unsent_cleanups = _with(self.unsent_cleanups, cleanups)

    def id_at_home(self, held: Held) -> ExportId:
        held = bare(held)
        if isinstance(held, RemoteReference) and held.keeper is self:
            if not held.alive:
                raise DeadReferenceError(f"{held!r} can't be sent: it was released, or its connection has ended")
            return held.export_id
        cache_id = self.cache_imports.id_of(held) if isinstance(held, RemoteCache) else None
        if cache_id is None:
            raise ForeignReference(f"{held!r} belongs to another connection and can't be given to a third party")
        return cache_id

    def cache_sent(self, cache_id: int) -> None:
        self.cache_exports.sent(cache_id)

    # What a dialect does while it decodes: see Ledger.

    def import_reference(
        self, export_id: int, cls: type[Held] | None = None, target: ExportId | None = None
    ) -> RemoteReference:
        reference = self.imports.receive(export_id)
        if reference is None:
            if self._imports_are_full():
                self._check_imports()
            made_as = cls if cls is not None and issubclass(cls, RemoteReference) else self.door.reference_class
            perspective = None if target is None else self.exports.perspective_of(target)
            reference = made_as.made(self, export_id, perspective)
            self.imports.add(export_id, reference)
        return reference

    def see_through(self, references: Mapping[int, int], target: ExportId) -> None:
        perspective = self.exports.perspective_of(target)
        if perspective is not None:
            for export_id, count in references.items():
                self.imports.see_through(export_id, count, perspective)

    def exported(self, export_id: ExportId) -> object:
        return self.exports.original(export_id)

    def exported_cache(self, cache_id: int) -> Cacheable:
        return self.cache_exports.original(cache_id)

    def import_cache(self, cache_id: int, make: Callable[[], RemoteCache]) -> RemoteCache:
        self._check_imports()
        return self.cache_imports.add(cache_id, make)

    def cache_filled(self, cache_id: int) -> None:
        self.cache_imports.keep_state(cache_id)

    def imported_cache(self, cache_id: int) -> RemoteCache:
        return self.cache_imports.receive(cache_id)

    def disown(self, references: Mapping[int, int], caches: Mapping[int, int]) -> None:
        self._receipts = _more(self._receipts, references.items())
        if caches:
            self._cache_receipts = _more(self._cache_receipts, caches.items())
        self.owes_releases = self.owes_releases or bool(self._receipts or self._cache_receipts)

    # What references do.

    def release(self, reference: RemoteReference) -> bool:
        """Give back one receipt; False where none is left."""
        export_id = reference.export_id
        if isinstance(export_id, bytes):
            return True  # published under a name: not counted
        self._receipts = _more(self._receipts, [(export_id, 1)])
        left = self.imports.release(export_id)
        self.knock()
        return left

    def notify_on_disconnect(self, callback: Callable[[], object]) -> Callable[[], None]:
        """Run `callback` when the connection ends; the result cancels that."""
        key = object()
        if self.notices is None:
            self.notices = OrderedDict()  # of a dict, the first of many that are left takes long to find
        self.notices[key] = callback

        def take_back() -> None:
            if self.notices is not None:
                self.notices.pop(key, None)

        return take_back

    # What the broker does.

    def take_releases(self) -> list[Release | ReleaseCache]:
        """Receipts to give back to the peer now."""
        self.owes_releases = False
        if self._knocked:
            self._knocked = False
            self._collect_dropped()
        releases: list[Release | ReleaseCache] = []
        if self._receipts:
            owed = self._receipts.items()
            for start in range(0, len(owed), RECEIPTS_AT_A_TIME):
                releases.append(Release(owed[start : start + RECEIPTS_AT_A_TIME]))
            self._receipts = _NO_RECEIPTS
        if self._cache_receipts:
            releases += [ReleaseCache(cache_id, count) for cache_id, count in self._cache_receipts.items()]
            self._cache_receipts = _NO_RECEIPTS
        return releases

    def owed(self, *, each: bool) -> int:
        """Of how many objects of the peer's receipts are to be given back; with `each`, how many receipts."""
        if self._knocked:
            self._knocked = False
            self._collect_dropped()
        if each:
            return sum(self._receipts.values()) + sum(self._cache_receipts.values())
        return len(self._receipts) + len(self._cache_receipts)

    @property
    def usage(self) -> dict[str, int]:
        """How many objects either side holds of the other, by the name of the limit."""
        exported = len(self._cache_exports) if self._cache_exports is not None else 0
        imported = len(self._cache_imports) if self._cache_imports is not None else 0
        return {
            "references_exported": len(self.exports) + exported,
            "references_imported": len(self.imports) + imported,
            "calls_pending": len(self.pending),
        }

    def close(self) -> None:
        """The connection has ended: every reference is dead and every table empty."""
        self.closed = True
        self.exports.clear()
        self.imports.clear()
        self._cache_exports = self._cache_imports = None
        self._receipts = self._cache_receipts = _NO_RECEIPTS

    def _observer(self, cache_id: int, perspective: Any) -> CacheObserver:
        return self.door.observer_class(self, cache_id, perspective)

    def _new_id(self) -> int:
        held = len(self.exports) + (len(self._cache_exports) if self._cache_exports is not None else 0)
        if held >= self.limits.references_exported:
            raise TooManyReferences("references_exported", self.limits.references_exported, held + 1)
        self._last_id += 1
        return self._last_id

    def _collect_dropped(self) -> None:
        self._receipts = _more(self._receipts, self.imports.take_dropped())
        if self._cache_imports is not None:
            self._cache_receipts = _more(self._cache_receipts, self._cache_imports.take_dropped())

    def _check_imports(self) -> None:
        if self._imports_are_full():
            self._collect_dropped()
        if self._imports_are_full():
            most = self.limits.references_imported
            raise TooManyReferences("references_imported", most, most + 1)

    def _imports_are_full(self) -> bool:
        caches = len(self._cache_imports) if self._cache_imports is not None else 0
        return len(self.imports) + caches >= self.limits.references_imported

    def knock(self) -> None:
        """There are receipts to give back. Called in any thread, in the middle of anything."""
        # Any thread, in the middle of anything: once a batch is enough.
        if not self._knocked and not self.closed:
            self._knocked = self.owes_releases = True
            self.door.knock()


def _with(kept: Sequence[T], more: Iterable[T]) -> list[T]:
    """`kept` with `more` behind it: a list grows; a tuple, which holds nothing, becomes a list."""
    grown = kept if isinstance(kept, list) else [*kept]
    grown.extend(more)
    return grown


def _more(owed: Numbered[int], receipts: Iterable[tuple[int, int]]) -> Numbered[int]:
    """`owed` with `receipts`, by id, added to it."""
    if owed is _NO_RECEIPTS:
        owed = Numbered()
    for number, more in receipts:
        if more > 0:
            count(owed, number, more)
    return owed
