"""The workloads, as the client of a peer runs them: each checks its answers and says what an operation cost."""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count as counting
from itertools import cycle, islice
from os import getpid
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from benchmarks.cases import IN_FLIGHT, MEBIBYTE, TEXTS, rows
from benchmarks.peers.base import Client, Unavailable, WrongAnswer

__all__ = ["WORKLOADS", "Job", "Measured"]


@dataclass(frozen=True)
class Job:
    """What to measure."""

    seconds: float
    """How long, where that can be chosen."""
    size: int | None
    """Of what the case has many of, how many; None for as many as is usual."""
    server: int
    """The server's process id."""


@dataclass(frozen=True)
class Measured:
    """What came of it."""

    cost: float
    """Seconds for an operation."""
    operations: int
    """Over how many that was taken."""
    extra: dict[str, float] = field(default_factory=dict)
    """What was measured besides, by name; names end in the unit."""


async def repeat(run: Callable[[int], Awaitable[int]], seconds: float, least: int = 1) -> Measured:
    """Run ever more operations until they take a while, for a warm-up; then as many as take `seconds`."""
    wanted = least
    while True:
        begin = perf_counter()
        done = await run(wanted)
        took = perf_counter() - begin
        if took >= seconds / 4:
            break
        wanted *= 4
    wanted = max(least, int(done * seconds / took))
    gc.collect()
    begin = perf_counter()
    done = await run(wanted)
    return Measured((perf_counter() - begin) / done, done)


def memory(process: int) -> float:
    """KiB that a process has in memory: its share of pages where the system tells that, NaN where it tells nothing."""
    for file, field_name in (("smaps_rollup", "Pss:"), ("status", "VmRSS:")):
        try:
            lines = Path(f"/proc/{process}/{file}").read_text().splitlines()
        except OSError:
            continue
        for line in lines:
            if line.startswith(field_name):
                return float(line.split()[1])
    return float("nan")


async def _echo(client: Client, job: Job, name: str) -> Measured:
    call = client.method(name)

    async def run(count: int) -> int:
        for text in islice(cycle(TEXTS), count):
            if await call(text) != text:
                raise WrongAnswer(name)
        return count

    return await repeat(run, job.seconds)


async def sequential(client: Client, job: Job) -> Measured:
    """A small text is echoed by a plain method, one call after the other."""
    return await _echo(client, job, "echo")


async def sequential_coroutine(client: Client, job: Job) -> Measured:
    """The same by a coroutine method that awaits nothing."""
    return await _echo(client, job, "echo_coroutine")


async def _many(client: Client, job: Job, name: str) -> Measured:
    width = job.size or IN_FLIGHT

    async def run(count: int) -> int:
        return await client.many(name, count, width)

    return await repeat(run, job.seconds, width)


async def in_flight(client: Client, job: Job) -> Measured:
    """256 workers each echo a small text by a plain method, one call after the other."""
    return await _many(client, job, "echo")


async def in_flight_coroutine(client: Client, job: Job) -> Measured:
    """The same by a coroutine method that awaits nothing."""
    return await _many(client, job, "echo_coroutine")


