"""Containers out of s-expressions: shared and cyclic structure, and bounds on what that can stand for.

Cycles are built by making the mutable object first and filling it afterwards; a tuple or frozenset that is referred to
from inside itself leaves a gap in a mutable container, which is filled once the tuple is whole.

Shared structure is counted each time it is met (`Limits.expanded_elements`), with the texts in it, so that what this
side hands on can't be larger than what it took in by more than that.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import uuid
from collections.abc import Callable
from typing import Any, cast

from pellucid.errors import LimitExceeded, RemoteProtocolError
from pellucid.limits import Limits
from pellucid.wire.numbered import Numbered
from pellucid.wire.pb.plain import id_operand, operand, tag_of

__all__ = ["CONTAINERS", "SHARED", "Containers", "Decoder", "Decoders", "Fill", "Unfinished", "item_filler"]

Decoder = Callable[[Any, list[Any]], Any]
"""Reads one kind of expression. It is given the reader, which may be a door's own, and the expression."""

Decoders = dict[bytes, Decoder]
"""How expressions with these tags are read."""

Fill = Callable[[Any], None]
"""Puts an object where it belongs."""

_NUMBERS_FOR_ODD = 8
"""Keys that are ordinary numbers, of which as many count as one of `Limits.odd_keys`, ..."""

_FEW = 1000
"""... in a dictionary or a set of more members than that: in smaller ones they are never far from their places."""


_TEXT_PER_ELEMENT = 128
"""Bytes of text, and of other values that can be long, that count as one element where they are met again."""


class Unfinished:
    """Stands for a tuple or frozenset that is referred to before it is whole."""

    __slots__ = ("gaps",)

    def __init__(self) -> None:
        self.gaps: list[Fill] = []


