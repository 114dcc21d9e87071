"""`pellucid describe`: what a server's object can be asked, where it tells."""

from __future__ import annotations

from dataclasses import asdict

import click
from rich.console import Group, RenderableType
from rich.highlighter import ReprHighlighter
from rich.padding import Padding
from rich.text import Text

from pellucid.asyncio.connection import Connection
from pellucid.cli.access import Access
from pellucid.cli.exits import Exit
from pellucid.cli.failures import Failed
from pellucid.cli.options import access_options
from pellucid.cli.showing import console, show_json
from pellucid.core.describing import describe as asked
from pellucid.core.references import RemoteReference
from pellucid.errors import NoSuchMethod
from pellucid.flavors.describing import Description

__all__ = ["describe", "description_from"]

_UNTOLD = (
    "the object tells nothing of itself. Its server can have it do so: its class then derives from "
    "pellucid.Described, as in `class Shop(pb.Described, pb.Root)`"
)


@click.command(short_help="Show what a server's object can be asked.")
@access_options()
def describe(access: Access) -> None:
    """Show what the object that the server at URL publishes can be asked: its methods, as the server describes them.

    It shows what the server chose to tell, which may be nothing.
    """
    description = description_from(access)
    if access.as_json:
        told = asdict(description)
        for method, of in zip(told["methods"], description.methods, strict=True):
            method["signature"] = of.signature
        show_json(told)
    else:
        console().print(_shown(description))


def description_from(access: Access) -> Description:
    """What the server tells of its object. It ends the command where that is nothing."""

    async def ask(connection: Connection, reference: RemoteReference) -> Description:
        try:
            return await asked(reference, timeout=access.timeout)
        except NoSuchMethod:
            raise Failed(Exit.FAILED, f"{access.url}: {_UNTOLD}") from None

    return access.run(ask)


def _shown(description: Description) -> RenderableType:
    # Nothing in a description does anything to a terminal: `parse_description` has seen to it.
    parts: list[RenderableType] = [Text(description.name, style="bold")]
    if description.doc:
        parts.append(Padding(Text(description.doc), (0, 0, 0, 2), expand=False))
    highlighter = ReprHighlighter()
    for method in description.methods:
        parts += [Text(), Text.assemble((method.name, "bold"), highlighter(method.signature))]
        if method.doc:
            parts.append(Padding(Text(method.doc), (0, 0, 0, 4), expand=False))
    return Group(*parts)
