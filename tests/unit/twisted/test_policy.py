"""Security options, and the tables that programs register their classes in."""

from __future__ import annotations

import collections
import os.path
import sys
import types
from typing import Any

import pytest

from pellucid.errors import InsecureJelly
from pellucid.twisted import jelly
from pellucid.twisted._policy import TagRegistry, TasterPolicy


class Thing:
    @staticmethod
    def detached() -> None: ...

    def method(self) -> None: ...


class Other:
    pass


def function() -> None: ...


def policy(*modules: str, classes: tuple[type, ...] = ()) -> TasterPolicy:
    options = jelly.SecurityOptions()
    options.allowModules(*modules)
    for cls in classes:
        options.allowedClasses[cls] = 1
    return TasterPolicy(options)


HERE = __name__


# Security options.


@pytest.mark.parametrize("tag", ["None", b"unicode", "set", "decimal", "datetime", "boolean", "float"])
def test_plain_values_are_allowed_at_first(tag: str | bytes) -> None:
    assert jelly.SecurityOptions().isTypeAllowed(tag)


@pytest.mark.parametrize("tag", ["list", b"dictionary", "tuple", "reference", "dereference", "persistent"])
def test_basic_types_are_allowed_when_asked_for(tag: str | bytes) -> None:
    options = jelly.SecurityOptions()
    assert not options.isTypeAllowed(tag)
    options.allowBasicTypes()
    assert options.isTypeAllowed(tag)


def test_of_a_tag_with_a_dot_others_decide() -> None:
    options = jelly.SecurityOptions()
    assert options.isTypeAllowed("some.Class")
    assert not options.isTypeAllowed("SomeClass")


def test_types_are_allowed_by_name_as_bytes_and_as_classes() -> None:
    options = jelly.SecurityOptions()
    options.allowTypes("a", b"b", Thing)
    assert options.isTypeAllowed(b"a")
    assert options.isTypeAllowed("b")
    assert f"{HERE}.Thing".encode() in options.allowedTypes


def test_modules_are_allowed_by_name_and_as_themselves() -> None:
    options = jelly.SecurityOptions()
    options.allowModules("one", b"two", collections)
    assert [options.isModuleAllowed(name) for name in ("one", "two", "collections", b"one", "three")] == [
        True,
        True,
        True,
        True,
        False,
    ]


def test_allowing_instances_allows_their_class_its_module_and_what_they_are_made_of() -> None:
    options = jelly.SecurityOptions()
    options.allowInstancesOf(Thing)
    assert options.isClassAllowed(Thing)
    assert not options.isClassAllowed(Other)
    assert options.isModuleAllowed(HERE)
    assert all(map(options.isTypeAllowed, ("instance", "class", "module", "dictionary", "list")))


def test_the_options_of_connections_allow_basic_types_and_references_and_no_class() -> None:
    assert all(map(jelly.globalSecurity.isTypeAllowed, ("list", "remote", "local", "cached", "lcache")))
    assert not any(map(jelly.globalSecurity.isTypeAllowed, ("class", "module", "function", "method", "instance")))


def test_dummy_options_allow_everything() -> None:
    options = jelly.DummySecurityOptions()
    assert options.isTypeAllowed("x")
    assert options.isModuleAllowed("x")
    assert options.isClassAllowed(Thing)


# Registering.


def test_a_class_is_registered_for_a_tag_and_the_tag_allowed() -> None:
    jelly.setUnjellyableForClass("tag", Thing)
    assert jelly.unjellyableRegistry[b"tag"] is Thing
    assert jelly.globalSecurity.isTypeAllowed("tag")


def test_a_class_stands_for_its_tag() -> None:
    jelly.setUnjellyableForClass(Other, Thing)
    assert jelly.unjellyableRegistry[f"{HERE}.Other".encode()] is Thing


def test_a_factory_is_registered_for_a_tag_and_the_tag_allowed() -> None:
    jelly.setUnjellyableFactoryForClass(b"tag", dict)
    assert jelly.unjellyableFactoryRegistry[b"tag"] is dict
    assert jelly.globalSecurity.isTypeAllowed("tag")


@pytest.mark.parametrize(("prefix", "tag"), [(None, b"zoo.Cat"), ("far.zoo", b"far.zoo.Cat"), ("", b"Cat")])
def test_a_tree_of_classes_is_registered_by_their_names_in_the_module(prefix: str | None, tag: bytes) -> None:
    class Cat(Thing):
        pass

    zoo = types.ModuleType("zoo")
    vars(zoo).update(Cat=Cat, Dog=Other, number=3)
    jelly.setUnjellyableForClassTree(zoo, Thing, prefix)
    assert jelly.unjellyableRegistry[tag] is Cat
    assert not any(name.endswith(b"Dog") for name in jelly.unjellyableRegistry)


