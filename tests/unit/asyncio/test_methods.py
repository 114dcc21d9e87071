from __future__ import annotations

import asyncio
import gc
import logging
import sys
import threading
from collections.abc import Awaitable, Generator
from typing import Any

import pytest

import pellucid as pb
from pellucid.errors import TooManyCalls
from tests.dialects import each_dialect, over
from tests.unit.asyncio.door import (
    HERE,
    Gate,
    RawPeer,
    call_message,
    encoded,
    on_each_loop,
    outcome,
    pair,
    run,
    turns,
)

pytestmark = each_dialect


def in_one_piece(*names: bytes) -> bytes:
    """Calls that arrive together."""
    return b"".join(encoded(call_message(number, name)) for number, name in enumerate(names, 1))


# Order.


class Steps(Gate):
    """Notes which method started when."""

    def __init__(self) -> None:
        super().__init__()
        self.started: list[str] = []

    async def remote_coroutine(self, name: str = "coroutine") -> None:
        self.started.append(name)

    async def remote_slow(self, name: str = "slow") -> None:
        self.started.append(name)
        await self.opened.wait()

    def remote_plain(self, name: str = "plain") -> None:
        self.started.append(name)

    @pb.in_thread
    def remote_thread(self, name: str = "thread") -> None:
        self.started.append(name)


@on_each_loop
async def test_calls_start_in_the_order_made_whatever_kind_the_methods_are() -> None:
    steps = Steps()
    async with pair(steps) as both:
        kinds = ["coroutine", "plain", "slow", "plain", "plain", "coroutine", "plain", "slow"]
        calls = [both.client.root.call(kind, f"{number} {kind}") for number, kind in enumerate(kinds)]
        await calls[-2]
        await turns()
        steps.opened.set()
        await asyncio.gather(*calls)
        assert steps.started == [f"{number} {kind}" for number, kind in enumerate(kinds)]


@over("none")
@on_each_loop
async def test_a_plain_method_does_not_overtake_a_coroutine_that_arrived_with_it() -> None:
    steps = Steps()
    async with pb.serve(steps, HERE) as server:
        peer = await RawPeer.connect(server.urls[0])
        peer.send_bytes(in_one_piece(b"coroutine", b"plain", b"no_such_method", b"coroutine", b"plain"))
        for _ in range(5):
            await peer.receive()
        assert steps.started == ["coroutine", "plain", "coroutine", "plain"]
        await peer.close()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="asyncio has no eager tasks there")
def test_methods_run_and_are_cancelled_where_the_tasks_of_a_loop_begin_at_once() -> None:
    async def main() -> None:
        eager: Any = vars(asyncio)["eager_task_factory"]
        asyncio.get_running_loop().set_task_factory(eager)
        steps = Steps()
        async with pair(steps) as ends:
            root = ends.client.root
            names = ["coroutine", "plain", "coroutine"]
            slow = root.call("slow")
            await asyncio.gather(*map(root.call, names))
            assert steps.started == ["slow", *names]
            waiting = root.call("wait", "cancelled")
            assert await steps.entered.get() == "cancelled"
            ends.client.abort("its caller vanishes")
            assert await steps.cancelled.get() == "cancelled"
            assert isinstance(await outcome(waiting), pb.PBConnectionLost)
            assert isinstance(await outcome(slow), pb.PBConnectionLost)
            assert ends.served.usage["running_calls"].used == 0

    run(main())  # uvloop 0.23 knows eager tasks from Python 3.14 on


@on_each_loop
async def test_calls_that_had_to_wait_start_in_the_order_made() -> None:
    steps = Steps()
    async with pair(steps, limits=pb.Limits(running_calls=1)) as both:
        kinds = ["slow", "coroutine", "plain", "coroutine", "plain", "plain"]
        calls = [both.client.root.call(kind, f"{number} {kind}") for number, kind in enumerate(kinds)]
        steps.opened.set()
        await asyncio.gather(*calls)
        assert steps.started == [f"{number} {kind}" for number, kind in enumerate(kinds)]


@on_each_loop
async def test_answers_come_when_they_are_ready_and_a_slow_method_holds_up_nobody() -> None:
    gate = Gate()
    async with pair(gate) as both, pb.connect(both.server.urls[0]) as other:
        slow = both.client.root.call("wait", "slow")
        assert await both.client.root.call("echo", "same connection") == "same connection"
        assert await other.root.call("echo", "other connection") == "other connection"
        assert not slow.done
        gate.opened.set()
        assert await slow == "slow"


