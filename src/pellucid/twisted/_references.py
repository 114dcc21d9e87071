"""References, observers and calls, with the verbs and the Deferreds of Perspective Broker."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

from twisted.internet import defer
from twisted.python import log
from twisted.python.failure import Failure
from zope.interface import implementer

from pellucid.core import caches, calls, references
from pellucid.core.references import NO_OPTIONS, CallOptions
from pellucid.twisted._failures import failure_of
from pellucid.twisted.interfaces import IUnjellyable

if TYPE_CHECKING:
    from pellucid.twisted._connection import Broker

__all__ = ["Call", "RemoteCacheMethod", "RemoteCacheObserver", "RemoteMethod", "RemoteReference"]

_ONE_WAY = CallOptions(one_way=True)
_await: Callable[[Any], Generator[Any, None, Any]] = getattr(defer.Deferred, "__await__")  # noqa: B009 - it is abstract, as its annotation has it


class Call(calls.Call, defer.Deferred[Any]):
    """One call under way: the Deferred of its answer, of whose result methods can be called before it is there."""

    def __init__(self, maker: calls.Maker, name: str) -> None:
        calls.Call.__init__(self, maker, name)
        defer.Deferred.__init__(self)

    def __await__(self) -> Generator[Any, None, Any]:
        return _await(self)

    def cancel(self) -> None:
        """Give the call up: the Deferred fails with CancelledError, the method runs all the same."""
        defer.Deferred.cancel(self)
        calls.Call.cancel(self)

    def outcome(self) -> Any:
        """What the Deferred's callbacks have made of the answer, once they have run."""
        return self.result if self.called else super().outcome()

    def _wake(self) -> None:
        value, self._value = self._value, None  # from here on it is the callbacks'
        if self.called:
            return  # cancelled
        if self._error is None:
            self.callback(value)
        else:
            self.errback(failure_of(self._error))


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
        return self.keeper.caller(self, name, args, kwargs, options)

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
        return self.keeper.caller(self, name, args, kwargs, options)


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


def _passed_on(result: Any) -> Any:
    return result
