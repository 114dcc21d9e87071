"""What a command line names as ``module:object``."""

from __future__ import annotations

import inspect
import sys
import traceback
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import click

from pellucid.cli.exits import Exit
from pellucid.cli.failures import Failed

__all__ = ["import_named", "load", "served_by"]


def import_named(name: str) -> ModuleType:
    """The module of that name, looked for in the current folder first, as ``python -m`` does.

    Raises:
        Failed: there is none, or it can't be imported; then its own traceback was shown.
    """
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path and not sys.flags.safe_path:
        sys.path.insert(0, here)
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise _broken(name, error) from None
        raise Failed(Exit.FAILED, f"there is no module {error.name!r} in this folder, or where Python looks") from None
    except Exception as error:  # noqa: BLE001 - whatever a module of the user's may do
        raise _broken(name, error) from None


def load(what: str) -> Any:
    """What ``module:object`` names; the object may be an attribute of another: ``module:outer.inner``.

    Raises:
        click.UsageError: it is not of that form.
        Failed: there is no such thing.
    """
    module, colon, path = what.partition(":")
    if not (colon and module and all(map(str.isidentifier, path.split(".")))):
        raise click.UsageError(f"{what!r} is not of the form module:object, such as quotes:Quotes")
    thing: Any = import_named(module)
    for name in path.split("."):
        if not hasattr(thing, name):
            raise Failed(Exit.FAILED, f"there is no {path} in the module {module}")
        thing = getattr(thing, name)
    return thing


async def served_by(thing: Any) -> Any:
    """What to publish for `thing`: of a class an instance; of a function without parameters what it returns.

    A function with a parameter is left as it is: it makes a root for each connection.
    """
    if not callable(thing) or (not inspect.isroutine(thing) and not isinstance(thing, type)):
        return thing
    if not isinstance(thing, type) and inspect.signature(thing).parameters:
        return thing
    try:
        made = thing()
        return await made if inspect.isawaitable(made) else made
    except Exception as error:  # noqa: BLE001 - whatever a class of the user's may do
        raise _broken(thing.__qualname__, error) from None


def _broken(name: str, error: Exception) -> Failed:
    shown = traceback.TracebackException.from_exception(error)
    shown.stack = traceback.StackSummary.from_list([frame for frame in shown.stack if not _is_ours(frame.filename)])
    click.echo("".join(shown.format()).rstrip(), err=True)
    return Failed(Exit.FAILED, f"{name} can't be used: {type(error).__name__}: {error}")


def _is_ours(filename: str) -> bool:
    return filename in (__file__, import_module.__code__.co_filename) or filename.startswith("<frozen importlib")
