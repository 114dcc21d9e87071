"""`pellucid stubs`: interfaces, written from what a server tells or from a module."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pellucid.cli.access import Access
from pellucid.cli.describe import description_from
from pellucid.cli.exits import Exit
from pellucid.cli.failures import Failed, failing
from pellucid.cli.options import URL, access_options
from pellucid.cli.showing import show_json
from pellucid.cli.targets import import_named, load
from pellucid.flavors.interfaces import is_interface
from pellucid.flavors.referenceable import Avatar, Referenceable, Viewable
from pellucid.flavors.stubs import interface_source

__all__ = ["stubs"]

_SCHEMES = ("pb:", "pbs:", "pb+unix:")


class _Named(click.ParamType[str]):
    """A URL, or the name of a module or of a class in it."""

    name = "source"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return URL.convert(value, param, ctx) if str(value).startswith(_SCHEMES) else str(value)


@click.command(short_help="Write typed interfaces.")
@access_options(url=_Named(), metavar="URL|MODULE[:CLASS]")
@click.option("-o", "--output", type=click.Path(dir_okay=False, writable=True), help="Write to this file.")
def stubs(access: Access, output: str | None) -> None:
    """Write typed interfaces for `reference.as_`: of the object that a server publishes, or of classes of a module.

    A server is asked what it tells of its object, as `pellucid describe` shows it. A module, looked for in this folder
    first, is imported; of it all interfaces and classes are written that a peer may call, or the one CLASS.

    What is written does nothing but declare interfaces, whatever a server has told.

    \b
    pellucid stubs pb://localhost:8787 -o shop.py
    pellucid stubs shop:Shop
    """  # noqa: D301 - what click looks for
    with failing(access.as_json):
        text = _source(access)
        if output is not None:
            _write(output, text)
    if access.as_json:
        show_json({"output": output} if output is not None else {"source": text})
    elif output is None:
        click.echo(text, nl=False)


def _write(output: str, text: str) -> None:
    try:
        Path(output).write_text(text, encoding="utf-8")
    except OSError as error:
        raise Failed(Exit.FAILED, f"{output} can't be written: {error.strerror}") from None


def _source(access: Access) -> str:
    is_url = access.url.startswith(_SCHEMES)
    try:
        return interface_source(*([description_from(access)] if is_url else _classes(access.url)))
    except ValueError as error:
        raise Failed(Exit.FAILED, str(error)) from None


def _classes(source: str) -> list[type]:
    if ":" in source:
        found = load(source)
        if not isinstance(found, type):
            raise Failed(Exit.FAILED, f"{source} is no class")
        return [found]
    module = import_named(source)
    found = [
        each
        for name, each in vars(module).items()
        if isinstance(each, type) and each.__module__ == source and not name.startswith("_") and _is_called(each)
    ]
    if not found:
        raise Failed(Exit.FAILED, f"the module {source} has no interface, and no class that a peer may call")
    return found


def _is_called(cls: type) -> bool:
    return is_interface(cls) or issubclass(cls, Referenceable | Viewable | Avatar)
