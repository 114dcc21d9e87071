from __future__ import annotations

from typing import Any

import pytest

from pellucid.errors import NoSuchMethod
from pellucid.flavors.cacheable import Cacheable, Observer, RemoteCache
from tests.dialects import each_dialect

pytestmark = each_dialect


class Ignored:
    def call(self, name: str, /, *args: Any, **kwargs: Any) -> None: ...

    def update(self, name: str, /, *args: Any, **kwargs: Any) -> None: ...


OBSERVER: Observer = Ignored()


class Pond(Cacheable):
    def __init__(self) -> None:
        self.ducks = 2


class RemotePond(RemoteCache):
    def observe_ducks(self, number: int) -> int:
        return number

    def remote_ducks(self) -> None: ...


def test_the_state_that_is_cached_is_the_one_that_would_be_copied() -> None:
    class OldPond(Pond):
        def getStateToCopy(self) -> object:
            return "old state"

    assert Pond().get_state_to_cache_and_observe_for(None, OBSERVER) == {"ducks": 2}
    assert OldPond().get_state_to_cache_and_observe_for(None, OBSERVER) == "old state"


def test_a_cacheable_need_not_care_when_nobody_observes_it_any_more() -> None:
    Pond().stopped_observing(None, OBSERVER)


def test_updates_run_the_methods_with_their_own_prefix() -> None:
    assert RemotePond().method_for("ducks")(3) == 3
    with pytest.raises(NoSuchMethod, match="observe_geese"):
        RemotePond().method_for("geese")
