"""Values as what the codec can write, where it can't write them by itself: one by one, with the path in errors.

This is the slow way. It knows where in a message it is; it writes dictionaries with any keys, cycles, and cacheables,
which must be counted exactly once; and it takes large buffers out of the message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from types import FunctionType, ModuleType
from typing import Any

from ormsgpack import Ext

from pellucid.errors import Error, InsecureJelly, InvalidArgument, LimitExceeded, RemoteError, told_without_traceback
from pellucid.flavors.cacheable import Cacheable, RemoteCache
from pellucid.flavors.copyable import Copyable
from pellucid.flavors.failures import FailureReport, report
from pellucid.flavors.hooks import hook
from pellucid.flavors.referenceable import Referenceable, Viewable, Viewpoint
from pellucid.flavors.serializable import Held, Unpersistable, qualified_name
from pellucid.flavors.texts import value_text
from pellucid.wire.dialect import Ledger
from pellucid.wire.messages import Promised
from pellucid.wire.names import names_of
from pellucid.wire.native.codes import Kind, Leaf, Mark, with_number
from pellucid.wire.native.plain import WRITERS
from pellucid.wire.pb.jelly import Encoder, Encoders, Jellier, refusal

__all__ = [
    "BUFFER_TYPES",
    "MARKS",
    "OUT_OF_BAND",
    "Again",
    "Lowering",
    "Supplied",
    "failure_form",
    "find_encoders",
    "flavor_encoder",
    "held_form",
    "report_form",
    "supply",
    "written_by",
]

OUT_OF_BAND = 64 * 1024
"""Bytes from which on a buffer travels beside its message: below, copying it costs less than a chunk of its own."""

BUFFER_TYPES = frozenset({bytes, bytearray, memoryview})

MARKS: dict[Mark, Any] = {mark: Ext(mark, b"") for mark in Mark}
"""The marks that need no number."""


Supplied = dict[tuple[int, int], tuple[Copyable, Any, Any, BaseException | None]]
"""What a message's copyables said of themselves, or raised: by identity, and that of the perspective that they are
seen by. They are asked once, in whatever ways the message is written."""


class Again(Exception):
    """A container was met inside itself: what is written as a tree has no end."""


class Lowering(Jellier):
    """Writes the values of one message. In ``tree`` form what is met twice is written twice.

    What it enters in the ledger and how it takes that back is the `Jellier`'s; the forms are the native dialect's.
    """

    def __init__(self, ledger: Ledger, encoders: Encoders, perspective: Any, *, shares: bool) -> None:
        super().__init__(ledger, encoders, perspective)
        self.buffers: list[bytes] = []
        """What travels beside the message."""
        self.shares = shares
        """Whether what is met twice is one object at the other side, too."""
        self.supplied: Supplied = {}
        """What copyables of this message have said of themselves already."""
        self._most = ledger.limits.nesting
        self._depth = 0

    def message(self, message: list[Any], perspectives: list[Any] | None = None) -> list[Any]:
        """`message` with what stands for its values; its own parts cross whatever the policy says of their types.

        Each of the results in the answer of a batch is seen by its own of `perspectives`, where they differ.

        Raises:
            Again: a container is met inside itself, and sharing is off.
            InsecureJelly: something in it may not cross; its path is told.
            LimitExceeded: it is nested too deeply, or it would export too much.
        """
        try:
            match message[0]:
                case Kind.CALL | Kind.SEND | Kind.UPDATE | Kind.NOTIFY:
                    return self._call(message, 4)
                case Kind.BATCH:
                    return [*message[:2], [self._call(call, 2) for call in message[2]], *message[3:]]
                case Kind.BATCH_ANSWER:
                    return [*message[:2], *self._outcomes(message[2], message[3], perspectives)]
                case Kind.FAIL:
                    return [*message[:2], self._told(message[2])]
                case _:
                    return [*message[:2], *map(self._jelly, message[2:])]
        except RecursionError:
            raise LimitExceeded("nesting", self._most) from None

    def _told(self, failure: Any) -> Any:
        """An error as it is told: by a `failure_form`, which crosses whatever the policy says, or as a copyable."""
        return failure if type(failure) is list else self._jelly(failure)

    def _call(self, call: list[Any], at: int) -> list[Any]:
        """`call` with its arguments, which are at that place, and its keyword arguments, which follow."""
        lowered = [*call[:at], self._each(call[at])]
        if len(call) > at + 1:
            named = call[at + 1]
            lowered.append(named and dict(zip(named, self._each(named.values(), list(named)), strict=True)))
        return lowered + call[at + 2 :]

    def _outcomes(
        self, values: list[Any], failures: list[list[Any]], perspectives: list[Any] | None
    ) -> tuple[list[Any], list[list[Any]]]:
        """The results in the answer of a batch, and the errors with their places: what can't be sent fails alone."""
        results: list[Any] = []
        failed: list[list[Any]] = []
        without_result = {place for place, _ in failures}
        for place, value in enumerate(values):
            if place in without_result:
                results.append(None)
                continue
            if perspectives is not None and perspectives[place] is not self.perspective:
                self.perspective: Any = perspectives[place]
                # What one has seen is not what another one sees; the numbers that were given stay taken.
                self._seen, self._numbers = {}, {-number: number for number in self._numbers.values()}
            result, error = self._apart(value, self._jelly)
            results.append(result)
            if error is not None:
                failed.append([place, failure_form(error, raised=False, with_traceback=False)])
        for place, failure in failures:
            told, error = self._apart(failure, self._told)
            if error is not None:
                hindrance = Error(f"a {type(failure).__qualname__}, which can't be sent: {error}"[:500])
                told = failure_form(hindrance, raised=False, with_traceback=False)
            failed.append([place, told])
        return results, failed

    def _apart(self, value: Any, write: Callable[[Any], Any]) -> tuple[Any, Exception | None]:
        """`value` as `write` writes it; or None and the error, and then nothing of it is left."""
        exported, caches, new, alive = map(len, (self._exported, self._exported_caches, self._new_caches, self._alive))
        depth, in_states, buffers = self._depth, self._in_states, len(self.buffers)
        try:
            return write(value), None
        except Again:
            raise
        except RecursionError:
            failed: Exception = LimitExceeded("nesting", self._most)
        except Exception as error:  # noqa: BLE001 - also what an application's hooks raise
            failed = told_without_traceback(error)
        for export_id in self._exported[exported:]:
            self._ledger.unexport(export_id)
        for cache_id in self._exported_caches[caches:]:
            self._ledger.unexport_cache(cache_id)
        for seen in self._alive[alive:]:
            self._seen.pop(id(seen), None)
        del self._exported[exported:], self._exported_caches[caches:], self._new_caches[new:], self._alive[alive:]
        del self.buffers[buffers:]
        self._depth, self._in_states = depth, in_states
        return None, failed

    def _each(self, values: Iterable[Any], names: Sequence[object] | None = None) -> list[Any]:
        lowered: list[Any] = []
        try:
            for value in values:
                lowered.append(self._jelly(value))
        except InsecureJelly as error:
            error.inside(f"[{len(lowered) if names is None else repr(names[len(lowered)])}]")
            raise
        return lowered

    @property
    def entered(self) -> bool:
        """Whether anything was entered in the ledger, so that what follows may depend on this message."""
        return bool(self._exported or self._exported_caches)

    def _find_encoder(self, cls: type) -> Encoder:
        encoder = flavor_encoder(cls)
        if encoder is not None:
            return encoder
        if self._ledger.registry.copier(cls) is not None:
            return Lowering._plain_copy
        if self._policy.allows_instances_of(cls):
            return Lowering._instance
        if issubclass(cls, Exception):
            return Lowering._failure
        raise refusal(cls)

    def _inside(self, value: Any) -> Any:
        """The reference to `value` where it was met before and is one object there, too; else it is being written."""
        self._depth += 1
        if self._depth > self._most:
            raise LimitExceeded("nesting", self._most)
        key = id(value)
        if key in self._seen:
            if not self.shares:
                raise Again
            self._depth -= 1
            return self._met_before(value)
        self._seen[key] = None
        self._alive.append(value)
        return None

    def _give_number(self, whole: list[Any], number: int) -> None:
        whole[:] = [with_number(Mark.SHARED, number), whole.copy()]

    def _again(self, number: int) -> Any:
        return with_number(Leaf.AGAIN, number)

    def _whole(self, value: Any, expression: list[Any]) -> list[Any]:
        self._depth -= 1
        key = id(value)
        if not self.shares:
            del self._seen[key]  # only what is inside itself is of interest
            return expression
        number = self._numbers.get(key)
        if number is not None:  # it was met again inside itself
            return [with_number(Mark.SHARED, number), expression]
        self._seen[key] = expression
        return expression

    # Plain values.

    def _buffer(self, value: bytes | bytearray | memoryview) -> Any:
        if type(value) is memoryview:
            # One of another shape than bytes is sent as its bytes, in order.
            value = value if value.contiguous and value.format == "B" and value.ndim == 1 else value.tobytes()
        if len(value) < OUT_OF_BAND:
            return value
        # What may change before it is sent is copied now.
        self.buffers.append(value if type(value) is bytes else bytes(value))
        return with_number(Leaf.BUFFER, len(self.buffers) - 1)

    def _int(self, value: int) -> Any:
        return int_form(value)

    def _str(self, value: str) -> str:
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InsecureJelly("a str with lone surrogates has no UTF-8 form; send its bytes instead") from None
        return value

    def _as_it_is(self, value: Any) -> Any:
        return value

    def _dictionary(self, value: dict[Any, Any]) -> Any:
        met = self._inside(value)
        if met is not None:
            return met
        named = not self.shares and all(type(key) is str for key in value)
        form: list[Any] = [MARKS[Mark.MAP]]
        for key, element in value.items():
            try:
                form += [self._jelly(key), self._jelly(element)]
            except InsecureJelly as error:
                error.inside(f"[{value_text(key)}]")
                raise
        whole = self._whole(value, form)
        return dict(zip(form[1::2], form[2::2], strict=True)) if named else whole

    # Flavors.

    def _referenceable(self, value: Referenceable) -> Any:
        export_id = self._ledger.export(value)
        self._exported.append(export_id)
        return with_number(Leaf.REMOTE, export_id)

    def _viewable(self, value: Viewable) -> Any:
        return self._referenceable(Viewpoint(self.perspective, value))

    def _held(self, value: Held) -> Any:
        return held_form(self._ledger.id_at_home(value))

    def _remote_cache(self, value: RemoteCache) -> Any:
        export_id = self._ledger.id_at_home(value)
        assert isinstance(export_id, int)  # caches have no names
        return with_number(Leaf.LOCAL_CACHE, export_id)

    def _copyable(self, value: Copyable) -> Any:
        met = self._inside(value)
        if met is not None:
            return met
        tag, state = supply(self.supplied, value, self.perspective)
        self._in_states += 1
        form = [MARKS[Mark.COPY], tag, self._jelly(state)]
        self._in_states -= 1
        return self._whole(value, form)

    def _cacheable(self, value: Cacheable) -> Any:
        if id(value) in self._seen and self.shares:
            return self._met_before(value)
        cache_id, observer = self._ledger.export_cache(value, self.perspective)
        self._exported_caches.append(cache_id)
        if observer is None:
            return with_number(Leaf.CACHED, cache_id)  # never numbered: each one is a receipt
        self._inside(value)
        self._new_caches.append(cache_id)
        tag = hook(value, "get_type_to_copy_for")(self.perspective)
        state = hook(value, "get_state_to_cache_and_observe_for")(self.perspective, observer)
        self._in_states += 1
        form = [with_number(Mark.CACHE, cache_id), _text(tag), self._jelly(state)]
        self._in_states -= 1
        return self._whole(value, form)

    def _plain_copy(self, value: object) -> Any:
        met = self._inside(value)
        if met is not None:
            return met
        copier = self._ledger.registry.copier(type(value))
        assert copier is not None  # this encoder was chosen because there is one
        return self._whole(value, [MARKS[Mark.COPY], copier.tag, self._jelly(copier.state(value))])

    def _instance(self, value: object) -> Any:
        met = self._inside(value)
        if met is not None:
            return met
        state = self._jelly(value.__getstate__())
        return self._whole(value, [MARKS[Mark.COPY], qualified_name(type(value)), state])

    def _failure(self, value: BaseException) -> Any:
        return failure_form(value, raised=True, with_traceback=False)

    # Things that cross by name, and things that did not cross.

    def _named(self, value: type | FunctionType | ModuleType) -> Any:
        kind, name = self._policy.name_of(value)
        return Ext(Leaf.NAMED, f"{kind}:{name}".encode())

    def _unpersistable(self, value: Unpersistable) -> Any:
        return Ext(Leaf.PLACEHOLDER, value.reason.encode())

    def _promised(self, value: Promised) -> Any:
        return with_number(Leaf.PROMISE, value.call_id)


