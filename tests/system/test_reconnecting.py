"""A client that connects again, and a server that dies and is started again, in a process of its own."""

from __future__ import annotations

import asyncio

import pellucid as pb
from tests.system.programs import EXAMPLES, SECONDS, Start


def test_a_client_outlives_a_server_that_is_killed_and_started_again(start: Start) -> None:
    program = EXAMPLES / "echo" / "server.py"
    first = start(program, "--port", 0)
    port = first.port()
    died: list[str] = []

    async def use() -> None:
        url = f"pb://127.0.0.1:{port}"
        gone = asyncio.Event()
        async with (
            asyncio.timeout(SECONDS),
            pb.reconnecting(url, on_disconnected=gone.set, first_wait=0.01, longest_wait=0.1) as client,
        ):
            root = await client.root()
            assert await root.call("echo", "one") == "one"
            first.close()
            await gone.wait()
            died.append(repr(root))
            second = start(program, "--port", port)
            assert second.port() == port
            assert await (await client.root()).call("echo", "two") == "two"

    asyncio.run(use())
    assert died == ["<RemoteReference root dead>"]
