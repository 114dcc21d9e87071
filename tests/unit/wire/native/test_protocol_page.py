"""Every example of docs/reference/protocol-native.md is what it claims to be, and its numbers are the code's.

What stands behind ```` ```native ```` says what the lines of a block are: nothing for messages in frames, ``value`` and
``graph`` for values by themselves, ``jelly`` for values that are only read here, ``frames`` for a stream, ``banana``
for the negotiation.
"""

from __future__ import annotations

import re
import struct
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

import msgpack
import pytest

from pellucid.flavors.serializable import Unpersistable
from pellucid.limits import Limits
from pellucid.wire import messages
from pellucid.wire.messages import Message
from pellucid.wire.names import broker_error, method_error
from pellucid.wire.native.codes import NAME, VERSION, Kind, Leaf, Mark
from pellucid.wire.pb import banana
from tests.unit.wire.native.notation import EchoLedger, bytes_of, start_dialect

PAGE = Path(__file__).parents[4] / "docs" / "reference" / "protocol-native.md"

CHUNK, LAST_CHUNK, WITH_BUFFERS = 2 << 30, 3 << 30, 1 << 30
VALUES = ("value", "graph", "jelly")


# The notation of the page, as msgpack writes it that is not ours.


@dataclass
class Frame:
    """A frame that is no message by itself."""

    flags: int
    body: bytes


def number(value: int) -> bytes:
    return value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")


def extension(code: Leaf | Mark) -> Any:
    """What makes an extension of that type of what the page shows."""

    def make(*shown: Any) -> msgpack.ExtType:
        match code, shown:
            case Leaf.INT, (value,):
                return msgpack.ExtType(code, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))
            case Leaf.TIMEDELTA, _:
                return msgpack.ExtType(code, struct.pack(">iii", *shown))
            case Leaf.UUID, (value,):
                return msgpack.ExtType(code, uuid.UUID(value).bytes)
            case _, (int(value),):
                return msgpack.ExtType(code, number(value))
            case _, (str(value),):
                return msgpack.ExtType(code, value.encode())
            case _:
                raise AssertionError(f"{code.name} does not look like that")

    return make


SYMBOLS: dict[str, Any] = {
    "null": None,
    "true": True,
    "false": False,
    "bin": bytes.fromhex,
    "chunk": lambda data: Frame(CHUNK, data),
    "last_chunk": lambda data: Frame(LAST_CHUNK, data),
    "with_buffers": lambda message: Frame(WITH_BUFFERS, msgpack.packb(message)),
    **{kind.name: kind.value for kind in Kind},
    **{leaf.name: extension(leaf) for leaf in Leaf},
    **{mark.name: msgpack.ExtType(mark, b"") for mark in Mark},
    "CACHE": extension(Mark.CACHE),
    "SHARED": extension(Mark.SHARED),
}


def written(kind: str, notation: str) -> bytes:
    """The bytes of what the page shows in a block of that kind."""
    shown = eval(notation, {"__builtins__": {}}, SYMBOLS)
    if kind == "banana":
        names = shown.encode() if isinstance(shown, str) else [name.encode() for name in shown]
        return banana.encode(names, Limits(), None)
    if kind in VALUES:
        return msgpack.packb(shown)
    if not isinstance(shown, Frame):
        shown = Frame(0, msgpack.packb(shown))
    return (shown.flags | len(shown.body)).to_bytes(4, "big") + shown.body


# The examples.

COMMAND = [b"join", 3, [b"\x00\xff"]]


@dataclass
class Example:
    line: int
    kind: str
    data: bytes
    notation: str

    @property
    def stream(self) -> bytes:
        """It, in a message of its own where it is a value."""
        if self.kind not in VALUES:
            return self.data
        body = b"\x93\x05\x01" + self.data
        return len(body).to_bytes(4, "big") + body


