"""Jelly: objects as s-expressions that banana can carry.

The forms are those of twisted.spread.jelly (26.10), watched on the wire and byte for byte the same: plain values as
tagged lists, flavors as references or tagged state, and an object met twice in one expression as a numbered
``reference`` the first time and a ``dereference`` after that. The page docs/reference/protocol-pb.md lists them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import FunctionType, ModuleType
from typing import Any

from pellucid.errors import InsecureJelly, LimitExceeded
from pellucid.flavors.cacheable import Cacheable, RemoteCache
from pellucid.flavors.copyable import Copyable
from pellucid.flavors.hooks import hook
from pellucid.flavors.referenceable import Referenceable, Viewable, Viewpoint
from pellucid.flavors.serializable import Held, Unpersistable, qualified_name
from pellucid.flavors.texts import value_text
from pellucid.wire.dialect import Ledger
from pellucid.wire.pb.plain import WRITERS

__all__ = [
    "Encoder",
    "Encoders",
    "Jellier",
    "find_encoders",
    "flavor_encoder",
    "refusal",
    "write_dictionary",
    "write_tuple",
]

Encoder = Callable[[Any, Any], Any]
"""Writes one kind of object as jelly. It is given the `Jellier`, which may be a door's own, and the object."""

Encoders = dict[type, Encoder]
"""How objects of exactly these types are written."""


class Jellier:
    """Writes the values of one message, and remembers what it entered in the ledger so that it can be taken back."""

    def __init__(self, ledger: Ledger, encoders: Encoders, perspective: Any = None) -> None:
        self.perspective = perspective
        self._ledger = ledger
        self._policy = ledger.policy
        self._encoders = encoders
        self._exported: list[int] = []
        self._exported_caches: list[int] = []
        self._new_caches: list[int] = []
        self._start()

    def _start(self) -> None:
        # By id() of each object that can be shared: the expression once it is whole, None while it is written.
        self._seen: dict[int, list[Any] | None] = {}
        # The number of each object that was met a second time.
        self._numbers: dict[int, int] = {}
        # How many states that objects supplied themselves are being written: what a door allows may depend on that.
        self._in_states = 0
        # Objects made by hooks live until the message is written, or another could get their id().
        self._alive: list[Any] = []

    def write(self, value: Any, encoder: Encoder | None = None) -> Any:
        """`value` as one expression of its own: numbering starts anew.

        It is written by `encoder`, whatever the policy says of its type, where one is given.

        Raises:
            InsecureJelly: something in it may not cross; its path is told.
            LimitExceeded: it is nested too deeply, or it would export too much.
        """
        self._start()
        try:
            return self._jelly(value) if encoder is None else encoder(self, value)
        except RecursionError:
            raise LimitExceeded("nesting", self._ledger.limits.nesting) from None

    def join(self, other: Jellier, *, shares: bool) -> None:
        """Write a part of the message that `other` writes: with one account of what was entered in the ledger.

        Where the message `shares`, what is met in one part and in the other is one object.
        """
        self._exported, self._exported_caches = other._exported, other._exported_caches
        self._new_caches = other._new_caches
        if shares:
            self._seen, self._numbers, self._alive = other._seen, other._numbers, other._alive

    def settle(self) -> None:
        """The message is written as a whole."""
        for cache_id in self._new_caches:
            self._ledger.cache_sent(cache_id)

    def take_back(self) -> None:
        """Undo what writing entered in the ledger."""
        for export_id in self._exported:
            self._ledger.unexport(export_id)
        for cache_id in self._exported_caches:
            self._ledger.unexport_cache(cache_id)

    def _jelly(self, value: Any) -> Any:
        cls = type(value)
        encoder = self._encoders.get(cls)
        if encoder is None:
            encoder = self._encoders[cls] = self._find_encoder(cls)
        return encoder(self, value)

    def _find_encoder(self, cls: type) -> Encoder:
        """How instances of `cls` are written from now on. Raises InsecureJelly where they may not cross."""
        encoder = flavor_encoder(cls)
        if encoder is not None:
            return encoder
        if self._ledger.registry.copier(cls) is not None:
            return Jellier._plain_copy
        if self._policy.allows_instances_of(cls):
            return Jellier._instance
        raise refusal(cls)

    # Objects that can be shared.

    def _met_before(self, value: Any) -> list[Any] | None:
        """The dereference, where `value` was met already in this expression; otherwise it counts as met from now."""
        key = id(value)
        if key not in self._seen:
            self._seen[key] = None
            self._alive.append(value)
            return None
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self._numbers) + 1
            whole = self._seen[key]
            if whole is not None:
                self._give_number(whole, number)  # it stands in its place without one
        again: list[Any] = self._again(number)
        return again

    def _give_number(self, whole: list[Any], number: int) -> None:
        """Let what is met again be known by `number` in its place, where `whole` stands."""
        whole[:] = [b"reference", number, whole.copy()]

    def _again(self, number: int) -> Any:
        """What stands for an object that is met again."""
        return [b"dereference", number]

    def _whole(self, value: Any, expression: list[Any]) -> list[Any]:
        """`expression`, which is all of `value` now, in the form that belongs in its place."""
        number = self._numbers.get(id(value))
        if number is not None:  # it was met again inside itself
            return [b"reference", number, expression]
        self._seen[id(value)] = expression
        return expression

    # Flavors.

    def _referenceable(self, value: Referenceable) -> list[Any]:
        export_id = self._ledger.export(value)
        self._exported.append(export_id)
        return [b"remote", export_id]

    def _viewable(self, value: Viewable) -> list[Any]:
        return self._referenceable(Viewpoint(self.perspective, value))

    def _held(self, value: Held) -> list[Any]:
        return [b"local", self._ledger.id_at_home(value)]

    def _remote_cache(self, value: RemoteCache) -> list[Any]:
        return [b"lcache", self._ledger.id_at_home(value)]

    def _copyable(self, value: Copyable) -> list[Any]:
        met = self._met_before(value)
        if met is not None:
            return met
        tag = hook(value, "get_type_to_copy_for")(self.perspective)
        state = hook(value, "get_state_to_copy_for")(self.perspective)
        self._in_states += 1  # no function for these two, for each costs a level of Python's stack
        expression = [_tag(tag), self._jelly(state)]
        self._in_states -= 1
        return self._whole(value, expression)

    def _cacheable(self, value: Cacheable) -> list[Any]:
        met = self._met_before(value)
        if met is not None:
            return met
        cache_id, observer = self._ledger.export_cache(value, self.perspective)
        self._exported_caches.append(cache_id)
        if observer is None:
            del self._seen[id(value)]  # "cached" is never numbered: each one is a receipt
            return [b"cached", cache_id]
        self._new_caches.append(cache_id)
        tag = hook(value, "get_type_to_copy_for")(self.perspective)
        state = hook(value, "get_state_to_cache_and_observe_for")(self.perspective, observer)
        self._in_states += 1
        expression = [_tag(tag), cache_id, self._jelly(state)]
        self._in_states -= 1
        return self._whole(value, expression)

    def _plain_copy(self, value: object) -> list[Any]:
        met = self._met_before(value)
        if met is not None:
            return met
        copier = self._ledger.registry.copier(type(value))
        assert copier is not None  # this encoder was chosen because there is one
        return self._whole(value, [copier.tag.encode(), self._jelly(copier.state(value))])

    def _instance(self, value: object) -> list[Any]:
        met = self._met_before(value)
        if met is not None:
            return met
        return self._whole(value, [qualified_name(type(value)).encode(), self._jelly(value.__getstate__())])

    # Things that cross by name, and things that did not cross.

    def _named(self, value: type | FunctionType | ModuleType) -> list[Any]:
        kind, name = self._policy.name_of(value)
        return [kind.encode(), name.encode()]

    def _unpersistable(self, value: Unpersistable) -> list[Any]:
        return [b"unpersistable", value.reason.encode()]


