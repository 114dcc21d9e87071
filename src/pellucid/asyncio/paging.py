"""Sending large things page by page, the way Perspective Broker's pagers do.

The receiver sends a collector; the sender calls its ``gotPage`` for each page and its ``endedPaging`` at the end, and
wants no answers (observed with twisted.spread.util, 26.10).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Iterable, Iterator
from typing import IO, Any

from pellucid.asyncio.current import current_call
from pellucid.core.references import RemoteReference
from pellucid.errors import LimitExceeded, PBConnectionLost
from pellucid.flavors.referenceable import Referenceable
from pellucid.limits import DEFAULT_LIMITS

__all__ = ["PAGE_BYTES", "PageCollector", "get_all_pages", "send_pages"]

PAGE_BYTES = 8192
"""Bytes in a page unless told otherwise, as in PB."""


class PageCollector(Referenceable):
    """Gathers pages that a peer sends; await `pages` for all of them."""

    def __init__(self, *, limit: int = DEFAULT_LIMITS.paged_bytes) -> None:
        self._limit = limit
        self._gathered: list[Any] = []
        self._bytes = 0
        self._error: Exception | None = None
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def remote_gotPage(self, page: Any) -> None:  # noqa: N802 - the name on the wire
        """One page more."""
        if self._done.done():
            return
        self._gathered.append(page)
        # An empty one takes room as well: no transfer is to be without end.
        self._bytes += (len(page) if isinstance(page, bytes | str) else 0) or current_call().size
        if self._bytes > self._limit:
            self._gathered.clear()
            self._end(LimitExceeded("paged_bytes", self._limit))

    def remote_endedPaging(self) -> None:  # noqa: N802 - the name on the wire
        """There are no more."""
        self._end(None)

    def lost(self) -> None:
        """The sender is gone."""
        self._end(PBConnectionLost("the connection ended before the last page came"))

    async def pages(self) -> list[Any]:
        """All pages, in order.

        Raises:
            LimitExceeded: they were more than the limit, and were thrown away.
            PBConnectionLost: the connection ended first.
        """
        await asyncio.shield(self._done)
        if self._error is not None:
            raise self._error
        return self._gathered

    def _end(self, error: Exception | None) -> None:
        if not self._done.done():
            self._error = error
            self._done.set_result(None)


async def get_all_pages(reference: RemoteReference, method: str, *args: Any, limit: int | None = None) -> list[Any]:
    """Call `method` with a collector as its first argument, and return the pages that it is sent.

    They may have `limit` bytes together; where that is None, as many as `Limits.paged_bytes` of the connection says.

    Raises:
        LimitExceeded: they were more, and were thrown away.
        PBConnectionLost: the connection ended before the last page came.
    """
    collector = PageCollector(limit=reference.keeper.limits.paged_bytes if limit is None else limit)
    take_back = reference.notify_on_disconnect(lambda _: collector.lost())
    try:
        await reference.call(method, collector, *args)
        return await collector.pages()
    finally:
        take_back()


async def send_pages(
    collector: RemoteReference,
    source: bytes | IO[Any] | Iterable[Any] | AsyncIterable[Any],
    *,
    page_bytes: int = PAGE_BYTES,
) -> None:
    """Send `source` to `collector` page by page, as fast as the peer reads.

    Bytes, texts and open files are cut into pages of `page_bytes`, which of text are characters; of anything else each
    item is a page.

    Raises:
        ValueError: `page_bytes` is not at least 1.
        PBConnectionLost: the connection ended meanwhile.
        DeadReferenceError: it had ended before.
    """
    if page_bytes < 1:
        raise ValueError(f"page_bytes must be at least 1, not {page_bytes}")
    one_way = collector.call_with(one_way=True)
    if isinstance(source, AsyncIterable):
        async for page in source:
            await one_way.call("gotPage", page)
    else:
        for page in _pages(source, page_bytes):
            await one_way.call("gotPage", page)
    await one_way.call("endedPaging")


def _pages(source: bytes | IO[Any] | Iterable[Any], page_bytes: int) -> Iterator[Any]:
    read = getattr(source, "read", None)
    if isinstance(source, bytearray | memoryview):
        view = memoryview(source).cast("B")
        for start in range(0, len(view), page_bytes):
            yield bytes(view[start : start + page_bytes])
    elif isinstance(source, bytes | str):
        for start in range(0, len(source), page_bytes):
            yield source[start : start + page_bytes]
    elif read is not None:
        while page := read(page_bytes):
            yield page
    else:
        yield from source
