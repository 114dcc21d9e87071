"""A blocking front for scripts, threads and notebooks, on the asyncio door.

``with connect(url) as connection: connection.root.call("echo", "hi")``. The event loop runs in a thread of its own.
"""

from __future__ import annotations

from pellucid.blocking.connection import Connection, connect
from pellucid.blocking.loop import run
from pellucid.blocking.references import Call, Configured, RemoteReference, gather
from pellucid.blocking.server import Server, serve

__all__ = [
    "Call",
    "Configured",
    "Connection",
    "RemoteReference",
    "Server",
    "connect",
    "gather",
    "run",
    "serve",
]
