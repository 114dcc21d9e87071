"""The short way for plain values: jelly and banana in one step.

What it writes and reads is what `jelly` and `banana` write and read one after the other. It knows no object that is met
twice and none that has a hook, and comes near to no limit: whatever is not as plain as that it hands back to them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pellucid.errors import LimitExceeded
from pellucid.limits import DEFAULT_LIMITS, Limits
from pellucid.wire.messages import ExportId
from pellucid.wire.pb.banana import INTS, LISTS, STRINGS, encode, encode_float, encode_int, encode_list

__all__ = ["PlainWriter", "read_plain"]

_SHORT = len(STRINGS)
"""Bytes from which on a string has a header of two digits."""

_LEVELS = 4
"""Levels of list that a container takes below its own at most: a pair, a text in it, and two to spare."""

_AROUND = 10
"""More than the elements of a call that are around its arguments, and as many as the letters of the longest word."""

_DEEPEST = 100
"""Levels of list from which on the long way is taken, which does not need Python's stack."""


class _NotPlain(Exception):
    """This is for those who know of it."""


class _Written(bytes):
    """Stands among values, and is written already."""


class PlainWriter:
    """Writes messages of plain values for peers that know the words of one vocabulary."""

    __slots__ = (
        "_answer",
        "_call",
        "_constants",
        "_dictionary",
        "_list",
        "_no_keywords",
        "_pair",
        "_text",
        "_texts",
        "_tuple",
        "_words",
    )

    def __init__(self, tokens: Mapping[bytes, int] | None) -> None:
        def written(expression: object) -> bytes:
            return encode(expression, DEFAULT_LIMITS, tokens)

        self._words = {word: written(word) for word in tokens or ()}
        self._constants: dict[bool | None, bytes] = {None: written([b"None"])}
        self._constants |= {flag: written([b"boolean", str(flag).lower().encode()]) for flag in (False, True)}
        self._pair = _Written(LISTS[2])
        self._text = LISTS[2] + written(b"unicode")
        self._texts = [self._text + header for header in STRINGS]
        self._list, self._tuple, self._dictionary = written(b"list"), written(b"tuple"), written(b"dictionary")
        self._call, self._answer = LISTS[7] + written(b"message"), LISTS[3] + written(b"answer")
        self._no_keywords = written([b"dictionary"])

    def call(self, call_id: int, target: ExportId, name: str, args: tuple[Any, ...], limits: Limits) -> bytes | None:
        """A call that wants an answer; None where others have to be asked."""
        try:
            aim = self._string(target, limits) if isinstance(target, bytes) else encode_int(target, limits)
            parts = [self._call, encode_int(call_id, limits), aim, self._string(name.encode(), limits), INTS[1]]
            return self._message(parts, args, limits, self._no_keywords)
        except _REFUSED:
            return None

    def answer(self, call_id: int, value: Any, limits: Limits) -> bytes | None:
        """An answer; None where others have to be asked."""
        try:
            return self._message([self._answer, encode_int(call_id, limits)], value, limits)
        except _REFUSED:
            return None

    def _message(self, parts: list[bytes], value: Any, limits: Limits, end: bytes = b"") -> bytes | None:
        self._write((value,), limits, 1, parts, _Met(limits))
        parts.append(end)
        message = b"".join(parts)
        return message if len(message) <= limits.message_bytes else None

    def _write(self, values: Iterable[Any], limits: Limits, depth: int, parts: list[bytes], met: _Met) -> None:
        """Add what stands for `values`, one after the other, to `parts`, inside of `depth` lists."""
        append, words, texts = parts.append, self._words, self._texts
        for value in values:
            cls = type(value)
            if cls is _Written:
                append(value)
            elif cls is str:
                text = value.encode()
                size = len(text)
                if size >= met.short:
                    append(self._text)
                    append(self._string(text, limits, met))
                elif text in words:
                    append(self._text)
                    append(words[text])
                else:
                    append(texts[size])
                    append(text)
            elif cls is int:
                append(INTS[value] if 0 <= value < _SHORT else encode_int(value, limits))
            elif cls is float:
                append(encode_float(value))
            elif value is None or cls is bool:
                append(self._constants[value])
            elif cls is bytes:
                append(self._string(value, limits, met))
            elif cls is dict:
                append(met.enter(value, 7, depth) + self._dictionary)
                pair = self._pair
                inner = [part for key, element in value.items() for part in (pair, key, element)]
                self._write(inner, limits, depth + 2, parts, met)
            elif cls is list or cls is tuple:
                append(met.enter(value, 3, depth) + (self._list if cls is list else self._tuple))
                self._write(value, limits, depth + 1, parts, met)
            else:
                raise _NotPlain

    def _string(self, string: bytes, limits: Limits, met: _Met | None = None) -> bytes:
        size = len(string)
        word = self._words.get(string) if size < _SHORT else None
        if word is not None:
            return word
        if met is not None and size >= _SHORT:
            met.spare_bytes -= size
            if met.spare_bytes < 0:
                raise _NotPlain
        return encode(string, limits, None)


class _Met:
    """What was met in one message, and what there is room for."""

    __slots__ = ("_ids", "_limits", "_spare", "short", "spare_bytes")

    def __init__(self, limits: Limits) -> None:
        self.short = min(_SHORT, limits.string_bytes + 1)
        """Bytes from which on a string is looked at more closely."""
        self.spare_bytes = limits.message_bytes
        """Bytes of long strings that there is room for: one in many places must not be copied before it is refused."""
        self._limits = limits
        self._spare = limits.elements - _AROUND
        self._ids: set[int] = set()
        if limits.nesting < _LEVELS or min(self._spare, limits.list_elements, limits.string_bytes) < _AROUND:
            raise _NotPlain

    def enter(self, value: Any, cost: int, depth: int) -> bytes:
        """How the list for `value`, a container, begins; it has up to `cost` elements for each of those of `value`."""
        key, size = id(value), len(value)
        self._spare -= 2 + cost * size
        if key in self._ids or self._spare < 0 or size >= self._limits.list_elements:
            raise _NotPlain
        if depth + _LEVELS > self._limits.nesting or depth > _DEEPEST:
            raise _NotPlain
        self._ids.add(key)
        return encode_list(size + 1, self._limits)


_REFUSED = (_NotPlain, LimitExceeded, UnicodeEncodeError)
"""Whatever it is, the long way finds it, too, and says what it is."""


def read_plain(expressions: list[Any], start: int) -> list[Any] | None:
    """What each of `expressions` from `start` on stands for; None where one is no number, text or bytes."""
    values: list[Any] = []
    for expression in expressions[start:] if start else expressions:
        if type(expression) is not list:
            values.append(expression)
        elif len(expression) == 2 and expression[0] == b"unicode" and type(expression[1]) is bytes:
            try:
                values.append(str(expression[1], "utf-8"))
            except UnicodeDecodeError:
                return None
        elif len(expression) == 1 and expression[0] == b"None":
            values.append(None)
        else:
            return None
    return values
