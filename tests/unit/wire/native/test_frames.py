from __future__ import annotations

from typing import Any

import pytest

from pellucid.errors import LimitBroken, RemoteProtocolError
from pellucid.limits import Limits
from pellucid.wire.native.frames import (
    CHUNK,
    HEADER,
    LAST_CHUNK,
    MESSAGE_WITH_BUFFERS,
    BufferedMessage,
    Deframer,
    frame,
    header,
)


def fed(data: bytes, limits: Limits | None = None, piece: int | None = None) -> list[tuple[bytes, list[bytes], int]]:
    """The messages in `data`, with their buffers and sizes."""
    deframer = Deframer(limits or Limits())
    found: list[tuple[bytes, list[bytes], int]] = []
    for at in range(0, len(data), piece or len(data)):
        deframer.receive_data(data[at : at + (piece or len(data))])
        while deframer.bodies or not deframer.is_drained:
            body = deframer.bodies.pop() if deframer.bodies else None
            if body is not None:
                found.append((body, [], HEADER + len(body)))
                continue
            body = deframer.next_body()
            if body is None:
                break
            found.append((body, [*deframer.buffers], deframer.size))
    return found


def sent(bulk: BufferedMessage, size: int) -> bytes:
    """All that leaves, in pieces of that size."""
    data = b""
    while bulk.left:
        data += b"".join(bulk.next_piece(size))
    return data


@pytest.mark.parametrize("length", [0, 1, 255, 256, 1023, 1024, 70_000])
def test_a_frame_is_its_length_in_four_bytes_and_its_body(length: int) -> None:
    body = bytes(range(256)) * (length // 256 + 1)
    data = frame(body[:length])
    assert data == length.to_bytes(4, "big") + body[:length]
    assert fed(data) == [(body[:length], [], length + 4)]


@pytest.mark.parametrize("piece", [1, 2, 3, 5, 7, 1000])
def test_frames_may_be_cut_anywhere(piece: int) -> None:
    buffers = [bytes(range(256)) * 300, b"x" * 70_001]
    data = frame(b"one") + sent(BufferedMessage(b"two", buffers), 10_000) + frame(b"") + frame(b"three" * 100)
    found = fed(data, piece=piece)
    assert [body for body, *_ in found] == [b"one", b"two", b"", b"three" * 100]
    assert [taken for _, taken, _ in found] == [[], buffers, [], []]
    assert found[1][2] == 7 + 76_800 + 70_001


@pytest.mark.parametrize("word", [header(1_000), header(1_000, CHUNK), header(1_000, LAST_CHUNK)])
def test_how_much_is_missing_is_known_once_the_header_is_there(word: bytes) -> None:
    deframer = Deframer(Limits())
    assert deframer.missing == 0
    deframer.receive_data(frame(b"x" * 20) + word[:3])
    assert (deframer.bodies.pop(), deframer.next_body(), deframer.missing) == (b"x" * 20, None, 0)
    for piece, missing in (word[3:], 1_000), (b"x", 999), (b"x" * 998, 1), (b"x", 0):
        deframer.receive_data(piece)
        deframer.next_body()
        assert deframer.missing == missing


def test_other_messages_travel_between_the_chunks_and_take_no_buffers() -> None:
    bulk = BufferedMessage(b"late", [b"x" * 200_000], is_barrier=True)
    assert (bulk.is_barrier, bulk.left, bulk.inline_bytes) == (True, 200_000, 8)
    data = b""
    while bulk.left:
        data += b"".join(bulk.next_piece(64 * 1024)) + frame(b"small")
    found = fed(data)
    assert [body for body, *_ in found] == [b"small"] * 3 + [b"late", b"small"]
    assert found[3][1] == [b"x" * 200_000]
    assert all(not taken for body, taken, _ in found if body == b"small")


def test_a_piece_of_a_buffer_is_not_copied() -> None:
    buffer = bytes(100_000)
    _, chunk = BufferedMessage(b"", [buffer]).next_piece(50_000)
    assert isinstance(chunk, memoryview)
    assert chunk.obj is buffer


def test_an_empty_buffer_is_one_and_a_message_takes_all_that_are_finished() -> None:
    data = header(0, LAST_CHUNK) + header(0, CHUNK) + header(1, CHUNK) + b"a" + header(2, LAST_CHUNK) + b"bc"
    data += header(1, MESSAGE_WITH_BUFFERS) + b"m" + header(1, MESSAGE_WITH_BUFFERS) + b"n"
    assert [(body, taken) for body, taken, _ in fed(data)] == [(b"m", [b"", b"abc"]), (b"n", [])]


def test_a_message_that_takes_a_buffer_which_is_not_finished_is_a_protocol_error() -> None:
    with pytest.raises(RemoteProtocolError, match="takes a buffer that is not finished"):
        fed(header(1, CHUNK) + b"x" + header(0, MESSAGE_WITH_BUFFERS))


def test_a_frame_may_be_as_long_as_the_limit_says() -> None:
    limits = Limits(inline_bytes=300)
    assert fed(frame(bytes(300)), limits)[0][0] == bytes(300)
    with pytest.raises(LimitBroken, match=r"over Limits.inline_bytes=300: 301 asked"):
        fed(header(301), limits)  # before any of it came


def test_buffers_may_be_as_long_as_the_limit_says_however_they_are_cut() -> None:
    limits = Limits(buffer_bytes=200_000)
    for size in 1_000, 64 * 1024, 200_000:
        message = BufferedMessage(b"m", [bytes(100_000), bytes(100_000)])
        assert fed(sent(message, size), limits)[0][1] == [bytes(100_000)] * 2
    with pytest.raises(LimitBroken, match=r"over Limits.buffer_bytes=200000: 200001 asked"):
        fed(sent(BufferedMessage(b"m", [bytes(100_000), bytes(100_001)]), 100_000), limits)


def test_short_buffers_cost_what_it_takes_to_hold_them() -> None:
    limits = Limits(buffer_bytes=650)
    assert fed(header(0, LAST_CHUNK) * 10 + header(0, MESSAGE_WITH_BUFFERS), limits)[0][1] == [b""] * 10
    with pytest.raises(LimitBroken, match="buffer_bytes"):
        fed(header(0, LAST_CHUNK) * 11, limits)
    # What a message took makes room.
    assert len(fed((header(0, LAST_CHUNK) * 10 + header(0, MESSAGE_WITH_BUFFERS)) * 5, limits)) == 5


def test_a_buffer_that_comes_byte_by_byte_is_held_in_few_pieces() -> None:
    deframer = Deframer(Limits())
    for _ in range(10_000):
        deframer.receive_data(header(1, CHUNK) + b"x")
        assert deframer.next_body() is None
    assert len(deframer._pieces or ()) < 10
    deframer.receive_data(header(0, LAST_CHUNK) + header(0, MESSAGE_WITH_BUFFERS))
    assert deframer.next_body() == b""
    assert deframer.buffers == [b"x" * 10_000]


def test_what_was_given_out_is_not_kept() -> None:
    deframer = Deframer(Limits())
    deframer.receive_data(frame(b"x" * 50_000)[:100])
    assert deframer.next_body() is None
    deframer.receive_data(frame(b"x" * 50_000)[100:] + b"\0\0")
    assert deframer.next_body() == b"x" * 50_000
    assert deframer.next_body() is None
    held: Any = deframer._data
    assert len(held) == 2
