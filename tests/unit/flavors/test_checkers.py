"""Which values are what an annotation says: one oracle for the plain forms, and tables for the others."""

from __future__ import annotations

import collections
import collections.abc
import dataclasses
import datetime
import decimal
import enum
import subprocess
import sys
import types
import typing
import uuid
from typing import Annotated, Any, Literal, NamedTuple, NewType, Optional, TypedDict, TypeVar, Union

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.flavors.annotations import Compiler
from pellucid.flavors.cacheable import RemoteCache
from pellucid.flavors.checkers import Fault
from pellucid.flavors.copyable import RemoteCopy
from pellucid.flavors.facets import Facet
from pellucid.flavors.interfaces import Interface
from pellucid.flavors.referenceable import AsReferenceable, Referenceable
from pellucid.flavors.serializable import Held

NOW = datetime.datetime(2026, 11, 27, 12, tzinfo=datetime.UTC)
UUID = uuid.UUID(int=5)


class Colour(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    LOW = 1


class Text(str):
    __slots__ = ()


@dataclasses.dataclass
class Job:
    name: str


class Point(NamedTuple):
    x: int


class Entry(TypedDict):
    name: str
    size: typing.NotRequired[int]


class Loose(TypedDict, total=False):
    name: str
    size: typing.Required[int]


class Node(TypedDict):
    children: list[Node]


@typing.runtime_checkable
class Closable(typing.Protocol):
    def close(self) -> None: ...


class Door:
    def close(self) -> None:
        """Nothing to do."""


T = TypeVar("T")
Named = TypeVar("Named", bound=Job)
Either = TypeVar("Either", int, str)


class Box(typing.Generic[T]):
    """Of what is in there nobody knows."""


Size = NewType("Size", int)
Json = Union[None, bool, int, float, str, list["Json"], dict[str, "Json"]]  # noqa: UP007 - it is part of itself


def fault_of(annotation: Any, value: Any) -> Fault | None:
    compiler = Compiler(fault_of, object)
    checker = compiler.checker(annotation)
    compiler.finish()
    return None if checker is None or type(value) in checker.exact else checker.fault(value, {})


def accepts(annotation: Any, value: Any) -> bool:
    return fault_of(annotation, value) is None


# What is accepted, and what msgspec would convert.

ACCEPTED: list[tuple[Any, Any]] = [
    (Any, object()),
    (object, object()),
    (None, None),
    (bool, True),
    (int, 5),
    (int, 2**2000),
    (int, Level.LOW),
    (float, 1.5),
    (float, 1),
    (complex, 1.5),
    (str, "a"),
    (str, Text("a")),
    (bytes, b"a"),
    (bytearray, bytearray(b"a")),
    (datetime.datetime, NOW),
    (datetime.date, NOW.date()),
    (decimal.Decimal, decimal.Decimal(1)),
    (uuid.UUID, UUID),
    (Colour, Colour.RED),
    (Job, Job("a")),
    (Point, Point(1)),
    (Size, 5),
    (T, object()),
    (Named, Job("a")),
    (Either, "a"),
    (Box[int], Box()),
    (Closable, Door()),
    (Optional[int], None),  # noqa: UP045 - the old spelling
    (int | None, 5),
    (str | bytes, b"a"),
    (Job | Door | None, Door()),
    (int | Any, "a"),
    (Literal["a", 1, None], "a"),
    (Literal["a", 1, None], 1),
    (Literal[Colour.RED], Colour.RED),
    (list, [1, "a"]),
    (typing.List, [1]),  # noqa: UP006 - the old spelling
    (list[Any], [1, "a"]),
    (list[int], [1, 2]),
    (list[list[int]], [[1], []]),
    (list[Job], [Job("a")]),
    (set[int], {1}),
    (frozenset[int], frozenset({1})),
    (collections.deque[int], collections.deque([1])),
    (tuple, (1, "a")),
    (typing.Tuple, (1, "a")),  # noqa: UP006 - the old spelling
    (tuple[int, ...], (1, 2)),
    (tuple[Any, ...], (1, "a")),
    (tuple[int, str], (1, "a")),
    (tuple[int, Any], (1, "a")),
    (tuple[()], ()),
    (dict, {1: 2}),
    (dict[str, int], {"a": 1}),
    (dict[str, Any], {"a": object()}),
    (dict[Any, Any], {1: 2}),
    (collections.abc.Mapping[str, list[int]], {"a": [1]}),
    (collections.abc.Sequence[int], (1, 2)),
    (collections.abc.Iterable[int], {1: "a"}),
    (collections.abc.Callable[[int], str], print),
    (list[int] | list[str], ["a"]),
    (Entry, {"name": "a"}),
    (Entry, {"name": "a", "size": 1}),
    (Loose, {"size": 1}),
    (Node, {"children": [{"children": []}]}),
    (Json, {"a": [1, {"b": None}]}),
    (Annotated[int, "how many"], 5),
    (Annotated[int, msgspec.Meta(ge=0)], 5),
    (Optional[Annotated[int, msgspec.Meta(ge=0)]], None),  # noqa: UP045 - pyright knows no | of these
    (Annotated[float, msgspec.Meta(le=3)], 3),
    (Annotated[str, msgspec.Meta(pattern="^a+$", max_length=3)], "aaa"),
    (Annotated[bytes, msgspec.Meta(min_length=1)], b"a"),
    (Annotated[list[Job], msgspec.Meta(max_length=1)], [Job("a")]),
    (Annotated[datetime.datetime, msgspec.Meta(tz=True)], NOW),
]


@pytest.mark.parametrize("number", range(len(ACCEPTED)))
def test_what_an_annotation_says_is_accepted(number: int) -> None:
    annotation, value = ACCEPTED[number]
    assert fault_of(annotation, value) is None


REFUSED: list[tuple[Any, Any, str, str, str]] = [
    (None, 0, "", "None", "int"),
    (bool, 1, "", "bool", "int"),
    (int, True, "", "int", "bool"),
    (int, 1.0, "", "int", "float"),
    (int, "1", "", "int", "str"),
    (float, True, "", "float", "bool"),
    (float, "1.5", "", "float", "str"),
    (str, b"a", "", "str", "bytes"),
    (str, None, "", "str", "None"),
    (bytes, "YQ==", "", "bytes", "str"),
    (bytes, bytearray(b"a"), "", "bytes", "bytearray"),
    (bytearray, b"a", "", "bytearray", "bytes"),
    (datetime.datetime, "2026-11-27T12:00:00", "", "datetime", "str"),
    (datetime.datetime, 1.5, "", "datetime", "float"),
    (datetime.date, NOW, "", "date", "datetime"),
    (datetime.timedelta, 5, "", "timedelta", "int"),
    (decimal.Decimal, "1", "", "Decimal", "str"),
    (decimal.Decimal, 1, "", "Decimal", "int"),
    (uuid.UUID, str(UUID), "", "UUID", "str"),
    (Colour, 1, "", "Colour", "int"),
    (Level, 1, "", "Level", "int"),
    (Job, {"name": "a"}, "", "Job", "dict"),
    (Point, (1,), "", "Point", "tuple"),
    (Size, "5", "", "int", "str"),
    (Named, 5, "", "Job", "int"),
    (Either, 1.5, "", "int | str", "float"),
    (Box[int], [1], "", "Box", "list"),
    (Closable, 5, "", "Closable", "int"),
    (Optional[int], "a", "", "int | None", "str"),  # noqa: UP045 - the old spelling
    (Literal["a", 1], True, "", "Literal['a', 1]", "True"),
    (Literal["a", 1], 1.0, "", "Literal['a', 1]", "1.0"),
    (Literal[1], 2**2000, "", "Literal[1]", "an int of 2001 bits"),
    (Literal[Colour.RED], 1, "", "Literal[Colour.RED]", "1"),
    (list[int], (1,), "", "list[int]", "tuple"),
    (list[int], {1}, "", "list[int]", "set"),
    (list[int], [1, "a"], "[1]", "int", "str"),
    (list[list[int]], [[], [1, True]], "[1][1]", "int", "bool"),
    (tuple, [1], "", "tuple", "list"),
    (tuple[int, ...], [1], "", "tuple[int, ...]", "list"),
    (tuple[int, ...], (1, "a"), "[1]", "int", "str"),
    (tuple[int, str], (1,), "", "tuple[int, str]", "a tuple of 1"),
    (tuple[int, str], (1, 2), "[1]", "str", "int"),
    (tuple[()], (1,), "", "tuple[()]", "a tuple of 1"),
    (set[int], [1], "", "set[int]", "list"),
    (set[int], frozenset({1}), "", "set[int]", "frozenset"),
    (set[int], {"a"}, "{...}", "int", "str"),
    (frozenset[int], {1}, "", "frozenset[int]", "set"),
    (dict[str, int], [("a", 1)], "", "dict[str, int]", "list"),
    (dict[str, int], {1: 1}, ".keys()", "str", "int"),
    (dict[str, int], {"a": 1, "b": "c"}, "['b']", "int", "str"),
    (dict[int, int], {2**2000: "c"}, "[an int of 2001 bits]", "int", "str"),
    (dict[str, int], {"a" * 90: "c"}, f"['{'a' * 50}'... of length 90]", "int", "str"),
    (collections.abc.Sequence[int], {1}, "", "Sequence[int]", "set"),
    (collections.abc.Mapping[str, int], {"a": None}, "['a']", "int", "None"),
    (collections.abc.Callable[[int], str], 5, "", "Callable", "int"),
    (list[int] | str, [None], "[0]", "int", "None"),
    (list[int] | list[str], [None], "", "list[int] | list[str]", "list"),
    (tuple[int, str] | int, (1,), "", "tuple[int, str]", "a tuple of 1"),
    (Entry | None, {}, "", "Entry", "a dict without 'name'"),
    (Entry, {}, "", "Entry", "a dict without 'name'"),
    (Entry, {"name": "a", "x": 1}, "", "Entry", "a dict with 'x'"),
    (Entry, {"name": "a", 5: 1}, "", "Entry", "a dict with 5"),
    (Entry, {"name": 1}, "['name']", "str", "int"),
    (Entry, Job("a"), "", "Entry", "Job"),
    (Loose, {"name": "a"}, "", "Loose", "a dict without 'size'"),
    (list[Entry], [{"name": "a"}, {"name": 5}], "[1]['name']", "str", "int"),
    (Node, {"children": [{"children": 5}]}, "['children'][0]['children']", "list[Node]", "int"),
    (Json, {"a": [b"b"]}, "['a'][0]", "None | bool | int | float | str | list[Json] | dict[str, Json]", "bytes"),
    (Annotated[int, msgspec.Meta(ge=0)], -1, "", "int >= 0", "-1"),
    (Annotated[int, msgspec.Meta(ge=0)], True, "", "int", "bool"),
    (Annotated[int, msgspec.Meta(le=5)], 2**2000, "", "int <= 5", "an int of 2001 bits"),
    (Optional[Annotated[int, msgspec.Meta(ge=0)]], -1, "", "int >= 0", "-1"),  # noqa: UP045 - as above
    (Optional[Annotated[int, msgspec.Meta(ge=0)]], "a", "", "int | None", "str"),  # noqa: UP045 - as above
    (Annotated[float, msgspec.Meta(ge=0)], float("nan"), "", "float >= 0.0", "nan"),
    (Annotated[str, msgspec.Meta(max_length=2)], "a" * 60, "", "str of length <= 2", f"'{'a' * 50}'... of length 60"),
    (Annotated[str, msgspec.Meta(pattern="^a$")], "b", "", "str matching regex '^a$'", "'b'"),
    (Annotated[bytes, msgspec.Meta(min_length=2)], b"a", "", "bytes of length >= 2", "b'a'"),
    (Annotated[list[int], msgspec.Meta(max_length=1)], [1, 2], "", "array of length <= 1", "a list of length 2"),
    (Annotated[list[int], msgspec.Meta(max_length=1)], (1,), "", "list[int]", "tuple"),
    (Annotated[tuple[int, ...], msgspec.Meta(max_length=0)], (1,), "", "array of length <= 0", "a tuple of length 1"),
    (
        Annotated[dict[str, int], msgspec.Meta(max_length=0)],
        {"a": 1},
        "",
        "object of length <= 0",
        "a dict of length 1",
    ),
    (list[Annotated[int, msgspec.Meta(ge=0)]], [1, -1], "[1]", "int >= 0", "-1"),
    (Annotated[datetime.datetime, msgspec.Meta(tz=False)], NOW, "", "datetime with no timezone component", "datetime"),
]


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_what_it_does_not_say_is_refused_with_the_place_and_what_was_expected_and_came(number: int) -> None:
    annotation, value, *told = REFUSED[number]
    fault = fault_of(annotation, value)
    assert fault is not None
    assert [fault.path, fault.expected, fault.got] == told


# Forms that can't be checked say so.


class Unchecked(typing.Protocol):
    def close(self) -> None: ...


UNCHECKABLE = {
    "protocol": Unchecked,
    "bounds of anything": Annotated[Any, msgspec.Meta(ge=0)],
    "bounds that make no sense": Annotated[str, msgspec.Meta(ge=0)],
    "bounds of a choice": Annotated[int | str, msgspec.Meta(ge=0)],
    "not a type": 5,
    "never": typing.Never,
    "self": typing.Self,
    "unpacked": tuple[int, *tuple[str, ...]],
    "unpacked, the old way": tuple[int, typing.Unpack[tuple[str, ...]]],  # noqa: UP044 - the old spelling
}


@pytest.mark.parametrize("annotation", UNCHECKABLE.values(), ids=UNCHECKABLE)
def test_an_annotation_that_no_value_can_be_checked_by_is_refused(annotation: Any) -> None:
    with pytest.raises(TypeError):
        Compiler(fault_of, object).checker(annotation)


def test_a_name_inside_of_an_annotation_that_stands_for_nothing_is_refused() -> None:
    compiler = Compiler(fault_of, object)
    compiler.checker(list["Nothing"])  # type: ignore[name-defined]  # noqa: F821 - that is the point
    with pytest.raises(NameError):
        compiler.finish()


def test_interfaces_are_asked_whether_a_value_provides_them() -> None:
    class Interface:
        """As zope.interface has them: no class."""

        __name__ = "IDoor"

        def providedBy(self, value: object) -> bool:
            return isinstance(value, Door)

    assert accepts(list[Interface()], [Door()])  # type: ignore[misc]
    assert fault_of(Interface(), 5) == Fault("", "IDoor", "int")


class Closer(Interface):
    async def close(self) -> None: ...


class Served(Referenceable, implements=Closer):
    def remote_close(self) -> None:
        """Nothing to do."""


def facet_of(obj: Referenceable) -> Facet:
    return Facet(obj, clock=lambda: 0.0)


IMPLEMENTING = {
    "one of ours": Served(),
    "a facet": facet_of(Served()),
    "a facet of a facet": facet_of(facet_of(Served())),
    "one made callable": AsReferenceable(Served()),
    "one of the peer's": Held(),
}


@pytest.mark.parametrize("value", IMPLEMENTING.values(), ids=IMPLEMENTING)
def test_what_says_that_it_implements_an_interface_is_accepted_as_one(value: object) -> None:
    assert accepts(Closer, value)


def holding(cls: type, **attributes: object) -> Any:
    made = cls()
    vars(made).update(attributes)
    return made


NOT_IMPLEMENTING = {
    "one of ours": Referenceable(),
    "a facet": facet_of(Referenceable()),
    "a copy with an attribute": holding(RemoteCopy, object=Served()),
    "a copy that would choose": holding(RemoteCopy, object=Served(), _pellucid_stands_in=True),
    "a copy of a cacheable": RemoteCache(),
    "one of ours with an attribute": holding(Referenceable, object=Served()),
}


@pytest.mark.parametrize("value", NOT_IMPLEMENTING.values(), ids=NOT_IMPLEMENTING)
def test_what_does_not_say_so_is_none_whatever_attributes_it_has(value: object) -> None:
    assert fault_of(Closer, value) == Fault("", "Closer", type(value).__name__)


def test_an_iterator_is_not_used_up_by_looking_at_it() -> None:
    numbers = iter(["a", "b"])
    assert accepts(collections.abc.Iterator[int], numbers)
    assert list(numbers) == ["a", "b"]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the statement is new in Python 3.12")
def test_aliases_of_the_type_statement_are_what_they_stand_for_even_where_they_are_part_of_themselves() -> None:
    names: dict[str, Any] = {}
    exec("type Tree = int | list[Tree]; type Pair[T] = tuple[T, T]; type Swapped[A, B] = tuple[B, A]", names)
    exec("type Row[*P] = tuple[*P]; type Same[T] = T", names)
    tree, pair = names["Tree"], names["Pair"]
    assert accepts(tree, [1, [2, []]])
    assert fault_of(tree, [1, ["a"]]) == Fault("[1][0]", "int | list[Tree]", "str")
    assert accepts(pair[int], (1, 2))
    assert fault_of(pair[int], (1, "a")) == Fault("[1]", "int", "str")
    assert accepts(names["Row"][int, str], (1, "a"))
    assert fault_of(names["Same"][int], "a") == Fault("", "int", "str")
    assert accepts(names["Swapped"][int, str], ("a", 1))
    assert fault_of(names["Swapped"][int, str], (1, "a")) == Fault("[0]", "str", "int")


# msgspec is an extra.


def test_values_can_be_checked_where_msgspec_is_not_installed() -> None:
    program = """if True:
        import sys
        sys.modules["msgspec"] = None  # importing it fails
        from typing import Annotated
        from pellucid.flavors.dispatch import VALIDATED
        from pellucid.flavors.referenceable import Referenceable, method_of

        class Echoer(Referenceable):
            def remote_echo(self, text: Annotated[str, "anything"]) -> str:
                return text

        method = method_of(Echoer(), "echo", VALIDATED)
        print(method("hi"))
        method(5)
    """
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=False)
    assert ended.stdout == "hi\n"
    assert ended.stderr.endswith("InvalidArgument: argument text of remote_echo: expected str, got int\n")


