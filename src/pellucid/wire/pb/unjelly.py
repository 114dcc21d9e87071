"""Unjelly: s-expressions from the peer as objects. Everything here is hostile until it has been looked at.

An expression is bytes, an int, a float, or a list that starts with its tag. Cycles are built by making the mutable
object first and filling it afterwards; a tuple or frozenset that is referred to from inside itself leaves a gap in a
mutable container, which is filled once the tuple is whole.

Shared structure is counted each time it is met (`Limits.expanded_elements`), so that what this side hands on can't be
larger than what it took in by more than that.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from functools import lru_cache
from typing import Any, cast

from pellucid.errors import InsecureJelly, LimitExceeded, RemoteProtocolError
from pellucid.flavors.cacheable import RemoteCache
from pellucid.flavors.copyable import PlainCopier, RemoteCopy
from pellucid.flavors.failures import FailureReport, rebuild
from pellucid.flavors.hooks import hook
from pellucid.flavors.registry import Factory, Receiver
from pellucid.flavors.serializable import Held, Unpersistable
from pellucid.wire.dialect import Ledger
from pellucid.wire.pb.names import FAILURE, NO_TRACEBACK, own_error
from pellucid.wire.pb.plain import READERS, id_operand, operand, string_operand, tag_of

__all__ = ["Decoders", "Unjellier", "find_decoders"]

Decoder = Callable[[Any, list[Any]], Any]
"""Reads one kind of expression. It is given the `Unjellier`, which may be a door's own, and the expression."""

Decoders = dict[bytes, Decoder]
"""How expressions with these tags are read."""

Fill = Callable[[Any], None]
"""Puts an object where it belongs."""


class _Unfinished:
    """Stands for a tuple or frozenset that is referred to before it is whole."""

    __slots__ = ("gaps",)

    def __init__(self) -> None:
        self.gaps: list[Fill] = []


