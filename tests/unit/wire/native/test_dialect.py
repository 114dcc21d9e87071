"""The messages of the native dialect, one by one."""

from __future__ import annotations

import math
from typing import Any

import pytest

from pellucid.core.caches import update_all
from pellucid.errors import (
    Error,
    InsecureJelly,
    LimitBroken,
    LimitExceeded,
    NoSuchMethod,
    RemoteProtocolError,
    TooManyCalls,
)
from pellucid.flavors.cacheable import Cacheable, RemoteCache
from pellucid.flavors.copyable import Copyable, RemoteCopy
from pellucid.flavors.policy import BASIC_TYPES, Policy
from pellucid.flavors.referenceable import Referenceable
from pellucid.flavors.registry import Registry
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
    SharedUpdate,
    Unknown,
)
from pellucid.wire.native.codes import Kind, Leaf, Mark
from pellucid.wire.native.frames import BufferedMessage
from tests.pair import Desk, Extension, Pair, Settings, Stranger
from tests.unit.wire.native.speech import Speech, mark

TUPLE = mark(Mark.TUPLE)
PROMISE = Extension(Leaf.PROMISE, b"\7")


def call(
    number: int = 1, target: Any = b"root", name: str = "echo", args: Any = (), kwargs: Any = None, **options: Any
) -> MethodCall:
    message = MethodCall(number, target, name, args, kwargs or {}, options.pop("wants_answer", True))
    for option, value in options.items():
        setattr(message, option, value)
    return message


# The greeting.


def test_the_greeting_says_the_version_and_the_features() -> None:
    speech = Speech(greeted=False)
    assert speech.dialect.greeting() == bytes.fromhex("00000004 93 00 01 90")
    assert (speech.dialect.greeted, speech.hear([0, 1, []])) == (False, [])
    assert (speech.dialect.greeted, speech.dialect.version) == (True, 1)


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
    (Release([(1, 2), (3, 4)]), [Kind.RELEASE, 1, 2, 3, 4]),
    (Release([]), [Kind.RELEASE]),
    (ReleaseCache(5, 2), [Kind.RELEASE_CACHE, 5, 2]),
    (DropCache(5), [Kind.DROP_CACHE, 5]),
    (Cancel(5), [Kind.CANCEL, 5]),
    (Seen([5, 6, 7]), [Kind.SEEN, 5, 6, 7]),
    (Seen([]), [Kind.SEEN]),
    (Ping(5), [Kind.PING, 5]),
    (Pong(5), [Kind.PONG, 5]),
    (NotUnderstood("sing"), [Kind.NOT_UNDERSTOOD, "sing"]),
    (Answer(5, [1, "x"]), [Kind.ANSWER, 5, [1, "x"]]),
]


@pytest.mark.parametrize(("message", "form"), PLAIN, ids=str)
def test_each_message_has_this_form_and_is_read_back(message: Any, form: list[Any]) -> None:
    assert Speech().say(message) == [form]
    assert Speech().hear([int(form[0]), *form[1:]]) == [message]


@pytest.mark.parametrize("form", [form for _, form in PLAIN if form[0] not in (Kind.RELEASE, Kind.SEEN)], ids=str)
def test_what_a_later_version_adds_at_the_end_is_skipped(form: list[Any]) -> None:
    as_it_is, with_more = [int(form[0]), *form[1:]], [int(form[0]), *form[1:], {"more": [TUPLE]}, 5]
    assert Speech().hear(as_it_is) == Speech().hear(with_more)