def test_msgspec_is_not_loaded_before_there_are_bounds() -> None:
    program = "import sys, pellucid; pellucid.serve; print('msgspec' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", program], encoding="utf-8") == "False\n"


# Hostile values.


def nested(levels: int, innermost: Any) -> Any:
    for _ in range(levels):
        innermost = [innermost]
    return innermost


def test_a_value_that_contains_itself_is_not_what_an_annotation_that_does_so_says() -> None:
    cycle: list[Any] = []
    cycle.append(cycle)
    fault = fault_of(Json, cycle)
    assert fault is not None
    assert fault.got == "a list that contains itself"
    assert accepts(list[Any], cycle)


class Counting(int):
    """Notes how often it was looked at."""

    looks = 0

    @property  # type: ignore[misc]
    def __class__(self) -> type:  # pyright: ignore[reportIncompatibleMethodOverride]  # nobody sets it
        Counting.looks += 1
        return int


Left = Union[list["Left"], list["Right"], str]  # noqa: UP007 - it is part of itself
Right = Union[list["Right"], list["Left"], bytes]  # noqa: UP007 - as above


def test_annotations_that_refer_to_each_other_take_no_exponential_time() -> None:
    looks = []
    for levels in 10, 20, 40:
        Counting.looks = 0
        assert not accepts(Left, nested(levels, Counting(5)))
        looks.append(Counting.looks)
    assert looks[2] <= 4 * looks[0] + 100


