from __future__ import annotations

import asyncio
import sys
import threading
from typing import Any

import pytest

import pellucid as pb
from pellucid import blocking
from pellucid.blocking.loop import the_loop
from pellucid.blocking.turns import MOST_IDLE
from tests.dialects import each_dialect, over
from tests.unit.asyncio.door import HERE
from tests.unit.blocking.front import SECONDS, Calling, connected, in_thread, serving

pytestmark = each_dialect


class Mine(pb.Referenceable):
    """An object of the blocking side's."""

    def __init__(self, root: Any = None) -> None:
        self.root = root
        self.noted: list[Any] = []
        self.event = threading.Event()

    async def remote_in_loop(self) -> bool:
        return the_loop().is_here

    def remote_plain_in_loop(self) -> bool:
        return the_loop().is_here

    def remote_count_down(self, number: int) -> int:
        return 1 + self.root.call("apply", self, "count_down", number - 1) if number else 0

    async def remote_count_down_async(self, number: int) -> Any:
        return 1 + await self.root.call("apply", self, "count_down_async", number - 1) if number else 0

    def remote_note(self, value: Any) -> None:
        self.noted.append(value)

    def remote_note_slowly(self, value: Any) -> None:
        self.noted.append(("begin", value))
        self.event.wait(0.001)
        self.noted.append(("end", value))

    def remote_note_and_ask(self, value: Any) -> None:
        self.noted.append(("begin", value))
        self.root.call("echo", value)

    def remote_type(self, value: Any) -> str:
        return f"{type(value).__module__}.{type(value).__name__}"

    def remote_call_it(self, value: Any) -> Any:
        return value.call("note", 1)

    def remote_exit(self) -> None:
        sys.exit(3)

    async def remote_exit_async(self) -> None:
        sys.exit(3)

    def remote_stop(self) -> None:
        raise StopIteration

    def remote_method(self) -> tuple[str, bool]:
        call = pb.current_call()
        return call.method, call.remaining is not None

    def remote_ask_for_end(self) -> Any:
        return self.root.call("has_end")

    def remote_later(self) -> Any:
        async def later() -> bool:
            return the_loop().is_here

        return later()

    def remote_wait_for_event(self) -> bool:
        return self.event.wait(SECONDS)

    @pb.in_thread
    def remote_set_event(self) -> None:
        self.event.set()


def test_a_plain_method_runs_outside_the_loop_s_thread_and_an_async_one_in_it() -> None:
    with connected(Calling()) as connection:
        assert connection.root.call("apply", Mine(), "plain_in_loop") is False
        assert connection.root.call("apply", Mine(), "in_loop") is True
        assert connection.root.call("apply", Mine(), "later") is True


@pytest.mark.parametrize("name", ["count_down", "count_down_async"])
def test_a_method_may_call_its_caller_which_calls_it_again(name: str) -> None:
    with connected(Calling()) as connection:
        mine = Mine(connection.root)
        assert connection.root.call("apply", mine, name, 2 * MOST_IDLE) == 2 * MOST_IDLE


def test_plain_methods_run_in_order_and_one_at_a_time() -> None:
    with connected(Calling()) as connection:
        mine = Mine()
        connection.root.call("apply_all", mine, "note_slowly", list(range(10)))
        assert mine.noted == [(when, number) for number in range(10) for when in ("begin", "end")]


def test_the_next_method_begins_when_one_waits_for_an_answer() -> None:
    class Meeting(Calling):
        """Answers once all have come."""

        def __init__(self) -> None:
            self.all_there = asyncio.Barrier(3)

        async def remote_echo(self, value: Any = None) -> Any:
            await self.all_there.wait()
            return value

    with connected(Meeting()) as connection:
        mine = Mine(connection.root)
        connection.root.call("apply_all", mine, "note_and_ask", [1, 2, 3])
        assert mine.noted == [("begin", number) for number in (1, 2, 3)]


def test_methods_of_gathered_calls_run_in_turn_too() -> None:
    with connected(Calling()) as connection:
        mine = Mine()
        connection.root.call("gather", mine, "note_slowly", list(range(5)))
        assert mine.noted == [(when, number) for number in range(5) for when in ("begin", "end")]


