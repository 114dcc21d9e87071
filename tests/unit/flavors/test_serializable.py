from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, ClassVar

import pytest

from pellucid.errors import NoSuchMethod
from pellucid.flavors.serializable import Serializable, Unpersistable, find_method, identity, qualified_name


class Animal:
    remote_legs = 4

    def __init__(self) -> None:
        self.remote_secret = lambda: "secret"

    def remote_speak(self) -> str:
        return "..."

    @staticmethod
    def remote_kind() -> str:
        return "animal"

    def speak(self) -> str:
        return "not for peers"


class Dog(Animal):
    def remote_bark(self) -> str:
        return "wuff"


class Dynamic(Animal):
    dynamic: ClassVar[bool] = True

    def __getattr__(self, name: str) -> Callable[[], str]:
        if name == "remote_made_up":
            return lambda: "made up"
        raise AttributeError(name)


@pytest.mark.parametrize(("name", "result"), [("bark", "wuff"), ("speak", "..."), ("kind", "animal")])
def test_methods_of_the_class_and_of_its_ancestors_are_found(name: str, result: str) -> None:
    assert find_method(Dog(), "remote_", name)() == result


@pytest.mark.parametrize("name", ["secret", "legs", "made_up", "", "_speak", "__class__", "speak.x", "\x00", "\udcff"])
def test_nothing_else_is(name: str) -> None:
    with pytest.raises(NoSuchMethod, match="No such method: remote_"):
        find_method(Dog(), "remote_", name)


@pytest.mark.parametrize(("name", "result"), [("secret", "secret"), ("made_up", "made up"), ("speak", "...")])
def test_a_dynamic_class_lends_the_attributes_of_its_instances(name: str, result: str) -> None:
    assert find_method(Dynamic(), "remote_", name)() == result


@pytest.mark.parametrize("name", ["legs", "nothing"])
def test_a_dynamic_class_has_no_more_than_callables(name: str) -> None:
    with pytest.raises(NoSuchMethod):
        find_method(Dynamic(), "remote_", name)


def test_a_long_name_is_cut_in_the_error() -> None:
    with pytest.raises(NoSuchMethod) as caught:
        find_method(Dog(), "remote_", "x" * 10_000)
    assert len(str(caught.value)) < 250


def test_an_object_is_itself_unless_its_class_says_otherwise() -> None:
    class ByName(Serializable):
        def processUniqueID(self) -> Hashable:
            return "the one"

    one, other = Serializable(), Serializable()
    assert identity(one) == identity(one) != identity(other)
    assert identity(ByName()) == identity(ByName())


def test_a_class_goes_by_its_module_and_its_own_name() -> None:
    assert qualified_name(Dog) == f"{__name__}.Dog"

    class Inner:
        pass

    assert qualified_name(Inner) == f"{__name__}.Inner"


def test_a_placeholder_says_why_in_its_repr() -> None:
    placeholder: Any = Unpersistable("instance of class Q deemed insecure")
    assert repr(placeholder) == "Unpersistable('instance of class Q deemed insecure')"
