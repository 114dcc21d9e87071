from __future__ import annotations

import gc
from collections.abc import Hashable
from typing import Any

import pytest

from pellucid.core.calls import PendingCalls
from pellucid.core.parting import Parting
from pellucid.core.references import RemoteReference
from pellucid.core.tables import Exports, Imports
from pellucid.errors import Error, RemoteProtocolError
from pellucid.flavors.referenceable import Referenceable, Root
from pellucid.limits import Limits
from tests.pair import Desk, Jelly, Pair, Promise


class Twin(Referenceable):
    """One of several objects that are one to the peer."""

    def process_unique_id(self) -> Hashable:
        return "twins"


def exported(*, receipts: int = 1, calls: int = 0) -> tuple[Exports, Referenceable]:
    """Exports with one object under the number 1, while some calls are under way."""
    pending = PendingCalls(Limits())
    for _ in range(calls):
        pending.enter(Promise())
    exports, obj = Exports(Parting(pending)), Referenceable()
    for _ in range(receipts):
        assert exports.enter(obj, lambda: 1) == 1
    return exports, obj


# Exports.


def test_an_object_is_forgotten_with_its_last_receipt() -> None:
    exports, obj = exported(receipts=3)
    assert exports.find(obj) == 1
    assert not exports.release(1, 2)
    assert exports.target(1) is obj
    exports.release(1, 1)
    assert len(exports) == 0
    assert exports.find(obj) is None


@pytest.mark.parametrize(("number", "count"), [(1, 3), (2, 1), (-1, 1)])
def test_r7_more_receipts_than_there_are_can_not_be_given_back(number: int, count: int) -> None:
    exports, obj = exported(receipts=2)
    with pytest.raises(RemoteProtocolError, match="released a reference that it does not hold"):
        exports.release(number, count)
    assert exports.target(1) is obj


def test_a_receipt_that_was_not_sent_after_all_is_taken_back() -> None:
    exports, obj = exported(receipts=2)
    exports.take_back(1)
    assert exports.target(1) is obj
    exports.take_back(1)
    assert len(exports) == 0


@pytest.mark.parametrize("unknown", [2, 0, -1, 2**447, b"1", b"", b"other"])
def test_p9_an_invented_id_gets_the_same_answer_whatever_exists(unknown: int | bytes) -> None:
    exports, _ = exported()
    exports.publish(b"root", Root())
    for look_up in exports.target, exports.original:
        with pytest.raises(Error, match=r"^Invalid Object ID$"):
            look_up(unknown)


def test_a_published_object_is_found_by_name_and_not_counted() -> None:
    exports, _ = exported()
    root = Root()
    exports.publish(b"root", root)
    assert exports.target(b"root") is exports.original(b"root") is root
    assert len(exports) == 1


def test_objects_with_one_identity_are_one_object() -> None:
    exports = Exports(Parting(PendingCalls(Limits())))
    first = Twin()
    assert exports.enter(first, lambda: 7) == 7
    assert exports.find(Twin()) == 7
    assert exports.enter(Twin(), lambda: 8) == 7
    assert exports.target(7) is first
    assert not exports.release(7, 2)
    assert len(exports) == 0


def test_cleanups_run_with_the_last_receipt_in_the_order_asked_for() -> None:
    ran: list[str] = []
    exports, obj = exported(receipts=2)
    exports.on_release(obj, lambda: ran.append("first"))
    exports.on_release(obj, lambda: ran.append("second"))
    assert not exports.release(1, 1)
    for cleanup in exports.release(1, 1):
        cleanup()
    assert ran == ["first", "second"]


def test_r6_an_object_just_released_comes_home_but_can_not_be_called() -> None:
    exports, obj = exported(calls=1)
    exports.release(1, 1)
    assert len(exports) == 0
    assert exports.original(1) is obj
    with pytest.raises(Error, match="Invalid Object ID"):
        exports.target(1)


def test_cleanups_of_an_object_that_could_not_be_sent_are_run_unless_the_peer_holds_it_already() -> None:
    ran: list[str] = []
    exports, obj = exported()
    exports.on_release(obj, lambda: ran.append("held"))
    assert exports.not_sent(obj) == []
    other = Referenceable()
    exports.on_release(other, lambda: ran.append("never sent"))
    for cleanup in exports.not_sent(other):
        cleanup()
    assert ran == ["never sent"]
    assert exports.not_sent(other) == []


def test_everything_is_forgotten_at_the_end() -> None:
    exports, obj = exported(receipts=2, calls=1)
    exports.publish(b"root", obj)
    exports.release(1, 2)
    exports.clear()
    assert len(exports) == 0
    for unknown in (1, b"root"):
        with pytest.raises(Error):
            exports.original(unknown)


# Imports.


class Held:
    """Imports, and how often they knocked."""

    def __init__(self) -> None:
        self.knocks = 0
        self.imports = Imports(self)
        self.books = Jelly().books

    def knock(self) -> None:
        self.knocks += 1

    def receive(self, number: int) -> RemoteReference:
        reference = self.imports.receive(number)
        if reference is None:
            reference = RemoteReference(self.books, number)
            self.imports.add(number, reference)
        return reference


def test_an_object_received_twice_is_one_reference() -> None:
    held = Held()
    assert held.receive(1) is held.receive(1)
    assert held.receive(1) is not held.receive(2)


def test_what_nobody_refers_to_any_more_is_noted_with_all_its_receipts_and_knocks() -> None:
    held = Held()
    reference: RemoteReference | None = held.receive(1)
    held.receive(1)
    assert held.imports.take_dropped() == []
    del reference
    assert held.knocks == 1
    assert held.imports.take_dropped() == [(1, 2)]
    assert held.imports.take_dropped() == []
    assert len(held.imports) == 0


def test_what_is_received_again_before_its_drop_was_told_keeps_both_counts_apart() -> None:
    held = Held()
    held.receive(1)
    again = held.receive(1)
    assert held.imports.take_dropped() == [(1, 1)]
    assert held.receive(1) is again
    del again
    assert held.imports.take_dropped() == [(1, 2)]


def test_a_reference_in_a_cycle_is_dropped_by_the_garbage_collector() -> None:
    held = Held()
    cycle: list[Any] = [held.receive(1)]
    cycle.append(cycle)
    del cycle
    gc.collect()
    assert held.imports.take_dropped() == [(1, 1)]


def test_receipts_can_be_given_back_one_by_one() -> None:
    held = Held()
    first = held.receive(1)
    held.receive(1)
    assert held.imports.release(1)
    assert not held.imports.release(1)
    assert len(held.imports) == 0
    second = held.receive(1)
    assert second is not first
    del first
    assert held.imports.take_dropped() == []
    assert held.receive(1) is second


def test_nothing_is_noted_once_everything_is_forgotten() -> None:
    held = Held()
    reference = held.receive(1)
    held.receive(2)
    held.imports.clear()
    assert (len(held.imports), held.imports.take_dropped()) == (0, [])
    del reference
    assert (held.knocks, held.imports.take_dropped()) == (1, [])


def test_objects_of_both_sides_are_counted_apart() -> None:
    pair = Pair(Desk())
    ours = Referenceable()
    pair.call(pair.root, "keep", ours, ours)
    assert (pair.client.exports(), pair.server.exports()) == ({1: 2}, {})
    pair.call(pair.root, "take")
    assert pair.client.exports() == {1: 2}
    pair.call(pair.root, "clear")
    pair.settle()
    assert pair.client.is_empty()
    assert isinstance(pair.root.call("echo", 1), Promise)
