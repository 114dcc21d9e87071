"""How the time for hostile input grows with its size: ``python -m benchmarks.growth``; 1 where it is more than linear.

It takes what tests/property/test_work.py counts, at larger sizes, and input that C code might be slow with, of which a
count of lines sees nothing: keys of one hash, long integers. Doubling the size should double the time.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from pellucid.wire.native.codes import Leaf, Mark
from pellucid.wire.native.plain import write_int
from tests.pair import Extension
from tests.property.test_work import CASES, Work, call, in_one_piece, jelly, native

SIZE = 3_000
WORST = 3.0
"""How many times the time may be for twice the size. Linear is 2, quadratic 4; small times are not exact."""

MODULUS = sys.hash_info.modulus


def _int(number: int) -> Extension:
    return Extension(Leaf.INT, write_int(number))


def _decimal(number: int) -> Extension:
    return Extension(Leaf.DECIMAL, str(Decimal(number * MODULUS)).encode())


def _keys(make: Callable[[int], Any]) -> Work:
    return in_one_piece(
        "pellucid", lambda size: native(call(1, [Extension(Mark.SET, b""), *map(make, range(1, size))]))
    )


MORE: dict[str, Work] = {
    "ints of one hash": _keys(lambda number: _int((1 << 64) + number * MODULUS)),
    "Decimals of one hash": _keys(_decimal),
    "tuples of such ints": _keys(lambda number: [Extension(Mark.TUPLE, b""), _int((1 << 64) + number * MODULUS), 1]),
    "references of one hash": in_one_piece(
        "pb", lambda size: jelly([b"list", *([b"remote", number * MODULUS] for number in range(1, size))])
    ),
    "shared objects of one hash": in_one_piece(
        "pb", lambda size: jelly([b"list", *([b"reference", number * MODULUS, [b"list"]] for number in range(1, size))])
    ),
    "a long int": in_one_piece("pellucid", lambda size: native(call(1, _int(1 << 100 * size)))),
    "a long int as a key": in_one_piece(
        "pellucid", lambda size: native(call(1, [Extension(Mark.MAP, b""), _int(1 << 100 * size), 1]))
    ),
    "a long int as a number": in_one_piece("pellucid", lambda size: native([10, _int(1 << 100 * size)])),
}


def seconds(prepare: Work, size: int) -> float:
    """The least of a few times."""
    best = float("inf")
    for _ in range(3):
        work = prepare(size)
        began = time.process_time()
        work()
        best = min(best, time.process_time() - began)
    return best


def main() -> int:
    """Measure each; 1 where one grows faster than it should."""
    failed = 0
    for name, prepare in {**CASES, **MORE}.items():
        size = SIZE
        once, twice = seconds(prepare, size), seconds(prepare, 2 * size)
        while twice < 0.02 and size < 200_000:  # too short to measure
            size *= 2
            once, twice = twice, seconds(prepare, 2 * size)
        failed |= twice > WORST * once and twice > 0.02
        print(f"{name:36}{size:8}{1e3 * once:10.1f} ms{twice / once:7.1f} times", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
