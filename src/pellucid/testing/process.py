"""Programs of a world: they run, crash, are started again, and end."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextvars import Context
from typing import Any, Protocol

from pellucid.testing.loop import SimulatedLoop, Task
from pellucid.testing.network import Host
from pellucid.testing.scheduler import Scheduler

__all__ = ["Main", "Process"]

Main = Callable[[], Awaitable[Any]]
"""What a process runs: called anew each time it is started."""


class Universe(Protocol):
    """What a process needs of its world."""

    scheduler: Scheduler

    def new_loop(self, host: Host) -> SimulatedLoop:
        """A loop for a process at `host`."""
        ...

    def fail(self, error: BaseException) -> None:
        """The world ends with `error`."""
        ...

    def note(self, text: str) -> None:
        """Something has happened."""
        ...

    def lose_power(self, host: Host) -> None:
        """Every process at `host` crashes, and nobody is told."""
        ...

    def give_power(self, host: Host) -> None:
        """What is sent to `host` is heard there again."""
        ...


class Process:
    """One program, on one host: an event loop with its tasks, its servers and its connections. See `World.process`."""

    def __init__(self, world: Universe, name: str, host: Host, main: Main) -> None:
        self.name = name
        """What it is called in the trace."""
        self.starts: int = 0
        """How often it was started."""
        self.result: Any = None
        """What its main returned."""
        self._world = world
        self._host = host
        self._main = main
        self._loop: SimulatedLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._waiters: list[asyncio.Future[None]] = []
        self._has_ended = False
        self._remains: list[Task] = []
        self._is_over = False  # as its world is

    def __repr__(self) -> str:
        state = "paused" if self.is_paused else "running" if self.is_running else "not running"
        return f"<Process {self.name} {state}>"

    @property
    def host(self) -> str:
        """The name of the host that it runs on."""
        return self._host.name

    @property
    def is_running(self) -> bool:
        """Whether it was started and has neither crashed nor ended."""
        return self._loop is not None

    @property
    def is_paused(self) -> bool:
        """Whether it runs, and is made to stand still."""
        return self._loop is not None and self._loop.held is not None

    def start(self) -> None:
        """Run its main, in a new event loop, after a crash or its end; a host without power gets it back.

        Raises:
            RuntimeError: it is running.
        """
        if self._loop is not None:
            raise RuntimeError(f"{self.name!r} is running: crash it first, or wait for its end")
        if self._is_over:
            return
        self._world.give_power(self._host)
        self._loop = self._world.new_loop(self._host)
        self._has_ended = False
        self.starts += 1
        self._world.note(f"{self.name} starts")
        self._task = self._loop.create_task(self._run(), name=f"main of {self.name}", context=Context())

    def crash(self, *, silent: bool = False) -> None:
        """Stop it where it stands, as ``kill -9`` does: no ``finally`` is run, no buffer is written.

        The system there closes its sockets, and peers see the end of the connection, or a reset. With `silent` the
        host loses power, and every process there with it: peers see nothing. Files, or whatever object of the program
        stands for them, keep what was in them. One that is not running crashes no more.
        """
        if silent:
            self._world.lose_power(self._host)
        elif self._loop is not None:
            self._world.note(f"{self.name} crashes")
            self._stop(lose_power=False)

    def terminate(self) -> None:
        """Ask it to end: its main is cancelled, and can clean up."""
        if self._task is not None:
            self._world.note(f"{self.name} is asked to end")
            self._task.cancel()

    def pause(self) -> None:
        """Have it stand still, as a stopped process or one that is short of memory does: its sockets stay open."""
        if self._loop is not None and self._loop.held is None:
            self._world.note(f"{self.name} is paused")
            self._loop.held = deque()

    def resume(self) -> None:
        """Let it go on after `pause`."""
        if self._loop is not None and self._loop.held is not None:
            self._world.note(f"{self.name} goes on")
            held, self._loop.held = self._loop.held, None
            for handle in held:
                self._world.scheduler.soon(self._loop, handle)

    async def ended(self) -> Any:
        """Wait until its main returns, however often it has to be started for that; what that returns."""
        if not self._has_ended:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter
        return self.result

    def cut_off(self) -> None:
        """Its host loses power."""
        if self._loop is not None:
            self._world.note(f"{self.name} loses power")
            self._stop(lose_power=True)

    def take_remains(self) -> list[Task]:
        """What was under way when it crashed, each time, or is now: the world has come to its end."""
        self._is_over = True
        if self._loop is not None:
            self._stop(lose_power=True)
        remains, self._remains = self._remains, []
        return remains

    def waiting(self) -> list[Task]:
        """Its tasks, in the order in which they were made."""
        return sorted(self._loop.tasks(), key=hash) if self._loop is not None else []

    async def _run(self) -> None:
        loop = self._loop
        assert loop is not None  # it is being run
        try:
            self.result = await self._main()
        except (GeneratorExit, KeyboardInterrupt):
            raise  # it crashed and is freed, or somebody has lost patience
        except BaseException as error:  # noqa: BLE001 - a program that fails fails its world; pytest.fail is no Exception
            if not self._is_its_end(error):
                error.add_note(f"it left the main of the process {self.name!r}")
                self._world.fail(error)
        # As asyncio.run does.
        others = [task for task in self.waiting() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        for task in others:
            if not task.cancelled() and (problem := task.exception()) is not None:
                loop.call_exception_handler({"message": "unhandled exception at the end of main", "exception": problem})
        self._world.note(f"{self.name} ends")
        self._has_ended = True
        self._stop(lose_power=False)
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _is_its_end(self, error: BaseException) -> bool:
        """Whether a main that raises `error` was asked to end, or chose to; a scenario may not choose to."""
        match error:
            case asyncio.CancelledError():
                task = asyncio.current_task()
                return task is not None and task.cancelling() > 0  # not where it awaited what was cancelled
            case SystemExit():
                return self.name != "main"
            case _:
                return False

    def _stop(self, *, lose_power: bool) -> None:
        """Nothing of it runs any more. What the system knows of it goes on as long as it has power."""
        loop, self._loop = self._loop, None
        assert loop is not None  # it was running
        self._task = None
        self._remains += loop.die()
        for listener in list(loop.listeners):
            listener.close()
        for endpoint in list(loop.endpoints):
            if lose_power:
                endpoint.lose_power()
            else:
                endpoint.hang_up()
        loop.close()