def test_an_async_method_waits_for_its_turn_where_it_is_called_through_a_facet() -> None:
    with connected(Calling()) as connection:
        mine = Mine()
        audited_in_loop: list[bool] = []
        facet = pb.facet(mine, audit=lambda _: audited_in_loop.append(the_loop().is_here))
        waiting = connection.root.start("apply", mine, "wait_for_event")
        through_facet = connection.root.start("apply", facet, "in_loop")
        assert connection.root.call("apply", mine, "in_loop") is True  # it was called last
        assert not through_facet.done()
        assert audited_in_loop == []
        mine.event.set()
        assert waiting.result(SECONDS) is True
        assert through_facet.result(SECONDS) is True
        assert audited_in_loop == [False]


def test_a_method_in_a_thread_of_its_own_waits_for_nobody() -> None:
    with connected(Calling()) as connection:
        mine = Mine()
        waiting = connection.root.start("apply", mine, "wait_for_event")
        connection.root.call("apply", mine, "set_event")
        assert waiting.result(SECONDS) is True


def test_what_a_method_is_given_can_be_called_by_it() -> None:
    class Giving(Calling):
        def __init__(self) -> None:
            self.thing = Mine()

        async def remote_give(self, target: pb.RemoteReference, name: str) -> Any:
            return await target.call(name, self.thing)

    root = Giving()
    with connected(root) as connection:
        assert connection.root.call("give", Mine(), "type") == "pellucid.blocking.references.RemoteReference"
        connection.root.call("give", Mine(), "call_it")
        assert root.thing.noted == [1]


def test_a_method_knows_the_call_that_runs_it() -> None:
    with connected(Calling()) as connection:
        assert connection.root.call("apply", Mine(), "method") == ("method", False)


@over("pellucid")
def test_what_a_method_asks_for_has_no_more_time_than_the_method() -> None:
    class Bounded(Calling):
        def remote_has_end(self) -> bool:
            return pb.current_call().remaining is not None

        async def remote_apply(self, target: pb.RemoteReference, name: str, *args: Any) -> Any:
            return await target.call_with(timeout=SECONDS).call(name, *args)

    with connected(Bounded()) as connection:
        assert connection.root.call("has_end") is False
        assert connection.root.call("apply", Mine(connection.root), "ask_for_end") is True


def test_a_method_that_exits_the_program_fails_that_call_alone(caplog: pytest.LogCaptureFixture) -> None:
    with connected(Calling()) as connection:
        with pytest.raises(pb.RemoteError, match=r"SystemExit\(3\) ends a program only in its main thread"):
            connection.root.call("apply", Mine(), "exit")
        assert connection.root.call("echo", 1) == 1


def test_an_async_method_that_exits_does_not_end_the_loop(caplog: pytest.LogCaptureFixture) -> None:
    with connected(Calling()) as connection:
        call = connection.root.start("apply", Mine(), "exit_async")
        assert connection.root.call("echo", 1) == 1
        assert connection.root.call("echo", 2) == 2
        call.cancel()
    assert "loop.interrupted" in [vars(record).get("event") for record in caplog.records]


def test_a_method_may_raise_what_a_coroutine_may_not() -> None:
    with connected(Calling()) as connection, pytest.raises(pb.RemoteError, match="RuntimeError"):
        connection.root.call("apply", Mine(), "stop")


def test_a_notice_of_the_end_runs_once_in_a_thread_and_may_block() -> None:
    notices: list[Any] = []

    with serving(Calling()) as server, blocking.connect(*server.urls) as other:
        connection = blocking.connect(*server.urls)

        def notice() -> None:
            notices.append("begun")
            connection.close()  # which has happened
            notices.append((the_loop().is_here, other.root.call("echo", 1)))

        connection.notify_on_disconnect(notice)
        connection.root.notify_on_disconnect(notices.append)
        connection.notify_on_disconnect(notice)()  # which takes it back
        connection.close()
        assert notices[0] == "begun"  # they begin in order, and the second when the first waits
        assert len(notices) == 3
        assert (False, 1) in notices
        assert connection.root in notices
        with pytest.raises(pb.DeadReferenceError):
            connection.notify_on_disconnect(notice)


def test_a_method_may_close_its_own_connection() -> None:
    class Closing(pb.Referenceable):
        def __init__(self, connection: blocking.Connection) -> None:
            self.connection = connection

        def remote_close(self) -> None:
            self.connection.close()

    with connected(Calling()) as connection:
        with pytest.raises(pb.PBConnectionLost):
            connection.root.call("apply", Closing(connection), "close")
        connection.wait_closed()
        assert connection.is_closed


def test_a_method_of_several_connections_runs_for_each_of_them() -> None:
    with serving(Calling()) as server, blocking.connect(*server.urls) as one, blocking.connect(*server.urls) as two:
        mine = Mine()
        waiting = one.root.start("apply", mine, "wait_for_event")
        two.root.call("apply", mine, "note", 1)
        mine.event.set()
        assert waiting.result(SECONDS) is True
        assert mine.noted == [1]


