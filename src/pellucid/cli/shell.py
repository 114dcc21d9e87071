"""`pellucid shell`: Python at a prompt, with a server's object at hand."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import click
from prompt_toolkit.patch_stdout import patch_stdout

from pellucid.asyncio.connection import Connection
from pellucid.cli.access import Access
from pellucid.cli.exits import Exit
from pellucid.cli.failures import Failed, type_and_text
from pellucid.cli.options import access_options
from pellucid.cli.prompting import MethodCompleter, piped_lines, prompt_for
from pellucid.cli.showing import show_json, show_python
from pellucid.cli.statements import Statements, error_text
from pellucid.cli.texts import printable
from pellucid.cli.values import to_json
from pellucid.core.references import RemoteReference
from pellucid.errors import RemoteError

__all__ = ["shell"]


@click.command(short_help="Call from a Python prompt.")
@access_options()
def shell(access: Access) -> None:
    """Ask for statements of Python, and run them, with the object that the server at URL publishes at hand as `root`.

    `await` may stand anywhere; `pb` is pellucid, `connection` the connection, and `_` the last result. References that
    one gets can be called as long as the shell lasts. Tab completes names, those of remote methods too, where the
    server tells them. An empty line ends a block; Ctrl-C gives up what is awaited, and Ctrl-D ends the shell.

    Statements may also come from a file or a pipe. Then the first error ends it, with exit code 1.

    \b
    pellucid shell pb://localhost:8787
    >>> await root.call("echo", "hello")
    """  # noqa: D301 - what click looks for
    access.run(lambda connection, root: _Shell(access, connection, root).run(), timed=False)


class _Shell:
    """One run of the shell."""

    def __init__(self, access: Access, connection: Connection, root: RemoteReference) -> None:
        self._access = access
        self._connection = connection
        # By its name, as the front page is for programs, and nothing in this package imports it.
        names = {"__name__": "__console__", "pb": import_module("pellucid"), "connection": connection, "root": root}
        self._statements = Statements(names, self._show)

    async def run(self) -> None:
        """Run statements to their end. Raises Failed where one of a script fails, or the connection was lost."""
        if sys.stdin.isatty():
            tell_no_more = self._connection.notify_on_disconnect(_tell_of_the_end)
            try:
                await self._converse()
            finally:  # exit() closes the connection, too, and the input before
                tell_no_more()
        else:
            await self._follow()
        if self._connection.is_closed:
            raise Failed(Exit.NO_CONNECTION, "the connection was lost")

    async def _converse(self) -> None:
        completer = MethodCompleter(self._statements.names)
        prompt = prompt_for(completer)
        click.echo(f"{self._access.url} speaks {self._connection.dialect}. Its object is `root`; Ctrl-D ends this.")
        with patch_stdout(raw=True):
            while True:
                try:
                    line = await prompt.prompt_async("... " if self._statements.goes_on else ">>> ")
                    await self._enter(line)
                except KeyboardInterrupt:
                    self._statements.forget()
                    click.echo("interrupted", err=True)
                except EOFError:
                    return
                except Exception as error:  # noqa: BLE001 - whatever a statement raises is shown
                    click.echo(printable(error_text(error)), err=True)

    async def _follow(self) -> None:
        try:
            async for line in piped_lines():
                await self._enter(line)
            await self._enter("")  # the last block may have no empty line behind it
        except Exception as error:  # noqa: BLE001 - whatever a statement raises is shown
            if not self._access.as_json:
                click.echo(printable(error_text(error)), err=True)
            detail = {"traceback": error.remote_traceback} if isinstance(error, RemoteError) else {}
            kind = type_and_text(error)[0]
            raise Failed(Exit.FAILED, f"a statement failed: {error}", kind=kind, detail=detail) from None
        if self._statements.goes_on:
            raise Failed(Exit.FAILED, "the last statement is not complete, and was not run")

    async def _enter(self, line: str) -> None:
        if (code := self._statements.add(line)) is not None:
            await self._statements.run(code)

    def _show(self, value: Any) -> None:
        if self._access.as_json:
            show_json(to_json(value))
        else:
            show_python(value)


def _tell_of_the_end() -> None:
    click.echo("the connection was lost: references are dead; Ctrl-D ends this", err=True)
