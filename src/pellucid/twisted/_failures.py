"""Exceptions as the Failures of PB: what is sent of one, and what arrives.

A failure travels as a copyable whose state is a dictionary of eleven entries; `pellucid.flavors.failures` says how much
of an exception's text and traceback that is. Names in it are PB's: see `pellucid.wire.names`.
"""

from __future__ import annotations

from typing import Any, NoReturn

from twisted.python import log
from twisted.python.failure import Failure

from pellucid import errors
from pellucid.flavors.copyable import Copyable, RemoteCopy
from pellucid.flavors.failures import FailureReport, report
from pellucid.flavors.serializable import qualified_name
from pellucid.twisted._policy import setUnjellyableForClass
from pellucid.wire.names import FAILURE, NO_TRACEBACK, names_of, own_error

__all__ = [
    "CopiedFailure",
    "CopyableFailure",
    "FailedWith",
    "RemoteError",
    "answer_for",
    "failure2Copyable",
    "failure_of",
    "is_expected",
    "state_of",
    "told_of",
]


class RemoteError(errors.RemoteError):
    """What a `CopiedFailure` is where it must be raised."""

    def __init__(
        self, remoteType: str | bytes, value: str, remoteTraceback: str, remoteParents: tuple[str, ...] = ()
    ) -> None:
        super().__init__(_text(remoteType), value, remoteTraceback, remoteParents)
        self.args: tuple[Any, ...] = (value,)
        self.remoteType = remoteType
        self.remoteTraceback = remoteTraceback

    def __str__(self) -> str:
        return self.text


class FailedWith(Exception):
    """Carries a failure through the core, which knows exceptions alone."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.failure = failure


def failure_of(error: BaseException) -> Failure:
    """The failure that a Deferred is given where a call ends in `error`."""
    return error.failure if isinstance(error, FailedWith) else Failure(error)


class _Name(bytes):
    """The name of a class at the peer: bytes, as PB has it on Python 3, that `print` shows as the HOWTO does.

    Twisted asks a failure's type for its qualified name, when it describes one; this answers.
    """

    __name__: str

    def __new__(cls, name: str) -> _Name:
        self = super().__new__(cls, name.encode())
        self.__module__, _, self.__name__ = name.rpartition(".")
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _Name, (str(self),)  # programs pickle failures, to keep them or to hand them to another process

    def __str__(self) -> str:
        return self.decode()


class _Parents(list[str]):
    """The names of a failure's classes at the peer; those of ours are found in it by our own names as well.

    Twisted asks for the qualified name of a class of this process, where it looks whether a failure is of that class.
    """

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or any(name == _local_name(each) for each in self)


class CopyableFailure(Failure, Copyable):
    """A failure to be sent: as an answer that is none, or as an argument."""

    unsafeTracebacks: bool | int = 0
    """Whether the text of the traceback is sent with it."""

    def getTypeToCopy(self) -> str:
        """The tag: always PB's."""
        return FAILURE.decode()

    def getStateToCopy(self) -> dict[str, Any]:
        """What the peer is told: in the order, and with the empty entries, that Twisted 26.10 sends."""
        return state_of(told_of(self), tells_tracebacks=bool(self.unsafeTracebacks))

    def forget(self) -> None:
        """Keep what is told of it alone, and no frames: they hold whatever the method had in hand."""
        told, unsafe = told_of(self), self.unsafeTracebacks
        vars(self).clear()
        state: Any = {"type": _Name(told.name), "value": told.text, "parents": list(told.parents)}
        vars(self).update(state, traceback=told.traceback, unsafeTracebacks=unsafe)
        self.args: tuple[Any, ...] = ()  # whatever an exception was made with; here, the failure


