"""The slow way to write values: one by one, each with its path."""

from __future__ import annotations

import collections
import json
from dataclasses import dataclass
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from pellucid.errors import (
    DeadReferenceError,
    Error,
    ForeignReference,
    InsecureJelly,
    LimitExceeded,
    RemoteError,
    TooManyReferences,
)
from pellucid.flavors.cacheable import Cacheable, RemoteCache
from pellucid.flavors.copyable import Copyable
from pellucid.flavors.policy import BASIC_TYPES, Policy
from pellucid.flavors.referenceable import Referenceable, Viewable
from pellucid.flavors.registry import Registry
from pellucid.flavors.serializable import Unpersistable, qualified_name
from pellucid.limits import Limits
from pellucid.wire.dialect import Sharing
from pellucid.wire.messages import Answer, BatchAnswer, CallFailed, MethodCall, Promised
from pellucid.wire.native.codes import Leaf, Mark
from pellucid.wire.native.encoder import Encoder
from pellucid.wire.native.lowering import OUT_OF_BAND, Lowering, failure_form, find_encoders
from tests.pair import Extension, Pair, Settings
from tests.unit.wire.native.speech import Speech, mark

TUPLE, SET, MAP, COPY = (mark(code) for code in (Mark.TUPLE, Mark.SET, Mark.MAP, Mark.COPY))


FORMS: tuple[Sharing, ...] = "tree", "graph"


def slow(**options: Any) -> Speech:
    """A speech that writes everything this way."""
    return Speech(Settings(sharing="graph", **options))


def again(number: int) -> Extension:
    return Extension(Leaf.AGAIN, bytes([number]))


class Duck(Copyable):
    def __init__(self, **state: Any) -> None:
        self.__dict__.update(state)


class Pond(Cacheable):
    def __init__(self, inside: Any = None) -> None:
        self.inside = inside

    def get_state_to_cache_and_observe_for(self, perspective: Any, observer: Any) -> Any:
        return {"seen by": perspective, "inside": self.inside}


@dataclass
class Point:
    x: Any


# Forms.


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ([], []),
        ([1, [2.5, None, True]], [1, [2.5, None, True]]),
        ((), [TUPLE]),
        ((1, (2,)), [TUPLE, 1, [TUPLE, 2]]),
        ({5}, [SET, 5]),
        (frozenset([b"x"]), [mark(Mark.FROZENSET), b"x"]),
        ({1: 2}, [MAP, 1, 2]),
        ({(1, 2): {3}}, [MAP, [TUPLE, 1, 2], [SET, 3]]),
        ({True: 1, "x": 2}, [MAP, True, 1, "x", 2]),
        ({Decimal(1): 2**64}, [MAP, Extension(Leaf.DECIMAL, b"1"), Extension(Leaf.INT, b"\1" + bytes(8))]),
        (Promised(300), Extension(Leaf.PROMISE, b"\1\x2c")),
        (Unpersistable("gone"), Extension(Leaf.PLACEHOLDER, b"gone")),
        (bytearray(b"x"), b"x"),
        (memoryview(b"abcd")[::2], b"ac"),
        (memoryview(b"abcdefgh").cast("I"), b"abcdefgh"),
        (memoryview(b"abcdefgh").cast("B", (2, 4)), b"abcdefgh"),
        (memoryview(b""), b""),
    ],
    ids=lambda side: repr(side)[:40].replace("0x", ""),
)
def test_each_kind_of_value_has_this_form(value: object, form: object) -> None:
    speech = Speech()
    lowering = Lowering(speech.books, find_encoders(BASIC_TYPES), None, shares=False)
    (_, _, lowered) = lowering.message([5, 1, value])
    assert Speech().write([lowered])[0] == form if value.__class__ is not Promised else True
    assert Speech().write([{0: value}])[0] == [MAP, 0, form]


