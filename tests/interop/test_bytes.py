"""The bytes that pellucid sends are the bytes that Twisted sends.

The transcripts in tests/data/pb were recorded between two stock brokers (peers/record.py). Here pellucid plays either
side of each, against a script that says the other side's lines, and must say to the byte what the stock broker said.
Only releases may come at another moment: pellucid never lets one overtake an answer, as stock brokers do.
"""

from __future__ import annotations

import asyncio
import gc
import re
import subprocess
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

import pellucid as pb
from pellucid.auth.challenge import respond
from pellucid.wire.pb import banana
from pellucid.wire.pb.vocabulary import WORDS
from tests.interop import twin
from tests.interop.harness import PEERS, Server, run
from tests.interop.peers.samples import SAMPLES, UNORDERED, USERS
from tests.interop.releases import PEER_PYTHON
from tests.interop.test_login import Mind, password

TRANSCRIPTS = Path(__file__).parent.parent / "data" / "pb"
CONVERSATIONS = sorted({path.name.split(".")[0] for path in TRANSCRIPTS.glob("*.txt")})

RELEASES = (b"decref", b"decache")


@dataclass
class Line:
    """One expression of a transcript: who said it, its bytes in hex, and what it means."""

    speaker: str
    pairs: list[str]
    expression: str

    @property
    def is_release(self) -> bool:
        return self.expression.startswith(("[b'decref'", "[b'decache'"))

    def data(self, filling: bytes) -> bytes:
        """The bytes; those that differ from one run to the next, written ``??``, are taken from `filling`."""
        rest = iter(filling)
        return bytes(next(rest) if pair == "??" else int(pair, 16) for pair in self.pairs)

    def masked(self, data: bytes) -> bytes:
        return bytes(byte for pair, byte in zip(self.pairs, data, strict=True) if pair == "??")

    def check(self, data: bytes) -> None:
        said = [
            "??" if place < len(self.pairs) and self.pairs[place] == "??" else f"{byte:02x}"
            for place, byte in enumerate(data)
        ]
        assert said == self.pairs, f"instead of {self.expression}"


def read_transcript(name: str, dialect: str) -> list[Line]:
    lines = []
    for line in (TRANSCRIPTS / f"{name}.{dialect}.txt").read_text().splitlines()[1:]:
        said = re.fullmatch(r"([SC]) ([0-9a-f? ]+)  # (.*)", line)
        assert said is not None
        lines.append(Line(said[1], said[2].split(), said[3]))
    return lines


