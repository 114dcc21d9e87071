"""What came with a message that can't be delivered, so that none of it stays counted at the peer for ever."""

from __future__ import annotations

from typing import Any

from pellucid.wire.messages import NUMBER_BITS
from pellucid.wire.numbered import Numbered, count
from pellucid.wire.pb.plain import READERS

__all__ = ["receipts_in"]

_BUILT_IN = frozenset(READERS) | frozenset(
    b"class dereference function instance lcache local method module persistent unpersistable".split()
)
"""Tags that hold no jelly of others; any tag that is not known here is a class's."""

_CONTAINERS = frozenset({b"list", b"tuple", b"set", b"frozenset"})


def receipts_in(expression: Any) -> tuple[Numbered[int], Numbered[int]]:
    """How many receipts of references and of caches `expression` holds, by id. It may be malformed anywhere.

    Only what is jelly by its position counts: ``["remote", 5]`` as a pair of a dictionary is a key and a value.
    """
    references: Numbered[int] = Numbered()
    caches: Numbered[int] = Numbered()
    waiting = [expression]
    for item in waiting:
        match item:
            case [b"remote", int(export_id), *_] if export_id.bit_length() <= NUMBER_BITS:
                count(references, export_id)
            case [b"cached", int(cache_id), *_] if cache_id.bit_length() <= NUMBER_BITS:
                count(caches, cache_id)
            case [b"dictionary", *pairs]:
                for pair in pairs:
                    if type(pair) is list:
                        waiting.extend(pair[:2])
            case [bytes(tag), *elements] if tag in _CONTAINERS:
                waiting.extend(elements)
            case [b"reference", _, inner, *_]:
                waiting.append(inner)
            case [bytes(tag), int(cache_id), state, *_] if tag not in _BUILT_IN:
                if cache_id.bit_length() <= NUMBER_BITS:
                    count(caches, cache_id)
                waiting.append(state)
            case [bytes(tag), state, *_] if tag not in _BUILT_IN:
                waiting.append(state)
            case _:
                pass
    return references, caches
