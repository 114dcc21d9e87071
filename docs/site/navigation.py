"""The site's navigation is what docs/README.md links to, section by section; and links to folders lead to pages."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.config import Config

INDEX = "docs/README"
NAMES = "docs/reference/api"
EXAMPLES = "examples/README"
FOLDERS = r"examples/[a-z_]+$"
INSIDE = rf"docs/|{FOLDERS}"
"""Pages that are not listed by themselves: those of docs/, which docs/README.md must name, and folders of examples."""


def write_folders(app: Sphinx, config: Config) -> None:
    """Write a page for each folder of examples, with its programs."""
    examples = Path(app.srcdir) / "examples"
    for old in examples.glob("*.rst"):
        old.unlink()
    for folder in filter(Path.is_dir, examples.iterdir()):
        programs = [str(file.relative_to(examples)) for file in sorted(folder.rglob("*.py"))]
        title = f"examples/{folder.name}"
        lines = [title, "=" * len(title), ""]
        for name in programs:
            lines += [name, "-" * len(name), "", f".. literalinclude:: {name}", "   :language: python", ""]
        if programs:
            (examples / f"{folder.name}.rst").write_text("\n".join(lines), encoding="utf-8")


def toctree(pages: list[str], *options: str) -> str:
    """The directive that has Sphinx put pages below this one."""
    return "\n".join(["", "```{toctree}", *options, "", *(f"/{page}" for page in pages), "```", ""])


def sections(text: str) -> dict[str, list[str]]:
    """The pages that docs/README.md links to, by the section that does so first, as Sphinx calls them."""
    found: dict[str, list[str]] = {}
    seen: set[str] = set()
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        heading, _, body = section.partition("\n")
        pages = [_name_of(INDEX, target) for target in re.findall(r"\]\(([^)#:]+)\.md(?:#[^)]*)?\)", body)]
        found[heading] = [page for page in dict.fromkeys(pages) if page not in seen]
        seen.update(pages)
    return found


def add_navigation(app: Sphinx, docname: str, source: list[str]) -> None:
    """Add to the pages, as they are read, what only the site has."""
    pages = sorted(app.env.found_docs)
    if docname == INDEX:
        listed = sections(source[0])
        known = {page for section in listed.values() for page in section}
        listed["Elsewhere"] += [page for page in pages if page not in known and not re.match(INSIDE, page)]
        for heading, section in listed.items():
            source[0] += toctree(section, ":hidden:", f":caption: {heading}")
    elif docname == NAMES:
        names = [page for page in pages if page.startswith(f"{NAMES}/")]
        source[0] += "\n## In full\n\nWhat the docstrings say:\n" + toctree(names, ":maxdepth: 1")
    elif docname == EXAMPLES:
        source[0] += toctree([page for page in pages if re.match(FOLDERS, page)], ":hidden:")


def lead_to_folders(app: Sphinx, tree: nodes.document) -> None:
    """Links to folders, which a code host lists, lead to their README, or to a page that shows their files."""
    here = app.env.docname
    for link in list(tree.findall(pending_xref)):
        if link["reftype"] != "myst":
            continue
        folder = _name_of(here, link["reftarget"])
        if (Path(app.srcdir) / folder).is_dir():
            page = f"{folder}/README" if f"{folder}/README" in app.env.found_docs else folder
            link.attributes |= {"refdomain": "std", "reftype": "doc", "reftarget": f"/{page}", "refexplicit": True}


def _name_of(page: str, target: str) -> str:
    """What a link on a page leads to, from the root of the repository."""
    parts: list[str] = []
    for part in (*PurePosixPath(page).parent.parts, *PurePosixPath(target).parts):
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("config-inited", write_folders)
    app.connect("source-read", add_navigation)
    app.connect("doctree-read", lead_to_folders)
    return {"parallel_read_safe": True}
