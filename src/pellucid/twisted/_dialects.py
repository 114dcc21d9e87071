"""PB's dialects as the Twisted door speaks them: the same bytes, with values as PB's programs know them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from twisted.python.failure import Failure

from pellucid.flavors.copyable import Copyable
from pellucid.flavors.serializable import Jellyable
from pellucid.twisted._codec import ALL_DECODERS, Jellier, Unjellier, decoders_for, encoders_for
from pellucid.twisted._failures import FailedWith, failure2Copyable
from pellucid.twisted._policy import TasterPolicy
from pellucid.wire.dialect import DialectClass, Ledger
from pellucid.wire.messages import CallFailed, Message
from pellucid.wire.pb import dialect

if TYPE_CHECKING:
    from pellucid.twisted._connection import Broker

__all__ = ["DIALECTS", "NoneDialect", "PBDialect"]


class PBDialect(dialect.PBDialect):
    """Banana with PB's vocabulary. The policy of its connection is a `TasterPolicy`, the registry a `TagRegistry`."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger)
        self._broker: Broker = cast(TasterPolicy, ledger.policy).invoker
        self._decodes_by = ledger.limits

    def next_message(self) -> Message | None:
        """As in the core, by the limits of now."""
        limits = self._broker.renew_limits()
        if limits is not self._decodes_by:
            self._decoder.limits = self._decodes_by = limits
        return super().next_message()

    def encode(self, message: Message) -> bytes:
        """As in the core, by the limits of now."""
        self._broker.renew_limits()
        return super().encode(message)

    def _read_unknown(self, expression: list[Any]) -> Message | None:
        """A command of the program's own, which its subclass of `pb.Broker` has a ``proto_`` method for."""
        method = getattr(self._broker, f"proto_{expression[0].decode(errors='backslashreplace')}", None)
        if method is None:
            return super()._read_unknown(expression)
        method(*expression[1:])
        return None

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
        error: Any = message.error.failure if isinstance(message.error, FailedWith) else message.error
        if isinstance(error, Failure) and not isinstance(error, Copyable):
            error = failure2Copyable(error, message.with_traceback)
        if isinstance(error, Jellyable) or self._ledger.policy.allows_instances_of(type(error)):
            return self._encode_error(message.call_id, error)
        return super()._encode_failure(message)


class NoneDialect(PBDialect, dialect.NoneDialect):
    """PB without the vocabulary."""


DIALECTS: tuple[DialectClass, ...] = (PBDialect, NoneDialect)
"""Best first."""
