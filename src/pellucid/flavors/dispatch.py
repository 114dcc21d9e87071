"""What a peer's call runs: what the object's class says, in pellucid's way or in Perspective Broker's.

pellucid asks ``method_for(name)`` for something to call. PB hands the whole call to ``remoteMessageReceived(broker,
message, args, kw)`` of the object, or ``perspectiveMessageReceived`` of the avatar; an override has its `broker` turn
wire forms into objects and back. Of a class's ancestors, the nearest that defines either decides.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, Protocol, TypeVar

from pellucid.errors import NoSuchMethod
from pellucid.flavors.hooks import nearest
from pellucid.flavors.serializable import find_method
from pellucid.flavors.validation import guarded

__all__ = [
    "DECODED",
    "VALIDATED",
    "Translator",
    "built_in",
    "by_prefix",
    "dispatched",
    "finds_by_name",
    "found",
    "is_validating",
    "method_by",
    "prefix_alone",
    "prefix_of",
    "receive",
]

MethodFor = TypeVar("MethodFor", bound=Callable[..., Any])


class Translator(Protocol):
    """The part of PB's broker that an overridden ``remoteMessageReceived`` needs.

    Where it says ``dynamic = True``, a peer may call by PB's rule: methods of the instance too; see `find_method`.
    Where it says ``validates = True``, arguments are checked by the methods' annotations, unless a class has its own
    say; see `pellucid.flavors.validation`.
    """

    def unserialize(self, value: Any, perspective: Any = None, /) -> Any:
        """The object that `value` stands for."""
        ...

    def serialize(
        self,
        value: Any,
        perspective: Any = None,
        method: str | None = None,
        args: Any = None,
        kw: Any = None,
    ) -> Any:
        """What stands for the object `value`."""
        ...


class _Decoded:
    """A translator for values that are decoded before they get to a method, and encoded after."""

    def __init__(self, *, validates: bool) -> None:
        self.validates = validates

    def unserialize(self, value: Any, perspective: Any = None, /) -> Any:
        return value

    def serialize(
        self, value: Any, perspective: Any = None, method: str | None = None, args: Any = None, kw: Any = None
    ) -> Any:
        return value


Finder = Callable[[Any, str, Translator], Callable[..., Any]]
"""Finds what a call runs, given the object, the name, and by what rules."""

DECODED: Translator = _Decoded(validates=False)
"""What an override gets for its broker where nothing is left to translate."""

VALIDATED: Translator = _Decoded(validates=True)
"""The same where arguments are checked."""


def dispatched(obj: Any, name: str, translator: Translator, received: str) -> Callable[..., Any] | None:
    """What the class of `obj` says that a call of `name` runs; None where it says nothing.

    `received` is what PB calls the method that takes the whole call.

    Raises:
        NoSuchMethod: it says that a peer may call nothing of that name.
    """
    cls: Any = type(obj)
    match _decider(cls, received):
        case None:
            return None
        case ancestor, "method_for":
            return _found_by(ancestor, obj, name, translator)
        case _:
            return partial(_whole, getattr(obj, received), translator, name)


def _whole(received: Callable[..., Any], translator: Translator, name: str, *args: Any, **kwargs: Any) -> Any:
    try:
        return received(translator, name, args, kwargs)
    except NoSuchMethod as error:
        error.while_dispatching = True
        raise


def is_dynamic(translator: Translator) -> bool:
    """Whether calls go by PB's rule."""
    return getattr(translator, "dynamic", False)  # a program may bring a translator of its own


def is_validating(translator: Translator) -> bool:
    """Whether arguments are checked where the class does not say."""
    return getattr(translator, "validates", False)


_built_in: dict[object, Finder] = {}


def built_in(finder: Finder) -> Callable[[MethodFor], MethodFor]:
    """Mark a flavor's own ``method_for``: for a call of a peer's, `finder` is asked, which is told the rules."""

    def mark(method_for: MethodFor) -> MethodFor:
        _built_in[method_for] = finder
        return method_for

    return mark


_prefixes: dict[object, str] = {}

