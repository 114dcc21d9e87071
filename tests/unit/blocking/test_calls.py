from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import logging
import threading
from typing import Any

import pytest

import pellucid as pb
from pellucid import blocking
from tests.dialects import each_dialect, over
from tests.unit.asyncio.door import HERE, Gate
from tests.unit.asyncio.things import Broken, Things
from tests.unit.blocking.front import SECONDS, Calling, connected, in_loop, in_thread, interrupting, serving

pytestmark = each_dialect


def entered(gate: Gate) -> Any:
    """Wait for a caller to enter."""
    return blocking.run(asyncio.wait_for(gate.entered.get(), SECONDS))


def test_a_call_returns_what_the_method_returns() -> None:
    with connected(Calling()) as connection:
        assert connection.root.call("echo", ["hi", 1]) == ["hi", 1]


def test_an_error_of_the_method_is_raised_as_itself() -> None:
    with connected(Things()) as connection, pytest.raises(Broken, match="as expected"):
        connection.root.call("fail")


def test_a_keyword_is_the_method_s_own() -> None:
    with connected(Things()) as connection:
        assert connection.root.call("keywords", name=1, timeout=2) == {"name": 1, "timeout": 2}


def test_an_argument_that_may_not_cross_fails_the_call_and_no_other() -> None:
    with connected(Calling()) as connection:
        with pytest.raises(pb.InsecureJelly):
            connection.root.call("echo", object())
        assert connection.root.call("echo", 1) == 1


def test_a_reference_can_be_called_wherever_it_came_in() -> None:
    with connected(Things()) as connection:
        thing = connection.root.call("thing")
        assert isinstance(thing, blocking.RemoteReference)
        assert thing.call("note", 1) == [1]
    with connected(Calling()) as connection:
        mine = pb.Referenceable()
        assert connection.root.call("many", mine) == {"list": [mine], "dict": {"key": (mine,)}}


def test_one_object_is_one_reference_while_it_is_held() -> None:
    with connected(Things()) as connection:
        thing = connection.root.call("thing")
        assert connection.root.call("thing") is thing
        assert thing.call("itself") is thing
        assert connection.root is connection.root


def test_a_reference_goes_home_as_the_object() -> None:
    with connected(Things()) as connection:
        things = connection.root.call("thing")
        assert connection.root.call("echo", [things]) == [things]


def test_a_reference_that_is_left_is_released() -> None:
    things = Things()
    with serving(things) as server, blocking.connect(*server.urls) as connection:
        (served,) = server.connections
        with connection.root.call("thing") as thing:
            assert len(served.broker.books.exports) == 1
        assert not thing.alive
        connection.root.call("echo")
        assert len(served.broker.books.exports) == 0
        with pytest.raises(pb.DeadReferenceError):
            thing.call("note", 1)


def test_a_reference_that_is_dropped_in_any_thread_is_released() -> None:
    with serving(Things()) as server, blocking.connect(*server.urls) as connection:
        (served,) = server.connections
        held = [connection.root.call("thing")]
        assert len(served.broker.books.exports) == 1
        in_thread(held.clear)()
        gc.collect()
        connection.root.call("echo")
        assert len(served.broker.books.exports) == 0


def test_calls_from_many_threads_at_once_get_their_own_answers() -> None:
    with connected(Calling()) as connection:

        def ask(number: int) -> list[Any]:
            return [connection.root.call("echo", [number, count]) for count in range(50)]

        waiting = [in_thread(lambda number=number: ask(number)) for number in range(8)]  # type: ignore[misc]
        for number, wait in enumerate(waiting):
            assert wait() == [[number, count] for count in range(50)]


def test_calls_that_are_started_are_under_way_together() -> None:
    gate = Gate()
    with connected(gate) as connection:
        calls = [connection.root.start("wait", number) for number in range(5)]
        assert [entered(gate) for _ in calls] == list(range(5))
        assert not any(call.done() for call in calls)
        in_loop(gate.opened.set)
        done, waiting = concurrent.futures.wait(calls, SECONDS)
        assert not waiting
        assert {call.result() for call in done} == set(range(5))


def test_calls_start_in_the_order_made() -> None:
    class Noting(pb.Root):
        def __init__(self) -> None:
            self.noted: list[int] = []

        def remote_note(self, number: int) -> None:
            self.noted.append(number)

    root = Noting()
    with connected(root) as connection:
        calls = [connection.root.start("note", number) for number in range(100)]
        for call in calls:
            call.result()
        assert root.noted == list(range(100))


def test_a_result_is_waited_for_no_longer_than_said_and_the_call_goes_on() -> None:
    gate = Gate()
    with connected(gate) as connection:
        call = connection.root.start("wait", 5)
        with pytest.raises(TimeoutError):
            call.result(timeout=0)
        in_loop(gate.opened.set)
        assert call.result(SECONDS) == 5
        assert call.exception() is None


