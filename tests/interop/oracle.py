"""What stock Twisted makes of bytes is what is made of them here, or they are refused for a reason that is documented.

The stock codecs run in a process of their own (peers/codec.py), which takes many inputs at a time.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from pellucid import errors
from pellucid.errors import RemoteProtocolError
from pellucid.flavors.cacheable import RemoteCache
from pellucid.flavors.copyable import RemoteCopy
from pellucid.flavors.registry import Registry
from pellucid.limits import Limits
from pellucid.wire.pb import banana
from pellucid.wire.pb.vocabulary import WORDS
from tests.interop.harness import Peer
from tests.interop.peers.samples import describe
from tests.pair import Jelly, Settings

__all__ = ["REFUSED_HERE", "TAKEN_HERE", "Codec", "Reason", "compare", "explained"]


class Reason(NamedTuple):
    """Why one side refuses what the other takes: the text of the error, and where it is documented."""

    pattern: str
    page: str
    words: str
    """These are on the page."""


_STRICTER = "docs/reference/protocol-pb.md"
_MENDED = "docs/how-to/talk-to-twisted.md"

REFUSED_HERE = (
    Reason(r"Limits\.(nesting|elements|message_bytes|expanded_elements|odd_keys)", _STRICTER, "Over a limit"),
    Reason("^Error: Invalid Object ID", _MENDED, "An unknown object id among arguments becomes `None`"),
    Reason("is no id$", _STRICTER, "The number of an object, of a cache or of a reference that is no integer"),
    Reason(
        "neither a number nor a name$", _STRICTER, "The number of an object, of a cache or of a reference that is no"
    ),
    Reason("the operand of (unpersistable|persistent) is no string", _STRICTER, "A reason that is no string"),
    Reason("does not have its [347] numbers$", _STRICTER, "A date or time with another count of numbers"),
    Reason("a decimal is not two ints", _STRICTER, "A decimal whose parts are floats"),
    Reason("holds something else than pairs", _STRICTER, "A pair of a dictionary that is a string of two bytes"),
    Reason("a dereference has no reference before it", _STRICTER, "A `dereference` ahead of its `reference`"),
    Reason("a reference stands for nothing but another one", _STRICTER, "A `reference` to a `dereference`"),
    Reason("sent the state of a cacheable twice$", _STRICTER, "The state of a cacheable that was sent before"),
)
"""What Twisted takes and is refused here, by the text of the error."""

TAKEN_HERE = (
    Reason("^KeyError$", _MENDED, "A failure that lacks a key"),
    Reason("^UnicodeDecodeError$", _STRICTER, "A failure whose text is not UTF-8"),
    Reason("^RecursionError$", _STRICTER, "Structure that is deeper than its stack"),
    Reason("^(AttributeError|TypeError)$", _STRICTER, "A state that is empty and no dictionary"),
)
"""What Twisted refuses and is taken here, by the class of its error."""

_FAILURES = re.compile(rf"\b(CopiedFailure|{'|'.join(errors.__all__)})\b")
"""An exception is a failure there, which is told of in docs/how-to/talk-to-twisted.md."""


class Copy(RemoteCopy):
    described = True


class Cache(RemoteCache):
    described = True


REGISTRY = Registry()
REGISTRY.register(Copy, "copy")
REGISTRY.register(Cache, "cache")
SETTINGS = Settings(registry=REGISTRY)


class Codec(Peer):
    """peers/codec.py."""

    def __init__(self) -> None:
        super().__init__("codec.py")

    def look_at(self, dialect: str, inputs: list[bytes]) -> list[Any]:
        """What stock codecs make of `inputs`."""
        self.say({"dialect": dialect, "inputs": [data.hex() for data in inputs]})
        return list(self.hear())


def here(dialect: str, data: bytes) -> tuple[list[list[str]], str | None]:
    """What is made of `data` here, in the form in which peers/codec.py tells of it; errors with their texts."""
    decoder = banana.Decoder(Limits(), WORDS if dialect == "pb" else None)
    decoder.receive_data(data)
    found: list[list[str]] = []
    try:
        while (expression := decoder.next_expression()) is not banana.NEED_DATA:
            found.append(_look_at(expression))
    except RemoteProtocolError as error:
        return found, str(error)
    return found, None


def _look_at(expression: Any) -> list[str]:
    jelly = Jelly(SETTINGS)
    try:
        return ["value", describe(jelly.read(expression))]
    except Exception as error:  # noqa: BLE001 - whatever it is, it is looked at
        return ["error", f"{type(error).__name__}: {error}"]


def compare(dialect: str, data: bytes, theirs: tuple[list[list[str]], str | None]) -> list[str]:
    """What is made of `data` here and can't be explained by what Twisted makes of it."""
    ours, ended = here(dialect, data)
    their_values, their_end = theirs
    wrong: list[str] = []
    if ended is not None and their_end is None and not explained(ended, REFUSED_HERE):
        wrong.append(f"only here: {ended}")
    if ended is None and their_end is not None:
        wrong.append(f"only there: {their_end}")
    if ended is None and len(ours) != len(their_values):
        wrong.append(f"{len(ours)} expressions here, {len(their_values)} there")
    for (kind, text), (their_kind, their_text) in zip(ours, their_values, strict=False):
        if kind == their_kind == "value":
            if _FAILURES.sub("a failure", text) != _FAILURES.sub("a failure", their_text):
                wrong.append(f"here {text}, there {their_text}")
        elif kind == "error" and their_kind == "value":
            if not explained(text, REFUSED_HERE):
                wrong.append(f"refused here, {text}; there {their_text}")
        elif kind == "value" and not explained(their_text, TAKEN_HERE):
            wrong.append(f"refused there, {their_text}; here {text}")
    return wrong


def explained(text: str, reasons: tuple[Reason, ...]) -> bool:
    """Whether one of `reasons` is about that error."""
    return any(re.search(reason.pattern, text) for reason in reasons)
