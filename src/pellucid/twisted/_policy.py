"""What may cross in this door: PB's security options as a policy, and PB's process-wide tables of tags as a registry.

Both are asked at every use, for programs allow types, and register classes, while they run.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from inspect import getattr_static
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, ClassVar, Protocol

from pellucid.errors import InsecureJelly
from pellucid.flavors.policy import Policy, kind_and_name
from pellucid.flavors.registry import DEFAULT_REGISTRY, Receiver, Registry
from pellucid.flavors.serializable import qualified_name

__all__ = [
    "DummySecurityOptions",
    "SecurityOptions",
    "TagRegistry",
    "Taster",
    "TasterPolicy",
    "globalSecurity",
    "setUnjellyableFactoryForClass",
    "setUnjellyableForClass",
    "setUnjellyableForClassTree",
    "unjellyableFactoryRegistry",
    "unjellyableRegistry",
]


class Taster(Protocol):
    """What says which types may cross."""

    def isModuleAllowed(self, moduleName: Any, /) -> Any:
        """Whether things of that module may cross by name."""
        ...

    def isClassAllowed(self, klass: Any, /) -> Any:
        """Whether that class, whose module is allowed, may cross, and its plain instances."""
        ...

    def isTypeAllowed(self, typeName: Any, /) -> Any:
        """Whether expressions with that tag may cross."""
        ...


def _tag_of(sender: str | bytes | type) -> bytes:
    return _as_bytes(sender) if isinstance(sender, str | bytes) else qualified_name(sender).encode()


def _as_bytes(name: str | bytes) -> bytes:
    return name if isinstance(name, bytes) else name.encode()


class DummySecurityOptions:
    """Security options that allow anything: for what this program wrote itself."""

    def isModuleAllowed(self, moduleName: str | bytes) -> bool:
        """Always."""
        return True

    def isClassAllowed(self, klass: type) -> bool:
        """Always."""
        return True

    def isTypeAllowed(self, typeName: str | bytes) -> bool:
        """Always."""
        return True


class SecurityOptions:
    """Which types may cross: at first None, booleans, numbers, text, bytes, times, decimals, sets and UUIDs.

    (UUIDs cross in the native dialect; PB has no form for them.)
    """

    basicTypes: ClassVar[list[str]] = [
        *"dictionary list tuple reference dereference unpersistable persistent long_int long dict".split()
    ]
    """What `allowBasicTypes` adds."""

    def __init__(self) -> None:
        self.allowedTypes: dict[bytes, Any] = dict.fromkeys(
            b"None bool boolean string str int float datetime time date timedelta NoneType unicode decimal set"
            b" frozenset uuid".split(),
            1,
        )
        self.allowedModules: dict[bytes, Any] = {}
        self.allowedClasses: dict[type, Any] = {}

    def allowBasicTypes(self) -> None:
        """Allow lists, tuples and dictionaries, and shared structure."""
        self.allowTypes(*self.basicTypes)

    def allowTypes(self, *types: str | bytes | type) -> None:
        """Allow expressions with these tags; a class stands for its qualified name."""
        for tag in types:
            self.allowedTypes[_tag_of(tag)] = 1

    def allowInstancesOf(self, *classes: type) -> None:
        """Allow plain instances of these classes, state and all, and the classes themselves; basic types as well."""
        self.allowBasicTypes()
        self.allowTypes("instance", "class", "classobj", "module")
        for cls in classes:
            self.allowTypes(cls)
            self.allowModules(cls.__module__)
            self.allowedClasses[cls] = 1

    def allowModules(self, *modules: str | bytes | ModuleType) -> None:
        """Allow things of these modules, where their kind is allowed too, to cross by name."""
        for module in modules:
            self.allowedModules[_as_bytes(module.__name__ if isinstance(module, ModuleType) else module)] = 1

    def isModuleAllowed(self, moduleName: str | bytes) -> bool:
        """Whether `allowModules` has been told of it."""
        return _as_bytes(moduleName) in self.allowedModules

    def isClassAllowed(self, klass: type) -> bool:
        """Whether `allowInstancesOf` has been told of it."""
        return klass in self.allowedClasses

    def isTypeAllowed(self, typeName: str | bytes) -> bool:
        """Whether expressions with that tag may cross. Of one with a dot its module and class decide, later."""
        tag = _as_bytes(typeName)
        return tag in self.allowedTypes or b"." in tag


globalSecurity: SecurityOptions = SecurityOptions()
"""What may cross on connections, and is allowed by registering a class, unless they are given options of their own."""

globalSecurity.allowBasicTypes()
globalSecurity.allowTypes("remote", "local", "cached", "lcache")

unjellyableRegistry: dict[bytes, Any] = {}
"""By tag: the class with an `unjellyFor` that copies are made of, or something to call with the unjellier and the
expression."""

unjellyableFactoryRegistry: dict[bytes, Callable[[Any], Any]] = {}
"""By tag: what to call with the state that was sent."""


def setUnjellyableForClass(classname: str | bytes | type, unjellyable: Any) -> None:
    """Build copies of `classname`, a class at the peer or its tag, with the class `unjellyable`, and allow them."""
    tag = _tag_of(classname)
    unjellyableRegistry[tag] = unjellyable
    globalSecurity.allowTypes(tag)


def setUnjellyableFactoryForClass(classname: str | bytes | type, copyFactory: Callable[[Any], Any]) -> None:
    """Build copies of `classname` by calling `copyFactory` with the state that was sent, and allow them."""
    tag = _tag_of(classname)
    unjellyableFactoryRegistry[tag] = copyFactory
    globalSecurity.allowTypes(tag)


def setUnjellyableForClassTree(module: ModuleType, baseClass: type, prefix: str | None = None) -> None:
    """Register every class in `module` that derives from `baseClass`, under `prefix`, a dot and its name there.

    The prefix is the name of the module unless you give one; an empty one has no dot.
    """
    prefix = module.__name__ if prefix is None else prefix
    for name in dir(module):
        found = getattr(module, name)
        if isinstance(found, type) and issubclass(found, baseClass):
            setUnjellyableForClass(f"{prefix}.{name}" if prefix else name, found)


class TasterPolicy(Policy):
    """PB's security options, as the policy of one connection; `invoker` is its `pb.Broker`."""

    def __init__(self, taster: Taster, invoker: Any = None) -> None:
        super().__init__()
        self.taster = taster
        self.invoker = invoker

    def name_of(self, thing: type | ModuleType | Callable[..., Any]) -> tuple[str, str]:
        """The kind and the name under which `thing` crosses: as in PB, its receiver decides."""
        return kind_and_name(thing)

    def named(self, kind: str, name: str) -> type | ModuleType | Callable[..., Any]:
        """What the peer means by `name`. It must be loaded: nothing is imported because a peer names it.

        Raises:
            InsecureJelly: it may not cross, or there is no such thing here.
        """
        if kind != "module":
            return self._class(name) if kind == "class" else self._function(name)
        self._check_module(name, name)
        module = sys.modules.get(name)
        if module is None:
            raise InsecureJelly(f"the module {name[:200]} is not loaded here")
        return module

    def allows_instances_of(self, cls: type) -> bool:
        """Whether plain instances of exactly `cls` may cross."""
        return bool(self.taster.isClassAllowed(cls))

    def instance_class(self, name: str) -> type:
        """The class whose plain instances cross under `name`. Raises InsecureJelly where there is none."""
        return self._class(name)

    def _class(self, name: str) -> type:
        self._check_module(name.rpartition(".")[0], name, "setUnjellyableForClass and SecurityOptions.allowInstancesOf")
        found = _find(name)
        if not isinstance(found, type):
            raise InsecureJelly(f"{name[:200]} is no class that is loaded here")
        if not self.taster.isClassAllowed(found):
            raise InsecureJelly(f"Class {name[:200]} not allowed; see SecurityOptions.allowInstancesOf")
        return found

    def _function(self, name: str) -> Callable[..., Any]:
        self._check_module(name.rpartition(".")[0], name)
        found = _find(name)
        if not isinstance(found, FunctionType | BuiltinFunctionType):
            raise InsecureJelly(f"{name[:200]} is no function that is loaded here")
        return found

    def _check_module(self, module: str, name: str, see: str = "SecurityOptions.allowModules") -> None:
        if not self.taster.isModuleAllowed(module):
            raise InsecureJelly(f"Module {module[:200]} not allowed (in type {name[:200]}); see {see}")


