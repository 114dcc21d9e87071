from __future__ import annotations

import asyncio
import io
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import pellucid as pb
from pellucid.asyncio.paging import PAGE_BYTES
from pellucid.errors import LimitExceeded, PBConnectionLost
from tests.dialects import each_dialect, over
from tests.unit.asyncio.door import HERE, Gate, RawPeer, call_message, on_each_loop, outcome, pair, raw_server, turns

pytestmark = each_dialect


class Library(Gate):
    """Sends whatever a test puts on its shelf."""

    def __init__(self, source: Any = b"", **options: Any) -> None:
        super().__init__()
        self.source = source
        self.options = options
        self.sent = 0

    async def remote_pages(self, collector: pb.RemoteReference, *args: Any) -> None:
        self.args = args
        await pb.send_pages(collector, self.source, **self.options)

    async def remote_pages_one_by_one(self, collector: pb.RemoteReference) -> None:
        one_way = collector.call_with(one_way=True)
        for page in self.source:
            await one_way.call("gotPage", page)
            self.sent += 1
        await self.remote_wait()

    def remote_pages_later(self, collector: pb.RemoteReference) -> None:
        self.background = asyncio.ensure_future(self.remote_pages(collector))


async def pages_of(source: Any, **options: Any) -> list[Any]:
    async with pair(Library(source, **options)) as both:
        return await pb.get_all_pages(both.client.root, "pages")


@pytest.mark.parametrize("size", [0, 1, PAGE_BYTES - 1, PAGE_BYTES, PAGE_BYTES + 1, 3 * PAGE_BYTES])
@on_each_loop
async def test_bytes_are_cut_into_pages_and_arrive_in_order(size: int) -> None:
    content = bytes(number % 251 for number in range(size))
    pages = await pages_of(content)
    assert b"".join(pages) == content
    assert [len(page) for page in pages] == [len(content[at : at + PAGE_BYTES]) for at in range(0, size, PAGE_BYTES)]


@on_each_loop
async def test_the_sender_says_how_large_a_page_is() -> None:
    assert await pages_of(b"abcdefgh", page_bytes=3) == [b"abc", b"def", b"gh"]


@pytest.mark.parametrize("page_bytes", [0, -1])
@on_each_loop
async def test_a_page_has_at_least_one_byte(page_bytes: int) -> None:
    for source in b"abc", io.BytesIO(b"abc"):
        async with pair(Library()) as both:
            with pytest.raises(ValueError, match="page_bytes"):
                await pb.send_pages(both.client.root, source, page_bytes=page_bytes)