def test_dictionaries_with_names_for_keys_are_maps_of_msgpack_in_tree_form_alone() -> None:
    value = {"x": {1: {"y": 2}}}
    assert Speech().write(value) == {"x": [MAP, 1, {"y": 2}]}
    assert slow().write(value) == [MAP, "x", [MAP, 1, [MAP, "y", 2]]]


def test_what_is_empty_and_shared_is_shared_in_graph_form() -> None:
    for empty, form in ([], []), ({}, [MAP]), (set(), [SET]), ((), [TUPLE]):
        assert slow().write([empty, empty]) == [[mark(Mark.SHARED, 1), form], again(1)]


def test_in_graph_form_what_is_met_again_is_numbered_the_first_time() -> None:
    one, two = [1], {"two": 2}
    assert slow().write([one, two, one, one, two]) == [
        [mark(Mark.SHARED, 1), [1]],
        [mark(Mark.SHARED, 2), [MAP, "two", 2]],
        again(1),
        again(1),
        again(2),
    ]


def test_a_cycle_is_numbered_in_either_form() -> None:
    cycle: list[Any] = [1]
    cycle.append(cycle)
    for speech in Speech(), slow():
        assert speech.write(cycle) == [mark(Mark.SHARED, 1), [1, again(1)]]
        assert speech.write([cycle, 5]) == [[mark(Mark.SHARED, 1), [1, again(1)]], 5]


def test_a_value_made_while_the_message_is_written_is_not_taken_for_another() -> None:
    class Fresh(Copyable):
        def get_state_to_copy(self) -> Any:
            return [[*"1"]]

    form = slow().write([Fresh() for _ in range(100)])
    assert form == [[COPY, qualified_name(Fresh), [["1"]]]] * 100


# Large buffers.


@pytest.mark.parametrize(
    "make", [bytes, bytearray, lambda size: memoryview(bytes(size))], ids=["bytes", "array", "view"]
)
def test_a_large_buffer_travels_beside_the_message(make: Any) -> None:
    speech = Speech()
    short, large = make(OUT_OF_BAND - 1), make(OUT_OF_BAND)
    assert speech.say(Answer(1, {1: short})) == [[5, 1, [MAP, 1, bytes(OUT_OF_BAND - 1)]]]
    assert speech.say(Answer(1, large)) == [bytes(OUT_OF_BAND), [5, 1, Extension(Leaf.BUFFER, b"\0")]]
    assert speech.say(Answer(1, [{1: large}, b"x", large])) == [
        bytes(OUT_OF_BAND),
        bytes(OUT_OF_BAND),
        [5, 1, [[MAP, 1, Extension(Leaf.BUFFER, b"\0")], b"x", Extension(Leaf.BUFFER, b"\1")]],
    ]


@pytest.mark.parametrize(
    "view",
    [
        memoryview(bytes(400_000))[::2],
        memoryview(bytes(400_000)).cast("I"),
        memoryview(bytes(400_000)).cast("B", (2, 200_000)),
        memoryview(bytes(400_000)).cast("d", (2, 25_000)),
    ],
    ids=["step", "ints", "two dimensions", "doubles"],
)
def test_a_large_view_of_any_shape_is_its_bytes(view: memoryview) -> None:
    assert Speech().across(view) == view.tobytes()
    assert Speech().across([{1: view}]) == [{1: view.tobytes()}]


def test_what_may_change_is_sent_as_it_was_and_may_be_resized_meanwhile() -> None:
    large = bytearray(100_000)
    bulk: Any = Speech().dialect.encode(Answer(1, large))
    large[0] = 1
    large.append(5)
    _, chunk, _ = bulk.next_piece(200_000)
    assert bytes(chunk) == bytes(100_000)
    constant = bytes(100_000)
    bulk = Speech().dialect.encode(Answer(1, constant))
    assert bulk.next_piece(10)[1].obj is constant


# Flavors.


