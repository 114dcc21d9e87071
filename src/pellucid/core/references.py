"""RemoteReference: the right to call one object of the peer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any, NoReturn, Protocol, TypeVar

from pellucid.core.calls import Call
from pellucid.core.views import Seeable, view_of
from pellucid.errors import DeadReferenceError
from pellucid.limits import Limits
from pellucid.wire.messages import ExportId, SharedUpdate, method_name

__all__ = [
    "NO_OPTIONS",
    "CallMaker",
    "CallOptions",
    "Caller",
    "Configured",
    "Keeper",
    "Prepared",
    "RemoteReference",
    "Right",
    "Target",
]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CallOptions:
    """What a caller may ask of a call beside the method and its arguments."""

    timeout: float | None = None
    """Seconds until the call ends in DeadlineExceeded; None for no end."""
    one_way: bool = False
    """Whether no answer is wanted: the call is done, with None, once it is sent."""

    def __post_init__(self) -> None:
        try:
            if self.timeout is not None and isnan(self.timeout):
                raise ValueError("a timeout is a number of seconds")
        except TypeError:
            raise TypeError(f"a timeout is a number of seconds, not a {type(self.timeout).__name__}") from None


NO_OPTIONS = CallOptions()


class Target(Protocol):
    """What a call is aimed at: an object of the peer's, or its copy of a cacheable of ours."""

    @property
    def export_id(self) -> ExportId:
        """By which the peer knows it; of a call whose target is not known yet, a `Promised`."""
        ...

    @property
    def to_cache(self) -> bool:
        """Whether it is a copy."""
        ...

    @property
    def perspective(self) -> Any:
        """Through whose eyes the peer sees what it is sent."""
        ...


class Right(Protocol):
    """The right to call something of the peer's: a reference, or the observer of a cacheable."""

    def live_target(self) -> Target:
        """What a call is aimed at. Raises DeadReferenceError, or LocalProtocolError, where it can't be called now."""
        ...


class Caller(Protocol):
    """How calls are made."""

    def call(
        self, right: Right, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], options: CallOptions, /
    ) -> Call:
        """Make a call: see `RemoteReference.call`."""
        ...