def test_what_was_not_understood_is_told_by_its_name() -> None:
    assert Speech().say(Unknown("77")) == [[Kind.NOT_UNDERSTOOD, "77"]]
    assert Speech().hear([14, "x" * 500]) == Speech().hear([Kind.NOT_UNDERSTOOD.value, "x" * 200])
    assert Speech().hear([Kind.NOT_UNDERSTOOD.value, 5]) == [NotUnderstood("")]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (17, "17"),
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
    "message",
    [
        5,
        None,
        "message",
        {},
        [],
        [1],
        [1, 1, "root", "echo"],
        [1, "1", "root", "echo", []],
        [1, True, "root", "echo", []],
        [1, 1, 1.5, "echo", []],
        [1, 1, b"root", "echo", []],
        [1, 1, None, "echo", []],
        [1, 1, TUPLE, "echo", []],
        [1, 1, "root", b"echo", []],
        [1, 1, "root", 5, []],
        [1, 1, "root", "echo", {}],
        [1, 1, "root", "echo", None],
        [1, 1, "root", "echo", [], []],
        [1, 1, "root", "echo", [], {}, []],
        [3, 1, "root", "echo", []],
        [3, 1, PROMISE, "echo", []],
        [5],
        [5, 1],
        [5, "1", 5],
        [6, 1],
        [6, None, [mark(Mark.FAILURE)]],
        [7, 1],
        [7, 1, "2"],
        [7, 1, 0],
        [7, 1, -1],
        [7, 1, True],
        [8, 1],
        [8, 1, 0],
        [8, 1, -5],
        [8, "1", 1],
        [9],
        [9, "5"],
        [10, None],
        [11, "5"],
        [12],
        [13, 1.5],
        [15, 1],
        [15, "1", []],
        [15, 1, {}],
        [15, 1, [5]],
        [15, 1, [[]]],
        [15, 1, [["root", "echo"]]],
        [15, 1, [["root", 5, []]]],
        [15, 1, [["root", "echo", 5]]],
        [15, 1, [["root", "echo", [], 5]]],
        [15, 1, [[1.5, "echo", []]]],
        [15, 1, [], 5],
        [16, 1, []],
        [16, "1", [], []],
        [16, 1, 5, []],
        [16, 1, [], 5],
        [16, 1, [5], [5]],
        [16, 1, [5], [[1, 5]]],
        [16, 1, [5], [[-1, 5]]],
        [16, 1, [5], [["0", 5]]],
        [16, 1, [5], [[0, 5]]],
        [16, 1, [5], [[0, 5, 5]]],
    ],
    ids=lambda message: str(message)[:60],
)
def test_a_malformed_message_is_a_protocol_error_with_words(message: Any) -> None:
    with pytest.raises(RemoteProtocolError, match=r"\w+ \w+ \w+"):
        Speech().hear(message)
    stranger = Stranger(dialect="pellucid")
    stranger.say(message)
    assert isinstance(stranger.side.ended_by, RemoteProtocolError)


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


@pytest.mark.parametrize(
    ("value", "timeout"),
    [
        (5, 5.0),
        (-1, 0.0),
        (1e9, 1e9),
        (math.nan, None),
        (math.inf, None),
        (-math.inf, None),
        ("5", None),
        (True, None),
        (None, None),
        (Extension(Leaf.INT, b"\x7f" * 1000), None),
        (Extension(Leaf.INT, b"\x80" + bytes(1000)), None),
    ],
    ids=lambda value: str(value)[:45],
)
def test_a_timeout_is_a_number_of_seconds_or_none(value: Any, timeout: float | None) -> None:
    (read,) = Speech().hear([1, 1, "root", "echo", [], None, {"timeout": value}])
    assert isinstance(read, MethodCall)
    assert read.timeout == timeout
    assert read.error is None


def test_an_option_that_is_not_known_is_skipped_unless_it_says_that_it_must_not_be() -> None:
    for message in [1, 1, "root", "echo", [], None, None], [1, 1, "root", "echo", [5], {}, {"trace": "x"}, "more"]:
        (read,) = Speech().hear(message)
        assert read.error is None  # type: ignore[union-attr]
    (read,) = Speech().hear([1, 1, "root", "echo", [], None, {"!exactly-once": 1}])
    assert "needs the option '!exactly-once', which is not known here" in str(read.error)  # type: ignore[union-attr]
    stranger = Stranger(dialect="pellucid")
    stranger.say([1, 1, "root", "echo", [[TUPLE]], None, {"!exactly-once": 1}])
    ((kind, number, failure),) = stranger.hear()
    assert (kind, number, failure[1]) == (Kind.FAIL, 1, "twisted.spread.pb.Error")
    assert stranger.side.calls == ["echo"]


@pytest.mark.parametrize(
    "arguments", [[[PROMISE]], [{"x": PROMISE}], [[TUPLE, PROMISE]], [PROMISE, [[[PROMISE]]]]], ids=str
)
def test_a_promise_inside_an_argument_fails_that_call_with_words(arguments: list[Any]) -> None:
    (read,) = Speech().hear([1, 1, "root", "echo", arguments])
    assert isinstance(read, MethodCall)
    assert str(read.error) == "a promise is a target or an argument, and no part of one"
    assert not read.waits