def test_a_registry_sees_what_is_registered_after_it_was_made() -> None:
    registry = TagRegistry()
    assert registry.unjellyable(b"tag") is None
    jelly.setUnjellyableForClass("tag", Thing)
    jelly.setUnjellyableFactoryForClass("other", dict)
    assert registry.unjellyable(b"tag") is Thing
    assert registry.factory(b"other") is dict


def test_one_program_may_allow_what_another_connection_may_not() -> None:
    assert policy(HERE, classes=(Thing,)).named("class", f"{HERE}.Thing") is Thing
    with pytest.raises(InsecureJelly):
        policy(HERE).named("class", f"{HERE}.Thing")


# What a peer names.


def test_a_class_takes_its_module_and_itself_to_be_allowed() -> None:
    allowed = policy(HERE, classes=(Thing,))
    assert allowed.named("class", f"{HERE}.Thing") is Thing
    assert allowed.instance_class(f"{HERE}.Thing") is Thing
    with pytest.raises(InsecureJelly, match=r"Class .*Other not allowed"):
        allowed.named("class", f"{HERE}.Other")
    with pytest.raises(InsecureJelly, match=r"Module .* not allowed \(in type .*Thing\)"):
        policy(classes=(Thing,)).instance_class(f"{HERE}.Thing")


def test_a_module_takes_itself_to_be_allowed() -> None:
    assert policy("os.path").named("module", "os.path") is sys.modules["os.path"]
    with pytest.raises(InsecureJelly, match="Module os not allowed"):
        policy("os.path").named("module", "os")


def test_a_function_takes_all_before_its_last_dot_to_be_allowed() -> None:
    assert policy(HERE).named("function", f"{HERE}.function") is function
    assert policy(f"{HERE}.Thing").named("function", f"{HERE}.Thing.method") is Thing.method
    with pytest.raises(InsecureJelly, match="not allowed"):
        policy(HERE).named("function", f"{HERE}.Thing.method")
    with pytest.raises(InsecureJelly, match="not allowed"):
        policy(HERE).named("function", f"{HERE}.os.path.join")


@pytest.mark.parametrize("name", ["Thing", "nothing", "HERE", "Thing.detached", "function.x.y"])
def test_what_is_no_function_is_not_had_as_one(name: str) -> None:
    with pytest.raises(InsecureJelly, match="no function"):
        TasterPolicy(jelly.DummySecurityOptions()).named("function", f"{HERE}.{name}")


@pytest.mark.parametrize("name", ["function", "nothing", "os"])
def test_what_is_no_class_is_not_had_as_one(name: str) -> None:
    with pytest.raises(InsecureJelly, match="no class"):
        TasterPolicy(jelly.DummySecurityOptions()).named("class", f"{HERE}.{name}")


@pytest.mark.parametrize(("kind", "name"), [("module", "this"), ("class", "this.This"), ("function", "this.that")])
def test_nothing_is_imported_because_a_peer_names_it(kind: str, name: str) -> None:
    assert "this" not in sys.modules
    with pytest.raises(InsecureJelly, match="loaded here"):
        TasterPolicy(jelly.DummySecurityOptions()).named(kind, name)
    assert "this" not in sys.modules


def test_a_module_that_makes_its_attributes_when_asked_is_not_asked() -> None:
    lazy = types.ModuleType("lazy_module")

    def make(name: str) -> Any:
        raise AssertionError(f"asked for {name}")

    vars(lazy)["__getattr__"] = make
    sys.modules["lazy_module"] = lazy
    try:
        with pytest.raises(InsecureJelly, match="no class"):
            TasterPolicy(jelly.DummySecurityOptions()).named("class", "lazy_module.Thing")
    finally:
        del sys.modules["lazy_module"]


# What is sent.


def test_classes_functions_and_modules_are_sent_by_name_for_their_receiver_to_decide() -> None:
    sent = policy()
    assert sent.name_of(Thing) == ("class", f"{HERE}.Thing")
    assert sent.name_of(function) == ("function", f"{HERE}.function")
    assert sent.name_of(os.path) == ("module", os.path.__name__)


def test_options_that_change_are_asked_at_every_use() -> None:
    options = jelly.SecurityOptions()
    asked = TasterPolicy(options)
    assert not asked.allows_instances_of(Thing)
    options.allowInstancesOf(Thing)
    assert asked.allows_instances_of(Thing)
