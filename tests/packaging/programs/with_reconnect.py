"""What the extra reconnect is for: a client that finds its server again."""

from __future__ import annotations

import asyncio

import pellucid as pb


class Echoer(pb.Root):
    def remote_echo(self, text: str) -> str:
        return text


async def main() -> None:
    gone = asyncio.Event()
    server = await pb.serve(Echoer(), "pb://127.0.0.1:0")
    (url,) = server.urls
    async with pb.reconnecting(url, first_wait=0.1, longest_wait=1.0, on_disconnected=gone.set) as client:
        root = await client.root()
        await server.close()
        await gone.wait()
        assert not root.alive
        async with pb.serve(Echoer(), url):
            assert await (await client.root()).call("echo", "hello") == "hello"
    print("calls after the server has come back")


pb.run(main())
