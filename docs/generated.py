"""Writes the parts of pages that are made from the code: run `make pages`. A test fails where one is out of date."""

from __future__ import annotations

import ast
import dataclasses
import inspect
from collections.abc import Iterator
from pathlib import Path

from pellucid import limits

PAGE_OF_LIMITS = Path(__file__).parent / "reference" / "limits.md"


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
