"""See pellucid work: ``make demo``, or ``python examples/demo.py``.

It says what it does, shows the code that does it, and what came back. It ends by itself, within seconds; the exit code
is 0 only when all of it came out right. One step needs Twisted, which ``make demo`` has.
"""

import argparse
import asyncio
import os
import signal
import sys
import textwrap
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from os.path import relpath
from pathlib import Path

import pellucid as pb

QUOTES = Path(__file__).parent / "quotes"
SECONDS = 30
"""The longest that all of it may take."""


class Wrong(Exception):
    """Something came back that should not have."""


# What is shown.

IN_COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ
RIGHT, WRONG = "✓✗" if (sys.stdout.encoding or "").lower().startswith("utf") else "+!"


def painted(text: str, colour: int) -> str:
    return f"\x1b[{colour}m{text}\x1b[0m" if IN_COLOUR else text


def step(title: str, code: str = "") -> None:
    """Say what is done next, and the code that does it."""
    print(f"\n{painted(title, 1)}")
    for line in code.splitlines():
        print("   ", painted(line, 36))
    sys.stdout.flush()


def came_back(text: str, mark: str = painted(RIGHT, 32)) -> None:
    """Show what came back."""
    lines = [part for line in text.expandtabs(4).splitlines() for part in textwrap.wrap(line, 100) or [""]]
    print(" ", mark, "\n    ".join(lines), flush=True)


def check(right: bool, text: str) -> None:
    """Show what came back, which must be right."""
    if not right:
        raise Wrong(f"this should not have come back: {text}")
    came_back(text)


@contextmanager
def raises(expected: type[Exception]) -> Generator[None]:
    """What is done inside must fail with an `expected`, which is what came back."""
    try:
        yield
    except expected as error:
        came_back(f"{type(error).__name__}: {error}")
    else:
        raise Wrong(f"no {expected.__name__} came back")


# Part one: a server that is a process of its own, and three ways to talk to it.


def as_typed(*command: object) -> str:
    """A command as one would type it here: paths lead from the current folder."""
    return " ".join(relpath(part) if isinstance(part, Path) else str(part) for part in command)


@asynccontextmanager
async def process(*command: object) -> AsyncGenerator[Process]:
    """A Python program that runs while the block does."""
    started = await asyncio.create_subprocess_exec(sys.executable, *map(str, command), stdout=PIPE, stderr=PIPE)
    try:
        yield started
    finally:
        with suppress(ProcessLookupError):
            started.kill()
        await started.communicate()


async def output(running: Process) -> str:
    """All that a program prints until it ends. It must succeed."""
    out, err = await running.communicate()
    if running.returncode:
        raise Wrong((err.decode().strip().splitlines() or [f"exit code {running.returncode}"])[-1])
    return out.decode().strip()


async def first_line(running: Process) -> str:
    """What a program says first."""
    assert running.stdout is not None
    line = (await running.stdout.readline()).decode().strip()
    if not line:
        raise Wrong(await output(running) or "the program ended and said nothing")
    return line


def is_from(fortunes: Path, quote: str) -> bool:
    return bool(quote) and quote in fortunes.read_text("utf-8")


async def show_quotes(fortunes: Path) -> None:
    command = (QUOTES / "server.py", "--port", 0, "--pb", 0, "--file", fortunes)
    step("Start a quote server, in a process of its own", f"python {as_typed(*command)}")
    async with process(*command) as server:
        greeting = await first_line(server)
        came_back(greeting)
        pb_url, plain_url = greeting.split()[-2:]

        step("Ask it from asyncio", 'await connection.root.call("nextQuote")')
        async with pb.connect(pb_url) as connection:
            quote = await connection.root.call("nextQuote")
        check(is_from(fortunes, quote), quote)

        step("Ask it from stock Twisted, in another process", 'await root.callRemote("nextQuote")')
        async with process(QUOTES / "client_twisted.py", "--port", pb_url.rpartition(":")[2]) as client:
            quote = await output(client)
        check(is_from(fortunes, quote), quote)

        host, _, port = plain_url.removeprefix("tcp://").rpartition(":")
        step("Ask it over plain TCP, which it speaks as well", f"nc {host} {port}")
        reader, writer = await asyncio.open_connection(host, int(port))
        quote = (await reader.read()).decode().strip()
        writer.close()
        check(is_from(fortunes, quote), quote)


