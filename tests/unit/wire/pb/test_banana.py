from __future__ import annotations

import enum
import math
import sys
import tracemalloc
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import pytest

from pellucid.errors import LimitBroken, LimitExceeded, LocalProtocolError, RemoteProtocolError
from pellucid.limits import Limits
from pellucid.wire.pb.banana import NEED_DATA, Decoder, Expression, encode
from pellucid.wire.pb.vocabulary import TOKENS, WORDS

LIMITS = Limits()


def decoder(data: bytes = b"", limits: Limits = LIMITS, words: Mapping[int, bytes] | None = WORDS) -> Decoder:
    made = Decoder(limits, words)
    made.receive_data(data)
    return made


def expressions(source: Decoder) -> Iterator[Expression]:
    while (expression := source.next_expression()) is not NEED_DATA:
        yield expression


def decode(data: bytes, limits: Limits = LIMITS, words: Mapping[int, bytes] | None = WORDS) -> Expression:
    (expression,) = expressions(decoder(data, limits, words))
    return expression


# What is on the wire.

ECHO = (
    bytes.fromhex("07 80 1a 87 01 81 04 82") + b"root" + bytes.fromhex("04 82") + b"echo"
    + bytes.fromhex("01 81 02 80 0b 87 02 80 07 82") + b"unicode" + bytes.fromhex("02 82") + b"hi"
    + bytes.fromhex("01 80 05 87")
)  # fmt: skip
ECHO_ANSWER = bytes.fromhex("03 80 1b 87 01 81 02 80 07 82") + b"unicode" + bytes.fromhex("02 82") + b"hi"


