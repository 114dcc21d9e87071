"""The reference pages list what there is, with its defaults; the pages' programs print what is shown below them.

A ```` ```text ```` block right below a program shows how its output ends; ```` ```text no-check ```` shows anything.
"""

from __future__ import annotations

import asyncio
import dataclasses
import importlib
import inspect
import itertools
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import pellucid
from docs.generated import PAGE_OF_COMMANDS, PAGE_OF_LIMITS, page_of_commands, page_of_limits
from pellucid import blocking, errors, pytest_plugin, testing
from pellucid.cli.app import COMMANDS
from tests.system.test_docs import (
    PAGES_WITH_PROGRAMS,
    ROOT,
    SECONDS_FOR_A_PROGRAM,
    SOURCES,
    Block,
    programs,
    take_apart,
)

REFERENCE = ROOT / "docs" / "reference"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / "src")}


def rows(page: Path) -> Iterator[list[str]]:
    """The cells of each row of the page's tables that starts with a name in code; the name without its backquotes."""
    for line in take_apart(page).prose.splitlines():
        if row := re.match(r"\| `([\w.]+=?)` \| (.*) \|$", line):
            yield [row[1], *(cell.strip() for cell in row[2].split(" | "))]


def names_by_module(page: Path) -> dict[str, list[str]]:
    """The names in code in the first cells of the tables below each heading that is the name of a module."""
    found: dict[str, list[str]] = {}
    names: list[str] = []  # below a heading of another kind they are not kept
    for line in take_apart(page).prose.splitlines():
        if line.startswith("#"):
            module = re.match(r"### `(pellucid[\w.]+)`$", line)
            names = found.setdefault(module[1], []) if module else []
        elif line.startswith("| `"):
            names += re.findall(r"`(\w+)`", line.split(" | ")[0])
    return found


def shown_outputs() -> list[tuple[Block, str]]:
    """Each program that has its output shown below it, and that output."""
    found: list[tuple[Block, str]] = []
    by_place = {str(program): program for program in programs()}
    for page in PAGES_WITH_PROGRAMS:
        blocks = take_apart(page).blocks
        for above, block in itertools.pairwise(blocks):
            if block.info == "text":
                assert str(above) in by_place, f"{block} is not below a program that runs"
                found.append((by_place[str(above)], block.text))
    return found


@pytest.mark.parametrize(("program", "output"), shown_outputs(), ids=lambda part: str(part) if part else "")
def test_a_program_prints_what_is_shown_below_it(program: Block, output: str, tmp_path: Path) -> None:
    file = tmp_path / "program.py"
    file.write_text(program.text, encoding="utf-8")

    ended = subprocess.run(
        [sys.executable, file],
        cwd=tmp_path,  # some write files
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
        timeout=SECONDS_FOR_A_PROGRAM,
        check=False,
        env={**ENVIRONMENT, "PYTHONIOENCODING": "utf-8"},
    )

    assert ended.stdout.endswith(output), ended.stdout


def test_the_page_of_limits_says_what_the_code_does() -> None:
    page = PAGE_OF_LIMITS.read_text(encoding="utf-8")
    assert page == page_of_limits(page), "run make pages"
    assert [row[0] for row in rows(PAGE_OF_LIMITS)] == [field.name for field in dataclasses.fields(pellucid.Limits)]


def test_the_page_of_commands_says_what_their_help_says() -> None:
    page = PAGE_OF_COMMANDS.read_text(encoding="utf-8")
    assert page == page_of_commands(page), "run make pages"
    assert re.findall(r"^## `pellucid (\w+)`$", page, re.MULTILINE) == [*COMMANDS]


def test_the_page_of_errors_lists_every_class_with_its_bases() -> None:
    listed = {row[0]: row[1].replace("`", "").split(", ") for row in rows(REFERENCE / "errors.md")}

    public = {name: getattr(errors, name) for name in errors.__all__}
    assert listed == {
        name: [base.__name__ for base in thing.__bases__] for name, thing in public.items() if isinstance(thing, type)
    }


def test_the_page_of_the_api_lists_every_public_name_and_no_other() -> None:
    listed = [row[0] for row in rows(REFERENCE / "api.md") if not row[0].endswith("=")]

    assert sorted(listed) == sorted(pellucid.__all__)


def test_the_page_of_the_twisted_door_lists_every_public_name_of_its_modules_and_no_other() -> None:
    listed = names_by_module(REFERENCE / "twisted.md")

    folder = SOURCES / "pellucid" / "twisted"
    modules = [f"pellucid.twisted.{file.stem}" for file in folder.glob("*.py") if not file.stem.startswith("_")]
    assert {module: sorted(names) for module, names in listed.items()} == {
        module: sorted(importlib.import_module(module).__all__) for module in modules
    }


KIT = {"Pair", "Watch", "pair"}
"""What of `pellucid.testing` is no part of the simulator."""


def test_the_page_of_the_simulator_lists_every_public_name_and_field_and_no_other() -> None:
    listed = [row[0] for row in rows(REFERENCE / "testing.md")]

    fields = [field.name for kind in (testing.Link, testing.Faults) for field in dataclasses.fields(kind)]
    fields.remove("seconds")  # told of below the table, as it is no rate
    assert listed == [*(name for name in testing.__all__ if name not in KIT), *fields]


def test_the_page_of_the_blocking_front_lists_every_public_name_and_no_other() -> None:
    assert sorted(row[0] for row in rows(REFERENCE / "blocking.md")) == sorted(blocking.__all__)


def test_the_page_of_the_test_kit_lists_every_public_name_and_no_other() -> None:
    assert sorted(row[0] for row in rows(REFERENCE / "test-kit.md")) == sorted([*KIT, *pytest_plugin.__all__])


@pytest.mark.parametrize("name", ["serve", "connect"])
def test_the_page_of_the_api_lists_every_option_of_serve_and_connect(name: str) -> None:
    listed = {row[0] for row in rows(REFERENCE / "api.md") if row[0].endswith("=") and row[1] in ("both", f"`{name}`")}

    options = inspect.signature(getattr(pellucid, name)).parameters.values()
    assert listed == {f"{option.name}=" for option in options if option.kind is option.KEYWORD_ONLY}


def test_the_stock_client_of_the_readme_talks_to_the_echo_example(tmp_path: Path) -> None:
    (program,) = [block for block in take_apart(ROOT / "README.md").blocks if "\nfrom twisted.spread" in block.text]

    async def echo() -> bytes:
        pipe = asyncio.subprocess.PIPE
        server = await asyncio.create_subprocess_exec(
            sys.executable, ROOT / "examples/echo/server.py", "--port", "0", stdout=pipe, env=ENVIRONMENT
        )
        try:
            assert server.stdout is not None
            greeting = (await server.stdout.readline()).decode()
            file = tmp_path / "client.py"
            file.write_text(program.text.replace("8789", greeting.strip().rpartition(":")[2]), encoding="utf-8")
            python = os.environ.get("PELLUCID_PEER_PYTHON", sys.executable)
            client = await asyncio.create_subprocess_exec(python, file, stdout=pipe)
            return (await client.communicate())[0]
        finally:
            server.terminate()
            await server.communicate()

    assert asyncio.run(asyncio.wait_for(echo(), SECONDS_FOR_A_PROGRAM)) == b"server echoed: hello network\n"
