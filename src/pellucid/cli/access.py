"""How a command gets at the object of a server: the options, and the connection that they make."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar

import click

from pellucid.asyncio.client import Connecting, connect
from pellucid.asyncio.connection import Connection
from pellucid.asyncio.run import run
from pellucid.asyncio.tls import TLS
from pellucid.auth import credentials
from pellucid.cli.exits import failing, in_options
from pellucid.core.references import RemoteReference
from pellucid.errors import LoginFailed, NoSuchMethod
from pellucid.limits import Limits
from pellucid.urls import UnixURL, parse_url

__all__ = ["PASSWORD_VARIABLE", "URL", "Access", "access_options", "existing_file", "json_option"]

PASSWORD_VARIABLE = "PELLUCID_PASSWORD"  # noqa: S105 - the name of a variable
_SECONDS_TO_CLOSE = 1.0
_LONGEST = 60.0 * 60 * 24 * 365

T = TypeVar("T")


@dataclass(frozen=True)
class Access:
    """A server, and how to get at its object."""

    url: str
    credentials: credentials.Password | credentials.Anonymous | None
    timeout: float
    tls: TLS | None
    as_json: bool

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
            return await connection.login(self.credentials)
        except NoSuchMethod:
            raise LoginFailed(f"nobody logs in at {self.url}: it publishes an object, and no portal") from None

    def _connecting(self) -> Connecting:
        limits = Limits(connect_seconds=self.timeout, close_seconds=_SECONDS_TO_CLOSE)
        try:
            return connect(self.url, tls=self.tls, limits=limits)
        except ValueError as error:  # a file of `tls` can't be used
            raise click.UsageError(in_options(str(error))) from None


class _URL(click.ParamType[str]):
    name = "url"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            parse_url(value)
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, ctx)
        return str(value)


def _check_seconds(ctx: click.Context, param: click.Parameter, seconds: float) -> float:
    if not 0 < seconds <= _LONGEST:
        raise click.BadParameter(f"{seconds:g} is no time to wait")
    return seconds


URL = _URL()
existing_file = click.Path(exists=True, dir_okay=False)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")

_OPTIONS = (
    click.option("--login", metavar="USER", help=f"Log in; the password is asked for, or in {PASSWORD_VARIABLE}."),
    click.option("--password-stdin", is_flag=True, help="Take the password from the first line of standard input."),
    click.option("--anonymous", is_flag=True, help="Log in as nobody in particular."),
    click.option(
        "--timeout",
        type=float,
        callback=_check_seconds,
        default=30.0,
        show_default=True,
        metavar="SECONDS",
        help="How long all of it may take.",
    ),
    click.option(
        "--tls-authorities", type=existing_file, help="PEM file of the authorities to trust, for pbs:// URLs."
    ),
    click.option("--tls-certificate", type=existing_file, help="PEM file of the certificate to show."),
    click.option("--tls-key", type=existing_file, help="PEM file of its key, where that is another one."),
    json_option,
)


def access_options(command: Callable[..., None]) -> Callable[..., None]:
    """The argument URL and the options of whatever calls a server; the command gets an `Access` for all of them."""

    @wraps(command)
    def with_access(
        url: str,
        login: str | None,
        password_stdin: bool,
        anonymous: bool,
        timeout: float,
        tls_authorities: str | None,
        tls_certificate: str | None,
        tls_key: str | None,
        as_json: bool,
        **options: Any,
    ) -> None:
        tls = _tls(url, authorities=tls_authorities, certificate=tls_certificate, key=tls_key)
        if login is not None and anonymous:
            raise click.UsageError("--login and --anonymous are two ways to log in: choose one")
        if password_stdin and login is None:
            raise click.UsageError("--password-stdin is the password of --login USER, which is missing")
        who: credentials.Password | credentials.Anonymous | None = credentials.Anonymous() if anonymous else None
        if login is not None:
            who = credentials.Password(login, _password(login, from_stdin=password_stdin))
        command(access=Access(url, who, timeout, tls, as_json), **options)

    for option in reversed((click.argument("url", type=URL), *_OPTIONS)):
        with_access = option(with_access)
    return with_access


def _tls(url: str, **files: str | None) -> TLS | None:
    if not any(files.values()):
        return None
    parsed = parse_url(url)
    if isinstance(parsed, UnixURL) or not parsed.tls:
        raise click.UsageError(f"the options of TLS are for pbs:// URLs, and {url} is none")
    try:
        return TLS(**files)
    except ValueError as error:
        raise click.UsageError(in_options(str(error))) from None


def _password(user: str, *, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if (known := os.environ.get(PASSWORD_VARIABLE)) is not None:
        return known
    if not sys.stdin.isatty():
        raise click.UsageError(f"no password for {user}: use --password-stdin, or set {PASSWORD_VARIABLE}")
    return str(click.prompt(f"Password of {user}", hide_input=True, err=True, default="", show_default=False))
