"""What works without any extra: calls in every dialect, a front for threads, and advice on what to install."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pellucid as pb
import pellucid.blocking


class Echoer(pb.Root):
    def remote_echo(self, text: str) -> str:
        return text


def echo_while_blocking(url: str) -> str:
    with pellucid.blocking.connect(url) as connection:
        echoed: str = connection.root.call("echo", "hello")
        return echoed


async def main() -> None:
    dialects = ("pellucid", "pb", "none")
    async with pb.serve(Echoer(), "pb://127.0.0.1:0") as server:
        for dialect in dialects:
            async with pb.connect(*server.urls, dialects=[dialect]) as connection:
                assert await connection.root.call("echo", "hello") == "hello"
                assert connection.dialect == dialect
        assert await asyncio.to_thread(echo_while_blocking, *server.urls) == "hello"
    print("calls in", *dialects)
    print("says", advice_on("reconnect", lambda: pb.reconnecting("pb://127.0.0.1:1")))
    print("says", advice_on("scram", lambda: pb.ScramKeys.of_password("sesame", b"salt" * 4)))
    print("says", advice_on("twisted", lambda: exec("from pellucid.twisted import pb")))


def advice_on(extra: str, use: Callable[[], object]) -> str:
    """What `use` says of that extra, which it needs and which is not installed."""
    try:
        use()
    except ImportError as error:
        assert f"pip install 'pellucid[{extra}]'" in str(error), error
        return str(error)
    raise AssertionError(f"{extra} is installed")


if __name__ == "__main__":
    pb.run(main())