def test_a_method_whose_caller_is_gone_does_not_run_any_more() -> None:
    with serving(Calling()) as server, blocking.connect(*server.urls) as one:
        mine = Mine()
        first = one.root.start("apply", mine, "wait_for_event")
        second = one.root.start("apply", mine, "note", 1)
        closing = in_thread(one.close)
        for call in first, second:
            with pytest.raises(pb.PBConnectionLost):
                call.result(SECONDS)
        mine.event.set()
        closing()
        assert mine.noted == []


class Pages(Calling):
    """Sends five pages."""

    async def remote_send(self, collector: pb.RemoteReference) -> None:
        await pb.send_pages(collector, [bytes([number]) for number in range(5)])


class Collecting(pb.PageCollector):
    """Notes in which thread each page comes."""

    def __init__(self) -> None:
        super().__init__()
        self.in_loop: list[bool] = []

    def remote_gotPage(self, page: Any) -> None:
        self.in_loop.append(the_loop().is_here)
        super().remote_gotPage(page)


def collect(connection: blocking.Connection) -> tuple[list[Any], list[bool]]:
    """The pages that a peer sends, and whether each of them came in the loop."""

    async def all_of_them() -> tuple[list[Any], list[bool]]:
        collector = Collecting()
        await connection.root.call("send", collector)
        return await asyncio.wait_for(collector.pages(), SECONDS), collector.in_loop

    return blocking.run(all_of_them())


ALL_IN_LOOP = ([bytes([number]) for number in range(5)], [True] * 5)


def test_pages_are_collected_in_the_loop_also_where_a_class_of_one_s_own_takes_them() -> None:
    with connected(Pages()) as connection:
        assert collect(connection) == ALL_IN_LOOP


def test_pages_are_collected_in_the_loop_though_their_types_are_checked() -> None:
    with serving(Pages()) as server, blocking.connect(*server.urls, validate=True) as connection:
        assert collect(connection) == ALL_IN_LOOP


# Methods that are given up.


class Slow(pb.Root):
    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.begun = 0
        self.opened = threading.Event()

    def remote_block(self, data: Any) -> None:
        self.begun += 1
        self.entered.release()
        assert self.opened.wait(SECONDS)

    async def remote_echo(self, value: Any) -> Any:
        return value


@over("pellucid")
def test_a_method_that_was_cancelled_counts_until_its_thread_has_ended_and_one_that_waits_never_runs() -> None:
    slow = Slow()
    with blocking.serve(slow, HERE) as server, blocking.connect(*server.urls) as connection:

        def used(limit: str) -> float:
            return server.usage[limit].used

        first = connection.root.start("block", bytes(4000))
        assert slow.entered.acquire(timeout=SECONDS)
        waiting = [connection.root.start("block", pb.Referenceable()) for _ in range(5)]
        assert connection.root.call("echo", 1) == 1
        assert (used("running_calls"), used("references_imported")) == (6, 5)
        for call in (first, *waiting):
            assert call.cancel()
        assert connection.root.call("echo", 2) == 2
        assert used("running_calls") == 1
        assert used("running_bytes") > 4_000
        while used("references_imported"):
            assert connection.root.call("echo", 3) == 3
        slow.opened.set()
        while used("running_calls"):
            assert connection.root.call("echo", 4) == 4
        assert used("running_bytes") == 0
    assert slow.begun == 1


class Applying(pb.Interface):
    async def apply(self, target: pb.Referenceable, name: str, *args: Any) -> Any: ...


class Typed(pb.Referenceable):
    """Calls the server through an interface, in an async method."""

    async def remote_ask(self, root: pb.RemoteReference, seconds: float | None) -> Any:
        seen = root.as_(Applying) if seconds is None else root.call_with(timeout=seconds).as_(Applying)
        return await seen.apply(self, "answer")

    async def remote_answer(self) -> str:
        return "here"


@pytest.mark.parametrize("timeout", [None, SECONDS])
def test_interfaces_are_for_async_methods(timeout: float | None) -> None:
    with connected(Calling()) as connection:
        root = connection.root
        with pytest.raises(RuntimeError, match="async, and can't be awaited here"):
            root.as_(Applying)
        with pytest.raises(RuntimeError, match="async, and can't be awaited here"):
            root.call_with(timeout=SECONDS).as_(Applying)
        assert root.call("apply", Typed(), "ask", root, timeout) == "here"
