from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable
from typing import Any

from pellucid.asyncio.keep_alive import Round, watch
from tests.unit.asyncio.door import on_each_loop


class Loop:
    """Of a loop, what a round needs: its timers fire when a test says so."""

    def __init__(self) -> None:
        self.due: list[tuple[float, Callable[[], object], Timer]] = []

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Timer:
        timer = Timer()
        self.due.append((seconds, callback, timer))
        return timer

    def fire(self) -> float:
        """Run what is due next; after how many seconds that was."""
        self.due = [each for each in self.due if not each[2].cancelled]
        seconds, callback, _ = self.due.pop(0)
        callback()
        return seconds

    @property
    def waits(self) -> bool:
        """Whether anything is due."""
        return not all(timer.cancelled for _, _, timer in self.due)


class Timer:
    cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Looked:
    """Counts how often it is looked at; from `until` times on it is not there any more."""

    def __init__(self, until: int = 1_000) -> None:
        self.round: Round
        self.count = 0
        self.until = until

    def look_for_life(self) -> None:
        self.count += 1
        if self.count == self.until:
            self.round.discard(self)


def rounds(seconds: float = 20.0, *connections: Looked) -> tuple[Any, Round]:
    loop: Any = Loop()
    around = Round(loop, seconds)
    for connection in connections:
        connection.round = around
        around.add(connection)
    return loop, around


def test_every_connection_of_a_round_is_looked_at_by_one_timer() -> None:
    connections = [Looked() for _ in range(5)]
    loop, _ = rounds(20.0, *connections)
    assert len(loop.due) == 1
    assert [loop.fire() for _ in range(3)] == [20.0] * 3
    assert [connection.count for connection in connections] == [3] * 5
    assert len(loop.due) == 1


def test_one_that_comes_later_is_looked_at_with_the_others() -> None:
    first, later = Looked(), Looked()
    loop, around = rounds(20.0, first)
    loop.fire()
    around.add(later)
    assert len(loop.due) == 1
    loop.fire()
    assert (first.count, later.count) == (2, 1)


def test_one_that_has_ended_is_not_looked_at_and_the_last_one_ends_the_round() -> None:
    first, second = Looked(), Looked()
    loop, around = rounds(20.0, first, second)
    around.discard(first)
    loop.fire()
    assert (first.count, second.count) == (0, 1)
    around.discard(second)
    around.discard(second)
    assert not loop.waits


def test_a_round_begins_anew_with_whoever_comes_after_the_last_has_gone() -> None:
    first, second = Looked(), Looked()
    loop, around = rounds(20.0, first)
    around.discard(first)
    around.add(second)
    loop.fire()
    assert (first.count, second.count) == (0, 1)
    assert loop.waits


def test_connections_that_end_when_they_are_looked_at_do_not_disturb_the_round() -> None:
    connections = [Looked(until=1), Looked(until=2), Looked(until=1)]
    loop, _ = rounds(20.0, *connections)
    loop.fire()
    assert [connection.count for connection in connections] == [1, 1, 1]
    loop.fire()
    assert [connection.count for connection in connections] == [1, 2, 1]
    assert not loop.waits


@on_each_loop
async def test_a_loop_has_one_round_for_each_span_of_seconds() -> None:
    loop = asyncio.get_running_loop()
    connections = [Looked() for _ in range(3)]
    found = [watch(loop, connection, seconds) for connection, seconds in zip(connections, (20, 20, 30), strict=True)]
    assert found[0] is found[1] is not found[2]
    for connection, around in zip(connections, found, strict=True):
        around.discard(connection)


def test_each_loop_has_rounds_of_its_own_and_they_go_with_it() -> None:
    loops = [asyncio.new_event_loop() for _ in range(3)]
    found = [watch(loop, Looked(), 20) for loop in loops]
    assert len(set(map(id, found))) == 3
    gone = [weakref.ref(each) for each in (*found, *loops)]
    while loops:
        loops.pop().close()  # whether or not its connections have ended
    del found
    gc.collect()
    assert [each() for each in gone] == [None] * 6


@on_each_loop
async def test_a_round_looks_on_a_real_loop() -> None:
    seen = asyncio.Event()

    class Seen(Looked):
        def look_for_life(self) -> None:
            super().look_for_life()
            if self.count == 3:
                seen.set()

    connection = Seen()
    around = watch(asyncio.get_running_loop(), connection, 0.001)
    await seen.wait()
    around.discard(connection)


def test_connections_are_looked_at_in_the_order_in_which_they_came() -> None:
    looked: list[Looked] = []

    class Noted(Looked):
        def look_for_life(self) -> None:
            looked.append(self)

    connections = [Noted() for _ in range(20)]
    loop, _ = rounds(20.0, *connections)

    loop.fire()

    assert looked == connections
