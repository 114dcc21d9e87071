"""How messages of the native dialect are read, and which are not."""

from __future__ import annotations

import gc
import math
from typing import Any

import pytest

from pellucid.errors import Error, InsecureJelly, LimitBroken, LimitExceeded, RemoteProtocolError, TooManyCalls
from pellucid.flavors.cacheable import Cacheable
from pellucid.flavors.copyable import RemoteCopy
from pellucid.flavors.policy import Policy
from pellucid.flavors.referenceable import Referenceable, Viewable, Viewpoint
from pellucid.flavors.registry import Registry
from pellucid.limits import Limits
from pellucid.wire.messages import Answer, Batch, BatchAnswer, CallFailed, MethodCall, Release, Unknown
from pellucid.wire.native.codes import Kind, Leaf, Mark
from tests.pair import Desk, Extension, Settings, Stranger
from tests.unit.wire.native.speech import Speech, mark

TUPLE = mark(Mark.TUPLE)
PROMISE = Extension(Leaf.PROMISE, b"\7")


class Duck(RemoteCopy):
    pass


class Trouble(RemoteCopy, Error):
    code: str


REGISTRY = Registry()
REGISTRY.register(Duck, "duck")
REGISTRY.register(Trouble, "trouble")


def nested_tuples(levels: int) -> Any:
    form: Any = 5
    for _ in range(levels):
        form = [TUPLE, form]
    return form


# What makes no sense.


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
        [7],
        [7, 1],
        [7, 1, 2],
        [7, [1]],
        [7, [1, "2"]],
        [7, [1, 0]],
        [7, [1, -1]],
        [7, [1, True]],
        [7, [1, 2, 3]],
        [7, {}],
        [8, 1],
        [8, 1, 0],
        [8, 1, -5],
        [8, "1", 1],
        [9],
        [9, "5"],
        [10, None],
        [11],
        [11, 5],
        [11, "5"],
        [11, ["5"]],
        [11, [True]],
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
        [16, 1, [5], [[0]]],
        [16, 1, [5], [[True, 5]]],
        [17],
        [17, 5],
        [17, []],
        [17, [5]],
        [17, ["join"]],
        [17, [b"join", None]],
        [17, [b"join", [{}]]],
        [17, [b"join", TUPLE]],
    ],
    ids=lambda message: str(message)[:60],
)
def test_a_malformed_message_is_a_protocol_error_with_words(message: Any) -> None:
    with pytest.raises(RemoteProtocolError, match=r"\w+ \w+ \w+"):
        Speech().hear(message)
    stranger = Stranger(dialect="pellucid")
    stranger.say(message)
    assert isinstance(stranger.side.ended_by, RemoteProtocolError)


# Calls.


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
        (Extension(Leaf.INT, b"\x7f" * 1000), 2.0**62),
        (Extension(Leaf.INT, b"\x80" + bytes(1000)), 0.0),
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
    assert released == [Kind.RELEASE, [5, 1]]
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
    for message, words in ([7, [number, 1]], "released a reference"), ([8, number, 1], "dropped a cache"):
        stranger = Stranger(dialect="pellucid")
        stranger.say(message)
        assert words in str(stranger.side.ended_by)


def test_a_number_can_not_be_used_for_two_calls_under_way() -> None:
    stranger = Stranger(dialect="pellucid", root=Desk())
    stranger.say([1, 1, "root", "relay", [Extension(Leaf.REMOTE, b"\1"), "x"]], [1, 1, "root", "echo", [5]])
    assert str(stranger.side.ended_by) == "the peer used the number of a call that is under way"


# Answers and errors.


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
    assert stranger.hear()[-1] == [Kind.RELEASE, [1, 1]]


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


# Commands.


def test_what_is_read_of_a_command_is_its_name() -> None:
    for name, told in (b"join", "join"), (b"\xff" * 3, r"\xff\xff\xff"), (b"x" * 500, "x" * 200):
        assert Speech().hear([17, [name, 3, [1.5, True, [b"x"]]], "more"]) == [Unknown(told)]