async def batch(client: Client, job: Job) -> Measured:
    """256 small texts are echoed, each by a call of its own, all calls in one message."""

    async def run(count: int) -> int:
        for _ in range(count // IN_FLIGHT):
            if await client.batch(TEXTS) != list(TEXTS):
                raise WrongAnswer("batch")
        return count // IN_FLIGHT * IN_FLIGHT

    return await repeat(run, job.seconds, IN_FLIGHT)


async def mebibyte(client: Client, job: Job) -> Measured:
    """1 MiB of bytes is echoed."""
    call = client.method("echo_bytes")

    async def run(count: int) -> int:
        for _ in range(count):
            if await call(MEBIBYTE) != MEBIBYTE:
                raise WrongAnswer("echo_bytes")
        return count

    return await repeat(run, job.seconds)


async def structure(client: Client, job: Job) -> Measured:
    """A list of 200 dicts of five fields is echoed."""
    call = client.method("echo_structure")
    value = rows(job.size // 5 if job.size else 200)

    async def run(count: int) -> int:
        for _ in range(count):
            if await call(value) != value:
                raise WrongAnswer("echo_structure")
        return count

    return await repeat(run, job.seconds)


async def _use(client: Client, job: Job, use: Callable[[str], Awaitable[str]]) -> Measured:
    async def run(count: int) -> int:
        for text in islice(cycle(TEXTS), count):
            if await use(text) != text:
                raise WrongAnswer("a reference's echo")
        return count

    return await repeat(run, job.seconds)


async def reference(client: Client, job: Job) -> Measured:
    """The server makes an object; its echo is called; the reference is dropped."""
    return await _use(client, job, client.use_reference)


async def reference_pipelined(client: Client, job: Job) -> Measured:
    """The same, the echo called before the reference is there."""
    return await _use(client, job, client.use_reference_pipelined)


async def callback(client: Client, job: Job) -> Measured:
    """The server is called, and to answer calls the echo of an object of the client's."""
    await client.offer()
    return await _echo(client, job, "relay")


async def connections(client: Client, job: Job) -> Measured:
    """Connections are made, a call on each, one after the other; all stay open."""
    count = job.size or 500
    echo = client.method("echo")
    await echo("warm")
    before = memory(job.server)
    calls = []
    begin = perf_counter()
    for number in range(count):
        call = await client.open_another()
        text = TEXTS[number % len(TEXTS)]
        if await call(text) != text:
            raise WrongAnswer("echo")
        calls.append(call)
    took = perf_counter() - begin
    each = (memory(job.server) - before) / count
    for call in calls:  # all are still there
        if await call("still here") != "still here":
            raise WrongAnswer("echo")
    return Measured(took / count, count, {"server_each_kib": each})


async def references(client: Client, job: Job) -> Measured:
    """The server makes objects, a call for each, 256 in flight where the peer can; all are held, then dropped."""
    count = job.size or 20_000
    make, live = client.method("make"), client.method("live")
    await client.drop([await make()])
    await live()
    gc.collect()
    things: list[Any] = []
    before_here, before_there = memory(getpid()), memory(job.server)

    async def work(share: int) -> None:
        for _ in range(share):
            things.append(await make())

    begin = perf_counter()
    try:
        width = min(count, IN_FLIGHT)
        await client.gather(work(count // width + (number < count % width)) for number in range(width))
    except Unavailable:
        await work(count)
    obtained = perf_counter()
    here, there = memory(getpid()) - before_here, memory(job.server) - before_there
    if len(things) != count or await live() < count:
        raise WrongAnswer("make")
    dropping = perf_counter()
    await client.drop(things)
    left = await _settle(live)
    dropped = perf_counter()
    took = obtained - begin + dropped - dropping
    extra = {
        "obtain_us": (obtained - begin) / count * 1e6,
        "drop_us": (dropped - dropping) / count * 1e6,
        "client_each_kib": here / count,
        "server_each_kib": there / count,
        "left_objects": left,
    }
    if left:  # no wonder that it took no time
        extra["drop_us"] = float("nan")
        took = obtained - begin
    return Measured(took / count, count, extra)


async def _settle(live: Callable[[], Awaitable[int]]) -> int:
    """Ask how many objects there are at the server until there are none, or no fewer for 50 times."""
    fewest, stuck = await live(), 0
    while fewest and stuck < 50:
        now = await live()
        stuck = 0 if now < fewest else stuck + 1
        fewest = min(now, fewest)
    return fewest


async def observers(client: Client, job: Job) -> Measured:
    """A cacheable changes; all 100 copies of it, on as many connections, are told."""
    sightings = await client.observe(job.size or 100)
    change = client.method("change")
    numbers = counting(1)

    async def run(count: int) -> int:
        for value in islice(numbers, count):
            seen = sightings.of(value)
            await change(value)
            await seen
        return count

    return await repeat(run, job.seconds)


async def latency(client: Client, job: Job) -> Measured:
    """Small calls, one after the other, for as long as 100 MB pass as an argument on the same connection."""
    await _echo(client, Job(0.1, None, job.server), "echo")
    await client.swallow(b"warm")
    latencies, took = await client.during_large()
    latencies.sort()
    p99 = latencies[int(len(latencies) * 0.99)]
    extra = {"p99_ms": p99 * 1e3, "worst_ms": latencies[-1] * 1e3, "large_s": took}
    return Measured(median(latencies), len(latencies), extra)


WORKLOADS: dict[str, Callable[[Client, Job], Awaitable[Measured]]] = {
    "sequential": sequential,
    "sequential-coroutine": sequential_coroutine,
    "in-flight": in_flight,
    "in-flight-coroutine": in_flight_coroutine,
    "batch": batch,
    "mebibyte": mebibyte,
    "structure": structure,
    "reference": reference,
    "reference-pipelined": reference_pipelined,
    "callback": callback,
    "connections": connections,
    "references": references,
    "observers": observers,
    "latency": latency,
}
