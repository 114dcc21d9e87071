"""Descriptions: what a class tells, and what is believed of what a peer told."""

from __future__ import annotations

import copy
from inspect import Parameter, Signature
from typing import Any, overload

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pellucid as pb
from pellucid.errors import RemoteProtocolError
from pellucid.flavors.describing import class_told, clean, description_of, parse_description

SECRET = "hunter2"


class Shop(pb.Interface):
    """Sells things.

    And buys none.
    """

    async def order(self, item: str, /, count: int = 1, *, code: str = SECRET, **more: int) -> float:
        """Order
        something.

        It is not sent before it is paid.
        """
        ...

    async def look(self): ...  # type: ignore[no-untyped-def]


class ServedShop(pb.Described, pb.Root, implements=Shop):
    """A shop."""

    def remote_order(self, *args: Any, **kwargs: Any) -> float:
        return 0.5

    def remote_look(self) -> None:
        """Look around."""

    def remote_rob(self) -> None:
        """This is no part of the interface."""


class Open(pb.Described, pb.Root):
    def remote_order(self, item: str, *rest: str, at: float = 0.5, by: Any = None, to: Any = SECRET) -> None:
        """Order."""

    def remote__hidden(self) -> None: ...

    def remote_(self) -> None: ...

    @staticmethod
    def remote_static(thing: int) -> int:
        return thing

    remote_built_in = iter
    remote_constant = 5

    def secret(self) -> None: ...


def names(cls: type) -> list[str]:
    return [method.name for method in description_of(cls).methods]


def test_a_class_tells_of_the_methods_of_its_interfaces_alone() -> None:
    assert names(ServedShop) == ["look", "order"]


def test_a_class_without_interfaces_tells_of_all_that_a_peer_may_call_but_private_names() -> None:
    assert names(Open) == ["built_in", "order", "static"]


def test_what_is_told_is_plain_data() -> None:
    told = ServedShop().remote___describe__()
    look, order = told["methods"]
    assert told == {"name": "ServedShop", "doc": "A shop.", "methods": [look, order]}
    assert look == {
        "name": "look",
        "doc": "Look around.",
        "parameters": [],
        "returns": None,
    }
    assert order == {
        "name": "order",
        "doc": "Order something.",
        "parameters": [
            {"name": "item", "kind": "positional_only", "annotation": "str", "default": None},
            {"name": "count", "kind": "positional_or_keyword", "annotation": "int", "default": "1"},
            {"name": "code", "kind": "keyword_only", "annotation": "str", "default": "..."},
            {"name": "more", "kind": "var_keyword", "annotation": "int", "default": None},
        ],
        "returns": "float",
    }


def test_defaults_are_told_where_they_can_be_nobodys_business_but_the_callers() -> None:
    assert [method.signature for method in description_of(Open).methods] == [
        "(*args, **kwargs)",
        "(item: str, *rest: str, at: float = 0.5, by: Any = None, to: Any = ...) -> None",
        "(thing: int) -> int",
    ]
    assert SECRET not in repr(class_told(Open, "remote_")) + repr(class_told(ServedShop, "remote_"))


def test_a_description_is_made_once_for_each_class() -> None:
    class Sub(Open):
        """Another."""

        def remote_more(self) -> None: ...

    assert class_told(Open, "remote_") is class_told(Open, "remote_")
    assert class_told(Sub, "remote_")["name"] == "Sub"
    assert "more" in names(Sub)
    assert "more" not in names(Open)


def test_a_viewable_tells_of_its_methods_without_the_perspective() -> None:
    class Board(pb.Described, pb.Viewable):
        def view_read(self, perspective: Any, line: int) -> str:
            return ""

    told = Board().view___describe__(None)
    assert [method.signature for method in parse_description(told).methods] == ["(line: int) -> str"]
    assert [method.signature for method in description_of(Board).methods] == ["(line: int) -> str"]


def test_of_an_overloaded_method_the_first_is_told() -> None:
    class Store(pb.Interface):
        @overload
        async def get(self, what: int) -> int: ...

        @overload
        async def get(self, what: str) -> str: ...

    assert [method.signature for method in description_of(Store).methods] == ["(what: int) -> int"]


def test_long_texts_are_cut_where_they_are_told() -> None:
    class Wordy(pb.Root):
        def remote_talk(self, what):  # type: ignore[no-untyped-def]
            return what

    Wordy.remote_talk.__doc__ = "word " * 10_000
    Wordy.remote_talk.__annotations__["what"] = "int | " * 10_000 + "str"
    (method,) = class_told(Wordy, "remote_")["methods"]
    assert len(method["doc"]) == 2000
    assert len(method["parameters"][0]["annotation"]) == 200


def test_what_no_reader_takes_is_not_told() -> None:
    def many(self: Any, *args: int) -> None: ...

    many.__signature__ = Signature(  # type: ignore[attr-defined]
        [Parameter(f"p{n}", Parameter.POSITIONAL_OR_KEYWORD) for n in range(102)]
    )
    methods = {f"remote_{name}": lambda self: None for name in ("talk", "x" * 101, "by-line", "")}
    described = description_of(type("x" * 101, (pb.Root,), {**methods, "remote_many": many}))
    assert described.name == "x" * 100
    assert [method.name for method in described.methods] == ["talk"]
    methods = {f"remote_m{n}": lambda self: None for n in range(1001)}
    assert len(description_of(type("Large", (pb.Root,), methods)).methods) == 1000


def test_what_was_told_is_read_as_it_was() -> None:
    described = parse_description(class_told(ServedShop, "remote_"))
    assert described == description_of(ServedShop)
    assert described.doc == "A shop."
    assert [method.doc for method in described.methods] == ["Look around.", "Order something."]


