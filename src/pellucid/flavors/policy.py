"""Which types may cross the wire besides the flavors and the classes of the registry."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import FunctionType, ModuleType
from typing import Any

from pellucid.errors import InsecureJelly
from pellucid.flavors.serializable import qualified_name

__all__ = ["BASIC_TYPES", "DEFAULT_POLICY", "Policy", "kind_and_name"]

BASIC_TYPES = frozenset(
    "None boolean str list tuple dictionary set frozenset decimal datetime date time timedelta uuid".split()
)
"""The kinds of plain value that may cross by default, besides bytes, int and float, which always may."""


class Policy:
    """What may cross, in both directions. It never changes: make another one for another server.

    `types` are the kinds of plain value (of `BASIC_TYPES`). Classes, functions and modules cross only where `named`
    lists them: what travels is the name, and the receiver looks it up in its own list, so nothing is ever imported.
    `instances` are classes whose plain instances may cross, state and all, without a flavor: prefer a flavor.
    `accept_placeholders` takes the "unpersistable" placeholder that Twisted peers put in place of an object they may
    not send, where it would be refused otherwise: among a call's arguments.
    """

    def __init__(
        self,
        *,
        types: Iterable[str] = BASIC_TYPES,
        named: Iterable[type | ModuleType | Callable[..., Any]] = (),
        instances: Iterable[type] = (),
        accept_placeholders: bool = False,
    ) -> None:
        self.types: frozenset[str] = frozenset(types)
        self.accept_placeholders = accept_placeholders
        self._named = {kind_and_name(thing): thing for thing in named}
        self._instances = {qualified_name(cls): cls for cls in instances}
        unknown = self.types - BASIC_TYPES
        if unknown:
            raise ValueError(f"no such kind of value: {sorted(unknown)}; there are {sorted(BASIC_TYPES)}")

    def name_of(self, thing: type | ModuleType | Callable[..., Any]) -> tuple[str, str]:
        """The kind ("class", "function" or "module") and the name under which `thing` crosses.

        Raises:
            InsecureJelly: it is not listed.
        """
        key = kind_and_name(thing)
        if self._named.get(key) is not thing:
            raise InsecureJelly(f"the {key[0]} {key[1]} may not cross; allow it with Policy(named=[...])")
        return key

    def named(self, kind: str, name: str) -> type | ModuleType | Callable[..., Any]:
        """What the peer means by `name`.

        Raises:
            InsecureJelly: it is not listed.
        """
        thing = self._named.get((kind, name))
        if thing is None:
            raise InsecureJelly(f"the {kind} {name[:200]} may not cross; allow it with Policy(named=[...])")
        return thing

    def allows_instances_of(self, cls: type) -> bool:
        """Whether plain instances of exactly `cls` may cross."""
        return self._instances.get(qualified_name(cls)) is cls

    def instance_class(self, name: str) -> type | None:
        """The class whose plain instances cross under `name`."""
        return self._instances.get(name)


DEFAULT_POLICY = Policy()
"""What may cross where nothing else is said."""


def kind_and_name(thing: object) -> tuple[str, str]:
    """The kind ("class", "function" or "module") and the name of what can cross by name. Raises TypeError."""
    if isinstance(thing, type):
        return "class", qualified_name(thing)
    if isinstance(thing, ModuleType):
        return "module", thing.__name__
    if isinstance(thing, FunctionType):
        return "function", f"{thing.__module__}.{thing.__qualname__}"
    raise TypeError(f"only classes, functions and modules cross by name, not {type(thing).__name__} objects")
