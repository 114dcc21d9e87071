from __future__ import annotations

import asyncio
import gc
import os
import random
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

import pellucid as pb
from pellucid.testing import Stuck, World, for_each_seed, simulated
from tests.unit.testing.peers import Peer, forever, listening, meet

ROOT = Path(__file__).parents[3]


WAITING = r"(?s)nothing is left.*main: main of main at .*peers.py:\d+, in forever\n  other: "


async def rest(world: World) -> float:
    await asyncio.sleep(10_000)
    return world.now


def test_time_jumps_to_when_something_happens() -> None:
    begin = time.monotonic()
    world = World(1)
    assert 10_000 <= world.run(rest) < 10_001
    assert world.steps < 20
    assert time.monotonic() - begin < 5


def test_a_program_that_turns_in_circles_sees_time_pass() -> None:
    async def scenario(world: World) -> None:
        asyncio.get_running_loop().call_later(0.001, forth.append, 1)
        while not forth:  # noqa: ASYNC110 - just that is tested
            await asyncio.sleep(0)

    forth: list[int] = []
    World(1).run(scenario)


def test_a_world_is_run_once_and_outside_of_any_loop() -> None:
    world = World(1)
    world.run(rest)
    with pytest.raises(RuntimeError, match="once"):
        world.run(rest)

    async def main() -> None:
        World(1).run(rest)

    with pytest.raises(RuntimeError, match="outside"):
        asyncio.run(main())


@pytest.mark.parametrize("where", ["main", "process", "callback", "task", "blocking"])
def test_whatever_goes_wrong_ends_the_world_and_names_the_seed(where: str) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    async def fail_soon() -> None:
        await asyncio.sleep(1)
        fail()

    async def scenario(world: World) -> None:
        match where:
            case "main":
                await fail_soon()
            case "process":
                world.process("other", fail_soon)
            case "callback":
                asyncio.get_running_loop().call_later(1, fail)
            case "task":
                asyncio.get_running_loop().create_task(fail_soon())
            case _:
                await asyncio.to_thread(fail)
        await asyncio.sleep(10)

    with pytest.raises(ZeroDivisionError) as caught:
        World(35).run(scenario)
    assert "World(35)" in caught.value.__notes__[-1]


def test_a_world_in_which_nothing_can_happen_any_more_says_who_waits_and_where() -> None:
    async def wait_here() -> None:
        await forever()

    async def scenario(world: World) -> None:
        world.process("other", wait_here)
        await wait_here()

    with pytest.raises(Stuck, match=WAITING):
        World(1).run(scenario)


def test_a_world_has_bounds() -> None:
    async def turn(world: World) -> None:
        for _ in range(10_000):
            await asyncio.sleep(0)

    with pytest.raises(Stuck, match=r"(?s)over 1,000 steps.*main of main at .*:\d+, in "):
        World(1, steps=1_000).run(turn)
    with pytest.raises(Stuck, match="within 9,999 seconds"):
        World(1, seconds=9_999).run(rest)


async def ramble(world: World) -> list[Any]:
    """What depends on chance, garbage, sets, threads and time."""
    near, far = await meet(world)
    seen: list[Any] = []
    for _ in range(20):
        near.transport.write(random.randbytes(random.randrange(1, 5_000)))
        await asyncio.to_thread(seen.append, round(time.monotonic() * 1e6))
        await asyncio.sleep(random.random() * 0.01)

    async def note(number: int) -> None:
        try:
            await forever()
        finally:
            seen.append(number)

    try:
        async with asyncio.TaskGroup() as group:
            for number in range(50):
                group.create_task(note(number))
            await asyncio.sleep(0)
            raise ZeroDivisionError
    except* ZeroDivisionError:
        pass
    return [seen, far.pieces, time.time(), world.random.random()]


def test_one_seed_is_one_run_and_another_is_another() -> None:
    runs = []
    for seed in (1, 2, 1, 2):
        world = World(seed)
        runs.append((world.run(ramble), world.fingerprint))
        garbage: list[list[int]] = [[] for _ in range(seed * 1_000)]  # the next one has other addresses
        del garbage
    assert runs[0] == runs[2]
    assert runs[1] == runs[3]
    assert runs[0][1] != runs[1][1]


