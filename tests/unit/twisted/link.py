"""Two brokers of the Twisted door, joined in memory: no reactor runs, and bytes move when a test says so."""

from __future__ import annotations

import gc
from typing import Any

from twisted.internet import defer, main
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from pellucid.twisted import pb

__all__ = ["Link", "outcome"]

ROUNDS = 1_000


class Link:
    """A client and a server, made by their factories."""

    def __init__(
        self,
        root: Any,
        client: pb.PBClientFactory | None = None,
        *,
        protocol: type[pb.Broker] = pb.Broker,
        **options: Any,
    ) -> None:
        self.client_factory = client or pb.PBClientFactory()
        self.server_factory = pb.PBServerFactory(root, **options)
        self.server_factory.protocol = protocol
        self.client = self.client_factory.buildProtocol(None)
        self.server = self.server_factory.buildProtocol(None)
        self.to_server, self.to_client = StringTransport(), StringTransport()
        self.server.makeConnection(self.to_client)
        self.client.makeConnection(self.to_server)
        self.pump()

    @property
    def root(self) -> pb.RemoteReference:
        """The server's root, as the client holds it."""
        root: pb.RemoteReference = outcome(self.client_factory.getRootObject())
        return root

    def pump(self) -> None:
        """Carry bytes to and fro until nobody has anything to say any more."""
        for _ in range(ROUNDS):
            up, down = self.to_server.value(), self.to_client.value()
            self.to_server.clear()
            self.to_client.clear()
            if not up and not down:
                return
            self.server.dataReceived(up)
            self.client.dataReceived(down)
        raise AssertionError("the two sides never fall silent")

    def call(self, reference: Any, name: str, *args: Any, **kw: Any) -> Any:
        """What a call comes to: its result, or its Failure."""
        waiting = reference.callRemote(name, *args, **kw)
        self.pump()
        return outcome(waiting)

    def settle(self) -> None:
        """Let go of everything that nobody refers to any more, and tell the owners."""
        gc.collect()
        self.pump()

    def cut(self) -> None:
        """End the connection, the client first."""
        self.client.connectionLost(Failure(main.CONNECTION_LOST))
        self.server.connectionLost(Failure(main.CONNECTION_LOST))


def outcome(waiting: defer.Deferred[Any]) -> Any:
    """The result of a Deferred that has one, or its Failure."""
    results: list[Any] = []
    waiting.addBoth(results.append)
    assert results, "there is no answer yet"
    return results[0]
