"""The limits of a pb.Broker, which a program may change at any time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from twisted.internet import defer
from twisted.internet.abstract import FileDescriptor
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure

from pellucid.errors import LimitExceeded, TooManyCalls
from pellucid.limits import Limits
from pellucid.twisted import banana, pb
from tests.unit.twisted.link import Link, outcome

DIGITS = Limits().prefix_digits
LARGE = b"x" * (Limits().string_bytes + 1)
LONG = 2 ** (7 * DIGITS)


@pytest.fixture(autouse=True)
def defaults(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test sets module-wide counts no more after it."""
    monkeypatch.setattr(banana, "SIZE_LIMIT", banana.SIZE_LIMIT)
    yield
    banana.setPrefixLimit(DIGITS)


class Echoer(pb.Root):
    def __init__(self) -> None:
        self.heard: list[Any] = []

    def remote_echo(self, value: Any) -> Any:
        return value

    def remote_hear(self, value: Any) -> None:
        self.heard.append(value)

    def remote_wait(self) -> defer.Deferred[Any]:
        return defer.Deferred()

    def remote_many(self) -> list[Any]:
        return [pb.Referenceable() for _ in range(3)]


def refused(result: Any) -> bool:
    return bool(result.check(LimitExceeded))


# SIZE_LIMIT.


@pytest.mark.usefixtures("speaks_pb")
def test_a_size_limit_that_is_set_while_connections_last_counts_at_both_ends() -> None:
    link = Link(Echoer())
    assert refused(link.call(link.root, "echo", LARGE))
    banana.SIZE_LIMIT = len(LARGE)
    assert link.call(link.root, "echo", LARGE) == LARGE
    banana.SIZE_LIMIT = 100
    assert link.call(link.root, "echo", b"x" * 100) == b"x" * 100
    assert refused(link.call(link.root, "echo", b"x" * 101))
    assert refused(link.call(link.root, "echo", [0] * 101))


@pytest.mark.usefixtures("speaks_pb")
def test_a_size_limit_that_a_method_sets_counts_for_its_own_answer() -> None:
    class Generous(pb.Root):
        def remote_large(self) -> bytes:
            banana.SIZE_LIMIT = len(LARGE)
            return LARGE

    link = Link(Generous())
    assert link.call(link.root, "large") == LARGE


@pytest.mark.usefixtures("speaks_pb")
def test_a_larger_size_limit_lets_a_connection_carry_larger_messages() -> None:
    link = Link(Echoer())
    huge = b"x" * (Limits().message_bytes + 1)
    banana.SIZE_LIMIT = len(huge)
    assert link.call(link.root, "echo", huge) == huge


@pytest.mark.usefixtures("speaks_pb")
def test_a_broker_may_have_a_size_limit_of_its_own() -> None:
    link = Link(Echoer())
    link.client.sizeLimit = 50
    assert refused(link.call(link.root, "echo", b"x" * 51))
    assert not link.server.transport.disconnecting


# setPrefixLimit.


@pytest.mark.usefixtures("speaks_pb")
def test_a_connection_takes_longer_ints_once_it_is_told_to() -> None:
    root = Echoer()
    link = Link(root)
    assert refused(link.call(link.root, "hear", LONG))
    link.client.setPrefixLimit(DIGITS + 1)
    link.server.setPrefixLimit(DIGITS + 1)
    link.call(link.root, "hear", LONG)
    assert root.heard == [LONG]
    assert link.client.prefixLimit == DIGITS + 1


@pytest.mark.usefixtures("speaks_pb")
def test_a_connection_takes_only_shorter_ints_once_it_is_told_to() -> None:
    root = Echoer()
    link = Link(root)
    link.server.setPrefixLimit(4)
    link.call(link.root, "hear", 2**28 - 1)
    assert root.heard == [2**28 - 1]
    link.root.callRemote("hear", 2**28)
    link.pump()
    assert link.server.transport.disconnecting
    assert root.heard == [2**28 - 1]


@pytest.mark.usefixtures("speaks_pb")
def test_the_modules_prefix_limit_is_that_of_connections_made_from_then_on() -> None:
    before, made = Link(Echoer()), pb.PBClientFactory().buildProtocol(None)
    banana.setPrefixLimit(DIGITS + 1)
    root = Echoer()
    after = Link(root)
    after.call(after.root, "hear", LONG)
    made.makeConnection(StringTransport())
    assert root.heard == [LONG]
    assert made.prefixLimit == DIGITS + 1
    assert refused(before.call(before.root, "hear", LONG))


