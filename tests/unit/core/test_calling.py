"""The calls that one side makes, from when they are made until they are answered."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from pellucid.core.gathering import gather
from pellucid.errors import (
    DeadReferenceError,
    ForeignReference,
    InsecureJelly,
    LimitExceeded,
    NotAReference,
    Overloaded,
    RemoteProtocolError,
)
from pellucid.flavors.referenceable import Referenceable
from pellucid.limits import Limits
from pellucid.wire.native.codes import Kind
from tests.dialects import each_dialect, over
from tests.pair import Desk, Pair, Settings, Stranger

pytestmark = each_dialect


class Noting(Desk):
    """Notes what it is called with, in turn."""

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[Any] = []

    def remote_note(self, *args: Any, **kwargs: Any) -> int:
        self.noted.append((*args, kwargs) if kwargs else args)
        return len(self.noted)


def seen(pair: Pair) -> list[list[int]]:
    """The numbers of answers that the client said it has seen, each time."""
    return [message[1] for message in pair.to_server.said() if message[0] == Kind.SEEN]


# Made and sent.


def test_calls_made_before_a_dialect_is_agreed_on_are_sent_in_order_but_for_those_given_up() -> None:
    noting = Noting()
    pair = Pair(noting, connect=False)
    calls: list[Any] = [pair.root.call("note", number) for number in range(3)]
    one_way = pair.root.call_with(one_way=True).call("note", 3)
    calls[1].cancel()
    pair.pump()
    assert noting.noted == [(0,), (2,), (3,)]
    assert [calls[0].result(), calls[2].result(), one_way.outcome()] == [1, 2, None]


def test_a_call_arrives_alike_in_whatever_way_it_is_written() -> None:
    noting = Noting()
    pair = Pair(noting)
    expected: list[Any] = []
    many: list[tuple[Any, ...]] = [(), (1, "x", None, 2.5, True), (2**70, b"x"), ([1], {"x": (1,)}), (bytes(100_000),)]
    for args in many:
        pair.root.call("note", *args)
        pair.root.call("note", *args, name=1)
        pair.root.call_with(one_way=True).call("note", *args)
        pair.root.call_with(timeout=5).call("note", *args)
        expected += [args, (*args, {"name": 1}), args, args]
    pair.pump()
    assert noting.noted == expected


def test_what_waits_to_be_sent_is_counted_to_the_byte_in_whatever_way_it_is_written() -> None:
    pair = Pair()
    broker = pair.client.broker
    broker.data_to_send()
    for args in (1, "x"), ([1],), ({1: 2},):
        pair.root.call("echo", *args)
    assert broker.queued_bytes == len(broker.data_to_send())
    assert broker.queued_bytes == 0


@pytest.mark.parametrize("bad", [object(), "\udc80", [object()]], ids=ascii)
def test_a_call_that_can_not_be_sent_fails_and_leaves_nothing(bad: Any) -> None:
    pair = Pair()
    before = len(pair.to_server.carried)
    for call in pair.root.call("echo", Referenceable(), bad), pair.root.call_with(one_way=True).call("echo", bad):
        assert isinstance(call.error, InsecureJelly)
        call.notice()
    pair.pump()
    assert len(pair.to_server.carried) == before
    assert pair.client.is_empty()
    assert pair.call(pair.root, "echo", 5) == 5


def test_no_more_calls_are_under_way_than_the_limit_says() -> None:
    pair = Pair(client=Settings(limits=Limits(calls_pending=2)))
    calls: list[Any] = [pair.root.call("echo", number) for number in range(3)]
    assert isinstance(calls[2].error, LimitExceeded)
    one_way = pair.root.call_with(one_way=True).call("echo", 5)
    pair.pump()
    assert [call.result() for call in calls[:2]] == [0, 1]
    assert one_way.error is None


def test_what_was_let_go_of_before_a_call_is_given_back_before_it() -> None:
    desk = Desk()
    pair = Pair(desk)
    desk.kept = [Referenceable()]
    reference = pair.call(pair.root, "give")
    pair.pump()
    before = len(pair.to_server.said())
    del reference
    pair.root.call("echo", 1)
    pair.pump()
    commands = pair.to_server.commands()
    assert commands[-2:] == [b"decref", b"message"]
    assert len(pair.to_server.said()) - before <= 3


def test_nothing_is_called_once_the_connection_has_ended_or_too_much_waits() -> None:
    pair = Pair()
    calling = pair.client.broker.calling
    pair.client.is_crowded = True
    with pytest.raises(Overloaded):
        calling.check()
    with pytest.raises(Overloaded):
        gather(pair.root.prepare("echo", 1))
    pair.client.is_crowded = False
    calling.check()
    pair.cut()
    with pytest.raises(DeadReferenceError):
        calling.check()


def test_calls_that_were_never_sent_are_handed_out_once_at_the_end() -> None:
    pair = Pair(connect=False)
    call = pair.root.call("echo", 1)
    assert pair.client.broker.calling.take_unsent() == [call]
    assert pair.client.broker.calling.take_unsent() == []


# Answered.


@over("pellucid")
def test_the_peer_is_told_of_32_answers_at_a_time_that_they_are_seen() -> None:
    pair = Pair()
    for _ in range(31):
        pair.call(pair.root, "echo", 1)
    assert seen(pair) == []
    for _ in range(33):
        pair.call(pair.root, "echo", 1)
    assert seen(pair) == [list(range(1, 33)), list(range(33, 65))]


@over("pellucid")
def test_the_peer_is_told_sooner_where_answers_were_large_or_brought_an_object_home() -> None:
    pair = Pair()
    pair.call(pair.root, "echo", "x" * 40_000)
    assert seen(pair) == []
    pair.call(pair.root, "echo", "x" * 40_000)
    assert seen(pair) == [[1, 2]]
    pair.call(pair.root, "echo", 1)
    assert pair.call(pair.root, "echo", thing := Referenceable()) is thing
    assert seen(pair) == [[1, 2], [3, 4]]


@over("pellucid")
def test_the_peer_is_told_what_is_seen_before_it_is_given_anything_back() -> None:
    desk = Desk()
    pair = Pair(desk)
    desk.kept = [Referenceable()]
    pair.call(pair.root, "give")
    pair.settle()
    kinds = [message[0] for message in pair.to_server.said()]
    assert kinds[-2:] == [Kind.SEEN, Kind.RELEASE]
    assert not pair.server.broker.arrivals._kept


@over("pb")
def test_in_pb_there_is_no_word_for_it() -> None:
    pair = Pair()
    for _ in range(100):
        pair.call(pair.root, "echo", 1)
    pair.client.broker.calling.tell_seen()
    assert pair.to_server.commands() == [b"message"] * 100


@over("pellucid")
@pytest.mark.parametrize("number", [0, 2, 99])
def test_an_answer_to_no_call_is_a_protocol_error(number: int) -> None:
    stranger = Stranger(listens=True, dialect="pellucid")
    stranger.side.root.call("anything")
    stranger.say([Kind.ANSWER.value, number, 5])
    assert str(stranger.side.ended_by) == "the peer answered a call that is not under way"


@over("pellucid")
def test_a_batch_that_is_answered_like_a_call_or_with_other_results_fails_with_words() -> None:
    for answer in [5, 1, [1, 2]], [16, 1, [1], []], [16, 1, [1, 2, 3], []]:
        stranger = Stranger(listens=True, dialect="pellucid")
        root = stranger.side.root
        call: Any = gather(root.prepare("echo", 1), root.prepare("echo", 2))
        stranger.say(answer)
        with pytest.raises(RemoteProtocolError, match="with another number of results"):
            call.result()
        assert stranger.side.ended_by is None
        assert stranger.side.is_empty()


# Gathered.


@over("pellucid")
def test_calls_that_are_gathered_go_in_one_message_unless_one_has_to_wait_or_is_seen_by_another() -> None:
    pair = Pair()
    promise = pair.root.call("echo", 1)
    gather(*[pair.root.prepare("echo", number) for number in range(3)])
    gather(pair.root.prepare("echo", promise), pair.root.prepare("echo", 1))
    pair.pump()
    assert [message[0] for message in pair.to_server.said()] == [Kind.CALL, Kind.BATCH, Kind.CALL, Kind.CALL]


@over("pellucid")
def test_a_gathering_of_which_a_call_can_not_be_sent_fails_and_leaves_nothing() -> None:
    pair = Pair()
    call: Any = gather(pair.root.prepare("echo", Referenceable()), pair.root.prepare("echo", object()))
    pair.pump()
    with pytest.raises(InsecureJelly, match=r"builtins\.object objects may not cross"):
        call.result()
    del call
    gc.collect()
    pair.pump()
    assert pair.client.is_empty()
    assert pair.call(pair.root, "echo", 5) == 5


@over("pellucid")
def test_a_gathering_tells_the_peer_how_much_time_is_left() -> None:
    pair = Pair()
    gather(pair.root.prepare("echo", 1), pair.root.prepare("echo", 2), timeout=5.0)
    pair.pump()
    assert pair.to_server.said()[0][3] == {"timeout": 5.0}


@over("pellucid")
def test_a_deadline_that_has_passed_leaves_no_time() -> None:
    pair = Pair(connect=False)
    pair.root.call_with(timeout=5.0).call("echo", 1)
    pair.client.clock = 3.0
    pair.root.call_with(timeout=5.0).call("echo", 1)
    pair.client.clock = 7.0
    pair.pump()
    assert [message[6]["timeout"] for message in pair.to_server.said()] == [0.0, 1.0]


# Given up.


def test_the_peer_is_told_of_a_call_that_is_given_up_once_and_only_while_it_is_under_way(dialect: str) -> None:
    pair = Pair()
    answered, given_up = pair.root.call("echo", 1), None
    pair.pump()
    answered.cancel()
    given_up = pair.root.call("echo", 2)
    pair.client.knocks = 0
    given_up.cancel()
    given_up.cancel()
    pair.pump()
    cancels = [message for message in pair.to_server.said() if message[0] == Kind.CANCEL]
    assert cancels == ([[Kind.CANCEL, given_up.call_id]] if dialect == "pellucid" else [])
    assert pair.client.knocks == len(cancels)


# What a call resulted in, as the target of another.


def test_only_a_reference_of_this_connection_can_be_called() -> None:
    pair, other = Pair(Noting()), Pair()
    calling = pair.client.broker.calling
    waiting = pair.root.call("echo", 0)
    for value, error, words in (
        (5, NotAReference, r"'echo' returned a int: it has no remote 'echo'"),
        (other.root, ForeignReference, "returned a reference of another connection"),
    ):
        promise = pair.root.call("echo", 0)
        promise.succeed(value)
        with pytest.raises(error, match=words):
            calling.right_of(promise, waiting)
    promise = pair.root.call("echo", 0)
    promise.succeed(pair.root)
    assert calling.right_of(promise, waiting) is pair.root
