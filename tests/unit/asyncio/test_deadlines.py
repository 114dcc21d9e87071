"""Time limits of calls: they travel, they are inherited, and they end the call on both sides."""

from __future__ import annotations

import asyncio
import datetime
import gc
import math
import weakref
from typing import Any

import pytest

import pellucid as pb
from pellucid.errors import CallCancelled, DeadlineExceeded, PBConnectionLost, TooManyCalls
from tests.unit.asyncio.door import on_each_loop, outcome, pair, turns
from tests.unit.asyncio.raw import NativePeer, call_of, until
from tests.unit.asyncio.things import Things

SHORT = 0.01
LONG = 3600.0


class Timed(Things):
    """Tells how much time its caller left it."""

    def __init__(self) -> None:
        super().__init__()
        self.ended: asyncio.Queue[str] = asyncio.Queue()
        self.ran: list[str] = []

    def remote_remaining(self) -> float | None:
        return pb.current_call().remaining

    async def remote_remaining_later(self) -> float | None:
        await turns()
        return pb.current_call().remaining

    async def remote_hang(self, name: str = "it") -> None:
        try:
            await self.opened.wait()
        except asyncio.CancelledError:
            self.ran.append(f"{name} cancelled")
            raise
        finally:
            self.ended.put_nowait(name)

    async def remote_hang_on(self) -> str:
        """Goes on although it is cancelled."""
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await self.opened.wait()
        return "went on"

    def remote_run(self, name: str, *rest: Any) -> str:
        self.ran.append(name)
        return name

    async def remote_ask(self, whom: pb.RemoteReference, name: str, *args: Any, within: float | None = None) -> Any:
        return await whom.call_with(timeout=within).call(name, *args)

    async def remote_ask_and_tell(self, whom: pb.RemoteReference, name: str) -> Any:
        return type(await outcome(whom.call(name))).__name__


@on_each_loop
async def test_the_time_limit_travels_and_runs_on() -> None:
    async with pair(Timed()) as both:
        limited = both.client.root.call_with(timeout=LONG)
        for name in ("remaining", "remaining_later"):
            assert LONG - 60 < await limited.call(name) < LONG + 1
            assert await both.client.root.call(name) is None


@on_each_loop
async def test_a_call_that_takes_too_long_ends_on_both_sides_and_its_method_finally_runs() -> None:
    timed = Timed()
    async with pair(timed) as both:
        with pytest.raises(DeadlineExceeded, match=r"'hang' within 0\.01 s"):
            await both.client.root.call_with(timeout=SHORT).call("hang")
        assert await timed.ended.get() == "it"
        assert timed.ran == ["it cancelled"]
        assert await both.client.root.call("echo", 1) == 1
        assert not len(both.client.broker.books.pending)


class Held:
    """Something that whoever waits for a call has in hand."""


@pytest.mark.parametrize("end", ["deadline", "cancel"])
@on_each_loop
async def test_a_call_that_is_over_and_not_answered_keeps_nothing_of_who_awaited_it(end: str) -> None:
    timed = Timed()
    async with pair(timed) as both:
        root = both.client.root

        async def wait() -> weakref.ref[Held]:
            held = Held()
            call = root.call_with(timeout=SHORT if end == "deadline" else None).call("hang_on")
            if end == "cancel":
                call.cancel()
            with pytest.raises((DeadlineExceeded, CallCancelled)):
                await call
            return weakref.ref(held)

        held = await asyncio.create_task(wait())
        gc.collect()
        assert len(both.client.broker.books.pending) == 1
        assert held() is None
        timed.opened.set()
        assert await root.call("echo", 1) == 1


@on_each_loop
async def test_a_method_that_goes_on_although_its_time_is_up_answers_nobody() -> None:
    timed = Timed()
    async with pair(timed) as both:
        with pytest.raises(DeadlineExceeded):
            await both.client.root.call_with(timeout=SHORT).call("hang_on")
        timed.opened.set()
        assert await both.client.root.call("echo", 1) == 1


@on_each_loop
async def test_a_method_inherits_the_time_limit_of_its_call_for_those_it_makes() -> None:
    middle, far = Timed(), Timed()
    async with pair(middle) as near, pair(far) as beyond:
        middle.noted.append(beyond.client.root)

        class Relay(Timed):
            async def remote_relay(self, name: str, within: float | None = None) -> Any:
                return await beyond.client.root.call_with(timeout=within).call(name)

        async with pair(Relay()) as both:
            limited = both.client.root.call_with(timeout=LONG)
            assert LONG - 60 < await limited.call("relay", "remaining") < LONG + 1
            assert await limited.call("relay", "remaining", within=100.0) < 101
            assert LONG - 60 < await limited.call("relay", "remaining", within=2 * LONG) < LONG + 1
            assert await both.client.root.call("relay", "remaining") is None
            assert await both.client.root.call("relay", "remaining", within=100.0) < 101
            with pytest.raises(DeadlineExceeded):
                await both.client.root.call_with(timeout=SHORT).call("relay", "hang")
            assert await far.ended.get() == "it"
        assert await near.client.root.call("echo", 1) == 1


