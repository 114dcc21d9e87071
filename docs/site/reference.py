"""The reference of all public names, from their docstrings.

Writes pages for autodoc before Sphinx looks for pages: one for each section of docs/reference/api.md, with the names in
the order in which its tables have them, and one for each other public module. And tells Sphinx which members to show,
how docstrings are written, and what names lead to.
"""

from __future__ import annotations

import builtins
import importlib
import inspect
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from docstrings import restructured
from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment

OVERVIEW = "docs/reference/api.md"
PAGES = "docs/reference/api"
MODULES = """
    pellucid.credentials pellucid.urls pellucid.blocking pellucid.testing pellucid.twisted pellucid.twisted.pb
    pellucid.twisted.jelly pellucid.twisted.banana pellucid.twisted.flavors pellucid.twisted.util
    pellucid.twisted.publish pellucid.twisted.interfaces pellucid.core.broker pellucid.wire.messages
    pellucid.wire.dialect
""".split()

WHOLE = re.compile(r"pellucid\.(twisted|core|wire)")
"""Modules whose classes are shown with all that they have: what pages name of them is not all of it."""

LISTS = {
    "docs/reference/api": "pellucid",
    "docs/reference/errors": "pellucid",
    "docs/reference/blocking": "pellucid.blocking",
    "docs/reference/testing": "pellucid.testing",
    "docs/reference/test-kit": "pellucid.testing",
    "docs/reference/twisted": "pellucid.twisted",
}
"""The pages written by hand that list names, and of which module, where no heading is the name of another one."""


def write_pages(app: Sphinx, config: Config) -> None:
    """Write what autodoc makes pages of, and remove what is no longer to be one."""
    folder = Path(app.srcdir) / PAGES
    folder.mkdir(exist_ok=True)
    pages: dict[Path, str] = {}
    pellucid = importlib.import_module("pellucid")
    homes: dict[int, str] = {}
    for number, (heading, names) in enumerate(sections((Path(app.srcdir) / OVERVIEW).read_text(encoding="utf-8")), 1):
        slug = re.sub(r"\W+", "-", heading.lower())
        pages[folder / f"{number}-{slug}.rst"] = page(
            f"pellucid: {heading.lower()}", "pellucid", pellucid, names, homes
        )
    for module in MODULES:
        found = getattr(pellucid, module.partition(".")[2], None) or importlib.import_module(module)
        pages[folder / f"{module}.rst"] = page(module, module, found, found.__all__, homes)
    for old in folder.glob("*.rst"):
        old.unlink()
    for file, text in pages.items():
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
        own_name = getattr(thing, "__name__", name)
        if own_name != name and own_name in names:  # one of its aliases, as `setCopierForClass`
            homes.setdefault(id(thing), f"{module}.{own_name}")
        kind = "class" if inspect.isclass(thing) else "function" if inspect.isroutine(thing) else "data"
        if inspect.ismodule(thing):
            aliases.append(f"- `{module}.{name}`: a module")
        elif kind != "data" and homes.setdefault(id(thing), f"{module}.{name}") != f"{module}.{name}":
            aliases.append(f"- ``{name}`` is `{homes[id(thing)]}`")
        else:
            is_error = kind == "class" and issubclass(thing, BaseException)
            lines.append(f".. auto{'exception' if is_error else kind}:: {name}")
            lines += ["   :members:", "   :inherited-members:"] if kind == "class" else []
            lines += ["   :show-inheritance:", ""] if is_error else [""]
    if aliases:
        lines += [".. rubric:: Told elsewhere", "", *aliases, ""]
    return "\n".join(lines)


def leave_out(app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Whether a member is left out: one that a class of others has left to ours, or that no page names."""
    made = obj.fget if isinstance(obj, property) else obj
    if inspect.isroutine(made) and not (getattr(made, "__module__", None) or "pellucid").startswith("pellucid"):
        return True
    is_named = WHOLE.search(app.env.docname) or name in _words(Path(app.srcdir) / "docs")
    return None if is_named else True


def leave_out_parameters(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, signature: str | None, returns: str | None
) -> tuple[str, None] | None:
    """Show how to make objects of a class only where some page does so: others are made by pellucid."""
    if signature is None or what not in ("class", "exception"):
        return None
    is_made = WHOLE.search(name) or f"{name.rpartition('.')[2]}(" in _words(Path(app.srcdir) / "docs")
    return None if is_made else ("", None)


@cache
def _words(docs: Path) -> set[str]:
    """All words in code on the pages for users, and all that are called: what these name is public, api.md says."""
    pages = {*docs.glob("reference/*.md"), *docs.glob("how-to/*.md")} - {docs / "how-to" / "logging.md"}  # has events
    code = "\n".join(_code(page.read_text(encoding="utf-8")) for page in pages)
    return {*re.findall(r"\w+", code), *re.findall(r"(?<!class )\b\w+\(", code)}


def _code(text: str) -> str:
    """What is in code in a text of Markdown: its programs, and what is between single backquotes."""
    fence = re.compile(r"^ *```(\w*).*?^ *```$", re.MULTILINE | re.DOTALL)
    programs = [block[0] for block in fence.finditer(text) if block[1] == "python"]
    return "\n".join([*programs, *re.findall(r"`[^`]+`", fence.sub("", text))])


def look_in_front(app: Sphinx, env: BuildEnvironment, node: pending_xref, shown: nodes.Element) -> nodes.Element | None:
    """Have a name that its own module does not document lead to the one of `pellucid`, if there is one."""
    if node["refdomain"] != "py" or node["reftype"] != "obj":
        return None
    python = env.domains.python_domain
    return python.resolve_xref(env, node["refdoc"], app.builder, "obj", f"pellucid.{node['reftarget']}", node, shown)


def unlink_builtins(app: Sphinx, tree: nodes.document) -> None:
    """Keep Sphinx from taking the `object` of an annotation for an attribute of ours that has this name."""
    for link in list(tree.findall(pending_xref)):
        if link["reftype"] == "class" and hasattr(builtins, link["reftarget"]):
            link.replace_self(nodes.Text(link["reftarget"]))


def read_docstring(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Make reStructuredText of a docstring."""
    if what == "data" and inspect.getdoc(obj) == inspect.getdoc(type(obj)):
        lines.clear()  # it has no docstring, and that of its class says nothing of it
    try:
        parameters = {*inspect.signature(obj).parameters}
    except (TypeError, ValueError):
        parameters = set()
    lines[:] = restructured("\n".join(lines), parameters).splitlines()


def link_names(app: Sphinx, tree: nodes.document) -> None:
    """Have the names in the first columns of tables lead to what their docstrings say."""
    page = app.env.docname
    for row in tree.findall(nodes.row) if page in LISTS else ():
        heading = row
        while not isinstance(heading, nodes.section):
            heading = heading.parent
        title = heading[0].astext()
        module = title if title.startswith("pellucid.") else LISTS[page]
        for code in list(row[0].findall(nodes.literal)):
            link = pending_xref(refdomain="py", reftype="obj", reftarget=code.astext(), refdoc=page)
            link["py:module"] = module
            code.replace_self(link)
            link += code


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("config-inited", write_pages)
    app.connect("doctree-read", link_names)
    app.connect("doctree-read", unlink_builtins)
    app.connect("autodoc-process-signature", leave_out_parameters)
    app.connect("missing-reference", look_in_front)
    app.connect("autodoc-skip-member", leave_out)
    app.connect("autodoc-process-docstring", read_docstring)
    return {"parallel_read_safe": True}
