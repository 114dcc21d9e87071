"""Cacheables whose state the receiver keeps in a file, with the names of twisted.spread.publish.

The receiver asks for the state again only where the owner's timestamp is not the file's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

from pellucid.errors import InsecureJelly
from pellucid.flavors.cacheable import Cacheable, RemoteCache
from pellucid.flavors.referenceable import Viewpoint
from pellucid.twisted import banana, jelly

__all__ = ["Publishable", "RemotePublished", "whenReady"]

_NOT_FOR_THE_FILE = ("broker", "remote", "luid", "_activationListeners", "isActivated")


class Publishable(Cacheable):
    """An object whose state each receiver keeps in a file; subclass it and implement `getStateToPublish`.

    `publishedID` tells it from its like: it becomes part of the file's name.
    """

    def __init__(self, publishedID: Any) -> None:
        self.republish()
        self.publishedID = publishedID

    def republish(self) -> None:
        """Let the state count as changed now. Who holds it hears of it when it receives this object the next time."""
        self.timestamp: float = time.time()

    def view_getStateToPublish(self, perspective: Any) -> Any:
        """What a receiver calls whose file is missing or old."""
        return self.getStateToPublishFor(perspective)

    def getStateToPublishFor(self, perspective: Any) -> Any:
        """The state for `perspective`: the same for all of them, unless you override it."""
        return self.getStateToPublish()

    def getStateToPublish(self) -> Any:
        """The state, by attribute; implement it."""
        raise NotImplementedError(f"{type(self).__qualname__} does not say what its state is")

    def getStateToCacheAndObserveFor(self, perspective: Any, observer: Any) -> dict[str, Any]:
        """What a receiver needs to find its file, and to ask for the state."""
        return {
            "remote": Viewpoint(perspective, self),
            "publishedID": self.publishedID,
            "perspective": perspective.perspectiveName if perspective else "None",
            "service": perspective.getService().serviceName if perspective else "None",
            "timestamp": self.timestamp,
        }


class RemotePublished(RemoteCache):
    """The local copy of a peer's `Publishable`; register a subclass for the sender's tag."""

    isActivated: int = 0
    """Whether the state is here."""

    _wasCleanWhenLoaded = 0
    _activationListeners: list[Callable[[Any], object]]

    remote: Any
    service: Any
    perspective: Any
    publishedID: Any
    timestamp: float

    def getFileName(self, ext: str = "pub") -> str:
        """The file that keeps the state, in the current directory.

        Raises:
            InsecureJelly: the peer sent names that would lead elsewhere.
        """
        name = f"{self.service}-{self.perspective}-{self.publishedID}.{ext}"
        if Path(name).name != name or "\0" in name:
            raise InsecureJelly(f"{name[:100]!r} is no name for a file in the current directory")
        return name

    def setCopyableState(self, state: dict[str, Any]) -> None:
        """Take the state from the file if that is recent, else ask the owner for it."""
        self.__dict__.update(state)
        self._activationListeners = []
        try:
            kept = Path(self.getFileName()).read_bytes()
        except OSError:
            recent = None
        else:
            recent = jelly.unjelly(banana.decode(kept))
        if recent is not None and recent.timestamp == self.timestamp:
            self._cbGotUpdate(recent.__dict__)
            self._wasCleanWhenLoaded = 1
        else:
            self.remote.callRemote("getStateToPublish").addCallback(self._cbGotUpdate)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in _NOT_FOR_THE_FILE}

    def activated(self) -> None:
        """Called once the state is here, before it is written to the file; override it."""

    def callWhenActivated(self, callback: Callable[[Any], object]) -> None:
        """Call `callback` with this object once the state is here."""
        if self.isActivated:
            callback(self)
        else:
            self._activationListeners.append(callback)

    def _cbGotUpdate(self, newState: dict[str, Any]) -> None:
        self.__dict__.update(newState)
        self.isActivated = 1
        listeners, self._activationListeners = self._activationListeners, []
        for listener in listeners:
            listener(self)
        self.activated()
        Path(self.getFileName()).write_bytes(banana.encode(jelly.jelly(self)))


def whenReady(d: Deferred[Any]) -> Deferred[Any]:
    """As `d`, which is to give a `RemotePublished`, but it waits until that has its state."""
    ready: Deferred[Any] = Deferred()
    d.addCallbacks(lambda published: published.callWhenActivated(ready.callback), ready.errback)
    return ready
