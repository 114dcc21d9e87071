"""How much a value takes: before it is written, and once it was read."""

from __future__ import annotations

from itertools import chain
from sys import getsizeof
from typing import Any

__all__ = ["PER_BYTE", "WORTH_A_LOOK", "memory_of", "weight_of"]

PER_BYTE = 16
"""What a byte on the wire is taken to stand for in memory: nearly as much as those of records do. The worst take 70."""

WORTH_A_LOOK = 4096
"""Bytes on the wire from which on it is worth a look what they take: there may be long texts and buffers among them."""

_TEXTS = frozenset({str, bytes, bytearray, memoryview})
_CONTAINERS = frozenset({list, tuple, set, frozenset})
_LOOKED_INTO = frozenset({type(None), bool, int, float, dict}) | _TEXTS | _CONTAINERS
_PLACE = 8
"""Bytes of one place in a container."""
_LOOKED_AT = 1000
_FEW = 100


def weight_of(value: Any) -> int:
    """Bytes that `value` takes, roughly, found out in little time: what a class of one's own holds does not count.

    Of containers the places count, and what is in the first thousand of them.
    """
    if type(value) in _TEXTS:
        return len(value)
    waiting: list[Any] = [value]
    weight, left = 0, _LOOKED_AT
    while waiting and left:
        left -= 1
        each = waiting.pop()
        if type(each) in _TEXTS:
            weight += len(each)
        elif type(each) is dict:
            weight += 2 * _PLACE * len(each)
            waiting += [part for pair, _ in zip(each.items(), range(left), strict=False) for part in pair]
        elif type(each) in _CONTAINERS:
            weight += _PLACE * len(each)
            waiting += [part for part, _ in zip(each, range(left), strict=False)]
    return weight


def memory_of(value: Any, size: int) -> int:
    """Bytes that `value`, which took `size` bytes on the wire, takes in memory, roughly.

    Where these are few, or there are more than a hundred parts, or objects of classes, it is told from `size` alone.
    """
    if size < WORTH_A_LOOK:
        return size * PER_BYTE
    weight, left, level = 0, _FEW, [value]
    while level:
        kinds = set(map(type, level))
        if not kinds <= _LOOKED_INTO:
            return size * PER_BYTE
        lists: list[Any] = [part for part in level if type(part) in _CONTAINERS]
        dicts: list[Any] = [part for part in level if type(part) is dict]
        left -= sum(map(len, lists)) + 2 * sum(map(len, dicts))
        if left < 0:
            return size * PER_BYTE
        weight += sum(map(getsizeof, level))
        level = [*chain.from_iterable(lists), *chain.from_iterable(dicts)]
        for part in dicts:
            level += part.values()
    return max(weight, size)
