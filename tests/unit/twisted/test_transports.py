"""What a broker asks of the transports that reactors make: real ones, of a reactor that only the test runs."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import maybeDeferred
from twisted.internet.selectreactor import SelectReactor
from twisted.protocols.policies import WrappingFactory

from pellucid.twisted import pb

TURNS = 1_000


class Meeting:
    """The two ends of one connection, and the reactor that joins them."""

    def __init__(self) -> None:
        self.reactor: Any = SelectReactor()
        self.server_factory, self.client_factory = pb.PBServerFactory(pb.Root()), pb.PBClientFactory()
        self.brokers: list[pb.Broker] = []
        for factory in self.server_factory, self.client_factory:
            vars(factory)["clientConnectionMade"] = self.brokers.append

    def join(self, listen: Callable[[Any], Any], connect: Callable[[Any, Any], Any]) -> list[pb.Broker]:
        """Both brokers, ready."""
        self.port = listen(self.server_factory)
        connect(self.port.getHost(), self.client_factory)
        self.turn_until(lambda: len(self.brokers) == 2)
        return self.brokers

    def turn_until(self, done: Callable[[], bool]) -> None:
        """Run the reactor, which waits for what happens, until that is done."""
        for _ in range(TURNS):
            if done():
                return
            self.reactor.iterate(1)
        raise AssertionError("it is never done")

    def close(self) -> None:
        closed = maybeDeferred(self.port.stopListening)
        for broker in self.brokers:
            broker.transport.loseConnection()
        self.turn_until(lambda: closed.called and all(broker.disconnected for broker in self.brokers))
        for selectable in self.reactor.removeAll():
            selectable.connectionLost(None)


@pytest.fixture
def place() -> Iterator[str]:
    """The path of a Unix socket."""
    with tempfile.TemporaryDirectory() as directory:  # tmp_path may be too long for one
        yield str(Path(directory, "socket"))


@pytest.fixture
def meeting() -> Iterator[Meeting]:
    meeting = Meeting()
    yield meeting
    meeting.close()


def test_over_tcp_nothing_waits_for_the_peer_to_have_what_was_sent_before(meeting: Meeting) -> None:
    brokers = meeting.join(
        lambda factory: meeting.reactor.listenTCP(0, factory, interface="127.0.0.1"),
        lambda address, factory: meeting.reactor.connectTCP(address.host, address.port, factory),
    )
    assert [broker.transport.getTcpNoDelay() for broker in brokers] == [True, True]


def test_nor_does_it_where_something_stands_between_broker_and_tcp_as_tls_does(meeting: Meeting) -> None:
    brokers = meeting.join(
        lambda factory: meeting.reactor.listenTCP(0, WrappingFactory(factory), interface="127.0.0.1"),
        lambda address, factory: meeting.reactor.connectTCP(address.host, address.port, WrappingFactory(factory)),
    )
    assert [broker.transport.wrappedProtocol for broker in brokers] == brokers
    assert [broker.transport.getTcpNoDelay() for broker in brokers] == [True, True]


def test_a_unix_socket_is_asked_for_no_such_thing(place: str, meeting: Meeting) -> None:
    brokers = meeting.join(
        lambda factory: meeting.reactor.listenUNIX(place, factory),
        lambda _, factory: meeting.reactor.connectUNIX(place, factory),
    )
    assert [broker.currentDialect for broker in brokers] == [b"pellucid", b"pellucid"]