def test_references_copies_and_caches_have_these_forms() -> None:
    registry = Registry()
    registry.register_copyable(Point, "point")
    speech = slow(registry=registry, policy=Policy(named=[json, collections.OrderedDict], instances=[SimpleNamespace]))
    thing, pond = Referenceable(), Pond([7])
    tag = f"{__name__}.Pond"
    assert speech.write([thing, thing]) == [Extension(Leaf.REMOTE, b"\1")] * 2
    assert dict(speech.books.exports.items())[1].count == 2
    assert speech.write([pond, pond], "Alice") == [
        [mark(Mark.SHARED, 1), [mark(Mark.CACHE, 2), tag, [MAP, "seen by", "Alice", "inside", [7]]]],
        again(1),
    ]
    assert speech.write([pond, pond], "Alice") == [Extension(Leaf.CACHED, b"\2")] * 2
    assert speech.books.cache_exports._by_id[2].count == 3
    assert speech.write(Duck(name="Donald")) == [COPY, f"{__name__}.Duck", [MAP, "name", "Donald"]]
    assert speech.write(Point(5)) == [COPY, "point", [MAP, "x", 5]]
    assert speech.write(SimpleNamespace(a=1)) == [COPY, "types.SimpleNamespace", [MAP, "a", 1]]
    assert speech.write([json, collections.OrderedDict]) == [
        Extension(Leaf.NAMED, b"module:json"),
        Extension(Leaf.NAMED, b"class:collections.OrderedDict"),
    ]
    assert speech.write(Viewable(), "Alice") == Extension(Leaf.REMOTE, b"\3")


def test_in_tree_form_a_new_cacheable_is_written_once_and_then_known_by_its_number() -> None:
    speech, pond = Speech(), Pond()
    state = {"seen by": None, "inside": None}
    assert speech.write([pond, {"again": pond}]) == [
        [mark(Mark.CACHE, 1), f"{__name__}.Pond", state],
        {"again": Extension(Leaf.CACHED, b"\1")},
    ]
    assert speech.books.cache_exports._by_id[1].count == 2


def test_a_cacheable_in_its_own_state_is_a_receipt_more_in_tree_form() -> None:
    speech, pond = Speech(), Pond()
    pond.inside = [pond]
    form = speech.write(pond)
    assert form == [
        mark(Mark.CACHE, 1),
        f"{__name__}.Pond",
        {"seen by": None, "inside": [Extension(Leaf.CACHED, b"\1")]},
    ]


def test_what_is_held_of_the_peers_goes_home_by_its_number_or_name() -> None:
    speech = slow()
    reference = speech.books.import_reference(7)
    copy = speech.books.import_cache(8, RemoteCache)
    assert speech.write([reference, speech.side.root, copy]) == [
        Extension(Leaf.LOCAL, b"\7"),
        Extension(Leaf.LOCAL_NAME, b"root"),
        Extension(Leaf.LOCAL_CACHE, b"\x08"),
    ]
    reference.release()
    with pytest.raises(DeadReferenceError, match="can't be sent: it was released"):
        speech.write([reference])
    with pytest.raises(ForeignReference):
        speech.write([Speech().side.root])
    with pytest.raises(ForeignReference):
        Speech().write([copy])


def test_an_exception_is_a_value_that_tells_what_str_tells() -> None:
    form = Speech().write([KeyError("x")])[0]
    assert form[:3] == [mark(Mark.FAILURE), "builtins.KeyError", "'x'"]
    assert form[3][:2] == ["builtins.KeyError", "builtins.LookupError"]
    assert form[4:] == [None, True, None]


