"""What docstrings say, as reStructuredText.

They are plain text: single backquotes are around names, double ones around code, a block that follows "::" is a
program, and sections are called "Args:", "Raises:", or "Awaiting it raises:".
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Collection

_SECTION = r"(?:Args|Raises|[\w ]+ raises):"
_PROGRAM = re.compile(r"(?<=::\n)(\n(?:(?: +.*)?\n)+)")
_MARKED = re.compile(r"``(?P<code>.+?)``|`(?P<name>[^`]+)`|(?P<plain>[^`]+)", re.DOTALL)


def restructured(docstring: str, parameters: Collection[str] = ()) -> str:
    """The docstring of something with these parameters, whose names never are those of something else."""

    def marked(found: re.Match[str]) -> str:
        if found["plain"]:
            return re.sub(r"([*_|\\])", r"\\\1", found["plain"])
        text = " ".join((found["code"] or found["name"]).split())
        is_name = found["name"] and re.fullmatch(r"[\w.]+", text) and text not in parameters
        after = found.string[found.end() : found.end() + 1]
        return (f"`{text}`" if is_name else f"``{text}``") + ("\\ " if after.isalnum() else "")

    # Every second part is a program, which stays as it is.
    parts = _PROGRAM.split(_with_fields(docstring) + "\n")
    return "".join(part if number % 2 else _MARKED.sub(marked, part) for number, part in enumerate(parts))


def _with_fields(docstring: str) -> str:
    """The docstring with its sections as fields, each of them a list."""
    parts = re.split(rf"^({_SECTION})\n", docstring, flags=re.MULTILINE)
    text = parts[0]
    for heading, body in zip(parts[1::2], parts[2::2], strict=True):
        entries = re.split(r"\n(?=\S)", textwrap.dedent(body).strip())
        shown = (re.sub(r"^([\w.]+): ", r"`\1`: ", " ".join(entry.split())) for entry in entries)
        text += f"\n:{heading}\n" + "".join(f"    - {entry}\n" for entry in shown)
    return text
