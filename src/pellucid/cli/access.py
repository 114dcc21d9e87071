"""How a command gets at the object of a server: the connection that its options ask for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import click

from pellucid.asyncio.client import Connecting, connect
from pellucid.asyncio.connection import Connection
from pellucid.asyncio.run import run
from pellucid.asyncio.tls import TLS
from pellucid.auth import credentials
from pellucid.cli.failures import failing, option_errors
from pellucid.core.references import RemoteReference
from pellucid.errors import LoginFailed, NoSuchMethod
from pellucid.limits import Limits

__all__ = ["Access"]

_SECONDS_TO_CLOSE = 1.0

T = TypeVar("T")


@dataclass(frozen=True)
class Access:
    """A server, and how to get at its object."""

    url: str
    credentials: credentials.Password | credentials.Anonymous | None
    timeout: float
    tls: TLS | None
    as_json: bool
    allow_md5: bool = False

    def run(self, work: Callable[[Connection, RemoteReference], Awaitable[T]], *, timed: bool = True) -> T:
        """What `work` gives, given the connection and the server's object; it ends the command where it fails.

        Where `timed`, all of it has to be done within the timeout, else the connection and the login alone.
        """

        async def reach() -> T:
            end = asyncio.get_running_loop().time() + self.timeout
            async with self._connecting() as connection:
                try:
                    async with asyncio.timeout_at(end) as deadline:
                        reference = await self._reference(connection)
                        if not timed:
                            deadline.reschedule(None)
                        return await work(connection, reference)
                except TimeoutError as error:
                    text = f"{self.url} did not answer within {self.timeout:g} s (--timeout)"
                    raise TimeoutError(text) from error

        with failing(self.as_json):
            return run(reach())

    async def _reference(self, connection: Connection) -> RemoteReference:
        if self.credentials is None:
            return connection.root
        try:
            return await connection.login(self.credentials, allow_md5=self.allow_md5)
        except ValueError as error:  # characters that no password has
            raise click.UsageError(str(error)) from None
        except NoSuchMethod:
            raise LoginFailed(f"nobody logs in at {self.url}: it publishes an object, and no portal") from None

    def _connecting(self) -> Connecting:
        limits = Limits(connect_seconds=self.timeout, close_seconds=_SECONDS_TO_CLOSE)
        with option_errors():  # a file of `tls` may be of no use
            return connect(self.url, tls=self.tls, limits=limits)