@over("pellucid")
def test_a_call_that_is_cancelled_cancels_the_method() -> None:
    gate = Gate()
    with connected(gate) as connection:
        call = connection.root.start("wait", 5)
        entered(gate)
        assert call.cancel()
        assert blocking.run(asyncio.wait_for(gate.cancelled.get(), SECONDS)) == 5
        with pytest.raises(concurrent.futures.CancelledError):
            call.result()
        assert concurrent.futures.wait([call], 0).done == {call}
        assert connection.root.call("echo", 1) == 1


def test_a_call_that_has_ended_can_not_be_cancelled() -> None:
    with connected(Calling()) as connection:
        call = connection.root.start("echo", 1)
        assert call.result() == 1
        assert not call.cancel()
        assert call.result() == 1


def test_a_call_ends_in_the_time_that_it_is_given() -> None:
    with connected(Gate()) as connection, pytest.raises(pb.DeadlineExceeded):
        connection.root.call_with(timeout=0.01).call("wait")


def test_a_one_way_call_has_no_answer() -> None:
    gate = Gate()
    with connected(gate) as connection:
        assert connection.root.call_with(one_way=True).call("wait", 3) is None
        assert entered(gate) == 3


def test_calls_are_gathered_in_order() -> None:
    with connected(Calling()) as connection:
        root = connection.root
        assert blocking.gather(*(root.prepare("echo", number) for number in range(20))) == list(range(20))
        assert blocking.gather() == []


def test_a_call_that_was_made_is_not_gathered() -> None:
    with connected(Calling()) as connection:
        answer: Any = connection.root.call("echo", 1)
        with pytest.raises(TypeError, match=r"as from reference\.prepare\(\.\.\.\); 1 is none"):
            blocking.gather(answer)


def test_an_error_of_gathered_calls_stands_among_the_results_where_that_is_wanted() -> None:
    with connected(Things()) as connection:
        root = connection.root
        calls = [root.prepare("echo", 1), root.prepare("fail")]
        with pytest.raises(Broken):
            blocking.gather(*calls)
        value, error = blocking.gather(*calls, return_exceptions=True)
        assert value == 1
        assert isinstance(error, Broken)


def test_gathered_calls_end_in_the_time_that_they_are_given() -> None:
    with connected(Gate()) as connection, pytest.raises(pb.DeadlineExceeded):
        blocking.gather(connection.root.prepare("wait"), timeout=0.01)


def test_calls_under_way_fail_when_the_connection_is_lost_and_later_ones_at_once() -> None:
    gate = Gate()
    with serving(gate) as server, blocking.connect(*server.urls) as connection:
        calls = [connection.root.start("wait"), connection.root.start("wait")]
        entered(gate)
        (served,) = server.connections
        in_loop(lambda: served.abort("for the test", level=logging.DEBUG))
        for call in calls:
            with pytest.raises(pb.PBConnectionLost):
                call.result(SECONDS)
        assert not connection.root.alive
        with pytest.raises(pb.DeadReferenceError):
            connection.root.call("echo")
        with pytest.raises(pb.DeadReferenceError):
            connection.root.start("echo")


def test_a_failure_that_nobody_asks_for_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    with connected(Things()) as connection:
        connection.root.start("fail")
        noticed = connection.root.start("fail")
        assert isinstance(noticed.exception(SECONDS), Broken)
        del noticed
        gc.collect()
    assert [vars(record)["event"] for record in caplog.records if record.levelno >= logging.ERROR] == ["call.unnoticed"]


@over("pellucid")
def test_an_interrupt_gives_the_call_up_and_leaves_the_connection_of_use() -> None:
    gate = Gate()
    with connected(gate) as connection:
        for number in range(3):
            with interrupting(lambda: entered(gate)), pytest.raises(KeyboardInterrupt):
                connection.root.call("wait", number)
            assert blocking.run(asyncio.wait_for(gate.cancelled.get(), SECONDS)) == number
            assert connection.root.call("echo", 1) == 1
        assert "calls=0" in repr(connection)


