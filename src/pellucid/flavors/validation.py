"""Type checks at the door: a method's annotations are its contract, and a call that does not keep it is not run.

The contract of a function is made when it is first called so, and kept for as long as the function lives. A method is
checked by a callable that stands for it, found in its place; where nothing is checked the method is found itself.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial, singledispatchmethod
from inspect import Parameter, getattr_static, signature, unwrap
from types import FunctionType, MethodType
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

from pellucid.errors import InvalidArgument
from pellucid.flavors.annotations import Compiler
from pellucid.flavors.checkers import Checker, Fault
from pellucid.flavors.hints import owner_of, resolve
from pellucid.flavors.texts import kind_of, value_text

__all__ = ["Checked", "Contract", "Validating", "checked_by_name", "guarded", "prepare", "validates"]


class Validating:
    """What lets a class say whether calls of its methods are checked: ``class Echoer(Root, validate=True)``.

    Subclasses are as their class is, unless they say otherwise. A class that says nothing goes by its server or client.
    """

    __slots__ = ()

    _pellucid_validate: ClassVar[bool | None] = None

    def __init_subclass__(cls, *, validate: bool | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if validate is not None:
            cls._pellucid_validate = validate


def validates(cls: type, by_default: bool) -> bool:
    """Whether calls of the methods of a `cls` are checked."""
    says: bool | None = getattr(cls, "_pellucid_validate", None)
    return by_default if says is None else says


def guarded(method: Callable[..., Any], cls: type, by_default: bool) -> Callable[..., Any]:
    """`method`, found for a call of an object of a `cls`; or what checks its arguments first, where that is wanted.

    Raises:
        TypeError: its annotations are none that arguments can be checked by.
    """
    if not validates(cls, by_default) or type(method) is Checked:
        return method
    return Checked(method, _contract_of(method, cls))


def checked_by_name(cls: type, name: str) -> Callable[[Any], Callable[..., Any]] | None:
    """What finds the method `name` of a `cls`, to be checked: as `guarded`, with all done before that can be.

    None where it is nothing simple. Raises TypeError as `guarded` does.
    """
    function = getattr_static(cls, name, None)
    if type(function) is not FunctionType:
        return None
    contract = _contract_of(MethodType(function, cls), cls)

    def find(obj: Any) -> Callable[..., Any]:
        method = getattr(obj, name)
        if getattr(method, "__func__", None) is function:
            return Checked(method, contract)
        return guarded(method, cls, True)  # an instance has one of its own

    return find


def prepare(cls: type, prefix: str) -> None:
    """Look at the annotations of the methods of a `cls` that begin with `prefix`, before anybody calls them.

    Raises:
        TypeError: as `guarded` does.
    """
    for name in dir(cls):
        method = getattr(cls, name, None) if name.startswith(prefix) else None
        if callable(method):
            _contract_of(method, cls)


class Checked:
    """A method that is run only where its arguments are what its annotations say."""

    __slots__ = ("contract", "method")

    def __init__(self, method: Callable[..., Any], contract: Contract) -> None:
        self.method: Callable[..., Any] = method
        self.contract: Contract = contract

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        self.contract.check(args, kwargs)
        return self.method(*args, **kwargs)

    @property
    def __code__(self) -> Any:
        """That of the method: it tells whether that runs at once when it is called."""
        return self.method.__code__


_NO_PLACE = sys.maxsize
"""For the number of a parameter that is given by name alone: however many come by position, it is none of them."""

Place = tuple[str, frozenset[type], Checker | None]
"""Of a parameter its name, the types that will certainly do, and what tells of others; None where all will do."""


class Contract:
    """What the signature and the annotations of a function say about the arguments of a call."""

    __slots__ = ("_by_name", "_fewest", "_given", "_name", "_named_rest", "_places", "_required", "_rest")

    def __init__(
        self,
        name: str,
        parameters: Mapping[str, Parameter],
        checkers: Mapping[str, Checker | None],
        given: frozenset[str] = frozenset(),
    ) -> None:
        """`given` are names of what was given already, such as ``self``: they can't be given again by name."""
        self._name = name
        self._given = given
        self._rest: Place | None = None
        self._named_rest: Place | None = None
        # With the number of the place, or _NO_PLACE; and of what has no default, that.
        self._by_name: dict[str, tuple[int, Place]] = {}
        self._required: dict[str, int] = {}
        places: list[Place] = []
        for key, parameter in parameters.items():
            checker = checkers.get(key)
            place = key, checker.exact if checker is not None else frozenset[type](), checker
            if parameter.kind is Parameter.VAR_POSITIONAL:
                self._rest = place
                continue
            if parameter.kind is Parameter.VAR_KEYWORD:
                self._named_rest = place
                continue
            number = _NO_PLACE if parameter.kind is Parameter.KEYWORD_ONLY else len(places)
            if parameter.default is Parameter.empty:
                self._required[key] = number
            if parameter.kind is not Parameter.POSITIONAL_ONLY:
                self._by_name[key] = number, place
            if parameter.kind is not Parameter.KEYWORD_ONLY:
                places.append(place)
        self._places = tuple(places)
        self._fewest = max(self._required.values(), default=-1) + 1

    def check(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Raise InvalidArgument where a call with these does not keep it."""
        if kwargs or not self._fewest <= len(args) <= len(self._places):
            self._check_signature(args, kwargs)
        for (name, exact, checker), value in zip(self._places, args, strict=False):
            if type(value) not in exact and checker is not None:
                self._look(name, checker, value)

    def _check_signature(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Whether the arguments fit; and what those are that are given by name, or are more than have names."""
        places = self._places
        count, most = len(args), len(places)
        if count > most:
            if self._rest is None:
                raise self._refusal(str(most + 1), f"no more than {most} by position", str(count))
            name, _, checker = self._rest
            if checker is not None:
                for number, value in enumerate(args[most:]):
                    self._look(f"{name}[{number}]", checker, value)
        for key, value in kwargs.items():
            if key in self._by_name:
                number, (name, exact, checker) = self._by_name[key]
                if number < count:
                    raise self._refusal(key, "it once", "it by position and by name")
            elif self._named_rest is not None and key not in self._given:
                name, exact, checker = self._named_rest
                name = f"{name}[{value_text(key)}]"
            else:
                raise self._refusal(value_text(key), "no argument of that name", kind_of(value))
            if type(value) not in exact and checker is not None:
                self._look(name, checker, value)
        for key, number in self._required.items():
            if count <= number and not (key in kwargs and key in self._by_name):
                _, _, checker = self._by_name[key][1] if key in self._by_name else places[number]
                raise self._refusal(key, checker.expected if checker is not None else "a value", "nothing")

    def _look(self, name: str, checker: Checker, value: Any) -> None:
        try:
            fault = checker.fault(value, {})
        except RecursionError:
            fault = Fault("", checker.expected, f"a {kind_of(value)} that is nested too deeply to be checked")
        if fault is not None:
            raise self._refusal(name + fault.path, fault.expected, fault.got)

    def _refusal(self, argument: str, expected: str, got: str) -> InvalidArgument:
        error = InvalidArgument(self._name, argument, expected, got)
        error.while_dispatching = True
        return error


_contracts: WeakKeyDictionary[Any, dict[tuple[int, frozenset[str]], Contract]] = WeakKeyDictionary()
"""By function, and what of its arguments was given already when it was found."""


def _contract_of(method: Callable[..., Any], cls: type) -> Contract:
    """The contract of `method`, found for an object of a `cls`."""
    function: Any = method
    given, given_by_name = 0, frozenset[str]()
    while True:
        if isinstance(function, MethodType):
            given += 1
            function = function.__func__
        elif isinstance(function, partial):
            given += len(function.args)
            given_by_name = given_by_name.union(function.keywords)
            function = function.func
        else:
            break
    try:
        made = _contracts.setdefault(function, {})
    except TypeError:
        made = {}  # an object that can be called, and not be hashed or referred to weakly
    contract = made.get((given, given_by_name))
    if contract is None:
        contract = made[given, given_by_name] = _made_for(method, function, cls, given)
    return contract


def _made_for(method: Callable[..., Any], function: Any, cls: type, given: int) -> Contract:
    name = getattr(function, "__name__", type(function).__name__)
    described: Any = unwrap(function)
    if isinstance(described, type):
        described = getattr_static(described, "__init__")
    elif not hasattr(described, "__annotations__"):
        described = type(described).__call__
    try:
        if _is_single_dispatch(function):
            raise TypeError("which function it runs, and so its contract, is up to the argument: call it from a method")
        parameters = signature(method).parameters
        before = list(signature(function).parameters.values())[:given]
        hints = {key: hint for key, hint in getattr(described, "__annotations__", {}).items() if key in parameters}
        owner = owner_of(described, cls, type(getattr(method, "__self__", None)))
        compiler = Compiler(described, owner)
        checkers = {key: compiler.checker(resolve(hint, described, owner)) for key, hint in hints.items()}
        compiler.finish()
    except Exception as error:
        method_name = f"{cls.__qualname__}.{name}"
        raise TypeError(f"the arguments of {method_name} can't be checked (validate=True): {error}") from error
    given_names = frozenset(each.name for each in before if each.kind is Parameter.POSITIONAL_OR_KEYWORD)
    return Contract(name, parameters, checkers, given_names)


def _is_single_dispatch(function: Any) -> bool:
    """Whether `function` is what a `singledispatchmethod` is found as; its signature is another one, with ``self``."""
    return isinstance(getattr(getattr(function, "register", None), "__self__", None), singledispatchmethod)
