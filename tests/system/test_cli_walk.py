"""The commands on the page that goes through the command print what is shown below them."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.command import serving
from tests.system.programs import EXAMPLES, SRC
from tests.system.test_docs import ROOT, take_apart

PAGE = ROOT / "docs" / "how-to" / "use-the-command.md"
URL = "pb://127.0.0.1:8789"


def steps() -> list[tuple[str, str]]:
    """Each command of the page, and what is shown below it."""
    found: list[tuple[str, str]] = []
    for block in take_apart(PAGE).blocks:
        if block.info == "console":
            for step in block.text.removeprefix("$ ").split("\n$ "):
                command, _, output = step.partition("\n")
                found.append((command, output.removesuffix("\n")))
    return found


@pytest.fixture(scope="module")
def echo() -> Iterator[str]:
    with serving("server:Echoer", "--listen", "pb://127.0.0.1:0", cwd=EXAMPLES / "echo", path=SRC) as url:
        yield url


@pytest.mark.parametrize(("command", "output"), steps(), ids=lambda part: part.split("\n")[0])
def test_a_command_of_the_page_prints_what_is_shown_below_it(
    command: str, output: str, echo: str, tmp_path: Path
) -> None:
    script = tmp_path / "pellucid"
    script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m pellucid "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(SRC), "TERM": "dumb"}

    ended = subprocess.run(
        ["bash", "-c", command.replace(URL, echo)],
        cwd=EXAMPLES / "echo",
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=30,
        check=False,
    )

    assert ended.stdout.replace(echo, URL).removesuffix("\n") == output
