"""What goes wrong in a world, as its seed has it."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Protocol

from pellucid.testing.process import Process
from pellucid.testing.scheduler import Scheduler

__all__ = ["Faults", "Mayhem"]


@dataclass(frozen=True, slots=True)
class Faults:
    """How often something goes wrong, in times per virtual second, on the whole; and for how long."""

    cuts: float = 0.0
    """The connections between two hosts are reset."""

    forgotten: float = 0.0
    """The connections between two hosts are forgotten on the way: either end believes that they are there."""

    stalls: float = 0.0
    """Nothing passes from one host to another for a while."""

    partitions: float = 0.0
    """Two hosts hear nothing of each other for a while, or one of them nothing of the other."""

    pauses: float = 0.0
    """A process stands still for a while."""

    crashes: float = 0.0
    """A process crashes, and is started again after a while."""

    power_cuts: float = 0.0
    """A host loses power, and its processes are started again after a while."""

    seconds: tuple[float, float] = (0.05, 5.0)
    """Between how many seconds a while has. Short ones are as likely as long ones."""

    def __post_init__(self) -> None:
        if not 0 < self.seconds[0] <= self.seconds[1]:
            raise ValueError(f"seconds is (least, most), above 0, not {self.seconds}")
        if any(rate < 0 for rate in self.rates.values()):
            raise ValueError("nothing can happen less often than never")

    @property
    def rates(self) -> dict[str, float]:
        """Those that are rates, by name."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "seconds"}


class Afflicted(Protocol):
    """What a world lets be done to it: see `World`."""

    scheduler: Scheduler

    def linked_hosts(self) -> Sequence[tuple[str, str]]:
        """Pairs of hosts of which one has called the other."""
        ...

    def cut(self, a: str, b: str | None = None) -> None:
        """Reset connections."""
        ...

    def forget(self, a: str, b: str | None = None) -> None:
        """Have connections be forgotten on the way."""
        ...

    def stall(self, a: str, b: str | None = None, *, seconds: float, one_way: bool = False) -> None:
        """Let nothing pass for a while."""
        ...

    def partition(self, a: str, b: str | None = None, *, one_way: bool = False) -> None:
        """Let nothing pass."""
        ...

    def heal(self, a: str | None = None, b: str | None = None) -> None:
        """Undo that."""
        ...


class Mayhem:
    """Faults at random moments, from when it is entered until it is left; then all is made good again.

    What is stalled then comes when its time is up.
    """

    def __init__(self, world: Afflicted, faults: Faults, processes: Sequence[Process], rng: random.Random) -> None:
        self._world = world
        self._processes = list(processes)
        self._faults = faults
        self._rng = rng
        self._rates = faults.rates
        self._total = sum(self._rates.values())
        self._is_over = True
        self._stopped: dict[Process, None] = {}

    def __enter__(self) -> Mayhem:
        self._is_over = False
        self._wait()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._is_over = True
        self._world.heal()
        for process in self._processes:
            process.resume()
        for process in list(self._stopped):
            self._start(process)

    def _wait(self) -> None:
        if self._total:
            self._after(self._rng.expovariate(self._total), self._strike)

    def _strike(self) -> None:
        kind = self._rng.choices(list(self._rates), list(self._rates.values()))[0]
        _STRIKES[kind](self)
        self._wait()

    def _after(self, seconds: float, action: Callable[[], None]) -> None:
        def act() -> None:
            if not self._is_over:
                action()

        scheduler = self._world.scheduler
        scheduler.at(scheduler.now + seconds, act)

    def _while(self) -> float:
        least, most = self._faults.seconds
        factor: float = (most / least) ** self._rng.random()
        return least * factor

    def _two_hosts(self) -> tuple[str, str] | None:
        pairs = self._world.linked_hosts()
        return self._rng.choice(pairs) if pairs else None

    def _one_process(self) -> Process | None:
        running = [process for process in self._processes if process.is_running]
        return self._rng.choice(running) if running else None

    def _cut(self) -> None:
        if pair := self._two_hosts():
            self._world.cut(*pair)

    def _forget(self) -> None:
        if pair := self._two_hosts():
            self._world.forget(*pair)

    def _stall(self) -> None:
        if pair := self._two_hosts():
            self._world.stall(*pair, seconds=self._while(), one_way=True)

    def _partition(self) -> None:
        if pair := self._two_hosts():
            self._world.partition(*pair, one_way=self._rng.random() < 0.3)
            self._after(self._while(), lambda: self._world.heal(*pair))

    def _pause(self) -> None:
        if process := self._one_process():
            process.pause()
            self._after(self._while(), process.resume)

    def _crash(self) -> None:
        self._stop(silent=False)

    def _cut_power(self) -> None:
        self._stop(silent=True)

    def _stop(self, *, silent: bool) -> None:
        if victim := self._one_process():
            before = [process for process in self._processes if process.is_running]
            victim.crash(silent=silent)
            for process in before:
                if not process.is_running:
                    self._stopped[process] = None
                    self._after(self._while(), lambda process=process: self._start(process))  # type: ignore[misc]

    def _start(self, process: Process) -> None:
        if process in self._stopped:
            del self._stopped[process]
            if not process.is_running:
                process.start()


_STRIKES: dict[str, Callable[[Mayhem], None]] = {
    "cuts": Mayhem._cut,
    "forgotten": Mayhem._forget,
    "stalls": Mayhem._stall,
    "partitions": Mayhem._partition,
    "pauses": Mayhem._pause,
    "crashes": Mayhem._crash,
    "power_cuts": Mayhem._cut_power,
}
