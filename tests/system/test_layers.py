"""What imports drag in, watched at run time, and what they may not name.

import-linter reads the direction of imports from the source: its contracts are in pyproject.toml.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import sysconfig
from pathlib import Path

import pellucid

SOURCES = Path(pellucid.__file__).parents[1]
LOOPS_AND_SOCKETS = {"asyncio", "logging", "socket", "ssl", "twisted", "uvloop"}
OF_THE_COMMAND = {"click", "prompt_toolkit", "rich", "watchfiles"}
BELOW_THE_DOORS = ("errors", "limits", "urls", "flavors", "wire", "core", "auth")

LOADED_AFTER = """
import importlib, json, sys
sys.path += json.loads(sys.argv[1])
for name in sys.argv[2:]:
    importlib.import_module(name)
print(json.dumps(sorted(sys.modules)))
"""


def loaded_after_importing(*names: str) -> set[str]:
    """The modules that a bare interpreter holds once it has imported `names`.

    Isolated and without `site`: a measuring tool that starts with every process would load modules of its own.
    """
    path = json.dumps([str(SOURCES), sysconfig.get_path("purelib")])
    command = [sys.executable, "-I", "-S", "-c", LOADED_AFTER, path, *names]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 0, ended.stderr
    return set(json.loads(ended.stdout))


def modules_below_the_doors() -> list[str]:
    package = SOURCES / "pellucid"
    files = (file.relative_to(SOURCES).with_suffix("") for file in package.rglob("*.py"))
    names = (".".join(file.parts).removesuffix(".__init__") for file in files)
    return sorted(name for name in names if name.partition(".")[2].split(".")[0] in BELOW_THE_DOORS)


def is_private_elsewhere(name: str, importer: Path) -> bool:
    """Whether some part of the dotted `name` is private to a module or package that `importer` is not part of."""
    parts = name.split(".")
    return any(
        part.startswith("_")
        and not part.endswith("__")
        and not importer.is_relative_to(SOURCES.joinpath(*parts[:place]))
        for place, part in enumerate(parts)
    )


def test_the_broker_loads_no_loop_no_socket_and_no_logging() -> None:
    loaded = loaded_after_importing("pellucid.core.broker")

    assert "pellucid.core.broker" in loaded
    assert not loaded & LOOPS_AND_SOCKETS


def test_no_module_below_the_doors_loads_a_loop_a_socket_or_logging() -> None:
    modules = modules_below_the_doors()

    assert {name.split(".")[1] for name in modules} == set(BELOW_THE_DOORS)
    assert not loaded_after_importing(*modules) & LOOPS_AND_SOCKETS


def test_the_front_page_loads_a_door_only_when_a_name_of_it_is_asked_for() -> None:
    loaded = loaded_after_importing("pellucid")

    assert "pellucid" in loaded
    assert not loaded & LOOPS_AND_SOCKETS
    assert "pellucid.asyncio" not in loaded


def test_only_the_command_loads_its_libraries() -> None:
    files = (file.relative_to(SOURCES).with_suffix("") for file in (SOURCES / "pellucid").rglob("*.py"))
    modules = {".".join(file.parts).removesuffix(".__init__") for file in files}
    # What runs a program when it is imported is none of a program's imports; Twisted is another extra.
    others = {name for name in modules if not name.endswith("__main__") and name.split(".")[1:2] != ["cli"]}

    assert "pellucid.asyncio.client" in others
    assert not loaded_after_importing(*sorted(others)) & (OF_THE_COMMAND | {"pellucid.cli"})


def test_no_module_imports_a_private_name_of_another() -> None:
    borrowed = [
        f"{file.relative_to(SOURCES)}:{node.lineno} {node.module}.{alias.name}"
        for file in SOURCES.glob("pellucid/**/*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if is_private_elsewhere(f"{node.module}.{alias.name}", file)
    ]

    assert not borrowed