# Load.


@on_each_loop
async def test_as_many_methods_run_as_the_limit_says_and_the_next_starts_when_one_ends() -> None:
    class Gates(Gate):
        def __init__(self) -> None:
            super().__init__()
            self.gates = [asyncio.Event() for _ in range(4)]

        async def remote_pass(self, number: int) -> None:
            self.entered.put_nowait(number)
            await self.gates[number].wait()

    root = Gates()
    async with pair(root, limits=pb.Limits(running_calls=2)) as both:
        calls = [both.client.root.call("pass", number) for number in range(4)]
        assert [await root.entered.get(), await root.entered.get()] == [0, 1]
        await turns(50)
        assert root.entered.empty()
        root.gates[1].set()
        assert await root.entered.get() == 2
        await calls[1]
        assert root.entered.empty()
        for gate in root.gates:
            gate.set()
        await asyncio.gather(*calls)


@on_each_loop
async def test_calls_beyond_those_that_may_wait_are_answered_too_many_calls_and_the_connection_lives() -> None:
    gate = Gate()
    async with pair(gate, limits=pb.Limits(running_calls=2, waiting_calls=3)) as both:
        calls = [both.client.root.call("wait", number) for number in range(7)]
        refused = [await outcome(call) for call in calls[5:]]
        assert [type(error) for error in refused] == [TooManyCalls, TooManyCalls]
        assert str(refused[0]) == "over Limits.waiting_calls=3: 4 asked"
        gate.opened.set()
        assert await asyncio.gather(*calls[:5]) == [0, 1, 2, 3, 4]
        assert await both.client.root.call("wait", "again") == "again"


@on_each_loop
async def test_many_plain_methods_that_waited_for_one_slow_one_all_run() -> None:
    gate = Gate()
    async with pair(gate, limits=pb.Limits(running_calls=1)) as both:
        slow = both.client.root.call("wait", "slow")
        calls = [both.client.root.call("echo", number) for number in range(3000)]
        assert await gate.entered.get() == "slow"
        gate.opened.set()
        assert await asyncio.gather(*calls) == list(range(3000))
        await slow


@on_each_loop
async def test_calls_that_wait_are_bounded_in_bytes_too() -> None:
    gate = Gate()
    async with pair(gate, limits=pb.Limits(running_calls=1, waiting_bytes=160_000)) as both:
        calls = [both.client.root.call("wait", bytes(4000)) for _ in range(4)]
        with pytest.raises(TooManyCalls, match=r"over Limits\.waiting_bytes=160000: 19\d\d\d\d asked"):
            await calls[3]
        gate.opened.set()
        assert await asyncio.gather(*calls[:3]) == [bytes(4000)] * 3
        assert await both.client.root.call("wait", bytes(9000)) == bytes(9000)


@on_each_loop
async def test_calls_wait_while_those_under_way_have_too_many_bytes() -> None:
    gate = Gate()
    async with pair(gate, limits=pb.Limits(running_bytes=112_000)) as both:
        calls = [both.client.root.call("wait", bytes(4000)) for _ in range(3)]
        late = both.client.root.call("echo", "late")
        assert [len(await gate.entered.get()) for _ in range(2)] == [4000, 4000]
        await turns()
        assert gate.entered.empty()
        assert not late.done
        usage = both.served.usage["running_bytes"]
        assert 16 * 8_000 < usage.used < 16 * 8_200
        assert usage.limit == 112_000
        gate.opened.set()
        assert await asyncio.gather(*calls) == [bytes(4000)] * 3
        assert await late == "late"
        assert not both.served.usage["running_bytes"].used


