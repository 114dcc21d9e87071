"""The native dialect: the core's messages as msgpack arrays in frames, and back.

docs/reference/protocol-native.md has the messages one by one. What a later version adds at the end of an array, or as
an option of a call, is skipped here; an option without which a call means something else says so by its name, and then
the call is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import Any, ClassVar

from ormsgpack import packb, unpackb

from pellucid.errors import (
    Error,
    InsecureJelly,
    LimitExceeded,
    RemoteProtocolError,
    TooManyCalls,
    told_without_traceback,
)
from pellucid.flavors.copyable import Copyable
from pellucid.flavors.policy import BASIC_TYPES
from pellucid.limits import Limits
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
from pellucid.wire.native.codes import FEATURES, NAME, REQUIRED, VERSION, Kind, Leaf, with_number
from pellucid.wire.native.encoder import OPTIONS, Encoder, is_large
from pellucid.wire.native.expressions import flaw_of, pack_expression
from pellucid.wire.native.frames import HEADER, SHORT_HEADERS, BufferedMessage, Deframer, frame
from pellucid.wire.native.lowering import BUFFER_TYPES, failure_form
from pellucid.wire.native.reader import Reader

__all__ = ["NativeDialect"]

NO_FEATURES: frozenset[str] = frozenset()

_TIMEOUT = "timeout"
"""The option of a call that says for how many seconds its caller still waits."""

_ARRAY_OF_SIX = b"\x96"
"""How msgpack begins an array of so many elements."""

_LONGEST = 1 << 62
"""Seconds that are as good as any longer time: an int from a peer may be too long for a float."""


class NativeDialect:
    """Frames of msgpack."""

    name: ClassVar[str] = NAME
    chains: ClassVar[bool] = True
    # What turns values into msgpack and back: doors have their own.
    reader_class: ClassVar[type[Reader]] = Reader
    encoder_class: ClassVar[type[Encoder]] = Encoder

    __slots__ = ("_deframer", "_encoder", "_ledger", "_maybe_reader", "features", "greeted", "version")

    def __init__(self, ledger: Ledger) -> None:
        self.greeted = False
        self.version = VERSION
        """What both sides speak."""
        self.features: frozenset[str] = NO_FEATURES
        """The optional features that both sides know."""
        self._ledger = ledger
        self._deframer = Deframer(ledger.limits)
        # It is there once a message holds more than plain values; or from the start, where some of those may not cross.
        self._maybe_reader: Reader | None = None
        if not ledger.policy.types >= BASIC_TYPES:
            self._maybe_reader = self.reader_class(ledger)
        self._encoder = self.encoder_class(ledger, shares=ledger.sharing == "graph")

    def bound(self, limits: Limits) -> None:
        """Let these limits count from now on."""
        self._deframer.bound(limits)
        self._encoder.bound(limits)
        if self._maybe_reader is not None:
            self._maybe_reader.bound(limits)

    def greeting(self) -> bytes:
        """The version and the features, which both sides send first of all."""
        return frame(packb([Kind.HELLO.value, VERSION, list(FEATURES)]))

    # Bytes in.

    def receive_data(self, data: bytes) -> None:
        """Take in bytes from the peer; then call `next_message` until it returns None."""
        self._deframer.receive_data(data)

    def next_message(self) -> Message | None:
        """The next message that is complete. Raises RemoteProtocolError where the stream makes no sense."""
        deframer = self._deframer
        while deframer.bodies or not deframer.is_drained:
            if deframer.bodies:
                body = deframer.bodies.pop()
                deframer.size = HEADER + len(body)
            else:
                whole = deframer.next_body()
                if whole is None:
                    return None
                body = whole
            reader = self._maybe_reader
            if reader is not None:
                reader.begin(deframer.buffers)
            try:
                expression = unpackb(body, ext_hook=reader.take if reader is not None else self._take_first)
            except ValueError as error:
                self._reader.give_back()
                raise RemoteProtocolError(f"a message is not msgpack: {error}") from None
            if type(expression) is not list or not expression:
                self._reader.give_back()
                raise RemoteProtocolError("a message is an array that starts with its kind")
            reader = self._maybe_reader
            if deframer.buffers:
                deframer.buffers = ()  # each is where it belongs: nobody here is to keep them
            if reader is not None and reader.has_jelly:
                reader.look_through(expression)
            if not self.greeted:
                self._read_hello(expression)
                self._reader.leave()
                continue
            kind = expression[0]
            # A list or a dictionary in its place could not be looked up.
            read = _READERS.get(kind) if type(kind) is int else None
            if read is None:
                self._reader.leave()
                return Unknown(str(kind) if type(kind) is int and 0 <= kind < 1000 else "no kind of message")
            message = read(self, expression)
            if reader is not None and not reader.is_plain:
                reader.leave()
            if message is not None:
                return message
        return None

    @property
    def _reader(self) -> Reader:
        if self._maybe_reader is None:
            self._maybe_reader = self.reader_class(self._ledger)
        return self._maybe_reader

    def _take_first(self, code: int, body: bytes) -> Any:
        """What the first extensions stand for, those of the first message that has any."""
        if self._maybe_reader is None:
            self._reader.begin(self._deframer.buffers)
        return self._reader.take(code, body)

    def _read_hello(self, expression: list[Any]) -> None:
        match expression:
            case [Kind.HELLO, int(version), list(features), *_] if version >= 1:
                self.version = min(version, VERSION)
                known = {name for name in features if type(name) is str}.intersection(FEATURES)
                self.features = frozenset(known) if known else NO_FEATURES
                self.greeted = True
            case _:
                raise RemoteProtocolError("the peer did not say first which version it speaks")

    def _read_call(self, expression: list[Any]) -> MethodCall:
        if len(expression) == 5:
            kind, call_id, target, name, args = expression
            kwargs: dict[str, Any] | None = None
        else:
            kind, call_id, target, name, args, kwargs = _operands(expression, 6)
        if type(call_id) is not int or type(name) is not str or type(args) is not list:
            raise RemoteProtocolError("a call is malformed")
        call = self._call(call_id, target, name, args, kwargs, kind)
        if len(expression) > 6:
            self._read_options(call, expression[6])
        if not (self._maybe_reader is None or self._maybe_reader.is_plain):
            self._read_values(call)
        return call

    def _call(self, call_id: int, target: Any, name: str, args: list[Any], kwargs: Any, kind: int) -> MethodCall:
        to_cache = kind >= _UPDATE
        cls = type(target)
        if cls is str and not to_cache:
            target = target.encode()
        elif cls is not int and (to_cache or cls is not Promised):
            raise RemoteProtocolError("the target of a call is no number, name or promise")
        if kwargs is None:
            kwargs = {}
        elif type(kwargs) is not dict:
            raise RemoteProtocolError("the keyword arguments of a call are no map with text for keys")
        call = MethodCall(call_id, target, name, args, kwargs, self._deframer.size)
        if kind != _CALL:
            call.wants_answer = kind == _UPDATE
            call.to_cache = to_cache
        return call

    def _read_values(self, call: MethodCall) -> None:
        """Complete what is not whole with what the codec made of it."""
        reader = self._reader
        try:
            if not (call.to_cache or isinstance(call.target, Promised)):
                # Before a hook may use one of them.
                if reader.references:
                    self._ledger.see_through(reader.references, call.target)
                reader.target = call.target
            args = reader.values(call.args, placeholders=False)  # type: ignore[arg-type]  # it is a list still
            named = reader.values(list(call.kwargs.values()), placeholders=False) if call.kwargs else []
            promised = [*args, *named, call.target] if reader.promises else []
            call.waits = reader.promises > 0
            if sum(type(value) is Promised for value in promised) != reader.promises:
                raise RemoteProtocolError("a promise is a target or an argument, and no part of one")
            call.args, call.kwargs = args, dict(zip(call.kwargs, named, strict=True))
            reader.finish()
            if reader.references and isinstance(call.target, Promised):
                self._see_through(call, reader.references)
        except Exception as error:  # noqa: BLE001 - also what an application's hooks raise
            reader.give_back()
            call.args, call.kwargs, call.waits = (), {}, False
            call.error = told_without_traceback(error)
        finally:
            reader.target = None

    def _see_through(self, call: MethodCall, references: Mapping[int, int]) -> None:
        """Have the references that came with `call` seen through whoever is called."""
        if isinstance(call.target, Promised):
            call.came = dict(references)  # nobody knows yet
        else:
            self._ledger.see_through(references, call.target)

    def _read_options(self, call: MethodCall | Batch, options: Any) -> None:
        if options is None:
            return
        if type(options) is not dict:
            raise RemoteProtocolError("the options of a call are no map")
        for name, value in options.items():
            if name == _TIMEOUT and type(value) is int:
                call.timeout = float(min(max(0, value), _LONGEST))
            elif name == _TIMEOUT and type(value) is float and isfinite(value):
                call.timeout = max(0.0, value)
            elif name.startswith(REQUIRED):
                call.error = Error(f"the call needs the option {name[:100]!r}, which is not known here")

    def _read_batch(self, expression: list[Any]) -> Batch:
        _, call_id, items = _operands(expression, 3)
        most = self._ledger.limits.running_calls + self._ledger.limits.waiting_calls
        if type(call_id) is not int or type(items) is not list:
            raise RemoteProtocolError("a batch is malformed")
        if len(items) > most:
            batch = Batch(call_id, [], self._deframer.size)
            batch.error = TooManyCalls("waiting_calls", most, len(items))
            return batch
        calls: list[MethodCall] = []
        size = self._deframer.size // (len(items) or 1)
        for place, item in enumerate(items):
            match item:
                case [target, str(name), list(args)]:
                    call = self._call(place, target, name, args, None, _CALL)
                case [target, str(name), list(args), kwargs, *options]:
                    call = self._call(place, target, name, args, kwargs, _CALL)
                    if options:
                        self._read_options(call, options[0])
                case _:
                    raise RemoteProtocolError("a call in a batch is malformed")
            call.size = size
            calls.append(call)
        batch = Batch(call_id, calls, self._deframer.size)
        if len(expression) > 3:
            self._read_options(batch, expression[3])
        if not (self._maybe_reader is None or self._maybe_reader.is_plain):
            self._read_batch_values(batch)
        return batch

    def _read_batch_values(self, batch: Batch) -> None:
        reader = self._reader
        try:
            found = 0
            for call in batch.calls:
                args = reader.values(call.args, placeholders=False)  # type: ignore[arg-type]  # it is a list still
                named = reader.values(list(call.kwargs.values()), placeholders=False)
                promised = sum(type(value) is Promised for value in (*args, *named, call.target))
                call.args, call.kwargs = args, dict(zip(call.kwargs, named, strict=True))
                call.waits = promised > 0
                found += promised
            if found != reader.promises:
                raise RemoteProtocolError("a promise is a target or an argument, and no part of one")
            reader.finish()
            if reader.references:
                for call in batch.calls:
                    self._see_through(call, reader.references_in([*call.args, *call.kwargs.values()]))
        except Exception as error:  # noqa: BLE001 - also what an application's hooks raise
            reader.give_back()
            batch.calls = []
            batch.error = told_without_traceback(error)

    def _read_answer(self, expression: list[Any]) -> Answer | CallFailed:
        if len(expression) < 3 or type(expression[1]) is not int:
            raise RemoteProtocolError("an answer is malformed")
        call_id, value, size = expression[1], expression[2], self._deframer.size
        if self._maybe_reader is None or self._maybe_reader.is_plain:
            return Answer(call_id, value, None, size)
        answer: Answer | CallFailed
        try:
            answer = Answer(call_id, self._whole([value])[0], None, size)
        except Exception as error:  # noqa: BLE001 - also what an application's hooks raise
            answer = CallFailed(call_id, told_without_traceback(error), size=size)
        answer.brings_home = self._maybe_reader.brings_home
        return answer

    def _whole(self, values: list[Any]) -> list[Any]:
        """What the values of an answer stand for; where that can't be had, what came with it is given back."""
        reader = self._reader
        try:
            if reader.promises:
                raise RemoteProtocolError("a promise is an argument, and no part of an answer")
            read = reader.values(values, placeholders=True)
            reader.finish()
        except BaseException:
            reader.give_back()
            raise
        return read

    def _read_failure(self, expression: list[Any]) -> CallFailed:
        if self._maybe_reader is not None:
            self._maybe_reader.trust()
        answer = self._read_answer(expression)
        ended_in = self._error(answer.value) if isinstance(answer, Answer) else answer.error
        return CallFailed(answer.call_id, ended_in, size=answer.size)

    def _error(self, value: Any) -> BaseException:
        """The exception that `value`, which came in the place of one, stands for."""
        if isinstance(value, Exception):
            return value
        return RemoteProtocolError(f"a call failed with a {type(value).__name__} instead of an exception")

    def _read_batch_answer(self, expression: list[Any]) -> BatchAnswer | CallFailed:
        _, call_id, values, failed = _operands(expression, 4)
        if type(call_id) is not int or type(values) is not list or type(failed) is not list:
            raise RemoteProtocolError("the answer of a batch is malformed")
        places = []
        for pair in failed:
            match pair:
                case [int(place), _] if 0 <= place < len(values):
                    places.append(place)
                    values[place] = pair[1]
                case _:
                    raise RemoteProtocolError("the answer of a batch is malformed")
        if not (self._maybe_reader is None or self._maybe_reader.is_plain):
            try:
                values = self._whole(values)
            except Exception as error:  # noqa: BLE001 - also what an application's hooks raise
                return CallFailed(call_id, told_without_traceback(error))
        for place in places:
            values[place] = CallFailed(place, self._error(values[place]))
        return BatchAnswer(call_id, values, [])

    def _read_release(self, expression: list[Any]) -> Release:
        numbers = _numbers(expression)
        if len(numbers) & 1 or not all(count > 0 for count in numbers[1::2]):
            raise RemoteProtocolError("a release is malformed")
        return Release(list(zip(numbers[::2], numbers[1::2], strict=True)))

    def _read_release_cache(self, expression: list[Any]) -> ReleaseCache:
        _, cache_id, count = _operands(expression, 3)
        if type(cache_id) is not int or type(count) is not int or count < 1:
            raise RemoteProtocolError("the release of a cache is malformed")
        return ReleaseCache(cache_id, count)

    def _read_drop_cache(self, expression: list[Any]) -> DropCache:
        return DropCache(_number(expression))

    def _read_cancel(self, expression: list[Any]) -> Cancel:
        return Cancel(_number(expression))

    def _read_ping(self, expression: list[Any]) -> Ping:
        return Ping(_number(expression))

    def _read_pong(self, expression: list[Any]) -> Pong:
        return Pong(_number(expression))

    def _read_not_understood(self, expression: list[Any]) -> NotUnderstood:
        said = _operands(expression, 2)[1]
        return NotUnderstood(said[:200] if type(said) is str else "")

    def _read_command(self, expression: list[Any]) -> Message | None:
        command = _operands(expression, 2)[1]
        flaw = flaw_of(command, self._ledger.limits.nesting)
        if flaw is not None or type(command) is not list or not command or type(command[0]) is not bytes:
            raise RemoteProtocolError(f"a command {flaw or 'is no list that starts with its name'}")
        return self._read_own(command)

    def _read_own(self, command: list[Any]) -> Message | None:
        """A command of an application's own, as an s-expression; None where a door has seen to it."""
        return Unknown(command[0][:200].decode(errors="backslashreplace"))

    def _read_seen(self, expression: list[Any]) -> Seen:
        return Seen(_numbers(expression))

    # Bytes out.

    def encode(self, message: Message) -> bytes | Bulk:
        """The bytes of `message`. Raises InsecureJelly or LimitExceeded; then nothing was entered in the ledger."""
        return _WRITERS[type(message)](self, message)

    def _encode_call(self, call: MethodCall) -> bytes | Bulk:
        if call.wants_answer:
            kind = _UPDATE if call.to_cache else _CALL
        else:
            kind = _NOTIFY if call.to_cache else _SEND
        target = call.target if type(call.target) is int else _target(call.target)
        expression = [kind, call.call_id, target, call.name, [*call.args]]
        if call.kwargs or call.timeout is not None:
            expression.append(call.kwargs or None)
            if call.timeout is not None:
                expression.append({_TIMEOUT: call.timeout})
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

    def encode_plain_call(self, call_id: int, target: ExportId, name: str, args: tuple[Any, ...]) -> bytes | None:
        """The bytes of a call with nothing but numbers and short texts; None where `encode` has to be asked."""
        if not self._encoder.plain_may_cross:
            return None
        for value in args:
            if type(value) not in _SCALARS:
                return None
        known_by: Any = target if type(target) is int else str(target, "utf-8", "backslashreplace")  # type: ignore[arg-type]
        try:
            body = packb([_CALL, call_id, known_by, name, [*args]])
        except TypeError:  # an int beyond 64 bits, or a text that is none
            return None
        length = len(body)
        return SHORT_HEADERS[length] + body if length < self._encoder.short else None

    def encode_plain_answer(self, call_id: int, value: Any) -> bytes | None:
        """The bytes of an answer that is a number or a short text; None where `encode` has to be asked."""
        if type(value) not in _SCALARS or not self._encoder.plain_may_cross:
            return None
        try:
            body = packb([_ANSWER, call_id, value])
        except TypeError:  # an int beyond 64 bits, or a text that is none
            return None
        length = len(body)
        return SHORT_HEADERS[length] + body if length < self._encoder.short else None

    def encode_shared(self, cache_id: int, update: SharedUpdate) -> bytes | None:
        """The bytes that tell that copy of `update`; None where it can't be encoded once for many."""
        if not self._encoder.writes_alike(update):
            return None
        values = update.encoded.get(NAME)
        if values is None:
            parts = (update.name, [*update.args], update.kwargs or None)
            try:
                values = b"".join([packb(part, None, OPTIONS) for part in parts])
            except TypeError:
                values = b""
            update.encoded[NAME] = values
        # No number: nobody asks for an answer. All but the number of the copy is the same for each.
        start = _ARRAY_OF_SIX + packb(_NOTIFY) + packb(0) + packb(cache_id)
        if not values or len(start) + len(values) > self._ledger.limits.inline_bytes:
            return None
        return frame(start + values)

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
        options = [] if batch.timeout is None else [{_TIMEOUT: batch.timeout}]
        perspective = batch.calls[0].perspective if batch.calls else None
        return self._framed(self._encoder.pack([Kind.BATCH.value, batch.call_id, items, *options], perspective), batch)

    def _encode_batch_answer(self, answer: BatchAnswer) -> bytes | Bulk:
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


