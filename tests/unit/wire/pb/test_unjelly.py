from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from pellucid.errors import Error, InsecureJelly, LimitExceeded, RemoteProtocolError
from pellucid.flavors.copyable import RemoteCopy
from pellucid.flavors.policy import Policy
from pellucid.flavors.registry import Registry
from pellucid.flavors.serializable import Unpersistable
from pellucid.limits import Limits
from tests.pair import Jelly, Pair, Settings, Stranger


@dataclass
class Basket:
    """Its state refers to things that may not be whole when it arrives."""

    things: Any
    seen: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.seen = [type(thing).__name__ for thing in self.things]


@dataclass(frozen=True)
class Key:
    name: str


class Copy(RemoteCopy):
    things: Any


REGISTRY = Registry()
REGISTRY.register_copyable(Basket, "basket")
REGISTRY.register_copyable(Key, "key")
REGISTRY.register(Copy, "copy")
REGISTRY.register_factory(tuple, "factory")
KNOWN = Settings(registry=REGISTRY)


def read(expression: object, *, placeholders: bool = True) -> Any:
    return Jelly(KNOWN).read(expression, placeholders=placeholders)


def state(**things: object) -> list[object]:
    return [b"dictionary", *([name.encode(), value] for name, value in things.items())]


def echoed(value: Any) -> Any:
    pair = Pair(server=KNOWN, client=KNOWN)
    return pair.call(pair.root, "echo", value)


# Containers.


def test_containers_hold_what_their_lists_hold_in_order() -> None:
    value = read([b"list", 1, [b"tuple", b"x", [b"None"]], [b"dictionary", [2, 3], [b"k", [b"list"]]]])
    assert value == [1, (b"x", None), {2: 3, b"k": []}]
    assert list(value[2]) == [2, b"k"]
    assert read([b"set", 1, 2, 1]) == {1, 2}
    assert read([b"frozenset", [b"frozenset"]]) == frozenset([frozenset()])


@pytest.mark.parametrize(
    "expression",
    [
        [b"dictionary", 5],
        [b"dictionary", b"ab"],
        [b"dictionary", [1]],
        [b"dictionary", [1, 2, 3]],
        [b"dictionary", [[b"list"], 1]],
        [b"dictionary", [[b"tuple", [b"list"]], 1]],
        [b"set", [b"list"]],
        [b"frozenset", [b"dictionary"]],
        [b"list", [b"list", []]],
        [b"tuple", [[b"list"]]],
    ],
    ids=repr,
)
def test_j16_malformed_containers_are_protocol_errors_with_words(expression: object) -> None:
    with pytest.raises(RemoteProtocolError, match=r"\w+ \w+"):
        read(expression)


# References inside one expression.


def test_sharing_arrives_as_sharing() -> None:
    first, second = read([b"list", [b"reference", 1, [b"list", 7]], [b"dereference", 1]])
    assert first is second


@pytest.mark.parametrize("tag", [b"list", b"set", b"dictionary", b"tuple", b"frozenset"])
def test_each_container_can_be_shared(tag: bytes) -> None:
    first, second = read([b"list", [b"reference", 1, [tag]], [b"dereference", 1]])
    assert first is second


def test_a_list_and_a_dictionary_may_contain_themselves() -> None:
    cycle = read([b"reference", 1, [b"list", [b"dereference", 1], [b"reference", 2, state(me=[b"dereference", 2])]]])
    assert cycle[0] is cycle
    assert cycle[1][b"me"] is cycle[1]


def test_a_tuple_may_contain_itself_through_anything_that_can_be_changed() -> None:
    value = read([b"reference", 1, [b"tuple", [b"list", 0, [b"dereference", 1]], state(me=[b"dereference", 1])]])
    assert value[0] == [0, value]
    assert value[0][1] is value
    assert value[1][b"me"] is value


