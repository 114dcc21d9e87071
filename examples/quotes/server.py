"""Quotes of the day: by Perspective Broker, and side by side as plain text for whoever connects (RFC 865).

Run it with ``python examples/quotes/server.py --file examples/quotes/fortunes.txt``, then run client.py beside it, or
``nc 127.0.0.1 8007``. Ctrl-C ends it.
"""

import argparse
import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import pellucid as pb

Quoter = Callable[[], str]
"""Gives a quote, perhaps another one each time."""


class QuoteReader(pb.Root):
    def __init__(self, quoter: Quoter) -> None:
        self.quoter = quoter

    def remote_nextQuote(self) -> str:
        return self.quoter()


def send_quote(quoter: Quoter, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(f"{quoter()}\r\n".encode())
    writer.close()


def read_fortunes(path: Path) -> list[str]:
    """The quotes of a file, where a line with nothing but a percent sign stands between two."""
    quotes = f"\n{path.read_text('utf-8')}\n".replace("\n%\n", "\0").split("\0")
    return [quote.strip() for quote in quotes if quote.strip()]


async def main(quotes: list[str], plain_port: int, pb_port: int) -> None:
    quoter = partial(random.choice, quotes)
    plain = await asyncio.start_server(partial(send_quote, quoter), "127.0.0.1", plain_port)
    async with plain, pb.serve(QuoteReader(quoter), f"pb://127.0.0.1:{pb_port}") as server:
        host, port = plain.sockets[0].getsockname()
        print("listening at", *server.urls, f"tcp://{host}:{port}", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Tell quotes. Port 0 stands for any free port.")
    parser.add_argument("-p", "--port", type=int, default=8007, help="where to tell them as plain text")
    parser.add_argument("-b", "--pb", type=int, default=8787, help="where to tell them by Perspective Broker")
    parser.add_argument("-s", "--static", default="An apple a day keeps the doctor away.", help="the only quote")
    parser.add_argument("-f", "--file", type=Path, help="a file of quotes to choose from, with % lines between them")
    options = parser.parse_args()
    try:
        quotes = read_fortunes(options.file) if options.file else [options.static]
    except (OSError, UnicodeError) as error:
        parser.error(str(error))
    if not quotes:
        parser.error(f"there is no quote in {options.file}")
    with suppress(KeyboardInterrupt):
        pb.run(main(quotes, options.port, options.pb))
