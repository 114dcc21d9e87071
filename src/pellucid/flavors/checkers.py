"""Whether a value is what an annotation says; and where it is not, what it is instead.

Checkers only look: nothing is converted, and a value that passes is the one that came. Which annotation makes which
checker is said in `pellucid.flavors.annotations`.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, get_origin

from pellucid.flavors.copyable import RemoteCopy
from pellucid.flavors.interfaces import interfaces_of
from pellucid.flavors.serializable import Held
from pellucid.flavors.texts import kind_of, value_text

__all__ = [
    "Checker",
    "Constrained",
    "Fault",
    "Fields",
    "Implementer",
    "Instance",
    "Items",
    "Late",
    "Memo",
    "OneOf",
    "Pairs",
    "Places",
    "Providing",
    "Value",
    "is_bound",
]


@dataclass(slots=True)
class Fault:
    """Something that is not what an annotation says."""

    path: str
    """Where it lies inside of the value, as in ``[3]['name']``; empty where it is the value itself."""
    expected: str
    got: str
    is_near: bool = field(default=False, compare=False)
    """Whether the value is of the right kind, and its fault is elsewhere: in what it contains, or how much of it."""

    def inside(self, step: str) -> Fault:
        """The same, seen from one `step` further outside."""
        self.path = step + self.path
        self.is_near = True
        return self


Memo = dict[tuple[int, int], tuple[Any, Fault | None]]
"""What was found out in the check of one argument, by id() of the `Late` checker and of the value, which it keeps.

Without it an annotation that refers to itself could take exponential time, and a value that does could take for ever.
"""


class Checker:
    """Says of a value whether it is what one annotation asks for."""

    exact: frozenset[type] = frozenset()
    """Of these types, and no subclass, every value will do."""

    def __init__(self, expected: str) -> None:
        self.expected = expected
        """The annotation as text."""

    def fault(self, value: Any, memo: Memo) -> Fault | None:
        """What is wrong with `value`, if anything is."""
        raise NotImplementedError

    def refuse(self, value: object) -> Fault:
        """That `value` is nothing of the kind."""
        return Fault("", self.expected, kind_of(value))


class Instance(Checker):
    """An object of a class, or of several; a subclass will do, but for those that are no special case of it."""

    def __init__(self, expected: str, classes: tuple[type, ...], but: tuple[type, ...] = ()) -> None:
        super().__init__(expected)
        self.exact: frozenset[type] = frozenset(classes)
        self._classes = classes
        self._but = but

    def fault(self, value: Any, memo: Memo) -> Fault | None:
        if isinstance(value, self._classes) and not isinstance(value, self._but):
            return None
        return self.refuse(value)


class Providing(Checker):
    """Something that provides an interface, of zope.interface's."""

    def __init__(self, expected: str, interface: Any) -> None:
        super().__init__(expected)
        self._interface = interface

    def fault(self, value: Any, memo: Memo) -> Fault | None:
        return None if self._interface.providedBy(value) else self.refuse(value)


class Implementer(Checker):
    """An object of the peer's, which may be anything, or one of ours whose class says that it implements so.

    The copy of a cacheable is one of ours: it is called here.
    """

    def __init__(self, expected: str, interface: type) -> None:
        super().__init__(expected)
        self._interface = interface

    def fault(self, value: Any, memo: Memo) -> Fault | None:
        if isinstance(value, Held) and not isinstance(value, RemoteCopy):
            return None
        # What the peer made may have any attribute, `object` as well: the class says whether that counts.
        said = interfaces_of(type(value))
        behind: Any = value
        while getattr(type(behind), "_pellucid_stands_in", False):
            behind = behind.object
            said += interfaces_of(type(behind))
        is_said = any(issubclass(get_origin(each) or each, self._interface) for each in said)
        return None if is_said else self.refuse(value)


class Value(Checker):
    """One of the values of a ``Literal``."""

    def __init__(self, expected: str, values: tuple[Any, ...]) -> None:
        super().__init__(expected)
        self._values = values

    def fault(self, value: Any, memo: Memo) -> Fault | None:
        # True and 1.0 are equal to 1, and are not what Literal[1] says.
        if any(type(value) is type(each) and value == each for each in self._values):
            return None
        return Fault("", self.expected, value_text(value))


class Items(Checker):
    """A list, set or other collection whose elements are all of one kind."""

    def __init__(self, expected: str, cls: Any, element: Checker) -> None:
        super().__init__(expected)
        self._cls = cls
        self._element = element
        self._is_collection = issubclass(cls, Collection)

    def fault(self, value: Any, memo: Memo) -> Fault | None:
        if not isinstance(value, self._cls):
            return self.refuse(value)
        if not (self._is_collection or isinstance(value, Collection)):
            return None  # an iterator is not looked into: that would be its end
        exact, fault_of = self._element.exact, self._element.fault
        if exact.issuperset(map(type, value)):
            return None
        for place, element in enumerate(value):
            if type(element) not in exact and (fault := fault_of(element, memo)) is not None:
                return fault.inside(f"[{place}]" if hasattr(value, "__getitem__") else "{...}")
        return None


