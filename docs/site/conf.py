"""How Sphinx makes a site of the pages: run `make site`.

The whole repository is its source, so that links lead where they lead on a code host: from docs/ to README.md, to
examples/ and to the results of benchmarks. Which pages there are, and in which order, docs/README.md alone says.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

project = "pellucid"
author = "pellucid contributors"
html_title = "pellucid"
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False

extensions = ["myst_parser", "sphinx.ext.autodoc", "navigation", "reference"]
root_doc = "docs/README"
include_patterns = [
    "*.md",
    "docs/*.md",
    "docs/**/*.md",
    "docs/reference/api/*.rst",
    "benchmarks/*.md",
    "benchmarks/**/*.md",
    "examples/*",
    "fuzz/*.md",
    "tests/**/*.md",
]
exclude_patterns = [".*", "docs/site", "site", "src", "typings"]

# Pages are Markdown as code hosts show it; headings have the anchors that these give them.
myst_enable_extensions: list[str] = []
myst_heading_anchors = 6
highlight_language = "none"

# Docstrings: single backquotes for names, which become links where they name something, double ones for code.
default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints = "signature"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 100
toc_object_entries_show_parents = "hide"

html_theme = "furo"
pygments_dark_style = "github-dark"
html_static_path = ["site.css"]
html_css_files = ["site.css"]
html_extra_path = ["index.html"]
html_theme_options = {"navigation_with_keys": True}
html_use_index = True
html_domain_indices = False
# A page that is opened from a file may not read others to show where in them the words stand.
html_show_search_summary = False


def setup(app: Sphinx) -> None:
    for notation in "native", "banana":  # what the pages on protocols write messages in
        app.add_lexer(notation, TextLexer)
