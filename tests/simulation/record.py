"""What happened in one world, and whether it may: all processes write into the same record."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pellucid as pb
from pellucid.testing import Process, World

__all__ = ["Once", "Record", "left_over", "within_limits"]


@dataclass(eq=False)
class Once:
    """Something that is to happen once, when a connection has ended or a peer lets go: if its process lives to see it.

    A process that crashes does nothing of the kind.
    """

    what: str
    process: Process
    start: int
    count: int = 0

    def happen(self) -> None:
        """It happens."""
        self.count += 1
        assert self.count == 1, f"{self.what} twice"

    @property
    def is_owed(self) -> bool:
        """Whether it should have happened by the end of the world."""
        return self.process.starts == self.start and self.process.result != "crashed"


class Record:
    """Numbers calls, and knows of each who ran it and how it ended."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.calm = False
        """Whether nothing goes wrong any more."""
        self.ran: Counter[int] = Counter()
        self.unsent: set[int] = set()
        """Calls that certainly never reached the peer."""
        self.outcomes: Counter[str] = Counter()
        """How calls ended, to see that there are all kinds."""
        self.onces: list[Once] = []
        self._tokens = itertools.count()

    def token(self) -> int:
        """Stands for a call that is about to be made."""
        return next(self._tokens)

    def runs(self, token: int) -> None:
        """The method of a call begins."""
        self.ran[token] += 1
        assert self.ran[token] == 1, f"call {token} ran twice"
        assert token not in self.unsent, f"call {token} runs, which was never sent"

    def once(self, what: str, process: Process) -> Once:
        """Expect something to happen once in this life of `process`."""
        expected = Once(what, process, process.starts)
        self.onces.append(expected)
        return expected

    def never_sent(self, token: int) -> None:
        """The caller was told that the call had not reached its peer."""
        self.unsent.add(token)
        assert not self.ran[token], f"call {token} ran, and its caller was told that it was never sent"

    def check_at_the_end(self) -> None:
        """Every connection has ended."""
        missing = [expected.what for expected in self.onces if expected.is_owed and not expected.count]
        assert not missing, f"never happened: {missing}"


def left_over(connection: pb.Connection) -> dict[str, Any]:
    """What is in the tables of `connection`, where anything is."""
    broker = connection.broker
    books, arrivals, outgoing = broker.books, broker.arrivals, broker.outgoing
    tables: dict[str, Any] = {
        "calls": books.pending,
        "exports": books.exports,
        "imports": books.imports,
        "caches": books.cache_exports,
        "copies": books.cache_imports,
        "running": arrivals.running,
        "ready": arrivals.ready,
        "promised": arrivals._promised,
        "waiting": arrivals._waiting,
        "kept": arrivals._kept,
        "lane": outgoing.lane,
    }
    found: dict[str, Any] = {name: len(table) for name, table in tables.items() if table}
    counts = {
        "kept bytes": arrivals._kept_bytes,
        "waiting bytes": arrivals._waiting_bytes,
        "queued bytes": connection.outbox.queued_bytes,
        "methods": connection._runner.usage["running_calls"],
        "methods in wait": connection._runner.usage["waiting_calls"],
    }
    return found | {name: count for name, count in counts.items() if count}


def within_limits(connection: pb.Connection) -> None:
    """Whatever is counted is below its limit."""
    for name, (used, limit) in connection.usage.items():
        # Beyond it nothing new is taken on; what runs already is answered.
        most = 2 * limit + ANSWERS if name == "queued_bytes" else limit
        assert used <= most, f"{name}={used} of {limit}"


ANSWERS = 400_000
"""Bytes that methods which run already may have to say."""