def test_a_promise_is_no_part_of_an_answer() -> None:
    for form in PROMISE, [PROMISE]:
        with pytest.raises(RemoteProtocolError, match="a promise is an argument, and no part of an answer"):
            Speech().read(form)


def test_a_call_that_can_not_be_read_is_answered_with_why() -> None:
    stranger = Stranger(dialect="pellucid")
    stranger.say([1, 1, "root", "keep", [Extension(Leaf.REMOTE, b"\5"), [TUPLE, TUPLE]]])
    failed, released = stranger.hear()
    assert failed[:2] == [Kind.FAIL, 1]
    assert failed[2][1] == "pellucid.errors.RemoteProtocolError"
    assert released == [Kind.RELEASE, 5, 1]
    assert stranger.side.is_empty()
    desk: Any = stranger.side.published
    assert desk.kept == []


@pytest.mark.parametrize("target", [77, 0, -1, 2**63, "", "toor", "1"])
def test_an_unknown_object_is_an_invalid_id_and_nothing_more_is_said(target: int | str) -> None:
    stranger = Stranger(dialect="pellucid")
    stranger.say([1, 1, target, "echo", []])
    ((_, _, failure),) = stranger.hear()
    assert failure[1:3] == ["twisted.spread.pb.Error", "Invalid Object ID"]


@pytest.mark.parametrize("number", [1, 0, 2**63])
def test_the_release_of_an_unknown_object_is_a_protocol_error(number: int) -> None:
    for message, words in ([7, number, 1], "released a reference"), ([8, number, 1], "dropped a cache"):
        stranger = Stranger(dialect="pellucid")
        stranger.say(message)
        assert words in str(stranger.side.ended_by)


def test_a_number_can_not_be_used_for_two_calls_under_way() -> None:
    stranger = Stranger(dialect="pellucid", root=Desk())
    stranger.say([1, 1, "root", "relay", [Extension(Leaf.REMOTE, b"\1"), "x"]], [1, 1, "root", "echo", [5]])
    assert str(stranger.side.ended_by) == "the peer used the number of a call that is under way"


# Answers and errors.


class Rich(Error, Copyable):
    def __init__(self, code: Any) -> None:
        super().__init__("rich")
        self.code = code


class RichCopy(RemoteCopy, Exception):
    code: int


def test_an_error_says_what_str_says_and_who_made_it() -> None:
    ((kind, number, told),) = Speech().say(CallFailed(5, NoSuchMethod("none")))
    assert (kind, number) == (Kind.FAIL, 5)
    assert (told[1], told[2], told[4], told[5]) == ("twisted.spread.flavors.NoSuchMethod", "none", None, False)
    (read,) = Speech().hear([6, 5, told])
    assert type(read.error) is NoSuchMethod  # type: ignore[union-attr]
    ((_, _, told),) = Speech().say(CallFailed(5, KeyError("x"), with_traceback=True, raised=True))
    assert told[5] is True
    assert "KeyError" in told[4]


def test_an_error_may_be_a_copyable() -> None:
    registry = Registry()
    registry.register(RichCopy, Rich)
    (form,) = Speech().say(CallFailed(5, Rich(7)))
    assert form[2] == [mark(Mark.COPY), f"{__name__}.Rich", {"code": 7}]
    (read,) = Speech(Settings(registry=registry)).hear([6, 5, form[2]])
    assert isinstance(read, CallFailed)
    assert isinstance(read.error, RichCopy)
    assert read.error.code == 7
    (read,) = Speech().hear([6, 5, form[2]])
    assert isinstance(read.error, InsecureJelly)  # type: ignore[union-attr]


@pytest.mark.parametrize("form", [5, None, "x", [TUPLE]], ids=str)
def test_an_error_that_is_no_exception_fails_its_call_with_words(form: Any) -> None:
    (read,) = Speech().hear([6, 5, form])
    assert isinstance(read, CallFailed)
    assert "a call failed with a" in str(read.error)


