"""Values out of msgpack: whatever a peer sends is a value, or an error with words, and receipts are accounted for."""

from __future__ import annotations

import collections
import gc
import json
from decimal import Decimal
from typing import Any

import pytest

from pellucid.errors import (
    Error,
    InsecureJelly,
    InvalidArgument,
    LimitExceeded,
    NoSuchMethod,
    ProtocolError,
    RemoteError,
    RemoteProtocolError,
    TooManyReferences,
)
from pellucid.flavors.cacheable import Cacheable, RemoteCache
from pellucid.flavors.copyable import RemoteCopy
from pellucid.flavors.policy import BASIC_TYPES, Policy
from pellucid.flavors.referenceable import Referenceable
from pellucid.flavors.registry import Registry
from pellucid.flavors.serializable import Unpersistable
from pellucid.limits import Limits
from pellucid.wire.messages import Answer, CallFailed, Message, Release, ReleaseCache
from pellucid.wire.native.codes import Kind, Leaf, Mark
from pellucid.wire.native.frames import HEADER, LAST_CHUNK, MESSAGE_WITH_BUFFERS, frame, header
from tests.pair import Extension, Settings, write
from tests.unit.wire.native.speech import Speech, mark

TUPLE, SET, FROZENSET, MAP, COPY = (mark(code) for code in (Mark.TUPLE, Mark.SET, Mark.FROZENSET, Mark.MAP, Mark.COPY))
FAILURE = mark(Mark.FAILURE)


def again(number: int) -> Extension:
    return Extension(Leaf.AGAIN, bytes([number]))


def shared(number: int, form: Any) -> list[Any]:
    return [mark(Mark.SHARED, number), form]


def remote(number: int) -> Extension:
    return Extension(Leaf.REMOTE, bytes([number]))


class Duck(RemoteCopy):
    pass


class Pond(RemoteCache):
    pass


class Node:
    """Crosses as it is."""

    x: Any


REGISTRY = Registry()
REGISTRY.register(Duck, "duck")
REGISTRY.register(Pond, "pond")
REGISTRY.register_factory(lambda state: ("made of", state), "made")
KNOWN = Settings(registry=REGISTRY)


# Values.


@pytest.mark.parametrize(
    ("form", "value"),
    [
        ([], []),
        ({}, {}),
        ([TUPLE], ()),
        ([TUPLE, 1, [TUPLE, 2]], (1, (2,))),
        ([SET, 5, [FROZENSET, 6]], {5, frozenset([6])}),
        ([MAP], {}),
        ([MAP, 1, 2, b"x", [MAP, [TUPLE, 1, 2], None]], {1: 2, b"x": {(1, 2): None}}),
        ([MAP, True, "bool"], {True: "bool"}),
        ([MAP, 1, "first", True, "and last"], {1: "and last"}),
        ([MAP, Extension(Leaf.DECIMAL, b"1"), [SET]], {Decimal(1): set()}),
        ({"x": [MAP, [FROZENSET, 1], {"y": [TUPLE]}]}, {"x": {frozenset([1]): {"y": ()}}}),
        (Extension(Leaf.PLACEHOLDER, b"gone \xff"), Unpersistable),
    ],
    ids=lambda side: str(side)[:50],
)
def test_each_form_stands_for_this(form: Any, value: Any) -> None:
    read = Speech().read(form)
    if value is Unpersistable:
        assert repr(read) == "Unpersistable('Unpersistable data: gone \\\\xff')"
    else:
        assert (read, repr(read)) == (value, repr(value))


def test_what_is_shared_is_one_object() -> None:
    forms: list[Any] = [[1], {}, [MAP, 1, 2], [SET], [COPY, "duck", {}]]
    for form in forms:
        first, second, third = Speech(KNOWN).read([shared(1, form), again(1), {"x": again(1)}])
        assert first is second is third["x"]
    immutable = Speech().read(
        [shared(1, [TUPLE, []]), shared(2, [FROZENSET]), again(1), again(2), shared(3, 7), again(3)]
    )
    assert immutable[0] is immutable[2]
    assert immutable == [([],), frozenset(), ([],), frozenset(), 7, 7]


