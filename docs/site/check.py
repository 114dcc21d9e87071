"""Checks a site that was built, as its reader would find it, offline: links lead somewhere, and search finds words.

Run as `python docs/site/check.py site`. Links to other sites are only checked for their form.
"""

from __future__ import annotations

import json
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

SOUGHT = {
    "receipt": "docs/explanation/references-and-garbage",
    "revok": "docs/how-to/facets",
    "scram": "docs/how-to/login",
}
"""Words, as search cuts them down to their stems, and a page each that has to be found by them."""


class Page(HTMLParser):
    """What a page links to, and what in it can be linked to."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.links: dict[str, None] = {}
        self.anchors: set[str] = {"", "top"}
        self.faults: list[str] = []
        """What is wrong with it, whatever other pages there are."""
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what an element has."""
        found = {name: value or "" for name, value in attrs}
        self.anchors |= {found[name] for name in ("id", "name") if name in found}
        self.links |= {found[name]: None for name in ("href", "src") if name in found}
        part = found.get("src", found.get("href", "") if found.get("rel") == "stylesheet" else "")
        if urlsplit(part).netloc:
            self.faults.append(f"{part}: fetched from another site: who reads offline lacks it")
        if tag == "img" and not found.get("alt"):
            self.faults.append(f"{part}: a picture without an alternative text")


def faults(site: Path) -> list[str]:
    """What is wrong with the site, a line each."""
    site = site.resolve()
    pages = {file: Page(file) for file in sorted(site.rglob("*.html"))}
    found: list[str] = []
    for file, page in pages.items():
        name = file.relative_to(site)
        found += [f"{name}: {link}: {why}" for link in page.links if (why := _wrong(link, file, pages))]
        found += [f"{name}: {fault}" for fault in page.faults]
    return found + [
        f"search.html: {stem!r} does not find {page}" for stem, page in SOUGHT.items() - _found_by_search(site)
    ]


def _wrong(link: str, page: Path, pages: dict[Path, Page]) -> str:
    """Why a link of a page leads nowhere, or nothing."""
    parts = urlsplit(link)
    if parts.scheme in ("http", "https"):
        return "" if parts.hostname else "no host"
    if parts.scheme or parts.netloc:
        return "" if parts.scheme in ("mailto", "data") else "not a link that a page should have"
    file = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if not file.is_file():
        return "no such file"
    if file in pages and unquote(parts.fragment) not in pages[file].anchors:
        return "no such place in that page"
    return ""


def _found_by_search(site: Path) -> set[tuple[str, str]]:
    """Each word that search knows, with each page where it finds it."""
    index = json.loads((site / "searchindex.js").read_text(encoding="utf-8").removeprefix("Search.setIndex(")[:-1])
    names = index["docnames"]
    return {
        (stem, names[number])
        for terms in (index["terms"], index["titleterms"])
        for stem, numbers in terms.items()
        for number in ([numbers] if isinstance(numbers, int) else numbers)
    }


if __name__ == "__main__":
    site = Path(sys.argv[1])
    wrong = faults(site)
    print("\n".join(wrong) or f"every link leads somewhere: open {site}/index.html")
    sys.exit(bool(wrong))