# Part two: what objects can do. Both ends are in this process; between them is a TCP connection all the same.


class OutOnLoan(pb.Error):
    """Somebody else has the book."""


class Book(pb.Referenceable):
    def __init__(self, first_words: str) -> None:
        self.first_words = first_words

    def remote_read(self) -> str:
        return self.first_words


class Library(pb.Root):
    def __init__(self) -> None:
        self.emma = Book("Emma Woodhouse, handsome, clever, and rich, ...")
        self.lent = False

    def remote_lend(self) -> Book:
        if self.lent:
            raise OutOnLoan("somebody is reading Emma")
        self.lent = True
        return self.emma

    def remote_take_back(self, book: Book) -> str:
        return "thank you" if book is self.emma else "that is none of our books"

    async def remote_remind(self, reader: pb.RemoteReference) -> str:
        return f"the reader said {await reader.call('remember', 'Emma is due on Friday')!r}"


class Reader(pb.Referenceable):
    def remote_remember(self, what: str) -> str:
        return f"I'll remember: {what}"


async def show_objects() -> None:
    async with pb.serve(Library(), "pb://127.0.0.1:0") as server:
        (url,) = server.urls
        code = f'connection = await pb.connect("{url}")\nlibrary = connection.root'
        step("Connect to a library: an object that gives out other objects", code)
        connection = await pb.connect(url)
        library = connection.root
        came_back(str(library))

        step("Get a reference to an object, and call it", 'book = await library.call("lend")\nawait book.call("read")')
        book = await library.call("lend")
        words = await book.call("read")
        check(words == "Emma Woodhouse, handsome, clever, and rich, ...", f"{book}\n{words}")

        step("A remote exception arrives as what it is", 'await library.call("lend")')
        with raises(OutOnLoan):
            await library.call("lend")

        step("Give the reference back: its owner gets the object itself", 'await library.call("take_back", book)')
        thanks = await library.call("take_back", book)
        check(thanks == "thank you", thanks)

        step("Have the server call an object of yours", 'await library.call("remind", Reader())')
        told = await library.call("remind", Reader())
        check(told == '''the reader said "I'll remember: Emma is due on Friday"''', told)

        step("What may not cross is refused before it is sent", 'await library.call("take_back", {"book": object()})')
        with raises(pb.InsecureJelly):
            await library.call("take_back", {"book": object()})

        step("A reference whose connection has ended says so at once", 'await connection.close()\nbook.call("read")')
        await connection.close()
        with raises(pb.DeadReferenceError):
            book.call("read")


async def show(fortunes: Path) -> None:
    task = asyncio.current_task()
    assert task is not None
    with suppress(NotImplementedError):  # Windows has no such signal
        # Being killed ends it as Ctrl-C does, so that it leaves no process behind.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with asyncio.timeout(SECONDS):
        await show_quotes(fortunes)
        await show_objects()


def main() -> int:
    parser = argparse.ArgumentParser(description="See pellucid work.")
    parser.add_argument("--fortunes", type=Path, default=QUOTES / "fortunes.txt", help="the file of quotes to serve")
    options = parser.parse_args()
    print("pellucid: remote objects for asyncio, in the language of Twisted's Perspective Broker")
    try:
        pb.run(show(options.fortunes))
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130
    except Exception as error:
        came_back(str(error) if isinstance(error, Wrong) else repr(error), painted(WRONG, 31))
        return 1
    print("\nAll of it came out right. Next, read the programs in examples/, this one included.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
