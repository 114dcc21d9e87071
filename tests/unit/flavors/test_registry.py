from __future__ import annotations

import gc
from dataclasses import dataclass

import pytest

from pellucid.errors import Error, RemoteError
from pellucid.flavors.cacheable import RemoteCache
from pellucid.flavors.copyable import Copyable, PlainCopier, RemoteCopy
from pellucid.flavors.registry import DEFAULT_REGISTRY, Registry, copyable
from pellucid.flavors.serializable import qualified_name


class Sent(Copyable):
    pass


class Received(RemoteCopy):
    pass


class Cached(RemoteCache):
    pass


@dataclass
class Point:
    x: int


class Escaped(Error):
    pass


def test_a_receiver_is_registered_for_a_class_or_for_a_tag() -> None:
    registry = Registry()
    registry.register(Received, Sent)
    registry.register(Cached, "zoo.Pond")
    assert registry.receiver(qualified_name(Sent)) is Received
    assert registry.receiver("zoo.Pond") is Cached
    assert registry.receiver("zoo.Unknown") is None


def test_two_registries_know_nothing_of_each_other() -> None:
    one, other = Registry(), Registry()
    one.register(Received, Sent)
    one.register_copyable(Point)
    one.register_error(KeyError)
    assert other.receiver(qualified_name(Sent)) is None
    assert other.copier(Point) is None
    assert other.error_class("builtins.KeyError") is None


def test_one_tag_has_one_receiver() -> None:
    registry = Registry()
    registry.register(Received, "zoo.Thing")
    with pytest.raises(ValueError, match=r"'zoo.Thing' is registered already, for .*Received.*; choose another tag"):
        registry.register(Cached, "zoo.Thing")
    with pytest.raises(ValueError, match="registered already"):
        registry.register_factory(dict, "zoo.Thing")
    with pytest.raises(ValueError, match="registered already"):
        registry.register_copyable(Point, "zoo.Thing")


def test_a_tag_that_is_taken_is_told_with_the_class_that_has_it() -> None:
    registry = Registry()
    registry.register_copyable(Point, "zoo.Thing")
    with pytest.raises(ValueError, match=r"registered already, for <class '.*Point'>; choose another tag"):
        registry.register(Received, "zoo.Thing")


def test_the_same_receiver_may_be_registered_twice() -> None:
    registry = Registry()
    for _ in range(2):
        registry.register(Received, "zoo.Thing")
        registry.register_factory(dict, "zoo.Other")
        registry.register_copyable(Point)


def test_a_class_that_is_defined_anew_takes_the_place_of_the_old_one() -> None:
    def define() -> type:
        @dataclass
        class Reloaded:
            x: int

        return Reloaded

    registry = Registry()
    old, new = define(), define()
    registry.register_copyable(old)
    registry.register_copyable(new)
    receiver = registry.receiver(qualified_name(new))
    assert isinstance(receiver, PlainCopier)
    assert receiver.cls is new


def test_a_copyable_is_known_by_its_exact_class() -> None:
    class Child(Point):
        pass

    registry = Registry()
    registry.register_copyable(Point, "zoo.Point")
    copier = registry.copier(Point)
    assert copier is not None
    assert copier.tag == "zoo.Point"
    assert registry.copier(Child) is None


def test_the_decorator_registers_in_the_default_registry() -> None:
    @copyable
    @dataclass
    class Decorated:
        x: int

    assert DEFAULT_REGISTRY.copier(Decorated) is not None


def test_the_decorator_takes_a_tag_and_a_registry() -> None:
    registry = Registry()

    @copyable(tag="zoo.Decorated", registry=registry)
    @dataclass
    class Decorated:
        x: int

    assert registry.receiver("zoo.Decorated") is registry.copier(Decorated)
    assert DEFAULT_REGISTRY.receiver("zoo.Decorated") is None


def test_every_importable_error_is_known_by_its_name() -> None:
    assert Registry().error_class(qualified_name(Escaped)) is Escaped


def test_other_exceptions_are_known_once_they_are_registered() -> None:
    registry = Registry()
    registry.register_error(KeyError)
    registry.register_error(RemoteError, "zoo.Anything")
    assert registry.error_class("builtins.KeyError") is KeyError
    assert registry.error_class("zoo.Anything") is RemoteError
    assert registry.error_class("builtins.ValueError") is None


def test_a_registered_error_comes_before_one_of_the_same_name() -> None:
    registry = Registry()
    registry.register_error(KeyError, qualified_name(Escaped))
    assert registry.error_class(qualified_name(Escaped)) is KeyError


def test_an_error_local_to_a_function_is_not_known() -> None:
    class Local(Error):
        pass

    assert Registry().error_class(qualified_name(Local)) is None
    del Local
    gc.collect()


def define_error(name: str, *bases: type[Exception]) -> type[Exception]:
    return type(name, bases, {"__module__": "zoo"})


def test_of_two_errors_with_one_name_the_last_defined_counts() -> None:
    define_error("Fled", Error)
    last = define_error("Fled", Error)
    assert Registry().error_class("zoo.Fled") is last
    del last
    gc.collect()


def test_the_last_defined_counts_though_it_is_nearer_to_the_root_of_the_tree() -> None:
    base = define_error("Base", Error)
    first = define_error("Lost", base)
    last = define_error("Lost", Error)
    assert Registry().error_class("zoo.Lost") is last
    del base, first, last
    gc.collect()


def test_no_class_is_kept_alive_for_the_errors_that_may_arrive() -> None:
    define_error("Mortal", Error)
    Registry().error_class("zoo.Mortal")
    gc.collect()
    assert Registry().error_class("zoo.Mortal") is None