@on_each_loop
async def test_answers_and_releases_get_through_while_no_further_method_may_run() -> None:
    class Thing(pb.Referenceable):
        def remote_ping(self) -> str:
            return "pong"

    class Asking(Gate):
        async def remote_ask(self, thing: pb.RemoteReference) -> Any:
            await self.remote_wait()
            return await thing.call("ping")

        def remote_thing(self) -> Thing:
            return Thing()

    gate = Asking()
    async with pair(gate, limits=pb.Limits(running_calls=1)) as both:
        thing = await both.client.root.call("thing")
        asking = both.client.root.call("ask", Thing())
        waiting = both.client.root.call("echo", "waiting")
        await gate.entered.get()
        assert len(both.served.broker.books.exports) == 1
        thing.release()
        while len(both.served.broker.books.exports):
            await turns(1)
        gate.opened.set()
        assert await asking == "pong"
        assert await waiting == "waiting"


# What a method can be, and return.


class Awaitable1:
    def __await__(self) -> Generator[None, None, int]:
        yield
        return 1


class Kinds(pb.Root):
    def __init__(self) -> None:
        self.callback: list[pb.RemoteReference] = []
        self.set_in_thread = threading.Event()

    def remote_awaitable(self) -> Awaitable1:
        return Awaitable1()

    def remote_future(self) -> Awaitable[str]:
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_result, "future")
        return future

    def remote_call(self, there: pb.RemoteReference) -> pb.Call:
        return there.call("echo", "forwarded")

    async def remote_call_awaited(self, there: pb.RemoteReference) -> Any:
        return await there.call("echo", "awaited")

    @pb.in_thread
    def remote_blocking(self, *args: Any, **kwargs: Any) -> Any:
        assert self.set_in_thread.wait(5)
        return threading.current_thread() is threading.main_thread(), args, kwargs

    @pb.in_thread
    def remote_blocking_failure(self) -> None:
        raise pb.Error("raised in a thread")

    def remote_unblock(self) -> None:
        self.set_in_thread.set()


@on_each_loop
async def test_a_method_may_return_anything_that_can_be_awaited() -> None:
    async with pair(Kinds()) as both:
        root = both.client.root
        assert await root.call("awaitable") == 1
        assert await root.call("future") == "future"


@on_each_loop
async def test_a_method_may_return_or_await_a_call_of_its_own() -> None:
    async with pair(Kinds()) as both:
        gate = Gate()
        assert await both.client.root.call("call", gate) == "forwarded"
        assert await both.client.root.call("call_awaited", gate) == "awaited"


@on_each_loop
async def test_a_method_in_a_thread_holds_up_nobody() -> None:
    async with pair(Kinds()) as both:
        blocking = both.client.root.call("blocking", 1, a=2)
        await both.client.root.call("unblock")
        assert await blocking == (False, (1,), {"a": 2})


@on_each_loop
async def test_what_a_method_raises_in_a_thread_reaches_the_caller() -> None:
    async with pair(Kinds()) as both:
        with pytest.raises(pb.Error, match="raised in a thread"):
            await both.client.root.call("blocking_failure")


# current_call().


class Asked(pb.Root):
    def remote_plain(self) -> list[Any]:
        return describe()

    async def remote_coroutine(self) -> list[Any]:
        before = describe()
        await turns(3)
        assert describe() == before
        return before

    @pb.in_thread
    def remote_thread(self) -> list[Any]:
        return describe()

    def remote_child(self) -> Awaitable[list[Any]]:
        async def child() -> list[Any]:
            return describe()

        return asyncio.ensure_future(child())


def describe() -> list[Any]:
    current = pb.current_call()
    return [current.method, current.peer, current.avatar, current.correlation_id, current.remaining]


@on_each_loop
async def test_a_method_of_any_kind_knows_the_call_that_runs_it(dialect: str) -> None:
    async with pair(Asked()) as both:
        names = ["plain", "coroutine", "thread", "child"]
        answers = await asyncio.gather(*(both.client.root.call(name) for name in names))
        named_so = f"{both.client.log_number}-" if dialect == "pellucid" else f"{both.served.log_number}-p"
        ids = [f"{named_so}{number}" for number in range(1, 5)]
        assert answers == [
            [name, both.served.peer, None, correlation_id, None]
            for name, correlation_id in zip(names, ids, strict=True)
        ]


@on_each_loop
async def test_outside_of_a_method_there_is_no_current_call() -> None:
    async with pair(Asked()) as both:
        await both.client.root.call("plain")
        with pytest.raises(LookupError, match="only inside a method"):
            pb.current_call()


# When the caller vanishes.


