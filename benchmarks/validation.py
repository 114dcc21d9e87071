"""What it costs to check the arguments of calls: objects of one server are called that check, and such that don't.

A server runs in a process of its own. What is shown is the processor time of both processes together, for one call: it
depends less than the clock on what else the machine does. Repeats are interleaved, and the ratio is the median of those
of two measurements that followed each other (1.3: a checked call takes 1.3 times as much). The last column has what the
check takes by itself, without connection.

    python benchmarks/validation.py [--repeats 15] [--seconds 0.3]
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import time
from collections.abc import Awaitable, Callable
from statistics import median
from typing import Any, TypedDict

import pellucid as pb
from pellucid.flavors.dispatch import DECODED, VALIDATED
from pellucid.flavors.referenceable import method_of

WORKERS = 256


class Record(TypedDict):
    name: str
    number: int
    price: float
    ok: bool


class Unchecked(pb.Referenceable):
    def remote_text(self, text: str) -> str:
        return text

    async def remote_coroutine(self, text: str) -> str:
        return text

    def remote_several(self, name: str, number: int, price: float = 1.0, *, tags: list[str] | None = None) -> int:
        return number

    def remote_records(self, records: list[Record]) -> int:
        return len(records)

    def remote_numbers(self, numbers: list[int]) -> int:
        return len(numbers)


class Checked(Unchecked, validate=True):
    pass


class Root(pb.Root):
    def remote_cpu(self) -> float:
        return time.process_time()

    def remote_both(self) -> tuple[Unchecked, Checked]:
        return Unchecked(), Checked()


RECORDS = [{"name": f"customer {n}", "number": n, "price": n * 1.5, "ok": True} for n in range(200)]
CASES: dict[str, tuple[str, tuple[Any, ...], dict[str, Any]]] = {
    "a text": ("text", ("hello network",), {}),
    "a text, coroutine": ("coroutine", ("hello network",), {}),
    "four arguments": ("several", ("customer", 5), {"price": 2.5, "tags": ["a", "b"]}),
    "200 records": ("records", (RECORDS,), {}),
    "10,000 numbers": ("numbers", (list(range(10_000)),), {}),
}


async def serve(urls: Any) -> None:
    async with pb.serve(Root(), "pb://127.0.0.1:0") as server:
        urls.send(server.urls[0])
        await asyncio.get_running_loop().run_in_executor(None, urls.recv)


def run_server(urls: Any) -> None:
    pb.run(serve(urls))


async def one_by_one(call: Callable[[], Awaitable[Any]], count: int) -> None:
    for _ in range(count):
        await call()


async def in_flight(call: Callable[[], Awaitable[Any]], count: int) -> None:
    await asyncio.gather(*(one_by_one(call, count // WORKERS) for _ in range(WORKERS)))


async def microseconds(
    root: Any, run: Callable[..., Awaitable[None]], call: Callable[[], Any], seconds: float
) -> float:
    """Of both processes for one call: as many calls as fill the time."""
    count, took = WORKERS, 0.0
    while True:
        began = time.process_time() + await root.call("cpu")
        await run(call, count)
        took = time.process_time() + await root.call("cpu") - began
        if took >= seconds / 2:
            return took / count * 1e6
        count = WORKERS * max(2 * count // WORKERS, int(count * seconds / took) // WORKERS)


def alone(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> float:
    """Microseconds of finding and running the method, more than where nothing is checked."""
    took = []
    for translator in (DECODED, VALIDATED):
        obj = Unchecked()
        runs = []
        for _ in range(5):
            began = time.process_time()
            for _ in range(500):
                result = method_of(obj, name, translator)(*args, **kwargs)
                if hasattr(result, "close"):
                    result.close()
            runs.append((time.process_time() - began) / 500 * 1e6)
        took.append(min(runs))
    return took[1] - took[0]


async def measure(url: str, repeats: int, seconds: float) -> None:
    print(f"{'':20}{'unchecked, µs':>16}{'checked, µs':>14}{'ratio':>8}{'alone, µs':>12}")
    async with pb.connect(url) as connection:
        both = await connection.root.call("both")
        for title, (name, args, kwargs) in CASES.items():
            for run in (one_by_one, in_flight) if title in ("a text", "a text, coroutine") else (one_by_one,):
                pairs = []
                for _ in range(repeats):
                    calls = [lambda obj=obj: obj.call(name, *args, **kwargs) for obj in both]  # noqa: B023 - run here
                    pairs.append([await microseconds(connection.root, run, call, seconds) for call in calls])
                unchecked, checked = (median(pair[side] for pair in pairs) for side in (0, 1))
                ratio = median(pair[1] / pair[0] for pair in pairs)
                label = title if run is one_by_one else f"{title}, {WORKERS}"
                print(f"{label:24}{unchecked:>12.1f}{checked:>14.1f}{ratio:>8.2f}{alone(name, args, kwargs):>12.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description="What it costs to check arguments.")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=0.3, help="for each measurement")
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    urls, theirs = context.Pipe()
    server = context.Process(target=run_server, args=(theirs,), daemon=True)
    server.start()
    url = urls.recv()
    try:
        pb.run(measure(url, options.repeats, options.seconds))
    finally:
        urls.send(None)
        server.join(10)
        server.kill()


if __name__ == "__main__":
    main()
