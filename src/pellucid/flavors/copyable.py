"""Flavors that are sent by value: the peer gets a copy."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pellucid.errors import RemoteProtocolError
from pellucid.flavors.hooks import hook
from pellucid.flavors.serializable import Serializable, Unjellyable, qualified_name
from pellucid.flavors.texts import value_text

__all__ = ["Copyable", "PlainCopier", "RemoteCopy", "by_name"]


class Copyable(Serializable):
    """An object that is copied each time it is sent.

    What is copied is what `get_state_to_copy_for` returns. The peer builds the copy with whatever it registered for
    the tag that `get_type_to_copy_for` returns, and refuses it where it registered nothing.
    """

    def get_state_to_copy_for(self, perspective: Any) -> Any:
        """The state to send to `perspective` (None outside a login): a dict, unless the receiver expects otherwise."""
        return hook(self, "get_state_to_copy")()

    getStateToCopyFor = get_state_to_copy_for

    def get_state_to_copy(self) -> Any:
        """The state to send to anyone: the object's attributes, unless you override it."""
        return self.__dict__

    getStateToCopy = get_state_to_copy

    def get_type_to_copy_for(self, perspective: Any) -> str | bytes:
        """The tag to send to `perspective`."""
        tag: str | bytes = hook(self, "get_type_to_copy")()
        return tag

    getTypeToCopyFor = get_type_to_copy_for

    def get_type_to_copy(self) -> str | bytes:
        """The tag to send to anyone: the qualified name of the class, unless you override it."""
        return qualified_name(type(self))

    getTypeToCopy = get_type_to_copy


class RemoteCopy(Unjellyable):
    """The copy of a peer's `Copyable`; register a subclass for the sender's tag.

    An instance is made without calling ``__init__``, then given the state that was sent.
    """

    def set_copyable_state(self, state: Any) -> None:
        """Take over `state`: as the object's attributes, unless you override it.

        Attribute names from a Python 2 peer arrive as bytes and are decoded.

        Raises:
            RemoteProtocolError: the state is not a dictionary.
        """
        if state and not isinstance(state, Mapping):
            raise RemoteProtocolError(f"the state of a {type(self).__name__} is not a dictionary")
        attributes = by_name(state) if state else {}
        self.__dict__.clear()
        self.__dict__.update(attributes)

    setCopyableState = set_copyable_state


class PlainCopier:
    """How instances of an ordinary class with declared fields are taken apart and put together again.

    Dataclasses, attrs classes, msgspec structs and enums are understood. A copy is made by the class's own
    ``__init__`` from the fields that arrived, so what the class checks is checked; a field that it does not declare
    is refused with TypeError.
    """

    def __init__(self, cls: type, tag: str) -> None:
        self.cls = cls
        self.tag = tag
        self.fields: dict[str, str] = _fields_of(cls)

    def state(self, obj: object) -> dict[str, Any]:
        """The declared fields of `obj` by name."""
        return {name: getattr(obj, name) for name in self.fields}

    def blank(self) -> Any:
        """An instance not yet filled, for state that refers back to it; None where the class allows no such thing."""
        if issubclass(self.cls, enum.Enum) or hasattr(self.cls, "__struct_fields__"):
            return None  # a member exists already; a msgspec struct gets its fields as it is made
        cls: Any = self.cls
        try:
            return cls.__new__(cls)
        except TypeError:
            return None

    def build(self, blank: Any, state: Any) -> Any:
        """The finished copy.

        Raises:
            RemoteProtocolError: the state is not a dictionary, or no such member is in the enum.
            TypeError: a field is missing, unknown, or refused by the class.
        """
        if not isinstance(state, Mapping):
            raise RemoteProtocolError(f"the state of {self.tag} is not a dictionary")
        named = by_name(state)
        unknown = [name for name in named if name not in self.fields]
        if unknown:
            raise TypeError(f"{self.tag} has no field {str(unknown[0])[:100]!r}")
        if issubclass(self.cls, enum.Enum):
            return _member(self.cls, named)
        arguments = {self.fields[name]: value for name, value in named.items()}
        if blank is None:
            return self.cls(**arguments)
        init: Callable[..., None] = self.cls.__init__
        init(blank, **arguments)
        return blank


def by_name(state: Any) -> dict[str, Any]:
    """`state` with its names as text: a Python 2 peer sends them as bytes.

    Raises:
        RemoteProtocolError: one is neither.
    """
    try:
        return {name if isinstance(name, str) else str(name, "utf-8"): value for name, value in state.items()}
    except (TypeError, UnicodeDecodeError):
        raise RemoteProtocolError("the name of an attribute is not text") from None


def _member(cls: type[enum.Enum], named: dict[str, Any]) -> enum.Enum:
    key = "value" if issubclass(cls, enum.Flag) else "name"
    try:
        return cls(named[key]) if key == "value" else cls[named[key]]
    except (KeyError, ValueError, TypeError):
        raise RemoteProtocolError(f"{cls.__qualname__} has no member {value_text(named.get(key))}") from None


def _fields_of(cls: type) -> dict[str, str]:
    """The fields that `cls` declares and its ``__init__`` takes, by name, and what ``__init__`` calls them."""
    if issubclass(cls, enum.Flag):
        names: Iterable[str] = ("value",)  # a combination of flags has no name that it could be looked up by
    elif issubclass(cls, enum.Enum):
        names = ("name",)
    elif dataclasses.is_dataclass(cls):
        names = (field.name for field in dataclasses.fields(cls) if field.init)
    elif hasattr(cls, "__attrs_attrs__"):
        return {attribute.name: attribute.alias for attribute in cls.__attrs_attrs__ if attribute.init}
    elif hasattr(cls, "__struct_fields__"):
        names = cls.__struct_fields__
    else:
        raise TypeError(f"{cls.__qualname__} declares no fields: make it a dataclass, or derive it from Copyable")
    return {name: name for name in names}
