"""How tests of the blocking front serve something, through the asyncio door or through the front itself."""

from __future__ import annotations

import signal
import threading
import traceback
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

import pellucid as pb
from pellucid import blocking
from pellucid.blocking.loop import the_loop
from tests.unit.asyncio.door import HERE

__all__ = ["SECONDS", "Calling", "connected", "in_loop", "in_thread", "interrupting", "serving"]

T = TypeVar("T")

SECONDS = 20
"""The longest that a test waits for another thread."""


class Calling(pb.Root):
    """A root that calls what it is given."""

    def remote_echo(self, value: Any = None) -> Any:
        return value

    def remote_many(self, value: Any) -> dict[str, Any]:
        return {"list": [value], "dict": {"key": (value,)}}

    async def remote_apply(self, target: pb.RemoteReference, name: str, *args: Any) -> Any:
        return await target.call(name, *args)

    async def remote_apply_all(self, target: pb.RemoteReference, name: str, values: list[Any]) -> list[Any]:
        calls = [target.call(name, value) for value in values]
        return [await call for call in calls]

    async def remote_gather(self, target: pb.RemoteReference, name: str, values: list[Any]) -> Any:
        return await pb.gather(*(target.prepare(name, value) for value in values))


@contextmanager
def serving(root: Any, **options: Any) -> Generator[pb.Server]:
    """Serve `root` through the asyncio door, in the loop that the front has."""
    server = pb.serve(root, HERE, **options)
    blocking.run(server.start())
    try:
        yield server
    finally:
        blocking.run(server.close())


@contextmanager
def connected(root: Any, **options: Any) -> Generator[blocking.Connection]:
    """Serve `root` through the asyncio door, and connect to it through the front."""
    with serving(root, **options) as server, blocking.connect(*server.urls) as connection:
        yield connection


def in_thread(function: Callable[[], T]) -> Callable[[], T]:
    """Run `function` in a thread; the result waits for what it returns, or raises."""
    outcome: list[T] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            outcome.append(function())
        except BaseException as error:  # noqa: BLE001 - it is raised where the outcome is asked for
            errors.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()

    def join() -> T:
        thread.join(SECONDS)
        assert not thread.is_alive()
        if errors:
            raise errors[0]
        return outcome[0]

    return join


def in_loop(function: Callable[[], T]) -> T:
    """Run `function` in the loop's thread."""
    return the_loop().do(function)


@contextmanager
def interrupting(when: Callable[[], object]) -> Generator[None]:
    """Interrupt what the main thread waits for in here, once, when `when` has returned in another thread.

    It may return before the main thread has come to that: until it is in the front nothing is raised.
    """
    was_heard = threading.Event()
    main = threading.main_thread().ident
    assert main is not None

    def hear(number: int, frame: FrameType | None) -> None:
        if not was_heard.is_set() and any(_is_front(each) for each, _ in traceback.walk_stack(frame)):
            was_heard.set()
            raise KeyboardInterrupt

    def interrupt() -> None:
        when()
        while not was_heard.is_set():
            signal.pthread_kill(main, signal.SIGINT)
            was_heard.wait(0.01)  # one that comes just before Python begins to wait would not end that wait

    before = signal.signal(signal.SIGINT, hear)
    join = in_thread(interrupt)
    try:
        yield
    finally:
        join()
        signal.signal(signal.SIGINT, before)


def _is_front(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__")).startswith("pellucid.blocking.")
