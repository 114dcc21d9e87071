"""The command `pellucid` in processes of its own, and servers that it is tried on."""

from __future__ import annotations

import subprocess
from collections.abc import Generator, Mapping
from contextlib import closing, contextmanager
from typing import Any

from tests.system.programs import PEERS, Ended, Running

__all__ = ["HERE", "pellucid", "serving", "started"]

HERE = "pb://127.0.0.1:0"


def started(
    *arguments: object, stdin: int = subprocess.DEVNULL, environment: Mapping[str, str] | None = None, **options: Any
) -> Running:
    """The command, as it runs, beside the modules of `peers/`; a warning is an error there."""
    path = options.pop("path", PEERS)
    environment = {"PYTHONWARNINGS": "error", "TERM": "dumb", **(environment or {})}
    return Running("-m", "pellucid", *arguments, path=path, stdin=stdin, environment=environment, **options)


def pellucid(*arguments: object, given: str | None = None, **options: Any) -> Ended:
    """What becomes of the command; `given` is its standard input."""
    stdin = subprocess.DEVNULL if given is None else subprocess.PIPE
    with closing(started(*arguments, stdin=stdin, **options)) as running:
        return running.wait(None if given is None else given.encode())


@contextmanager
def serving(what: str, *options: object, **more: Any) -> Generator[str]:
    """Where `pellucid serve` publishes that."""
    with closing(started("serve", what, *(options or ("--listen", HERE)), **more)) as server:
        yield server.urls()[0]
