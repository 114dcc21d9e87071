"""Values as msgpack: what the codec can't write itself, it asks for here.

There are two ways. The fast one hands the whole message to the codec, which asks back for each object it has no form
for. It can't write dictionaries with keys other than text, cycles, or what must be counted once; nor does it know where
in a message it is. So where it fails, or must not be used, `lowering` walks through the values, and says exactly what
may not cross.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

import ormsgpack
from ormsgpack import packb

from pellucid.errors import InsecureJelly, LimitExceeded
from pellucid.flavors.copyable import Copyable
from pellucid.flavors.policy import BASIC_TYPES, Policy
from pellucid.flavors.referenceable import Referenceable, Viewable, Viewpoint
from pellucid.flavors.registry import Registry
from pellucid.flavors.serializable import Held
from pellucid.limits import Limits
from pellucid.wire.dialect import Ledger
from pellucid.wire.messages import Promised, SharedUpdate
from pellucid.wire.native.codes import Leaf, Mark, with_number
from pellucid.wire.native.expressions import plain_expression
from pellucid.wire.native.frames import SHORT_HEADERS
from pellucid.wire.native.lowering import (
    BUFFER_TYPES,
    MARKS,
    OUT_OF_BAND,
    Again,
    Lowering,
    Supplied,
    find_encoders,
    flavor_encoder,
    held_form,
    supply,
    written_by,
)
from pellucid.wire.native.plain import WRITERS
from pellucid.wire.pb.jelly import Encoders

__all__ = ["FAST", "OPTIONS", "Encoder", "Fast", "Packed", "Tables", "is_flat", "is_large"]

_LOOK_FOR_BUFFERS = 4 * OUT_OF_BAND
"""Bytes of a message from which on large buffers are looked for inside its values, too."""

OPTIONS = (
    ormsgpack.OPT_PASSTHROUGH_BIG_INT
    | ormsgpack.OPT_PASSTHROUGH_DATACLASS
    | ormsgpack.OPT_PASSTHROUGH_DATETIME
    | ormsgpack.OPT_PASSTHROUGH_ENUM
    | ormsgpack.OPT_PASSTHROUGH_SUBCLASS
    | ormsgpack.OPT_PASSTHROUGH_TUPLE
    | ormsgpack.OPT_PASSTHROUGH_UUID
)
"""The codec writes exact plain types by itself, and nothing else."""

_LARGE = re.compile(rb"\xc6(?!\0\0)")
"""How binary data begins, as the codec writes it, that is long enough to travel beside its message. What is not may
happen to look so."""

_LEVELS = 255
"""How deep the codec writes arrays and maps inside each other, the message and its arguments included."""

_REFERENCE_BYTES = 32
"""More than an answer takes that is one reference."""

Buffers = Sequence[bytes]

Packed = tuple[bytes, Buffers, bool]
"""The body of a message, the buffers that travel beside it, and whether what follows may depend on it."""

Fast = Callable[["Encoder", Any], Any]
"""What stands for an object: an extension, or a list of a mark and of values that are written in turn."""


_Work = tuple[Any, list[int], Supplied]

_IDLE: _Work = None, [], {}

Tables = tuple[Encoders, dict[type, Fast | None]]
"""How objects of which types are written: slowly, and fast. What is found out of a class is added."""


@lru_cache(maxsize=64)
def _shared_tables(policy: Policy, registry: Registry) -> Tables:
    """What the connections of one server or client share."""
    return find_encoders(policy.types), dict(FAST)


class Encoder:
    """Writes the values of one connection's messages."""

    __slots__ = (
        "_encoders",
        "_fast",
        "_ledger",
        "_shares",
        "_unlooked_at",
        "_work",
        "plain_may_cross",
        "short",
        "writes_plain_values",
    )

    def __init__(self, ledger: Ledger, *, shares: bool) -> None:
        self._ledger = ledger
        self._encoders, self._fast = self._tables()
        self.plain_may_cross: bool = ledger.policy.types >= BASIC_TYPES
        """Whether all kinds of plain value may cross: the codec asks nobody about them, and is not asked where not."""
        self.writes_plain_values: bool = not shares and self.plain_may_cross
        """Whether the codec writes what is nothing but plain values, however it hangs together."""
        self._shares = shares
        self.bound(ledger.limits)
        # Of the message that is being written: who sees it, what it exports, and what its copyables said of themselves.
        # A hook may send others meanwhile.
        self._work: _Work = _IDLE

    def _tables(self) -> Tables:
        """How objects of which types are written."""
        return _shared_tables(self._ledger.policy, self._ledger.registry)

    def bound(self, limits: Limits) -> None:
        """Let these limits count from now on."""
        # Above so many bytes a message is looked at again: it may be too long, or hold large buffers.
        self._unlooked_at = min(_LOOK_FOR_BUFFERS, limits.inline_bytes + 1)
        self.short: int = min(len(SHORT_HEADERS), limits.inline_bytes + 1)
        """Bytes below which a message is far from every limit."""

    def pack(self, message: list[Any], perspective: Any = None, *, large: bool = False) -> Packed:
        """`message`, seen by `perspective`. It is `large` where a value is known to be a large buffer.

        Raises:
            InsecureJelly: something in it may not cross; its path is told.
            LimitExceeded: it is nested too deeply, too long, or would export too much.
            Exception: whatever an application's hook raised.
        """
        if large or not (self.writes_plain_values or (self.plain_may_cross and is_flat(message[2:]))):
            return self._pack_slowly(message, perspective)
        outer = self._work
        exported: list[int] = []
        supplied: Supplied = {}
        self._work = perspective, exported, supplied
        try:
            body = packb(message, self._default, OPTIONS)
            if len(body) < self._unlooked_at or (len(body) <= self._most and not _has_large(message)):
                return body, (), False
            if len(body) > self._most and not _LARGE.search(body):  # in the slow way it is no shorter
                raise LimitExceeded("inline_bytes", self._most, len(body))
        except TypeError:
            pass
        except BaseException:
            self._take_back(exported)
            raise
        finally:
            self._work = outer
        self._take_back(exported)
        return self._pack_slowly(message, perspective, supplied=supplied)

    def writes_alike(self, update: SharedUpdate) -> bool:
        """Whether what is told of a change, where that is nothing but plain values, is the same for every peer."""
        return self.writes_plain_values or (self.plain_may_cross and is_flat((*update.args, *update.kwargs.values())))

    def writes_reference(self, value: object) -> bool:
        """Whether what is written for `value` is known to be a reference to it, and an answer has room for that."""
        return self._fast.get(type(value)) is Encoder._referenceable and self.short > _REFERENCE_BYTES

    def pack_for_each(self, message: list[Any], perspectives: list[Any]) -> Packed:
        """As `pack`, for the answer of a batch whose results are seen by one of `perspectives` each."""
        return self._pack_slowly(message, perspectives[0], perspectives)

    @property
    def _most(self) -> int:
        return self._ledger.limits.inline_bytes

    def _default(self, value: Any) -> Any:
        """What the codec writes for `value`. It swallows the error where there is none: the slow way finds it again."""
        cls = type(value)
        try:
            fast = self._fast[cls]
        except KeyError:
            fast = self._fast[cls] = self._find_fast(cls)
        if fast is None:
            raise TypeError
        return fast(self, value)

    def _find_fast(self, cls: type) -> Fast | None:
        encoder = flavor_encoder(cls)
        if encoder is not None:
            return _FLAVORS.get(encoder)
        return Encoder._plain_copy if self._ledger.registry.copier(cls) is not None else None

    def _take_back(self, exported: list[int]) -> None:
        for export_id in exported:
            self._ledger.unexport(export_id)

    def _pack_slowly(
        self,
        message: list[Any],
        perspective: Any,
        perspectives: list[Any] | None = None,
        supplied: Supplied | None = None,
    ) -> Packed:
        lowering = self._lowering(perspective, shares=self._shares)
        if supplied is not None:
            lowering.supplied = supplied
        try:
            try:
                lowered = lowering.message(message, perspectives)
            except Again:
                lowering.take_back()
                supplied = lowering.supplied
                lowering = self._lowering(perspective, shares=True)
                lowering.supplied = supplied
                lowered = lowering.message(message, perspectives)
            try:
                body = packb(lowered, plain_expression, OPTIONS)
            except TypeError as error:
                if "ecursion" in str(error):
                    raise LimitExceeded("nesting", min(_LEVELS, self._ledger.limits.nesting)) from None
                raise InsecureJelly(f"the values have no msgpack form: {error}") from None
            if len(body) > self._most:
                raise LimitExceeded("inline_bytes", self._most, len(body))
            size = sum(map(len, lowering.buffers))
            if size > self._ledger.limits.buffer_bytes:
                raise LimitExceeded("buffer_bytes", self._ledger.limits.buffer_bytes, size)
        except BaseException:
            lowering.take_back()
            raise
        lowering.settle()
        return body, lowering.buffers, lowering.entered

    def _lowering(self, perspective: Any, *, shares: bool) -> Lowering:
        """What writes the values of one message the slow way: a door may have its own."""
        return Lowering(self._ledger, self._encoders, perspective, shares=shares)

    # Forms that the codec is given.

    def _referenceable(self, value: Referenceable) -> Any:
        export_id = self._ledger.export(value)
        self._work[1].append(export_id)
        return with_number(Leaf.REMOTE, export_id)

    def _viewable(self, value: Viewable) -> Any:
        return self._referenceable(Viewpoint(self._work[0], value))

    def _held(self, value: Held) -> Any:
        return held_form(self._ledger.id_at_home(value))

    def _copyable(self, value: Copyable) -> Any:
        tag, state = supply(self._work[2], value, self._work[0])
        return [_COPY, tag, state]

    def _plain_copy(self, value: object) -> Any:
        copier = self._ledger.registry.copier(type(value))
        assert copier is not None  # this is how such a value is written because there is one
        return [_COPY, copier.tag, copier.state(value)]


