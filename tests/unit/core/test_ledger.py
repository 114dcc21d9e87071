from __future__ import annotations

from typing import Any

import pytest

from pellucid.errors import ForeignReference, TooManyReferences
from pellucid.flavors.cacheable import Cacheable, RemoteCache
from pellucid.flavors.referenceable import Referenceable
from pellucid.flavors.serializable import Held
from pellucid.limits import Limits
from pellucid.wire.messages import Release, ReleaseCache
from tests.pair import Jelly, Settings


def books(**limits: int) -> Any:
    return Jelly(Settings(limits=Limits(**limits))).books


def test_references_and_caches_draw_their_numbers_from_one_count() -> None:
    ledger = books()
    assert ledger.export(Referenceable()) == 1
    assert ledger.export_cache(Cacheable(), None)[0] == 2
    assert ledger.export(Referenceable()) == 3


def test_a_number_is_never_used_twice() -> None:
    ledger = books()
    thing = Referenceable()
    ledger.unexport(ledger.export(thing))
    assert ledger.export(thing) == 2


def test_a_cacheable_comes_with_an_observer_only_the_first_time() -> None:
    ledger = books()
    pond = Cacheable()
    number, observer = ledger.export_cache(pond, "perspective")
    assert observer.perspective == "perspective"
    assert ledger.export_cache(pond, None) == (number, None)


def test_as_many_objects_may_be_held_as_the_limit_says_and_cacheables_count() -> None:
    ledger = books(references_exported=2)
    thing = Referenceable()
    ledger.export(thing)
    ledger.export_cache(Cacheable(), None)
    with pytest.raises(TooManyReferences, match=r"over Limits.references_exported=2"):
        ledger.export(Referenceable())
    with pytest.raises(TooManyReferences, match=r"over Limits.references_exported=2"):
        ledger.export_cache(Cacheable(), None)
    assert ledger.export(thing) == 1
    ledger.unexport(1)
    ledger.unexport(1)
    assert ledger.export(Referenceable()) == 3


def test_as_many_objects_of_the_peers_may_be_held_as_the_limit_says_and_caches_count() -> None:
    ledger = books(references_imported=2)
    reference = ledger.import_reference(5)
    copy = ledger.import_cache(6, RemoteCache)
    with pytest.raises(TooManyReferences, match=r"over Limits.references_imported=2"):
        ledger.import_reference(7)
    with pytest.raises(TooManyReferences, match=r"over Limits.references_imported=2"):
        ledger.import_cache(7, RemoteCache)
    assert ledger.import_reference(5) is reference
    assert ledger.imported_cache(6) is copy


def test_what_is_not_held_any_more_makes_room_at_once() -> None:
    ledger = books(references_imported=1)
    for number in range(3):
        ledger.import_reference(number)
    assert ledger.take_releases() == [Release([(0, 1), (1, 1), (2, 1)])]


def test_what_is_released_at_once_is_told_in_small_messages() -> None:
    ledger = books()
    ledger.disown({2**63 + number: 127 for number in range(250)}, {})
    releases = ledger.take_releases()
    assert [len(release.receipts) for release in releases] == [100, 100, 50]
    assert [receipt for release in releases for receipt in release.receipts] == [
        (2**63 + number, 127) for number in range(250)
    ]


def test_something_held_of_no_known_kind_has_no_home() -> None:
    with pytest.raises(ForeignReference):
        books().id_at_home(Held())


def test_disowned_receipts_are_released_together_with_dropped_ones() -> None:
    ledger = books()
    ledger.import_reference(1)
    ledger.disown({2: 3, 4: 0}, {5: 1, 6: 0})
    assert ledger.take_releases() == [Release([(2, 3), (1, 1)]), ReleaseCache(5, 1)]
    assert ledger.take_releases() == []


def test_what_was_not_sent_grows_one_list_and_is_not_copied_for_each_thing() -> None:
    ledger = books()
    cleanups = [lambda: None, lambda: None, lambda: None]
    lists = []
    for cleanup in cleanups:
        thing = Referenceable()
        ledger.exports.on_release(thing, cleanup)
        ledger.not_sent(thing)
        ledger.not_sent(Referenceable())
        number, observer = ledger.export_cache(Cacheable(), None)
        assert observer is not None
        ledger.unexport_cache(number)
        ledger.disown({}, {number: 1})
        lists.append((ledger.unsent_cleanups, ledger.unsent_caches, ledger._cache_receipts))
    assert lists[0][0] == cleanups
    assert all(one is other for found in lists for one, other in zip(lists[0], found, strict=True))
    assert [len(each) for each in lists[0]] == [3, 3, 3]


def test_a_ledger_of_which_nothing_was_unsent_holds_no_lists() -> None:
    ledger = books()
    ledger.not_sent(Referenceable())
    assert ledger.unsent_cleanups == ledger.unsent_caches == ()
    assert ledger._receipts is ledger._cache_receipts is books()._receipts


def test_the_end_empties_every_table() -> None:
    ledger = books()
    held = [ledger.import_reference(1), ledger.import_cache(2, RemoteCache)]
    ledger.export(Referenceable())
    ledger.export_cache(Cacheable(), None)
    ledger.disown({3: 1}, {})
    ledger.import_reference(4)
    ledger.import_cache(5, RemoteCache)
    ledger.close()
    assert ledger.take_releases() == []
    tables = ledger.exports, ledger.cache_exports, ledger.imports, ledger.cache_imports, ledger.pending
    assert [len(table) for table in tables] == [0] * 5
    assert not held[0].alive
