"""The fast way to write values, and when the slow one is taken."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from typing import Any
from uuid import UUID

import ormsgpack
import pytest

from pellucid.errors import InsecureJelly, LimitExceeded, TooManyReferences
from pellucid.flavors.cacheable import Cacheable
from pellucid.flavors.copyable import Copyable, RemoteCopy
from pellucid.flavors.policy import BASIC_TYPES, Policy
from pellucid.flavors.referenceable import Referenceable, Viewable, Viewpoint
from pellucid.flavors.registry import Registry
from pellucid.limits import Limits
from pellucid.wire.dialect import Sharing
from pellucid.wire.messages import Answer, Promised
from pellucid.wire.native.codes import Leaf, Mark
from pellucid.wire.native.encoder import OPTIONS, Encoder, is_large
from pellucid.wire.native.lowering import OUT_OF_BAND
from tests.pair import Extension, Pair, Promise, Settings
from tests.unit.wire.native.speech import Speech, mark

FORMS: tuple[Sharing, ...] = "tree", "graph"
TUPLE, COPY = mark(Mark.TUPLE), mark(Mark.COPY)


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often messages were written slowly."""
    taken: Counter[str] = Counter()
    slowly = Encoder._pack_slowly

    def noted(*args: Any, **options: Any) -> Any:
        taken["slow"] += 1
        return slowly(*args, **options)

    monkeypatch.setattr(Encoder, "_pack_slowly", noted)
    return taken


class Duck(Copyable):
    """Counts how often it is asked for its state."""

    def __init__(self, state: Any = None) -> None:
        self.state = state
        self.asked = 0

    def get_state_to_copy(self) -> Any:
        self.asked += 1
        return {"state": self.state}


DUCK = f"{__name__}.Duck"


# Fast.


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ([1, {"x": [None, True, 2.5, b"x", "naïve"]}], [1, {"x": [None, True, 2.5, b"x", "naïve"]}]),
        ((1, (2,)), [TUPLE, 1, [TUPLE, 2]]),
        ({5}, [mark(Mark.SET), 5]),
        (frozenset(), [mark(Mark.FROZENSET)]),
        (2**64, Extension(Leaf.INT, b"\1" + bytes(8))),
        (2**64 - 1, 2**64 - 1),
        (-(2**63), -(2**63)),
        (Decimal(1), Extension(Leaf.DECIMAL, b"1")),
        (UUID(int=0), Extension(Leaf.UUID, bytes(16))),
        (Promised(5), Extension(Leaf.PROMISE, b"\5")),
        (bytearray(b"x"), b"x"),
        (memoryview(b"x"), b"x"),
        (Referenceable(), Extension(Leaf.REMOTE, b"\1")),
        (Duck(1), [COPY, DUCK, {"state": 1}]),
    ],
    ids=lambda side: repr(side)[:40].partition(" at 0x")[0],
)
def test_what_the_codec_can_write_or_asks_for_is_written_at_once(value: Any, form: Any, ways: Counter[str]) -> None:
    assert Speech().write(value) == form
    assert not ways


def test_what_the_two_ways_write_is_the_same(ways: Counter[str]) -> None:
    value = [1, (2, {3}), {"x": 2**70, "y": Duck((1,))}, frozenset([Decimal(1)]), [], {}, b"x" * 1000]
    fast, slow = Speech().write([value]), Speech().write([value, {1: 1}])
    assert fast == slow[:1]
    assert ways == {"slow": 1}


def test_objects_of_the_peers_go_home_at_once(ways: Counter[str]) -> None:
    speech = Speech()
    reference = speech.books.import_reference(7)
    assert speech.write([reference, speech.side.root]) == [
        Extension(Leaf.LOCAL, b"\7"),
        Extension(Leaf.LOCAL_NAME, b"root"),
    ]
    assert not ways


def test_what_is_viewable_is_seen_by_the_perspective(ways: Counter[str]) -> None:
    class Board(Viewable): ...

    speech, board = Speech(), Board()
    assert speech.write([board], "Alice") == [Extension(Leaf.REMOTE, b"\1")]
    view = speech.books.exports.original(1)
    assert isinstance(view, Viewpoint)
    assert (view.perspective, view.object) == ("Alice", board)
    assert not ways


