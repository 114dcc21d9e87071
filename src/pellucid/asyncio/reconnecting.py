"""A client that connects again when its connection is lost."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from pellucid.asyncio.client import Connecting, connect
from pellucid.asyncio.connection import Connection
from pellucid.asyncio.events import Event, name_of
from pellucid.core.references import RemoteReference
from pellucid.errors import (
    ConnectFailed,
    DeadlineExceeded,
    DeadReferenceError,
    NoCommonDialect,
    PBConnectionLost,
    TooManyLogins,
)
from pellucid.flavors.hooks import settled

if TYPE_CHECKING:
    from tenacity import RetryCallState

__all__ = ["Reconnecting", "reconnecting"]

OF_NO_USE = (ConnectFailed, PBConnectionLost, DeadReferenceError, DeadlineExceeded, TooManyLogins)
"""What says of a connection that it is of no use, and another one may be."""


def reconnecting(
    url: str,
    *,
    credentials: object = None,
    mind: object = None,
    allow_md5: bool = False,
    on_connected: Callable[[RemoteReference], object] | None = None,
    on_disconnected: Callable[[], object] | None = None,
    first_wait: float = 0.1,
    longest_wait: float = 30.0,
    **options: Any,
) -> Reconnecting:
    """A client of the server at `url` that connects again when its connection is lost.

    ``async with reconnecting(url) as client``, and then ``root = await client.root()`` before each piece of work: it
    waits for a connection, where there is none. References die with their connection, as ever, and no call is ever
    made again by itself: whether its method ran is not known.

    With `credentials`, or a function that returns them, each connection logs in, with `mind` and `allow_md5` as
    `Connection.login` takes them, and ``await client.avatar()`` is the reference to the avatar.
    `on_connected` is given the root, or the avatar, of each connection before anybody else is: the place to hand out
    listeners anew. It uses what it is given: the client has no connection before it returns. `on_disconnected` is run
    when the references that came over a connection have died. Both may be plain or async.

    A failure to connect is followed by another attempt after a random time of at most `first_wait` seconds, then twice
    that, four times, up to `longest_wait`; a connection that has lasted for `longest_wait` begins anew with the first.
    Wrong credentials, no common dialect or a certificate that is not to be trusted end it for good.

    The other `options` are those of `connect`.

    Raises:
        ValueError: as `connect` does; or `first_wait` and `longest_wait` are no such times.
        ImportError: tenacity is not installed: it comes with ``pellucid[reconnect]``.
    """
    if not 0 < first_wait <= longest_wait:
        raise ValueError(f"first_wait={first_wait} has to be above 0, and no more than longest_wait={longest_wait}")
    connect(url, **options)  # which finds out what is wrong with them
    try:
        import tenacity
    except ImportError as error:
        raise ImportError("pellucid.reconnecting needs tenacity: pip install 'pellucid[reconnect]'") from error

    async def log_in(connection: Connection) -> RemoteReference:
        given = await settled(credentials()) if callable(credentials) else credentials
        return await connection.login(given, mind, allow_md5=allow_md5)

    login = None if credentials is None else log_in
    client = Reconnecting(url, lambda: connect(url, **options), login, on_connected, on_disconnected)
    backoff = tenacity.wait_random_exponential(multiplier=first_wait, max=longest_wait)

    def wait(state: RetryCallState) -> float:
        if client.lasted >= longest_wait:
            state.attempt_number = 1
        return backoff(state)

    def tell(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome is not None else None
        client.will_try_again(error, state.upcoming_sleep)

    client.retry = tenacity.AsyncRetrying(
        sleep=asyncio.sleep,
        retry=tenacity.retry_if_exception(_may_pass),
        wait=wait,
        before_sleep=tell,
        reraise=True,
    )
    return client


def _may_pass(error: BaseException) -> bool:
    """Whether it may be otherwise when it is tried again."""
    if isinstance(error, NoCommonDialect):
        return False
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return False
        cause = cause.__cause__
    return isinstance(error, OF_NO_USE)


class Reconnecting:
    """A client that has a connection, or is about to. `reconnecting` makes one; enter it with ``async with``."""

    def __init__(
        self,
        url: str,
        connecting: Callable[[], Connecting],
        log_in: Callable[[Connection], Awaitable[RemoteReference]] | None,
        on_connected: Callable[[RemoteReference], object] | None,
        on_disconnected: Callable[[], object] | None,
    ) -> None:
        self.retry: Callable[[Callable[[], Awaitable[None]]], Awaitable[Any]]
        """Runs what it is given again and again."""
        self.lasted: float = 0.0
        """How many seconds the last connection was of use; 0 where there was none since the last wait."""
        self._url = url
        self._connecting = connecting
        self._log_in = log_in
        self._on_connected = on_connected
        self._on_disconnected = on_disconnected
        self._connection: Connection | None = None
        self._avatar: RemoteReference | None = None
        self._changed = asyncio.Event()  # set while there is a connection, and when there will be none any more
        self._error: Exception | None = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Reconnecting:
        self._task = asyncio.get_running_loop().create_task(self._stay(), name=f"reconnecting to {self._url}")
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        state = "over" if self._error is not None else "connected" if self.is_connected else "not connected"
        return f"<Reconnecting {self._url} {state}>"

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection at this moment, as far as is known here."""
        return self._connection is not None and not self._connection.is_closed

    async def connection(self) -> Connection:
        """The connection there is; waits for the next one where there is none.

        Raises:
            ConnectFailed: the client was closed, or has ended for good with this error: see `reconnecting`.
            LoginFailed: it has ended with this.
            What `on_connected` raised.
            RuntimeError: the client was not entered, so that there will be none.
        """
        while True:
            if self._error is not None:
                raise self._error.with_traceback(None)
            if self._task is None:
                raise RuntimeError(f"{self!r} was not entered: async with pellucid.reconnecting(...) as client")
            if self._connection is not None and not self._connection.is_closed:
                return self._connection
            self._changed.clear()
            await self._changed.wait()

    async def root(self) -> RemoteReference:
        """The object that the server publishes; waits, and raises, as `connection` does."""
        return (await self.connection()).root

    async def avatar(self) -> RemoteReference:
        """The avatar of this connection's login; waits, and raises, as `connection` does.

        Raises:
            LookupError: there is none, since the client has no credentials.
        """
        if self._log_in is None:
            raise LookupError("there is no avatar without a login: reconnecting(url, credentials=...)")
        await self.connection()
        assert self._avatar is not None  # a connection is shown once it is logged in
        return self._avatar

    async def close(self) -> None:
        """End the connection there is, and make no other. Those who wait for one get ConnectFailed."""
        self._end(ConnectFailed("the client that reconnects was closed here"))
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    # For `reconnecting`.

    def will_try_again(self, error: BaseException | None, seconds: float) -> None:
        """Say so in the log: `error` is the reason, and it will be after so many seconds."""
        self.lasted = 0.0
        text, url = "no connection to %s, next attempt in %s s: %s", self._url
        kind = name_of(error)
        Event.RECONNECT_WAITING.log(text, url, f"{seconds:.2f}", str(error), url=url, seconds=seconds, error=kind)

    async def _stay(self) -> None:
        try:
            await self.retry(self._once)
        except Exception as error:  # noqa: BLE001 - whoever wants a connection gets it
            self._end(error)
            text, url = "no further attempt to connect to %s: %s", self._url
            Event.RECONNECT_STOPPED.log(text, url, error, url=url, error=name_of(error))

    async def _once(self) -> None:
        """Make one connection, and stay until it ends. Always ends in an exception."""
        async with self._connecting() as connection:
            target = connection.root if self._log_in is None else await self._log_in(connection)
            if self._on_connected is not None:
                await settled(self._on_connected(target))
            if connection.is_closed:
                raise PBConnectionLost("the connection was lost as soon as it was made")
            self._connection, self._avatar = connection, target
            del target
            await self._stay_with(connection)
        raise PBConnectionLost("the connection was lost")

    async def _stay_with(self, connection: Connection) -> None:
        Event.RECONNECT_CONNECTED.log("connected to %s", self._url, fields=connection.fields, url=self._url)
        self._changed.set()
        began = connection.loop.time()
        try:
            await connection.wait_closed()
            self.lasted = connection.loop.time() - began
        finally:
            self._connection = self._avatar = None
            await connection.close()
            try:
                if self._on_disconnected is not None:
                    await settled(self._on_disconnected())
            except Exception as error:  # noqa: BLE001 - the application's, and the next connection is made all the same
                fields, kind = connection.fields, name_of(error)
                Event.CALLBACK_FAILED.log("a callback raised %s", error, exc_info=error, fields=fields, error=kind)

    def _end(self, error: Exception) -> None:
        self._error = self._error or error
        self._changed.set()