class TagRegistry(Registry):
    """PB's process-wide tables, and behind them the registry of this connection and pellucid's default."""

    def unjellyable(self, tag: bytes) -> Any:
        """What was given to `setUnjellyableForClass` for that tag."""
        return unjellyableRegistry.get(tag)

    def factory(self, tag: bytes) -> Callable[[Any], Any] | None:
        """What was given to `setUnjellyableFactoryForClass` for that tag."""
        return unjellyableFactoryRegistry.get(tag)

    def receiver(self, tag: str) -> Receiver | None:
        """What builds the copies tagged `tag`, where it was registered in pellucid's way."""
        return super().receiver(tag) or DEFAULT_REGISTRY.receiver(tag)

    def copier(self, cls: type) -> Any:
        """How instances of exactly `cls` are sent, where it is an ordinary class registered as copyable."""
        return super().copier(cls) or DEFAULT_REGISTRY.copier(cls)


def _find(name: str) -> Any:
    """What goes by a dotted name in the modules that are loaded; None where nothing does. Nothing is run for it."""
    module_name = name
    parts: list[str] = []
    while module_name not in sys.modules:
        module_name, dot, part = module_name.rpartition(".")
        if not dot:
            return None
        parts.insert(0, part)
    found: Any = sys.modules[module_name]
    for part in parts:
        if not isinstance(found, type | ModuleType):
            return None
        found = getattr_static(found, part, None)
    return found
