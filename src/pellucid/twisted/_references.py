"""References, observers and calls, with the verbs and the Deferreds of Perspective Broker."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

from twisted.internet import defer
from twisted.python import log
from twisted.python.failure import Failure
from zope.interface import implementer

from pellucid.core import caches, calls, gathering, references
from pellucid.core.references import NO_OPTIONS, CallOptions
from pellucid.errors import CallCancelled, DeadlineExceeded
from pellucid.twisted._failures import FailedWith, failure_of
from pellucid.twisted.interfaces import IUnjellyable

if TYPE_CHECKING:
    from pellucid.twisted._connection import Broker

__all__ = ["Call", "RemoteCacheMethod", "RemoteCacheObserver", "RemoteMethod", "RemoteReference", "gather"]

_ONE_WAY = CallOptions(one_way=True)
_await: Callable[[Any], Generator[Any, None, Any]] = getattr(defer.Deferred, "__await__")  # noqa: B009 - it is abstract, as its annotation has it


class Call(calls.Call, defer.Deferred[Any]):
    """One call under way: the Deferred of its answer, of whose result methods can be called before it is there.

    A call that depends on it, as its target or an argument, is given what the callbacks make of the answer that had
    been added by then, and none of those that are added after. In the native dialect it is sent at once, unless there
    are such callbacks.
    """

    _named = False

    def __init__(self, maker: calls.Maker, name: str) -> None:
        calls.Call.__init__(self, maker, name)
        defer.Deferred.__init__(self)

    def __await__(self) -> Generator[Any, None, Any]:
        return _await(self)

    def cancel(self) -> None:
        """Give the call up: the Deferred fails with CancelledError.

        In the native dialect the Deferred or the coroutine that its method returned is cancelled, too. Over the PB
        dialects the method runs all the same. Calls that depend on this one fail with `CallCancelled`.
        """
        defer.Deferred.cancel(self)
        self.give_up()

    def end_in(self, seconds: float, clock: Any, why: str) -> None:
        """End the call in DeadlineExceeded after so many `seconds` by that `clock`, an IReactorTime."""
        self.deadline: float | None = clock.seconds() + seconds
        self._timer = clock.callLater(seconds, self._expire, why)

    # What calls that depend on this one ask.

    @property
    def is_nameable(self) -> bool:
        """Whether the peer knows it by its number, and its answer is what calls that depend on it are to be given."""
        return self._named and not self._callbacks  # Twisted has no public name for these

    @is_nameable.setter
    def is_nameable(self, named: bool) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]  # it is one
        self._named = named

    @property
    def is_known(self) -> bool:
        """Whether it is known what the callbacks that were added so far have made of the answer."""
        if self.called:
            return not (self._callbacks or self.paused or self._runningCallbacks)
        return self._done

    @property
    def error(self) -> Exception | None:
        """What the call ended in, where that is no result: as the callbacks left it."""
        if not self.called:
            return self._error
        failure = getattr(self, "result", None)
        if not isinstance(failure, Failure):
            return None
        value: Any = failure.value
        if isinstance(value, defer.CancelledError):
            return CallCancelled(f"the call of {self.name!r} was cancelled here")
        return value if isinstance(value, Exception) else FailedWith(failure)

    def outcome(self) -> Any:
        """The result, as the callbacks left it."""
        return self.result if self.called else super().outcome()

    def among_results(self, error: Exception) -> Failure:
        """What stands among the results of calls that are gathered for one that ended in `error`."""
        return failure_of(error)

    def add_dependant(self, dependant: calls.Dependant) -> None:
        """Have `dependant` told when the callbacks that were added before have run, and before others do."""
        if self.called or self._callbacks:
            self.addBoth(self._tell, dependant)
        else:
            super().add_dependant(dependant)

    def _tell(self, result: Any, dependant: calls.Dependant) -> Any:
        dependant.go_on(self)
        return result

    def _expire(self, why: str) -> None:
        self.fail(DeadlineExceeded(why))

    def _wake(self) -> None:
        value, self._value = self._value, None  # from here on it is the callbacks'
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if self.called:
            return  # cancelled
        if self._error is None:
            self.callback(value)
            return
        self.errback(failure_of(self._error))
        if self._noticed and self._debugInfo is not None:
            # Others have the error, and tell of it. Nothing but this keeps Twisted from logging it as nobody's.
            self._debugInfo.failResult = None


class _Caller:
    """What can be called with PB's verb."""

    _prepare: Callable[..., calls.Call]

    def callRemote(self, _name: str | bytes, /, *args: Any, **kw: Any) -> Any:
        """Call the method `_name`: a Deferred of its result; None where ``pbanswer=False`` says that none is wanted.

        Raises:
            DeadReferenceError: at once, where the connection has ended.
        """
        name = _name if isinstance(_name, str) else _name.decode(errors="backslashreplace")
        callback, errback, wants_answer = (
            kw.pop("pbcallback", None),
            kw.pop("pberrback", None),
            kw.pop("pbanswer", True),
        )
        if (callback or errback) and not wants_answer:
            raise TypeError("pbcallback and pberrback have no use with pbanswer=False")
        call: Any = self._call(name, args, kw, NO_OPTIONS if wants_answer else _ONE_WAY)
        if callback or errback:
            log.msg('warning! using deprecated "pbcallback"')
            call.addCallbacks(callback or _passed_on, errback or _passed_on)
        return call if wants_answer or call.error is not None else None

    def _call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], options: CallOptions) -> calls.Call:
        raise NotImplementedError


