"""The messages of the native dialect, one by one, both ways."""

from __future__ import annotations

from typing import Any

import pytest
from ormsgpack import packb

from pellucid.errors import Error, LimitBroken, LimitExceeded, RemoteProtocolError
from pellucid.limits import Limits
from pellucid.wire.messages import (
    Answer,
    Batch,
    BatchAnswer,
    CallFailed,
    Cancel,
    DropCache,
    MethodCall,
    NotUnderstood,
    Ping,
    Pong,
    Promised,
    Release,
    ReleaseCache,
    Seen,
    Unknown,
)
from pellucid.wire.native.codes import Kind, Leaf, Mark
from pellucid.wire.native.frames import BufferedMessage
from tests.pair import Extension, Settings, Stranger
from tests.unit.wire.native.speech import Speech, call, mark

TUPLE = mark(Mark.TUPLE)
PROMISE = Extension(Leaf.PROMISE, b"\7")


# The greeting.


def test_the_greeting_says_the_version_and_the_features() -> None:
    speech = Speech(greeted=False)
    assert speech.dialect.greeting() == bytes.fromhex("00000004 93 00 01 90")
    assert (speech.dialect.greeted, speech.hear([0, 1, []])) == (False, [])
    assert (speech.dialect.greeted, speech.dialect.version) == (True, 1)


def test_the_greeting_says_what_the_log_calls_the_connection() -> None:
    speech = Speech(greeted=False)
    assert speech.dialect.greeting("31dd1ad2") == bytes.fromhex("0000000d 94 00 01 90 a8") + b"31dd1ad2"
    speech.hear([0, 1, [], "00ff00ff", "more"])
    assert (speech.dialect.greeted, speech.dialect.peer_log_number) == (True, "00ff00ff")


@pytest.mark.parametrize(
    "said",
    [
        None,
        True,
        0x31DD1AD2,
        b"31dd1ad2",
        ["31dd1ad2"],
        "",
        "31DD1AD2",
        "31dd1ad",
        "31dd1ad2\n",
        "31dd1ad21",
        "٣١٣١٣١٣١",
    ],
    ids=ascii,
)
def test_what_is_no_log_number_is_passed_over(said: Any) -> None:
    speech = Speech(greeted=False)
    speech.hear([0, 1, [], said])
    assert (speech.dialect.greeted, speech.dialect.peer_log_number) == (True, None)


def test_a_version_is_a_number_and_true_is_none() -> None:
    with pytest.raises(RemoteProtocolError, match="which version"):
        Speech(greeted=False).hear([0, True, []])


def test_a_peer_that_offers_something_newer_still_talks() -> None:
    speech = Speech(greeted=False)
    speech.hear([0, 7, ["streams", 5, "sessions"], {"more": 1}])
    assert (speech.dialect.version, speech.dialect.features) == (1, frozenset())
    assert len(speech.hear([1, 1, "root", "echo", []])) == 1


@pytest.mark.parametrize(
    "first",
    [[0], [0, 1], [0, 0, []], [0, -1, []], [0, "1", []], [0, 1, "x"], [0, 1, None], [1, 1, "root", "echo", []]],
    ids=str,
)
def test_a_peer_that_begins_with_anything_else_is_not_listened_to(first: Any) -> None:
    with pytest.raises(RemoteProtocolError, match="did not say first which version it speaks"):
        Speech(greeted=False).hear(first)


def test_a_second_greeting_has_no_meaning() -> None:
    assert Speech().hear([0, 1, []]) == [Unknown("0")]


# Each message, both ways.


PLAIN: list[tuple[Any, list[Any]]] = [
    (Release([(1, 2), (3, 4)]), [Kind.RELEASE, [1, 2, 3, 4]]),
    (Release([]), [Kind.RELEASE, []]),
    (ReleaseCache(5, 2), [Kind.RELEASE_CACHE, 5, 2]),
    (DropCache(5), [Kind.DROP_CACHE, 5]),
    (Cancel(5), [Kind.CANCEL, 5]),
    (Seen([5, 6, 7]), [Kind.SEEN, [5, 6, 7]]),
    (Seen([]), [Kind.SEEN, []]),
    (Ping(5), [Kind.PING, 5]),
    (Pong(5), [Kind.PONG, 5]),
    (NotUnderstood("sing"), [Kind.NOT_UNDERSTOOD, "sing"]),
    (Answer(5, [1, "x"], size=11), [Kind.ANSWER, 5, [1, "x"]]),
]


