"""Jelly as PB's programs know it: objects that write and read themselves, placeholders, persistent ids, bound methods.

The values of a message are written and read by `pellucid.wire.pb`; what is here are the ways to cross that the Twisted
door has beside that, and the objects that PB hands to ``jellyFor`` and ``unjellyFor``.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import lru_cache, partial
from inspect import getattr_static
from types import FunctionType, MethodType
from typing import Any, cast
from weakref import WeakSet

from twisted.python import log

from pellucid.errors import InsecureJelly
from pellucid.flavors.cacheable import RemoteCache
from pellucid.flavors.copyable import Copyable, RemoteCopy
from pellucid.flavors.hooks import hook
from pellucid.flavors.policy import BASIC_TYPES
from pellucid.flavors.registry import Factory
from pellucid.flavors.serializable import Held, Jellyable, Unjellyable, qualified_name
from pellucid.twisted._policy import DummySecurityOptions, SecurityOptions, TagRegistry, Taster, TasterPolicy
from pellucid.wire.dialect import Ledger
from pellucid.wire.names import FAILURE
from pellucid.wire.pb import jelly, unjelly
from pellucid.wire.pb.containers import Decoders
from pellucid.wire.pb.jelly import Encoder, Encoders, flavor_encoder, refusal
from pellucid.wire.pb.plain import operand, string_operand, tag_of
from pellucid.wire.pb.unjelly import attributes_filler, find_decoders

__all__ = [
    "ALL_DECODERS",
    "Jellier",
    "PersistentLoad",
    "PersistentStore",
    "Unjellier",
    "allows_by_name",
    "allows_tags",
    "check_placeholder",
    "decoders_for",
    "encoders_for",
]

PersistentStore = Callable[[Any, "Jellier"], Any]
"""Gives the id of an object that is kept elsewhere, or None where it must be written."""

PersistentLoad = Callable[[Any, "Unjellier"], Any]
"""Gives the object of such an id."""


class Jellier(jelly.Jellier):
    """Writes the values of one message; what ``jellyFor`` is given.

    With `placeholders` what may not cross is written as a placeholder. Without, that is so inside the state that an
    object supplied itself: programs live by it (a twisted.web Request carries what can't cross), and the class is
    logged, once.
    """

    _policy: TasterPolicy

    def __init__(
        self,
        ledger: Ledger,
        encoders: Encoders,
        perspective: Any = None,
        *,
        policy: TasterPolicy | None = None,
        persistent_store: PersistentStore | None = None,
        placeholders: bool = False,
    ) -> None:
        super().__init__(ledger, encoders, perspective)
        if policy is not None:
            self._policy = policy
        self._placeholders = placeholders
        self.persistentStore = persistent_store

    @property
    def taster(self) -> Taster:
        """The security options in force."""
        return self._policy.taster

    @property
    def invoker(self) -> Any:
        """The broker of the connection that this is written for; None where it is for none."""
        return self._policy.invoker

    # For ``jellyFor``.

    def jelly(self, obj: Any) -> Any:
        """The expression of `obj`, a part of the state that is being written."""
        self._in_states += 1
        expression = self._jelly(obj)
        self._in_states -= 1
        return expression

    def prepare(self, object: Any) -> list[Any]:  # noqa: A002 - its name in PB
        """Note that `object` is being written, so that parts of it may refer to it; the list is to be filled."""
        self._met_before(object)
        return []

    def preserve(self, object: Any, sexp: list[Any]) -> list[Any]:  # noqa: A002 - its name in PB
        """Note that `sexp` is all of `object`; the result is what to return for it."""
        return self._whole(object, sexp)

    def unpersistable(self, reason: str | bytes, sexp: list[Any] | None = None) -> list[Any]:
        """A placeholder for what can't be written; it is appended to `sexp`, where there is one."""
        sexp = [] if sexp is None else sexp
        sexp += [b"unpersistable", reason if isinstance(reason, bytes) else reason.encode()]
        return sexp

    def flavored(self, obj: Any) -> Any:
        """The expression of `obj` by its flavor, whatever its class has in place of that."""
        return self._by_flavor(type(obj))(self, obj)

    # Encoders.

    def _find_encoder(self, cls: type) -> Encoder:
        if issubclass(cls, Jellyable) and cls.jellyFor is not Jellyable.jellyFor:
            return Jellier._in_its_own_way
        return self._by_flavor(cls)

    def _by_flavor(self, cls: type) -> Encoder:
        if self.invoker is None and issubclass(cls, Copyable | RemoteCache):
            return Jellier._as_instance
        if self.invoker is None and issubclass(cls, Held):
            return Jellier._unsendable
        encoder = flavor_encoder(cls)
        if encoder is not None:
            return encoder
        if issubclass(cls, Jellyable):
            return Jellier._jellyable
        return Jellier._bound_method if issubclass(cls, MethodType) else Jellier._other

    def _in_its_own_way(self, value: Any) -> Any:
        """An object whose class has a ``jellyFor`` of its own, which alone says whether it can be shared."""
        if id(value) in self._seen:
            return self._met_before(value)
        invoker = self.invoker
        before = getattr(invoker, "serializingPerspective", None)
        if before is self.perspective:
            expression = value.jellyFor(self)
        else:
            invoker.serializingPerspective = self.perspective
            try:
                expression = value.jellyFor(self)
            finally:
                invoker.serializingPerspective = before
        return list(expression) if isinstance(expression, tuple) else expression

    def _jellyable(self, value: Jellyable) -> list[Any]:
        """An object that is nothing but Jellyable."""
        return self._met_before(value) or self._tagged(value, value.getStateFor(self))

    def _as_instance(self, value: Any) -> list[Any]:
        """An object of a flavor that takes a connection, where there is none."""
        return self._met_before(value) or self._tagged(value, value.__getstate__())

    def _tagged(self, value: Any, state: Any) -> list[Any]:
        return self._whole(value, [qualified_name(type(value)).encode(), self.jelly(state)])

    def _unsendable(self, value: Held) -> list[Any]:
        """A reference, where there is no connection."""
        return [b"unpersistable", b"References cannot be serialized"]

    def _bound_method(self, value: MethodType) -> list[Any]:
        owner = value.__self__
        return [b"method", value.__func__.__name__.encode(), self._jelly(owner), self._jelly(type(owner))]

    def _other(self, value: Any) -> list[Any]:
        """An object of no flavor. Whether it may cross can change while the program runs."""
        cls = type(value)
        if self._ledger.registry.copier(cls) is not None:
            return self._plain_copy(value)
        name = qualified_name(cls)
        if not self.taster.isTypeAllowed(name.encode()):
            raise InsecureJelly(f"Type not allowed for object: {name}")
        met = self._met_before(value)
        if met is not None:
            return met
        persistent_id = self.persistentStore(value, self) if self.persistentStore is not None else None
        if persistent_id is not None:
            expression = [b"persistent", persistent_id]
        elif self._policy.allows_instances_of(cls):
            expression = [name.encode(), self._jelly(value.__getstate__())]
        else:
            if not self._placeholders:
                check_placeholder(cls, in_state=self._in_states > 0)
            expression = self.unpersistable(f"instance of class {name} deemed insecure")
        return self._whole(value, expression)


def check_placeholder(cls: type, *, in_state: bool) -> None:
    """An object of `cls` may not cross. Raises InsecureJelly where it can't have a placeholder either."""
    if not in_state:
        raise refusal(cls, _HOW_TO_ALLOW)
    if cls not in _LOGGED:
        _LOGGED.add(cls)
        log.msg(f"{qualified_name(cls)} objects may not cross: placeholders stand for them in the state of others")


_HOW_TO_ALLOW = (
    "allow its instances, here and at the peer, with globalSecurity.allowInstancesOf; "
    "the peer allows copies of a Copyable with setUnjellyableForClass"
)

_LOGGED: WeakSet[type] = WeakSet()
"""Classes whose placeholders have been logged."""


class Unjellier(unjelly.Unjellier):
    """Reads the values of one message; what ``unjellyFor`` is given."""

    _policy: TasterPolicy

    def __init__(
        self,
        ledger: Ledger,
        decoders: Decoders,
        *,
        placeholders: bool,
        policy: TasterPolicy | None = None,
        persistent_load: PersistentLoad | None = None,
    ) -> None:
        super().__init__(ledger, decoders, placeholders=placeholders)
        if policy is not None:
            self._policy = policy
        self.persistentLoad = persistent_load

    @property
    def taster(self) -> Taster:
        """The security options in force."""
        return self._policy.taster

    @property
    def invoker(self) -> Any:
        """The broker of the connection that this came through; None where it came through none."""
        return self._policy.invoker

    # For ``unjellyFor``.

    def unjelly(self, obj: Any) -> Any:
        """The object that an expression, a part of the one that is being read, stands for."""
        return self._state(obj)

    def filled(self, obj: Any, expression: list[Any]) -> Any:
        """`obj`, made just now, with its state from `expression`, by its flavor."""
        if self.invoker is None or not isinstance(obj, RemoteCache):
            self._fill(obj, self._filler(obj), operand(expression, 1), None)
            return obj

        def make() -> RemoteCache:
            obj.__init__()  # type: ignore[misc]  # it was made without; a cache is made with
            return obj

        return self._remote_cache(make, expression, None)

    def _filler(self, obj: Any) -> Callable[[Any], None]:
        if not isinstance(obj, RemoteCopy):
            return partial(obj.setStateFor, self)
        if self.invoker is None:
            return attributes_filler(obj)
        set_state: Callable[[Any], None] = hook(obj, "set_copyable_state")
        return set_state

    # Decoders.

    def _remote(self, expression: list[Any]) -> Any:
        # Programs may have registered a class of their own for all references.
        registered = cast(TagRegistry, self._ledger.registry).unjellyable(b"remote") is not None
        return self._tagged(expression) if registered else super()._remote(expression)

    def _tagged(self, expression: list[Any], number: int | None = None) -> Any:
        if type(expression[0]) is str:  # it came from no wire
            return self._unjelly([expression[0].encode(), *expression[1:]])
        tag = tag_of(expression)
        registry = cast(TagRegistry, self._ledger.registry)
        if not self.taster.isTypeAllowed(tag):
            text = tag.decode(errors="backslashreplace")
            if registry.receiver(text) is None:  # what is registered in pellucid's way is allowed thereby
                raise InsecureJelly(f"{text[:200]} may not cross; allow it with SecurityOptions.allowTypes")
        receiver = registry.unjellyable(tag)
        if receiver is None:
            return self._unregistered(tag, registry.factory(tag), expression, number)
        if not isinstance(receiver, type) or not hasattr(receiver, "unjellyFor"):
            return self._finished(cast(Any, receiver)(self, expression))
        own_way = receiver.unjellyFor is not Unjellyable.unjellyFor
        if not own_way and self.invoker is not None and issubclass(receiver, RemoteCache):
            return self._remote_cache(receiver, expression, number)
        blank: Any = cast(Any, receiver).__new__(receiver)
        if number is not None:
            self._shared[number] = blank
        if own_way:
            return self._finished(blank.unjellyFor(self, expression))
        self._fill(blank, self._filler(blank), operand(expression, 1), number)
        return blank

    def _unregistered(self, tag: bytes, factory: Factory | None, expression: list[Any], number: int | None) -> Any:
        """What an expression with a tag that `setUnjellyableForClass` was not told of stands for."""
        if factory is not None:
            return self._finished(factory(self._whole_state(operand(expression, 1))))
        decoder = _RARE.get(tag)
        return super()._tagged(expression, number) if decoder is None else decoder(self, expression)

    def _finished(self, value: Any) -> Any:
        self._finish(value)
        return value

    def _cache_filled(self, copy: Any, cache_id: int) -> None:
        copy.broker, copy.luid = self.invoker, cache_id  # PB's programs read them
        super()._cache_filled(copy, cache_id)

    def _persistent(self, expression: list[Any]) -> Any:
        if self.persistentLoad is None:
            return super()._persistent(expression)
        return self.persistentLoad(operand(expression, 1), self)

    def _named(self, expression: list[Any]) -> Any:
        return self._policy.named(tag_of(expression).decode(), _text_operand(expression))

    def _method(self, expression: list[Any]) -> Any:
        name, owner, cls = _text_operand(expression), self.unjelly(operand(expression, 2)), operand(expression, 3)
        cls = self.unjelly(cls)
        if not isinstance(cls, type):
            raise InsecureJelly("a method belongs to something that is no class")
        function = getattr_static(cls, name, None)
        if not isinstance(function, FunctionType):
            raise TypeError(f"{qualified_name(cls)} has no method of that name")
        return function if owner is None else MethodType(function, owner)

    def _old_instance(self, expression: list[Any]) -> Any:
        """An instance as it was written before PB named the class in its place."""
        warnings.warn_explicit(_OLD_INSTANCE, category=DeprecationWarning, filename="", lineno=0)
        cls = self.unjelly(operand(expression, 1))
        if not isinstance(cls, type):
            raise InsecureJelly("an instance belongs to something that is no class")
        return self._instance(cls, expression[1:], None)


_OLD_INSTANCE = (
    "Unjelly support for the instance atom is deprecated since Twisted 15.0.0.  "
    "Upgrade peer for modern instance support."
)

_RARE: Decoders = {
    b"class": Unjellier._named,
    b"module": Unjellier._named,
    b"function": Unjellier._named,
    b"method": Unjellier._method,
    b"instance": Unjellier._old_instance,
}
"""What no security options allow at first. It is looked up last: what is registered in PB's way comes before."""

ALL_DECODERS: Decoders = {
    tag: decoder for tag, decoder in find_decoders(BASIC_TYPES).items() if tag not in _RARE and tag != FAILURE
} | {b"persistent": Unjellier._persistent, b"remote": Unjellier._remote}
"""What `globalSecurity` allows. A failure is a copy like others here: see `pellucid.twisted._failures`."""

_TAGS = frozenset(ALL_DECODERS)


def decoders_for(taster: Taster) -> Decoders:
    """How the values of one message are read where `taster` says what may cross: from here on it is asked of others."""
    if allows_tags(taster, _TAGS):
        return ALL_DECODERS
    return _decoders(frozenset(tag for tag in _TAGS if taster.isTypeAllowed(tag)))


@lru_cache(maxsize=64)
def _decoders(tags: frozenset[bytes]) -> Decoders:
    return {tag: decoder for tag, decoder in ALL_DECODERS.items() if tag in tags}


def encoders_for(taster: Taster, known: Encoders) -> Encoders:
    """How the values of one message are written, of those `known`, where `taster` says what may cross."""
    if allows_by_name(taster):  # the name of every type has a dot in it
        return known
    return {cls: encoder for cls, encoder in known.items() if taster.isTypeAllowed(qualified_name(cls).encode())}


def allows_tags(taster: Taster, tags: frozenset[bytes]) -> bool:
    """Whether expressions with any of these `tags` may cross."""
    if isinstance(taster, SecurityOptions) and allows_by_name(taster):
        return taster.allowedTypes.keys() >= tags
    return all(map(taster.isTypeAllowed, tags))


def allows_by_name(taster: Taster) -> bool:
    """Whether names with a dot in them, as those of all types, may cross by `isTypeAllowed` of `taster`."""
    return type(taster).isTypeAllowed in (SecurityOptions.isTypeAllowed, DummySecurityOptions.isTypeAllowed)


def _text_operand(expression: list[Any]) -> str:
    text = operand(expression, 1)
    return text if isinstance(text, str) else string_operand(expression).decode(errors="backslashreplace")
