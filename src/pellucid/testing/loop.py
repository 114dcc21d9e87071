"""An event loop of asyncio's, for one process of a world: its clock, its threads and its network are the world's."""

from __future__ import annotations

import asyncio
import itertools
import random
import socket
import sys
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextvars import Context
from typing import Any, TypeVarTuple, cast

from pellucid.testing.network import Host, Listener, Network
from pellucid.testing.scheduler import Scheduler
from pellucid.testing.transport import Endpoint

__all__ = ["SimulatedLoop", "Task"]

Ts = TypeVarTuple("Ts")

THREAD_SECONDS = (0.0001, 0.01)
"""Between which of them a blocking function takes that is run in a thread."""

MOST_AWAITS_AT_THE_END = 100
"""How often a task that is freed may await something in its `finally` blocks: there is nothing to come."""

NO_TLS = "TLS is not simulated: use pb:// where the program uses pbs://"


class Future(asyncio.Future[Any]):
    """A future whose place in a set does not depend on its address."""

    def __init__(self, *, loop: SimulatedLoop) -> None:
        self._serial = next(loop.serials)
        super().__init__(loop=loop)

    def __hash__(self) -> int:
        return self._serial


class Task(asyncio.Task[Any]):
    """A task whose place in a set does not depend on its address: a `TaskGroup` cancels those of a set, one by one."""

    def __init__(
        self, coro: Coroutine[Any, Any, Any], *, loop: SimulatedLoop, name: str | None, **options: Any
    ) -> None:
        self.serial: int = next(loop.serials)
        super().__init__(coro, loop=loop, name=name or f"Task-{self.serial}", **options)

    def __hash__(self) -> int:
        return self.serial

    def bury(self) -> None:
        """Its process is dead, and so is the world: let it be freed without a word."""
        self._log_destroy_pending = False  # as `asyncio.gather` does with what it answers for itself
        close_all(self.get_coro())


def close_all(coro: Any) -> None:
    """Close `coro` and what it awaits, the innermost first, as often as they go on to await more."""
    for _ in range(MOST_AWAITS_AT_THE_END):
        inner = getattr(coro, "cr_await", None)
        if asyncio.iscoroutine(inner):
            close_all(inner)
        try:
            coro.close()
            return
        except (Exception, asyncio.CancelledError):  # noqa: BLE001 - it awaits more, or says what reaches nobody
            if getattr(coro, "cr_frame", None) is None:
                return


