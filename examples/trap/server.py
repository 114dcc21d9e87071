"""A server to fail with, in each of the ways that client.py knows to tell apart.

Run it with ``python examples/trap/server.py``, then run client.py beside it, which also shuts it down.
"""

import argparse
import asyncio
from contextlib import suppress

import pellucid as pb


class MyException(pb.Error):
    pass


class One(pb.Root):
    def __init__(self) -> None:
        self.stopped = asyncio.Event()

    def remote_fooMethod(self, arg: str) -> str:
        if arg == "panic!":
            raise MyException
        return "response"

    def remote_shutdown(self) -> None:
        self.stopped.set()


async def main(port: int) -> None:
    one = One()
    async with pb.serve(one, f"pb://127.0.0.1:{port}") as server:
        print("listening at", *server.urls, flush=True)
        await one.stopped.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Fail on request.")
    parser.add_argument("-p", "--port", type=int, default=8800, help="where to listen; 0 for any free port")
    with suppress(KeyboardInterrupt):
        pb.run(main(parser.parse_args().port))
