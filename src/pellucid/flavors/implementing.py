"""Whether a class has the methods of the interfaces that it says it implements.

When the class is made, its methods are held against the calls that an interface allows: Python's own rules say which of
them a method takes. `check_implements` goes on to compare annotations, where names are known that were not then. What
can't be told for certain counts as right.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Coroutine, Iterator
from inspect import Parameter, Signature
from typing import Any, ClassVar, get_args, get_origin

from pellucid.flavors.dispatch import finds_by_name, prefix_of
from pellucid.flavors.hints import contradict, owner_of, resolve_known, text_of
from pellucid.flavors.interfaces import declared_by, interfaces_of, is_interface
from pellucid.flavors.signatures import POSITIONAL, method_signature, signature_text, without_first

__all__ = ["Implementing", "Interfaces", "check_implements"]

Interfaces = type[Any] | tuple[type[Any], ...]
"""The interfaces that a class says it implements."""


class Implementing:
    """What lets a class say what it implements: ``class Shop(Root, implements=ShopInterface)``, or several in a tuple.

    Raises:
        TypeError: when the class is made: a method of an interface is missing, or does not take all the calls that the
            interface allows.
    """

    __slots__ = ()

    _pellucid_implements: ClassVar[tuple[Any, ...]] = ()

    def __init_subclass__(cls, *, implements: Interfaces = (), **options: Any) -> None:
        super().__init_subclass__(**options)
        interfaces = implements if isinstance(implements, tuple) else (implements,)
        for interface in interfaces:
            if not is_interface(interface):
                raise TypeError(f"{cls.__name__} can't implement {interface!r}, which is no pellucid.Interface")
        if interfaces:
            cls._pellucid_implements = interfaces
        elif len(cls.__bases__) == 1 and not any(name.startswith(prefix_of(cls)) for name in vars(cls)):
            return  # nothing of it is other than in its base
        _tell(cls, [problem for interface in interfaces_of(cls) for problem in _of_calls(cls, interface)])


def check_implements(cls: type, *interfaces: Any) -> None:
    """Check that `cls` implements what it says, or these `interfaces`: annotations, too. For tests.

    Annotations are compared where both sides have them and they name plain types; where only a type checker could tell,
    nothing is said.

    Raises:
        TypeError: it does not; the text says which methods, what is expected and what is there.
        LookupError: it says of no interface that it implements it, and none is given.
    """
    checked = interfaces or interfaces_of(cls)
    if not checked:
        raise LookupError(f"{cls.__name__} implements no interface: class {cls.__name__}(..., implements=...) says so")
    problems: list[str] = []
    for interface in checked:
        if not is_interface(interface):
            raise TypeError(f"{interface!r} is no pellucid.Interface")
        problems += [*_of_calls(cls, interface)] or [*_of_annotations(cls, interface)]
    _tell(cls, problems)


def _tell(cls: type, problems: list[str]) -> None:
    if problems:
        raise TypeError("\n".join([f"{cls.__qualname__} does not implement what it says:", *problems]))


# Calls.


def _of_calls(cls: type, interface: Any) -> Iterator[str]:
    """What of the calls that `interface` allows the methods of `cls` don't take."""
    prefix = prefix_of(cls)
    if not finds_by_name(cls):
        return
    interface = get_origin(interface) or interface
    for name, declared in declared_by(interface).items():
        method = getattr(cls, prefix + name, None)
        if not callable(method):
            wanted = f"async def {prefix}{name}{signature_text(inspect.signature(declared.functions[0]))}"
            yield f"- {interface.__name__}.{name} is missing: there is no {prefix}{name}; write {wanted}"
            continue
        taken = _signature(cls, prefix + name)
        if taken is None:
            continue
        for function in declared.functions:
            allowed = without_first(inspect.signature(function))
            if (refused := _refused(allowed, taken)) is not None:
                yield (
                    f"- {interface.__name__}.{name}{signature_text(allowed)} allows the call {name}{refused[0]}, "
                    f"which {prefix}{name}{signature_text(taken)} does not take: {refused[1]}"
                )
                break


def _signature(cls: type, name: str) -> Signature | None:
    """How the method is called by a peer; None where that can't be told."""
    static = inspect.getattr_static(cls, name)
    if not (inspect.isfunction(static) or isinstance(static, staticmethod | classmethod)):
        return None
    try:
        return method_signature(cls, name, follow_wrapped=False)
    except (TypeError, ValueError):  # no parameters that the first could be taken off
        return None


