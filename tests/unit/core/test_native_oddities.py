"""What a peer may say that no honest one says: each is harmless, or ends the call or the connection, with words."""

from __future__ import annotations

from typing import Any

import pytest
from ormsgpack import packb

from pellucid.errors import RemoteProtocolError
from pellucid.wire.native.codes import Kind, Leaf
from pellucid.wire.native.frames import LAST_CHUNK, MESSAGE_WITH_BUFFERS, frame, header
from tests.pair import Extension, write
from tests.unit.core.native import call_of, is_clean, promise, reply, stranger

ENDS: dict[str, tuple[list[Any], str]] = {
    "the number of a call that is true": ([[1, True, "root", "echo", []]], "a call is malformed"),
    "the number of a call that is a float": ([[1, 1.0, "root", "echo", []]], "a call is malformed"),
    "two calls of one number under way": ([call_of(1, "later"), call_of(1, "later")], "under way"),
    "a call and a batch of one number": ([call_of(1, "later"), [Kind.BATCH, 1, []]], "under way"),
    "a target that is true": ([[1, 1, True, "echo", []]], "no number, name or promise"),
    "a release of nothing": ([[Kind.RELEASE, [1, 0]]], "a release is malformed"),
    "a release of less than nothing": ([[Kind.RELEASE, [1, -1]]], "a release is malformed"),
    "a release of far too many": ([call_of(1, "notes"), [Kind.RELEASE, [1, 2**63]]], "does not hold"),
    "a release of what was never sent": ([[Kind.RELEASE, [77, 1]]], "does not hold"),
    "an answer to no call": ([[Kind.ANSWER, 1, None]], "not under way"),
    "an error of no call": ([[Kind.FAIL, 1, None]], "not under way"),
    "the answer of a batch that was never made": ([[Kind.BATCH_ANSWER, 1, [], []]], "not under way"),
    "a cancel of text": ([[Kind.CANCEL, "1"]], "has no number"),
    "a list of answers seen with text": ([[Kind.SEEN, [1, "2"]]], "no list of numbers"),
}


@pytest.mark.parametrize("name", ENDS)
def test_it_ends_the_connection_with_words(name: str) -> None:
    messages, words = ENDS[name]
    peer = stranger()
    peer.say(*messages)
    assert isinstance(peer.side.ended_by, RemoteProtocolError)
    assert words in str(peer.side.ended_by)


HARMLESS: dict[str, list[Any]] = {
    "a negative number of a call": [call_of(-5, "echo", 1)],
    "the number zero": [call_of(0, "echo", 1)],
    "the largest number": [call_of(2**64 - 1, "echo", 1)],
    "a cancel of what never was": [[Kind.CANCEL, number] for number in (0, -1, 2**63, 7)],
    "answers seen that never were": [[Kind.SEEN, [0, -1, 2**63, 7, 7]]],
    "a pong that nobody asked for": [[Kind.PONG, -1]],
    "a cache dropped that never was": [[Kind.DROP_CACHE, 77]],
    "a number used again once it was answered": [call_of(1, "echo", 1), call_of(1, "echo", 2)],
    "a cancel of what was answered": [call_of(1, "echo", 1), [Kind.CANCEL, 1], [Kind.CANCEL, 1]],
    "the call of a target that is negative": [[1, 1, -1, "echo", []]],
    "a promise of itself": [call_of(1, "echo", promise(1))],
}


@pytest.mark.parametrize("name", HARMLESS)
def test_it_harms_nothing(name: str) -> None:
    peer = stranger()
    peer.say(*HARMLESS[name], call_of(99, "echo", "alive"))
    assert reply(peer.hear())[99] == "alive"
    assert not peer.side.is_closed
    peer.side.lose("the test is over")
    assert is_clean(peer.side)


def test_bytes_behind_the_array_of_a_message_are_ignored() -> None:
    peer = stranger()
    body = packb([1, 1, "root", "echo", [1]]) + b"\x93\x01\x02" + b"\xc1" * 10
    peer.send(frame(body) + write(call_of(2, "echo", 2), "pellucid"))
    assert reply(peer.hear()) == {1: 1, 2: 2}


def test_a_buffer_may_be_named_twice_or_by_nobody() -> None:
    peer = stranger()
    buffer = Extension(Leaf.BUFFER, b"\0")
    body = write(call_of(1, "all", buffer, buffer), "pellucid")[4:]
    chunks = (header(3, LAST_CHUNK) + b"abc") + (header(3, LAST_CHUNK) + b"def")
    peer.send(chunks + header(len(body), MESSAGE_WITH_BUFFERS) + body)
    assert reply(peer.hear()) == {1: [b"abc", b"abc", {}]}
    body = write(call_of(2, "echo", buffer), "pellucid")
    peer.send(chunks + body)
    assert "a buffer did not come with the message" in reply(peer.hear())[2][1]


def test_an_answer_that_comes_twice_ends_the_connection() -> None:
    peer = stranger()
    call = peer.side.root.call("anything")
    peer.hear()
    peer.say([Kind.ANSWER, 1, 5], [Kind.ANSWER, 1, 6])
    assert call.outcome() == 5
    assert "not under way" in str(peer.side.ended_by)
