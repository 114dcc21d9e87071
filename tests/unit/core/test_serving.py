"""The calls that the peer makes, from when they arrive until they are answered."""

from __future__ import annotations

from typing import Any

import pytest

from pellucid.core.calls import Call
from pellucid.core.gathering import gather
from pellucid.errors import Error, InsecureJelly, LimitExceeded, NoSuchMethod, RemoteError
from pellucid.flavors.copyable import Copyable
from pellucid.flavors.referenceable import Referenceable, Root, Viewable
from pellucid.flavors.registry import Registry
from pellucid.limits import Limits
from pellucid.wire.messages import MethodCall
from pellucid.wire.native.codes import Kind
from tests.dialects import each_dialect, over
from tests.pair import Desk, Extension, Pair, Settings, Stranger
from tests.unit.core.native import call_of, promise, stranger

pytestmark = each_dialect


class Bad(Error, Copyable):
    """An error that can't be sent, or only together with too much."""

    def __init__(self, state: Any) -> None:
        super().__init__("bad")
        self.state = state


class Waiting(Root):
    """Leaves its calls to the test, which answers them."""

    async def remote_wait(self, *args: Any) -> Any:
        await Never()


class Never:
    def __await__(self) -> Any:
        while True:
            yield


def arrived(**settings: Any) -> tuple[Pair, Call, MethodCall]:
    """A pair, a call that is under way, and that call at the server."""
    pair = Pair(Waiting(), server=Settings(**settings))
    call = pair.root.call("wait")
    pair.pump()
    ((there, _),) = pair.server._paused
    return pair, call, there


# Answers.


@pytest.mark.parametrize(
    "value", [5, "x", None, [1, (2,)], {3: 4}, 2**70, "x" * 5000, bytes(100_000)], ids=lambda value: ascii(value)[:10]
)
def test_a_call_is_answered_once(value: Any) -> None:
    pair, call, there = arrived()
    broker = pair.server.broker
    assert broker.answer(there, value) is None
    pair.pump()
    assert call.outcome() == value
    if pair.client.broker.dialect == "pellucid":
        assert there.ended
        assert broker.answer(there, 6) is None
        broker.fail(there, Error("too late"))
        assert broker.queued_bytes == 0


def test_what_is_answered_is_counted_to_the_byte_in_whatever_way_it_is_written() -> None:
    for value in 5, [5], {5: 5}:
        pair, _, there = arrived()
        pair.server.broker.answer(there, value)
        assert pair.server.broker.queued_bytes == len(pair.server.broker.data_to_send())


@over("pellucid")
def test_an_answer_stands_in_line_behind_a_large_one_that_brings_an_object() -> None:
    pair = Pair(Waiting())
    calls = [pair.root.call("wait"), pair.root.call("wait")]
    pair.pump()
    first, second = (call for call, _ in pair.server._paused)
    broker = pair.server.broker
    broker.answer(first, [Referenceable(), bytes(300_000)])
    broker.answer(second, 5)
    assert broker.data_to_send() == b""
    pair.pump()
    assert [len(calls[0].outcome()), calls[1].outcome()] == [2, 5]


def test_nothing_is_answered_once_the_connection_has_ended() -> None:
    pair, _, there = arrived()
    pair.cut()
    assert pair.server.broker.answer(there, 5) is None
    pair.server.broker.fail(there, Error("why"))


def test_a_call_that_wants_no_answer_gets_none() -> None:
    pair = Pair(Waiting())
    pair.root.call_with(one_way=True).call("wait")
    pair.pump()
    ((there, _),) = pair.server._paused
    before = len(pair.to_client.carried)
    assert pair.server.broker.answer(there, 5) is None
    pair.server.broker.fail(there, Error("why"))
    pair.pump()
    assert len(pair.to_client.carried) == before


def test_a_result_that_can_not_be_sent_is_an_error_here_and_there() -> None:
    pair, call, there = arrived()
    told = pair.server.broker.answer(there, [Referenceable(), object()])
    assert isinstance(told, InsecureJelly)
    pair.pump()
    assert isinstance(call.error, InsecureJelly)
    assert str(call.error) == str(told)
    assert pair.server.exports() == {}