class Script:
    """Says the lines of one speaker, and listens whether pellucid says those of the other."""

    def __init__(self, lines: list[Line], speaker: str, password: str = USERS["alice"]) -> None:
        self.lines = lines
        self.speaker = speaker
        self.password = password
        self.filling = bytes(16)
        expected = [line for line in lines if line.speaker != speaker]
        self.messages = [line for line in expected if not line.is_release]
        self.releases = sorted(line.data(b"") for line in expected if line.is_release)
        self.heard: list[bytes] = []
        self.heard_releases: list[bytes] = []
        self.piece = b""
        self.decoder = banana.Decoder(pb.Limits(), None)

    async def play(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        messages = releases = 0
        for line in self.lines:
            if line.speaker == self.speaker:
                # Only the end of a cache is said in reply to releases.
                await self.listen(reader, messages, releases if "b'uncache'" in line.expression else 0)
                writer.write(line.data(self.filling))
            elif line.is_release:
                releases += 1
            else:
                messages += 1
        await self.listen(reader, messages, releases)
        assert sorted(self.heard_releases) == self.releases

    async def listen(self, reader: asyncio.StreamReader, messages: int, releases: int) -> None:
        """Until so many have been heard."""
        while len(self.heard) < messages or len(self.heard_releases) < releases:
            data = await reader.read(65536)
            assert data, f"silence instead of {self.messages[len(self.heard)].expression}"
            for byte in data:
                self.hear(bytes([byte]))

    def hear(self, byte: bytes) -> None:
        self.piece += byte
        self.decoder.receive_data(byte)
        expression = self.decoder.next_expression()
        if expression is banana.NEED_DATA:
            return
        piece, self.piece = self.piece, b""
        if isinstance(expression, list) and expression[0] in RELEASES:
            self.heard_releases.append(piece)
            return
        line = self.messages[len(self.heard)]
        line.check(piece)
        self.heard.append(piece)
        if "??" in line.pairs and "b'answer'" in line.expression:
            self.filling = respond(line.masked(piece), self.password)
        if self.chosen(expression) == b"pb":
            self.decoder = banana.Decoder(pb.Limits(), WORDS)

    def chosen(self, expression: object) -> object:
        """The dialect, if this is the moment after which it is spoken by whoever we listen to."""
        if len(self.heard) != 1:
            return None
        return expression[0] if isinstance(expression, list) else expression  # the offer's first is what is chosen


# Twisted says more of a failure that was never raised, and of every refused login.
SAID_OTHERWISE = {"errors_of_deferreds", "login_refused"}


@pytest.mark.parametrize("name", [name for name in CONVERSATIONS if name not in SAID_OTHERWISE])
def test_a_pellucid_server_says_what_a_twisted_server_says(name: str, dialect: str) -> None:
    offered = ("pb", "none") if dialect == "pb" else ("none",)
    script = Script(read_transcript(name, dialect), "C")

    async def scenario() -> None:
        async with twin.serving(dialects=offered) as ports, asyncio.timeout(5):
            port = ports["portal" if name.startswith("login") else "root"]
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                await script.play(reader, writer)
            finally:
                writer.close()
                await writer.wait_closed()

    run(scenario())


# When the first page leaves is for the transport to say: TCP's asks for it at once, the record's after a while.
@pytest.mark.parametrize("name", [name for name in CONVERSATIONS if name not in SAID_OTHERWISE | {"paging"}])
def test_a_server_of_the_twisted_door_says_what_a_twisted_server_says(name: str, dialect: str) -> None:
    script = Script(read_transcript(name, dialect), "C")
    server = Server(door=True)  # a new one: what was said to it before would show

    async def scenario() -> None:
        async with asyncio.timeout(5):
            port = server.ports[dialect]["portal" if name.startswith("login") else "root"]
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                await script.play(reader, writer)
            finally:
                writer.close()
                await writer.wait_closed()

    try:
        run(scenario())
    finally:
        server.close()


CLIENTS: dict[str, Callable[[pb.Connection], Awaitable[object]]] = {}


def plays(function: Callable[[pb.Connection], Awaitable[object]]) -> Callable[[pb.Connection], Awaitable[object]]:
    """Mark what pellucid's client does in the conversation of that name."""
    CLIENTS[function.__name__] = function
    return function


@plays
async def handshake(connection: pb.Connection) -> None:
    pass


@plays
async def values(connection: pb.Connection) -> None:
    for name, make in SAMPLES.items():
        if name not in UNORDERED:
            await connection.root.call("echo", make())


@plays
async def keywords(connection: pb.Connection) -> None:
    await connection.root.call("keywords")
    await connection.root.call("keywords", 1, "two", name="Bob", number=12)
    await connection.root.call("keywords", **{"with space": b"answer"})


@plays
async def one_way(connection: pb.Connection) -> None:
    connection.root.call_with(one_way=True).call("count", "ducks")
    await connection.root.call("counted", "ducks")


@plays
async def errors(connection: pb.Connection) -> None:
    for kind in "expected", "pb.Error", "unexpected", "no text":
        await failing(connection.root.call("raise", kind))
    await failing(connection.root.call("no_such_thing"))
    await failing(pb.RemoteReference(connection.broker.books, b"other").call("ping"))
    await failing(connection.root.call("raise", "rich"))


@plays
async def errors_of_deferreds(connection: pb.Connection) -> None:
    for kind in "expected", "unexpected":
        await failing(connection.root.call("fail_later", kind))


@plays
async def references(connection: pb.Connection) -> None:
    call = connection.root.call
    thing = await call("thing")
    again = await call("thing")
    await thing.call("add", 2)
    await call("is_thing", again)
    await call("is_thing", [thing, thing])
    del thing, again
    gc.collect()
    await call("thing")


@plays
async def callbacks(connection: pb.Connection) -> None:
    call, mine = connection.root.call, twin.Thing()
    await call("hold", mine)
    await call("call_held", "add", 3)
    await call("give_back")
    await call("holding", mine)
    await call("forget")


@plays
async def copyables(connection: pb.Connection) -> None:
    call, shared = connection.root.call, twin.Point(0, 0)
    for name in "point", "cyclic_point", "letter":
        await call(name)
    await call("echo", [shared, shared])
    await call("describe", shared)


@plays
async def caches(connection: pb.Connection) -> None:
    call = connection.root.call
    pond = await call("pond", "p")
    await call("change_pond", "p", "ducks", 3)
    again = await call("pond", "p")
    await call("is_pond", "p", pond)
    del pond, again
    gc.collect()
    await call("observers", "p")


@plays
async def my_caches(connection: pb.Connection) -> None:
    pond = twin.Pond(name="mine", ducks=1)
    await connection.root.call("hold", pond)
    await pond.set("ducks", 5)
    await connection.root.call("give_back")
    await connection.root.call("forget")


@plays
async def viewpoints(connection: pb.Connection) -> None:
    ann = await connection.root.call("viewpoint", "ann")
    await ann.call("reader", 1, two=2)
    await ann.call("letter")
    await connection.wait_closed()  # the stock client has not released it either


@plays
async def login(connection: pb.Connection) -> None:
    avatar = await connection.login(password("alice"), Mind())
    await avatar.call("who")
    await avatar.call("call_mind", "tell", "hello")
    await avatar.call("letter")
    await connection.wait_closed()


@plays
async def login_refused(connection: pb.Connection) -> None:
    await failing(connection.login(pb.credentials.Password("alice", "wrong")))


@plays
async def login_anonymously(connection: pb.Connection) -> None:
    avatar = await connection.login(pb.credentials.Anonymous())
    await avatar.call("who")
    await connection.wait_closed()


@plays
async def paging(connection: pb.Connection) -> None:
    await pb.get_all_pages(connection.root, "page_string", 10, 4)


async def failing(call: Awaitable[object]) -> None:
    with pytest.raises(Exception):  # noqa: B017, PT011  # which one it is, is told elsewhere
        await call


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_a_pellucid_client_says_what_a_twisted_client_says(name: str, dialect: str) -> None:
    script = Script(read_transcript(name, dialect), "S")

    async def scenario() -> None:
        played: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await script.play(reader, writer)
            except BaseException as error:  # noqa: BLE001  # raised where the test waits
                played.set_exception(error)
            else:
                played.set_result(None)
            writer.close()

        async with await asyncio.start_server(accept, "127.0.0.1", 0) as server, asyncio.timeout(5):
            port = server.sockets[0].getsockname()[1]
            async with pb.connect(f"pb://127.0.0.1:{port}", registry=twin.REGISTRY) as connection:
                await CLIENTS[name](connection)
                await played
                await connection.wait_closed()

    run(scenario())


def test_the_transcripts_are_what_the_stock_peers_say_today(tmp_path: Path) -> None:
    subprocess.run([PEER_PYTHON, str(PEERS / "record.py"), str(tmp_path)], check=True, capture_output=True, timeout=30)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in TRANSCRIPTS.iterdir())
    for path in tmp_path.iterdir():
        assert path.read_text() == (TRANSCRIPTS / path.name).read_text()
