"""The pages keep their word: their programs run, their links lead somewhere. And every public name has a docstring.

What stands behind ```` ```python ```` tells how a block of README.md or docs/ is held to that:

* nothing: a complete program, run in a process of its own, in an empty folder, and it must succeed;
* ``tests``: a module of tests, run by pytest, which must pass;
* ``continues``: run after the blocks above it on its page, back to the last complete program, as one program;
* ``no-run: the reason``: only compiled. The reason is compulsory.
"""

from __future__ import annotations

import importlib
import inspect
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import pellucid

ROOT = Path(__file__).parents[2]
INDEX = ROOT / "docs" / "README.md"
PAGES_WITH_PROGRAMS = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
PAGES = sorted(
    page for folder in ("", "docs/**/", "examples/**/", "benchmarks/**/") for page in ROOT.glob(f"{folder}*.md")
)
SOURCES = Path(pellucid.__file__).parents[1]
MODULES = sorted(
    ".".join(file.relative_to(SOURCES).with_suffix("").parts).removesuffix(".__init__")
    for file in SOURCES.glob("pellucid/**/*.py")
    if file.name != "__main__.py"
)
SECONDS_FOR_A_PROGRAM = 30


@dataclass(frozen=True)
class Block:
    """A fenced block: where it is, what its fence says, what it holds."""

    page: Path
    line: int
    info: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


@dataclass(frozen=True)
class Page:
    """A page taken apart: its fenced blocks, and the prose between them."""

    blocks: list[Block]
    prose: str


def take_apart(page: Path) -> Page:
    blocks: list[Block] = []
    prose: list[str] = []
    fence = info = ""
    start = 0
    inside: list[str] = []
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        bare = line.strip()
        if not fence:
            if opening := re.match(r"(`{3,}|~{3,})\s*([^`]*)$", bare):
                fence, info, start, inside = opening[1], opening[2].strip(), number, []
            else:
                prose.append(line)
        elif bare.startswith(fence) and not bare.strip(fence[0]):
            blocks.append(Block(page, start, info, textwrap.dedent("\n".join(inside)) + "\n"))
            fence = ""
        else:
            inside.append(line)
    assert not fence, f"{page}:{start}: the block is never closed"
    return Page(blocks, "\n".join(prose))


def python_blocks() -> list[Block]:
    return [block for page in PAGES_WITH_PROGRAMS for block in take_apart(page).blocks if block.info.startswith("py")]


def programs() -> list[Block]:
    """Each program to run: a complete block, or one that continues, with what it continues."""
    found: list[Block] = []
    above: list[Block] = []
    for block in python_blocks():
        if block.info in ("python", "python tests"):
            above = [block]
        elif block.info == "python continues":
            assert above, f"{block} continues nothing"
            assert above[-1].page == block.page, f"{block} continues nothing on its page"
            above.append(block)
        else:
            continue
        found.append(Block(block.page, block.line, above[0].info, "\n".join(part.text for part in above)))
    return found


def anchors(page: Path) -> set[str]:
    """What may stand after `#` in a link to the page: its headings as GitHub spells them, and explicit ids."""
    prose = take_apart(page).prose
    seen: set[str] = set()
    for heading in re.findall(r"^#{1,6}\s+(.+?)\s*#*$", prose, re.MULTILINE):
        shown = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        again = 0
        while (unique := f"{slug}-{again}" if again else slug) in seen:
            again += 1
        seen.add(unique)
    return seen | set(re.findall(r'<a (?:id|name)="([^"]+)"', prose))


def links(page: Path) -> list[str]:
    """The targets of the page's links that lead into the repository."""
    prose = re.sub(r"(`+).+?\1", "", take_apart(page).prose, flags=re.DOTALL)
    inline = re.findall(r"\]\(\s*<?([^)\s>]+)", prose)
    referenced = re.findall(r"^\s*\[[^]^][^]]*\]:\s*<?(\S+?)>?\s*$", prose, re.MULTILINE)
    return [target for target in inline + referenced if not re.match(r"[a-z][a-z0-9+.-]*:", target, re.IGNORECASE)]


def public_things(module: str) -> Iterator[tuple[str, object]]:
    """Each public class, function, method and property that `module` defines, by name."""
    for name, thing in vars(importlib.import_module(module)).items():
        if name.startswith("_") or getattr(thing, "__module__", "") != module:
            continue
        if inspect.isroutine(thing):
            yield name, thing
        elif inspect.isclass(thing):
            yield name, thing
            for attribute in vars(thing):
                found = getattr(thing, attribute)
                if not attribute.startswith("_") and (inspect.isroutine(found) or isinstance(found, property)):
                    yield f"{name}.{attribute}", found


@pytest.mark.parametrize("block", python_blocks(), ids=str)
def test_a_python_block_compiles_and_says_how_it_is_checked(block: Block) -> None:
    compile(block.text, str(block), "exec")

    assert re.fullmatch(r"python( continues| tests| no-run: \S.*)?", block.info), f"{block}: unknown form: {block.info}"


@pytest.mark.parametrize("program", programs(), ids=str)
def test_a_program_on_a_page_runs(program: Block, tmp_path: Path) -> None:
    file = tmp_path / "program.py"
    file.write_text(program.text, encoding="utf-8")

    # The plugin by its name: it may be installed here without its entry point, or with it.
    plugin = ["-p", "no:pellucid", "-p", "pellucid.pytest_plugin", "-p", "no:cacheprovider"]
    runner = ["-m", "pytest", *plugin] if program.info == "python tests" else []
    ended = subprocess.run(
        [sys.executable, "-W", "error", *runner, file],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS_FOR_A_PROGRAM,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )

    assert ended.returncode == 0, f"{program}\n{ended.stdout}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    for target in links(page):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"no such file: {target}"
        assert file.is_relative_to(ROOT), f"outside the repository: {target}"
        assert not anchor or anchor in anchors(file), f"no such heading: {target}"


def test_every_page_of_the_documentation_is_in_its_index() -> None:
    listed = {(INDEX.parent / target.partition("#")[0]).resolve() for target in links(INDEX)}

    assert set(ROOT.glob("docs/**/*.md")) - {INDEX} <= listed


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_has_a_docstring_of_its_own_or_of_what_it_overrides(module: str) -> None:
    assert not [name for name, thing in public_things(module) if not inspect.getdoc(thing)]
