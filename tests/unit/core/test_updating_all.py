"""One change of a cacheable, told to many copies."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import ormsgpack
import pytest

from pellucid.core.caches import CacheObserver, update_all
from pellucid.errors import DeadReferenceError, InsecureJelly, LimitExceeded, LocalProtocolError, Overloaded
from pellucid.flavors.cacheable import Cacheable, RemoteCache
from pellucid.flavors.referenceable import Root
from pellucid.flavors.registry import Registry
from pellucid.limits import Limits
from pellucid.wire.dialects import dialects_named
from pellucid.wire.native.codes import Kind
from tests.pair import Desk, Pair, Settings
from tests.unit.core.native import NATIVE, Notes


class Pond(Cacheable):
    def __init__(self) -> None:
        self.observers: list[CacheObserver] = []

    def get_state_to_cache_and_observe_for(self, perspective: Any, observer: Any) -> Any:
        self.observers.append(observer)
        return {"seen": []}

    def stopped_observing(self, perspective: Any, observer: Any) -> None:
        self.observers.remove(observer)


class PondCopy(RemoteCache):
    seen: list[Any]

    def observe_change(self, *args: Any, **kwargs: Any) -> None:
        self.seen.append(kwargs or (args[0] if len(args) == 1 else args))


class Shore(Root):
    def __init__(self, pond: Pond) -> None:
        self.pond = pond

    def remote_pond(self) -> Pond:
        return self.pond

    def remote_notes(self, count: int) -> list[Notes]:
        return [Notes() for _ in range(count)]


REGISTRY = Registry()
REGISTRY.register(PondCopy, Pond)


class Shores:
    """One pond with several observers, each through a connection of its own, and with a number of its own there."""

    def __init__(self, *connections: dict[str, Any]) -> None:
        self.pond = Pond()
        self.pairs: list[Pair] = []
        self.copies: list[PondCopy] = []
        self.held: list[Any] = []
        for number, options in enumerate(connections):
            settings = replace(Settings(registry=REGISTRY, dialects=NATIVE), **options)
            pair = Pair(Shore(self.pond), client_root=Desk(), server=settings, client=settings)
            self.held.append(pair.call(pair.root, "notes", number))
            self.copies.append(pair.call(pair.root, "pond"))
            self.pairs.append(pair)

    def pump(self) -> None:
        for pair in self.pairs:
            pair.pump()

    @property
    def seen(self) -> list[list[Any]]:
        self.pump()
        return [copy.seen for copy in self.copies]


class Counting:
    """A codec that counts what it is given of one value."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        packb = ormsgpack.packb

        def counting(value: Any, *rest: Any) -> bytes:
            self.count += "marked" in repr(value)
            return packb(value, *rest)

        monkeypatch.setattr("pellucid.wire.native.writing.packb", counting)
        monkeypatch.setattr("pellucid.wire.native.encoder.packb", counting)


def test_everyone_is_told() -> None:
    shores = Shores({}, {}, {})
    assert len({observer.cache_id for observer in shores.pond.observers}) == 3
    assert update_all(shores.pond.observers, "change", 1) == {}
    assert update_all(shores.pond.observers, "change", depth=[2, {"a": None}]) == {}
    assert update_all(shores.pond.observers, "change") == {}
    assert shores.seen == [[1, {"depth": [2, {"a": None}]}, ()]] * 3


def test_what_is_told_is_encoded_once_whatever_the_number_of_each_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    shores = Shores(*[{}] * 5)
    counting = Counting(monkeypatch)
    update_all(shores.pond.observers, "change", ["marked"] * 10)
    assert counting.count == 1
    assert shores.seen == [[["marked"] * 10]] * 5


def test_no_answer_is_asked_for() -> None:
    shores = Shores({})
    update_all(shores.pond.observers, "change", 1)
    shores.pump()
    assert shores.pairs[0].to_client.said()[-1][0] == Kind.NOTIFY


def test_updates_keep_their_order_with_others() -> None:
    shores = Shores({}, {})
    for number in range(0, 20, 4):
        update_all(shores.pond.observers, "change", number)
        for observer in shores.pond.observers:
            observer.update("change", number + 1)
        update_all(shores.pond.observers, "change", bytes(100_000 + number))
        update_all(shores.pond.observers, "change", number + 3)
    wanted = []
    for number in range(0, 20, 4):
        wanted += [number, number + 1, bytes(100_000 + number), number + 3]
    assert shores.seen == [wanted] * 2


def test_an_update_does_not_overtake_one_with_a_large_buffer_or_one_that_waits() -> None:
    shores = Shores({})
    (observer,) = shores.pond.observers
    (pair,) = shores.pairs
    observer.update("change", bytes(200_000))
    update_all(shores.pond.observers, "change", "behind")
    pair.client.receive(pair.server.broker.data_to_send())
    assert shores.copies[0].seen == []
    shores.pump()
    assert shores.copies[0].seen == [bytes(200_000), "behind"]


