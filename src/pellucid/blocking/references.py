"""References whose calls block, and calls under way that any thread can wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

from pellucid.asyncio import calls
from pellucid.asyncio.events import Event, name_of
from pellucid.blocking.loop import LoopThread
from pellucid.blocking.turns import let_others_begin
from pellucid.core import gathering, references
from pellucid.core.calls import Call as AnyCall
from pellucid.core.calls import Maker
from pellucid.core.references import NO_OPTIONS, CallOptions, Prepared
from pellucid.errors import DeadReferenceError

__all__ = ["Call", "Configured", "Promise", "RemoteReference", "gather"]

T = TypeVar("T")


class Promise(calls.Call):
    """A call as the loop knows it; it may have a follower in another thread."""

    __slots__ = ("follower",)

    def __init__(self, maker: Maker, name: str) -> None:
        super().__init__(maker, name)
        self.follower: Call | None = None

    def _wake(self) -> None:
        super()._wake()
        follower, self.follower = self.follower, None
        if follower is not None:
            follower.settle(self)


class Call(Future[Any]):
    """One call under way, made by `RemoteReference.start`: a `concurrent.futures.Future`.

    `result` and `exception` wait, with a timeout in seconds if need be; `cancel` gives the call up. What takes futures
    takes it: `concurrent.futures.wait`, `as_completed`, `asyncio.wrap_future`. A call that fails, and whose outcome
    nobody asks for, is logged.
    """

    def __init__(self, thread: LoopThread, name: str, make: Callable[[], AnyCall]) -> None:
        super().__init__()
        self.name = name
        """What was called."""
        self._thread = thread
        self._make: Callable[[], AnyCall] | None = make
        self._promise: AnyCall | None = None
        self._noticed = False
        # For the log, once it has ended: what names it there, and what the connection's records have.
        self._correlation_id: str | None = None
        self._fields: dict[str, Any] = {}
        if thread.is_here:
            self._begin()
        else:
            thread.loop.call_soon_threadsafe(self._begin)

    @property
    def correlation_id(self) -> str | None:
        """Stands for the call in logs, as that of `pellucid.Call` does. None where it was not sent, or not yet."""
        promise = self._promise
        return self._correlation_id if promise is None else promise.correlation_id

    def result(self, timeout: float | None = None) -> Any:
        """What the method returned, once the answer has come; raises what the call ended in.

        Raises:
            TimeoutError: no answer came within `timeout` seconds. The call goes on.
            concurrent.futures.CancelledError: it was cancelled here.
            RuntimeError: this is the event loop's own thread, or the process was forked.
        """
        self._before_waiting()
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """What the call ended in, or None where it was answered; waits, and raises, as `result` does."""
        self._before_waiting()
        return super().exception(timeout)

    def add_done_callback(self, fn: Callable[[Future[Any]], object]) -> None:
        """Have ``fn(call)`` run when the call has ended: in the loop's thread, or here where it has already."""
        self._noticed = True
        super().add_done_callback(fn)

    def cancel(self) -> bool:
        """Give the call up; in the native dialect the method is cancelled, too. False where it has ended already."""
        if not super().cancel():
            return False
        try:
            self._thread.loop.call_soon_threadsafe(self._give_up)
        except RuntimeError:
            pass  # the loop is closed, and with it the connection
        return True

    def settle(self, promise: AnyCall) -> None:
        """`promise` has ended, and so has this."""
        self._correlation_id, self._promise = promise.correlation_id, None
        if self._thread.is_ending or not self.set_running_or_notify_cancel():
            return
        if promise.error is not None:
            self._fields = promise.maker.door.fields
            self.set_exception(promise.error)
        else:
            self.set_result(promise.outcome())

    def __del__(self) -> None:
        if not self._noticed and self.done() and not self.cancelled() and (error := super().exception()) is not None:
            fields = self._fields | {"method": self.name, "call": self._correlation_id, "error": name_of(error)}
            text = "call of %s failed, and nobody asked for its outcome: %s"
            Event.CALL_UNNOTICED.log(text, repr(self.name), error, fields=fields)

    def _begin(self) -> None:
        make, self._make = self._make, None
        if self.cancelled() or make is None:
            self.set_running_or_notify_cancel()
            return
        try:
            promise = make()
        except Exception as error:  # noqa: BLE001 - it is raised where it is waited for
            if self.set_running_or_notify_cancel():
                self.set_exception(error)
            return
        promise.notice()
        if promise.done:
            self.settle(promise)
        else:
            self._promise = promise
            assert isinstance(promise, Promise)
            promise.follower = self

    def _give_up(self) -> None:
        promise, self._promise = self._promise, None
        if promise is not None:
            promise.cancel()

    def _before_waiting(self) -> None:
        self._noticed = True
        if not self.done():
            self._thread.check()
            let_others_begin()