def test_a_cycle_through_anything_that_can_be_filled_later() -> None:
    speech = Speech(Settings(registry=REGISTRY, policy=Policy(instances=[Node])))
    cycle = speech.read(shared(1, [1, again(1)]))
    assert cycle[1] is cycle
    table = speech.read(shared(1, {"x": again(1), "y": [again(1)]}))
    assert table["x"] is table["y"][0] is table
    table = speech.read(shared(1, [MAP, 1, again(1)]))
    assert table[1] is table
    copy = speech.read(shared(1, [COPY, "duck", {"x": [again(1)]}]))
    assert copy.x[0] is copy
    cache = speech.read(shared(1, [mark(Mark.CACHE, 1), "pond", {"x": {"y": again(1)}}]))
    assert cache.x["y"] is cache
    instance = speech.read(shared(1, [COPY, f"{__name__}.Node", {"x": again(1)}]))
    assert instance.x is instance


def test_a_cycle_through_tuples_is_closed_by_what_is_in_them() -> None:
    pair = Speech().read(shared(1, [TUPLE, [again(1)], {"x": again(1)}, [MAP, 1, again(1)]]))
    assert pair[0][0] is pair[1]["x"] is pair[2][1] is pair
    first, second = Speech().read([shared(1, [TUPLE, shared(2, [again(1)])]), again(2)])
    assert first[0] is second
    assert second[0] is first
    frozen = Speech(KNOWN).read(shared(1, [TUPLE, [COPY, "duck", {"x": again(1)}]]))
    assert frozen[0].x is frozen
    outer = Speech().read(shared(1, [TUPLE, shared(2, [TUPLE, [again(1), again(2)]])]))
    assert outer[0][0] == [outer, outer[0]]


@pytest.mark.parametrize(
    "form",
    [
        shared(1, [TUPLE, again(1)]),
        shared(1, [FROZENSET, again(1)]),
        shared(1, [SET, again(1)]),
        shared(1, [TUPLE, [SET, again(1)]]),
        shared(1, [TUPLE, [MAP, again(1), 1]]),
        shared(1, [COPY, "duck", again(1)]),
        shared(1, [COPY, "made", [again(1)]]),
        shared(1, again(1)),
        [shared(1, 1), shared(1, 2)],
        again(1),
        [again(1), shared(1, 5)],
    ],
    ids=lambda form: str(form)[-70:],
)
def test_structure_that_can_not_be_built_is_a_protocol_error_with_words(form: Any) -> None:
    with pytest.raises(RemoteProtocolError, match=r"\w+ \w+ \w+"):
        Speech(KNOWN).read(form)


@pytest.mark.parametrize(
    "form",
    [
        TUPLE,
        [1, TUPLE],
        {"x": SET},
        [TUPLE, TUPLE],
        [SET, []],
        [FROZENSET, {}],
        [SET, [MAP]],
        [MAP, 1],
        [MAP, [], 1],
        [MAP, 1, 2, {}, 3],
        [COPY],
        [COPY, "duck"],
        [COPY, 5, {}],
        [COPY, b"duck", {}],
        [COPY, "duck", 5],
        [COPY, "duck", [1]],
        [COPY, "pond", {}],
        [mark(Mark.CACHE, 1)],
        [mark(Mark.CACHE, 1), "pond"],
        [mark(Mark.CACHE, 1), "duck", {}],
        [mark(Mark.CACHE, 1), "made", {}],
        [mark(Mark.CACHE, 1), 5, {}],
        [again(1), 1],
        [1, [Extension(Leaf.PLACEHOLDER, b"x"), TUPLE]],
        Extension(Leaf.BUFFER, b"\0"),
        Extension(Leaf.PROMISE, b"\1"),
        Extension(0, b""),
        Extension(99, b""),
        Extension(127, b""),
        [FAILURE, "a.B", "c", [], None, False, None],
    ],
    ids=lambda form: str(form)[:70],
)
def test_a_form_that_makes_no_sense_is_a_protocol_error_with_words(form: Any) -> None:
    speech = Speech(KNOWN)
    if type(form) is list and form[0] is FAILURE:
        assert isinstance(speech.read(form), RemoteError)  # which makes sense
        return
    with pytest.raises(RemoteProtocolError, match=r"\w+ \w+ \w+"):
        speech.read(form)
    gc.collect()
    speech.books.take_releases()
    assert speech.side.is_empty()
    assert speech.read([TUPLE]) == ()


