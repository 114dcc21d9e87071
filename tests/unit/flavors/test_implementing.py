"""Classes that say what they implement: what is found out when they are made, and what by a test."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Sequence
from inspect import signature
from typing import TYPE_CHECKING, Any, TypeAlias, overload

import pytest

import pellucid as pb
from pellucid.flavors.dispatch import DECODED
from pellucid.flavors.interfaces import interfaces_of
from pellucid.flavors.referenceable import AvatarReference, method_of

if TYPE_CHECKING:
    from decimal import Decimal


class Shop(pb.Interface):
    async def order(self, item: str, count: int = 1, *, fast: bool = False) -> float: ...


class Desk(pb.Interface):
    async def ask(self, *words: str, **names: int) -> None: ...


def made(base: Any = pb.Root, implements: Any = Shop, **methods: Any) -> Any:
    """A class with such methods."""
    return type("Made", (base,), methods, implements=implements)


def refusal(interface: Any, **methods: Any) -> str:
    with pytest.raises(TypeError) as caught:
        made(implements=interface, **methods)
    return str(caught.value)


def test_a_class_that_has_the_methods_is_made() -> None:
    class Good(pb.Root, implements=(Shop, Desk)):
        async def remote_order(self, item: str, count: int = 1, *, fast: bool = False) -> float:
            return 0.5

        def remote_ask(self, *words: str, **names: int) -> None: ...

    assert interfaces_of(Good) == (Shop, Desk)
    pb.check_implements(Good)


def test_a_missing_method_is_told_with_what_to_write() -> None:
    assert refusal(Shop) == (
        "Made does not implement what it says:\n"
        "- Shop.order is missing: there is no remote_order; write "
        "async def remote_order(self, item: str, count: int = 1, *, fast: bool = False) -> float"
    )


def test_all_that_is_wrong_is_told_at_once() -> None:
    assert refusal((Shop, Desk), remote_order=lambda self: None).count("\n- ") == 2


TAKES: list[Callable[..., Any]] = [
    lambda self, item, count=1, *, fast=False: ...,
    lambda self, item, count=5, fast=True: ...,
    lambda self, item=None, count=1, fast=False, more=None: ...,
    lambda self, *args, **kwargs: ...,
    lambda self, item, *args, **kwargs: ...,
    lambda *args, **kwargs: ...,
    lambda self, item, count=1, **kwargs: ...,
]


@pytest.mark.parametrize("method", TAKES, ids=lambda method: str(signature(method)))
def test_a_method_may_take_more_than_the_interface_allows(method: Any) -> None:
    pb.check_implements(made(remote_order=method))


REFUSES: list[tuple[Callable[..., Any], str]] = [
    (lambda self, article, count=1, *, fast=False: ..., "order(count=…, fast=…, item=…)"),
    (lambda self, item, *, fast=False: ..., "order(item, count, fast=…)"),
    (lambda self, item, count, *, fast=False: ..., "order(item)"),
    (lambda self, item, count=1: ..., "order(item, count, fast=…)"),
    (lambda self, item, count=1, *, fast: ..., "order(item)"),
    (lambda self, item, count=1, *, fast=False, more: ..., "order(item, count, fast=…)"),
    (lambda self, item, count=1, /, *, fast=False: ..., "order(item, fast=…, count=…)"),
    (lambda self, count=1, item="", *, fast=False: ..., "order(item, count=…, fast=…)"),
    (lambda self: ..., "order(item, count, fast=…)"),
]


@pytest.mark.parametrize(("method", "call"), REFUSES, ids=lambda part: str(signature(part)) if callable(part) else "")
def test_a_method_that_refuses_a_call_that_the_interface_allows_is_told(method: Any, call: str) -> None:
    told = refusal(Shop, remote_order=method)
    name, _, arguments = call.removesuffix(")").partition("(")
    allowed, _, _ = told.partition(", which remote_order")
    assert f"allows the call {name}(" in allowed
    shown = allowed.rpartition(f"{name}(")[2].removesuffix(")")
    assert sorted(shown.split(", ")) == sorted(arguments.split(", "))


def test_any_number_of_arguments_and_of_names_is_taken_where_the_interface_allows_it() -> None:
    assert "allows the call ask(another)" in refusal(Desk, remote_ask=lambda self, **names: ...)
    assert "allows the call ask(another=…)" in refusal(Desk, remote_ask=lambda self, *words: ...)
    made(implements=Desk, remote_ask=lambda self, *words, **names: ...)


def test_each_overload_is_a_call_to_be_taken() -> None:
    class Store(pb.Interface):
        @overload
        async def get(self, what: int) -> int: ...

        @overload
        async def get(self, what: int, default: str) -> str: ...

    assert "get(what, default)" in refusal(Store, remote_get=lambda self, what: ...)
    pb.check_implements(made(implements=Store, remote_get=lambda self, what, default=None: ...))


def test_a_subclass_is_held_to_what_its_base_implements() -> None:
    base = made(remote_order=lambda self, item, count=1, *, fast=False: ...)
    with pytest.raises(TypeError, match="remote_order"):
        type("Sub", (base,), {"remote_order": lambda self: ...})
    sub = type("Sub", (base,), {"remote_other": lambda self: ...})
    assert interfaces_of(sub) == (Shop,)


def test_a_class_is_held_to_what_one_base_implements_with_the_methods_of_another() -> None:
    class Mixin:
        def remote_order(self) -> None: ...

    base = made(remote_order=lambda self, item, count=1, *, fast=False: ...)
    assert interfaces_of(type("Sub", (base, Mixin), {})) == (Shop,)
    with pytest.raises(TypeError, match="remote_order"):
        type("Sub", (Mixin, base), {})


def test_static_methods_and_class_methods_are_called_without_self() -> None:
    made(remote_order=staticmethod(lambda item, count=1, *, fast=False: ...))
    made(remote_order=classmethod(lambda cls, item, count=1, *, fast=False: ...))
    assert "remote_order" in refusal(Shop, remote_order=staticmethod(lambda self, item, count, *, fast=False: ...))


def test_nothing_is_said_of_what_cannot_be_told() -> None:
    def wrapped(self: Any, session: Any, item: Any) -> None: ...

    @functools.wraps(wrapped)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        return wrapped(self, None, *args)

    made(remote_order=wrapper)
    made(remote_order=functools.partial(print))
    made(remote_order=print)
    made(remote_order=pb.in_thread(wrapped))


@pytest.mark.parametrize(
    "methods",
    [{"dynamic": True}, {"method_for": lambda self, name: print}, {"remoteMessageReceived": lambda *args: None}],
    ids=["dynamic", "method_for", "remoteMessageReceived"],
)
def test_nothing_is_said_of_classes_that_find_methods_in_their_own_way(methods: dict[str, Any]) -> None:
    pb.check_implements(made(**methods))


def test_nothing_is_said_of_facets_which_have_the_methods_of_their_objects() -> None:
    served = made(remote_order=lambda self, item, count=1, *, fast=False: item)
    facet: Any = made(pb.Facet)(served(), clock=lambda: 0.0)
    pb.check_implements(type(facet))
    assert method_of(facet, "order", DECODED)("pen") == "pen"


def test_an_avatar_implements_with_its_own_prefix() -> None:
    made(pb.Avatar, perspective_order=lambda self, item, count=1, *, fast=False: ...)
    with pytest.raises(TypeError, match="there is no perspective_order"):
        made(pb.Avatar, remote_order=lambda self, item, count=1, *, fast=False: ...)


def test_of_two_flavors_the_nearest_tells_which_methods_implement() -> None:
    class Both(pb.Avatar, pb.Referenceable, implements=Shop):
        def perspective_order(self, item: str, count: int = 1, *, fast: bool = False) -> float:
            return 0.5

    assert method_of(AvatarReference(Both()), "order", DECODED)("pen") == 0.5


def test_a_class_of_no_flavor_is_checked_as_an_avatar() -> None:
    class Plain:
        def perspective_order(self, item: str, count: int = 1, *, fast: bool = False) -> float:
            return 0.5

    pb.check_implements(Plain, Shop)
    with pytest.raises(TypeError, match=r"Desk\.ask is missing"):
        pb.check_implements(Plain, Desk)


@pytest.mark.parametrize("thing", [int, pb.Interface, "Shop", None, (Shop, 5)])
def test_nothing_but_an_interface_is_implemented(thing: Any) -> None:
    with pytest.raises(TypeError, match=r"which is no pellucid\.Interface"):
        made(implements=thing)


def test_other_words_of_a_class_go_on_to_its_other_bases() -> None:
    class Other:
        word: Any = None

        def __init_subclass__(cls, *, word: Any, **options: Any) -> None:
            super().__init_subclass__(**options)
            cls.word = word

    class Both(pb.Root, Other, implements=(), word="said"):
        pass

    assert Both.word == "said"
    with pytest.raises(TypeError, match="takes no keyword arguments"):
        type("Odd", (pb.Root,), {}, unknown=5)


def test_there_must_be_something_to_check() -> None:
    with pytest.raises(LookupError, match="Root implements no interface"):
        pb.check_implements(pb.Root)
    with pytest.raises(TypeError, match=r"is no pellucid\.Interface"):
        pb.check_implements(pb.Root, int)


# Annotations.


def test_annotations_that_contradict_are_found_by_a_test() -> None:
    class Wrong(pb.Root, implements=Shop):
        def remote_order(self, item: int, count: float = 1, *, fast: bool = False) -> str:
            return ""

    with pytest.raises(TypeError) as caught:
        pb.check_implements(Wrong)
    assert str(caught.value).splitlines()[1:] == [
        "- Shop.order may be given str for 'item', and remote_order takes int",
        "- Shop.order promises float, and remote_order returns str",
    ]


def test_annotations_of_any_number_of_arguments_are_compared_too() -> None:
    class Wrong(pb.Root, implements=Desk):
        def remote_ask(self, *words: int, **names: str) -> None: ...

    with pytest.raises(TypeError) as caught:
        pb.check_implements(Wrong)
    assert len(str(caught.value).splitlines()) == 3


def test_an_inherited_method_is_annotated_in_the_words_of_the_class_that_has_it() -> None:
    class Base(pb.Root):
        Number: TypeAlias = int

        def remote_order(self, item: Number, count: int = 1, *, fast: bool = False) -> float:
            return 0.5

    class Wrong(Base, implements=Shop):
        pass

    with pytest.raises(TypeError, match="may be given str for 'item', and remote_order takes Number"):
        pb.check_implements(Wrong)


def test_annotations_that_may_be_right_are_let_be() -> None:
    class Account(pb.Interface):
        async def balance(self) -> int: ...

    class Bank(pb.Interface):
        async def open(self, owner: str, price: Decimal) -> Account: ...

        async def names(self, accounts: list[Account]) -> Sequence[str]: ...

        async def count(self, of: int | None) -> int: ...

        async def wait(self) -> str: ...

    class ServedAccount(pb.Referenceable):
        pass

    class Good(pb.Root, implements=Bank):
        def remote_open(self, owner: Any, price: Decimal) -> ServedAccount:
            return ServedAccount()

        def remote_names(self, accounts: list[ServedAccount]) -> list[str]:
            return []

        def remote_count(self, of: object) -> bool:
            return True

        def remote_wait(self) -> Awaitable[str]:
            return asyncio.sleep(0, "")

    pb.check_implements(Good)
