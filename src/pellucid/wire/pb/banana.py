"""Banana, the serialisation under jelly: nested lists of bytes, ints and floats to and from bytes.

An element is a number in base-128 digits, least significant first, each below 0x80, and then one type byte. No digits
at all mean zero, and zero digits at the end change nothing: twisted.spread.banana (26.10) accepts both, so some peer
may send them. The type byte says what the number means and what follows:

====  =======  =======================================================================
0x80  LIST     that many elements follow; a list among them counts as one
0x81  INT      the number; sent up to 2**31 - 1, but no decoder checks that
0x82  STRING   that many bytes follow
0x83  NEG      the number negated; sent from -1 to -2**31
0x84  FLOAT    8 bytes follow, IEEE 754, big-endian; sent without digits
0x85  LONGINT  as INT, sent above 2**31 - 1
0x86  LONGNEG  as NEG, sent below -2**31
0x87  VOCAB    the id of a word that both sides know; in the dialect `pb` alone
====  =======  =======================================================================

`Decoder` is given bytes and asked for expressions; `encode` turns one expression into bytes. What one of them refuses
under some `Limits`, the other refuses too.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any, Final, TypeAlias

from pellucid.errors import LimitBroken, LimitExceeded, LocalProtocolError, RemoteProtocolError
from pellucid.limits import Limits

__all__ = ["NEED_DATA", "Decoder", "Expression", "NeedData", "encode"]

Expression: TypeAlias = "bytes | int | float | list[Expression]"
"""What banana carries."""

_LIST: Final = 0x80
_INT: Final = 0x81
_STRING: Final = 0x82
_NEG: Final = 0x83
_FLOAT: Final = 0x84
_LONGINT: Final = 0x85
_LONGNEG: Final = 0x86
_VOCAB: Final = 0x87

_LAST_DIGIT: Final = 0x7F
_DIGIT_BITS: Final = 7


class NeedData(Enum):
    """The type of `NEED_DATA`, by which a type checker tells it from an expression."""

    NEED_DATA = "NEED_DATA"


NEED_DATA: Final = NeedData.NEED_DATA
"""What `Decoder.next_expression` returns while the bytes received hold no further complete expression."""

_Unfinished: TypeAlias = "tuple[list[Expression], list[Any], list[tuple[list[Any], int, int]], int, int, int]"

_DOUBLE: Final = struct.Struct("!d")

# Follows the bytes of every window, so that `Decoder._parse` may look at a header, and at the two in a pair of short
# strings, before it knows whether they have arrived: in their place it sees what is no type byte. It looks no further
# than 4 + 127 + 1 bytes past the start of a token.
_PADDING: Final = b"\xff" * 256


class Decoder:
    """Turns the bytes that one connection receives into expressions, however they are cut into chunks.

    Give it bytes with `receive_data`, then call `next_expression` until that returns `NEED_DATA`. It decodes one
    expression at a time, because what comes after it may be in another dialect: see `take_rest`.

    `words` is the vocabulary in use, by id, such as `vocabulary.WORDS`; None where there is none, so that a token is
    an error. `limits` bound what a peer can make this object hold: one expression and one chunk. The time it takes is
    linear in the bytes received.
    """

    def __init__(self, limits: Limits, words: Mapping[int, bytes] | None) -> None:
        self.limits = limits
        self._words: Mapping[int, bytes] = words or {}
        self._error: RemoteProtocolError | None = None
        self.size: int = 0
        """Bytes that the expression returned last took on the wire."""
        self._drop()

    @property
    def limits(self) -> Limits:
        """The limits in force. Others count from when they are set on, in the middle of an expression as well."""
        return self._limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self._limits = limits
        self._short = limits.nesting, min(_LAST_DIGIT, limits.string_bytes), min(_LAST_DIGIT, limits.list_elements)

    def _drop(self) -> None:
        # What has arrived is parsed window by window. A window is no longer than one message may be, less what the
        # message under way has already used up in windows before (`_behind`). So a message over the limit comes to the
        # end of its window, and nobody has to count the bytes of each token.
        self._window = b""
        self._position = self._stop = self._behind = 0
        self._unfinished: _Unfinished | None = None
        self._arrived = bytearray()
        self._missing = 1  # bytes that must arrive before it makes sense to go on; 0 while the window may hold more

    def receive_data(self, data: bytes) -> None:
        """Take in the next bytes from the peer; nothing is parsed yet. Then call `next_expression`.

        After an error they are dropped.
        """
        if self._error is None:
            self._arrived += data

    @property
    def missing(self) -> int:
        """How many bytes have to come before it makes sense to go on."""
        return max(0, self._missing - len(self._arrived))

    def next_expression(self) -> Expression | NeedData:
        """The next complete expression, after which you call this again; or `NEED_DATA`: then call `receive_data`.

        Every expression before a broken place is returned first; from there on each call raises the same error.

        Raises:
            RemoteProtocolError: the bytes are not banana, or name a word that is not in the vocabulary.
            LimitBroken: over `string_bytes`, `list_elements`, `prefix_digits`, `nesting`, `elements` or
                `message_bytes`, as soon as that is certain: an announced length is not waited for.
        """
        if self._error is not None:
            raise self._error.with_traceback(None)
        try:
            while len(self._arrived) >= self._missing:
                if self._missing:
                    self._open_window()
                expression = self._parse()
                if expression is not NEED_DATA:
                    return expression
        except RemoteProtocolError as error:
            self._drop()
            self._error = error.with_traceback(None)  # a frame of `_parse` would keep the window alive
            raise self._error from None
        return NEED_DATA

    def take_rest(self) -> bytes:
        """Hand over what was received after the last expression, for another decoder; this one forgets it.

        Raises:
            LocalProtocolError: a `next_expression` that returned `NEED_DATA` has decoded part of an expression.
            RemoteProtocolError: the error that `next_expression` raised.
        """
        if self._error is not None:
            raise self._error.with_traceback(None)
        if self._unfinished is not None:
            raise LocalProtocolError("the rest begins in the middle of an expression: take it before asking for more")
        rest = self._window[self._position : self._stop] + self._arrived
        self._drop()
        return rest

    def _open_window(self) -> None:
        """Start a new window: what the last one left unparsed, and what has arrived, as far as the limit allows."""
        unparsed = self._window[self._position : self._stop]
        room = self._limits.message_bytes - self._behind - len(unparsed)
        if room < 0:  # the limit is lower than when this message began
            raise LimitBroken("message_bytes", self._limits.message_bytes, self._behind + len(unparsed))
        arrived = self._arrived
        self._window = b"".join((unparsed, arrived if len(arrived) <= room else arrived[:room], _PADDING))
        del arrived[:room]
        self._position, self._stop, self._missing = 0, len(self._window) - len(_PADDING), 0

    def _parse(self) -> Expression | NeedData:  # noqa: C901 - one loop: a call for each token would cost a third more
        """Decode from the window until one expression is complete, or as far as the window goes."""
        limits, words = self._limits, self._words
        nesting, short_string, short_list = self._short
        data, position, stop = self._window, self._position, self._stop
        start = position - self._behind
        value: Any
        # A list of one element stands around each expression, so that there is always a list to append to.
        if self._unfinished is None:
            root: list[Expression] = []
            current: list[Any] = root
            outer: list[tuple[list[Any], int, int]] = []
            remaining, depth, spare = 1, 0, limits.elements - 1
        else:
            root, current, outer, remaining, depth, spare = self._unfinished

        # Each turn decodes one token into `value`; `opened` is the number of elements to come where that is a list.
        # Nearly every token has one digit, and most lists of jelly are a tag and a short string, ["unicode", text]:
        # these take the branches here. All else goes to `_read_token`: other tokens, incomplete ones and everything
        # that is wrong. So no result depends on where the bytes were cut.
        while True:
            number = data[position]
            kind = data[position + 1]
            opened = 0
            if kind == _LIST and number <= short_list and depth < nesting:
                if (
                    number == 2
                    and data[position + 3] == _STRING
                    and (length := data[position + 2]) <= short_string
                    and data[(second := position + 4 + length) + 1] == _STRING
                    and (length := data[second]) <= short_string
                    and (end := second + 2 + length) <= stop
                    and spare >= 2
                ):
                    value = [data[position + 4 : second], data[second + 2 : end]]
                    spare -= 2
                    position = end
                else:
                    value = []
                    opened = number
                    position += 2
            elif kind == _STRING and number <= short_string and (end := position + 2 + number) <= stop:
                value = data[position + 2 : end]
                position = end
            elif kind == _INT and number <= _LAST_DIGIT:
                value = number
                position += 2
            elif kind == _VOCAB and number <= _LAST_DIGIT and number in words:
                value = words[number]
                position += 2
            else:
                token = self._read_token(position, start, depth)
                if token is None:
                    break
                value, opened, position = token
            current.append(value)
            if opened:
                spare -= opened
                if spare < 0:
                    raise LimitBroken("elements", limits.elements, limits.elements - spare)
                # Nothing is left to do in a list whose last element this is, so nothing has to lead back to it.
                if remaining > 1:
                    outer.append((current, remaining - 1, depth))
                current, remaining = value, opened
                depth += 1
                continue
            remaining -= 1
            if not remaining:
                if not outer:
                    self._position, self._behind, self._unfinished = position, 0, None
                    self.size = position - start
                    if position == stop:
                        self._window, self._position, self._stop, self._missing = b"", 0, 0, 1
                    return root[0]
                current, remaining, depth = outer.pop()

        self._behind = position - start
        self._unfinished = (root, current, outer, remaining, depth, spare) if position > start else None
        self._window, self._position, self._stop = data[position:stop], 0, stop - position
        return NEED_DATA

    def _read_token(self, position: int, start: int, depth: int) -> tuple[Expression, int, int] | None:
        """Any token: its value, how many elements it opens, and where it ends; None where that has not arrived."""
        data, limits = self._window, self._limits
        number, shift, body = 0, 0, position + 1
        kind = data[position]
        limit = limits.prefix_digits * _DIGIT_BITS
        while kind <= _LAST_DIGIT:
            if shift == limit:
                raise LimitBroken("prefix_digits", limits.prefix_digits, limits.prefix_digits + 1)
            number |= kind << shift
            shift += _DIGIT_BITS
            kind = data[body]
            body += 1
        if body > self._stop:
            self._await(body, start)
            return None
        if kind in (_INT, _LONGINT):
            return number, 0, body
        if kind in (_NEG, _LONGNEG):
            return -number, 0, body
        if kind == _LIST:
            if number > limits.list_elements:
                raise LimitBroken("list_elements", limits.list_elements, number)
            if depth >= limits.nesting:
                raise LimitBroken("nesting", limits.nesting, depth + 1)
            return [], number, body
        if kind == _VOCAB:
            return self._word(number), 0, body
        return self._read_body(kind, number, body, start)

    def _read_body(self, kind: int, number: int, body: int, start: int) -> tuple[Expression, int, int] | None:
        if kind == _STRING:
            if number > self._limits.string_bytes:
                raise LimitBroken("string_bytes", self._limits.string_bytes, number)
            end = body + number
        elif kind == _FLOAT:
            end = body + _DOUBLE.size
        else:
            raise RemoteProtocolError(f"0x{kind:02x} is no type byte of banana")
        if end > self._stop:
            self._await(end, start)
            return None
        value = self._window[body:end] if kind == _STRING else _DOUBLE.unpack_from(self._window, body)[0]
        return value, 0, end

    def _await(self, end: int, start: int) -> None:
        """Note that the token under way needs the bytes up to `end`, if the message may have that many."""
        if end - start > self._limits.message_bytes:
            raise LimitBroken("message_bytes", self._limits.message_bytes, end - start)
        self._missing = end - self._stop

    def _word(self, token: int) -> bytes:
        word = self._words.get(token)
        if word is not None:
            return word
        name = f"vocabulary token {token}" if token <= 0xFFFF else "vocabulary token of several digits"
        raise RemoteProtocolError(f"unknown {name}" if self._words else f"{name} in a dialect without a vocabulary")


# The headers with one digit, by number: nearly all that are sent.
LISTS, INTS, STRINGS, _TOKENS = (
    tuple(bytes((number, kind)) for number in range(_LAST_DIGIT + 1)) for kind in (_LIST, _INT, _STRING, _VOCAB)
)

_FLOAT_TOKEN: Final = struct.Struct("!Bd")
_LARGEST_INT: Final = 2**31 - 1
_SMALLEST_NEG: Final = -(2**31)


def encode(expression: object, limits: Limits, tokens: Mapping[bytes, int] | None) -> bytes:  # noqa: C901 - as `_parse`
    """One expression as bytes: bytes, int, float, and list or tuple of these, subclasses included.

    `tokens` are the ids, below 128, of the words that the peer knows, such as `vocabulary.TOKENS`; None where it knows
    none. A tuple arrives as a list, a bool as an int.

    Raises:
        LimitExceeded: over `string_bytes`, `list_elements`, `prefix_digits`, `nesting`, `elements` or `message_bytes`.
        TypeError: something of another type is in it.
    """
    words: Mapping[bytes, int] = tokens or {}
    nesting, list_elements = limits.nesting, limits.list_elements
    short_string = min(_LAST_DIGIT, limits.string_bytes)
    parts: list[bytes] = []
    spare, long_bytes = limits.elements - 1, 0
    # The iterators over the lists around the one at hand: recursion would leave the depth to Python's own limit.
    outer: list[Iterator[Any]] = []
    items: Iterator[Any] = iter((expression,))
    while True:
        for item in items:
            kind = type(item)
            if kind is bytes and (size := len(item)) <= short_string:
                if item in words:
                    parts.append(_TOKENS[words[item]])
                else:
                    parts.append(STRINGS[size])
                    parts.append(item)
            elif kind is list or isinstance(item, (list, tuple)):
                if kind is not list:
                    item = list(item)  # a subclass might iterate over more or less than it says it holds
                size = len(item)
                if size > list_elements:
                    raise LimitExceeded("list_elements", list_elements, size)
                if len(outer) == nesting:
                    raise LimitExceeded("nesting", nesting, nesting + 1)
                spare -= size
                if spare < 0:
                    raise LimitExceeded("elements", limits.elements, limits.elements - spare)
                parts.append(encode_list(size, limits))
                outer.append(items)
                items = iter(item)
                break
            elif kind is int:
                parts.append(INTS[item] if 0 <= item <= _LAST_DIGIT else encode_int(item, limits))
            elif kind is float:
                parts.append(encode_float(item))
            else:
                leaf = _encode_leaf(item, limits, words)
                parts += leaf
                # One long string in many places must not be multiplied in memory before it is refused.
                long_bytes += len(leaf[-1])
                if long_bytes > limits.message_bytes:
                    raise LimitExceeded("message_bytes", limits.message_bytes, long_bytes)
        else:
            if not outer:
                break
            items = outer.pop()
    encoded = b"".join(parts)
    if len(encoded) > limits.message_bytes:
        raise LimitExceeded("message_bytes", limits.message_bytes, len(encoded))
    return encoded


def _encode_leaf(item: object, limits: Limits, words: Mapping[bytes, int]) -> tuple[bytes, ...]:
    """A string of any length, or an int, float or bytes of a subclass, in parts."""
    if isinstance(item, int):
        return (encode_int(int(item), limits),)
    if isinstance(item, float):
        return (encode_float(item),)
    if isinstance(item, bytes):
        string = bytes(item)
        if len(string) <= _LAST_DIGIT and string in words:  # hashing a long one takes long, and no word is long
            return (_TOKENS[words[string]],)
        if len(string) > limits.string_bytes:
            raise LimitExceeded("string_bytes", limits.string_bytes, len(string))
        return _header(len(string), _STRING, limits), string
    raise TypeError(f"banana carries bytes, int, float, list and tuple, not {type(item).__qualname__}")


def encode_list(size: int, limits: Limits) -> bytes:
    """How a list of so many elements begins."""
    return LISTS[size] if size <= _LAST_DIGIT else _header(size, _LIST, limits)


def encode_float(number: float) -> bytes:
    """A float."""
    return _FLOAT_TOKEN.pack(_FLOAT, number)


def encode_int(number: int, limits: Limits) -> bytes:
    """An int. Raises LimitExceeded: over `prefix_digits`."""
    if number >= 0:
        return _header(number, _INT if number <= _LARGEST_INT else _LONGINT, limits)
    return _header(-number, _NEG if number >= _SMALLEST_NEG else _LONGNEG, limits)


def _header(number: int, kind: int, limits: Limits) -> bytes:
    """The digits of `number`, which is not negative, and the type byte."""
    if (bits := number.bit_length()) > limits.prefix_digits * _DIGIT_BITS:
        raise LimitExceeded("prefix_digits", limits.prefix_digits, -(-bits // _DIGIT_BITS))
    header: list[int] = []
    while number > _LAST_DIGIT:
        header.append(number & _LAST_DIGIT)
        number >>= _DIGIT_BITS
    header.append(number)
    header.append(kind)
    return bytes(header)
