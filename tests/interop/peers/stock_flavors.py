"""What the stock Twisted peers send and receive: one module, so that both peers know the classes by the same names."""

from __future__ import annotations

import collections
from typing import Any

from twisted.internet import defer
from twisted.spread import jelly, pb

DIALECTS = {"pb": [b"pb", b"none"], "none": [b"none"]}
"""What a peer offers and understands, by the name of the dialect that it shall end up with."""


def speaking(dialect: str, broker: type[pb.Broker]) -> type[pb.Broker]:
    """The same kind of broker, knowing only what ends in `dialect`."""
    return type(broker.__name__, (broker,), {"knownDialects": DIALECTS[dialect]})


class Signal:
    """Counts what happens, and tells when it has happened often enough."""

    def __init__(self) -> None:
        self.count = 0
        self.waiting: list[tuple[int, defer.Deferred[int]]] = []

    def happened(self) -> None:
        self.count += 1
        due = [waiter for times, waiter in self.waiting if times <= self.count]
        self.waiting = [(times, waiter) for times, waiter in self.waiting if times > self.count]
        for waiter in due:
            waiter.callback(self.count)

    def when(self, times: int) -> defer.Deferred[int]:
        """Fires with the count once it is at least `times`."""
        if self.count >= times:
            return defer.succeed(self.count)
        waiter: defer.Deferred[int] = defer.Deferred()
        self.waiting.append((times, waiter))
        return waiter


class Point(pb.Copyable, pb.RemoteCopy):
    """Copied under a tag of its own; the other side registers the same tag."""

    described = True

    def __init__(self, x: object, y: object) -> None:
        self.x = x
        self.y = y

    def getTypeToCopy(self) -> bytes:
        return b"interop.Point"


class Circle(pb.Copyable, pb.RemoteCopy):
    """Copied under the name of its class."""

    described = True

    def __init__(self, centre: object, radius: object) -> None:
        self.centre = centre
        self.radius = radius


class Letter(pb.Copyable, pb.RemoteCopy):
    """Copied with a state that depends on who it is sent to."""

    described = True

    def __init__(self, text: str) -> None:
        self.text = text

    def getTypeToCopy(self) -> bytes:
        return b"interop.Letter"

    def getStateToCopyFor(self, perspective: Any) -> dict[str, object]:
        return {"text": self.text, "reader": getattr(perspective, "name", None)}


class Unregistered(pb.Copyable):
    """Copied under a tag that no receiver knows."""

    def getTypeToCopy(self) -> bytes:
        return b"interop.Unregistered"


class Plain:
    """An instance without a flavor."""

    described = True

    def __init__(self, value: object = 1) -> None:
        self.value = value


class Pond(pb.Cacheable):
    """Cached by whoever receives it. Observers are told apart by their brokers, because the comparison of two
    observers raises TypeError in stock PB as soon as their brokers differ."""

    def __init__(self, **state: object) -> None:
        self.state = dict(state)
        self.observers: list[Any] = []
        self.perspectives: list[Any] = []
        self.stopped = Signal()

    def getTypeToCopy(self) -> bytes:
        return b"interop.Pond"

    def getStateToCacheAndObserveFor(self, perspective: Any, observer: Any) -> dict[str, object]:
        self.observers.append(observer)
        self.perspectives.append(perspective)
        return dict(self.state)

    def set(self, key: str, value: object) -> defer.Deferred[list[object]]:
        """Change the state and tell every observer; fires with their answers."""
        self.state[key] = value
        return defer.gatherResults([observer.callRemote("set", key, value) for observer in self.observers])

    def stoppedObserving(self, perspective: Any, observer: Any) -> None:
        self.observers = [kept for kept in self.observers if kept.broker is not observer.broker]
        self.stopped.happened()


class PondCache(pb.RemoteCache):
    """The copy of a `Pond`, whoever owns it."""

    described = True
    not_described = ("broker", "luid", "updates")

    def __init__(self) -> None:
        self.updates: list[tuple[str, object]] = []

    def setCopyableState(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)

    def observe_set(self, key: str, value: object) -> str:
        setattr(self, key, value)
        self.updates.append((key, value))
        return f"saw {key}"


class OutOfStock(pb.Error):
    """Expected: raised for a caller to handle."""


class RichError(pb.Error, pb.Copyable, pb.RemoteCopy):
    """An error that is sent as itself, with its state, because it can be jellied."""

    described = True

    def __init__(self, code: int) -> None:
        super().__init__(f"code {code}")
        self.code = code

    def getTypeToCopy(self) -> bytes:
        return b"interop.RichError"


class Thing(pb.Referenceable):
    """Something to hold a reference to."""

    def __init__(self) -> None:
        self.total = 0

    def remote_ping(self) -> str:
        return "pong"

    def remote_add(self, number: int) -> int:
        self.total += number
        return self.total

    def remote_itself(self) -> Thing:
        return self


class Document(pb.Viewable):
    """Seen by each caller through its own perspective."""

    def view_reader(self, perspective: Any, *args: object, **kw: object) -> list[object]:
        return [getattr(perspective, "name", None), list(args), kw]

    def view_letter(self, perspective: Any) -> Letter:
        return Letter("seen through a viewpoint")


def trusting_security() -> jelly.SecurityOptions:
    """Rules that let some classes, functions and modules through, and the instances of `Plain`."""
    security = jelly.SecurityOptions()
    security.allowInstancesOf(Plain)
    security.allowTypes("class", "function", "module", "method")
    security.allowModules("collections", "json", "json.decoder")
    security.allowedClasses[collections.OrderedDict] = 1
    for tag in jelly.unjellyableRegistry:
        security.allowTypes(tag)
    return security


def table_sizes(broker: pb.Broker) -> dict[str, int]:
    """How much a broker remembers of its peer."""
    return {
        "local": sum(isinstance(name, int) for name in broker.localObjects),
        "cached by the peer": len(broker.remotelyCachedObjects),
        "cached here": len(broker.locallyCachedObjects),
        "unanswered": len(broker.waitingForAnswers),
    }


pb.setUnjellyableForClass(b"interop.Point", Point)
pb.setUnjellyableForClass(b"interop.Letter", Letter)
pb.setUnjellyableForClass(b"interop.Pond", PondCache)
pb.setUnjellyableForClass(b"interop.RichError", RichError)
pb.setUnjellyableForClass(Circle, Circle)
pb.setUnjellyableForClass(b"tests.interop.twin.Circle", Circle)