# limits.


@pytest.mark.usefixtures("dialect")
def test_a_class_may_have_limits_of_its_own() -> None:
    class Narrow(pb.Broker):
        limits = replace(pb.Broker.limits, references_imported=2)

    factory = pb.PBClientFactory()
    factory.protocol = Narrow
    link = Link(Echoer(), factory)
    assert refused(link.call(link.root, "many"))


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("dialect", "changes"),
    [
        ("pb", {"references_imported": 2}),
        ("pb", {"nesting": 1}),
        ("pb", {"message_bytes": 20}),
        ("pb", {"elements": 8}),
        ("pellucid", {"references_imported": 2}),
        ("pellucid", {"inline_bytes": 10}),
    ],
    indirect=["dialect"],
)
@pytest.mark.usefixtures("dialect")
def test_a_broker_may_have_limits_of_its_own_before_and_after_it_is_connected(
    when: str, changes: dict[str, int]
) -> None:
    class Factory(pb.PBClientFactory):
        def buildProtocol(self, addr: Any) -> pb.Broker:
            broker = super().buildProtocol(addr)
            if when == "before":
                broker.limits = replace(broker.limits, **changes)
            return broker

    link = Link(Echoer(), Factory())
    if when == "after":
        link.client.limits = replace(link.client.limits, **changes)
    waiting = link.root.callRemote("many")
    link.pump()
    assert link.client.transport.disconnecting or refused(outcome(waiting))


@pytest.mark.usefixtures("dialect")
def test_how_many_methods_run_may_be_said_at_any_time() -> None:
    link = Link(Echoer())
    link.server.limits = replace(link.server.limits, running_calls=1, waiting_calls=1)
    running = link.root.callRemote("wait")
    waiting = link.root.callRemote("echo", 1)
    assert link.call(link.root, "echo", 2).check(TooManyCalls)
    link.server.limits = replace(link.server.limits, waiting_calls=2)
    assert not running.called
    one_more = link.root.callRemote("echo", 3)
    link.pump()
    assert not waiting.called
    assert not one_more.called


@pytest.mark.usefixtures("dialect")
def test_how_many_answers_a_broker_waits_for_may_be_said_at_any_time() -> None:
    link = Link(Echoer())
    link.root.callRemote("wait")
    link.client.limits = replace(link.client.limits, calls_pending=1)
    assert link.call(link.root, "echo", 1).check(TooManyCalls)


def test_what_a_stranger_may_say_first_is_bounded_by_the_limits_of_its_connection() -> None:
    broker = pb.PBServerFactory(Echoer()).buildProtocol(None)
    broker.limits = replace(broker.limits, negotiation_bytes=40)
    transport = StringTransport()
    broker.makeConnection(transport)
    broker.dataReceived(b"\x7f\x82" + b"x" * 40)
    assert transport.disconnecting


@pytest.mark.usefixtures("dialect")
def test_limits_that_are_lowered_leave_what_is_held() -> None:
    link = Link(Echoer())
    held = link.call(link.root, "many")
    link.client.limits = replace(link.client.limits, references_imported=1)
    assert len(held) == 3
    assert all(reference.alive for reference in held)


@pytest.mark.usefixtures("speaks_native")
def test_the_limits_of_the_native_dialect_count_from_the_next_message_on() -> None:
    link = Link(Echoer())
    root = link.root
    assert link.call(root, "echo", "x" * 1000) == "x" * 1000
    link.client.limits = replace(link.client.limits, inline_bytes=100, buffer_bytes=70_000)
    assert refused(link.call(root, "echo", "x" * 1000))
    assert refused(link.call(root, "echo", b"x" * 70_001))
    link.client.limits = replace(link.client.limits, inline_bytes=4096, buffer_bytes=200_000)
    assert link.call(root, "echo", b"x" * 70_001) == b"x" * 70_001
    assert link.call(root, "hear", [[]]) is None
    link.server.limits = replace(link.server.limits, expanded_elements=5)
    shared: list[Any] = []
    assert refused(link.call(root, "hear", [shared, shared, shared, shared]))


