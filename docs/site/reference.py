"""The reference of all public names, from their docstrings.

Writes pages for autodoc before Sphinx looks for pages: one for each section of docs/reference/api.md, with the names in
the order in which its tables have them, and one for each other public module. And tells Sphinx how docstrings are
written: as plain text in which single backquotes are around names, double ones around code.
"""

from __future__ import annotations

import importlib
import inspect
import re
import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config

OVERVIEW = "docs/reference/api.md"
PAGES = "docs/reference/api"
MODULES = """
    pellucid.credentials pellucid.urls pellucid.blocking pellucid.testing pellucid.twisted pellucid.twisted.pb
    pellucid.twisted.jelly pellucid.twisted.banana pellucid.twisted.flavors pellucid.twisted.util
    pellucid.twisted.publish pellucid.twisted.interfaces
""".split()


def write_pages(app: Sphinx, config: Config) -> None:
    """Write what autodoc makes pages of, and remove what is no longer to be one."""
    folder = Path(app.srcdir) / PAGES
    folder.mkdir(exist_ok=True)
    pages: dict[Path, str] = {}
    pellucid = importlib.import_module("pellucid")
    homes: dict[int, str] = {}
    for number, (heading, names) in enumerate(sections((Path(app.srcdir) / OVERVIEW).read_text(encoding="utf-8")), 1):
        slug = re.sub(r"\W+", "-", heading.lower())
        pages[folder / f"{number}-{slug}.rst"] = page(heading, "pellucid", pellucid, names, homes)
    for module in MODULES:
        found = getattr(pellucid, module.partition(".")[2], None) or importlib.import_module(module)
        pages[folder / f"{module}.rst"] = page(module, module, found, found.__all__, homes)
    for file in set(folder.glob("*.rst")) - {*pages}:
        file.unlink()
    for file, text in pages.items():
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")


def sections(text: str) -> Iterator[tuple[str, list[str]]]:
    """The overview's headings, each with the names in the first column of its tables that `pellucid` has."""
    public = importlib.import_module("pellucid").__all__
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        heading = section.partition("\n")[0]
        names = [name for name in re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) if name in public]
        if names:
            yield heading, names


def page(title: str, module: str, found: ModuleType, names: list[str], homes: dict[int, str]) -> str:
    """A page of directives for autodoc; what is the same object as on an earlier page is only named."""
    lines = [title, "=" * len(title), ""]
    if title == module:
        lines += [f".. automodule:: {found.__name__}", "   :no-members:", "   :no-index:", ""]
    lines += [f".. currentmodule:: {module}", ""]
    aliases: list[str] = []
    for name in names:
        thing = getattr(found, name)
        kind = "class" if inspect.isclass(thing) else "function" if inspect.isroutine(thing) else "data"
        if inspect.ismodule(thing):
            aliases.append(f"- `{module}.{name}`: a module")
        elif kind != "data" and id(thing) in homes:
            aliases.append(f"- ``{name}`` is `{homes[id(thing)]}`")
        else:
            homes[id(thing)] = f"{module}.{name}"
            lines += [
                f".. auto{'exception' if kind == 'class' and issubclass(thing, BaseException) else kind}:: {name}"
            ]
            if kind == "class":
                lines += ["   :members:", "   :inherited-members:"]
                if issubclass(thing, BaseException):
                    lines.append("   :show-inheritance:")
            lines.append("")
    if aliases:
        lines += [".. rubric:: Told elsewhere", "", *aliases, ""]
    return "\n".join(lines)


def leave_out(app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Whether a member is left out: one that a class of others has left to ours, or that no page names."""
    made = obj.fget if isinstance(obj, property) else obj
    if inspect.isroutine(made) and not (getattr(made, "__module__", None) or "pellucid").startswith("pellucid"):
        return True
    is_named = "pellucid.twisted" in app.env.docname or name in _words(Path(app.srcdir) / "docs")
    return None if is_named else True


@cache
def _words(docs: Path) -> set[str]:
    """All words in code on the pages for users: what these name is public, api.md says."""
    pages = (
        file.read_text(encoding="utf-8") for folder in ("reference", "how-to") for file in docs.glob(f"{folder}/*.md")
    )
    return {word for text in pages for code in re.findall(r"`[^`]+`", text) for word in re.findall(r"\w+", code)}


def read_docstring(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Make reStructuredText of a docstring."""
    if what == "data" and inspect.getdoc(obj) == inspect.getdoc(type(obj)):
        lines.clear()  # it has no docstring, and that of its class says nothing of it
    text, sections = "\n".join(lines), ""
    for part in re.split(r"^(?=(?:Args|(?:[\w ]+ )?[Rr]aises):$)", text, flags=re.MULTILINE):
        heading, _, body = part.partition("\n")
        if re.fullmatch(r"(Args|[\w ]*[Rr]aises):", heading):
            sections += f"\n\n:{heading[:-1]}:\n{_fields(body)}"
        else:
            sections += part
    lines[:] = _marked_up(sections, _parameters(obj)).splitlines()


def _fields(body: str) -> str:
    """The lines of a section such as "Raises:", as a list."""
    entries = re.split(r"\n(?=\S)", textwrap.dedent(body).strip())
    shown = (re.sub(r"^([\w.]+): ", r"`\1`: ", " ".join(entry.split())) for entry in entries)
    return "\n".join(f"    - {entry}" for entry in shown) + "\n\n"


def _parameters(obj: Any) -> set[str]:
    try:
        return {*inspect.signature(obj).parameters}
    except (TypeError, ValueError):
        return set()


def _marked_up(text: str, parameters: set[str]) -> str:
    """The text with names in backquotes as roles, and without what else would have a meaning to reStructuredText."""

    def mark(found: re.Match[str]) -> str:
        code, name, plain = found.groups()
        if plain:
            return re.sub(r"([*_|\\])", r"\\\1", plain)
        is_name = name and re.fullmatch(r"[\w.]+", name) and name not in parameters
        shown = f"`{name}`" if is_name else f"``{' '.join((code or name).split())}``"
        after = text[found.end() : found.end() + 1]
        return shown + ("\\ " if after.isalnum() else "")

    def blocks() -> Iterator[str]:
        for part in re.split(r"(?<=::\n)(\n(?:(?:[ ]+.*)?\n)+)", text + "\n"):
            literal = part.startswith(("\n ", "\n\n "))
            yield part if literal else re.sub(r"``(.+?)``|`([^`]+?)`|([^`]+)", mark, part, flags=re.DOTALL)

    return "".join(blocks())


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("config-inited", write_pages)
    app.connect("autodoc-skip-member", leave_out)
    app.connect("autodoc-process-docstring", read_docstring)
    return {"parallel_read_safe": True}
