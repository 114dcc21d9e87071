from __future__ import annotations

import gc
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.testing import StringTransport
from twisted.spread import banana, jelly  # noqa: TID251 - what ours are compared with

from pellucid.flavors.cacheable import RemoteCache
from pellucid.flavors.copyable import RemoteCopy
from pellucid.flavors.registry import Registry
from pellucid.limits import Limits
from pellucid.wire.dialects import dialects_named
from pellucid.wire.pb.vocabulary import WORDS
from tests.interop.peers.samples import SAMPLES, describe
from tests.pair import Jelly, Pair, Settings, Stranger, write

# Plain values, alone.


def without_sign_of_zero(number: Decimal) -> Decimal:
    return number if number else abs(number)


def without_fold(moment: Any) -> Any:
    return moment.replace(fold=0)


# PB has no place for the sign of a Decimal zero, nor for which of two equal hours it is.
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(1 - 2**448, 2**448 - 1),
    st.floats(),
    st.text(st.characters(codec="utf-8")),
    st.binary(),
    st.sampled_from(sorted(WORDS.values())),
    st.decimals(allow_nan=False, allow_infinity=False).map(without_sign_of_zero),
    st.datetimes().map(without_fold),
    st.dates(),
    st.times().map(without_fold),
    st.timedeltas(),
)


# Plain values, with structure: shared, and in cycles.


@st.composite
def graphs(draw: st.DrawFn) -> Any:
    """Containers that hold each other in any way that Python can build."""
    plain: list[Any] = draw(st.lists(leaves, max_size=4))
    shells: list[Any] = [make() for make in draw(st.lists(st.sampled_from([list, dict, set]), max_size=4))]
    hashable, everything = list(plain), [*plain, *shells]

    def some(of: list[Any]) -> list[Any]:
        return draw(st.lists(st.sampled_from(of), max_size=4)) if of else []

    for make in draw(st.lists(st.sampled_from([tuple, frozenset]), max_size=4)):
        members = some(everything if make is tuple and draw(st.booleans()) else hashable)
        value = make(members)
        everything.append(value)
        if all(any(member is other for other in hashable) for member in members):
            hashable.append(value)
    for shell in shells:
        match shell:
            case list():
                shell += some(everything)
            case dict():
                shell.update(zip(some(hashable), some(everything), strict=False))
            case _:
                shell.update(some(hashable))
    return draw(st.sampled_from([*everything, everything]))


values = leaves | graphs()


@given(values)
def test_every_plain_value_is_read_back_with_its_structure(value: Any) -> None:
    ours = Jelly()
    assert describe(ours.read(ours.write(value))) == describe(value)


@settings(max_examples=50)
@given(values, st.sampled_from(["pb", "none"]), st.lists(st.integers(1, 30), min_size=1))
def test_every_plain_value_crosses_the_wire_and_comes_back(value: Any, dialect: str, pieces: list[int]) -> None:
    pair = Pair(client=Settings(dialects=dialects_named([dialect])))
    pair.to_server.pieces, pair.to_client.pieces = iter(pieces), iter(pieces[::-1])
    assert describe(pair.call(pair.root, "echo", value)) == describe(value)


@given(leaves | st.lists(leaves) | st.dictionaries(st.text(), leaves))
def test_what_is_read_can_be_written_again(value: Any) -> None:
    ours = Jelly()
    written = ours.write(value)
    assert write(ours.write(ours.read(written)), "pb") == write(written, "pb")


# The same bytes as Twisted's.


twisteds_banana: Any = banana
twisteds_jelly: Any = jelly
make_transport: Any = StringTransport


def twisteds_bytes(expression: Any, dialect: bytes) -> bytes:
    transport, speaker = make_transport(), twisteds_banana.Banana(isClient=False)
    speaker.makeConnection(transport)
    transport.clear()
    speaker._selectDialect(dialect)
    speaker.sendEncoded(expression)
    return bytes(transport.value())


def check_against_twisted(value: Any) -> None:
    theirs = twisteds_jelly.jelly(value)
    ours = Jelly().write(value)
    assert repr(ours) == repr(theirs)
    for dialect in "pb", "none":
        assert write(ours, dialect) == twisteds_bytes(theirs, dialect.encode())
    assert describe(Jelly().read(theirs)) == describe(value)


@given(values)
def test_every_plain_value_is_written_as_twisted_writes_it(value: Any) -> None:
    check_against_twisted(value)


@pytest.mark.parametrize("name", SAMPLES)
def test_each_sample_is_written_as_twisted_writes_it_and_read_by_twisted(name: str) -> None:
    value = SAMPLES[name]()
    check_against_twisted(value)
    assert describe(twisteds_jelly.unjelly(Jelly().write(value))) == describe(value)


@given(leaves | st.lists(leaves) | st.dictionaries(st.integers(), st.tuples(leaves)))
def test_twisted_reads_what_is_written_here(value: Any) -> None:
    assert describe(twisteds_jelly.unjelly(Jelly().write(value))) == describe(value)


# Hostile expressions.


class Copy(RemoteCopy):
    def post_unjelly(self) -> None: ...


class Cache(RemoteCache):
    pass


REGISTRY = Registry()
REGISTRY.register(Copy, "copy")
REGISTRY.register(Cache, "cache")
REGISTRY.register_factory(lambda state: [state], "factory")
HOSTILE = Settings(registry=REGISTRY, limits=Limits(expanded_elements=500, odd_keys=5, references_imported=5))