def test_a_command_may_be_nested_as_deep_as_the_limit_says() -> None:
    speech = Speech(Settings(limits=Limits(nesting=5)))
    nested: Any = [[[[5]]]]
    assert speech.hear([17, [b"join", nested[0]]]) == [Unknown("join")]
    with pytest.raises(LimitBroken, match=r"over Limits\.nesting=5"):
        speech.hear([17, [b"join", nested, [nested]]])


# Batches.


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


def test_a_batch_says_how_long_its_calls_have_and_each_may_say_so_too() -> None:
    item: list[Any] = ["root", "echo", [], None, {"timeout": 5, "trace": 1}, "more"]
    (read,) = Speech().hear([15, 5, [item, item[:3]], {"timeout": 2, "!more": 1}])
    assert isinstance(read, Batch)
    assert (read.timeout, [each.timeout for each in read.calls]) == (2.0, [5.0, None])
    assert "needs the option '!more'" in str(read.error)
    (read,) = Speech().hear([15, 5, [item], None])
    assert (read.timeout, read.error) == (None, None)  # type: ignore[union-attr]


def test_what_a_later_version_adds_to_a_failure_in_the_answer_of_a_batch_is_skipped() -> None:
    failure = [mark(Mark.FAILURE), "twisted.spread.pb.Error", "why"]
    (read,) = Speech().hear([16, 5, [None, 7], [[0, failure, "more", {}]]])
    assert isinstance(read, BatchAnswer)
    failed, result = read.outcomes
    assert (type(failed.error), str(failed.error), result) == (Error, "why", 7)


def answer_of_a_batch(bad: Any, settings: Settings | None = None) -> tuple[list[Any], Speech]:
    """What a batch is answered with of which one result is `bad`; references come before it, in it and behind it."""
    speech = Speech(settings)
    remotes = [Extension(Leaf.REMOTE, bytes([number])) for number in (1, 2, 3)]
    shared = [mark(Mark.SHARED, 1), [5, [TUPLE, 6]]]
    again = Extension(Leaf.AGAIN, b"\1")
    (read,) = speech.hear([16, 5, [7, [shared, remotes[0]], [remotes[1], bad], [again, remotes[2]]], []])
    assert isinstance(read, BatchAnswer), read
    return read.outcomes, speech


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (Extension(99, b""), RemoteProtocolError),
        (Extension(Leaf.LOCAL, b"\7"), Error),
        (Extension(Leaf.DATE, b"no"), RemoteProtocolError),
        ([TUPLE, TUPLE], RemoteProtocolError),
        ([mark(Mark.SHARED, 2), [TUPLE, [], Extension(Leaf.AGAIN, b"\2")]], RemoteProtocolError),
        ([mark(Mark.SHARED, 2), [TUPLE, [Extension(Leaf.AGAIN, b"\2")], Extension(99, b"")]], RemoteProtocolError),
        ([mark(Mark.COPY), "no.Such", {}], InsecureJelly),
        ([mark(Mark.COPY), "duck", {"sound": Extension(99, b"")}], RemoteProtocolError),
        ([mark(Mark.JELLY), [b"no.Such", 5]], InsecureJelly),
        ([mark(Mark.JELLY), {}], RemoteProtocolError),
        (nested_tuples(30), LimitExceeded),
    ],
    ids=[
        "unknown",
        "not mine",
        "no date",
        "a mark in the middle",
        "a tuple of itself",
        "a tuple half done",
        "an unknown tag",
        "a bad state",
        "bad jelly",
        "no jelly",
        "too deep",
    ],
)
def test_a_result_of_a_batch_that_can_not_be_read_fails_its_call_alone(bad: Any, error: type[Exception]) -> None:
    outcomes, speech = answer_of_a_batch(bad, Settings(registry=REGISTRY, limits=Limits(nesting=20)))
    assert (outcomes[0], outcomes[1][0], outcomes[3][0]) == (7, [5, (6,)], [5, (6,)])
    assert type(outcomes[2]) is CallFailed
    assert type(outcomes[2].error) is error
    assert outcomes[1][0] is outcomes[3][0]
    del outcomes
    gc.collect()
    releases = speech.books.take_releases()
    assert sorted(receipt for release in releases for receipt in release.receipts) == [(1, 1), (2, 1), (3, 1)]  # type: ignore[union-attr]


