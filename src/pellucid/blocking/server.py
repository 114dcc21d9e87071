"""Serving from code that blocks."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec

from pellucid.asyncio import server
from pellucid.asyncio.connection import Connection as AnyConnection
from pellucid.auth import Portal
from pellucid.blocking.connection import Connection, Line, end, with_options_of
from pellucid.blocking.loop import LoopThread, the_loop
from pellucid.flavors.referenceable import Referenceable
from pellucid.limits import Usage

__all__ = ["Server", "published", "serve", "unpublished"]

P = ParamSpec("P")


class Server:
    """A root object, published in the background. `serve` makes one; leaving ``with`` closes it."""

    def __init__(self, thread: LoopThread, inner: server.Server) -> None:
        self._thread = thread
        self._inner = inner

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return repr(self._inner)

    @property
    def urls(self) -> tuple[str, ...]:
        """Where clients can connect, with the port that was taken where port 0 was asked for."""
        return self._inner.urls

    @property
    def usage(self) -> dict[str, Usage]:
        """Of each limit, how much that connection uses which uses most of it."""
        return self._thread.do(lambda: self._inner.usage)

    def serve_forever(self) -> None:
        """Serve until interrupted, as by Ctrl-C; then close, and raise what interrupted it."""
        try:
            threading.Event().wait()
        finally:
            self.close()

    def close(self) -> None:
        """Accept no more, let methods that run end and be answered, close every connection, and return.

        Called by a method that a client has called, it does not wait for that.
        """
        self._thread.open.discard(self._inner)
        end(self._thread, self._inner.close)


RootFactory = Callable[[Connection], Referenceable]
"""Makes the root object of each connection."""


def _with_options_of(
    door: Callable[Concatenate[Any, P], Any],
) -> Callable[[Callable[..., Server]], Callable[Concatenate[Referenceable | Portal | RootFactory, P], Server]]:
    """Decorator: as `with_options_of`, where the root factory is given a connection of this front."""
    as_door: Any = with_options_of(door)
    return as_door  # type: ignore[no-any-return]


@_with_options_of(server.serve)
def serve(root: Any, *args: Any, **kwargs: Any) -> Server:
    """Publish `root`, in the background: ``with serve(root, url) as server``. It takes what `pellucid.serve` takes.

    Where `root` is a function it is given a `Connection` of this front, in the event loop's thread.

    Raises:
        ValueError, TypeError: an option is wrong, or `root` is.
        OSError: a URL can't be listened at.
        RuntimeError: this is the event loop's own thread.
    """
    return published(unpublished(root, *args, **kwargs))


def unpublished(root: Any, *args: Any, **kwargs: Any) -> server.Server:
    """What `serve` publishes: a server of the asyncio door whose connections are `Line`."""
    if callable(root) and not isinstance(root, Referenceable):
        make_root = root

        @functools.wraps(make_root, updated=())  # so that the door sees what it takes, and can refuse it
        def root_for(line: AnyConnection) -> Any:
            assert isinstance(line, Line)
            return make_root(Connection(line))

        root = root_for
    inner = server.serve(root, *args, **kwargs)
    inner.connection_class = Line
    return inner


def published(inner: server.Server) -> Server:
    """Have `inner` listen in the background."""
    thread = the_loop()
    thread.run(inner.start)
    thread.open.add(inner)
    return Server(thread, inner)