class Containers:
    """Reads the values of one message, as far as they are containers; how others are read it is told."""

    def __init__(self, limits: Limits, decoders: Decoders) -> None:
        self._decoders = decoders
        self._count = 0
        self._odd_keys = 0
        self._number_keys = 0
        self.bound(limits)
        self._start()

    def bound(self, limits: Limits) -> None:
        """Let these limits count from now on."""
        self._limits = limits
        self._most = limits.expanded_elements

    def _start(self) -> None:
        # By number: the object, or Unfinished while it can't be had yet.
        self._shared: Numbered[Any] = Numbered()
        # By number: how many elements it stands for.
        self._sizes: Numbered[int] = Numbered()
        # Bytes of text in what is shared, as far as it was read.
        self._texts = 0
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
            raise LimitExceeded("nesting", self._limits.nesting) from None
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
        _, decoder = CONTAINERS[tag]
        return decoder(self, expression)

    def _counted(self, elements: int) -> None:
        self._count += elements
        if self._count > self._most:
            raise LimitExceeded("expanded_elements", self._most)

    def _met_again(self, texts: int) -> None:
        """Something without elements, and with so many bytes of text, was met again."""
        self._counted(1 + texts // _TEXT_PER_ELEMENT)

    def _tagged(self, expression: list[Any], number: int | None = None) -> Any:
        """What an expression of no kind that there is a decoder for stands for."""
        raise NotImplementedError

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
                if type(element) is Unfinished:
                    self._leave_gap(element, item_filler(result, len(result)))
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
            before = self._count
            if type(key) is list:
                key = unjelly(key)
            if type(key) is not str:
                self._check_key(key, before, len(expression) - 1)
            if type(value) is list:
                value = unjelly(value)
                if type(value) is Unfinished:
                    self._leave_gap(value, item_filler(result, key))
            try:
                result[key] = value
            except (AttributeError, TypeError):  # a copy that has no state yet may lack what its hash wants
                raise RemoteProtocolError(f"a {type(key).__name__} can't be a dictionary key") from None
        return result

    def _tuple(self, expression: list[Any]) -> Any:
        members = self._members(expression)
        if self._open_gaps and Unfinished in map(type, members):
            return self._tuple_later(members)
        return tuple(members)

    def _tuple_later(self, members: list[Any]) -> Unfinished:
        """What stands for a tuple until its members, of which some are not finished, all are."""
        later = Unfinished()
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
            if type(member) is Unfinished:
                waiting += 1
                self._leave_gap(member, filler(index))
        return later

    def _frozenset(self, expression: list[Any]) -> frozenset[Any]:
        members = self._members(expression, are_keys=True)
        try:
            return frozenset(members)
        except (AttributeError, TypeError):
            raise RemoteProtocolError("a member of a frozenset can't be hashed") from None

    def _set(self, expression: list[Any], number: int | None = None) -> set[Any]:
        result: set[Any] = set()
        if number is not None:
            self._shared[number] = result
        members = self._members(expression, are_keys=True)
        try:
            result.update(members)
        except (AttributeError, TypeError):
            raise RemoteProtocolError("a member of a set can't be hashed") from None
        return result

    def _members(self, expression: list[Any], *, are_keys: bool = False) -> list[Any]:
        self._counted(len(expression))
        members: list[Any] = []
        for element in expression[1:]:  # a comprehension would cost a level of Python 3.11's stack
            before = self._count
            member = self._unjelly(element) if type(element) is list else element
            if are_keys:
                self._check_key(member, before, len(expression) - 1)
            members.append(member)
        return members

    def _check_key(self, key: Any, before: int, members: int) -> None:
        """Count `key`, one of so many `members`, where the peer can choose its hash, and so make every look-up slow.

        `before` is how many elements had been counted when it began to be read.
        """
        cls = type(key)
        if cls is Unfinished:
            raise RemoteProtocolError("a dictionary key or a member of a set directly contains itself")
        if cls is not tuple and cls is not frozenset and (freedom := _freedom(key)) < 2:
            if freedom and members > _FEW:
                self._count_number_key()
            return
        # All that is in it counts too, for comparing two keys of one hash walks through that.
        limit, leaves, freedom = self._limits.odd_keys, 0, 0
        read = self._count - before
        waiting = [key]
        for part in waiting:
            if isinstance(part, tuple | frozenset):
                waiting.extend(part)
                continue
            leaves += 1
            free = _freedom(part)
            freedom += free
            # What is in a copy only its class knows: no more than was read for the key.
            if free > 1 and leaves < read and type(part) not in _ATOMS:
                leaves = read
            if freedom > 1 and self._odd_keys + leaves > limit:
                raise LimitExceeded("odd_keys", limit)
        self._counted(len(waiting))  # a key in a key in a key is walked through again at each level
        if freedom > 1:
            self._odd_keys += leaves
        elif freedom and members > _FEW:
            self._count_number_key()

    def _count_number_key(self) -> None:
        """Count a key with a hash of its own that a peer can choose: that is enough to make long searches for places.

        A table looks for a free place in an order that depends on the hash alone in the end. Keys that fill a long
        stretch of that order make each that comes upon it walk to its end.
        """
        self._number_keys += 1
        if self._number_keys > _NUMBERS_FOR_ODD * self._limits.odd_keys:
            raise LimitExceeded("odd_keys", self._limits.odd_keys)

    # Shared objects.

    def _reference(self, expression: list[Any]) -> Any:
        number, inner = id_operand(expression), operand(expression, 2)
        decoder = self._decoders.get(tag_of(inner)) if type(inner) is list else None
        if decoder is Containers._dereference:
            raise RemoteProtocolError("a reference stands for nothing but another one")
        if decoder in _FILLED_LATER:
            return self._define(number, inner, cast(Any, decoder))
        return self._define(number, inner, type(self)._tagged if type(inner) is list and decoder is None else None)

    def _define(self, number: int, inner: Any, filled_later: Callable[[Any, Any, int], Any] | None) -> Any:
        """What `inner` stands for, met again by that `number`; `filled_later` reads what is made before its parts."""
        if number in self._shared:
            raise RemoteProtocolError("a reference's number stands for two objects")
        before, texts = self._count, self._texts
        if filled_later is not None:
            value = filled_later(self, inner, number)
        else:
            unfinished = self._shared[number] = Unfinished()
            value = self._unjelly(inner)
            if type(value) is Unfinished:  # a tuple that waits for another: what waits for this one waits on
                value.gaps += unfinished.gaps
                self._open_gaps += 1
                self._leave_gap(value, item_filler(self._shared, number))
            else:
                self._fill_gaps(unfinished, value)
        self._shared[number] = value
        self._texts += self._texts_in(inner)
        self._sizes[number] = self._count - before + (self._texts - texts) // _TEXT_PER_ELEMENT
        return value

    def _texts_in(self, expression: Any) -> int:
        """Bytes of the texts in `expression`, which was read, but for those in what is shared itself."""
        texts, waiting = 0, [expression]
        while waiting:
            part = waiting.pop()
            if type(part) is bytes:
                texts += len(part)
            # Neither a pair nor anything else that is read begins so, and goes on like that.
            elif type(part) is list and not (
                len(part) > 2 and part[0] == b"reference" and type(part[1]) is int and part[1] in self._shared
            ):
                waiting += part
        return texts

    def _dereference(self, expression: list[Any]) -> Any:
        return self._again(operand(expression, 1))

    def _again(self, number: Any) -> Any:
        """The object that has this number."""
        if type(number) is not int or number not in self._shared:
            raise RemoteProtocolError("a dereference has no reference before it")
        self._counted(self._sizes.get(number, 1))
        self._dereferences += 1
        value = self._shared[number]
        if type(value) is Unfinished:
            self._open_gaps += 1
        return value

    def _leave_gap(self, unfinished: Unfinished, fill: Fill) -> None:
        unfinished.gaps.append(fill)

    def _fill_gaps(self, unfinished: Unfinished, value: Any) -> None:
        """`value` is what `unfinished` stood for."""
        for fill in unfinished.gaps:
            fill(value)
        self._open_gaps -= len(unfinished.gaps)


CONTAINERS: dict[bytes, tuple[str, Decoder]] = {
    b"list": ("list", Containers._list),
    b"tuple": ("tuple", Containers._tuple),
    b"dictionary": ("dictionary", Containers._dictionary),
    b"set": ("set", Containers._set),
    b"frozenset": ("frozenset", Containers._frozenset),
}

SHARED: Decoders = {b"reference": Containers._reference, b"dereference": Containers._dereference}

_SALTED = frozenset({str, bytes, bool, type(None), datetime.date})
_TIMES = frozenset({datetime.datetime, datetime.time})

_ATOMS = frozenset({int, datetime.timedelta, decimal.Decimal, uuid.UUID})
"""What is no copy, among the types that have `_freedom` to spare."""

_FILLED_LATER = (Containers._list, Containers._dictionary, Containers._set)


def _freedom(key: Any) -> int:
    """How many numbers a peer is free to choose without changing the hash of `key`, as far as it matters."""
    cls = type(key)
    if cls in _SALTED:
        return 0
    if cls in _TIMES:  # the hash of one with a zone is that of a timedelta, and that is not salted
        return 0 if key.tzinfo is None else 1
    # Of these no more than a few dozen have one hash; it takes two of them in a tuple to find more. For what they can
    # do all the same see `_count_number_key`.
    if cls is float or (cls is int and -(2**63) <= key < 2**63):
        return 1
    # Which members an enum has is not the peer's choice; flags it can combine.
    return 0 if isinstance(key, enum.Enum) and not isinstance(key, enum.Flag) else 2


def item_filler(container: Any, key: Any) -> Fill:
    """What puts an object in `container` as its item `key`."""

    def fill(value: Any) -> None:
        container[key] = value

    return fill