@pytest.mark.parametrize("content", [b"", b"some bytes\nin two lines"])
@on_each_loop
async def test_an_open_file_is_cut_into_pages_of_bytes(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    expected = [content[at : at + 8] for at in range(0, len(content), 8)]
    with path.open("rb") as file:
        assert await pages_of(file, page_bytes=8) == expected
    assert await pages_of(io.BytesIO(content), page_bytes=8) == expected
    for make in tempfile.TemporaryFile, tempfile.NamedTemporaryFile, tempfile.SpooledTemporaryFile:
        with make() as temporary:
            temporary.write(content)
            temporary.seek(0)
            assert await pages_of(temporary, page_bytes=8) == expected


@on_each_loop
async def test_a_text_file_comes_to_an_end() -> None:
    async with asyncio.timeout(1):
        assert "".join(await pages_of(io.StringIO("some text"), page_bytes=4)) == "some text"


@pytest.mark.parametrize("kind", [bytearray, memoryview])
@on_each_loop
async def test_what_is_as_good_as_bytes_is_cut_into_pages_of_bytes(kind: Callable[[bytes], Any]) -> None:
    assert await pages_of(kind(b"abcdefgh"), page_bytes=3) == [b"abc", b"def", b"gh"]
    assert await pages_of(kind(b"")) == []


@on_each_loop
async def test_a_text_is_cut_into_pages_of_text() -> None:
    assert await pages_of("some text", page_bytes=4) == ["some", " tex", "t"]


@on_each_loop
async def test_each_item_of_an_iterable_is_a_page() -> None:
    def numbers() -> Iterator[int]:
        yield from range(3)

    assert await pages_of(numbers()) == [0, 1, 2]
    assert await pages_of([]) == []
    assert await pages_of([b"", "text", [1, {"a": None}]]) == [b"", "text", [1, {"a": None}]]


@on_each_loop
async def test_each_item_of_an_async_iterable_is_a_page() -> None:
    async def slowly() -> AsyncIterator[str]:
        for word in "one page at a time".split():
            await asyncio.sleep(0)
            yield word

    assert await pages_of(slowly()) == ["one", "page", "at", "a", "time"]


@on_each_loop
async def test_pages_can_be_sent_to_the_server_as_well() -> None:
    class Receiving(pb.Root):
        async def remote_upload(self, client: pb.RemoteReference) -> bytes:
            return b"".join(await pb.get_all_pages(client, "pages"))

    async with pair(Receiving()) as both:
        assert await both.client.root.call("upload", Library(b"x" * 100_000)) == b"x" * 100_000


@on_each_loop
async def test_arguments_go_to_the_method_and_pages_may_come_after_its_answer() -> None:
    library = Library(b"later")
    async with pair(library) as both:
        assert await pb.get_all_pages(both.client.root, "pages", 1, "two") == [b"later"]
        assert library.args == (1, "two")
        assert await pb.get_all_pages(both.client.root, "pages_later") == [b"later"]


@on_each_loop
async def test_several_transfers_at_once_do_not_mix() -> None:
    async with pair(Library(bytes(range(256)) * 100, page_bytes=100)) as both:
        transfers = (pb.get_all_pages(both.client.root, "pages") for _ in range(5))
        for pages in await asyncio.gather(*transfers):
            assert b"".join(pages) == bytes(range(256)) * 100


@on_each_loop
async def test_the_error_of_the_method_is_the_error_of_the_transfer() -> None:
    def failing() -> Iterator[bytes]:
        yield b"one page"
        raise pb.Error("no more paper")

    async with pair(Library(failing())) as both:
        with pytest.raises(pb.Error, match="no more paper"):
            await pb.get_all_pages(both.client.root, "pages")


# Limits.


@on_each_loop
async def test_a_transfer_may_have_as_many_bytes_as_the_limit_says_and_not_one_more() -> None:
    async with pair(Library(bytes(1000), page_bytes=10)) as both:
        assert len(await pb.get_all_pages(both.client.root, "pages", limit=1000)) == 100
        with pytest.raises(LimitExceeded, match=r"Limits\.paged_bytes=999"):
            await pb.get_all_pages(both.client.root, "pages", limit=999)
        assert await both.client.root.call("echo", "alive") == "alive"


@on_each_loop
async def test_the_limit_is_the_connections_unless_another_is_given() -> None:
    async with pair(Library(bytes(1000)), client={"limits": pb.Limits(paged_bytes=999)}) as both:
        assert isinstance(await outcome(pb.get_all_pages(both.client.root, "pages")), LimitExceeded)
        assert await pb.get_all_pages(both.client.root, "pages", limit=1000) == [bytes(1000)]


@pytest.mark.parametrize(
    ("wrap", "each"),
    [(bytes, 1000), (bytes.decode, 1000), (lambda page: [page], 17_000), (lambda page: {"page": page}, 17_000)],
    ids=["bytes", "text", "list", "dictionary"],
)
@on_each_loop
async def test_pages_count_by_their_bytes_whatever_they_are(wrap: Callable[[bytes], Any], each: int) -> None:
    async with pair(Library([wrap(bytes(1000)) for _ in range(10)])) as both:
        assert isinstance(await outcome(pb.get_all_pages(both.client.root, "pages", limit=5 * each)), LimitExceeded)
        assert len(await pb.get_all_pages(both.client.root, "pages", limit=20 * each)) == 10


@pytest.mark.parametrize("page", [b"", ""], ids=["bytes", "text"])
@on_each_loop
async def test_empty_pages_come_to_an_end_too(page: bytes | str) -> None:
    async with pair(Library([page] * 1000)) as both:
        assert isinstance(await outcome(pb.get_all_pages(both.client.root, "pages", limit=5000)), LimitExceeded)
        assert await pb.get_all_pages(both.client.root, "pages", limit=2_000_000) == [page] * 1000


@on_each_loop
async def test_what_comes_after_the_limit_was_broken_is_not_kept() -> None:
    collector = pb.PageCollector(limit=10)
    for _ in range(3):
        collector.remote_gotPage(bytes(8))
    collector.remote_endedPaging()
    for _ in range(2):
        with pytest.raises(LimitExceeded):
            await collector.pages()


@on_each_loop
async def test_pages_after_the_end_are_not_kept() -> None:
    collector = pb.PageCollector()
    collector.remote_gotPage(b"one")
    collector.remote_endedPaging()
    collector.remote_gotPage(b"two")
    collector.remote_endedPaging()
    assert await collector.pages() == await collector.pages() == [b"one"]


# When the connection is lost in between.


@on_each_loop
async def test_a_connection_lost_during_the_call_ends_the_transfer() -> None:
    library = Library([b"page"] * 3)
    async with pair(library) as both:
        transfer = asyncio.ensure_future(outcome(pb.get_all_pages(both.client.root, "pages_one_by_one")))
        await library.entered.get()
        both.served.abort("for the test")
        assert isinstance(await transfer, PBConnectionLost)


@over("none")
@on_each_loop
async def test_a_connection_lost_between_two_pages_ends_the_transfer() -> None:
    async with raw_server() as (url, peers), pb.connect(url) as connection:
        transfer = asyncio.ensure_future(outcome(pb.get_all_pages(connection.root, "pages")))
        peer = await peers.get()
        message = await peer.receive()
        (_, collector_id) = message[5][1]
        peer.send(*call_message(1, b"gotPage", b"page one", target=collector_id, wants_answer=0))
        peer.send(b"answer", message[1], [b"None"])
        await turns()
        assert not transfer.done()
        await peer.hang_up()
        error = await transfer
        assert isinstance(error, PBConnectionLost)
        assert "before the last page" in str(error)


@over("none")
@on_each_loop
async def test_a_sender_is_told_when_the_receiver_is_lost() -> None:
    endless: list[int] = []

    def pages() -> Iterator[bytes]:
        while True:
            endless.append(1)
            yield bytes(10_000)

    library = Library(pages())
    async with pb.serve(library, HERE, limits=pb.Limits(queued_bytes=10_000), on_disconnect="finish") as server:
        peer = await RawPeer.connect(server.urls[0])
        peer.send(*call_message(1, b"pages_later", [b"remote", 5]))
        await peer.receive()
        await turns(20)
        await peer.close()
        error = await outcome(library.background)
        assert isinstance(error, PBConnectionLost | pb.DeadReferenceError)


@over("none")
@on_each_loop
async def test_a_sender_goes_no_faster_than_the_receiver_reads() -> None:
    library = Library([bytes(100_000)] * 300)
    async with pb.serve(library, HERE, limits=pb.Limits(queued_bytes=100_000)) as server:
        peer = await RawPeer.connect(server.urls[0])
        peer.send(*call_message(1, b"pages_one_by_one", [b"remote", 5]))
        for received in range(1, 301):
            assert (await peer.receive())[3] == b"gotPage"
            # What was sent and not read is in the kernel, some 10 MB at most, or queued.
            assert library.sent - received < 200
        await peer.close()
