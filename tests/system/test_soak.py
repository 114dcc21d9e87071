"""The long soak of `make soak`, for a moment: that it runs, and that it would see growth."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak.figures import MEMORY, OBJECTS, figures, grown
from tests.system.programs import Start
from tests.unit.asyncio.door import LOOPS, Gate, on_each_loop, pair

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux tells what a process holds")

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("dialect", "loop"), [("pellucid", [*LOOPS][-1]), ("pb", "asyncio")])
def test_two_processes_that_call_and_connect_hold_in_the_end_what_they_held_at_first(
    start: Start, dialect: str, loop: str
) -> None:
    asked = ("--calls", 1_000, "--cycles", 10, "--dialect", dialect, "--loop", loop)
    program = start(ROOT / "tests/soak/__main__.py", *asked, path=ROOT, listens=True)
    lines = list(iter(program.line, ""))
    ended = program.wait()
    assert (ended.code, ended.err, lines[22:]) == (0, "", [])
    assert [line.split()[2] for line in lines] == ["client:", "server:"] * 11


def test_what_there_is_more_of_is_told_and_noise_is_not() -> None:
    before = {"memory": 0, "tasks": 1, "object a.B": 5, "object gone": 3}
    noise = {"memory": MEMORY, "tasks": 1, "object a.B": 5 + OBJECTS, "object new": OBJECTS}
    assert grown(before, noise) == []
    more = {"memory": MEMORY + 1, "tasks": 2, "object a.B": 6 + OBJECTS, "object new": OBJECTS + 1}
    assert grown(before, more) == [
        f"memory: 0 became {MEMORY + 1:,}",
        "tasks: 1 became 2",
        f"object a.B: 5 became {6 + OBJECTS}",
        f"object new: 0 became {OBJECTS + 1}",
    ]


@on_each_loop
async def test_figures_count_what_is_held() -> None:
    async with pair(Gate()) as both:
        before = figures([both.client])
        call = both.client.root.call("wait")
        descriptor = Path(__file__).open()  # noqa: ASYNC230, SIM115 - to have one more
        after = figures([both.client])
        descriptor.close()
        call.cancel()
    assert after["tables"] == before["tables"] + 1
    assert after["descriptors"] == before["descriptors"] + 1
    assert after["object pellucid.asyncio.calls.Call"] == before.get("object pellucid.asyncio.calls.Call", 0) + 1
