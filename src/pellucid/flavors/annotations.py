"""Which checker an annotation makes: the forms of typing that say something about a value.

The rules are those of type checkers, for values as they arrive: an int is a float, an instance of a subclass is one of
the class. But a bool is no int and a datetime no date: they are subclasses by descent only.
"""

from __future__ import annotations

import collections.abc
import datetime
import types
import typing
from collections.abc import Callable
from typing import Annotated, Any, ForwardRef, Literal, NewType, TypeVar, Union

from pellucid.flavors.checkers import (
    Checker,
    Constrained,
    Fields,
    Implementer,
    Instance,
    Items,
    Late,
    OneOf,
    Pairs,
    Places,
    Providing,
    Value,
    is_bound,
)
from pellucid.flavors.hints import meaning_of, resolve
from pellucid.flavors.interfaces import is_interface

__all__ = ["Compiler"]

_NUMBERS: dict[Any, tuple[tuple[type, ...], tuple[type, ...]]] = {
    int: ((int,), (bool,)),
    float: ((float, int), (bool,)),
    complex: ((complex, float, int), (bool,)),
    datetime.date: ((datetime.date,), (datetime.datetime,)),
}
"""Classes whose instances are not quite what isinstance() says: what will do, and what won't."""

_WELL_KNOWN = ("builtins", "collections", "collections.abc")
_QUALIFIERS = (typing.Required, typing.NotRequired, getattr(typing, "ReadOnly", None))


