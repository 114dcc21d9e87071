"""A stock Twisted PB server: prints the ports of its services as one line of JSON, then serves until stdin closes.

The line is ``{"pb": {"root": 4711, ...}, "none": {...}}``. Its services, each in the dialects pb and none:

root            everything of `Session`
unsafe          the same, and tracebacks travel
trusting        the same, under rules that let classes, functions and modules through
lenient         the same as root, and pellucid's Twisted door takes placeholders among arguments
portal          a login by password or anonymously
members         a login by password only
abort connected, abort offered, abort selected
                the connection ends right after the TCP handshake, after the offer of dialects, after the choice

It runs on Python 2.7 as well.
"""

from __future__ import unicode_literals

import collections
import gc
import io
import json

import samples
import stock_flavors as flavors
from compat import native, say, text
from twisted.cred import checkers, portal
from twisted.internet import defer, protocol, reactor, stdio
from twisted.python.reflect import qual
from twisted.spread import pb, util
from zope.interface import implementer


class Shared:
    """What outlives a connection."""

    def __init__(self):
        self.ponds = {}
        self.signals = {}
        self.running = collections.Counter()

    def signal(self, name):
        return self.signals.setdefault(name, flavors.Signal())

    def pond(self, name):
        if name not in self.ponds:
            self.ponds[name] = flavors.Pond(name=name, ducks=2)
        return self.ponds[name]


class SharedRoot(pb.Root):
    """Gives each connection a root of its own."""

    def __init__(self, shared):
        self.shared = shared

    def rootObject(self, broker):
        return Session(self.shared, broker)


