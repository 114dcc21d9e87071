"""Programs in processes of their own: run to their end, or started, listened to and stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

__all__ = ["EXAMPLES", "PEERS", "SRC", "Ended", "Running", "Start", "run"]

EXAMPLES = Path(__file__).parents[2] / "examples"
PEERS = Path(__file__).parent / "peers"
SRC = Path(__file__).parents[2] / "src"
SECONDS = 20
"""The longest that a program may take to end."""


class Ended(NamedTuple):
    """What became of a program."""

    code: int
    out: str = ""
    err: str = ""


class Running:
    """A program that runs. In `path` are modules that it finds before any others of their names.

    One that `listens` reads what `tell` says on stdin. It is in a group of its own with all that it starts.
    Instead of a program it may be an option of Python's, such as ``-m`` with a module's name as the first argument.
    """

    def __init__(
        self,
        program: Path | str,
        *args: object,
        path: Path | None = None,
        listens: bool = False,
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
        stdin: int = subprocess.DEVNULL,
        stdout: int = subprocess.PIPE,
        stderr: int = subprocess.PIPE,
        pass_fds: tuple[int, ...] = (),
    ) -> None:
        self._listens = listens
        self.process = subprocess.Popen(
            [sys.executable, program, *map(str, args)],
            cwd=cwd,
            start_new_session=listens,
            stdin=subprocess.PIPE if listens else stdin,
            stdout=stdout,
            stderr=stderr,
            pass_fds=pass_fds,
            bufsize=0,  # so that reading a line leaves the next one to `wait`
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(map(str, [path or SRC, SRC])),
                "PYTHONIOENCODING": "utf-8",
                "PYTHONUNBUFFERED": "1",  # so that `line` hears of what was said so far
                **(environment or {}),
            },
        )

    def line(self, *, err: bool = False) -> str:
        """What it prints next, or says next on stderr; nothing once it has ended."""
        pipe = self.process.stderr if err else self.process.stdout
        assert pipe is not None
        return pipe.readline().decode().rstrip("\n")

    def tell(self, line: str) -> None:
        """Let it read one line."""
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")

    def urls(self, *, err: bool = False) -> list[str]:
        """Where it listens, of which a server's first line tells."""
        line = self.line(err=err)
        said, _, urls = line.partition("listening at ")
        assert not said, line
        assert urls, self.wait()
        return urls.split()

    def port(self, *, err: bool = False) -> int:
        """The port that it listens at, where that is one."""
        (url,) = self.urls(err=err)
        return int(url.rpartition(":")[2])

    def wait(self, given: bytes | None = None) -> Ended:
        """What became of it, once it has ended by itself; `out` is what `line` has not returned.

        Its standard input, where that is a pipe, is `given` and then at its end.
        """
        out, err = self.process.communicate(given, timeout=SECONDS)
        return Ended(self.process.returncode, out.decode(), err.decode())

    def interrupt(self, number: signal.Signals = signal.SIGINT) -> Ended:
        """What becomes of it after a Ctrl-C, or another signal."""
        self.process.send_signal(number)
        return self.wait()

    def close(self) -> None:
        """Kill it if need be, and what is left of what it started."""
        with self.process:
            if self._listens and self.process.returncode is None:
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.kill()


Start = Callable[..., Running]
"""Starts a program, given its file and its arguments; it is killed at the end of the test at the latest."""


def run(program: Path, *args: object, path: Path | None = None) -> Ended:
    """Run a program to its end, as `Running` does."""
    running = Running(program, *args, path=path)
    try:
        return running.wait()
    finally:
        running.close()