class Places(Checker):
    """A tuple with something of its own in each place."""

    def __init__(self, expected: str, places: tuple[Checker | None, ...]) -> None:
        super().__init__(expected)
        self._places = places

    def fault(self, value: Any, memo: Memo) -> Fault | None:
        if not isinstance(value, tuple):
            return self.refuse(value)
        if len(value) != len(self._places):
            return Fault("", self.expected, f"a tuple of {len(value)}", is_near=True)
        for place, (checker, element) in enumerate(zip(self._places, value, strict=True)):
            if checker is None or type(element) in checker.exact:
                continue
            if (fault := checker.fault(element, memo)) is not None:
                return fault.inside(f"[{place}]")
        return None


class Pairs(Checker):
    """A mapping whose keys are of one kind, and whose values are of one kind."""

    def __init__(self, expected: str, cls: Any, key: Checker | None, value: Checker | None) -> None:
        super().__init__(expected)
        self._cls = cls
        self._key = key
        self._value = value

    def fault(self, value: Any, memo: Memo) -> Fault | None:
        if not isinstance(value, self._cls):
            return self.refuse(value)
        checker = self._key
        if checker is not None and not checker.exact.issuperset(map(type, value)):
            for key in value:
                if type(key) not in checker.exact and (fault := checker.fault(key, memo)) is not None:
                    return fault.inside(".keys()")
        checker = self._value
        if checker is not None and not checker.exact.issuperset(map(type, value.values())):
            for key, item in value.items():
                if type(item) not in checker.exact and (fault := checker.fault(item, memo)) is not None:
                    return fault.inside(f"[{value_text(key)}]")
        return None


class Fields(Checker):
    """A dictionary with the keys of a TypedDict, and no others."""

    def __init__(self, expected: str, fields: Mapping[str, Checker | None], required: frozenset[str]) -> None:
        super().__init__(expected)
        self._fields = fields
        self._required = required

    def fault(self, value: Any, memo: Memo) -> Fault | None:
        if not isinstance(value, dict):
            return self.refuse(value)
        if not value.keys() >= self._required:
            return Fault("", self.expected, f"a dict without {min(self._required.difference(value))!r}", is_near=True)
        fields = self._fields
        for key, item in value.items():
            if key not in fields:
                return Fault("", self.expected, f"a dict with {value_text(key)}", is_near=True)
            checker = fields[key]
            if checker is None or type(item) in checker.exact:
                continue
            if (fault := checker.fault(item, memo)) is not None:
                return fault.inside(f"[{key!r}]")
        return None


class OneOf(Checker):
    """What any of several annotations will do for."""

    def __init__(self, expected: str, choices: tuple[Checker, ...]) -> None:
        super().__init__(expected)
        self._choices = choices
        self.exact: frozenset[type] = frozenset().union(*(choice.exact for choice in choices))

    def fault(self, value: Any, memo: Memo) -> Fault | None:
        nearest: list[Fault] = []
        for choice in self._choices:
            fault = choice.fault(value, memo)
            if fault is None:
                return None
            if fault.is_near:
                nearest.append(fault)
        # Where only one of them can have been meant, its fault says more.
        return nearest[0] if len(nearest) == 1 else self.refuse(value)


class Late(Checker):
    """An annotation that may be part of itself: what it is is made later."""

    def __init__(self, expected: str, make: Callable[[], Checker | None]) -> None:
        super().__init__(expected)
        self._make = make
        self._checker: Checker | None = None

    def make(self) -> None:
        """It is needed from now on."""
        self._checker = self._make()
        del self._make  # which knows the function that has the annotation

    def fault(self, value: Any, memo: Memo) -> Fault | None:
        checker = self._checker
        if checker is None or type(value) in checker.exact:
            return None
        key = id(self), id(value)
        if key not in memo:
            memo[key] = value, Fault("", self.expected, f"a {kind_of(value)} that contains itself")
            memo[key] = value, checker.fault(value, memo)
        fault = memo[key][1]
        return None if fault is None else replace(fault)  # whoever it is told to adds to the path


class Constrained(Checker):
    """What an annotation asks for, within the bounds of a ``msgspec.Meta``: msgspec is the judge of those."""

    def __init__(self, expected: str, checker: Checker, bounded: Any) -> None:
        """`bounded` is the annotation that msgspec is to judge by. Raises TypeError where it can't."""
        super().__init__(expected)
        self._checker = checker
        import msgspec  # an extra: whoever has a Meta has it

        # What msgspec finds out about an annotation it keeps with the class that has it.
        self._struct: Any = msgspec.defstruct("Argument", [("value", bounded)])
        self._convert: Callable[..., object] = msgspec.convert
        self._invalid = msgspec.ValidationError
        self._judge(None)

    def fault(self, value: Any, memo: Memo) -> Fault | None:
        if type(value) not in self._checker.exact and (fault := self._checker.fault(value, memo)) is not None:
            return fault
        expected = self._judge(value)
        return None if expected is None else Fault("", expected, value_text(value), is_near=True)

    def _judge(self, value: Any) -> str | None:
        """What msgspec expects instead of `value`, if it does."""
        try:
            self._convert({"value": value}, self._struct, builtin_types=_UNCONVERTED)
        except self._invalid as error:
            return str(error).removeprefix("Expected ").partition(" - at `$")[0].replace("`", "")
        return None


def is_bound(metadata: object) -> bool:
    """Whether something in an ``Annotated`` is for msgspec to judge by."""
    cls = type(metadata)
    return (cls.__module__, cls.__name__) == ("msgspec", "Meta")


_UNCONVERTED = (bytes, bytearray, memoryview, datetime.datetime, datetime.time)
"""What msgspec would make of text, unless it is told that it need not."""