# Slow, where it must be.


@pytest.mark.parametrize(
    "value",
    [{1: 2}, {"x": {(1, 2): 3}}, {b"x": 1}, Cacheable(), KeyError("x"), bytes(OUT_OF_BAND), [bytes(5 * OUT_OF_BAND)]],
    ids=lambda value: type(value).__name__ + str(len(str(value)))[:6],
)
def test_what_the_codec_has_no_form_for_is_written_one_by_one(value: Any, ways: Counter[str]) -> None:
    Speech().write(value)
    assert ways == {"slow": 1}


def test_where_some_plain_values_may_not_cross_or_structure_is_shared_the_codec_is_not_asked(
    ways: Counter[str],
) -> None:
    Speech(Settings(policy=Policy(types=BASIC_TYPES - {"uuid"}))).write(1)
    assert ways == {"slow": 1}
    graph = Speech(Settings(sharing="graph"))
    linked: list[Any] = [[[]], [(1,)], {"x": {}}, (1,), Referenceable()]
    for value in linked:
        graph.write(value)
    assert ways == {"slow": 6}
    flat: list[Any] = [1, "x", [1, b"2", None, "x"], [], {"x": 1.5, "y": True}]
    for value in flat:
        graph.write(value)  # in which nothing can be met twice
    assert ways == {"slow": 6}


def test_a_copyable_is_asked_once_a_message_whatever_way_it_is_written() -> None:
    registry = Registry()
    registry.register(RemoteCopy, Duck)
    for beside in 1, {1: 2}, Cacheable(), [bytes(300_000)]:
        duck = Duck()
        Speech().write([duck, beside, duck])
        assert duck.asked == 1
        Speech().write(duck)
        assert duck.asked == 2
    endless = Duck()
    endless.state = [endless]
    speech = Speech()
    assert speech.write(endless)[0] == mark(Mark.SHARED, 1)
    assert endless.asked == 1
    with pytest.raises(InsecureJelly):
        speech.write([endless, object()])
    assert endless.asked == 2


class Refusing(Copyable):
    def __init__(self, error: BaseException) -> None:
        self.error = error
        self.asked = 0

    def get_state_to_copy(self) -> Any:
        self.asked += 1
        raise self.error


@pytest.mark.parametrize(
    "error", [LookupError("no state today"), TypeError("no"), ValueError("no"), KeyboardInterrupt()], ids=repr
)
@pytest.mark.parametrize("beside", [1, {1: 2}], ids=repr)
def test_what_a_hook_raises_is_raised_as_it_is_and_once(error: BaseException, beside: Any) -> None:
    refusing, speech = Refusing(error), Speech()
    with pytest.raises(type(error)) as caught:
        speech.write([Referenceable(), beside, refusing])
    assert caught.value is error
    assert refusing.asked == 1
    assert speech.side.is_empty()
    assert speech.write(1) == 1


def test_a_registered_class_whose_field_is_missing_says_so_itself() -> None:
    class Point:
        __struct_fields__ = ("x",)

    registry = Registry()
    registry.register_copyable(Point)
    with pytest.raises(AttributeError, match="x"):
        Speech(Settings(registry=registry)).write([Point()])


# What is entered, and taken back.


def test_nothing_stays_entered_that_was_not_sent(ways: Counter[str]) -> None:
    speech = Speech(Settings(limits=Limits(references_exported=2)))
    held = Referenceable()
    speech.write([held, held])
    for bad in [object()], [Referenceable(), Referenceable()], ["\udc80"], ["x" * 5_000_000]:
        with pytest.raises((InsecureJelly, TooManyReferences, LimitExceeded)):
            speech.write([held, Referenceable(), bad])
        assert speech.side.exports() == {1: 2}
    assert ways == {"slow": 3}


