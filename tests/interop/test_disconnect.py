"""The connection ends in every phase: what was under way fails, everybody is told once, nothing stays behind."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest

import pellucid as pb
from tests.interop.harness import Ask, Connect, Server, run
from tests.interop.test_references import NOTHING_HELD
from tests.interop.twin import Pond, Signal, Thing, table_sizes

# A stock client and a server


def test_a_twisted_client_is_told_in_order_when_its_server_aborts(ask_either: Ask) -> None:
    seen = ask_either("server_aborts")
    lost = "PBConnectionLost"
    assert seen["order"] == [lost, lost, "stopped observing", "first notice", "second notice"]
    assert seen["dead"]["type"] == "twisted.spread.pb.DeadReferenceError"


def test_a_twisted_client_gets_the_answer_that_its_server_sent_before_it_closed(ask_either: Ask) -> None:
    seen = ask_either("server_closes")
    assert seen["answer"] == "last words"
    assert seen["dead"]["type"] == "twisted.spread.pb.DeadReferenceError"


def test_a_server_is_told_when_a_twisted_client_vanishes(ask_either: Ask, number: int) -> None:
    seen = ask_either("client_aborts", name=f"vanish {number}")
    assert seen == {"lost": 1, "stopped": 1, "observers": 0}


# A pellucid client and the stock server


def test_everybody_is_told_in_order_when_twisted_aborts(connect: Connect) -> None:
    async def scenario() -> None:
        async with connect() as connection:
            happened: list[str] = []

            def note(text: str) -> Callable[[], None]:
                return lambda: happened.append(text)

            async def wait_for(call: Awaitable[object]) -> None:
                with pytest.raises(pb.PBConnectionLost) as caught:
                    await call
                assert caught.value.sent
                happened.append("failed")

            class WatchedPond(Pond):
                def stopped_observing(self, perspective: object, observer: pb.Observer) -> None:
                    super().stopped_observing(perspective, observer)
                    happened.append("stopped observing")

            thing = await connection.root.call("thing")
            await connection.root.call("hold", WatchedPond(name="mine"))
            connection.notify_on_disconnect(note("first notice"))
            thing.notify_on_disconnect(lambda ref: note("second notice" if ref is thing else "another")())
            never, aborted = connection.root.call("never"), connection.root.call("abort")
            await asyncio.gather(wait_for(never), wait_for(aborted))
            await connection.wait_closed()
            assert happened == ["failed", "failed", "stopped observing", "first notice", "second notice"]
            with pytest.raises(pb.DeadReferenceError):
                thing.call("ping")
            assert table_sizes(connection) == NOTHING_HELD

    run(scenario())


def test_the_answer_that_twisted_sent_before_it_closed_arrives(connect: Connect) -> None:
    async def scenario() -> None:
        async with connect() as connection:
            assert await connection.root.call("answer_and_close", "last words") == "last words"
            await connection.wait_closed()
            with pytest.raises(pb.DeadReferenceError):
                connection.root.call("echo", 1)

    run(scenario())


def test_half_an_answer_is_none(connect: Connect) -> None:
    async def scenario() -> None:
        async with connect() as connection:
            with pytest.raises(pb.PBConnectionLost):
                await connection.root.call("half_an_answer")

    run(scenario())


@pytest.mark.parametrize("phase", ["connected", "offered", "selected"])
def test_twisted_goes_away_before_the_first_call(stock_server: Server, dialect: str, phase: str) -> None:
    async def scenario() -> None:
        url = f"pb://127.0.0.1:{stock_server.ports[dialect][f'abort {phase}']}"
        with pytest.raises((pb.ConnectFailed, pb.PBConnectionLost, pb.DeadReferenceError)):
            async with pb.connect(url) as connection:
                await connection.root.call("echo", 1)

    run(scenario())


def test_nobody_listens() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]

        async def scenario() -> None:
            with pytest.raises(pb.ConnectFailed) as caught:
                await pb.connect(f"pb://127.0.0.1:{port}")
            assert isinstance(caught.value.__cause__, OSError)

        run(scenario())


def test_twisted_is_told_when_pellucid_vanishes(connect: Connect, number: int) -> None:
    name = f"vanish {number}"

    async def scenario() -> None:
        async with connect() as watching:
            call = watching.root.call
            async with connect() as connection:
                await connection.root.call("watch_loss", f"lost {name}")
                await connection.root.call("hold", Thing())
                pond = await connection.root.call("pond", name)
                waiting = connection.root.call("wait", name)
                await call("when", f"waiting {name}", 1)
                connection.abort("a test")
                with pytest.raises(pb.PBConnectionLost):
                    await waiting
            assert await call("when", f"lost {name}", 1) == 1
            assert await call("when_stopped", name, 1) == 1
            assert await call("observers", name) == 0
            assert pond.ducks == 2

    run(scenario())


def test_what_was_called_before_close_reaches_twisted(connect: Connect, number: int) -> None:
    name = f"before close {number}"

    async def scenario() -> None:
        async with connect() as watching:
            async with connect() as connection:
                await connection.root.call("watch_loss", f"lost {name}")
                for _ in range(100):
                    connection.root.call_with(one_way=True).call("count", name)
                await connection.close()
            assert await watching.root.call("when", f"lost {name}", 1) == 1
            assert await watching.root.call("counted", name) == 100

    run(scenario())


class Slow(pb.Referenceable):
    """Waits for ever, and notes what becomes of it."""

    def __init__(self) -> None:
        self.started, self.cancelled = Signal(), Signal()

    async def remote_wait(self) -> None:
        self.started.happened()
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            self.cancelled.happened()
            raise


def test_a_method_that_twisted_waits_for_is_cancelled_when_it_vanishes(connect: Connect) -> None:
    async def scenario() -> None:
        async with connect() as connection:
            slow = Slow()
            waiting = connection.root.call("call", slow, "wait")
            await slow.started.when(1)
            aborted = connection.root.call("abort")
            for call in waiting, aborted:
                with pytest.raises(pb.PBConnectionLost):
                    await call
            assert await slow.cancelled.when(1) == 1

    run(scenario())


def test_one_connection_lost_is_no_loss_to_another(connect: Connect) -> None:
    async def scenario() -> None:
        async with connect() as one, connect() as other:
            thing = await other.root.call("thing")
            with pytest.raises(pb.PBConnectionLost):
                await one.root.call("abort")
            assert await thing.call("ping") == "pong"

    run(scenario())
