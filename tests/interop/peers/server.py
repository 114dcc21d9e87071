"""A stock Twisted PB server: prints the ports of its services as one line of JSON, then serves until stdin closes.

The line is ``{"version": "26.10.0", "ports": {"pb": {"root": 4711, ...}, "none": {...}}}``. Its services, each in the
dialects pb and none:

root            everything of `Session`
unsafe          the same, and tracebacks travel
trusting        the same, under rules that let classes, functions and modules through
portal          a login by password or anonymously
members         a login by password only
abort connected, abort offered, abort selected
                the connection ends right after the TCP handshake, after the offer of dialects, after the choice
"""

from __future__ import annotations

import collections
import gc
import io
import json
from collections.abc import Callable
from typing import Any

import samples
import stock_flavors as flavors
import twisted
from twisted.cred import checkers, portal
from twisted.internet import defer, protocol, reactor, stdio
from twisted.python.failure import Failure
from twisted.python.reflect import qual
from twisted.spread import pb, util
from zope.interface import implementer


class Shared:
    """What outlives a connection."""

    def __init__(self) -> None:
        self.ponds: dict[str, flavors.Pond] = {}
        self.signals: dict[str, flavors.Signal] = {}
        self.running: collections.Counter[str] = collections.Counter()

    def signal(self, name: str) -> flavors.Signal:
        return self.signals.setdefault(name, flavors.Signal())

    def pond(self, name: str) -> flavors.Pond:
        if name not in self.ponds:
            self.ponds[name] = flavors.Pond(name=name, ducks=2)
        return self.ponds[name]


class SharedRoot(pb.Root):
    """Gives each connection a root of its own."""

    def __init__(self, shared: Shared) -> None:
        self.shared = shared

    def rootObject(self, broker: pb.Broker) -> Session:
        return Session(self.shared, broker)


