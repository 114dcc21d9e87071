"""What a value would be if it had been to the peer and come back.

A call may be given what another one results in before the caller has that: it goes from one method to the next without
leaving this side. All the same it arrives there as a copy, and only if it may cross, as it would if its caller had
handed it on: else a peer could let one method change what belongs to another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pellucid.core.views import bare
from pellucid.flavors.cacheable import Cacheable, RemoteCache
from pellucid.flavors.policy import Policy
from pellucid.flavors.referenceable import Referenceable
from pellucid.flavors.registry import Registry
from pellucid.flavors.serializable import Held
from pellucid.limits import Limits
from pellucid.wire.dialect import DialectClass, Ledger, Sharing
from pellucid.wire.messages import Answer, CallFailed, ExportId

__all__ = ["Loopback"]

_PLAIN = frozenset({type(None), bool, int, float, str, bytes})


class Loopback(Ledger):
    """A ledger whose two sides are one: what is exported is the same object when it arrives."""

    def __init__(self, ledger: Ledger, dialect: DialectClass) -> None:
        self.registry: Registry = ledger.registry
        self.policy: Policy = ledger.policy
        self.limits: Limits = ledger.limits
        self.sharing: Sharing = ledger.sharing
        self._things: list[Any] = []
        self._dialect = dialect(self)
        self._dialect.receive_data(self._dialect.greeting())

    def bring_back(self, value: Any, perspective: Any) -> Any:
        """`value`, as the peer that saw it through the eyes of `perspective` would hand it on.

        Raises:
            InsecureJelly: it may not cross, in one direction or the other.
            LimitExceeded: it is too large.
        """
        if type(value) in _PLAIN or isinstance(value, Referenceable | Held):
            return bare(value) if isinstance(value, Held) else value
        try:
            data = self._dialect.encode(Answer(0, value, perspective))
            pieces = [data] if isinstance(data, bytes) else []
            while not isinstance(data, bytes) and data.left:
                pieces += map(bytes, data.next_piece(data.left))
            self._dialect.receive_data(b"".join(pieces))
            answer = self._dialect.next_message()
        finally:
            self._things.clear()
        if isinstance(answer, CallFailed):
            raise answer.error
        assert isinstance(answer, Answer)  # as was sent
        return answer.value

    def _add(self, thing: Any) -> int:
        self._things.append(thing)
        return len(self._things) - 1

    # Ledger.

    def export(self, obj: Referenceable) -> int:
        return self._add(obj)

    def unexport(self, export_id: int) -> None:
        """Nothing is counted here."""

    def export_cache(self, obj: Cacheable, perspective: Any) -> tuple[int, None]:
        return self._add(obj), None

    def cache_sent(self, cache_id: int) -> None:
        """Nothing is counted here."""

    def unexport_cache(self, cache_id: int) -> None:
        """Nothing is counted here."""

    def id_at_home(self, held: Held) -> ExportId:
        return self._add(bare(held))

    def import_reference(self, export_id: int, cls: type[Held] | None = None, target: ExportId | None = None) -> Any:
        return self._things[export_id]

    def see_through(self, references: Mapping[int, int], target: ExportId) -> None:
        """What is sent and what arrives is the same object."""

    def exported(self, export_id: ExportId) -> object:
        assert isinstance(export_id, int)  # there are no names here
        return self._things[export_id]

    def exported_cache(self, cache_id: int) -> Cacheable:
        cacheable: Cacheable = self._things[cache_id]
        return cacheable

    def import_cache(self, cache_id: int, make: Callable[[], RemoteCache]) -> RemoteCache:
        raise AssertionError("the state of a cacheable does not travel here")

    def cache_filled(self, cache_id: int) -> None:
        """The state of a cacheable does not travel here."""

    def imported_cache(self, cache_id: int) -> Any:
        return self._things[cache_id]

    def disown(self, references: Mapping[int, int], caches: Mapping[int, int]) -> None:
        """Nothing is counted here."""