# What a hostile peer tells.


def told(**changes: Any) -> dict[str, Any]:
    """A description with one method of one parameter, and what is said otherwise of any."""
    parameter = {"name": "item", "kind": "keyword_only", "annotation": "str", "default": None}
    method = {"name": "order", "doc": "", "parameters": [parameter], "returns": None}
    whole: dict[str, Any] = {"name": "Shop", "doc": "", "methods": [method]}
    for path, value in changes.items():
        place, _, key = path.partition("_")
        {"whole": whole, "method": method, "parameter": parameter}[place][key] = value
    return whole


MALFORMED: dict[str, Any] = {
    "nothing": None,
    "a list": [],
    "no fields": {},
    "a number for a name": told(whole_name=5),
    "bytes for a name": told(whole_name=b"Shop"),
    "a name with a line in it": told(whole_name="Shop:\n    import os\nclass X"),
    "a name that is none": told(whole_name="1"),
    "an empty name": told(whole_name=""),
    "a long name": told(whole_name="x" * 101),
    "no doc": told(whole_doc=None),
    "methods that are none": told(whole_methods="order"),
    "methods by name": told(whole_methods={}),
    "a method that is none": told(whole_methods=[5]),
    "two of one name": told(whole_methods=told()["methods"] * 2),
    "too many methods": told(whole_methods=[{**told()["methods"][0], "name": f"m{n}"} for n in range(1001)]),
    "a private method": told(method_name="_order"),
    "a method's name with a line in it": told(method_name="order\n    x"),
    "a method's doc that is a number": told(method_doc=5),
    "a result that is a number": told(method_returns=5),
    "parameters that are none": told(method_parameters=None),
    "too many parameters": told(method_parameters=[{**told()["methods"][0]["parameters"][0]}] * 101),
    "parameters of one name": told(method_parameters=told()["methods"][0]["parameters"] * 2),
    "a parameter that is none": told(method_parameters=["item"]),
    "a parameter of no kind": told(parameter_kind="odd"),
    "a kind that can't be hashed": told(parameter_kind=[]),
    "a parameter whose name is a keyword": told(parameter_name="import"),
    "a parameter's name with more in it": told(parameter_name="item=__import__('os')"),
    "an annotation that is a number": told(parameter_annotation=5),
    "a default that is a number": told(parameter_default=5),
}


@pytest.mark.parametrize("malformed", MALFORMED.values(), ids=MALFORMED.keys())
def test_what_is_no_description_is_refused(malformed: Any) -> None:
    with pytest.raises(RemoteProtocolError, match="description"):
        parse_description(malformed)


def test_as_much_as_is_allowed_is_taken() -> None:
    parameters = [{**told()["methods"][0]["parameters"][0], "name": f"p{n}"} for n in range(100)]
    methods = [{**told()["methods"][0], "name": f"m{n}"} for n in range(1000)]
    assert len(parse_description(told(method_parameters=parameters)).methods[0].parameters) == 100
    assert len(parse_description(told(whole_methods=methods)).methods) == 1000
    assert len(parse_description(told(whole_name="x" * 100)).name) == 100


def test_required_parameters_behind_others_are_refused() -> None:
    places = [{"name": name, "kind": "positional_only", "annotation": None, "default": None} for name in "ab"]
    places[0]["default"] = "1"
    with pytest.raises(RemoteProtocolError, match="'order' has parameters that Python doesn't allow"):
        parse_description(told(method_parameters=places))


@pytest.mark.parametrize("kind", ["var_positional", "var_keyword"])
def test_two_parameters_that_take_all_the_rest_are_refused(kind: str) -> None:
    rests = [{"name": name, "kind": kind, "annotation": None, "default": None} for name in "ab"]
    assert parse_description(told(method_parameters=rests[:1])).methods[0].parameters[0].kind == kind
    with pytest.raises(RemoteProtocolError, match="'order' has parameters that Python doesn't allow"):
        parse_description(told(method_parameters=rests))


@pytest.mark.parametrize("text", ["\x1b[2J", "a\nb", "\u202eevil", "\ud800", "\x00", "a\rb", "\u2028"])
def test_characters_that_do_something_are_not_shown(text: str) -> None:
    described = parse_description(
        told(whole_doc=text, method_doc=text, parameter_annotation=text, parameter_default=text, method_returns=text)
    )
    shown = described.doc + described.methods[0].doc + described.methods[0].signature
    assert shown.isprintable()
    assert "\N{REPLACEMENT CHARACTER}" in described.doc


def test_texts_are_cut_where_they_are_read() -> None:
    described = parse_description(told(whole_doc="x" * 10_000, parameter_annotation="x" * 10_000))
    assert len(described.doc) == 2000
    assert described.methods[0].parameters[0].annotation == "x" * 200


values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.integers() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.data())
def test_whatever_a_peer_tells_it_is_a_description_or_refused(data: st.DataObject) -> None:
    whole = copy.deepcopy(told())
    places: list[Any] = [whole, whole["methods"][0], whole["methods"][0]["parameters"][0]]
    for place in places:
        for key in list(place):
            if data.draw(st.booleans()):
                place[key] = data.draw(values)
    try:
        described = parse_description(whole)
    except RemoteProtocolError:
        return
    assert described.name.isidentifier()
    assert all(method.signature.isprintable() and method.doc.isprintable() for method in described.methods)


def test_clean_text_is_left_as_it_is() -> None:
    assert clean("Grüße, 世界", 100) == "Grüße, 世界"
