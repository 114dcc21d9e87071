"""`pellucid completion`: what a shell needs to complete the command's names."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

__all__ = ["completion"]


@click.command(short_help="Print what a shell needs to complete all this.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print what the shell SHELL needs to complete commands, options, and methods that a server tells of.

    \b
    pellucid completion bash > ~/.local/share/bash-completion/completions/pellucid
    pellucid completion zsh > "${fpath[1]}/_pellucid"
    pellucid completion fish > ~/.config/fish/completions/pellucid.fish
    """  # noqa: D301 - what click looks for
    kind, root = get_completion_class(shell), ctx.find_root()
    assert kind is not None  # click has all three
    click.echo(kind(root.command, {}, "pellucid", "_PELLUCID_COMPLETE").source())
