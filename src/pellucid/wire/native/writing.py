"""The native dialect's messages as msgpack: the core's words, as the codec is to write them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import chain
from operator import attrgetter
from typing import Any, ClassVar

from ormsgpack import packb

from pellucid.errors import (
    InsecureJelly,
    LimitExceeded,
)
from pellucid.flavors.copyable import Copyable
from pellucid.wire.dialect import Bulk, Ledger
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
from pellucid.wire.native.codes import NAME, Kind, Leaf, with_number
from pellucid.wire.native.encoder import OPTIONS, Encoder, is_large
from pellucid.wire.native.expressions import flaw_of, pack_expression
from pellucid.wire.native.frames import SHORT_HEADERS, BufferedMessage, frame
from pellucid.wire.native.lowering import BUFFER_TYPES, failure_form
from pellucid.wire.native.reading import TIMEOUT

__all__ = ["MessageWriter"]

_CALL, _SEND, _UPDATE, _NOTIFY, _ANSWER, _BATCH, _BATCH_ANSWER = (
    Kind.CALL.value,
    Kind.SEND.value,
    Kind.UPDATE.value,
    Kind.NOTIFY.value,
    Kind.ANSWER.value,
    Kind.BATCH.value,
    Kind.BATCH_ANSWER.value,
)

_NOTIFY_START, _NOTIFY_START_WITH_KEYWORDS = (bytes([0x90 + size]) + packb(_NOTIFY) + packb(0) for size in (5, 6))
"""How a message begins that tells a copy of a change. No number: nobody asks for an answer."""

_SCALARS = frozenset({type(None), bool, int, float, str})

_TARGET_OF, _ARGUMENTS_OF, _KEYWORDS_OF = attrgetter("target"), attrgetter("args"), attrgetter("kwargs")

_ODD = "backslashreplace"
"""What becomes of the name of an object that has no UTF-8 form: nobody publishes one here, and the peer says so."""

_KIND_OF_CALL = {(False, True): _CALL, (False, False): _SEND, (True, True): _UPDATE, (True, False): _NOTIFY}
"""By whether it is told to a copy, and whether it wants an answer."""


class MessageWriter:
    """The part of the dialect that writes messages."""

    __slots__ = ()

    # What turns values into msgpack: doors have their own.
    encoder_class: ClassVar[type[Encoder]] = Encoder

    _encoder: Encoder
    _ledger: Ledger

    def encode(self, message: Message) -> bytes | Bulk:
        """The bytes of `message`. Raises InsecureJelly or LimitExceeded; then nothing was entered in the ledger."""
        return _WRITERS[type(message)](self, message)

    def _encode_call(self, call: MethodCall) -> bytes | Bulk:
        kind = _KIND_OF_CALL[call.to_cache, call.wants_answer]
        target = call.target if type(call.target) is int else _target(call.target)
        expression = [kind, call.call_id, target, call.name, [*call.args]]
        if call.kwargs or call.timeout is not None:
            expression.append(call.kwargs or None)
            if call.timeout is not None:
                expression.append({TIMEOUT: call.timeout})
        for value in (*call.args, *call.kwargs.values()) if call.kwargs else call.args:
            if type(value) in BUFFER_TYPES and is_large(value):
                return self._framed(self._encoder.pack(expression, call.perspective, large=True), call)
        body, buffers, _ = packed = self._encoder.pack(expression, call.perspective)
        return self._framed(packed, call) if buffers else frame(body)

    def _encode_answer(self, answer: Answer) -> bytes | Bulk:
        value = answer.value
        large = type(value) in BUFFER_TYPES and is_large(value)
        body, buffers, _ = packed = self._encoder.pack(
            [_ANSWER, answer.call_id, value], answer.perspective, large=large
        )
        return self._framed(packed, answer) if buffers else frame(body)

    def _encode_release(self, release: Release) -> bytes:
        return _plain(Kind.RELEASE, [number for receipt in release.receipts for number in receipt])

    def _encode_command(self, command: Command) -> bytes:
        limits = self._ledger.limits
        flaw = flaw_of(command.expression, limits.nesting)
        if flaw is not None:
            raise InsecureJelly(f"a command is lists of bytes and numbers: this one {flaw}")
        body = pack_expression([Kind.COMMAND.value], command.expression, OPTIONS)
        if len(body) > limits.inline_bytes:
            raise LimitExceeded("inline_bytes", limits.inline_bytes, len(body))
        return frame(body)

    def encode_plain_call(
        self, call_id: int, target: ExportId | Promised, name: str, args: tuple[Any, ...]
    ) -> bytes | None:
        """The bytes of a call with nothing but numbers and short texts; None where `encode` has to be asked."""
        if not self._encoder.plain_may_cross:
            return None
        for value in args:
            if type(value) not in _SCALARS:
                return None
        known_by: Any = target if type(target) is int else _target(target)
        try:
            body = packb([_CALL, call_id, known_by, name, [*args]])
        except TypeError:  # an int beyond 64 bits, or a text that is none
            return None
        length = len(body)
        return SHORT_HEADERS[length] + body if length < self._encoder.short else None

    def encode_plain_answer(self, call_id: int, value: Any) -> bytes | None:
        """The bytes of an answer that is a number, a short text or an object; None where `encode` has to be asked."""
        encoder = self._encoder
        if type(value) not in _SCALARS or not encoder.plain_may_cross:
            if not encoder.writes_reference(value):
                return None
            value = with_number(Leaf.REMOTE, self._ledger.export(value))
        try:
            body = packb([_ANSWER, call_id, value])
        except TypeError:  # an int beyond 64 bits, or a text that is none
            return None
        length = len(body)
        return SHORT_HEADERS[length] + body if length < self._encoder.short else None

    def encode_plain_batch(self, call_id: int, calls: Sequence[Any]) -> bytes | None:
        """The bytes of a batch of calls with nothing but numbers and texts; None where `encode` has to be asked."""
        if not self._encoder.plain_may_cross or any(map(_KEYWORDS_OF, calls)):
            return None
        if not _SCALARS.issuperset(map(type, chain.from_iterable(map(_ARGUMENTS_OF, calls)))):
            return None
        known_by = {target: _target(target) for target in set(map(_TARGET_OF, calls))}
        return self._if_it_fits([_BATCH, call_id, [(known_by[call.target], call.name, call.args) for call in calls]])

    def _if_it_fits(self, message: list[Any]) -> bytes | None:
        """The bytes of `message`, which has plain values; None where it is too long, or the codec can't write it."""
        try:
            body = packb(message)
        except TypeError:  # an int beyond 64 bits, or a text that is none
            return None
        return frame(body) if len(body) <= self._ledger.limits.inline_bytes else None

    def encode_shared(self, cache_id: int, update: SharedUpdate) -> bytes | None:
        """The bytes that tell that copy of `update`; None where it can't be encoded once for many."""
        if not self._encoder.writes_alike(update):
            return None
        values = update.encoded.get(NAME)
        if values is None:
            parts = (update.name, [*update.args], *([update.kwargs] if update.kwargs else []))
            try:
                values = b"".join([packb(part, None, OPTIONS) for part in parts])
            except TypeError:
                values = b""
            update.encoded[NAME] = values
        # All but the number of the copy is the same for each.
        start = _NOTIFY_START_WITH_KEYWORDS if update.kwargs else _NOTIFY_START
        body = start + packb(cache_id) + values
        length = len(body)
        if length < self._encoder.short and values:
            return SHORT_HEADERS[length] + body
        return frame(body) if values and length <= self._ledger.limits.inline_bytes else None

    def _encode_failure(self, message: CallFailed) -> bytes | Bulk:
        return self._framed(self._encoder.pack([Kind.FAIL.value, message.call_id, self._failure(message)]), message)

    def _failure(self, message: CallFailed) -> Any:
        error = message.error
        if isinstance(error, Copyable) or self._ledger.registry.copier(type(error)) is not None:
            return error
        return failure_form(error, raised=message.raised, with_traceback=message.with_traceback)

    def _encode_batch(self, batch: Batch) -> bytes | Bulk:
        items = []
        for call in batch.calls:
            item = [_target(call.target), call.name, [*call.args]]
            items.append([*item, call.kwargs] if call.kwargs else item)
        options = [] if batch.timeout is None else [{TIMEOUT: batch.timeout}]
        perspective = batch.calls[0].perspective if batch.calls else None
        return self._framed(self._encoder.pack([Kind.BATCH.value, batch.call_id, items, *options], perspective), batch)

    def _encode_batch_answer(self, answer: BatchAnswer) -> bytes | Bulk:
        if self._encoder.plain_may_cross and _SCALARS.issuperset(map(type, answer.outcomes)):
            data = self._if_it_fits([_BATCH_ANSWER, answer.call_id, answer.outcomes, []])
            if data is not None:
                return data
        failed = [
            [place, self._failure(outcome)]
            for place, outcome in enumerate(answer.outcomes)
            if type(outcome) is CallFailed
        ]
        values = [None if type(outcome) is CallFailed else outcome for outcome in answer.outcomes]
        expression = [Kind.BATCH_ANSWER.value, answer.call_id, values, failed]
        seers = answer.perspectives
        if all(seer is seers[0] for seer in seers):
            return self._framed(self._encoder.pack(expression, seers[0] if seers else None), answer)
        return self._framed(self._encoder.pack_for_each(expression, seers), answer)

    def _framed(self, packed: tuple[bytes, Sequence[Any], bool], message: Message) -> bytes | Bulk:
        body, buffers, entered = packed
        if not buffers:
            return frame(body)
        # An update must not overtake another, nor anything what it needs to be in the ledger of the peer.
        is_update = isinstance(message, MethodCall) and message.to_cache
        return BufferedMessage(body, buffers, is_barrier=entered or is_update)


