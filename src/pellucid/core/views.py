"""Views: an object of the peer's, seen as an interface, so that editors and type checkers know what it can be asked.

A class is made for each interface when it is first needed, with a method for each of the interface's that makes the
call. Where an annotation promises another interface, what arrives is seen as that.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping, Sequence
from functools import partial
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, Union, get_args, get_origin

from pellucid.core.calls import Call
from pellucid.errors import InsecureJelly
from pellucid.flavors.hints import UNRESOLVED, meaning_of
from pellucid.flavors.interfaces import Declared, declared_by, is_interface
from pellucid.flavors.serializable import Held

if TYPE_CHECKING:
    from pellucid.core.references import RemoteReference

__all__ = ["Convert", "Seeable", "View", "Viewed", "bare", "promised", "reference_of", "view_of"]

T = TypeVar("T")

Convert = Callable[[Any], Any]
"""Makes of a result what the annotation promises."""


class Seeable(Held):
    """What can be seen as an interface."""

    __slots__ = ()

    def as_(self, interface: Callable[..., T], /) -> T:
        """The same as an `Interface`: a view with its methods, which type checkers know and editors complete.

        ``root.as_(Echoer).echo("hi")`` is ``root.call("echo", "hi")``. Sent to its owner a view is the reference;
        `reference_of` gives that. A result that is annotated as an interface is a view of it.

        Raises:
            TypeError: `interface` is none.
        """
        return view_of(self, interface)


class View(Held):
    """An object of the peer's, seen as an interface; the class of each interface's views derives from both."""

    __slots__ = ("_of", "_target")

    _target: Any
    """What calls are made of: a reference, alone or with options, or a promise of one."""
    _of: Any
    """The reference, or the promise."""

    def __eq__(self, other: object) -> bool:
        return bool(self._of == other._of) if isinstance(other, View) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._of)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} view of {self._of!r}>"


class Viewed:
    """A call whose result is seen as an interface, or holds such; awaited as the call is."""

    __slots__ = ("_convert", "promise")

    def __init__(self, promise: Call, convert: Convert) -> None:
        self.promise: Call = promise
        """The call."""
        self._convert = convert

    def __await__(self) -> Generator[Any, None, Any]:
        return self._convert((yield from self.promise.__await__()))

    @property
    def done(self) -> bool:
        """As of the call."""
        return self.promise.done

    def call(self, name: str, /, *args: Any, **kwargs: Any) -> Call:
        """As `Call.call`."""
        return self.promise.call(name, *args, **kwargs)

    def cancel(self) -> None:
        """As `Call.cancel`."""
        self.promise.cancel()

    def in_view(self) -> Any:
        """Its result, which is still to come, as the interface that it will be seen as."""
        interface = getattr(self._convert, "interface", None)
        if interface is None:
            raise TypeError(f"{self.promise.name!r} results in more than one object: await it first")
        return view_of(self.promise, interface)

    # With these it is a coroutine to those who ask for one, such as asyncio.create_task, where the call is.

    def send(self, value: Any, /) -> Any:
        """As of a coroutine."""
        promise: Any = self.promise
        try:
            return promise.send(value)
        except StopIteration as ended:
            result = ended.value
        raise StopIteration(self._convert(result))

    def throw(self, *error: Any) -> Any:
        """As of a coroutine."""
        promise: Any = self.promise
        return promise.throw(*error)

    def close(self) -> None:
        """As of a coroutine."""

    def __repr__(self) -> str:
        return f"<Viewed {self.promise!r}>"


def view_of(target: Any, interface: Callable[..., T], of: Any = None) -> T:
    """What calls are made of, seen as `interface`: a reference, or something that leads to `of`.

    Raises:
        TypeError: `interface` is none.
    """
    cls = getattr(interface, "__dict__", _NOTHING).get("_view") or _view_class(interface)
    view: Any = object.__new__(cls)
    view._target = target
    view._of = target if of is None else of
    return view  # type: ignore[no-any-return]  # a view has what the interface has


def reference_of(view: object) -> RemoteReference:
    """The reference that a view is of.

    Raises:
        TypeError: `view` is none, or its object is not known yet.
    """
    if not isinstance(view, View):
        raise TypeError(f"a {type(view).__name__} is no view of a reference")
    reference = view._of
    if not isinstance(reference, Seeable):
        raise TypeError(f"the reference is not known yet: await the call of {reference.name!r} first")
    return reference  # type: ignore[return-value]  # there is no other that can be seen


def promised(call: Awaitable[T]) -> T:
    """The object that a call results in, before it is there: ``await pb.promised(bank.open("alice")).balance()``.

    `call` is a call of a view's method that is annotated to return an interface. What is called of the promised view is
    a call of what that results in, as with `Call.call`. As an argument of a view's method it stands for its result.

    Raises:
        TypeError: it is no such call.
    """
    if not isinstance(call, Viewed):
        name = f"the call of {call.name!r}" if isinstance(call, Call) else f"a {type(call).__name__}"
        raise TypeError(f"{name} is not a call of a view's method that is annotated to return an interface")
    return call.in_view()  # type: ignore[no-any-return]  # it has what the interface has


def bare(held: Held) -> Held:
    """What is sent for `held`: of a view its reference. Raises InsecureJelly where that is not known yet."""
    if not isinstance(held, View):
        return held
    reference = held._of
    if isinstance(reference, Held):
        return reference
    raise InsecureJelly(
        f"{held!r} is a promise: await its call first, or pass it as an argument by itself to a view's method that is "
        "annotated to take an interface"
    )


# The classes of views.


_NOTHING: dict[str, Any] = {}


def _view_class(interface: Any) -> Any:
    """The class of the views of `interface`, which keeps it: of a generic one, the one for its arguments."""
    if not is_interface(interface):
        raise TypeError(f"{interface!r} is no interface: give as_ a class that derives from pellucid.Interface")
    origin: Any = get_origin(interface) or interface
    known: dict[Any, Any] | None = vars(origin).get("_views")
    if known is None:
        known = origin._views = {}
    arguments = get_args(interface)
    if arguments not in known:
        bound = _bound_by(interface)
        made: Any = {name: _method(each, bound.get(each.owner, {})) for name, each in declared_by(origin).items()}
        made |= {"__slots__": (), "__module__": origin.__module__, "__qualname__": origin.__qualname__}
        made["__doc__"] = origin.__doc__
        known[arguments] = type(origin.__name__, (View, origin), made, is_view=True)
        if not arguments:
            origin._view = known[arguments]
    return known[arguments]


def _bound_by(interface: Any) -> dict[Any, dict[Any, Any]]:
    """What the type variables of `interface` and of each that it derives from stand for."""
    origin: Any = get_origin(interface) or interface
    bound = dict(zip(getattr(origin, "__parameters__", ()), get_args(interface), strict=False))
    found = {origin: bound}
    for base in vars(origin).get("__orig_bases__", origin.__bases__):
        if is_interface(base):
            parameters = getattr(base, "__parameters__", ()) if get_origin(base) else ()
            found |= _bound_by(base[tuple(bound.get(each, each) for each in parameters)] if parameters else base)
    return found


def _method(declared: Declared, bound: dict[Any, Any]) -> Callable[..., Any]:
    name = declared.name

    def plain(self: View, /, *args: Any, **kwargs: Any) -> Any:
        return self._target.call(name, *args, **kwargs)

    def seen(self: View, /, *args: Any, **kwargs: Any) -> Any:
        named = {key: _promise(value) for key, value in kwargs.items()}
        call = self._target.call(name, *map(_promise, args), **named)
        return call if convert is None else Viewed(call, convert)

    convert = _Results(declared, bound).converter()
    takes_interfaces = any(
        _interfaces_in(annotation, bound)
        for parameter in declared.parameters()
        for annotation in declared.annotations(parameter)
    )
    method = plain if convert is None and not takes_interfaces else seen
    method.__name__ = name
    method.__qualname__ = f"{declared.owner.__qualname__}.{name}"
    method.__module__ = declared.owner.__module__
    method.__doc__ = declared.functions[0].__doc__
    return method


def _promise(argument: Any) -> Any:
    """`argument`, or the call whose result it stands for."""
    if isinstance(argument, View) and isinstance(argument._target, Call):
        return argument._target
    return argument.promise if isinstance(argument, Viewed) else argument


def _interfaces_in(annotation: Any, bound: dict[Any, Any], within: tuple[Any, ...] = ()) -> set[Any]:
    """The interfaces that `annotation` names, or what may be some; `within` are the names that it is part of."""
    if isinstance(annotation, TypeVar):
        annotation = bound.get(annotation)
    if annotation is UNRESOLVED or is_interface(annotation):
        return {annotation}
    parts, meant = get_args(annotation), _meaning_of(annotation)
    if meant is not annotation:
        parts, within = () if annotation in within else (meant,), (*within, annotation)
    return set[Any]().union(*(_interfaces_in(each, bound, within) for each in parts))


def _meaning_of(annotation: Any) -> Any:
    try:
        return meaning_of(annotation)
    except Exception:  # noqa: BLE001 - a `type` statement may name what only a type checker sees
        return UNRESOLVED


# What becomes of results.


class _AsInterface:
    """Has references seen as one interface, and lets all else be."""

    def __init__(self, interface: Any) -> None:
        self.interface = interface

    def __call__(self, value: Any) -> Any:
        return view_of(value, self.interface) if isinstance(value, Seeable) else value


class _Results:
    """What makes of a method's results what its annotations promise."""

    def __init__(self, declared: Declared, bound: dict[Any, Any]) -> None:
        self._declared = declared
        self._bound = bound
        self._within: list[Any] = []  # the names that what is looked at is part of
        self._where = f"{declared.owner.__qualname__}.{declared.name}"

    def converter(self) -> Convert | None:
        """None where that is the results themselves."""
        return self._one_of([*self._declared.annotations()])

    def _one_of(self, annotations: Sequence[Any]) -> Convert | None:
        found = [(interfaces, each) for each in annotations if (interfaces := _interfaces_in(each, self._bound))]
        converters = [convert for _, each in found if (convert := self._of(each)) is not None]
        if any(interfaces != found[0][0] for interfaces, _ in found):
            raise TypeError(f"{self._where} may return one of several interfaces: nothing tells which a reference is")
        if len(converters) > 1 and not all(isinstance(convert, _AsInterface) for convert in converters):
            return partial(_one_after_another, converters)
        return converters[0] if converters else None

    def _of(self, annotation: Any) -> Convert | None:
        if not _interfaces_in(annotation, self._bound):
            return None
        if isinstance(annotation, TypeVar):
            annotation = self._bound.get(annotation)
        if annotation is UNRESOLVED:
            return self._refuse
        if is_interface(annotation):
            return _AsInterface(annotation)
        if (meant := _meaning_of(annotation)) is not annotation:
            return self._of_name(annotation, meant)
        origin, arguments = get_origin(annotation), get_args(annotation)
        if origin is Union or origin is UnionType:
            return self._one_of(arguments)
        if origin is Annotated:
            return self._of(arguments[0])
        if not (isinstance(origin, type) and issubclass(origin, Iterable)):
            return None
        if origin is tuple and arguments[-1] is not ...:
            return partial(_by_place, [*map(self._of, arguments)])
        inner = self._of(arguments[1 if issubclass(origin, Mapping) else 0])
        return None if inner is None else partial(_each, inner)

    def _of_name(self, name: Any, meant: Any) -> Convert | None:
        if name in self._within:
            raise TypeError(
                f"{self._where} returns {name!r}, which is part of itself and has interfaces in it: annotate "
                "it as Any, and ask for a view of what arrives with as_()"
            )
        self._within.append(name)
        convert = self._of(meant)
        self._within.pop()
        return convert

    def _refuse(self, value: Any) -> Any:
        if isinstance(value, Seeable):
            written = self._declared.functions[0].__annotations__["return"]
            raise TypeError(
                f"{self._where} returned a reference, and its annotation {written!r} names nothing that its module has "
                "at run time: as what is it to be seen? Import that there, outside of `if TYPE_CHECKING:`"
            )
        return value


def _one_after_another(converters: list[Convert], value: Any) -> Any:
    for convert in converters:
        value = convert(value)
    return value


def _by_place(converters: list[Convert | None], value: Any) -> Any:
    if type(value) is not tuple or len(value) != len(converters):
        return value
    return tuple(inner if convert is None else convert(inner) for convert, inner in zip(converters, value, strict=True))


def _each(convert: Convert, value: Any) -> Any:
    cls = type(value)
    if cls is dict:
        return {key: convert(inner) for key, inner in value.items()}
    return cls(map(convert, value)) if cls in _CONTAINERS else value


_CONTAINERS = (list, tuple, set, frozenset)