_CALL, _SEND, _UPDATE, _NOTIFY, _ANSWER = (
    Kind.CALL.value,
    Kind.SEND.value,
    Kind.UPDATE.value,
    Kind.NOTIFY.value,
    Kind.ANSWER.value,
)

_READERS: dict[int, Callable[[NativeDialect, list[Any]], Message | None]] = {
    Kind.CALL.value: NativeDialect._read_call,
    Kind.SEND.value: NativeDialect._read_call,
    Kind.UPDATE.value: NativeDialect._read_call,
    Kind.NOTIFY.value: NativeDialect._read_call,
    Kind.ANSWER.value: NativeDialect._read_answer,
    Kind.FAIL.value: NativeDialect._read_failure,
    Kind.RELEASE.value: NativeDialect._read_release,
    Kind.RELEASE_CACHE.value: NativeDialect._read_release_cache,
    Kind.DROP_CACHE.value: NativeDialect._read_drop_cache,
    Kind.CANCEL.value: NativeDialect._read_cancel,
    Kind.SEEN.value: NativeDialect._read_seen,
    Kind.PING.value: NativeDialect._read_ping,
    Kind.PONG.value: NativeDialect._read_pong,
    Kind.NOT_UNDERSTOOD.value: NativeDialect._read_not_understood,
    Kind.BATCH.value: NativeDialect._read_batch,
    Kind.BATCH_ANSWER.value: NativeDialect._read_batch_answer,
    Kind.COMMAND.value: NativeDialect._read_command,
}