@pytest.mark.parametrize("buffer", [b"", bytes(OUT_OF_BAND - 1), bytes(OUT_OF_BAND), bytearray(OUT_OF_BAND)])
def test_what_is_too_long_is_written_again_where_large_buffers_are_in_it(buffer: Any, ways: Counter[str]) -> None:
    speech = Speech(Settings(limits=Limits(inline_bytes=OUT_OF_BAND + 100)))
    assert speech.write([["x" * 60], bytearray(OUT_OF_BAND)])
    ways.clear()
    with pytest.raises(LimitExceeded, match=r"over Limits.inline_bytes="):
        speech.write([["x" * OUT_OF_BAND], {"key": [buffer, "x" * 200]}])
    assert ways == ({"slow": 1} if len(buffer) >= OUT_OF_BAND else {})


def test_what_was_entered_on_the_fast_way_is_entered_once_on_the_slow_one() -> None:
    speech, thing = Speech(), Referenceable()
    form = speech.write([thing, thing, {1: thing}])
    ((number, count),) = speech.side.exports().items()
    assert count == 3
    assert form[0] == Extension(Leaf.REMOTE, bytes([number]))


def test_a_message_that_is_sent_while_another_is_written_does_not_mix_with_it() -> None:
    pair = Pair()
    inner: list[Promise] = []

    class Calling(Copyable):
        def get_state_to_copy(self) -> object:
            promise: Any = pair.root.call("echo", Referenceable(), *inner)
            inner.append(promise)
            return {"bad": bad}

    for bad in object(), Refusing(LookupError("inside")):  # noqa: B007 - the hook uses it
        with pytest.raises((InsecureJelly, LookupError)):
            pair.call(pair.root, "echo", Referenceable(), Calling())
    assert len(inner) == 2  # the hook ran once a message
    assert isinstance(inner[0].result(), Referenceable)
    pair.settle()
    assert pair.client.is_empty()


def test_a_message_that_is_sent_while_another_is_written_leaves_its_perspective() -> None:
    speech = Speech()

    class Board(Viewable): ...

    class Saying(Copyable):
        def get_state_to_copy(self) -> object:
            speech.dialect.encode(Answer(2, Board(), "Bob"))
            return {"board": board}

    board = Board()
    speech.write([Saying(), board], "Alice")
    views: list[Any] = [speech.books.exports.original(number) for number in speech.side.exports()]
    assert [view.perspective for view in views if view.object is board] == ["Alice"]


# Large.


def test_large_buffers_are_found_where_there_are_few_other_values(ways: Counter[str]) -> None:
    large = bytes(5 * OUT_OF_BAND)
    for value in [large], {"x": (large,)}, [[[large]]], [1] * 900 + [large]:
        *chunks, _ = Speech().say(Answer(1, value))
        assert b"".join(chunks) == large
    assert len(Speech().say(Answer(1, [[0] * 1000, [[large]]]))) == 1  # it is not looked for far, only to save a copy
    assert ways == {"slow": 4}


def test_what_is_no_large_buffer_leaves_with_its_message(ways: Counter[str]) -> None:
    many = [bytes(OUT_OF_BAND - 1)] * 20
    assert Speech().write(many) == many
    assert not ways
    assert [is_large(value) for value in (bytes(OUT_OF_BAND), bytes(OUT_OF_BAND - 1), "x" * OUT_OF_BAND, 5)] == [
        True,
        False,
        False,
        False,
    ]
    assert is_large(memoryview(bytes(OUT_OF_BAND)).cast("d"))


def test_a_message_without_large_buffers_that_is_too_long_is_refused_to_the_byte() -> None:
    speech = Speech(Settings(limits=Limits(inline_bytes=1_000)))
    around = len(speech.dialect.encode(Answer(1, [b"x" * 300]))) - 4 - 300  # type: ignore[arg-type]
    assert speech.write([b"x" * (1_000 - around)])
    with pytest.raises(LimitExceeded, match=r"over Limits.inline_bytes=1000: 1001 asked"):
        speech.write([b"x" * (1_001 - around)])


# What the codec would write and we would not.


