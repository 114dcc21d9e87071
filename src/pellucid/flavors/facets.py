"""Facets: less than an object, and only for as long as its owner likes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from inspect import iscoroutinefunction
from typing import Any, ClassVar
from weakref import WeakValueDictionary

from pellucid.errors import InvalidArgument, NoSuchMethod, RateExceeded, Revoked
from pellucid.flavors.dispatch import DECODED, Translator, built_in
from pellucid.flavors.hooks import beginning
from pellucid.flavors.referenceable import Referenceable, Viewable, Viewpoint, method_of
from pellucid.flavors.serializable import identity
from pellucid.flavors.validation import Checked

__all__ = ["Facet", "FacetUse"]

Exported = Referenceable | Viewable
_EXPORTED = (Referenceable, Viewable)
"""What is sent as a reference."""


@dataclass(frozen=True, slots=True)
class FacetUse:
    """A call through a facet: what its `audit` is told just before the method runs, or is refused."""

    facet: Facet
    method: str
    """The name that is called, without prefix."""
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    refusal: Exception | None
    """Why it is not run: `Revoked`, `RateExceeded`, `InvalidArgument` or `NoSuchMethod`; None where it is."""


class Facet(Referenceable):
    """Exposes less than an object does; made by `pellucid.facet`, which says what the arguments mean.

    It is an object of its own: a peer that has both the facet and its object has two references, and the one that is
    sent home is the facet. `clock` gives seconds, and `until` is by that clock. `lock` is held for a moment where calls
    in several threads would be in each other's way.
    """

    _pellucid_stands_in: ClassVar[bool] = True

    def __init__(
        self,
        obj: Referenceable,
        methods: Iterable[str] | None = None,
        *,
        until: float | None = None,
        calls_per_second: float | None = None,
        audit: Callable[[FacetUse], object] | None = None,
        deep: bool = False,
        clock: Callable[[], float],
        lock: AbstractContextManager[Any] | None = None,
    ) -> None:
        if not isinstance(obj, Referenceable):
            raise TypeError(f"a facet is of a Referenceable, not of {type(obj).__name__}")
        if isinstance(methods, str):
            raise TypeError(f"methods are several names, not the text {methods!r}: write methods=[{methods!r}]")
        if calls_per_second is not None and not calls_per_second > 0:
            raise ValueError(f"calls_per_second is {calls_per_second}: a facet that allows no call is of no use")
        if audit is not None and any(map(iscoroutinefunction, (audit, type(audit).__call__))):
            raise TypeError(f"audit is a plain function, which has taken note when it returns, not {audit!r}")
        self.object = obj
        """What it is a facet of."""
        self.methods: frozenset[str] | None = None if methods is None else frozenset(methods)
        """The names that may be called; None where all may that the object has."""
        for name in self.methods or ():
            if name.startswith("remote_") and not hasattr(obj, f"remote_{name}"):
                raise ValueError(f"methods are named as callers name them: {name[7:]!r}, not {name!r}")
        self._until = until
        self._audit = audit
        self._clock = clock
        self._lock = nullcontext() if lock is None else lock
        self._rate = None if calls_per_second is None else _Rate(calls_per_second, clock, self._lock)
        self._is_revoked = False
        self._membrane = _Membrane(self) if deep else None

    @property
    def perspective(self) -> Any:
        """As of its object."""
        return self.object.perspective

    @property
    def revoked(self) -> bool:
        """Whether calls are refused: it was revoked, or its time is over."""
        through = self._membrane is not None and self._membrane.is_revoked
        return self._is_revoked or through or (self._until is not None and self._clock() >= self._until)

    def revoke(self, *, deep: bool | None = None) -> None:
        """Refuse every call from now on, with `Revoked`. Methods that run already run on.

        What was obtained through the facet is revoked with it where the facet was made so; `deep` says otherwise.

        Raises:
            ValueError: `deep` is true, and the facet was made without: what was obtained through it can't be known.
        """
        if self._membrane is None:
            if deep:
                raise ValueError("what was obtained through this facet is not known: make it with deep=True")
        elif deep is not False:
            self._membrane.is_revoked = True
        self._is_revoked = True

    @built_in(lambda facet, name, translator: partial(facet._use, name, translator))
    def method_for(self, name: str) -> Callable[..., Any]:
        return partial(self._use, name, DECODED)

    def _use(self, name: str, translator: Translator, /, *args: Any, **kwargs: Any) -> Any:
        """What a call of `name` comes to."""
        way: list[Facet] = [self]
        while isinstance(behind := way[-1].object, Facet):
            way.append(behind)
        uses: list[tuple[Facet, tuple[Any, ...], dict[str, Any]]] = []  # by each that is asked, and with what
        method: Any = None
        refusal: Exception | None = None
        try:
            for facet in way:
                uses.append((facet, args, kwargs))
                facet._check(name)
                if facet._membrane is not None:
                    args, kwargs = facet._membrane.all_inwards(args, kwargs)
            method = method_of(behind, name, translator)
            if isinstance(method, Checked):
                method.contract.check(args, kwargs)
                method = method.method
            _count([facet._rate for facet in way if facet._rate is not None])
        except (Revoked, RateExceeded, NoSuchMethod, InvalidArgument) as error:
            refusal = error
            error.__traceback__ = None
            error.while_dispatching = True
        for facet, given, named in uses:
            if facet._audit is not None:
                facet._audit(FacetUse(facet, name, given, named, refusal))
                if refusal is None:
                    _check_revoked(way)  # who has noted the call may have had enough
        if refusal is not None:
            raise refusal
        return _run(tuple(reversed(way)), method, args, kwargs)

    def _check(self, name: str) -> None:
        """Raise Revoked, NoSuchMethod or RateExceeded where this facet lets no call of `name` through now."""
        if self.revoked:
            raise _revoked()
        if self.methods is not None and name not in self.methods:
            raise NoSuchMethod(f"No such method: {f'remote_{name}'[:200]}")
        if self._rate is not None:
            self._rate.check()

    def __repr__(self) -> str:
        names = "all methods" if self.methods is None else ", ".join(sorted(self.methods)) or "no methods"
        return f"<Facet of {type(self.object).__name__}: {names}{', revoked' if self.revoked else ''}>"


def _check_revoked(facets: Iterable[Facet]) -> None:
    """Raise Revoked where one of these is."""
    if any(facet.revoked for facet in facets):
        raise _revoked()


def _revoked() -> Revoked:
    error = Revoked("the facet was revoked, or its time is over: ask its owner for another")
    error.while_dispatching = True
    return error


def _run(through: tuple[Facet, ...], method: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run what facets of facets, the innermost first, have let through."""
    if iscoroutinefunction(method):
        return _begin(through, method, args, kwargs)
    result = method(*args, **kwargs)
    if not any(facet._membrane for facet in through):
        return result
    if hasattr(result, "addCallback"):
        return result.addCallback(partial(_outwards, through))
    return _later(through, result) if hasattr(result, "__await__") else _outwards(through, result)


