"""The native dialect's messages out of msgpack: what the codec made of one, as the core's word for it.

Everything here is hostile until it has been looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from math import isfinite
from typing import Any, ClassVar

from pellucid.errors import (
    Error,
    LimitBroken,
    LimitExceeded,
    RemoteProtocolError,
    TooManyCalls,
    told_without_traceback,
)
from pellucid.wire.dialect import Ledger
from pellucid.wire.messages import (
    Answer,
    Batch,
    BatchAnswer,
    CallFailed,
    Cancel,
    DropCache,
    Message,
    MethodCall,
    NotUnderstood,
    Ping,
    Pong,
    Promised,
    Release,
    ReleaseCache,
    Seen,
    Unknown,
)
from pellucid.wire.native.codes import REQUIRED, Kind
from pellucid.wire.native.expressions import flaw_of
from pellucid.wire.native.frames import Deframer
from pellucid.wire.native.reader import Reader

__all__ = ["READERS", "READ_UNKNOWN", "TIMEOUT", "MessageReader"]

TIMEOUT = "timeout"
"""The option of a call that says for how many seconds its caller still waits."""

_LONGEST = 1 << 62
"""Seconds that are as good as any longer time: an int from a peer may be too long for a float."""

_CALL, _UPDATE = Kind.CALL.value, Kind.UPDATE.value

_INTS = frozenset({int})

_KNOWN_BY = frozenset({int, str})
"""By what objects are known: all targets but promises."""


class MessageReader:
    """The part of the dialect that reads messages."""

    __slots__ = ()

    # What turns values out of msgpack: doors have their own.
    reader_class: ClassVar[type[Reader]] = Reader

    _deframer: Deframer
    _ledger: Ledger
    _maybe_reader: Reader | None

    @property
    def _reader(self) -> Reader:
        """The reader, made now where there was none yet."""
        raise NotImplementedError

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
        reader = self._maybe_reader
        if reader is not None and (reader.references or not reader.is_plain):
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
            call.came = [*references.items()]  # nobody knows yet
        else:
            self._ledger.see_through(references, call.target)

    def _read_options(self, call: MethodCall | Batch, options: Any) -> None:
        if options is None:
            return
        if type(options) is not dict:
            raise RemoteProtocolError("the options of a call are no map")
        for name, value in options.items():
            if name == TIMEOUT and type(value) is int:
                call.timeout = float(min(max(0, value), _LONGEST))
            elif name == TIMEOUT and type(value) is float and isfinite(value):
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
            batch.fail(TooManyCalls("waiting_calls", most, len(items)))
            return batch
        reader = self._maybe_reader
        holds_more = reader is not None and (reader.references or not reader.is_plain)
        if len(expression) == 3 and not holds_more and _are_plain(items):
            return Batch(call_id, size=self._deframer.size, items=items)
        calls: list[MethodCall] = []
        size = self._deframer.size // (len(items) or 1)
        for place, item in enumerate(items):
            if type(item) is not list or len(item) < 3 or type(item[1]) is not str or type(item[2]) is not list:
                raise RemoteProtocolError("a call in a batch is malformed")
            call = self._call(place, item[0], item[1], item[2], item[3] if len(item) > 3 else None, _CALL)
            if len(item) > 4:
                self._read_options(call, item[4])
            call.size = size
            calls.append(call)
        batch = Batch(call_id, calls, self._deframer.size)
        if len(expression) > 3:
            self._read_options(batch, expression[3])
        if holds_more:
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
            batch.fail(told_without_traceback(error))

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

    def _whole(self, values: list[Any], errors: Collection[int] | None = None) -> list[Any]:
        """What the values of an answer stand for; where that can't be had, what came with it is given back.

        Of a batch each stands for itself, and `errors` are the places of those that are errors.
        """
        reader = self._reader
        try:
            if reader.promises:
                raise RemoteProtocolError("a promise is an argument, and no part of an answer")
            read = reader.values(values, placeholders=True) if errors is None else reader.each(values, errors)
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
                case [place, failure, *_] if type(place) is int and 0 <= place < len(values):
                    places.append(place)
                    values[place] = failure
                case _:
                    raise RemoteProtocolError("the answer of a batch is malformed")
        if not (self._maybe_reader is None or self._maybe_reader.is_plain):
            try:
                values = self._whole(values, set(places))
            except Exception as error:  # noqa: BLE001 - also what an application's hooks raise
                return CallFailed(call_id, told_without_traceback(error))
        for place in places:
            failed = values[place]
            if type(failed) is not CallFailed:
                values[place] = CallFailed(place, self._error(failed))
        return BatchAnswer(call_id, values, [])

    def _read_release(self, expression: list[Any]) -> Release:
        numbers = _numbers(expression)
        if len(numbers) & 1 or (numbers and min(numbers[1::2]) < 1):
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
        try:
            flaw = flaw_of(command, self._ledger.limits.nesting)
        except LimitExceeded as error:
            raise LimitBroken(error.limit, error.value) from None
        if flaw is not None or type(command) is not list or not command or type(command[0]) is not bytes:
            raise RemoteProtocolError(f"a command {flaw or 'is no list that starts with its name'}")
        return self._read_own(command)

    def _read_own(self, command: list[Any]) -> Message | None:
        """A command of an application's own, as an s-expression; None where a door has seen to it."""
        return Unknown(command[0][:200].decode(errors="backslashreplace"))

    def _read_seen(self, expression: list[Any]) -> Seen:
        return Seen(_numbers(expression))

    def _read_unknown(self, expression: list[Any]) -> Unknown:
        """A message of a kind that there is not in this version."""
        self._reader.leave()
        kind = expression[0]
        return Unknown(str(kind) if type(kind) is int and 0 <= kind < 1000 else "no kind of message")


