"""How many instructions of the processor the hot paths take, against a stored budget.

Unlike time, that does not depend on the machine's mood: callgrind counts what two brokers, each behind a `Connection`
of the asyncio door, execute in one process, joined by a transport in memory. Each path is run so many times and then
three times as many; the difference of the two counts, divided by that of the runs, is what one takes.

    python benchmarks/instructions.py [--rewrite]

It fails where a path takes more than its budget in instructions.json allows, and says so where it takes much less;
`--rewrite` makes what was counted the budget. Budgets are per minor version of Python. One taken with a Python that
was built otherwise, or with another valgrind, says little: then counts are only shown.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pellucid as pb
from pellucid.asyncio import inbox
from pellucid.asyncio.connection import Connection, Settings
from pellucid.asyncio.slices import Slices
from pellucid.wire.dialects import dialects_named

BUDGETS = Path(__file__).with_suffix(".json")
TOLERANCE = 0.03
"""By which part of it a budget may be exceeded. A count repeats to the last instruction on one machine; on another
the system's libraries make it differ a little."""
SECONDS = 600
DIALECTS = {"pb": "pb", "native": "pellucid"}

TEXT = "hello network"
STRUCTURE = [
    {"name": f"customer number {n}", "number": n * 1000, "price": n * 1.5, "tag": f"b{n}", "ok": True}
    for n in range(200)
]


class Thing(pb.Referenceable):
    def remote_echo(self, value: object) -> object:
        return value


class Strict(pb.Referenceable, validate=True):
    def remote_echo(self, value: str) -> str:
        return value


class Root(pb.Root):
    def remote_strict(self) -> Strict:
        return Strict()

    def remote_echo(self, value: object) -> object:
        return value

    async def remote_echo_coroutine(self, value: object) -> object:
        return value

    def remote_make(self) -> Thing:
        return Thing()


class Line(asyncio.Transport):
    """One direction: what is written arrives in the next turn of the loop.

    Nothing waits here, as at a socket whose peer reads. At `pellucid.testing.in_memory`'s each write waits until it is
    heard, and pauses the connection: a call would take a fifth more.
    """

    def __init__(self, far_end: Connection) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._far_end = far_end
        self._closing = False

    def write(self, data: Any) -> None:
        self._loop.call_soon(self._far_end.data_received, bytes(data))

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """There is no buffer."""

    def pause_reading(self) -> None:
        """What was written arrives all the same: a connection keeps it until it reads on."""

    def resume_reading(self) -> None:
        """As above."""

    def is_closing(self) -> bool:
        return self._closing

    def can_write_eof(self) -> bool:
        return False

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._loop.call_soon(self._far_end.eof_received)

    abort = close


async def connected(dialect: str) -> tuple[pb.RemoteReference, Connection]:
    """The root of one end, as the other holds it, and the other.

    Each is served as in a process of its own, where it is the only connection: slices go by the time, which callgrind
    stretches.
    """
    settings = Settings(dialects=dialects_named([dialect]))
    root = Root()
    with mock.patch.object(inbox, "slices_of", Slices):
        server = Connection(settings, listens=True, root_for=lambda _: root)
        client = Connection(settings, listens=False)
    server.connection_made(Line(client))
    client.connection_made(Line(server))
    await client.ready
    return client.root, server


async def call(root: Any, runs: int) -> None:
    for _ in range(runs):
        assert await root.call("echo", TEXT) == TEXT


async def call_checked(root: Any, runs: int) -> None:
    await call(await root.call("strict"), runs)


async def call_coroutine(root: Any, runs: int) -> None:
    for _ in range(runs):
        assert await root.call("echo_coroutine", TEXT) == TEXT


async def call_64(root: Any, runs: int) -> None:
    async def work() -> None:
        for _ in range(runs):
            assert await root.call("echo", TEXT) == TEXT

    await asyncio.gather(*(work() for _ in range(64)))


async def call_coroutine_64(root: Any, runs: int) -> None:
    async def work() -> None:
        for _ in range(runs):
            assert await root.call("echo_coroutine", TEXT) == TEXT

    await asyncio.gather(*(work() for _ in range(64)))


async def batch_of_64(root: Any, runs: int) -> None:
    texts = [f"{TEXT} {number}" for number in range(64)]
    for _ in range(runs):
        assert await pb.gather(*(root.prepare("echo", text) for text in texts)) == texts


async def echo_structure(root: Any, runs: int) -> None:
    for _ in range(runs):
        assert await root.call("echo", STRUCTURE) == STRUCTURE


async def use_reference(root: Any, runs: int) -> None:
    for _ in range(runs):
        thing = await root.call("make")
        assert await thing.call("echo", TEXT) == TEXT
        del thing


PATHS: dict[str, tuple[Callable[[Any, int], Awaitable[None]], int, int]] = {
    "call": (call, 100, 1),
    "call, checked": (call_checked, 100, 1),
    "call of a coroutine": (call_coroutine, 100, 1),
    "call, 64 in flight": (call_64, 5, 64),
    "call of a coroutine, 64 in flight": (call_coroutine_64, 5, 64),
    "batch of 64": (batch_of_64, 5, 64),
    "structure of 200 dicts": (echo_structure, 2, 1),
    "reference, call, drop": (use_reference, 50, 1),
}
"""What is run, how often at the least, and how many operations each run is."""


