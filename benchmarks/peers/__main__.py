"""One role of one peer, in a process of its own. The parent, run.py, starts it.

    python -m benchmarks.peers server PEER --case CASE
    python -m benchmarks.peers client PEER --case CASE --port PORT --server PROCESS [--where TEXT] [--seconds SECONDS]

A server prints one line of JSON once it listens, ``{"port": ..., "where": ...}``, and ends when its standard input
does. A client prints one line of JSON: what it measured, or ``{"unavailable": reason}``.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import threading
from importlib import import_module
from typing import Any

from benchmarks.peers import PEERS
from benchmarks.peers.base import Client, Setup, Unavailable
from benchmarks.workloads import WORKLOADS, Job

SECONDS = 900
"""No role lasts longer, whatever becomes of the parent."""


def main() -> int:
    parser = argparse.ArgumentParser(description="One role of one peer.")
    parser.add_argument("role", choices=["server", "client"])
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("--case", required=True, choices=WORKLOADS)
    parser.add_argument("--cpu", type=int, help="the processor to stay on")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--where", default="", help="what the server said besides its port")
    parser.add_argument("--server", type=int, default=0, help="the server's process")
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--size", type=int, help="how many of what the case has many of")
    arguments = parser.parse_args()
    if arguments.cpu is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {arguments.cpu})
    allow_many_files()
    logging.disable(logging.ERROR)
    peer = PEERS[arguments.peer]
    setup = Setup(peer.variant, arguments.case, arguments.port, arguments.where, arguments.size)
    end_with(sys.stdin.fileno() if arguments.role == "server" else None)
    try:
        module = import_module(f"benchmarks.peers.{peer.module}")
        if arguments.role == "server":
            module.serve(setup, ready)
        else:
            say(measure(module.Client(setup), Job(arguments.seconds, arguments.size, arguments.server)))
    except Unavailable as reason:
        say({"unavailable": str(reason)})
    except ModuleNotFoundError as missing:
        say({"unavailable": f"not installed: {missing.name}"})
    sys.stdout.flush()
    os._exit(0)  # threads and loops of the peer's are no longer of interest


def measure(client: Client, job: Job) -> dict[str, Any]:
    async def work() -> dict[str, Any]:
        await client.open()
        measured = await WORKLOADS[client.setup.case](client, job)
        return {"cost": measured.cost, "operations": measured.operations, "extra": measured.extra}

    return client.run(work())


def ready(port: int, where: str = "") -> None:
    """The server listens."""
    say({"port": port, "where": where})


def say(facts: dict[str, Any]) -> None:
    print(json.dumps(facts), flush=True)


def end_with(stream: int | None) -> None:
    """End this process when a stream ends, and after a while in any case."""

    def wait() -> None:
        if stream is not None:
            while os.read(stream, 1024):
                pass
            os._exit(0)

    timer = threading.Timer(SECONDS, os._exit, [1])
    timer.daemon = True
    timer.start()
    threading.Thread(target=wait, daemon=True).start()


def allow_many_files() -> None:
    try:
        import resource
    except ImportError:
        return
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most if most != resource.RLIM_INFINITY else 65_536, most))


if __name__ == "__main__":
    sys.exit(main())
