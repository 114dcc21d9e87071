from __future__ import annotations

from typing import Any

import pytest

from pellucid.flavors.cacheable import Cacheable
from pellucid.flavors.copyable import Copyable, RemoteCopy
from pellucid.flavors.hooks import SPELLINGS, hook
from pellucid.flavors.referenceable import AvatarReference, Referenceable, Root, Viewpoint
from pellucid.flavors.serializable import identity


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


@pytest.mark.parametrize("flavor", [Root, Referenceable, Viewpoint, AvatarReference, Cacheable, Copyable, RemoteCopy])
def test_every_flavor_has_its_hooks_in_both_spellings(flavor: type) -> None:
    for ancestor in flavor.__mro__:
        for name, spelling in SPELLINGS.items():
            assert vars(ancestor).get(spelling) is vars(ancestor).get(name)


class Upcalling(Cacheable, RemoteCopy):
    """Written for PB: each of its hooks goes on with the one it overrides."""

    def processUniqueID(self) -> Any:
        return "mine", Cacheable.processUniqueID(self)

    def getStateToCopy(self) -> Any:
        return {**Cacheable.getStateToCopy(self), "more": 1}

    def getStateToCopyFor(self, perspective: Any) -> Any:
        return {**Cacheable.getStateToCopyFor(self, perspective), "for": perspective}

    def getTypeToCopyFor(self, perspective: Any) -> Any:
        return [Cacheable.getTypeToCopyFor(self, perspective), perspective]

    def getTypeToCopy(self) -> Any:
        return ["a", Cacheable.getTypeToCopy(self)]

    def getStateToCacheAndObserveFor(self, perspective: Any, observer: Any) -> Any:
        return {**Cacheable.getStateToCacheAndObserveFor(self, perspective, observer), "observer": observer}

    def setCopyableState(self, state: Any) -> None:
        RemoteCopy.setCopyableState(self, state)
        self.taken = True


def test_hooks_written_for_pb_can_go_on_with_those_they_override() -> None:
    thing = Upcalling()
    assert identity(thing) == ("mine", id(thing))
    state = hook(thing, "get_state_to_cache_and_observe_for")("Bob", None)
    assert state == {"more": 1, "for": "Bob", "observer": None}
    assert hook(thing, "get_type_to_copy_for")("Bob") == [["a", f"{__name__}.Upcalling"], "Bob"]
    hook(thing, "set_copyable_state")({b"x": 1})
    assert vars(thing) == {"x": 1, "taken": True}


class Delegating(Copyable, RemoteCopy):
    """Asks another object for what it has not got: before it has its state, for ever."""

    original: Any

    def __getattr__(self, name: str) -> Any:
        return getattr(self.original, name)


def test_no_object_is_asked_for_a_hook_that_its_class_may_lack() -> None:
    blank = Delegating.__new__(Delegating)
    with pytest.raises(RecursionError):
        blank.anything  # noqa: B018 - asking is the point
    hook(blank, "set_copyable_state")({"original": 1})
    assert hook(blank, "get_state_to_copy_for")(None) == {"original": 1}


def test_an_object_without_the_hook_is_told_which() -> None:
    with pytest.raises(TypeError, match="defines neither post_unjelly nor postUnjelly"):
        hook(RemoteCopy(), "post_unjelly")