async def run_paths(dialect: str) -> None:
    """Run each path to warm up, then n times, then 3 n times, each between two calls of getppid().

    There callgrind writes down its count and begins anew. Garbage is collected before, never during a count.
    """
    root, _ = await connected(dialect)
    gc.collect()
    gc.freeze()
    for path, runs, _ in PATHS.values():
        await path(root, runs)
        for times in (1, 3):
            gc.collect()
            gc.disable()
            os.getppid()
            await path(root, runs * times)
            os.getppid()
            gc.enable()


def count(dialect: str) -> dict[str, float]:
    """Instructions for one operation of each path."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            "valgrind",
            "--tool=callgrind",
            "--dump-before=getppid",
            "--combine-dumps=no",
            f"--callgrind-out-file={folder}/out",
            sys.executable,
            "-sP",  # -I would ignore PYTHONHASHSEED as well
            "-X",
            "frozen_modules=on",
            __file__,
            "--run",
            dialect,
        ]
        environment = {"PATH": os.environ.get("PATH", ""), "PYTHONHASHSEED": "0"}
        if "PYTHONPATH" in os.environ:  # what is counted is what is imported here
            environment["PYTHONPATH"] = os.environ["PYTHONPATH"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr[-2000:])
        parts = {int(file.suffix[1:]): file for file in Path(folder).glob("out.*")}
        totals = [_total(parts[number]) for number in sorted(parts)]
    counted = iter(totals[1::2])  # what lies between two counts is of no interest
    found = {}
    for name, (_, runs, operations) in PATHS.items():
        once, thrice = next(counted), next(counted)
        found[name] = (thrice - once) / (2 * runs * operations)
    return found


def _total(file: Path) -> int:
    with file.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if found := re.match(r"(?:summary|totals): (\d+)", line):
                return int(found[1])
    raise ValueError(f"callgrind left no total in {file.name}")


def main() -> int:
    parser = argparse.ArgumentParser(description="Instructions of the hot paths, against their budget.")
    parser.add_argument("--rewrite", action="store_true", help="make what is counted the budget")
    parser.add_argument("--run", metavar="DIALECT", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        asyncio.run(run_paths(options.run))
        return 0
    if shutil.which("valgrind") is None:
        print("instructions: SKIPPED, valgrind is not installed (make valgrind installs it on Debian)")
        return 0
    return check(rewrite=options.rewrite)


def check(*, rewrite: bool) -> int:
    """Count, compare, say; 1 where a budget is exceeded."""
    stored: dict[str, Any] = json.loads(BUDGETS.read_text()) if BUDGETS.exists() else {}
    minor = f"{sys.version_info.major}.{sys.version_info.minor}"
    circumstances = {"build": build(), "valgrind": valgrind_version()}
    budget = stored.get(minor, {})
    comparable = {name: budget.get(name) for name in circumstances} == circumstances
    if budget and not comparable and not rewrite:
        print(f"instructions: the budget of Python {minor} was taken otherwise, so it is only shown beside the counts")
    found: dict[str, dict[str, int]] = {}
    exceeded = 0
    for dialect, name in DIALECTS.items():
        try:
            dialects_named([name])
        except ValueError:
            print(f"{dialect}: not there yet")
            continue
        found[dialect] = {path: round(number) for path, number in count(name).items()}
        for path, number in found[dialect].items():
            allowed = budget.get("paths", {}).get(dialect, {}).get(path)
            verdict = judge(number, allowed)
            exceeded += verdict.startswith("OVER") and comparable
            print(f"{dialect:8}{path:34}{number:>14,}{allowed or 0:>14,}  {verdict}", flush=True)
    if rewrite:
        stored[minor] = {**circumstances, "paths": found}
        BUDGETS.write_text(json.dumps(stored, indent=2, sort_keys=True) + "\n")
        return 0
    return int(exceeded > 0)


def judge(number: int, allowed: int | None) -> str:
    """What a count means, next to its budget."""
    if allowed is None:
        return "no budget yet: --rewrite stores it"
    change = number / allowed - 1
    if change > TOLERANCE:
        return f"OVER by {change:.1%}"
    return f"under by {-change:.1%}: --rewrite keeps it there" if change < -TOLERANCE else "within"


def build() -> str:
    """What about the interpreter makes counts comparable: its implementation, compiler and optimizations."""
    flags = " ".join(str(sysconfig.get_config_var(name) or "") for name in ("PY_CFLAGS", "CONFIG_ARGS"))
    chosen = sorted(set(re.findall(r"-O\w|-flto\b|--enable-optimizations|--with-lto|--with-pydebug", flags)))
    return " ".join([platform.python_implementation(), platform.python_compiler(), platform.machine(), *chosen])


def valgrind_version() -> str:
    return subprocess.check_output(["valgrind", "--version"], text=True, timeout=60).strip()


if __name__ == "__main__":
    sys.exit(main())
