"""Every example of docs/reference/protocol-pb.md is what it claims to be."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pellucid.limits import Limits
from pellucid.wire.pb import banana
from pellucid.wire.pb.vocabulary import TOKENS, WORDS

PAGE = Path(__file__).parents[4] / "docs" / "reference" / "protocol-pb.md"


@dataclass
class Example:
    line: int
    kind: str
    data: bytes
    expression: object

    @property
    def spelt_out(self) -> bool:
        return self.kind == "none"


def examples() -> Iterator[Example]:
    """The lines of the page's blocks of banana; the kind is the second word of the fence."""
    kind = None
    for number, line in enumerate(PAGE.read_text().splitlines(), 1):
        if line.startswith("```"):
            fence = line.removeprefix("```").split()
            kind = "".join(fence[1:]) if fence[:1] == ["banana"] else None
        elif kind is not None:
            data, expression = line.split(" : ", 1)
            yield Example(number, kind, bytes.fromhex(data), ast.literal_eval(expression))


EXAMPLES = list(examples())
each = pytest.mark.parametrize("example", [pytest.param(example, id=f"line {example.line}") for example in EXAMPLES])


def decode(data: bytes, words: dict[int, bytes] | None) -> object:
    decoder = banana.Decoder(Limits(), words)
    decoder.receive_data(data)
    expression = decoder.next_expression()
    assert decoder.next_expression() is banana.NEED_DATA
    return expression


def test_the_page_has_examples_of_every_kind() -> None:
    assert {example.kind for example in EXAMPLES} == {"", "none", "decoded"}
    assert len(EXAMPLES) > 80


@each
def test_an_example_decodes_to_its_expression(example: Example) -> None:
    # repr() tells -0.0 from 0.0, and bytes from text.
    assert repr(decode(example.data, None if example.spelt_out else WORDS)) == repr(example.expression)


@each
def test_an_example_is_what_its_expression_encodes_to(example: Example) -> None:
    encoded = banana.encode(example.expression, Limits(), None if example.spelt_out else TOKENS)
    assert (encoded == example.data) is (example.kind != "decoded")


def test_the_page_lists_the_vocabulary() -> None:
    table = PAGE.read_text().split("### Vocabulary")[1].split("```")[0]
    listed = {int(number): word.encode() for number, word in re.findall(r"(\d+) `(\w+)`", table)}
    assert listed == WORDS
