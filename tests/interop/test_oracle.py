"""Of any bytes of banana and jelly we make what Twisted makes, or refuse them for a reason that is documented."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fuzz.mutate import NONE, PB, mutated
from tests.interop.oracle import REFUSED_HERE, TAKEN_HERE, Codec, Reason, compare
from tests.interop.peers.samples import SAMPLES
from tests.interop.releases import Release
from tests.pair import Jelly
from tests.property.test_jelly import hostile, values

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def codec(release: Release) -> Iterator[Codec]:
    if release.python < 3:
        pytest.skip("on Python 2 its jelly makes other types of the same bytes")
    codec = Codec()
    yield codec
    codec.close()


def written(value: Any) -> Any:
    return Jelly().write(value)


expressions = st.one_of(
    hostile, values.map(written), st.sampled_from(sorted(SAMPLES)).map(lambda n: written(SAMPLES[n]()))
)


@st.composite
def inputs(draw: st.DrawFn) -> tuple[str, bytes]:
    """Valid bytes, most of them then changed a little."""
    dialect = draw(st.sampled_from(["pb", "none"]))
    language = PB if dialect == "pb" else NONE
    data = language.write(draw(st.lists(expressions, min_size=1, max_size=3)))
    rng: Random = draw(st.randoms(use_true_random=False))
    for _ in range(draw(st.integers(0, 3))):
        data = mutated(data, 10_000, rng, lambda whole, _: spoilt(whole, rng), language)
    return dialect, data


def spoilt(data: bytes, rng: Random) -> bytes:
    """`data` with another byte, or without its end."""
    if not data:
        return data
    at = rng.randrange(len(data))
    return data[:at] if rng.randrange(2) else data[:at] + rng.randbytes(1) + data[at + 1 :]


@settings(max_examples=300)
@given(case=inputs())
@example(case=("pb", PB.write([[b"copy", 0], [b"cache", 1, b""], [b"copy", [b"list"]]])))
@example(case=("pb", PB.write([[b"twisted.spread.pb.CopyableFailure", [b"dictionary", [b"type", b"\xff"]]]])))
@example(case=("pb", PB.write([[b"list", [b"dereference", 1], [b"reference", 1, [b"list"]]]])))
def test_what_twisted_makes_of_bytes_is_what_is_made_of_them_here_or_why_not_is_documented(
    codec: Codec, case: tuple[str, bytes]
) -> None:
    dialect, data = case
    (theirs,) = codec.look_at(dialect, [data])
    assert compare(dialect, data, theirs) == []


@pytest.mark.parametrize("reason", [*REFUSED_HERE, *TAKEN_HERE], ids=lambda reason: reason.words)
def test_every_reason_is_documented(reason: Reason) -> None:
    assert reason.words in (ROOT / reason.page).read_text()


EXAMPLES: dict[str, Any] = {
    "an unknown id": [b"local", 77],
    "a reference without a number": [b"remote", b"root"],
    "a number that is a float": [b"reference", 1.5, [b"list"]],
    "a number of 65 bits": [b"remote", 2**64],
    "an id that is a float": [b"local", 1.5],
    "a reason that is a number": [b"unpersistable", 5],
    "a time of two numbers": [b"time", b"1 2"],
    "a decimal of floats": [b"decimal", 1.0, 0],
    "a pair of two bytes": [b"dictionary", b"ab"],
    "a dereference ahead": [b"list", [b"dereference", 1], [b"reference", 1, [b"list"]]],
    "a reference to a dereference": [b"list", [b"reference", 1, [b"list"]], [b"reference", 2, [b"dereference", 1]]],
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_is_refused_here_and_documented_is_taken_by_twisted(codec: Codec, name: str) -> None:
    (theirs,) = codec.look_at("pb", [PB.write([EXAMPLES[name]])])
    assert theirs[0][0][0] == "value"
    with pytest.raises(Exception):  # noqa: B017, PT011 - which one it is, is told elsewhere
        Jelly().read(EXAMPLES[name])