tags = st.sampled_from(
    [
        *sorted(WORDS.values()),
        *(b"unicode", b"boolean", b"set", b"frozenset", b"decimal", b"datetime", b"date", b"time", b"timedelta"),
        *(b"copy", b"cache", b"factory", b"bad.Tag", b"method", b"twisted.spread.pb.CopyableFailure"),
    ]
)
atoms = st.one_of(
    st.integers(0, 3),
    st.integers(1 - 2**448, 2**448 - 1),
    st.floats(),
    tags,
    st.sampled_from([b"", b"\xff", b"true", b"1 2 3", b"2024 1 2 3 4 5 6", b"root", b"name"]),
)
hostile = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.builds(lambda tag, rest: [tag, *rest], tags, st.lists(inner, max_size=4)),
        st.builds(lambda number, what: [b"reference", number, what], st.integers(0, 3), inner),
        st.builds(lambda pairs: [b"dictionary", *map(list, pairs)], st.lists(st.tuples(inner, inner), max_size=3)),
        st.lists(inner, max_size=3),
    ),
    max_leaves=25,
)

DOCUMENTED = {
    b"twisted.spread.jelly.InsecureJelly",
    b"twisted.spread.pb.Error",
    b"pellucid.errors.RemoteProtocolError",
    b"pellucid.errors.LimitExceeded",
    b"pellucid.errors.TooManyReferences",
}


def let_go(stranger: Stranger) -> list[Any]:
    """What a broker says once nothing refers to what it was sent."""
    desk: Any = stranger.side.published
    desk.kept.clear()
    heard = stranger.hear()
    if not stranger.side.is_empty():
        gc.collect()
    return heard + stranger.hear()


@settings(max_examples=300)
@given(st.lists(hostile, max_size=3))
def test_hostile_arguments_come_to_a_documented_error_or_to_nothing(arguments: list[Any]) -> None:
    stranger = Stranger(settings=HOSTILE)
    heard = stranger.call("keep", *arguments)
    answers = [message for message in heard if message[0] in (b"answer", b"error")]
    assert len(answers) == 1
    if answers[0][0] == b"error":
        (_, _, (_, (_, *pairs))) = answers[0]
        failure = {key[1]: value for key, value in pairs}
        assert failure[b"type"] in DOCUMENTED, (failure[b"type"], failure[b"value"])
    let_go(stranger)
    for number in range(4):
        stranger.say([b"uncache", number])
    assert not stranger.side.is_closed
    assert len(stranger.side.broker.books.imports) == 0
    assert stranger.call("echo", 1) == [[b"answer", 1, 1]]


@settings(max_examples=200)
@given(st.sampled_from([b"answer", b"error"]), hostile)
def test_a_hostile_answer_ends_its_call_and_no_other(command: bytes, expression: Any) -> None:
    stranger = Stranger(settings=HOSTILE, listens=True)
    first: Any = stranger.side.root.call("anything")
    second: Any = stranger.side.root.call("anything")
    stranger.say([command, 1, expression], [b"answer", 2, 5])
    assert first.done
    assert second.result() == 5
    del first
    let_go(stranger)
    assert len(stranger.side.broker.books.imports) == 0


# Receipts, whatever becomes of the message that they came in.


@st.composite
def receipts(draw: st.DrawFn) -> tuple[Any, Counter[int]]:
    """Well-formed jelly in which references are found all over, and how many of each."""
    counted: Counter[int] = Counter()

    def expression(depth: int) -> Any:
        kind = draw(st.sampled_from(["remote", "leaf"] if not depth else ["remote", "remote", *kinds]))
        if kind == "remote":
            number = draw(st.integers(1, 3))
            counted[number] += 1
            return [b"remote", number]
        if kind == "leaf":
            return draw(st.sampled_from([5, b"remote", [b"unicode", b"x"], [b"None"], [b"decimal", 1, 2]]))
        if kind == "dictionary":
            return [b"dictionary", *([[b"unicode", b"k%d" % index], expression(depth - 1)] for index in some())]
        if kind == "copy":
            return [b"copy", [b"dictionary", *([b"k%d" % index, expression(depth - 1)] for index in some())]]
        if kind == "reference":
            return [b"reference", next(numbers), [b"list", *(expression(depth - 1) for _ in some())]]
        return [kind.encode(), *(expression(depth - 1) for _ in some())]

    def some() -> range:
        return range(draw(st.integers(0, 3)))

    kinds = ["leaf", "list", "tuple", "dictionary", "copy", "reference"]
    numbers = iter(range(1_000))
    return expression(4), counted


POISON = [
    None,
    [b"bad.Tag"],
    [b"unicode", b"\xff"],
    [b"dereference", 999],
    [b"local", 9],
    [b"tuple", []],
    [b"set", [b"list"]],
]


@given(
    st.lists(receipts(), max_size=3), st.sampled_from(POISON), st.integers(0, 3), st.sampled_from(["keep", "nothing"])
)
def test_every_receipt_is_given_back_whatever_becomes_of_the_message(
    parts: list[tuple[Any, Counter[int]]], poison: object, place: int, method: str
) -> None:
    stranger = Stranger(settings=Settings(registry=REGISTRY))
    arguments = [expression for expression, _ in parts]
    if poison is not None:
        arguments.insert(place, poison)
    heard = stranger.call(method, *arguments)
    heard += let_go(stranger)
    given_back = Counter(message[1] for message in heard if message[0] == b"decref")
    assert given_back == sum((counted for _, counted in parts), Counter())
    assert stranger.side.is_empty()