@pytest.mark.parametrize("form", [[FAILURE], [FAILURE, 1, 2, 3, 4, 5, 6, 7, TUPLE]], ids=str)
def test_what_a_form_lacks_or_has_too_much_of_is_taken_for_nothing(form: Any) -> None:
    read = Speech().read(form)
    assert read is None or str(read) == ""


# Names, classes, policy.


def test_a_tag_that_is_not_known_is_refused_with_the_way_out() -> None:
    for form in [COPY, "unknown", {}], [mark(Mark.CACHE, 1), "unknown", {}]:
        with pytest.raises(
            InsecureJelly, match="unknown may not cross; register it, or allow it, on the receiving side"
        ):
            Speech().read(form)


def test_what_is_named_is_looked_up_and_never_imported() -> None:
    speech = Speech(Settings(policy=Policy(named=[json, collections.OrderedDict])))
    assert speech.read([Extension(Leaf.NAMED, b"module:json")]) == [json]
    assert speech.read(Extension(Leaf.NAMED, b"class:collections.OrderedDict")) is collections.OrderedDict
    for body in b"module:antigravity", b"class:json", b"", b"\xff", b"module:json:x":
        with pytest.raises(InsecureJelly, match="may not cross"):
            speech.read(Extension(Leaf.NAMED, body))


@pytest.mark.parametrize(
    ("kind", "form"),
    [
        ("None", None),
        ("boolean", True),
        ("str", "x"),
        ("list", []),
        ("dictionary", {}),
        ("dictionary", [MAP]),
        ("tuple", [TUPLE]),
        ("set", [SET]),
        ("frozenset", [FROZENSET]),
        ("decimal", Extension(Leaf.DECIMAL, b"1")),
        ("datetime", Extension(Leaf.DATETIME, b"2024-01-01")),
        ("date", Extension(Leaf.DATE, b"2024-01-01")),
        ("time", Extension(Leaf.TIME, b"01:00")),
        ("timedelta", Extension(Leaf.TIMEDELTA, bytes(12))),
        ("uuid", Extension(Leaf.UUID, bytes(16))),
    ],
    ids=str,
)
def test_what_the_policy_forbids_is_refused_at_any_depth(kind: str, form: Any) -> None:
    speech = Speech(Settings(policy=Policy(types=BASIC_TYPES - {kind}), registry=REGISTRY))
    around = [form, [TUPLE, form], [MAP, 1, form], [MAP, form, 1], {"x": form}, [[[form]]], [COPY, "made", form]]
    for carrier in around:
        with pytest.raises((InsecureJelly, RemoteProtocolError), match=f"{kind} may not cross|can't be"):
            speech.read(carrier)
    assert speech.read(b"x") == b"x"
    if kind == "str":
        with pytest.raises(InsecureJelly, match="str may not cross"):
            speech.read({"x": 1})
        assert speech.read({}) == {}


def test_bytes_ints_and_floats_may_always_cross() -> None:
    speech = Speech(Settings(policy=Policy(types=[])))
    for value in 5, 2.5, b"x":
        assert speech.read(value) == value
    assert speech.read(Extension(Leaf.INT, b"\1")) == 1


