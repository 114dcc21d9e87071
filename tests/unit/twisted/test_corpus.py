"""Every input that ever taught the fuzzer something of a server or a client is given to those of this door, too."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet import defer, main
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from fuzz import client, server
from fuzz.corpora import files_of
from fuzz.things import Desk
from pellucid.twisted import pb

STEPS = (1 << 20, 1)


class Table(Desk):
    """Its methods are those of this door."""

    def remote_later(self, *args: Any, **kwargs: Any) -> Any:
        return defer.succeed(args[0] if args else None)

    def remote_never(self, *args: Any, **kwargs: Any) -> Any:
        return defer.Deferred()

    def remote_call(self, *args: Any, **kwargs: Any) -> Any:
        return args[0].callRemote("echo", *args[1:]) if args and isinstance(args[0], pb.RemoteReference) else None


def harmed(protocol: Any, pieces: list[bytes]) -> str | None:
    """What the bytes did to a protocol beyond ending its connection."""
    protocol.makeConnection(StringTransport())
    try:
        for piece in pieces:
            if protocol.transport.disconnecting:
                break
            protocol.dataReceived(piece)
        protocol.connectionLost(Failure(main.CONNECTION_LOST))
    except Exception as error:  # noqa: BLE001 - none may get here
        return repr(error)
    books = protocol._core.books
    if len(books.exports) + len(books.imports) + len(books.cache_exports) + len(books.pending):
        return "something is left in the tables"
    return None


def cut(data: bytes, step: int) -> list[bytes]:
    return [data[at : at + step] for at in range(0, len(data), step)]


@pytest.mark.parametrize("step", STEPS)
def test_no_client_harms_a_server(step: int) -> None:
    failed = {}
    for path in files_of("server"):
        data = path.read_bytes()
        before, _, logs_in = server._BEFORE[data[0] & 7]
        if not logs_in:
            protocol = pb.PBServerFactory(Table()).buildProtocol(None)
            failed[path.name] = harmed(protocol, [before, *cut(data[1:], step)])
    assert len(failed) > 100
    assert {name: why for name, why in failed.items() if why} == {}


@pytest.mark.parametrize("step", STEPS)
def test_no_server_harms_a_client(step: int) -> None:
    failed = {}
    for path in files_of("client"):
        data = path.read_bytes()
        before, _ = client._BEFORE[data[0] & 3]
        factory = pb.PBClientFactory()
        ends: list[Any] = []
        waiting = factory.getRootObject()
        waiting.addCallback(lambda root: root.callRemote("echo", Table()))
        waiting.addBoth(ends.append)
        failed[path.name] = harmed(factory.buildProtocol(None), [before, *cut(data[1:], step)])
    assert len(failed) > 100
    assert {name: why for name, why in failed.items() if why} == {}
