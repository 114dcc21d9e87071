"""Values in the native dialect as PB's programs know them: with security options, and objects that write themselves.

Plain values and the flavors have the forms that they have between any two pellucid peers. An object whose class has a
``jellyFor`` of its own, and what PB alone knows, are s-expressions within the message: what is met inside one and
outside is one object all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import MethodType
from typing import Any

from ormsgpack import Ext

from pellucid.errors import InsecureJelly
from pellucid.flavors.failures import FailureReport
from pellucid.flavors.policy import BASIC_TYPES
from pellucid.flavors.serializable import Jellyable, qualified_name
from pellucid.twisted import _codec
from pellucid.twisted._codec import (
    ALL_DECODERS,
    allows_by_name,
    allows_tags,
    check_placeholder,
    decoders_for,
    encoders_for,
)
from pellucid.twisted._failures import CopyableFailure, state_of, told_of
from pellucid.twisted._policy import Taster, TasterPolicy
from pellucid.wire.dialect import Ledger
from pellucid.wire.messages import SharedUpdate
from pellucid.wire.names import FAILURE
from pellucid.wire.native import encoder, lowering, reader
from pellucid.wire.native.codes import Leaf, Mark, number_of
from pellucid.wire.native.encoder import FAST, Fast, Packed, Tables
from pellucid.wire.native.expressions import flaw_of
from pellucid.wire.native.lowering import MARKS, find_encoders, flavor_encoder, report_form
from pellucid.wire.native.reader import Taker
from pellucid.wire.numbered import count
from pellucid.wire.pb.jelly import Encoder as Write
from pellucid.wire.pb.jelly import Encoders
from pellucid.wire.pb.jelly import find_encoders as find_writers

__all__ = ["Encoder", "Reader", "restricts"]

_NAMES = {"str": b"unicode"}
"""What PB's security options call a kind of plain value, where that is not its name in `Policy.types`."""

_TAGS = frozenset(_NAMES.get(kind, kind.encode()) for kind in BASIC_TYPES)


def restricts(taster: Taster) -> bool:
    """Whether there are kinds of plain value that `taster` does not allow."""
    return not allows_tags(taster, _TAGS)


def _writes_itself(cls: type) -> bool:
    return issubclass(cls, Jellyable) and cls.jellyFor is not Jellyable.jellyFor


class _Part(_codec.Jellier):
    """Writes the s-expressions within a native message; what their objects' ``jellyFor`` is given."""

    def __init__(self, whole: _Lowering, ledger: Ledger, writers: Encoders) -> None:
        super().__init__(ledger, writers)
        self.join(whole, shares=whole.shares)
        self._message = whole

    def expression_of(self, value: Any, perspective: Any, *, in_state: bool) -> Any:
        """What stands for `value`."""
        self.perspective = perspective
        self._in_states += in_state
        expression = self._jelly(value)
        self._in_states -= in_state
        return expression

    def _whole(self, value: Any, expression: list[Any]) -> list[Any]:
        whole = super()._whole(value, expression)
        self._message.expressions.add(id(whole))
        return whole

    def _give_number(self, whole: list[Any], number: int) -> None:
        self._message.give_number(whole, number)


class _Lowering(lowering.Lowering):
    """Writes the values of one message."""

    _policy: TasterPolicy

    def __init__(
        self, ledger: Ledger, encoders: Encoders, perspective: Any, *, shares: bool, writers: Encoders
    ) -> None:
        super().__init__(ledger, encoders, perspective, shares=shares)
        self.expressions: set[int] = set()
        """By id(): which of the forms of what can be shared are s-expressions."""
        self._writers = writers
        self._part: _Part | None = None

    def give_number(self, whole: list[Any], number: int) -> None:
        """Let what is met again be known by `number` in its place, where `whole` stands."""
        if id(whole) in self.expressions:
            whole[:] = [b"reference", number, whole.copy()]
        else:
            super()._give_number(whole, number)

    _give_number = give_number

    def _find_encoder(self, cls: type) -> Write:
        if cls is CopyableFailure:
            return _Lowering._copyable_failure
        if _writes_itself(cls):
            return _Lowering._expression
        encoder = flavor_encoder(cls)
        if encoder is not None:
            return encoder
        return _Lowering._expression if issubclass(cls, Jellyable | MethodType) else _Lowering._other

    def _expression(self, value: Any) -> list[Any]:
        """An object that writes itself, or has no form but PB's."""
        if self._part is None:
            self._part = _Part(self, self._ledger, encoders_for(self._policy.taster, self._writers))
        expression = self._part.expression_of(value, self.perspective, in_state=self._in_states > 0)
        flaw = flaw_of(expression, self._ledger.limits.nesting)
        if flaw is not None:
            raise InsecureJelly(f"the s-expression of a {qualified_name(type(value))} {flaw}")
        return [MARKS[Mark.JELLY], expression]

    def _copyable_failure(self, value: CopyableFailure) -> list[Any]:
        return report_form(told_of(value), raised=True)

    def _other(self, value: Any) -> Any:
        """An object of no flavor. Whether it may cross can change while the program runs."""
        cls = type(value)
        if self._ledger.registry.copier(cls) is not None:
            return self._plain_copy(value)
        name = qualified_name(cls)
        if not self._policy.taster.isTypeAllowed(name.encode()):
            raise InsecureJelly(f"Type not allowed for object: {name}")
        if self._policy.allows_instances_of(cls):
            return self._instance(value)
        check_placeholder(cls, in_state=self._in_states > 0)
        return Ext(Leaf.PLACEHOLDER, f"instance of class {name} deemed insecure".encode())