def test_an_error_is_told_in_text_that_utf_8_has_a_form_for() -> None:
    error = RemoteError("a.\udc80", "\udc81", "\udc82", ("\udc83",))
    told = failure_form(error, raised=False, with_traceback=True)
    assert told[1:] == ["a.\\udc80", "\\udc81", ["\\udc83"], "\\udc82", True, None]
    _, name, text, _, traceback, raised, details = failure_form(ValueError("\udc81"), raised=False, with_traceback=True)
    assert (name, text, raised, details) == ("builtins.ValueError", "\\udc81", False, None)
    assert traceback.endswith("\\udc81\n")
    _, _, _, _, traceback, raised, _ = failure_form(RemoteError("a.B", "c", "d"), raised=False, with_traceback=False)
    assert (traceback, raised) == ("d", True)


def test_a_limit_is_told_with_its_numbers_whatever_their_size() -> None:
    form = failure_form(LimitExceeded("elements", 5, 2**70), raised=False, with_traceback=False)
    assert Speech().write([form])[0][6] == {
        "limit": "elements",
        "value": 5,
        "asked": Extension(Leaf.INT, b"\x40" + bytes(8)),
    }


# What may not cross.

Text = type("Text", (str,), {})
Number = type("Number", (int,), {})
Items = type("Items", (list,), {})
Table = type("Table", (dict,), {})


class Named(NamedTuple):
    a: int


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (object(), r"builtins\.object objects may not cross"),
        (1j, r"builtins\.complex objects may not cross"),
        (Text("x"), "Text objects may not cross"),
        (Number(1), "Number objects may not cross"),
        (Items(), "Items objects may not cross"),
        (Table(), "Table objects may not cross"),
        (Named(1), "Named objects may not cross"),
        (range(3), "range objects may not cross"),
        (BaseException(), "BaseException objects may not cross"),
        ("lone \udc80", "a str with lone surrogates has no UTF-8 form; send its bytes instead"),
        (json, "the module json may not cross; allow it with"),
        (len, "builtin_function_or_method objects may not cross"),
    ],
    ids=lambda side: repr(side)[:30].partition(" at 0x")[0],
)
@pytest.mark.parametrize("sharing", ["tree", "graph"])
def test_what_may_not_cross_is_refused_with_its_path(sharing: Any, value: object, words: str) -> None:
    speech = Speech(Settings(sharing=sharing))
    with pytest.raises(InsecureJelly, match=words) as caught:
        speech.say(MethodCall(1, b"root", "echo", ("first", {"key": [1, (2, {3: value})]}), {}))
    assert caught.value.path == "[1]['key'][1][1][3]"
    with pytest.raises(InsecureJelly, match=words) as caught:
        speech.say(MethodCall(1, b"root", "echo", (), {"first": 1, "name": [value]}))
    assert caught.value.path == "['name'][0]"
    assert speech.side.is_empty()


@pytest.mark.parametrize(
    ("key", "step"),
    [
        ("x" * 100, f"['{'x' * 50}'... of length 100]"),
        (b"x", "[b'x']"),
        (5, "[5]"),
        (2**70, "[an int of 71 bits]"),
        ((1,), "[a tuple of length 1]"),
    ],
    ids=lambda side: repr(side)[:20],
)
def test_a_key_in_a_path_is_short_whatever_it_is(key: Any, step: str) -> None:
    with pytest.raises(InsecureJelly) as caught:
        slow().write({key: object()})
    assert caught.value.path == step
    with pytest.raises(InsecureJelly) as caught:
        slow().write({Text("key"): 1})
    assert caught.value.path == "[" + repr("key") + "]"


def test_a_name_that_has_no_utf_8_form_is_refused_with_words() -> None:
    for call in (
        MethodCall(1, b"root", "\udc80", (), {}),
        MethodCall(1, b"root", "echo", (), {"\udc80": 1}),
        MethodCall(1, b"root", "echo", (Duck(**{"\udc80": 1}),), {}),
    ):
        with pytest.raises(InsecureJelly, match="surrogates"):
            Speech().say(call)