def _elements(tag: bytes) -> Encoder:
    """The encoder of a container of elements. It is one function, for each costs a level of Python's stack."""

    def encode(jellier: Jellier, value: Iterable[Any]) -> list[Any]:
        """Write `value` and its elements."""
        met = jellier._met_before(value)
        if met is not None:
            return met
        expression: list[Any] = [tag]
        jelly = jellier._jelly
        try:
            for element in value:
                expression.append(jelly(element))
        except InsecureJelly as error:
            error.inside(f"[{len(expression) - 1}]")
            raise
        return jellier._whole(value, expression)

    return encode


def write_dictionary(jellier: Jellier, value: dict[Any, Any]) -> list[Any]:
    """The encoder of dictionaries."""
    met = jellier._met_before(value)
    if met is not None:
        return met
    expression: list[Any] = [b"dictionary"]
    jelly = jellier._jelly
    for key, element in value.items():
        try:
            expression.append([jelly(key), jelly(element)])
        except InsecureJelly as error:
            error.inside(f"[{value_text(key)}]")
            raise
    return jellier._whole(value, expression)


write_tuple: Encoder = _elements(b"tuple")
"""The encoder of tuples."""

_CONTAINERS: dict[type, tuple[str, Encoder]] = {
    list: ("list", _elements(b"list")),
    tuple: ("tuple", write_tuple),
    dict: ("dictionary", write_dictionary),
    set: ("set", _elements(b"set")),
    frozenset: ("frozenset", _elements(b"frozenset")),
}

_FLAVORS: dict[type, Encoder] = {
    Referenceable: Jellier._referenceable,
    Viewable: Jellier._viewable,
    Cacheable: Jellier._cacheable,
    Copyable: Jellier._copyable,
    RemoteCache: Jellier._remote_cache,
    Held: Jellier._held,
    type: Jellier._named,
    FunctionType: Jellier._named,
    ModuleType: Jellier._named,
    Unpersistable: Jellier._unpersistable,
}


def find_encoders(types: frozenset[str]) -> Encoders:
    """The encoders of plain values of these `types`; those of classes are found, and added to it, as they come."""
    known: dict[type, tuple[str, Encoder]] = {**WRITERS, **_CONTAINERS}
    return {cls: encoder for cls, (kind, encoder) in known.items() if not kind or kind in types}


def flavor_encoder(cls: type) -> Encoder | None:
    """How instances of `cls` are written by what they are: of several flavors, by the nearest ancestor's, as in PB."""
    return next((_FLAVORS[ancestor] for ancestor in cls.__mro__ if ancestor in _FLAVORS), None)


def refusal(cls: type, allow: str = "register it with Registry.register_copyable") -> InsecureJelly:
    """Why instances of `cls` may not cross, and what to do: give the class a flavor, or what `allow` says."""
    if cls in WRITERS or cls in _CONTAINERS:
        return InsecureJelly(
            f"{cls.__name__} objects may not cross by this policy; allow them with Policy(types=[...])"
        )
    if hasattr(cls, "__await__"):
        return InsecureJelly(f"{qualified_name(cls)} objects may not cross: await it first, and send its result")
    return InsecureJelly(
        f"{qualified_name(cls)} objects may not cross: derive the class from Referenceable or Copyable, or {allow}"
    )


def _tag(tag: str | bytes) -> bytes:
    return tag if isinstance(tag, bytes) else tag.encode()
