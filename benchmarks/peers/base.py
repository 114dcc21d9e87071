"""What the peers share: how a client is asked for what a workload needs, and how it is driven."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from time import perf_counter
from typing import Any, NoReturn, TypeVar

from benchmarks.cases import LARGE, TEXTS

__all__ = ["HOST", "PIECE", "AsyncioClient", "BlockingClient", "Client", "Setup", "Sightings", "Thing", "Unavailable"]

T = TypeVar("T")
Method = Callable[..., Awaitable[Any]]
Ready = Callable[..., None]
"""Tells, given a port and what else the client must know, that a server listens."""

Latencies = tuple[list[float], float]
"""Seconds that each small call took, and seconds that the large one took."""

HOST = "127.0.0.1"
PIECE = 512 * 1024
"""Bytes that a peer whose strings are limited is given at a time."""


class Unavailable(Exception):
    """The peer can't do this, for the reason given; the table says so."""


class WrongAnswer(Exception):
    """A peer answered something else than it was to."""


@dataclass(frozen=True)
class Setup:
    """What a server and its client are told."""

    variant: str
    """Which of the ways to set the peer up that its module knows."""
    case: str
    port: int = 0
    where: str = ""
    """What the server tells beside its port."""
    size: int | None = None
    """How many of what the case has many of, where that is not as usual."""


class Thing:
    """Counts the objects that are alive, of any class that inherits it first."""

    alive = 0

    def __init__(self) -> None:
        Thing.alive += 1

    def __del__(self) -> None:
        Thing.alive -= 1


class Sightings:
    """Tells when every observer has seen a value."""

    def __init__(self, observers: int, waiter: Callable[[], tuple[Awaitable[Any], Callable[[], None]]]) -> None:
        self._observers = observers
        self._make_waiter = waiter
        self._awaited: object = None
        self._missing = 0
        self._fire: Callable[[], None] = lambda: None

    def saw(self, value: object) -> None:
        """One observer has seen `value`."""
        if value == self._awaited:
            self._missing -= 1
            if self._missing == 0:
                self._fire()

    def of(self, value: object) -> Awaitable[Any]:
        """Done once all have seen `value`."""
        self._awaited, self._missing = value, self._observers
        awaitable, self._fire = self._make_waiter()
        return awaitable


class Client:
    """The client of a peer. A workload calls what it needs; what a peer lacks raises Unavailable."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a workload to its end."""
        raise NotImplementedError

    async def gather(self, works: Iterable[Coroutine[Any, Any, Any]]) -> None:
        """Run them all at the same time."""
        raise NotImplementedError

    async def open(self) -> None:
        """Connect."""
        raise NotImplementedError

    def method(self, name: str) -> Method:
        """A method of the server: echo, echo_coroutine, echo_bytes, echo_structure, swallow, make, live or relay."""
        self.lack(f"no method for this: {name}")

    async def many(self, name: str, count: int, width: int) -> int:
        """Echo by `width` workers, each of which awaits its calls one after the other; how many calls that were."""
        call = self.method(name)
        each = max(1, count // width)

        async def work(start: int) -> None:
            for text in islice(cycle(TEXTS), start, start + each):
                if await call(text) != text:
                    raise WrongAnswer(name)

        await self.gather(work(number % len(TEXTS)) for number in range(width))
        return each * width

    async def batch(self, texts: Sequence[str]) -> list[str]:
        """Echo all of them in one message."""
        self.lack("no batches")

    async def use_reference(self, text: str) -> str:
        """Have the server make an object, call its echo, drop it."""
        thing = await self.method("make")()
        return await self.call_thing(thing, text)

    async def use_reference_pipelined(self, text: str) -> str:
        """The same, the call made without waiting for the reference."""
        self.lack("no pipelining")

    async def call_thing(self, thing: Any, text: str) -> str:
        """Echo by an object that the server made."""
        self.lack("no references")

    async def drop(self, things: list[Any]) -> None:
        """Let go of references, as a program would."""
        things.clear()

    async def offer(self) -> None:
        """Give the server an object of ours, whose echo the method relay calls."""
        self.lack("no calls from server to client")

    async def open_another(self) -> Method:
        """One more connection, kept open; the result is its echo."""
        self.lack("not on several connections")

    async def observe(self, count: int) -> Sightings:
        """Open `count` connections, each with a copy of one cacheable, which the method change changes."""
        self.lack("no cacheables")

    async def during_large(self) -> Latencies:
        """Make small calls, one after the other, for as long as a large argument passes."""
        echo, took, done = await self.bystander(), 0.0, False
        latencies: list[float] = []

        async def large() -> None:
            nonlocal took, done
            begin = perf_counter()
            taken_in = await self.swallow(LARGE)
            took, done = perf_counter() - begin, True
            if taken_in != len(LARGE):
                raise WrongAnswer("swallow")

        async def small() -> None:
            for text in cycle(TEXTS):
                begin = perf_counter()
                if await echo(text) != text:
                    raise WrongAnswer("echo")
                latencies.append(perf_counter() - begin)
                if done:
                    return

        await self.gather([large(), small()])
        return latencies, took

    async def bystander(self) -> Method:
        """An echo that need not wait for a large argument to another method."""
        return self.method("echo")

    async def swallow(self, data: bytes) -> int:
        """Give the server bytes; the result is how many there came."""
        taken_in: int = await self.method("swallow")(data)
        return taken_in

    def lack(self, why: str) -> NoReturn:
        """Say that this can't be measured."""
        raise Unavailable(why)


class AsyncioClient(Client):
    """A client on asyncio's loop, or on uvloop where the variant says so."""

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return run_on_loop(work, self.setup.variant)

    async def gather(self, works: Iterable[Coroutine[Any, Any, Any]]) -> None:
        await asyncio.gather(*works)

    def waiter(self) -> tuple[Awaitable[Any], Callable[[], None]]:
        """Something to await, and what ends that."""
        future = asyncio.get_running_loop().create_future()
        return future, lambda: future.set_result(None)


class BlockingClient(Client):
    """A client without a loop: each call is over before it is awaited, so there is nothing to wait for."""

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            work.send(None)
        except StopIteration as stopped:
            result: T = stopped.value
            return result
        raise RuntimeError("a client without a loop waits for something")

    async def gather(self, works: Iterable[Coroutine[Any, Any, Any]]) -> None:
        self.lack("one call at a time on a connection")

    async def during_large(self) -> Latencies:
        self.lack("one call at a time on a connection")


def run_on_loop(work: Coroutine[Any, Any, T], variant: str) -> T:
    """Run on uvloop where the variant has its name, else on asyncio's own loop."""
    if "uvloop" not in variant:
        return asyncio.run(work)
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def after_the_fact(function: Callable[..., Any]) -> Method:
    """A blocking function as a method to await."""

    async def call(*args: Any) -> Any:
        return function(*args)

    return call
