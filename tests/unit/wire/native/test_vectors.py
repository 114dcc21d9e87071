"""The test vectors of the native dialect, in both directions, and by an implementation of msgpack that is not ours.

tests/data/native/README.md says what they are and how to use them from another language.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from pellucid.core.gathering import gather
from pellucid.flavors.cacheable import Cacheable, RemoteCache
from pellucid.flavors.referenceable import Referenceable, Root
from pellucid.flavors.registry import Registry
from pellucid.wire import messages
from pellucid.wire.names import names_of
from pellucid.wire.native.codes import Kind, Leaf, Mark
from pellucid.wire.pb import banana
from tests.pair import Pair, Settings, Side
from tests.unit.wire.native.notation import (
    EchoLedger,
    bytes_of,
    independent_form,
    independent_value,
    meaning_of,
    message_of,
    start_dialect,
    value_of,
    without_what_is_lost,
)

DATA = Path(__file__).parents[3] / "data" / "native"
LONG = 100_000
"""Bytes from which on a stream is not fed byte by byte."""

Vector = dict[str, Any]


def load(name: str) -> list[Any]:
    vectors = json.loads((DATA / name).read_text(encoding="utf-8"))["vectors"]
    return [pytest.param(vector, id=vector["name"]) for vector in vectors]


def data_of(pieces: str | list[Any]) -> bytes:
    """The bytes of a vector: hex, or pieces of hex of which some are repeated."""
    if isinstance(pieces, str):
        return bytes.fromhex(pieces)
    parts = [(piece, 1) if isinstance(piece, str) else piece["repeat"] for piece in pieces]
    return b"".join(bytes.fromhex(part) * times for part, times in parts)


def ledger_of(vector: Vector) -> EchoLedger:
    return EchoLedger(vector.get("sharing", "tree"))


def answer_with(value: bytes) -> bytes:
    body = b"\x93\x05\x01" + value
    return len(body).to_bytes(4, "big") + body


def decode(data: bytes, ledger: EchoLedger) -> list[messages.Message]:
    dialect = start_dialect(ledger)
    dialect.receive_data(data)
    found: list[messages.Message] = []
    while (message := dialect.next_message()) is not None:
        found.append(message)
    return found


def bodies(stream: bytes) -> Iterator[bytes]:
    """The bodies of the messages in frames, with nothing but this function to read them; buffers are left out."""
    while stream:
        word = int.from_bytes(stream[:4], "big")
        flags, end = word >> 30, 4 + (word & (1 << 30) - 1)
        if flags < 2:
            yield stream[4:end]
        stream = stream[end:]


# Values.


@pytest.mark.parametrize("vector", load("values.json"))
def test_a_value_is_read(vector: Vector) -> None:
    ledger = ledger_of(vector)

    (answer,) = decode(answer_with(bytes.fromhex(vector["hex"])), ledger)

    assert isinstance(answer, messages.Answer)
    assert meaning_of(answer, ledger)["value"] == without_what_is_lost(vector["means"])


@pytest.mark.parametrize("vector", load("values.json"))
def test_a_value_is_written(vector: Vector) -> None:
    ledger = ledger_of(vector)

    encoded = bytes_of(start_dialect(ledger).encode(messages.Answer(1, value_of(vector["means"], ledger))))

    assert (encoded == answer_with(bytes.fromhex(vector["hex"]))) is vector.get("canonical", True)


# Messages.


@pytest.mark.parametrize("vector", load("messages.json"))
def test_a_message_is_read(vector: Vector) -> None:
    ledger = ledger_of(vector)

    (message,) = decode(bytes.fromhex(vector["hex"]), ledger)

    assert meaning_of(message, ledger) == without_what_is_lost(vector.get("read_as", vector["means"]))


WRITTEN = [each for each in load("messages.json") if each.values[0]["means"]["message"] in Kind.__members__]
"""All but those of messages that are not known: nobody writes these."""


@pytest.mark.parametrize("vector", WRITTEN)
def test_a_message_is_written(vector: Vector) -> None:
    ledger = ledger_of(vector)

    encoded = start_dialect(ledger).encode(message_of(vector["means"], ledger))

    assert (bytes_of(encoded) == bytes.fromhex(vector["hex"])) is vector.get("canonical", True)


def test_there_is_a_vector_of_every_kind_of_message() -> None:
    said = {vector.values[0]["means"]["message"] for vector in load("messages.json")}
    said |= {"HELLO"}  # in each of the conversations

    assert set(Kind.__members__) <= said


def test_there_is_a_vector_of_every_extension() -> None:
    texts = [(DATA / name).read_text(encoding="utf-8") for name in ("values.json", "messages.json", "streams.json")]

    assert [code.name for code in (*Leaf, *Mark) if not any(f'"ext": [{code.value}, ' in text for text in texts)] == []


@pytest.mark.parametrize("vector", [*load("values.json"), *load("messages.json")])
def test_another_msgpack_reads_the_structure_and_writes_the_same_bytes(vector: Vector) -> None:
    data = bytes.fromhex(vector["hex"])
    means = vector["means"]
    body = data[4:] if isinstance(means, dict) and "message" in means else data

    assert independent_form(body) == vector["msgpack"]
    assert independent_value(vector["msgpack"]) == body or body[:1] == b"\xca"  # a short float


# Streams.


@pytest.mark.parametrize("vector", load("streams.json"))
@pytest.mark.parametrize("piece", [1, 7, 1 << 30], ids=["byte by byte", "in sevens", "at once"])
def test_a_stream_is_taken_apart(vector: Vector, piece: int) -> None:
    stream = data_of(vector["stream"])
    if len(stream) > LONG:
        piece = max(piece, 1000)
    ledger = ledger_of(vector)
    dialect = start_dialect(ledger)

    found: list[messages.Message] = []
    for start in range(0, len(stream), piece):
        dialect.receive_data(stream[start : start + piece])
        found += iter(dialect.next_message, None)

    assert [meaning_of(message, ledger) for message in found] == vector["means"]


@pytest.mark.parametrize("vector", load("streams.json"))
def test_another_msgpack_reads_the_messages_of_a_stream(vector: Vector) -> None:
    assert list(map(independent_form, bodies(data_of(vector["stream"])))) == vector["msgpack"]


@pytest.mark.parametrize("vector", [each for each in load("streams.json") if "pieces" in each.values[0]])
def test_large_buffers_are_cut_into_chunks(vector: Vector) -> None:
    ledger = ledger_of(vector)
    (meaning,) = vector["means"]

    encoded = start_dialect(ledger).encode(message_of(meaning, ledger))

    assert bytes_of(encoded, vector["pieces"]) == data_of(vector["stream"])


# Conversations.


class Two(Referenceable):
    def remote_three(self, number: int) -> int:
        return number


class Score(Cacheable):
    def __init__(self) -> None:
        self.observers: list[Any] = []

    def get_type_to_copy(self) -> str:
        return "game.Score"

    def get_state_to_cache_and_observe_for(self, perspective: Any, observer: Any) -> dict[str, int]:
        self.observers.append(observer)
        return {"points": 0}


class SeenScore(RemoteCache):
    points: int

    def observe_points(self, points: int) -> None:
        self.points = points


class One(Root):
    def __init__(self) -> None:
        self.two = Two()
        self.score = Score()

    def remote_echo(self, value: object) -> object:
        return value

    def remote_getTwo(self) -> Two:
        return self.two

    def remote_checkTwo(self, two: object) -> bool:
        return two is self.two

    def remote_score(self) -> Score:
        return self.score

    def remote_isScore(self, score: object) -> bool:
        return score is self.score

    async def remote_wait(self) -> None:
        await Never()


class Never:
    def __await__(self) -> Generator[None, None, None]:
        while True:
            yield


class Recording:
    """A client and a server, and what each of them has said, in turn."""

    def __init__(self) -> None:
        registry = Registry()
        registry.register(SeenScore, "game.Score")
        settings = Settings(registry=registry)
        self.one = One()
        self.pair = Pair(self.one, connect=False, server=settings, client=settings)
        self.said: list[tuple[str, bytes]] = []
        self.root = self.pair.client.root

    def go_on(self) -> None:
        """Let each side say what it has to say, the server first, until neither has anything."""
        silent = 0
        sides = (("server", self.pair.server, self.pair.client), ("client", self.pair.client, self.pair.server))
        while silent < 2:
            silent = 0
            for name, side, other in sides:
                data = side.flush()
                silent += not data
                if data:
                    self.said.append((name, data))
                    other.receive(data)


def converse_handshake(recording: Recording) -> None:
    recording.go_on()


def converse_handshake_of_logs(recording: Recording) -> None:
    recording.pair.server.log_number, recording.pair.client.log_number = "31dd1ad2", "0b5e77a0"
    recording.go_on()


def converse_call(recording: Recording) -> None:
    recording.go_on()
    recording.root.call("echo", "hello network")
    recording.go_on()
    recording.root.call_with(one_way=True).call("echo", 1)
    recording.root.call("nothing")
    recording.go_on()


def converse_chain(recording: Recording) -> None:
    recording.go_on()
    two = recording.root.call("getTwo")
    two.call("three", 12)
    recording.root.call("checkTwo", two)
    two.call("three", 12).call("four")
    recording.go_on()


def converse_references(recording: Recording) -> None:
    recording.go_on()
    calls = []
    for _ in range(2):
        calls.append(recording.root.call("getTwo"))
        recording.go_on()
    recording.root.call("checkTwo", calls[0].outcome())
    recording.go_on()
    calls.clear()
    recording.go_on()


def converse_caches(recording: Recording) -> None:
    recording.go_on()
    calls = []
    for _ in range(2):
        calls.append(recording.root.call("score"))
        recording.go_on()
        recording.one.score.observers[0].call("points", 10)
        recording.one.score.observers[0].update("points", 20)
        recording.go_on()
    recording.root.call("isScore", calls[0].outcome())
    recording.go_on()
    calls.clear()
    recording.go_on()


def converse_batch(recording: Recording) -> None:
    recording.go_on()
    prepared = [recording.root.prepare(name, 1) for name in ("echo", "nothing", "echo")]
    gather(*prepared, return_exceptions=True)
    recording.go_on()


def converse_cancel(recording: Recording) -> None:
    recording.go_on()
    call = recording.root.call("wait")
    recording.go_on()
    call.cancel()
    recording.go_on()


SCENARIOS: dict[str, Callable[[Recording], None]] = {
    "the handshake": converse_handshake,
    "the handshake of two who have logs": converse_handshake_of_logs,
    "calls": converse_call,
    "a chain of calls": converse_chain,
    "references, twice received, sent home, and dropped": converse_references,
    "a cacheable": converse_caches,
    "a batch": converse_batch,
    "a call that is given up": converse_cancel,
}


def record(name: str) -> list[tuple[str, bytes]]:
    recording = Recording()
    SCENARIOS[name](recording)
    return recording.said


def test_every_conversation_has_a_vector() -> None:
    assert [vector.id for vector in load("conversations.json")] == list(SCENARIOS)


@pytest.mark.parametrize("vector", load("conversations.json"))
def test_two_brokers_say_what_the_conversation_says(vector: Vector) -> None:
    said = [(line["from"], line["hex"]) for line in vector["lines"]]

    assert [(who, data.hex()) for who, data in record(vector["name"])] == said


@pytest.mark.parametrize("vector", load("conversations.json"))
def test_another_msgpack_reads_a_conversation(vector: Vector) -> None:
    for line in vector["lines"]:
        data = bytes.fromhex(line["hex"])
        if "banana" in line:
            decoder = banana.Decoder(Settings().limits, None)
            decoder.receive_data(data)
            said: Any = decoder.next_expression()
            names = [name.decode() for name in said] if isinstance(said, list) else said.decode()
            assert names == line["banana"]
            data = decoder.take_rest()
        assert list(map(independent_form, bodies(data))) == line["msgpack"]


# What is refused.

CHOICE_AND_HELLO = bytes.fromhex("088270656c6c75636964") + bytes.fromhex("0000000493000190")


class Host(One):
    """A root for those who say what no broker would."""


def said_to_a_host(data: bytes, *, greets: bool = True) -> tuple[Exception | None, list[Any]]:
    """What ends the connection of whoever says `data` after the handshake, and what it is answered."""
    side = Side(Host(), Settings(), listens=True)
    side.flush()
    side.receive(CHOICE_AND_HELLO if greets else CHOICE_AND_HELLO[:10])
    side.flush()
    side.receive(data)
    return side.ended_by, list(map(independent_form, bodies(side.flush())))


def of_outcome(outcome: str) -> list[Any]:
    return [vector for vector in load("refused.json") if vector.values[0]["outcome"] == outcome]


def test_the_outcomes_are_those_that_are_tested() -> None:
    outcomes = ("ends", "refused", "failed", "answered")

    assert sum(len(of_outcome(outcome)) for outcome in outcomes) == len(load("refused.json"))


@pytest.mark.parametrize("vector", of_outcome("ends"))
def test_what_makes_no_sense_ends_the_connection(vector: Vector) -> None:
    ended_by, _ = said_to_a_host(data_of(vector["stream"]), greets=not vector.get("first", False))

    assert ended_by is not None
    assert vector["why"] in str(ended_by)


@pytest.mark.parametrize("vector", of_outcome("refused"))
def test_a_call_is_refused_and_the_connection_lives(vector: Vector) -> None:
    ended_by, answers = said_to_a_host(data_of(vector["stream"]))

    assert ended_by is None
    (kind, number, failure), *besides = answers
    assert besides == vector.get("besides", [])
    _, name, text, _, _, raised, _ = failure
    assert (kind, number, name, raised) == (Kind.FAIL, 1, vector["error"], False)
    assert vector["why"] in text


@pytest.mark.parametrize("vector", of_outcome("failed"))
def test_an_answer_that_makes_no_sense_fails_its_call(vector: Vector) -> None:
    ledger = EchoLedger()

    (message,) = decode(data_of(vector["stream"]), ledger)

    assert isinstance(message, messages.CallFailed)
    assert names_of(type(message.error))[0] == vector["error"]
    assert vector["why"] in str(message.error)


@pytest.mark.parametrize("vector", of_outcome("answered"))
def test_what_a_newer_peer_may_say_is_answered(vector: Vector) -> None:
    ended_by, answers = said_to_a_host(data_of(vector["stream"]), greets=not vector.get("first", False))

    assert ended_by is None
    assert answers == vector["answers"]
