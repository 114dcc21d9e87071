"""Large buffers between two brokers: what arrives, in which order, and what is known of it when the line drops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from pellucid.core.gathering import gather
from pellucid.core.references import RemoteReference
from pellucid.errors import CallCancelled, LimitExceeded, PBConnectionLost
from pellucid.flavors.cacheable import Cacheable, RemoteCache
from pellucid.flavors.registry import Registry
from pellucid.limits import Limits
from pellucid.wire.native.codes import Kind, Leaf
from pellucid.wire.native.frames import CHUNK, LAST_CHUNK, header
from tests.pair import Extension
from tests.unit.core.native import Hall, Notes, Scene, call_of, is_clean, stranger

LARGE = bytes(range(256)) * 1024
PIECE = 64 * 1024


@dataclass
class Picture:
    name: str
    pixels: Any


class Taker(Hall):
    """Notes the sizes of buffers, and what else it is called with."""

    def remote_size(self, value: Any, *rest: Any) -> int:
        size = len(value)
        self.notes.noted.append(size)
        return size

    def remote_give(self, count: int = 1) -> Any:
        return [LARGE] * count if count > 1 else LARGE

    def remote_keep(self, value: Any) -> Any:
        self.notes.noted.append(value)
        return type(value).__name__


def interleaved(scene: Scene, *, to_server: bool = True) -> list[Any]:
    """Carry everything one way piece by piece; what the other side noted by then, after each."""
    sender, receiver = (scene.client, scene.server) if to_server else (scene.server, scene.client)
    progress: list[Any] = []
    for _ in range(1_000):
        receiver.receive(sender.broker.data_to_send())
        progress.append(list(scene.noted))
        pieces = sender.broker.next_piece(PIECE)
        if not pieces:
            return progress
        receiver.receive(b"".join(pieces))
    raise AssertionError("there is no end to it")


# What arrives.


@pytest.mark.parametrize(
    "buffer",
    [LARGE, bytearray(LARGE), memoryview(LARGE), memoryview(LARGE).cast("I"), memoryview(LARGE).cast("B", (256, 1024))],
    ids=["bytes", "bytearray", "memoryview", "ints", "two dimensions"],
)
def test_a_buffer_arrives_as_bytes(buffer: Any) -> None:
    scene = Scene(Taker())
    calls = [scene.root.call("keep", buffer), scene.root.call("keep", [buffer])]
    scene.finish()
    assert scene.results(calls) == ["bytes", "list"]
    assert scene.noted == [LARGE, [LARGE]]


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 3 * 65536])
def test_a_buffer_of_any_size_goes_there_and_back(size: int) -> None:
    scene = Scene(Taker())
    data = bytes(index & 255 for index in range(size))
    call = scene.root.call("echo", data)
    scene.finish()
    assert call.outcome() == data


@pytest.mark.parametrize(
    "value",
    [
        [LARGE, LARGE],
        {"a": LARGE, "b": [LARGE]},
        (LARGE, "text", (LARGE,)),
        {1: LARGE},
        [[[[LARGE]]]],
        {"small": b"x", "large": LARGE},
    ],
    ids=["list", "dict", "tuple", "odd keys", "deep", "mixed"],
)
def test_buffers_inside_values_arrive_in_their_places(value: Any) -> None:
    scene = Scene(Taker())
    call = scene.root.call("echo", value)
    scene.finish()
    assert call.outcome() == value


def test_buffers_inside_copies_arrive_in_their_places() -> None:
    registry = Registry()
    registry.register_copyable(Picture)
    scene = Scene(Taker(), registry=registry)
    call = scene.root.call("echo", Picture("it", LARGE))
    scene.finish()
    assert call.outcome() == Picture("it", LARGE)


def test_several_buffers_as_arguments_and_keyword_arguments_arrive_in_their_places() -> None:
    scene = Scene(Taker())
    one, two, three = (bytes([value]) * 100_000 for value in (1, 2, 3))
    call = scene.root.call("all", one, "small", two, named=three)
    scene.finish()
    assert call.outcome() == [one, "small", two, {"named": three}]


def test_a_buffer_that_can_not_change_is_not_copied_to_be_sent() -> None:
    scene = Scene(Taker())
    scene.finish()
    scene.root.call("size", LARGE)
    assert next_chunk(scene).obj is LARGE


@pytest.mark.parametrize("view", [False, True], ids=["bytearray", "memoryview"])
def test_what_may_change_is_copied_once_and_sent_as_it_was(view: bool) -> None:
    scene = Scene(Taker())
    scene.finish()
    buffer = bytearray(LARGE)
    scene.root.call("size", memoryview(buffer) if view else buffer)
    buffer[:] = bytes(len(LARGE))
    chunk = next_chunk(scene)
    assert (type(chunk.obj), bytes(chunk)) == (bytes, LARGE)


def next_chunk(scene: Scene) -> memoryview:
    """All of the buffer that the client sends next."""
    scene.client.broker.data_to_send()
    _, chunk, *_ = scene.client.broker.next_piece(len(LARGE))
    assert isinstance(chunk, memoryview)
    return chunk


def test_a_buffer_with_gaps_is_sent_as_its_bytes() -> None:
    scene = Scene(Taker())
    scene.finish()
    for size in (10, len(LARGE)):
        assert scene.pair.call(scene.root, "echo", memoryview(LARGE * 2)[: 2 * size : 2]) == (LARGE * 2)[: 2 * size : 2]


def test_a_buffer_at_the_limit_arrives_and_one_past_it_is_not_sent() -> None:
    scene = Scene(Taker(), Limits(buffer_bytes=len(LARGE)))
    scene.finish()
    assert scene.pair.call(scene.root, "size", LARGE) == len(LARGE)
    assert scene.pair.call(scene.root, "size", [LARGE[: len(LARGE) // 2]] * 2) == 2
    with pytest.raises(LimitExceeded) as caught:
        scene.pair.call(scene.root, "size", LARGE + b"x")
    assert (caught.value.limit, caught.value.asked) == ("buffer_bytes", len(LARGE) + 1)
    assert scene.pair.call(scene.root, "echo", 1) == 1


# Order.


def other_object(scene: Scene) -> RemoteReference:
    notes = scene.root.call("notes")
    scene.finish()
    reference = notes.outcome()
    assert isinstance(reference, RemoteReference)
    return reference


def test_small_calls_of_other_objects_overtake_a_large_one() -> None:
    scene = Scene(Taker())
    notes = other_object(scene)
    scene.root.call("size", LARGE)
    scene.server.receive(scene.client.broker.data_to_send())
    for number in range(3):
        scene.server.receive(b"".join(scene.client.broker.next_piece(PIECE)))
        notes.call("note", number)
        scene.server.receive(scene.client.broker.data_to_send())
    interleaved(scene)
    assert scene.noted == [0, 1, 2, len(LARGE)]


@pytest.mark.parametrize("options", [{}, {"named": "argument"}], ids=["plain", "with names"])
@pytest.mark.parametrize("pieces", [0, 1])
def test_calls_of_one_object_keep_their_order(pieces: int, options: dict[str, str]) -> None:
    scene = Scene(Taker())
    notes = other_object(scene)
    scene.root.call("size", LARGE)
    for _ in range(pieces):
        scene.server.receive(b"".join(scene.client.broker.next_piece(PIECE)))
    for number in range(2):
        scene.root.call("note", number, **options)
        notes.call("note", "other")
    interleaved(scene)
    expected = [options or number for number in range(2)]
    assert scene.noted == ["other", "other", len(LARGE), *expected]
    scene.root.call("note", "after")
    scene.server.receive(scene.client.broker.data_to_send())
    assert scene.noted[-1] == "after"


def test_a_batch_keeps_the_order_of_every_object_that_it_calls() -> None:
    scene = Scene(Taker())
    notes = other_object(scene)
    other = scene.root.call("fresh")
    scene.finish()
    scene.root.call("size", LARGE)
    gather(notes.prepare("note", "batch"), scene.root.prepare("note", "root"))
    gather(notes.prepare("note", "behind it"), other.outcome().prepare("note", "elsewhere"))
    notes.call("note", "behind both")
    scene.server.receive(scene.client.broker.data_to_send())
    assert scene.noted == []
    interleaved(scene)
    assert scene.noted == [len(LARGE), "batch", "root", "behind it", "behind both"]


def test_small_answers_overtake_a_large_one() -> None:
    scene = Scene(Taker())
    large = scene.root.call("give")
    scene.there()
    scene.client.receive(scene.server.broker.data_to_send())
    scene.client.receive(b"".join(scene.server.broker.next_piece(PIECE)))
    small = scene.root.call("echo", "small")
    scene.server.receive(scene.client.broker.data_to_send())
    scene.client.receive(scene.server.broker.data_to_send())
    assert (small.done, large.done) == (True, False)
    interleaved(scene, to_server=False)
    assert large.outcome() == LARGE


def test_large_calls_keep_their_order() -> None:
    scene = Scene(Taker())
    for size in (100_000, 200_000, 70_000):
        scene.root.call("size", bytes(size))
    interleaved(scene)
    assert scene.noted == [100_000, 200_000, 70_000]


def test_nothing_overtakes_a_large_call_that_brings_an_object() -> None:
    scene = Scene(Taker())
    thing = Notes()
    scene.root.call("size", LARGE, thing)
    scene.root.call("note", thing)
    scene.root.call("note", "behind")
    interleaved(scene)
    assert scene.noted[0] == len(LARGE)
    assert isinstance(scene.noted[1], RemoteReference)
    assert scene.noted[2] == "behind"
    assert scene.client.exports() == {1: 2}


def test_a_release_does_not_overtake_a_large_call_that_sends_the_object_home() -> None:
    scene = Scene(Taker())
    fresh = scene.root.call("fresh")
    scene.round_trip()
    notes = fresh.outcome()
    number = notes.export_id
    between = other_object(scene)
    call = scene.root.call("size", LARGE, notes)
    notes.release()
    between.call("note", "between")
    progress = interleaved(scene)
    assert progress[0] == ["between"]
    interleaved(scene, to_server=False)
    assert call.outcome() == len(LARGE)
    assert number not in scene.server.exports()


class Pond(Cacheable):
    def __init__(self) -> None:
        self.observers: list[Any] = []

    def get_state_to_cache_and_observe_for(self, perspective: Any, observer: Any) -> Any:
        self.observers.append(observer)
        return {"seen": [], "weight": LARGE}

    def stopped_observing(self, perspective: Any, observer: Any) -> None:
        self.observers.remove(observer)


class PondCopy(RemoteCache):
    seen: list[Any]
    weight: Any

    def observe_change(self, value: Any) -> None:
        self.seen.append(value if len(value) < 10 else len(value))


def test_updates_keep_their_order_behind_the_state_and_among_each_other() -> None:
    registry = Registry()
    registry.register(PondCopy, Pond)
    scene = Scene(Taker(), registry=registry)
    pond = Pond()
    scene.root.call("keep", pond)
    (observer,) = pond.observers
    for value in ("first", LARGE, "third", LARGE, "fifth"):
        observer.update("change", value)
    scene.root.call("note", "last")
    interleaved(scene)
    copy, last = scene.noted
    assert copy.weight == LARGE
    assert copy.seen == ["first", len(LARGE), "third", len(LARGE), "fifth"]
    assert last == "last"


def test_a_call_of_the_result_of_one_that_stands_in_the_lane_waits_behind_it() -> None:
    class Lender(Taker):
        def remote_lend(self, data: bytes) -> Notes:
            return self.notes

    scene = Scene(Lender())
    small = other_object(scene)
    lent = scene.root.call("lend", LARGE)
    calls = [lent.call("note", "result"), scene.root.call("note", scene.root.call("size", LARGE))]
    small.call("note", "small")
    interleaved(scene)
    interleaved(scene, to_server=False)
    assert scene.noted == ["small", "result", len(LARGE), len(LARGE)]
    assert scene.results(calls) == ["result", len(LARGE)]


def test_a_large_call_with_a_promise_finds_it_however_many_answers_are_seen_meanwhile() -> None:
    scene = Scene(Taker())
    value = scene.root.call("echo", "x")
    large = scene.root.call("all", value, LARGE)
    for _ in range(100):
        scene.root.call("echo")
    scene.server.receive(scene.client.broker.data_to_send())
    interleaved(scene, to_server=False)
    assert value.done
    interleaved(scene)
    scene.finish()
    assert large.outcome()[0] == "x"


# Giving up.


def test_a_call_in_the_lane_that_is_given_up_is_never_begun_late() -> None:
    scene = Scene(Taker())
    waits = scene.later()
    scene.server.receive(scene.client.broker.data_to_send())
    large = scene.root.call("all", LARGE, waits)
    large.cancel()
    interleaved(scene)
    scene.give(1)
    scene.finish()
    assert isinstance(large.error, CallCancelled)
    assert "all" not in scene.server.calls


def test_giving_up_another_call_does_not_wait_for_the_lane() -> None:
    scene = Scene(Taker())
    other = scene.later()
    scene.server.receive(scene.client.broker.data_to_send())
    scene.root.call("size", LARGE)
    other.cancel()
    scene.server.receive(scene.client.broker.data_to_send())
    assert scene.hall.finished == ["it"]
    assert scene.noted == []


@pytest.mark.parametrize("pieces", [0, 1, 3])
def test_a_large_call_not_handed_over_as_a_whole_was_not_sent(pieces: int) -> None:
    scene = Scene(Taker())
    other = other_object(scene)
    before = scene.root.call("echo")
    scene.client.broker.data_to_send()
    large = scene.root.call("size", LARGE)
    behind = large.call("note")
    small = other.call("note")
    scene.client.broker.data_to_send()
    for _ in range(pieces):
        scene.client.broker.next_piece(PIECE)
    scene.pair.cut()
    outcomes = scene.results([before, large, behind, small])
    assert {type(outcome) for outcome in outcomes} == {PBConnectionLost}
    assert [outcome.sent for outcome in outcomes] == [True, False, False, True]


def test_a_large_call_handed_over_as_a_whole_was_sent() -> None:
    scene = Scene(Taker())
    large = scene.root.call("size", LARGE)
    scene.client.flush()
    scene.pair.cut()
    assert isinstance(large.error, PBConnectionLost)
    assert large.error.sent


def test_a_connection_that_ends_in_mid_transfer_leaves_nothing() -> None:
    scene = Scene(Taker())
    scene.root.call("size", LARGE, Notes())
    scene.root.call("give", 2)
    scene.server.receive(scene.client.broker.data_to_send())
    scene.server.receive(b"".join(scene.client.broker.next_piece(PIECE)))
    scene.pair.cut()
    assert is_clean(scene.client)
    assert is_clean(scene.server)


# Hostile peers.


@pytest.mark.parametrize("size", [1, 64, 4096, 65536])
def test_buffers_that_no_message_takes_are_bounded_however_they_are_cut(size: int) -> None:
    peer = stranger(limits=Limits(buffer_bytes=1_000_000))
    for _ in range(100_000):
        peer.side.receive(header(size, CHUNK) + bytes(size))
        if peer.side.is_closed:
            break
    assert "buffer_bytes" in str(peer.side.ended_by)


def test_empty_buffers_are_bounded_too() -> None:
    peer = stranger(limits=Limits(buffer_bytes=100_000))
    for _ in range(10_000):
        peer.side.receive(header(0, LAST_CHUNK))
        if peer.side.is_closed:
            break
    assert "buffer_bytes" in str(peer.side.ended_by)


def test_a_buffer_that_did_not_come_fails_its_call_alone() -> None:
    peer = stranger()
    peer.say(call_of(1, "echo", Extension(Leaf.BUFFER.value, b"\0")), call_of(2, "echo", 1))
    kinds = [message[0] for message in peer.hear() if message[0] in (Kind.ANSWER, Kind.FAIL)]
    assert kinds == [Kind.FAIL, Kind.ANSWER]
