"""The command `pellucid`: its subcommands, each imported when it is asked for, and how it ends."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

import click
from click.shell_completion import add_completion_class

from pellucid.cli.bash import WholeWords
from pellucid.cli.exits import Exit
from pellucid.cli.failures import Failed

__all__ = ["COMMANDS", "app", "main"]

COMMANDS = ("serve", "call", "describe", "shell", "stubs", "bench", "completion")
"""The subcommands, in the order in which one meets them: each a module here, and a function of the same name in it."""

add_completion_class(WholeWords)  # in the place of click's own for bash


class Commands(click.Group):
    """A group that imports a subcommand when it is needed: each has libraries of its own."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = getattr(import_module(f"pellucid.cli.{cmd_name}"), cmd_name)
        assert isinstance(command, click.Command)
        return command


@click.command(cls=Commands)
@click.version_option(package_name="pellucid", prog_name="pellucid")
def app() -> None:
    """Remote objects, translucently: serve them, call them, look at them.

    URLs are pb://host:port, pbs://host:port (TLS) and pb+unix:/path. The exit code tells how it went: 0 done, 1 the
    peer answered with an error, 2 a wrong command line, 3 no connection, 4 login refused, 5 no answer in time.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code. What fails is said on stderr."""
    try:
        app.main(arguments, prog_name="pellucid", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return int(error.code if isinstance(error, Failed) else error.exit_code)
    except click.Abort:
        click.echo("pellucid: interrupted", err=True)
        return int(Exit.INTERRUPTED)
    return int(Exit.DONE)
