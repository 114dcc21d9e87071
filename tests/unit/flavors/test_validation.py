"""What classes and their methods ask of the arguments of a call, and where that is looked at."""

from __future__ import annotations

import functools
import gc
import sys
import weakref
from abc import ABC
from collections.abc import Callable
from functools import singledispatchmethod
from typing import Any, ParamSpec

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.errors import InvalidArgument, NoSuchMethod, RateExceeded, is_refusal
from pellucid.flavors.cacheable import RemoteCache
from pellucid.flavors.dispatch import DECODED, VALIDATED
from pellucid.flavors.facets import Facet, FacetUse
from pellucid.flavors.referenceable import (
    AsReferenceable,
    Avatar,
    AvatarReference,
    Referenceable,
    Root,
    Viewable,
    Viewpoint,
    method_of,
)
from pellucid.flavors.validation import prepare


def ask(obj: Any, name: str, *args: Any, **kwargs: Any) -> Any:
    """What a peer's call comes to where nobody but the class says whether it is checked."""
    return method_of(obj, name, DECODED)(*args, **kwargs)


def ask_strictly(obj: Any, name: str, *args: Any, **kwargs: Any) -> Any:
    """The same at a server that checks."""
    return method_of(obj, name, VALIDATED)(*args, **kwargs)


def refused(call: Callable[..., Any], *args: Any, **kwargs: Any) -> list[str]:
    """Which argument was refused, what was expected, and what came."""
    with pytest.raises(InvalidArgument) as raised:
        call(*args, **kwargs)
    assert is_refusal(raised.value)
    return [raised.value.argument, raised.value.expected, raised.value.got]


class Plain(Referenceable):
    def remote_double(self, number: int) -> int:
        return number * 2

    def remote_any(self, thing, *things, **named):  # type: ignore[no-untyped-def]
        return thing, things, named

    def remote_many(self, first: int, /, second: str = "b", *rest: float, third: bytes, **named: list[int]) -> Any:
        return first, second, rest, third, named

    def remote_wrong_result(self) -> int:
        return "not checked"  # type: ignore[return-value]

    @classmethod
    def remote_of_class(cls, number: int) -> tuple[type, int]:
        return cls, number

    @staticmethod
    def remote_static(number: int) -> int:
        return number

    def remote_missing(self, thing: Missing) -> None:  # type: ignore[name-defined]  # noqa: F821 - that is the point
        """Its annotation stands for nothing."""

    def remote_missing_result(self) -> Missing:  # type: ignore[name-defined]  # noqa: F821 - as above
        return 5


class Strict(Plain, validate=True):
    pass


class Inheriting(Strict):
    pass


class Lenient(Strict, validate=False):
    pass


# Who checks.


def test_nothing_is_checked_unless_it_is_asked_for() -> None:
    assert ask(Plain(), "double", "a") == "aa"
    assert ask(Lenient(), "double", "a") == "aa"


@pytest.mark.parametrize("cls", [Strict, Inheriting])
def test_a_class_checks_where_it_says_so_and_so_do_its_subclasses(cls: type[Plain]) -> None:
    assert ask(cls(), "double", 2) == 4
    assert refused(ask, cls(), "double", "a") == ["number", "int", "str"]


def test_a_server_checks_for_all_classes_but_those_that_will_not() -> None:
    assert refused(ask_strictly, Plain(), "double", "a") == ["number", "int", "str"]
    assert ask_strictly(Plain(), "double", 2) == 4
    assert ask_strictly(Lenient(), "double", "a") == "aa"


def test_an_abstract_base_class_can_say_so_as_well() -> None:
    class Abstract(Referenceable, ABC, validate=True):
        def remote_double(self, number: int) -> int:
            return number * 2

    assert refused(ask, Abstract(), "double", "a") == ["number", "int", "str"]


class Avatars(Avatar, validate=True):
    def perspective_double(self, number: int) -> int:
        return number * 2


class Watched(Viewable, validate=True):
    def view_double(self, perspective: Missing, number: int) -> Any:  # type: ignore[name-defined]  # noqa: F821
        return perspective, number * 2

    def view_see(self, perspective: str, number: int) -> tuple[Any, int]:
        return perspective, number * 2

    def view_note(self, perspective: str, **notes: int) -> dict[str, int]:
        return notes