class Encoder(encoder.Encoder):
    """Writes the values of one connection's messages."""

    def __init__(self, ledger: Ledger, *, shares: bool) -> None:
        super().__init__(ledger, shares=shares)
        self._writers: Encoders | None = None

    def pack(self, message: list[Any], perspective: Any = None, *, large: bool = False) -> Packed:
        """As in the core, with security options that have a say in every type."""
        return super().pack(message, perspective, large=large or not self._allows_by_name())

    def writes_alike(self, update: SharedUpdate) -> bool:
        """As in the core."""
        return self._allows_by_name() and super().writes_alike(update)

    def _allows_by_name(self) -> bool:
        policy = self._ledger.policy
        assert isinstance(policy, TasterPolicy)  # there is no other in this door
        return allows_by_name(policy.taster)

    def _tables(self) -> Tables:
        return find_encoders(BASIC_TYPES), dict(FAST)

    def _find_fast(self, cls: type) -> Fast | None:
        return None if cls is CopyableFailure or _writes_itself(cls) else super()._find_fast(cls)

    def _lowering(self, perspective: Any, *, shares: bool) -> _Lowering:
        if self._writers is None:
            self._writers = find_writers(BASIC_TYPES)
        policy: Any = self._ledger.policy
        encoders = encoders_for(policy.taster, self._encoders)
        return _Lowering(self._ledger, encoders, perspective, shares=shares, writers=self._writers)


class Reader(reader.Reader, _codec.Unjellier):
    """Reads the values of one message after another; what ``unjellyFor`` is given."""

    remembers_nothing = False  # an application may change its broker's taster at any time
    _trusts = False

    def begin(self, buffers: Sequence[bytes]) -> None:
        """A message begins."""
        self._trusts = False
        super().begin(buffers)

    def trust(self) -> None:
        """The message tells of an error, and that gets through whatever may not."""
        super().trust()
        self._trusts = True

    def values(self, values: list[Any], *, placeholders: bool) -> list[Any]:
        """As in the core; placeholders stand where the broker accepts them, too."""
        return super().values(values, placeholders=placeholders or self.invoker.acceptPlaceholders)

    def _restricts(self) -> bool:
        return restricts(self.taster)

    def _allow(self, kind: str) -> None:
        if self._checks and kind:
            self.check_tag(_NAMES.get(kind) or kind.encode())

    def check_tag(self, tag: bytes) -> None:
        """Raise InsecureJelly where what PB tags so may not cross."""
        if not (self._trusts or self.taster.isTypeAllowed(tag)):
            raise InsecureJelly(f"{tag.decode()} may not cross; allow it with SecurityOptions.allowTypes")

    def _read_jelly(self, value: list[Any]) -> Any:
        self._decoders = ALL_DECODERS if self._trusts else decoders_for(self.taster)
        return super()._read_jelly(value)

    def _read_shared(self, value: list[Any]) -> Any:
        self.check_tag(b"reference")
        return super()._read_shared(value)

    def _error_told(self, told: FailureReport, *, raised: bool) -> Any:
        checks, self._checks = self._checks, False
        failure = self._failure([FAILURE, state_of(told, tells_tracebacks=told.traceback is not None)])
        self._checks = checks
        return failure

    def _failure(self, expression: list[Any]) -> Any:
        return self._tagged(expression)

    def _take_reference(self, code: int, body: bytes) -> Any:
        number = number_of(body)
        self.is_plain = False
        count(self._came, number)
        return self._remote([b"remote", number])

    def _take_by_name(self, code: int, body: bytes) -> Any:
        kind, _, name = body.partition(b":")
        return self._tagged([kind, name])


def _tasted(code: int, tag: bytes) -> Taker:
    """As in the core, where what PB tags so may cross. That is asked afterwards: it counts what came."""
    take = Reader._take_reference if code == Leaf.REMOTE else reader.Reader.takers[code]

    def taken(self: Reader, code: int, body: bytes) -> Any:
        value = take(self, code, body)
        self.check_tag(tag)
        return value

    return taken


_LEAVES = {
    Leaf.REMOTE: b"remote",
    Leaf.LOCAL: b"local",
    Leaf.LOCAL_NAME: b"local",
    Leaf.CACHED: b"cached",
    Leaf.LOCAL_CACHE: b"lcache",
    Leaf.PLACEHOLDER: b"unpersistable",
    Leaf.AGAIN: b"dereference",
}

Reader.takers = {
    **reader.Reader.takers,
    **{code: _tasted(code, tag) for code, tag in _LEAVES.items()},
    Leaf.NAMED: Reader._take_by_name,
}
