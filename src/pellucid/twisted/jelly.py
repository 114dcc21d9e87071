"""Objects as s-expressions, with the names of twisted.spread.jelly.

An s-expression is bytes, an int, a float, or a list of s-expressions; `pellucid.twisted.banana` has them as bytes.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NoReturn

from zope.interface import classImplements

from pellucid.core.ledger import Books
from pellucid.errors import InsecureJelly
from pellucid.flavors.cacheable import Cacheable, Observer, RemoteCache
from pellucid.flavors.policy import BASIC_TYPES, Policy
from pellucid.flavors.referenceable import Referenceable
from pellucid.flavors.serializable import Held, Jellyable, Unjellyable, Unpersistable, qualified_name
from pellucid.limits import DEFAULT_LIMITS
from pellucid.twisted._codec import (
    Jellier,
    PersistentLoad,
    PersistentStore,
    Unjellier,
    decoders_for,
    encoders_for,
)
from pellucid.twisted._policy import (
    DummySecurityOptions,
    SecurityOptions,
    TagRegistry,
    Taster,
    TasterPolicy,
    globalSecurity,
    setUnjellyableFactoryForClass,
    setUnjellyableForClass,
    setUnjellyableForClassTree,
    unjellyableFactoryRegistry,
    unjellyableRegistry,
)
from pellucid.twisted.interfaces import IJellyable, IUnjellyable
from pellucid.wire.dialect import Ledger
from pellucid.wire.messages import ExportId
from pellucid.wire.pb.jelly import find_encoders
from pellucid.wire.pb.unjelly import attributes_filler

__all__ = [
    "DictTypes",
    "DummySecurityOptions",
    "IJellyable",
    "IUnjellyable",
    "InsecureJelly",
    "Jellyable",
    "None_atom",
    "SecurityOptions",
    "Unjellyable",
    "Unpersistable",
    "class_atom",
    "dereference_atom",
    "dictionary_atom",
    "frozenset_atom",
    "function_atom",
    "getInstanceState",
    "globalSecurity",
    "jelly",
    "list_atom",
    "module_atom",
    "persistent_atom",
    "reference_atom",
    "setInstanceState",
    "setUnjellyableFactoryForClass",
    "setUnjellyableForClass",
    "setUnjellyableForClassTree",
    "set_atom",
    "tuple_atom",
    "unjelly",
    "unjellyableFactoryRegistry",
    "unjellyableRegistry",
    "unpersistable_atom",
]

None_atom = b"None"
class_atom = b"class"
module_atom = b"module"
function_atom = b"function"
dereference_atom = b"dereference"
persistent_atom = b"persistent"
reference_atom = b"reference"
dictionary_atom = b"dictionary"
list_atom = b"list"
set_atom = b"set"
tuple_atom = b"tuple"
frozenset_atom = b"frozenset"
unpersistable_atom = b"unpersistable"

DictTypes: tuple[type[Any], ...] = (dict,)

classImplements(Jellyable, IJellyable)
classImplements(Unjellyable, IUnjellyable)


def jelly(
    object: Any,  # noqa: A002 - its name in PB
    taster: Taster = DummySecurityOptions(),  # noqa: B008 - it has no state
    persistentStore: PersistentStore | None = None,
    invoker: Any = None,
) -> Any:
    """`object` as an s-expression.

    Instances that `taster` does not allow become placeholders, unless ``persistentStore(instance, jellier)`` has an id
    for them. What is sent as a reference, or as the copy of a cacheable, takes the `pb.Broker` of its connection for an
    `invoker`, which counts it as sent. Without one, copyables are written as plain instances.

    Raises:
        InsecureJelly: something in it has no s-expression.
        LimitExceeded: it is nested too deeply.
    """
    policy = TasterPolicy(taster, invoker)
    jellier = Jellier(
        _ledger_for(policy),
        encoders_for(taster, find_encoders(BASIC_TYPES)),
        getattr(invoker, "serializingPerspective", None),
        policy=policy,
        persistent_store=persistentStore,
        placeholders=True,
    )
    try:
        expression = jellier.write(object)
    except BaseException:
        jellier.take_back()
        raise
    jellier.settle()
    return expression


def unjelly(
    sexp: Any,
    taster: Taster = DummySecurityOptions(),  # noqa: B008 - it has no state
    persistentLoad: PersistentLoad | None = None,
    invoker: Any = None,
) -> Any:
    """The object that the s-expression `sexp` stands for.

    An object that was written as an id is had from ``persistentLoad(id, unjellier)``; an `Unpersistable` stands for it
    where that is None. References take the `pb.Broker` of their connection for an `invoker`.

    Raises:
        InsecureJelly: `taster` does not allow something in it.
        RemoteProtocolError: it makes no sense.
        LimitExceeded: it is nested too deeply; shared structure stands for too much, unless anything is allowed.
    """
    policy = TasterPolicy(taster, invoker)
    unjellier = Unjellier(
        _ledger_for(policy),
        decoders_for(taster),
        placeholders=True,
        policy=policy,
        persistent_load=persistentLoad,
    )
    return unjellier.read(sexp)


def getInstanceState(inst: Any, jellier: Jellier) -> Any:
    """The s-expression of `inst` as a plain instance, for a ``jellyFor``."""
    state = inst.__getstate__()
    expression = jellier.prepare(inst)
    expression += [qualified_name(type(inst)).encode(), jellier.jelly(state)]
    return jellier.preserve(inst, expression)


def setInstanceState(inst: Any, unjellier: Unjellier, jellyList: Any) -> Any:
    """`inst` with the state of a plain instance, for an ``unjellyFor``."""
    attributes_filler(inst)(unjellier.unjelly(jellyList[1]))
    return inst


class _NoBooks(Ledger):
    """The books where there is no connection: nothing that takes one can be written or read."""

    def __init__(self, policy: TasterPolicy) -> None:
        self.registry = TagRegistry()
        self.policy: Policy = policy
        self.sharing = "graph"
        self.limits = _NO_LIMITS if isinstance(policy.taster, DummySecurityOptions) else DEFAULT_LIMITS
        self._invoker = policy.invoker

    def export(self, obj: Referenceable) -> int:
        """The number that an `invoker` of another kind has for it."""
        if self._invoker is None:
            raise _no_connection()
        number: int = self._invoker.registerReference(obj)
        return number

    def unexport(self, export_id: int) -> None:
        """The invoker knows of no such thing."""

    def export_cache(self, obj: Cacheable, perspective: Any) -> tuple[int, Observer | None]:
        raise _no_connection()

    def cache_sent(self, cache_id: int) -> None:
        raise _no_connection()

    def unexport_cache(self, cache_id: int) -> None:
        raise _no_connection()

    def id_at_home(self, held: Held) -> ExportId:
        raise _no_connection()

    def import_reference(self, export_id: int, cls: type[Held] | None = None, target: ExportId | None = None) -> Held:
        raise _no_connection()

    def exported(self, export_id: ExportId) -> NoReturn:
        raise _no_connection()

    def exported_cache(self, cache_id: int) -> Cacheable:
        raise _no_connection()

    def import_cache(self, cache_id: int, make: Callable[[], RemoteCache]) -> RemoteCache:
        raise _no_connection()

    def cache_filled(self, cache_id: int) -> None:
        raise _no_connection()

    def imported_cache(self, cache_id: int) -> RemoteCache:
        raise _no_connection()

    def see_through(self, references: Mapping[int, int], target: ExportId) -> None:
        """There are none."""

    def disown(self, references: Mapping[int, int], caches: Mapping[int, int]) -> None:
        """There are none."""


_NO_LIMITS = replace(DEFAULT_LIMITS, expanded_elements=sys.maxsize, odd_keys=sys.maxsize)


def _no_connection() -> InsecureJelly:
    return InsecureJelly("references and cacheables cross a connection only: give its pb.Broker as the invoker")


def _ledger_for(policy: TasterPolicy) -> Ledger:
    books = getattr(policy.invoker, "books", None)
    return books if isinstance(books, Books) else _NoBooks(policy)


def __getattr__(name: str) -> Any:
    if name == "instance_atom":
        warnings.warn(
            "twisted.spread.jelly.instance_atom was deprecated in Twisted 15.0.0: "
            "instance_atom is unused within Twisted.",
            DeprecationWarning,
            stacklevel=2,
        )
        return b"instance"
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