@pytest.mark.parametrize("dialect", ["pb", "none"])
def test_peers_of_other_dialects_are_told_too(dialect: str) -> None:
    shores = Shores({}, {"dialects": dialects_named([dialect])}, {})
    update_all(shores.pond.observers, "change", [1, "text", b"bytes"])
    assert shores.seen == [[[1, "text", b"bytes"]]] * 3


def test_what_is_not_plain_is_told_too() -> None:
    shores = Shores({}, {})
    thing = Notes()
    assert update_all(shores.pond.observers, "change", (1, {2}, 10**30, {3: 4})) == {}
    assert update_all(shores.pond.observers, "change", thing) == {}
    assert [seen[0] for seen in shores.seen] == [(1, {2}, 10**30, {3: 4})] * 2
    for pair, seen in zip(shores.pairs, shores.seen, strict=True):
        assert pair.call(seen[1], "note", 5) == 5
    assert thing.noted == [5, 5]


def test_one_that_shares_is_told_in_its_own_form() -> None:
    shores = Shores({}, {"sharing": "graph"})
    inner: list[Any] = [1]
    update_all(shores.pond.observers, "change", [inner, inner])
    (tree,), (graph,) = shores.seen
    assert tree == graph == [[1], [1]]
    assert [tree[0] is tree[1], graph[0] is graph[1]] == [False, True]


def test_one_that_may_take_less_is_reported_and_the_others_are_told() -> None:
    shores = Shores({}, {"limits": Limits(inline_bytes=1_000)}, {})
    observers = list(shores.pond.observers)
    failed = update_all(observers, "change", "x" * 2_000)
    assert list(failed) == [observers[1]]
    assert isinstance(failed[observers[1]], LimitExceeded)
    assert shores.seen == [["x" * 2_000], [], ["x" * 2_000]]


def test_the_first_may_take_less_than_the_others() -> None:
    shores = Shores({"limits": Limits(inline_bytes=1_000)}, {}, {})
    observers = list(shores.pond.observers)
    assert list(update_all(observers, "change", "x" * 2_000)) == [observers[0]]
    assert shores.seen == [[], ["x" * 2_000], ["x" * 2_000]]


def test_what_may_cross_to_nobody_is_reported_for_each() -> None:
    shores = Shores({}, {"dialects": dialects_named(["pb"])})
    failed = update_all(shores.pond.observers, "change", object())
    assert [type(error) for error in failed.values()] == [InsecureJelly] * 2
    assert shores.seen == [[], []]


def test_one_whose_connection_has_ended_is_reported_and_the_others_are_told() -> None:
    shores = Shores({}, {}, {})
    observers = list(shores.pond.observers)
    shores.pairs[1].cut()
    assert len(shores.pond.observers) == 2
    failed = update_all(observers, "change", 1)
    assert {observer: type(error) for observer, error in failed.items()} == {observers[1]: DeadReferenceError}
    assert shores.copies[0].seen == []
    shores.pairs[0].pump()
    shores.pairs[2].pump()
    assert [copy.seen for copy in shores.copies] == [[1], [], [1]]


def test_one_whose_copy_was_dropped_is_reported_and_the_others_are_told() -> None:
    shores = Shores({}, {})
    observers = list(shores.pond.observers)
    shores.copies.pop(0)
    for pair in shores.pairs:
        pair.settle()
    assert shores.pond.observers == observers[1:]
    failed = update_all(observers, "change", 1)
    assert {observer: type(error) for observer, error in failed.items()} == {observers[0]: LocalProtocolError}
    assert shores.seen == [[1]]


def test_one_that_reads_too_slowly_is_reported_and_the_others_are_told() -> None:
    shores = Shores({}, {})
    observers = list(shores.pond.observers)
    side = shores.pairs[0].server
    side.is_crowded = side.broker.is_crowded = True
    failed = update_all(observers, "change", 1)
    assert {observer: type(error) for observer, error in failed.items()} == {observers[0]: Overloaded}
    shores.pump()
    assert [copy.seen for copy in shores.copies] == [[], [1]]


def test_an_observer_that_is_told_may_have_the_list_of_them_changed() -> None:
    shores = Shores({}, {})

    def observers() -> Any:
        for observer in list(shores.pond.observers):
            shores.pond.observers.remove(observer)
            yield observer

    assert update_all(observers(), "change", 1) == {}
    assert shores.seen == [[1], [1]]


def test_nobody_is_nobody() -> None:
    assert update_all([], "change", 1) == {}
