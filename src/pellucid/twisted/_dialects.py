"""PB's dialects as the Twisted door speaks them: the same bytes, with values as PB's programs know them."""

from __future__ import annotations

from typing import Any, cast

from twisted.python.failure import Failure

from pellucid.flavors.copyable import Copyable
from pellucid.flavors.serializable import Jellyable
from pellucid.twisted._codec import ALL_DECODERS, Jellier, Unjellier, decoders_for, encoders_for
from pellucid.twisted._failures import FailedWith, failure2Copyable
from pellucid.twisted._policy import TasterPolicy
from pellucid.wire.dialect import DialectClass
from pellucid.wire.messages import CallFailed
from pellucid.wire.pb import dialect

__all__ = ["DIALECTS", "NoneDialect", "PBDialect"]


class PBDialect(dialect.PBDialect):
    """Banana with PB's vocabulary. The policy of its connection is a `TasterPolicy`, the registry a `TagRegistry`."""

    def _jellier(self, perspective: Any) -> Jellier:
        return Jellier(self._ledger, encoders_for(self._taster_policy.taster, self._encoders), perspective)

    def _unjellier(self, *, placeholders: bool) -> Unjellier:
        return Unjellier(self._ledger, decoders_for(self._taster_policy.taster), placeholders=placeholders)

    def _failure_unjellier(self) -> Unjellier:
        return Unjellier(self._ledger, ALL_DECODERS, placeholders=True)

    @property
    def _taster_policy(self) -> TasterPolicy:
        return cast(TasterPolicy, self._ledger.policy)

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
