from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.python import log
from twisted.python.failure import Failure
from zope.interface import Attribute, Interface, implementer

from pellucid.twisted.util import (
    CallbackPageCollector,
    FilePager,
    LocalAsRemote,
    LocalAsyncForwarder,
    Pager,
    StringPager,
    getAllPages,
)

FILE_PAGE = 2**14
"""Bytes that Twisted's FileSender reads at a time."""


class Collector:
    """A reference to a collector at a peer, and the broker that drives the pagers towards it."""

    def __init__(self) -> None:
        self.broker = self
        self.pagers: list[Pager] = []
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def registerPageProducer(self, pager: Pager) -> None:
        self.pagers.append(pager)

    def callRemote(self, name: str, *args: Any, **kw: Any) -> None:
        self.calls.append((name, args, kw))

    def pump(self) -> list[Any]:
        """The pages that were sent until the pager had no more."""
        (pager,) = self.pagers
        for _ in range(20):
            pager.sendNextPage()
            if not pager.stillPaging():
                break
        *pages, end = self.calls
        assert all((name, kw) == ("gotPage", {"pbanswer": False}) for name, _, kw in pages)
        assert end == ("endedPaging", (), {"pbanswer": False})
        return [page for _, (page,), _ in pages]


@pytest.fixture
def collector() -> Collector:
    return Collector()


# Paging.


@pytest.mark.parametrize(
    ("whole", "pages"),
    [(b"abcdefg", [b"abc", b"def", b"g"]), (b"abcdef", [b"abc", b"def"]), (b"", [b""]), ("text", ["tex", "t"])],
)
def test_a_string_is_sent_in_pages(collector: Collector, whole: bytes | str, pages: list[bytes | str]) -> None:
    StringPager(collector, whole, 3)

    assert collector.pump() == pages


def test_a_page_of_a_string_has_8192_bytes(collector: Collector) -> None:
    StringPager(collector, b"x" * 10_000)

    assert [len(page) for page in collector.pump()] == [8192, 1808]


