"""`pellucid call`: one call of a method."""

from __future__ import annotations

from typing import Any

import click

from pellucid.asyncio.connection import Connection
from pellucid.cli.access import Access
from pellucid.cli.options import access_options, complete_method
from pellucid.cli.showing import show_value, write_raw
from pellucid.cli.values import parse_arguments
from pellucid.core.references import RemoteReference

__all__ = ["call"]


# What looks like an option and is none may be a negative number; `parse_arguments` refuses the others.
@click.command(short_help="Call a method once.", context_settings={"ignore_unknown_options": True})
@access_options()
@click.argument("method", shell_complete=complete_method)
@click.argument("arguments", metavar="[ARGS]...", nargs=-1)
@click.option("--raw", is_flag=True, help="Write a text, or bytes, as they are, and nothing else.")
def call(access: Access, method: str, arguments: tuple[str, ...], raw: bool) -> None:
    """Call METHOD of the object that the server at URL publishes, and print the result.

    Each of ARGS is JSON (42, true, [1, 2]), else a Python literal (None, b'raw', (1, 2), 'a text in quotes'), else
    text. @FILE is the text of a file, b@FILE its bytes; @- and b@- are standard input. NAME=VALUE is an
    argument with a name.

    \b
    pellucid call pb://localhost:8787 add 1 2
    pellucid call pb://localhost:8787 store b@photo.png title="At the sea"
    """  # noqa: D301 - what click looks for
    if raw and access.as_json:
        raise click.UsageError("--raw and --json are two ways to print the result: choose one")
    args, kwargs = parse_arguments(arguments)

    async def make_it(connection: Connection, reference: RemoteReference) -> Any:
        result = await reference.call_with(timeout=access.timeout).call(method, *args, **kwargs)
        if raw:
            write_raw(result)
        else:
            show_value(result, as_json=access.as_json)  # while the connection lives, and references with it

    access.run(make_it)