READERS: dict[int, Callable[[MessageReader, list[Any]], Message | None]] = {
    Kind.CALL.value: MessageReader._read_call,
    Kind.SEND.value: MessageReader._read_call,
    Kind.UPDATE.value: MessageReader._read_call,
    Kind.NOTIFY.value: MessageReader._read_call,
    Kind.ANSWER.value: MessageReader._read_answer,
    Kind.FAIL.value: MessageReader._read_failure,
    Kind.RELEASE.value: MessageReader._read_release,
    Kind.RELEASE_CACHE.value: MessageReader._read_release_cache,
    Kind.DROP_CACHE.value: MessageReader._read_drop_cache,
    Kind.CANCEL.value: MessageReader._read_cancel,
    Kind.SEEN.value: MessageReader._read_seen,
    Kind.PING.value: MessageReader._read_ping,
    Kind.PONG.value: MessageReader._read_pong,
    Kind.NOT_UNDERSTOOD.value: MessageReader._read_not_understood,
    Kind.BATCH.value: MessageReader._read_batch,
    Kind.BATCH_ANSWER.value: MessageReader._read_batch_answer,
    Kind.COMMAND.value: MessageReader._read_command,
}
"""How messages are read, by their kind."""

READ_UNKNOWN: Callable[[MessageReader, list[Any]], Message | None] = MessageReader._read_unknown
"""How those of other kinds are."""


def _are_plain(items: list[Any]) -> bool:
    """Whether these calls of a batch have a number or a text for their target, a name, arguments, and nothing else."""
    if not items or set(map(type, items)) != {list} or set(map(len, items)) != {3}:
        return False
    targets, names, arguments = zip(*items, strict=True)
    return (
        _KNOWN_BY.issuperset(map(type, targets))
        and set(map(type, names)) == {str}
        and set(map(type, arguments)) == {list}
    )


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
    if type(numbers) is not list or not _INTS.issuperset(map(type, numbers)):
        raise RemoteProtocolError(f"a message of kind {expression[0]} has no list of numbers")
    return numbers