class SimulatedLoop(asyncio.BaseEventLoop):
    """Runs what its world's scheduler says, when it says so. What it does not simulate raises NotImplementedError."""

    def __init__(
        self,
        number: int,
        scheduler: Scheduler,
        network: Network,
        host: Host,
        serials: itertools.count[int],
        rng: random.Random,
        complain: Callable[[dict[str, Any]], None],
    ) -> None:
        self.number = number
        self.host = host
        self.is_dead: bool = True  # until it is made
        super().__init__()
        self.is_dead = False
        self.held: deque[asyncio.Handle] | None = None
        self.serials = serials
        self.endpoints: dict[Endpoint, None] = {}
        """The sockets of its connections, in the order in which they were made."""
        self.listeners: dict[Listener, None] = {}
        self._scheduler = scheduler
        self._network = network
        self._rng = rng
        self._complain = complain

    def __repr__(self) -> str:
        return f"<SimulatedLoop of {self.host.name}{' dead' if self.is_dead else ''}>"

    def enter(self) -> None:
        """The callbacks that follow are of this loop."""
        asyncio._set_running_loop(self)
        sys.set_asyncgen_hooks(finalizer=self._close_generator)

    def die(self) -> list[Task]:
        """Run nothing any more; what was under way has to be kept, or it would be told of its end."""
        self.is_dead = True
        self.held = None
        return sorted(self.tasks(), key=hash)

    def tasks(self) -> list[Task]:
        """The tasks that have not ended."""
        return [task for task in asyncio.all_tasks(self) if isinstance(task, Task)]

    # Time.

    def time(self) -> float:
        return self._scheduler.now

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        if not self.is_dead:
            self._scheduler.soon(self, handle)
        return handle

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        return self.call_soon(callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        if not self.is_dead:
            self._scheduler.timer(when, self, handle)
        return handle

    # Futures, tasks, threads.

    def create_future(self) -> Future:
        return Future(loop=self)

    def create_task(  # type: ignore[override]
        self, coro: Any, *, name: str | None = None, context: Context | None = None, **options: Any
    ) -> asyncio.Task[Any]:
        if self.is_dead:
            coro.close()
            return cast("asyncio.Task[Any]", self.create_future())  # for who is freed after the end, and asks no more
        if self.get_task_factory() is not None:
            return super().create_task(coro, name=name, context=context, **options)
        return Task(coro, loop=self, name=name, context=context, **options)

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Future:  # type: ignore[override]
        """Run `func` at once, some time later: there are no threads."""
        future = self.create_future()
        self.call_later(self._rng.uniform(*THREAD_SECONDS), self._run_blocking, future, func, args)
        return future

    def _run_blocking(self, future: Future, func: Callable[..., Any], args: tuple[Any, ...]) -> None:
        if future.cancelled():
            return
        asyncio._set_running_loop(None)  # in a thread there is none
        try:
            result = func(*args)
        except Exception as error:  # noqa: BLE001 - whatever it raises is its result
            future.set_exception(error)
        else:
            future.set_result(result)
        finally:
            asyncio._set_running_loop(self)

    # The network.

    async def getaddrinfo(
        self,
        host: Any,
        port: Any,
        *,
        family: int = 0,
        type: int = 0,  # noqa: A002 - its name in asyncio
        proto: int = 0,
        flags: int = 0,
    ) -> list[Any]:
        """The address of a host of the world."""
        address = self._network.find(host, self.host).address
        return [
            (socket.AF_INET, type or socket.SOCK_STREAM, proto or socket.IPPROTO_TCP, "", (address, int(port or 0)))
        ]

    async def create_connection(
        self,
        protocol_factory: Any,
        host: str | None = None,
        port: int | None = None,
        *,
        ssl: Any = None,
        **options: Any,
    ) -> tuple[asyncio.Transport, Any]:
        if ssl:
            raise NotImplementedError(NO_TLS)
        if host is None or port is None:
            raise NotImplementedError("sockets are not simulated: connect to a host and a port")
        there = self._network.find(host, self.host)
        return await self._network.connect(self, there, port, protocol_factory)

    async def create_unix_connection(
        self, protocol_factory: Any, path: str | None = None, *, ssl: Any = None, **options: Any
    ) -> tuple[asyncio.Transport, Any]:
        """Connect to who listens at `path`, on the same host."""
        if ssl:
            raise NotImplementedError(NO_TLS)
        if path is None:
            raise NotImplementedError("sockets are not simulated: connect to a path")
        return await self._network.connect(self, self.host, str(path), protocol_factory)

    async def create_server(  # type: ignore[override]
        self,
        protocol_factory: Any,
        host: Any = None,
        port: int | None = None,
        *,
        ssl: Any = None,
        sock: Any = None,
        **options: Any,
    ) -> Listener:
        if ssl:
            raise NotImplementedError(NO_TLS)
        if sock is not None:
            raise NotImplementedError("sockets are not simulated: listen at a host and a port")
        return self._network.listen(self, host, port or 0, protocol_factory)

    async def create_unix_server(  # type: ignore[override]
        self, protocol_factory: Any, path: str | None = None, *, ssl: Any = None, sock: Any = None, **options: Any
    ) -> Listener:
        if ssl:
            raise NotImplementedError(NO_TLS)
        if sock is not None or path is None:
            raise NotImplementedError("sockets are not simulated: listen at a path")
        return self._network.listen(self, None, str(path), protocol_factory)

    async def create_datagram_endpoint(self, *args: Any, **options: Any) -> Any:
        """Not simulated."""
        raise NotImplementedError("datagrams are not simulated")

    async def subprocess_exec(self, *args: Any, **options: Any) -> Any:
        """Not simulated."""
        raise NotImplementedError("subprocesses are not simulated: start processes of the world, by World.process")

    async def subprocess_shell(self, *args: Any, **options: Any) -> Any:
        """Not simulated."""
        return await self.subprocess_exec()

    def add_signal_handler(self, sig: int, callback: Callable[[*Ts], object], *args: *Ts) -> None:
        """Not simulated."""
        raise NotImplementedError("signals are not simulated: Process.terminate() cancels a main")

    # What a world does in their place.

    def is_running(self) -> bool:
        return not self.is_dead and not self.is_closed()

    def run_forever(self) -> None:
        raise RuntimeError("the loop of a simulated process is run by its world: call World.run")

    def run_until_complete(self, future: Any) -> Any:
        raise RuntimeError("the loop of a simulated process is run by its world: await it, or call World.run")

    def stop(self) -> None:
        raise RuntimeError("the loop of a simulated process is run by its world: return from the process's main")

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if not self.is_dead:
            super().call_exception_handler(context)

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        self._complain(context)

    def _close_generator(self, generator: AsyncGenerator[Any, Any]) -> None:
        """An asynchronous generator was dropped before its end."""
        if not self.is_dead:
            self.call_soon(self.create_task, generator.aclose())
