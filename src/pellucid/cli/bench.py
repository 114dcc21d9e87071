"""`pellucid bench`: how fast a method answers."""

from __future__ import annotations

import asyncio
from typing import Any

import click
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from pellucid.asyncio.connection import Connection
from pellucid.cli.access import Access
from pellucid.cli.exits import Exit
from pellucid.cli.failures import Failed, failing
from pellucid.cli.loads import Measured, closed_loop, open_loop
from pellucid.cli.options import access_options, complete_method
from pellucid.cli.showing import console, show_json
from pellucid.cli.texts import printable
from pellucid.cli.values import parse_arguments
from pellucid.core.references import RemoteReference

__all__ = ["bench"]

_BAR = 40
_SECONDS_PER_LOOK = 0.1


@click.command(short_help="Measure how fast a method answers.", context_settings={"ignore_unknown_options": True})
@access_options()
@click.argument("method", shell_complete=complete_method)
@click.argument("arguments", metavar="[ARGS]...", nargs=-1)
@click.option("--seconds", type=click.FloatRange(0.01, 86_400), default=5, show_default=True, help="How long.")
@click.option(
    "--workers", type=click.IntRange(1, 10_000), default=1, show_default=True, help="Calls under way at once."
)
@click.option("--rate", type=click.FloatRange(0.01), metavar="CALLS", help="Make so many calls a second instead.")
def bench(
    access: Access, method: str, arguments: tuple[str, ...], seconds: float, workers: int, rate: float | None
) -> None:
    """Call METHOD of the object that the server at URL publishes again and again, and tell how long answers took.

    A number of workers call, each anew when it has its answer: how much does it manage? With --rate so many calls are
    made each second, answered or not, and each counts from when it was due: how long does one wait under that load?
    ARGS are those of `pellucid call`. All calls go over one connection. --timeout is for the first call, and once more
    for those that are not answered yet at the end.

    \b
    pellucid bench pb://localhost:8787 echo hello --workers 64
    pellucid bench pb://localhost:8787 echo hello --rate 1000
    """  # noqa: D301 - what click looks for
    args, kwargs = parse_arguments(arguments)
    measured = Measured()

    async def measure(connection: Connection, reference: RemoteReference) -> None:
        make = reference.call
        # What can't work at all is said at once.
        await reference.call_with(timeout=access.timeout).call(method, *args, **kwargs)
        showing = asyncio.create_task(_show_progress(measured, seconds))
        try:
            async with asyncio.timeout(seconds + access.timeout):
                if rate is None:
                    await closed_loop(lambda: make(method, *args, **kwargs), measured, workers=workers, seconds=seconds)
                else:
                    await open_loop(lambda: make(method, *args, **kwargs), measured, rate=rate, seconds=seconds)
        except ExceptionGroup as errors:  # the first tells enough
            raise errors.exceptions[0] from None
        finally:
            showing.cancel()
            await asyncio.wait([showing])

    access.run(measure, timed=False)
    load = {"workers": workers} if rate is None else {"rate": rate}
    _tell(measured, access, method, load)
    if measured.errors or measured.skipped:
        with failing(access.as_json):
            failed = f"{measured.errors.total()} calls failed, and {measured.skipped} were not made"
            raise Failed(Exit.FAILED, failed)


async def _show_progress(measured: Measured, seconds: float) -> None:
    columns = TextColumn("{task.completed:.1f} s"), BarColumn(), TextColumn("{task.fields[calls]} calls")
    screen = console(err=True)
    with Progress(
        *columns, TimeRemainingColumn(), console=screen, transient=True, disable=not screen.is_terminal
    ) as bar:
        task = bar.add_task("", total=seconds, calls=0)
        while True:
            bar.update(task, completed=measured.seconds, calls=len(measured.latencies))
            await asyncio.sleep(_SECONDS_PER_LOOK)


def _tell(measured: Measured, access: Access, method: str, load: dict[str, Any]) -> None:
    calls, latencies = len(measured.latencies), measured.latencies.summary()
    per_second = calls / measured.seconds if measured.seconds else 0.0
    if access.as_json:
        show_json(
            {
                "url": access.url,
                "method": method,
                "load": load,
                "seconds": measured.seconds,
                "calls": calls,
                "calls_per_second": per_second,
                "errors": measured.errors,
                "skipped": measured.skipped,
                "latency_seconds": latencies,
                "histogram": measured.latencies.histogram(),
            }
        )
        return
    out = console()
    loaded = f"at {load['rate']:g} calls/s" if "rate" in load else f"by {load['workers']} at a time"
    out.print(f"{calls} calls in {measured.seconds:.2f} s, {loaded}: {per_second:.0f} calls/s")
    for name, count in measured.errors.most_common():
        out.print(f"{count} calls failed: {printable(name)}")
    if latencies:
        out.print("  ".join(f"{name} {_time(seconds)}" for name, seconds in latencies.items()))
        histogram = measured.latencies.histogram()
        most = max(count for _, count in histogram)
        for bound, count in histogram:
            out.print(f"{_time(bound):>9} {'█' * round(_BAR * count / most):{_BAR}} {count}")


def _time(seconds: float) -> str:
    for unit, size in ("s", 1.0), ("ms", 1e-3):
        if seconds >= size * 0.9995:  # what would be rounded up to it
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"
