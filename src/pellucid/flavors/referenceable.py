"""Flavors that are sent as references: the object stays here and the peer may call it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import lru_cache, partial
from typing import Any, ClassVar

from pellucid.errors import NoSuchMethod
from pellucid.flavors.dispatch import (
    DECODED,
    Translator,
    built_in,
    by_prefix,
    dispatched,
    found,
    is_dynamic,
    is_validating,
    method_by,
    prefix_alone,
    receive,
)
from pellucid.flavors.implementing import Implementing, Interfaces
from pellucid.flavors.serializable import Serializable, find_method
from pellucid.flavors.validation import Validating, checked_by_name, guarded, validates

__all__ = [
    "AsReferenceable",
    "Avatar",
    "AvatarReference",
    "Referenceable",
    "Root",
    "Viewable",
    "Viewpoint",
    "attribute_of",
    "method_of",
]


class Referenceable(Serializable, Validating, Implementing):
    """An object that the peer may call: a call of ``name`` runs the method ``remote_name``.

    Such a method may be plain or ``async``. Nothing else of the object can be reached, and only a peer that was given
    a reference can call it.
    """

    dynamic: ClassVar[bool] = False
    """Whether a peer may also call ``remote_*`` attributes of the instance alone, or made by its ``__getattr__``."""

    _pellucid_stands_in: ClassVar[bool] = False
    """Whether it will do where an interface is asked for that its ``object`` implements."""

    perspective: Any = None
    """Through whose eyes results are sent: what `Viewable` and `Copyable` are given to tell callers apart."""

    def __init_subclass__(cls, *, implements: Interfaces = (), validate: bool | None = None, **options: Any) -> None:
        """A class is made: see `Implementing` and `Validating` for what it may say of itself."""
        super().__init_subclass__(implements=implements, validate=validate, **options)

    @by_prefix("remote_")
    def method_for(self, name: str) -> Callable[..., Any]:
        """What a peer's call of `name` runs. Override it to dispatch in another way.

        Raises:
            NoSuchMethod: the peer may call nothing of that name.
        """
        return find_method(self, "remote_", name)

    def remoteMessageReceived(self, broker: Translator, message: str, args: Any, kw: Any) -> Any:
        """PB's way to dispatch: run what `message` names, its arguments and its result translated by `broker`."""
        return receive(
            method_by(self, message, broker, "remoteMessageReceived"), broker, message, args, kw, self.perspective
        )


class Root(Referenceable):
    """The object that a server publishes; a client gets a reference to it first of all."""

    def root_object(self, connection: Any) -> Referenceable:
        """The object to publish on `connection`: this one, unless you override it to give each peer its own."""
        return self

    rootObject = root_object


class Viewpoint(Referenceable):
    """An object seen by one perspective: a call of ``name`` runs ``view_name(perspective, ...)`` on it."""

    def __init__(self, perspective: Any, object: object) -> None:  # noqa: A002 - its name in PB
        self.perspective = perspective
        self.object = object

    def process_unique_id(self) -> Hashable:
        return id(self.perspective), id(self.object)

    processUniqueID = process_unique_id

    @built_in(lambda view, name, translator: view._method_by(name, translator))
    def method_for(self, name: str) -> Callable[..., Any]:
        return partial(find_method(self.object, "view_", name), self.perspective)

    def _method_by(self, name: str, translator: Translator) -> Callable[..., Any]:
        method = find_method(self.object, "view_", name, dynamic=is_dynamic(translator))
        # The perspective is nothing that the peer sent: what is checked is the rest.
        return guarded(partial(method, self.perspective), type(self.object), is_validating(translator))


class Viewable(Serializable, Validating):
    """An object that is sent as a `Viewpoint`: whoever calls it is known by the perspective it was sent to."""


