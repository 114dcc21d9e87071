"""Banana against itself, however its bytes are cut, and against the one in Twisted."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from twisted.spread import banana  # noqa: TID251 - a codec needs no process of its own to compare with

from pellucid.errors import LimitBroken, LimitExceeded, RemoteProtocolError
from pellucid.limits import Limits
from pellucid.wire.pb.banana import NEED_DATA, Decoder, Expression, encode
from pellucid.wire.pb.vocabulary import TOKENS, WORDS

LIMITS = Limits()
DIALECTS = {"pb": (WORDS, TOKENS), "none": (None, None)}

strings = st.one_of(st.sampled_from(sorted(TOKENS)), st.binary(max_size=12), st.binary(min_size=120, max_size=140))
ints = st.one_of(
    st.integers(-300, 300),
    st.integers(1 - 2**448, 2**448 - 1),
    st.sampled_from([2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 2**14 - 1, 2**14]),
)
leaves: st.SearchStrategy[Any] = st.one_of(strings, ints, st.floats())
expressions = st.recursive(
    leaves,
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.tuples(strings, strings).map(list)),
    max_leaves=30,
)

# What a peer may send: complete expressions, tokens that fit nothing, and noise.
digits = st.binary(max_size=3).map(lambda data: bytes(byte & 0x7F for byte in data))
tokens = st.builds(
    lambda number, kind, rest: number + bytes((kind,)) + rest,
    st.one_of(digits, digits, st.integers(60, 70).map(bytes)),
    st.one_of(st.integers(0x80, 0x88), st.integers(0x80, 0xFF)),
    st.binary(max_size=9),
)
hostile = st.lists(
    st.one_of(
        st.builds(lambda value, spelt: encode(value, LIMITS, None if spelt else TOKENS), expressions, st.booleans()),
        tokens,
        st.binary(max_size=8),
    ),
    max_size=8,
).map(b"".join)

tight = st.builds(
    Limits,
    string_bytes=st.integers(0, 10) | st.just(LIMITS.string_bytes),
    list_elements=st.integers(0, 5) | st.just(LIMITS.list_elements),
    prefix_digits=st.integers(1, 3) | st.just(LIMITS.prefix_digits),
    nesting=st.integers(0, 3) | st.just(LIMITS.nesting),
    elements=st.integers(1, 12) | st.just(LIMITS.elements),
    message_bytes=st.integers(1, 40) | st.just(LIMITS.message_bytes),
)
dialects = st.sampled_from(sorted(DIALECTS))
cuts = st.lists(st.integers(0, 400), max_size=12)


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    ends = [*sorted(place for place in places if place < len(data)), len(data)]
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def decode(
    chunks: Sequence[bytes], limits: Limits, dialect: str
) -> tuple[list[Expression], RemoteProtocolError | None]:
    """Every expression that comes out, and the error that ends them, if one does."""
    decoder = Decoder(limits, DIALECTS[dialect][0])
    received: list[Expression] = []
    try:
        for chunk in chunks:
            decoder.receive_data(chunk)
            while (expression := decoder.next_expression()) is not NEED_DATA:
                received.append(expression)
    except RemoteProtocolError as error:
        return received, error
    return received, None


def told(outcome: tuple[list[Expression], Exception | None]) -> tuple[str, str]:
    """An outcome that can be compared: NaN is itself, and -0.0 is not 0.0."""
    received, error = outcome
    return repr(received), repr(error)


@given(st.lists(expressions, max_size=4), dialects, cuts)
def test_what_is_encoded_is_decoded_however_it_is_cut(
    values: list[Expression], dialect: str, places: list[int]
) -> None:
    data = b"".join(encode(value, LIMITS, DIALECTS[dialect][1]) for value in values)
    assert told(decode(cut(data, places), LIMITS, dialect)) == told((values, None))


@given(hostile, tight, dialects, cuts)
@example(b"\x02\x80\x01\x82a\x05\x82", replace(LIMITS, message_bytes=8), "pb", [5])
def test_results_and_errors_are_the_same_however_the_bytes_are_cut(
    data: bytes, limits: Limits, dialect: str, places: list[int]
) -> None:
    whole = told(decode([data], limits, dialect))
    assert told(decode(cut(data, places), limits, dialect)) == whole
    assert told(decode(cut(data, range(len(data))), limits, dialect)) == whole


@given(hostile, dialects, st.integers(0, 400))
def test_another_decoder_can_go_on_after_any_expression(data: bytes, dialect: str, at: int) -> None:
    whole = told(decode([data], LIMITS, dialect))
    decoder = Decoder(LIMITS, DIALECTS[dialect][0])
    decoder.receive_data(data[:at])
    try:
        expression = decoder.next_expression()
        rest = b"" if expression is NEED_DATA else decoder.take_rest()
    except RemoteProtocolError:
        return
    if expression is not NEED_DATA:
        received, error = decode([rest, data[at:]], LIMITS, dialect)
        assert told(([expression, *received], error)) == whole


@given(expressions, tight, dialects)
def test_encoder_and_decoder_draw_the_same_limits(value: Expression, limits: Limits, dialect: str) -> None:
    received, broken = decode([encode(value, LIMITS, DIALECTS[dialect][1])], limits, dialect)
    if broken is None:
        assert told((received, None)) == told(([value], None))
        assert encode(value, limits, DIALECTS[dialect][1]) == encode(value, LIMITS, DIALECTS[dialect][1])
    else:
        assert isinstance(broken, LimitBroken)
        with pytest.raises(LimitExceeded):
            encode(value, limits, DIALECTS[dialect][1])


# The stock banana.


stock: Any = banana


def stock_codec(dialect: str) -> Any:
    """Twisted's codec in a dialect, without a connection: it writes to `transport`, it reads into `received`."""
    codec = stock.Banana()
    codec.connectionMade()
    codec.currentDialect = dialect.encode()
    codec.transport = io.BytesIO()
    codec.received = []
    codec.expressionReceived = codec.received.append
    return codec


@given(expressions, dialects)
def test_what_we_encode_is_byte_for_byte_what_twisted_encodes(value: Expression, dialect: str) -> None:
    peer = stock_codec(dialect)
    peer.sendEncoded(value)
    assert encode(value, LIMITS, DIALECTS[dialect][1]) == peer.transport.getvalue()


@given(st.lists(expressions, min_size=1, max_size=4), dialects)
def test_we_decode_what_twisted_encodes_and_twisted_decodes_what_we_encode(
    values: list[Expression], dialect: str
) -> None:
    peer = stock_codec(dialect)
    for value in values:
        peer.sendEncoded(value)
    assert told(decode([peer.transport.getvalue()], LIMITS, dialect)) == told((values, None))
    peer.dataReceived(b"".join(encode(value, LIMITS, DIALECTS[dialect][1]) for value in values))
    assert told((peer.received, None)) == told((values, None))


@given(hostile, dialects)
def test_of_any_bytes_we_make_what_twisted_makes_or_refuse_them(data: bytes, dialect: str) -> None:
    received, error = decode([data], LIMITS, dialect)
    peer = stock_codec(dialect)
    refused = False
    try:
        peer.dataReceived(data)
    except (stock.BananaError, KeyError, NotImplementedError):
        refused = True
    if isinstance(error, LimitBroken) and error.limit in ("nesting", "elements", "message_bytes"):
        # Twisted has no such limits.
        assert told((peer.received[: len(received)], None)) == told((received, None))
    else:
        assert told((received, None)) == told((peer.received, None))
        assert (error is not None) == refused
