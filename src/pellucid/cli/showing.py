"""What the command prints: values for people and for programs."""

from __future__ import annotations

import json
import sys
from typing import Any

import click
from rich.console import Console
from rich.highlighter import ReprHighlighter
from rich.pretty import pretty_repr

from pellucid.cli.exits import Exit
from pellucid.cli.failures import Failed
from pellucid.cli.texts import printable
from pellucid.cli.values import to_json

__all__ = ["console", "show_json", "show_python", "show_value", "write_raw"]


def console(*, err: bool = False) -> Console:
    """Where to print. What is printed is never looked at for markup or emoji: it may come from a peer."""
    return Console(stderr=err, markup=False, emoji=False, highlight=False, soft_wrap=True)


def show_value(value: Any, *, as_json: bool) -> None:
    """Print a result. Text is printed as it is, other values as Python writes them."""
    if as_json:
        show_json(to_json(value))
    elif isinstance(value, str):
        click.echo(printable(value))
    else:
        show_python(value)


def show_python(value: Any) -> None:
    """Print a value as Python writes it."""
    out = console()
    # What an object writes of itself need not be harmless: the names of references are the peer's.
    out.print(ReprHighlighter()(printable(pretty_repr(value, max_width=out.width))))


def show_json(value: Any) -> None:
    """Print one line of JSON."""
    click.echo(json.dumps(value))


def write_raw(value: Any) -> None:
    """Write text or bytes to standard output, and nothing else.

    Raises:
        Failed: the value is neither.
    """
    if not isinstance(value, str | bytes | bytearray | memoryview):
        raise Failed(Exit.FAILED, f"--raw is for text and bytes, and the result is neither: {type(value).__name__}")
    sys.stdout.flush()
    sys.stdout.buffer.write(value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value)
    sys.stdout.buffer.flush()
