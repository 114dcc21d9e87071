"""What an honest client notices of 100 hostile connections: ``python -m benchmarks.attack [--seconds N] [KIND...]``.

A server, an honest client and the attackers each run in a process of their own. The client calls a method again and
again, one call at a time, first in peace and then while the attackers are at it, and the delays are compared. Without
kinds it is a mix of all: ten connections of each. A connection that the server ends is made anew.

What is asked is how long the server makes the client wait, so the server has a processor to itself, and the attackers,
who would be elsewhere, have what the client leaves of another: else much of the delay is that of a client that waits
for a processor. With ``--unpinned`` the system shares the processors out as it likes.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from statistics import fmean, median, quantiles
from typing import Any

import ormsgpack

import pellucid as pb
from benchmarks.processes import processors
from pellucid.wire.native.codes import Kind, Leaf
from pellucid.wire.native.frames import LAST_CHUNK, frame, header

CONNECTIONS = 100
SECONDS = 5.0
AGAIN_SECONDS = 0.05
"""How long an attacker waits before it connects again."""

HELLO = b"\x08\x82pellucid" + frame(ormsgpack.packb([Kind.HELLO, 1, []]))


# The defaults are for peers that one knows: docs/explanation/security.md says what to lower in front of strangers.
LIMITS = pb.Limits(buffer_bytes=1 << 22, kept_bytes=1 << 20, waiting_bytes=1 << 20)


class Desk(pb.Root):
    """What the server publishes."""

    def remote_echo(self, value: Any) -> Any:
        return value

    async def remote_never(self, *args: Any) -> None:
        await asyncio.get_running_loop().create_future()


class Attacker:
    """One hostile connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def read_on(self) -> None:
        while await self.reader.read(1 << 16):
            pass


def packed(*messages: Any) -> bytes:
    def default(value: Any) -> Any:
        return ormsgpack.Ext(Leaf.REMOTE, value.number.to_bytes(4, "big")) if isinstance(value, Remote) else value

    return b"".join(frame(ormsgpack.packb(message, default)) for message in messages)


class Remote:
    """A reference to an object of the attacker's."""

    def __init__(self, number: int) -> None:
        self.number = number


KINDS: dict[str, Callable[[Attacker], Awaitable[None]]] = {}


def known(name: str) -> str:
    """`name`, if it is that of a way to attack."""
    if name not in KINDS:
        raise argparse.ArgumentTypeError(f"{name!r} is none of them")
    return name


def kind(attack: Callable[[Attacker], Awaitable[None]]) -> Callable[[Attacker], Awaitable[None]]:
    """Mark a way to attack."""
    KINDS[attack.__name__] = attack
    return attack


@kind
async def noise(attacker: Attacker) -> None:
    """Random bytes, from the first on."""
    while True:
        await attacker.say(random.randbytes(1000))


@kind
async def malformed(attacker: Attacker) -> None:
    """A valid call, and then a frame that makes no sense."""
    await attacker.say(HELLO + packed([Kind.CALL, 1, "root", "echo", [1]]) + b"\0\0\0\4\xc1\xc1\xc1\xc1")
    await attacker.read_on()


@kind
async def silent(attacker: Attacker) -> None:
    """Half a message, one byte in a while."""
    await attacker.say(HELLO + header(1_000_000))
    while True:
        await attacker.say(b"\x90")
        await asyncio.sleep(0.01)


@kind
async def deaf(attacker: Attacker) -> None:
    """Calls whose answers it never reads."""
    calls = packed(*([Kind.CALL, number, "root", "echo", ["x" * 1000]] for number in range(1, 200)))
    await attacker.say(HELLO)
    while True:
        await attacker.say(calls)


@kind
async def calls(attacker: Attacker) -> None:
    """As many calls as it gets rid of."""
    await _flood(attacker, [[Kind.CALL, number, "root", "echo", [number]] for number in range(1, 1000)])


@kind
async def unending(attacker: Attacker) -> None:
    """Calls that never end, and calls behind them."""
    await attacker.say(HELLO + packed(*([Kind.CALL, number, "root", "never", []] for number in range(1, 20_000))))
    await attacker.read_on()


@kind
async def cancels(attacker: Attacker) -> None:
    """A batch that never ends, given up again and again; and calls that never were."""
    batch = [Kind.BATCH, 1_000_000, [["root", "never", []]] * 1000]
    await attacker.say(HELLO + packed(batch))
    await _flood(attacker, [[Kind.CANCEL, number % 3 and 1_000_000] for number in range(1000)], greets=False)


@kind
async def references(attacker: Attacker) -> None:
    """References by the thousand."""
    await _flood(
        attacker,
        [[Kind.CALL, start, "root", "echo", [[Remote(start + each) for each in range(100)]]] for start in range(1, 90)],
    )


