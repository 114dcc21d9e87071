from __future__ import annotations

import socket
from typing import Any

import pytest

import pellucid as pb
from tests.unit.asyncio.door import on_each_loop, pair

TCP_OPTIONS = ["TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT"]


def options(connection: Any) -> dict[str, int]:
    sock = connection._transport.get_extra_info("socket")
    found = {"SO_KEEPALIVE": sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)}
    for name in TCP_OPTIONS:
        found[name] = sock.getsockopt(socket.IPPROTO_TCP, getattr(socket, name))
    return found


@pytest.mark.parametrize(
    ("seconds", "idle", "interval"), [(60, 30, 6), (100, 50, 10), (1, 1, 1)], ids=["default", "longer", "least"]
)
@on_each_loop
async def test_a_peer_that_vanishes_is_noticed_by_the_system_within_the_limit(
    seconds: int, idle: int, interval: int
) -> None:
    limits = pb.Limits(silence_seconds=seconds)
    async with pair(pb.Root(), limits=limits, client={"limits": limits}) as both:
        for side in both.client, both.served:
            assert options(side) == {
                "SO_KEEPALIVE": 1,
                "TCP_KEEPIDLE": idle,
                "TCP_KEEPINTVL": interval,
                "TCP_KEEPCNT": 5,
            }
