from __future__ import annotations

import asyncio

import pytest

from pellucid.testing import Faults, World
from tests.unit.testing.peers import forever, meet


@pytest.mark.parametrize(
    ("faults", "expected"),
    [
        (Faults(cuts=5), "cut: "),
        (Faults(forgotten=5), "forgotten: "),
        (Faults(stalls=5), "stalled for "),
        (Faults(partitions=5), "partition: "),
        (Faults(pauses=5), " is paused"),
        (Faults(crashes=5), " crashes"),
        (Faults(power_cuts=5), " loses power"),
    ],
    ids=["cuts", "forgotten", "stalls", "partitions", "pauses", "crashes", "power_cuts"],
)
def test_each_fault_happens_as_often_as_it_is_said_to(faults: Faults, expected: str) -> None:
    async def scenario(world: World) -> None:
        await meet(world)
        with world.mayhem(faults):
            await asyncio.sleep(50)
        before = len(trace)
        assert all(process.is_running and not process.is_paused for process in world.processes.values())
        await asyncio.sleep(50)
        assert len(trace) == before

    trace: list[str] = []
    World(1, trace=trace.append).run(scenario)
    struck = sum(expected in line for line in trace)
    assert 20 < struck < 400


def test_nothing_happens_where_nothing_is_asked_for() -> None:
    async def scenario(world: World) -> None:
        with world.mayhem(Faults()):
            await asyncio.sleep(1_000)

    world = World(1)
    world.run(scenario)
    assert world.steps < 10


def test_only_those_processes_crash_that_may() -> None:
    async def scenario(world: World) -> None:
        frail, solid = world.process("frail", forever), world.process("solid", forever)
        with world.mayhem(Faults(crashes=10), [frail]):
            await asyncio.sleep(20)
        assert frail.starts > 5
        assert solid.starts == world.processes["main"].starts == 1

    World(1).run(scenario)


def test_faults_that_can_not_be_are_refused() -> None:
    with pytest.raises(ValueError, match="never"):
        Faults(cuts=-1)
    with pytest.raises(ValueError, match="seconds"):
        Faults(seconds=(0, 1))
