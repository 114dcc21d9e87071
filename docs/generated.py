"""Writes the parts of pages that are made from the code: run `make pages`. A test fails where one is out of date."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import click

from pellucid import limits
from pellucid.cli.app import COMMANDS, app
from pellucid.cli.exits import MEANINGS

PAGE_OF_LIMITS = Path(__file__).parent / "reference" / "limits.md"
PAGE_OF_COMMANDS = Path(__file__).parent / "reference" / "cli.md"

_COLUMNS = 100
"""Of the help texts, whatever terminal this runs at."""


def table_of_limits() -> str:
    """A row for each limit: its name, its default, its docstring's first paragraph and the others."""
    rows = ["| field | default | before login | counts | beyond it |", "|---|---|---|---|---|"]
    defaults, strangers = limits.Limits(), limits.Limits().before_login()
    for name, text in _docstrings_of_fields():
        counts, _, beyond = (" ".join(part.split()) for part in text.partition("\n\n"))
        default, before = getattr(defaults, name), getattr(strangers, name)
        lower = f"{before:_}" if before != default else ""
        counts = counts.removesuffix(".")
        rows.append(f"| `{name}` | {default:_} | {lower} | {counts[0].lower()}{counts[1:]} | {beyond} |")
    return "\n".join(rows)


def page_of_limits(page: str) -> str:
    """The page with the table as it should be, and all else as it is."""
    lines = page.splitlines()
    inside = [number for number, line in enumerate(lines) if line.startswith("|")]
    return "\n".join([*lines[: inside[0]], table_of_limits(), *lines[inside[-1] + 1 :]]) + "\n"


def page_of_commands(page: str) -> str:
    """The page with the exit codes and the help texts as they should be, and all else as it is.

    The table is the first one; the help of a command is the block below its heading, which has the command's name.
    """
    rows = ["| exit code | when |", "|---|---|", *(f"| {int(code)} | {text} |" for code, text in MEANINGS.items())]
    page = re.sub(r"\| exit code \|.*?\n\n", lambda _: "\n".join(rows) + "\n\n", page, count=1, flags=re.DOTALL)
    for name, text in _help_texts():
        head, heading, rest = page.partition(f"\n## `{name}`\n")
        assert heading, f"there is no heading for {name} on the page of commands"
        above, fence, block = rest.partition("```text no-check\n")
        page = "".join([head, heading, above, fence, text.rstrip(), "\n```\n", block.partition("```\n")[2]])
    return page


def _help_texts() -> Iterator[tuple[str, str]]:
    """What ``--help`` says of the command itself, and of each of its commands, by how one writes it."""
    above = click.Context(app, info_name="pellucid", terminal_width=_COLUMNS)
    yield "pellucid", app.get_help(above)
    for name in COMMANDS:
        command = app.get_command(above, name)
        assert command is not None
        yield f"pellucid {name}", command.get_help(click.Context(command, info_name=name, parent=above))


def _docstrings_of_fields() -> Iterator[tuple[str, str]]:
    (described,) = ast.parse(inspect.getsource(limits.Limits)).body
    assert isinstance(described, ast.ClassDef)
    texts: dict[str, str] = {}
    for statement, below in zip(described.body, described.body[1:], strict=False):
        match statement, below:
            case ast.AnnAssign(target=ast.Name(name)), ast.Expr(ast.Constant(str(text))):
                texts[name] = inspect.cleandoc(text)
    for field in dataclasses.fields(limits.Limits):
        yield field.name, texts[field.name]


if __name__ == "__main__":
    PAGE_OF_LIMITS.write_text(page_of_limits(PAGE_OF_LIMITS.read_text(encoding="utf-8")), encoding="utf-8")
    PAGE_OF_COMMANDS.write_text(page_of_commands(PAGE_OF_COMMANDS.read_text(encoding="utf-8")), encoding="utf-8")
