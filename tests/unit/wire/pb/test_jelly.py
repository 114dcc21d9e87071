from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pellucid.errors import DeadReferenceError, ForeignReference, InsecureJelly, LimitExceeded, TooManyReferences
from pellucid.flavors.copyable import Copyable
from pellucid.flavors.referenceable import Referenceable
from pellucid.flavors.serializable import Unpersistable
from pellucid.limits import Limits
from tests.dialects import each_dialect, over
from tests.pair import Desk, Jelly, Pair, Promise, Settings

pytestmark = [each_dialect, over("pb")]


class Duck(Copyable):
    def __init__(self, **state: object) -> None:
        self.__dict__ = state


class Awaitable:
    def __await__(self) -> Iterator[None]:
        yield


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


# Containers, shared and cyclic.


def test_containers_are_tagged_lists() -> None:
    write = Jelly().write
    assert write([1, "a"]) == [b"list", 1, [b"unicode", b"a"]]
    assert write((1,)) == [b"tuple", 1]
    assert write({1}) == [b"set", 1]
    assert write(frozenset([1])) == [b"frozenset", 1]
    assert write({"z": 1, b"a": None}) == [b"dictionary", [[b"unicode", b"z"], 1], [b"a", [b"None"]]]


def test_j7_an_object_met_twice_is_numbered_at_its_first_place() -> None:
    inner = [1]
    assert Jelly().write([inner, inner]) == [b"list", [b"reference", 1, [b"list", 1]], [b"dereference", 1]]


def test_j7_an_object_met_inside_itself_is_numbered_too() -> None:
    cycle: list[Any] = [1]
    cycle.append(cycle)
    assert Jelly().write(cycle) == [b"reference", 1, [b"list", 1, [b"dereference", 1]]]


def test_j7_numbers_count_in_the_order_of_second_meetings() -> None:
    first, second = [1], [2]
    assert Jelly().write([first, second, second, first]) == [
        b"list",
        [b"reference", 2, [b"list", 1]],
        [b"reference", 1, [b"list", 2]],
        [b"dereference", 1],
        [b"dereference", 2],
    ]


def test_strings_and_numbers_are_repeated_and_not_shared() -> None:
    text = "".join(["te", "xt"])
    assert Jelly().write([text, text]) == [b"list", [b"unicode", b"text"], [b"unicode", b"text"]]


def test_numbering_starts_anew_with_each_value() -> None:
    jelly = Jelly()
    inner: list[Any] = []
    for _ in range(2):
        assert jelly.write([inner, inner])[1] == [b"reference", 1, [b"list"]]


def test_what_hooks_make_is_not_mistaken_for_one_another() -> None:
    class Fresh(Copyable):
        def get_state_to_copy(self) -> object:
            return [object.__hash__(self) % 2]  # a new list each time, whose id() is soon free again

    ducks = [Fresh() for _ in range(50)]
    assert b"dereference" not in {element[1][0] for element in Jelly().write(ducks)[1:]}


def test_a_copyable_met_twice_is_one() -> None:
    duck = Duck(n=1)
    tag = f"{__name__}.Duck".encode()
    state = [b"dictionary", [[b"unicode", b"n"], 1]]
    assert Jelly().write((duck, duck)) == [b"tuple", [b"reference", 1, [tag, state]], [b"dereference", 1]]


def test_a_placeholder_that_arrived_can_be_passed_on() -> None:
    assert Jelly().write(Unpersistable("no such thing")) == [b"unpersistable", b"no such thing"]


# What may not cross.


def test_j14_an_object_that_may_not_cross_fails_its_call_with_insecure_jelly_and_nothing_is_sent() -> None:
    pair = Pair()
    with pytest.raises(InsecureJelly) as caught:
        pair.call(pair.root, "echo", 1, key=[{"deep": (object(),)}])
    assert caught.value.reason == (
        "builtins.object objects may not cross: derive the class from Referenceable or Copyable, "
        "or register it with Registry.register_copyable"
    )
    assert caught.value.path == "['key'][0]['deep'][0]"
    assert pair.to_server.said() == []
    assert pair.client.is_empty()


def test_j14_a_result_that_may_not_cross_fails_its_call_with_insecure_jelly() -> None:
    pair = Pair()
    desk: Any = pair.server.published
    desk.kept = [object()]
    with pytest.raises(InsecureJelly, match=r"builtins.object objects may not cross"):
        pair.call(pair.root, "give")


def test_j14_an_object_inside_the_state_of_a_copyable_is_told_by_its_path() -> None:
    with pytest.raises(InsecureJelly) as caught:
        Jelly().write([Duck(bill=object())])
    assert caught.value.path == "[0]['bill']"


