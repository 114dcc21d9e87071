"""What every flavor has in common, and the things of the peer's that this side holds."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import lru_cache
from typing import Any, Protocol, cast

from pellucid.errors import NoSuchMethod
from pellucid.flavors.hooks import hook, nearest

__all__ = [
    "Held",
    "JellyReader",
    "JellyWriter",
    "Jellyable",
    "Serializable",
    "Unjellyable",
    "Unpersistable",
    "find_method",
    "identity",
    "qualified_name",
]


class JellyWriter(Protocol):
    """What PB's ``jellyFor`` is given, as far as the flavors need it."""

    def flavored(self, obj: Jellyable, /) -> Any:
        """The expression of `obj` by its flavor."""
        ...


class JellyReader(Protocol):
    """What PB's ``unjellyFor`` is given, as far as the flavors need it."""

    def filled(self, obj: Any, expression: Any, /) -> Any:
        """`obj`, made just now, with the state that `expression` holds for it."""
        ...


class Jellyable:
    """An object that may cross, PB's way to say so: in its Twisted door an override of `jellyFor` writes the object."""

    __slots__ = ()

    def getStateFor(self, jellier: JellyWriter) -> Any:
        """The state of what is nothing but Jellyable: its attributes, unless you override it."""
        return self.__dict__

    def jellyFor(self, jellier: JellyWriter) -> Any:
        """The expression of this object; overrides go on with that, or make one of their own."""
        return jellier.flavored(self)


class Unjellyable:
    """What an object may arrive as, PB's way to say so: in its Twisted door an override of `unjellyFor` reads it."""

    def setStateFor(self, unjellier: JellyReader, state: Any) -> None:
        """Take over the state of what is nothing but Unjellyable: as its attributes, unless you override it."""
        self.__dict__ = state

    def unjellyFor(self, unjellier: JellyReader, jellyList: Any) -> Any:
        """What the expression `jellyList` stands for: this object, made just now, filled; overrides go on with that."""
        return unjellier.filled(self, jellyList)


class Serializable(Jellyable):
    """An object that says by its class how it crosses the wire; the flavors derive from it."""

    __slots__ = ()

    def process_unique_id(self) -> Hashable:
        """What tells this object from every other; two objects with an equal id are one object to the peer."""
        return id(self)

    processUniqueID = process_unique_id


class Held(Serializable):
    """Something that lives at the peer and is held here: a reference, or the copy of a cacheable.

    Sent back to the peer that owns it, it becomes the original object again.
    """

    __slots__ = ()


class Unpersistable:
    """What arrives in place of an object that a Twisted peer could not send."""

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def __repr__(self) -> str:
        return f"Unpersistable({self.reason!r})"


@lru_cache(maxsize=4096)
def _is_known_by_address(cls: Any) -> bool:
    """Whether no class of its ancestry says what tells one `cls` from another."""
    name = nearest(cls, "process_unique_id", "processUniqueID")
    return name is not None and getattr(cls, name) is Serializable.process_unique_id


def identity(obj: Serializable) -> Hashable:
    """The id under which the export tables know `obj`."""
    if _is_known_by_address(cast(Hashable, type(obj))):
        return id(obj)
    result: Hashable = hook(obj, "process_unique_id")()
    return result


def qualified_name(cls: type | Callable[..., Any]) -> str:
    """The name that stands for a class on the wire: its module and its own name, as PB writes it."""
    return f"{cls.__module__}.{cls.__name__}"


def find_method(obj: object, prefix: str, name: str, *, dynamic: bool = False) -> Callable[..., Any]:
    """The method of `obj` that a peer means by `name`: `prefix` + `name`, and nothing else.

    It is looked for on the class; where that says ``dynamic = True``, or `dynamic` does, an attribute of the instance
    will do.

    Raises:
        NoSuchMethod: there is none, or it is not callable.
    """
    full_name = prefix + name
    if callable(getattr(type(obj), full_name, None)) or dynamic or getattr(type(obj), "dynamic", False):
        method = getattr(obj, full_name, None)
        if callable(method):
            return method  # type: ignore[no-any-return]  # callable() narrows Any to a Callable of unknown type
    raise NoSuchMethod(f"No such method: {full_name[:200]}")