class Compiler:
    """Makes the checkers of the annotations of one `function`, in the class `owner`."""

    def __init__(self, function: Any, owner: type) -> None:
        self._function = function
        self._owner = owner
        self._late: dict[Any, Late] = {}
        self._unmade: list[Late] = []
        self._fields_of: dict[Any, Checker] = {}

    def checker(self, annotation: Any) -> Checker | None:
        """What tells whether a value is what `annotation` says; None where it says nothing.

        Raises:
            TypeError: it is none that a value can be checked by.
        """
        if annotation is Any or annotation is object:
            return None
        if annotation is None:
            annotation = types.NoneType
        if isinstance(annotation, str):
            annotation = ForwardRef(annotation)
        if isinstance(annotation, ForwardRef):
            return self._named(annotation, lambda: resolve(annotation, self._function, self._owner))
        if (meant := meaning_of(annotation)) is not annotation:
            return self.checker(meant) if isinstance(annotation, NewType) else self._named(annotation, lambda: meant)
        if isinstance(annotation, TypeVar):
            return self._variable(annotation)
        if isinstance(annotation, typing.ParamSpecArgs | typing.ParamSpecKwargs):
            raise TypeError(f"{annotation!r} are those of a method that is decorated: use functools.wraps to say which")
        origin = typing.get_origin(annotation)
        if origin is not None:
            return self._parametrized(annotation, origin, typing.get_args(annotation))
        if typing.is_typeddict(annotation):
            return self._fields(annotation)
        if isinstance(annotation, type):
            return self._class(annotation)
        if hasattr(annotation, "providedBy"):
            return Providing(str(annotation.__name__), annotation)
        raise TypeError(f"a value can't be checked by {annotation!r}")

    def finish(self) -> None:
        """Make what was put off, as it may be part of itself. Raises as `checker` does."""
        while self._unmade:
            self._unmade.pop().make()

    def _class(self, cls: type) -> Checker:
        if is_interface(cls):
            return Implementer(cls.__qualname__, cls)
        if getattr(cls, "_is_protocol", False) and not getattr(cls, "_is_runtime_protocol", False):
            raise TypeError(f"a value can't be checked by the protocol {cls.__qualname__}: make it runtime_checkable")
        expected = "None" if cls is types.NoneType else cls.__qualname__
        return Instance(expected, *_NUMBERS.get(cls, ((cls,),)))

    def _parametrized(self, annotation: Any, origin: Any, args: tuple[Any, ...]) -> Checker | None:
        if is_interface(origin):
            return self._class(origin)
        if origin is Annotated:
            return self._annotated(annotation, args[0], annotation.__metadata__)
        if origin is Union or origin is types.UnionType:
            return self._union(args)
        if origin is Literal:
            return Value(f"Literal[{', '.join(map(_literal, args))}]", args)
        if origin in _QUALIFIERS:
            return self.checker(args[0])
        if not isinstance(origin, type):
            raise TypeError(f"a value can't be checked by {annotation!r}")
        if origin is tuple and annotation is not typing.Tuple:  # noqa: UP006 - the old spelling of any tuple
            return self._tuple(args)
        if origin.__module__ not in _WELL_KNOWN:
            return self._class(origin)  # of other generic classes nobody can know what the parameters mean
        if issubclass(origin, collections.abc.Mapping) and len(args) == 2:
            key, value = map(self.checker, args)
            name = f"{origin.__name__}[{_text(key)}, {_text(value)}]"
            return Pairs(name, origin, key, value) if key or value else self._class(origin)
        if issubclass(origin, collections.abc.Iterable) and len(args) == 1:
            element = self.checker(args[0])
            return Items(f"{origin.__name__}[{_text(element)}]", origin, element) if element else self._class(origin)
        return self._class(origin)

    def _union(self, choices: tuple[Any, ...]) -> Checker | None:
        checkers = [self.checker(choice) for choice in choices]
        made = tuple(checker for checker in checkers if checker is not None)
        return OneOf(" | ".join(map(_text, made)), made) if len(made) == len(checkers) else None

    def _tuple(self, args: tuple[Any, ...]) -> Checker:
        if len(args) == 2 and args[1] is ...:
            element = self.checker(args[0])
            return Items(f"tuple[{_text(element)}, ...]", tuple, element) if element else self._class(tuple)
        if any(map(_is_unpacked, args)):
            raise TypeError("a value can't be checked by a tuple of an unknown number of places")
        places = tuple(map(self.checker, args))
        return Places(f"tuple[{', '.join(map(_text, places)) or '()'}]", places)

    def _annotated(self, annotation: Any, inner: Any, metadata: tuple[Any, ...]) -> Checker | None:
        checker = self.checker(inner)
        bounds = tuple(filter(is_bound, metadata))
        if not bounds:
            return checker
        if checker is None:
            raise TypeError(f"a value can't be checked by {annotation!r}: say what it is, besides its bounds")
        origin = typing.get_origin(inner)
        # What is in a collection has been looked at when msgspec is asked about its length.
        return Constrained(checker.expected, checker, Annotated[(origin or inner, *bounds)])

    def _variable(self, variable: TypeVar) -> Checker | None:
        if variable.__constraints__:
            return self._union(variable.__constraints__)
        return None if variable.__bound__ is None else self.checker(variable.__bound__)

    def _fields(self, cls: Any) -> Checker:
        if cls not in self._fields_of:
            self._fields_of[cls] = self._named(cls, lambda: cls)  # where it is part of itself
            hints = typing.get_type_hints(cls, localns={cls.__name__: cls}, include_extras=True)
            required = set(cls.__required_keys__)
            for name, hint in hints.items():  # which are not known to the class where its annotations are text
                if typing.get_origin(hint) is typing.Required:
                    required.add(name)
                elif typing.get_origin(hint) is typing.NotRequired:
                    required.discard(name)
            fields = {name: self.checker(hint) for name, hint in hints.items()}
            self._fields_of[cls] = Fields(cls.__qualname__, fields, frozenset(required))
        return self._fields_of[cls]

    def _named(self, annotation: Any, value: Callable[[], Any]) -> Checker:
        """The checker of an annotation that may be part of itself."""
        made = self._late.get(annotation)
        if made is None:
            name = annotation.__forward_arg__ if isinstance(annotation, ForwardRef) else _name_of(annotation)
            made = self._late[annotation] = Late(name, lambda: self.checker(value()))
            self._unmade.append(made)
        return made


def _is_unpacked(annotation: Any) -> bool:
    return typing.get_origin(annotation) is typing.Unpack or getattr(annotation, "__unpacked__", False) is True


def _name_of(annotation: Any) -> str:
    return str(getattr(annotation, "__name__", annotation))


def _text(checker: Checker | None) -> str:
    return "Any" if checker is None else checker.expected


def _literal(value: Any) -> str:
    return str(value) if type(value).__module__ != "builtins" else repr(value)