@kind
async def structures(attacker: Attacker) -> None:
    """The largest message, of the smallest values."""
    size = 1 << 20
    body = b"\x95\x01\x01\xa4root\xa4echo\x91\xdd" + size.to_bytes(4, "big") + b"\x80" * size
    await attacker.say(HELLO)
    while True:
        await attacker.say(frame(body))
        await asyncio.sleep(0)


@kind
async def buffers(attacker: Attacker) -> None:
    """Buffers that nothing takes."""
    chunk = header(1 << 16, LAST_CHUNK) + bytes(1 << 16)
    await attacker.say(HELLO)
    while True:
        await attacker.say(chunk)


async def _flood(attacker: Attacker, messages: list[Any], *, greets: bool = True) -> None:
    data = packed(*messages)
    reading = asyncio.ensure_future(attacker.read_on())
    try:
        if greets:
            await attacker.say(HELLO)
        while True:
            await attacker.say(data)
    finally:
        reading.cancel()


async def attack(port: int, kinds: list[str]) -> None:
    """Attack until this process is ended."""
    met: set[int] = set()

    async def one(number: int, name: str) -> None:
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                try:
                    if number not in met:
                        met.add(number)
                        if len(met) == CONNECTIONS:
                            print("all are at it", flush=True)
                    await KINDS[name](Attacker(reader, writer))
                finally:
                    writer.transport.abort()
            except OSError:
                pass
            await asyncio.sleep(AGAIN_SECONDS)

    await asyncio.gather(*(one(number, kinds[number % len(kinds)]) for number in range(CONNECTIONS)))


async def serve() -> None:
    """Serve until this process is ended."""
    async with pb.serve(Desk(), "pb://127.0.0.1:0", limits=LIMITS) as server:
        print(server.urls[0], flush=True)
        await asyncio.get_running_loop().create_future()


async def delays(url: str, seconds: float) -> list[float]:
    """How long each call took, in seconds."""
    found: list[float] = []
    async with pb.connect(url) as connection:
        end = time.perf_counter() + seconds
        number = 0
        while (began := time.perf_counter()) < end:
            number += 1
            assert await connection.root.call("echo", number) == number
            found.append(time.perf_counter() - began)
    return found


def take_place(processor: int | None, *, leftovers: bool = False) -> None:
    """Have this process run on that processor only, if any; with `leftovers`, when nobody else wants it."""
    if processor is not None:
        os.sched_setaffinity(0, {processor})
        if leftovers:
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def measure(kinds: list[str], seconds: float, places: tuple[int | None, int | None]) -> dict[str, Any]:
    """The delays in peace and under attack, in microseconds. `places` are the server's and the others' processors."""
    module = [sys.executable, "-m", "benchmarks.attack"]
    take_place(places[1])
    at = ["--processor", str(places[0])] if places[0] is not None else []
    server = subprocess.Popen([*module, *at, "--serve"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    attackers = None
    try:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        quiet = asyncio.run(delays(url, seconds))
        at = ["--processor", str(places[1])] if places[1] is not None else []
        port = url.rpartition(":")[2]
        attackers = subprocess.Popen([*module, *at, "--attack", port, *kinds], stdout=subprocess.PIPE)
        assert attackers.stdout is not None
        assert attackers.stdout.readline()  # when all of them are at it
        loud = asyncio.run(delays(url, seconds))
    finally:
        for process in (attackers, server):
            if process is not None:
                process.kill()
                process.communicate()
    return {"kinds": kinds, "quiet": _told(quiet), "loud": _told(loud)}


def _told(found: list[float]) -> dict[str, float]:
    found = [1e6 * each for each in found]
    p99 = quantiles(found, n=100)[98] if len(found) > 1 else found[0]
    return {"calls": len(found), "mean": round(fmean(found)), "median": round(median(found)), "p99": round(p99)}


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.attack", description=__doc__)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)}; all by default", type=known)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--each", action="store_true", help="each kind by itself, too")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--attack", type=int, metavar="PORT", help=argparse.SUPPRESS)
    parser.add_argument("--processor", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--unpinned", action="store_true", help="let the system share out the processors")
    options = parser.parse_args()
    kinds = options.kinds or list(KINDS)
    if options.serve:
        take_place(options.processor)
        asyncio.run(serve())
    elif options.attack is not None:
        take_place(options.processor, leftovers=True)
        asyncio.run(attack(options.attack, kinds))
    else:
        places = (None, None) if options.unpinned else processors()
        for mix in [kinds, *([name] for name in kinds if options.each)]:
            found = measure(mix, options.seconds, places)
            quiet, loud = found["quiet"], found["loud"]
            name = "all" if mix is kinds and len(kinds) > 1 else mix[0]
            for key in "median", "mean", "p99":
                print(f"{name:12}{key:8}{loud[key]:8} µs{loud[key] / quiet[key]:8.1f} times", flush=True)


if __name__ == "__main__":
    main()
