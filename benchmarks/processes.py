"""Starts a server and its client, each pinned to a processor of its own, for one measurement."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Outcome", "measure"]

ROOT = Path(__file__).parents[1]
START_SECONDS = 30


@dataclass(frozen=True)
class Outcome:
    """What one measurement came to."""

    facts: dict[str, Any]
    """What the client printed."""
    failed: str = ""
    """Why there is nothing, where it says nothing of that."""

    @property
    def unavailable(self) -> str:
        """Why the peer can't do this, or did not."""
        return self.failed or str(self.facts.get("unavailable", ""))


def processors() -> tuple[int | None, int | None]:
    """Where the server runs, and where the client does: two different ones, if there are two."""
    if not hasattr(os, "sched_getaffinity"):
        return None, None
    ours = sorted(os.sched_getaffinity(0))
    return (ours[0], ours[-1]) if len(ours) > 1 else (None, None)


def measure(peer: str, case: str, *, seconds: float, timeout: float, size: int | None = None) -> Outcome:
    """Have `peer` do `case` once, in new processes, which are gone when this returns."""
    with tempfile.TemporaryFile() as errors:
        try:
            return asyncio.run(_measure(peer, case, seconds, timeout, size, errors))
        except TimeoutError:
            return Outcome({}, f"too slow: not done within {timeout:.0f} s")
        except (OSError, ValueError) as error:
            return Outcome({}, f"failed: {_last_error(errors) or repr(error)}")


def _last_error(errors: Any) -> str:
    """The last line that looks like the end of a traceback."""
    errors.seek(0)
    lines = errors.read().decode(errors="replace").splitlines()
    ends = [line.strip() for line in lines if re.match(r"[\w.]+(Error|Exception|Answer|Lost)\b", line)]
    return ends[-1][:200] if ends else ""


async def _measure(peer: str, case: str, seconds: float, longest: float, size: int | None, errors: Any) -> Outcome:
    server_processor, client_processor = processors()
    options = ["--case", case, *(["--size", str(size)] if size is not None else [])]
    server = await _start("server", peer, options, server_processor, errors)
    try:
        async with asyncio.timeout(START_SECONDS):
            listening = await _read(server)
        if "unavailable" in listening:
            return Outcome(listening)
        options += ["--port", str(listening["port"]), "--server", str(server.pid), "--seconds", str(seconds)]
        if listening["where"]:
            options += ["--where", listening["where"]]
        client = await _start("client", peer, options, client_processor, errors)
        try:
            async with asyncio.timeout(longest):
                return Outcome(await _read(client))
        finally:
            await _end(client)
    finally:
        await _end(server)


async def _start(role: str, peer: str, options: list[str], processor: int | None, errors: Any) -> Any:
    pinned = ["--cpu", str(processor)] if processor is not None else []
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.peers",
        role,
        peer,
        *options,
        *pinned,
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=errors,
    )


async def _read(process: asyncio.subprocess.Process) -> dict[str, Any]:
    assert process.stdout is not None
    line = await process.stdout.readline()
    facts: dict[str, Any] = json.loads(line or b"null") or {}
    if not facts:
        raise ValueError("it printed nothing")
    return facts


async def _end(process: asyncio.subprocess.Process) -> None:
    """Have a process end: a server does so when its input ends, a client when it has printed what it measured."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        async with asyncio.timeout(2):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
