"""A random application in a world where what can go wrong does: what pellucid promises holds all the same."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pellucid as pb
from pellucid.testing import Faults, Link, Process, World
from tests.simulation.record import Record, within_limits
from tests.simulation.session import Session
from tests.simulation.things import REGISTRY, House, Item

__all__ = ["run"]

log = logging.getLogger("pellucid")

DIALECTS = ("pellucid", "pb", "none")

EXPECTED_IN_THE_LOG = (pb.PBConnectionLost, pb.DeadReferenceError, pb.CallCancelled, pb.LimitExceeded)
"""What a method of the application may end in because its peer went away, or was busy."""


class Watching(logging.Handler):
    """An error in the log that nobody expects ends the world: callbacks and methods are run where others go on."""

    def __init__(self, world: World) -> None:
        super().__init__(logging.ERROR)
        self.world = world

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and not isinstance(error, EXPECTED_IN_THE_LOG):
            self.world.fail(error)


@contextmanager
def watching(world: World) -> Generator[None]:
    handler, propagated = Watching(world), log.propagate
    log.addHandler(handler)
    log.propagate = False
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.propagate = propagated


def run(seed: int, **options: Any) -> Record:
    """Run the application in the world of that seed; it raises where something is not as promised."""
    world = World(seed, **options)
    application = Application(world)
    with watching(world):
        world.run(lambda _: application.main())
    return application.record


class Application:
    """A server, some clients, and what is the matter with their world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.random = world.random
        self.record = Record(world)
        self.houses: list[House] = []
        self.server: Process
        self.limits = pb.Limits(
            running_calls=self.random.choice((2, 8, 256)),
            waiting_calls=self.random.choice((1, 10_000)),
            queued_bytes=self.random.choice((1_000, 100_000, 4_000_000)),
            kept_answers=self.random.choice((4, 1_000)),
            references_exported=self.random.choice((3, 1_000)),
            silence_seconds=self.random.choice((6, 60)),
            close_seconds=self.random.choice((0.5, 10.0)),
            connect_seconds=20.0,
            handshake_seconds=20.0,
            idle_seconds=self.random.choice((math.inf, math.inf, 20.0)),
        )
        self.faults = self.draw_faults()

    def draw_faults(self) -> Faults:
        """Some kinds of fault, or none."""
        rates = dict.fromkeys(Faults().rates, 0.0)
        for kind in self.random.sample(list(rates), self.random.choice((0, 1, 1, 2, 3))):
            rates[kind] = self.random.choice((0.3, 1.0, 3.0))
        return Faults(**rates, seconds=self.random.choice(((0.01, 1.0), (0.1, 10.0))))

    def draw_link(self) -> Link:
        return Link(
            latency=self.random.choice(((0.0, 0.0), (0.0002, 0.005), (0.01, 0.3))),
            segments=self.random.choice(((1, 65_536), (1, 65_536), (1, 40), (65_536, 65_536))),
            loss=self.random.choice((0.0, 0.0, 0.05)),
            window=self.random.choice((65_536, 65_536, 3_000)),
            cut_after=self.random.choice((None, None, None, None, self.random.randrange(1, 30_000))),
        )

    async def main(self) -> None:
        world, random = self.world, self.random
        self.server = world.process("house", self.serve)
        names = ["ann", "bob", "cyd"][: random.choice((1, 2, 2, 3))]
        dialects = [random.choice(DIALECTS) for _ in names]
        links = [self.draw_link() for _ in names]
        clients: list[Process] = []
        for name, dialect in zip(names, dialects, strict=True):
            clients.append(world.process(name, lambda dialect=dialect: self.visit(dialect)))  # type: ignore[misc]
        for name, link in zip(names, links, strict=True):
            world.link("house", name, link)
        with world.mayhem(self.faults, [self.server, *clients]):
            await asyncio.sleep(random.choice((0.5, 3.0, 10.0)))
        for name in names:
            world.link("house", name, Link())
            world.cut("house", name) if random.random() < 0.2 else None
        self.record.calm = True
        for client in clients:
            await client.ended()
        await self.nobody_is_left(seconds=200 if set(dialects) == {"pellucid"} else 2_500)
        self.record.check_at_the_end()

    async def nobody_is_left(self, seconds: int) -> None:
        """Wait until the server has noticed that its clients are gone: over PB that is left to TCP, and takes long."""
        servers = self.houses[-1].servers
        for _ in range(seconds // 5):
            if not any(server.connections for server in servers):
                break
            await asyncio.sleep(5)
        else:
            raise AssertionError(f"who has gone is still there: {[*servers[0].connections, *servers[1].connections]}")
        await asyncio.sleep(5)  # methods that run to their ends, notices

    async def serve(self) -> None:
        house = House(self.record, self.server)
        self.houses.append(house)
        portal = pb.Portal(house, [pb.AllowAnonymous()])
        options: dict[str, Any] = {
            "limits": self.limits,
            "registry": REGISTRY,
            "on_disconnect": self.random.choice(("cancel", "finish")),
            "sharing": self.random.choice(("tree", "graph")),
        }
        async with (
            pb.serve(house.root_for, "pb://house:8787", **options) as open_house,
            pb.serve(portal, "pb://house:8788", **options) as guarded,
        ):
            house.servers = open_house, guarded
            await asyncio.get_running_loop().create_future()

    async def visit(self, dialect: str) -> None:
        """One life of a client: sessions, until there was one in which nothing went wrong."""
        while True:
            calm = self.record.calm
            if await self.have_session(dialect, calm) and calm:
                return
            await asyncio.sleep(self.random.choice((0.01, 0.3)))

    async def have_session(self, dialect: str, calm: bool) -> bool:
        """Whether the connection was there to the end."""
        options: dict[str, Any] = {"limits": self.limits, "registry": REGISTRY, "dialects": [dialect]}
        try:
            async with pb.connect("pb://house:8787", **options) as connection:
                session = Session(self.record, connection, self.houses)
                await session.go(self.random.randrange(1, 7), self.random.choice((1, 2, 4)))
                if self.random.random() < 0.3:
                    await self.log_in(options)
                if calm:
                    await session.check_what_is_left()
                lived = not connection.is_closed
        except pb.ConnectFailed:
            return False
        assert connection.is_closed
        return lived

    async def log_in(self, options: dict[str, Any]) -> None:
        """By a connection of its own, whose end is the end of the login; or the avatar is let go before."""
        try:
            async with pb.connect("pb://house:8788", **options) as connection:
                avatar = await connection.login(pb.credentials.Anonymous(), Item(self.record))
                session = Session(self.record, connection, [])
                for name in ("play", "play_later", "think"):
                    token = self.record.token()
                    result = await session.outcome(token, avatar.call(name, token), pb.RemoteError)
                    assert result in (None, [token])
                    within_limits(connection)
                if self.random.random() < 0.5:
                    del avatar
                    await asyncio.sleep(0.1)
        except (pb.ConnectFailed, pb.PBConnectionLost, pb.DeadReferenceError, pb.LimitExceeded):
            pass