def test_an_answer_that_makes_no_sense_fails_that_call_alone() -> None:
    stranger = Stranger(listens=True, dialect="pellucid")
    calls: list[Any] = [stranger.side.root.call("anything") for _ in range(2)]
    stranger.say([5, 1, [Extension(Leaf.REMOTE, b"\1"), Extension(99, b"")]], [5, 2, 5])
    with pytest.raises(RemoteProtocolError, match="there is no extension type 99 in this version of the dialect"):
        calls[0].result()
    assert calls[1].result() == 5
    assert stranger.hear()[-1][:3] == [Kind.RELEASE, 1, 1]


def test_an_answer_to_no_call_is_a_protocol_error() -> None:
    for message in [5, 1, 5], [6, 1, [mark(Mark.FAILURE)]], [16, 1, [], []]:
        stranger = Stranger(listens=True, dialect="pellucid")
        stranger.say(message)
        assert str(stranger.side.ended_by) == "the peer answered a call that is not under way"


def test_an_answer_that_brings_an_object_home_says_so() -> None:
    speech = Speech()
    thing, pond = Referenceable(), Cacheable()
    speech.write([thing, pond])
    (number,), (cache_number,) = speech.side.exports(), speech.side.cache_exports()
    for form, brings_home in (
        (Extension(Leaf.LOCAL, bytes([number])), True),
        ([[Extension(Leaf.LOCAL_CACHE, bytes([cache_number]))], [TUPLE]], True),
        ([5, [TUPLE]], False),
        (5, False),
    ):
        (answer,) = speech.hear([5, 1, form])
        assert isinstance(answer, Answer)
        assert answer.brings_home is brings_home
    (failed,) = speech.hear([5, 1, [Extension(Leaf.LOCAL, bytes([number])), Extension(99, b"")]])
    assert isinstance(failed, CallFailed)
    assert failed.brings_home


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


def test_a_batch_that_can_not_be_read_fails_as_a_whole() -> None:
    speech = Speech()
    for bad in [TUPLE, TUPLE], [[PROMISE]], Extension(99, b""):
        (read,) = speech.hear([15, 5, [["root", "echo", [Extension(Leaf.REMOTE, b"\1")]], ["root", "echo", [bad]]]])
        assert isinstance(read, Batch)
        assert isinstance(read.error, RemoteProtocolError)
        assert read.calls == []
    (read,) = speech.hear([15, 5, [], {"!required": 1}])
    assert isinstance(read.error, Error)  # type: ignore[union-attr]
    stranger = Stranger(dialect="pellucid")
    stranger.say([15, 5, [["root", "echo", [Extension(99, b"")]]]], [15, 6, []])
    failed, empty = stranger.hear()
    assert failed[:2] == [Kind.FAIL, 5]
    assert empty == [Kind.BATCH_ANSWER, 6, [], []]


def test_a_batch_may_have_as_many_calls_as_may_run_and_wait() -> None:
    speech = Speech(Settings(limits=Limits(running_calls=2, waiting_calls=3)))
    item = ["root", "echo", [Extension(Leaf.REMOTE, b"\1")]]
    (read,) = speech.hear([15, 5, [item] * 5])
    assert len(read.calls) == 5  # type: ignore[union-attr]
    (read,) = speech.hear([15, 5, [item] * 6])
    assert isinstance(read, Batch)
    assert (read.calls, type(read.error)) == ([], TooManyCalls)
    del read
    assert speech.books.take_releases() == [Release([(1, 11)])]


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
    (failed,) = Speech().hear([16, 5, [1, [TUPLE, TUPLE]], []])
    assert isinstance(failed, CallFailed)


# Large buffers.


def test_what_may_depend_on_a_message_with_buffers_does_not_overtake_it() -> None:
    large = bytes(100_000)
    encode = Speech().dialect.encode
    cases: list[tuple[Any, int | None, bool]] = [
        (call(9, args=(large,)), 9, False),
        (call(9, args=(Referenceable(), large)), 9, True),
        (call(9, args=(Referenceable(), [large] * 3)), 9, True),
        (call(9, kwargs={"x": Cacheable(), "y": large}), 9, True),
        (call(9, 5, args=(large,), to_cache=True), 9, True),
        (Answer(9, large), None, False),
        (Answer(9, [Referenceable(), [large] * 3]), None, True),
        (CallFailed(9, Rich(large)), None, False),
        (Batch(9, [call(0, args=([large] * 3,))]), 9, False),
        (BatchAnswer(9, [[large] * 3], [None]), None, False),
    ]
    for message, call_id, is_barrier in cases:
        bulk = encode(message)
        if isinstance(message, CallFailed):
            assert isinstance(bulk, bytes)  # it is not looked for in a copyable that is short
            continue
        assert isinstance(bulk, BufferedMessage)
        assert (bulk.call_id, bulk.is_barrier) == (call_id, is_barrier)


