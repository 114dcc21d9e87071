from __future__ import annotations

import collections
import json
import types
from decimal import Decimal
from typing import Any

import pytest

from pellucid.errors import InsecureJelly, NoSuchMethod
from pellucid.flavors.policy import BASIC_TYPES, Policy
from tests.dialects import each_dialect, over
from tests.pair import Jelly, Pair, Settings

pytestmark = each_dialect


class Plain:
    def __init__(self) -> None:
        self.name = "plain"


class Slotted:
    __slots__ = ("name",)

    def __getstate__(self) -> dict[str, str]:
        return {"name": self.name}

    def __setstate__(self, state: dict[str, str]) -> None:
        self.name = state["name"]


def function() -> None: ...


NAMED = [collections.OrderedDict, json.dumps, json, function, Plain]


@pytest.mark.parametrize("thing", NAMED, ids=repr)
def test_what_is_named_crosses_by_name_and_is_the_same_thing_there(thing: type | types.FunctionType) -> None:
    named = Settings(policy=Policy(named=[thing]))
    pair = Pair(server=named, client=named)
    assert pair.call(pair.root, "echo", thing) is thing


@pytest.mark.parametrize("thing", NAMED, ids=repr)
def test_what_is_not_named_is_refused_at_the_sender_and_nothing_is_sent(thing: type | types.FunctionType) -> None:
    pair = Pair()
    with pytest.raises(InsecureJelly, match=r"may not cross; allow it with Policy\(named=\[...\]\) \(at \[0\]\)"):
        pair.call(pair.root, "echo", thing)
    assert pair.to_server.said() == []


@pytest.mark.parametrize("thing", NAMED, ids=repr)
def test_what_is_not_named_at_the_receiver_is_refused_there(thing: type | types.FunctionType) -> None:
    pair = Pair(client=Settings(policy=Policy(named=[thing])))
    with pytest.raises(InsecureJelly, match="may not cross"):
        pair.call(pair.root, "echo", thing)


def test_a_name_stands_for_nothing_but_what_was_listed_under_it() -> None:
    imposter = type("Plain", (), {"__module__": __name__})
    with pytest.raises(InsecureJelly, match=r"the class .*Plain may not cross"):
        Policy(named=[Plain]).name_of(imposter)
    assert not Policy(instances=[Plain]).allows_instances_of(imposter)


@over("pb")
def test_a_module_is_not_imported_because_a_peer_names_it() -> None:
    with pytest.raises(InsecureJelly, match="the module antigravity may not cross"):
        Jelly().read([b"module", b"antigravity"])


def test_only_classes_functions_and_modules_cross_by_name() -> None:
    with pytest.raises(TypeError, match="not builtin_function_or_method objects"):
        Policy(named=[len])


@pytest.mark.parametrize("cls", [Plain, Slotted])
def test_plain_instances_cross_where_their_class_is_listed(cls: type) -> None:
    listed = Settings(policy=Policy(instances=[cls]))
    pair = Pair(server=listed, client=listed)
    instance: Any = cls()
    instance.name = "mine"
    copy = pair.call(pair.root, "echo", instance)
    assert copy is not instance
    assert copy.name == "mine"
    assert type(copy) is cls


def test_a_plain_instance_met_twice_is_one_there_too() -> None:
    listed = Settings(policy=Policy(instances=[Plain]), sharing="graph")
    pair = Pair(server=listed, client=listed)
    instance = Plain()
    first, second = pair.call(pair.root, "echo", [instance, instance])
    assert first is second


def test_plain_instances_are_refused_by_a_receiver_that_does_not_list_them() -> None:
    pair = Pair(client=Settings(policy=Policy(instances=[Plain])))
    with pytest.raises(InsecureJelly, match=r"test_policy.Plain may not cross"):
        pair.call(pair.root, "echo", Plain())


def test_an_instance_of_a_subclass_is_not_one_of_the_class() -> None:
    class Child(Plain):
        pass

    pair = Pair(client=Settings(policy=Policy(instances=[Plain])))
    with pytest.raises(InsecureJelly, match="Child objects may not cross"):
        pair.call(pair.root, "echo", Child())


@pytest.mark.parametrize(("kind", "value"), [("set", {1}), ("frozenset", frozenset([1])), ("decimal", Decimal(1))])
def test_a_kind_of_plain_value_can_be_forbidden_in_both_directions(kind: str, value: object) -> None:
    strict = Settings(policy=Policy(types=BASIC_TYPES - {kind}))
    sender = Pair(client=strict)
    with pytest.raises(InsecureJelly, match=r"by this policy; allow them with Policy\(types=\[...\]\)"):
        sender.call(sender.root, "echo", value)
    assert sender.to_server.said() == []
    receiver = Pair(server=strict)
    with pytest.raises(InsecureJelly):
        receiver.call(receiver.root, "echo", value)


def test_calls_and_errors_need_no_more_than_the_kinds_of_what_is_in_them() -> None:
    least = Settings(policy=Policy(types=["str"]))
    pair = Pair(server=least, client=least)
    assert pair.call(pair.root, "echo", "text") == "text"
    with pytest.raises(NoSuchMethod):
        pair.call(pair.root, "nothing", keyword="text")
    with pytest.raises(InsecureJelly, match=r"tuple objects may not cross by this policy"):
        pair.call(pair.root, "echo", ())


def test_a_kind_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no such kind of value: \['string'\]"):
        Policy(types=["string", "str"])
