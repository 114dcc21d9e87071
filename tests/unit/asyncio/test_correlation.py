"""What calls are named in the logs of both sides."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

import pellucid as pb
from pellucid.wire.native.codes import VERSION, Kind
from tests.dialects import each_dialect, over
from tests.unit.asyncio.door import HERE, encoded, on_each_loop, outcome, pair
from tests.unit.asyncio.raw import NativePeer, call_of

pytestmark = each_dialect


class Asked(pb.Root):
    """Tells what the call is named that runs its methods."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def remote_which(self) -> str:
        self.told.append(pb.current_call().correlation_id)
        return self.told[-1]

    async def remote_later(self) -> str:
        await asyncio.sleep(0)
        return self.remote_which()

    def remote_me(self) -> pb.Referenceable:
        self.remote_which()
        return self

    async def remote_ask(self, other: pb.RemoteReference) -> list[str | None]:
        call = other.call("which")
        return [await call, call.correlation_id]

    def remote_fail(self) -> None:
        self.remote_which()
        raise ZeroDivisionError


@over("pellucid")
@pytest.mark.parametrize("method", ["which", "later"])
@on_each_loop
async def test_both_sides_name_a_call_alike(method: str) -> None:
    async with pair(Asked()) as both:
        calls = [both.client.root.call(method) for _ in range(2)]
        assert [await call for call in calls] == [call.correlation_id for call in calls]
        assert calls[1].correlation_id == f"{both.client.log_number}-2"


@over("pellucid")
@on_each_loop
async def test_a_call_is_named_from_the_first_one_on_that_is_made_of_a_connection() -> None:
    async with pb.serve(Asked(), HERE) as server, pb.connect(server.urls[0]) as connection:
        call = connection.root.call("which")
        named = call.correlation_id  # before the server has said anything but what it speaks
        assert await call == named


@over("pellucid")
@on_each_loop
async def test_a_one_way_call_and_those_of_a_chain_are_named_alike() -> None:
    asked = Asked()
    async with pair(asked) as both:
        root = both.client.root
        one_way = root.call_with(one_way=True).call("which")
        first = root.call("me")
        second = first.call("which")
        await second
        assert asked.told == [one_way.correlation_id, first.correlation_id, second.correlation_id]


@over("pellucid")
@on_each_loop
async def test_calls_that_are_gathered_are_named_by_their_places() -> None:
    async with pair(Asked()) as both:
        root = both.client.root
        call = pb.gather(root.prepare("which"), root.prepare("later"))
        assert await call == [f"{call.correlation_id}.0", f"{call.correlation_id}.1"]


@on_each_loop
async def test_no_call_of_one_direction_is_named_as_one_of_the_other(dialect: str) -> None:
    client = Asked()
    async with pair(Asked()) as both:
        call = both.client.root.call("ask", client)
        seen_by_callee, seen_by_caller = await call
        assert (seen_by_callee == seen_by_caller) is (dialect == "pellucid")
        assert call.correlation_id not in (seen_by_callee, seen_by_caller)
        assert client.told == [seen_by_callee]


@over("pb", "none")
@on_each_loop
async def test_over_the_pb_dialects_each_side_has_names_of_its_own() -> None:
    async with pair(Asked()) as both:
        call = both.client.root.call("which")
        assert await call == f"{both.served.log_number}-p1"
        assert call.correlation_id == f"{both.client.log_number}-1"
        chained = both.client.root.call("me").call("which")
        assert chained.correlation_id is None  # it waits here
        await chained
        assert chained.correlation_id == f"{both.client.log_number}-3"
        error = await outcome(both.client.root.call("fail"))
        assert isinstance(error, pb.RemoteError)
        assert error.correlation_id is None  # the server's log calls it something else


@over("pellucid")
@pytest.mark.parametrize("log_number", [None, "31DD1AD2", "31dd1ad\n", 31, ["31dd1ad2"]], ids=ascii)
@on_each_loop
async def test_a_peer_that_tells_no_log_number_is_talked_to_all_the_same(log_number: Any) -> None:
    async with pb.serve(Asked(), HERE) as server, NativePeer.connect(server.urls[0], log_number=log_number) as peer:
        (connection,) = server.connections
        peer.say(call_of(1, "which"))
        assert await peer.answer(1) == f"{connection.log_number}-p1"


@over("pellucid")
@on_each_loop
async def test_a_peer_that_takes_our_log_number_for_its_own_is_as_one_that_has_none() -> None:
    async with pb.serve(Asked(), HERE) as server:
        reader, writer = await asyncio.open_connection(*server.urls[0].removeprefix("pb://").split(":"))
        offered = encoded([b"pellucid", b"pb", b"none"])
        assert await reader.readexactly(len(offered)) == offered
        (connection,) = server.connections
        peer = NativePeer(reader, writer)
        peer.send(encoded(b"pellucid"))
        peer.say([Kind.HELLO.value, VERSION, [], connection.log_number], call_of(1, "which"))
        assert await peer.receive() == [Kind.HELLO, VERSION, [], connection.log_number]
        assert await peer.answer(1) == f"{connection.log_number}-p1"
        writer.close()
        await writer.wait_closed()


@over("pellucid")
@on_each_loop
async def test_an_error_says_where_to_look_in_the_servers_log(caplog: pytest.LogCaptureFixture) -> None:
    async with pair(Asked()) as both:
        root = both.client.root
        error = await outcome(root.call("fail"))
        _, gathered = await pb.gather(root.prepare("which"), root.prepare("fail"), return_exceptions=True)
        assert isinstance(error, pb.RemoteError)
        logged = [vars(record)["call"] for record in caplog.records if record.levelno == logging.ERROR]
        assert logged == [error.correlation_id, gathered.correlation_id]


@over("pellucid")
@on_each_loop
async def test_records_have_what_either_side_calls_the_connection(caplog: pytest.LogCaptureFixture) -> None:
    async with pair(Asked()) as both:
        await outcome(both.client.root.call("fail"))
        (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
        assert vars(record)["connection"] == both.served.log_number
        assert vars(record)["peer_connection"] == both.client.log_number


@on_each_loop
async def test_calls_that_were_never_sent_have_no_name() -> None:
    async with pair(Asked()) as both:
        unsendable = both.client.root.call("which", object())
        assert isinstance(await outcome(unsendable), pb.InsecureJelly)
        assert unsendable.correlation_id is None
    assert pb.gather().correlation_id is None