def blocks() -> Iterator[list[Example]]:
    kind = None
    block: list[Example] = []
    for line_number, line in enumerate(PAGE.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("```"):
            if kind is not None:
                yield block
            fence = line.removeprefix("```").split()
            kind, block = ("".join(fence[1:]) if fence[:1] == ["native"] else None), []
        elif kind is not None:
            data, notation = line.split(" : ", 1)
            block.append(Example(line_number, kind, bytes.fromhex(data), notation))


BLOCKS = list(blocks())
EXAMPLES = [example for block in BLOCKS for example in block]
MESSAGES_AND_VALUES = [example for example in EXAMPLES if example.kind in ("", "value", "graph")]


def with_ids(examples: list[Example]) -> list[Any]:
    return [pytest.param(example, id=f"line {example.line}") for example in examples]


def decode(data: bytes, ledger: EchoLedger, *, greeted: bool = True) -> list[Message]:
    dialect = start_dialect(ledger, greeted=greeted)
    dialect.receive_data(data)
    found: list[Message] = []
    while (message := dialect.next_message()) is not None:
        found.append(message)
    return found


def test_the_page_has_examples_of_every_kind() -> None:
    assert {example.kind for example in EXAMPLES} == {"", *VALUES, "frames", "banana"}
    assert len(EXAMPLES) > 80


@pytest.mark.parametrize("example", with_ids(EXAMPLES))
def test_an_example_is_what_another_msgpack_writes(example: Example) -> None:
    assert example.data.hex(" ") == written(example.kind, example.notation).hex(" ")


@pytest.mark.parametrize("example", with_ids(MESSAGES_AND_VALUES))
def test_an_example_is_read_and_written_again_as_it_is(example: Example) -> None:
    ledger = EchoLedger("graph" if example.kind == "graph" else "tree")
    is_hello = example.notation.startswith("[HELLO")
    dialect = start_dialect(ledger, greeted=not is_hello)
    if is_hello:
        log_number = "31dd1ad2" if "31dd1ad2" in example.notation else None
        assert dialect.greeting(log_number) == example.data
        return
    (message,) = decode(example.stream, ledger)
    if isinstance(message, messages.Answer) and isinstance(message.value, Unpersistable):
        message.value.reason = message.value.reason.removeprefix("Unpersistable data: ")  # which reading puts there
    if example.notation.startswith("[COMMAND"):
        message = messages.Command(COMMAND)  # what is read of it is only its name

    assert bytes_of(dialect.encode(message)).hex(" ") == example.stream.hex(" ")


def test_jelly_is_read() -> None:
    (example,) = (example for example in EXAMPLES if example.kind == "jelly")

    (answer,) = decode(example.stream, EchoLedger())

    assert isinstance(answer, messages.Answer)
    assert answer.value == [1, "hi"]


@pytest.mark.parametrize("block", [block for block in BLOCKS if block[0].kind == "frames"])
def test_a_stream_is_read(block: list[Example]) -> None:
    ping, call = decode(b"".join(example.data for example in block), EchoLedger())

    assert isinstance(ping, messages.Ping)
    assert isinstance(call, messages.MethodCall)
    assert call.args == ["name", b"abc"]


def test_the_negotiation_is_what_banana_reads() -> None:
    offer, choice = (example for example in EXAMPLES if example.kind == "banana")
    decoder = banana.Decoder(Limits(), None)
    decoder.receive_data(offer.data + choice.data)

    offered = decoder.next_expression()
    assert isinstance(offered, list)
    assert [offered[0], decoder.next_expression()] == [NAME.encode()] * 2


# The tables.


def numbers_in(heading: str) -> dict[str, int]:
    """The names in the tables below that heading, whose rows start with a number, and those numbers."""
    part = PAGE.read_text(encoding="utf-8").split(f"\n{heading}\n")[1]
    part = re.split(r"\n##+ ", part)[0]
    return {name: int(code) for code, name in re.findall(r"^\| (\d+) \| \[(\w+)\]", part, re.MULTILINE)}


def as_numbers(codes: type[IntEnum]) -> dict[str, int]:
    return {code.name: code.value for code in codes}


def test_the_page_lists_every_kind_of_message_and_no_other() -> None:
    assert numbers_in("## Messages") == as_numbers(Kind)


def test_the_page_lists_every_extension_and_no_other() -> None:
    assert numbers_in("### Extensions") == {**as_numbers(Leaf), **as_numbers(Mark)}


def test_leaves_and_marks_keep_to_their_ranges() -> None:
    assert all(1 <= leaf <= 31 for leaf in Leaf)
    assert all(32 <= mark <= 63 for mark in Mark)


def test_the_page_has_a_heading_for_every_kind_of_message_and_extension() -> None:
    headings = set(re.findall(r"^### (.+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    words = {word for heading in headings for word in heading.split()}

    assert {code.name for codes in (Kind, Leaf, Mark) for code in codes} <= words


def test_the_page_names_the_version_and_the_dialect() -> None:
    assert f"version {VERSION} of the dialect `{NAME}`" in PAGE.read_text(encoding="utf-8")


def test_the_names_of_errors_on_the_page_are_those_that_are_known() -> None:
    part = PAGE.read_text(encoding="utf-8").split("## Names of errors")[1].split("\n## ")[0]
    of_brokers = re.findall(r"^\| `([\w.]+)` \|", part, re.MULTILINE)
    of_methods = re.findall(r"`(twisted\.[\w.]+)`", part.split("With *raised* `true`")[1])

    assert [name for name in of_brokers if broker_error(name) is None] == []
    assert [name for name in of_methods if method_error(name) is None] == []