@pytest.mark.parametrize("size", [0, 1, FILE_PAGE, FILE_PAGE + 1, 3 * FILE_PAGE])
def test_a_file_is_sent_page_by_page_and_read_no_further_ahead(collector: Collector, size: int) -> None:
    file = BytesIO(bytes(size))
    FilePager(collector, file)

    assert file.tell() <= FILE_PAGE
    pages = collector.pump()
    assert b"".join(pages) == bytes(size)
    assert len(pages) == -(-size // FILE_PAGE)


def test_the_callback_of_a_pager_is_called_once_after_the_end(collector: Collector) -> None:
    ends: list[Any] = []
    FilePager(collector, BytesIO(b"x"), lambda *args, **kw: ends.append((len(collector.calls), args, kw)), 1, two=2)

    collector.pump()

    assert ends == [(2, (1,), {"two": 2})]


def test_a_callback_that_cannot_be_called_is_none(collector: Collector) -> None:
    assert StringPager(collector, b"x", 1, None).callback is None


def test_a_pager_sends_what_its_class_says() -> None:
    class Countdown(Pager):
        left = 3

        def nextPage(self) -> list[int]:
            self.left -= 1
            if not self.left:
                self.stopPaging()
            return [self.left]

    collector = Collector()
    Countdown(collector)

    assert collector.pump() == [[2], [1], [0]]


def test_a_pager_has_to_say_what_its_pages_are(collector: Collector) -> None:
    with pytest.raises(NotImplementedError, match="Pager does not say"):
        Pager(collector).sendNextPage()


def test_a_collector_gives_all_pages_at_the_end() -> None:
    got: list[Any] = []
    collector = CallbackPageCollector(got.append)

    collector.remote_gotPage(b"a")
    collector.remote_gotPage(b"b")
    assert not got
    collector.remote_endedPaging()

    assert got == [[b"a", b"b"]]


class Source:
    """A reference to something that sends pages."""

    def __init__(self, *, answer: Any) -> None:
        self.answer = answer

    def callRemote(self, name: str, collector: CallbackPageCollector, *args: Any, **kw: Any) -> Any:
        self.called = name, args, kw
        self.collector = collector
        return self.answer


@pytest.mark.parametrize("answer", [None, succeed(None)], ids=["a local one", "a remote one"])
def test_all_pages_are_asked_for_with_one_call(answer: Any) -> None:
    source = Source(answer=answer)
    got: list[Any] = []
    getAllPages(source, "send", 1, two=2).addCallback(got.append)

    source.collector.remote_gotPage(b"a")
    source.collector.remote_endedPaging()

    assert source.called == ("send", (1,), {"two": 2})
    assert got == [[b"a"]]


def test_a_method_that_fails_instead_of_sending_pages_fails_the_wait_for_them() -> None:
    got: list[Any] = []

    getAllPages(Source(answer=fail(KeyError("no such file"))), "send").addErrback(got.append)

    (failure,) = got
    assert failure.check(KeyError)


def test_a_method_that_fails_after_its_last_page_does_not_spoil_the_pages() -> None:
    answer: Deferred[Any] = Deferred()
    source = Source(answer=answer)
    got: list[Any] = []
    getAllPages(source, "send").addBoth(got.append)

    source.collector.remote_endedPaging()
    answer.errback(KeyError())

    assert got == [[]]
    unhandled: list[Any] = []
    answer.addErrback(unhandled.append)
    assert unhandled


# Local objects that look remote.


class Adder(LocalAsRemote):
    reportAllTracebacks = 0

    def sync_add(self, x: int, y: int = 1) -> int:
        return x + y

    def async_add(self, x: int, y: int = 1) -> int:
        raise AssertionError("sync_add comes first")

    def async_double(self, x: int) -> int:
        return 2 * x

    def async_fail(self) -> None:
        raise KeyError("why")


def result_of(deferred: Deferred[Any]) -> Any:
    results: list[Any] = []
    deferred.addBoth(results.append)
    return results[0]


def test_what_a_sync_method_returns_is_returned() -> None:
    assert Adder().callRemote("add", 2, y=3) == 5


def test_what_an_async_method_returns_comes_in_a_deferred() -> None:
    assert result_of(Adder().callRemote("double", 2)) == 4


@pytest.mark.parametrize("told", [False, True])
def test_what_an_async_method_raises_comes_in_a_deferred_and_may_be_logged(told: bool) -> None:
    logged: list[Any] = []
    adder = Adder()
    adder.reportAllTracebacks = int(told)

    log.addObserver(logged.append)
    try:
        failure: Failure = result_of(adder.callRemote("fail"))
    finally:
        log.removeObserver(logged.append)

    assert failure.check(KeyError)
    assert ("KeyError" in str(logged)) is told


def test_a_method_that_is_not_there_comes_as_an_attribute_error() -> None:
    assert result_of(Adder().callRemote("subtract")).check(AttributeError)


def test_one_local_method_may_be_passed_around() -> None:
    method = Adder().remoteMethod("add")

    assert (method.name, method(2, y=3)) == ("add", 5)


class IForwarded(Interface):
    shown = Attribute("a method that may be called")


@implementer(IForwarded)
class Forwarded:
    def shown(self, *args: Any, **kw: Any) -> Any:
        return args, kw

    def hidden(self) -> None:
        raise AssertionError("not in the interface")


def test_a_forwarder_calls_the_methods_of_its_interface() -> None:
    forwarder = LocalAsyncForwarder(Forwarded(), IForwarded)

    assert result_of(forwarder.callRemote("shown", 1, two=2)) == ((1,), {"two": 2})


def test_a_forwarder_gives_what_a_method_raises_in_a_deferred() -> None:
    class Failing(Forwarded):
        def shown(self, *args: Any, **kw: Any) -> Any:
            raise KeyError

    assert result_of(LocalAsyncForwarder(Failing(), IForwarded).callRemote("shown")).check(KeyError)


def test_a_forwarder_ignores_other_methods_or_says_so() -> None:
    assert result_of(LocalAsyncForwarder(Forwarded(), IForwarded).callRemote("hidden")) is None

    strict = LocalAsyncForwarder(Forwarded(), IForwarded, failWhenNotImplemented=1)

    failure = result_of(strict.callRemote("hidden"))
    assert failure.check(NotImplementedError)
    assert "IForwarded has no method 'hidden'" in str(failure.value)


def test_a_forwarder_needs_an_object_that_provides_its_interface() -> None:
    with pytest.raises(TypeError, match="does not provide IForwarded"):
        LocalAsyncForwarder(object(), IForwarded)