def test_an_error_in_the_answer_of_a_batch_gets_through_whatever_may_not_cross() -> None:
    speech = Speech(Settings(registry=REGISTRY, policy=Policy(types=["list"])))
    rich = [mark(Mark.COPY), "trouble", {"code": "teapot"}]
    (read,) = speech.hear([16, 5, [None, "text", [3]], [[0, rich]]])
    assert isinstance(read, BatchAnswer)
    assert type(read.outcomes[0].error) is Trouble
    assert type(read.outcomes[1].error) is InsecureJelly
    assert read.outcomes[2] == [3]


def test_a_failure_in_the_answer_of_a_batch_that_is_no_exception_fails_its_call_with_words() -> None:
    (read,) = Speech().hear([16, 5, [None, 7], [[0, 5]]])
    assert isinstance(read, BatchAnswer)
    assert str(read.outcomes[0].error) == "a call failed with a int instead of an exception"
    assert read.outcomes[1] == 7


def test_references_in_a_batch_are_seen_through_whom_each_of_its_calls_goes_to() -> None:
    speech = Speech()
    for number, perspective in (1, "Alice"), (2, "Bob"):
        assert speech.books.export(Viewpoint(perspective, Viewable())) == number
    remote = [Extension(Leaf.REMOTE, bytes([number])) for number in (5, 6, 7)]
    (read,) = speech.hear(
        [15, 5, [[1, "a", [[remote[0]]]], [2, "b", [], {"x": remote[1]}], [PROMISE, "c", [remote[2]]]]]
    )
    assert isinstance(read, Batch)
    alices, bobs, nobodys = read.calls[0].args[0][0], read.calls[1].kwargs["x"], read.calls[2].args[0]
    assert (alices.perspective, bobs.perspective, nobodys.perspective) == ("Alice", "Bob", None)
    assert [each.came for each in read.calls] == [None, None, [(7, 1)]]


def test_references_anywhere_in_a_batch_are_found_and_others_are_left_alone() -> None:
    speech = Speech()
    assert speech.books.export(Viewpoint("Alice", Viewable())) == 1
    own = speech.books.import_reference(9)
    remote = [Extension(Leaf.REMOTE, bytes([number])) for number in (5, 6, 7)]
    inside = [mark(Mark.MAP), [TUPLE, remote[0]], {"x": [remote[1]]}]
    shared = [[mark(Mark.SHARED, 1), [remote[2]]], Extension(Leaf.AGAIN, b"\1")]
    (read,) = speech.hear([15, 5, [[1, "a", [inside, shared, Extension(Leaf.LOCAL_NAME, b"root")]]]])
    assert isinstance(read, Batch)
    assert str(read.error) == "Invalid Object ID"  # nothing is published yet
    speech.side.broker.publish(root := Desk())
    (read,) = speech.hear([15, 6, [[1, "a", [inside, shared, Extension(Leaf.LOCAL_NAME, b"root")]]]])
    assert isinstance(read, Batch)
    found, (again, twice), home = read.calls[0].args
    ((key,), (value,)) = next(iter(found.items()))[0], next(iter(found.values()))["x"]
    assert again is twice
    assert home is root
    assert [reference.perspective for reference in (key, value, *again, own)] == ["Alice"] * 3 + [None]