def _refused(allowed: Signature, taken: Signature) -> tuple[str, str] | None:
    """A call that `allowed` allows and `taken` doesn't, and why; None where there is none."""
    for args, kwargs in _calls(allowed):
        try:
            taken.bind(*args, **kwargs)
        except TypeError as error:
            written = [*args, *(f"{name}=…" for name in kwargs)]
            return f"({', '.join(written)})", str(error)
    return None


def _calls(signature: Signature) -> Iterator[tuple[list[str], dict[str, str]]]:
    """Calls of each sort that a signature allows: with all that may be left out, and without; by place, and by name."""
    by_place: dict[bool, list[Parameter]] = {True: [], False: []}
    by_name: dict[bool, list[str]] = {True: [], False: []}
    rest = named_rest = False
    for parameter in signature.parameters.values():
        rest = rest or parameter.kind is Parameter.VAR_POSITIONAL
        named_rest = named_rest or parameter.kind is Parameter.VAR_KEYWORD
        for whole in (True, False):
            if whole or parameter.default is Parameter.empty:
                if parameter.kind in POSITIONAL:
                    by_place[whole].append(parameter)
                elif parameter.kind is Parameter.KEYWORD_ONLY:
                    by_name[whole].append(parameter.name)
    for whole in (True, False):
        places = by_place[whole]
        fewest = sum(parameter.kind is Parameter.POSITIONAL_ONLY for parameter in places)
        for split in range(len(places), fewest - 1, -1):
            named = [*(parameter.name for parameter in places[split:]), *by_name[whole]]
            yield [parameter.name for parameter in places[:split]], dict.fromkeys(named, "…")
    if rest:
        yield [*(parameter.name for parameter in by_place[True]), "another"], dict.fromkeys(by_name[True], "…")
    if named_rest:
        yield [parameter.name for parameter in by_place[True]], dict.fromkeys([*by_name[True], "another"], "…")


# Annotations.


def _of_annotations(cls: type, interface: Any) -> Iterator[str]:
    """Where an annotation in `interface` contradicts that of the method that implements it."""
    prefix = prefix_of(cls)
    if not finds_by_name(cls) or get_args(interface):
        return
    for name, declared in declared_by(interface).items():
        method = inspect.getattr_static(cls, prefix + name)
        function, *others = declared.functions
        if others or not inspect.isfunction(method) or hasattr(method, "__wrapped__"):
            continue  # which of several belongs to which, or what is wrapped how, only a type checker could tell
        owner = owner_of(method, cls)
        where = f"{interface.__name__}.{name}"
        allowed, taken = (without_first(inspect.signature(each)) for each in (function, method))
        for wanted, there in _pairs(allowed, taken):
            given = resolve_known(wanted.annotation, function, declared.owner)
            if contradict(given, resolve_known(there.annotation, method, owner)):
                said, takes = map(text_of, (wanted.annotation, there.annotation))
                yield f"- {where} may be given {said} for {wanted.name!r}, and {prefix}{name} takes {takes}"
        promised, returned = (each.__annotations__.get("return", Any) for each in (function, method))
        result = resolve_known(returned, method, owner)
        arguments = get_args(result)
        if arguments and get_origin(result) in (Awaitable, Coroutine) and not inspect.iscoroutinefunction(method):
            result = arguments[-1]
        if contradict(result, resolve_known(promised, function, declared.owner)):
            said, there_is = map(text_of, (promised, returned))
            yield f"- {where} promises {said}, and {prefix}{name} returns {there_is}"


def _pairs(allowed: Signature, taken: Signature) -> Iterator[tuple[Parameter, Parameter]]:
    """The annotated parameters of the one, each with that of the other which takes its argument, where it has one."""
    places = [parameter for parameter in taken.parameters.values() if parameter.kind in POSITIONAL]
    rests = {parameter.kind: parameter for parameter in taken.parameters.values()}
    for place, parameter in enumerate(allowed.parameters.values()):
        there: Parameter | None
        match parameter.kind:
            case Parameter.POSITIONAL_ONLY | Parameter.POSITIONAL_OR_KEYWORD if place < len(places):
                there = places[place]
            case Parameter.POSITIONAL_ONLY | Parameter.POSITIONAL_OR_KEYWORD | Parameter.VAR_POSITIONAL:
                there = rests.get(Parameter.VAR_POSITIONAL)
            case Parameter.KEYWORD_ONLY if parameter.name in taken.parameters:
                there = taken.parameters[parameter.name]
            case _:
                there = rests.get(Parameter.VAR_KEYWORD)
        if there is not None and Parameter.empty not in (parameter.annotation, there.annotation):
            yield parameter, there