def test_a_plain_value_may_be_numbered() -> None:
    assert read([b"list", [b"reference", 1, [b"unicode", b"x"]], [b"dereference", 1]]) == ["x", "x"]
    assert read([b"list", [b"reference", 1, 5], [b"dereference", 1]]) == [5, 5]


@pytest.mark.parametrize(
    "expression",
    [
        [b"dereference", 1],
        [b"list", [b"dereference", 1], [b"reference", 1, [b"list"]]],
        [b"dereference"],
        [b"dereference", b"1"],
        [b"dereference", [b"list"]],
    ],
    ids=repr,
)
def test_j8_a_dereference_to_nothing_is_an_error_and_leaves_no_placeholder(expression: object) -> None:
    with pytest.raises(RemoteProtocolError, match=r"a dereference has no reference before it|lacks an operand"):
        read(expression)


@pytest.mark.parametrize(
    "expression",
    [
        [b"list", [b"reference", 1, [b"list"]], [b"reference", 1, [b"list"]]],
        [b"reference", 1, [b"reference", 1, [b"list"]]],
        [b"reference", 1, [b"dereference", 1]],
        [b"reference", 1, [b"tuple", [b"dereference", 1]]],
        [b"reference", 1, [b"frozenset", [b"dereference", 1]]],
        [b"reference", 1, [b"tuple", [b"set", [b"dereference", 1]]]],
        [b"reference", 1, [b"tuple", [b"dictionary", [[b"dereference", 1], 5]]]],
        [b"reference", 1, [b"set", [b"dereference", 1]]],
        [b"reference", 1, [b"factory", [b"list", [b"dereference", 1]]]],
        [b"reference", 1, [b"tuple", [b"factory", [b"list", [b"dereference", 1]]]]],
        [b"reference", 1, [b"tuple", [b"copy", [b"dereference", 1]]]],
        [b"reference", [b"list"], [b"list"]],
        [b"reference", b"1", [b"list"]],
        [b"reference", 1],
        [b"reference"],
    ],
    ids=repr,
)
def test_j8_a_number_that_stands_for_two_or_for_itself_is_an_error(expression: object) -> None:
    with pytest.raises(RemoteProtocolError, match=r"\w+ \w+"):
        read(expression)


# Copies in cycles.


@pytest.mark.parametrize("tag", [b"copy", b"basket"])
def test_a_copy_may_contain_itself(tag: bytes) -> None:
    copy = read([b"reference", 1, [tag, state(things=[b"list", [b"dereference", 1]])]])
    assert copy.things[0] is copy


def test_a_set_may_contain_a_copy_that_refers_to_the_set() -> None:
    (copy,) = value = read([b"reference", 1, [b"set", [b"copy", state(things=[b"dereference", 1])]]])
    assert copy.things is value


@pytest.mark.parametrize("tag", [b"copy", b"basket"])
def test_a_copy_may_contain_a_tuple_that_it_is_in(tag: bytes) -> None:
    value = read([b"reference", 1, [b"tuple", [tag, state(things=[b"list", [b"dereference", 1]])]]])
    assert value[0].things == [value]


def test_no_hook_ever_sees_a_gap() -> None:
    things: list[Any] = []
    basket = Basket(())
    basket.things = things
    both = (things, basket)
    things.append(both)
    arrived = echoed(both)
    assert arrived[1].things is arrived[0]
    assert arrived[1].seen == ["tuple"]


def test_a_copy_whose_state_is_whole_is_whole_at_once_though_there_are_gaps_elsewhere() -> None:
    things: list[Any] = []
    both = (things, {Key("k"): 1}, frozenset([Key("m")]))
    things.append(both)
    arrived = echoed(both)
    assert arrived[0][0] is arrived
    assert arrived[1:] == both[1:]


def test_a_copy_in_one_go_is_made_though_there_are_gaps_elsewhere() -> None:
    value = read([b"reference", 1, [b"tuple", [b"list", [b"dereference", 1]], [b"factory", [b"list", 1, 2]]]])
    assert value[1] == (1, 2)


