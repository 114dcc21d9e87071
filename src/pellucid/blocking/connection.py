"""Connections for code that blocks."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from types import MethodType
from typing import Any, ParamSpec, TypeVar

from pellucid.asyncio import client, connection, methods
from pellucid.blocking.loop import LoopThread, the_loop
from pellucid.blocking.references import Promise, RemoteReference
from pellucid.blocking.turns import Turns, is_in_turn
from pellucid.core import calls
from pellucid.core.batches import BatchRun
from pellucid.core.references import CallOptions
from pellucid.errors import DeadlineExceeded
from pellucid.flavors.validation import Checked
from pellucid.limits import Usage
from pellucid.wire.messages import MethodCall

__all__ = ["Connection", "Line", "connect", "connected", "end", "with_options_of"]

P = ParamSpec("P")
T = TypeVar("T")


class Runner(methods.Runner):
    """Runs ``async`` methods in the loop, and plain ones in turn, in threads."""

    __slots__ = ("_line",)

    def __init__(self, host: methods.Host) -> None:
        super().__init__(host)
        assert isinstance(host, Line)
        self._line = host

    def arrive(self, call: MethodCall) -> None:
        if call.method is not None and not (call.to_cache or _is_ours(call.method)):
            call.method = self._line.turns.in_turn(call.method)
        super().arrive(call)

    def arrive_together(self, run: BatchRun) -> None:
        line = self._line
        for call in run.calls:
            if line.is_closed:
                return
            if call.ended:
                continue
            if call.error is None:
                line.broker.serving.find_method(call, None)
            self.arrive(call)


def _is_ours(method: Callable[..., Any]) -> bool:
    """Whether pellucid has made `method` for the loop, such as a pager's; also where a class of others overrides it."""
    if isinstance(method, Checked):
        method = method.method
    if not isinstance(method, MethodType):
        return False
    name, classes = method.__func__.__name__, type(method.__self__).__mro__
    return any(name in vars(each) for each in classes if each.__module__.startswith("pellucid."))


class Line(connection.Connection):
    """A connection as its loop knows it, whose references block in every other thread."""

    __slots__ = ("thread", "turns")

    reference_class = RemoteReference
    call_class = Promise
    runner_class = Runner

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.thread: LoopThread = the_loop()
        self.turns: Turns = Turns(self.thread.loop, self.thread.workers)
        super().__init__(*args, **kwargs)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.thread.open.add(self)
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.thread.open.discard(self)
        super().connection_lost(exc)

    def make_call(self, maker: calls.Maker, name: str, options: CallOptions) -> Promise:
        if not self.thread.is_here:
            raise RuntimeError(f"{name!r} was to be called in the event loop's thread: see pellucid.blocking.run")
        made = super().make_call(maker, name, options)
        assert isinstance(made, Promise)
        return made


class Connection:
    """One connection to a peer, for any thread that blocks. `connect` makes one; leaving ``with`` closes it."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._root = line.thread.do(lambda: line.root)

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return repr(self._line)

    @property
    def root(self) -> RemoteReference:
        """The object that the peer publishes. Getting it asks nothing of the peer."""
        assert isinstance(self._root, RemoteReference)
        return self._root

    @property
    def peer(self) -> str:
        """The address of the peer, as text."""
        return self._line.peer

    @property
    def dialect(self) -> str | None:
        """The wire language spoken: "pellucid", "pb" or "none"."""
        return self._line.dialect

    @property
    def is_closed(self) -> bool:
        """Whether the connection has ended."""
        return self._line.is_closed

    @property
    def usage(self) -> dict[str, Usage]:
        """How much of its limits the peer uses at this moment: see `pellucid.Connection.usage`."""
        return self._line.thread.do(lambda: self._line.usage)

    def login(
        self, credentials: object, mind: object = None, *, allow_md5: bool = False, timeout: float | None = None
    ) -> RemoteReference:
        """Log in at the peer's portal, and return the reference to the avatar: see `pellucid.Connection.login`.

        `timeout` is in seconds.

        Raises:
            UnauthorizedLogin: the peer refuses the credentials.
            UnhandledCredentials: it takes none of this kind.
            UnprotectedLogin: they are not for a connection like this one. Nothing made of them was sent.
            TooManyLogins: the peer does not look at them for now.
            DeadlineExceeded: no avatar came within `timeout`.
        """
        avatar = self._line.thread.run(_in_time, timeout, self._line.login, credentials, mind, allow_md5=allow_md5)
        assert isinstance(avatar, RemoteReference)
        return avatar

    def notify_on_disconnect(self, callback: Callable[[], object]) -> Callable[[], None]:
        """Run `callback` once when the connection has ended; call the result to take that back.

        A plain one is run in a thread that may block, an ``async`` one in the event loop.

        Raises:
            DeadReferenceError: it has ended already.
        """
        line = self._line
        cancel = line.thread.do(line.notify_on_disconnect, line.turns.in_turn(callback))
        return lambda: line.thread.do(cancel)

    def wait_closed(self) -> None:
        """Return once the connection has ended and every disconnect notice has been given."""
        self._line.thread.run(self._line.wait_closed)

    def close(self) -> None:
        """Send what waits to be sent, end the connection, and return when every disconnect notice has been given.

        Called by a method that the peer has called, or by a notice, it does not wait for that.
        """
        end(self._line.thread, self._line.close)


def end(thread: LoopThread, close: Callable[[], Any]) -> None:
    """Have `close`, which waits for the methods that run, do its work; and wait for it unless this is one of those."""
    if is_in_turn():
        thread.do(lambda: asyncio.ensure_future(close()))
    else:
        thread.run(close)


def with_options_of(door: Callable[P, Any]) -> Callable[[Callable[..., T]], Callable[P, T]]:
    """Decorator: the function takes what `door` takes, and hands it on."""

    def say_so(function: Callable[..., T]) -> Callable[P, T]:
        # As text, as all annotations are that nobody has looked at.
        returns = function.__annotations__["return"]
        function.__signature__ = inspect.signature(door).replace(return_annotation=returns)  # type: ignore[attr-defined]
        return function

    return say_so


@with_options_of(client.connect)
def connect(*args: Any, **kwargs: Any) -> Connection:
    """Connect to the server at a URL: ``with connect(url) as connection``. It takes what `pellucid.connect` takes.

    Raises:
        ValueError: `url` is none, or an option is wrong.
        ConnectFailed: nobody answers there, or not within `Limits.connect_seconds`.
        NoCommonDialect: the server speaks none of the dialects.
        RuntimeError: this is the event loop's own thread.
    """
    connecting = client.connect(*args, **kwargs)
    connecting.connection_class = Line
    return connected(connecting)


def connected(connecting: client.Connecting) -> Connection:
    """The connection that `connecting` makes, of a `Line`."""
    line = the_loop().run(_awaited, connecting)
    assert isinstance(line, Line)
    return Connection(line)


async def _awaited(connecting: client.Connecting) -> connection.Connection:
    return await connecting


async def _in_time(seconds: float | None, function: Callable[P, Any], *args: P.args, **kwargs: P.kwargs) -> Any:
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            return await function(*args, **kwargs)
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise DeadlineExceeded(f"no login within {seconds} s") from error
