"""Interfaces: what an object of the peer's can be asked for, written down as a class of ``async`` methods."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from inspect import Parameter, iscoroutinefunction, signature
from types import FunctionType, SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple, get_origin, get_overloads

from pellucid.flavors.hints import resolve_known
from pellucid.flavors.serializable import Held

__all__ = ["Declared", "Interface", "declared_by", "interfaces_of", "is_interface"]

_OF_PYTHON = frozenset(
    "__module__ __qualname__ __doc__ __dict__ __weakref__ __slots__ __orig_bases__ __parameters__ __type_params__ "
    "__annotations__ __annotate__ __annotate_func__ __annotations_cache__ __firstlineno__ __static_attributes__".split()
)
"""What Python itself leaves in a class."""


class Declared(NamedTuple):
    """A method of an interface."""

    name: str
    owner: type
    """The interface that says so."""
    functions: tuple[Callable[..., Any], ...]
    """As it was written: one function, or its overloads."""

    def annotations(self, parameter: str | None = None) -> Iterator[Any]:
        """What each of the functions says of its result, or of one `parameter`, where it says anything."""
        for function in self.functions:
            if (annotation := function.__annotations__.get(parameter or "return", self)) is not self:
                yield resolve_known(annotation, function, self.owner)

    def parameters(self) -> set[str]:
        """The names of those parameters that are annotated."""
        return {name for function in self.functions for name in function.__annotations__} - {"return"}


if TYPE_CHECKING:
    # To a type checker an interface is a protocol: it lets methods have no body, and an interface have no instances.
    # That holds for a class that names it among its bases, and so one that derives from another interface names both.
    from typing import Protocol as Interface
else:

    class Interface:
        """What an object of the peer's can be asked for; `RemoteReference.as_` gives a view of it with those methods.

        Derive a class from it, and declare methods: ``async def echo(self, text: str) -> str: ...``. An interface that
        derives from another one names both: ``class Loud(Echoer, pb.Interface)``.

        Raises:
            TypeError: when the class is made: something in it is no public ``async def``.
        """

        __slots__ = ()

        def __init_subclass__(cls, *, is_view: bool = False, **options: Any) -> None:
            super().__init_subclass__(**options)
            if not is_view:
                _check_bases(cls)
                cls._declared = _declared_in(cls)

        def __new__(cls, *args: Any, **kwargs: Any) -> Any:
            raise TypeError(
                f"{cls.__name__} is an interface and has no instances: reference.as_({cls.__name__}) gives a view"
            )


_BASE: Any = Interface


def is_interface(thing: Any) -> bool:
    """Whether `thing` is an interface, or a generic one with its arguments."""
    cls = get_origin(thing) or thing
    return isinstance(cls, type) and cls is not _BASE and issubclass(cls, _BASE) and not issubclass(cls, Held)


def interfaces_of(cls: type) -> tuple[Any, ...]:
    """The interfaces that `cls` says it implements, and its bases do, nearest first."""
    return tuple({interface: None for base in cls.__mro__ for interface in vars(base).get("_pellucid_implements", ())})


def declared_by(interface: Any) -> dict[str, Declared]:
    """The methods of `interface` and of those that it derives from, by name."""
    found: dict[str, Declared] = {}
    for cls in reversed(interface.__mro__):
        found |= vars(cls).get("_declared", {})
    return found


def _check_bases(cls: type) -> None:
    for base in cls.__mro__[1:]:
        if not issubclass(base, _BASE) and base.__module__ not in ("builtins", "typing"):
            raise TypeError(
                f"{cls.__name__} is an interface and can't derive from {base.__name__}, which is none; "
                f"a class that a peer may call says class Name({base.__name__}, implements=...)"
            )


def _declared_in(cls: type) -> dict[str, Declared]:
    for name in vars(cls).get("__annotations__", {}):
        raise TypeError(f"{cls.__name__}.{name}: an interface has no attributes; a method can tell: async def {name}()")
    return {name: _method(cls, name, value) for name, value in vars(cls).items() if name not in _OF_PYTHON}


def _method(cls: type, name: str, value: Any) -> Declared:
    where = f"{cls.__name__}.{name}"
    if name.startswith("_"):
        raise TypeError(f"{where}: a peer can't be asked for private names; leave it out of the interface")
    if name.startswith("remote_"):
        raise TypeError(f"{where}: an interface has the names that are called: write {name.removeprefix('remote_')!r}")
    if hasattr(Held, name):
        raise TypeError(f"{where}: pellucid needs that name for itself; choose another")
    functions = tuple(_functions(cls, name, value))
    for function in functions:
        if not (isinstance(function, FunctionType) and iscoroutinefunction(function)):
            kind = type(function).__name__
            raise TypeError(f"{where} is a {kind}: an interface has nothing but methods, each with `async def`")
        first = next(iter(signature(function).parameters.values()), None)
        if first is None or first.kind > Parameter.POSITIONAL_OR_KEYWORD:
            raise TypeError(f"{where} takes no `self`")
    return Declared(name, cls, functions)


def _functions(cls: type, name: str, value: Any) -> list[Callable[..., Any]]:
    """`value`; or what it was overloaded with: of the last overload only a stand-in is left in the class."""
    if getattr(value, "__module__", None) != "typing":
        return [value]
    written = SimpleNamespace(__module__=cls.__module__, __qualname__=f"{cls.__qualname__}.{name}")
    return [*get_overloads(written)] or [value]  # type: ignore[arg-type]  # all it is asked for is its name