def test_the_size_of_a_message_counts_its_buffers() -> None:
    speech = Speech()
    speech.across(bytes(100_000))
    assert 100_000 < speech.dialect.size < 100_100


# One change for many copies.


class Pond(Cacheable):
    observers: list[Any]

    def __init__(self) -> None:
        self.observers = []

    def get_state_to_cache_and_observe_for(self, perspective: Any, observer: Any) -> Any:
        self.observers.append(observer)
        return {"ducks": 0}


class RemotePond(RemoteCache):
    ducks: Any

    def observe_ducks(self, ducks: Any, **_: Any) -> None:
        self.ducks = ducks


def copies_of(pond: Pond, number: int, **options: Any) -> list[tuple[Pair, Any]]:
    registry = Registry()
    registry.register(RemotePond, Pond)
    copies = []
    for _ in range(number):
        desk = Desk()
        desk.kept = [pond]
        pair = Pair(desk, server=Settings(**options), client=Settings(registry=registry))
        copies.append((pair, pair.call(pair.root, "give")))
    return copies


def test_an_update_of_many_copies_is_encoded_once_for_those_of_one_number() -> None:
    speech, update = Speech(), SharedUpdate("ducks", (5,), {"x": 1})
    data = speech.dialect.encode_shared(7, update)
    assert data is not None
    assert Speech().dialect.encode_shared(7, update) is data
    (read,) = Speech().hear([Kind.NOTIFY.value, 0, 7, "ducks", [5], {"x": 1}])
    speech.dialect.receive_data(data)
    assert speech.heard() == [read]
    assert speech.dialect.encode_shared(8, update) != data


@pytest.mark.parametrize(
    "value", [{1: 2}, (1,), Referenceable(), bytes(5_000_000), "\udc80"], ids=lambda value: type(value).__name__
)
def test_an_update_that_can_not_be_encoded_once_for_many_is_encoded_for_each(value: Any) -> None:
    update = SharedUpdate("ducks", (value,), {})
    for _ in range(2):
        assert Speech().dialect.encode_shared(7, update) is None


def test_each_connection_holds_the_update_to_its_own_limits_and_policy() -> None:
    update = SharedUpdate("ducks", (b"x" * 1_000,), {})
    strict = Speech(Settings(limits=Limits(inline_bytes=1_000)))
    assert strict.dialect.encode_shared(7, update) is None
    assert Speech().dialect.encode_shared(7, update) is not None
    assert strict.dialect.encode_shared(7, update) is None
    assert Speech(Settings(policy=Policy(types=BASIC_TYPES - {"str"}))).dialect.encode_shared(7, update) is None
    assert Speech(Settings(sharing="graph")).dialect.encode_shared(7, update) is None


@pytest.mark.parametrize("value", [5, (1, {2: 3}), bytes(100_000)], ids=lambda value: type(value).__name__)
def test_all_copies_are_told(value: Any) -> None:
    pond = Pond()
    copies = copies_of(pond, 3) + copies_of(pond, 1, sharing="graph")
    copies[1][0].cut()
    failed = update_all(pond.observers, "ducks", value)
    assert list(failed) == [pond.observers[1]]
    for pair, _ in copies:
        pair.pump()
    assert [copy.ducks for _, copy in copies] == [value, 0, value, value]


def test_the_limits_of_messages_end_the_connection_or_fail_the_call() -> None:
    stranger = Stranger(dialect="pellucid", settings=Settings(limits=Limits(inline_bytes=100)))
    stranger.say([1, 1, "root", "echo", [bytes(101)]])
    assert isinstance(stranger.side.ended_by, LimitBroken)
    with pytest.raises(LimitExceeded):
        Speech(Settings(limits=Limits(inline_bytes=100))).say(Answer(1, bytes(101)))
