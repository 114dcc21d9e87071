"""`pellucid serve`: publish an object of a module."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from typing import Any

import click

from pellucid.asyncio.run import run
from pellucid.asyncio.server import serve as served
from pellucid.asyncio.tls import TLS
from pellucid.cli.exits import Exit
from pellucid.cli.failures import Failed, failing, option_errors
from pellucid.cli.options import URL, existing_file, json_option, tls_of
from pellucid.cli.reloading import run_again_and_again
from pellucid.cli.showing import show_json
from pellucid.cli.targets import load, served_by

__all__ = ["serve", "set_at_end"]

_LEVELS = ("debug", "info", "warning", "error")


@click.command(short_help="Publish an object of a module.")
@click.argument("what", metavar="MODULE:OBJECT")
@click.option(
    "--listen",
    "urls",
    metavar="URL",
    type=URL,
    multiple=True,
    default=("pb://127.0.0.1:8787",),
    show_default=True,
    help="Where to listen; may be given several times. Port 0 takes any free one.",
)
@click.option("--reload", is_flag=True, help="Start anew when a Python file below this folder changes.")
@click.option("--tls-certificate", type=existing_file, help="PEM file of the certificate to show, for pbs:// URLs.")
@click.option("--tls-key", type=existing_file, help="PEM file of its key, where that is another one.")
@click.option("--tls-authorities", type=existing_file, help="PEM file of who signs the certificates of clients.")
@click.option("--validate", is_flag=True, help="Check arguments by the annotations of the methods.")
@click.option("--unsafe-tracebacks", is_flag=True, help="Show clients the traceback of what fails here.")
@click.option("--log-level", type=click.Choice(_LEVELS), default="warning", show_default=True, help="What to log.")
@click.option("--until-stdin-ends", is_flag=True, hidden=True)  # of a server that --reload has started
@json_option
def serve(what: str, urls: tuple[str, ...], reload: bool, log_level: str, as_json: bool, **options: Any) -> None:
    """Import MODULE, looked for in this folder first, and publish its OBJECT.

    OBJECT is what a peer may call, or a Portal; a class, of which an instance is made, or a function without
    parameters that returns one of these; or a function that makes the root object of each connection that it is given.

    Where it listens is printed. Ctrl-C or SIGTERM ends it, once the methods that run have ended; a second one at once.

    \b
    pellucid serve quotes:Quoter --listen pb://0.0.0.0:8787 --reload
    """  # noqa: D301 - what click looks for
    if reload and not options["until_stdin_ends"]:
        sys.exit(run(run_again_and_again(sys.argv[2:])))
    logging.basicConfig(level=log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    tls = tls_of(options)
    with failing(as_json):
        run(_serve(load(what), what, urls, tls, as_json=as_json, **options))


async def _serve(
    thing: Any,
    what: str,
    urls: tuple[str, ...],
    tls: TLS | None,
    *,
    as_json: bool,
    until_stdin_ends: bool,
    **options: Any,
) -> None:
    root = await served_by(thing)
    try:
        with option_errors():
            server = served(root, *urls, tls=tls, **options)
    except TypeError as error:
        raise Failed(Exit.FAILED, f"{what} can't be published: {error}") from None
    async with server:
        ending = _ended_by_signals()
        if until_stdin_ends and sys.platform != "win32":
            set_at_end(ending, sys.stdin.fileno())
        if as_json:
            show_json({"listening": server.urls})
        else:
            click.echo(f"listening at {' '.join(server.urls)}")
        await ending.wait()
        if server.connections:
            click.echo("pellucid: ending, once the methods that run have ended; a second Ctrl-C ends them", err=True)


def set_at_end(ending: asyncio.Event, pipe: int) -> None:
    """Set `ending` once a pipe, into which nothing is ever written, has come to its end."""
    loop = asyncio.get_running_loop()

    def end() -> None:
        loop.remove_reader(pipe)  # or the loop would be told of the end again and again
        ending.set()

    loop.add_reader(pipe, end)


def _ended_by_signals() -> asyncio.Event:
    """Set by the first signal to end; the second one does what it always does."""
    loop, ending = asyncio.get_running_loop(), asyncio.Event()

    def end() -> None:
        ending.set()
        for number in numbers:
            loop.remove_signal_handler(number)

    numbers = (signal.SIGINT, signal.SIGTERM)
    if sys.platform != "win32":  # there Ctrl-C is a KeyboardInterrupt, and closes the server as it passes
        for number in numbers:
            loop.add_signal_handler(number, end)
    return ending
