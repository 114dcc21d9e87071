"""Each limit: what stands at it passes, and what goes one past it is refused.

Here are those that the core enforces. `HELD_BY` says where every other is held, and no field of `Limits` may lack.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import FrozenInstanceError, dataclass, fields, replace
from decimal import Decimal
from typing import Any

import pytest

from pellucid.core.references import RemoteReference
from pellucid.errors import Error, LimitBroken, LimitExceeded, PBConnectionLost, TooManyCalls, TooManyReferences
from pellucid.flavors.referenceable import Referenceable
from pellucid.flavors.registry import Registry
from pellucid.limits import Limits
from pellucid.wire.dialect import Sharing
from pellucid.wire.numbered import SECRET
from tests.dialects import each_dialect, over
from tests.pair import Desk, Jelly, Pair, Settings, Stranger, write
from tests.unit.asyncio import (
    test_before_login,
    test_connection,
    test_late_results,
    test_limits_of_sending,
    test_limits_of_time,
    test_listener_tls,
    test_logout,
    test_methods,
    test_paging,
    test_signs_of_life,
    test_uneven_batches,
)
from tests.unit.core import test_calls
from tests.unit.wire import test_limits_on_the_wire

pytestmark = each_dialect


def limited(**limits: Any) -> Settings:
    return Settings(limits=Limits(**limits))


def test_a_limit_is_changed_in_a_copy() -> None:
    limits = Limits()
    assert replace(limits, nesting=5).nesting == 5
    with pytest.raises(FrozenInstanceError):
        limits.nesting = 5  # type: ignore[misc]


def test_every_limit_is_a_positive_number() -> None:
    assert all(getattr(Limits(), limit.name) > 0 for limit in fields(Limits))


@pytest.mark.parametrize("most", [-1, float("nan"), "10", None])
def test_what_is_no_number_or_below_0_is_no_limit(most: Any) -> None:
    with pytest.raises(ValueError, match=r"Limits\.nesting is a number from 0 on, not "):
        Limits(nesting=most)


# A value over a limit fails its call; nobody else is concerned.


def shared(copies: int) -> list[object]:
    """What counts as 10 elements for each copy (one, eight in it, a tag), and 1 to 5 for what is around them."""
    return [[*range(8)]] * copies


def pairs(number: int) -> set[object]:
    return {(index, index) for index in range(number)}


def how_shared(make: Callable[[int], object]) -> Sharing:
    """In what form the native dialect sends what `make` gives."""
    return "graph" if make is shared else "tree"


@over("pb")
def test_what_is_shared_counts_each_time_it_is_met_up_to_the_limit() -> None:
    shared = [b"reference", 1, [b"list", 1, 1]]  # 3 elements
    expression = [b"list", shared, [b"dereference", 1], [b"dereference", 1]]  # 4, and 3 for each
    assert Jelly(limited(expanded_elements=13)).read(expression) == [[1, 1]] * 3
    with pytest.raises(LimitExceeded, match=r"over Limits.expanded_elements=12"):
        Jelly(limited(expanded_elements=12)).read(expression)


BY_CALL: list[tuple[dict[str, int], Callable[[int], object], int]] = [
    ({"expanded_elements": 100}, shared, 9),
    ({"odd_keys": 11}, pairs, 5),
    ({"odd_keys": 5}, lambda number: {Decimal(index): index for index in range(number)}, 5),
    ({"odd_keys": 5}, lambda number: [{2**64 + index} for index in range(number)], 5),
    ({"odd_keys": 11}, lambda number: [{frozenset([2**64 + index])} for index in range(number)], 5),
    ({"odd_keys": 200}, lambda number: dict.fromkeys(range(number)), 1600),
    ({"odd_keys": 200}, lambda number: {index / 2 for index in range(number)}, 1600),
    ({"odd_keys": 200}, lambda number: frozenset(("one", index) for index in range(number)), 1600),
    ({"references_imported": 3}, lambda number: [Referenceable() for _ in range(number)], 3),
]


@pytest.mark.parametrize(("limits", "make", "most"), BY_CALL)
def test_a_value_over_a_limit_of_its_receiver_fails_that_call_alone(
    limits: dict[str, int], make: Callable[[int], object], most: int
) -> None:
    ((name, value),) = limits.items()
    pair = Pair(server=limited(**limits), client=Settings(sharing=how_shared(make)))
    assert len(pair.call(pair.root, "echo", make(most))) == most
    pair.settle()
    with pytest.raises(LimitExceeded, match=f"over Limits.{name}={value}"):
        pair.call(pair.root, "echo", make(most + 1))
    pair.settle()
    assert pair.client.is_empty()
    assert len(pair.call(pair.root, "echo", make(most))) == most


@pytest.mark.parametrize(("limits", "make", "most"), BY_CALL)
def test_a_result_over_a_limit_of_its_caller_fails_that_call_alone(
    limits: dict[str, int], make: Callable[[int], object], most: int
) -> None:
    ((name, value),) = limits.items()
    pair = Pair(client=limited(**limits), server=Settings(sharing=how_shared(make)))
    desk: Any = pair.server.published
    desk.kept = [make(most + 1), make(most)]
    assert len(pair.call(pair.root, "take")) == most
    pair.settle()
    with pytest.raises(LimitExceeded, match=f"over Limits.{name}={value}"):
        pair.call(pair.root, "take")
    pair.settle()
    assert pair.server.is_empty()


def test_keys_whose_hash_nobody_can_choose_are_not_counted() -> None:
    pair = Pair(server=limited(odd_keys=1))
    texts: dict[Any, int] = dict.fromkeys((f"text {number}" for number in range(1001)), 0)
    plain = {**texts, None: 0, True: 0, b"bytes": 0, ("text", b"bytes", None): 0, ("text", (True,)): 0}
    assert pair.call(pair.root, "echo", [plain] * 10) == [plain] * 10


def test_numbers_within_64_bits_are_not_counted_where_they_are_few() -> None:
    pair = Pair(server=limited(odd_keys=1))
    keys = [5, -(2**63), 2**63 - 1, 2.5, ("text", (5,)), (2.5,)]
    plain: dict[Any, int] = dict.fromkeys(keys, 0)
    assert pair.call(pair.root, "echo", [plain, plain]) == [plain, plain]


@dataclass(frozen=True)
class Box:
    things: tuple[object, ...]


class Colour(enum.Enum):
    RED = 1
    GREEN = 2


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


COPIES = Registry()
COPIES.register_copyable(Box, "box")
COPIES.register_copyable(Colour, "colour")
COPIES.register_copyable(Rights, "rights")


def boxes(number: int) -> list[Box]:
    """So many, of which each has ten numbers: they cross as 14 elements, or in pb as 15."""
    return [Box((index, *range(9))) for index in range(number)]


@pytest.mark.parametrize(
    ("make", "limit"),
    [
        (lambda number: set(boxes(number)), 80),
        (lambda number: frozenset(boxes(number)), 80),
        (lambda number: dict.fromkeys(boxes(number), 0), 80),
        (lambda number: [{box} for box in boxes(number)], 80),
        (lambda number: {("box", box) for box in boxes(number)}, 95),
    ],
    ids=["set", "frozenset", "dict", "sets", "inside tuples"],
)
def test_a_key_that_is_a_copy_counts_with_all_that_was_read_for_it(make: Callable[[int], Any], limit: int) -> None:
    pair = Pair(server=replace(limited(odd_keys=limit), registry=COPIES), client=Settings(registry=COPIES))
    assert pair.call(pair.root, "echo", make(5)) == make(5)
    with pytest.raises(LimitExceeded, match=f"over Limits.odd_keys={limit}"):
        pair.call(pair.root, "echo", make(6))


def test_a_key_that_is_a_copy_met_again_counts_again() -> None:
    graph = Settings(registry=COPIES, sharing="graph")
    pair = Pair(server=replace(limited(odd_keys=80), registry=COPIES), client=graph)
    (box,) = boxes(1)
    assert pair.call(pair.root, "echo", [{box} for _ in range(5)]) == [{box}] * 5
    with pytest.raises(LimitExceeded, match=r"over Limits.odd_keys=80"):
        pair.call(pair.root, "echo", [{box} for _ in range(6)])


def test_members_of_an_enum_are_not_counted_as_keys_and_flags_are_copies() -> None:
    pair = Pair(server=replace(limited(odd_keys=1), registry=COPIES), client=Settings(registry=COPIES))
    assert pair.call(pair.root, "echo", [{*Colour}] * 3) == [{*Colour}] * 3
    with pytest.raises(LimitExceeded, match=r"over Limits.odd_keys=1"):
        pair.call(pair.root, "echo", {Rights.READ})


def test_a_key_that_is_sent_by_reference_counts_one() -> None:
    pair = Pair(server=limited(odd_keys=5))
    things = {Referenceable() for _ in range(5)}
    assert pair.call(pair.root, "echo", things) == things
    with pytest.raises(LimitExceeded, match=r"over Limits.odd_keys=5"):
        pair.call(pair.root, "echo", {*things, Referenceable()})


def test_references_dropped_at_once_are_released_whatever_the_peer_takes_in_one_message() -> None:
    pair = Pair(server=limited(inline_bytes=4096))
    desk: Any = pair.server.published
    desk.kept = [[Referenceable() for _ in range(400)] for _ in range(5)]
    held = [pair.call(pair.root, "take") for _ in range(5)]
    assert sum(map(len, held)) == 2000
    held.clear()
    pair.settle()
    assert pair.server.is_empty()


# A whole message, to the byte, the level and the element; in both directions.


def nested(depth: int) -> Any:
    """So many lists inside each other."""
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def message_with(argument: object) -> list[object]:
    """What `call("keep", ...)` sends, first of all."""
    return [b"message", 1, b"root", b"keep", 1, [b"tuple", argument], [b"dictionary"]]


WHOLE: list[tuple[dict[str, int], Callable[[int], Any]]] = [
    ({"string_bytes": 300}, lambda number: b"x" * number),
    ({"list_elements": 50}, lambda number: [1] * (number - 1)),  # and its tag
    ({"prefix_digits": 9}, lambda number: 2 ** (7 * number) - 1),
    ({"message_bytes": 1_000}, lambda number: bytes(number - len(write(message_with(bytes(200)), "pb")) + 200)),
    ({"nesting": 20}, lambda number: nested(number - 2)),
    ({"elements": 100}, lambda number: [1] * (number - 12)),  # 11 around it, and its tag
]
WHOLE_NATIVE: list[tuple[dict[str, int], Callable[[int], Any]]] = [
    ({"inline_bytes": 1_000}, lambda number: bytes(number - len(write(call_with(bytes(300)), "pellucid")) + 304)),
    ({"buffer_bytes": 300_000}, bytes),
    ({"buffer_bytes": 300_000}, lambda number: [bytes(100_000), bytes(100_000), bytes(number - 200_000)]),
]
each_whole_in_native = pytest.mark.parametrize(
    ("limits", "make"), WHOLE_NATIVE, ids=["inline_bytes", "buffer_bytes", "several buffers"]
)


def call_with(argument: object) -> list[object]:
    """As `message_with`, in the native dialect."""
    return [1, 1, "root", "keep", [argument]]


@over("pellucid")
@each_whole_in_native
def test_a_native_message_at_a_limit_of_its_receiver_is_served_and_one_past_it_ends_the_connection(
    limits: dict[str, int], make: Callable[[int], Any]
) -> None:
    ((name, value),) = limits.items()
    pair = Pair(server=limited(**limits))
    for piece_bytes in 64 * 1024, 100:
        pair.client.piece_bytes = piece_bytes
        assert pair.call(pair.root, "keep", make(value)) is None
    with pytest.raises(PBConnectionLost):
        pair.call(pair.root, "keep", make(value + 1))
    error = pair.server.ended_by
    assert isinstance(error, LimitBroken)
    assert (error.limit, error.value, error.asked) == (name, value, value + 1)


@over("pellucid")
@each_whole_in_native
def test_a_native_message_at_a_limit_of_its_sender_is_sent_and_one_past_it_is_not(
    limits: dict[str, int], make: Callable[[int], Any]
) -> None:
    ((name, value),) = limits.items()
    pair = Pair(client=limited(**limits))
    assert pair.call(pair.root, "keep", make(value)) is None
    sent = len(pair.to_server.carried)
    with pytest.raises(LimitExceeded) as caught:
        pair.call(pair.root, "keep", make(value + 1))
    assert (caught.value.limit, caught.value.value, caught.value.asked) == (name, value, value + 1)
    assert len(pair.to_server.carried) == sent
    assert pair.call(pair.root, "keep", make(value)) is None


def in_tuples(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = (value,)
    return value


@over("pellucid")
@pytest.mark.parametrize("limiting", ["sender", "receiver"])
def test_what_the_codec_does_not_nest_by_itself_may_be_nested_as_deep_as_the_limit_says(limiting: str) -> None:
    limits = limited(nesting=20)
    pair = Pair(client=limits) if limiting == "sender" else Pair(server=limits)
    assert pair.call(pair.root, "keep", in_tuples(20), {1: in_tuples(19)}) is None
    for deeper in [in_tuples(21)], [{1: in_tuples(20)}], [1, {1: in_tuples(20)}]:
        with pytest.raises(LimitExceeded, match=r"over Limits.nesting=20"):
            pair.call(pair.root, "keep", *deeper, {1: 2})
    assert pair.call(pair.root, "keep", in_tuples(20)) is None


each_whole = pytest.mark.parametrize(("limits", "make"), WHOLE, ids=[next(iter(limits)) for limits, _ in WHOLE])


@over("pb")
@each_whole
def test_a_message_at_a_limit_of_its_receiver_is_served_and_one_past_it_ends_the_connection(
    limits: dict[str, int], make: Callable[[int], Any]
) -> None:
    ((name, value),) = limits.items()
    pair = Pair(server=limited(**limits))
    assert pair.call(pair.root, "keep", make(value)) is None
    with pytest.raises(PBConnectionLost):
        pair.call(pair.root, "keep", make(value + 1))
    error = pair.server.ended_by
    assert isinstance(error, LimitBroken)
    assert (error.limit, error.value) == (name, value)


@over("pb")
@each_whole
def test_a_message_at_a_limit_of_its_sender_is_sent_and_one_past_it_is_not(
    limits: dict[str, int], make: Callable[[int], Any]
) -> None:
    ((name, value),) = limits.items()
    pair = Pair(client=limited(**limits))
    assert pair.call(pair.root, "keep", make(value)) is None
    sent = pair.to_server.said()
    with pytest.raises(LimitExceeded) as caught:
        pair.call(pair.root, "keep", make(value + 1))
    assert (caught.value.limit, caught.value.value, caught.value.asked) == (name, value, value + 1)
    assert pair.to_server.said() == sent
    assert pair.call(pair.root, "keep", make(value)) is None


@over("pb")
@pytest.mark.parametrize(
    ("limits", "result"),
    [
        ({"message_bytes": 1_000}, bytes(1_000)),
        ({"nesting": 20}, nested(20)),
        ({"elements": 200}, [1] * 200),
    ],
    ids=["message_bytes", "nesting", "elements"],
)
def test_a_result_that_makes_a_message_too_large_is_answered_with_the_limit(
    limits: dict[str, int], result: object
) -> None:
    ((name, value),) = limits.items()
    pair = Pair(server=limited(**limits))
    desk: Any = pair.server.published
    desk.kept = [result]
    with pytest.raises(LimitExceeded, match=f"over Limits.{name}={value}"):
        pair.call(pair.root, "give")
    assert not pair.server.is_closed


@over("pellucid")
@pytest.mark.parametrize(
    ("limits", "result"),
    [
        ({"inline_bytes": 1_000}, bytes(1_000)),
        ({"inline_bytes": 1_000}, [{1: bytes(1_000)}]),
        ({"buffer_bytes": 100_000}, bytes(100_001)),
        ({"nesting": 20}, {1: in_tuples(20)}),
    ],
    ids=["inline_bytes", "inline_bytes slowly", "buffer_bytes", "nesting"],
)
def test_a_result_that_makes_a_native_message_too_large_is_answered_with_the_limit(
    limits: dict[str, int], result: object
) -> None:
    ((name, value),) = limits.items()
    pair = Pair(server=limited(**limits))
    desk: Any = pair.server.published
    desk.kept = [result]
    with pytest.raises(LimitExceeded, match=f"over Limits.{name}={value}"):
        pair.call(pair.root, "give")
    assert not pair.server.is_closed


SENT: list[tuple[dict[str, int], Callable[[int], object], int]] = [
    ({"string_bytes": 300}, lambda number: b"x" * number, 300),
    ({"string_bytes": 300}, lambda number: "x" * number, 300),
    ({"list_elements": 50}, lambda number: [1] * (number - 1), 50),
    ({"prefix_digits": 9}, lambda number: [2 ** (7 * number) - 1], 9),
    ({"references_exported": 3}, lambda number: [Referenceable() for _ in range(number)], 3),
]


@over("pb")
@pytest.mark.parametrize(("limits", "make", "most"), SENT)
def test_an_argument_over_a_limit_of_its_sender_fails_that_call_and_nothing_is_sent(
    limits: dict[str, int], make: Callable[[int], Any], most: int
) -> None:
    ((name, value),) = limits.items()
    pair = Pair(client=limited(**limits))
    assert pair.call(pair.root, "keep", make(most)) is None
    pair.call(pair.root, "clear")
    pair.settle()
    sent = pair.to_server.said()
    with pytest.raises(LimitExceeded, match=f"over Limits.{name}={value}"):
        pair.call(pair.root, "echo", Referenceable(), make(most + 1))
    assert pair.to_server.said() == sent
    assert pair.client.is_empty()


@over("pb")
@pytest.mark.parametrize(("limits", "make", "most"), SENT)
def test_a_result_over_a_limit_of_its_sender_is_answered_with_the_limit(
    limits: dict[str, int], make: Callable[[int], Any], most: int
) -> None:
    ((name, value),) = limits.items()
    pair = Pair(server=limited(**limits))
    desk: Any = pair.server.published
    desk.kept = [make(most + 1)]
    with pytest.raises(LimitExceeded, match=f"over Limits.{name}={value}"):
        pair.call(pair.root, "take")
    assert pair.server.is_empty()


@over("pellucid")
@pytest.mark.parametrize(
    ("limits", "make", "most"),
    [
        ({"inline_bytes": 300}, lambda number: b"x" * (number - 17), 300),
        ({"inline_bytes": 300}, lambda number: {1: b"x" * (number - 22)}, 300),
        ({"buffer_bytes": 100_000}, lambda number: b"x" * number, 100_000),
        ({"references_exported": 3}, lambda number: [Referenceable() for _ in range(number)], 3),
        ({"references_exported": 3}, lambda number: {1: [Referenceable() for _ in range(number)]}, 3),
    ],
)
def test_an_argument_over_a_limit_of_its_sender_fails_a_native_call_and_nothing_is_sent(
    limits: dict[str, int], make: Callable[[int], Any], most: int
) -> None:
    ((name, value),) = limits.items()
    pair = Pair(client=limited(**limits))
    assert pair.call(pair.root, "keep", make(most)) is None
    pair.call(pair.root, "clear")
    pair.settle()
    sent = pair.to_server.said()
    with pytest.raises(LimitExceeded, match=f"over Limits.{name}={value}"):
        pair.call(pair.root, "echo", Referenceable(), make(most + 1))
    assert pair.to_server.said() == sent
    assert pair.client.is_empty()


def keeping(pair: Pair) -> list[int]:
    """Numbers of the calls whose answers the server keeps."""
    return [place ^ SECRET for place in pair.server.broker.arrivals._kept]


@over("pellucid")
def test_as_many_answers_are_kept_as_the_limit_says_and_the_oldest_go_first() -> None:
    pair = Pair(server=limited(kept_answers=3))
    calls = [pair.root.call("echo", number) for number in range(3)]
    pair.pump()
    assert keeping(pair) == [1, 2, 3]
    calls.append(pair.root.call("echo", 3))
    pair.pump()
    assert keeping(pair) == [2, 3, 4]
    assert [call.outcome() for call in calls] == [0, 1, 2, 3]


@over("pellucid")
def test_answers_that_are_kept_may_take_as_many_bytes_as_the_limit_says() -> None:
    size = 16 * len(write([5, 1, bytes(500)], "pellucid"))  # so much memory is a byte taken to stand for
    pair = Pair(server=limited(kept_bytes=2 * size))
    for number in range(2):
        pair.call(pair.root, "echo", bytes(500))
        assert len(keeping(pair)) == number + 1
    pair.call(pair.root, "echo", 1)
    assert keeping(pair) == [2, 3]
    pair.call(pair.root, "echo", bytes(1_100))
    assert keeping(pair) == []
    assert pair.call(pair.root, "echo", 1) == 1


@over("pellucid")
def test_a_promise_of_an_answer_that_is_not_kept_any_more_is_an_error_with_words() -> None:
    pair = Pair(server=limited(kept_answers=1))
    pair.to_client.held = True
    first, second = pair.root.call("echo", "first"), pair.root.call("echo", "second")
    pair.pump()
    late = [pair.root.call("echo", second), pair.root.call("echo", first)]
    pair.to_client.held = False
    pair.pump()
    assert late[0].outcome() == "second"
    with pytest.raises(Error, match="its result is not kept any more"):
        late[1].outcome()


@pytest.mark.parametrize("limits", [{"string_bytes": 40}, {"message_bytes": 1_200}])
def test_an_error_is_told_within_any_limit(limits: dict[str, int]) -> None:
    class Wordy(Desk):
        def remote_fail(self) -> None:
            raise ValueError("word " * 1_000)

    pair = Pair(Wordy(), server=limited(**limits))
    with pytest.raises(Exception, match=r"word word|limit|Limits"):
        pair.call(pair.root, "fail")
    assert not pair.server.is_closed


# What the peer may hold, and we.


def test_r5_how_many_of_our_objects_a_peer_may_hold_is_ours_to_set() -> None:
    pair = Pair(server=limited(references_exported=2_000))
    desk: Any = pair.server.published
    held: list[RemoteReference] = []
    for _ in range(2_000):
        desk.kept = [Referenceable()]
        held.append(pair.call(pair.root, "take"))
    desk.kept = [Referenceable()]
    for _ in range(10):
        with pytest.raises(TooManyReferences, match=r"over Limits.references_exported=2000: 2001 asked"):
            pair.call(pair.root, "give")
    held.pop()
    pair.settle()
    assert isinstance(pair.call(pair.root, "give"), RemoteReference)


# Calls.


def test_as_many_calls_may_be_unanswered_as_the_limit_says() -> None:
    pair = Pair(client=limited(calls_pending=2))
    pair.to_server.held = True
    first, second, third = (pair.root.call("echo", number) for number in range(3))
    with pytest.raises(TooManyCalls, match=r"over Limits.calls_pending=2: 3 asked"):
        third.result()  # type: ignore[attr-defined]
    pair.to_server.held = False
    pair.pump()
    assert [call.result() for call in (first, second)] == [0, 1]  # type: ignore[attr-defined]
    assert pair.call(pair.root, "echo", 3) == 3


@over("pb")
@pytest.mark.parametrize("message", [[b"sing"], [b"didNotUnderstand", b"sing"]], ids=repr)
def test_a_peer_may_be_misunderstood_as_often_as_the_limit_says(message: object) -> None:
    stranger = Stranger(settings=limited(unknown_messages=3))
    stranger.say(message, message, message)
    assert not stranger.side.is_closed
    stranger.say(message)
    assert isinstance(stranger.side.ended_by, LimitBroken)
    assert str(stranger.side.ended_by) == "over Limits.unknown_messages=3"


# Before a login.


def test_a_stranger_has_no_more_of_anything_and_less_of_what_costs() -> None:
    limits = Limits(inline_bytes=1000)
    stranger = limits.before_login()
    assert all(getattr(stranger, limit.name) <= getattr(limits, limit.name) for limit in fields(Limits))
    assert stranger.inline_bytes == 1000
    assert stranger.message_bytes == 64 * 1024
    assert stranger.before_login() == stranger


# Nothing is left out.

HELD_BY: dict[str, list[Callable[..., None]]] = {
    "negotiation_bytes": [test_limits_on_the_wire.test_what_a_stranger_says_is_bounded],
    "inline_bytes": [
        test_a_native_message_at_a_limit_of_its_receiver_is_served_and_one_past_it_ends_the_connection,
        test_a_native_message_at_a_limit_of_its_sender_is_sent_and_one_past_it_is_not,
        test_a_result_that_makes_a_native_message_too_large_is_answered_with_the_limit,
        test_an_argument_over_a_limit_of_its_sender_fails_a_native_call_and_nothing_is_sent,
    ],
    "buffer_bytes": [
        test_a_native_message_at_a_limit_of_its_receiver_is_served_and_one_past_it_ends_the_connection,
        test_a_native_message_at_a_limit_of_its_sender_is_sent_and_one_past_it_is_not,
        test_a_result_that_makes_a_native_message_too_large_is_answered_with_the_limit,
        test_an_argument_over_a_limit_of_its_sender_fails_a_native_call_and_nothing_is_sent,
    ],
    "kept_answers": [test_as_many_answers_are_kept_as_the_limit_says_and_the_oldest_go_first],
    "kept_bytes": [test_answers_that_are_kept_may_take_as_many_bytes_as_the_limit_says],
    "unknown_messages": [test_a_peer_may_be_misunderstood_as_often_as_the_limit_says],
    "calls_pending": [test_as_many_calls_may_be_unanswered_as_the_limit_says],
    "running_calls": [
        test_calls.test_calls_run_up_to_the_limit_and_then_wait_in_order,
        test_logout.test_calls_wait_while_as_many_logouts_run_as_methods_may,
    ],
    "running_bytes": [
        test_late_results.test_a_result_is_replaced_where_more_waits_than_the_limit_says,
        test_calls.test_calls_wait_once_those_whose_methods_are_under_way_have_as_many_bytes_as_the_limit_says,
        test_methods.test_calls_wait_while_those_under_way_have_too_many_bytes,
        test_uneven_batches.test_results_that_wait_for_others_of_their_batch_are_bounded,
    ],
    "waiting_calls": [
        test_calls.test_calls_run_up_to_the_limit_and_then_wait_in_order,
        test_methods.test_calls_beyond_those_that_may_wait_are_answered_too_many_calls_and_the_connection_lives,
    ],
    "waiting_bytes": [
        test_calls.test_waiting_calls_may_take_as_many_bytes_as_the_limit_says,
        test_methods.test_calls_that_wait_are_bounded_in_bytes_too,
    ],
    "queued_bytes": [
        test_limits_of_sending.test_a_one_way_call_waits_for_room_where_more_waits_than_the_limit_says,
        test_limits_of_sending.test_a_peers_further_calls_wait_where_more_waits_than_the_limit_says,
        test_limits_of_sending.test_a_call_raises_overloaded_where_more_waits_than_twice_the_limit,
        test_limits_of_sending.test_a_peer_that_goes_on_calling_is_cut_off_where_more_waits_than_twice_the_limit,
    ],
    "paged_bytes": [
        test_paging.test_a_transfer_may_have_as_many_bytes_as_the_limit_says_and_not_one_more,
        test_paging.test_the_limit_is_the_connections_unless_another_is_given,
    ],
    "connect_seconds": [test_limits_of_time.test_a_server_may_take_connect_seconds_to_agree_and_no_longer],
    "login_seconds": [
        test_limits_of_time.test_a_client_may_take_login_seconds_to_be_granted_one_and_no_longer,
        test_limits_of_time.test_a_client_that_logs_in_at_the_last_moment_is_served_for_good,
    ],
    "idle_seconds": [
        test_limits_of_time.test_a_connection_may_be_idle_for_idle_seconds_and_not_for_a_third_more,
        test_limits_of_time.test_a_connection_with_a_call_under_way_is_not_idle,
    ],
    "connections": [
        test_before_login.test_a_server_has_as_many_connections_as_the_limit_says_and_cuts_off_others,
        test_listener_tls.test_handshakes_under_way_count_as_connections,
    ],
    "handshake_seconds": [test_limits_of_time.test_a_client_may_take_handshake_seconds_to_agree_and_no_longer],
    "silence_seconds": [
        test_connection.test_a_peer_that_vanishes_is_noticed_by_the_system_within_the_limit,
        test_signs_of_life.test_a_peer_that_falls_silent_is_asked_and_then_given_up_within_the_limit,
    ],
    "close_seconds": [
        test_limits_of_time.test_closing_waits_close_seconds_for_a_peer_that_reads_and_never_hangs_up,
        test_limits_of_time.test_closing_a_server_waits_close_seconds_for_methods_that_run,
    ],
}
"""The tests of the limits that no table above has."""


def test_every_limit_is_held_by_a_test() -> None:
    rows = [row[0] for row in BY_CALL] + [row[0] for row in WHOLE] + [row[0] for row in SENT]
    in_tables = {name for limits in rows for name in limits}
    assert in_tables | HELD_BY.keys() == {limit.name for limit in fields(Limits)}
    assert not in_tables & HELD_BY.keys()
