from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import attrs  # comes with Twisted
import pytest

from pellucid.errors import InsecureJelly, RemoteError, RemoteProtocolError
from pellucid.flavors.copyable import Copyable, PlainCopier, RemoteCopy
from pellucid.flavors.registry import Registry
from pellucid.flavors.serializable import qualified_name
from pellucid.wire.dialect import Sharing
from tests.dialects import each_dialect, over
from tests.pair import Jelly, Pair, Settings

pytestmark = each_dialect


class Duck(Copyable):
    def __init__(self, name: str) -> None:
        self.name = name


class RemoteDuck(RemoteCopy):
    name: str

    def __init__(self) -> None:
        raise AssertionError("a copy is made without __init__")


@dataclass
class Point:
    x: int
    y: float = 0.0
    label: str = field(default="", compare=False)
    norm: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        if self.x < 0:
            raise ValueError("x is negative")
        self.norm = abs(self.x) + abs(self.y)


@dataclass(frozen=True, slots=True)
class Frozen:
    x: int
    parts: tuple[object, ...] = ()


@dataclass
class Node:
    name: str
    neighbours: list[Node] = field(default_factory=list)


@dataclass
class Stored(Exception):
    code: int


class Colour(enum.Enum):
    RED = "#f00"
    GREEN = "#0f0"


class Level(enum.IntEnum):
    LOW = 1


class Rights(enum.Flag):
    READ = enum.auto()
    WRITE = enum.auto()


@dataclass
class Interned:
    """Can't be made without its name."""

    name: str

    def __new__(cls, name: str) -> Interned:
        return super().__new__(cls)


@attrs.define
class Address:
    street: str
    number: int = attrs.field(default=1, validator=attrs.validators.ge(1))


class Struct:
    """Gets its fields in __new__, as msgspec's structs do."""

    __struct_fields__ = ("x", "y")
    x: int
    y: int

    def __new__(cls, x: int, y: int) -> Struct:
        self = super().__new__(cls)
        self.x, self.y = x, y
        return self

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Struct) and (self.x, self.y) == (other.x, other.y)

    __hash__ = None  # type: ignore[assignment]


def registry_of(*classes: type, sharing: Sharing = "tree") -> Settings:
    registry = Registry()
    for cls in classes:
        registry.register_copyable(cls)
    return Settings(registry=registry, sharing=sharing)


def echoing(*classes: type, sharing: Sharing = "tree") -> Callable[[Any], Any]:
    """What comes back of a value when both sides know `classes`."""
    known = registry_of(*classes, sharing=sharing)
    pair = Pair(server=known, client=known)
    return lambda value: pair.call(pair.root, "echo", value)


# Copyable and RemoteCopy.


def both_ducks() -> Settings:
    registry = Registry()
    registry.register(RemoteDuck, Duck)
    return Settings(registry=registry)


def test_a_copy_is_built_of_the_class_that_the_receiver_registered() -> None:
    pair = Pair(server=both_ducks())
    pair.call(pair.root, "keep", Duck("Donald"))
    desk: Any = pair.server.published
    (copy,) = desk.kept
    assert type(copy) is RemoteDuck
    assert copy.name == "Donald"


def test_a_copy_that_the_receiver_does_not_know_fails_the_call() -> None:
    pair = Pair()
    with pytest.raises(InsecureJelly, match=r"test_copyable.Duck may not cross; register it, or allow it"):
        pair.call(pair.root, "echo", Duck("Donald"))
    assert not pair.server.is_closed


@over("pb")
def test_tag_and_state_may_depend_on_who_it_is_sent_to() -> None:
    class Report(Copyable):
        def get_type_to_copy_for(self, perspective: object) -> str:
            return f"report for {perspective}"

        def get_state_to_copy_for(self, perspective: object) -> object:
            return {"reader": perspective}

    expression = [b"report for boss", [b"dictionary", [[b"unicode", b"reader"], [b"unicode", b"boss"]]]]
    assert Jelly().write(Report(), perspective="boss") == expression


@over("pb")
@pytest.mark.parametrize("tag", ["zoo.Tag", b"zoo.Tag"], ids=repr)
def test_a_tag_is_a_str_or_bytes(tag: str | bytes) -> None:
    class Tagged(Copyable):
        def get_type_to_copy(self) -> str | bytes:
            return tag

    assert Jelly().write(Tagged()) == [b"zoo.Tag", [b"dictionary"]]