def test_what_is_met_many_times_is_looked_at_once() -> None:
    shared: Any = "a"
    for _ in range(60):
        shared = [shared, shared]
    assert accepts(Json, shared)


# An oracle: what Python says in a straightforward way, form by form.

LEAVES = [type(None), bool, int, float, str, bytes, Colour, Job]


def oracle(annotation: Any, value: Any) -> bool:
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is Any:
        return True
    if origin is Literal:
        return any((type(arg), arg) == (type(value), value) for arg in args)
    if origin in (Union, types.UnionType):
        return any(oracle(arg, value) for arg in args)
    if origin in (list, set, frozenset):
        return type(value) is origin and all(oracle(args[0], item) for item in value)
    if origin is tuple and args[-1:] == (...,):
        return type(value) is tuple and all(oracle(args[0], item) for item in value)
    if origin is tuple:
        return type(value) is tuple and len(value) == len(args) and all(map(oracle, args, value))
    if origin is dict:
        return type(value) is dict and all(oracle(args[0], k) and oracle(args[1], v) for k, v in value.items())
    return type(value) is annotation or (annotation is float and type(value) is int)


hashable_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.binary(max_size=3)
    | st.just(Colour.RED),
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3),
    max_leaves=4,
)  # fmt: skip
values = st.recursive(
    hashable_values | st.builds(Job, st.just("a")),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(hashable_values, inner, max_size=3)
        | st.sets(hashable_values, max_size=3)
    ),
    max_leaves=8,
)
VARIABLES: list[Any] = [list, set, frozenset, tuple, dict, Union]
A_LIST, A_SET, A_FROZENSET, A_TUPLE, A_DICT, A_UNION = VARIABLES
"""As variables: type checkers want to know what is in their brackets."""

