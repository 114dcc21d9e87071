"""The Twisted door: twisted.spread's modules, by their names, on pellucid's core.

A program changes ``from twisted.spread import pb`` to ``from pellucid.twisted import pb``; or it calls `install`; or
it is run by ``python -m pellucid.twisted run PROGRAM ...`` and is not changed at all. Importing this package loads
nothing of Twisted's, and none of its modules loads the reactor: the program still has the choice.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, NoReturn

__all__ = ["install"]

_PACKAGE = "twisted.spread"
_MODULES = ("banana", "flavors", "interfaces", "jelly", "pb", "publish", "util")


def install() -> None:
    """From now on, whoever imports a module of twisted.spread gets pellucid's: in this process and those forked off it.

    Calling it again does nothing.

    Raises:
        ModuleNotFoundError: Twisted is not installed.
        RuntimeError: a module of twisted.spread has been imported before, so that its classes may be in use already.
    """
    _check_twisted()
    ours = {f"{_PACKAGE}.{name}": import_module(f"{__name__}.{name}") for name in _MODULES}
    taken = [name for name, module in ours.items() if sys.modules.get(name, module) is not module]
    if taken:
        raise RuntimeError(f"{', '.join(taken)} has been imported already: call pellucid.twisted.install() before that")
    package = import_module(_PACKAGE)  # holds nothing itself
    sys.modules.update(ours)
    for name in _MODULES:
        setattr(package, name, ours[f"{_PACKAGE}.{name}"])


if not TYPE_CHECKING:  # a type checker would take any name for one of this package

    def __getattr__(name: str) -> NoReturn:
        # `from pellucid.twisted import pb` asks here for a module that is not loaded yet, and then loads it.
        _check_twisted()
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _check_twisted() -> None:
    if find_spec("twisted") is None:
        raise ModuleNotFoundError("pellucid.twisted needs Twisted: pip install 'pellucid[twisted]'", name="twisted")
