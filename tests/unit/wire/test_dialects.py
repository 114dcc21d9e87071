from __future__ import annotations

import pytest

from pellucid.wire.dialects import DIALECTS, dialects_named


def test_all_dialects_are_offered_where_none_is_named() -> None:
    assert dialects_named(None) == DIALECTS
    assert [dialect.name for dialect in DIALECTS] == ["pellucid", "pb", "none"]


def test_dialects_are_taken_in_the_order_in_which_they_are_named() -> None:
    assert [dialect.name for dialect in dialects_named(["none", "pb"])] == ["none", "pb"]
    assert [dialect.name for dialect in dialects_named(iter(["none"]))] == ["none"]


def test_a_dialect_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no dialect 'foolscap', only pellucid, pb, none"):
        dialects_named(["pb", "foolscap"])


def test_the_name_of_one_dialect_is_not_taken_for_several() -> None:
    with pytest.raises(TypeError, match=r"write dialects=\['pb'\]"):
        dialects_named("pb")


def test_at_least_one_dialect_is_spoken() -> None:
    with pytest.raises(ValueError, match="name at least one dialect of pellucid, pb, none"):
        dialects_named([])