class Unjellier:
    """Reads the values of one message, and remembers what it took from the ledger."""

    def __init__(self, ledger: Ledger, decoders: Decoders, *, placeholders: bool) -> None:
        self.references: dict[int, int] = {}
        """Receipts of references taken so far, by id."""
        self.caches: dict[int, int] = {}
        """Receipts of caches taken so far, by id."""
        self._ledger = ledger
        self._policy = ledger.policy
        self._decoders = decoders
        self._placeholders = placeholders or self._policy.accept_placeholders
        self._count = 0
        self._odd_keys = 0
        self._most = ledger.limits.expanded_elements
        self._start()

    def _start(self) -> None:
        # By number: the object, or _Unfinished while it can't be had yet.
        self._shared: dict[int, Any] = {}
        # By number: how many elements it stands for.
        self._sizes: dict[int, int] = {}
        # States that have gaps still, to be set when the message is whole.
        self._late: list[Callable[[], None]] = []
        self._open_gaps = 0
        self._dereferences = 0
        self._finishers: list[Callable[[], None]] = []

    def read(self, expression: Any, tag: bytes | None = None) -> Any:
        """The object that `expression`, one of its own, stands for.

        Where a `tag` is given it must be that kind of container, whatever the policy says of its type.

        Raises:
            InsecureJelly: something in it may not cross.
            LimitExceeded: shared structure stands for too much.
            RemoteProtocolError: it makes no sense.
            Exception: whatever an application's hook raised.
        """
        self._start()
        try:
            value = self._unjelly(expression) if tag is None else self._read_container(expression, tag)
            if self._open_gaps:
                raise RemoteProtocolError("a tuple directly contains itself")
            for set_state in self._late:
                set_state()
            for finish in self._finishers:
                finish()
        except RecursionError:
            raise LimitExceeded("nesting", self._ledger.limits.nesting) from None
        return value

    def _unjelly(self, expression: Any) -> Any:
        if type(expression) is not list:
            return expression
        try:
            decoder = self._decoders.get(expression[0])
        except (IndexError, TypeError):
            raise RemoteProtocolError("a list does not start with a tag") from None
        return self._tagged(expression) if decoder is None else decoder(self, expression)

    def _read_container(self, expression: Any, tag: bytes) -> Any:
        if type(expression) is not list or tag_of(expression) != tag:
            raise RemoteProtocolError(f"there is no {tag.decode()} where one belongs")
        _, decoder = _CONTAINERS[tag]
        return decoder(self, expression)

    def _counted(self, elements: int) -> None:
        self._count += elements
        if self._count > self._most:
            raise LimitExceeded("expanded_elements", self._most)

    # Containers. Each has a form that fills an object made before, for cycles.

    def _list(self, expression: list[Any], number: int | None = None) -> list[Any]:
        self._counted(len(expression))
        result: list[Any] = []
        if number is not None:
            self._shared[number] = result
        append, unjelly = result.append, self._unjelly
        for element in expression[1:]:
            if type(element) is list:
                element = unjelly(element)
                if type(element) is _Unfinished:
                    self._leave_gap(element, _item_filler(result, len(result)))
            append(element)
        return result

    def _dictionary(self, expression: list[Any], number: int | None = None) -> dict[Any, Any]:
        self._counted(2 * len(expression))
        result: dict[Any, Any] = {}
        if number is not None:
            self._shared[number] = result
        unjelly = self._unjelly
        for pair in expression[1:]:
            if type(pair) is not list or len(pair) != 2:
                raise RemoteProtocolError("a dictionary holds something else than pairs")
            key, value = pair
            if type(key) is list:
                key = unjelly(key)
            if type(key) is not str:
                self._check_key(key)
            if type(value) is list:
                value = unjelly(value)
                if type(value) is _Unfinished:
                    self._leave_gap(value, _item_filler(result, key))
            try:
                result[key] = value
            except (AttributeError, TypeError):  # a copy that has no state yet may lack what its hash wants
                raise RemoteProtocolError(f"a {type(key).__name__} can't be a dictionary key") from None
        return result

    def _tuple(self, expression: list[Any]) -> Any:
        members = self._members(expression)
        if self._open_gaps and _Unfinished in map(type, members):
            return self._tuple_later(members)
        return tuple(members)

    def _tuple_later(self, members: list[Any]) -> _Unfinished:
        """What stands for a tuple until its members, of which some are not finished, all are."""
        later = _Unfinished()
        self._open_gaps += 1
        waiting = 0

        def filler(index: int) -> Fill:
            def fill(member: Any) -> None:
                nonlocal waiting
                members[index] = member
                waiting -= 1
                if not waiting:
                    self._fill_gaps(later, tuple(members))

            return fill

        for index, member in enumerate(members):
            if type(member) is _Unfinished:
                waiting += 1
                self._leave_gap(member, filler(index))
        return later

    def _frozenset(self, expression: list[Any]) -> frozenset[Any]:
        members = self._members(expression)
        for member in members:
            self._check_key(member)
        try:
            return frozenset(members)
        except (AttributeError, TypeError):
            raise RemoteProtocolError("a member of a frozenset can't be hashed") from None

    def _set(self, expression: list[Any], number: int | None = None) -> set[Any]:
        result: set[Any] = set()
        if number is not None:
            self._shared[number] = result
        members = self._members(expression)
        for member in members:
            self._check_key(member)
        try:
            result.update(members)
        except (AttributeError, TypeError):
            raise RemoteProtocolError("a member of a set can't be hashed") from None
        return result

    def _members(self, expression: list[Any]) -> list[Any]:
        self._counted(len(expression))
        members: list[Any] = []
        for element in expression[1:]:  # a comprehension would cost a level of Python 3.11's stack
            members.append(self._unjelly(element) if type(element) is list else element)
        return members

    def _check_key(self, key: Any) -> None:
        """Count `key` where the peer can choose its hash, and so make every look-up slow."""
        cls = type(key)
        if cls is _Unfinished:
            raise RemoteProtocolError("a dictionary key or a member of a set directly contains itself")
        if cls is not tuple and cls is not frozenset and _freedom(key) < 2:
            return
        # All that is in it counts too, for comparing two keys of one hash walks through that.
        limit, leaves, freedom = self._ledger.limits.odd_keys, 0, 0
        waiting = [key]
        for part in waiting:
            if isinstance(part, tuple | frozenset):
                waiting.extend(part)
                continue
            leaves += 1
            freedom += _freedom(part)
            if freedom > 1 and self._odd_keys + leaves > limit:
                raise LimitExceeded("odd_keys", limit)
        self._counted(len(waiting))  # a key in a key in a key is walked through again at each level
        if freedom > 1:
            self._odd_keys += leaves

    # Shared objects.

    def _reference(self, expression: list[Any]) -> Any:
        number, inner = operand(expression, 1), operand(expression, 2)
        if type(number) is not int or number in self._shared:
            raise RemoteProtocolError("a reference's number is no number, or stands for two objects")
        before = self._count
        decoder = self._decoders.get(tag_of(inner)) if type(inner) is list else None
        if decoder in _FILLED_LATER:
            value = cast(Any, decoder)(self, inner, number)
        elif type(inner) is list and decoder is None:
            value = self._tagged(inner, number)
        else:
            unfinished = self._shared[number] = _Unfinished()
            value = self._unjelly(inner)
            if decoder is Unjellier._dereference:
                raise RemoteProtocolError("a reference stands for nothing but another one")
            if type(value) is _Unfinished:  # a tuple that waits for another: what waits for this one waits on
                value.gaps += unfinished.gaps
                self._open_gaps += 1
                self._leave_gap(value, _item_filler(self._shared, number))
            else:
                self._fill_gaps(unfinished, value)
        self._shared[number] = value
        self._sizes[number] = self._count - before
        return value

    def _dereference(self, expression: list[Any]) -> Any:
        number = operand(expression, 1)
        if type(number) is not int or number not in self._shared:
            raise RemoteProtocolError("a dereference has no reference before it")
        self._counted(self._sizes.get(number, 1))
        self._dereferences += 1
        value = self._shared[number]
        if type(value) is _Unfinished:
            self._open_gaps += 1
        return value

    def _leave_gap(self, unfinished: _Unfinished, fill: Fill) -> None:
        unfinished.gaps.append(fill)

    def _fill_gaps(self, unfinished: _Unfinished, value: Any) -> None:
        """`value` is what `unfinished` stood for."""
        for fill in unfinished.gaps:
            fill(value)
        self._open_gaps -= len(unfinished.gaps)

    # Flavors.

    def _remote(self, expression: list[Any]) -> Any:
        return self.reference(id_operand(expression))

    def reference(self, export_id: int, cls: type[Held] | None = None) -> Any:
        """The reference to that object of the peer's, made as an instance of `cls` where it is new."""
        value = self._ledger.import_reference(export_id, cls)
        self.references[export_id] = self.references.get(export_id, 0) + 1
        return value

    def _local(self, expression: list[Any]) -> Any:
        export_id = operand(expression, 1)
        if type(export_id) is not int and type(export_id) is not bytes:
            raise RemoteProtocolError("the id of an object that comes home is neither a number nor a name")
        return self._ledger.exported(export_id)

    def _cached(self, expression: list[Any]) -> Any:
        cache_id = id_operand(expression)
        value = self._ledger.imported_cache(cache_id)
        self.caches[cache_id] = self.caches.get(cache_id, 0) + 1
        return value

    def _lcache(self, expression: list[Any]) -> Any:
        return self._ledger.exported_cache(id_operand(expression))

    def _tagged(self, expression: list[Any], number: int | None = None) -> Any:
        tag = tag_of(expression).decode(errors="backslashreplace")
        receiver = self._ledger.registry.receiver(tag)
        if receiver is None:
            cls = self._policy.instance_class(tag)
            if cls is None:
                raise InsecureJelly(f"{tag[:200]} may not cross; register it, or allow it, on the receiving side")
            return self._instance(cls, expression, number)
        if not isinstance(receiver, type) or not issubclass(receiver, RemoteCopy):
            return self._built(receiver, expression, number)
        if issubclass(receiver, RemoteCache):
            return self._remote_cache(receiver, expression, number)
        copy: Any = receiver.__new__(receiver)
        self._fill(copy, hook(copy, "set_copyable_state"), operand(expression, 1), number)
        return copy

    def _built(self, receiver: Receiver, expression: list[Any], number: int | None) -> Any:
        if isinstance(receiver, PlainCopier):
            blank = receiver.blank()
            if blank is not None:
                self._fill(blank, lambda state: receiver.build(blank, state), operand(expression, 1), number)
                return blank
            return receiver.build(None, self._whole_state(operand(expression, 1)))
        factory = cast(Factory, receiver)
        return factory(self._whole_state(operand(expression, 1)))

    def _instance(self, cls: type[Any], expression: list[Any], number: int | None) -> Any:
        instance = cast(Any, cls).__new__(cls)
        self._fill(instance, _plain_filler(instance), operand(expression, 1), number)
        return instance

    def _remote_cache(self, make: Callable[[], RemoteCache], expression: list[Any], number: int | None) -> Any:
        cache_id, state = id_operand(expression), operand(expression, 2)
        copy = self._ledger.import_cache(cache_id, make)
        self.caches[cache_id] = self.caches.get(cache_id, 0) + 1

        def set_state(value: Any) -> None:
            hook(copy, "set_copyable_state")(value)
            self._cache_filled(copy, cache_id)

        self._fill(copy, set_state, state, number)
        return copy

    def _cache_filled(self, copy: RemoteCache, cache_id: int) -> None:
        """`copy` has its state."""
        self._ledger.cache_filled(cache_id)

    def _fill(self, obj: Any, set_state: Fill, state_expression: Any, number: int | None) -> None:
        """Give `obj`, made just now, its state: at once, or at the end where the state has gaps until then."""
        if number is not None:
            self._shared[number] = obj
        before = self._dereferences
        # As in _state, which would cost a level of Python's stack.
        placeholders, self._placeholders = self._placeholders, True
        state = self._unjelly(state_expression)
        self._placeholders = placeholders
        if type(state) is _Unfinished:
            raise RemoteProtocolError("a copy's state directly contains the copy")
        if self._open_gaps and self._dereferences > before:  # it may hold a gap, or something that does
            self._late.append(lambda: set_state(state))
        else:
            set_state(state)
        self._finish(obj)

    def _finish(self, obj: Any) -> None:
        """Run the hook that `obj` may have for the moment when the whole message is there."""
        if hasattr(type(obj), "post_unjelly") or hasattr(type(obj), "postUnjelly"):
            self._finishers.append(hook(obj, "post_unjelly"))

    def _state(self, expression: Any) -> Any:
        # Inside a copy's own state a placeholder is the sender's business (parity with twisted.web.distrib).
        placeholders, self._placeholders = self._placeholders, True
        try:
            state = self._unjelly(expression)
        finally:
            self._placeholders = placeholders
        if type(state) is _Unfinished:
            raise RemoteProtocolError("a copy's state directly contains the copy")
        return state

    def _whole_state(self, expression: Any) -> Any:
        """The state of a copy that is built in one go, which can't have gaps."""
        before = self._dereferences
        state = self._state(expression)
        if self._open_gaps and self._dereferences > before:
            raise RemoteProtocolError("a copy that is built in one go is part of a tuple that is not whole yet")
        return state

    def _failure(self, expression: list[Any]) -> Exception:
        state = self._state(operand(expression, 1))
        if not isinstance(state, dict):
            raise RemoteProtocolError("a failure's state is not a dictionary")
        # A Python 2 peer writes the names as bytes; an older peer lacks some of them.
        told = {_text(key): value for key, value in state.items()}
        parents, traceback = told.get("parents"), _text(told.get("traceback"))
        report = FailureReport(
            name=_text(told.get("type")),
            text=_text(told.get("value")),
            parents=tuple(map(_text, parents)) if isinstance(parents, list) else (),
            traceback=traceback if traceback != NO_TRACEBACK else None,
        )
        return rebuild(report, own_error(report.name) or self._ledger.registry.error_class(report.name))

    # Things that cross by name, and things that do not cross.

    def _named(self, expression: list[Any]) -> Any:
        kind = tag_of(expression).decode()
        return self._policy.named(kind, string_operand(expression).decode(errors="backslashreplace"))

    def _unpersistable(self, expression: list[Any]) -> Unpersistable:
        reason = string_operand(expression).decode(errors="backslashreplace")
        if not self._placeholders:
            raise InsecureJelly(f"an object that could not be sent: {reason[:200]}")
        return Unpersistable(f"Unpersistable data: {reason}")

    def _persistent(self, expression: list[Any]) -> Unpersistable:
        return Unpersistable("Persistent callback not found")


