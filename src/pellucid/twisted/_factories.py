"""The factories that make the two ends of connections, for reactors, endpoints and services of Twisted's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.cred.credentials import IAnonymous
from twisted.internet import defer, protocol
from twisted.python.failure import Failure

from pellucid.auth.challenge import respond
from pellucid.auth.client import parse_challenge
from pellucid.flavors.hooks import hook
from pellucid.flavors.referenceable import Root
from pellucid.twisted import jelly
from pellucid.twisted._connection import Broker
from pellucid.twisted._login import IPBRoot, MD5Warning
from pellucid.twisted._references import RemoteReference

__all__ = ["PBClientFactory", "PBServerFactory"]


class PBClientFactory(protocol.ClientFactory[Broker]):
    """Makes one connection at a time, and hands out the peer's root object; ask before or after connecting."""

    protocol: Callable[..., Broker] = Broker  # pyright: ignore[reportIncompatibleVariableOverride]  # never None
    unsafeTracebacks: bool | int = False
    """Whether a peer whose call fails here is sent the text of the traceback."""

    rootObjectRequests: list[defer.Deferred[Any]]
    """Who waits for the root object."""
    _broker: Broker | None
    _root: RemoteReference | None

    def __init__(self, unsafeTracebacks: bool | int = False, security: Any = jelly.globalSecurity) -> None:
        self.unsafeTracebacks = unsafeTracebacks
        self.security = security
        self._md5_warning = MD5Warning()
        self._reset()

    def buildProtocol(self, addr: Any) -> Broker:
        """The broker of a new connection."""
        broker = self.protocol(isClient=True, security=self.security)
        broker.factory = self
        return broker

    def getRootObject(self) -> defer.Deferred[RemoteReference]:
        """A reference to the object that the peer publishes, once there is a connection."""
        if self._root is not None and self._root.alive:
            return defer.succeed(self._root)
        waiting: defer.Deferred[RemoteReference] = defer.Deferred()
        self.rootObjectRequests.append(waiting)
        return waiting

    def login(self, credentials: Any, client: Any = None) -> defer.Deferred[Any]:
        """Log in, and get the reference to the avatar; `client` is the mind that the peer's realm is given.

        `credentials` provide IAnonymous or IUsernamePassword of twisted.cred.
        """
        if IAnonymous.providedBy(credentials):
            return self.getRootObject().addCallback(self._cbLoginAnonymous, client)
        return self.getRootObject().addCallback(
            self._cbSendUsername, credentials.username, credentials.password, client
        )

    def disconnect(self) -> None:
        """End the connection, where there is one. A factory that reconnects will do so all the same."""
        if self._broker is not None:
            self._broker.hang_up()

    def clientConnectionMade(self, broker: Broker) -> None:
        """Called by the broker of a connection that is ready."""
        self._broker = broker
        self._root = broker.remoteForName("root")
        waiting, self.rootObjectRequests = self.rootObjectRequests, []
        for each in waiting:
            each.callback(self._root)

    def clientConnectionLost(self, connector: Any, reason: Failure, reconnecting: bool | int = 0) -> None:
        """Called when the connection has ended; with `reconnecting`, those who wait for the root go on waiting."""
        if reconnecting:
            self._broker = self._root = None
        else:
            self._failAll(reason)

    def clientConnectionFailed(self, connector: Any, reason: Failure) -> None:
        """Called when no connection could be made."""
        self._failAll(reason)

    # Programs that reconnect and log in by themselves, Buildbot's worker among them, use PB's names for these steps.

    def _reset(self) -> None:
        self.rootObjectRequests = []
        self._broker = self._root = None

    def _failAll(self, reason: Failure) -> None:
        waiting = self.rootObjectRequests
        self._reset()
        for each in waiting:
            each.errback(reason)

    def _cbSendUsername(self, root: Any, username: str | bytes, password: str | bytes, client: Any) -> Any:
        if self._broker is not None:
            self._md5_warning.look_at(self._broker.transport)
        name = username.encode() if isinstance(username, str) else username
        return root.callRemote("login", name).addCallback(self._cbResponse, password, client)

    def _cbResponse(self, challenges: Any, password: str | bytes, client: Any) -> Any:
        challenge, challenger = parse_challenge(challenges)
        return challenger.call("respond", respond(challenge, password), client)

    def _cbLoginAnonymous(self, root: Any, client: Any) -> Any:
        return root.callRemote("loginAnonymous", client)


class PBServerFactory(protocol.ServerFactory[Broker]):
    """Publishes one object, or a portal of twisted.cred, to every client."""

    protocol: Callable[..., Broker] = Broker  # pyright: ignore[reportIncompatibleVariableOverride]  # never None
    unsafeTracebacks: bool | int = False
    """Whether a peer whose call fails here is sent the text of the traceback."""

    def __init__(self, root: Any, unsafeTracebacks: bool | int = False, security: Any = jelly.globalSecurity) -> None:
        self.root: Any = IPBRoot(root)
        self.unsafeTracebacks = unsafeTracebacks
        self.security = security

    def buildProtocol(self, addr: Any) -> Broker:
        """The broker of a new connection."""
        broker = self.protocol(isClient=False, security=self.security)
        broker.factory = self
        root_object = hook(self.root, "root_object") if isinstance(self.root, Root) else self.root.rootObject
        broker.setNameForLocal("root", root_object(broker))
        return broker

    def clientConnectionMade(self, protocol: Broker) -> None:
        """Called by the broker of a connection that is ready."""