def test_what_was_to_be_run_when_a_result_is_let_go_of_is_run_where_it_is_not_sent() -> None:
    pair, _, there = arrived(limits=Limits(references_exported=1))
    pair.server.broker.books.export(Referenceable())
    ran: list[str] = []
    result = Referenceable()
    pair.server.broker.until_gone(result, lambda: ran.append("gone"))
    assert isinstance(pair.server.broker.answer(there, result), LimitExceeded)
    pair.pump()
    assert ran == ["gone"]


# Errors.


def test_an_error_that_can_not_be_sent_is_told_in_other_words() -> None:
    pair, call, there = arrived()
    pair.server.broker.fail(there, Bad(object()))
    pair.pump()
    assert type(call.error) is Error
    assert str(call.error).startswith("a Bad, which can't be sent: builtins.object objects may not cross")


def test_an_error_is_told_in_few_words_where_the_limits_leave_room_for_no_more() -> None:
    name = "inline_bytes" if Pair().client.broker.dialect == "pellucid" else "message_bytes"
    for room, fits in (700, True), (60, False):
        pair, call, there = arrived(limits=Limits(**{name: room}))
        if fits:
            pair.server.broker.fail(there, Bad("x" * 5000))
            pair.pump()
            assert "which can't be sent" in str(call.error)
        else:
            with pytest.raises(LimitExceeded):
                pair.server.broker.fail(there, Bad("x" * 5000))


class Half(Root):
    def remote_inner(self) -> None:
        raise NoSuchMethod("of its own")


@over("pellucid")
def test_whether_there_is_no_such_method_or_a_method_says_so_is_told_apart() -> None:
    pair = Pair(Half())
    for name in "nothing", "inner":
        pair.root.call(name).notice()
    pair.pump()
    failures = [message[2] for message in pair.to_client.said()]
    assert [(failure[1].rpartition(".")[2], failure[5]) for failure in failures] == [
        ("NoSuchMethod", False),
        ("NoSuchMethod", True),
    ]


@over("pb", "pellucid")
def test_what_is_raised_while_the_method_is_looked_for_is_the_error_of_the_call() -> None:
    class Odd(Root):
        def method_for(self, name: str) -> Any:
            raise KeyError(name)

    pair = Pair(Odd())
    with pytest.raises(RemoteError, match="x") as caught:
        pair.call(pair.root, "x")
    assert caught.value.remote_type == "builtins.KeyError"


# Deadlines.


@over("pellucid")
def test_a_call_ends_by_the_clock_of_its_receiver() -> None:
    pair = Pair(Waiting())
    pair.server.clock = 100.0
    pair.root.call_with(timeout=5.0).call("wait")
    pair.root.call("wait")
    pair.pump()
    assert [call.deadline for call, _ in pair.server._paused] == [105.0, None]


@over("pellucid")
def test_the_calls_of_a_batch_have_no_more_time_than_the_batch() -> None:
    peer = stranger(Waiting())
    items: list[list[Any]] = [["root", "wait", [], None, {"timeout": seconds}] for seconds in (1, 9)]
    peer.say([Kind.BATCH.value, 1, [*items, ["root", "wait", []]], {"timeout": 5}])
    assert [call.deadline for call, _ in peer.side._paused] == [1.0, 5.0, 5.0]
    peer.say([Kind.BATCH.value, 2, [*items, ["root", "wait", []]]])
    assert [call.deadline for call, _ in peer.side._paused[3:]] == [1.0, 9.0, None]


# Batches.


@over("pellucid")
def test_a_batch_is_answered_when_its_last_call_has_ended_and_each_once() -> None:
    pair = Pair(Waiting())
    call = gather(*[pair.root.prepare("wait") for _ in range(3)], return_exceptions=True)
    pair.pump()
    first, second, third = (there for there, _ in pair.server._paused)
    broker = pair.server.broker
    broker.answer(second, 2)
    broker.answer(second, 22)
    broker.fail(first, Error("why"))
    assert broker.queued_bytes == 0
    broker.answer(third, 3)
    pair.pump()
    failed, *results = call.outcome()
    assert (str(failed), results) == ("why", [2, 3])
    assert not broker.arrivals.running