_CONTAINERS: dict[bytes, tuple[str, Decoder]] = {
    b"list": ("list", Unjellier._list),
    b"tuple": ("tuple", Unjellier._tuple),
    b"dictionary": ("dictionary", Unjellier._dictionary),
    b"set": ("set", Unjellier._set),
    b"frozenset": ("frozenset", Unjellier._frozenset),
}

_ALWAYS: Decoders = {
    b"reference": Unjellier._reference,
    b"dereference": Unjellier._dereference,
    b"remote": Unjellier._remote,
    b"local": Unjellier._local,
    b"cached": Unjellier._cached,
    b"lcache": Unjellier._lcache,
    b"class": Unjellier._named,
    b"module": Unjellier._named,
    b"function": Unjellier._named,
    b"unpersistable": Unjellier._unpersistable,
    b"persistent": Unjellier._persistent,
    FAILURE: Unjellier._failure,
}

_SALTED = frozenset({str, bytes, bool, type(None), datetime.datetime, datetime.date, datetime.time})

_FILLED_LATER = (Unjellier._list, Unjellier._dictionary, Unjellier._set)


@lru_cache
def find_decoders(types: frozenset[str]) -> Decoders:
    """The decoders of all but what the registry knows, plain values being of these `types`; don't change it."""
    known: dict[bytes, tuple[str, Decoder]] = {**READERS, **_CONTAINERS}
    return _ALWAYS | {tag: decoder for tag, (kind, decoder) in known.items() if kind in types}


def _freedom(key: Any) -> int:
    """How many numbers a peer is free to choose without changing the hash of `key`, as far as it matters."""
    cls = type(key)
    if cls in _SALTED:
        return 0
    # Of these no more than a few dozen have one hash; it takes two of them in a tuple to find more.
    if cls is float or (cls is int and -(2**63) <= key < 2**63):
        return 1
    return 2


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    return value if isinstance(value, str) else ""


def _plain_filler(instance: Any) -> Fill:
    # Not looked for on the instance: a __getattr__ that delegates to an attribute would look for that for ever.
    if hasattr(type(instance), "__setstate__"):
        fill: Fill = instance.__setstate__
        return fill
    return lambda state: instance.__dict__.update(state or {})


def _item_filler(container: Any, key: Any) -> Fill:
    def fill(value: Any) -> None:
        container[key] = value

    return fill
