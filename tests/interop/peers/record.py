"""Records what two stock Twisted PB brokers say to each other, as text files in the directory that is given.

A transcript has a line for each expression on the wire: who sent it (``S`` the listening side, ``C`` the connecting
side), its bytes in hex, ``#`` and the expression. A byte that differs from one run to the next is written ``??``.
Transcripts are named ``<conversation>.<dialect>.txt``; the conversations are the functions marked `conversation`.
"""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import samples
import stock_flavors as flavors
import twisted
from client import Mind, password
from server import Shared, SharedRoot, make_portal
from twisted.cred.credentials import Anonymous, UsernamePassword
from twisted.internet import defer
from twisted.internet.testing import StringTransport
from twisted.spread import banana, pb, util

VARYING = [
    # A failure's count says how many failures its process has seen.
    re.compile(rb"\x07\x82unicode\x05\x82count(.)\x81", re.DOTALL),
    # The challenge of a login, and the answer to it.
    re.compile(rb"\x80(?:\x0b\x87|\x05\x82tuple)\x10\x82(.{16})", re.DOTALL),
]

Conversation = Callable[["Wire"], None]
CONVERSATIONS: dict[str, Conversation] = {}


def conversation(function: Conversation) -> Conversation:
    CONVERSATIONS[function.__name__] = function
    return function


class Wire:
    """Two brokers, what is between them, and a record of it."""

    def __init__(self, dialect: str) -> None:
        self.dialect = dialect
        self.lines: list[str] = []
        shared = Shared()
        self.server_factory = pb.PBServerFactory(SharedRoot(shared))
        self.portal_factory = pb.PBServerFactory(make_portal(shared, anonymous=True))
        self.client_factory = pb.PBClientFactory()
        for factory in self.server_factory, self.portal_factory, self.client_factory:
            factory.protocol = flavors.speaking(dialect, pb.Broker)

    def connect(self, factory: pb.PBServerFactory) -> None:
        self.ends = [End("S", factory, self.dialect), End("C", self.client_factory, self.dialect)]
        for end in self.ends:
            end.broker.makeConnection(end.transport)
        self.pump()

    def open(self) -> pb.RemoteReference:
        self.connect(self.server_factory)
        return self.wait(self.client_factory.getRootObject())

    def pump(self) -> None:
        """Carry bytes over until nobody has any more to say."""
        for _ in range(1000):
            for end, other in (self.ends, reversed(self.ends)):
                if end.transport.producer is not None and not end.transport.value():
                    end.transport.producer.resumeProducing()
                data = end.transport.value()
                end.transport.clear()
                self.lines.extend(f"{end.name} {line}" for line in end.lines(data))
                other.broker.dataReceived(data)
            if not any(end.transport.value() or end.transport.producer for end in self.ends):
                return
        raise RuntimeError("the brokers never fall silent")

    def wait(self, promise: defer.Deferred[Any]) -> Any:
        """What `promise` comes to; a failure is as good as a result."""
        results: list[Any] = []
        promise.addBoth(results.append)
        self.pump()
        return results.pop()

    def call(self, target: Any, name: str, /, *args: Any, **kw: Any) -> Any:
        return self.wait(target.callRemote(name, *args, **kw))


class End:
    """One broker with its transport."""

    def __init__(self, name: str, factory: Any, dialect: str) -> None:
        self.name = name
        self.dialect = dialect
        self.transport = StringTransport()
        self.broker = factory.buildProtocol(None)

    def lines(self, data: bytes) -> Iterator[str]:
        """One line for each whole expression in `data`."""
        while data:
            expression, length = first_expression(data)
            yield f"{hex_of(data[:length])}  # {expression!r}"
            data = data[length:]


class Splitter(banana.Banana):
    """Takes one expression, and remembers where it ended."""

    def __init__(self) -> None:
        super().__init__()
        self.setPrefixLimit(64)
        self.currentDialect = b"pb"
        self.seen: list[Any] = []
        self.expressionReceived = self.seen.append


def first_expression(data: bytes) -> tuple[Any, int]:
    splitter = Splitter()
    for length in range(1, len(data) + 1):
        splitter.dataReceived(data[length - 1 : length])
        if splitter.seen:
            return splitter.seen[0], length
    raise ValueError(f"half an expression: {data!r}")


def hex_of(data: bytes) -> str:
    pairs = [f"{byte:02x}" for byte in data]
    for pattern in VARYING:
        for match in pattern.finditer(data):
            pairs[match.start(1) : match.end(1)] = ["??"] * (match.end(1) - match.start(1))
    return " ".join(pairs)


@conversation
def handshake(wire: Wire) -> None:
    wire.open()