forms: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from([*LEAVES, Any]) | st.sampled_from([Literal[1, "a", None], Literal[True], Literal[Colour.RED]]),
    lambda inner: (
        inner.map(lambda form: A_LIST[form])
        | inner.map(lambda form: A_SET[form])
        | inner.map(lambda form: A_FROZENSET[form])
        | inner.map(lambda form: A_TUPLE[form, ...])
        | st.lists(inner, max_size=3).map(lambda each: A_TUPLE[tuple(each)])
        | st.tuples(inner, inner).map(lambda pair: A_DICT[pair])
        | st.lists(inner, min_size=1, max_size=3).map(lambda each: A_UNION[tuple(each)])
    ),
    max_leaves=6,
)


def values_of(annotation: Any) -> st.SearchStrategy[Any]:
    """Values that are likely to be what it says: otherwise hardly any would be."""
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is Any:
        return values
    if annotation is Job:
        return st.just(Job("a"))
    if origin is Literal:
        return st.sampled_from(args)
    if origin in (Union, types.UnionType):
        return st.one_of(*map(values_of, args))
    if origin is list:
        return st.lists(values_of(args[0]), max_size=3)
    if origin in (set, frozenset):
        return st.lists(values_of(args[0]), max_size=3).map(lambda items: origin(filter(is_hashable, items)))
    if origin is tuple:
        if args[-1:] == (...,):
            return st.lists(values_of(args[0]), max_size=3).map(tuple)
        return st.tuples(*map(values_of, args))
    if origin is dict:
        pairs = st.lists(st.tuples(*map(values_of, args)), max_size=3)
        return pairs.map(lambda made: {key: value for key, value in made if is_hashable(key)})
    return st.from_type(annotation)


def is_hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


@given(st.data())
def test_a_value_is_accepted_where_and_only_where_the_oracle_says_so(data: st.DataObject) -> None:
    annotation = data.draw(forms)
    value = data.draw(values | values_of(annotation))
    assert accepts(annotation, value) == oracle(annotation, value)
