"""Mutations that know what they mutate: most random bytes are refused at their first byte, and teach nothing.

An input is taken apart into messages, and those into values. A value is put in another's place, dropped, doubled,
wrapped or changed a little, and the whole is written again. What can't be taken apart is left to libFuzzer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Protocol

from ormsgpack import OPT_PASSTHROUGH_BIG_INT, OPT_PASSTHROUGH_TUPLE, Ext, packb, unpackb

from pellucid.errors import LimitExceeded, RemoteProtocolError
from pellucid.limits import Limits
from pellucid.wire.native.codes import Kind, Leaf, Mark
from pellucid.wire.native.frames import CHUNK, HEADER, LAST_CHUNK, MESSAGE_WITH_BUFFERS, header
from pellucid.wire.native.plain import write_int
from pellucid.wire.pb import banana
from pellucid.wire.pb.vocabulary import TOKENS, WORDS
from tests.pair import Extension

__all__ = ["NATIVE", "NONE", "PB", "Banana", "Frames", "Language", "Mutate", "mutated", "with_flags"]

Mutate = Callable[[bytes, int], bytes]
"""libFuzzer's own mutation, given the most bytes that may come out."""

_LIMITS = Limits(nesting=100_000)


class Language(Protocol):
    """A way to take bytes apart."""

    def parse(self, data: bytes) -> tuple[list[Any], bytes]:
        """The messages in `data`, and what is left where they end."""
        ...

    def write(self, messages: list[Any]) -> bytes:
        """The bytes of `messages`. Raises TypeError, ValueError, LimitExceeded where there are none."""
        ...

    def atom(self, rng: Random) -> Any:
        """A value that peers say."""
        ...


_INTERESTING = [0, 1, 2, 3, 5, -1, 127, 128, 2**31, -(2**31), 2**63, 2**64 - 1, 2**64, 2**61 - 1, 2**122, 1 - 2**448]


class Banana:
    """Expressions of a PB dialect, or of the negotiation."""

    def __init__(self, words: bool) -> None:
        self._words = WORDS if words else None
        self._tokens = TOKENS if words else None

    def parse(self, data: bytes) -> tuple[list[Any], bytes]:
        decoder = banana.Decoder(_LIMITS, self._words)
        messages: list[Any] = []
        rest = data
        try:
            decoder.receive_data(data)
            while (expression := decoder.next_expression()) is not banana.NEED_DATA:
                messages.append(expression)
                rest = rest[decoder.size :]
        except RemoteProtocolError:
            pass
        return messages, rest

    def write(self, messages: list[Any]) -> bytes:
        return b"".join(banana.encode(message, _LIMITS, self._tokens) for message in messages)

    def atom(self, rng: Random) -> Any:
        match rng.randrange(6):
            case 0 | 1:
                return rng.choice(_WORDS)
            case 2:
                return rng.choice(_INTERESTING)
            case 3:
                return rng.choice(_STRINGS)
            case 4:
                return [rng.choice(_WORDS), *(self.atom(rng) for _ in range(rng.randrange(4)))]
            case _:
                return rng.choice([1.5, float("nan"), -0.0])


_WORDS = (
    sorted(WORDS.values())
    + (
        b"unicode boolean set frozenset decimal datetime date time timedelta copy cache factory plain bad.Tag method "
        b"twisted.spread.pb.CopyableFailure twisted.spread.pb.Error didNotUnderstand root login respond type value"
    ).split()
)

_STRINGS = [b"", b"\xff", b"true", b"1 2 3", b"2024 1 2 3 4 5 6", b"root", b"echo", b"x" * 200]

PB, NONE = Banana(words=True), Banana(words=False)


class _Frame:
    """A frame: its flags, and what is in it."""

    def __init__(self, flags: int, content: Any) -> None:
        self.flags = flags
        self.content = content


class Frames:
    """Frames of msgpack."""

    def parse(self, data: bytes) -> tuple[list[Any], bytes]:
        messages: list[Any] = []
        while len(data) >= HEADER:
            word = int.from_bytes(data[:HEADER], "big")
            length = word & (1 << 30) - 1
            body, rest = data[HEADER : HEADER + length], data[HEADER + length :]
            if len(body) < length:
                break
            flags = word - length
            try:
                content = body if flags >= CHUNK else unpackb(body, ext_hook=Extension)
            except ValueError:
                content = body
            messages.append(_Frame(flags, content))
            data = rest
        return messages, data

    def write(self, messages: list[Any]) -> bytes:
        return b"".join(map(self._write, messages))

    def _write(self, message: Any) -> bytes:
        frame = message if isinstance(message, _Frame) else _Frame(0, message)
        if isinstance(frame.content, bytes):
            body = frame.content
        else:
            body = packb(frame.content, _ext, OPT_PASSTHROUGH_TUPLE | OPT_PASSTHROUGH_BIG_INT)
        return header(len(body), frame.flags) + body

    def atom(self, rng: Random) -> Any:
        match rng.randrange(9):
            case 0:
                return rng.choice(_INTERESTING)
            case 1:
                body = rng.choice([b"", b"\0", b"\1", b"\2", b"\1" * 9, b"root", b"-1.5", b"2024-01-02", bytes(12)])
                return Extension(rng.choice(_LEAVES), body)
            case 2:
                return [Extension(rng.choice(_MARKS), rng.choice([b"", b"\1", b"\2"])), self.atom(rng), self.atom(rng)]
            case 3:
                tag = rng.choice(["copy", "cache", "factory", "plain", "no.Such"])
                return [Extension(rng.choice([Mark.COPY, Mark.CACHE]), b"\3"), tag, {"a": self.atom(rng)}]
            case 4:
                return [rng.choice(_KINDS), rng.randrange(4), self.atom(rng), self.atom(rng), [self.atom(rng)]]
            case 5:
                return rng.choice([None, True, False, 1.5, "", "root", "echo", "timeout", "!new", "x" * 200, b"abc"])
            case 6:
                return {rng.choice(["timeout", "!new", "a", ""]): self.atom(rng)}
            case 7:
                return _Frame(rng.choice([MESSAGE_WITH_BUFFERS, CHUNK, LAST_CHUNK]), rng.randbytes(rng.randrange(20)))
            case _:
                return [self.atom(rng) for _ in range(rng.randrange(3))]


