"""The Twisted door among peers that die: ``twisted_fate.py serve`` or ``twisted_fate.py call PORT DIALECT``.

It says what becomes of it, a line each.
"""

import os
import sys
from dataclasses import replace

from twisted.internet import defer, reactor
from twisted.python import log

from pellucid.twisted import pb


class Broker(pb.Broker):
    limits = replace(pb.Broker.limits, silence_seconds=1)


class Giver(pb.Root):
    def remote_echo(self, value=None):
        return value

    def remote_take(self, value):
        return None

    def remote_much(self, dialect):
        size = 600_000
        return bytes(100_000_000) if dialect == "pellucid" else [bytes(size)] * 20

    def remote_page(self, size):
        return os.urandom(100) * (size // 100)


def say(*words):
    print(*words, flush=True)


@defer.inlineCallbacks
def call(dialect):
    root = yield factory.getRootObject()
    root.notifyOnDisconnect(lambda _: say("notice"))
    root.broker.notifyOnDisconnect(lambda: say("the connection's notice"))
    calls = [root.callRemote("die"), root.callRemote("echo", 1), root.callRemote("die").call("echo", 1)]
    for waiting in calls:
        try:
            yield waiting
        except pb.PBConnectionLost as error:
            say("lost", error.sent)
    try:
        root.callRemote("echo")
    except pb.DeadReferenceError:
        say("dead")
    reactor.stop()


if sys.argv[1] == "serve":
    log.startLogging(sys.stderr, setStdout=False)
    factory = pb.PBServerFactory(Giver())
    factory.protocol = Broker
    port = reactor.listenTCP(0, factory, interface="127.0.0.1")
    say(f"listening at pb://127.0.0.1:{port.getHost().port}")
else:
    factory = pb.PBClientFactory()
    Broker.knownDialects = [sys.argv[3].encode()]
    factory.protocol = Broker
    reactor.connectTCP("127.0.0.1", int(sys.argv[2]), factory)
    call(sys.argv[3]).addErrback(lambda reason: (say(reason), reactor.stop()))
reactor.run()