@pytest.mark.parametrize("tag", ["zoo.Tag", b"zoo.Tag"], ids=repr)
def test_a_tag_is_a_str_or_bytes(tag: str | bytes) -> None:
    class Tagged(Copyable):
        def get_type_to_copy(self) -> str | bytes:
            return tag

    class TaggedPond(Pond):
        def get_type_to_copy(self) -> str | bytes:
            return tag

    assert Speech().write(Tagged()) == [COPY, "zoo.Tag", {}]
    assert slow().write(TaggedPond())[1] == "zoo.Tag"


# Too deep.


def nested(depth: int, wrap: Any) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = wrap(value)
    return value


WRAPS: dict[str, Any] = {
    "list": lambda inside: [inside],
    "tuple": lambda inside: (inside,),
    "frozenset": lambda inside: frozenset([inside]),
    "map": lambda inside: {1: inside},
    "dictionary": lambda inside: {"1": inside},
    "plain copy": Point,
}


@pytest.mark.parametrize("wrap", WRAPS.values(), ids=WRAPS)
def test_what_is_nested_deeper_than_the_limit_is_refused_and_what_is_not_is_sent(wrap: Any) -> None:
    registry = Registry()
    registry.register_copyable(Point)
    levels = 2 if wrap is Point else 1
    for nesting in 20, 256:
        speech = slow(registry=registry, limits=Limits(nesting=nesting))
        # The codec writes 255 levels, of which two are the message and what holds its values.
        deepest = nested(min(nesting, 254) // levels, wrap)
        assert speech.write(deepest)
        for deeper in wrap(deepest), nested(1_000, wrap), nested(100_000, wrap):
            with pytest.raises(LimitExceeded, match=rf"over Limits\.nesting={min(nesting, 255)}|nesting={nesting}"):
                speech.write(deeper)


def test_what_is_too_deep_for_the_stack_is_over_the_limit_too() -> None:
    with pytest.raises(LimitExceeded, match=r"over Limits\.nesting=1000000"):
        slow(limits=Limits(nesting=1_000_000)).write(nested(100_000, WRAPS["list"]))


# Nothing stays entered that was not sent.


def test_what_was_entered_for_a_message_that_can_not_be_sent_is_taken_back() -> None:
    speech = slow()
    held, pond = Referenceable(), Pond()
    speech.write([held, pond])
    for bad in object(), nested(300, WRAPS["list"]), bytes(5_000_000)[::2] and [bytes(60_000)] * 100:
        with pytest.raises((InsecureJelly, LimitExceeded)):
            speech.write([held, Referenceable(), pond, Pond(), bad])
        assert speech.side.exports() == {1: 1}
        assert speech.side.cache_exports() == {2: 1}


def test_a_tree_that_turns_out_to_have_no_end_enters_everything_once() -> None:
    speech, thing, pond = Speech(), Referenceable(), Pond()
    cycle: list[Any] = [thing, pond, Duck(thing=thing)]
    cycle.append(cycle)
    form = speech.write(cycle)
    references = list(speech.side.exports().values())
    assert (references, list(speech.side.cache_exports().values())) == ([2], [1])
    assert form[1][-1] == again(1)


def test_more_than_may_be_exported_is_refused_and_taken_back() -> None:
    speech = slow(limits=Limits(references_exported=2))
    with pytest.raises(TooManyReferences):
        speech.write([Referenceable() for _ in range(3)])
    assert speech.side.is_empty()


# Policy.


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("None", None),
        ("boolean", True),
        ("str", "x"),
        ("list", []),
        ("tuple", ()),
        ("dictionary", {}),
        ("set", set()),
        ("frozenset", frozenset()),
        ("decimal", Decimal(1)),
    ],
    ids=lambda side: repr(side),
)
def test_what_the_policy_forbids_is_refused_at_any_depth(kind: str, value: Any) -> None:
    speech = Speech(Settings(policy=Policy(types=BASIC_TYPES - {kind})))
    with pytest.raises(InsecureJelly, match=r"by this policy; allow them with Policy\(types=\[...\]\)"):
        speech.write(value)
    carrier = (value,) if kind == "list" else [value]
    with pytest.raises(InsecureJelly):
        speech.write(carrier)
    assert speech.write(b"x") == b"x"


