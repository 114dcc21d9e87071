"""Each limit in seconds: until then nothing ends, and then it does. Time passes only when a test says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

import pellucid as pb
from pellucid.errors import ConnectFailed, PBConnectionLost
from tests.dialects import each_dialect, over
from tests.unit.asyncio.door import HERE, Gate, RawPeer, encoded, outcome, pair, raw_server, turns

pytestmark = each_dialect

SECONDS = 5.0
A_MOMENT = 0.01


class StoppedClock(asyncio.SelectorEventLoop):
    """A loop whose clock stands still. Only pytest's timeout bounds a test that waits for what never comes."""

    now = 0.0

    def time(self) -> float:
        return self.now

    async def let_pass(self, seconds: float) -> None:
        """Let some time pass, and what is due by then happen."""
        self.now += seconds
        await turns()


Test = Callable[[StoppedClock], Coroutine[Any, Any, None]]


def on_a_stopped_clock(test: Test) -> Callable[[], None]:
    """Decorator: run a coroutine function in a `StoppedClock`, which it is given."""

    def run_it() -> None:
        clock = StoppedClock()
        with asyncio.Runner(loop_factory=lambda: clock) as runner:
            runner.run(test(clock))

    run_it.__name__, run_it.__doc__ = test.__name__, test.__doc__
    return run_it


class Lingering(asyncio.Protocol):
    """A server's end that agrees on a dialect, reads whatever comes, and does not hang up in turn."""

    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(encoded([b"none"]))

    def eof_received(self) -> bool:
        return True


@asynccontextmanager
async def lingering_server() -> AsyncGenerator[str]:
    """A server of one `Lingering` end: its URL."""
    end = Lingering()
    server = await asyncio.get_running_loop().create_server(lambda: end, "127.0.0.1", 0)
    try:
        yield f"pb://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        end.transport.abort()
        server.close()
        await turns()


@over("none")
@on_a_stopped_clock
async def test_a_server_may_take_connect_seconds_to_agree_and_no_longer(clock: StoppedClock) -> None:
    async with raw_server(greet=False) as (url, peers):
        connecting = asyncio.ensure_future(outcome(pb.connect(url, limits=pb.Limits(connect_seconds=SECONDS))))
        await peers.get()
        await clock.let_pass(SECONDS - A_MOMENT)
        assert not connecting.done()
        await clock.let_pass(A_MOMENT)
        error = await connecting
        assert isinstance(error, ConnectFailed)
        assert "within 5.0 s (Limits.connect_seconds)" in str(error)


@over("none")
@on_a_stopped_clock
async def test_a_server_that_agrees_in_the_last_moment_is_connected_to_for_good(clock: StoppedClock) -> None:
    async with raw_server(greet=False) as (url, peers):
        connecting = asyncio.ensure_future(pb.connect(url, limits=pb.Limits(connect_seconds=SECONDS)))
        peer = await peers.get()
        await clock.let_pass(SECONDS - A_MOMENT)
        await peer.welcome()
        connection = await connecting
        await clock.let_pass(1000 * SECONDS)
        call = connection.root.call("echo")
        peer.send(b"answer", (await peer.receive())[1], 5)
        assert await call == 5
        connection.abort("for the test")


@over("none")
@on_a_stopped_clock
async def test_a_client_may_take_handshake_seconds_to_agree_and_no_longer(clock: StoppedClock) -> None:
    async with pb.serve(Gate(), HERE, limits=pb.Limits(handshake_seconds=SECONDS)) as server:
        silent = await RawPeer.connect_silently(server.urls[0])
        assert b"none" in await silent.receive()
        await clock.let_pass(SECONDS - A_MOMENT)
        (served,) = server.connections
        await clock.let_pass(A_MOMENT)
        assert served.is_closed
        assert await silent.receive_until_closed() == []
        await silent.close()


@over("none")
@on_a_stopped_clock
async def test_a_client_that_agrees_in_the_last_moment_is_served_for_good(clock: StoppedClock) -> None:
    async with pb.serve(Gate(), HERE, limits=pb.Limits(handshake_seconds=SECONDS)) as server:
        late = await RawPeer.connect_silently(server.urls[0])
        await turns()
        await clock.let_pass(SECONDS - A_MOMENT)
        await late.agree()
        await clock.let_pass(1000 * SECONDS)
        (served,) = server.connections
        assert not served.is_closed
        await late.close()


class Realm:
    def request_avatar(self, avatar_id: str, mind: Any) -> pb.Avatar:
        return pb.Avatar()


PORTAL = pb.Portal(Realm(), [pb.AllowAnonymous()])


@on_a_stopped_clock
async def test_a_client_may_take_login_seconds_to_be_granted_one_and_no_longer(clock: StoppedClock) -> None:
    async with pair(PORTAL, limits=pb.Limits(login_seconds=SECONDS)) as both:
        await clock.let_pass(SECONDS - A_MOMENT)
        assert not both.served.is_closed
        await clock.let_pass(A_MOMENT)
        assert both.served.is_closed
        await both.client.wait_closed()


