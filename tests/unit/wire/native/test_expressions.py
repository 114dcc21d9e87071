from __future__ import annotations

from typing import Any

import ormsgpack
import pytest

from pellucid.errors import LimitExceeded
from pellucid.wire.native.codes import Leaf
from pellucid.wire.native.encoder import OPTIONS
from pellucid.wire.native.expressions import flaw_of, pack_expression, plain_expression
from tests.pair import Extension


@pytest.mark.parametrize("expression", [b"x", 5, 2**70, 1.5, True, [], (), [b"x", (1, [2.5, [[]]])]], ids=str)
def test_an_s_expression_has_no_flaw(expression: Any) -> None:
    assert flaw_of(expression, 100) is None


@pytest.mark.parametrize(
    ("inside", "kind"),
    [("x", "str"), (None, "NoneType"), ({}, "dict"), (bytearray(b"x"), "bytearray"), (frozenset(), "frozenset")],
    ids=str,
)
def test_what_is_no_s_expression_is_told_by_its_type(inside: Any, kind: str) -> None:
    for expression in inside, [inside], [1, [b"x", (inside, 2)], 3]:
        assert flaw_of(expression, 100) == f"holds a {kind}"


def test_an_instance_of_a_subclass_is_a_flaw() -> None:
    for base in bytes, int, float, list, tuple:
        assert flaw_of([type("OfItsOwn", (base,), {})()], 100) == "holds a OfItsOwn"


def test_an_s_expression_may_be_nested_as_deep_as_the_limit_says() -> None:
    for depth in 1, 3, 10_000:
        expression: Any = 5
        for _ in range(depth):
            expression = [expression]
        assert flaw_of([expression, expression], depth + 1) is None
        with pytest.raises(LimitExceeded, match=rf"over Limits\.nesting={depth}"):
            flaw_of([expression], depth)


def test_an_s_expression_is_written_with_tuples_as_lists_and_ints_of_any_size() -> None:
    body = pack_expression([17], [b"x", (1, 2**64), (), -(2**70)], OPTIONS)
    kind, expression = ormsgpack.unpackb(body, ext_hook=Extension)
    assert (kind, expression[:3]) == (
        17,
        [b"x", [1, Extension(Leaf.INT, b"\1" + bytes(8))], []],
    )
    assert expression[3].code == Leaf.INT
    assert int.from_bytes(expression[3].body, "big", signed=True) == -(2**70)


def test_what_has_no_form_in_an_s_expression_is_left_to_the_codec_to_refuse() -> None:
    with pytest.raises(TypeError):
        plain_expression({1})
