"""Interfaces: what may stand in one, and what else is refused when the class is made."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import FunctionType
from typing import Any, Generic, TypeVar, overload

import pytest

import pellucid as pb
from pellucid.flavors.hints import UNRESOLVED
from pellucid.flavors.interfaces import declared_by, is_interface

T = TypeVar("T", covariant=True)

BASE: Any = pb.Interface
"""A protocol to type checkers, which is not made by hand."""


class Echoer(pb.Interface):
    """Echoes."""

    async def echo(self, text: str) -> str: ...

    async def shout(self, text: str, /, *rest: str, loudly: bool = False, **names: str) -> Missing: ...  # type: ignore[name-defined]  # noqa: F821

    @overload
    async def get(self, what: int) -> int: ...

    @overload
    async def get(self, what: str) -> str: ...


class Loud(Echoer, pb.Interface):
    async def shout(self, text: str, /, *rest: str, loudly: bool = True, **names: str) -> str: ...

    async def call(self, name: str) -> None: ...


class Box(pb.Interface, Generic[T]):
    async def get(self) -> T: ...


def test_an_interface_has_the_methods_that_it_and_its_bases_declare() -> None:
    assert set(declared_by(Echoer)) == {"echo", "shout", "get"}
    assert set(declared_by(Loud)) == {"echo", "shout", "get", "call"}
    assert declared_by(Loud)["shout"].owner is Loud
    assert declared_by(Loud)["echo"].owner is Echoer


def test_an_overloaded_method_is_all_of_its_overloads() -> None:
    declared = declared_by(Echoer)["get"]
    assert len(declared.functions) == 2
    assert [*declared.annotations()] == [int, str]
    assert [*declared.annotations("what")] == [int, str]


def test_an_annotation_that_names_nothing_is_unresolved_and_harms_no_other() -> None:
    declared = declared_by(Echoer)["shout"]
    assert [*declared.annotations()] == [UNRESOLVED]
    assert [*declared.annotations("loudly")] == [bool]
    assert declared.parameters() == {"text", "rest", "loudly", "names"}


@pytest.mark.parametrize("thing", [Echoer, Loud, Box, Box[int]], ids=str)
def test_an_interface_is_one(thing: Any) -> None:
    assert is_interface(thing)


@pytest.mark.parametrize("thing", [pb.Interface, int, list[int], pb.Root, "Echoer", None, Echoer.echo, 5])
def test_nothing_else_is_an_interface(thing: Any) -> None:
    assert not is_interface(thing)


def test_an_interface_has_no_instances() -> None:
    with pytest.raises(
        TypeError, match=r"Echoer is an interface and has no instances: reference\.as_\(Echoer\) gives a view"
    ):
        Echoer()  # type: ignore[misc]


async def coroutine(self: object) -> None: ...


async def generator(self: object) -> AsyncIterator[int]:
    yield 5


async def without_self() -> None: ...


async def only_keywords(*, self: object) -> None: ...


def plain(self: object) -> None: ...


BAD: list[tuple[str, Any, str]] = [
    ("echo", plain, r"Bad\.echo is a function: an interface has nothing but methods, each with `async def`"),
    ("echo", generator, "each with `async def`"),
    ("echo", property(plain), r"Bad\.echo is a property"),
    ("echo", staticmethod(coroutine), r"Bad\.echo is a staticmethod"),
    ("echo", classmethod(coroutine), r"Bad\.echo is a classmethod"),
    ("echo", 5, r"Bad\.echo is a int"),
    ("Inner", type("Inner", (), {}), r"Bad\.Inner is a type"),
    ("echo", without_self, r"Bad\.echo takes no `self`"),
    ("echo", only_keywords, r"Bad\.echo takes no `self`"),
    ("_echo", coroutine, r"Bad\._echo: a peer can't be asked for private names"),
    ("__call__", coroutine, r"Bad\.__call__: a peer can't be asked for private names"),
    ("__init__", plain, r"Bad\.__init__: a peer can't be asked for private names"),
    ("remote_echo", coroutine, r"Bad\.remote_echo: an interface has the names that are called: write 'echo'"),
    ("jellyFor", coroutine, r"Bad\.jellyFor: pellucid needs that name for itself"),
]


@pytest.mark.parametrize(("name", "value", "text"), BAD)
def test_what_is_no_public_async_def_is_refused_when_the_class_is_made(name: str, value: Any, text: str) -> None:
    with pytest.raises(TypeError, match=text):
        type("Bad", (BASE,), {name: value})


def test_a_good_method_made_this_way_is_taken() -> None:
    made: Any = type("Good", (BASE,), {"echo": coroutine, "__doc__": "Good."})
    (declared,) = declared_by(made).values()
    assert isinstance(declared.functions[0], FunctionType)


def test_an_attribute_is_refused_with_what_to_write_instead() -> None:
    with pytest.raises(TypeError, match=r"Bad\.price: an interface has no attributes.*async def price\(\)"):

        class Bad(pb.Interface):  # pyright: ignore[reportUnusedClass]
            price: int


def test_an_interface_derives_from_nothing_else() -> None:
    with pytest.raises(TypeError, match=r"can't derive from Root.*class Name\(Root, implements=\.\.\.\)"):

        class Bad(pb.Root, Echoer):  # pyright: ignore[reportUnusedClass]
            pass


def test_a_class_that_looks_the_same_may_stand_in_for_it() -> None:
    class Fake:
        async def balance(self) -> int:
            return 5

    class Account(pb.Interface):
        async def balance(self) -> int: ...

    account: Account = Fake()  # in tests, say: an interface is a protocol to type checkers
    assert isinstance(account, Fake)