class Session(pb.Referenceable):
    """The root object of one connection."""

    def __init__(self, shared: Shared, broker: pb.Broker) -> None:
        self.shared = shared
        self.broker = broker
        self.thing = flavors.Thing()
        self.document = flavors.Document()
        self.held: list[Any] = []
        self.waiting: dict[str, defer.Deferred[object]] = {}
        self.watched = ""
        broker.notifyOnDisconnect(self.disconnected)

    def disconnected(self) -> None:
        self.held.clear()
        if self.watched:
            self.shared.signal(self.watched).happened()

    # Values

    def remote_echo(self, value: object) -> object:
        return value

    def remote_check(self, name: str) -> object:
        return samples.SAMPLES[name]()

    def remote_describe(self, value: object) -> str:
        return samples.describe(value)

    def remote_keywords(self, *args: object, **kw: object) -> str:
        return samples.describe([list(args), dict(sorted(kw.items()))])

    def remote_point(self) -> flavors.Point:
        return flavors.Point(1, [2.5, "y"])

    def remote_circle(self) -> flavors.Circle:
        return flavors.Circle(flavors.Point(0, 0), 3)

    def remote_circles(self) -> list[flavors.Circle]:
        centre = flavors.Point(0, 0)
        return [flavors.Circle(centre, 1), flavors.Circle(centre, 2)]

    def remote_cyclic_point(self) -> flavors.Point:
        point = flavors.Point(1, None)
        point.y = [point]
        return point

    def remote_letter(self) -> flavors.Letter:
        return flavors.Letter("for anyone")

    def remote_unregistered(self) -> flavors.Unregistered:
        return flavors.Unregistered()

    def remote_plain(self) -> flavors.Plain:
        return flavors.Plain()

    def remote_named(self, kind: str) -> object:
        return {"class": collections.OrderedDict, "function": json.dumps, "module": json}[kind]

    def remote_big(self, size: int) -> bytes:
        return b"x" * size

    # Calls

    def remote_count(self, name: str) -> int:
        self.shared.running[name] += 1
        return self.shared.running[name]

    def remote_counted(self, name: str) -> int:
        return self.shared.running[name]

    def remote_wait(self, name: str) -> defer.Deferred[object]:
        self.waiting[name] = defer.Deferred()
        self.shared.signal(f"waiting {name}").happened()
        return self.waiting[name]

    def remote_finish(self, name: str, value: object) -> None:
        self.waiting.pop(name).callback(value)

    def remote_when(self, signal: str, times: int) -> defer.Deferred[int]:
        """Answers once the signal has been seen that often: "waiting N", "lost N", "login N", "logout N"."""
        return self.shared.signal(signal).when(times)

    def remote_never(self) -> defer.Deferred[None]:
        return defer.Deferred()

    def remote_call(self, target: Any, method: str, *args: Any, **kw: Any) -> defer.Deferred[object]:
        """Call an object of the caller's and hand on what it answers."""
        result: defer.Deferred[object] = target.callRemote(method, *args, **kw)
        return result

    def remote_outcome(self, target: Any, method: str, *args: Any) -> defer.Deferred[dict[str, object]]:
        """Call an object of the caller's and say what came of it, failures included."""
        return defer.maybeDeferred(target.callRemote, method, *args).addCallbacks(
            lambda result: {"result": samples.describe(result)}, describe_failure
        )

    # References

    def remote_thing(self) -> flavors.Thing:
        return self.thing

    def remote_things(self, number: int) -> list[flavors.Thing]:
        return [flavors.Thing() for _ in range(number)]

    def remote_is_thing(self, value: object) -> bool:
        return value is self.thing

    def remote_viewpoint(self, name: str) -> pb.ViewPoint:
        return pb.ViewPoint(Perspective(name), self.document)

    def remote_hold(self, *held: Any) -> int:
        self.held.extend(held)
        return len(self.held)

    def remote_holding(self, value: object) -> bool:
        return any(held == value for held in self.held)

    def remote_give_back(self) -> list[Any]:
        return list(self.held)

    def remote_call_held(self, method: str, *args: Any) -> defer.Deferred[object]:
        result: defer.Deferred[object] = self.held[-1].callRemote(method, *args)
        return result

    def remote_forget(self) -> None:
        self.held.clear()
        gc.collect()

    def remote_tables(self) -> dict[str, int]:
        gc.collect()
        return flavors.table_sizes(self.broker)

    # Caches

    def remote_pond(self, name: str) -> flavors.Pond:
        return self.shared.pond(name)

    def remote_ponds(self, name: str) -> list[flavors.Pond]:
        return [self.shared.pond(name), self.shared.pond(name)]

    def remote_is_pond(self, name: str, value: object) -> bool:
        return value is self.shared.pond(name)

    def remote_change_pond(self, name: str, key: str, value: object) -> defer.Deferred[list[object]]:
        return self.shared.pond(name).set(key, value)

    def remote_observers(self, name: str) -> int:
        return len(self.shared.pond(name).observers)

    def remote_when_stopped(self, name: str, times: int) -> defer.Deferred[int]:
        return self.shared.pond(name).stopped.when(times)

    def remote_describe_held(self) -> str:
        return samples.describe(self.held[-1])

    def remote_held_updates(self) -> list[list[object]]:
        return [list(update) for update in self.held[-1].updates]

    # Errors

    def remote_raise(self, kind: str) -> object:
        return raise_kind(kind)

    def remote_raise_later(self, kind: str) -> defer.Deferred[object]:
        return defer.maybeDeferred(raise_kind, kind)

    def remote_fail_later(self, kind: str) -> defer.Deferred[object]:
        """A Deferred that fails with an error that was never raised, so that there are no frames to tell of."""
        return defer.fail(ERRORS[kind]())

    # Paging

    def remote_page_string(self, collector: Any, size: int, chunk: int) -> None:
        util.StringPager(collector, samples.pages_of(size), chunk)

    def remote_page_file(self, collector: Any, size: int) -> None:
        util.FilePager(collector, io.BytesIO(samples.pages_of(size)))

    def remote_collect_pages(self, target: Any, method: str, *args: Any) -> defer.Deferred[list[object]]:
        """Gather what an object of the caller's pages out: the sizes of the pages, and whether they are whole."""
        gathered = util.getAllPages(target, method, *args)
        return gathered.addCallback(lambda pages: [[len(page) for page in pages], samples.pages_are_whole(pages)])

    # Ends

    def remote_watch_loss(self, name: str) -> None:
        """From now on the loss of this connection is the signal `name`."""
        self.watched = name

    def remote_abort(self) -> defer.Deferred[None]:
        self.broker.transport.abortConnection()
        return defer.Deferred()

    def remote_answer_and_close(self, value: object) -> object:
        self.broker.transport.loseConnection()
        return value

    def remote_half_an_answer(self) -> defer.Deferred[None]:
        self.broker.transport.write(b"\x03\x80\x06\x82ans")
        self.broker.transport.loseConnection()
        return defer.Deferred()

    def remote_send_raw(self, data: bytes) -> defer.Deferred[None]:
        """Write bytes past the broker, to misbehave as no broker would."""
        self.broker.transport.write(data)
        return defer.Deferred()


class Perspective:
    """Stands for a caller where a viewpoint is made by hand."""

    def __init__(self, name: str) -> None:
        self.name = name


ERRORS: dict[str, Callable[[], Exception]] = {
    "expected": lambda: flavors.OutOfStock("no more ducks"),
    "pb.Error": lambda: pb.Error("plain"),
    "unexpected": lambda: ValueError("na\u00efve \U0001f600"),
    "type error": lambda: TypeError("not like this"),
    "no text": KeyError,
    "rich": lambda: flavors.RichError(7),
    "dead reference": lambda: pb.DeadReferenceError("a reference of the method's own"),
    "connection lost": lambda: pb.PBConnectionLost("a connection of the method's own"),
}