_LEAVES = [*map(int, Leaf), 0, 63, 99]
_MARKS = [*map(int, Mark)]
_KINDS = [*map(int, Kind), 18, 99]

NATIVE = Frames()


def _ext(value: Any) -> Ext:
    if isinstance(value, Extension):
        return value.packed()
    if type(value) is int:
        return Ext(Leaf.INT, write_int(value))
    raise TypeError


def mutated(data: bytes, most: int, rng: Random, by_bytes: Mutate, language: Language) -> bytes:
    """`data` as another input: most often one of its values is another; `by_bytes` does it else."""
    if rng.randrange(4):
        messages, rest = language.parse(data)
        for _ in range(1 + rng.randrange(3)):
            messages = _mutated(messages, rng, language)
        try:
            written = language.write(messages)
        except (TypeError, ValueError, RecursionError, LimitExceeded):
            written = data
        if not rng.randrange(4):
            written += rest
        if written != data and len(written) <= most:
            return written
    return by_bytes(data, most)


def with_flags(data: bytes, most: int, rng: Random, by_bytes: Mutate, language: Language) -> bytes:
    """As `mutated`, for an input whose first byte says how the others are to be taken."""
    flags = data[:1] or b"\0"
    if not rng.randrange(20):
        flags = rng.randbytes(1)
    return flags + mutated(data[1:], most - 1, rng, by_bytes, language)


def _places(value: list[Any]) -> Iterator[tuple[Any, Any]]:
    """Each container in `value`, with each key under which something is in it."""
    waiting: list[Any] = [value]
    for part in waiting:
        if isinstance(part, _Frame):
            if isinstance(part.content, list | dict):
                waiting.append(part.content)
            continue
        keys: Any = range(len(part)) if isinstance(part, list) else list(part)
        for key in keys:
            yield part, key
            if isinstance(part[key], list | dict | _Frame):
                waiting.append(part[key])


def _mutated(messages: list[Any], rng: Random, language: Language) -> list[Any]:
    places = list(_places(messages))
    if not places or not rng.randrange(10):
        messages.insert(rng.randrange(len(messages) + 1), language.atom(rng))
        return messages
    container, key = rng.choice(places)
    value = container[key]
    match rng.randrange(8):
        case 0 | 1:
            container[key] = language.atom(rng)
        case 2:
            other, at = rng.choice(places)
            container[key] = _copy(other[at])
        case 3:
            del container[key]
        case 4 if isinstance(container, list):
            container.insert(key, _copy(value))
        case 5:
            container[key] = [_copy(value)] if not isinstance(value, _Frame) else value
        case _:
            container[key] = _changed(value, rng)
    return messages


def _changed(value: Any, rng: Random) -> Any:
    match value:
        case bool():
            return not value
        case int():
            return rng.choice([value + 1, value - 1, -value, value * 2, value << rng.randrange(70)])
        case bytes() if value:
            at = rng.randrange(len(value))
            return rng.choice([value[:at], value[at:], value[:at] + rng.randbytes(1) + value[at + 1 :], value * 2])
        case str() if value:
            at = rng.randrange(len(value))
            return rng.choice([value[:at], value[at:], value[:at] + chr(rng.randrange(0x800)) + value[at:], value * 2])
        case Extension(code, body):
            return Extension(code, _changed(body or b"\1", rng)) if rng.randrange(3) else Extension(code + 1, body)
        case list() if len(value) > 1:
            rng.shuffle(value)
            return value
        case _Frame(content=list() as content):
            return _Frame(value.flags, _changed(content, rng))
        case _:
            return value


def _copy(value: Any) -> Any:
    if isinstance(value, list):
        return [_copy(element) for element in value]
    if isinstance(value, dict):
        return {key: _copy(element) for key, element in value.items()}
    return _Frame(value.flags, _copy(value.content)) if isinstance(value, _Frame) else value
