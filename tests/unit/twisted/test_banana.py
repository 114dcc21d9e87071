from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, ClassVar

import pytest
from twisted.internet.testing import StringTransport

from pellucid.limits import Limits
from pellucid.twisted import banana
from pellucid.twisted.banana import Banana, BananaError

OFFER = b"\x02\x80\x02\x82pb\x04\x82none"
PB = b"\x02\x82pb"
NONE = b"\x04\x82none"
DIGITS = 64
SIZE = 640 * 1024
DEEPER = Limits().nesting + 1


class Line(Banana):
    """What one side hears and writes."""

    def __init__(self, isClient: int = 1) -> None:
        super().__init__(isClient)
        self.heard: list[Any] = []
        self.ready = 0

    def connectionReady(self) -> None:
        self.ready += 1

    def expressionReceived(self, lst: Any) -> None:
        self.heard.append(lst)

    def written(self) -> bytes:
        """What it has written since this was last asked."""
        written = bytes(self.transport.value())
        self.transport.clear()
        return written


def connect(protocol: Any) -> None:
    protocol.makeConnection(StringTransport())


def connected(line: Line, said: bytes = b"") -> Line:
    """`line` once it is connected and the peer has said that."""
    connect(line)
    if said:
        line.dataReceived(said)
        line.written()
    return line


@pytest.fixture
def pb() -> Line:
    return connected(Line(), OFFER)


@pytest.fixture
def none() -> Line:
    return connected(Line(isClient=0), NONE)


@pytest.fixture
def default_prefix_limit() -> Iterator[None]:
    yield
    banana.setPrefixLimit(DIGITS)


# Agreeing on a dialect.


def test_a_server_offers_its_dialects_as_soon_as_it_is_connected() -> None:
    assert connected(Line(isClient=0)).written() == OFFER


def test_a_client_waits_for_the_offer_and_takes_the_first_dialect_that_it_knows() -> None:
    client = connected(Line())

    assert client.written() == b""

    client.dataReceived(b"\x03\x80\x03\x82new\x04\x82none\x02\x82pb")

    assert client.written() == NONE
    assert (client.currentDialect, client.ready, client.heard) == (b"none", 1, [])


def test_a_server_speaks_the_dialect_that_the_client_chose() -> None:
    server = connected(Line(isClient=0), PB)

    assert (server.currentDialect, server.ready, server.heard) == (b"pb", 1, [])


def test_what_follows_the_choice_at_once_is_in_the_dialect_chosen() -> None:
    server = connected(Line(isClient=0), PB + b"\x08\x87" + b"\x02\x80\x01\x81")

    server.dataReceived(b"\x08\x87")

    assert server.heard == [b"list", [1, b"list"]]


@pytest.mark.parametrize(
    ("client", "said"),
    [(True, b"\x01\x80\x03\x82new"), (True, b"\x01\x81"), (True, PB), (False, b"\x03\x82new"), (False, OFFER)],
    ids=["unknown offered", "an int offered", "a name offered", "unknown chosen", "a list chosen"],
)
def test_where_there_is_no_common_dialect_the_connection_ends(client: bool, said: bytes) -> None:
    line = connected(Line(isClient=client), said)

    assert line.transport.disconnecting
    assert line.currentDialect is None
    assert not line.ready


def test_a_subclass_may_know_other_dialects() -> None:
    class Other(Line):
        knownDialects: ClassVar = [b"other"]

    assert connected(Other(isClient=0)).written() == b"\x01\x80\x05\x82other"


def test_a_new_connection_starts_anew(pb: Line) -> None:
    pb.dataReceived(b"\x02\x80\x01\x81")

    connected(pb, b"\x01\x80" + NONE)

    assert (pb.currentDialect, pb.heard) == (b"none", [])


# Sending.


@pytest.mark.parametrize(
    ("expression", "written"),
    [
        ([b"x", 1, -1, 0.5, (2**31, True)], b"\x05\x80\x01\x82x\x01\x81\x01\x83\x84?\xe0" + bytes(6)
         + b"\x02\x80\x00\x00\x00\x00\x08\x85\x01\x81"),
        (b"list", b"\x04\x82list"),
        ([], b"\x00\x80"),
    ],
)  # fmt: skip
def test_expressions_are_sent_as_banana(none: Line, expression: Any, written: bytes) -> None:
    none.sendEncoded(expression)

    assert none.written() == written


