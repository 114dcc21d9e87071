"""The methods that an application may override, in both their spellings.

A class written for Perspective Broker overrides ``getStateToCopy``; one written for pellucid overrides
`get_state_to_copy`. Either is honoured: of a class's ancestors, the nearest that defines the hook in either spelling
decides.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextvars import ContextVar
from functools import lru_cache
from inspect import isawaitable
from typing import Any, cast

__all__ = ["SPELLINGS", "beginning", "hook", "nearest", "settled"]

SPELLINGS = {
    "process_unique_id": "processUniqueID",
    "root_object": "rootObject",
    "get_state_to_copy": "getStateToCopy",
    "get_state_to_copy_for": "getStateToCopyFor",
    "get_type_to_copy": "getTypeToCopy",
    "get_type_to_copy_for": "getTypeToCopyFor",
    "set_copyable_state": "setCopyableState",
    "post_unjelly": "postUnjelly",
    "get_state_to_cache_and_observe_for": "getStateToCacheAndObserveFor",
    "stopped_observing": "stoppedObserving",
}
"""pellucid's name of each hook, and Perspective Broker's (parity of names: twisted.spread.flavors, 26.10)."""

beginning: ContextVar[tuple[object, Callable[[], object] | None]] = ContextVar(
    "pellucid_beginning", default=(None, None)
)
"""The ``async`` function that is called, and what raises where it is not to begin: it may wait for a thread first."""


def hook(obj: object, name: str) -> Any:
    """The bound method that implements the hook `name` (pellucid's spelling) for `obj`."""
    return getattr(obj, _spelling(cast(Hashable, type(obj)), name))


async def settled(value: Any) -> Any:
    """What a hook or a callback of an application's, plain or async, has returned in the end."""
    return await value if isawaitable(value) else value


def nearest(cls: type, *names: str) -> str | None:
    """Which of `names` the nearest ancestor of `cls` defines that defines any; the first, where it defines several."""
    return _nearest(cast(Hashable, cls), names)


@lru_cache(maxsize=4096)
def _nearest(cls: Any, names: tuple[str, ...]) -> str | None:
    for ancestor in cls.__mro__:
        for name in names:
            if name in vars(ancestor):
                return name
    return None


@lru_cache(maxsize=4096)
def _spelling(cls: Any, name: str) -> str:
    found = nearest(cls, name, SPELLINGS[name])
    if found is None:
        raise TypeError(f"{cls.__qualname__} defines neither {name} nor {SPELLINGS[name]}")
    return found
