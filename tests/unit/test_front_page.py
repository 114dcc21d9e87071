from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import pellucid

SOURCE = ast.parse(Path(pellucid.__file__).read_text(encoding="utf-8"))


def shown_to_type_checkers() -> dict[str, str]:
    """The names that the front page imports for type checkers, and where from."""
    (block,) = (node for node in SOURCE.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    assert len(imports) == len(block.body)
    return {alias.name: node.module or "" for node in imports for alias in node.names}


def loaded_on_demand() -> dict[str, str]:
    """The names that the front page loads when they are asked for, and where from."""
    return {name: home for home, names in pellucid._HOMES.items() for name in names.split()} | {
        "credentials": "pellucid.auth"
    }


def test_type_checkers_see_what_is_loaded_on_demand_and_both_are_what_is_public() -> None:
    assert shown_to_type_checkers() == loaded_on_demand()
    assert set(pellucid.__all__) == set(loaded_on_demand())


def test_the_public_names_are_sorted_and_without_repetition() -> None:
    def as_ruff_sorts(name: str) -> tuple[int, str]:
        return (0 if name.isupper() else 1 if name[0].isupper() else 2), name

    assert pellucid.__all__ == sorted(set(pellucid.__all__), key=as_ruff_sorts)


@pytest.mark.parametrize("name", pellucid.__all__)
def test_a_public_name_is_what_its_home_calls_public(name: str) -> None:
    home = import_module(loaded_on_demand()[name])
    assert getattr(pellucid, name) is getattr(home, name)
    assert isinstance(getattr(home, name), ModuleType) or name in home.__all__


@pytest.mark.parametrize("module", ["errors", "limits", "auth.portal", "asyncio.server", "asyncio.client"])
def test_what_applications_need_of_a_module_is_on_the_front_page(module: str) -> None:
    private = {"Connecting", "DEFAULT_LIMITS", "Login"}
    assert set(import_module(f"pellucid.{module}").__all__) - private - set(pellucid.__all__) == set()


def test_dir_lists_every_public_name_before_it_is_loaded() -> None:
    program = "import pellucid, sys; print(*dir(pellucid)); assert 'pellucid.asyncio' not in sys.modules"
    listed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    assert set(pellucid.__all__) <= set(listed.stdout.split())


@pytest.mark.parametrize("name", ["no_such_name", "_HOMES_", "reactor"])
def test_an_unknown_name_is_an_attribute_error_that_says_so(name: str) -> None:
    with pytest.raises(AttributeError, match=f"module 'pellucid' has no attribute '{name}'"):
        getattr(pellucid, name)


def test_everything_public_says_what_it_is() -> None:
    undocumented = [name for name in pellucid.__all__ if not getattr(pellucid, name).__doc__]
    assert undocumented == []