@pytest.mark.parametrize(
    ("key", "step"),
    [
        ("x" * 60, f"['{'x' * 50}'... of length 60]"),
        (b"x", "[b'x']"),
        (5, "[5]"),
        (2**100, "[an int of 101 bits]"),
        ((1, 2), "[a tuple of length 2]"),
    ],
    ids=["long str", "bytes", "int", "long int", "tuple"],
)
def test_a_step_of_a_path_is_short_whatever_the_key(key: object, step: str) -> None:
    with pytest.raises(InsecureJelly) as caught:
        Jelly().write({key: object()})
    assert caught.value.path == step


def test_a_key_that_may_not_cross_is_told_too() -> None:
    with pytest.raises(InsecureJelly) as caught:
        Jelly().write({object(): 1})
    assert caught.value.path == "[object]"


def test_something_to_be_awaited_is_not_sent_in_place_of_its_result() -> None:
    with pytest.raises(InsecureJelly, match="await it first, and send its result"):
        Jelly().write(Awaitable())


def test_a_reference_is_not_for_a_third_party() -> None:
    here, there = Pair(), Pair()
    with pytest.raises(ForeignReference, match="belongs to another connection and can't be given to a third party"):
        there.call(there.root, "echo", [here.root])
    assert there.to_server.said() == []


def test_a_dead_reference_can_not_be_sent_home() -> None:
    pair = Pair()
    desk: Any = pair.server.published
    desk.kept = [Referenceable()]
    reference = pair.call(pair.root, "give")
    reference.release()
    with pytest.raises(DeadReferenceError, match=r"can't be sent: it was released"):
        pair.call(pair.root, "echo", reference)


# Too deep, too large.


def test_nesting_at_the_limit_crosses_and_one_past_it_does_not() -> None:
    pair = Pair()
    most = Limits().nesting - 2  # the message and its arguments are lists as well
    assert pair.call(pair.root, "echo", nested(most - 1)) == nested(most - 1)
    sent = len(pair.to_server.said())
    with pytest.raises(LimitExceeded, match="nesting=256"):
        pair.call(pair.root, "echo", nested(most))
    assert len(pair.to_server.said()) == sent


def test_j16_what_is_too_deep_for_the_stack_is_over_the_limit_too() -> None:
    with pytest.raises(LimitExceeded, match="nesting"):
        Jelly().write(nested(100_000))


# Nothing stays counted that was not sent.


def test_what_was_exported_for_a_message_that_can_not_be_sent_is_taken_back() -> None:
    pair = Pair()
    held, new = Referenceable(), Referenceable()
    pair.call(pair.root, "keep", held)
    with pytest.raises(InsecureJelly):
        pair.call(pair.root, "echo", held, [held, new, new], object())
    assert pair.client.exports() == {1: 1}
    assert pair.call(pair.root, "take") is held


def test_exports_are_taken_back_when_a_string_is_too_long_for_the_peer() -> None:
    pair = Pair()
    with pytest.raises(LimitExceeded, match=r"over Limits.string_bytes=655360: 655361 asked"):
        pair.call(pair.root, "echo", Referenceable(), b"x" * 655_361)
    assert pair.to_server.said() == []
    assert pair.client.is_empty()
    assert len(pair.call(pair.root, "echo", b"x" * 655_360)) == 655_360


def test_exports_are_taken_back_when_there_are_too_many_of_them() -> None:
    pair = Pair(client=Settings(limits=Limits(references_exported=2)))
    with pytest.raises(TooManyReferences):
        pair.call(pair.root, "echo", [Referenceable() for _ in range(3)])
    assert pair.client.is_empty()


def test_exports_of_a_result_that_can_not_be_sent_are_taken_back() -> None:
    pair = Pair(Desk())
    desk: Any = pair.server.published
    desk.kept = [[Referenceable(), object()]]
    with pytest.raises(InsecureJelly):
        pair.call(pair.root, "give")
    assert pair.server.is_empty()


def test_a_message_that_is_sent_while_another_is_written_does_not_mix_with_it() -> None:
    pair = Pair()
    inner: list[Promise] = []

    class Calling(Copyable):
        def get_state_to_copy(self) -> object:
            promise: Any = pair.root.call("echo", Referenceable())
            inner.append(promise)
            return {"bad": object()}

    with pytest.raises(InsecureJelly):
        pair.call(pair.root, "echo", Referenceable(), Calling())
    assert isinstance(inner[0].result(), Referenceable)
    pair.settle()
    assert pair.client.is_empty()


# Several flavors.


class Door(Referenceable, Copyable): ...


class Picture(Copyable, Referenceable): ...


def test_of_several_flavors_the_nearest_ancestors_counts() -> None:
    write = Jelly().write
    assert write(Door()) == [b"remote", 1]
    assert write(Picture()) == [f"{__name__}.Picture".encode(), [b"dictionary"]]
