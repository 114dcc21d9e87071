"""The deepest structure that the codecs let in, and all that is done with it later, on a thread of 8 MiB of stack.

``python -m tests.system.deep`` does it, and says "alive" at the end: a crash of the interpreter would leave no word.
"""

from __future__ import annotations

import copy
import gc
import sys
import threading
from typing import Any

from pellucid.limits import Limits
from pellucid.wire.native.codes import Kind, Leaf, Mark
from pellucid.wire.native.frames import frame
from tests.pair import Desk, Extension, Settings, Stranger, write

__all__ = ["main"]

STACK_BYTES = 8 << 20
LOOSE = Settings(limits=Limits(nesting=100_000, expanded_elements=10_000_000))


class Handler(Desk):
    """Does with what it gets what programs do."""

    def remote_look(self, value: Any) -> int:
        done = 0
        looks: tuple[Any, ...] = (repr, str, copy.copy, copy.deepcopy, _equal)
        for look in looks:
            try:
                look(value)
                done += 1
            except (RecursionError, TypeError):
                pass
        return done

    def remote_fail(self, value: Any) -> None:
        raise ValueError(value)


def _equal(value: Any) -> bool:
    return bool(value == copy.deepcopy(value))


def nested(levels: int, opening: bytes, core: bytes = b"\xc0") -> bytes:
    return opening * levels + core


def call(number: int, name: str, argument: bytes) -> bytes:
    """A call with one argument, which is msgpack already."""
    start = write([Kind.CALL, number, "root", name], "pellucid")[5:]
    return frame(b"\x95" + start + b"\x91" + argument)


def deep_forms() -> list[bytes]:
    tuple_mark = write(Extension(Mark.TUPLE, b""), "pellucid")[4:]
    jelly_mark = write(Extension(Mark.JELLY, b""), "pellucid")[4:]
    shared = write(Extension(Mark.SHARED, b"\1"), "pellucid")[4:]
    forms = []
    for levels in (200, 500, 900, 1_010, 1_020, 5_000, 200_000):
        forms += [
            nested(levels, b"\x91"),
            nested(levels, b"\x81\xa1a"),
            nested(levels // 2, b"\x92" + tuple_mark),
            nested(levels // 2, b"\x92\xc0"),
            nested(levels // 2, b"\x92" + jelly_mark, b"\x90"),
            b"\x92" + jelly_mark + nested(levels, b"\x92\xc4\x04list"),
            b"\x92" + shared + nested(levels, b"\x91"),
            write(Extension(Leaf.DECIMAL, nested(levels, b"\x91")), "pellucid")[4:],
        ]
    return forms


def work() -> None:
    """All of it."""
    for settings in Settings(), LOOSE, Settings(sharing="graph"):
        for form in deep_forms():
            for name in "echo", "keep", "look", "fail":
                stranger = Stranger(Handler(), settings, dialect="pellucid")
                promise = write(Extension(Leaf.PROMISE, b"\1"), "pellucid")[4:]
                stranger.send(call(1, name, form) + call(2, "echo", promise) + call(3, "echo", b"\x01"))
                stranger.send(frame(b"\x93\x0f\x04\x91\x93\xa4root\xa4echo\x91" + form))
                stranger.send(frame(b"\x92\x11" + form))
                stranger.side.lose("the test is over")
    for levels in (100, 250, 300, 1_000, 100_000):
        for tag in b"\x08\x87", b"\x0b\x87":  # lists, and tuples
            expression = (b"\x02\x80" + tag) * levels + b"\x01\x81"
            for settings in Settings(), LOOSE:
                stranger = Stranger(Handler(), settings)
                start = b"\x07\x80\x1a\x87\x01\x81\x04\x82root\x04\x82look\x01\x81\x02\x80\x0b\x87"
                stranger.send(start + expression + b"\x01\x80\x05\x87")
    gc.collect()


def main() -> None:
    """Do it, and say so."""
    threading.stack_size(STACK_BYTES)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    sys.stdout.write("alive")


if __name__ == "__main__":
    main()
