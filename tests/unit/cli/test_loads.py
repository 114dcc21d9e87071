"""Calling again and again, and what is told of it."""

from __future__ import annotations

import asyncio
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.cli.latencies import PERCENTILES, Latencies
from pellucid.cli.loads import Measured, closed_loop, open_loop
from pellucid.errors import PBConnectionLost, RemoteError
from tests.unit.asyncio.door import on_each_loop

SECONDS = st.lists(st.floats(1e-7, 1e3), min_size=1)


def taken(seconds: list[float]) -> Latencies:
    latencies = Latencies()
    for each in seconds:
        latencies.add(each)
    return latencies


@given(SECONDS, st.floats(0, 100))
def test_so_many_calls_are_answered_within_a_percentile_and_not_all_of_them_within_less(
    seconds: list[float], percent: float
) -> None:
    found = taken(seconds).percentile(percent)
    assert sum(each <= found for each in seconds) >= len(seconds) * percent / 100 - 1e-9
    assert found in array("d", seconds)
    assert sum(each < found for each in seconds) <= len(seconds) * percent / 100


@given(SECONDS)
def test_each_call_is_in_one_bucket_of_the_histogram(seconds: list[float]) -> None:
    histogram = taken(seconds).histogram()
    assert sum(count for _, count in histogram) == len(seconds)
    for (lower, _), (upper, count) in zip([(0.0, 0), *histogram], histogram, strict=False):
        within = [each for each in seconds if lower * (1 + 1e-9) < each <= upper * (1 - 1e-9)]
        assert len(within) <= count
        assert upper <= max(seconds) * 2


@given(SECONDS)
def test_the_summary_is_in_order(seconds: list[float]) -> None:
    summary = taken(seconds).summary()
    figures = [summary[name] for name in ("min", *(f"p{percent:g}" for percent in PERCENTILES), "max")]
    assert figures == sorted(figures)
    assert (figures[0], figures[-1]) == (min(seconds), max(seconds))


def test_nothing_is_told_where_nothing_was_answered() -> None:
    assert (Latencies().summary(), Latencies().histogram()) == ({}, [])


@on_each_loop
async def test_as_many_workers_as_were_asked_for_call_at_once() -> None:
    under_way, most, arrived = 0, 0, asyncio.Event()

    async def make() -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        if under_way == 3:
            arrived.set()
        await arrived.wait()
        under_way -= 1

    measured = Measured()
    await closed_loop(make, measured, workers=3, seconds=0.01)
    assert (most, under_way) == (3, 0)
    assert len(measured.latencies) >= 3


@on_each_loop
async def test_calls_are_made_at_the_rate_whether_or_not_they_are_answered() -> None:
    answer = asyncio.get_running_loop().create_future()
    made = 0

    async def make() -> None:
        nonlocal made
        made += 1
        if made == 20:
            answer.set_result(None)
        await answer

    measured = Measured()
    await open_loop(make, measured, rate=1000, seconds=0.02)
    assert (made, len(measured.latencies), measured.skipped) == (20, 20, 0)
    # The first has waited for the last: each counts from when it was due.
    assert measured.latencies.summary()["max"] >= 0.018


@on_each_loop
async def test_errors_are_counted_by_their_names() -> None:
    async def make() -> None:
        raise RemoteError("shop.SoldOut", "nothing is left")

    measured = Measured()
    await open_loop(make, measured, rate=1000, seconds=0.005)
    assert (measured.errors, len(measured.latencies)) == ({"shop.SoldOut": 5}, 0)


@on_each_loop
async def test_a_lost_connection_ends_it() -> None:
    async def make() -> None:
        raise PBConnectionLost("gone")

    with pytest.raises(ExceptionGroup):
        await open_loop(make, Measured(), rate=1000, seconds=60)
    with pytest.raises(ExceptionGroup):
        await closed_loop(make, Measured(), workers=2, seconds=60)