def test_a_gap_that_is_filled_is_forgotten() -> None:
    cycle = [b"reference", 1, [b"tuple", [b"list", [b"dereference", 1], [b"dereference", 1]]]]
    value = read([b"list", cycle, [b"factory", [b"list", [b"dereference", 1]]]])
    assert value[1][0] is value[0]


# Flavors.


@pytest.mark.parametrize("tag", [b"local", b"cached", b"lcache"])
def test_p9_an_id_that_was_never_given_out_is_an_error_for_that_call(tag: bytes) -> None:
    with pytest.raises(Error, match=r"^Invalid Object ID$"):
        read([tag, 77])


@pytest.mark.parametrize(
    "expression",
    [[tag, *operands] for tag in (b"remote", b"cached", b"lcache") for operands in ([], [b"root"], [1.5], [[b"list"]])]
    + [[b"local"], [b"local", 1.5], [b"local", [b"list"]], [b"local", [5]]],
    ids=repr,
)
def test_an_id_that_is_none_is_a_protocol_error(expression: object) -> None:
    with pytest.raises(RemoteProtocolError, match=r"lacks an operand|is no id|neither a number nor a name"):
        read(expression)


# What may not cross.


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ([b"class", b"builtins.object"], "the class builtins.object may not cross"),
        ([b"function", b"os.system"], "the function os.system may not cross"),
        ([b"module", b"os"], "the module os may not cross"),
        ([b"method", b"system", [b"None"], [b"class", b"os.os"]], "method may not cross"),
        ([b"instance", [b"class", b"os.os"], [b"dictionary"]], "instance may not cross"),
        ([b"os.system", [b"list"]], "os.system may not cross; register it, or allow it, on the receiving side"),
        ([b"\xff" * 1_000], "may not cross"),
    ],
    ids=lambda side: repr(side)[:40],
)
def test_j13_what_is_not_allowed_is_refused_on_sight(expression: object, words: str) -> None:
    with pytest.raises(InsecureJelly, match=words) as caught:
        read(expression)
    assert len(str(caught.value)) < 1_000


PLACEHOLDER = [b"unpersistable", b"instance of class Q deemed insecure"]


def test_j14_a_placeholder_in_an_answer_is_handed_over() -> None:
    value = read([b"list", PLACEHOLDER])[0]
    assert isinstance(value, Unpersistable)
    assert value.reason == "Unpersistable data: instance of class Q deemed insecure"


def test_j14_a_placeholder_among_arguments_is_answered_with_insecure_jelly() -> None:
    ((command, _, (_, (_, *pairs))),) = Stranger().call("echo", PLACEHOLDER)
    failure = {key[1]: value for key, value in pairs}
    assert command == b"error"
    assert failure[b"type"] == b"twisted.spread.jelly.InsecureJelly"


def test_j14_a_placeholder_inside_the_state_of_a_copy_is_handed_over() -> None:
    copy = read([b"copy", state(things=PLACEHOLDER)], placeholders=False)
    assert isinstance(copy.things, Unpersistable)
    with pytest.raises(InsecureJelly):
        read([b"list", [b"copy", state()], PLACEHOLDER], placeholders=False)


def test_j14_placeholders_are_taken_where_the_policy_says_so() -> None:
    lax = Jelly(Settings(policy=Policy(accept_placeholders=True)))
    assert isinstance(lax.read(PLACEHOLDER, placeholders=False), Unpersistable)


def test_j9_a_persistent_object_arrives_as_a_placeholder() -> None:
    assert read([b"persistent", 5]).reason == "Persistent callback not found"


def test_a_failure_that_is_a_value_is_the_exception_that_a_caller_would_get() -> None:
    told = read([b"list", [b"twisted.spread.pb.CopyableFailure", state(type=b"zoo.Escaped", value=b"the lion")]])[0]
    assert repr(told) == "RemoteError('zoo.Escaped', 'the lion')"
    told = read([b"twisted.spread.pb.CopyableFailure", state(type=b"twisted.spread.pb.Error", value=b"the lion")])
    assert repr(told) == "Error('the lion')"


