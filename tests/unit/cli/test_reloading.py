"""`pellucid serve --reload`, where it is told to end before it has begun."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest

from pellucid.cli.reloading import run_again_and_again
from tests.unit.asyncio.door import on_each_loop


@on_each_loop
async def test_two_signals_end_it_before_there_is_a_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    running = asyncio.ensure_future(run_again_and_again(["nowhere:Nothing"]))
    await asyncio.sleep(0)  # it listens for signals now
    signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGTERM)
    assert await running == 0
    assert complaints == []
