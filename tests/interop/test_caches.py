"""Cacheables, both ways: state once, updates after that, two observers, and the end of observing."""

from __future__ import annotations

import asyncio
import gc

import pytest

import pellucid as pb
from tests.interop import twin
from tests.interop.harness import Ask, Client, Connect, run
from tests.interop.peers.samples import describe
from tests.interop.test_references import NOTHING_HELD, peer_tables, settled
from tests.interop.twin import Pond

# A stock client and a server


def test_a_twisted_client_holds_a_cacheable_of_the_servers(ask_either: Ask, number: int) -> None:
    name = f"pond {number}"
    assert ask_either("caches", name=name) == {
        "state": f"PondCache(ducks=int 2, name=str {name})",
        "answers": ["saw ducks"],
        "updated": f"PondCache(ducks=int 3, name=str {name})",
        "shared": True,
        "pair shared": True,
        "home": True,
        "observers": 1,
        "stopped": 1,
        "observers at the end": 0,
        "tables here": True,
        "tables there": True,
        "again": f"PondCache(ducks=int 3, name=str {name})",
    }


def test_a_server_holds_a_cacheable_of_a_twisted_clients(ask_either: Ask) -> None:
    assert ask_either("my_caches") == {
        "held": "PondCache(ducks=int 1, name=str mine)",
        "observers": 1,
        "answers": ["saw ducks"],
        "updated": "PondCache(ducks=int 5, name=str mine)",
        "updates": [["ducks", 5]],
        "observed once": 1,
        "home": [True, True],
        "stopped": 1,
        "observers at the end": 0,
        "tables": True,
    }


def test_two_twisted_clients_watch_one_cacheable(ask_either: Ask, number: int) -> None:
    assert ask_either("two_observers", name=f"pond {number}") == {
        "observers": 2,
        "answers": ["saw ducks", "saw ducks"],
        "updated": [7, 7],
        "stopped": 1,
        "answers to one": ["saw ducks"],
        "updated one": 8,
        "stopped by loss": 2,
        "answers at the end": ["saw ducks"],
        "updated at the end": 9,
    }


# A pellucid client and the stock server


def test_pellucid_holds_a_cacheable_of_twisteds(connect: Connect, number: int) -> None:
    async def scenario() -> None:
        async with connect() as connection:
            call, name = connection.root.call, f"pond {number}"
            pond = await call("pond", name)
            assert describe(pond) == f"PondCache(ducks=int 2, name=str {name})"
            assert await call("change_pond", name, "ducks", 3) == ["saw ducks"]
            assert (pond.ducks, pond.updates) == (3, [("ducks", 3)])
            again, pair = await call("pond", name), await call("ponds", name)
            assert all(each is pond for each in [again, *pair])
            assert await call("is_pond", name, pond)
            assert await call("observers", name) == 1
            del pond, again, pair
            gc.collect()
            assert await call("when_stopped", name, 1) == 1
            assert await settled(connection)
            assert await peer_tables(connection) == NOTHING_HELD
            assert (await call("pond", name)).ducks == 3

    run(scenario())


def test_twisted_holds_a_cacheable_of_pellucids(connect: Connect) -> None:
    async def scenario() -> None:
        async with connect() as connection:
            call, pond = connection.root.call, Pond(name="mine", ducks=1)
            await call("hold", pond)
            assert await call("describe_held") == "PondCache(ducks=int 1, name=str mine)"
            assert await pond.set("ducks", 5) == ["saw ducks"]
            assert await call("describe_held") == "PondCache(ducks=int 5, name=str mine)"
            await call("hold", pond)
            assert len(pond.observers) == 1
            assert [value is pond for value in await call("give_back")] == [True, True]
            await call("forget")
            assert await pond.stopped.when(1) == 1
            assert pond.observers == []
            assert await settled(connection)

    run(scenario())