# Size.


def doubling(levels: int) -> list[Any]:
    """A kilobyte that stands for 2 ** `levels` elements."""
    expression: list[Any] = [b"reference", 0, [b"list", 1, 1]]
    for number in range(1, levels):
        expression = [b"reference", number, [b"list", expression, [b"dereference", number - 1]]]
    return expression


@pytest.mark.parametrize(
    "twice",
    [
        lambda one, again: [b"tuple", one, again],
        lambda one, again: [b"dictionary", [1, one], [2, again]],
        lambda one, again: [b"copy", state(one=one, again=again)],
    ],
    ids=["tuple", "dictionary", "copy"],
)
def test_structure_of_any_kind_that_stands_for_too_much_is_refused(twice: Callable[[Any, Any], Any]) -> None:
    expression: list[Any] = [b"reference", 0, [b"list", 1]]
    for number in range(1, 40):
        expression = [b"reference", number, twice(expression, [b"dereference", number - 1])]
    with pytest.raises(LimitExceeded, match=r"over Limits.expanded_elements=1000000"):
        read(expression)


def test_structure_that_stands_for_too_much_is_refused() -> None:
    assert len(read(doubling(17))) == 2
    with pytest.raises(LimitExceeded, match=r"over Limits.expanded_elements=1000000"):
        read(doubling(40))


LONG = b"x" * 12_800
"""It counts as a hundred elements where it is met again."""


@pytest.mark.parametrize(
    "inner",
    [
        LONG,
        [b"unicode", LONG],
        [b"list", LONG[:6_400], [b"unicode", LONG[:6_400]]],
        [b"tuple", LONG],
        [b"dictionary", [LONG, 1]],
        [b"dictionary", [b"reference", LONG]],
        [b"list", [b"reference", 2, LONG]],
        [b"list", [b"reference", 2, b"short"], LONG],
    ],
    ids=["bytes", "text", "list", "tuple", "key", "value", "shared", "beside what is shared"],
)
def test_texts_in_what_is_shared_count_each_time_it_is_met(inner: Any) -> None:
    def read(times: int) -> Any:
        jelly = Jelly(Settings(limits=Limits(expanded_elements=1_000)))
        return jelly.read([b"list", [b"reference", 1, inner], *[[b"dereference", 1]] * times])

    assert len(read(8)) == 9
    with pytest.raises(LimitExceeded, match=r"over Limits.expanded_elements=1000"):
        read(11)


def test_texts_inside_each_other_are_counted_once_for_each_time() -> None:
    expression: list[Any] = [b"reference", 0, [b"unicode", LONG]]
    for number in range(1, 50):
        expression = [b"reference", number, [b"list", expression]]
    jelly = Jelly(Settings(limits=Limits(expanded_elements=1_000)))
    assert len(jelly.read([b"list", expression, [b"dereference", 0], [b"dereference", 49]])) == 3


def test_keys_in_keys_are_not_walked_again_at_every_level() -> None:
    expression: Any = [b"tuple", *[b""] * 50_000]
    for _ in range(50):
        expression = [b"frozenset", expression]
    with pytest.raises(LimitExceeded, match=r"over Limits\.(expanded_elements|odd_keys)"):
        read(expression)


def test_depth_that_the_stack_can_not_hold_is_over_a_limit() -> None:
    expression: Any = [b"list"]
    for _ in range(100_000):
        expression = [b"list", expression]
    with pytest.raises(LimitExceeded, match="nesting"):
        read(expression)