def test_words_are_sent_as_tokens_in_the_dialect_pb(pb: Line) -> None:
    pb.sendEncoded([b"list", b"unicode"])

    assert pb.written() == b"\x02\x80\x08\x87\x07\x82unicode"


@pytest.mark.parametrize("shell", [lambda x: x, lambda x: [b"x", [1.5, x], "later"]], ids=["bare", "nested"])
@pytest.mark.parametrize(
    ("value", "name"),
    [("text", "builtins.str"), (None, "builtins.NoneType"), (Limits, "builtins.type"), ({}, "builtins.dict"),
     (bytearray(b"x"), "builtins.bytearray"), (Limits(), "pellucid.limits.Limits")],
)  # fmt: skip
def test_what_is_no_expression_is_refused_by_name_and_nothing_is_sent(
    none: Line, shell: Callable[[Any], Any], value: object, name: str
) -> None:
    with pytest.raises(BananaError) as caught:
        none.sendEncoded(shell(value))

    assert str(caught.value) == f"Banana cannot send {name} objects: {value!r}"
    assert none.written() == b""


def nested(levels: int) -> list[Any]:
    expression: list[Any] = []
    for _ in range(levels - 1):
        expression = [expression]
    return expression


@pytest.mark.parametrize(
    "expression",
    [b"x" * (SIZE + 1), [0] * (SIZE + 1), 2 ** (7 * DIGITS), -(2 ** (7 * DIGITS)), nested(DEEPER)],
    ids=["string", "list", "int", "negative", "nesting"],
)
def test_what_is_over_a_limit_is_not_sent(none: Line, expression: Any) -> None:
    with pytest.raises(BananaError, match="over Limits"):
        none.sendEncoded(expression)

    assert none.written() == b""


@pytest.mark.parametrize(
    "expression",
    [b"x" * SIZE, [0] * SIZE, 2 ** (7 * DIGITS) - 1, 1 - 2 ** (7 * DIGITS), nested(DEEPER - 1)],
    ids=["string", "list", "int", "negative", "nesting"],
)
def test_what_is_at_a_limit_arrives(none: Line, expression: Any) -> None:
    none.sendEncoded(expression)
    none.dataReceived(none.written())

    assert none.heard == [expression]


# Receiving.


def test_bytes_may_arrive_one_by_one(none: Line) -> None:
    expression = [1, -2, [b"three", [], 4.5], b"", 2**40, -(2**40)]

    for byte in banana.encode(expression):
        none.dataReceived(bytes([byte]))

    assert none.heard == [expression]


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"\x00" * DIGITS + b"\x01\x85", BananaError),
        (b"\x00" * (DIGITS + 1), BananaError),
        (b"\x01\x00\x28\x80", BananaError),
        (b"\x01\x00\x28\x82", BananaError),
        (b"\x01\x80" * DEEPER, BananaError),
        (b"\x01\xff", NotImplementedError),
        (b"\x08\x87", NotImplementedError),
    ],
    ids=["int", "digits", "list", "string", "nesting", "type byte", "token"],
)
def test_what_cannot_be_taken_in_is_an_error_of_the_protocol_class(
    none: Line, data: bytes, error: type[Exception]
) -> None:
    with pytest.raises(BananaError) as caught:
        none.dataReceived(b"\x01\x81" + data)

    assert isinstance(caught.value, error)
    assert none.heard == [1]


def test_an_unknown_token_is_an_error_with_words_and_not_a_key_error(pb: Line) -> None:
    with pytest.raises(BananaError, match="unknown vocabulary token 122"):
        pb.dataReceived(b"\x7a\x87")


def test_a_protocol_has_to_say_what_to_do_with_an_expression() -> None:
    line = Banana(isClient=0)
    connect(line)

    with pytest.raises(NotImplementedError, match="Banana does not say"):
        line.dataReceived(NONE + b"\x01\x81")


# Limits that a program sets.


def test_the_number_of_digits_may_be_set_for_one_connection(none: Line) -> None:
    none.setPrefixLimit(2)

    none.sendEncoded(2**14 - 1)
    none.dataReceived(none.written())
    with pytest.raises(BananaError):
        none.sendEncoded(2**14)
    with pytest.raises(BananaError):
        none.dataReceived(b"\x00\x00\x01\x81")

    assert none.heard == [2**14 - 1]
    assert none.prefixLimit == 2


