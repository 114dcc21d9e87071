"""What a caller knows when the other side is killed while it does one thing or another: the error, and its `sent`."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

import pellucid as pb
from pellucid.auth.credentials import Password
from pellucid.errors import DeadReferenceError, PBConnectionLost
from tests.system.conversation import REGISTRY
from tests.system.mortals import Life, Nursery, much
from tests.unit.asyncio.door import HERE, LOOPS, Sink, outcome, run
from tests.unit.asyncio.raw import until

pytestmark = [
    pytest.mark.parametrize("loop", LOOPS),
    pytest.mark.parametrize("dialect", ["pellucid", "pb"]),
]


class Doomed:
    """A connection with a server that dies when it is told, and what becomes of it."""

    def __init__(self, connection: pb.Connection) -> None:
        self.connection, self.root = connection, connection.root
        self.notices = 0
        connection.notify_on_disconnect(self._count)

    @classmethod
    async def connect(cls, nursery: Nursery, dialect: str, loop: str, part: str = "be_doomed") -> Doomed:
        url = nursery.bear_server(Life(dialect, loop, part=part))
        return cls(await pb.connect(url, dialects=[dialect], registry=REGISTRY))

    async def sent(self, call: Any) -> bool:
        """Of a call that fails as the connection is lost: what is known of it. Nothing else is left."""
        error = await outcome(call)
        assert isinstance(error, PBConnectionLost)
        await self.connection.wait_closed()
        with pytest.raises(DeadReferenceError):
            self.root.call("echo")
        assert self.notices == 1
        assert not any(usage.used for usage in self.connection.usage.values()), self.connection.usage
        return error.sent

    def _count(self) -> None:
        self.notices += 1


def test_while_the_method_runs(nursery: Nursery, dialect: str, loop: str) -> None:
    async def call() -> None:
        peer = await Doomed.connect(nursery, dialect, loop)
        assert await peer.sent(peer.root.call("die"))

    run(call(), LOOPS[loop])


def test_while_the_call_waits_here_as_the_peer_does_not_read(nursery: Nursery, dialect: str, loop: str) -> None:
    async def call() -> None:
        peer = await Doomed.connect(nursery, dialect, loop)
        pid = await peer.root.call("pid")
        stopping = peer.root.call("stop")
        large = peer.root.call("echo", much(dialect))
        small = peer.root.call("echo", "small")
        try:
            await until(lambda: peer.connection.outbox._paused)
            late = peer.root.call("echo", "late")
        finally:
            os.kill(pid, signal.SIGKILL)
        assert await peer.sent(stopping)
        assert await peer.sent(large) == (dialect == "pb")  # there the transport was handed all of it
        assert [await peer.sent(call) for call in (small, late)][1:] == [False]

    run(call(), LOOPS[loop])


def test_while_a_large_argument_is_half_sent(nursery: Nursery, dialect: str, loop: str) -> None:
    async def call() -> None:
        peer = await Doomed.connect(nursery, dialect, loop)
        await peer.root.call("die_when_received")
        assert await peer.sent(peer.root.call("echo", much(dialect))) == (dialect == "pb")

    run(call(), LOOPS[loop])


def test_while_a_large_answer_is_half_sent(nursery: Nursery, dialect: str, loop: str) -> None:
    async def call() -> None:
        peer = await Doomed.connect(nursery, dialect, loop)
        answer = await outcome(peer.root.call("much"))
        if dialect == "pb" and isinstance(answer, list):
            assert answer == much(dialect)  # the system had all of it, and sent it, before or after the death
            await peer.connection.wait_closed()
        else:
            assert await peer.sent(failed(answer))

    run(call(), LOOPS[loop])


def test_after_it_has_answered(nursery: Nursery, dialect: str, loop: str) -> None:
    async def call() -> None:
        peer = await Doomed.connect(nursery, dialect, loop)
        assert await peer.root.call("answer_and_die") == "last words"
        await peer.connection.wait_closed()
        with pytest.raises(DeadReferenceError):
            peer.root.call("echo")

    run(call(), LOOPS[loop])


def test_in_a_chain_of_calls(nursery: Nursery, dialect: str, loop: str) -> None:
    async def call() -> None:
        peer = await Doomed.connect(nursery, dialect, loop)
        first = peer.root.call("die")
        second = first.call("echo", 2)
        third = peer.root.call("echo", second)
        sent = [await peer.sent(call) for call in (first, second, third)]
        assert sent == [True, *[dialect == "pellucid"] * 2]  # over the PB dialects they wait here for the first

    run(call(), LOOPS[loop])


def test_in_a_batch(nursery: Nursery, dialect: str, loop: str) -> None:
    async def call() -> None:
        peer = await Doomed.connect(nursery, dialect, loop)
        echo = peer.root.prepare("echo", 1)
        # Over the PB dialects it is so many calls, each with an answer, or an error, of its own.
        first = [] if dialect == "pb" else [echo]
        errors = await pb.gather(*first, peer.root.prepare("die"), echo, return_exceptions=True)
        assert [await peer.sent(failed(error)) for error in errors] == [True] * len(errors)

    run(call(), LOOPS[loop])


async def failed(error: Exception) -> None:
    raise error


def test_while_its_cacheable_is_shown(nursery: Nursery, dialect: str, loop: str) -> None:
    async def call() -> None:
        peer = await Doomed.connect(nursery, dialect, loop)
        copy = await peer.root.call("board")
        assert await peer.sent(peer.root.call("die"))
        assert copy.text == "hello"  # as it was

    run(call(), LOOPS[loop])


def test_during_a_login(nursery: Nursery, dialect: str, loop: str) -> None:
    async def call() -> None:
        peer = await Doomed.connect(nursery, dialect, loop, part="let_log_in")
        assert await peer.sent(peer.connection.login(Password("alice", "secret")))

    run(call(), LOOPS[loop])


class Giver(Sink):
    """A root that gives much, too."""

    def remote_much(self, dialect: str) -> Any:
        return much(dialect)


@pytest.mark.parametrize("part", ["send_much", "receive_much"])
def test_a_client_that_dies_in_the_middle_of_much_costs_its_server_nothing(
    nursery: Nursery, part: str, dialect: str, loop: str
) -> None:
    async def serve() -> None:
        sink = Giver()
        async with pb.serve(sink, HERE) as server:
            await nursery.until_client_dies(Life(dialect, loop, url=server.urls[0], part=part))
            await until(lambda: not server.connections)
            assert sink.taken.qsize() <= (dialect == "pb")  # there all of it may have been on its way
            async with pb.connect(server.urls[0]) as friend:
                assert await friend.root.call("take", 1) is None

    run(serve(), LOOPS[loop])