_WRITERS: dict[type, Callable[[MessageWriter, Any], bytes | Bulk]] = {
    MethodCall: MessageWriter._encode_call,
    Answer: MessageWriter._encode_answer,
    CallFailed: MessageWriter._encode_failure,
    Batch: MessageWriter._encode_batch,
    BatchAnswer: MessageWriter._encode_batch_answer,
    Release: MessageWriter._encode_release,
    Command: MessageWriter._encode_command,
    ReleaseCache: lambda _, release: _plain(Kind.RELEASE_CACHE, release.cache_id, release.count),
    DropCache: lambda _, drop: _plain(Kind.DROP_CACHE, drop.cache_id),
    Cancel: lambda _, cancel: _plain(Kind.CANCEL, cancel.call_id),
    Seen: lambda _, seen: _plain(Kind.SEEN, seen.call_ids),
    Ping: lambda _, ping: _plain(Kind.PING, ping.number),
    Pong: lambda _, pong: _plain(Kind.PONG, pong.number),
    NotUnderstood: lambda _, message: _plain(Kind.NOT_UNDERSTOOD, message.name),
    Unknown: lambda _, message: _plain(Kind.NOT_UNDERSTOOD, message.name),
}


def _target(target: Any) -> Any:
    """What stands for the target of a call: a number, a name, or a promise."""
    if type(target) is int:
        return target
    return _text_of(target) if type(target) is bytes else with_number(Leaf.PROMISE, target.call_id)


@lru_cache(maxsize=256)
def _text_of(name: bytes) -> str:
    return name.decode(errors=_ODD)


def _plain(kind: Kind, *operands: int | str | list[int]) -> bytes:
    return frame(packb([kind.value, *operands]))
