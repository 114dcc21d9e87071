"""Values out of msgpack. Everything here is hostile until it has been looked at.

The codec hands each extension to `Reader.take` as it comes by. Most are whole values by then; the others are marks,
which say what the array stands for that they begin. Only where there are such is what the codec made walked through:
what is nothing but plain values costs nothing here.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Sequence
from typing import Any, ClassVar

from pellucid.errors import InsecureJelly, InvalidArgument, LimitExceeded, RemoteProtocolError, told_without_traceback
from pellucid.flavors.cacheable import RemoteCache
from pellucid.flavors.failures import FailureReport, rebuild
from pellucid.flavors.policy import BASIC_TYPES
from pellucid.flavors.serializable import Held
from pellucid.wire.dialect import Ledger
from pellucid.wire.messages import CallFailed, Promised
from pellucid.wire.names import FAILURE, broker_error, method_error
from pellucid.wire.native.codes import Leaf, Mark, number_of
from pellucid.wire.native.expressions import flaw_of
from pellucid.wire.native.plain import READERS
from pellucid.wire.numbered import Numbered, count
from pellucid.wire.pb.containers import Unfinished, item_filler
from pellucid.wire.pb.disowned import receipts_in
from pellucid.wire.pb.unjelly import Unjellier, find_decoders

__all__ = ["Reader", "Taker"]

Taker = Callable[[Any, int, bytes], Any]
"""Takes an extension that a reader came by, given its type and its body."""

_KINDS: dict[type, str] = {type(None): "None", bool: "boolean", str: "str", list: "list", dict: "dictionary"}
"""What `Policy.types` calls the plain types that the codec reads by itself, where it may refuse them."""


_FLAW = 0
"""The code of what stands where something made no sense: `Reader` knows why."""


class _Marked:
    """The first element of an array, which says what that stands for; or a value that can't be had yet."""

    __slots__ = ("code", "number", "text")

    def __init__(self, code: int, number: int, text: str = "") -> None:
        self.code = code
        self.number = number
        self.text = text