class Avatar(Validating, Implementing):
    """What a peer acts through once it has logged in: a call of ``name`` runs ``perspective_name``.

    Any class can be an avatar; deriving from this one lets you override how calls are dispatched, and say what the
    class implements.
    """

    def __init_subclass__(cls, *, implements: Interfaces = (), validate: bool | None = None, **options: Any) -> None:
        """As of `Referenceable`."""
        super().__init_subclass__(implements=implements, validate=validate, **options)

    @by_prefix("perspective_")
    def method_for(self, name: str) -> Callable[..., Any]:
        """What a peer's call of `name` runs. Raises NoSuchMethod where there is nothing of that name."""
        return find_method(self, "perspective_", name)

    def perspectiveMessageReceived(self, broker: Translator, message: str, args: Any, kw: Any) -> Any:
        """PB's way to dispatch: run what `message` names, its arguments and its result translated by `broker`."""
        return receive(method_by(self, message, broker, "perspectiveMessageReceived"), broker, message, args, kw, self)


class AsReferenceable(Referenceable):
    """Another object, made callable: a call of ``name`` runs the method that `messageType` and an underscore lead in.

    The object need not be of any flavor. It may take whole calls in PB's way, in a method such as
    ``remoteMessageReceived``.
    """

    _pellucid_stands_in: ClassVar[bool] = True

    def __init__(self, object: object, messageType: str = "remote") -> None:  # noqa: A002 - its name in PB
        self.object = object
        self.message_type = messageType
        self.perspective: Any = object if messageType == "perspective" else None

    def method_for(self, name: str) -> Callable[..., Any]:
        return method_of(self, name, DECODED)


class AvatarReference(AsReferenceable):
    """An avatar as the peer that logged in holds it."""

    def __init__(self, avatar: object) -> None:
        super().__init__(avatar, "perspective")

    def process_unique_id(self) -> Hashable:
        return "avatar", id(self.object)

    processUniqueID = process_unique_id


@lru_cache(maxsize=4096)
def _by_name(cls: Any, name: str, validate: bool) -> str | Callable[[Any], Callable[..., Any]]:
    """The method of a `cls` that a call of `name` runs, where it is found in no other way than by its name.

    Where its arguments are to be checked, as `validate` says unless the class does, this is what finds it.

    Raises:
        NoSuchMethod: there is none, or it has to be looked for. That is not cached: a peer may think of many names.
    """
    prefix = prefix_alone(cls, "remoteMessageReceived")
    if prefix is None or not callable(getattr(cls, prefix + name, None)):
        raise NoSuchMethod
    if not validates(cls, validate):
        return prefix + name
    find = checked_by_name(cls, prefix + name)
    if find is None:
        raise NoSuchMethod
    return find


def attribute_of(cls: Any, name: str, validate: bool) -> str:
    """The method of a `cls` that a call of `name` runs as it is, with any arguments.

    Raises:
        NoSuchMethod: there is none, or it has to be looked for, or what it is called with has to be checked.
    """
    if validates(cls, validate):
        raise NoSuchMethod
    attribute = _by_name(cls, name, False)
    assert isinstance(attribute, str)  # nothing is checked
    return attribute


def method_of(obj: Any, name: str, translator: Translator) -> Callable[..., Any]:
    """What a peer's call of `name` on `obj` runs: whatever its class says, in either way to dispatch.

    Raises:
        NoSuchMethod: the peer may call nothing of that name.
    """
    cls: Any = type(obj)
    try:
        find: Any = _by_name(cls, name, getattr(translator, "validates", False))  # in line: each call comes by
        method = getattr(obj, find) if type(find) is str else find(obj)
    except AttributeError:
        method = None
    if callable(method):
        return method  # type: ignore[no-any-return]  # callable() narrows Any to a Callable of unknown type
    kind = "remote"
    if isinstance(obj, AsReferenceable):
        kind, obj = obj.message_type, obj.object
    method = dispatched(obj, name, translator, f"{kind}MessageReceived")
    return method if method is not None else found(obj, f"{kind}_", name, translator)
