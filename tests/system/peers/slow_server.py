"""A server whose method ends when the server is told to, or never: ``slow_server.py SECONDS ends|goes_on``."""

import asyncio
import sys

import pellucid as pb


def say(words):
    print(words, flush=True)


class Slow(pb.Root):
    def __init__(self):
        self.opened = asyncio.Event()

    async def remote_wait(self):
        say("runs")
        try:
            await self.opened.wait()
        except asyncio.CancelledError:
            say("was cancelled")
            raise
        say("has ended")
        return "in time"


async def main():
    limits = pb.Limits(close_seconds=float(sys.argv[1]))
    slow = Slow()
    try:
        async with pb.serve(slow, "pb://127.0.0.1:0", limits=limits) as server:
            say(f"listening at {server.urls[0]}")
            try:
                await asyncio.Event().wait()
            finally:
                if sys.argv[2] == "ends":
                    slow.opened.set()
    finally:
        say("closed")


try:
    pb.run(main())
except KeyboardInterrupt:
    say("interrupted")
