"""What the extra uvloop is for: `pellucid.run` runs programs on it."""

from __future__ import annotations

import asyncio

import uvloop

import pellucid as pb


class Echoer(pb.Root):
    async def remote_echo(self, text: str) -> str:
        return text


async def main() -> None:
    assert isinstance(asyncio.get_running_loop(), uvloop.Loop)
    async with pb.serve(Echoer(), "pb://127.0.0.1:0") as server, pb.connect(*server.urls) as connection:
        assert await connection.root.call("echo", "hello") == "hello"
    print("calls on uvloop")


pb.run(main())