@over("pb")
def test_classes_written_for_pb_are_copied_by_their_camel_case_hooks() -> None:
    class Old(Copyable):
        def getStateToCopyFor(self, perspective: object) -> object:
            return {"n": 1}

        def getTypeToCopy(self) -> str:
            return "old"

    class OldCopy(RemoteCopy):
        n: int

        def setCopyableState(self, state: dict[str, int]) -> None:
            self.n = state["n"] + 1

        def postUnjelly(self) -> None:
            self.n *= 10

    registry = Registry()
    registry.register(OldCopy, "old")
    jelly = Jelly(Settings(registry=registry))
    assert jelly.read(jelly.write(Old())).n == 20


@over("pb")
def test_attribute_names_of_python_2_peers_arrive_as_bytes_and_are_decoded() -> None:
    jelly = Jelly(both_ducks())
    tag = qualified_name(Duck).encode()
    assert vars(jelly.read([tag, [b"dictionary", [b"name", b"Donald"]]])) == {"name": b"Donald"}


@over("pb")
@pytest.mark.parametrize("state", [[b"None"], [b"dictionary"]])
def test_a_copy_without_state_has_no_attributes(state: object) -> None:
    assert vars(Jelly(both_ducks()).read([qualified_name(Duck).encode(), state])) == {}


KNOWN = Registry()
KNOWN.register(RemoteDuck, Duck)
for known in (Point, Colour, Struct):
    KNOWN.register_copyable(known)


@over("pb")
@pytest.mark.parametrize("state", [5, b"state", [b"list", 1]], ids=repr)
@pytest.mark.parametrize("cls", [Duck, Point, Colour, Struct])
def test_a_state_that_is_no_dictionary_is_a_protocol_error_with_words(cls: type, state: object) -> None:
    with pytest.raises(RemoteProtocolError, match=r"the state of .* is not a dictionary"):
        Jelly(Settings(registry=KNOWN)).read([qualified_name(cls).encode(), state])


@over("pb")
@pytest.mark.parametrize("cls", [Duck, Point, Colour, Struct])
def test_a_name_of_bytes_that_are_no_text_is_refused_with_words(cls: type) -> None:
    with pytest.raises((RemoteProtocolError, TypeError)):
        Jelly(Settings(registry=KNOWN)).read([qualified_name(cls).encode(), [b"dictionary", [b"\xff", 1]]])


@over("pb")
def test_an_attribute_in_the_state_is_no_hook() -> None:
    state = [b"dictionary", [b"post_unjelly", 1], [b"__class__", 2], [b"set_copyable_state", 3]]
    copy = Jelly(both_ducks()).read([qualified_name(Duck).encode(), state])
    assert type(copy) is RemoteDuck


@over("pb")
def test_what_a_copy_finishes_is_finished_once_the_whole_message_is_there() -> None:
    seen: list[list[str]] = []

    class Late(RemoteCopy):
        others: list[RemoteDuck]

        def post_unjelly(self) -> None:
            seen.append([duck.name for duck in self.others])

    registry = Registry()
    registry.register(Late, "late")
    registry.register(RemoteDuck, Duck)
    duck = [qualified_name(Duck).encode(), [b"dictionary", [b"name", [b"unicode", b"Donald"]]]]
    jelly = Jelly(Settings(registry=registry))
    late, copy = jelly.read(
        [
            b"list",
            [b"late", [b"dictionary", [b"others", [b"reference", 1, [b"list"]]]]],
            [b"list", [b"dereference", 1], duck],
        ]
    )
    assert seen == [[]]
    assert copy[0] is late.others


@over("pb")
def test_a_factory_is_given_the_state() -> None:
    registry = Registry()
    registry.register_factory(lambda state: sorted(state), "sorted")
    assert Jelly(Settings(registry=registry)).read([b"sorted", [b"list", 3, 1, 2]]) == [1, 2, 3]


@over("pb")
def test_a_cycle_through_a_copy_from_a_factory_can_not_be_built() -> None:
    registry = Registry()
    registry.register_factory(list, "listed")
    with pytest.raises(RemoteProtocolError):
        Jelly(Settings(registry=registry)).read([b"reference", 1, [b"listed", [b"list", [b"dereference", 1]]]])


def test_a_hook_that_raises_fails_the_call_alone() -> None:
    class Refusing(Copyable):
        def get_state_to_copy(self) -> object:
            raise LookupError("no state today")

    pair = Pair()
    with pytest.raises(LookupError, match="no state today"):
        pair.call(pair.root, "echo", Refusing())
    assert pair.to_server.said() == []
    assert pair.call(pair.root, "echo", 1) == 1


# Ordinary classes.


