"""Of any frames come messages or a protocol error; each receipt in them is held, or is given back.

A value that was read can be written, and is read again as itself; or it may not cross, or is over a limit.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator
from random import Random
from typing import Any

from fuzz.mutate import NATIVE, Mutate, with_flags
from fuzz.seeds import native_messages, native_streams, native_values
from fuzz.things import DOCUMENTED, LIMITS, REGISTRY, is_documented
from pellucid import errors
from pellucid.errors import RemoteProtocolError
from pellucid.flavors.policy import Policy
from pellucid.wire.messages import Answer, BatchAnswer, CallFailed, MethodCall, ReleaseCache
from pellucid.wire.native.frames import frame
from tests.interop.peers.samples import describe
from tests.pair import Settings
from tests.unit.wire.native.speech import Speech, whole

__all__ = ["check", "mutate", "seeds"]

_SETTINGS = (
    Settings(registry=REGISTRY),
    Settings(registry=REGISTRY, limits=LIMITS),
    Settings(registry=REGISTRY, sharing="graph"),
    Settings(registry=REGISTRY, policy=Policy(types=["list", "str", "tuple"]), limits=LIMITS),
)


_OURS = re.compile(rf"\b({'|'.join(errors.__all__)})\b")
"""The names of our errors."""


def check(data: bytes) -> None:
    """Try one input."""
    speech = Speech(_SETTINGS[data[0] & 3 if data else 0])
    speech.dialect.receive_data(data[1:])
    try:
        messages = speech.heard()
    except RemoteProtocolError as broken:
        assert len(str(broken)) < 1_000
        return
    for message in messages:
        error = message.error if isinstance(message, MethodCall | CallFailed) else None
        assert error is None or is_documented(error), error
        if error is not None:
            assert len(str(error)) < 10_000
        for value in _values(message):
            _write_again(speech, value)
    message = value = messages = None  # type: ignore[assignment]
    _give_back(speech)
    for _ in range(3):  # a copy may be in a cycle, and in its state another one
        if not speech.side.is_empty():
            gc.collect()
            _give_back(speech)
    assert len(speech.books.imports) == 0


def _give_back(speech: Speech) -> None:
    """Let the peer know what was dropped: until then the states of copies are held, and what is in them."""
    while releases := speech.books.take_releases():
        for release in releases:
            if isinstance(release, ReleaseCache):
                speech.books.cache_imports.forget(release.cache_id)


def _values(message: Any) -> list[Any]:
    match message:
        case MethodCall():
            return [*message.args, *message.kwargs.values()]
        case Answer():
            return [message.value]
        case BatchAnswer():
            return [outcome for outcome in message.outcomes if not isinstance(outcome, CallFailed)]
        case _:
            return []


def _write_again(speech: Speech, value: Any) -> None:
    try:
        told = describe(value)
    except RecursionError:
        return
    try:
        written = whole(speech.dialect.encode(Answer(1, value)))
    except DOCUMENTED:
        return
    other = Speech(speech_settings_of(speech))
    other.dialect.receive_data(written)
    (read,) = other.heard()
    if isinstance(read, Answer) and "#" not in told and "Reference" not in told:
        again = describe(read.value)
        # An error that is a value was raised by somebody, whatever a broker meant by it before: see docs/adr/0015.
        assert _OURS.sub("RemoteError", again) == _OURS.sub("RemoteError", told), (told, again)


def speech_settings_of(speech: Speech) -> Settings:
    """By what `speech` goes, so that another may go by it."""
    books = speech.books
    return Settings(registry=books.registry, policy=books.policy, limits=books.limits, sharing=books.sharing)


def mutate(data: bytes, most: int, rng: Random, by_bytes: Mutate) -> bytes:
    """Another input."""
    return with_flags(data, most, rng, by_bytes, NATIVE)


def seeds() -> Iterator[bytes]:
    """What a corpus begins with."""
    for stream in (*native_messages(), *native_streams()):
        yield b"\0" + stream
    for value in native_values():
        yield b"\0" + frame(b"\x93\x05\x01" + value)
