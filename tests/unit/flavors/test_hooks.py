from __future__ import annotations

import pytest

from pellucid.flavors.cacheable import Cacheable
from pellucid.flavors.copyable import Copyable, RemoteCopy
from pellucid.flavors.hooks import SPELLINGS, hook
from pellucid.flavors.referenceable import Root


class Modern(Copyable):
    def get_state_to_copy(self) -> str:
        return "modern"


class Old(Copyable):
    def getStateToCopy(self) -> str:
        return "old"


class OldChildOfModern(Modern):
    def getStateToCopy(self) -> str:
        return "old child"


class ModernChildOfOld(Old):
    def get_state_to_copy(self) -> str:
        return "modern child"


class Heir(OldChildOfModern):
    pass


@pytest.mark.parametrize(
    ("cls", "state"),
    [
        (Modern, "modern"),
        (Old, "old"),
        (OldChildOfModern, "old child"),
        (ModernChildOfOld, "modern child"),
        (Heir, "old child"),
    ],
)
def test_the_nearest_ancestor_decides_in_whatever_spelling(cls: type[Copyable], state: str) -> None:
    assert hook(cls(), "get_state_to_copy")() == state


def test_a_hook_reaches_the_other_spelling_of_the_hook_that_it_calls() -> None:
    assert Old().get_state_to_copy_for(None) == "old"


def test_every_hook_of_the_table_is_one_that_a_flavor_has() -> None:
    flavors = (Root, Cacheable, RemoteCopy)
    missing = [name for name in SPELLINGS if not any(hasattr(flavor, name) for flavor in flavors)]
    assert missing == ["post_unjelly"]  # no flavor has one of its own: a class has it or has not


def test_an_object_without_the_hook_is_told_which() -> None:
    with pytest.raises(TypeError, match="defines neither post_unjelly nor postUnjelly"):
        hook(RemoteCopy(), "post_unjelly")
