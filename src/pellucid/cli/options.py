"""Options and arguments that several commands have."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from pellucid.asyncio.connection import Connection
from pellucid.asyncio.tls import TLS
from pellucid.auth import credentials
from pellucid.cli.access import Access
from pellucid.cli.failures import option_errors
from pellucid.core.describing import describe
from pellucid.core.references import RemoteReference
from pellucid.flavors.describing import Description
from pellucid.urls import parse_url

__all__ = ["URL", "access_options", "complete_method", "existing_file", "json_option", "tls_of"]

_PASSWORD_VARIABLE = "PELLUCID_PASSWORD"  # noqa: S105 - the name of a variable
_SECONDS_TO_COMPLETE = 1.0
_LONGEST = 60.0 * 60 * 24 * 365


class _URL(click.ParamType[str]):
    name = "url"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if str(value).startswith("-"):
            raise click.NoSuchOption(str(value), ctx=ctx)  # one that a command which takes negative numbers let pass
        try:
            parse_url(value)
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, ctx)
        return str(value)


def _check_seconds(ctx: click.Context, param: click.Parameter, seconds: float) -> float:
    if not 0 < seconds <= _LONGEST:
        raise click.BadParameter(f"{seconds:g} is no time to wait")
    return seconds


_Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

URL = _URL()
existing_file: click.Path[str] = click.Path(exists=True, dir_okay=False)
json_option: Callable[[Callable[..., Any]], Callable[..., Any]] = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON, for programs."
)

_OPTIONS = (
    click.option("--login", metavar="USER", help=f"Log in; the password is asked for, or in {_PASSWORD_VARIABLE}."),
    click.option("--password-stdin", is_flag=True, help="Take the password from the first line of standard input."),
    click.option("--anonymous", is_flag=True, help="Log in as nobody in particular."),
    click.option("--allow-md5", is_flag=True, help="Log in by PB's old challenge over any connection: see the docs."),
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


def complete_method(ctx: click.Context, param: click.Parameter, begun: str) -> list[str]:
    """The methods of the object at URL that begin so, where its server tells them to everybody, and soon."""

    async def ask(connection: Connection, reference: RemoteReference) -> Description:
        return await describe(reference)

    try:
        known = Access(ctx.params["url"], None, _SECONDS_TO_COMPLETE, None, as_json=False).run(ask)
    except (click.ClickException, KeyError):
        return []
    return [method.name for method in known.methods if method.name.startswith(begun)]


def access_options(
    url: click.ParamType[str] = URL, metavar: str = "URL"
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The argument URL and the options of whatever calls a server; the command gets an `Access` for all of them."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def with_access(**options: Any) -> None:
            command(access=_access(options), **options)

        decorated: Callable[..., None] = with_access
        for option in reversed((click.argument("url", type=url, metavar=metavar), *_OPTIONS)):
            decorated = option(decorated)
        return decorated

    return decorate


def _access(options: dict[str, Any]) -> Access:
    """What those `options` say, taken out of them."""
    url, login, anonymous = (options.pop(name) for name in ("url", "login", "anonymous"))
    from_stdin = options.pop("password_stdin")
    if login is not None and anonymous:
        raise click.UsageError("--login and --anonymous are two ways to log in: choose one")
    if from_stdin and login is None:
        raise click.UsageError("--password-stdin is the password of --login USER, which is missing")
    tls = tls_of(options)
    if tls is not None and not url.lower().startswith("pbs:"):
        raise click.UsageError(f"the options of TLS are for pbs:// URLs, and {url} is none")
    who: credentials.Password | credentials.Anonymous | None = credentials.Anonymous() if anonymous else None
    if login is not None:
        who = credentials.Password(login, _password(login, from_stdin=from_stdin))
    timeout, allow_md5, as_json = (options.pop(name) for name in ("timeout", "allow_md5", "as_json"))
    return Access(url, who, timeout, tls, as_json, allow_md5)


def tls_of(options: dict[str, Any]) -> TLS | None:
    """What the options of TLS say, taken out of `options`; None where there are none."""
    files = {name: options.pop(f"tls_{name}") for name in ("authorities", "certificate", "key")}
    if not any(files.values()):
        return None
    with option_errors():
        return TLS(**files)


def _password(user: str, *, from_stdin: bool) -> str:
    if from_stdin:
        # Without a buffer: what follows may be arguments, or statements for the shell.
        with open(sys.stdin.fileno(), "rb", buffering=0, closefd=False) as stdin:
            return stdin.readline().decode(errors="surrogateescape").rstrip("\r\n")
    if (known := os.environ.get(_PASSWORD_VARIABLE)) is not None:
        return known
    if not sys.stdin.isatty():
        raise click.UsageError(f"no password for {user}: use --password-stdin, or set {_PASSWORD_VARIABLE}")
    return str(click.prompt(f"Password of {user}", hide_input=True, err=True, default="", show_default=False))
