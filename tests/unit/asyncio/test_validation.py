"""Checked arguments on the wire, through the asyncio door, in each dialect."""

from __future__ import annotations

import dataclasses
import logging
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import pytest

import pellucid as pb
from pellucid.errors import InvalidArgument, RemoteError
from tests.dialects import each_dialect, over
from tests.unit.asyncio.door import on_each_loop, outcome, pair

if TYPE_CHECKING:
    from collections.abc import Sequence as Elsewhere

pytestmark = each_dialect

REGISTRY = pb.Registry()


@pb.copyable(registry=REGISTRY)
@dataclasses.dataclass
class Job:
    name: str


@pb.copyable(registry=REGISTRY)
@dataclasses.dataclass
class Other:
    name: str


class Worker(pb.Referenceable):
    def __init__(self) -> None:
        self.given: list[Any] = []

    def remote_work(self, jobs: list[Job]) -> int:
        self.given += jobs
        return len(jobs)


class Board(pb.Cacheable):
    def __init__(self) -> None:
        self.observers: list[pb.Observer] = []

    def get_state_to_cache_and_observe_for(self, perspective: Any, observer: pb.Observer) -> dict[str, Any]:
        self.observers.append(observer)
        return {"lines": []}

    def stopped_observing(self, perspective: Any, observer: pb.Observer) -> None:
        self.observers.remove(observer)


class BoardCopy(pb.RemoteCache):
    lines: list[str]

    def observe_line(self, text: str) -> int:
        self.lines.append(text)
        return len(self.lines)


REGISTRY.register(BoardCopy, Board)


class Office(pb.Root, validate=True):
    def __init__(self) -> None:
        self.ran: list[Any] = []
        self.desk = Worker()
        self.board = Board()

    def remote_double(self, number: int) -> int:
        self.ran.append(number)
        return number * 2

    async def remote_double_later(self, number: int) -> int:
        self.ran.append(number)
        return number * 2

    @pb.in_thread
    def remote_double_in_a_thread(self, number: int) -> int:
        self.ran.append(number)
        return number * 2

    def remote_hire(self, workers: list[pb.RemoteReference], boss: pb.RemoteReference | None = None) -> int:
        return len(workers)

    def remote_desk(self) -> Worker:
        return self.desk

    def remote_back(self, desk: Worker, jobs: dict[str, Job]) -> bool:
        return desk is self.desk

    def remote_named(self, *, name: Annotated[str, msgspec.Meta(max_length=5)]) -> str:
        self.ran.append(name)
        return name

    def remote_keep(self, things: dict[str, list[Any]]) -> None:
        self.ran.append(things)

    def remote_text(self) -> str:
        return "text"

    def remote_board(self) -> Board:
        return self.board

    async def remote_ask(self, worker: pb.RemoteReference) -> Any:
        return await worker.call("work", 5)

    def remote_by_itself(self) -> None:
        raise InvalidArgument("remote_by_itself", "x", "y", "z")


class Unfinished(pb.Root, validate=True):
    ran = False

    def remote_unresolved(self, things: Elsewhere[int]) -> None:
        self.ran = True


OPTIONS: dict[str, Any] = {"registry": REGISTRY}
BOTH: dict[str, Any] = {**OPTIONS, "client": OPTIONS}


