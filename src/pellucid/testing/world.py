"""A world: hosts, processes on them, and time, all of it made up, and the same each time for one seed."""

from __future__ import annotations

import asyncio
import gc
import itertools
import random
import sys
import warnings
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from pellucid.testing.faults import Faults, Mayhem
from pellucid.testing.links import Link
from pellucid.testing.loop import SimulatedLoop, Task
from pellucid.testing.network import Host, Network
from pellucid.testing.process import Main, Process
from pellucid.testing.scheduler import BudgetSpent, NothingLeft, Scheduler
from pellucid.testing.surroundings import surroundings

__all__ = ["Stuck", "World"]

T = TypeVar("T")

COLLECTED_STEPS = (1_000, 8_000)
"""Between how many steps pass before garbage is collected."""

MOST_TASKS_SHOWN = 30


class Stuck(Exception):
    """A world did not come to its end: nothing is left that could happen, or too much has happened."""


class World:
    """Runs programs of asyncio in virtual time, on hosts and over links that exist only here; once, for one seed.

    Args:
        seed: from which everything follows that happens by chance.
        link: what the way from any host to any other is like, unless `link` says otherwise.
        seconds: of virtual time, after which a world that has not come to its end is `Stuck`.
        steps: callbacks run, after which it is as well.
        trace: is told, line by line, what happens.
    """

    def __init__(
        self,
        seed: int,
        *,
        link: Link | None = None,
        seconds: float = 86_400.0,
        steps: int = 2_000_000,
        trace: Callable[[str], object] | None = None,
    ) -> None:
        self.seed = seed
        """From which everything follows that happens by chance."""
        self.random: random.Random = random.Random(f"{seed} of the scenario")  # noqa: S311 - it is to be guessed
        """Dice for a scenario."""
        self.scheduler: Scheduler = Scheduler(steps=steps, seconds=seconds)
        """What is due at which moment: for the parts of a world."""
        self._rng = random.Random(f"{seed} of the world")  # noqa: S311 - as above
        self._trace = trace
        note = self.note if trace is not None else None
        self._network = Network(link or Link(), self.scheduler, self._rng, note)
        self.processes: dict[str, Process] = {}
        """All that were started, by name; the scenario is "main"."""
        self._serials = itertools.count()
        self._loops_made = itertools.count()
        self._failure: BaseException | None = None
        self._has_run = False
        self.scheduler.interlude = self._collect

    def __repr__(self) -> str:
        return f"World({self.seed})"

    @property
    def now(self) -> float:
        """Virtual seconds since the beginning."""
        return self.scheduler.now

    @property
    def steps(self) -> int:
        """How many callbacks were run."""
        return self.scheduler.steps

    @property
    def fingerprint(self) -> int:
        """The same for two runs in which the same happened at the same times, and hardly ever for others."""
        return self.scheduler.fingerprint

    @property
    def host_names(self) -> Sequence[str]:
        """The hosts that there are."""
        return list(self._network.hosts)

    def run(self, scenario: Callable[[World], Awaitable[T]]) -> T:
        """Run `scenario`, itself a process called "main", until it returns; what it returns. Then everything ends.

        Whatever goes wrong in any process ends the world, and is raised here with a note that names the seed: an
        exception that leaves the main of a process, or a callback, or a task that nobody awaits.

        Raises:
            Stuck: the scenario never returns, or not within the bounds.
        """
        if self._has_run:
            raise RuntimeError("a world can be run once: make another, World(seed)")
        if asyncio._get_running_loop() is not None:
            raise RuntimeError("a world has loops of its own: run it outside of any")
        self._has_run = True
        hooks = sys.get_asyncgen_hooks()
        try:
            with surroundings(self.scheduler, self.seed):
                try:
                    return self._run(scenario)
                finally:
                    asyncio._set_running_loop(None)
                    sys.set_asyncgen_hooks(*hooks)
                    self._bury()
        except BaseException as error:
            error.add_note(f"at {self.now:.6f} virtual seconds; it happens again with World({self.seed})")
            raise

    def process(self, name: str, main: Main, *, host: str | None = None) -> Process:
        """Start a process that runs `main`, a function without parameters that returns an awaitable.

        It has an event loop of its own, on a host that is called as it is unless `host` says otherwise. What `main`
        raises ends the world. Where it is to keep something over a crash, give it an object from outside.

        Raises:
            ValueError: there is one of that name.
        """
        if name in self.processes:
            raise ValueError(f"there is a process {name!r}: start it again with its start()")
        process = self.processes[name] = Process(self, name, self._network.host(host or name), main)
        process.start()
        return process

    def link(self, a: str, b: str | None, link: Link, *, one_way: bool = False) -> None:
        """Have the way from host `a` to `b`, and back, be like `link`: for connections that are made from now on.

        Here and below, `b` is None for every host but `a`.
        """
        for path in self._network.paths(a, b, one_way=one_way):
            path.link = link

    def partition(self, a: str, b: str | None = None, *, one_way: bool = False) -> None:
        """Let nothing pass from host `a` to `b`, nor back, until `heal`. Senders try again, and one day give up."""
        self.note(f"partition: {a} -> {b}" if one_way else f"partition: {a} <-> {b}")
        for path in self._network.paths(a, b, one_way=one_way):
            path.block()

    def heal(self, a: str | None = None, b: str | None = None) -> None:
        """Undo `partition` between two hosts, between `a` and all others, or everywhere."""
        for name in self.host_names if a is None else [a]:
            self.note(f"healed: {name} <-> {b or 'all'}")
            for path in self._network.paths(name, b):
                path.unblock()

    def stall(self, a: str, b: str | None = None, *, seconds: float, one_way: bool = False) -> None:
        """Hold up what is on its way between hosts for so long."""
        self.note(f"stalled for {seconds:.3f} s: {a} {'' if one_way else '<'}-> {b}")
        for path in self._network.paths(a, b, one_way=one_way):
            path.stall(seconds)

    def cut(self, a: str, b: str | None = None) -> None:
        """Reset every connection between hosts."""
        self.note(f"cut: {a} <-> {b}")
        for path in self._network.paths(a, b):
            for pipe in list(path.pipes):
                pipe.cut()

    def forget(self, a: str, b: str | None = None) -> None:
        """Have every connection between hosts be forgotten on the way: either end believes that it is there."""
        self.note(f"forgotten: {a} <-> {b}")
        for path in self._network.paths(a, b):
            for pipe in path.pipes:
                pipe.is_forgotten = True

    def mayhem(self, faults: Faults, processes: Sequence[Process] | None = None) -> Mayhem:
        """Faults at random moments: ``with world.mayhem(Faults(cuts=0.5)): ...``; at its end all is made good again.

        `processes` are those that may be paused or crash; None for all that there are.
        """
        chosen = [process for process in self.processes.values() if process.name != "main"]
        return Mayhem(self, faults, chosen if processes is None else processes, self._rng)

    def collect_garbage(self) -> None:
        """Collect garbage now, as happens from time to time."""
        gc.collect()

    # What processes and faults need of it.

    def linked_hosts(self) -> Sequence[tuple[str, str]]:
        """Pairs of hosts of which one has called the other, both ways round."""
        return self._network.linked()

    def new_loop(self, host: Host) -> SimulatedLoop:
        """A loop for a process at `host`."""
        number = next(self._loops_made)
        return SimulatedLoop(number, self.scheduler, self._network, host, self._serials, self._rng, self._complain)

    def fail(self, error: BaseException) -> None:
        """Let the world end with `error`."""
        if self._failure is None:
            self._failure = error

    def note(self, text: str) -> None:
        """Something has happened: into the trace with it."""
        if self._trace is not None:
            self._trace(f"{self.now:12.6f} {text}")

    def lose_power(self, host: Host) -> None:
        """Every process at `host` crashes, and nobody is told."""
        host.is_up = False
        for process in self.processes.values():
            if process.host == host.name:
                process.cut_off()

    def give_power(self, host: Host) -> None:
        """What is sent to `host` is heard there again."""
        if not host.is_up:
            host.is_up = True
            for path in self._network.paths(host.name, None):
                path.go_on()

    def _run(self, scenario: Callable[[World], Awaitable[T]]) -> T:
        async def main_of_scenario() -> T:
            result = await scenario(self)
            gc.collect()  # what a task raised that nobody awaits is known when it is freed
            return result

        main = self.process("main", main_of_scenario)
        try:
            self.scheduler.run_until(lambda: self._failure is not None or not main.is_running)
        except NothingLeft:
            raise Stuck(f"nothing is left that could happen; these tasks wait:\n{self._waiting()}") from None
        except BudgetSpent as spent:
            raise Stuck(f"{spent}; these tasks wait:\n{self._waiting()}") from None
        if self._failure is not None:
            raise self._failure
        result: T = main.result
        return result

    def _collect(self) -> int:
        gc.collect()
        return self._rng.randint(*COLLECTED_STEPS)

    def _complain(self, context: dict[str, Any]) -> None:
        """A loop has found something that nobody took care of."""
        error = context.get("exception")
        if error is None:
            error = RuntimeError(context["message"])
        else:
            error.add_note(str(context["message"]))
        self.fail(error)

    def _waiting(self) -> str:
        shown = [
            f"  {process.name}: {_place(task)}" for process in self.processes.values() for task in process.waiting()
        ]
        more = [f"  and {len(shown) - MOST_TASKS_SHOWN} more"] if len(shown) > MOST_TASKS_SHOWN else []
        return "\n".join([*shown[:MOST_TASKS_SHOWN], *more])

    def _bury(self) -> None:
        """Free what was under way when its process crashed, or the world ended."""
        remains: list[Task] = []
        for process in self.processes.values():
            remains += process.take_remains()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for task in sorted(remains, key=hash):
                asyncio._set_running_loop(task.get_loop())
                task.bury()
            asyncio._set_running_loop(None)
            remains.clear()
            self.scheduler.clear()
            self._network.clear()


def _place(task: Task) -> str:
    """The task, and where it waits."""
    inner: Any = task.get_coro()
    while asyncio.iscoroutine(getattr(inner, "cr_await", None)):
        inner = inner.cr_await
    frame = getattr(inner, "cr_frame", None) or getattr(inner, "gi_frame", None)
    where = f"{frame.f_code.co_filename}:{frame.f_lineno}, in {frame.f_code.co_qualname}" if frame else "ended"
    return f"{task.get_name()} at {where}"