def supply(supplied: Supplied, value: Copyable, perspective: Any) -> tuple[str, Any]:
    """The tag and the state of `value`, as `perspective` sees it. Raises whatever its hooks raise."""
    key = id(value), id(perspective)
    known = supplied.get(key)
    if known is None:
        try:
            tag = _text(hook(value, "get_type_to_copy_for")(perspective))
            state = hook(value, "get_state_to_copy_for")(perspective)
        except BaseException as error:
            supplied[key] = value, None, None, error
            raise
        supplied[key] = value, tag, state, None
        return tag, state
    _, tag, state, failed = known
    if failed is not None:
        raise failed
    return tag, state


def int_form(value: int) -> Any:
    """What stands for an int: itself, where the codec has a form for it."""
    return value if -(2**63) <= value < 2**64 else WRITERS[int][1](value)


def held_form(export_id: int | bytes) -> Ext:
    """What stands for an object of the receiver's."""
    return Ext(Leaf.LOCAL_NAME, export_id) if isinstance(export_id, bytes) else with_number(Leaf.LOCAL, export_id)


def failure_form(error: BaseException, *, raised: bool, with_traceback: bool) -> list[Any]:
    """What stands for an exception: what is told of it, and whether a method raised it."""
    told = report(error, names_of(type(error)), with_traceback=with_traceback)
    details = None if raised else _details(error)
    # An error that passes through is no broker's of this connection.
    return report_form(told, raised=raised or isinstance(error, RemoteError), details=details)