@conversation
def values(wire: Wire) -> None:
    root = wire.open()
    for name, make in samples.SAMPLES.items():
        if name not in samples.UNORDERED:
            wire.call(root, "echo", make())


@conversation
def keywords(wire: Wire) -> None:
    root = wire.open()
    wire.call(root, "keywords")
    wire.call(root, "keywords", 1, "two", name="Bob", number=12)
    wire.call(root, "keywords", **{"with space": b"answer"})


@conversation
def one_way(wire: Wire) -> None:
    root = wire.open()
    root.callRemote("count", "ducks", pbanswer=False)
    wire.call(root, "counted", "ducks")


@conversation
def errors(wire: Wire) -> None:
    root = wire.open()
    for kind in "expected", "pb.Error", "unexpected", "no text":
        wire.call(root, "raise", kind)
    wire.call(root, "no_such_thing")
    wire.call(root.broker.remoteForName("other"), "ping")
    wire.call(root, "raise", "rich")


@conversation
def errors_of_deferreds(wire: Wire) -> None:
    """Here a stock server's failures have two more keys."""
    root = wire.open()
    wire.call(root, "fail_later", "expected")
    wire.call(root, "fail_later", "unexpected")


@conversation
def references(wire: Wire) -> None:
    root = wire.open()
    thing = wire.call(root, "thing")
    again = wire.call(root, "thing")
    wire.call(thing, "add", 2)
    wire.call(root, "is_thing", again)
    wire.call(root, "is_thing", [thing, thing])
    del thing
    wire.pump()
    del again
    wire.pump()
    wire.call(root, "thing")


@conversation
def callbacks(wire: Wire) -> None:
    root = wire.open()
    mine = flavors.Thing()
    wire.call(root, "hold", mine)
    wire.call(root, "call_held", "add", 3)
    wire.call(root, "give_back")
    wire.call(root, "holding", mine)
    wire.call(root, "forget")


@conversation
def copyables(wire: Wire) -> None:
    root = wire.open()
    wire.call(root, "point")
    wire.call(root, "cyclic_point")
    wire.call(root, "letter")
    shared = flavors.Point(0, 0)
    wire.call(root, "echo", [shared, shared])
    wire.call(root, "describe", shared)


@conversation
def caches(wire: Wire) -> None:
    root = wire.open()
    pond = wire.call(root, "pond", "p")
    wire.call(root, "change_pond", "p", "ducks", 3)
    again = wire.call(root, "pond", "p")
    wire.call(root, "is_pond", "p", pond)
    del pond
    wire.pump()
    del again
    wire.pump()
    wire.call(root, "observers", "p")


@conversation
def my_caches(wire: Wire) -> None:
    root = wire.open()
    pond = flavors.Pond(name="mine", ducks=1)
    wire.call(root, "hold", pond)
    wire.wait(pond.set("ducks", 5))
    wire.call(root, "give_back")
    wire.call(root, "forget")


@conversation
def viewpoints(wire: Wire) -> None:
    root = wire.open()
    ann = wire.call(root, "viewpoint", "ann")
    wire.call(ann, "reader", 1, two=2)
    wire.call(ann, "letter")


@conversation
def login(wire: Wire) -> None:
    wire.connect(wire.portal_factory)
    avatar = wire.wait(wire.client_factory.login(password("alice"), Mind()))
    wire.call(avatar, "who")
    wire.call(avatar, "call_mind", "tell", "hello")
    wire.call(avatar, "letter")


@conversation
def login_refused(wire: Wire) -> None:
    wire.connect(wire.portal_factory)
    wire.wait(wire.client_factory.login(UsernamePassword(b"alice", b"wrong")))


@conversation
def login_anonymously(wire: Wire) -> None:
    wire.connect(wire.portal_factory)
    avatar = wire.wait(wire.client_factory.login(Anonymous()))
    wire.call(avatar, "who")


@conversation
def paging(wire: Wire) -> None:
    root = wire.open()
    wire.wait(util.getAllPages(root, "page_string", 10, 4))


def record(name: str, dialect: str) -> str:
    wire = Wire(dialect)
    CONVERSATIONS[name](wire)
    heading = f"# {name.replace('_', ' ')}, dialect {dialect}, between two brokers of Twisted {twisted.__version__}"
    return "\n".join([heading, *wire.lines]) + "\n"


def main(directory: Path) -> None:
    random.seed(0)  # twisted.spread.pb.challenge uses it, so the masks are all that could differ between two runs
    for dialect in flavors.DIALECTS:
        for name in CONVERSATIONS:
            (directory / f"{name}.{dialect}.txt").write_text(record(name, dialect))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
