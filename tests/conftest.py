"""What every test has: Hypothesis without a stopwatch, a dialect for those that ask, and garbage collected fast.

And what none may leave behind: a handler of signals, by which another test would hang.
"""

from __future__ import annotations

import gc
import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.dialects import dialect

__all__ = ["dialect"]

# A busy machine is no failure: only pytest's timeout bounds a test. The profile in force is kept otherwise, so that
# Hypothesis's own for CI (no database, the same examples each time) stays. Ask for more examples with
# `make test PYTEST_ARGS=--hypothesis-profile=thorough`.
settings.register_profile("pellucid", deadline=None)
settings.register_profile("thorough", deadline=None, max_examples=5_000)
settings.load_profile("pellucid")


@pytest.fixture(autouse=True, scope="session")
def mind_the_keyboard() -> None:
    """Have SIGINT raise KeyboardInterrupt, though a shell that runs this in the background had it ignored.

    asyncio leaves it so where it has let go of it.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="module")
def spare_the_collector() -> None:
    """Let no collection look at what was there before: many tests collect, to see that nothing is left."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def leave_signals_alone() -> Iterator[None]:
    """See that a test has let go of the signals that end a program."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    yield
    assert [signal.getsignal(number) for number in numbers] == before