@implementer(IUnjellyable)
class RemoteReference(_Caller, references.RemoteReference):
    """The right to call one object of the peer; see `pellucid.RemoteReference`, whose verbs it has as well."""

    disconnectCallbacks: list[Callable[[RemoteReference], object]]

    def __init__(self, perspective: Any, broker: Broker, luid: int | bytes, doRefCount: Any = 0) -> None:
        self._begin(broker.books, luid, perspective)

    @classmethod
    def made(cls, keeper: references.Keeper, export_id: int | bytes, perspective: Any = None) -> RemoteReference:
        """A reference of this class, without the ``__init__`` that an application's subclass may have."""
        reference = cls.__new__(cls)
        reference._begin(keeper, export_id, perspective)
        return reference

    def _begin(self, keeper: references.Keeper, export_id: int | bytes, perspective: Any) -> None:
        super().__init__(keeper, export_id, perspective)
        self.disconnectCallbacks = []

    @property
    def broker(self) -> Broker:
        """The broker of the connection that it came through."""
        broker: Broker = self.keeper.door
        return broker

    @property
    def luid(self) -> int | bytes:
        """By which the peer knows its object."""
        return self.export_id

    def remoteMethod(self, key: str) -> RemoteMethod:
        """Something to call in order to call the method `key`."""
        return RemoteMethod(self, key)

    def notifyOnDisconnect(self, callback: Callable[[RemoteReference], object]) -> None:
        """Run ``callback(self)`` when the connection ends. Raises DeadReferenceError where it has."""
        if not self.disconnectCallbacks:
            self.broker.notifyOnDisconnect(self._disconnected)
        self.disconnectCallbacks.append(callback)

    def dontNotifyOnDisconnect(self, callback: Callable[[RemoteReference], object]) -> None:
        """Do not run that callback after all."""
        if callback in self.disconnectCallbacks:
            self.disconnectCallbacks.remove(callback)
        if not self.disconnectCallbacks:
            self.broker.dontNotifyOnDisconnect(self._disconnected)

    def unjellyFor(self, unjellier: Any, unjellyList: Any) -> Any:
        """For subclasses registered for a tag: the reference to the object whose id is ``unjellyList[1]``."""
        reference = unjellier.reference(unjellyList[1], type(self))
        vars(reference).update(vars(self))
        return reference

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RemoteReference):
            return NotImplemented
        return self.keeper is other.keeper and self.luid == other.luid

    def __hash__(self) -> int:
        return hash(self.luid)

    def _call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], options: CallOptions) -> calls.Call:
        return self.keeper.promises.call(self, name, args, kwargs, options)

    def _disconnected(self) -> None:
        callbacks, self.disconnectCallbacks = self.disconnectCallbacks, []
        for callback in callbacks:
            try:
                callback(self)
            except BaseException:  # noqa: BLE001 - an application's own, and the others are told all the same
                log.err(Failure(), "a notice of a lost connection failed")


class RemoteCacheObserver(_Caller, caches.CacheObserver):
    """The peer's copy of a cacheable, as its owner sees it; see `pellucid.Observer`."""

    @property
    def broker(self) -> Broker:
        """The broker of the connection that the copy was sent through."""
        broker: Broker = self.keeper.door
        return broker

    def remoteMethod(self, key: str) -> RemoteCacheMethod:
        """Something to call in order to tell the copy of `key`."""
        return RemoteCacheMethod(self, key)

    def _call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], options: CallOptions) -> calls.Call:
        return self.keeper.promises.call(self, name, args, kwargs, options)


class RemoteMethod:
    """One method of a peer's object; equal to every other that stands for the same."""

    def __init__(self, obj: RemoteReference, name: str) -> None:
        self.obj = obj
        self.name = name

    def __call__(self, *args: Any, **kw: Any) -> Any:
        """As ``obj.callRemote(name, *args, **kw)``."""
        return self.obj.callRemote(self.name, *args, **kw)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RemoteMethod):
            return NotImplemented
        return self.obj == other.obj and self.name == other.name

    def __hash__(self) -> int:
        return hash((self.obj, self.name))


class RemoteCacheMethod:
    """One method of a peer's copy of a cacheable."""

    def __init__(self, observer: RemoteCacheObserver, name: str) -> None:
        self.observer = observer
        self.name = name

    def __call__(self, *args: Any, **kw: Any) -> Any:
        """As ``observer.callRemote(name, *args, **kw)``."""
        return self.observer.callRemote(self.name, *args, **kw)


def gather(
    *prepared: references.Prepared, return_exceptions: bool = False, timeout: float | None = None
) -> defer.Deferred[list[Any]]:
    """Make calls together: ``gather(*(root.prepare("echo", n) for n in range(1000)))`` is the Deferred of all results.

    See `pellucid.gather`. With `return_exceptions` Failures stand among the results.
    """
    if not prepared:
        return defer.succeed([])
    gathered: Any = gathering.gather(*prepared, return_exceptions=return_exceptions, timeout=timeout)
    deferred: defer.Deferred[list[Any]] = gathered
    return deferred


def _passed_on(result: Any) -> Any:
    return result