def test_an_object_that_could_not_be_sent_is_taken_in_an_answer_and_inside_a_copy() -> None:
    gone = Extension(Leaf.PLACEHOLDER, b"gone")
    speech = Speech(KNOWN)
    assert isinstance(speech.read([gone])[0], Unpersistable)
    ((call),) = speech.hear([1, 1, "root", "echo", [[gone]]])
    assert isinstance(call.error, InsecureJelly)  # type: ignore[union-attr]
    ((call),) = speech.hear([1, 1, "root", "echo", [[COPY, "duck", {"x": gone}]]])
    assert isinstance(call.args[0].x, Unpersistable)  # type: ignore[union-attr]


# Exceptions.


def test_an_exception_is_rebuilt_from_its_name_and_text() -> None:
    read = Speech().read([[FAILURE, "zoo.Escaped", "the lion", ["zoo.Escaped", 5], "a traceback", True, None]])[0]
    assert isinstance(read, RemoteError)
    assert (read.remote_type, read.text, read.remote_traceback) == ("zoo.Escaped", "the lion", "a traceback")
    assert read.remote_parents == ("zoo.Escaped", "")


@pytest.mark.parametrize(
    ("details", "limit"),
    [
        ({"limit": "elements", "value": 5, "asked": 6}, ("elements", 5, 6)),
        ({"limit": "elements", "value": 5, "asked": None}, ("elements", 5, None)),
        ({"limit": "elements", "value": 5}, ("elements", 5, None)),
        ({"limit": "elements", "value": "5", "asked": 6}, ("", 0, None)),
        ({"limit": 5, "value": 5, "asked": 6}, ("", 0, None)),
        ({"limit": "elements", "value": 5, "asked": [TUPLE]}, ("", 0, None)),
        ({}, ("", 0, None)),
        (5, ("", 0, None)),
    ],
    ids=str,
)
def test_the_numbers_of_a_limit_are_taken_where_they_are_numbers(details: Any, limit: Any) -> None:
    read = Speech().read([[FAILURE, "pellucid.errors.LimitExceeded", "text", [], None, False, details]])[0]
    assert type(read) is LimitExceeded
    assert (read.limit, read.value, read.asked) == limit


@pytest.mark.parametrize(
    ("details", "facts"),
    [
        ({"method": "a", "argument": "b", "expected": "c", "got": "d", "more": 5}, ["a", "b", "c", "d"]),
        ({"argument": 5, "expected": None, "got": [TUPLE]}, ["", "", "", ""]),
        ({}, ["", "", "", ""]),
        (5, ["", "", "", ""]),
    ],
    ids=str,
)
def test_what_is_told_of_an_argument_is_taken_where_it_is_text(details: Any, facts: list[str]) -> None:
    read = Speech().read([[FAILURE, "pellucid.errors.InvalidArgument", "text", [], None, False, details]])[0]
    assert type(read) is InvalidArgument
    assert [read.method, read.argument, read.expected, read.got] == facts
    assert str(read) == "text"


def test_a_limit_of_the_peers_is_shown_in_few_words_however_long_its_numbers_and_its_name_are() -> None:
    huge = Extension(Leaf.INT, b"\1" + bytes(10_000))
    details = {"limit": "elements" * 1000, "value": huge, "asked": huge}
    read = Speech().read([[FAILURE, "pellucid.errors.LimitExceeded", "text", [], None, False, details]])[0]
    assert len(str(read)) < 250
    assert str(read).endswith("an int of 80001 bits: an int of 80001 bits asked")


def test_who_raised_it_decides_what_a_name_of_ours_means() -> None:
    name = "twisted.spread.flavors.NoSuchMethod"
    by_the_broker, by_a_method = Speech().read(
        [[FAILURE, name, "x", [], None, raised, None] for raised in (False, True)]
    )
    assert type(by_the_broker) is NoSuchMethod
    assert type(by_a_method) is RemoteError


# Receipts.


