"""References and callbacks, both ways: identity, counts that come back to where they were, and order."""

from __future__ import annotations

import asyncio
import gc

import pytest

import pellucid as pb
from tests.interop.harness import Ask, Connect, run
from tests.interop.releases import modern
from tests.interop.twin import Document, Thing, table_sizes

NOTHING_HELD = {"local": 0, "cached by the peer": 0, "cached here": 0, "unanswered": 0}


async def settled(connection: pb.Connection) -> bool:
    """Whether nothing stays in the tables here, after as many round trips as that may reasonably take."""
    for _ in range(50):
        if table_sizes(connection) == NOTHING_HELD and not connection.broker.books.imports:
            return True
        await connection.root.call("echo", 0)
    return False


async def peer_tables(connection: pb.Connection, **wanted: int) -> dict[str, int]:
    """The table sizes of the stock peer, once they are as wanted or never will be; 1 call, this one, is unanswered."""
    sizes: dict[str, int] = {}
    for _ in range(50):
        gc.collect()
        sizes = await connection.root.call("tables")
        if sizes == NOTHING_HELD | wanted:
            break
    return sizes


# A stock client and a server


def test_references_of_a_twisted_client_are_what_they_stand_for(ask_either: Ask) -> None:
    seen = ask_either("references")
    assert seen["equal"]
    assert seen["ping"] == "pong"
    assert seen["add"] == [2, 5]
    assert seen["itself"]
    assert seen["home"]


def test_a_twisted_clients_own_objects_come_home_as_themselves(ask: Ask) -> None:
    # With a stock server they come home as None: its release overtakes the answer (Twisted's ticket 2334).
    seen = ask("references")
    assert seen["mine comes home"]
    assert seen["inside"]
    assert seen["twice"] == [True, True]
    assert seen["two apart"] == [True, False]


def test_what_a_twisted_client_releases_is_forgotten_by_the_server(ask_either: Ask) -> None:
    assert ask_either("release") == [0, 51, 1, 0]


def test_a_server_calls_and_releases_objects_of_a_twisted_client(ask_either: Ask) -> None:
    assert ask_either("callbacks") == {
        "call": 2,
        "hold": 1,
        "call held": 5,
        "same held": True,
        "given back": [True],
        "held": 1,
        "forgotten": True,
    }


def test_viewpoints_of_a_server_tell_a_twisted_client_who_it_is(ask_either: Ask) -> None:
    seen, equal, reader, missing = ask_either("viewpoints")
    assert seen == [["ann", [], {}], ["bob", [1], {"two": 2}]]
    assert not equal
    assert reader == "ann"
    assert "builtins.AttributeError" in map(modern, missing["parents"])


def test_answers_reach_a_twisted_client_in_any_order(ask_either: Ask) -> None:
    assert ask_either("answers_out_of_order") == ["c is done", "a is done", "b is done"]


def test_one_way_calls_of_a_twisted_client_run_and_are_not_answered(ask_either: Ask, number: int) -> None:
    assert ask_either("one_way", name=f"one way {number}") == [True, True, 1]


# A pellucid client and the stock server


def test_one_remote_object_is_one_reference(connect: Connect) -> None:
    async def scenario() -> None:
        async with connect() as connection:
            thing = await connection.root.call("thing")
            assert await connection.root.call("thing") is thing
            assert await thing.call("itself") is thing
            assert await thing.call("ping") == "pong"
            assert [await thing.call("add", 2), await thing.call("add", 3)] == [2, 5]

    run(scenario())


def test_a_reference_that_goes_home_to_twisted_is_the_object_itself(connect: Connect) -> None:
    async def scenario() -> None:
        async with connect() as connection:
            thing = await connection.root.call("thing")
            assert await connection.root.call("is_thing", thing)
            assert not await connection.root.call("is_thing", (await connection.root.call("things", 1))[0])
            assert await connection.root.call("echo", [thing, {"thing": thing}]) == [thing, {"thing": thing}]

    run(scenario())


def test_an_object_that_comes_home_from_twisted_is_itself_though_its_release_overtakes_it(connect: Connect) -> None:
    async def scenario() -> None:
        async with connect() as connection:
            mine = Thing()
            call = connection.root.call
            assert await call("echo", mine) is mine
            nested = await call("echo", [{"thing": mine}])
            assert nested[0]["thing"] is mine
            twice = await call("echo", [mine, mine])
            assert [value is mine for value in twice] == [True, True]
            together = await asyncio.gather(*(call("echo", mine) for _ in range(20)))
            assert all(value is mine for value in together)
            await call("hold", mine)
            assert [value is mine for value in await call("give_back")] == [True]
            await call("forget")
            assert await settled(connection)

    run(scenario())


def test_what_pellucid_drops_is_forgotten_by_twisted(connect: Connect) -> None:
    async def scenario() -> None:
        async with connect() as connection:
            things = await connection.root.call("things", 50)
            same = [await connection.root.call("thing") for _ in range(3)]
            assert (await peer_tables(connection, local=51))["local"] == 51
            del things
            assert (await peer_tables(connection, local=1))["local"] == 1
            del same
            assert await peer_tables(connection) == NOTHING_HELD
            assert await settled(connection)

    run(scenario())


def test_what_pellucid_drops_on_an_idle_connection_is_forgotten_by_twisted(connect: Connect, number: int) -> None:
    async def scenario() -> None:
        async with connect() as connection, connect() as watcher:
            name = f"idle {number}"
            pond = await connection.root.call("pond", name)
            del pond
            gc.collect()
            assert await watcher.root.call("when_stopped", name, 1) == 1  # nothing else is sent on `connection`

    run(scenario())


