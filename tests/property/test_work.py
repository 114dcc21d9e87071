"""Twice the input costs no more than twice the work, whatever the peer has thought of: counted in lines that run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pellucid.limits import Limits
from pellucid.wire.native.codes import Kind, Leaf, Mark
from pellucid.wire.native.frames import CHUNK, LAST_CHUNK, frame, header
from tests.pair import Extension, Settings, Stranger, write
from tests.work import SLACK, ratio

Work = Callable[[int], Callable[[], object]]

SIZE = 300


def native(*messages: Any) -> bytes:
    return b"".join(write(message, "pellucid") for message in messages)


def in_one_piece(dialect: str, make: Callable[[int], bytes], before: bytes = b"") -> Work:
    def prepare(size: int) -> Callable[[], object]:
        stranger = Stranger(dialect=dialect, settings=Settings(limits=Limits(unknown_messages=1 << 20)))
        stranger.send(before)
        data = make(size)
        return lambda: stranger.send(data)

    return prepare


def byte_by_byte(dialect: str, make: Callable[[int], bytes]) -> Work:
    def prepare(size: int) -> Callable[[], object]:
        side = Stranger(dialect=dialect).side
        data = make(size)

        def drip() -> None:
            for at in range(len(data)):
                side.receive(data[at : at + 1])

        return drip

    return prepare


def call(number: int, *args: Any, name: str = "echo") -> list[Any]:
    return [Kind.CALL, number, "root", name, [*args]]


def jelly(value: Any) -> bytes:
    return write([b"message", 1, b"root", b"echo", 1, [b"tuple", value], [b"dictionary"]], "pb")


def doubling(size: int) -> Any:
    """Stands for two to the power of `size` lists."""
    expression: list[Any] = [b"list"]
    for number in range(1, size):
        expression = [b"list", [b"reference", number, expression], [b"dereference", number]]
    return expression


def remote(number: int) -> Extension:
    return Extension(Leaf.REMOTE, number.to_bytes(4, "big"))


def batch(size: int) -> bytes:
    return native([Kind.BATCH, 1, [["root", "echo", [number]] for number in range(size)]])


CASES: dict[str, Work] = {
    "thousands of tiny frames": in_one_piece("pellucid", lambda size: native([Kind.CANCEL, 1]) * size),
    "calls": in_one_piece("pellucid", lambda size: native(*(call(number) for number in range(size)))),
    "calls of PB's": in_one_piece("pb", lambda size: jelly(5) * size),
    "a batch": in_one_piece("pellucid", batch),
    "references": in_one_piece("pellucid", lambda size: native(call(1, [remote(number) for number in range(size)]))),
    "references of PB's": in_one_piece("pb", lambda size: jelly([b"list", *([b"remote", n] for n in range(1, size))])),
    "marked arrays": in_one_piece("pellucid", lambda size: native(call(1, [[Extension(Mark.TUPLE, b"")]] * size))),
    "unknown extensions": in_one_piece("pellucid", lambda size: native(call(1, [Extension(99, b"")] * size))),
    "unknown kinds": in_one_piece("pellucid", lambda size: native([99]) * size),
    "keys in keys": in_one_piece(
        "pb", lambda size: jelly([b"frozenset", *([b"frozenset", [b"frozenset", n]] for n in range(size))])
    ),
    "a sharing bomb": in_one_piece("pb", lambda size: jelly(doubling(min(size, 80)))),
    "seen": in_one_piece("pellucid", lambda size: native([Kind.SEEN, [*range(size)]])),
    "releases": in_one_piece(
        "pellucid", lambda size: native([Kind.RELEASE, [1, 1] * size]), native(call(1, name="nothing"))
    ),
    "chunks": in_one_piece("pellucid", lambda size: (header(1, CHUNK) + b"x") * size + header(0, LAST_CHUNK)),
    "a text that is dripped": byte_by_byte("pellucid", lambda size: native(call(1, "x" * 4 * size))),
    "frames that are dripped": byte_by_byte("pellucid", lambda size: native([Kind.CANCEL, 1]) * size),
    "a buffer that is dripped": byte_by_byte("pellucid", lambda size: header(4 * size, LAST_CHUNK) + bytes(4 * size)),
    "a string of PB's that is dripped": byte_by_byte("pb", lambda size: jelly(b"x" * 4 * size)),
    "a list of PB's that is dripped": byte_by_byte("pb", lambda size: jelly([b"list", *range(size)])),
    "frames of nothing": in_one_piece("pellucid", lambda size: frame(b"\x91\x63") * size),
}


@pytest.mark.parametrize("name", CASES)
def test_twice_the_input_is_no_more_than_twice_the_work(name: str) -> None:
    assert ratio(CASES[name], SIZE) < SLACK