class Copy(RemoteCache, validate=True):
    def observe_double(self, number: int) -> int:
        return number * 2


class Anything:
    """An avatar that derives from nothing."""

    def perspective_double(self, number: int) -> int:
        return number * 2

    def remote_double(self, number: int) -> int:
        return number * 2


@pytest.mark.parametrize("obj", [AvatarReference(Avatars()), Copy()], ids=["avatar", "cache"])
def test_avatars_and_caches_check_as_well(obj: Any) -> None:
    assert ask(obj, "double", 2) == 4
    assert refused(ask, obj, "double", "a") == ["number", "int", "str"]


@pytest.mark.parametrize("obj", [AvatarReference(Anything()), AsReferenceable(Anything())], ids=["avatar", "other"])
def test_a_server_checks_for_objects_that_derive_from_nothing(obj: Any) -> None:
    assert ask(obj, "double", "a") == "aa"
    assert refused(ask_strictly, obj, "double", "a") == ["number", "int", "str"]


def test_the_perspective_of_a_view_is_no_argument_of_the_callers() -> None:
    view = Viewpoint(5, Watched())
    assert ask(view, "see", 2) == (5, 4)
    assert refused(ask, view, "see", "a") == ["number", "int", "str"]
    assert refused(ask, view, "see") == ["number", "int", "nothing"]
    assert ask(view, "note", number=2) == {"number": 2}
    for taken in "self", "perspective":
        assert refused(ask, view, "note", **{taken: 2}) == [repr(taken), "no argument of that name", "int"]


class Choosing(Referenceable, validate=True):
    """Dispatches by itself."""

    def method_for(self, name: str) -> Callable[..., Any]:
        match name:
            case "method":
                return self.double
            case "partial":
                return functools.partial(self.double, more="a")
            case "function":
                return lambda number: number
            case "object":
                return Doubling()
            case "class":
                return Doubled
            case "builtin":
                return len
            case _:
                return super().method_for(name)

    def double(self, number: int, more: str = "") -> Any:
        return number * 2, more

    def remote_double(self, number: int) -> int:
        return number * 2


class Doubling:
    __hash__ = None  # type: ignore[assignment]

    def __call__(self, number: int) -> int:
        return number * 2


class Doubled:
    def __init__(self, number: int) -> None:
        self.number = number * 2


@pytest.mark.parametrize("name", ["method", "partial", "object", "class", "double"])
def test_what_a_class_dispatches_to_by_itself_is_checked(name: str) -> None:
    assert ask(Choosing(), name, 2) is not None
    assert refused(ask, Choosing(), name, "a") == ["number", "int", "str"]


def test_what_has_no_annotations_is_free_wherever_it_is_found() -> None:
    assert ask(Choosing(), "function", "a") == "a"
    assert ask(Choosing(), "builtin", "abc") == 3


class Whole(Referenceable, validate=True):
    """Takes whole calls in PB's way, and goes on with what it overrides."""

    def remoteMessageReceived(self, broker: Any, message: str, args: Any, kw: Any) -> Any:
        return "whole", super().remoteMessageReceived(broker, message, args, kw)

    def remote_double(self, number: int) -> int:
        return number * 2


def test_who_takes_whole_calls_has_them_checked_by_what_it_overrides() -> None:
    assert ask(Whole(), "double", 2) == ("whole", 4)
    assert refused(ask, Whole(), "double", "a") == ["number", "int", "str"]


