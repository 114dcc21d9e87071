"""Unjelly: s-expressions from the peer as objects. Everything here is hostile until it has been looked at.

An expression is bytes, an int, a float, or a list that starts with its tag; `containers` has those that hold others.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, cast

from pellucid.errors import InsecureJelly, RemoteProtocolError
from pellucid.flavors.cacheable import RemoteCache
from pellucid.flavors.copyable import PlainCopier, RemoteCopy, by_name
from pellucid.flavors.failures import FailureReport, rebuild
from pellucid.flavors.hooks import hook
from pellucid.flavors.registry import Factory, Receiver
from pellucid.flavors.serializable import Held, Unpersistable
from pellucid.wire.dialect import Ledger
from pellucid.wire.messages import ExportId
from pellucid.wire.names import FAILURE, NO_TRACEBACK, own_error
from pellucid.wire.numbered import Numbered, count
from pellucid.wire.pb.containers import CONTAINERS, SHARED, Containers, Decoder, Decoders, Fill, Unfinished
from pellucid.wire.pb.plain import READERS, id_operand, operand, string_operand, tag_of

__all__ = ["Unjellier", "attributes_filler", "find_decoders"]


class Unjellier(Containers):
    """Reads the values of one message, and remembers what it took from the ledger."""

    def __init__(self, ledger: Ledger, decoders: Decoders, *, placeholders: bool) -> None:
        super().__init__(ledger.limits, decoders)
        self.references: Numbered[int] = Numbered()
        """Receipts of references taken so far, by id."""
        self.caches: Numbered[int] = Numbered()
        """Receipts of caches taken so far, by id."""
        self.target: ExportId | None = None
        """The object of ours that is called with these values, where they are a call's arguments."""
        self._ledger = ledger
        self._policy = ledger.policy
        self._placeholders = placeholders or self._policy.accept_placeholders

    # Flavors.

    def _remote(self, expression: list[Any]) -> Any:
        return self.reference(self._id_of(expression))

    def _id_of(self, expression: list[Any]) -> int:
        """The number of what the peer has exported."""
        return id_operand(expression)

    def reference(self, export_id: int, cls: type[Held] | None = None) -> Any:
        """The reference to that object of the peer's, made as an instance of `cls` where it is new."""
        value = self._ledger.import_reference(export_id, cls, self.target)
        count(self.references, export_id)
        return value

    def _local(self, expression: list[Any]) -> Any:
        export_id = operand(expression, 1)
        if type(export_id) is not int and type(export_id) is not bytes:
            raise RemoteProtocolError("the id of an object that comes home is neither a number nor a name")
        return self._ledger.exported(export_id)

    def _cached(self, expression: list[Any]) -> Any:
        cache_id = id_operand(expression)
        value = self._ledger.imported_cache(cache_id)
        count(self.caches, cache_id)
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
        self._fill(instance, attributes_filler(instance), operand(expression, 1), number)
        return instance

    def _remote_cache(self, make: Callable[[], RemoteCache], expression: list[Any], number: int | None) -> Any:
        cache_id, state = self._id_of(expression), operand(expression, 2)
        copy = self._ledger.import_cache(cache_id, make)
        count(self.caches, cache_id)

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
        if type(state) is Unfinished:
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
        if type(state) is Unfinished:
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


_ALWAYS: Decoders = {
    **SHARED,
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


@lru_cache
def find_decoders(types: frozenset[str]) -> Decoders:
    """The decoders of all but what the registry knows, plain values being of these `types`; don't change it."""
    known: dict[bytes, tuple[str, Decoder]] = {**READERS, **CONTAINERS}
    return _ALWAYS | {tag: decoder for tag, (kind, decoder) in known.items() if kind in types}


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    return value if isinstance(value, str) else ""


def attributes_filler(obj: Any) -> Fill:
    """How an object without a flavor takes its state: by its ``__setstate__``, or as its attributes."""
    # Not looked for on the instance: a __getattr__ that delegates to an attribute would look for that for ever.
    if hasattr(type(obj), "__setstate__"):
        fill: Fill = obj.__setstate__
        return fill

    def set_attributes(state: Any) -> None:
        if state and not isinstance(state, dict):
            raise RemoteProtocolError(f"the state of a {type(obj).__name__} is not a dictionary")
        obj.__dict__ = by_name(state) if state else {}

    return set_attributes