def test_one_cacheable_of_pellucids_is_watched_over_two_connections(connect: Connect) -> None:
    async def scenario() -> None:
        pond = Pond(name="mine", ducks=1)
        async with connect() as one:
            async with connect() as other:
                for connection in one, other:
                    await connection.root.call("hold", pond)
                assert await pond.set("ducks", 2) == ["saw ducks", "saw ducks"]
                assert [await each.root.call("describe_held") for each in (one, other)] == [
                    "PondCache(ducks=int 2, name=str mine)"
                ] * 2
            assert await pond.stopped.when(1) == 1
            assert await pond.set("ducks", 3) == ["saw ducks"]
            await one.root.call("forget")
            assert await pond.stopped.when(2) == 2
            assert pond.observers == []

    run(scenario())


def test_one_cacheable_of_twisteds_is_watched_over_two_connections(connect: Connect, number: int) -> None:
    async def scenario() -> None:
        name = f"pond {number}"
        async with connect() as one:
            first = await one.root.call("pond", name)
            async with connect() as other:
                second = await other.root.call("pond", name)
                assert await one.root.call("change_pond", name, "ducks", 7) == ["saw ducks", "saw ducks"]
                assert (first.ducks, second.ducks) == (7, 7)
            assert await one.root.call("when_stopped", name, 1) == 1
            assert await one.root.call("change_pond", name, "ducks", 8) == ["saw ducks"]
            assert (first.ducks, second.ducks) == (8, 7)

    run(scenario())


def test_a_cacheable_sent_twice_in_one_message_is_one_object_at_twisted(connect: Connect) -> None:
    async def scenario() -> None:
        async with connect() as connection:
            pond = Pond(ducks=1)
            assert await connection.root.call("describe", [pond, pond]) == "list[#1=PondCache(ducks=int 1), #1]"
            assert await pond.stopped.when(1) == 1
            assert await settled(connection)

    run(scenario())


def test_a_cacheable_that_could_not_be_sent_is_not_observed(connect: Connect) -> None:
    async def scenario() -> None:
        async with connect() as connection:
            pond = Pond(ducks=1)
            with pytest.raises(pb.InsecureJelly):
                await connection.root.call("echo", [pond, object()])
            await connection.root.call("echo", 0)
            assert pond.observers == []
            assert await settled(connection)

    run(scenario())


def test_a_cacheable_handed_on_to_a_third_party_is_refused(connect: Connect, number: int) -> None:
    async def scenario() -> None:
        async with connect() as one, connect() as other:
            pond = await one.root.call("pond", f"pond {number}")
            with pytest.raises(pb.ForeignReference):
                await other.root.call("echo", pond)

    run(scenario())


def test_a_cacheable_of_an_unknown_class_fails_that_call_alone_and_is_not_observed(
    connect: Connect, number: int
) -> None:
    async def scenario() -> None:
        async with connect(registry=pb.Registry()) as connection:
            name = f"pond {number}"
            for times in 1, 2:
                with pytest.raises(pb.InsecureJelly, match="interop"):
                    await connection.root.call("ponds", name)
                assert await connection.root.call("when_stopped", name, times) == times
            assert await peer_tables(connection) == NOTHING_HELD
            assert await settled(connection)

    run(scenario())


def test_twisted_and_pellucid_watch_one_cacheable_of_a_pellucid_server(
    dialect: str, stock_client: Client, number: int
) -> None:
    async def scenario() -> None:
        name = f"pond {number}"
        async with (
            twin.serving() as ports,
            pb.connect(f"pb://127.0.0.1:{ports['root']}", registry=twin.REGISTRY) as connection,
        ):
            pond = await connection.root.call("pond", name)
            seen = await asyncio.to_thread(stock_client.ask, "caches", dialect, ports, {"name": name})
            assert seen["answers"] == ["saw ducks", "saw ducks"]
            assert (seen["observers"], seen["observers at the end"]) == (2, 1)
            assert pond.updates == [("ducks", 3)]

    run(scenario())
