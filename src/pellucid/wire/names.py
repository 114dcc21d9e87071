"""Names are part of the wire: what PB calls our exceptions, and which of its names arrive as ours.

Observed with Twisted 26.10: a peer that is told of another name drops the connection at the first failure.
"""

from __future__ import annotations

from pellucid import errors
from pellucid.flavors.serializable import qualified_name

__all__ = ["FAILURE", "NO_TRACEBACK", "broker_error", "method_error", "names_of", "own_error"]

FAILURE = b"twisted.spread.pb.CopyableFailure"
"""The tag of an exception."""

NO_TRACEBACK = "Traceback unavailable\n"
"""What Twisted writes in place of a traceback that it keeps to itself."""

_NAMES: dict[type[BaseException], str] = {
    errors.Error: "twisted.spread.pb.Error",
    errors.RemoteError: "twisted.spread.pb.RemoteError",
    errors.InsecureJelly: "twisted.spread.jelly.InsecureJelly",
    errors.NoSuchMethod: "twisted.spread.flavors.NoSuchMethod",
    errors.PBConnectionLost: "twisted.spread.pb.PBConnectionLost",
    errors.ProtocolError: "twisted.spread.pb.ProtocolError",
    errors.DeadReferenceError: "twisted.spread.pb.DeadReferenceError",
    errors.LoginFailed: "twisted.cred.error.LoginFailed",
    errors.UnauthorizedLogin: "twisted.cred.error.UnauthorizedLogin",
    errors.UnhandledCredentials: "twisted.cred.error.UnhandledCredentials",
    errors.TooManyLogins: "pellucid.errors.TooManyLogins",
    errors.UnprotectedLogin: "pellucid.errors.UnprotectedLogin",
}

_OF_LOGINS: tuple[type[Exception], ...] = (
    errors.LoginFailed,
    errors.TooManyLogins,
    errors.UnauthorizedLogin,
    errors.UnhandledCredentials,
    errors.UnprotectedLogin,
)

# A peer's broker makes these. The others of the table, when they arrive, were raised inside a remote method: that the
# method lost some connection of its own must not look as if this one were lost.
_FROM_BROKERS: tuple[type[Exception], ...] = (
    errors.Error,
    errors.InsecureJelly,
    errors.NoSuchMethod,
    *_OF_LOGINS,
)

_OURS: tuple[type[Exception], ...] = (
    errors.CallCancelled,
    errors.ForeignReference,
    errors.InvalidArgument,
    errors.LimitExceeded,
    errors.RateExceeded,
    errors.Revoked,
    errors.TooManyCalls,
    errors.TooManyReferences,
    errors.RemoteProtocolError,
)

# What only a dialect that tells the two apart can bring: a method's own may have the same name.
_TOLD_APART: tuple[type[Exception], ...] = (
    *_OURS,
    errors.DeadlineExceeded,
    errors.LocalProtocolError,
    errors.NotAReference,
    errors.Overloaded,
)

_RAISED_BY_METHODS: tuple[type[Exception], ...] = (errors.Error, *_OF_LOGINS)

_CLASSES = {_NAMES[cls]: cls for cls in _FROM_BROKERS} | {qualified_name(cls): cls for cls in _OURS}

_OF_BROKERS = _CLASSES | {qualified_name(cls): cls for cls in _TOLD_APART}
_OF_METHODS = {_NAMES[cls]: cls for cls in _RAISED_BY_METHODS}


def names_of(cls: type[BaseException]) -> tuple[str, ...]:
    """What `cls` and its bases are called on the wire, nearest first."""
    names = [_NAMES.get(base) or qualified_name(base) for base in cls.__mro__]
    if issubclass(cls, errors.UnauthorizedLogin):
        # Twisted's has a second base, which its programs trap.
        names.insert(names.index(_NAMES[errors.LoginFailed]) + 1, "twisted.cred.error.Unauthorized")
    return tuple(names)


def own_error(name: str) -> type[Exception] | None:
    """The class of ours that a peer's broker means by `name`."""
    return _CLASSES.get(name)


def broker_error(name: str) -> type[Exception] | None:
    """The class of ours that `name` means in an error that the peer's broker made, where the dialect says so."""
    return _OF_BROKERS.get(name)


def method_error(name: str) -> type[Exception] | None:
    """The class of ours that `name` means in an error that a method raised, where the dialect says so."""
    return _OF_METHODS.get(name)