class Session(pb.Referenceable):
    """The root object of one connection."""

    def __init__(self, shared, broker):
        self.shared = shared
        self.broker = broker
        self.thing = flavors.Thing()
        self.document = flavors.Document()
        self.held = []
        self.waiting = {}
        self.watched = ""
        broker.notifyOnDisconnect(self.disconnected)

    def disconnected(self):
        del self.held[:]
        if self.watched:
            self.shared.signal(self.watched).happened()

    # Values

    def remote_echo(self, value):
        return value

    def remote_check(self, name):
        return samples.SAMPLES[name]()

    def remote_describe(self, value):
        return samples.describe(value)

    def remote_keywords(self, *args, **kw):
        return samples.describe([list(args), {text(name): value for name, value in kw.items()}])

    def remote_order(self, value):
        return list(value)

    def remote_point(self):
        return flavors.Point(1, [2.5, "y"])

    def remote_circle(self):
        return flavors.Circle(flavors.Point(0, 0), 3)

    def remote_circles(self):
        centre = flavors.Point(0, 0)
        return [flavors.Circle(centre, 1), flavors.Circle(centre, 2)]

    def remote_cyclic_point(self):
        point = flavors.Point(1, None)
        point.y = [point]
        return point

    def remote_letter(self):
        return flavors.Letter("for anyone")

    def remote_unregistered(self):
        return flavors.Unregistered()

    def remote_plain(self):
        return flavors.Plain()

    def remote_named(self, kind):
        return {"class": collections.OrderedDict, "function": json.dumps, "module": json}[kind]

    def remote_big(self, size):
        return b"x" * size

    # Calls

    def remote_count(self, name):
        self.shared.running[name] += 1
        return self.shared.running[name]

    def remote_counted(self, name):
        return self.shared.running[name]

    def remote_wait(self, name):
        self.waiting[name] = defer.Deferred()
        self.shared.signal("waiting " + name).happened()
        return self.waiting[name]

    def remote_finish(self, name, value):
        self.waiting.pop(name).callback(value)

    def remote_when(self, signal, times):
        """Answers once the signal has been seen that often: "waiting N", "lost N", "login N", "logout N"."""
        return self.shared.signal(signal).when(times)

    def remote_never(self):
        return defer.Deferred()

    def remote_call(self, target, method, *args, **kw):
        """Call an object of the caller's and hand on what it answers."""
        return target.callRemote(method, *args, **kw)

    def remote_outcome(self, target, method, *args):
        """Call an object of the caller's and say what came of it, failures included."""
        return defer.maybeDeferred(target.callRemote, method, *args).addCallbacks(
            lambda result: {"result": samples.describe(result)}, describe_failure
        )

    # References

    def remote_thing(self):
        return self.thing

    def remote_things(self, number):
        return [flavors.Thing() for _ in range(number)]

    def remote_is_thing(self, value):
        return value is self.thing

    def remote_viewpoint(self, name):
        return pb.ViewPoint(Perspective(name), self.document)

    def remote_hold(self, *held):
        self.held.extend(held)
        return len(self.held)

    def remote_holding(self, value):
        return any(held == value for held in self.held)

    def remote_give_back(self):
        return list(self.held)

    def remote_call_held(self, method, *args):
        return self.held[-1].callRemote(method, *args)

    def remote_forget(self):
        del self.held[:]
        gc.collect()

    def remote_tables(self):
        gc.collect()
        return flavors.table_sizes(self.broker)

    # Caches

    def remote_pond(self, name):
        return self.shared.pond(name)

    def remote_ponds(self, name):
        return [self.shared.pond(name), self.shared.pond(name)]

    def remote_is_pond(self, name, value):
        return value is self.shared.pond(name)

    def remote_change_pond(self, name, key, value):
        return self.shared.pond(name).set(key, value)

    def remote_observers(self, name):
        return len(self.shared.pond(name).observers)

    def remote_when_stopped(self, name, times):
        return self.shared.pond(name).stopped.when(times)

    def remote_describe_held(self):
        return samples.describe(self.held[-1])

    def remote_held_updates(self):
        return [list(update) for update in self.held[-1].updates]

    # Errors

    def remote_raise(self, kind):
        return raise_kind(kind)

    def remote_raise_later(self, kind):
        return defer.maybeDeferred(raise_kind, kind)

    def remote_fail_later(self, kind):
        """A Deferred that fails with an error that was never raised, so that there are no frames to tell of."""
        return defer.fail(ERRORS[kind]())

    # Paging

    def remote_page_string(self, collector, size, chunk):
        util.StringPager(collector, samples.pages_of(size), chunk)

    def remote_page_file(self, collector, size):
        util.FilePager(collector, io.BytesIO(samples.pages_of(size)))

    def remote_collect_pages(self, target, method, *args):
        """Gather what an object of the caller's pages out: the sizes of the pages, and whether they are whole."""
        gathered = util.getAllPages(target, method, *args)
        return gathered.addCallback(lambda pages: [[len(page) for page in pages], samples.pages_are_whole(pages)])

    # Ends

    def remote_watch_loss(self, name):
        """From now on the loss of this connection is the signal `name`."""
        self.watched = name

    def remote_abort(self):
        self.broker.transport.abortConnection()
        return defer.Deferred()

    def remote_answer_and_close(self, value):
        self.broker.transport.loseConnection()
        return value

    def remote_half_an_answer(self):
        self.broker.transport.write(b"\x03\x80\x06\x82ans")
        self.broker.transport.loseConnection()
        return defer.Deferred()

    def remote_send_raw(self, data):
        """Write bytes past the broker, to misbehave as no broker would."""
        self.broker.transport.write(data)
        return defer.Deferred()


class Perspective:
    """Stands for a caller where a viewpoint is made by hand."""

    def __init__(self, name):
        self.name = name


ERRORS = {
    "expected": lambda: flavors.OutOfStock("no more ducks"),
    "pb.Error": lambda: pb.Error("plain"),
    "unexpected": lambda: ValueError(native("na\u00efve \U0001f600")),
    "type error": lambda: TypeError("not like this"),
    "no text": KeyError,
    "rich": lambda: flavors.RichError(7),
    "dead reference": lambda: pb.DeadReferenceError("a reference of the method's own"),
    "connection lost": lambda: pb.PBConnectionLost("a connection of the method's own"),
}