async def _begin(
    through: tuple[Facet, ...], method: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Run an ``async`` method, which begins a little later than it was called, unless a facet was revoked."""
    check = partial(_check_revoked, through)
    check()
    beginning.set((getattr(method, "__func__", method), check))
    return _outwards(through, await method(*args, **kwargs))


async def _later(through: tuple[Facet, ...], result: Awaitable[Any]) -> Any:
    return _outwards(through, await result)


def _outwards(through: tuple[Facet, ...], result: Any) -> Any:
    """`result` as the peer is given it by facets of facets, the innermost first."""
    for facet in through:
        if facet._membrane is not None:
            result = facet._membrane.outwards(result, facet)
    return result


class _Obtained(Facet):
    """What stands for an object that was obtained through a facet."""

    def __init__(self, obj: Referenceable, through: Facet) -> None:
        super().__init__(obj, until=through._until, clock=through._clock, lock=through._lock)
        self._membrane = through._membrane


class _Membrane:
    """What all that is obtained through one facet passes: outwards as facets, and home again as itself."""

    def __init__(self, facet: Facet) -> None:
        self.is_revoked = False
        self._obtained: WeakValueDictionary[Hashable, Facet] = WeakValueDictionary()  # by what tells objects apart
        behind: Referenceable = facet
        while isinstance(behind, Facet):  # an object that returns itself does not give away more than it was meant to
            behind = behind.object
            self._obtained[identity(behind)] = facet

    def outwards(self, value: Any, through: Facet) -> Any:
        """`value`, a result, as the peer is given it."""
        return _replaced(value, lambda obj: self._facet_of(obj, through))

    def all_inwards(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments of a call as the object is given them."""
        inwards = partial(_replaced, replace=self._original)
        return tuple(map(inwards, args)), {key: inwards(value) for key, value in kwargs.items()}

    def _facet_of(self, obj: Exported, through: Facet) -> Referenceable:
        if isinstance(obj, Facet) and obj._membrane is self:
            return obj
        # Here and not when it is sent: it is the view that is a facet's to end.
        seen = Viewpoint(through.perspective, obj) if isinstance(obj, Viewable) else obj
        key = identity(seen)
        with through._lock:
            facet = self._obtained.get(key)
            if facet is None:
                facet = self._obtained[key] = _Obtained(seen, through)
        return facet

    def _original(self, obj: Exported) -> Exported:
        return obj.object if isinstance(obj, _Obtained) and obj._membrane is self else obj


class _Rate:
    """How often something may happen: as often in a row as in one second, and then at that rate."""

    __slots__ = ("_clock", "_left", "_lock", "_most", "_per_second", "_seen")

    def __init__(self, per_second: float, clock: Callable[[], float], lock: AbstractContextManager[Any]) -> None:
        self._per_second = per_second
        self._most = self._left = max(1.0, per_second)
        self._clock = clock
        self._lock = lock
        self._seen = clock()

    def check(self) -> None:
        """Raise RateExceeded where it may not happen now."""
        with self._lock:
            self._refill()

    def count(self) -> None:
        """It happens now. Raises RateExceeded where it may not."""
        with self._lock:
            self._refill()
            self._left -= 1

    def give_back(self) -> None:
        """It was counted, and did not happen after all."""
        with self._lock:
            self._left += 1

    def _refill(self) -> None:
        now = self._clock()
        self._left = min(self._most, self._left + max(0.0, now - self._seen) * self._per_second)
        self._seen = now
        if self._left < 1:
            raise RateExceeded(f"over calls_per_second={self._per_second:g}: call less often")


def _count(rates: list[_Rate]) -> None:
    """Count one call by all of `rates`, or by none. Raises RateExceeded: another thread may have had the last one."""
    for number, rate in enumerate(rates):
        try:
            rate.count()
        except RateExceeded:
            for counted in rates[:number]:
                counted.give_back()
            raise


def _replaced(value: Any, replace: Callable[[Exported], Exported]) -> Any:
    """`value` with what `replace` makes of each object in it; itself, where there are none.

    Plain lists, tuples, sets and dictionaries are looked into, and no other values.
    """
    if isinstance(value, _EXPORTED):
        return replace(value)
    return _rebuilt(value, replace, {}) if _has_objects(value) else value


def _has_objects(value: Any) -> bool:
    waiting, seen = [value], set[int]()
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, _EXPORTED):
            return True
        cls = type(inner)
        if cls in _CONTAINERS and id(inner) not in seen:
            seen.add(id(inner))
            waiting += [*inner, *inner.values()] if cls is dict else inner
    return False


_CONTAINERS = (list, tuple, set, frozenset, dict)


def _rebuilt(value: Any, replace: Callable[[Exported], Exported], done: dict[int, Any]) -> Any:
    if isinstance(value, _EXPORTED):
        return replace(value)
    cls = type(value)
    if cls not in _CONTAINERS:
        return value
    if id(value) in done:
        return done[id(value)]
    built: Any
    if cls is list:
        built = done[id(value)] = []
        built += [_rebuilt(inner, replace, done) for inner in value]
    elif cls is dict:
        built = done[id(value)] = {}
        for key, inner in value.items():
            built[_rebuilt(key, replace, done)] = _rebuilt(inner, replace, done)
    else:
        built = done[id(value)] = cls([_rebuilt(inner, replace, done) for inner in value])
    return built
