"""How messages of the native dialect are written."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import ormsgpack
import pytest

from pellucid.core.caches import update_all
from pellucid.errors import Error, InsecureJelly, LimitExceeded, NoSuchMethod
from pellucid.flavors.cacheable import Cacheable, RemoteCache
from pellucid.flavors.copyable import Copyable, RemoteCopy
from pellucid.flavors.policy import BASIC_TYPES, Policy
from pellucid.flavors.referenceable import Referenceable
from pellucid.flavors.registry import Registry
from pellucid.limits import Limits
from pellucid.wire.messages import Answer, Batch, BatchAnswer, CallFailed, Command, Promised, SharedUpdate
from pellucid.wire.native.codes import Kind, Leaf, Mark
from pellucid.wire.native.frames import BufferedMessage, frame
from tests.pair import Desk, Extension, Pair, Settings
from tests.unit.wire.native.speech import Speech, call, mark

TUPLE = mark(Mark.TUPLE)
PROMISE = Extension(Leaf.PROMISE, b"\7")


# Numbers and short texts, in one step.

SCALARS: list[Any] = [None, True, False, 0, -1, 2**64 - 1, -(2**63), 1.5, -0.0, "", "naïve", "x" * 200]


@pytest.mark.parametrize("sharing", ["tree", "graph"])
def test_a_plain_call_has_the_bytes_that_any_call_has(sharing: Any) -> None:
    dialect = Speech(Settings(sharing=sharing)).dialect
    for target in b"root", b"", "naïve".encode(), b"\xff", 1, 300, 2**40:
        for args in (), *((value,) for value in SCALARS), tuple(SCALARS):
            data = dialect.encode_plain_call(7, target, "echo", args)
            assert data == dialect.encode(call(7, target, args=args)) is not None


@pytest.mark.parametrize("sharing", ["tree", "graph"])
def test_a_plain_answer_has_the_bytes_that_any_answer_has(sharing: Any) -> None:
    dialect = Speech(Settings(sharing=sharing)).dialect
    for value in SCALARS:
        assert dialect.encode_plain_answer(2**40, value) == dialect.encode(Answer(2**40, value)) is not None


class Text(str): ...


@pytest.mark.parametrize(
    "value",
    [
        2**64,
        -(2**63) - 1,
        "\udc80",
        Text("x"),
        b"x",
        bytearray(b"x"),
        memoryview(b"x"),
        [],
        (1,),
        {"x": 1},
        {1},
        Decimal(1),
        Promised(1),
        Referenceable(),
        object(),
        "x" * 1024,
    ],
    ids=lambda value: type(value).__name__ + ascii(value)[:10],
)
def test_what_is_no_number_or_short_text_is_not_written_in_one_step(value: Any) -> None:
    dialect = Speech().dialect
    assert dialect.encode_plain_call(7, b"root", "echo", (1, value)) is None
    assert dialect.encode_plain_answer(7, value) is None


def test_the_name_of_a_method_that_has_no_utf_8_form_is_left_to_those_who_have_words_for_it() -> None:
    assert Speech().dialect.encode_plain_call(7, b"root", "\udc80", ()) is None


@pytest.mark.parametrize("kind", sorted(BASIC_TYPES))
def test_where_some_kind_of_plain_value_may_not_cross_nothing_is_written_in_one_step(kind: str) -> None:
    dialect = Speech(Settings(policy=Policy(types=BASIC_TYPES - {kind}))).dialect
    assert dialect.encode_plain_call(7, b"root", "echo", ()) is None
    assert dialect.encode_plain_answer(7, 1) is None


def test_what_is_written_in_one_step_is_short_and_within_the_limit_to_the_byte() -> None:
    for most in 30, 1023, 5_000:
        dialect, length = Speech(Settings(limits=Limits(inline_bytes=most))).dialect, min(most, 1023)
        around_call = len(ormsgpack.packb([1, 7, "root", "echo", ["x" * (length - 20)]])) - (length - 20)
        around_answer = len(ormsgpack.packb([5, 7, "x" * (length - 10)])) - (length - 10)
        assert len(dialect.encode_plain_call(7, b"root", "echo", ("x" * (length - around_call),)) or b"") == 4 + length
        assert dialect.encode_plain_call(7, b"root", "echo", ("x" * (length - around_call + 1),)) is None
        assert len(dialect.encode_plain_answer(7, "x" * (length - around_answer)) or b"") == 4 + length
        assert dialect.encode_plain_answer(7, "x" * (length - around_answer + 1)) is None


def test_limits_that_change_count_at_once_for_what_is_written_in_one_step() -> None:
    speech = Speech()
    assert speech.dialect.encode_plain_answer(7, "x" * 100) is not None
    speech.side.broker.limits = Limits(inline_bytes=50)
    speech.dialect.bound(speech.side.broker.limits)
    assert speech.dialect.encode_plain_answer(7, "x" * 100) is None


def test_an_object_that_an_answer_has_no_room_for_is_not_entered() -> None:
    thing, settings = Referenceable(), Settings()
    assert Speech(settings).say(Answer(2**62, thing))  # from now on it is known how such objects are written
    written: list[int] = []
    for size in (5, 20, 32, 1_000):
        speech = Speech(replace(settings, limits=Limits(inline_bytes=size)))
        data = speech.dialect.encode_plain_answer(2**62, thing)
        assert len(speech.books.exports) == (data is not None)
        written += [len(data)] if data is not None else []
    assert written
    assert max(written) <= 32


# Commands of an application's own.


def test_a_command_is_an_s_expression_with_ints_of_any_size() -> None:
    command = Command([b"join", 2**64, (1.5, [True]), b""])
    assert Speech().say(command) == [
        [Kind.COMMAND, [b"join", Extension(Leaf.INT, b"\1" + bytes(8)), [1.5, [True]], b""]]
    ]


@pytest.mark.parametrize(
    ("inside", "kind"), [("x", "str"), (None, "NoneType"), ({}, "dict"), ([[{1}]], "set"), (Referenceable(), "Ref")]
)
def test_a_command_with_something_else_in_it_is_not_sent(inside: Any, kind: str) -> None:
    with pytest.raises(InsecureJelly, match=f"a command is lists of bytes and numbers: this one holds a {kind}"):
        Speech().say(Command([b"join", inside]))


def test_a_command_is_held_to_the_limits() -> None:
    speech = Speech(Settings(limits=Limits(inline_bytes=100, nesting=3)))
    around = len(ormsgpack.packb([17, [b"join", bytes(50)]])) - 50
    assert speech.say(Command([b"join", bytes(100 - around)]))
    with pytest.raises(LimitExceeded, match=r"over Limits\.inline_bytes=100: 101 asked"):
        speech.say(Command([b"join", bytes(101 - around)]))
    assert speech.say(Command([b"join", [[1]]]))
    with pytest.raises(LimitExceeded, match=r"over Limits\.nesting=3"):
        speech.say(Command([b"join", [[[1]]]]))


# Errors.


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


# Large buffers.


def test_what_may_depend_on_a_message_with_buffers_does_not_overtake_it() -> None:
    large = bytes(100_000)
    encode = Speech().dialect.encode
    cases: list[tuple[Any, bool]] = [
        (call(9, args=(large,)), False),
        (call(9, args=(Referenceable(), large)), True),
        (call(9, args=(Referenceable(), [large] * 3)), True),
        (call(9, kwargs={"x": Cacheable(), "y": large}), True),
        (call(9, 5, args=(large,), to_cache=True), True),
        (Answer(9, large), False),
        (Answer(9, [Referenceable(), [large] * 3]), True),
        (CallFailed(9, Rich(large)), False),
        (Batch(9, [call(0, args=([large] * 3,))]), False),
        (BatchAnswer(9, [[large] * 3], [None]), False),
    ]
    for message, is_barrier in cases:
        bulk = encode(message)
        if isinstance(message, CallFailed):
            assert isinstance(bulk, bytes)  # it is not looked for in a copyable that is short
            continue
        assert isinstance(bulk, BufferedMessage)
        assert bulk.is_barrier is is_barrier


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


def test_what_many_copies_are_told_is_encoded_once_whatever_their_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    speech, update = Speech(), SharedUpdate("ducks", (5,), {"x": 1})
    told = [speech.dialect.encode_shared(7, update)]
    packed: list[Any] = []

    def packb(value: Any, *rest: Any) -> bytes:
        packed.append(value)
        return ormsgpack.packb(value, *rest)

    monkeypatch.setattr("pellucid.wire.native.writing.packb", packb)
    told += [Speech().dialect.encode_shared(number, update) for number in (7, 8, 300)]
    assert [value for value in packed if type(value) is not int] == []
    assert told[0] == told[1]
    for number, data in zip((7, 7, 8, 300), told, strict=True):
        assert data is not None
        (read,) = Speech().hear([Kind.NOTIFY.value, 0, number, "ducks", [5], {"x": 1}])
        speech.dialect.receive_data(data)
        assert speech.heard() == [read]


@pytest.mark.parametrize("kwargs", [{}, {"x": 1}])
def test_what_many_copies_are_told_has_no_keyword_arguments_where_there_are_none(kwargs: dict[str, Any]) -> None:
    told = Speech().dialect.encode_shared(7, SharedUpdate("ducks", (5,), kwargs))
    body = ormsgpack.packb([Kind.NOTIFY.value, 0, 7, "ducks", [5], *([kwargs] if kwargs else [])])
    assert told == frame(body)


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


def test_an_update_is_told_alike_where_sharing_is_kept_unless_something_in_it_might_be_met_twice() -> None:
    graph = Speech(Settings(sharing="graph"))
    flat: list[Any] = [5, "x", [1, b"2", None], {"x": 1.5, "y": True}]
    for value in flat:
        update = SharedUpdate("ducks", (value, *"xy"), {"z": 5})
        assert graph.dialect.encode_shared(7, update) == Speech().dialect.encode_shared(7, update) is not None
    deeper: list[Any] = [[[]], {"x": [1]}, [(1,)]]
    for value in deeper:
        assert graph.dialect.encode_shared(7, SharedUpdate("ducks", (value,), {})) is None
        assert graph.dialect.encode_shared(7, SharedUpdate("ducks", (), {"x": value})) is None
    twice = [5]
    for update in SharedUpdate("ducks", (twice, twice), {}), SharedUpdate("ducks", (twice,), {"x": twice}):
        assert graph.dialect.encode_shared(7, update) is None
    assert graph.dialect.encode_shared(7, SharedUpdate("ducks", ([5], [5]), {"x": [5]})) is not None


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
