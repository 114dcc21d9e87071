"""What the extra twisted is for: Perspective Broker's own API, and one object for clients of both doors."""

from __future__ import annotations

from typing import Any

from twisted.internet import defer, reactor, task

from pellucid.twisted import pb


class Echoer(pb.Root):
    def remote_echo(self, text: str) -> str:
        return text


async def main() -> None:
    the_reactor: Any = reactor
    port = the_reactor.listenTCP(0, pb.PBServerFactory(Echoer()), interface="127.0.0.1")
    factory = pb.PBClientFactory()
    the_reactor.connectTCP("127.0.0.1", port.getHost().port, factory)
    root = await factory.getRootObject()
    assert await root.callRemote("echo", "hello") == "hello"
    factory.disconnect()
    await port.stopListening()
    print("calls in Twisted")


task.react(lambda _: defer.ensureDeferred(main()))