@pytest.mark.parametrize(
    ("expression", "encoded"),
    [
        ([b"version", 6], bytes.fromhex("02 80 13 87 06 81")),
        ([b"message", 1, b"root", b"echo", 1, [b"tuple", [b"unicode", b"hi"]], [b"dictionary"]], ECHO),
        ([b"answer", 1, [b"unicode", b"hi"]], ECHO_ANSWER),
        ([b"list", b"list"], bytes.fromhex("02 80 08 87 08 87")),
        (b"", b"\x00\x82"),
        (b"None\x00", b"\x05\x82None\x00"),
        (b"x" * 127, b"\x7f\x82" + b"x" * 127),
        (b"x" * 128, b"\x00\x01\x82" + b"x" * 128),
        ([], b"\x00\x80"),
        ([[], [[]]], bytes.fromhex("02 80 00 80 01 80 00 80")),
        ([0] * 128, b"\x00\x01\x80" + b"\x00\x81" * 128),
        (0, b"\x00\x81"),
        (127, b"\x7f\x81"),
        (128, b"\x00\x01\x81"),
        (2**31 - 1, b"\x7f\x7f\x7f\x7f\x07\x81"),
        (2**31, b"\x00\x00\x00\x00\x08\x85"),
        (2**448 - 1, b"\x7f" * 64 + b"\x85"),
        (-1, b"\x01\x83"),
        (-128, b"\x00\x01\x83"),
        (-(2**31), b"\x00\x00\x00\x00\x08\x83"),
        (-(2**31) - 1, b"\x01\x00\x00\x00\x08\x86"),
        (1 - 2**448, b"\x7f" * 64 + b"\x86"),
        (1.5, bytes.fromhex("84 3f f8 00 00 00 00 00 00")),
        (-0.0, bytes.fromhex("84 80 00 00 00 00 00 00 00")),
        (math.inf, bytes.fromhex("84 7f f0 00 00 00 00 00 00")),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_an_expression_has_these_bytes_in_the_dialect_pb_and_is_read_back_from_them(
    expression: Expression, encoded: bytes
) -> None:
    assert encode(expression, LIMITS, TOKENS) == encoded
    assert repr(decode(encoded)) == repr(expression)


@pytest.mark.parametrize(
    ("expression", "encoded"),
    [
        ([b"pb", b"none"], bytes.fromhex("02 80 02 82 70 62 04 82 6e 6f 6e 65")),
        (b"pb", bytes.fromhex("02 82 70 62")),
        ([b"list", b"None"], b"\x02\x80\x04\x82list\x04\x82None"),
    ],
)
def test_words_are_spelt_out_in_the_dialect_none_and_in_the_negotiation(expression: Expression, encoded: bytes) -> None:
    assert encode(expression, LIMITS, None) == encoded
    assert decode(encoded, words=None) == expression


def test_every_word_is_a_token_of_its_own_wherever_it_stands() -> None:
    assert sorted(WORDS) == list(range(1, 32))
    assert len(TOKENS) == 31
    for token, word in WORDS.items():
        assert encode([word, [word]], LIMITS, TOKENS) == bytes((2, 0x80, token, 0x87, 1, 0x80, token, 0x87))
        assert decode(bytes((token, 0x87))) == word


def test_a_type_byte_without_digits_is_not_taken_for_a_digit_of_the_next() -> None:
    assert decode(b"\x02\x80\x81\x87", words={0: b"zero", 0x81: b"trap"}) == [0, b"zero"]


def test_words_may_have_any_id_of_one_digit() -> None:
    assert encode([b"zero", b"last"], LIMITS, {b"zero": 0, b"last": 127}) == b"\x02\x80\x00\x87\x7f\x87"
    assert decode(b"\x02\x80\x00\x87\x7f\x87", words={0: b"zero", 127: b"last"}) == [b"zero", b"last"]


@pytest.mark.parametrize(
    ("encoded", "expression"),
    [
        (b"\x81", 0),
        (b"\x82", b""),
        (b"\x80", []),
        (b"\x01\x80\x80", [[]]),
        (b"\x03\x80\x81\x82\x81", [0, b"", 0]),
        (b"\x02\x80\x80\x81", [[], 0]),
        (b"\x02\x80\x82\x80", [b"", []]),
        (b"\x05\x00\x00\x81", 5),
        (b"\x02\x00\x82ab", b"ab"),
        (b"\x01\x00\x80\x01\x81", [1]),
        (b"\x13\x00\x87", b"version"),
        (b"\x05\x85", 5),
        (b"\x00\x00\x00\x00\x08\x81", 2**31),
        (b"\x05\x86", -5),
        (b"\x00\x83", 0),
        (b"\x00\x00\x00\x00\x00\x01\x83", -(2**35)),
        (b"\x07\x01\x84\x3f\xf8\x00\x00\x00\x00\x00\x00", 1.5),
    ],
)
def test_what_old_peers_may_send_is_read_though_never_sent(encoded: bytes, expression: Expression) -> None:
    assert decode(encoded) == expression


@pytest.mark.parametrize("pair", [[b"unicode", b""], [b"", b"x" * 127], [b"x" * 127, b"list"], [b"x" * 128, b"y"]])
def test_a_pair_of_strings_is_read_wherever_it_stands_and_whatever_follows(pair: list[Expression]) -> None:
    for expression in (pair, [pair, 1], [1, pair], [[pair], [pair, [pair, pair]]]):
        encoded = encode(expression, LIMITS, None)
        assert decode(encoded) == expression
        assert list(expressions(decoder(encoded * 3))) == [expression] * 3


class Flag(enum.IntEnum):
    UP = 1


class Point(NamedTuple):
    x: int
    y: int


class Name(bytes):
    pass


class Ratio(float):
    pass


@pytest.mark.parametrize(
    ("sent", "arrives"),
    [
        (True, 1),
        (False, 0),
        (Flag.UP, 1),
        ((1, (2,)), [1, [2]]),
        (Point(3, 4), [3, 4]),
        (Name(b"me"), b"me"),
        (Name(b"list"), b"list"),
        (Name(b"x" * 200), b"x" * 200),
        (Ratio(0.5), 0.5),
    ],
    ids=repr,
)
def test_subclasses_and_tuples_are_sent_as_what_banana_has(sent: object, arrives: Expression) -> None:
    encoded = encode(sent, LIMITS, TOKENS)
    assert encoded == encode(arrives, LIMITS, TOKENS)
    assert decode(encoded) == arrives


def test_a_list_that_iterates_over_more_than_its_length_is_sent_with_the_right_length() -> None:
    class Odd(list[int]):
        def __iter__(self) -> Iterator[int]:
            return iter((7, 8, 9))

    assert decode(encode(Odd([7]), LIMITS, None)) == [7, 8, 9]


@pytest.mark.parametrize("alien", ["text", None, bytearray(b"x"), memoryview(b"x"), {}, {1}, 1j], ids=repr)
def test_what_banana_cannot_carry_is_a_type_error_that_names_the_type(alien: object) -> None:
    with pytest.raises(TypeError, match=rf"not {type(alien).__name__}$"):
        encode([1, [alien]], LIMITS, TOKENS)


# What is no banana.


@pytest.mark.parametrize("kind", range(0x88, 0x100))
def test_an_unknown_type_byte_is_the_peers_error_and_is_named(kind: int) -> None:
    with pytest.raises(RemoteProtocolError, match=f"0x{kind:02x} is no type byte"):
        decode(bytes((1, kind)))


@pytest.mark.parametrize(
    ("encoded", "words", "text"),
    [
        (b"\x00\x87", WORDS, "unknown vocabulary token 0$"),
        (b"\x20\x87", WORDS, "unknown vocabulary token 32$"),
        (b"\x00\x01\x87", WORDS, "unknown vocabulary token 128$"),
        (b"\x7f" * 64 + b"\x87", WORDS, "unknown vocabulary token of several digits$"),
        (b"\x08\x87", None, "vocabulary token 8 in a dialect without a vocabulary$"),
        (b"\x08\x87", {}, "vocabulary token 8 in a dialect without a vocabulary$"),
    ],
)
def test_a_token_without_a_word_is_the_peers_error(
    encoded: bytes, words: Mapping[int, bytes] | None, text: str
) -> None:
    with pytest.raises(RemoteProtocolError, match=text):
        decode(encoded, words=words)


def test_expressions_before_an_error_come_first_and_after_it_there_is_nothing_but_that_error() -> None:
    source = decoder(b"\x01\x81" + b"\x01\x80\x02\x81" + b"\x02\x80\x03\x81\xff" + b"\x04\x81")
    assert source.next_expression() == 1
    assert source.next_expression() == [2]
    with pytest.raises(RemoteProtocolError) as first:
        source.next_expression()
    source.receive_data(b"\x05\x81")
    for further in (source.next_expression, source.take_rest):
        with pytest.raises(RemoteProtocolError) as again:
            further()
        assert again.value is first.value


# What is over a limit. Each case: the limits, an expression that just fits, one that does not, and what it asked for.

AT_LIMITS: list[tuple[str, int, object, object, int]] = [
    ("string_bytes", 0, b"", b"x", 1),
    ("string_bytes", 5, b"x" * 5, b"x" * 6, 6),
    ("string_bytes", 5, [b"tag", b"x" * 5], [b"tag", b"x" * 6], 6),
    ("string_bytes", 5, [b"x" * 5, b"tag"], [b"x" * 6, b"tag"], 6),
    ("string_bytes", 5, b"dictionary", b"dictionarY", 10),  # a word travels as its token
    ("string_bytes", 300, [b"x" * 300], [b"x" * 301], 301),
    ("list_elements", 0, [], [1], 1),
    ("list_elements", 3, [1] * 3, [1] * 4, 4),
    ("list_elements", 1, [[b"tag"]], [[b"tag", b"x"]], 2),
    ("list_elements", 300, [1] * 300, [1] * 301, 301),
    ("prefix_digits", 1, 127, 128, 2),
    ("prefix_digits", 1, -127, -128, 2),
    ("prefix_digits", 1, b"x" * 127, b"x" * 128, 2),
    ("prefix_digits", 1, [0] * 127, [0] * 128, 2),
    ("prefix_digits", 64, 2**448 - 1, 2**448, 65),
    ("nesting", 0, 1, [], 1),
    ("nesting", 2, [[], [1, 2]], [[], [1, []]], 3),
    ("nesting", 2, [1, [2]], [1, [2, [b"tag", b"x"]]], 3),
    ("nesting", 1, [b"tag", b"x"], [[b"tag", b"x"]], 2),
    ("elements", 1, [], [1], 2),
    ("elements", 5, [[], [1, 2]], [[], [1, 2, 3]], 6),
    ("elements", 5, [1, [b"tag", b"x"]], [1, 2, [b"tag", b"x"]], 6),
    ("elements", 6, [[b"tag", b"x"], [1]], [[b"tag", b"x"], [b"tag", b"x"]], 7),
    ("elements", 500, [[1] * 249, [1] * 248], [[1] * 249, [1] * 249], 501),
    ("message_bytes", 2, 1, 128, 3),
    ("message_bytes", 6, [b"tag"[:2]], [b"tag"], 7),
    ("message_bytes", 12, [b"tag", b"abc"], [b"tag", b"abcd"], 13),
    ("message_bytes", 200, b"x" * 197, b"x" * 198, 201),
    ("message_bytes", 9, 0.5, [0.5], 11),
    ("message_bytes", 6, [1, 2], [1, 2, 3], 8),
]
each_limit = pytest.mark.parametrize(
    ("limit", "value", "fits", "too_much", "asked"),
    AT_LIMITS,
    ids=[f"{limit}={value} {too_much!r:.24}" for limit, value, _, too_much, _ in AT_LIMITS],
)
GENEROUS = replace(LIMITS, prefix_digits=1000)


@each_limit
def test_what_just_fits_a_limit_is_encoded_and_what_is_one_past_is_not(
    limit: str, value: int, fits: object, too_much: object, asked: int
) -> None:
    limits = replace(LIMITS, **{limit: value})
    encode(fits, limits, TOKENS)
    with pytest.raises(LimitExceeded) as caught:
        encode(too_much, limits, TOKENS)
    assert (caught.value.limit, caught.value.value, caught.value.asked) == (limit, value, asked)


@each_limit
@pytest.mark.parametrize("bytewise", [False, True])
def test_what_just_fits_a_limit_is_decoded_and_what_is_one_past_is_not(
    limit: str, value: int, fits: object, too_much: object, asked: int, bytewise: bool
) -> None:
    limits = replace(LIMITS, **{limit: value})
    assert decode(encode(fits, GENEROUS, TOKENS), limits) == fits
    source = decoder(limits=limits)
    with pytest.raises(LimitBroken) as caught:  # noqa: PT012 - which of the bytes raises it is not the point
        for chunk in chunks(encode(too_much, GENEROUS, TOKENS), 1 if bytewise else 10_000):
            source.receive_data(chunk)
            assert source.next_expression() is NEED_DATA
    assert (caught.value.limit, caught.value.value) == (limit, value)
    if limit == "message_bytes":  # the decoder sees that it is too much before it sees how much
        assert caught.value.asked is not None
        assert value < caught.value.asked <= asked
    else:
        assert caught.value.asked == asked


def chunks(data: bytes, size: int) -> Iterable[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


@pytest.mark.parametrize(
    ("limit", "value", "header"),
    [
        ("string_bytes", 5, b"\x06\x82"),
        ("string_bytes", 5, b"\x02\x80\x03\x82tag\x06\x82"),
        ("string_bytes", 655_360, b"\x7f" * 64 + b"\x82"),
        ("list_elements", 5, b"\x06\x80"),
        ("list_elements", 655_360, b"\x7f" * 64 + b"\x80"),
        ("prefix_digits", 3, b"\x00" * 4),
        ("nesting", 1, b"\x02\x80\x00\x80"),
        ("elements", 5, b"\x03\x80\x02\x80"),
        ("message_bytes", 5, b"\x04\x82"),
        ("message_bytes", 5, b"\x01\x80\x02\x82"),
        ("message_bytes", 8, b"\x84"),
        ("message_bytes", 2, b"\x01\x80"),
        ("message_bytes", 2, b"\x00\x00"),
    ],
)
def test_a_limit_breaks_as_soon_as_that_is_certain(limit: str, value: int, header: bytes) -> None:
    limits = replace(LIMITS, **{limit: value})
    assert decoder(header[:-1], limits).next_expression() is NEED_DATA
    with pytest.raises(LimitBroken) as caught:
        decoder(header, limits).next_expression()
    assert caught.value.limit == limit


def test_message_bytes_counts_each_message_from_its_own_start() -> None:
    limits = replace(LIMITS, message_bytes=9)
    messages: list[Expression] = [1, [b"tag", 1], b"x" * 7, [[], []], [b"tag", 2], 0.5, b""]
    data = b"".join(encode(message, limits, None) for message in messages)
    assert list(expressions(decoder(data, limits))) == messages
    source = decoder(limits=limits)
    received: list[Expression] = []
    for chunk in chunks(data, 4):
        source.receive_data(chunk)
        received += expressions(source)
    assert received == messages


@pytest.mark.parametrize("at", range(1, 9))
def test_message_bytes_counts_what_came_in_earlier_chunks(at: int) -> None:
    encoded = encode([1, 2, 3, 4], LIMITS, None)
    source = decoder(encoded[:at], replace(LIMITS, message_bytes=len(encoded) - 1))
    assert source.next_expression() is NEED_DATA
    source.receive_data(encoded[at:])
    with pytest.raises(LimitBroken):
        source.next_expression()


def test_nothing_that_can_be_encoded_depends_on_the_depth_of_pythons_stack() -> None:
    deep: list[Any] = []
    for _ in range(20_000):
        deep = [deep, b""]
    with pytest.raises(LimitExceeded):
        encode(deep, LIMITS, None)
    limits = replace(LIMITS, nesting=20_001)
    encoded = encode(deep, limits, None)
    assert encode(decode(encoded, limits), limits, None) == encoded


def test_a_list_inside_itself_is_too_deep() -> None:
    endless: list[Any] = [1]
    endless.append(endless)
    with pytest.raises(LimitExceeded) as caught:
        encode(endless, LIMITS, None)
    assert caught.value.limit == "nesting"


def test_a_long_string_in_many_places_is_refused_before_it_is_multiplied() -> None:
    many = [b"x" * LIMITS.string_bytes] * 1_000
    tracemalloc.start()
    try:
        with pytest.raises(LimitExceeded) as caught:
            encode(many, LIMITS, None)
        assert tracemalloc.get_traced_memory()[1] < LIMITS.message_bytes
    finally:
        tracemalloc.stop()
    assert caught.value.limit == "message_bytes"


# Chunks, and what is held between them.


def test_an_incomplete_expression_waits_for_its_rest() -> None:
    source = decoder()
    for byte in ECHO[:-1]:
        source.receive_data(bytes((byte,)))
        assert source.next_expression() is NEED_DATA
    source.receive_data(ECHO[-1:])
    assert source.next_expression() == decode(ECHO)
    assert source.next_expression() is NEED_DATA


def test_how_much_is_missing_of_a_string_is_known_once_its_length_is_there() -> None:
    made = decoder(b"\x01\x80\x10")
    for more, missing in (b"", 1), (b"\x01", 1), (b"\x82", 144), (b"x" * 100, 44), (b"x" * 43, 1):
        made.receive_data(more)
        assert (*expressions(made), made.missing) == (missing,)
    made.receive_data(b"x")
    assert [*expressions(made)] == [[b"x" * 144]]


def test_empty_chunks_change_nothing() -> None:
    source = decoder(b"")
    assert source.next_expression() is NEED_DATA
    source.receive_data(b"\x02\x80\x01")
    source.receive_data(b"")
    assert source.next_expression() is NEED_DATA
    source.receive_data(b"\x81\x02\x81")
    assert source.next_expression() == [1, 2]


def test_the_rest_goes_to_the_decoder_of_the_dialect_that_an_expression_chose() -> None:
    first = decoder(b"\x02\x82pb" + ECHO, words=None)
    assert first.next_expression() == b"pb"
    second = decoder(first.take_rest())
    assert second.next_expression() == decode(ECHO)
    assert first.next_expression() is NEED_DATA
    assert first.take_rest() == b""


def test_the_rest_holds_every_byte_after_the_last_expression() -> None:
    source = decoder(b"\x01\x81\x05\x82abc", replace(LIMITS, message_bytes=8))
    assert source.next_expression() == 1
    assert source.next_expression() is NEED_DATA
    source.receive_data(b"de\xff")
    assert source.take_rest() == b"\x05\x82abcde\xff"
    source.receive_data(b"\x02\x81")
    assert source.next_expression() == 2


def test_an_expression_decoded_in_part_cannot_be_handed_over() -> None:
    source = decoder(b"\x02\x80\x01\x81")
    assert source.next_expression() is NEED_DATA
    with pytest.raises(LocalProtocolError):
        source.take_rest()
    source.receive_data(b"\x02\x81")
    assert source.next_expression() == [1, 2]
    assert source.take_rest() == b""


def test_other_limits_count_from_when_they_are_set_on() -> None:
    source = decoder(b"\x03\x82abc\x03\x82abc", replace(LIMITS, string_bytes=3))
    assert source.next_expression() == b"abc"
    source.limits = replace(LIMITS, string_bytes=2)
    with pytest.raises(LimitBroken) as caught:
        source.next_expression()
    assert (caught.value.limit, caught.value.value, caught.value.asked) == ("string_bytes", 2, 3)


@pytest.mark.parametrize(
    ("begun", "rest", "name"),
    [
        (b"\x01\x80" * 4, b"\x01\x80", "nesting"),
        (b"\x03\x80\x01\x81\x01\x81", b"\x01\x81" * 20, "message_bytes"),
        (b"\x06\x82hello", b"!", "string_bytes"),
        (b"\x00\x00\x00", b"\x81", "prefix_digits"),
        (b"\x03\x80\x01\x81", b"\x03\x80", "list_elements"),
    ],
)
def test_limits_that_are_lowered_in_the_middle_of_an_expression_count_for_the_rest_of_it(
    begun: bytes, rest: bytes, name: str
) -> None:
    lowered: dict[str, Any] = {name: 2}
    source = decoder(begun)
    assert source.next_expression() is NEED_DATA
    source.limits = replace(LIMITS, **lowered)
    source.receive_data(rest)
    with pytest.raises(LimitBroken) as caught:
        source.next_expression()
    assert caught.value.limit == name


def test_what_waits_for_its_rest_takes_little_more_memory_than_its_bytes() -> None:
    source = decoder(b"\x00\x00\x28\x82")  # a string of 640 KiB
    chunk = b"xyz"
    tracemalloc.start()
    try:
        for _ in range(600 * 1024 // len(chunk)):
            source.receive_data(chunk)
            assert source.next_expression() is NEED_DATA
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 2 * LIMITS.string_bytes


@pytest.mark.parametrize("broken", [False, True])
def test_a_decoder_with_nothing_to_do_holds_no_bytes(broken: bool) -> None:
    source = decoder()
    chunk = encode([b"x" * 600_000], LIMITS, None) + b"\xff" * broken
    tracemalloc.start()
    try:
        source.receive_data(chunk)
        if broken:
            source.next_expression()
            with pytest.raises(RemoteProtocolError):
                source.next_expression()
            source.receive_data(chunk)
        else:
            source.next_expression()
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 100_000


class Counting(Decoder):
    """Counts the bytes that it copies into windows; `work` adds the function calls, which each token costs some of."""

    copied = 0

    def _open_window(self) -> None:
        super()._open_window()
        self.copied += len(self._window)


def work(data: bytes, size: int, limits: Limits = LIMITS) -> int:
    """What decoding `data` in chunks of `size` costs, in calls and copied bytes."""
    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    source = Counting(limits, WORDS)
    before = sys.getprofile()
    sys.setprofile(count)
    try:
        for chunk in chunks(data, size):
            source.receive_data(chunk)
            while source.next_expression() is not NEED_DATA:
                pass
    finally:
        sys.setprofile(before)
    return calls + source.copied


DEEP = replace(LIMITS, nesting=100_000)


@pytest.mark.parametrize("size", [1, 500, 10**9])
@pytest.mark.parametrize(
    ("make", "limits"),
    [
        (lambda n: encode(b"x" * n, LIMITS, None), LIMITS),
        (lambda n: b"\x01\x81" * n, LIMITS),
        (lambda n: b"\x01\x81" * n, replace(LIMITS, message_bytes=64)),
        (lambda n: encode([1] * n, LIMITS, None), LIMITS),
        (lambda n: encode([[b"a", b"b"]] * n, LIMITS, None), LIMITS),
        (lambda n: b"\x01\x80" * n, DEEP),
        (lambda n: b"\x02\x80" * n, DEEP),
    ],
    ids=["a string", "messages", "messages in small windows", "a wide list", "pairs", "deep lists", "deep open lists"],
)
def test_four_times_the_bytes_cost_about_four_times_the_work(
    make: Callable[[int], bytes], limits: Limits, size: int
) -> None:
    # Anything quadratic makes it sixteen; the padding of a window, which is always the same, makes it less than four.
    assert work(make(8_000), size, limits) < 4.5 * work(make(2_000), size, limits)
