"""What methods end in that were under way when their peer ceased to read, and what else is not to start then."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import pellucid as pb
from pellucid.wire.native.codes import Kind
from tests.unit.asyncio.door import on_each_loop, turns
from tests.unit.asyncio.pipe import piped
from tests.unit.asyncio.raw import call_of, packed

PAGE = 4000


class Library(pb.Root):
    """Whose pages are ready when it opens, and whose books are missed for as long as it is closed."""

    connection: pb.Connection

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.lent: list[str] = []

    async def remote_page(self, size: int) -> str:
        await self.opened.wait()
        return "x" * size

    async def remote_picture(self, size: int) -> bytes:
        await self.opened.wait()
        return bytes(size)

    def remote_book(self) -> pb.Referenceable:
        book = pb.Referenceable()
        self.connection.when_gone(book, self.opened.wait)
        return book

    async def remote_reserved(self) -> pb.Referenceable:
        await self.opened.wait()
        book = pb.Referenceable()
        self.connection.when_gone(book, lambda: self.lent.append("not taken"))
        return book

    async def remote_count(self) -> int:
        await self.opened.wait()
        return 7

    def remote_lend(self, title: str) -> None:
        self.lent.append(title)


@pytest.mark.parametrize(("room", "second"), [(0, Kind.ANSWER), (-1, Kind.FAIL)], ids=["at", "past"])
@on_each_loop
async def test_a_result_is_replaced_where_more_waits_than_the_limit_says(room: int, second: Kind) -> None:
    library = Library()
    limit = len(packed([Kind.ANSWER.value, 1, "x" * PAGE])) + room
    connection, pipe = piped(library, limits=pb.Limits(queued_bytes=1000, running_bytes=limit))
    pipe.say(*(call_of(number, "page", PAGE) for number in (1, 2, 3)))
    await turns()
    library.opened.set()
    await turns()
    answers = pipe.messages()
    assert [(message[0], message[1]) for message in answers] == [(Kind.ANSWER, 1), (second, 2), (Kind.FAIL, 3)]
    name, text = answers[2][2][1:3]
    assert (name, f"over Limits.running_bytes={limit}" in text) == ("pellucid.errors.Overloaded", True)
    await turns()
    pipe.say(call_of(4, "page", PAGE))
    await turns()
    assert pipe.messages()[-1] == [Kind.ANSWER, 4, "x" * PAGE]  # it reads: it is given what it asks for
    pipe.end()
    assert connection.is_closed


@on_each_loop
async def test_large_buffers_that_wait_count_as_well() -> None:
    library = Library()
    limits = pb.Limits(buffer_bytes=300_000, running_bytes=600_000)
    _, pipe = piped(library, limits=limits)
    pipe.say(*(call_of(number, "picture", 250_000) for number in range(1, 9)))
    await turns()
    library.opened.set()
    await turns()
    kinds = [message[0] for message in pipe.messages() if isinstance(message, list)]
    assert kinds.count(Kind.ANSWER) == 4  # one at the transport, and three that wait: with two there was room
    assert kinds.count(Kind.FAIL) == 4
    pipe.end()


@on_each_loop
async def test_what_is_not_sent_for_that_is_let_go_of_and_what_is_small_is_sent(
    caplog: pytest.LogCaptureFixture,
) -> None:
    library = Library()
    connection, pipe = piped(library, limits=pb.Limits(queued_bytes=1000, running_bytes=PAGE // 2))
    library.connection = connection
    pipe.say(call_of(1, "page", PAGE), call_of(2, "page", PAGE, kind=Kind.SEND))
    pipe.say(call_of(3, "reserved"), call_of(4, "count"))
    await turns()
    library.opened.set()
    await turns()
    answers = {message[1]: message[0] for message in pipe.messages()}
    assert answers == {1: Kind.ANSWER, 3: Kind.FAIL, 4: Kind.ANSWER}
    assert library.lent == ["not taken"]
    assert [record.getMessage() for record in caplog.records] == [
        f"the result of 'reserved' can't be sent: over Limits.running_bytes={PAGE // 2}: {PAGE + 10} asked"
    ]
    pipe.end()


@on_each_loop
async def test_a_peer_that_reads_slowly_is_given_all_that_it_asked_for() -> None:
    library = Library()
    _, pipe = piped(library, limits=pb.Limits(queued_bytes=1000, running_bytes=20 * PAGE))
    pipe.say(*(call_of(number, "page", PAGE) for number in range(1, 17)))
    await turns()
    library.opened.set()
    await turns()
    assert {message[0] for message in pipe.messages()} == {Kind.ANSWER}
    pipe.end()


@on_each_loop
async def test_room_to_send_starts_no_method_while_too_many_callbacks_run() -> None:
    library = Library()
    connection, pipe = piped(library, limits=pb.Limits(running_calls=1, queued_bytes=1000))
    library.connection = connection
    pipe.say(call_of(1, "book"))
    ((*_, book),) = pipe.messages()
    pipe.say([Kind.RELEASE.value, [int.from_bytes(book.body, "big"), 1]])
    connection.root.call_with(one_way=True).call("take", "x" * PAGE)
    await turns()
    pipe.say(call_of(2, "lend", "one"))
    pipe.read()
    await turns()
    waiting: Any = connection.usage["waiting_calls"]
    assert (library.lent, waiting.used) == ([], 1)
    library.opened.set()
    await turns()
    assert library.lent == ["one"]
    pipe.end()
