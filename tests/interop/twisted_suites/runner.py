"""Runs tests of Twisted's and writes down what became of each.

    python runner.py ours|stock OUTCOMES SUITE ...

OUTCOMES is the file to write: a JSON object of the name of each test, and what went wrong in it; nothing if it passed.
"""

from __future__ import annotations

import faulthandler
import json
import sys
from pathlib import Path
from typing import Any, cast

from twisted.python.failure import Failure
from twisted.trial.reporter import Reporter
from twisted.trial.runner import TestLoader, TrialRunner

import pellucid.twisted

SECONDS = 50
"""The longest that all may take; then it tells where it hangs."""

troubles: dict[str, list[str]] = {}


class WritesDown(Reporter):
    def note(self, test: Any, *trouble: str) -> None:
        troubles.setdefault(test.id(), []).extend(trouble)

    def addSuccess(self, test: Any) -> None:
        self.note(test)

    def addError(self, test: Any, error: Any) -> None:
        failure: Any = error if isinstance(error, Failure) else Failure(error[1], error[0], error[2])
        self.note(test, failure.getTraceback())

    def addFailure(self, test: Any, fail: Any) -> None:
        self.addError(test, fail)

    def addSkip(self, test: Any, reason: object) -> None:
        self.note(test, f"skipped: {reason}")

    def addExpectedFailure(self, test: Any, error: Any, todo: object = None) -> None:
        self.note(test, f"failed, as it expects itself: {todo}")

    def addUnexpectedSuccess(self, test: Any, todo: object = None) -> None:
        self.note(test, f"passed, which it does not expect itself: {todo}")


def main(whose: str, outcomes: str, *suites: str) -> None:
    faulthandler.dump_traceback_later(SECONDS, exit=True)
    if whose == "ours":
        pellucid.twisted.install()
    # Collecting garbage after each test makes what a test leaves behind the trouble of that test.
    runner = cast(Any, TrialRunner)(WritesDown, workingDirectory="trial", forceGarbageCollection=True)
    runner.run(TestLoader().loadByNames(list(suites)))
    texts = {name: "\n".join(parts) for name, parts in troubles.items()}
    Path(outcomes).write_text(json.dumps(texts), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
