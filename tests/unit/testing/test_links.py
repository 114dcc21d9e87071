from __future__ import annotations

import asyncio

import pytest

from pellucid.testing import Link, World, simulated
from tests.unit.testing.peers import meet


@simulated(seeds=10)
async def test_nothing_passes_a_partition_and_everything_does_when_it_is_healed(world: World) -> None:
    near, far = await meet(world)
    world.partition("main", "far")
    near.transport.write(b"one ")
    far.transport.write(b"two")
    await asyncio.sleep(600)
    near.transport.write(b"three")
    assert (near.data, far.data) == (b"", b"")
    world.heal("main", "far")
    await asyncio.sleep(5)
    assert (near.data, far.data) == (b"two", b"one three")
    await asyncio.sleep(10_000)
    assert near.said == far.said == ["made"]


@simulated(seeds=10)
async def test_a_partition_may_be_one_way_and_then_no_end_knows_for_long(world: World) -> None:
    near, far = await meet(world)
    world.partition("far", "main", one_way=True)
    near.transport.write(b"heard")
    far.transport.write(b"not heard")
    await asyncio.sleep(900)
    assert (near.data, far.data) == (b"", b"heard")
    assert near.said == far.said == ["made"]
    await asyncio.sleep(100)
    assert isinstance(near.error, TimeoutError)  # its bytes were heard, and it never knew
    assert isinstance(far.error, TimeoutError)


@simulated(seeds=10)
async def test_who_sends_to_nobody_gives_up_after_a_quarter_of_an_hour_and_who_is_idle_never(world: World) -> None:
    near, far = await meet(world)
    world.partition("main")
    near.transport.write(b"hello?")
    await asyncio.sleep(900)
    assert near.said == ["made"]
    await asyncio.sleep(60)
    assert isinstance(near.error, TimeoutError)
    world.heal()
    await asyncio.sleep(80_000)
    assert far.data == b""
    assert far.said == ["made"]


@simulated(seeds=10)
async def test_a_stall_holds_up_what_is_on_its_way(world: World) -> None:
    near, far = await meet(world)
    world.stall("main", "far", seconds=50)
    near.transport.write(b"late")
    await asyncio.sleep(49)
    assert far.data == b""
    await asyncio.sleep(2)
    assert far.data == b"late"


@simulated(seeds=10)
async def test_a_cut_resets_both_ends(world: World) -> None:
    near, far = await meet(world)
    world.cut("main", "far")
    await asyncio.sleep(1)
    assert near.said == far.said == ["made", "lost"]
    assert isinstance(near.error, ConnectionResetError)
    assert isinstance(far.error, ConnectionResetError)


@simulated(seeds=20, link=Link(cut_after=1_000, segments=(1, 300)))
async def test_a_connection_can_be_cut_after_so_many_bytes(world: World) -> None:
    near, far = await meet(world)
    near.transport.write(bytes(700))
    near.transport.write(bytes(700))
    await asyncio.sleep(1)
    assert 0 < len(far.data) <= 1_000  # a system may throw away what was not read when the reset comes
    assert isinstance(near.error, ConnectionResetError)
    assert isinstance(far.error, ConnectionResetError)


@simulated(seeds=5, link=Link(cut_after=1_000))
async def test_what_is_written_after_the_last_byte_before_a_cut_is_not_heard_of(world: World) -> None:
    near, far = await meet(world)
    near.transport.write(bytes(1_000))
    await asyncio.sleep(1)
    near.transport.write(b"too much")
    await asyncio.sleep(1)
    assert len(far.data) == 1_000
    assert 0 not in far.pieces
    assert isinstance(far.error, ConnectionResetError)


@simulated(seeds=10)
async def test_a_connection_that_is_forgotten_is_there_for_both_ends(world: World) -> None:
    near, far = await meet(world)
    world.forget("main", "far")
    near.transport.write(b"hello?")
    world.heal()
    await asyncio.sleep(900)
    assert near.said == far.said == ["made"]
    assert far.data == b""
    again, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, "far", 7)
    assert not again.is_closing()
    await asyncio.sleep(100)
    assert isinstance(near.error, TimeoutError)
    assert far.said == ["made"]


@simulated(seeds=10, link=Link(loss=0.5, segments=(1, 10)))
async def test_what_is_lost_is_sent_again(world: World) -> None:
    near, far = await meet(world)
    near.transport.write(bytes(range(200)))
    await asyncio.sleep(0.1)
    assert len(far.data) < 200
    await asyncio.sleep(10)
    assert far.data == bytes(range(200))


@simulated(seeds=5, link=Link(bytes_per_second=1_000, latency=(0.0, 0.0)))
async def test_a_link_carries_so_many_bytes_a_second(world: World) -> None:
    near, far = await meet(world)
    near.transport.write(bytes(10_000))
    await asyncio.sleep(9)
    assert 0 < len(far.data) < 10_000
    await asyncio.sleep(2)
    assert len(far.data) == 10_000


@simulated(seeds=5)
async def test_latency_is_what_the_link_says(world: World) -> None:
    world.process("far", lambda: asyncio.sleep(0))
    world.link("main", "far", Link(latency=(3.0, 4.0)))
    begin = world.now
    with pytest.raises(ConnectionRefusedError):
        await asyncio.get_running_loop().create_connection(asyncio.Protocol, "far", 7)
    assert 6.0 <= world.now - begin <= 8.1


@pytest.mark.parametrize(
    "wrong",
    [{"latency": (2, 1)}, {"segments": (0, 5)}, {"loss": 1.0}, {"window": 0}, {"bytes_per_second": 0}],
)
def test_a_link_that_can_not_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        Link(**wrong)  # type: ignore[arg-type]