@on_each_loop
async def test_calls_back_to_the_caller_inherit_the_time_limit_too() -> None:
    class Caller(pb.Referenceable):
        def remote_remaining(self) -> float | None:
            return pb.current_call().remaining

    async with pair(Timed()) as both:
        limited = both.client.root.call_with(timeout=LONG)
        assert LONG - 60 < await limited.call("ask", Caller(), "remaining") < LONG + 1
        assert await limited.call("ask", Caller(), "remaining", within=5.0) < 6


@on_each_loop
async def test_what_a_method_leaves_running_has_all_the_time_there_is_once_the_call_has_ended() -> None:
    class Starter(Timed):
        async def remote_start(self, whom: pb.RemoteReference) -> None:
            self.task = asyncio.create_task(self.go_on(whom))

        async def go_on(self, whom: pb.RemoteReference) -> tuple[Any, Any]:
            await self.opened.wait()
            return await whom.call("remaining"), pb.current_call().remaining

    class Caller(pb.Referenceable):
        def remote_remaining(self) -> float | None:
            return pb.current_call().remaining

    starter = Starter()
    async with pair(starter) as both:
        await both.client.root.call_with(timeout=LONG).call("start", Caller())
        starter.opened.set()
        assert await starter.task == (None, None)


@pytest.mark.parametrize("running_calls", [1, 2])
@on_each_loop
async def test_a_call_that_waits_for_its_turn_expires_without_running(running_calls: int) -> None:
    timed = Timed()
    async with pair(timed, limits=pb.Limits(running_calls=running_calls)) as both:
        root = both.client.root
        hanging = [root.call("hang", str(number)) for number in range(running_calls)]
        assert isinstance(await outcome(root.call_with(timeout=SHORT).call("run", "late")), DeadlineExceeded)
        behind = root.call("run", "behind")
        await until(lambda: not both.served._runner._deadlines)
        timed.opened.set()
        assert await behind == "behind"
        assert timed.ran == ["behind"]
        await asyncio.gather(*hanging)


@on_each_loop
async def test_a_call_that_waits_for_a_promise_expires_without_running_and_lets_others_go_on() -> None:
    timed = Timed()
    async with pair(timed) as both:
        root = both.client.root
        late = root.call("wait", "late")
        waits = root.call_with(timeout=SHORT).call("run", "expired", late)
        one_way = root.call_with(timeout=SHORT, one_way=True).call("run", "expired too", late)
        behind = root.call("run", "behind")
        assert isinstance(await outcome(waits), DeadlineExceeded)
        assert await behind == "behind"
        await one_way
        timed.opened.set()
        await late
        assert await root.call("run", "last") == "last"
        assert timed.ran == ["behind", "last"]


@on_each_loop
async def test_a_dependant_of_a_call_that_ran_out_of_time_ends_as_it_did() -> None:
    timed = Timed()
    async with pair(timed) as both:
        root = both.client.root
        hangs = root.call_with(timeout=SHORT).call("hang")
        calls = [hangs.call("note", 1), root.call("run", "never", hangs)]
        assert [type(await outcome(call)) for call in (*calls, hangs)] == [DeadlineExceeded] * 3
        await timed.ended.get()
        assert await root.call("run", "last") == "last"
        assert timed.ran == ["it cancelled", "last"]


@on_each_loop
async def test_no_time_at_all_is_none() -> None:
    timed = Timed()
    async with pair(timed) as both:
        for timeout in (0, 0.0, -5.0):
            call = both.client.root.call_with(timeout=timeout).call("run", "never")
            assert isinstance(await outcome(call), DeadlineExceeded)
        assert await both.client.root.call("run", "last") == "last"
        assert timed.ran == ["last"]


@on_each_loop
async def test_endless_time_is_no_limit() -> None:
    async with pair(Timed()) as both:
        assert await both.client.root.call_with(timeout=math.inf).call("remaining") is None


@on_each_loop
async def test_a_time_limit_that_is_no_number_is_refused_at_once() -> None:
    async with pair(Timed()) as both:
        with pytest.raises(ValueError, match="timeout"):
            both.client.root.call_with(timeout=math.nan)
        with pytest.raises(TypeError, match="a timeout is a number of seconds, not a timedelta"):
            both.client.root.call_with(timeout=datetime.timedelta(seconds=2))  # type: ignore[arg-type]


# Together.


@on_each_loop
async def test_calls_made_together_have_one_time_limit() -> None:
    timed = Timed()
    async with pair(timed) as both:
        root = both.client.root
        remaining = await pb.gather(root.prepare("remaining"), root.prepare("remaining_later"), timeout=LONG)
        assert all(LONG - 60 < left < LONG + 1 for left in remaining)
        whole = pb.gather(root.prepare("hang", "a"), root.prepare("run", "b"), root.prepare("hang", "c"), timeout=SHORT)
        with pytest.raises(DeadlineExceeded):
            await whole
        assert {await timed.ended.get(), await timed.ended.get()} == {"a", "c"}