_WRITERS: dict[type, Callable[[NativeDialect, Any], bytes | Bulk]] = {
    MethodCall: NativeDialect._encode_call,
    Answer: NativeDialect._encode_answer,
    CallFailed: NativeDialect._encode_failure,
    Batch: NativeDialect._encode_batch,
    BatchAnswer: NativeDialect._encode_batch_answer,
    Release: NativeDialect._encode_release,
    Command: NativeDialect._encode_command,
    ReleaseCache: lambda _, release: _plain(Kind.RELEASE_CACHE, release.cache_id, release.count),
    DropCache: lambda _, drop: _plain(Kind.DROP_CACHE, drop.cache_id),
    Cancel: lambda _, cancel: _plain(Kind.CANCEL, cancel.call_id),
    Seen: lambda _, seen: _plain(Kind.SEEN, seen.call_ids),
    Ping: lambda _, ping: _plain(Kind.PING, ping.number),
    Pong: lambda _, pong: _plain(Kind.PONG, pong.number),
    NotUnderstood: lambda _, message: _plain(Kind.NOT_UNDERSTOOD, message.name),
    Unknown: lambda _, message: _plain(Kind.NOT_UNDERSTOOD, message.name),
}


_SCALARS = frozenset({type(None), bool, int, float, str})


def _target(target: Any) -> Any:
    """What stands for the target of a call: a number, a name, or a promise."""
    if type(target) is int:
        return target
    return target.decode() if isinstance(target, bytes) else with_number(Leaf.PROMISE, target.call_id)


def _plain(kind: Kind, *operands: int | str | list[int]) -> bytes:
    return frame(packb([kind.value, *operands]))


def _operands(expression: list[Any], count: int) -> list[Any]:
    """The first so many elements; what a later version adds to them is skipped."""
    if len(expression) < count:
        raise RemoteProtocolError(f"a message of kind {expression[0]} lacks an element")
    return expression[:count]


def _number(expression: list[Any]) -> int:
    number = _operands(expression, 2)[1]
    if type(number) is not int:
        raise RemoteProtocolError(f"a message of kind {expression[0]} has no number")
    return number


def _numbers(expression: list[Any]) -> list[int]:
    numbers = _operands(expression, 2)[1]
    if type(numbers) is not list or not all(type(number) is int for number in numbers):
        raise RemoteProtocolError(f"a message of kind {expression[0]} has no list of numbers")
    return numbers
