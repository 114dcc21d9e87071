"""What `make site` needs beside Sphinx: the reading of docstrings, the check of what was built, the pictures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from docs.pictures.draw import FOLDER, PICTURES
from docs.site.check import SOUGHT, faults
from docs.site.docstrings import restructured

INDEX = {
    "docnames": [*SOUGHT.values()],
    "terms": {stem: number for number, stem in enumerate(SOUGHT)},
    "titleterms": {},
}


@pytest.mark.parametrize(
    ("docstring", "shown"),
    [
        ("Names, as `Server`.", "Names, as `Server`."),
        ("The port of `url`, a parameter.", "The port of ``url``, a parameter."),
        ("`repr()` hides it.", "``repr()`` hides it."),
        ("Code: ``a * b_``.", "Code: ``a * b_``."),
        ("Code ``over two\nlines``.", "Code ``over two lines``."),
        ("Several `Call`s.", "Several `Call`\\ s."),
        ("One of remote_* | two.", r"One of remote\_\* \| two."),
    ],
)
def test_a_docstring_is_plain_text_but_for_its_backquotes(docstring: str, shown: str) -> None:
    assert restructured(docstring, {"url"}).strip() == shown


def test_a_program_in_a_docstring_stays_as_it_is() -> None:
    program = "Like this::\n\n    a * b_ = `c`\n\n    d_\n"

    assert restructured(f"{program}\nSee `Call`, not d_.\n") == f"{program}\nSee `Call`, not d\\_.\n\n"


@pytest.mark.parametrize("heading", ["Args:", "Raises:", "Awaiting it raises:"])
def test_a_section_of_a_docstring_becomes_a_list(heading: str) -> None:
    docstring = f"Do it.\n\n{heading}\n    OSError: it can't be\n        done.\n    The error of another.\n"

    assert restructured(docstring).strip() == (
        f"Do it.\n\n\n:{heading}\n    - `OSError`: it can't be done.\n    - The error of another."
    )


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site with a page that can be linked to, and an index that has what is sought."""
    (tmp_path / "target.html").write_text('<h1 id="here">Here</h1><img src="target.html" alt="a picture">')
    (tmp_path / "searchindex.js").write_text(f"Search.setIndex({json.dumps(INDEX)})")
    return tmp_path


@pytest.mark.parametrize(
    "link", ["target.html", "target.html#here", "#there", "", "https://example.org/a#b", "mailto:a@example.org"]
)
def test_a_link_that_leads_somewhere_is_no_fault(site: Path, link: str) -> None:
    (site / "page.html").write_text(f'<a href="{link}"></a><p id="there"></p>')

    assert faults(site) == []


@pytest.mark.parametrize(
    ("link", "why"),
    [
        ("nowhere.html", "no such file"),
        ("target.html#nowhere", "no such place in that page"),
        ("#nowhere", "no such place in that page"),
        ("https:///path", "no host"),
        ("file:///etc/passwd", "not a link that a page should have"),
    ],
)
def test_a_link_that_leads_nowhere_is_named_with_its_page(site: Path, link: str, why: str) -> None:
    (site / "page.html").write_text(f'<a href="{link}"></a>')

    assert faults(site) == [f"page.html: {link}: {why}"]


def test_a_picture_without_words_for_it_is_named(site: Path) -> None:
    (site / "page.html").write_text('<img src="target.html">')

    assert faults(site) == ["page.html: target.html: a picture without an alternative text"]


@pytest.mark.parametrize(
    "part", ['<script src="https://example.org/a.js">', '<link rel="stylesheet" href="//example.org/a.css">']
)
def test_a_part_of_a_page_that_is_fetched_from_another_site_is_named(site: Path, part: str) -> None:
    (site / "page.html").write_text(part)

    assert any("fetched from another site" in fault for fault in faults(site))


def test_a_word_that_search_does_not_find_where_it_stands_is_named(site: Path) -> None:
    stem, page = next(iter(SOUGHT.items()))
    terms = {stem: number for number, stem in enumerate(SOUGHT)} | {stem: [1]}
    (site / "searchindex.js").write_text(f"Search.setIndex({json.dumps({**INDEX, 'terms': terms})})")

    assert faults(site) == [f"search.html: {stem!r} does not find {page}"]


def test_a_word_in_a_heading_is_found_too(site: Path) -> None:
    (site / "searchindex.js").write_text(
        f"Search.setIndex({json.dumps({**INDEX, 'terms': {}, 'titleterms': INDEX['terms']})})"
    )

    assert faults(site) == []


def test_each_picture_is_the_one_that_its_program_draws() -> None:
    assert {file.stem for file in FOLDER.glob("*.svg")} == {*PICTURES}
    for name, draw in PICTURES.items():
        assert (FOLDER / f"{name}.svg").read_text(encoding="utf-8") == draw().svg(), "run make pages"
