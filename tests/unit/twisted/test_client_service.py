"""`ClientService` of Twisted's with the factories of this door: how a Twisted program connects again.

The endpoint joins the two ends in memory, and time passes when a test says so.
"""

from __future__ import annotations

from typing import Any, cast

import pytest
from twisted.application.internet import ClientService
from twisted.cred import checkers, credentials, portal
from twisted.internet import defer, error
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from pellucid.twisted import pb
from tests.unit.twisted.test_factories import Realm

pytestmark = pytest.mark.usefixtures("dialect")


class Echoer(pb.Root):
    def remote_echo(self, value: Any) -> Any:
        return value


@implementer(IStreamClientEndpoint)
class InMemory:
    """An endpoint that leads to a server in memory, where that is up."""

    def __init__(self, root: Any) -> None:
        self.is_up = True
        self.attempts = 0
        self.server_factory = pb.PBServerFactory(root)
        self._ends: tuple[Any, Any, StringTransport, StringTransport] | None = None

    def connect(self, factory: Any) -> Any:
        self.attempts += 1
        if not self.is_up:
            return defer.fail(error.ConnectionRefusedError())
        client, server = factory.buildProtocol(None), self.server_factory.buildProtocol(None)
        to_client, to_server = StringTransport(), StringTransport()
        server.makeConnection(to_client)
        client.makeConnection(to_server)
        self._ends = client, server, to_client, to_server
        return defer.succeed(client)

    def pump(self) -> None:
        if self._ends is None:
            return
        client, server, to_client, to_server = self._ends
        while to_client.value() or to_server.value():
            down, up = to_client.value(), to_server.value()
            to_client.clear()
            to_server.clear()
            server.dataReceived(up)
            client.dataReceived(down)

    def cut(self) -> None:
        assert self._ends is not None
        client, server, *_ = self._ends
        self._ends = None
        for end in client, server:
            end.connectionLost(Failure(error.ConnectionLost()))


class Program:
    """A program with a service that keeps a connection."""

    def __init__(self, root: Any = None, *, starts: bool = True, **options: Any) -> None:
        self.clock = Clock()
        self.endpoint = InMemory(root or Echoer())
        self.factory = pb.PBClientFactory()
        self.service = ClientService(
            cast(Any, self.endpoint),
            cast(Any, self.factory),
            retryPolicy=lambda attempt: 2.0**attempt,
            clock=cast(Any, self.clock),
            **options,
        )
        if starts:
            self.start()

    def start(self) -> None:
        self.service.startService()
        self.endpoint.pump()

    def outcome(self, waiting: Any) -> Any:
        self.endpoint.pump()
        got: list[Any] = []
        waiting.addBoth(got.append)
        return got[0] if got else "waiting"

    def root(self) -> Any:
        return self.outcome(self.factory.getRootObject())


def test_a_client_service_gives_the_root_of_the_connection_there_is() -> None:
    program = Program()
    assert program.outcome(program.service.whenConnected()) is not None
    root = program.root()
    assert program.outcome(root.callRemote("echo", 1)) == 1


def test_after_a_loss_the_reference_is_dead_and_the_root_is_that_of_the_next_connection() -> None:
    program = Program()
    before = program.root()
    died: list[Any] = []
    before.notifyOnDisconnect(died.append)
    program.endpoint.is_up = False
    program.endpoint.cut()
    assert died == [before]
    with pytest.raises(pb.DeadReferenceError):
        before.callRemote("echo", 1)

    waiting = program.factory.getRootObject()
    program.clock.advance(2.0)
    program.clock.advance(4.0)
    assert program.outcome(waiting) == "waiting"
    assert program.endpoint.attempts == 3

    waiting = program.factory.getRootObject()
    program.endpoint.is_up = True
    program.clock.advance(8.0)
    after = program.outcome(waiting)
    assert after is not before
    assert program.outcome(after.callRemote("echo", 2)) == 2
    program.outcome(program.service.stopService())


def test_each_connection_can_be_prepared_before_anybody_has_it() -> None:
    prepared: list[Any] = []

    def prepare(broker: Any) -> Any:
        return program.factory.getRootObject().addCallback(prepared.append)

    program = Program(prepareConnection=prepare, starts=False)
    program.start()
    (first,) = prepared
    program.endpoint.cut()
    program.clock.advance(2.0)
    program.endpoint.pump()
    assert len(prepared) == 2
    assert prepared[0] is first
    assert prepared[1] is program.root()
    assert not first.alive


def test_each_connection_can_log_in_anew() -> None:
    users: Any = checkers.InMemoryUsernamePasswordDatabaseDontUse(alice=b"secret")
    program = Program(portal.Portal(cast(Any, Realm()), [users]))

    def login() -> Any:
        return program.factory.login(credentials.UsernamePassword(b"alice", b"secret"))

    before = program.outcome(login())
    assert program.outcome(before.callRemote("name")) == b"alice"
    program.endpoint.cut()
    waiting = login()  # made in between, it waits for the next connection
    assert program.outcome(waiting) == "waiting"
    waiting = login()
    program.clock.advance(2.0)
    after = program.outcome(waiting)
    assert program.outcome(after.callRemote("name")) == b"alice"
    with pytest.raises(pb.DeadReferenceError):
        before.callRemote("name")