@on_each_loop
async def test_methods_that_run_are_cancelled_when_their_caller_vanishes() -> None:
    gate = Gate()
    async with pair(gate) as both:
        both.client.root.call("wait", "running").notice()
        await gate.entered.get()
        both.client.abort("for the test")
        assert await gate.cancelled.get() == "running"


@on_each_loop
async def test_methods_that_run_are_finished_where_the_server_says_so(caplog: pytest.LogCaptureFixture) -> None:
    gate = Gate()
    async with pair(gate, on_disconnect="finish") as both:
        both.client.root.call("wait", "running").notice()
        await gate.entered.get()
        both.client.abort("for the test")
        await both.served.wait_closed()
        gate.opened.set()
        assert await gate.left.get() == "running"
        await turns()
    assert gate.cancelled.empty()
    assert not [record for record in caplog.records if record.levelno > logging.WARNING]


@pytest.mark.parametrize("on_disconnect", ["cancel", "finish"])
@on_each_loop
async def test_calls_that_wait_for_their_turn_are_not_run_once_their_caller_has_vanished(on_disconnect: str) -> None:
    gate = Gate()
    async with pair(gate, limits=pb.Limits(running_calls=1), on_disconnect=on_disconnect) as both:
        for name in "running", "waiting":
            both.client.root.call("wait", name).notice()
        await gate.entered.get()
        await turns(50)
        both.client.abort("for the test")
        await both.served.wait_closed()
        gate.opened.set()
        await turns()
    assert gate.entered.empty()


@over("none")
@on_each_loop
async def test_methods_whose_caller_vanishes_before_their_turn_of_the_loop_do_not_run() -> None:
    steps = Steps()
    async with pb.serve(steps, HERE) as server:
        peer = await RawPeer.connect(server.urls[0])
        (served,) = server.connections
        # The calls arrive in one piece with what ends the connection.
        peer.send_bytes(in_one_piece(b"coroutine", b"plain", b"slow") + b"\xff")
        assert await peer.receive_until_closed() == []
        await served.wait_closed()
        await turns()
        gc.collect()  # a coroutine that was never awaited would be noticed now
        assert steps.started == []
        async with asyncio.timeout(1):
            await served.drain()
        await peer.close()


@on_each_loop
async def test_what_a_method_was_called_with_is_let_go_when_it_has_ended() -> None:
    class Thing(pb.Referenceable): ...

    class Taking(pb.Root):
        def remote_plain(self, thing: pb.RemoteReference, keyword: pb.RemoteReference) -> None:
            # What goes on in the background knows the call it came from, and that may not keep the arguments.
            background.append(asyncio.ensure_future(ended.wait()))

        async def remote_coroutine(self, thing: pb.RemoteReference, keyword: pb.RemoteReference) -> None:
            background.append(asyncio.ensure_future(ended.wait()))

    background: list[asyncio.Future[Any]] = []
    ended = asyncio.Event()

    async with pair(Taking()) as both:
        for method in "plain", "coroutine", "no_such_method":
            await outcome(both.client.root.call(method, Thing(), keyword=Thing()))
        while len(both.client.broker.books.exports):
            await turns(1)
        assert len(both.served.broker.books.imports) == 0
        ended.set()
        await asyncio.gather(*background)


# Arguments that can't be read.


class Refusing(pb.RemoteCopy):
    def set_copyable_state(self, state: Any) -> None:
        raise ValueError("this application takes no such thing")


@on_each_loop
async def test_what_an_applications_hook_raises_while_arguments_are_read_is_logged_and_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Thing(pb.Copyable):
        pass

    registry = pb.Registry()
    registry.register(Refusing, Thing)
    async with pair(Gate(), registry=registry, client={"registry": pb.Registry()}) as both:
        error = await outcome(both.client.root.call("echo", Thing()))
        assert isinstance(error, pb.RemoteError)
        assert error.remote_type == "builtins.ValueError"
        (record,) = (record for record in caplog.records if record.levelno == logging.ERROR)
        assert "Peer will receive following PB traceback" in record.getMessage()
        assert record.exc_info is not None


@on_each_loop
async def test_arguments_that_make_no_sense_are_told_and_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with pair(Gate()) as both:
        assert isinstance(await outcome(both.client.root.call("no_such_method")), pb.NoSuchMethod)
        assert not [record for record in caplog.records if record.levelno > logging.INFO]
