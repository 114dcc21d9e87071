"""The dialects as the Twisted door speaks them: the same bytes, with values as PB's programs know them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from twisted.python.failure import Failure

from pellucid.flavors.copyable import Copyable
from pellucid.flavors.serializable import Jellyable
from pellucid.twisted._codec import ALL_DECODERS, Jellier, Unjellier, decoders_for, encoders_for
from pellucid.twisted._failures import CopyableFailure, FailedWith, failure2Copyable, told_of
from pellucid.twisted._native import Encoder, Reader, restricts
from pellucid.twisted._policy import TasterPolicy
from pellucid.wire.dialect import Bulk, DialectClass, Ledger
from pellucid.wire.messages import CallFailed, ExportId, Message, Promised
from pellucid.wire.native import dialect as dialect_native
from pellucid.wire.native.lowering import report_form
from pellucid.wire.pb import dialect

if TYPE_CHECKING:
    from pellucid.twisted._connection import Broker

__all__ = ["DIALECTS", "NativeDialect", "NoneDialect", "PBDialect"]


class PBDialect(dialect.PBDialect):
    """Banana with PB's vocabulary. The policy of its connection is a `TasterPolicy`, the registry a `TagRegistry`."""

    may_take_short_cuts = False  # the security options are asked about each value

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger)
        self._broker = _broker(ledger)

    def next_message(self) -> Message | None:
        """As in the core, by the limits of now."""
        self._broker.renew_limits()
        return super().next_message()

    def encode(self, message: Message) -> bytes:
        """As in the core, by the limits of now."""
        self._broker.renew_limits()
        return super().encode(message)

    def _read_unknown(self, expression: list[Any]) -> Message | None:
        return None if _obeys(self._broker, expression) else super()._read_unknown(expression)

    def _jellier(self, perspective: Any) -> Jellier:
        return Jellier(self._ledger, encoders_for(self._broker.security, self._encoders), perspective)

    def _unjellier(self, *, placeholders: bool) -> Unjellier:
        placeholders = placeholders or self._broker.acceptPlaceholders
        return Unjellier(self._ledger, decoders_for(self._broker.security), placeholders=placeholders)

    def _failure_unjellier(self) -> Unjellier:
        return Unjellier(self._ledger, ALL_DECODERS, placeholders=True)

    def _error(self, value: Any) -> BaseException:
        return FailedWith(value) if isinstance(value, Failure) else super()._error(value)

    def _encode_failure(self, message: CallFailed) -> bytes:
        error = _told(message)
        if isinstance(error, Jellyable) or self._ledger.policy.allows_instances_of(type(error)):
            return self._encode_error(message.call_id, error)
        return super()._encode_failure(message)


class NoneDialect(PBDialect, dialect.NoneDialect):
    """PB without the vocabulary."""


class NativeDialect(dialect_native.NativeDialect):
    """Frames of msgpack."""

    reader_class = Reader
    encoder_class = Encoder

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger)
        self._broker = _broker(ledger)

    def next_message(self) -> Message | None:
        """As in the core, by the limits and the security options of now."""
        self._broker.renew_limits()
        if self._maybe_reader is None and restricts(self._broker.security):
            self._maybe_reader = Reader(self._ledger)
        return super().next_message()

    def encode(self, message: Message) -> bytes | Bulk:
        """As in the core, by the limits of now."""
        self._broker.renew_limits()
        return super().encode(message)

    def encode_plain_call(self, call_id: int, target: ExportId | Promised, name: str, args: tuple[Any, ...]) -> None:
        """The security options are asked about each value."""

    def encode_plain_batch(self, call_id: int, calls: Sequence[Any]) -> None:
        """The security options are asked about each value."""

    def encode_plain_answer(self, call_id: int, value: Any) -> None:
        """The security options are asked about each value."""

    def _read_own(self, command: list[Any]) -> Message | None:
        return None if _obeys(self._broker, command) else super()._read_own(command)

    def _error(self, value: Any) -> BaseException:
        return FailedWith(value) if isinstance(value, Failure) else super()._error(value)

    def _failure(self, message: CallFailed) -> Any:
        error = _told(message)
        if type(error) is CopyableFailure:
            return report_form(told_of(error), raised=message.raised)
        if isinstance(error, Jellyable) or self._ledger.policy.allows_instances_of(type(error)):
            return error
        return super()._failure(message)


def _broker(ledger: Ledger) -> Broker:
    broker: Broker = cast(TasterPolicy, ledger.policy).invoker
    return broker


def _obeys(broker: Broker, command: list[Any]) -> bool:
    """Whether a program's subclass of `pb.Broker` has a ``proto_`` method for a command of its own; it is called."""
    method = getattr(broker, f"proto_{command[0].decode(errors='backslashreplace')}", None)
    if method is None:
        return False
    method(*command[1:])
    return True


def _told(message: CallFailed) -> Any:
    """What is to be sent of the error that a call ended in."""
    error: Any = message.error.failure if isinstance(message.error, FailedWith) else message.error
    if isinstance(error, Failure) and not isinstance(error, Copyable):
        return failure2Copyable(error, message.with_traceback)
    return error


DIALECTS: tuple[DialectClass, ...] = (NativeDialect, PBDialect, NoneDialect)
"""Best first."""