def test_the_number_of_digits_may_be_set_in_the_middle_of_an_expression(none: Line) -> None:
    none.dataReceived(b"\x03\x80\x01\x81\x00")
    none.setPrefixLimit(1)
    none.dataReceived(b"\x81")
    with pytest.raises(BananaError):
        none.dataReceived(b"\x01\x00\x81")


@pytest.mark.usefixtures("default_prefix_limit")
def test_the_number_of_digits_may_be_set_for_all_connections_to_come(none: Line) -> None:
    banana.setPrefixLimit(DIGITS + 1)
    later = connected(Line(isClient=0), NONE)
    large = 2 ** (7 * DIGITS)

    later.sendEncoded(large)
    later.dataReceived(later.written())

    assert later.heard == [large]
    assert banana.decode(banana.encode(large)) == large
    with pytest.raises(BananaError):
        none.sendEncoded(large)


def test_the_size_limit_of_the_module_may_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(banana, "SIZE_LIMIT", 4)
    line = connected(Line(isClient=0), NONE)

    line.sendEncoded([b"four"] * 4)
    line.dataReceived(line.written())

    assert line.heard == [[b"four"] * 4]
    with pytest.raises(BananaError):
        line.sendEncoded(b"fives")
    with pytest.raises(BananaError):
        line.dataReceived(b"\x05\x80")
    with pytest.raises(BananaError):
        banana.encode([0] * 5)
    with pytest.raises(BananaError):
        banana.decode(b"\x05\x80")


def test_what_an_expression_sets_counts_for_the_next_one(none: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    def narrow(lst: Any) -> None:
        monkeypatch.setattr(banana, "SIZE_LIMIT", 3)

    monkeypatch.setattr(none, "expressionReceived", narrow)
    with pytest.raises(BananaError):
        none.dataReceived(b"\x04\x82four\x04\x82four")


def test_a_larger_size_limit_makes_room_for_larger_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    large = b"x" * (Limits().message_bytes + 1)
    monkeypatch.setattr(banana, "SIZE_LIMIT", len(large))

    assert banana.decode(banana.encode(large)) == large


def test_one_class_may_have_a_size_limit_and_bounds_of_its_own() -> None:
    class Small(Line):
        sizeLimit = 5
        limits = replace(Limits(), nesting=2)

    line = connected(Small(isClient=0), NONE)

    line.sendEncoded([[b"five!"]])
    line.dataReceived(line.written())
    assert line.heard == [[[b"five!"]]]
    with pytest.raises(BananaError):
        line.sendEncoded(b"sixsix")
    with pytest.raises(BananaError):
        line.dataReceived(b"\x01\x80" * 3)


# The functions.


@pytest.mark.parametrize("number", [0, 1, 127, 128, 1_000_000, 1024**10])
def test_the_digits_of_an_int_stand_for_it_again(number: int) -> None:
    parts: list[bytes] = []

    banana.int2b128(number, parts.append)

    assert banana.b1282int(b"".join(parts)) == number


def test_digits_are_written_least_significant_first() -> None:
    parts: list[bytes] = []

    banana.int2b128(300, parts.append)
    banana.int2b128(0, parts.append)

    assert b"".join(parts) == b"\x2c\x02\x00"
    assert banana.b1282int(b"") == 0


def test_a_negative_int_has_no_digits() -> None:
    with pytest.raises(ValueError, match="negative"):
        banana.int2b128(-1, bytes)


def test_decode_gives_the_first_expression_and_minds_the_rest() -> None:
    assert banana.decode(b"\x01\x80\x07\x81\x02\x81") == [7]
    with pytest.raises(BananaError):
        banana.decode(b"\x01\x81\xff")


def test_decode_needs_a_whole_expression_and_keeps_nothing_of_another() -> None:
    with pytest.raises(IndexError, match="end within"):
        banana.decode(b"\x02\x80\x01\x81")

    assert banana.decode(b"\x02\x81") == 2


def test_encode_is_in_the_dialect_none() -> None:
    assert banana.encode(b"list") == b"\x04\x82list"
    with pytest.raises(BananaError, match=r"cannot send builtins\.str"):
        banana.encode(["x"])