def released(speech: Speech) -> tuple[dict[int, int], dict[int, int]]:
    """What the side gives back now, by number: of references, and of caches."""
    gc.collect()
    references, caches = collections.Counter[int](), collections.Counter[int]()
    for release in speech.books.take_releases():
        match release:
            case Release(receipts):
                for number, count in receipts:
                    references[number] += count
            case ReleaseCache(number, count):
                caches[number] += count
    return dict(references), dict(caches)


def test_each_time_a_reference_comes_is_a_receipt() -> None:
    speech = Speech()
    first, second, table = speech.read([remote(1), remote(1), {"x": remote(2)}])
    assert first is second
    assert released(speech) == ({}, {})
    del first
    assert released(speech) == ({}, {})
    del second
    assert released(speech) == ({1: 2}, {})
    del table
    assert released(speech) == ({2: 1}, {})
    assert speech.side.is_empty()


def test_each_time_a_cache_comes_is_a_receipt_but_for_what_is_shared() -> None:
    speech = Speech(KNOWN)
    cached = Extension(Leaf.CACHED, b"\1")
    first, second, third = speech.read([shared(1, [mark(Mark.CACHE, 1), "pond", {"x": 1}]), cached, again(1)])
    assert first is second is third
    assert speech.read(cached) is first
    del first, second, third
    assert released(speech) == ({}, {1: 3})


BAD: list[Any] = [
    [COPY, "unknown", {}],
    [TUPLE, TUPLE],
    again(9),
    Extension(Leaf.DECIMAL, b"x"),
    Extension(Leaf.LOCAL, b"\x09"),
    Extension(Leaf.LOCAL_NAME, b"nobody"),
    Extension(Leaf.LOCAL_CACHE, b"\x09"),
    Extension(Leaf.CACHED, b"\x09"),
    Extension(99, b""),
    [mark(Mark.CACHE, 1), "pond", {}],  # a second time
]


@pytest.mark.parametrize("bad", BAD, ids=str)
@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_all_that_came_with_a_message_that_can_not_be_read_is_given_back(bad: Any, place: int) -> None:
    speech = Speech(KNOWN)
    cache = [mark(Mark.CACHE, 1), "pond", {"x": [remote(1)]}]
    values: list[Any] = [[remote(1), {"x": remote(2)}], cache, [SET, Extension(Leaf.CACHED, b"\1"), remote(1)]]
    values.insert(place, bad)
    ((call),) = speech.hear([1, 1, "root", "keep", values])
    assert isinstance(call.error, Error | InsecureJelly | ProtocolError)  # type: ignore[union-attr]
    assert not call.args  # type: ignore[union-attr]
    before, caches = released(speech)
    speech.books.cache_imports.forget(1)  # its owner has all receipts back: the state goes, and what is in it
    after, _ = released(speech)
    assert collections.Counter(before) + collections.Counter(after) == {1: 3, 2: 1}
    again_came = bad[0] == mark(Mark.CACHE, 1) if type(bad) is list else False
    expected = {1: 3 if again_came else 2}
    if bad == Extension(Leaf.CACHED, b"\x09"):
        expected[9] = 1
    assert caches == expected
    assert speech.side.is_empty()


@pytest.mark.parametrize(
    "message",
    [
        [5, 1, 5, [mark(Mark.CACHE, 1), "pond", {}], remote(1)],
        [1, 1, "root", "keep", [], None, {"option": [[mark(Mark.CACHE, 1), "pond", {}], remote(1)]}],
        [12, 5, [mark(Mark.CACHE, 1), "pond", {}], remote(1)],
        [77, remote(1), Extension(Leaf.CACHED, b"\1")],
        [[FAILURE], remote(1), [mark(Mark.CACHE, 1), "pond", {}]],
        [6, 1, [FAILURE, "a", "b", [remote(1)], None, False, {"x": [mark(Mark.CACHE, 1), "pond", {}]}]],
        [15, 1, [], {"option": [[mark(Mark.CACHE, 1), "pond", {}], remote(1)]}],
        [16, 1, [], [], [mark(Mark.CACHE, 1), "pond", {}], remote(1)],
    ],
    ids=lambda message: str(message)[:30],
)
def test_what_came_where_nobody_looks_for_values_is_given_back(message: Any) -> None:
    speech = Speech(KNOWN)
    (read,) = speech.hear(message)
    del read
    assert released(speech) == ({1: 1}, {1: 1})
    assert speech.side.is_empty()


