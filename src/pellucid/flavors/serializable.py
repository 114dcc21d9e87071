"""What every flavor has in common, and the things of the peer's that this side holds."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from pellucid.errors import NoSuchMethod
from pellucid.flavors.hooks import hook

__all__ = ["Held", "Serializable", "Unpersistable", "find_method", "identity", "qualified_name"]


class Serializable:
    """An object that says by its class how it crosses the wire; the flavors derive from it."""

    def process_unique_id(self) -> Hashable:
        """What tells this object from every other; two objects with an equal id are one object to the peer."""
        return id(self)


class Held:
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


def identity(obj: Serializable) -> Hashable:
    """The id under which the export tables know `obj`."""
    result: Hashable = hook(obj, "process_unique_id")()
    return result


def qualified_name(cls: type | Callable[..., Any]) -> str:
    """The name that stands for a class on the wire: its module and its own name, as PB writes it."""
    return f"{cls.__module__}.{cls.__name__}"


def find_method(obj: object, prefix: str, name: str) -> Callable[..., Any]:
    """The method of `obj` that a peer means by `name`: `prefix` + `name`, and nothing else.

    It is looked for on the class; where the class says ``dynamic = True``, an attribute of the instance will do.

    Raises:
        NoSuchMethod: there is none, or it is not callable.
    """
    full_name = prefix + name
    if callable(getattr(type(obj), full_name, None)) or getattr(type(obj), "dynamic", False):
        method = getattr(obj, full_name, None)
        if callable(method):
            return method  # type: ignore[no-any-return]  # callable() narrows Any to a Callable of unknown type
    raise NoSuchMethod(f"No such method: {full_name[:200]}")