def test_an_interrupt_while_connecting_leaves_nothing_behind() -> None:
    arrived = threading.Event()
    gone = threading.Event()

    class Silent(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            arrived.set()

        def connection_lost(self, exc: Exception | None) -> None:
            gone.set()

    async def serve() -> asyncio.Server:
        return await asyncio.get_running_loop().create_server(Silent, "127.0.0.1", 0)

    server = blocking.run(serve())
    try:
        port = server.sockets[0].getsockname()[1]
        with interrupting(lambda: arrived.wait(SECONDS)), pytest.raises(KeyboardInterrupt):
            blocking.connect(f"pb://127.0.0.1:{port}")
        assert gone.wait(SECONDS)
    finally:
        in_loop(server.close)


def test_a_blocking_call_in_the_loop_s_own_thread_says_what_to_do_instead() -> None:
    with connected(Calling()) as connection:
        started = connection.root.start("echo")
        for blocks in (
            lambda: connection.root.call("echo"),
            lambda: connection.root.start("echo", 1).result(),
            lambda: connection.login(pb.credentials.Anonymous()),
            lambda: blocking.gather(connection.root.prepare("echo")),
            lambda: blocking.connect("pb://127.0.0.1:1"),
            connection.close,
            connection.wait_closed,
        ):
            with pytest.raises(RuntimeError, match="make the method async, and await"):
                in_loop(blocks)
        started.result()


def test_a_coroutine_that_can_not_be_run_where_it_is_asked_for_is_closed() -> None:
    async def nothing() -> None:
        pass

    with pytest.raises(RuntimeError, match="would wait for itself"):
        in_loop(lambda: blocking.run(nothing()))


def test_in_coroutines_of_the_loop_a_call_is_awaited() -> None:
    with connected(Calling()) as connection:

        async def ask() -> Any:
            return await connection.root.call("echo", 1), await connection.root.call_with(timeout=9).call("echo", 2)

        assert blocking.run(ask()) == (1, 2)


def test_it_works_beside_a_loop_that_runs_in_the_main_thread() -> None:
    async def cell_of_a_notebook() -> Any:
        with connected(Calling()) as connection:
            first = connection.root.call("echo", 1)
            return first, await asyncio.wrap_future(connection.root.start("echo", 2))

    assert asyncio.run(cell_of_a_notebook()) == (1, 2)


def test_an_observer_is_not_told_in_a_thread_where_that_would_break_the_loop() -> None:
    class Price(pb.Cacheable):
        observer: Any = None

        def get_state_to_cache_and_observe_for(self, perspective: Any, observer: Any) -> dict[str, Any]:
            self.observer = observer
            return {"price": 1}

        def stopped_observing(self, perspective: Any, observer: Any) -> None:
            self.observer = None

    class PriceCopy(pb.RemoteCache):
        price: int

        def observe_price(self, price: int) -> None:
            self.price = price

    registry = pb.Registry()
    registry.register(PriceCopy, Price)
    price = Price()

    class Keeper(pb.Root):
        kept: Any = None

        def remote_keep(self, kept: Any) -> None:
            self.kept = kept

    keeper = Keeper()
    with (
        blocking.serve(keeper, "pb://127.0.0.1:0", registry=registry) as server,
        blocking.connect(*server.urls, registry=registry) as connection,
    ):
        connection.root.call("keep", price)
        with pytest.raises(RuntimeError, match=r"pellucid\.blocking\.run"):
            price.observer.update("price", 2)

        async def tell() -> None:
            await price.observer.call("price", 2)

        blocking.run(tell())
        assert keeper.kept.price == 2


@over("pellucid")
def test_a_call_is_named_alike_at_both_sides_while_it_is_under_way_and_after() -> None:
    class Asked(pb.Root):
        def remote_which(self) -> str:
            return pb.current_call().correlation_id

    with connected(Asked()) as connection:
        call = connection.root.start("which")
        assert call.result(SECONDS) == call.correlation_id


def test_a_failure_that_nobody_asks_for_is_logged_with_the_name_of_its_call(caplog: pytest.LogCaptureFixture) -> None:
    with connected(Gate()) as connection:
        call = connection.root.start("nothing")
        concurrent.futures.wait([call], SECONDS)
        named = call.correlation_id
        del call
        gc.collect()
    (record,) = [record for record in caplog.records if vars(record).get("event") == "call.unnoticed"]
    told = vars(record)
    assert (told["method"], told["call"], told["error"]) == ("nothing", named, "pellucid.errors.NoSuchMethod")
    assert told["connection"] == (named or "").partition("-")[0]


class Together(pb.Root):
    """Looks for a method no sooner than two calls have come as far as that."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self._both = threading.Barrier(2)

    def method_for(self, name: str) -> Any:
        self._both.wait(SECONDS)
        return super().method_for(name)

    def remote_note(self, who: str) -> None:
        self.ran.append(who)


def test_calls_of_a_facet_in_two_threads_are_no_more_than_its_rate_allows() -> None:
    root = Together()
    facet = pb.facet(pb.facet(root), calls_per_second=0.001)
    with (
        blocking.serve(facet, HERE) as server,
        blocking.connect(*server.urls) as first,
        blocking.connect(*server.urls) as second,
    ):

        def ask(connection: blocking.Connection, who: str) -> str:
            try:
                connection.root.call("note", who)
            except pb.RateExceeded:
                return "refused"
            return who

        outcomes = [in_thread(lambda: ask(first, "first")), in_thread(lambda: ask(second, "second"))]
        assert sorted(outcome() for outcome in outcomes) == sorted([*root.ran, "refused"])
    assert len(root.ran) == 1
