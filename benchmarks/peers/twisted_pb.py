"""Twisted's own Perspective Broker: as shipped, or with Nagle's algorithm off, where the variant says "nodelay"."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from twisted.internet import defer
from twisted.spread import pb  # noqa: TID251 - the peer to compare with

from benchmarks.peers import pb_program
from benchmarks.peers.base import Ready, Setup

pb.MAX_BROKER_REFS = 200_000
"""As shipped it is 1,024, too few for some workloads; it costs nothing to have it larger."""


class Undelayed(pb.Broker):
    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)
        super().connectionMade()


def broker_for(setup: Setup) -> Any:
    return Undelayed if setup.variant == "nodelay" else pb.Broker


def as_deferred(method: Callable[..., Any]) -> Callable[..., Any]:
    """PB answers with what a Deferred has, but knows no coroutines."""

    @wraps(method)
    def run(*args: Any) -> Any:
        return defer.ensureDeferred(method(*args))

    return run


def serve(setup: Setup, ready: Ready) -> None:
    pb_program.serve(pb, pb_program.make_root(pb, as_deferred), broker_for(setup), setup, ready)


class Client(pb_program.Client):
    pb = pb

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.broker = broker_for(setup)