@on_a_stopped_clock
async def test_a_client_that_logs_in_at_the_last_moment_is_served_for_good(clock: StoppedClock) -> None:
    async with pair(PORTAL, limits=pb.Limits(login_seconds=SECONDS)) as both:
        await clock.let_pass(SECONDS - A_MOMENT)
        avatar = await both.client.login(pb.credentials.Anonymous())
        avatar.release()
        for _ in range(100):
            await clock.let_pass(SECONDS)
        assert not both.served.is_closed


@on_a_stopped_clock
async def test_where_nobody_logs_in_nobody_has_to(clock: StoppedClock) -> None:
    async with pair(Gate(), limits=pb.Limits(login_seconds=SECONDS)) as both:
        for _ in range(100):
            await clock.let_pass(SECONDS)
        assert not both.served.is_closed


IDLE = pb.Limits(idle_seconds=SECONDS, silence_seconds=int(SECONDS))


async def let_it_be_idle(clock: StoppedClock) -> None:
    """Let so much time pass, in small steps so that both sides give signs of life, that it is idle for too long."""
    for _ in range(2 * 6):
        await clock.let_pass(SECONDS / 6)


@on_a_stopped_clock
async def test_a_connection_may_be_idle_for_idle_seconds_and_not_for_a_third_more(clock: StoppedClock) -> None:
    async with pair(Gate(), limits=IDLE) as both:
        await clock.let_pass(SECONDS / 6)
        await both.client.root.call("echo")
        for _ in range(6):
            assert not both.served.is_closed
            await clock.let_pass(SECONDS / 6)
        assert not both.served.is_closed
        await clock.let_pass(SECONDS / 3)
        assert both.served.is_closed
        await both.client.wait_closed()


@on_a_stopped_clock
async def test_a_connection_that_is_called_over_either_way_is_not_idle(clock: StoppedClock) -> None:
    async with pair(Gate(), limits=IDLE, client={"limits": pb.Limits()}) as both:
        for _ in range(20):
            await clock.let_pass(SECONDS / 2)
            await both.client.root.call_with(one_way=True).call("echo")
            await turns()
        both.client.broker.publish(pb.Referenceable())
        for _ in range(20):
            await clock.let_pass(SECONDS / 2)
            await both.served.root.call_with(one_way=True).call("nothing")
            await turns()
        assert not both.served.is_closed
        await let_it_be_idle(clock)
        assert both.served.is_closed


@on_a_stopped_clock
async def test_a_connection_with_a_call_under_way_is_not_idle(clock: StoppedClock) -> None:
    gate = Gate()
    async with pair(gate, limits=IDLE, client={"limits": IDLE}) as both:
        call = both.client.root.call("wait", 5)
        await gate.entered.get()
        await let_it_be_idle(clock)
        assert not both.served.is_closed
        assert not both.client.is_closed
        gate.opened.set()
        assert await call == 5
        await let_it_be_idle(clock)
        assert both.served.is_closed
        assert both.client.is_closed


@on_a_stopped_clock
async def test_closing_waits_close_seconds_for_a_peer_that_reads_and_never_hangs_up(clock: StoppedClock) -> None:
    async with lingering_server() as url:
        connection = await pb.connect(url, limits=pb.Limits(close_seconds=SECONDS))
        closing = asyncio.ensure_future(connection.close())
        await turns()
        await clock.let_pass(SECONDS - A_MOMENT)
        assert not closing.done()
        await clock.let_pass(A_MOMENT)
        await closing


@over("none")
@on_a_stopped_clock
async def test_closing_takes_no_time_where_the_peer_hangs_up_in_turn(clock: StoppedClock) -> None:
    async with raw_server() as (url, peers):
        connection = await pb.connect(url)
        peer = await peers.get()
        closing = asyncio.ensure_future(connection.close())
        assert await peer.receive_until_closed() == []
        await closing


@pytest.mark.parametrize("on_disconnect", ["cancel", "finish"])
def test_closing_a_server_waits_close_seconds_for_methods_that_run(on_disconnect: Any) -> None:
    @on_a_stopped_clock
    async def run_it(clock: StoppedClock) -> None:
        gate = Gate()
        async with pair(gate, limits=pb.Limits(close_seconds=SECONDS), on_disconnect=on_disconnect) as both:
            call = both.client.root.call("wait", "slow")
            await gate.entered.get()
            closing = asyncio.ensure_future(both.server.close())
            await turns()
            await clock.let_pass(SECONDS - A_MOMENT)
            assert not both.served.is_closed
            await clock.let_pass(A_MOMENT)
            await closing
            assert isinstance(await outcome(call), PBConnectionLost)
            gate.opened.set()
            assert await (gate.cancelled if on_disconnect == "cancel" else gate.left).get() == "slow"

    run_it()


@on_a_stopped_clock
async def test_a_method_that_ends_in_the_last_moment_is_answered_before_its_server_closes(clock: StoppedClock) -> None:
    gate = Gate()
    async with pair(gate, limits=pb.Limits(close_seconds=SECONDS)) as both:
        call = both.client.root.call("wait", "slow")
        await gate.entered.get()
        closing = asyncio.ensure_future(both.server.close())
        await turns()
        await clock.let_pass(SECONDS - A_MOMENT)
        gate.opened.set()
        assert await call == "slow"
        await closing
