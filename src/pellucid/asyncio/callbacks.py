"""Running what an application asked to be run: notices, logouts, observers' farewells."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from inspect import isawaitable
from typing import Any, Protocol

from pellucid.asyncio.events import Event, name_of

__all__ = ["Callbacks"]


class Host(Protocol):
    """Whose callbacks they are."""

    @property
    def fields(self) -> dict[str, str | None]:
        """What the log says of it in every record."""
        ...


class Callbacks:
    """Runs callbacks, plain and async ones; what one raises is logged and stops no other."""

    __slots__ = ("_host", "_running")

    def __init__(self, host: Host) -> None:
        self._host = host
        self._running: set[asyncio.Future[Any]] | None = None

    def run(self, callback: Callable[[], object]) -> None:
        """Run `callback` now; what it returns is awaited in a task of its own, if need be."""
        try:
            result = callback()
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - whatever it raises is the application's
            self._log(error)
            return
        if isawaitable(result):
            future = asyncio.ensure_future(result)
            if self._running is None:
                self._running = set()
            self._running.add(future)
            future.add_done_callback(self._ended)

    async def wait(self) -> None:
        """Return once none runs; asked by one of them, at once."""
        while self._running and asyncio.current_task() not in self._running:
            await asyncio.wait(self._running)

    def _ended(self, future: asyncio.Future[Any]) -> None:
        if self._running is not None:
            self._running.discard(future)
        error = None if future.cancelled() else future.exception()
        if error is not None:
            self._log(error)

    def _log(self, error: BaseException) -> None:
        fields = self._host.fields
        Event.CALLBACK_FAILED.log("a callback raised %s", error, exc_info=error, fields=fields, error=name_of(error))