@on_each_loop
async def test_calls_made_together_some_of_which_wait_have_one_time_limit() -> None:
    timed = Timed()
    async with pair(timed) as both:
        root = both.client.root
        late = root.call("wait", "late")
        whole = pb.gather(root.prepare("hang", "a"), root.prepare("run", "never", late), timeout=SHORT)
        assert isinstance(await outcome(whole), DeadlineExceeded)
        assert await timed.ended.get() == "a"
        await until(lambda: not both.served._runner._deadlines)
        timed.opened.set()
        await late
        assert await root.call("run", "last") == "last"
        assert timed.ran == ["a cancelled", "last"]


# Over pb.


@on_each_loop
async def test_over_pb_the_caller_gives_up_alone() -> None:
    timed = Timed()
    async with pair(timed, dialects=["pb"]) as both:
        root = both.client.root
        assert await root.call_with(timeout=LONG).call("remaining") is None
        call = root.call_with(timeout=SHORT).call("hang")
        assert isinstance(await outcome(call), DeadlineExceeded)
        assert timed.ended.empty()
        timed.opened.set()
        assert await timed.ended.get() == "it"
        assert timed.ran == []
        whole = pb.gather(root.prepare("run", "a"), root.prepare("run", "b"), timeout=LONG)
        assert await whole == ["a", "b"]


# The end.


@on_each_loop
async def test_no_timer_is_left_once_calls_have_ended() -> None:
    timed = Timed()
    async with pair(timed, limits=pb.Limits(running_calls=1)) as both:
        limited = both.client.root.call_with(timeout=LONG)
        await limited.call("run", "plain")
        await limited.call("remaining_later")
        hanging = both.client.root.call("hang")
        late = [limited.call("run", "never"), limited.call("run", "never", hanging)]
        await turns(30)
        for call in late:
            call.cancel()
        timed.opened.set()
        await hanging
        await both.client.root.call("echo")
        assert not both.served._runner._deadlines


@on_each_loop
async def test_no_timer_is_left_of_a_call_that_waited_and_could_not_run() -> None:
    timed = Timed()
    async with pair(timed, limits=pb.Limits(running_calls=1, waiting_calls=1)) as both:
        root = both.client.root
        over = root.call_with(timeout=SHORT).call("hang")
        waits = root.call_with(timeout=LONG).call("run", "never", over)
        assert [type(await outcome(call)) for call in (over, waits)] == [DeadlineExceeded, DeadlineExceeded]
        await until(lambda: not both.served._runner._deadlines)

        thing = await root.call("thing")
        hanging = root.call("hang")
        refused = root.call_with(timeout=LONG).call("run", "never", hanging)
        turn = thing.call("note", "turn")
        await turns(30)
        timed.opened.set()
        assert isinstance(await outcome(refused), TooManyCalls)
        assert await turn == ["turn"]
        assert not both.served._runner._deadlines
        assert timed.ran == ["it cancelled"]


@on_each_loop
async def test_the_connection_ends_before_the_time_is_up() -> None:
    timed = Timed()
    async with pair(timed) as both:
        calls = [both.client.root.call_with(timeout=LONG).call("hang")]
        calls.append(both.client.root.call_with(timeout=LONG).call("run", "never", calls[0]))
        await turns(30)
        both.client.abort("test")
        assert [type(await outcome(call)) for call in calls] == [PBConnectionLost] * 2
        assert await timed.ended.get() == "it"


# Hostile peers.


@pytest.mark.parametrize(
    "seconds",
    [math.nan, math.inf, -math.inf, 1e308, 2**63, 10**400, True, None, "1", [], {}],
    ids=["nan", "inf", "-inf", "huge", "int", "huge int", "bool", "none", "text", "list", "map"],
)
@on_each_loop
async def test_a_time_limit_that_makes_no_sense_is_none(seconds: Any) -> None:
    timed = Timed()
    async with pb.serve(timed, "pb://127.0.0.1:0") as server, NativePeer.connect(server.urls[0]) as peer:
        peer.say([*call_of(1, "run", "it"), None, {"timeout": seconds}])
        assert await peer.answer(1) == "it"


@pytest.mark.parametrize("seconds", [-1.0, -1e308, 0, 0.0, 5e-324])
@on_each_loop
async def test_a_time_limit_that_is_over_already_has_the_call_not_run(seconds: Any) -> None:
    timed = Timed()
    async with pb.serve(timed, "pb://127.0.0.1:0") as server, NativePeer.connect(server.urls[0]) as peer:
        peer.say([*call_of(1, "run", "it"), None, {"timeout": seconds}])
        assert "DeadlineExceeded" in (await peer.failure(1))[0]
        assert timed.ran == []


@on_each_loop
async def test_an_unknown_option_is_skipped_and_a_required_one_refused_by_name() -> None:
    timed = Timed()
    async with pb.serve(timed, "pb://127.0.0.1:0") as server, NativePeer.connect(server.urls[0]) as peer:
        peer.say([*call_of(1, "run", "it"), None, {"nice": 1}], [*call_of(2, "run", "not it"), None, {"!needed": 1}])
        assert await peer.answer(1) == "it"
        assert "'!needed'" in (await peer.failure(2))[1]
        assert timed.ran == ["it"]
