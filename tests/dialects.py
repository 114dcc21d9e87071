"""In which dialect the connections of a test speak.

A test that has the fixture `dialect` runs once in each; a module gives it to all of its tests with
``pytestmark = each_dialect``. Every connection that is not told otherwise speaks it, through either door. A test that
looks at the words of some dialects, or at what only they can do, says so with ``@over("pb")``.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pellucid.wire import dialects
from pellucid.wire.dialect import DialectClass

__all__ = ["EACH", "dialect", "each_dialect", "over", "preferring"]

EACH = ("pellucid", "pb")
"""Those in which a test runs where it does not say otherwise: "none" is "pb" but for its words' spelling."""

each_dialect = pytest.mark.usefixtures("dialect")
"""Mark: run once in each dialect."""


def over(*names: str) -> pytest.MarkDecorator:
    """Decorator: a test that has the fixture `dialect` runs in the dialects of those names alone."""
    return pytest.mark.parametrize("dialect", names, indirect=True)


def preferring(name: str) -> tuple[DialectClass, ...]:
    """All dialects, that one first: two sides that offer them take it."""
    (first,) = dialects.dialects_named([name])
    return first, *(other for other in dialects.DIALECTS if other is not first)


@pytest.fixture(params=EACH, scope="module")  # nothing in it is a test's own, and Hypothesis runs one often
def dialect(request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of the dialect that connections speak."""
    name: str = request.param
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dialects, "DIALECTS", preferring(name))
        yield name
