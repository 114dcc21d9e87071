"""Peers that are killed at a moment of their own choice: forked off one program, as starting one takes so much longer.

A mortal counts the functions of pellucid's that it enters, and kills itself, as ``kill -9`` does, when it enters the
one that it was told. So it can die anywhere: while it decodes, between two writes, before it has said a word. Another
one, that is `Doomed`, dies when its caller says.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import resource
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import pellucid as pb
from pellucid.core.broker import Broker
from tests.system.conversation import REGISTRY, Board, Caller, Notebook, Realm, portal
from tests.system.programs import Running
from tests.unit.asyncio.door import LOOPS

__all__ = ["HALF", "LIMITS", "LITTLE", "QUEUED", "SILENCE", "Life", "Nursery", "much"]

OURS = str(Path(pb.__file__).parent)


SILENCE = 1
"""Seconds in which a mortal wants a sign of life, and of what waits for a peer that does not read ..."""

QUEUED = 256 * 1024
"""... how many bytes are enough."""

LIMITS = pb.Limits(silence_seconds=SILENCE, queued_bytes=QUEUED)

LITTLE = pb.Limits(queued_bytes=QUEUED, buffer_bytes=4 * QUEUED, kept_bytes=4 * QUEUED)
"""What a server has for each peer that expects some which do not read."""

FEW = 64
"""Descriptors of a server that has few."""

HALF = 5_000_000
"""Bytes after which it dies in the middle of what is `much`."""


def much(dialect: str) -> Any:
    """As large a value as may cross: 100 MB, or all that one message of PB holds."""
    return bytes(100_000_000) if dialect == "pellucid" else [bytes(600_000)] * 20


class Life(NamedTuple):
    """What a mortal does, and when it dies."""

    dialect: str
    loop: str
    dies_at: int = 0
    """Before it enters so many of pellucid's functions; 0 for never."""
    notebook: str = os.devnull
    url: str = ""
    """Where to connect; a server is told nothing."""
    part: str = "converse"
    """What to do; see `PARTS`."""


class Nursery:
    """Where mortals come from."""

    def __init__(self) -> None:
        self._program = Running(Path(__file__), path=Path(__file__).parents[2], listens=True)
        self._asked = 0

    def bear_server(self, life: Life) -> str:
        """Have one serve; its URL."""
        return self._answer(self._ask(life))

    async def until_client_dies(self, life: Life) -> None:
        """Have one connect and live its life to the end."""
        how = await asyncio.to_thread(self._answer, self._ask(life))
        assert how == f"ended by {signal.SIGKILL}", how

    def close(self) -> None:
        """Nobody is left."""
        self._program.close()

    def _ask(self, life: Life) -> str:
        self._asked += 1
        self._program.tell(json.dumps([self._asked, life]))
        return str(self._asked)

    def _answer(self, asked: str) -> str:
        while True:  # what an earlier test has not waited for is skipped
            number, _, said = self._program.line().partition(" ")
            if number in (asked, ""):
                return said


