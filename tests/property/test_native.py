"""The native dialect: whatever is sent arrives, however its bytes are cut; whatever comes is understood or refused."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import ormsgpack
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pellucid.errors import InsecureJelly, LimitExceeded, RemoteProtocolError
from pellucid.flavors.cacheable import Cacheable, RemoteCache
from pellucid.flavors.copyable import RemoteCopy
from pellucid.flavors.referenceable import Referenceable
from pellucid.flavors.registry import Registry
from pellucid.limits import Limits
from pellucid.wire.dialect import Sharing
from pellucid.wire.messages import (
    Answer,
    Batch,
    BatchAnswer,
    CallFailed,
    Cancel,
    MethodCall,
    Ping,
    Release,
    ReleaseCache,
    Seen,
)
from pellucid.wire.native.codes import Kind, Leaf, Mark
from pellucid.wire.native.frames import CHUNK, HEADER, LAST_CHUNK, MESSAGE_WITH_BUFFERS, frame, header
from tests.interop.peers.samples import describe
from tests.pair import Desk, Extension, Settings, Stranger, read
from tests.property.test_jelly import graphs
from tests.property.test_references import receipts_in_msgpack
from tests.unit.wire.native.speech import Speech, whole

# Values.

ZONES = sorted(available_timezones())
zones = st.sampled_from([ZoneInfo("Europe/Berlin"), ZoneInfo("America/St_Johns"), ZoneInfo("UTC"), None])
leaves: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(st.characters(codec="utf-8")),
    st.binary(),
    st.decimals(),
    st.datetimes(),
    st.datetimes(timezones=zones, allow_imaginary=True),
    st.datetimes(timezones=st.integers(0, len(ZONES) - 1).map(lambda index: ZoneInfo(ZONES[index]))),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.uuids(),
    st.integers(65_536, 65_540).map(bytes),
    st.sampled_from([2**64, 2**64 - 1, -(2**63), -(2**63) - 1, -0.0]),
)
keys = st.recursive(
    leaves.filter(lambda leaf: not is_signalling(leaf) and leaf == leaf),
    lambda inner: st.one_of(st.lists(inner, max_size=3).map(tuple), st.frozensets(inner, max_size=3)),
    max_leaves=4,
)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=4),
        st.dictionaries(keys, inner, max_size=4),
        st.sets(keys, max_size=4),
        st.frozensets(keys, max_size=4),
    ),
    max_leaves=20,
)


def is_signalling(value: Any) -> bool:
    return hasattr(value, "is_snan") and bool(value.is_snan())


def shape(value: Any) -> Any:
    """All that there is to tell of a value that is a tree: types, contents, and the order of dictionaries."""
    kind = type(value).__name__
    match value:
        case list() | tuple():
            return kind, [shape(element) for element in value]
        case dict():
            return kind, [(shape(key), shape(element)) for key, element in value.items()]
        case set() | frozenset():
            return kind, sorted(map(repr, map(shape, value)))
        case _ if hasattr(value, "utcoffset"):
            return kind, value.replace(fold=0).isoformat(), repr(value.tzinfo), value.utcoffset()
        case _:
            return kind, repr(value)


@given(trees)
def test_every_value_arrives_with_equal_contents_and_exact_types(value: Any) -> None:
    forms: tuple[Sharing, ...] = "tree", "graph"
    for sharing in forms:
        assert shape(Speech(Settings(sharing=sharing)).across(value)) == shape(value)


@given(graphs())
def test_every_structure_that_python_can_build_arrives_as_it_is_in_graph_form(value: Any) -> None:
    assert describe(Speech(Settings(sharing="graph")).across(value)) == describe(value)


@given(graphs())
def test_in_tree_form_what_is_no_tree_for_a_cycle_arrives_as_it_is_and_the_rest_unshared(value: Any) -> None:
    back = Speech().across(value)
    try:
        expected = shape(value)
    except RecursionError:  # there is no tree
        assert describe(back) == describe(value)
    else:
        assert shape(back) == expected


@given(trees | graphs(), st.integers(20, 400), st.integers(2, 12))
def test_what_the_sender_lets_through_is_within_its_receivers_bounds_for_the_bytes(
    value: Any, inline_bytes: int, nesting: int
) -> None:
    limits = Settings(limits=Limits(inline_bytes=inline_bytes, nesting=nesting, buffer_bytes=100_000))
    try:
        data = whole(Speech(limits).dialect.encode(Answer(1, value)))
    except LimitExceeded:
        return
    there = Speech(limits)
    there.dialect.receive_data(data)
    assert len(there.heard()) == 1


# Messages, however they are cut.

calls = st.builds(
    lambda number, target, name, args, kwargs, timeout: with_timeout(
        MethodCall(number, target, name, args, kwargs), timeout
    ),
    st.integers(1, 2**40),
    st.integers(0, 2**40) | st.sampled_from([b"root", b""]),
    st.text(st.characters(codec="utf-8"), max_size=5),
    st.lists(trees, max_size=3).map(tuple),
    st.dictionaries(st.text(st.characters(codec="utf-8")), trees, max_size=2),
    st.none() | st.floats(0, 1e6),
)
messages: st.SearchStrategy[Any] = st.one_of(
    calls,
    st.builds(Answer, st.integers(1, 100), trees),
    st.builds(CallFailed, st.integers(1, 100), st.builds(ValueError, st.text())),
    st.builds(lambda number: Release([(number, 1)]), st.integers(1, 300)),
    st.builds(ReleaseCache, st.integers(1, 300), st.integers(1, 300)),
    st.builds(Cancel, st.integers(1, 300)),
    st.builds(Seen, st.lists(st.integers(1, 2**33), max_size=4)),
    st.builds(Ping, st.integers(0, 2**33)),
    st.builds(lambda number, made: Batch(number, list(made)), st.integers(1, 300), st.lists(calls, max_size=3)),
    st.builds(
        lambda number, results: BatchAnswer(number, results, [None] * len(results)), st.integers(1, 9), st.lists(trees)
    ),
)
cuts = st.lists(st.integers(0, 3_000), max_size=6)


def with_timeout(call: MethodCall, timeout: float | None) -> MethodCall:
    call.timeout = timeout
    return call


def cut(data: bytes, places: list[int]) -> Iterator[bytes]:
    ends = [*sorted(place for place in places if place < len(data)), len(data)]
    for start, end in zip([0, *ends], ends, strict=False):
        yield data[start:end]


def told(speech: Speech, pieces: Iterator[bytes]) -> list[str]:
    """What a stream means, and how it ends."""
    heard: list[str] = []
    for piece in pieces:
        speech.dialect.receive_data(piece)
        try:
            while (message := speech.dialect.next_message()) is not None:
                heard.append(described(message))
        except RemoteProtocolError as error:
            return [*heard, repr(error)]
    return heard


def described(message: Any) -> str:
    if isinstance(message, MethodCall | Answer | Batch | BatchAnswer):
        outcome = getattr(message, "outcomes", None)
        values = message.args if isinstance(message, MethodCall) else getattr(message, "value", None)
        return f"{type(message).__name__} {values!r} {outcome!r} {getattr(message, 'kwargs', None)!r} {message!r}"
    return repr(message)


@settings(max_examples=60)
@given(st.lists(messages, max_size=4), cuts)
def test_a_stream_means_the_same_however_it_is_cut(said: list[Any], places: list[int]) -> None:
    data = b"".join(whole(Speech().dialect.encode(message)) for message in said)
    once = told(Speech(), iter([data]))
    assert len(once) == len(said)
    assert told(Speech(), cut(data, places)) == once
    if len(data) < 2_000:
        assert told(Speech(), cut(data, list(range(len(data))))) == once


# Whatever comes.


class Duck(RemoteCopy):
    pass


class Pond(RemoteCache):
    pass


REGISTRY = Registry()
REGISTRY.register(Duck, "duck")
REGISTRY.register(Pond, "pond")
REGISTRY.register_factory(len, "picky")

tight = st.builds(
    Limits,
    inline_bytes=st.integers(10, 60) | st.just(4096),
    buffer_bytes=st.integers(0, 300) | st.just(4096),
    nesting=st.integers(1, 3) | st.just(256),
    expanded_elements=st.integers(1, 20) | st.just(10_000),
    odd_keys=st.integers(0, 3) | st.just(4096),
    references_imported=st.integers(0, 3) | st.just(1_000),
)
extensions = st.builds(
    Extension,
    st.sampled_from([int(code) for code in (*Leaf, *Mark)]) | st.integers(0, 127),
    st.binary(max_size=2) | st.sampled_from([b"\0", b"\1", b"\2"]),
)
marked = st.sampled_from([Extension(code, b"\1") for code in Mark])
forms = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-5, 300), st.floats(), st.text(max_size=3), extensions),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.builds(lambda mark, rest: [mark, *rest], marked, st.lists(inner, max_size=4)),
        st.builds(
            lambda mark, tag, state: [mark, tag, state],
            st.sampled_from(
                [Extension(Mark.COPY, b""), *[Extension(Mark.CACHE, bytes([number])) for number in range(3)]]
            ),
            st.sampled_from(["duck", "pond", "picky", "unknown"]),
            st.dictionaries(st.text(max_size=2), inner, max_size=2) | inner,
        ),
        st.dictionaries(st.text(max_size=2), inner, max_size=3),
    ),
    max_leaves=12,
)
likely = st.one_of(
    st.builds(lambda kind, values: [kind, *values], st.integers(0, 18), st.lists(forms, max_size=6)),
    st.builds(
        lambda values, named: [1, 1, "root", "keep", values, named], st.lists(forms, max_size=4), st.none() | forms
    ),
    st.builds(lambda values: [1, 1, "root", "keep", values], st.lists(forms, max_size=4)),
    st.builds(lambda value: [5, 1, value], forms),
    st.builds(lambda values, failed: [16, 1, values, failed], st.lists(forms, max_size=3), st.just([]) | forms),
    st.builds(lambda values: [15, 1, [["root", "keep", values]]], st.lists(forms, max_size=3)),
)


def packed(form: Any) -> bytes:
    return ormsgpack.packb(form, Extension.packed, ormsgpack.OPT_PASSTHROUGH_TUPLE)


frames = st.one_of(
    likely.map(lambda form: frame(packed(form))),
    likely.map(lambda form: header(len(packed(form)), MESSAGE_WITH_BUFFERS) + packed(form)),
    st.builds(
        lambda flag, body: header(len(body), flag) + body, st.sampled_from([CHUNK, LAST_CHUNK]), st.binary(max_size=80)
    ),
    st.binary(max_size=20).map(frame),
)
streams = st.lists(frames, max_size=5).map(b"".join)


@st.composite
def hostile(draw: st.DrawFn) -> bytes:
    """Streams that a peer might send; some are mutilated, some are noise."""
    data = bytearray(draw(streams))
    for _ in range(draw(st.sampled_from([0, 0, 1, 3]))):
        if data:
            data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    if draw(st.booleans()) and draw(st.booleans()):
        del data[draw(st.integers(0, len(data))) :]
    return bytes(data) if draw(st.integers(0, 9)) else draw(st.binary(max_size=60))


@given(hostile(), tight, cuts)
@example(frame(packed([17, [b"join", [[]]]])), Limits(nesting=1), [])
@example(frame(packed([1, 1, "root", "keep", [Extension(Leaf.REMOTE, b"\1")], None, {"timeout": 5}])), Limits(), [])
def test_of_any_bytes_come_messages_or_a_protocol_error_and_nothing_else(
    data: bytes, limits: Limits, places: list[int]
) -> None:
    known = Settings(registry=REGISTRY, limits=limits)
    once = told(Speech(known), iter([data]))
    if "object at 0x" not in str(once):
        assert told(Speech(known), cut(data, places)) == once


@given(hostile(), tight, cuts)
def test_a_broker_takes_any_bytes_or_ends_the_connection_for_them(
    data: bytes, limits: Limits, places: list[int]
) -> None:
    limits = replace(limits, inline_bytes=4096)  # errors are to be told within it
    stranger = Stranger(Desk(), Settings(registry=REGISTRY, limits=limits), dialect="pellucid", greets=False)
    stranger.send(b"\x08\x82pellucid" + frame(packed([0, 1, []])))
    for piece in cut(data, places):
        if stranger.side.is_closed:
            break
        stranger.send(piece)
    assert isinstance(stranger.side.ended_by, RemoteProtocolError | None)


@given(hostile(), tight, cuts)
def test_what_is_held_of_an_unfinished_stream_is_bounded(data: bytes, limits: Limits, places: list[int]) -> None:
    speech = Speech(Settings(registry=REGISTRY, limits=limits))
    deframer = speech.dialect._deframer
    for piece in cut(data, places):
        speech.dialect.receive_data(piece)
        try:
            speech.heard()
        except RemoteProtocolError:
            return
        held = sum(map(len, [*(deframer._finished or ()), *(deframer._pieces or ())]))
        assert held <= limits.buffer_bytes
        assert len(deframer._data) - deframer._at <= HEADER + limits.inline_bytes


@settings(max_examples=200)
@given(st.lists(likely, max_size=4), tight)
def test_every_receipt_that_comes_is_held_or_given_back(said: list[Any], limits: Limits) -> None:
    speech = Speech(Settings(registry=REGISTRY, limits=limits))
    references, caches = Counter[int](), Counter[int]()
    for form in said:
        speech.dialect.receive_data(frame(packed(form)))
        try:
            heard = speech.heard()
        except RemoteProtocolError:
            return  # the connection ends, and with it all books
        for part, came in zip((references, caches), receipts_in_msgpack([form]), strict=True):
            part.update(came)
        del heard
    gc.collect(1)
    for release in speech.books.take_releases():
        match release:
            case Release(receipts):
                references.subtract(dict(Counter([number for number, count in receipts for _ in range(count)])))
            case ReleaseCache(number, count):
                caches[number] -= count
    for entry in speech.books.imports._by_id.values():
        references[entry.export_id] -= entry.receipts
    for cached in speech.books.cache_imports._by_id.values():
        if cached() is not None:
            caches[cached.cache_id] -= cached.receipts
    assert (+references, +caches, -references, -caches) == ({}, {}, {}, {})


@given(trees, st.booleans())
def test_nothing_stays_entered_of_a_message_that_is_not_sent(value: Any, shares: bool) -> None:
    speech = Speech(Settings(sharing="graph" if shares else "tree"))
    try:
        speech.write([Referenceable(), Cacheable(), value, {1: Referenceable()}, object()])
    except InsecureJelly:
        assert speech.side.is_empty()
    else:
        raise AssertionError("it was sent")


@given(trees)
def test_what_is_sent_is_msgpack_of_this_version(value: Any) -> None:
    for message in read(whole(Speech().dialect.encode(Answer(1, value))), "pellucid"):
        assert isinstance(message, bytes) or (message[0] == Kind.ANSWER and len(message) == 3)