class CopiedFailure(RemoteCopy, Failure):
    """A failure of the peer's. `type` is the name of the exception's class, `value` its text."""

    type: Any
    value: Any
    traceback: str

    def setCopyableState(self, state: Any) -> None:
        """Take over what the peer tells: any part of it may be missing, and text may be bytes."""
        told = {_text(name): value for name, value in state.items()} if isinstance(state, dict) else {}
        name = _text(told.get("type")) or "an exception of unknown type"
        parents = told.get("parents")
        names = [_text(parent) for parent in parents] if isinstance(parents, list) else []
        vars(self).clear()
        self.type = _Name(name)
        self.value = _text(told.get("value"))
        self.traceback = _text(told.get("traceback")) or NO_TRACEBACK
        self.parents: list[str] = _Parents(names or [name])
        self.frames: list[Any] = []
        self.tb: Any = None
        self.count = 0
        self.captureVars = False

    set_copyable_state = setCopyableState
    __setstate__ = setCopyableState

    def trap(self, *errorTypes: Any) -> Any:
        """Which of `errorTypes` it is; the failure goes on to the next errback where it is none of them."""
        error = self.check(*errorTypes)
        if not error:
            raise self
        return error

    def raiseException(self) -> NoReturn:
        """Raise it, as a `RemoteError`."""
        if isinstance(self.value, BaseException):  # the application put one in its place
            super().raiseException()
        raise self._as_exception()

    def throwExceptionIntoGenerator(self, g: Any) -> Any:
        """Raise it inside a generator, as a `RemoteError`; returns what that yields next."""
        if isinstance(self.value, BaseException):
            return super().throwExceptionIntoGenerator(g)
        return g.throw(self._as_exception())

    def _as_exception(self) -> RemoteError:
        return RemoteError(self.type, self.value, self.traceback, tuple(self.parents))

    def printTraceback(self, file: Any = None, elideFrameworkCode: Any = False, detail: Any = "default") -> None:
        """Write the peer's name and text of the exception."""
        (file or log.logfile).write(f"Traceback from remote host -- {self.type}: {self.value}\n")

    def printBriefTraceback(self, file: Any = None, elideFrameworkCode: Any = False) -> None:
        """As `printTraceback`."""
        self.printTraceback(file)

    def printDetailedTraceback(self, file: Any = None, elideFrameworkCode: Any = False) -> None:
        """As `printTraceback`."""
        self.printTraceback(file)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.type}: {self.value}>"


def told_of(failure: CopyableFailure) -> FailureReport:
    """What the peer is told of a failure."""
    with_traceback = bool(failure.unsafeTracebacks)
    if isinstance(failure.value, BaseException):
        return report(failure.value, names_of(type(failure.value)), with_traceback=with_traceback)
    # It was itself received from a peer.
    parents = tuple(_text(parent) for parent in failure.parents)
    text = getattr(failure, "traceback", None) if with_traceback else None
    origin = errors.RemoteError(_text(failure.type), _text(failure.value), text, parents)
    return report(origin, (), with_traceback=with_traceback)


def state_of(told: FailureReport, *, tells_tracebacks: bool) -> dict[str, Any]:
    """The state of a failure of which that is told."""
    return {
        "count": 0,
        "type": told.name.encode(),
        "value": told.text,
        "captureVars": False,
        "tb": None,
        "unsafeTracebacks": tells_tracebacks,
        "parents": list(told.parents),
        "frames": [],
        "stack": [],
        "traceback": told.traceback or NO_TRACEBACK,
    }


def failure2Copyable(fail: Failure, unsafeTracebacks: bool | int = 0) -> CopyableFailure:
    """The same failure, ready to be sent."""
    copyable = CopyableFailure(fail)
    copyable.unsafeTracebacks = unsafeTracebacks
    return copyable


def is_expected(failure: Failure) -> bool:
    """Whether a method failed in order to be understood by its caller, so that it is no news on this side."""
    return failure.check(errors.Error) is not None


def answer_for(failure: Failure, security: Any, *, unsafe: bool) -> BaseException:
    """What to answer a call with that ended in `failure`.

    That is the exception itself where its class brings its own way on to the wire, or `security` allows its instances;
    else a `CopyableFailure`, which tells of tracebacks where `unsafe` is true.
    """
    value: Any = failure.value
    if isinstance(value, Exception) and (hasattr(type(value), "jellyFor") or security.isClassAllowed(type(value))):
        return value
    return failure2Copyable(failure, unsafe)


def _local_name(name: str) -> str | None:
    """The qualified name that our class has which is called `name` on the wire."""
    ours = own_error(name)
    return None if ours is None else qualified_name(ours)


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    return value if isinstance(value, str) else ""


setUnjellyableForClass(FAILURE, CopiedFailure)