def raise_kind(kind: str) -> object:
    error = ERRORS[kind]()
    raise error


def describe_failure(failure: Failure) -> dict[str, object]:
    """What a stock caller learns of an error."""
    name = qual(failure.type) if isinstance(failure.type, type) else failure.type
    return {
        "type": name.decode() if isinstance(name, bytes) else name,
        "value": str(failure.value),
        "parents": [parent.decode() if isinstance(parent, bytes) else parent for parent in failure.parents],
        "traceback": getattr(failure, "traceback", None),
        "expected": failure.check(pb.Error) is not None,
    }


class Avatar(pb.Avatar):
    def __init__(self, shared: Shared, name: str, mind: Any) -> None:
        self.shared = shared
        self.name = name
        self.mind = mind
        self.document = flavors.Document()

    def perspective_who(self) -> str:
        return self.name

    def perspective_echo(self, value: object) -> object:
        return value

    def perspective_mind(self) -> str:
        return samples.describe(self.mind)

    def perspective_call_mind(self, method: str, *args: Any) -> defer.Deferred[object]:
        result: defer.Deferred[object] = self.mind.callRemote(method, *args)
        return result

    def perspective_document(self) -> flavors.Document:
        return self.document

    def perspective_letter(self) -> flavors.Letter:
        return flavors.Letter("for an avatar")

    def perspective_fail(self) -> None:
        raise flavors.OutOfStock("nothing for you")

    def perspective_tables(self) -> dict[str, int]:
        gc.collect()
        return flavors.table_sizes(self.mind.broker)

    def perspective_when(self, signal: str, times: int) -> defer.Deferred[int]:
        return self.shared.signal(signal).when(times)

    def perspective_drop(self) -> None:
        self.mind.broker.transport.abortConnection()


@implementer(portal.IRealm)
class Realm:
    def __init__(self, shared: Shared) -> None:
        self.shared = shared

    def requestAvatar(self, avatar_id: Any, mind: Any, *interfaces: Any) -> tuple[Any, Avatar, Any]:
        name = "anonymous" if avatar_id is checkers.ANONYMOUS else avatar_id.decode()
        self.shared.signal(f"login {name}").happened()
        return pb.IPerspective, Avatar(self.shared, name, mind), self.shared.signal(f"logout {name}").happened


def make_portal(shared: Shared, *, anonymous: bool) -> portal.Portal:
    users = checkers.InMemoryUsernamePasswordDatabaseDontUse()
    for name, password in samples.USERS.items():
        users.addUser(name.encode(), password.encode())
    made = portal.Portal(Realm(shared), [users])
    if anonymous:
        made.registerChecker(checkers.AllowAnonymousAccess())
    return made


class AbortConnected(pb.Broker):
    service = "abort connected"

    def connectionMade(self) -> None:
        self.transport.abortConnection()


class AbortOffered(pb.Broker):
    service = "abort offered"

    def connectionMade(self) -> None:
        super().connectionMade()
        self.transport.loseConnection()


class AbortSelected(pb.Broker):
    service = "abort selected"

    def connectionReady(self) -> None:
        self.transport.abortConnection()


def factories(shared: Shared) -> dict[str, pb.PBServerFactory]:
    made = {
        "root": pb.PBServerFactory(SharedRoot(shared)),
        "unsafe": pb.PBServerFactory(SharedRoot(shared), unsafeTracebacks=True),
        "trusting": pb.PBServerFactory(SharedRoot(shared), security=flavors.trusting_security()),
        "portal": pb.PBServerFactory(make_portal(shared, anonymous=True)),
        "members": pb.PBServerFactory(make_portal(shared, anonymous=False)),
    }
    for broker in AbortConnected, AbortOffered, AbortSelected:
        factory = pb.PBServerFactory(SharedRoot(shared))
        factory.protocol = broker
        made[broker.service] = factory
    return made


class StopWithStdin(protocol.Protocol):
    def connectionLost(self, reason: Failure = protocol.connectionDone) -> None:
        if reactor.running:
            reactor.stop()


def main() -> None:
    shared = Shared()
    ports: dict[str, dict[str, int]] = {}
    for dialect in flavors.DIALECTS:
        ports[dialect] = {}
        for name, factory in factories(shared).items():
            factory.protocol = flavors.speaking(dialect, factory.protocol)
            ports[dialect][name] = reactor.listenTCP(0, factory, interface="127.0.0.1").getHost().port
    print(json.dumps({"version": twisted.__version__, "ports": ports}), flush=True)
    stdio.StandardIO(StopWithStdin())
    reactor.run()


if __name__ == "__main__":
    main()
