from __future__ import annotations

import asyncio

import pytest

from pellucid.testing import World, for_each_seed, simulated
from tests.unit.testing.peers import Peer, forever, listening, meet


@simulated(seeds=10)
async def test_of_a_process_that_crashes_nothing_is_run_any_more(world: World) -> None:
    said: list[str] = []

    async def main() -> None:
        try:
            asyncio.get_running_loop().call_later(2, said.append, "later")
            while True:
                said.append("tick")
                await asyncio.sleep(1)
        finally:
            said.append("finally")

    process = world.process("clock", main)
    await asyncio.sleep(1.5)
    assert process.is_running
    process.crash()
    process.crash()
    assert not process.is_running
    await asyncio.sleep(10)
    assert said == ["tick", "tick"]
    process.start()
    await asyncio.sleep(0.5)
    assert said == ["tick", "tick", "tick"]
    assert process.starts == 2


@simulated(seeds=20)
async def test_peers_of_a_process_that_crashes_see_the_end_and_what_was_sent_before(world: World) -> None:
    near, far = await meet(world)
    far.transport.write(b"last words")
    world.processes["far"].crash()
    far.transport.write(b"nobody says this")
    await asyncio.sleep(1)
    assert near.data in (b"last words", b"")  # nothing, where a reset came before it was read
    assert near.said[-1] == "lost"
    assert far.said == ["made"]


@simulated(seeds=10)
async def test_peers_of_a_host_without_power_see_nothing_until_it_is_back_and_they_write(world: World) -> None:
    near, far = await meet(world)
    process = world.processes["far"]
    process.crash(silent=True)
    await asyncio.sleep(500)
    assert near.said == ["made"]
    process.start()
    await asyncio.sleep(500)
    assert near.said == ["made"]
    near.transport.write(b"hello?")
    await asyncio.sleep(1)
    assert near.said == ["made", "lost"]
    assert isinstance(near.error, ConnectionResetError)
    assert far.said == ["made"]


@simulated(seeds=5)
async def test_a_host_without_power_takes_all_its_processes_along(world: World) -> None:
    one, other = world.process("one", forever, host="here"), world.process("other", forever, host="here")
    third = world.process("third", forever)
    await asyncio.sleep(1)
    one.crash()
    assert other.is_running
    one.start()
    one.crash(silent=True)
    assert [process.is_running for process in (one, other, third)] == [False, False, True]


@simulated(seeds=10)
async def test_a_process_that_is_paused_does_all_of_it_later(world: World) -> None:
    near, far = await meet(world)
    process = world.processes["far"]
    process.pause()
    assert process.is_paused
    near.transport.write(b"one ")
    await asyncio.sleep(100)
    near.transport.write(b"two")
    await asyncio.sleep(1)
    assert far.data == b""
    process.resume()
    await asyncio.sleep(1)
    assert far.data == b"one two"
    assert not process.is_paused


@simulated(seeds=3)
async def test_ended_waits_for_main_whatever_comes_between(world: World) -> None:
    async def main() -> int:
        await asyncio.sleep(10)
        return 5

    process = world.process("worker", main)
    waiting = asyncio.ensure_future(process.ended())
    await asyncio.sleep(5)
    process.crash()
    await asyncio.sleep(20)
    assert not waiting.done()
    process.start()
    assert await waiting == 5
    assert await process.ended() == 5
    assert not process.is_running
    assert 35 <= world.now < 36


@simulated(seeds=3)
async def test_a_process_that_ends_cleans_up_as_asyncio_run_does(world: World) -> None:
    said: list[str] = []

    async def wait() -> None:
        try:
            await forever()
        finally:
            await asyncio.sleep(1)
            said.append("cleaned up")

    async def main() -> None:
        said.append("begun")
        await asyncio.get_running_loop().create_server(Peer, None, 7)
        task = asyncio.create_task(wait())
        await asyncio.sleep(1)
        assert not task.done()

    await world.process("worker", main).ended()
    assert said == ["begun", "cleaned up"]
    with pytest.raises(ConnectionRefusedError):
        await asyncio.get_running_loop().create_connection(Peer, "worker", 7)


@simulated(seeds=3)
async def test_a_process_that_is_asked_to_end_can_clean_up(world: World) -> None:
    said: list[str] = []

    async def main() -> None:
        try:
            await forever()
        finally:
            await asyncio.sleep(1)
            said.append("cleaned up")

    process = world.process("worker", main)
    await asyncio.sleep(1)
    process.terminate()
    await process.ended()
    assert said == ["cleaned up"]


@simulated(seeds=1)
async def test_processes_have_loops_of_their_own_and_share_no_futures(world: World) -> None:
    made: list[asyncio.Future[None]] = []

    async def main() -> None:
        made.append(asyncio.get_running_loop().create_future())
        await made[0]

    world.process("other", main)
    await asyncio.sleep(1)
    assert made[0].get_loop() is not asyncio.get_running_loop()

    async def wait() -> None:
        await made[0]

    with pytest.raises(RuntimeError, match="different loop"):
        await asyncio.create_task(wait())


@simulated(seeds=1)
async def test_a_process_is_started_once_at_a_time_and_named_once(world: World) -> None:
    process = world.process("one", listening(Peer))
    with pytest.raises(RuntimeError, match="is running"):
        process.start()
    with pytest.raises(ValueError, match="'one'"):
        world.process("one", forever)
    assert repr(process) == "<Process one running>"
    process.pause()
    assert repr(process) == "<Process one paused>"
    process.crash()
    assert repr(process) == "<Process one not running>"


def test_what_a_dead_process_was_in_the_middle_of_is_freed_in_silence() -> None:
    said: list[str] = []

    async def scenario(world: World) -> None:
        async def main() -> None:
            try:
                await forever()
            finally:
                try:
                    await asyncio.sleep(1)
                finally:
                    await asyncio.gather(asyncio.sleep(1), forever())
                said.append("never")

        process = world.process("one", main)
        world.process("two", main)
        await asyncio.sleep(1)
        process.crash()
        assert not said

    for_each_seed(range(3), scenario)
    assert not said


@simulated(seeds=1)
async def test_a_program_may_exit(world: World) -> None:
    async def main() -> None:
        raise SystemExit(3)

    await world.process("one", main).ended()


@pytest.mark.parametrize("raised", [SystemExit(3), asyncio.CancelledError(), pytest.fail.Exception("no")])
def test_a_scenario_that_does_not_return_has_not_been_passed(raised: BaseException) -> None:
    async def scenario(world: World) -> None:
        raise raised

    with pytest.raises(type(raised)) as caught:
        World(5).run(scenario)
    assert "it happens again with World(5)" in caught.value.__notes__[-1]


def test_what_pytest_raises_in_a_process_ends_the_world() -> None:
    async def scenario(world: World) -> None:
        async def main() -> None:
            with pytest.raises(KeyError):
                await asyncio.sleep(1)

        world.process("one", main)
        await asyncio.sleep(2)

    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        World(0).run(scenario)


def test_a_process_that_is_cancelled_by_what_it_awaits_was_not_asked_to_end() -> None:
    async def scenario(world: World) -> None:
        async def main() -> None:
            task = asyncio.ensure_future(asyncio.sleep(1))
            task.cancel()
            await task

        await world.process("one", main).ended()

    with pytest.raises(asyncio.CancelledError):
        World(0).run(scenario)
