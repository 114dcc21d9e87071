"""Pagers, and local objects that look remote, with the names of twisted.spread.util."""

from __future__ import annotations

from collections.abc import Callable
from typing import IO, Any

from twisted.internet import interfaces
from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.protocols.basic import FileSender
from twisted.python.failure import Failure
from zope.interface import implementer

from pellucid.flavors.referenceable import Referenceable

__all__ = [
    "CallbackPageCollector",
    "FilePager",
    "LocalAsRemote",
    "LocalAsyncForwarder",
    "LocalMethod",
    "Pager",
    "StringPager",
    "getAllPages",
]


class LocalMethod:
    """One method of a `LocalAsRemote`: call it as a remote one."""

    def __init__(self, local: Any, name: str) -> None:
        self.local = local
        self.name = name

    def __call__(self, *args: Any, **kw: Any) -> Any:
        return self.local.callRemote(self.name, *args, **kw)


class LocalAsRemote:
    """An object that is called as if it were a remote reference; subclass it.

    A method named ``sync_...`` returns the Deferred itself; what one named ``async_...`` returns or raises is put into
    a Deferred.
    """

    reportAllTracebacks = 1
    """Whether what an ``async_...`` method raises is logged as well."""

    def callRemote(self, name: str, *args: Any, **kw: Any) -> Any:
        """Call ``sync_name`` if there is one, else ``async_name``."""
        method = getattr(self, f"sync_{name}", None)
        if method is not None:
            return method(*args, **kw)
        try:
            return succeed(getattr(self, f"async_{name}")(*args, **kw))
        except BaseException:  # noqa: BLE001 - a remote caller would get whatever it is
            failure = Failure()
            if self.reportAllTracebacks:
                failure.printTraceback()
            return fail(failure)

    def remoteMethod(self, name: str) -> LocalMethod:
        """Something that calls the method of that name."""
        return LocalMethod(self, name)


class LocalAsyncForwarder:
    """Lets a local object be called as if it were remote, but only the methods of one interface."""

    def __init__(self, forwarded: Any, interfaceClass: Any, failWhenNotImplemented: int = 0) -> None:
        if not interfaceClass.providedBy(forwarded):
            raise TypeError(f"{forwarded!r} does not provide {interfaceClass.__name__}")
        self.forwarded = forwarded
        self.interfaceClass = interfaceClass
        self.failWhenNotImplemented = failWhenNotImplemented

    def callRemote(self, method: str, *args: Any, **kw: Any) -> Deferred[Any]:
        """What the method returns or raises, as a Deferred.

        Where the interface has no such method it is None or, with `failWhenNotImplemented`, a NotImplementedError.
        """
        if self.interfaceClass.queryDescriptionFor(method):
            return maybeDeferred(lambda: getattr(self.forwarded, method)(*args, **kw))
        if self.failWhenNotImplemented:
            return fail(NotImplementedError(f"{self.interfaceClass.__name__} has no method {method!r}"))
        return succeed(None)


class Pager:
    """Sends something page by page to a remote collector, as fast as the connection takes it; subclass it.

    `collector` is a reference to a `CallbackPageCollector` or the like. `callback` is called, with the further
    arguments, once all has been handed over.
    """

    def __init__(self, collector: Any, callback: Callable[..., object] | None = None, *args: Any, **kw: Any) -> None:
        self.callback: Callable[..., object] | None = callback if callable(callback) else None
        self.callbackArgs = args
        self.callbackKeyword = kw
        self._stillPaging = 1
        self.collector = collector
        collector.broker.registerPageProducer(self)

    def stillPaging(self) -> int:
        """Whether there is another page; once there is none, the collector and `callback` are told. For the broker."""
        if not self._stillPaging:
            self.collector.callRemote("endedPaging", pbanswer=False)
            if self.callback is not None:
                self.callback(*self.callbackArgs, **self.callbackKeyword)
        return self._stillPaging

    def sendNextPage(self) -> None:
        """Send the next page. For the broker."""
        self.collector.callRemote("gotPage", self.nextPage(), pbanswer=False)

    def nextPage(self) -> Any:
        """The next page, which may be anything that can be sent; override it, and call `stopPaging` at the last one."""
        raise NotImplementedError(f"{type(self).__qualname__} does not say what its pages are")

    def stopPaging(self) -> None:
        """Let the page under way, if any, be the last one."""
        self._stillPaging = 0


class StringPager(Pager):
    """Sends bytes, or a str, in pages of `chunkSize`."""

    def __init__(
        self,
        collector: Any,
        st: bytes | str,
        chunkSize: int = 8192,
        callback: Callable[..., object] | None = None,
        *args: Any,
        **kw: Any,
    ) -> None:
        self.string = st
        self.pointer: int = 0
        self.chunkSize = chunkSize
        super().__init__(collector, callback, *args, **kw)

    def nextPage(self) -> bytes | str:
        """The next `chunkSize` bytes."""
        start = self.pointer
        self.pointer += self.chunkSize
        if self.pointer >= len(self.string):
            self.stopPaging()
        return self.string[start : self.pointer]


@implementer(interfaces.IConsumer)
class FilePager(Pager):
    """Sends what an open binary file holds, in the pages that `twisted.protocols.basic.FileSender` makes.

    An empty file is no page at all.
    """

    def __init__(
        self, collector: Any, fd: IO[bytes], callback: Callable[..., object] | None = None, *args: Any, **kw: Any
    ) -> None:
        self.chunks: list[bytes] = []
        self.producer: Any = None
        super().__init__(collector, callback, *args, **kw)
        self.startProducing(fd)

    def startProducing(self, fd: IO[bytes]) -> None:
        """Begin to read; `deferred` fires at the end of the file."""
        self.deferred: Deferred[Any] = FileSender().beginFileTransfer(fd, self)
        self.deferred.addBoth(lambda _: self.stopPaging())

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Take in the file's first page."""
        self.producer = producer
        if not streaming:
            producer.resumeProducing()

    def unregisterProducer(self) -> None:
        """The file has come to its end."""
        self.producer = None

    def write(self, chunk: bytes) -> None:
        """Take in one page of the file."""
        self.chunks.append(chunk)

    def sendNextPage(self) -> None:
        """Send the page read last, and read another. For the broker."""
        if self.chunks:
            self.collector.callRemote("gotPage", self.chunks.pop(0), pbanswer=False)
            self.producer.resumeProducing()


class CallbackPageCollector(Referenceable):
    """Gathers the pages that a pager sends, and calls `callback` with the list of them once they are all there."""

    def __init__(self, callback: Callable[[list[Any]], object]) -> None:
        self.pages: list[Any] = []
        self.callback = callback

    def remote_gotPage(self, page: Any) -> None:
        """One page more."""
        self.pages.append(page)

    def remote_endedPaging(self) -> None:
        """There are no more."""
        self.callback(self.pages)


def getAllPages(referenceable: Any, methodName: str, *args: Any, **kw: Any) -> Deferred[list[Any]]:
    """Call a remote method with a collector as its first argument.

    The Deferred fires with the list of the pages that the collector is sent, or with what the method failed with before
    the last one.
    """
    pages: Deferred[list[Any]] = Deferred()
    answer = referenceable.callRemote(methodName, CallbackPageCollector(pages.callback), *args, **kw)
    if isinstance(answer, Deferred):
        answer.addErrback(lambda failure: failure if pages.called else pages.errback(failure))
    return pages