@over("pellucid")
def test_a_batch_whose_answer_can_not_be_sent_fails_as_a_whole() -> None:
    pair = Pair(Waiting(), server=Settings(limits=Limits(inline_bytes=2_000)))
    call: Any = gather(*[pair.root.prepare("wait") for _ in range(3)])
    pair.pump()
    for there, _ in list(pair.server._paused):
        pair.server.broker.answer(there, "x" * 1_000)
    pair.pump()
    with pytest.raises(LimitExceeded, match=r"over Limits\.inline_bytes=2000"):
        call.result()


@over("pellucid")
def test_an_empty_batch_and_one_that_can_not_be_read_are_answered_at_once() -> None:
    peer = stranger()
    bad = Extension(99, b"")
    peer.say([Kind.BATCH.value, 1, []], [Kind.BATCH.value, 2, [["root", "echo", [5]], ["root", "echo", [bad]]]])
    empty, failed = peer.hear()
    assert empty == [Kind.BATCH_ANSWER, 1, [], []]
    assert failed[:2] == [Kind.FAIL, 2]
    assert len(peer.side.broker.arrivals) == 0


# Given up.


@over("pellucid")
def test_giving_a_batch_up_gives_up_each_call_that_has_not_ended() -> None:
    pair = Pair(Waiting())
    call = gather(*[pair.root.prepare("wait") for _ in range(3)], return_exceptions=True)
    pair.pump()
    (first, _), *_ = pair.server._paused
    pair.server.broker.answer(first, 1)
    call.cancel()
    pair.pump()
    assert len(pair.server._paused) == 1  # the one that the test answered, which goes on for nobody
    assert pair.server.is_empty()


@over("pellucid")
@pytest.mark.parametrize("number", [1, 2, 99, -1, 0])
def test_giving_up_what_is_answered_or_was_never_made_is_no_harm(number: int) -> None:
    peer = stranger()
    peer.say(call_of(1, "echo", 5), [Kind.CANCEL.value, number], call_of(3, "echo", 6))
    assert [message[1:] for message in peer.hear()] == [[1, 5], [3, 6]]


# Who is called, and who sees it.


class Board(Viewable):
    def __init__(self) -> None:
        self.by: list[Any] = []

    def view_show(self, perspective: Any, value: Any = None) -> Any:
        self.by.append(perspective)
        return value


@over("pellucid")
def test_a_call_that_waited_is_aimed_at_what_there_is_then() -> None:
    peer = stranger()
    peer.say(call_of(1, "later"), call_of(2, "note", 5, target=promise(1)), call_of(3, "nothing", target=promise(1)))
    hall: Any = peer.side.published
    hall.laters["it"].result, hall.laters["it"].is_there = hall.notes, True
    answers = {message[1]: message for message in peer.hear()}
    assert answers[2][2] == 5
    assert answers[3][2][1] == "twisted.spread.flavors.NoSuchMethod"
    assert hall.notes.noted == [5]


@over("pellucid")
def test_a_number_that_is_under_way_ends_the_connection() -> None:
    peer = Stranger(Waiting(), dialect="pellucid")
    peer.say([1, 1, "root", "wait", []], [1, 2, "root", "wait", []], [1, 1, "root", "wait", []])
    assert str(peer.side.ended_by) == "the peer used the number of a call that is under way"
    assert len(peer.side.calls) == 2


@over("pellucid")
def test_limits_that_change_count_for_calls_that_come_later() -> None:
    desk = Desk()
    pair = Pair(desk)
    broker = pair.server.broker
    broker.limits = Limits(kept_answers=1)
    assert broker.arrivals.limits.kept_answers == 1
    for number in range(5):
        pair.call(pair.root, "echo", number)
    assert len(broker.arrivals._kept) == 1


def test_what_is_called_in_vain_says_nothing_of_what_exists() -> None:
    pair = Pair(Desk(), server=Settings(registry=Registry()))
    with pytest.raises(Error, match=r"^Invalid Object ID$"):
        pair.call(pair.client.broker.reference(b"other"), "echo")
