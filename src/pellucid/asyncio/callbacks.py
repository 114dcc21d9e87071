"""Running what an application asked to be run: notices, logouts, observers' farewells."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from inspect import isawaitable
from typing import Any, Protocol

from pellucid.asyncio.events import Event, name_of
from pellucid.core.broker import Broker

__all__ = ["Callbacks"]


class Host(Protocol):
    """Whose callbacks they are."""

    broker: Broker

    def crowded(self) -> None:
        """So many run that the peer is not to have more of them run for now."""
        ...

    def roomy(self) -> None:
        """There is room again."""
        ...

    @property
    def fields(self) -> dict[str, str | None]:
        """What the log says of it in every record."""
        ...


class Callbacks:
    """Runs callbacks, plain and async ones; what one raises is logged and stops no other."""

    __slots__ = ("_holds", "_host", "_running")

    def __init__(self, host: Host) -> None:
        self._host = host
        self._running: set[asyncio.Future[Any]] | None = None
        self._holds = False  # whether the host was told that too many run

    def run(self, callback: Callable[[], object]) -> None:
        """Run `callback` now; what it returns is awaited in a task of its own, if need be."""
        try:
            result = callback()
        except (KeyboardInterrupt, SystemExit):
            raise  # that ends the program
        except BaseException as error:  # noqa: BLE001 - whatever it raises is the application's, and stops no other
            self._log(error)
            return
        if isawaitable(result):
            future = asyncio.ensure_future(result)
            if self._running is None:
                self._running = set()
            self._running.add(future)
            future.add_done_callback(self._ended)
            if self.is_full:
                self._holds = True
                self._host.crowded()

    @property
    def is_full(self) -> bool:
        """Whether as many run as methods may: a peer that logs in and out has no end of them run otherwise."""
        return self._running is not None and len(self._running) >= self._host.broker.limits.running_calls

    async def wait(self) -> None:
        """Return once none runs; asked by one of them, at once."""
        while self._running and asyncio.current_task() not in self._running:
            await asyncio.wait(self._running)

    def _ended(self, future: asyncio.Future[Any]) -> None:
        if self._running is not None:
            self._running.discard(future)
        if self._holds and not self.is_full:
            self._holds = False
            self._host.roomy()
        error = None if future.cancelled() else future.exception()
        if error is not None:
            self._log(error)

    def _log(self, error: BaseException) -> None:
        fields = self._host.fields
        Event.CALLBACK_FAILED.log("a callback raised %s", error, exc_info=error, fields=fields, error=name_of(error))