@pytest.mark.parametrize(("message", "form"), PLAIN, ids=str)
def test_each_message_has_this_form_and_is_read_back(message: Any, form: list[Any]) -> None:
    assert Speech().say(message) == [form]
    assert Speech().hear([int(form[0]), *form[1:]]) == [message]


@pytest.mark.parametrize(("message", "form"), PLAIN, ids=str)
def test_what_a_later_version_adds_at_the_end_is_skipped(message: Any, form: list[Any]) -> None:
    (read,) = Speech().hear([int(form[0]), *form[1:], {"more": [TUPLE]}, 5])
    if isinstance(read, Answer):
        assert read.size > message.size
        read.size = message.size
    assert read == message


def test_what_was_not_understood_is_told_by_its_name() -> None:
    assert Speech().say(Unknown("77")) == [[Kind.NOT_UNDERSTOOD, "77"]]
    assert Speech().hear([14, "x" * 500]) == Speech().hear([Kind.NOT_UNDERSTOOD.value, "x" * 200])
    assert Speech().hear([Kind.NOT_UNDERSTOOD.value, 5]) == [NotUnderstood("")]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (18, "18"),
        (999, "999"),
        (1000, "no kind of message"),
        (-1, "no kind of message"),
        ("call", "no kind of message"),
    ],
)
def test_a_message_of_a_kind_that_is_not_known_is_answered_and_the_connection_lives(kind: Any, name: str) -> None:
    assert Speech().hear([kind, 5, [TUPLE]]) == [Unknown(name)]
    assert Speech().hear([[kind]], [{}], [None], [True]) == [Unknown("no kind of message")] * 4
    stranger = Stranger(dialect="pellucid")
    stranger.say([kind, 5])
    assert stranger.hear() == [[Kind.NOT_UNDERSTOOD, name]]
    stranger.say([1, 1, "root", "echo", [5]])
    assert stranger.hear() == [[Kind.ANSWER, 1, 5]]


@pytest.mark.parametrize(
    "body",
    [b"", b"\xc1", b"\x91", b"\xdd\xff\xff\xff\xff", b"\x81\1\1", b"\x92\5\xd9\1\xff", b"\x91\xc7\xff"],
    ids=bytes.hex,
)
def test_what_is_no_msgpack_is_a_protocol_error_with_words(body: bytes) -> None:
    speech = Speech()
    speech.dialect.receive_data(len(body).to_bytes(4, "big") + body)
    with pytest.raises(RemoteProtocolError, match="a message is not msgpack"):
        speech.heard()


# Calls.


@pytest.mark.parametrize(
    ("message", "form"),
    [
        (call(args=(1, "x")), [Kind.CALL, 1, "root", "echo", [1, "x"]]),
        (call(5, 300), [Kind.CALL, 5, 300, "echo", []]),
        (call(target=Promised(7)), [Kind.CALL, 1, PROMISE, "echo", []]),
        (call(wants_answer=False), [Kind.SEND, 1, "root", "echo", []]),
        (call(target=5, to_cache=True), [Kind.UPDATE, 1, 5, "echo", []]),
        (call(target=5, to_cache=True, wants_answer=False), [Kind.NOTIFY, 1, 5, "echo", []]),
        (call(args=((1,),), kwargs={"x": Promised(7)}), [Kind.CALL, 1, "root", "echo", [[TUPLE, 1]], {"x": PROMISE}]),
        (call(timeout=2.5), [Kind.CALL, 1, "root", "echo", [], None, {"timeout": 2.5}]),
        (call(timeout=0.0, kwargs={"x": 1}), [Kind.CALL, 1, "root", "echo", [], {"x": 1}, {"timeout": 0.0}]),
    ],
    ids=str,
)
def test_a_call_has_this_form_and_is_read_back(message: MethodCall, form: list[Any]) -> None:
    assert Speech().say(message) == [form]
    (read,) = Speech().hear([int(form[0]), *form[1:]])
    assert isinstance(read, MethodCall)
    assert (read.call_id, read.target, read.name) == (message.call_id, message.target, message.name)
    assert (list(read.args), read.kwargs) == (list(message.args), message.kwargs)
    assert (read.wants_answer, read.to_cache, read.timeout) == (message.wants_answer, message.to_cache, message.timeout)
    assert read.waits is (message.target == Promised(7) or Promised(7) in message.kwargs.values())
    assert read.size > 10


