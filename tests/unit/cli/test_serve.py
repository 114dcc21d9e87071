"""What ends `pellucid serve`."""

from __future__ import annotations

import asyncio
import os

from pellucid.cli.serve import set_at_end
from tests.unit.asyncio.door import on_each_loop


@on_each_loop
async def test_the_end_of_a_pipe_is_told_once() -> None:
    ending = asyncio.Event()
    ours, theirs = os.pipe()
    try:
        set_at_end(ending, ours)
        os.close(theirs)
        await ending.wait()
        assert not asyncio.get_running_loop().remove_reader(ours)
    finally:
        os.close(ours)