def _details(error: BaseException) -> dict[str, Any] | None:
    if isinstance(error, LimitExceeded) and error.limit:
        asked = error.asked and int_form(error.asked)
        return {"limit": error.limit, "value": int_form(error.value), "asked": asked}
    if isinstance(error, InvalidArgument) and error.argument:
        return {name: _utf8(getattr(error, name)) for name in InvalidArgument.facts}
    return None


def report_form(told: FailureReport, *, raised: bool, details: dict[str, Any] | None = None) -> list[Any]:
    """What stands for an exception of which just that is told."""
    parents = [_utf8(parent) for parent in told.parents]
    traceback = told.traceback and _utf8(told.traceback)
    return [MARKS[Mark.FAILURE], _utf8(told.name), _utf8(told.text), parents, traceback, raised, details]


def written_by(write: Callable[[Any], Ext]) -> Encoder:
    """The encoder of values that `write` writes, whoever asks."""
    return lambda _, value: write(value)


def _elements(mark: Mark | None) -> Encoder:
    """The encoder of a container of elements."""
    start = [MARKS[mark]] if mark is not None else []

    def encode(lowering: Lowering, value: Iterable[Any]) -> Any:
        """Write `value` and its elements."""
        met = lowering._inside(value)
        if met is not None:
            return met
        form = start.copy()
        lower = lowering._jelly
        try:
            for element in value:
                form.append(lower(element))
        except InsecureJelly as error:
            error.inside(f"[{len(form) - len(start)}]")
            raise
        return lowering._whole(value, form)

    return encode


