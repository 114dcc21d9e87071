"""The table of what old releases can't do is about tests that exist."""

from __future__ import annotations

from pathlib import Path

from tests.interop.environments import RELEASES
from tests.interop.releases import UNABLE


def test_every_entry_is_about_a_test_and_a_release_that_exist() -> None:
    sources = [path.read_text() for path in Path(__file__).parent.glob("test_*.py")]
    for entry in UNABLE:
        name = entry.test.partition("[")[0]
        assert any(f"def {name}(" in source for source in sources), name
        assert set(entry.releases) <= set(RELEASES)