_MEANT = {
    "remoteMessageReceived": ("remote_", "perspective_"),
    "perspectiveMessageReceived": ("perspective_", "remote_"),
}
"""What begins the methods that are meant where PB has a call taken so, and those of the other way to be called."""


def _finders(cls: Any, received: str) -> list[Any]:
    """The ancestors of `cls` that have a ``method_for`` of their own, but for flavors that are not meant.

    An avatar may be a referenceable, too: who holds a reference to it is not who acts through it.
    """
    finders = [each for each in cls.__mro__ if "method_for" in vars(each)]
    prefixes = [_prefixes.get(vars(each)["method_for"]) for each in finders]
    meant, other = _MEANT.get(received, (None, None))
    if meant is None or meant not in prefixes:
        return finders
    return [each for each, prefix in zip(finders, prefixes, strict=True) if prefix != other]


@lru_cache(maxsize=4096)
def _decider(cls: Any, received: str) -> tuple[Any, str] | None:
    """The nearest ancestor of `cls` that says what a call runs, and how: by ``method_for`` or by `received`."""
    finders = _finders(cls, received)
    for ancestor in cls.__mro__:
        if ancestor in finders:
            return ancestor, "method_for"
        if received in vars(ancestor):
            return ancestor, received
    return None


def by_prefix(prefix: str) -> Callable[[MethodFor], MethodFor]:
    """Mark a flavor's own ``method_for`` that finds methods by `prefix` and their name, and in no other way."""

    def mark(method_for: MethodFor) -> MethodFor:
        _prefixes[method_for] = prefix
        return built_in(lambda obj, name, translator: found(obj, prefix, name, translator))(method_for)

    return mark


def prefix_of(cls: type) -> str:
    """What begins the methods of a `cls` that a peer may call; what is of no flavor is taken for an avatar."""
    marked = (_prefixes.get(vars(each).get("method_for")) for each in cls.__mro__)
    return next((prefix for prefix in marked if prefix is not None), "perspective_")


@lru_cache(maxsize=4096)
def prefix_alone(cls: Any, received: str) -> str | None:
    """The same where a `cls` has a flavor's own ``method_for``, and nothing else decides; `received` as above."""
    match _decider(cls, received):
        case said, "method_for":
            return _prefixes.get(said.method_for)
        case _:
            return None


def finds_by_name(cls: Any) -> bool:
    """Whether a `cls` is called by nothing but the names of its methods."""
    match nearest(cls, "method_for", "remoteMessageReceived", "perspectiveMessageReceived"):
        case None:
            return True
        case "method_for":
            return cls.method_for in _prefixes and not getattr(cls, "dynamic", False)
        case _:
            return False


def found(obj: Any, prefix: str, name: str, translator: Translator) -> Callable[..., Any]:
    """The method of `obj` that a peer means by `name`, by the rules of `translator`. Raises NoSuchMethod."""
    method = find_method(obj, prefix, name, dynamic=is_dynamic(translator))
    return guarded(method, type(obj), is_validating(translator))


def method_by(obj: Any, name: str, translator: Translator, received: str) -> Callable[..., Any]:
    """What `obj` says that a call of `name` runs; `received` as above. Raises NoSuchMethod."""
    return _found_by(_finders(type(obj), received)[0], obj, name, translator)


def _found_by(cls: Any, obj: Any, name: str, translator: Translator) -> Callable[..., Any]:
    """What the ``method_for`` of `cls`, an ancestor of the class of `obj`, finds."""
    finder = _built_in.get(cls.method_for)
    if finder is not None:
        return finder(obj, name, translator)
    is_overridden = type(obj).method_for is not cls.method_for
    method_for: Any = partial(cls.method_for, obj) if is_overridden else obj.method_for
    return guarded(method_for(name), type(obj), is_validating(translator))


def receive(
    method: Callable[..., Any], translator: Translator, name: str, args: Any, kwargs: Any, perspective: Any = None
) -> Any:
    """Do what PB's ``remoteMessageReceived`` does unless it is overridden: overrides go on with that."""
    args, kwargs = translator.unserialize(args, perspective), translator.unserialize(kwargs, perspective)
    return translator.serialize(method(*args, **kwargs), perspective, name, args, kwargs)