def test_before_the_greeting_nothing_is_kept_either() -> None:
    speech = Speech(KNOWN, greeted=False)
    assert speech.hear([0, 1, [remote(1)], [mark(Mark.CACHE, 1), "pond", {}]]) == []
    assert speech.dialect.greeted
    assert released(speech) == ({1: 1}, {1: 1})


def test_more_than_may_be_held_fails_the_call_and_is_given_back() -> None:
    speech = Speech(Settings(registry=REGISTRY, limits=Limits(references_imported=2)))
    for values in [remote(1), remote(2), remote(3)], [remote(1), remote(2), [mark(Mark.CACHE, 3), "pond", {}]]:
        with pytest.raises(TooManyReferences, match=r"over Limits.references_imported=2"):
            speech.read(values)
        references, caches = released(speech)
        assert sum(references.values()) + sum(caches.values()) == 3
        assert speech.side.is_empty()


def test_what_was_read_is_not_held_here() -> None:
    speech = Speech(KNOWN)
    values = speech.read([shared(1, [[COPY, "duck", {}]]), remote(1), again(1)])
    assert values[0] is values[2]
    duck = values[0][0]
    assert not any(type(holder) is dict for holder in gc.get_referrers(duck) if holder is not vars(duck))
    assert speech.dialect._reader._shared == {}
    body = bytes(100_000)
    (answer,) = speech_with_buffer(speech, body)
    assert answer.value == body
    assert speech.dialect._deframer.buffers == speech.dialect._reader.buffers == ()


def speech_with_buffer(speech: Speech, body: bytes) -> list[Any]:
    sender = Speech()
    bulk: Any = sender.dialect.encode(Answer(1, body))
    while bulk.left:
        for piece in bulk.next_piece(30_000):
            speech.dialect.receive_data(bytes(piece))
    return speech.heard()


# Limits.


def test_shared_structure_is_counted_each_time_it_is_met() -> None:
    form = [shared(1, [1, 1]), again(1), again(1)]  # a list of 3 and one element more, thrice a list of 2 and one more
    assert Speech(Settings(limits=Limits(expanded_elements=13))).read(form) == [[1, 1]] * 3
    with pytest.raises(LimitExceeded, match=r"over Limits.expanded_elements=12"):
        Speech(Settings(limits=Limits(expanded_elements=12))).read(form)


def test_a_kilobyte_can_not_stand_for_terabytes() -> None:
    form: Any = [shared(1, [1] * 8)]
    for number in range(2, 40):
        form.append(shared(number, [again(number - 1)] * 8))
    with pytest.raises(LimitExceeded, match="expanded_elements"):
        Speech().read(form)


LONG = 12_800
"""Bytes that count as a hundred elements where they are met again."""

