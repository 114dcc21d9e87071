"""What annotations mean, and whether two of them contradict each other."""

from __future__ import annotations

import collections.abc
import datetime
import decimal
import inspect
import typing
import uuid
from collections.abc import Iterable
from types import NoneType, SimpleNamespace, UnionType
from typing import Annotated, Any, ForwardRef, Literal, NewType, TypeVar, Union, get_args, get_origin, get_type_hints

__all__ = ["UNRESOLVED", "contradict", "meaning_of", "owner_of", "resolve", "resolve_known", "text_of"]

UNRESOLVED: Any = object()
"""What an annotation means that names something unknown at run time."""

_PLAIN: frozenset[Any] = frozenset(
    {NoneType, bool, int, float, complex, str, bytes, bytearray, memoryview, list, tuple, dict, set, frozenset}
    | {datetime.datetime, datetime.date, datetime.time, datetime.timedelta, decimal.Decimal, uuid.UUID}
    | {getattr(collections.abc, name) for name in ("Collection", "Iterable", "Sequence", "MutableSequence")}
    | {getattr(collections.abc, name) for name in ("Mapping", "MutableMapping", "Set", "MutableSet")}
)
"""The classes whose instances are what they are: copies of others may arrive as of another class."""

_ALIASES: tuple[Any, ...] = (getattr(typing, "TypeAliasType", ()),)  # since Python 3.12

_PROMOTED = {(int, float), (bool, float), (int, complex), (bool, complex), (float, complex)}
"""What type checkers let pass for another, though it is no subclass."""


def resolve(annotation: Any, function: Any, owner: type) -> Any:
    """What `annotation` of a `function` in the class `owner` means.

    It may name what the function's module has, what either is generic over, the class itself, which may be local to
    another function, and the classes inside of it.

    Raises:
        NameError, Exception: it means nothing at run time. It is any expression, and may raise anything.
    """
    here: dict[str, Any] = {name: inner for name, inner in vars(owner).items() if isinstance(inner, type)}
    here[owner.__name__] = owner
    for scope in (owner, function):
        here |= {parameter.__name__: parameter for parameter in getattr(scope, "__type_params__", ())}
    holder = SimpleNamespace(__annotations__={"it": annotation})
    return get_type_hints(holder, getattr(function, "__globals__", {}), here, include_extras=True)["it"]


def resolve_known(annotation: Any, function: Any, owner: type) -> Any:
    """The same, or UNRESOLVED: it may name what only a type checker sees."""
    try:
        return resolve(annotation, function, owner)
    except Exception:  # noqa: BLE001 - it is any expression
        return UNRESOLVED


def owner_of(function: Any, *near: type) -> type:
    """The class that `function` was written in, of these or their bases; `object` where it was in none."""
    where = getattr(function, "__module__", None), getattr(function, "__qualname__", "").rpartition(".")[0]
    for cls in near:
        for each in cls.__mro__:
            if (each.__module__, each.__qualname__) == where:
                return each
    return object


def meaning_of(annotation: Any) -> Any:
    """What a name stands for that was given by a ``type`` statement or by `NewType`; of anything else, itself.

    Raises:
        NameError, Exception: as `resolve`; what a ``type`` statement says is found out when it is asked for.
    """
    if isinstance(annotation, NewType):
        return annotation.__supertype__
    if isinstance(annotation, _ALIASES):
        return annotation.__value__
    alias = get_origin(annotation)
    return _substituted(alias, get_args(annotation)) if isinstance(alias, _ALIASES) else annotation


def _substituted(alias: Any, arguments: tuple[Any, ...]) -> Any:
    value, parameters = alias.__value__, alias.__type_params__
    if not all(isinstance(parameter, TypeVar) for parameter in parameters):
        return value[arguments]  # which of several belong to one place, Python itself must tell
    bound = dict(zip(parameters, arguments, strict=False))
    if isinstance(value, TypeVar):
        return bound.get(value, value)
    # It may name them in another order, or only some of them.
    named = getattr(value, "__parameters__", ())
    return value[tuple(bound.get(each, each) for each in named)] if named else value


def text_of(annotation: Any) -> str:
    """`annotation` as it would be written where its names are known."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if isinstance(annotation, str):
        return annotation
    if annotation is ... or annotation is NoneType:
        return "..." if annotation is ... else "None"
    if isinstance(annotation, list):  # the parameters of a Callable
        return f"[{', '.join(map(text_of, annotation))}]"
    if origin is Annotated:
        return text_of(arguments[0])
    if origin in (Union, UnionType):
        return " | ".join(map(text_of, arguments))
    if isinstance(origin, type) and arguments:
        return f"{origin.__name__}[{', '.join(map(text_of, arguments))}]"
    if isinstance(annotation, ForwardRef):
        return annotation.__forward_arg__
    if isinstance(annotation, type) and not arguments:
        return annotation.__name__
    return inspect.formatannotation(annotation).removeprefix("typing.")


def contradict(given: Any, accepted: Any) -> bool:
    """Whether something that is `given` certainly need not be `accepted`; where that can't be told, it is not so."""
    given, accepted = _bare(given), _bare(accepted)
    if (members := _members(given)) is not None:
        return any(contradict(member, accepted) for member in members)
    if (members := _members(accepted)) is not None:
        return all(contradict(given, member) for member in members)
    source, target = get_origin(given) or given, get_origin(accepted) or accepted
    if not (_is_plain(source) and _is_plain(target)):
        return False
    if not issubclass(source, target):
        return (source, target) not in _PROMOTED
    return _inner_contradict(get_args(given), get_args(accepted))


def _inner_contradict(given: tuple[Any, ...], accepted: tuple[Any, ...]) -> bool:
    """As `contradict`, for what is in two containers."""
    if ... in given or len(given) != len(accepted):
        return ... in given and len(given) == len(accepted) and ... in accepted and contradict(given[0], accepted[0])
    return ... not in accepted and any(map(contradict, given, accepted))


def _is_plain(thing: Any) -> bool:
    return isinstance(thing, type) and thing in _PLAIN  # an annotation is any object, and need not be hashable


def _bare(annotation: Any) -> Any:
    while get_origin(annotation) is Annotated or isinstance(annotation, NewType):
        annotation = annotation.__supertype__ if isinstance(annotation, NewType) else get_args(annotation)[0]
    return annotation


def _members(annotation: Any) -> Iterable[Any] | None:
    """What a union may be one of; None where it is none."""
    if get_origin(annotation) in (Union, UnionType):
        return get_args(annotation)
    return {type(value) for value in get_args(annotation)} if get_origin(annotation) is Literal else None
