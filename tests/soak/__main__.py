"""Two processes, one after another in each dialect and on each loop, that call and connect for long: nothing may grow.

``python -m tests.soak`` does it all, some ten minutes. It prints what each side holds at ten moments, and ends with 1
where one of them holds more at the end than at the first.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import NamedTuple

import pellucid as pb
from pellucid.auth.credentials import Password
from tests.soak.figures import Figures, figures, grown
from tests.system.conversation import REGISTRY, Caller, Realm, portal
from tests.system.programs import Running
from tests.unit.asyncio.door import LOOPS

DIALECTS = ("pellucid", "pb", "none")
ROUNDS = 10
AT_ONCE = 100
"""Calls under way at the same time."""
SECONDS_TO_GO = 60
"""Within which the server lets go of the connections that have ended."""
CONNECTION = "object pellucid.asyncio.connection.Connection"


class Load(NamedTuple):
    """How much is done."""

    calls: int
    cycles: int

    def part(self, share: float) -> Load:
        """Some of it, and at least a little."""
        return Load(max(AT_ONCE, int(self.calls * share)), max(1, int(self.cycles * share)))


async def serve() -> None:
    """Serve the conversation, and tell what is held here."""
    realm = Realm(lambda line: None, lambda: figures(server.connections))
    async with pb.serve(portal(realm), "pb://127.0.0.1:0", registry=REGISTRY) as server:
        print("listening at", *server.urls, flush=True)
        await server.serve_forever()


async def call(avatar: pb.RemoteReference, count: int) -> None:
    """So many calls, one way and another."""
    for start in range(0, count, AT_ONCE):
        numbers = range(start, start + AT_ONCE)
        match start // AT_ONCE % 3:
            case 0:
                calls = [avatar.call("echo", "call", number) for number in numbers]
                assert await asyncio.gather(*calls) == list(numbers)
            case 1:
                batch = pb.gather(*(avatar.prepare("echo", "batch", number) for number in numbers))
                assert await batch == list(numbers)
            case _:
                for number in numbers:
                    assert await avatar.call("echo", "one by one", number) == number


async def come_and_go(url: str, dialect: str, count: int) -> None:
    """So many connections, each with a conversation of its own, ended in one way or another."""
    for number in range(count):
        caller = Caller(lambda line: None, bytes(100_000))
        await caller.converse(url, dialect)
        endless = caller.calls["without end"]
        endless.notice()
        assert caller.connection is not None
        match number % 3:
            case 0:
                endless.cancel()
                await caller.connection.close()
            case 1:
                await caller.connection.close()
            case _:
                caller.connection.abort("for the soak", level=0)
                await caller.connection.wait_closed()


async def both(lasting: pb.Connection, avatar: pb.RemoteReference) -> dict[str, Figures]:
    """What the two sides hold when all others have gone."""
    end = asyncio.get_running_loop().time() + SECONDS_TO_GO
    while (there := await avatar.call("count"))[CONNECTION] != 1:
        if asyncio.get_running_loop().time() > end:
            raise AssertionError(f"after {SECONDS_TO_GO} s the server still holds {there[CONNECTION]} connections")
    return {"client": figures([lasting]), "server": there}


async def soak(url: str, dialect: str, load: Load) -> list[str]:
    """Do it all with the server at `url`; what has grown."""
    async with pb.connect(url, dialects=[dialect], registry=REGISTRY) as lasting:
        avatar = await lasting.login(Password("alice", "secret"))
        first: dict[str, Figures] = {}
        now = first
        for number in range(ROUNDS + 1):
            # What is done first is not counted: caches fill, and the allocator finds its size.
            part = load.part(1 / ROUNDS)
            await come_and_go(url, dialect, part.cycles)
            await call(avatar, part.calls)
            now = await both(lasting, avatar)
            first = first or now
            for side, held in now.items():
                total = sum(count for name, count in held.items() if name.startswith("object "))
                print(
                    f"{dialect:>8} {number:3} {side}: {held['memory'] / 2**20:7.1f} MiB {total:7,} objects"
                    f" {held['descriptors']:3} descriptors {held['tasks']:3} tasks {held['tables']:3} in tables",
                    flush=True,
                )
        return [f"{side}: {words}" for side, held in now.items() for words in grown(first[side], held)]


def run_one(dialect: str, loop: str, load: Load) -> int:
    """Soak in one dialect on one loop, the other side in a process of its own; how many figures have grown."""
    here = Path(__file__)
    server = Running(here, "--serve", "--loop", loop, path=here.parents[2])
    try:
        with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
            found = runner.run(soak(server.urls()[0], dialect, load))
    finally:
        server.close()
    for words in found:
        print(f"GROWN in {dialect} on {loop}, {words}", flush=True)
    return len(found)


def main() -> int:
    """Read the arguments, and do what they say."""
    parser = argparse.ArgumentParser("python -m tests.soak", description=__doc__)
    parser.add_argument("--calls", type=int, default=1_000_000, help="on each loop in each dialect")
    parser.add_argument("--cycles", type=int, default=1_000, help="connections made and ended there")
    parser.add_argument("--dialect", choices=DIALECTS, help="this one alone")
    parser.add_argument("--loop", choices=LOOPS, help="this one alone")
    parser.add_argument("--serve", action="store_true", help="be the other side")
    asked = parser.parse_args()
    if asked.serve:
        with asyncio.Runner(loop_factory=LOOPS[asked.loop]) as runner:
            runner.run(serve())
        return 0
    if asked.dialect and asked.loop:
        return run_one(asked.dialect, asked.loop, Load(asked.calls, asked.cycles)) > 0
    failed = 0
    for loop in [asked.loop] if asked.loop else LOOPS:
        for dialect in [asked.dialect] if asked.dialect else DIALECTS:
            print(f"{dialect} on {loop}: {asked.calls:,} calls, {asked.cycles:,} connections", flush=True)
            # In a process of its own: what others have left is not to be counted.
            program = Running(
                Path(__file__),
                *("--calls", asked.calls, "--cycles", asked.cycles, "--dialect", dialect, "--loop", loop),
                path=Path(__file__).parents[2],
                listens=True,  # so that the other side ends with it
            )
            try:
                while line := program.line():
                    print(line, flush=True)
                ended = program.wait()
            finally:
                program.close()
            print(ended.err, end="", flush=True)
            failed += ended.code != 0
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
