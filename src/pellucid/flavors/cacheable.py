"""Flavors whose copies are kept up to date: the owner tells every holder of a change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from pellucid.flavors.copyable import Copyable, RemoteCopy
from pellucid.flavors.dispatch import Translator, by_prefix, method_by, receive
from pellucid.flavors.hooks import hook
from pellucid.flavors.serializable import Held, find_method
from pellucid.flavors.validation import Validating

__all__ = ["Cacheable", "Observer", "RemoteCache"]


class Observer(Protocol):
    """The far holder of a cacheable, as its owner sees it; equal to itself and to nothing else."""

    def call(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """Run ``observe_name`` on the holder's `RemoteCache`; the result is the promise of its answer."""
        ...

    def update(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """As `call`, but no answer is wanted: the cheaper way to tell of a change."""
        ...


class Cacheable(Copyable):
    """An object whose state is copied to a peer once, and kept up to date there through an `Observer`."""

    def get_state_to_cache_and_observe_for(self, perspective: Any, observer: Observer) -> Any:
        """The state to send now to `perspective`; keep `observer` and tell it of every change from here on."""
        return hook(self, "get_state_to_copy_for")(perspective)

    getStateToCacheAndObserveFor = get_state_to_cache_and_observe_for

    def stopped_observing(self, perspective: Any, observer: Observer) -> None:
        """The holder dropped its copy or its connection ended: forget `observer`, the one you were given."""

    stoppedObserving = stopped_observing


class RemoteCache(RemoteCopy, Held, Validating):
    """The local copy of a peer's `Cacheable`; register a subclass for the sender's tag.

    An instance is made by calling the class without arguments, then given the state. The owner's updates run its
    ``observe_*`` methods.
    """

    broker: Any = None
    """The `pb.Broker` of the connection that it came through; None where that was not one of the Twisted door."""

    luid: Any = None
    """By which the owner knows it on that connection."""

    @by_prefix("observe_")
    def method_for(self, name: str) -> Callable[..., Any]:
        """What the owner's update `name` runs. Raises NoSuchMethod where there is nothing of that name."""
        return find_method(self, "observe_", name)

    def remoteMessageReceived(self, broker: Translator, message: str, args: Any, kw: Any) -> Any:
        """PB's way to dispatch: run what `message` names, its arguments and its result translated by `broker`."""
        return receive(method_by(self, message, broker, "remoteMessageReceived"), broker, message, args, kw)