def test_release_gives_back_one_receipt_and_at_none_the_reference_is_dead(connect: Connect) -> None:
    async def scenario() -> None:
        async with connect() as connection:
            thing = await connection.root.call("thing")
            assert await connection.root.call("thing") is thing
            thing.release()
            assert await thing.call("ping") == "pong"
            thing.release()
            with pytest.raises(pb.DeadReferenceError):
                thing.call("ping")
            assert await peer_tables(connection) == NOTHING_HELD
            again = await connection.root.call("thing")
            assert again is not thing
            assert await again.call("ping") == "pong"

    run(scenario())


def test_a_released_reference_is_given_back_at_the_end_of_async_with(connect: Connect) -> None:
    async def scenario() -> None:
        async with connect() as connection:
            async with await connection.root.call("thing") as thing:
                assert await thing.call("ping") == "pong"
            assert await peer_tables(connection) == NOTHING_HELD

    run(scenario())


def test_twisted_calls_and_releases_objects_of_pellucids(connect: Connect) -> None:
    async def scenario() -> None:
        async with connect() as connection:
            call = connection.root.call
            mine = Thing()
            assert await call("call", mine, "add", 2) == 2
            assert await call("hold", mine) == 1
            assert await call("call_held", "add", 3) == 5
            assert await call("holding", mine)
            assert table_sizes(connection)["local"] == 1
            await call("forget")
            assert await settled(connection)

    run(scenario())


def test_a_thousand_objects_passed_to_twisted_are_forgotten_again(connect: Connect) -> None:
    async def scenario() -> None:
        async with connect() as connection:
            for _ in range(10):
                await connection.root.call("describe", [Thing() for _ in range(100)])
            assert await settled(connection)

    run(scenario())


def test_a_viewable_is_seen_by_twisted_through_whoever_it_is_sent_to(connect: Connect) -> None:
    async def scenario() -> None:
        async with connect() as connection:
            document = Document()
            assert await connection.root.call("call", document, "reader", 1, two=2) == [None, [1], {"two": 2}]
            view = pb.Viewpoint(type("Perspective", (), {"name": "ann"})(), document)
            assert await connection.root.call("call", view, "reader") == ["ann", [], {}]
            seen = await connection.root.call("outcome", view, "letter")
            assert seen["result"] == "Letter(reader=str ann, text=str seen through a viewpoint)"
            ann, bob = [await connection.root.call("viewpoint", name) for name in ("ann", "bob")]
            assert await ann.call("reader") == ["ann", [], {}]
            assert await bob.call("reader", 1, two=2) == ["bob", [1], {"two": 2}]
            assert ann is not bob

    run(scenario())


def test_answers_of_twisted_arrive_in_any_order(connect: Connect) -> None:
    async def scenario() -> None:
        async with connect() as connection:
            call = connection.root.call
            waiting = {name: call("wait", name) for name in "abc"}
            for name in "cab":
                await call("finish", name, name.upper())
                assert await waiting[name] == name.upper()

    run(scenario())


def test_calls_run_at_twisted_in_the_order_in_which_they_were_made(connect: Connect) -> None:
    async def scenario() -> None:
        async with connect() as connection:
            thing = await connection.root.call("thing")
            calls = [thing.call("add", 1) for _ in range(500)]
            assert [await call for call in calls] == list(range(1, 501))

    run(scenario())


def test_one_way_calls_run_at_twisted_and_are_not_answered(connect: Connect, number: int) -> None:
    async def scenario() -> None:
        async with connect() as connection:
            name = f"one way {number}"
            one_way = connection.root.call_with(one_way=True)
            assert await one_way.call("count", name) is None
            assert await one_way.call("raise", "expected") is None
            assert await connection.root.call("counted", name) == 1
            assert table_sizes(connection)["unanswered"] == 0

    run(scenario())


def test_a_call_that_is_given_up_does_not_disturb_those_after_it(connect: Connect) -> None:
    async def scenario() -> None:
        async with connect() as connection:
            call = connection.root.call
            with pytest.raises(pb.DeadlineExceeded):
                await connection.root.call_with(timeout=0.05).call("wait", "a")
            given_up = call("wait", "b")
            given_up.cancel()
            with pytest.raises(pb.CallCancelled):
                await given_up
            await call("finish", "a", [await call("thing")])
            await call("finish", "b", 2)
            assert await call("echo", "alive") == "alive"
            assert (await peer_tables(connection))["local"] == 0
            assert await settled(connection)

    run(scenario())


def test_a_reference_can_not_be_given_to_a_third_party(connect: Connect) -> None:
    async def scenario() -> None:
        async with connect() as one, connect() as other:
            thing = await one.root.call("thing")
            with pytest.raises(pb.ForeignReference):
                await other.root.call("echo", [thing])
            assert await other.root.call("echo", "alive") == "alive"
            assert await thing.call("ping") == "pong"

    run(scenario())


def test_calls_on_a_result_that_is_on_its_way_reach_it(connect: Connect) -> None:
    async def scenario() -> None:
        async with connect() as connection:
            thing = connection.root.call("thing")
            assert await thing.call("itself").call("add", 5) == 5

    run(scenario())


def test_twisted_hands_out_no_more_references_than_it_allows_itself(connect: Connect) -> None:
    async def scenario() -> None:
        async with connect() as connection:
            with pytest.raises(pb.Error, match="Maximum PB reference count exceeded"):
                await connection.root.call("things", 1100)
            assert await connection.root.call("echo", "alive") == "alive"

    run(scenario())


def test_twisted_holds_as_many_references_as_it_is_given(connect: Connect) -> None:
    async def scenario() -> None:
        async with connect() as connection:
            for _ in range(20):
                await connection.root.call("hold", *(Thing() for _ in range(100)))
            assert table_sizes(connection)["local"] == 2000
            await connection.root.call("forget")
            assert await settled(connection)

    run(scenario())
