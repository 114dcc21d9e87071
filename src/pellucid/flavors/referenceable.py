"""Flavors that are sent as references: the object stays here and the peer may call it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import lru_cache, partial
from typing import Any, ClassVar

from pellucid.errors import NoSuchMethod
from pellucid.flavors.cacheable import RemoteCache
from pellucid.flavors.dispatch import DECODED, Translator, built_in, dispatched, is_dynamic, method_by, receive
from pellucid.flavors.hooks import nearest
from pellucid.flavors.serializable import Serializable, find_method

__all__ = [
    "AsReferenceable",
    "Avatar",
    "AvatarReference",
    "Referenceable",
    "Root",
    "Viewable",
    "Viewpoint",
    "method_of",
]


class Referenceable(Serializable):
    """An object that the peer may call: a call of ``name`` runs the method ``remote_name``.

    Such a method may be plain or ``async``. Nothing else of the object can be reached, and only a peer that was given
    a reference can call it.
    """

    dynamic: ClassVar[bool] = False
    """Whether a peer may also call ``remote_*`` attributes of the instance alone, or made by its ``__getattr__``."""

    perspective: Any = None
    """Through whose eyes results are sent: what `Viewable` and `Copyable` are given to tell callers apart."""

    @built_in(lambda obj, name: find_method(obj, "remote_", name, dynamic=True))
    def method_for(self, name: str) -> Callable[..., Any]:
        """What a peer's call of `name` runs. Override it to dispatch in another way.

        Raises:
            NoSuchMethod: the peer may call nothing of that name.
        """
        return find_method(self, "remote_", name)

    def remoteMessageReceived(self, broker: Translator, message: str, args: Any, kw: Any) -> Any:
        """PB's way to dispatch: run what `message` names, its arguments and its result translated by `broker`."""
        return receive(method_by(self, message, broker), broker, message, args, kw, self.perspective)


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

    @built_in(lambda view, name: partial(find_method(view.object, "view_", name, dynamic=True), view.perspective))
    def method_for(self, name: str) -> Callable[..., Any]:
        return partial(find_method(self.object, "view_", name), self.perspective)


class Viewable(Serializable):
    """An object that is sent as a `Viewpoint`: whoever calls it is known by the perspective it was sent to."""


class Avatar:
    """What a peer acts through once it has logged in: a call of ``name`` runs ``perspective_name``.

    Any class can be an avatar; deriving from this one lets you override how calls are dispatched.
    """

    @built_in(lambda avatar, name: find_method(avatar, "perspective_", name, dynamic=True))
    def method_for(self, name: str) -> Callable[..., Any]:
        """What a peer's call of `name` runs. Raises NoSuchMethod where there is nothing of that name."""
        return find_method(self, "perspective_", name)

    def perspectiveMessageReceived(self, broker: Translator, message: str, args: Any, kw: Any) -> Any:
        """PB's way to dispatch: run what `message` names, its arguments and its result translated by `broker`."""
        return receive(method_by(self, message, broker), broker, message, args, kw, self)


class AsReferenceable(Referenceable):
    """Another object, made callable: a call of ``name`` runs the method that `messageType` and an underscore lead in.

    The object need not be of any flavor. It may take whole calls in PB's way, in a method such as
    ``remoteMessageReceived``.
    """

    def __init__(self, object: object, messageType: str = "remote") -> None:  # noqa: A002 - its name in PB
        self.object = object
        self.message_type = messageType
        self.perspective = object if messageType == "perspective" else None

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
def _prefix_of(cls: Any) -> str | None:
    """What begins the methods of a `cls` that a peer may call, where no class of its ancestry says anything else."""
    for flavor, prefix in (Referenceable, "remote_"), (RemoteCache, "observe_"):
        if issubclass(cls, flavor):
            is_built_in = cls.method_for is flavor.method_for
            return (
                prefix if is_built_in and nearest(cls, "method_for", "remoteMessageReceived") == "method_for" else None
            )
    return None


@lru_cache(maxsize=4096)
def attribute_of(cls: Any, name: str) -> str:
    """The method of a `cls` that a call of `name` runs, where it is found in no other way than by its name.

    Raises:
        NoSuchMethod: there is none, or it has to be looked for. That is not cached: a peer may think of many names.
    """
    prefix = _prefix_of(cls)
    if prefix is not None and callable(getattr(cls, prefix + name, None)):
        return prefix + name
    raise NoSuchMethod


def method_of(obj: Any, name: str, translator: Translator) -> Callable[..., Any]:
    """What a peer's call of `name` on `obj` runs: whatever its class says, in either way to dispatch.

    Raises:
        NoSuchMethod: the peer may call nothing of that name.
    """
    cls: Any = type(obj)
    try:
        method = getattr(obj, attribute_of(cls, name))
    except AttributeError:
        method = None
    if callable(method):
        return method  # type: ignore[no-any-return]  # callable() narrows Any to a Callable of unknown type
    kind = "remote"
    if isinstance(obj, AsReferenceable):
        kind, obj = obj.message_type, obj.object
    found = dispatched(obj, name, translator, f"{kind}MessageReceived")
    return found if found is not None else find_method(obj, f"{kind}_", name, dynamic=is_dynamic(translator))
