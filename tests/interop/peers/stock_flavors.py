"""What the stock Twisted peers send and receive: one module, so that both peers know the classes by the same names.

It runs on Python 2.7 as well, where attributes and keywords are named by bytes.
"""

from __future__ import unicode_literals

import collections

from compat import native, text
from twisted.internet import defer
from twisted.spread import jelly, pb

DIALECTS = {"pb": [b"pb", b"none"], "none": [b"none"]}
"""What a peer offers and understands, by the name of the dialect that it shall end up with."""


def speaking(dialect, broker):
    """The same kind of broker, knowing only what ends in `dialect`."""

    class Speaking(broker):
        knownDialects = DIALECTS[dialect]  # noqa: N815  # Twisted's name

    return Speaking


class Signal:
    """Counts what happens, and tells when it has happened often enough."""

    def __init__(self):
        self.count = 0
        self.waiting = []

    def happened(self):
        self.count += 1
        due = [waiter for times, waiter in self.waiting if times <= self.count]
        self.waiting = [(times, waiter) for times, waiter in self.waiting if times > self.count]
        for waiter in due:
            waiter.callback(self.count)

    def when(self, times):
        """Fires with the count once it is at least `times`."""
        if self.count >= times:
            return defer.succeed(self.count)
        waiter = defer.Deferred()
        self.waiting.append((times, waiter))
        return waiter


class Point(pb.Copyable, pb.RemoteCopy):
    """Copied under a tag of its own; the other side registers the same tag."""

    described = True

    def __init__(self, x, y):
        self.x = x
        self.y = y

    def getTypeToCopy(self):
        return b"interop.Point"


class Circle(pb.Copyable, pb.RemoteCopy):
    """Copied under the name of its class."""

    described = True

    def __init__(self, centre, radius):
        self.centre = centre
        self.radius = radius


class Letter(pb.Copyable, pb.RemoteCopy):
    """Copied with a state that depends on who it is sent to."""

    described = True

    def __init__(self, text):
        self.text = text

    def getTypeToCopy(self):
        return b"interop.Letter"

    def getStateToCopyFor(self, perspective):
        return dict(text=self.text, reader=getattr(perspective, "name", None))  # noqa: C408  # names, not text


class Unregistered(pb.Copyable):
    """Copied under a tag that no receiver knows."""

    def getTypeToCopy(self):
        return b"interop.Unregistered"


class Plain:
    """An instance without a flavor."""

    described = True

    def __init__(self, value=1):
        self.value = value


class Pond(pb.Cacheable):
    """Cached by whoever receives it. Observers are told apart by their brokers, because the comparison of two
    observers raises TypeError in stock PB as soon as their brokers differ."""

    def __init__(self, **state):
        self.state = dict(state)
        self.observers = []
        self.perspectives = []
        self.stopped = Signal()

    def getTypeToCopy(self):
        return b"interop.Pond"

    def getStateToCacheAndObserveFor(self, perspective, observer):
        self.observers.append(observer)
        self.perspectives.append(perspective)
        return dict(self.state)

    def set(self, key, value):
        """Change the state and tell every observer; fires with their answers."""
        self.state[key] = value
        return defer.gatherResults([observer.callRemote("set", key, value) for observer in self.observers])

    def stoppedObserving(self, perspective, observer):
        self.observers = [kept for kept in self.observers if kept.broker is not observer.broker]
        self.stopped.happened()


class PondCache(pb.RemoteCache):
    """The copy of a `Pond`, whoever owns it."""

    described = True
    not_described = ("broker", "luid", "updates")

    def __init__(self):
        self.updates = []

    def setCopyableState(self, state):
        self.__dict__.update({native(name): value for name, value in state.items()})

    def observe_set(self, key, value):
        setattr(self, key, value)
        self.updates.append((key, value))
        return "saw " + key


class OutOfStock(pb.Error):
    """Expected: raised for a caller to handle."""


class RichError(pb.Error, pb.Copyable, pb.RemoteCopy):
    """An error that is sent as itself, with its state, because it can be jellied."""

    described = True

    def __init__(self, code):
        pb.Error.__init__(self, "code %d" % code)
        self.code = code

    def getTypeToCopy(self):
        return b"interop.RichError"


class Thing(pb.Referenceable):
    """Something to hold a reference to."""

    def __init__(self):
        self.total = 0

    def remote_ping(self):
        return "pong"

    def remote_add(self, number):
        self.total += number
        return self.total

    def remote_itself(self):
        return self


class Document(pb.Viewable):
    """Seen by each caller through its own perspective."""

    def view_reader(self, perspective, *args, **kw):
        return [getattr(perspective, "name", None), list(args), {text(name): value for name, value in kw.items()}]

    def view_letter(self, perspective):
        return Letter("seen through a viewpoint")


def trusting_security():
    """Rules that let some classes, functions and modules through, and the instances of `Plain`."""
    security = jelly.SecurityOptions()
    security.allowInstancesOf(Plain)
    security.allowTypes("class", "function", "module", "method")
    security.allowModules("collections", "json", "json.decoder")
    security.allowedClasses[collections.OrderedDict] = 1
    for tag in jelly.unjellyableRegistry:
        security.allowTypes(tag)
    return security


def table_sizes(broker):
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
