"""Which class stands for which tag on the wire.

A `Registry` is handed to every broker, so two servers in one process may know different classes. Nothing is ever
imported because a peer named it: a tag that nobody registered is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, overload

from pellucid.errors import Error, importable_error
from pellucid.flavors.copyable import PlainCopier, RemoteCopy
from pellucid.flavors.serializable import qualified_name

__all__ = ["DEFAULT_REGISTRY", "Factory", "Receiver", "Registry", "copyable"]

Cls = TypeVar("Cls", bound=type)

Factory = Callable[[Any], Any]
"""Builds a copy from the state that was sent."""

Receiver = type[RemoteCopy] | PlainCopier | Factory
"""What turns a tagged state into an object."""


class Registry:
    """Tags, the classes they stand for, and the exceptions that may arrive as themselves."""

    def __init__(self) -> None:
        self._receivers: dict[str, Receiver] = {}
        self._copiers: dict[type, PlainCopier] = {}
        self._errors: dict[str, type[Exception]] = {}

    def register(self, receiver: type[RemoteCopy], sender: type | str) -> None:
        """Build copies of `sender`, a class at the peer or its tag, with `receiver`.

        Raises:
            ValueError: another receiver has this tag.
        """
        self._claim(_tag(sender), receiver)

    def register_factory(self, factory: Factory, sender: type | str) -> None:
        """Build copies of `sender` by calling `factory` with the state; cycles through such a copy can't be built.

        Raises:
            ValueError: another receiver has this tag.
        """
        self._claim(_tag(sender), factory)

    def register_copyable(self, cls: type, tag: str | None = None) -> None:
        """Let instances of `cls`, which declares its fields, be copied in both directions under `tag`.

        `tag` is the qualified name of the class unless you give another.

        Raises:
            TypeError: the class declares no fields.
            ValueError: another receiver has this tag.
        """
        copier = PlainCopier(cls, tag or qualified_name(cls))
        self._claim(copier.tag, copier)
        self._copiers[cls] = copier

    def register_error(self, cls: type[Exception], name: str | None = None) -> None:
        """Let a peer's exception called `name` arrive as `cls`; subclasses of `pellucid.Error` need no registering."""
        self._errors[name or qualified_name(cls)] = cls

    def receiver(self, tag: str) -> Receiver | None:
        """What builds the copies tagged `tag`."""
        return self._receivers.get(tag)

    def copier(self, cls: type) -> PlainCopier | None:
        """How instances of exactly `cls` are sent, where it is an ordinary class registered as copyable."""
        return self._copiers.get(cls)

    def error_class(self, name: str) -> type[Exception] | None:
        """The class that a peer's exception called `name` arrives as.

        Every importable subclass of `pellucid.Error` that an application defined counts as registered; of two with
        one name, the last defined.
        """
        registered = self._errors.get(name)
        if registered is not None:
            return registered
        expected = importable_error(name)
        # Of our own classes a dialect says which ones a peer's broker can mean.
        return None if expected is None or expected.__module__ == Error.__module__ else expected

    def _claim(self, tag: str, receiver: Receiver) -> None:
        holder = self._receivers.get(tag)
        if holder is not None and _identity(holder) != _identity(receiver):
            raise ValueError(f"{tag!r} is registered already, for {_described(holder)!r}; choose another tag")
        self._receivers[tag] = receiver


DEFAULT_REGISTRY = Registry()
"""The registry of connections that are given no other, and of `copyable` where it is given none (docs/adr/0003)."""


@overload
def copyable(cls: Cls, /) -> Cls: ...
@overload
def copyable(*, tag: str | None = None, registry: Registry = DEFAULT_REGISTRY) -> Callable[[Cls], Cls]: ...
def copyable(
    cls: Cls | None = None, /, *, tag: str | None = None, registry: Registry = DEFAULT_REGISTRY
) -> Cls | Callable[[Cls], Cls]:
    """Class decorator: instances of a dataclass (or attrs class, msgspec struct, enum) are sent as copies.

    Both sides must register the same tag, by default the qualified name of the class.
    """

    def register(decorated: Cls) -> Cls:
        registry.register_copyable(decorated, tag)
        return decorated

    return register if cls is None else register(cls)


def _tag(sender: type | str) -> str:
    return sender if isinstance(sender, str) else qualified_name(sender)


def _described(receiver: Receiver) -> object:
    return receiver.cls if isinstance(receiver, PlainCopier) else receiver


def _identity(receiver: Receiver) -> object:
    # A module that is run again (as in a notebook) defines its classes anew: the newest is meant.
    described = _described(receiver)
    return (described.__module__, described.__qualname__) if isinstance(described, type) else described
