"""Every input that ever taught the fuzzer something is tried again, once, without the fuzzer (fuzz/README.md)."""

from __future__ import annotations

import pytest

from fuzz import TARGETS
from fuzz.corpora import check_of, files_of

REPLAYED = [target for target in TARGETS if target != "properties"]
"""What Hypothesis makes of bytes is another thing in each of its releases: no corpus is kept of that."""


@pytest.mark.parametrize("target", REPLAYED)
def test_what_holds_of_any_input_holds_of_the_corpus(target: str) -> None:
    check, failed = check_of(target), dict[str, Exception]()
    files = files_of(target)
    for path in files:
        try:
            check(path.read_bytes())
        except Exception as error:  # noqa: BLE001 - told of with the file that it is about
            failed[path.name] = error
    assert files
    assert failed == {}