_COPY = MARKS[Mark.COPY]


def _marked(mark: Mark) -> Fast:
    start = MARKS[mark]
    return lambda _, value: [start, *value]


FAST: dict[type, Fast | None] = {
    **{cls: written_by(write) for cls, (_, write) in WRITERS.items()},
    tuple: _marked(Mark.TUPLE),
    set: _marked(Mark.SET),
    frozenset: _marked(Mark.FROZENSET),
    Promised: lambda _, value: with_number(Leaf.PROMISE, value.call_id),
}

_FLAVORS: dict[Any, Fast] = {
    Lowering._referenceable: Encoder._referenceable,
    Lowering._viewable: Encoder._viewable,
    Lowering._held: Encoder._held,
    Lowering._copyable: Encoder._copyable,
}
"""By how it is written slowly. Cacheables are only written so: their hook must not run twice."""


def is_large(value: object) -> bool:
    """Whether `value` is a buffer that travels beside its message."""
    return type(value) in BUFFER_TYPES and _size(value) >= OUT_OF_BAND  # type: ignore[arg-type]


def is_flat(values: Iterable[Any]) -> bool:
    """Whether none of `values` holds more than single plain values, and nothing in them is met twice."""
    met: set[int] = set()
    for value in values:
        cls = type(value)
        if cls in _SINGLE:
            continue
        inside = value if cls is list else value.values() if cls is dict else None
        if inside is None or id(value) in met or not _SINGLE.issuperset(map(type, inside)):
            return False
        met.add(id(value))
    return True


_SINGLE = frozenset({type(None), bool, int, float, str, bytes})


def _size(buffer: bytes | bytearray | memoryview) -> int:
    return buffer.nbytes if type(buffer) is memoryview else len(buffer)


def _has_large(message: list[Any]) -> bool:
    """Whether a large buffer is among its values. Only lists, tuples and dictionaries are looked into, and few."""
    waiting: list[Any] = list(message)
    for value in waiting:
        if is_large(value):
            return True
        if len(waiting) < _LOOK_AT:
            if type(value) in (list, tuple):
                waiting += value[:_LOOK_AT]
            elif type(value) is dict:
                waiting += list(value.values())[:_LOOK_AT]
    return False


_LOOK_AT = 1000
"""Among so many values at least, breadth first, large buffers are looked for."""