@pytest.mark.parametrize("name", ["double", "double_later", "double_in_a_thread"])
@on_each_loop
async def test_a_method_is_run_with_what_its_annotations_say_and_with_nothing_else(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    office = Office()
    async with pair(office, **BOTH) as both:
        assert await both.client.root.call(name, 2) == 4
        error = await outcome(both.client.root.call(name, "2"))
        assert type(error) is InvalidArgument
        assert str(error) == f"argument number of remote_{name}: expected int, got str"
        assert type(await outcome(both.client.root.call(name))) is InvalidArgument
        assert type(await outcome(both.client.root.call(name, 2, 3))) is InvalidArgument
        assert type(await outcome(both.client.root.call(name, number=2, x=3))) is InvalidArgument
    assert office.ran == [2]
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@over("pellucid")
@on_each_loop
async def test_the_native_dialect_tells_what_was_wrong_part_by_part() -> None:
    async with pair(Office(), **BOTH) as both:
        error = await outcome(both.client.root.call("named", name="too long"))
        assert (error.method, error.argument) == ("remote_named", "name")
        assert (error.expected, error.got) == ("str of length <= 5", "'too long'")


@on_each_loop
async def test_references_objects_that_come_home_and_copies_are_checked_wherever_they_are() -> None:
    async with pair(Office(), **BOTH) as both:
        root = both.client.root
        desk = await root.call("desk")
        assert await root.call("hire", [Worker(), Worker()], boss=Worker()) == 2
        assert await root.call("back", desk, {"a": Job("a")}) is True
        for call, told in [
            (root.call("hire", [Worker(), 5]), "workers[1] of remote_hire: expected RemoteReference, got int"),
            (root.call("hire", [desk]), "workers[0] of remote_hire: expected RemoteReference, got Worker"),
            (root.call("hire", [], 5), "boss of remote_hire: expected RemoteReference | None, got int"),
            (root.call("back", Worker(), {}), "desk of remote_back: expected Worker, got RemoteReference"),
            (root.call("back", desk, {"a": Other("a")}), "jobs['a'] of remote_back: expected Job, got Other"),
            (root.call("back", desk, {"a": {"name": "a"}}), "jobs['a'] of remote_back: expected Job, got dict"),
        ]:
            assert str(await outcome(call)) == f"argument {told}"


@on_each_loop
async def test_a_server_checks_what_it_hands_out_as_well() -> None:
    office = Office()
    async with pair(office, validate=True, **BOTH) as both:
        desk = await both.client.root.call("desk")
        assert type(await outcome(desk.call("work", 5))) is InvalidArgument
        assert await desk.call("work", [Job("a")]) == 1
    async with pair(office, **BOTH) as both:
        desk = await both.client.root.call("desk")
        assert type(await outcome(desk.call("work", 5))) is RemoteError


@on_each_loop
async def test_a_client_checks_how_it_is_called_back() -> None:
    async with pair(Office(), registry=REGISTRY, client={"validate": True, **OPTIONS}) as both:
        error = await outcome(both.client.root.call("ask", Worker()))
        # The office was refused; its own caller was not.
        expected = RemoteError if both.client.dialect == "pellucid" else InvalidArgument
        assert type(error) is expected
        assert "argument jobs of remote_work: expected list[Job], got int" in str(error)


@on_each_loop
async def test_a_client_checks_how_its_copy_of_a_cacheable_is_updated(caplog: pytest.LogCaptureFixture) -> None:
    office = Office()
    async with pair(office, registry=REGISTRY, client={"validate": True, **OPTIONS}) as both:
        copy = await both.client.root.call("board")
        (observer,) = office.board.observers
        assert type(await outcome(observer.call("line", 5))) is InvalidArgument
        assert not caplog.records
        observer.update("line", 5)
        assert await observer.call("line", "a") == 1
        assert copy.lines == ["a"]
    (told,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert "'line' was refused: InvalidArgument('argument text of observe_line" in told.getMessage()


@on_each_loop
async def test_results_of_other_calls_are_checked_when_they_are_known() -> None:
    office = Office()
    async with pair(office, **BOTH) as both:
        root = both.client.root
        assert await root.call("double", root.call("double", 2)) == 8
        error = await outcome(root.call("double", root.call("text")))
        assert str(error) == "argument number of remote_double: expected int, got str"
    assert office.ran == [2, 4]


@on_each_loop
async def test_calls_of_a_batch_are_checked_each_by_itself() -> None:
    office = Office()
    async with pair(office, **BOTH) as both:
        root = both.client.root
        calls = [root.prepare(name, number) for name in ("double", "double_later") for number in (1, "a", 2)]
        outcomes = await pb.gather(*calls, return_exceptions=True)
        assert [each if type(each) is int else type(each) for each in outcomes] == [2, InvalidArgument, 4] * 2
    assert sorted(office.ran) == [1, 1, 2, 2]


@on_each_loop
async def test_a_server_checks_calls_of_a_batch_whatever_their_class_says() -> None:
    async with pair(lambda connection: Worker(), validate=True, **BOTH) as both:
        arguments: list[Any] = [[], 5, "ab", []]
        calls = [both.client.root.prepare("work", jobs) for jobs in arguments]
        outcomes = await pb.gather(*calls, return_exceptions=True)
        assert [each if type(each) is int else type(each) for each in outcomes] == [0, *[InvalidArgument] * 2, 0]


@on_each_loop
async def test_a_batch_with_a_contract_that_is_no_good_fails_call_by_call() -> None:
    async with pair(lambda connection: Unfinished(), **BOTH) as both:
        outcomes = await pb.gather(
            *(both.client.root.prepare("unresolved", [1]) for _ in range(2)), return_exceptions=True
        )
        assert [type(each) for each in outcomes] == [RemoteError] * 2


@on_each_loop
async def test_a_facet_checks_as_its_object_does_and_is_told_of_it() -> None:
    uses: list[pb.FacetUse] = []
    async with pair(pb.facet(Office(), methods=["double"], audit=uses.append), **BOTH) as both:
        assert await both.client.root.call("double", 2) == 4
        assert type(await outcome(both.client.root.call("double", "2"))) is InvalidArgument
        assert [type(use.refusal) for use in uses] == [type(None), InvalidArgument]


@on_each_loop
async def test_what_is_the_owners_fault_is_logged_and_told(caplog: pytest.LogCaptureFixture) -> None:
    office = Unfinished()
    with pytest.raises(TypeError, match=r"remote_unresolved can't be checked .*'Elsewhere' is not defined"):
        pb.serve(office, "pb://127.0.0.1:0")
    async with pair(lambda connection: office, **BOTH) as both:
        error = await outcome(both.client.root.call("unresolved", [1]))
        assert type(error) is RemoteError
        assert error.remote_type == "builtins.TypeError"
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert not office.ran


@over("pellucid")
@on_each_loop
async def test_a_method_that_raises_the_error_itself_is_told_from_a_broker_that_does() -> None:
    async with pair(lambda connection: Office(), **BOTH) as both:
        error = await outcome(both.client.root.call("by_itself"))
        assert type(error) is RemoteError
        assert error.remote_type == "pellucid.errors.InvalidArgument"


class User(pb.Avatar):
    def perspective_double(self, number: int) -> int:
        return number * 2


class Realm:
    def request_avatar(self, avatar_id: str, mind: object) -> Any:
        return User(), lambda: None


@on_each_loop
async def test_avatars_are_checked_and_logging_in_is_as_ever() -> None:
    portal = pb.Portal(Realm(), [pb.InMemoryPasswords({"alice": "secret"})])
    async with pair(portal, validate=True) as both:
        avatar = await both.client.login(pb.credentials.Password("alice", "secret"))
        assert await avatar.call("double", 2) == 4
        assert type(await outcome(avatar.call("double", "2"))) is InvalidArgument


@on_each_loop
async def test_huge_and_hostile_arguments_are_refused_in_few_words() -> None:
    async with pair(Office(), **BOTH) as both:
        cycle: list[Any] = []
        cycle.append(cycle)
        huge = 2 ** (10_000 if both.client.dialect == "pellucid" else 400)
        arguments: list[Any] = [huge, "a" * 10**5, cycle, {huge: {}}, {"k" * 10**5: "not a list"}]
        for argument in arguments:
            error = await outcome(both.client.root.call("keep", argument))
            assert type(error) is InvalidArgument
            assert len(str(error)) < 300
