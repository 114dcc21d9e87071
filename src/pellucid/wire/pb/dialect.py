"""The dialects of Perspective Broker, version 6: the core's messages as jelly in banana, and back.

``pb`` writes the words of PB's vocabulary as one-byte tokens; ``none`` is the same without. The messages and their
shapes are those that Twisted 26.10 was watched to send; docs/reference/protocol-pb.md has them one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from pellucid.errors import LocalProtocolError, RemoteProtocolError, told_without_traceback
from pellucid.flavors.copyable import Copyable
from pellucid.flavors.failures import report
from pellucid.flavors.policy import BASIC_TYPES
from pellucid.limits import Limits
from pellucid.wire.dialect import Ledger
from pellucid.wire.messages import (
    Answer,
    Batch,
    BatchAnswer,
    CallFailed,
    Cancel,
    Command,
    DropCache,
    ExportId,
    Message,
    MethodCall,
    NotUnderstood,
    Ping,
    Pong,
    Promised,
    Release,
    ReleaseCache,
    Seen,
    SharedUpdate,
    Unknown,
)
from pellucid.wire.names import FAILURE, NO_TRACEBACK, names_of
from pellucid.wire.numbered import count
from pellucid.wire.pb import banana
from pellucid.wire.pb.disowned import receipts_in
from pellucid.wire.pb.jelly import Jellier, find_encoders, write_dictionary, write_tuple
from pellucid.wire.pb.short import PlainWriter, read_plain
from pellucid.wire.pb.unjelly import Unjellier, find_decoders
from pellucid.wire.pb.vocabulary import TOKENS, WORDS

__all__ = ["VERSION", "NoneDialect", "PBDialect"]

_NO_KEYWORDS = [b"dictionary"]

VERSION = 6
"""The version of PB that Twisted has spoken since 2.0."""


class PBDialect:
    """Banana with PB's vocabulary, carrying jelly."""

    name: ClassVar[str] = "pb"
    chains: ClassVar[bool] = False
    answers_first: ClassVar[bool] = False
    counts_receipts: ClassVar[bool] = False
    may_take_short_cuts: ClassVar[bool] = True
    """Whether numbers and texts are what they are in PB, whoever is asked."""
    _words: Mapping[int, bytes] | None = WORDS
    _tokens: Mapping[bytes, int] | None = TOKENS
    _plain: ClassVar[PlainWriter] = PlainWriter(TOKENS)

    peer_log_number: str | None = None
    """There is no word for it."""

    def __init__(self, ledger: Ledger) -> None:
        self.greeted: bool = False
        self._ledger = ledger
        self._decoder = banana.Decoder(ledger.limits, self._words)
        self._encoders = find_encoders(ledger.policy.types)
        self._decoders = find_decoders(ledger.policy.types)
        self._failure_decoders = find_decoders(BASIC_TYPES)  # an error must get through whatever may not
        self._takes_short_cuts = self.may_take_short_cuts and ledger.policy.types >= BASIC_TYPES

    def bound(self, limits: Limits) -> None:
        """Let these limits count from now on."""
        self._decoder.limits = limits

    def greeting(self, log_number: str | None = None) -> bytes:
        """The version, which both sides send first of all."""
        return self._banana([b"version", VERSION])

    # What turns values into jelly and back: doors have their own.

    def _jellier(self, perspective: Any) -> Jellier:
        """Something that writes the values of one message, as `perspective` sees them."""
        return Jellier(self._ledger, self._encoders, perspective)

    def _unjellier(self, *, placeholders: bool) -> Unjellier:
        """Something that reads the values of one message; `placeholders` may stand where an object could not cross."""
        return Unjellier(self._ledger, self._decoders, placeholders=placeholders)

    def _failure_unjellier(self) -> Unjellier:
        """As `_unjellier`, for an error, which must get through whatever the policy says of its parts."""
        return Unjellier(self._ledger, self._failure_decoders, placeholders=True)

    # Bytes in.

    def receive_data(self, data: bytes) -> None:
        """Take in bytes from the peer; then call `next_message` until it returns None."""
        self._decoder.receive_data(data)

    @property
    def missing(self) -> int:
        """How many bytes have to come before there can be another message, as far as that is known; else 0."""
        return self._decoder.missing

    def next_message(self) -> Message | None:
        """The next message that is complete. Raises RemoteProtocolError where the stream makes no sense."""
        while True:
            expression = self._decoder.next_expression()
            if expression is banana.NEED_DATA:
                return None
            if type(expression) is not list or not expression or type(expression[0]) is not bytes:
                raise RemoteProtocolError("a message is a list that starts with a command")
            if not self.greeted and expression[0] != b"version":
                raise RemoteProtocolError("the peer did not send its version first")
            read = _READERS.get(expression[0])
            message = self._read_unknown(expression) if read is None else read(self, expression)
            if message is not None:
                return message

    def _read_unknown(self, expression: list[Any]) -> Message | None:
        """A command that PB does not have; None where a door has seen to it."""
        return Unknown(expression[0][:200].decode(errors="backslashreplace"))

    def _read_version(self, expression: list[Any]) -> None:
        (version,) = _operands(expression, int)
        if version != VERSION:
            raise RemoteProtocolError(f"the peer speaks another version of PB than {VERSION}")
        self.greeted = True

    def _read_call(self, expression: list[Any]) -> MethodCall:
        call_id, target, name, wants_answer, args, kwargs = _operands(
            expression, int, (int, bytes), bytes, int, list, list
        )
        call = MethodCall(
            call_id,
            target,
            name.decode(errors="backslashreplace"),
            (),
            {},
            self._decoder.size,
        )
        call.wants_answer = bool(wants_answer)
        call.to_cache = expression[0] == b"cachemessage"
        if call.to_cache and not isinstance(target, int):
            raise RemoteProtocolError("a cache has a number, not a name")
        if self._takes_short_cuts and kwargs == _NO_KEYWORDS and args and args[0] == b"tuple":
            plain = read_plain(args, 1)
            if plain is not None:
                call.args = plain
                return call
        unjellier = self._unjellier(placeholders=False)
        if not call.to_cache:
            unjellier.target = target
        try:
            call.args = unjellier.read(args, b"tuple")
            call.kwargs = _keyword_arguments(unjellier.read(kwargs, b"dictionary"))
        except Exception as error:  # noqa: BLE001 - also what an application's hooks raise
            call.args, call.error = (), told_without_traceback(error)
            self._disown(unjellier, [b"list", args, kwargs])
        return call

    def _read_answer(self, expression: list[Any]) -> Answer | CallFailed:
        call_id, jelly = _operands(expression, int, (list, bytes, int, float))
        if self._takes_short_cuts:
            plain = read_plain(expression, 2)
            if plain is not None:
                return Answer(call_id, *plain)
        unjellier = self._unjellier(placeholders=True)
        try:
            return Answer(call_id, unjellier.read(jelly))
        except Exception as error:  # noqa: BLE001 - also what an application's hooks raise
            self._disown(unjellier, jelly)
            return CallFailed(call_id, told_without_traceback(error))

    def _read_error(self, expression: list[Any]) -> CallFailed:
        call_id, jelly = _operands(expression, int, (list, bytes, int, float))
        unjellier = self._failure_unjellier()
        try:
            return CallFailed(call_id, self._error(unjellier.read(jelly)))
        except Exception as failed:  # noqa: BLE001 - also what an application's hooks raise
            self._disown(unjellier, jelly)
            return CallFailed(call_id, told_without_traceback(failed))

    def _error(self, value: Any) -> BaseException:
        """The exception that `value`, which an error message carried, stands for."""
        if isinstance(value, Exception):
            return value
        return RemoteProtocolError(f"a call failed with a {type(value).__name__} instead of an exception")

    def _disown(self, unjellier: Unjellier, expression: Any) -> None:
        """Release what came with a message that can't be delivered; what was taken from it releases itself."""
        references, caches = receipts_in(expression)
        for export_id, taken in unjellier.references.items():
            count(references, export_id, -taken)
        for cache_id, taken in unjellier.caches.items():
            count(caches, cache_id, -taken)
        self._ledger.disown(references, caches)

    def _read_release(self, expression: list[Any]) -> Release:
        (export_id,) = _operands(expression, (int, bytes))
        if type(export_id) is bytes:
            raise RemoteProtocolError("the peer released an object that it knows by name; those are not counted")
        return Release([(export_id, 1)])

    def _read_release_cache(self, expression: list[Any]) -> ReleaseCache:
        (cache_id,) = _operands(expression, int)
        return ReleaseCache(cache_id)

    def _read_drop_cache(self, expression: list[Any]) -> DropCache:
        (cache_id,) = _operands(expression, int)
        return DropCache(cache_id)

    def _read_not_understood(self, expression: list[Any]) -> NotUnderstood:
        (name,) = _operands(expression, (bytes, list))
        text = name if isinstance(name, bytes) else b""
        return NotUnderstood(text[:200].decode(errors="backslashreplace"))

    # Bytes out.

    def encode(self, message: Message) -> bytes:
        """The bytes of `message`. Raises InsecureJelly or LimitExceeded; then nothing was entered in the ledger."""
        match message:
            case MethodCall():
                return self._encode_call(message)
            case Answer():
                jellier = self._jellier(message.perspective)
                return self._encode(jellier, lambda: [b"answer", message.call_id, jellier.write(message.value)])
            case CallFailed():
                return self._encode_failure(message)
            case Release():
                return b"".join(self._banana([b"decref", number]) * count for number, count in message.receipts)
            case ReleaseCache():
                return self._banana([b"decache", message.cache_id]) * message.count
            case DropCache():
                return self._banana([b"uncache", message.cache_id])
            case NotUnderstood() | Unknown():
                return self._banana([b"didNotUnderstand", _utf8(message.name)])
            case Command():
                return self._banana(message.expression)
            case Batch() | BatchAnswer() | Cancel() | Seen() | Ping() | Pong():
                raise LocalProtocolError(f"PB has no word for a {type(message).__name__}")

    def encode_plain_call(
        self, call_id: int, target: ExportId | Promised, name: str, args: tuple[Any, ...]
    ) -> bytes | None:
        """The bytes of a call with nothing but plain values; None where `encode` has to be asked."""
        if not self._takes_short_cuts or isinstance(target, Promised):
            return None
        return self._plain.call(call_id, target, name, args, self._ledger.limits)

    def encode_plain_answer(self, call_id: int, value: Any) -> bytes | None:
        """The bytes of an answer that is a plain value; None where `encode` has to be asked."""
        return self._plain.answer(call_id, value, self._ledger.limits) if self._takes_short_cuts else None

    def encode_plain_batch(self, call_id: int, calls: Sequence[Any]) -> None:
        """In PB there are no batches."""

    def encode_shared(self, cache_id: int, update: SharedUpdate) -> None:
        """In PB each update has a number of its own."""

    def _encode_call(self, call: MethodCall) -> bytes:
        jellier = self._jellier(call.perspective)
        return self._encode(
            jellier,
            lambda: [
                b"cachemessage" if call.to_cache else b"message",
                call.call_id,
                call.target,  # never a promise: in PB those are waited for
                call.name.encode(),
                int(call.wants_answer),
                jellier.write(call.args, write_tuple),
                jellier.write(call.kwargs, write_dictionary),
            ],
        )

    def _encode(self, jellier: Jellier, make: Callable[[], list[Any]]) -> bytes:
        try:
            data = self._banana(make())
        except BaseException:
            jellier.take_back()
            raise
        jellier.settle()
        return data

    def _encode_failure(self, message: CallFailed) -> bytes:
        error = message.error
        if isinstance(error, Copyable) or self._ledger.registry.copier(type(error)) is not None:
            return self._encode_error(message.call_id, error)
        told = report(error, names_of(type(error)), with_traceback=message.with_traceback)
        parents: list[Any] = [b"list", *([b"unicode", self._clipped(name)] for name in told.parents)]
        # The keys, their order and the empty ones are what Twisted 26.10 sends; older peers need some of them.
        state: list[tuple[bytes, Any]] = [
            (b"count", 0),
            (b"type", self._clipped(told.name)),
            (b"value", [b"unicode", self._clipped(told.text)]),
            (b"captureVars", [b"boolean", b"false"]),
            (b"tb", [b"None"]),
            (b"unsafeTracebacks", [b"boolean", b"true" if message.with_traceback else b"false"]),
            (b"parents", parents),
            (b"frames", [b"list"]),
            (b"stack", [b"list"]),
            (b"traceback", [b"unicode", self._clipped(told.traceback or NO_TRACEBACK)]),
        ]
        jelly = [FAILURE, [b"dictionary", *([[b"unicode", key], value] for key, value in state)]]
        return self._banana([b"error", message.call_id, jelly])

    def _encode_error(self, call_id: int, error: Any) -> bytes:
        jellier = self._jellier(None)
        return self._encode(jellier, lambda: [b"error", call_id, jellier.write(error)])

    def _clipped(self, text: str) -> bytes:
        """`text` as UTF-8, never too long to be sent."""
        return _utf8(text)[: self._ledger.limits.string_bytes].decode(errors="ignore").encode()

    def _banana(self, expression: list[Any]) -> bytes:
        return banana.encode(expression, self._ledger.limits, self._tokens)