class Reader(Unjellier):
    """Reads the values of one message after another, and remembers what it takes from the ledger until it leaves it."""

    remembers_nothing: ClassVar[bool] = True
    """Whether nothing changes from one message to the next but by what is found in them."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger, find_decoders(ledger.policy.types), placeholders=False)
        self.promises: int = 0
        """How many promises are among the values of the message."""
        self.brings_home: bool = False
        """Whether objects of this side are among them."""
        self._types = ledger.policy.types
        self._is_restricted = not self._types >= BASIC_TYPES
        self._checks = self._restricts()
        self.is_plain: bool = True
        """Whether the values of the message are what the codec made of them, each and all."""
        self.buffers: Sequence[bytes] = ()
        """Those that came with the message."""
        self.has_jelly: bool = False
        """Whether s-expressions are among the values."""
        self._reads_jelly = False
        self._walks = self._checks
        self._depth = 0
        self._is_fresh = True
        self.is_ready: bool = False
        """Whether a message without buffers can be read as if `begin` had been called."""
        self._error: Exception | None = None
        # Bytes of leaves that have many, by id() of their values, and the buffers that were named.
        self._long: dict[int, int] = {}
        self._named_buffers: set[int] = set()
        # Receipts that came with the message, whether or not they are taken.
        self._came: Numbered[int] = Numbered()
        self._caches_came: Numbered[int] = Numbered()

    def values(self, values: list[Any], *, placeholders: bool) -> list[Any]:
        """The objects that `values`, which are some of the message's, stand for; then `finish`.

        Raises:
            InsecureJelly: something in it may not cross.
            LimitExceeded: it stands for too much, or is nested too deeply.
            RemoteProtocolError: it makes no sense.
            Exception: whatever an application's hook raised.
        """
        if not self._walks and self._error is None:
            return values
        self._placeholders = placeholders or self._policy.accept_placeholders
        try:
            if self._error is not None:
                raise self._error
            return [self._unjelly(value) for value in values]
        except RecursionError:
            raise LimitExceeded("nesting", self._limits.nesting) from None

    def each(self, values: list[Any], errors: Collection[int]) -> list[Any]:
        """As `values`, where each stands for itself: for one that can't be had there is `CallFailed`.

        At the places of `errors` are errors, which get through whatever may not cross.
        """
        self._placeholders = True
        checks, read = self._checks, list[Any]()
        for place, value in enumerate(values):
            before = self._open_gaps, len(self._late), len(self._finishers)
            self._checks = checks and place not in errors
            try:
                read.append(self._unjelly(value))
                if self._open_gaps > before[0]:
                    raise RemoteProtocolError("a tuple directly contains itself")
            except Exception as error:  # noqa: BLE001 - also what an application's hooks raise
                del read[place:]
                if isinstance(error, RecursionError):
                    error = LimitExceeded("nesting", self._limits.nesting)
                read.append(CallFailed(place, told_without_traceback(error)))
                # What it has left half done concerns no other.
                self._depth, self._placeholders = 0, True
                self._open_gaps, late, finishers = before
                del self._late[late:], self._finishers[finishers:]
        return read

    def finish(self) -> None:
        """All values of the message are read: complete what could not be whole before."""
        if self._open_gaps:
            raise RemoteProtocolError("a tuple directly contains itself")
        for set_state in self._late:
            set_state()
        for finish in self._finishers:
            finish()

    def references_in(self, values: list[Any]) -> Numbered[int]:
        """Receipts that came with the message, by number, of those references that are among `values`."""
        found: Numbered[int] = Numbered()
        waiting, seen = [*values], set[int]()
        while waiting:
            value = waiting.pop()
            cls = type(value)
            if cls is dict:
                inner = [*value, *value.values()]
            elif cls in (list, tuple, set, frozenset):
                inner = [*value]
            else:
                if isinstance(value, Held) and not isinstance(value, RemoteCache):
                    number = self._ledger.id_at_home(value)
                    if type(number) is int and number in self.references:
                        found[number] = self.references[number]
                continue
            if id(value) not in seen:
                seen.add(id(value))
                waiting += inner
        return found

    def give_back(self) -> None:
        """The message can't be delivered: give back what came with it; what was taken from it releases itself."""
        for number, taken in self.references.items():
            count(self._came, number, -taken)
        for number, taken in self.caches.items():
            count(self._caches_came, number, -taken)
        self._ledger.disown(self._came, self._caches_came)
        self._came.clear()
        self._caches_came.clear()

    def leave(self) -> None:
        """The message was read: hold nothing of it, and give back what came where nobody looked for values."""
        self.buffers = ()
        if self._came or self._caches_came:
            self.give_back()
        if self._walks:
            self._start()

    def begin(self, buffers: Sequence[bytes]) -> None:
        """A message begins; `buffers` came beside it."""
        self.buffers = buffers
        self._checks = self._restricts()
        if not self._is_fresh:
            self._forget()
        self.is_plain = not self._checks
        self._walks = self._checks
        self.is_ready = self.is_plain and self.remembers_nothing

    def look_through(self, message: list[Any]) -> None:
        """Note what came in the s-expressions of `message`, and whether they are any, before one of them is read."""
        waiting: list[Any] = [message]
        for item in waiting:
            if type(item) is dict:
                waiting.extend(item.values())
            elif type(item) is not list or not item:
                continue
            elif type(item[0]) is not _Marked or item[0].code != Mark.JELLY:
                waiting.extend(item)
            else:
                expression = item[1] if len(item) > 1 else None
                try:
                    flaw = flaw_of(expression, self._limits.nesting)
                    if flaw is not None:
                        raise RemoteProtocolError(f"an s-expression {flaw}")
                except (RemoteProtocolError, LimitExceeded) as error:
                    self._error = self._error or told_without_traceback(error)
                    item[0] = _Marked(_FLAW, 0)
                references, caches = receipts_in(expression)
                for number, came in references.items():
                    count(self._came, number, came)
                for number, came in caches.items():
                    count(self._caches_came, number, came)

    def trust(self) -> None:
        """Whatever kinds of plain value may not cross: in this message they may, which tells of an error."""
        self._checks = self.is_ready = False

    def _restricts(self) -> bool:
        """Whether some kinds of plain value may not cross at this moment."""
        return self._is_restricted

    def _forget(self) -> None:
        if self._walks:
            self._start()
        self._count = self._odd_keys = self._number_keys = self._depth = self.promises = 0
        self.brings_home = self.has_jelly = self._reads_jelly = False
        self._error = None
        self._is_fresh = True
        self._long.clear()
        self._named_buffers.clear()
        self.references.clear()
        self.caches.clear()
        self._came.clear()
        self._caches_came.clear()

    # What the codec finds: a door may have more to say of it.

    takers: ClassVar[dict[int, Taker]]
    """What takes an extension, by its type."""

    def take(self, code: int, body: bytes) -> Any:
        """What an extension stands for, or what is to be looked at once the whole message is there."""
        self._is_fresh = self.is_ready = False
        take: Taker = self.takers.get(code, Reader._take_unknown)
        try:
            return take(self, code, body)
        except Exception as error:  # noqa: BLE001 - the codec would swallow it
            self.is_plain = False
            self._walks = True
            if self._error is None:
                self._error = told_without_traceback(error)
            return _Marked(_FLAW, 0)

    def _take_unknown(self, code: int, body: bytes) -> Any:
        raise RemoteProtocolError(f"there is no extension type {code} in this version of the dialect")

    def _take_plain(self, code: int, body: bytes) -> Any:
        kind, read = READERS[code]
        self._allow(kind)
        try:
            value = read(body)
            if len(body) > _SHORT:
                self._long[id(value)] = len(body)
            return value
        except (ValueError, ArithmeticError, struct.error) as error:
            raise RemoteProtocolError(f"the body of a {kind or 'number'} makes no sense: {str(error)[:200]}") from None

    def _take_remote(self, code: int, body: bytes) -> Any:
        number = number_of(body)
        count(self._came, number)
        return self.reference(number)

    def _take_local(self, code: int, body: bytes) -> Any:
        self.brings_home, self.is_plain = True, False
        return self._ledger.exported(number_of(body))

    def _take_local_name(self, code: int, body: bytes) -> Any:
        return self._ledger.exported(body)

    def _take_local_cache(self, code: int, body: bytes) -> Any:
        self.brings_home, self.is_plain = True, False
        return self._ledger.exported_cache(number_of(body))

    def _take_promise(self, code: int, body: bytes) -> Any:
        self.promises += 1
        self.is_plain = False
        return Promised(number_of(body))

    def _take_buffer(self, code: int, body: bytes) -> Any:
        index = number_of(body)
        if index >= len(self.buffers):
            raise RemoteProtocolError("a buffer did not come with the message")
        buffer = self.buffers[index]
        if index in self._named_buffers:
            self._met_again(len(buffer))
        self._named_buffers.add(index)
        return buffer

    def _take_named(self, code: int, body: bytes) -> Any:
        kind, _, name = body.decode(errors="backslashreplace").partition(":")
        return self._policy.named(kind, name)

    def _take_mark(self, code: int, body: bytes) -> Any:
        self._walks = True
        self.is_plain = False
        return _Marked(code, 0)

    def _take_numbered(self, code: int, body: bytes) -> Any:
        marked: _Marked = self._take_mark(code, body)
        marked.number = number_of(body)
        return marked

    def _take_cache(self, code: int, body: bytes) -> Any:
        marked: _Marked = self._take_numbered(code, body)
        count(self._caches_came, marked.number)
        return marked

    def _take_jelly(self, code: int, body: bytes) -> Any:
        self.has_jelly = self.brings_home = True
        return self._take_mark(code, body)

    def _take_placeholder(self, code: int, body: bytes) -> Any:
        self._walks = True
        self.is_plain = False
        return _Marked(code, 0, body.decode(errors="backslashreplace"))

    # What is looked at afterwards.

    def _unjelly(self, expression: Any) -> Any:
        if self._reads_jelly:
            return super()._unjelly(expression)
        cls = type(expression)
        if cls is list:
            if expression and type(expression[0]) is _Marked:
                return self._array_of(expression[0], expression)
            return self._plain_list(expression)
        if cls is dict:
            return self._plain_dict(expression)
        if cls is _Marked:
            return self._single(expression)
        if self._checks and cls in _KINDS:
            self._allow(_KINDS[cls])
        if cls in _TEXTS:
            self._texts += len(expression)
        elif self._long:
            self._texts += self._long.get(id(expression), 0)
        return expression

    def _texts_in(self, expression: Any) -> int:
        return super()._texts_in(expression) if self._reads_jelly else 0  # others are counted as they are read

    def _allow(self, kind: str) -> None:
        if self._checks and kind and kind not in self._types:
            raise InsecureJelly(f"{kind} may not cross; allow it with Policy(types=[...]) on the receiving side")

    def _array_of(self, mark: _Marked, value: list[Any]) -> Any:
        read = _ARRAYS.get(mark.code)
        if read is None:
            return self._plain_list(value)  # which finds that it is none
        self._deeper()
        result = read(self, value)
        self._depth -= 1
        return result

    def _single(self, marked: _Marked) -> Any:
        match marked.code:
            case _ if self._error is not None and marked.code == _FLAW:
                raise self._error
            case Leaf.AGAIN:
                return self._again(marked.number)
            case Leaf.CACHED:
                return self._cached([b"cached", marked.number])
            case Leaf.PLACEHOLDER:
                self._texts += len(marked.text)
                return self._unpersistable([b"unpersistable", marked.text.encode()])
            case _:
                raise RemoteProtocolError("a mark is not the first element of an array")

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > self._limits.nesting:
            raise LimitExceeded("nesting", self._limits.nesting)

    def _plain_list(self, value: list[Any], number: int | None = None) -> list[Any]:
        """`value` itself, with what its elements stand for in their places."""
        self._allow("list")
        self._counted(len(value) + 1)
        self._deeper()
        if number is not None:
            self._shared[number] = value
        for index, element in enumerate(value):
            cls = type(element)
            if cls in _LOOKED_AT or self._checks:
                read = value[index] = self._unjelly(element)
                if type(read) is Unfinished:
                    self._leave_gap(read, item_filler(value, index))
            elif cls in _TEXTS:
                self._texts += len(element)
            elif self._long:
                self._texts += self._long.get(id(element), 0)
        self._depth -= 1
        return value

    def _plain_dict(self, value: dict[Any, Any], number: int | None = None) -> dict[Any, Any]:
        self._allow("dictionary")
        if value and self._checks:
            self._allow("str")
        self._counted(2 * len(value) + 1)
        self._deeper()
        if number is not None:
            self._shared[number] = value
        self._texts += sum(map(len, value))
        for key, element in value.items():
            cls = type(element)
            if cls in _LOOKED_AT or self._checks:
                read = value[key] = self._unjelly(element)
                if type(read) is Unfinished:
                    self._leave_gap(read, item_filler(value, key))
            elif cls in _TEXTS:
                self._texts += len(element)
            elif self._long:
                self._texts += self._long.get(id(element), 0)
        self._depth -= 1
        return value

    def _members(self, expression: list[Any], *, are_keys: bool = False) -> list[Any]:
        self._counted(len(expression))
        members: list[Any] = []
        for element in expression[1:]:
            before = self._count
            member = self._unjelly(element)
            if are_keys:
                self._check_key(member, before, len(expression) - 1)
            members.append(member)
        return members

    def _read_tuple(self, value: list[Any]) -> Any:
        self._allow("tuple")
        return self._tuple(value)

    def _read_frozenset(self, value: list[Any]) -> Any:
        self._allow("frozenset")
        return self._frozenset(value)

    def _read_set(self, value: list[Any], number: int | None = None) -> Any:
        self._allow("set")
        return self._set(value, number)

    def _read_map(self, value: list[Any], number: int | None = None) -> dict[Any, Any]:
        self._allow("dictionary")
        self._counted(len(value))
        if not len(value) & 1:
            raise RemoteProtocolError("a map holds something else than keys and values")
        result: dict[Any, Any] = {}
        if number is not None:
            self._shared[number] = result
        for index in range(1, len(value), 2):
            before = self._count
            key = self._unjelly(value[index])
            if type(key) is not str:
                self._check_key(key, before, len(value) // 2)
            element = self._unjelly(value[index + 1])
            if type(element) is Unfinished:
                self._leave_gap(element, item_filler(result, key))
            try:
                result[key] = element
            except (AttributeError, TypeError):  # a copy that has no state yet may lack what its hash wants
                raise RemoteProtocolError(f"a {type(key).__name__} can't be a dictionary key") from None
        return result

    def _read_copy(self, value: list[Any], number: int | None = None) -> Any:
        if len(value) < 3 or type(value[1]) is not str:
            raise RemoteProtocolError("a copy has a tag and a state")
        tag = value[1].encode()
        # An application may send what it tells of an error in its own way.
        return self._failure([tag, value[2]]) if tag == FAILURE else self._tagged([tag, value[2]], number)

    def _read_cache(self, value: list[Any], number: int | None = None) -> Any:
        if len(value) < 3 or type(value[1]) is not str:
            raise RemoteProtocolError("the copy of a cacheable has a tag and a state")
        receiver = self._ledger.registry.receiver(value[1])
        if receiver is not None and not (isinstance(receiver, type) and issubclass(receiver, RemoteCache)):
            raise RemoteProtocolError(f"{value[1][:200]} is sent as a cacheable, and its copies are no caches here")
        return self._tagged([value[1].encode(), value[0].number, value[2]], number)

    def _read_jelly(self, value: list[Any]) -> Any:
        before, self._reads_jelly = self._reads_jelly, True
        try:
            read = self._unjelly(value[1])
            self._texts += self._texts_in(value[1])
            return read
        finally:
            self._reads_jelly = before

    def _id_of(self, expression: list[Any]) -> int:
        number = super()._id_of(expression)
        if number < 0:
            raise RemoteProtocolError(f"the number of an object is {number}, and they count from 0")
        return number

    def _read_shared(self, value: list[Any]) -> Any:
        if len(value) < 2:
            raise RemoteProtocolError("an object that is met again has a number and no value")
        inner = value[1]
        mark = inner[0] if type(inner) is list and inner else None
        later = _FILLED_LATER.get(mark.code) if type(mark) is _Marked else _PLAIN_FILLED_LATER.get(type(inner))
        return self._define(value[0].number, inner, later)

    def _read_failure(self, value: list[Any]) -> Any:
        _, name, text, parents, traceback, raised, details = (value + [None] * 7)[:7]
        self._texts += sum(len(each) for each in (name, text, traceback) if type(each) is str)
        told = FailureReport(
            _text(name),
            _text(text),
            tuple(map(_text, parents)) if type(parents) is list else (),
            traceback if type(traceback) is str else None,
        )
        error = self._error_told(told, raised=bool(raised))
        if isinstance(error, LimitExceeded) and type(details) is dict:
            limit, most, asked = (details.get(key) for key in ("limit", "value", "asked"))
            if type(limit) is str and type(most) is int and (asked is None or type(asked) is int):
                error.limit, error.value, error.asked = limit, most, asked
        elif isinstance(error, InvalidArgument) and type(details) is dict:
            for key in InvalidArgument.facts:
                setattr(error, key, _text(details.get(key)))
        return error

    def _error_told(self, told: FailureReport, *, raised: bool) -> Any:
        """What an error is here of which that is told; whether the method `raised` it, or its broker."""
        known = method_error(told.name) if raised else broker_error(told.name)
        return rebuild(told, known or self._ledger.registry.error_class(told.name))


_LOOKED_AT = frozenset({list, dict, _Marked})
_TEXTS = frozenset({str, bytes})
_SHORT = 64
"""Bytes of a leaf up to which it counts as an element, and no more."""

Reader.takers = {
    **dict.fromkeys(READERS, Reader._take_plain),
    **dict.fromkeys(Mark, Reader._take_mark),
    Mark.CACHE: Reader._take_cache,
    Mark.SHARED: Reader._take_numbered,
    Mark.JELLY: Reader._take_jelly,
    Leaf.REMOTE: Reader._take_remote,
    Leaf.LOCAL: Reader._take_local,
    Leaf.LOCAL_NAME: Reader._take_local_name,
    Leaf.LOCAL_CACHE: Reader._take_local_cache,
    Leaf.CACHED: Reader._take_cache,
    Leaf.PROMISE: Reader._take_promise,
    Leaf.BUFFER: Reader._take_buffer,
    Leaf.NAMED: Reader._take_named,
    Leaf.PLACEHOLDER: Reader._take_placeholder,
    Leaf.AGAIN: Reader._take_numbered,
}

_FILLED_LATER: dict[int, Callable[[Any, Any, int], Any]] = {
    Mark.SET: Reader._read_set,
    Mark.MAP: Reader._read_map,
    Mark.COPY: Reader._read_copy,
    Mark.CACHE: Reader._read_cache,
}

_PLAIN_FILLED_LATER: dict[type, Callable[[Any, Any, int], Any]] = {list: Reader._plain_list, dict: Reader._plain_dict}

_ARRAYS: dict[int, Callable[[Reader, list[Any]], Any]] = {
    **_FILLED_LATER,  # type: ignore[dict-item]
    Mark.TUPLE: Reader._read_tuple,
    Mark.FROZENSET: Reader._read_frozenset,
    Mark.SHARED: lambda reader, value: reader._read_shared(value),  # a door has its own
    Mark.FAILURE: Reader._read_failure,
    Mark.JELLY: lambda reader, value: reader._read_jelly(value),  # and of this
}


def _text(value: Any) -> str:
    return value if type(value) is str else ""