def raise_kind(kind):
    error = ERRORS[kind]()
    raise error


def describe_failure(failure):
    """What a stock caller learns of an error."""
    return {
        "type": text(qual(failure.type) if isinstance(failure.type, type) else failure.type),
        "value": text(failure.value),
        "parents": [text(parent) for parent in failure.parents],
        "traceback": getattr(failure, "traceback", None),
        "expected": failure.check(pb.Error) is not None,
    }


class Avatar(pb.Avatar):
    def __init__(self, shared, name, mind):
        self.shared = shared
        self.name = name
        self.mind = mind
        self.document = flavors.Document()

    def perspective_who(self):
        return self.name

    def perspective_echo(self, value):
        return value

    def perspective_mind(self):
        return samples.describe(self.mind)

    def perspective_call_mind(self, method, *args):
        return self.mind.callRemote(method, *args)

    def perspective_document(self):
        return self.document

    def perspective_letter(self):
        return flavors.Letter("for an avatar")

    def perspective_fail(self):
        raise flavors.OutOfStock("nothing for you")

    def perspective_tables(self):
        gc.collect()
        return flavors.table_sizes(self.mind.broker)

    def perspective_when(self, signal, times):
        return self.shared.signal(signal).when(times)

    def perspective_drop(self):
        self.mind.broker.transport.abortConnection()


@implementer(portal.IRealm)
class Realm:
    def __init__(self, shared):
        self.shared = shared

    def requestAvatar(self, avatar_id, mind, *interfaces):
        name = "anonymous" if avatar_id is checkers.ANONYMOUS else avatar_id.decode("ascii")
        self.shared.signal("login " + name).happened()
        return pb.IPerspective, Avatar(self.shared, name, mind), self.shared.signal("logout " + name).happened


def make_portal(shared, anonymous):
    users = checkers.InMemoryUsernamePasswordDatabaseDontUse()
    for name, password in samples.USERS.items():
        users.addUser(name.encode("ascii"), password.encode("ascii"))
    made = portal.Portal(Realm(shared), [users])
    if anonymous:
        made.registerChecker(checkers.AllowAnonymousAccess())
    return made


class AbortConnected(pb.Broker):
    service = "abort connected"

    def connectionMade(self):
        self.transport.abortConnection()


class AbortOffered(pb.Broker):
    service = "abort offered"

    def connectionMade(self):
        pb.Broker.connectionMade(self)
        self.transport.loseConnection()


class AbortSelected(pb.Broker):
    service = "abort selected"

    def connectionReady(self):
        self.transport.abortConnection()


class Lenient(pb.Broker):
    service = "lenient"
    acceptPlaceholders = True  # noqa: N815  # its name in this door


def factories(shared):
    made = {
        "root": pb.PBServerFactory(SharedRoot(shared)),
        "unsafe": pb.PBServerFactory(SharedRoot(shared), unsafeTracebacks=True),
        "trusting": pb.PBServerFactory(SharedRoot(shared), security=flavors.trusting_security()),
        "portal": pb.PBServerFactory(make_portal(shared, anonymous=True)),
        "members": pb.PBServerFactory(make_portal(shared, anonymous=False)),
    }
    for broker in Lenient, AbortConnected, AbortOffered, AbortSelected:
        factory = pb.PBServerFactory(SharedRoot(shared))
        factory.protocol = broker
        made[broker.service] = factory
    return made


class StopWithStdin(protocol.Protocol):
    def connectionLost(self, reason=protocol.connectionDone):
        if reactor.running:
            reactor.stop()


def main():
    shared = Shared()
    ports = {}
    for dialect in flavors.DIALECTS:
        ports[dialect] = {}
        for name, factory in factories(shared).items():
            factory.protocol = flavors.speaking(dialect, factory.protocol)
            ports[dialect][name] = reactor.listenTCP(0, factory, interface="127.0.0.1").getHost().port
    say(ports)
    stdio.StandardIO(StopWithStdin())
    reactor.run()


if __name__ == "__main__":
    main()