class RemoteReference(references.RemoteReference):
    """The right to call one object of the peer; `call` blocks, in any thread but that of the event loop.

    In the loop's thread, where ``async`` methods of objects of yours run, the result of `call` is awaited, as
    everywhere in asyncio.
    """

    __slots__ = ()

    def call(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """Call the method `name`, and return what it returns. Interrupting the wait gives the call up.

        Raises:
            DeadReferenceError: the reference is dead.
            PBConnectionLost: the connection ended before the answer came.
            RuntimeError: plain code in the event loop's own thread can't wait; or the process was forked.
            What else `pellucid.RemoteReference.call` lists.
        """
        return _ask(self, name, args, kwargs, NO_OPTIONS)

    def start(self, name: str, /, *args: Any, **kwargs: Any) -> Call:
        """Call the method `name`, and don't wait: the result is a future. Leave the arguments alone until it is done.

        Raises:
            DeadReferenceError: at once, where the reference is known to be dead.
            RuntimeError: the process was forked.
        """
        return _start(self, name, args, kwargs, NO_OPTIONS)

    def call_with(self, *, timeout: float | None = None, one_way: bool = False) -> Configured:
        """The same reference with options: ``reference.call_with(timeout=2.0).call("name", ...)``.

        They are those of `pellucid.RemoteReference.call_with`.
        """
        return Configured(self, CallOptions(timeout, one_way))

    def as_(self, interface: Callable[..., T], /) -> T:
        """As `pellucid.RemoteReference.as_`, for ``async`` methods of objects of yours: those of an interface are such.

        Raises:
            RuntimeError: this is another thread than the event loop's, and nothing can be awaited here.
            TypeError: `interface` is none.
        """
        _check_awaits(self)
        return super().as_(interface)

    def release(self) -> None:
        _thread_of(self).do(super().release)

    def notify_on_disconnect(self, callback: Callable[[references.RemoteReference], object]) -> Callable[[], None]:
        """Run ``callback(reference)`` once when the connection ends; call the result to take that back.

        A plain one is run in a thread that may block, and not before the methods that were called before.

        Raises:
            DeadReferenceError: it has ended already.
        """
        line, notify = self.keeper.door, super().notify_on_disconnect
        cancel = line.thread.do(notify, line.turns.in_turn(callback))
        return lambda: line.thread.do(cancel)

    def __enter__(self) -> RemoteReference:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.release()


class Configured(references.Configured):
    """A reference together with options for the calls made through it."""

    __slots__ = ()

    _reference: RemoteReference

    def call(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """As `RemoteReference.call`, with the options."""
        return _ask(self._reference, name, args, kwargs, self._options)

    def start(self, name: str, /, *args: Any, **kwargs: Any) -> Call:
        """As `RemoteReference.start`, with the options."""
        return _start(self._reference, name, args, kwargs, self._options)

    def as_(self, interface: Callable[..., T], /) -> T:
        """As `RemoteReference.as_`; every call through the view has the options."""
        _check_awaits(self._reference)
        return super().as_(interface)


def gather(*prepared: Prepared, return_exceptions: bool = False, timeout: float | None = None) -> list[Any]:
    """Make calls together, and return their results: ``gather(*(root.prepare("echo", n) for n in range(1000)))``.

    All is as `pellucid.gather` says, but that it blocks.
    """
    if not prepared:
        return []
    gathering.check_prepared(prepared)
    make = partial(gathering.gather, *prepared, return_exceptions=return_exceptions, timeout=timeout)
    thread = _thread_of(prepared[0].reference)
    thread.check()
    results: list[Any] = _wait(Call(thread, "gather", make))
    return results


def _thread_of(reference: references.RemoteReference) -> LoopThread:
    thread: LoopThread = reference.keeper.door.thread
    return thread


def _check_awaits(reference: RemoteReference) -> None:
    if not _thread_of(reference).is_here:
        raise RuntimeError("the methods of an interface are async, and can't be awaited here: use call()")


def _ask(reference: RemoteReference, name: str, args: Any, kwargs: Any, options: CallOptions) -> Any:
    thread = _thread_of(reference)
    if thread.is_here and asyncio.current_task() is not None:
        return reference.keeper.promises.call(reference, name, args, kwargs, options)
    thread.check()
    return _wait(_start(reference, name, args, kwargs, options))


def _start(reference: RemoteReference, name: str, args: Any, kwargs: Any, options: CallOptions) -> Call:
    thread = _thread_of(reference)
    if not thread.is_here:
        thread.check()
    reference.live_target()
    if reference.keeper.closed:
        raise DeadReferenceError("the connection to the object's owner has ended")
    return Call(thread, name, partial(reference.keeper.promises.call, reference, name, args, kwargs, options))


def _wait(call: Call) -> Any:
    try:
        return call.result()
    except BaseException:
        call.cancel()  # which counts for nothing where this is how the call has ended
        raise
    finally:
        del call  # or the traceback would keep the call, and the call the traceback