_CONTAINERS: dict[type, tuple[str, Encoder]] = {
    list: ("list", _elements(None)),
    tuple: ("tuple", _elements(Mark.TUPLE)),
    dict: ("dictionary", Lowering._dictionary),
    set: ("set", _elements(Mark.SET)),
    frozenset: ("frozenset", _elements(Mark.FROZENSET)),
}

_PLAIN: dict[type, tuple[str, Encoder]] = {
    **{cls: (kind, written_by(write)) for cls, (kind, write) in WRITERS.items()},
    type(None): ("None", Lowering._as_it_is),
    bool: ("boolean", Lowering._as_it_is),
    int: ("", Lowering._int),
    float: ("", Lowering._as_it_is),
    str: ("str", Lowering._str),
    bytes: ("", Lowering._buffer),
    bytearray: ("", Lowering._buffer),
    memoryview: ("", Lowering._buffer),
    Promised: ("", Lowering._promised),
}

_FLAVORS: dict[type, Encoder] = {
    Referenceable: Lowering._referenceable,
    Viewable: Lowering._viewable,
    Cacheable: Lowering._cacheable,
    Copyable: Lowering._copyable,
    RemoteCache: Lowering._remote_cache,
    Held: Lowering._held,
    type: Lowering._named,
    FunctionType: Lowering._named,
    ModuleType: Lowering._named,
    Unpersistable: Lowering._unpersistable,
}


def find_encoders(types: frozenset[str]) -> Encoders:
    """The encoders of plain values of these `types`; those of classes are found, and added to it, as they come."""
    known = {**_PLAIN, **_CONTAINERS}
    return {cls: encoder for cls, (kind, encoder) in known.items() if not kind or kind in types}


def flavor_encoder(cls: type) -> Encoder | None:
    """How instances of `cls` are written by what they are: of several flavors, by the nearest ancestor's, as in PB."""
    return next((_FLAVORS[ancestor] for ancestor in cls.__mro__ if ancestor in _FLAVORS), None)


def _text(tag: str | bytes) -> str:
    return tag.decode(errors="backslashreplace") if isinstance(tag, bytes) else tag


def _utf8(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()