class Prepared:
    """A call that is not made yet: what `pellucid.gather` takes."""

    __slots__ = ("args", "kwargs", "name", "reference", "target")

    def __init__(self, reference: RemoteReference, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.reference: RemoteReference = reference
        self.target: ExportId = reference.export_id
        """What stands for what is called."""
        self.name: str = name if type(name) is str else method_name(name)
        self.args: tuple[Any, ...] = args
        self.kwargs: dict[str, Any] = kwargs

    @property
    def parts(self) -> tuple[RemoteReference, str, tuple[Any, ...], dict[str, Any]]:
        """All of it."""
        return self.reference, self.name, self.args, self.kwargs

    def __repr__(self) -> str:
        return f"<Prepared {self.name} of {self.reference!r}>"


class CallMaker(Protocol):
    """What makes the calls of a connection, as its references and observers know it."""

    @property
    def promises(self) -> Any:
        """What makes single calls."""
        ...

    def gather(self, prepared: Sequence[Prepared], options: CallOptions, *, takes_errors: bool) -> Call:
        """Make many calls at once."""
        ...

    def update(self, observer: Any, shared: SharedUpdate) -> None:
        """Tell one of many copies of a change."""
        ...


class Keeper(Protocol):
    """What a reference needs of its connection: the books that count it, and the door's way to call."""

    door: Any
    closed: bool
    limits: Limits

    @property
    def calling(self) -> CallMaker:
        """What makes calls together."""
        ...

    @property
    def promises(self) -> Caller:
        """What makes calls one by one."""
        ...

    def release(self, reference: RemoteReference) -> bool:
        """Give back one receipt; False where none is left."""
        ...

    def notify_on_disconnect(self, callback: Callable[[], object]) -> Callable[[], None]:
        """Run `callback` when the connection ends; the result cancels that."""
        ...


class RemoteReference(Seeable):
    """The right to call one object of the peer.

    One object is one reference while it is held. Sent back to its owner it is the object itself; it can't be given to
    a third party. When the last holder here drops it, the owner is told.
    """

    __slots__ = ("__weakref__", "_released", "export_id", "keeper", "perspective")

    to_cache = False

    def __init__(self, keeper: Keeper, export_id: ExportId, perspective: Any = None) -> None:
        self.keeper: Keeper = keeper
        self.export_id: ExportId = export_id
        self.perspective: Any = perspective
        self._released = False

    @classmethod
    def made(cls, keeper: Keeper, export_id: ExportId, perspective: Any = None) -> RemoteReference:
        """A reference of this class; subclasses may have an ``__init__`` of their own."""
        return cls(keeper, export_id, perspective)

    def call(self, name: str, /, *args: Any, **kwargs: Any) -> Call:
        """Call the method `name`; await the result for what it returns.

        The call is sent now, whether or not it is awaited. An argument may be a `Call` that is still under way, whose
        result takes its place: in the native dialect at the peer; over the PB dialects this call is sent once the
        result is here, and later calls of the same object wait behind it.

        Raises:
            DeadReferenceError: at once, where the reference is dead.
            Overloaded: at once, where too much waits to be sent to the peer already.
            TypeError: at once, where `name` is no text.

        Awaiting it raises:
            InsecureJelly: an argument may not cross; nothing was sent.
            LimitExceeded: an argument is too large; nothing was sent.
            PBConnectionLost: the connection ended before the answer came.
            RemoteError: the method raised an exception of a class unknown here; a known class arrives as itself.
            The error of a call that is an argument.
        """
        return self.keeper.promises.call(self, name, args, kwargs, NO_OPTIONS)

    def prepare(self, name: str, /, *args: Any, **kwargs: Any) -> Prepared:
        """The call that `call` would make, for `pellucid.gather` to make it together with others."""
        return Prepared(self, name, args, kwargs)

    def call_with(self, *, timeout: float | None = None, one_way: bool = False) -> Configured:
        """The same reference with options: ``await reference.call_with(timeout=2.0).call("name", ...)``.

        `timeout` is in seconds, and covers what the method calls in turn, whoever is asked. In the native dialect the
        method is told, and cancelled when its time is up; over the PB dialects it runs on, and its answer is thrown
        away. With `one_way` no answer is wanted, and errors of the method are only known there.

        Raises:
            ValueError, TypeError: `timeout` is no number.
        """
        return Configured(self, CallOptions(timeout, one_way))

    def release(self) -> None:
        """Give back one receipt of the object now, rather than when the last holder drops the reference.

        It was received as often as it was sent. Once every receipt is given back the reference is dead; an object
        that is received again is a new reference.
        """
        if self.alive and not self.keeper.release(self):
            self._released = True

    def notify_on_disconnect(self, callback: Callable[[RemoteReference], object]) -> Callable[[], None]:
        """Run ``callback(reference)`` once when the connection ends; call the result to take that back.

        Raises:
            DeadReferenceError: it has ended already.
        """
        if not self.alive:
            raise DeadReferenceError(f"{self!r} will not be told of a disconnect any more")
        return self.keeper.notify_on_disconnect(lambda: callback(self))

    @property
    def alive(self) -> bool:
        """Whether it can still be called, as far as is known here."""
        return not (self._released or self.keeper.closed)

    async def __aenter__(self) -> RemoteReference:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.release()

    def __repr__(self) -> str:
        export_id = self.export_id
        name = export_id.decode(errors="backslashreplace") if isinstance(export_id, bytes) else export_id
        return f"<{type(self).__name__} {name} {'alive' if self.alive else 'dead'}>"

    def __copy__(self) -> RemoteReference:
        return self  # a copy would not be counted: it would be dead once the original is dropped

    def __deepcopy__(self, memo: dict[int, Any]) -> RemoteReference:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{self!r} is good for its connection alone, and can't be pickled")

    def live_target(self) -> RemoteReference:
        """What a call is aimed at. Raises DeadReferenceError where the reference was released."""
        if self._released:
            raise DeadReferenceError(f"{self!r} was released; receive the object again to call it")
        return self


class Configured:
    """A reference together with options for the calls made through it."""

    __slots__ = ("_options", "_reference")

    def __init__(self, reference: RemoteReference, options: CallOptions) -> None:
        self._reference = reference
        self._options = options

    def call(self, name: str, /, *args: Any, **kwargs: Any) -> Call:
        """As `RemoteReference.call`, with the options."""
        return self._reference.keeper.promises.call(self._reference, name, args, kwargs, self._options)

    def as_(self, interface: Callable[..., T], /) -> T:
        """As `RemoteReference.as_`; every call through the view has the options.

        Raises:
            TypeError: `interface` is none, or the options are those of one-way calls, which have no results.
        """
        if self._options.one_way:
            raise TypeError("an interface promises results, and one-way calls have none: use call() for these")
        return view_of(self, interface, self._reference)
