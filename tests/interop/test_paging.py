"""Pages, both ways: of bytes and of files, none, one, and many."""

from __future__ import annotations

import io

import pytest

import pellucid as pb
from tests.interop.harness import Ask, Connect, run
from tests.interop.peers.samples import pages_are_whole, pages_of

SIZES = (0, 1, 8192, 8193, 100_000)

WHOLE = {f"{method} {size}": [size, True] for size in SIZES for method in ("page_string", "page_file")}


class Paging(pb.Referenceable):
    """Pages out to the server."""

    async def remote_page_string(self, collector: pb.RemoteReference, size: int, chunk: int) -> None:
        await pb.send_pages(collector, pages_of(size), page_bytes=chunk)

    async def remote_page_file(self, collector: pb.RemoteReference, size: int) -> None:
        await pb.send_pages(collector, io.BytesIO(pages_of(size)))


def test_a_server_pages_out_to_a_twisted_client(ask_either: Ask) -> None:
    assert ask_either("pages") == WHOLE


def test_a_twisted_client_pages_out_to_a_server(ask_either: Ask) -> None:
    assert ask_either("my_pages") == WHOLE


@pytest.mark.parametrize("size", SIZES)
def test_twisted_pages_out_to_pellucid(connect: Connect, size: int) -> None:
    async def scenario() -> None:
        async with connect() as connection:
            for method, args in ("page_string", (size, 4096)), ("page_file", (size,)):
                pages = await pb.get_all_pages(connection.root, method, *args)
                assert sum(map(len, pages)) == size
                assert pages_are_whole(pages)

    run(scenario())


@pytest.mark.parametrize("size", SIZES)
def test_pellucid_pages_out_to_twisted(connect: Connect, size: int) -> None:
    async def scenario() -> None:
        async with connect() as connection:
            sizes, whole = await connection.root.call("collect_pages", Paging(), "page_string", size, 4096)
            assert (sum(sizes), whole) == (size, True)
            assert all(length == 4096 for length in sizes[:-1])
            sizes, whole = await connection.root.call("collect_pages", Paging(), "page_file", size)
            assert (sum(sizes), whole) == (size, True)

    run(scenario())


def test_more_pages_than_the_limit_are_refused_and_the_connection_lives(connect: Connect) -> None:
    async def scenario() -> None:
        async with connect() as connection:
            with pytest.raises(pb.LimitExceeded, match="paged_bytes"):
                await pb.get_all_pages(connection.root, "page_string", 100_000, 4096, limit=50_000)
            assert await connection.root.call("echo", "alive") == "alive"

    run(scenario())


def test_a_sender_that_vanishes_between_pages_fails_the_transfer(connect: Connect) -> None:
    async def scenario() -> None:
        async with connect() as connection:
            collector = pb.PageCollector()
            connection.root.notify_on_disconnect(lambda _: collector.lost())
            await connection.root.call("page_string", collector, 3_000_000, 100_000)
            connection.abort("a test")
            with pytest.raises(pb.PBConnectionLost):
                await collector.pages()

    run(scenario())