@pytest.mark.usefixtures("speaks_native")
def test_a_larger_size_limit_lets_a_connection_carry_larger_messages_in_the_native_dialect_too() -> None:
    link = Link(Echoer())
    huge = "x" * (Limits().inline_bytes + 1)
    assert refused(link.call(link.root, "hear", huge))
    banana.SIZE_LIMIT = len(huge)
    assert link.call(link.root, "echo", huge) == huge


# Peers that do not read.


class Sink:
    """A reactor that never finds that anything can be written."""

    def addWriter(self, writer: Any) -> None: ...

    def removeWriter(self, writer: Any) -> None: ...


class Deaf(FileDescriptor):
    """A reactor's transport, of a peer that does not read."""

    def __init__(self) -> None:
        super().__init__(Sink())  # type: ignore[arg-type]
        self.connected = 1
        self.aborted = 0

    def abortConnection(self) -> None:
        self.aborted += 1


@pytest.mark.parametrize("has_tls", [False, True])
@pytest.mark.parametrize("before", [0, 5_000])
def test_a_peer_that_does_not_read_is_cut_off_where_more_waits_for_it_than_the_limit_says(
    dialect: str, has_tls: bool, before: int, logged: list[Any]
) -> None:
    echoer = Echoer()
    link = Link(echoer)
    link.call(link.root, "hear", pb.Referenceable())
    (peer,) = echoer.heard
    deaf = Deaf()
    deaf.dataBuffer, deaf.offset = b"x" * (before + 100), 100  # some of it the system has taken already
    server: Any = link.server
    tls: Any = ProtocolWrapper(WrappingFactory(Factory()), server)
    tls.transport = deaf
    server.transport = tls if has_tls else deaf
    calls: list[Any] = []
    calls.append(peer.callRemote("take", b"x" * 1_000))
    size = deaf._tempDataLen
    link.server.limits = replace(link.server.limits, queued_bytes=before + 3 * size)
    for _ in range(2):
        calls.append(peer.callRemote("take", b"x" * 1_000))
        assert not deaf.aborted
    for _ in range(2):
        calls.append(peer.callRemote("take", b"x" * 1_000))
    assert deaf.aborted == 1
    link.server.connectionLost(Failure(ConnectionDone()))
    assert [bool(outcome(call).check(pb.PBConnectionLost)) for call in calls] == [True] * 5
    assert logged == []


class Generous(Echoer):
    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def remote_large(self) -> bytes:
        self.asked += 1
        return b"x" * 600_000


def test_what_a_few_bytes_ask_for_is_bounded_while_they_are_taken_in(dialect: str) -> None:
    root = Generous()
    link = Link(root)
    calls = [link.root.callRemote("large") for _ in range(100)]
    deaf = Deaf()
    server: Any = link.server
    server.transport, server.clock = deaf, Clock()
    server.limits = replace(server.limits, queued_bytes=3_000_000, buffer_bytes=1_500_000)
    server.dataReceived(link.to_server.value())
    assert deaf.aborted == 1
    assert 3 <= root.asked < 10
    for side in link.server, link.client:
        side.connectionLost(Failure(ConnectionDone()))
    assert all(outcome(call).check(pb.PBConnectionLost) for call in calls)


@pytest.mark.usefixtures("speaks_native")
def test_a_peer_that_does_not_read_large_buffers_is_cut_off_beyond_twice_the_limit() -> None:
    echoer = Echoer()
    link = Link(echoer)
    link.call(link.root, "hear", pb.Referenceable())
    (peer,) = echoer.heard
    deaf = Deaf()
    server: Any = link.server
    server.transport, server.clock = deaf, Clock()
    server.limits = replace(server.limits, buffer_bytes=300_000)
    calls, aborted = [], []
    for _ in range(4):  # the transport has a piece of the first
        calls.append(peer.callRemote("take", b"x" * 280_000))
        aborted.append(deaf.aborted)
    assert aborted == [0, 0, 0, 1]
    server.connectionLost(Failure(ConnectionDone()))
    assert all(outcome(call).check(pb.PBConnectionLost) for call in calls)


@pytest.mark.usefixtures("speaks_native")
def test_no_more_methods_of_a_batch_run_than_their_results_can_be_sent() -> None:
    root = Generous()
    link = Link(root)
    link.server.limits = replace(link.server.limits, buffer_bytes=1_000_000)
    prepared = [link.root.prepare("large") for _ in range(100)]
    waiting = pb.gather(*prepared)
    link.pump()
    assert refused(outcome(waiting))
    assert root.asked == 4
