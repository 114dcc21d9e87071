"""A master of Buildbot's and its worker, as processes of their own whose logs tell what happens.

They run in the environment whose interpreter PELLUCID_BUILDBOT_PYTHON names. There is no pellucid in it: a program that
is to run on ours is started by `python -m pellucid.twisted run`, with our source in PYTHONPATH, and nothing else is
changed.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

__all__ = ["SECONDS", "SETUPS", "Farm", "Outcome", "Program"]

HERE = Path(__file__).parent
SOURCE = HERE.parents[2] / "src"
SECONDS = 30
"""The longest that anything here may take."""

SETUPS: dict[str, frozenset[str]] = {
    "neither": frozenset(),
    "worker": frozenset({"worker", "client"}),
    "master": frozenset({"master"}),
    "both": frozenset({"worker", "client", "master"}),
}
"""Who runs on ours. A client is `buildbot sendchange` and the like: a peer of the master's, as the worker is."""


@dataclass(frozen=True)
class Outcome:
    """How a build ended: Buildbot's word for it, and its logs, by step and name."""

    results: str
    logs: dict[str, str]

    def lines(self, log: str, stream: str) -> list[str]:
        """What a log holds of a stream: o(utput), e(rrors) or h(eader)."""
        return [line[1:] for line in self.logs[log].splitlines() if line.startswith(stream)]


@dataclass
class Program:
    """A process and what it says, line by line."""

    arguments: Sequence[str | Path]
    environment: dict[str, str]
    directory: Path
    lines: list[str] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self._more = threading.Condition()
        self._ended = False
        self.process = subprocess.Popen(
            self.arguments,
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="backslashreplace",
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._more:
                self.lines.append(line.rstrip("\n"))
                self._more.notify_all()
        with self._more:
            self._ended = True
            self._more.notify_all()

    def wait_for(self, pattern: str, *, nth: int = 1) -> re.Match[str]:
        """The `nth` line that has `pattern` in it, as soon as it is said."""
        found: list[re.Match[str]] = []
        read = 0

        def enough() -> bool:
            nonlocal read
            unread = self.lines[read:]
            read += len(unread)
            found.extend(match for line in unread if (match := re.search(pattern, line)))
            return len(found) >= nth or self._ended

        with self._more:
            self._more.wait_for(enough, SECONDS)
        if len(found) < nth:
            pytest.fail(f"no line {nth} with {pattern!r} from {self.arguments}; it said:\n{self.said()}")
        return found[nth - 1]

    def said(self) -> str:
        return "\n".join(self.lines)

    def wait(self) -> int:
        """Wait for its end; how it ended."""
        try:
            status = self.process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            pytest.fail(f"{self.arguments} did not end; it said:\n{self.said()}")
        self._reader.join(SECONDS)
        return status

    def close(self) -> None:
        """Have it end, if it has not."""
        self.process.terminate()
        try:
            self.process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join(SECONDS)
        assert self.process.stdout is not None
        self.process.stdout.close()


class Farm:
    """A master and its worker, in a directory; `ours` are those that run on ours."""

    def __init__(self, python: Path, directory: Path, ours: frozenset[str], database: Path) -> None:
        self.python = python
        self.ours = ours
        self.programs: list[Program] = []
        self.numbers = itertools.count()
        self.master_directory = directory / "master"
        self.worker_directory = directory / "worker"
        self.master_directory.mkdir()
        shutil.copy(database, self.master_directory / "state.sqlite")
        shutil.copy(HERE / "master.tac", self.master_directory / "buildbot.tac")
        shutil.copy(HERE / "master.cfg", self.master_directory / "master.cfg")
        self.worker_directory.mkdir()
        shutil.copy(HERE / "worker.tac", self.worker_directory / "buildbot.tac")

    def open(self) -> None:
        """Start both; the worker is attached afterwards."""
        self.master = self.start("master", "buildbot", "start", "--nodaemon", self.master_directory)
        self.port = int(self.master.wait_for(r"PBServerFactory starting on (\d+)")[1])
        self.master.wait_for("BuildMaster is running")
        self.worker = self.start_worker()
        self.worker.wait_for("Connected to buildmaster")

    def start(self, role: str, program: str, *arguments: str | Path, **environment: str) -> Program:
        """Start a console script, on ours if the role is among those that are."""
        command: list[str | Path] = [self.python.parent / program]
        environment = {"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1", **environment}
        if role in self.ours:
            command = [self.python, "-m", "pellucid.twisted", "run", program]
            environment["PYTHONPATH"] = str(SOURCE)
        started = Program([*command, *arguments], environment, self.master_directory.parent)
        self.programs.append(started)
        return started

    def start_worker(self, password: str = "right") -> Program:
        return self.start(
            "worker",
            "buildbot-worker",
            "start",
            "--nodaemon",
            self.worker_directory,
            MASTER_PORT=str(self.port),
            WORKER_PASSWORD=password,
        )

    def send_change(self, branch: str, password: str = "right") -> tuple[str, Program]:
        """Tell the master of a change, which starts a build: the revision that it has, and the program that tells."""
        revision = f"r{next(self.numbers)}"
        program = self.start(
            "client",
            "buildbot",
            "sendchange",
            f"--master=127.0.0.1:{self.port}",
            f"--auth=change:{password}",
            "--who=tester",
            f"--branch={branch}",
            f"--revision={revision}",
            "a file",
        )
        return revision, program

    def outcome(self, revision: str, *, nth: int = 1) -> Outcome:
        """How the `nth` build of a revision ended."""
        path = self.master.wait_for(rf"outcome of {revision}: (.+)$", nth=nth)[1]
        return Outcome(**json.loads(Path(path).read_text()))

    def build(self, branch: str) -> Outcome:
        revision, program = self.send_change(branch)
        assert program.wait() == 0, program.said()
        return self.outcome(revision)

    def close(self) -> None:
        for program in self.programs:
            program.process.terminate()
        for program in self.programs:
            program.close()
