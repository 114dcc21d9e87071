"""Every public name of twisted.spread's modules is there in ours: read from the source of the installed Twisted."""

from __future__ import annotations

import ast
import importlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
import twisted

from pellucid.twisted import pb

SOURCES = Path(twisted.__file__).parent / "spread"
MODULES = sorted(file.stem for file in SOURCES.glob("[a-z]*.py"))
MERELY_USED = defaultdict(set, {"pb": {"IJellyable", "IUnjellyable"}})
"""What a module imports from its neighbours and leaves out of its `__all__`."""


def defined(body: list[ast.stmt]) -> Iterator[str]:
    """The names that a module's statements bind, and those that it imports from other modules of twisted.spread."""
    for statement in body:
        if isinstance(statement, ast.ClassDef | ast.FunctionDef):
            yield statement.name
        elif isinstance(statement, ast.Assign):
            for target in statement.targets:
                yield from (node.id for node in ast.walk(target) if isinstance(node, ast.Name))
        elif isinstance(statement, ast.ImportFrom) and (statement.module or "").startswith("twisted.spread."):
            yield from (alias.asname or alias.name for alias in statement.names)


def public(module: str) -> list[str]:
    tree = ast.parse((SOURCES / f"{module}.py").read_text(encoding="utf-8"))
    return [name for name in defined(tree.body) if not name.startswith("_") and name not in MERELY_USED[module]]


def test_no_module_is_missing() -> None:
    assert MODULES == ["banana", "flavors", "interfaces", "jelly", "pb", "publish", "util"]


@pytest.mark.filterwarnings("ignore:.*instance_atom was deprecated:DeprecationWarning")
@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_is_there(module: str) -> None:
    ours = importlib.import_module(f"pellucid.twisted.{module}")

    assert [name for name in public(module) if not hasattr(ours, name)] == []


@pytest.mark.parametrize("module", MODULES)
def test_what_a_module_exports_is_there(module: str) -> None:
    ours = importlib.import_module(f"pellucid.twisted.{module}")

    assert [name for name in ours.__all__ if not hasattr(ours, name)] == []


def test_pb_exports_what_twisteds_does_and_no_more() -> None:
    tree = ast.parse((SOURCES / "pb.py").read_text(encoding="utf-8"))
    (exported,) = (
        ast.literal_eval(statement.value)
        for statement in tree.body
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__"
    )
    assert sorted(pb.__all__) == sorted(exported)