# Batches.


def test_a_batch_has_this_form_and_is_read_back() -> None:
    batch = Batch(5, [call(0, args=(1,)), call(1, 7, args=((2,),), kwargs={"x": 3}), call(2, Promised(7))])
    (form,) = Speech().say(batch)
    assert form == [
        Kind.BATCH,
        5,
        [["root", "echo", [1]], [7, "echo", [[TUPLE, 2]], {"x": 3}], [PROMISE, "echo", []]],
    ]
    (read,) = Speech().hear(form)
    assert isinstance(read, Batch)
    assert [(each.call_id, each.target, each.name, each.args, each.kwargs, each.waits) for each in read.calls] == [
        (0, b"root", "echo", [1], {}, False),
        (1, 7, "echo", [(2,)], {"x": 3}, False),
        (2, Promised(7), "echo", [], {}, True),
    ]
    assert read.size == sum(each.size for each in read.calls) + read.size % 3
    batch.timeout = 2.0
    (form,) = Speech().say(batch)
    assert form[3] == {"timeout": 2.0}
    (read,) = Speech().hear([*form, "more"])
    assert read.timeout == 2.0  # type: ignore[union-attr]


def test_the_answer_of_a_batch_has_this_form_and_is_read_back() -> None:
    answer = BatchAnswer(5, [1, CallFailed(1, Error("why")), (2,)], [None] * 3)
    (form,) = Speech().say(answer)
    assert form[:3] == [Kind.BATCH_ANSWER, 5, [1, None, [TUPLE, 2]]]
    assert [[place, told[2]] for place, told in form[3]] == [[1, "why"]]
    (read,) = Speech().hear(form)
    assert isinstance(read, BatchAnswer)
    assert [read.outcomes[0], type(read.outcomes[1]), read.outcomes[2]] == [1, CallFailed, (2,)]
    assert type(read.outcomes[1].error) is Error
    assert Speech().say(BatchAnswer(5, [], [])) == [[Kind.BATCH_ANSWER, 5, [], []]]
    (failed,) = Speech().hear([16, 5, [1, PROMISE], []])
    assert isinstance(failed, CallFailed)


# Large buffers.


def test_the_size_of_a_message_counts_its_buffers() -> None:
    speech = Speech()
    speech.across(bytes(100_000))
    assert 100_000 < speech.dialect._deframer.size < 100_100


def test_buffers_that_a_message_takes_and_does_not_mention_are_kept_by_nobody() -> None:
    speech = Speech()
    body = packb([Kind.PING.value, 1])
    message = BufferedMessage(body, [bytes(100_000)])
    while message.left:
        speech.dialect.receive_data(b"".join(message.next_piece(1 << 20)))
    assert speech.heard() == [Ping(1)]
    assert not speech.dialect._deframer.buffers


# One change for many copies.


def test_the_limits_of_messages_end_the_connection_or_fail_the_call() -> None:
    stranger = Stranger(dialect="pellucid", settings=Settings(limits=Limits(inline_bytes=100)))
    stranger.say([1, 1, "root", "echo", [bytes(101)]])
    assert isinstance(stranger.side.ended_by, LimitBroken)
    with pytest.raises(LimitExceeded):
        Speech(Settings(limits=Limits(inline_bytes=100))).say(Answer(1, bytes(101)))