def logged(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


class Decorated(Referenceable, validate=True):
    @logged
    def remote_double(self, number: int) -> int:
        return number * 2

    async def remote_wait(self, number: int) -> int:
        return number


def test_a_decorator_that_wraps_keeps_the_contract() -> None:
    assert ask(Decorated(), "double", 2) == 4
    assert refused(ask, Decorated(), "double", "a") == ["number", "int", "str"]


def test_a_coroutine_is_not_begun_where_its_arguments_are_refused() -> None:
    assert refused(ask, Decorated(), "wait", "a") == ["number", "int", "str"]
    method = method_of(Decorated(), "wait", DECODED)
    assert method.__code__ is Decorated.remote_wait.__code__


def test_names_are_found_as_ever() -> None:
    for name in "nothing", "__class__", "x" * 1000:
        with pytest.raises(NoSuchMethod):
            ask(Strict(), name)
    assert ask(Strict(), "of_class", 1) == (Strict, 1)
    assert ask(Strict(), "static", 1) == 1
    assert refused(ask, Strict(), "of_class", "a") == ["number", "int", "str"]
    assert refused(ask, Strict(), "static", "a") == ["number", "int", "str"]


def test_a_method_that_an_instance_has_in_place_of_its_classs_is_checked_as_what_it_is() -> None:
    def of_instance(number: str) -> str:
        return number * 2

    obj = Strict()
    obj.remote_double = of_instance  # type: ignore[assignment, method-assign]
    assert ask(obj, "double", "a") == "aa"
    assert refused(ask, obj, "double", 2) == ["number", "str", "int"]
    assert ask(Strict(), "double", 2) == 4


# What annotations may name.


class Shelf(Referenceable, validate=True):
    class Book:
        """Its module knows none of that name."""

    def remote_put(self, book: Book) -> None:
        """Nothing to do."""


class Corner(Shelf):
    pass


@pytest.mark.parametrize("cls", [Shelf, Corner])
def test_an_annotation_may_name_a_class_inside_of_the_one_that_has_the_method(cls: type[Shelf]) -> None:
    ask(cls(), "put", Shelf.Book())
    assert refused(ask, cls(), "put", 5) == ["book", "Shelf.Book", "int"]


def test_an_annotation_of_a_local_class_may_name_it() -> None:
    class Local(Referenceable, validate=True):
        def remote_meet(self, others: list[Local]) -> int:
            return len(others)

        @staticmethod
        def remote_greet(other: Local) -> None:
            """Nothing to do."""

    class Front(Referenceable, validate=True):
        def method_for(self, name: str) -> Callable[..., Any]:
            return Local().remote_meet

    for obj in Local(), type("Local", (Local,), {})(), Front():
        assert ask(obj, "meet", [Local()]) == 1
        argument, expected, got = refused(ask, obj, "meet", [Front()])
        assert (argument, got) == ("others[0]", Front.__qualname__)
        assert expected == Local.__qualname__
    ask(Local(), "greet", Local())
    assert refused(ask, Local(), "greet", 5) == ["other", Local.__qualname__, "int"]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the syntax is new in Python 3.12")
@pytest.mark.parametrize("future", ["from __future__ import annotations", ""], ids=["as text", "at once"])
def test_annotations_of_a_generic_class_may_name_what_it_is_generic_over(future: str) -> None:
    names: dict[str, Any] = {"Referenceable": Referenceable, "__name__": "generic"}
    program = f"""{future}
class Box[T: int](Referenceable, validate=True):
    def remote_put[S: str](self, thing: T, name: S, others: dict[S, list[T]]) -> T:
        return thing
"""
    exec(compile(program, "generic.py", "exec", dont_inherit=True), names)
    assert ask(names["Box"](), "put", 5, "a", {"a": [6]}) == 5
    assert refused(ask, names["Box"](), "put", 5, "a", {"a": ["b"]}) == ["others['a'][0]", "int", "str"]


def test_a_contract_of_what_a_name_stands_for_does_not_keep_a_function_alive() -> None:
    class Making(Referenceable, validate=True):
        def method_for(self, name: str) -> Callable[..., Any]:
            def made(tree: Branches) -> bool:
                return tree is None

            kept.append(weakref.ref(made))
            return made

    kept: list[weakref.ref[Any]] = []
    assert ask(Making(), "any", None)
    gc.collect()
    assert [reference() for reference in kept] == [None]


# What is checked.


def test_arguments_without_annotation_are_free_and_so_are_results() -> None:
    assert ask(Strict(), "any", 1, "b", c=2) == (1, ("b",), {"c": 2})
    assert ask(Strict(), "wrong_result") == "not checked"


def test_arguments_arrive_as_they_are() -> None:
    numbers = [1, 2]
    result = ask(Strict(), "many", 1, third=b"c", more=numbers)
    assert result == (1, "b", (), b"c", {"more": numbers})
    assert result[4]["more"] is numbers


def test_every_kind_of_parameter_is_checked() -> None:
    assert ask(Strict(), "many", 1, "b", 1.5, 2, third=b"c", first=[1]) == (1, "b", (1.5, 2), b"c", {"first": [1]})
    assert refused(ask, Strict(), "many", "a", third=b"c") == ["first", "int", "str"]
    assert refused(ask, Strict(), "many", 1, 2, third=b"c") == ["second", "str", "int"]
    assert refused(ask, Strict(), "many", 1, second=2, third=b"c") == ["second", "str", "int"]
    assert refused(ask, Strict(), "many", 1, "b", 1.5, "c", third=b"c") == ["rest[1]", "float", "str"]
    assert refused(ask, Strict(), "many", 1, third="c") == ["third", "bytes", "str"]
    assert refused(ask, Strict(), "many", 1, third=b"c", other=5) == ["named['other']", "list[int]", "int"]
    assert refused(ask, Strict(), "many", 1, third=b"c", other=[1, "a"]) == ["named['other'][1]", "int", "str"]


def test_arguments_that_do_not_fit_the_signature_are_told_as_well() -> None:
    assert refused(ask, Strict(), "double") == ["number", "int", "nothing"]
    assert refused(ask, Strict(), "double", 1, 2, 3) == ["2", "no more than 1 by position", "3"]
    assert refused(ask, Strict(), "double", 1, x=2) == ["'x'", "no argument of that name", "int"]
    assert refused(ask, Strict(), "double", 1, number=2) == ["number", "it once", "it by position and by name"]
    assert refused(ask, Strict(), "many", third=b"c") == ["first", "int", "nothing"]
    assert refused(ask, Strict(), "many", first=[1], third=b"c") == ["first", "int", "nothing"]
    assert refused(ask, Strict(), "many", 1) == ["third", "bytes", "nothing"]
    assert refused(ask, Strict(), "any") == ["thing", "a value", "nothing"]
    assert refused(ask, Strict(), "double", 1, **{"x" * 10**6: 2})[0] == f"'{'x' * 50}'... of length 1000000"


def test_the_error_says_it_all() -> None:
    with pytest.raises(InvalidArgument) as raised:
        ask(Strict(), "many", 1, third=b"c", more=[1, "a"])
    assert str(raised.value) == "argument named['more'][1] of remote_many: expected int, got str"
    assert raised.value.method == "remote_many"


class Echoer(Referenceable, validate=True):
    def remote_echo(self, value: list[int] | dict[str, list[float]] | tuple[bytes, ...] | None) -> Any:
        return value


@given(
    st.none()
    | st.lists(st.integers())
    | st.dictionaries(st.text(), st.lists(st.floats() | st.integers()))
    | st.lists(st.binary()).map(tuple)
)
def test_what_passes_the_check_is_the_very_object_that_came(value: Any) -> None:
    assert ask(Echoer(), "echo", value) is value
    assert ask(Echoer(), "echo", value=value) is value


counts = st.integers(min_value=0, max_value=7)  # more than any of them has parameters


@given(counts, st.sets(st.sampled_from(["a", "b", "c", "d", "e", "self"])))
def test_a_call_fits_where_and_only_where_python_says_so(count: int, names: set[str]) -> None:
    class Taking(Referenceable):
        def remote_some(self, a: int, /, b: int, c: int = 0, *, d: int, e: int = 0) -> str:
            return "taken"

        def remote_more(self, a: int = 0, /, b: int = 0, *c: int, d: int = 0, **e: int) -> str:
            return "taken"

        def remote_rest(self, a: int, b: int = 0, **c: int) -> str:
            return "taken"

    for name in "some", "more", "rest":
        args, kwargs = [1] * count, dict.fromkeys(names, 1)
        try:
            fits = ask(Taking(), name, *args, **kwargs) == "taken"
        except TypeError:
            fits = False
        if fits:
            assert ask_strictly(Taking(), name, *args, **kwargs) == "taken"
        else:
            refused(ask_strictly, Taking(), name, *args, **kwargs)


def test_an_argument_by_name_is_itself_however_many_come_by_position() -> None:
    class Taking(Referenceable, validate=True):
        def remote_all(self, *numbers: int, loud: bool) -> int:
            return len(numbers)

    numbers = range(10)
    assert ask(Taking(), "all", *numbers, loud=True) == len(numbers)
    assert refused(ask, Taking(), "all", *numbers) == ["loud", "bool", "nothing"]


class Tree(Referenceable, validate=True):
    def remote_grow(self, tree: Branches) -> str:
        return "grown"


Branches = list["Branches"] | None


def test_what_is_nested_too_deeply_to_be_looked_at_is_refused() -> None:
    tree: Any = None
    for _ in range(100_000):
        tree = [tree]
    with pytest.raises(InvalidArgument, match="a list that is nested too deeply to be checked"):
        ask(Tree(), "grow", tree)
    assert ask(Tree(), "grow", [[None], []]) == "grown"
    while tree:  # or else it would be deallocated level by level
        tree = tree.pop()


# Contracts that are no good.


def test_a_name_that_stands_for_nothing_is_the_owners_fault_and_not_the_callers() -> None:
    with pytest.raises(TypeError, match=r"remote_missing can't be checked .*name 'Missing' is not defined"):
        ask(Strict(), "missing", 5)
    assert ask(Strict(), "missing_result") == 5


P = ParamSpec("P")


def passing(function: Callable[P, int]) -> Callable[P, int]:
    def run(*args: P.args, **kwargs: P.kwargs) -> int:
        return function(*args, **kwargs)

    return run


def test_who_decorates_without_wraps_is_told_where_and_what_to_do() -> None:
    class Passing(Referenceable, validate=True):
        @passing
        def remote_double(self, number: int) -> int:
            return number * 2

    with pytest.raises(TypeError, match=r"Passing\.run can't be checked .*P\.args are .*: use functools\.wraps"):
        ask(Passing(), "double", 2)


def test_a_method_whose_function_is_up_to_the_argument_has_no_contract() -> None:
    class Either(Referenceable, validate=True):
        @singledispatchmethod
        def remote_take(self, value: object) -> str:
            return "something"

        @remote_take.register
        def _(self, value: int) -> str:
            return "a number"

    with pytest.raises(TypeError, match=r"Either\.remote_take can't be checked .*its contract, is up to the argument"):
        ask(Either(), "take", 2)
    with pytest.raises(TypeError, match="remote_take can't be checked"):
        prepare(Either, "remote_")


def test_all_methods_of_a_class_can_be_looked_at_before() -> None:
    with pytest.raises(TypeError, match="Missing"):
        prepare(Strict, "remote_")
    prepare(Tree, "remote_")


def test_a_contract_does_not_keep_a_function_alive() -> None:
    class Making(Referenceable, validate=True):
        def method_for(self, name: str) -> Callable[..., Any]:
            def made(number: int) -> int:
                return number

            kept.append(weakref.ref(made))
            return made

    kept: list[weakref.ref[Any]] = []
    assert ask(Making(), "any", 1) == 1
    assert refused(ask, Making(), "any", "a") == ["number", "int", "str"]
    gc.collect()
    assert [reference() for reference in kept] == [None, None]


# Facets.


def test_a_facet_of_what_is_checked_checks() -> None:
    uses: list[FacetUse] = []
    facet = Facet(Strict(), audit=uses.append, calls_per_second=2, clock=lambda: 0.0)
    for obj in facet, Facet(facet, clock=lambda: 0.0):
        assert refused(ask, obj, "double", "a") == ["number", "int", "str"]
    assert [type(use.refusal) for use in uses] == [InvalidArgument, InvalidArgument]
    assert ask(facet, "double", 2) == ask(facet, "double", 3) - 2 == 4
    with pytest.raises(RateExceeded):  # what was refused was not counted
        ask(facet, "double", 2)


def test_a_facet_checks_where_the_server_does() -> None:
    facet = Facet(Plain(), clock=lambda: 0.0)
    assert ask(facet, "double", "a") == "aa"
    for obj in facet, Facet(facet, clock=lambda: 0.0):
        assert refused(ask_strictly, obj, "double", "a") == ["number", "int", "str"]
        assert ask_strictly(obj, "double", 2) == 4


class Drawer(Referenceable):
    pass


class Office(Root, validate=True):
    def __init__(self) -> None:
        self.drawer = Drawer()

    def remote_drawer(self) -> Drawer:
        return self.drawer

    def remote_lock(self, drawers: list[Drawer]) -> bool:
        return drawers == [self.drawer]


def test_what_was_obtained_through_a_facet_is_checked_as_what_it_stands_for() -> None:
    facet = Facet(Office(), deep=True, clock=lambda: 0.0)
    drawer = ask(facet, "drawer")
    assert isinstance(drawer, Facet)
    assert ask(facet, "lock", [drawer]) is True
    assert refused(ask, Office(), "lock", [drawer]) == ["drawers[0]", "Drawer", "_Obtained"]