LONG_FORMS: dict[str, Any] = {
    "text": "x" * LONG,
    "bytes": b"x" * LONG,
    "an int": Extension(Leaf.INT, b"\1" * LONG),
    "a decimal in a list": [Extension(Leaf.DECIMAL, b"1" * 9_000), Extension(Leaf.DECIMAL, b"1" * 9_000)],
    "a list of texts": ["x" * (LONG // 2)] * 2,
    "a tuple": [TUPLE, b"x" * LONG],
    "a key": {"x" * LONG: 1},
    "a value": {"key": "x" * LONG},
    "a map": [MAP, 1, "x" * LONG],
    "a copy": [COPY, "duck", {"name": "x" * LONG}],
    "an int in a copy": [COPY, "duck", {"name": Extension(Leaf.INT, b"\1" * LONG)}],
    "a failure": [FAILURE, "shop.Sold", "x" * LONG],
    "a placeholder in a copy": [COPY, "duck", {"name": Extension(Leaf.PLACEHOLDER, b"x" * LONG)}],
    "an s-expression": [mark(Mark.JELLY), [b"list", [b"unicode", b"x" * LONG]]],
    "one that shares": [mark(Mark.JELLY), [b"list", [b"reference", 9, [b"unicode", b"x" * LONG]]]],
    "a pair that looks shared": [mark(Mark.JELLY), [b"dictionary", [b"reference", [b"unicode", b"x" * LONG]]]],
    "something shared": [shared(9, "x" * LONG)],
}


@pytest.mark.parametrize("form", LONG_FORMS.values(), ids=LONG_FORMS)
def test_texts_in_what_is_shared_count_each_time_it_is_met(form: Any) -> None:
    def read(times: int) -> list[Any]:
        speech = Speech(Settings(registry=REGISTRY, limits=Limits(expanded_elements=1_000)))
        read: list[Any] = speech.read([shared(1, form), *[again(1)] * times])
        return read

    assert len(read(6)) == 7
    with pytest.raises(LimitExceeded, match=r"over Limits.expanded_elements=1000"):
        read(11)


def test_texts_that_are_not_met_again_count_as_elements() -> None:
    speech = Speech(Settings(limits=Limits(expanded_elements=1_000)))
    assert len(speech.read(["x" * 200_000, [TUPLE, b"x" * 200_000], shared(1, 5), again(1)])) == 4


def test_a_buffer_that_is_named_again_counts_each_time() -> None:
    def named(times: int) -> Message:
        speech = Speech(Settings(limits=Limits(expanded_elements=1_000)))
        body = write([Kind.ANSWER, 1, [Extension(Leaf.BUFFER, b"\0")] * times], "pellucid")[HEADER:]
        speech.dialect.receive_data(header(LONG, LAST_CHUNK) + b"x" * LONG)
        speech.dialect.receive_data(header(len(body), MESSAGE_WITH_BUFFERS) + body)
        (message,) = speech.heard()
        return message

    answer, refused = named(8), named(12)
    assert isinstance(answer, Answer)
    assert answer.value == [b"x" * LONG] * 8
    assert isinstance(refused, CallFailed)
    with pytest.raises(LimitExceeded, match=r"over Limits.expanded_elements=1000"):
        raise refused.error


def test_keys_whose_hash_a_peer_can_choose_are_few() -> None:
    speech = Speech(Settings(limits=Limits(odd_keys=5)))
    number = Extension(Leaf.INT, b"\1" + bytes(8))
    assert len(speech.read([[SET, number]] * 5)) == 5
    for form in [[SET, number]] * 6, [[FROZENSET, number]] * 6, [[MAP, number, 1]] * 6:
        with pytest.raises(LimitExceeded, match=r"over Limits.odd_keys=5"):
            speech.read(form)


@pytest.mark.parametrize("code", [Leaf.DATETIME, Leaf.TIME])
def test_times_with_a_zone_are_as_few_as_numbers(code: Leaf) -> None:
    """Their hashes are those of timedeltas, the same in every process; those of other times are salted."""

    def times(number: int, zone: str) -> list[Any]:
        day = "2024-02-29T" if code is Leaf.DATETIME else ""
        return [Extension(code, f"{day}{index // 60:02}:{index % 60:02}:00{zone}".encode()) for index in range(number)]

    speech = Speech(Settings(limits=Limits(odd_keys=130)))
    assert len(speech.read([SET, *times(1_040, "+00:00")])) == 1_040
    assert len(speech.read([SET, *times(1_440, "")])) == 1_440
    with pytest.raises(LimitExceeded, match=r"over Limits.odd_keys=130"):
        speech.read([SET, *times(1_041, "+00:00")])
    with pytest.raises(LimitExceeded, match=r"over Limits.odd_keys=130"):
        speech.read([SET, *[[TUPLE, time, time] for time in times(66, "+00:00")]])
    assert len(speech.read([SET, *[[TUPLE, time, time] for time in times(1_040, "")]])) == 1_040


def nested(depth: int, *before: Any) -> Any:
    form: Any = 1
    for _ in range(depth):
        form = [*before, form]
    return form


@pytest.mark.parametrize("before", [(TUPLE,), (FROZENSET,), (MAP, 1), (COPY, "made")], ids=str)
def test_what_is_walked_through_may_be_as_deep_as_the_limit_says(before: Any) -> None:
    speech = Speech(Settings(limits=Limits(nesting=20), registry=REGISTRY))
    speech.read(nested(20, *before))
    for depth in 21, 150:
        with pytest.raises(LimitExceeded, match=r"over Limits.nesting=20"):
            speech.read(nested(depth, *before))
    speech.read(nested(20, *before))


def test_plain_lists_may_come_as_deep_as_the_codec_goes_and_no_deeper() -> None:
    speech = Speech()
    speech.dialect.receive_data(frame(b"\x93\5\1" + b"\x91" * 1_000 + b"\1"))
    (answer,) = speech.heard()
    depth, value = 0, answer.value  # type: ignore[union-attr]
    while type(value) is list:
        depth, (value,) = depth + 1, value
    assert depth == 1_000
    speech.dialect.receive_data(frame(b"\x93\5\1" + b"\x91" * 100_000 + b"\1"))
    with pytest.raises(RemoteProtocolError, match="a message is not msgpack"):
        speech.heard()


def test_what_is_walked_through_and_too_deep_for_the_stack_is_over_the_limit() -> None:
    speech = Speech(Settings(limits=Limits(nesting=100_000)))
    speech.dialect.receive_data(frame(b"\x93\5\1" + b"\x92\xc7\0\x20" * 900 + b"\1"))
    (failed,) = speech.heard()
    assert isinstance(failed, CallFailed)
    assert isinstance(failed.error, LimitExceeded)


# Hooks.


def test_what_a_hook_raises_fails_that_message_alone() -> None:
    class Picky(RemoteCopy):
        def set_copyable_state(self, state: Any) -> None:
            raise LookupError("not to my taste")

    registry = Registry()
    registry.register(Picky, "picky")
    speech = Speech(Settings(registry=registry))
    with pytest.raises(LookupError, match="not to my taste"):
        speech.read([remote(1), [COPY, "picky", {"x": remote(2)}]])
    assert released(speech) == ({1: 1, 2: 1}, {})
    assert speech.read([TUPLE]) == ()


def test_what_a_copy_finishes_is_finished_once_the_whole_message_is_there() -> None:
    seen: list[Any] = []

    class Late(RemoteCopy):
        others: Any

        def post_unjelly(self) -> None:
            seen.append([vars(duck) for duck in self.others])

    registry = Registry()
    registry.register(Late, "late")
    registry.register(Duck, "duck")
    speech = Speech(Settings(registry=registry))
    speech.read(
        [shared(1, [TUPLE, [COPY, "late", {"others": [shared(2, [COPY, "duck", {"back": again(1)}])]}]]), again(2)]
    )
    assert list(seen[0][0]) == ["back"]


def test_objects_that_come_home_are_the_originals() -> None:
    speech = Speech()
    thing, pond = Referenceable(), Cacheable()
    speech.write([thing, pond, {1: 2}])
    (number,), (cache_number,) = speech.side.exports(), speech.side.cache_exports()
    home = [Extension(Leaf.LOCAL, bytes([number])), Extension(Leaf.LOCAL_CACHE, bytes([cache_number]))]
    assert speech.read([*home, [MAP, home[0], home[1]]]) == [thing, pond, {thing: pond}]