@pytest.mark.parametrize("cls", [str, int, float, bytes, bytearray, list, dict, tuple, set, frozenset, Decimal])
def test_an_instance_of_a_subclass_of_a_plain_type_is_refused_with_its_path(cls: type) -> None:
    of_its_own = type("OfItsOwn", (cls,), {})()
    for sharing in FORMS:
        with pytest.raises(InsecureJelly, match="OfItsOwn objects may not cross") as caught:
            Speech(Settings(sharing=sharing)).write([[1, of_its_own]])
        assert caught.value.path == "[0][1]"


def test_an_instance_of_a_subclass_of_str_is_no_key() -> None:
    key = type("Key", (str,), {})("x")
    with pytest.raises(InsecureJelly, match="Key objects may not cross"):
        Speech().write([{key: 1}])


def test_forms_of_the_codecs_own_are_refused_where_values_are_written_one_by_one() -> None:
    for own in ormsgpack.Ext(16, b"\1"), ormsgpack.Fragment(b"\1"):
        with pytest.raises(InsecureJelly, match="objects may not cross"):
            Speech().write([own, {1: 2}])


def test_what_may_not_cross_at_all_is_refused_by_name() -> None:
    for value, words in (json, "the module json may not cross"), (object(), "builtins.object objects may not cross"):
        with pytest.raises(InsecureJelly, match=words):
            Speech().write(value)


def test_every_option_passes_values_on_to_us() -> None:
    assert OPTIONS & ormsgpack.OPT_PASSTHROUGH_SUBCLASS
    assert not OPTIONS & ormsgpack.OPT_NON_STR_KEYS  # it flattens keys that it does not know
    assert set(Encoder(Speech().books, shares=False)._fast) >= {tuple, set, frozenset, int}


def test_each_result_of_a_batch_is_seen_by_its_own_perspective() -> None:
    class Report(Copyable):
        def get_state_to_copy_for(self, perspective: Any) -> Any:
            return {"for": perspective}

    speech, report = Speech(), Report()
    encoder = Encoder(speech.books, shares=False)
    body, buffers, _ = encoder.pack_for_each([16, 1, [report, report], []], ["Alice", "Bob"])
    states = [form[2] for form in ormsgpack.unpackb(body, ext_hook=Extension)[2]]
    assert (states, buffers) == ([{"for": "Alice"}, {"for": "Bob"}], [])


def test_more_bytes_in_large_buffers_than_the_limit_says_are_refused_and_nothing_stays_entered() -> None:
    speech = Speech(Settings(limits=Limits(buffer_bytes=200_000)))
    assert speech.say(Answer(1, [bytes(100_000), {1: bytes(100_000)}]))
    with pytest.raises(LimitExceeded, match=r"over Limits.buffer_bytes=200000: 200001 asked"):
        speech.write([Referenceable(), bytes(100_000), {1: bytes(100_001)}])
    assert speech.side.is_empty()


@pytest.mark.parametrize(
    "wrap", [lambda inside: [inside], lambda inside: (inside,), lambda inside: {"x": inside}], ids="[({"
)
def test_what_the_codec_can_not_nest_is_too_deep(wrap: Any) -> None:
    speech = Speech()
    value: Any = 1
    for _ in range(254):
        value = wrap(value)
    for deeper in range(3):
        with pytest.raises(LimitExceeded, match=r"over Limits.nesting=25[56]"):
            speech.write([Referenceable(), value])
        value = wrap(value)
        assert speech.side.is_empty(), deeper


def test_what_the_codec_can_not_write_for_another_reason_is_refused_with_words() -> None:
    registry = Registry()
    registry.register_factory(lambda state: state, "\udc80")

    class Odd(Copyable):
        def get_type_to_copy(self) -> str:
            return "\udc80"

    with pytest.raises(InsecureJelly, match="the values have no msgpack form"):
        Speech().write([Referenceable(), Odd()])


def test_what_the_codec_itself_runs_out_of_is_told_and_nothing_stays_entered(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_memory(message: Any, default: Any, options: int) -> bytes:
        default(thing)
        raise MemoryError

    speech, thing = Speech(), Referenceable()
    monkeypatch.setattr("pellucid.wire.native.encoder.packb", without_memory)
    with pytest.raises(MemoryError):
        speech.write([thing])
    assert speech.side.is_empty()