def mortal_counter(dies_at: int) -> list[int]:
    """Begin to count the functions that are entered, up to that one; what was counted so far."""
    counted = [0]

    def count(frame: FrameType, event: str, arg: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(OURS):
            counted[0] += 1
            if counted[0] == dies_at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(count)
    return counted


def die() -> None:
    """At once, and without a word."""
    os.kill(os.getpid(), signal.SIGKILL)


def die_when_received(size: int) -> None:
    """Die once so many bytes have come."""
    receive, left = Broker.receive_data, [size]

    def receive_data(self: Broker, data: bytes) -> None:
        left[0] -= len(data)
        return receive(self, data) if left[0] > 0 else die()

    Broker.receive_data = receive_data  # type: ignore[method-assign]


def die_when_sent(size: int) -> None:
    """Die once so many bytes have been handed to the transport, in whatever way."""
    pieces, messages, left = Broker.next_piece, Broker.data_to_send, [size]

    def next_piece(self: Broker, size: int) -> Any:
        parts = pieces(self, size)
        left[0] -= sum(map(len, parts))
        return parts if left[0] > 0 else die()

    def data_to_send(self: Broker) -> bytes:
        data = messages(self)
        left[0] -= len(data)
        # All of it is one write over the PB dialects: the system takes a part of it.
        if left[0] <= 0:
            asyncio.get_running_loop().call_soon(die)
        return data

    Broker.next_piece, Broker.data_to_send = next_piece, data_to_send  # type: ignore[method-assign]


class Doomed(pb.Root):
    """What a server of that kind publishes."""

    def __init__(self, dialect: str) -> None:
        self._dialect = dialect
        self._board = Board(lambda line: None)
        self._pages = 0

    def remote_echo(self, value: Any = None) -> Any:
        return value

    def remote_die(self) -> None:
        die()

    def remote_page(self, size: int) -> bytes:
        self._pages += 1
        return os.urandom(100) * (size // 100)  # of its own, or the system would give it the same zeros each time

    def remote_pages(self) -> int:
        return self._pages

    def remote_pid(self) -> int:
        return os.getpid()

    def remote_stop(self) -> None:
        os.kill(os.getpid(), signal.SIGSTOP)

    def remote_answer_and_die(self) -> str:
        asyncio.get_running_loop().call_soon(die)  # the answer is written before
        return "last words"

    def remote_die_when_received(self) -> None:
        die_when_received(HALF)

    def remote_much(self) -> Any:
        die_when_sent(HALF)
        return much(self._dialect)

    def remote_board(self) -> Board:
        return self._board

    async def request_avatar(self, avatar_id: str, mind: Any) -> Any:
        die()


async def converse(sock: socket.socket | None, life: Life) -> None:
    notebook = Notebook(Path(life.notebook))
    counted = mortal_counter(life.dies_at)
    if sock is not None:
        root = portal(Realm(notebook.note, lambda: counted[0]))
        async with pb.serve(root, sock=sock, registry=REGISTRY) as server:
            await server.serve_forever()
    await Caller(notebook.note).converse(life.url, life.dialect)
    sys.setprofile(None)
    notebook.note(f"counted {counted[0]}")


async def be_doomed(sock: socket.socket | None, life: Life) -> None:
    doomed = Doomed(life.dialect)
    notebook = Notebook(Path(life.notebook))

    def root_for(connection: pb.Connection) -> Doomed:
        connection.notify_on_disconnect(lambda: notebook.note("lost"))
        return doomed

    async with pb.serve(root_for, sock=sock or (), registry=REGISTRY, limits=LIMITS) as server:
        await server.serve_forever()


class Short(Doomed):
    """What a server publishes that has few descriptors, and on demand none."""

    def remote_exhaust(self) -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (FEW, FEW))
        self._taken: list[int] = []
        with suppress(OSError):
            while True:
                self._taken.append(os.open(os.devnull, os.O_RDONLY))

    def remote_free(self) -> None:
        for descriptor in self._taken:
            os.close(descriptor)


async def run_short(sock: socket.socket | None, life: Life) -> None:
    """Serve, and note what is logged, by whomever."""
    notebook = Notebook(Path(life.notebook))
    noting = logging.Handler()
    noting.emit = lambda record: notebook.note(record.getMessage())  # type: ignore[method-assign]
    logging.basicConfig(handlers=[noting], level=logging.INFO)
    async with pb.serve(Short(life.dialect), sock=sock or ()) as server:
        await server.serve_forever()


async def give_pages(sock: socket.socket | None, life: Life) -> None:
    async with pb.serve(Doomed(life.dialect), sock=sock or (), limits=LITTLE) as server:
        await server.serve_forever()


async def let_log_in(sock: socket.socket | None, life: Life) -> None:
    portal = pb.Portal(Doomed(life.dialect), [pb.InMemoryPasswords({"alice": "secret"})])
    async with pb.serve(portal, sock=sock or ()) as server:
        await server.serve_forever()


async def send_much(sock: socket.socket | None, life: Life) -> None:
    connection = await pb.connect(life.url, dialects=[life.dialect])
    die_when_sent(HALF)
    await connection.root.call("take", much(life.dialect))


async def receive_much(sock: socket.socket | None, life: Life) -> None:
    connection = await pb.connect(life.url, dialects=[life.dialect])
    die_when_received(HALF)
    await connection.root.call("much", life.dialect)


async def stop_and_go_on(sock: socket.socket | None, life: Life) -> None:
    """Stop, and note what is left of the connection when somebody has this go on."""
    notebook = Notebook(Path(life.notebook))
    connection = await pb.connect(life.url, dialects=[life.dialect], limits=LIMITS)
    waiting = connection.root.call("wait", os.getpid())
    await connection.root.call("echo")
    os.kill(os.getpid(), signal.SIGSTOP)
    try:
        await waiting
    except pb.PBConnectionLost:
        await connection.wait_closed()
        notebook.note("lost")


PARTS = {
    part.__name__: part
    for part in (
        *(converse, be_doomed, let_log_in, run_short, give_pages),
        *(send_much, receive_much, stop_and_go_on),
    )
}
"""By name, what a mortal may do."""


def main() -> None:
    """Fork off a mortal for each line. Say where it listens; of one that does not, how it ended."""
    for name in pb.__all__:
        getattr(pb, name)  # imported once, not in each
    gc.freeze()
    for line in sys.stdin:
        number, life = json.loads(line)
        life = Life(*life)
        sock = socket.create_server(("127.0.0.1", 0)) if not life.url else None
        pid = os.fork()
        if not pid:
            with asyncio.Runner(loop_factory=LOOPS[life.loop]) as runner:
                runner.run(PARTS[life.part](sock, life))
                die()
        if sock is None:
            _, status = os.waitpid(pid, 0)
            said = f"ended by {-os.waitstatus_to_exitcode(status)}"
        else:
            said = f"pb://127.0.0.1:{sock.getsockname()[1]}"
            sock.close()
        print(number, said, flush=True)  # noqa: T201 - a program that is listened to


if __name__ == "__main__":
    main()
