"""Peers that have vanished without a word are noticed in the native dialect, and nobody else is taken for one."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

import pellucid as pb
from pellucid.errors import PBConnectionLost
from pellucid.wire.native.codes import Kind
from tests.unit.asyncio.door import Gate, RawPeer, encoded, on_each_loop, outcome, pair, turns
from tests.unit.asyncio.pipe import piped
from tests.unit.asyncio.raw import NativePeer, call_of, until
from tests.unit.core.native import promise

SILENCE = 60
LOOK = SILENCE / 3
LIMITS = pb.Limits(silence_seconds=SILENCE)


class Clock(asyncio.SelectorEventLoop):
    """A loop whose time a test moves on."""

    def __init__(self) -> None:
        super().__init__()
        self.passed = 0.0

    def time(self) -> float:
        return super().time() + self.passed


async def passes(seconds: float) -> None:
    """So much time passes, and what is due happens."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, Clock)
    loop.passed += seconds
    await turns()


def with_a_clock(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Decorator: a test that is a coroutine function runs on a `Clock`."""

    @functools.wraps(test)
    def run_it(*args: Any, **kwargs: Any) -> None:
        with asyncio.Runner(loop_factory=Clock) as runner:
            runner.run(test(*args, **kwargs))

    return run_it


@with_a_clock
async def test_a_peer_that_falls_silent_is_asked_and_then_given_up_within_the_limit() -> None:
    connection, pipe = piped(Gate(), limits=LIMITS)
    pipe.system_buffer = 1_000
    call = connection.root.call("echo")
    pipe.messages()
    passed = 0.0
    said: list[Any] = []
    while not pipe.aborted:
        assert passed <= SILENCE
        await passes(LOOK)
        passed += LOOK
        said += pipe.messages()
    assert said == [[Kind.PING.value, 1]]
    error = await outcome(call)
    assert isinstance(error, PBConnectionLost)
    assert "Limits.silence_seconds=60" in str(error)
    assert connection.is_closed


@with_a_clock
async def test_a_peer_that_answers_is_asked_again_and_again() -> None:
    _, pipe = piped(Gate(), limits=LIMITS)
    asked = 0
    for _ in range(20):
        await passes(LOOK)
        for message in pipe.messages():
            assert message[0] == Kind.PING
            pipe.say([Kind.PONG.value, message[1]])
            asked += 1
    assert 5 <= asked <= 10
    assert not pipe.aborted
    pipe.end()


@with_a_clock
async def test_a_peer_that_speaks_by_itself_is_not_asked() -> None:
    _, pipe = piped(Gate(), limits=LIMITS)
    for number in range(1, 20):
        await passes(LOOK)
        pipe.say(call_of(number, "echo", number))
    assert Kind.PING not in [message[0] for message in pipe.messages()]
    pipe.end()


@with_a_clock
async def test_a_peer_whose_message_comes_byte_by_byte_is_not_given_up() -> None:
    _, pipe = piped(Gate(), limits=LIMITS)
    message = b"".join([b"\0\0\0\x50", bytes(30)])
    for byte in message:
        await passes(LOOK)
        pipe.send(bytes([byte]))
    assert not pipe.aborted
    pipe.end()


@with_a_clock
async def test_a_peer_that_reads_a_large_message_slowly_is_not_given_up() -> None:
    connection, pipe = piped(Gate(), limits=LIMITS)
    call = connection.root.call("echo", bytes(10_000_000))
    for _ in range(30):
        await passes(LOOK)
        pipe.read(300_000)
        assert not pipe.aborted
    call.cancel()
    pipe.end()


@with_a_clock
async def test_a_peer_that_neither_reads_nor_speaks_is_given_up() -> None:
    connection, pipe = piped(Gate(), limits=LIMITS)
    call = connection.root.call("echo", bytes(10_000_000))
    for _ in range(3):
        await passes(LOOK)
    assert pipe.aborted
    assert isinstance(await outcome(call), PBConnectionLost)


@with_a_clock
async def test_a_loop_that_was_held_up_does_not_take_its_peers_for_dead() -> None:
    async with pair(Gate(), limits=LIMITS, client={"limits": LIMITS}) as both:
        for _ in range(5):
            await passes(10 * SILENCE)
            assert await both.client.root.call("echo", 1) == 1


@with_a_clock
async def test_two_sides_that_have_nothing_to_say_stay_connected() -> None:
    async with pair(Gate(), limits=LIMITS, client={"limits": LIMITS}) as both:
        for _ in range(30):
            await passes(LOOK)
            await until(lambda: both.client.inbox.heard or not both.client._asked)
            await until(lambda: both.served.inbox.heard or not both.served._asked)
        assert await both.client.root.call("echo", 1) == 1


@with_a_clock
async def test_a_peer_that_speaks_pb_is_not_asked() -> None:
    async with pb.serve(Gate(), "pb://127.0.0.1:0", limits=LIMITS) as server:
        peer = await RawPeer.connect_silently(server.urls[0])
        offered = await peer.receive()
        assert b"none" in offered
        peer.send_bytes(encoded(b"none"))
        peer.send(b"version", 6)
        await peer.receive()
        for _ in range(10):
            await passes(LOOK)
        (served,) = server.connections
        assert not served.is_closed
        await peer.close()


@with_a_clock
async def test_limits_may_differ_from_one_connection_to_another() -> None:
    _, patient = piped(Gate(), limits=pb.Limits(silence_seconds=10 * SILENCE))
    _, hasty = piped(Gate(), limits=LIMITS)
    for _ in range(3):
        await passes(LOOK)
    assert (patient.aborted, hasty.aborted) == (False, True)
    patient.end()


@with_a_clock
async def test_a_connection_that_is_being_closed_is_not_given_up_before_its_time() -> None:
    limits = pb.Limits(silence_seconds=SILENCE, close_seconds=10 * SILENCE)
    connection, pipe = piped(Gate(), limits=limits)
    one_way = connection.root.call_with(one_way=True).call("echo", bytes(100_000))
    closing = asyncio.ensure_future(connection.close())
    for _ in range(5):
        await passes(LOOK)
    assert not pipe.aborted
    await passes(10 * SILENCE)
    assert pipe.aborted
    await closing
    await outcome(one_way)


@on_each_loop
async def test_a_ping_is_answered_with_its_number() -> None:
    async with pb.serve(Gate(), "pb://127.0.0.1:0") as server, NativePeer.connect(server.urls[0]) as peer:
        peer.say([Kind.PING.value, 7], [Kind.PING.value, -1], [Kind.PING.value, 2**63])
        assert [(await peer.receive())[:2] for _ in range(3)] == [
            [Kind.PONG.value, 7],
            [Kind.PONG.value, -1],
            [Kind.PONG.value, 2**63],
        ]


@on_each_loop
async def test_a_pong_that_nobody_asked_for_is_no_harm() -> None:
    async with pb.serve(Gate(), "pb://127.0.0.1:0") as server, NativePeer.connect(server.urls[0]) as peer:
        peer.say([Kind.PONG.value, 99], [Kind.PONG.value, -1], call_of(1, "echo", 1))
        assert await peer.answer(1) == 1


@on_each_loop
async def test_a_peer_that_vanishes_is_noticed_on_a_real_connection() -> None:
    limits = pb.Limits(silence_seconds=1)
    async with (
        pb.serve(Gate(), "pb://127.0.0.1:0", limits=limits) as server,
        NativePeer.connect(server.urls[0]) as peer,
    ):
        (served,) = server.connections
        gone = asyncio.get_running_loop().create_future()
        served.notify_on_disconnect(lambda: gone.set_result(None))
        assert (await peer.next_of(Kind.PING))[0] == Kind.PING
        await gone
        await peer.until_closed()


# Peers that ask on and do not read.

ASKING: dict[str, Any] = {
    "pings": lambda number: [Kind.PING.value, number],
    "empty batches": lambda number: [Kind.BATCH.value, number, []],
    "batches over the limit": lambda number: [Kind.BATCH.value, number, [["root", "echo", []]] * 10],
    "promises of nothing": lambda number: call_of(number, "echo", target=promise(number + 1)),
    "plain calls": lambda number: call_of(number, "echo", "x" * 100),
    "calls of nothing": lambda number: call_of(number, "echo", target=10_000),
    "unknown messages": lambda number: [99],
}


@pytest.mark.parametrize("ask", ASKING.values(), ids=ASKING)
@on_each_loop
async def test_what_waits_for_a_peer_that_asks_on_and_does_not_read_is_bounded(ask: Callable[[int], Any]) -> None:
    limits = pb.Limits(queued_bytes=10_000, running_calls=2, waiting_calls=3)
    connection, pipe = piped(Gate(), limits=limits)
    for number in range(1, 10_000):
        pipe.say(ask(number))
        if not number % 50:
            await turns(2)
        if pipe.aborted:
            break
    assert pipe.aborted
    assert pipe.most < 30_000
    assert connection.is_closed