def test_one_seed_is_one_run_in_every_process() -> None:
    program = (
        "from tests.simulation import scenario\n"
        "for seed in range(30):\n"
        "    world = scenario.run(seed).world\n"
        "    print(seed, world.fingerprint, world.steps, world.now)\n"
    )
    said = set()
    for hash_seed in ("0", "1", "random"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
        command = [sys.executable, "-W", "error", "-c", program]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert (ended.returncode, ended.stderr) == (0, "")
        said.add(ended.stdout)
    assert len(said) == 1


def test_the_trace_says_what_happens_and_is_the_same_each_time() -> None:
    async def scenario(world: World) -> None:
        near, _ = await meet(world)
        near.transport.write(b"hello")
        world.processes["far"].pause()
        world.partition("far", one_way=True)
        world.heal()
        world.processes["far"].crash(silent=True)

    traces: list[list[str]] = [[], []]
    for trace in traces:
        World(1, trace=trace.append).run(scenario)
    assert traces[0] == traces[1]
    text = "\n".join(traces[0])
    for expected in ("far starts", "asks for a connection", "partition: far -> ", "healed", "loses power", "main ends"):
        assert expected in text


def test_a_world_leaves_python_as_it_was() -> None:
    async def scenario(world: World) -> None:
        assert not gc.isenabled()
        assert time.time() == 1_000_000_000.0 + world.now
        assert time.monotonic() == time.perf_counter() == world.now
        assert time.time_ns() >= 10**18
        assert time.monotonic_ns() == time.perf_counter_ns()
        random.random()
        raise ZeroDivisionError

    random.seed(5)
    expected = random.random()
    random.seed(5)
    with pytest.raises(ZeroDivisionError):
        World(1).run(scenario)
    assert random.random() == expected
    assert gc.isenabled()
    assert time.time() > 1_700_000_000
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()


def test_garbage_is_collected_at_moments_of_the_worlds_own() -> None:
    class Thing:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            collected.append(len(made))

    async def scenario(world: World) -> None:
        for number in range(10_000):
            made.append(number)
            Thing()
            await asyncio.sleep(0)

    made: list[int] = []
    collected: list[int] = []
    runs = []
    for _ in range(2):
        made.clear()
        collected.clear()
        World(1).run(scenario)
        runs.append(list(collected))
    assert runs[0] == runs[1]
    assert 2 <= len(set(runs[0])) < 20


@simulated(seeds=2)
async def test_an_asynchronous_generator_that_is_dropped_is_closed(world: World) -> None:
    async def count() -> AsyncGenerator[int]:
        try:
            yield 1
        finally:
            await asyncio.sleep(1)
            closed.append(1)

    closed: list[int] = []
    async for _ in count():
        break
    world.collect_garbage()
    await asyncio.sleep(2)
    assert closed == [1]


def test_seeds_are_run_until_one_fails() -> None:
    async def scenario(world: World) -> None:
        ran.append(world.seed)
        assert world.seed != 4

    ran: list[int] = []
    with pytest.raises(AssertionError) as caught:
        for_each_seed(range(10), scenario)
    assert ran == [0, 1, 2, 3, 4]
    assert any("World(4)" in note for note in caught.value.__notes__)


class TestSimulated:
    """Tests may be methods."""

    @simulated(seeds=2)
    async def test_a_simulated_test_can_be_a_method(self, world: World, tmp_path: Path) -> None:
        assert isinstance(world, World)
        assert isinstance(self, TestSimulated)
        assert tmp_path.is_absolute()


def test_who_leaves_out_the_parentheses_is_told_so() -> None:
    with pytest.raises(TypeError, match=r"write @simulated\(\)"):
        simulated(rest)  # type: ignore[arg-type]


def test_a_simulated_test_is_given_its_world() -> None:
    async def test() -> None: ...

    with pytest.raises(TypeError, match=r"write async def test\(world\)"):
        simulated()(test)


@pytest.mark.parametrize("given", [1, 2])
@simulated(seeds=[8, 9], seconds=50)
async def test_a_simulated_test_can_have_parameters(world: World, given: int, tmp_path: Path) -> None:
    assert given in (1, 2)
    assert world.seed in (8, 9)
    assert tmp_path.name


def test_loops_of_a_world_are_run_by_the_world() -> None:
    async def scenario(world: World) -> None:
        loop = asyncio.get_running_loop()
        assert loop.is_running()
        for wrong in (loop.run_forever, loop.stop, lambda: loop.run_until_complete(loop.create_future())):
            with pytest.raises(RuntimeError, match="run by its world"):
                wrong()

    World(1).run(scenario)


@simulated(seeds=10)
async def test_the_asyncio_door_runs_as_it_is(world: World) -> None:
    class Echoer(pb.Root):
        async def remote_echo(self, text: str) -> str:
            return text

    async def serve() -> None:
        async with pb.serve(Echoer(), "pb://server:8787") as server:
            await server.serve_forever()

    server = world.process("server", serve)
    await asyncio.sleep(0)
    for dialect in ("pellucid", "pb", "none"):
        async with pb.connect("pb://server:8787", dialects=[dialect]) as connection:
            assert await connection.root.call("echo", "hello world") == "hello world"
            gone = asyncio.get_running_loop().create_future()
            connection.notify_on_disconnect(lambda gone=gone: gone.set_result(None))  # type: ignore[misc]
            server.crash()
            await gone
            server.start()
            await asyncio.sleep(0)


@simulated(seeds=3)
async def test_a_silent_peer_is_noticed_within_the_limit_of_the_door(world: World) -> None:
    async def serve() -> None:
        async with pb.serve(pb.Root(), "pb://server:8787") as server:
            await server.serve_forever()

    server = world.process("server", serve)
    await asyncio.sleep(0)
    limits = pb.Limits(silence_seconds=30)
    for dialect in ("pellucid", "pb"):
        async with pb.connect("pb://server:8787", dialects=[dialect], limits=limits) as connection:
            await asyncio.sleep(1)  # what is on its way is sent again and again, and delays it
            server.crash(silent=True)
            begin = world.now
            await connection.wait_closed()
            assert 10 <= world.now - begin <= 41
        server.start()
        await asyncio.sleep(0)


def test_a_listening_process_can_be_named_as_its_host() -> None:
    async def scenario(world: World) -> None:
        process = world.process("one", listening(Peer), host="there")
        assert (process.host, process.name) == ("there", "one")
        assert world.host_names == ["main", "there"]

    World(1).run(scenario)