@pytest.mark.parametrize("wrap", [b"list", b"tuple", b"set", b"frozenset", b"dictionary", b"copy", b"factory"])
@pytest.mark.parametrize("error", [ValueError, TypeError, IndexError])
def test_what_a_hook_raises_comes_out_as_it_is(wrap: bytes, error: type[Exception]) -> None:
    def refuse(_: object) -> None:
        raise error("refused by the application")

    registry = Registry()
    registry.register(Copy, "copy")
    registry.register_factory(tuple, "factory")
    registry.register_factory(refuse, "refusing")
    inner: list[object] = [b"refusing", 1]
    with pytest.raises(error, match="refused by the application"):
        Jelly(Settings(registry=registry)).read([wrap, [1, inner] if wrap == b"dictionary" else inner])


# Tuples in tuples.


def test_a_tuple_may_be_in_a_tuple_that_it_contains() -> None:
    inner: list[Any] = []
    outer = (inner,)
    inner.append(((outer,), outer))
    (((first,), second),) = echoed(outer)[0]
    copy = echoed(outer)
    ((first,), second) = copy[0][0]
    assert first is second is copy


def test_such_a_tuple_can_be_shared() -> None:
    inner: list[Any] = []
    outer = (inner,)
    within = (outer, 1)
    inner.extend([within, [within], {"within": within}])
    copy = echoed(outer)
    first, (second,), named = copy[0]
    assert first is second is named["within"]
    assert first[0] is copy


def test_and_contain_what_contains_it() -> None:
    inner: list[Any] = []
    outer = (inner,)
    holder: list[Any] = []
    within = (outer, holder)
    holder.append(within)
    inner.append(within)
    copy = echoed(outer)
    (within_copy,) = copy[0]
    assert within_copy[0] is copy
    assert within_copy[1][0] is within_copy


def test_a_copy_in_it_is_given_its_state_when_all_is_whole() -> None:
    expression = [
        b"reference",
        1,
        [b"tuple", [b"list", [b"tuple", [b"copy", state(things=[b"tuple", [b"dereference", 1]])]]]],
    ]
    copy = read(expression)
    assert copy[0][0][0].things[0] is copy


@pytest.mark.parametrize(
    "expression",
    [
        [b"reference", 1, [b"tuple", [b"dereference", 1]]],
        [b"reference", 1, [b"tuple", [b"tuple", [b"dereference", 1]]]],
        [b"reference", 1, [b"tuple", [b"reference", 2, [b"tuple", [b"dereference", 1], [b"dereference", 2]]]]],
        [b"list", [b"reference", 1, [b"tuple", [b"list", [b"dereference", 1]], [b"dereference", 1]]]],
        [b"reference", 1, [b"frozenset", [b"tuple", [b"dereference", 1]]]],
        [b"reference", 1, [b"tuple", [b"set", [b"tuple", [b"dereference", 1]]]]],
        [b"reference", 1, [b"tuple", [b"dictionary", [[b"tuple", [b"dereference", 1]], 1]]]],
    ],
)
def test_a_tuple_that_contains_itself_directly_is_a_protocol_error(expression: object) -> None:
    with pytest.raises(RemoteProtocolError, match="directly contains"):
        read(expression)


# Classes that delegate.


class Lending:
    """Asks another object for what it has not got: before it has its state, for ever."""

    def __init__(self, original: Any) -> None:
        self.original = original

    def __getattr__(self, name: str) -> Any:
        return getattr(self.original, name)


def test_an_instance_without_its_state_is_not_asked_for_anything() -> None:
    settings = Settings(policy=Policy(instances=[Lending]))
    copy = Jelly(settings).read([f"{__name__}.Lending".encode(), [b"dictionary", [[b"unicode", b"original"], 5]]])
    assert copy.original == 5


@pytest.mark.parametrize("wrong", [[b"list", 1], 1, b"text", [b"unicode", b"text"]])
def test_the_state_of_an_instance_is_a_dictionary(wrong: object) -> None:
    settings = Settings(policy=Policy(instances=[Lending]))
    with pytest.raises(RemoteProtocolError, match="state of a Lending is not a dictionary"):
        Jelly(settings).read([f"{__name__}.Lending".encode(), wrong])