VALUES: list[Any] = [
    Point(1, 2.5, label="here"),
    Frozen(1, (2, Frozen(3))),
    Node("alone"),
    Interned("one"),
    Colour.GREEN,
    Level.LOW,
    Rights.READ,
    Address("Abbey Road", 3),
    Struct(1, 2),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_an_ordinary_class_with_declared_fields_is_copied_whole(value: Any) -> None:
    copy = echoing(type(value))(value)
    assert type(copy) is type(value)
    assert copy == value
    assert (copy is value) is isinstance(value, enum.Enum)


def test_fields_that_are_computed_are_computed_again_and_not_sent() -> None:
    point = Point(1, 2)
    point.norm = -1.0
    assert echoing(Point)(point).norm == 3.0


@over("pb")
def test_a_field_that_does_not_arrive_has_its_default() -> None:
    jelly = Jelly(registry_of(Point))
    assert jelly.read([qualified_name(Point).encode(), [b"dictionary", [b"x", 7]]]) == Point(7)


def test_what_the_class_checks_is_checked_and_said_in_its_own_words() -> None:
    bad = Point(1)
    bad.x = -1
    for value in bad, [bad], {"key": bad}:
        with pytest.raises(RemoteError, match="ValueError: x is negative"):
            echoing(Point)(value)
    address = Address("Abbey Road")
    object.__setattr__(address, "number", 0)
    with pytest.raises(RemoteError, match="ValueError"):
        echoing(Address)(address)


@over("pb")
@pytest.mark.parametrize(
    ("state", "words"),
    [
        ([b"dictionary"], "missing"),
        ([b"dictionary", [b"x", 1], [b"norm", 2.0]], "has no field 'norm'"),
        ([b"dictionary", [b"x", 1], [b"__class__", 2]], "has no field '__class__'"),
    ],
)
def test_a_field_missing_or_undeclared_is_refused(state: object, words: str) -> None:
    with pytest.raises((TypeError, RemoteProtocolError), match=words):
        Jelly(registry_of(Point)).read([qualified_name(Point).encode(), state])


@over("pb")
@pytest.mark.parametrize(
    ("state", "words"),
    [
        ([b"dictionary"], "Colour has no member None"),
        ([b"dictionary", [b"name", [b"unicode", b"BLUE"]]], "Colour has no member 'BLUE'"),
    ],
)
def test_a_member_that_an_enum_does_not_have_is_refused_with_words(state: object, words: str) -> None:
    with pytest.raises(RemoteProtocolError, match=words):
        Jelly(registry_of(Colour)).read([qualified_name(Colour).encode(), state])


def test_a_combination_of_flags_is_copied_too() -> None:
    both = Rights.READ | Rights.WRITE
    assert echoing(Rights)(both) is both


def test_an_exception_that_is_a_dataclass_is_copied() -> None:
    copy = echoing(Stored)([Stored(7)])[0]
    assert type(copy) is Stored
    assert copy.code == 7


def test_a_cycle_of_copies_is_a_cycle_at_the_receiver() -> None:
    one, other = Node("one"), Node("other")
    one.neighbours = [other]
    other.neighbours = [one, other]
    copy = echoing(Node)(one)
    assert copy is not one
    assert copy.neighbours[0].neighbours[0] is copy
    assert copy.neighbours[0].neighbours[1] is copy.neighbours[0]


def test_a_copy_met_twice_in_a_message_is_one_copy() -> None:
    node = Node("shared")
    first, second = echoing(Node, sharing="graph")((node, node))
    assert first is second


@over("pellucid")
def test_as_a_tree_a_copy_met_twice_in_a_message_is_two_copies() -> None:
    node = Node("shared")
    first, second = echoing(Node)((node, node))
    assert first == second
    assert first is not second


def test_a_cycle_through_a_copy_that_is_built_in_one_go_can_not_be_built() -> None:
    struct = Struct(1, 2)
    struct.x = [struct]  # type: ignore[assignment]
    with pytest.raises(RemoteProtocolError):
        echoing(Struct)(struct)


def test_a_class_that_declares_no_fields_can_not_be_registered() -> None:
    class Opaque:
        pass

    with pytest.raises(TypeError, match=r"Opaque declares no fields: make it a dataclass, or derive it from Copyable"):
        Registry().register_copyable(Opaque)


def test_the_state_of_an_ordinary_object_is_its_declared_fields() -> None:
    copier = PlainCopier(Point, "zoo.Point")
    assert copier.state(Point(1, 2, "three")) == {"x": 1, "y": 2, "label": "three"}
