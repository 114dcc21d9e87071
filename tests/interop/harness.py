"""Stock Twisted peers in processes of their own, and how tests run coroutines.

The peers run in the interpreter that PELLUCID_PEER_PYTHON names, so that other releases can be tried (releases.py);
without it in the one that runs the tests.
"""

from __future__ import annotations

import asyncio
import json
import select
import subprocess
import sys
import tempfile
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import IO, Any, TypeVar

import pytest

import pellucid as pb
from tests.interop.releases import PEER_PYTHON

__all__ = ["PEERS", "SECONDS", "Ask", "Client", "Connect", "Peer", "Server", "run"]

T = TypeVar("T")

PEERS = Path(__file__).parent / "peers"
SECONDS = 30
"""The longest that anything here may take."""

Ask = Callable[..., Any]
"""Has a stock client play a scenario, with options by keyword, and returns what it saw."""

Connect = Callable[..., AbstractAsyncContextManager[pb.Connection]]
"""Connects a client of pellucid's to a service of the stock server: ``async with connect("portal") as connection``."""


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run `coroutine` in a loop of its own, and not for ever."""

    async def in_time() -> T:
        async with asyncio.timeout(SECONDS):
            return await coroutine

    return asyncio.run(in_time())


class Peer:
    """A program written for stock Twisted that talks JSON, a line at a time.

    With `door` it runs on pellucid's Twisted door, unchanged, in the interpreter that runs the tests.
    """

    def __init__(self, program: str, *, door: bool = False) -> None:
        self.errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # closed by close()
        python = [sys.executable, "-m", "pellucid.twisted", "run"] if door else [PEER_PYTHON]
        self.process = subprocess.Popen(
            [*python, str(PEERS / program)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
        )

    def say(self, value: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(value).encode() + b"\n")
        self.process.stdin.flush()

    def hear(self) -> Any:
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], SECONDS)
        line = self.process.stdout.readline() if ready else b""
        if not line:
            pytest.fail(f"the stock peer said nothing within {SECONDS} s; its stderr: {self.stderr()}")
        return json.loads(line)

    def stderr(self) -> str:
        self.errors.seek(0)
        return self.errors.read()[-5000:].decode(errors="replace")

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.errors.close()


class Server(Peer):
    """peers/server.py: its ports by dialect and service."""

    def __init__(self, *, door: bool = False) -> None:
        super().__init__("server.py", door=door)
        self.ports: dict[str, dict[str, int]] = self.hear()


class Client(Peer):
    """peers/client.py: it plays scenarios."""

    def __init__(self, *, door: bool = False) -> None:
        super().__init__("client.py", door=door)

    def ask(self, scenario: str, dialect: str, ports: dict[str, int], options: dict[str, Any]) -> Any:
        self.say({"scenario": scenario, "dialect": dialect, "ports": ports, "options": options})
        answer = self.hear()
        if "error" in answer:
            pytest.fail(f"the scenario {scenario!r} failed in the client: {answer['error']}")
        return answer["result"]