def test_errors_are_told_whatever_the_policy_forbids() -> None:
    speech = Speech(Settings(policy=Policy(types=[])))
    ((_, _, told),) = speech.say(CallFailed(1, Error("why")))
    assert told[2] == "why"
    ((_, _, values, failed),) = speech.say(BatchAnswer(1, [5, CallFailed(1, Error("why"))], [None, None]))
    assert values[0] == 5
    assert failed[0][1][2] == "why"


# Many eyes.


def test_what_one_perspective_has_seen_is_not_what_another_one_sees() -> None:
    class Report(Copyable):
        def get_state_to_copy_for(self, perspective: Any) -> Any:
            return {"for": perspective}

    report = Report()
    shared = [report]
    for sharing in FORMS:
        speech = Speech(Settings(sharing=sharing))
        ((_, _, values, _),) = speech.say(
            BatchAnswer(1, [shared, report, report, shared], ["Alice", "Alice", "Bob", "Bob"])
        )
        there = Speech(Settings(registry=knowing(Report)))
        read = there.read(values)
        assert [read[0][0], read[1], read[2], read[3][0]] == [
            {"for": name} for name in ("Alice", "Alice", "Bob", "Bob")
        ]


def knowing(sender: type) -> Registry:
    registry = Registry()
    registry.register_factory(lambda state: state, sender)
    return registry


def test_a_result_of_a_batch_that_can_not_be_sent_fails_alone_and_leaves_nothing() -> None:
    for limits, words in (Limits(), "nesting=256"), (Limits(nesting=1_000_000), "nesting=1000000"):
        speech, kept = Speech(Settings(limits=limits)), [Referenceable(), Pond()]
        bad = [Referenceable(), Pond(), bytes(OUT_OF_BAND), nested(100_000, WRAPS["list"])]
        buffer, (_, _, values, failed) = speech.say(BatchAnswer(1, [kept, bad, [{1: bytes(OUT_OF_BAND)}]], [None] * 3))
        assert buffer == bytes(OUT_OF_BAND)
        assert (len(values[0]), values[1:]) == (2, [None, [[MAP, 1, Extension(Leaf.BUFFER, b"\0")]]])
        ((place, told),) = failed
        assert (place, told[1].rpartition(".")[2], words in told[2]) == (1, "LimitExceeded", True)
        assert (list(speech.side.exports().values()), list(speech.side.cache_exports().values())) == ([1], [1])


def test_a_result_of_a_batch_that_contains_itself_is_numbered_and_entered_once() -> None:
    speech = Speech()
    cycle: list[Any] = [Referenceable(), Pond()]
    cycle.append(cycle)
    ((_, _, values, failed),) = speech.say(BatchAnswer(1, [5, cycle], [None] * 2))
    assert (values[0], values[1][0], values[1][1][2], failed) == (5, mark(Mark.SHARED, 1), again(1), [])
    assert (list(speech.side.exports().values()), list(speech.side.cache_exports().values())) == ([1], [1])


def test_an_encoder_that_was_found_is_remembered_for_its_connection_alone() -> None:
    encoders = find_encoders(BASIC_TYPES)
    assert encoders is not find_encoders(BASIC_TYPES)
    assert Encoder(Speech().books, shares=False)._encoders is not Encoder(Speech().books, shares=False)._encoders


def test_a_call_inside_an_argument_is_refused_with_the_way_out() -> None:
    pair = Pair()
    call = pair.root.call("echo", 1)
    promise: Any = pair.root.call("echo", [{"x": call}])
    with pytest.raises(InsecureJelly, match=r"await it first") as caught:
        promise.result()
    assert caught.value.path == "[0][0]['x']"