class NoneDialect(PBDialect):
    """PB without the vocabulary: every word is spelt out."""

    name: ClassVar[str] = "none"
    _words = None
    _tokens = None
    _plain = PlainWriter(None)


_READERS: dict[bytes, Callable[[PBDialect, list[Any]], Message | None]] = {
    b"version": PBDialect._read_version,
    b"message": PBDialect._read_call,
    b"cachemessage": PBDialect._read_call,
    b"answer": PBDialect._read_answer,
    b"error": PBDialect._read_error,
    b"decref": PBDialect._read_release,
    b"decache": PBDialect._read_release_cache,
    b"uncache": PBDialect._read_drop_cache,
    b"didNotUnderstand": PBDialect._read_not_understood,
}


def _operands(expression: list[Any], *types: type | tuple[type, ...]) -> list[Any]:
    """What follows the command, of these types exactly: a peer may send anything."""
    operands = expression[1:]
    if len(operands) != len(types) or not all(map(isinstance, operands, types)):
        raise RemoteProtocolError(f"malformed {expression[0].decode()}")
    return operands


def _keyword_arguments(value: dict[Any, Any]) -> dict[str, Any]:
    # A Python 2 peer sends the names as bytes.
    named = {key.decode(errors="backslashreplace") if type(key) is bytes else key: item for key, item in value.items()}
    if not all(type(key) is str for key in named):
        raise RemoteProtocolError("a keyword argument's name is not a string")
    return named


def _utf8(text: str) -> bytes:
    return text.encode(errors="backslashreplace")
