"""Every exception that pellucid raises.

::

    Exception
    ├── Error                     raise a subclass of this in a remote method: expected, travels quietly
    │   ├── NotAReference         a call of the result of a call that is no reference
    │   ├── Revoked               a call of a facet that was revoked, or whose time is over
    │   ├── RateExceeded          a call of a facet that is called too often
    │   ├── InvalidArgument       an argument that is not what the method's annotation says
    │   └── LimitExceeded         a named limit of `pellucid.Limits`
    │       ├── TooManyCalls
    │       ├── TooManyReferences
    │       └── Overloaded
    ├── RemoteError               the peer's method raised a class that this side does not know
    ├── InsecureJelly             something that may not cross the wire
    │   └── ForeignReference      a reference offered to a peer that does not own it
    ├── NoSuchMethod              (also an AttributeError)
    ├── CallCancelled
    ├── DeadlineExceeded          (also a TimeoutError)
    ├── PBConnectionLost          the line dropped while a call was under way
    ├── ConnectFailed
    │   └── NoCommonDialect
    ├── LoginFailed
    │   ├── UnauthorizedLogin
    │   │   └── UnprotectedLogin
    │   ├── UnhandledCredentials
    │   └── TooManyLogins
    └── ProtocolError
        ├── LocalProtocolError    you asked for what the protocol forbids; nothing was sent
        ├── RemoteProtocolError   the peer sent what the protocol forbids
        │   └── LimitBroken       ... by exceeding a named limit
        └── DeadReferenceError    a call on a reference whose connection has ended, or that was released

Whose fault an exception is shows in its type; facts are attributes; the text is made when it is asked for.
"""

from __future__ import annotations

import re
from math import ceil
from typing import Any, ClassVar
from weakref import WeakValueDictionary

__all__ = [
    "CallCancelled",
    "ConnectFailed",
    "DeadReferenceError",
    "DeadlineExceeded",
    "Error",
    "ForeignReference",
    "InsecureJelly",
    "InvalidArgument",
    "LimitBroken",
    "LimitExceeded",
    "LocalProtocolError",
    "LoginFailed",
    "NoCommonDialect",
    "NoSuchMethod",
    "NotAReference",
    "Overloaded",
    "PBConnectionLost",
    "ProtocolError",
    "RateExceeded",
    "RemoteError",
    "RemoteProtocolError",
    "Revoked",
    "TooManyCalls",
    "TooManyLogins",
    "TooManyReferences",
    "UnauthorizedLogin",
    "UnhandledCredentials",
    "UnprotectedLogin",
]


class Error(Exception):
    """An expected error: raise a subclass of it in a remote method and the caller gets it, quietly.

    Its class name and its text travel; nothing is logged here. A caller whose registry knows the class gets that
    class, others get `RemoteError`.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "<locals>" not in cls.__qualname__:
            _importable[f"{cls.__module__}.{cls.__name__}"] = cls


_importable: WeakValueDictionary[str, type[Error]] = WeakValueDictionary()


def importable_error(name: str) -> type[Error] | None:
    """The subclass of `Error` of that qualified name, the last defined of several; not one local to a function."""
    return _importable.get(name)


class RemoteError(Exception):
    """The peer's method raised an exception of a class that this connection's registry does not know."""

    def __init__(
        self,
        remote_type: str,
        text: str,
        remote_traceback: str | None = None,
        remote_parents: tuple[str, ...] = (),
    ) -> None:
        super().__init__(remote_type, text)
        self.remote_type = remote_type
        """Qualified name of the exception's class, as the peer wrote it."""
        self.text = text
        """What `str()` of the exception gave at the peer."""
        self.remote_traceback = remote_traceback
        """The peer's traceback as text, where its server opted in to sending it."""
        self.remote_parents = remote_parents
        """Qualified names of the class and its bases, nearest first; may be empty."""
        self.correlation_id: str | None = None
        """What the peer's log calls the call that ended so, as `Call.correlation_id`; None where that is not known."""

    def __str__(self) -> str:
        return f"{self.remote_type}: {self.text}" if self.text else self.remote_type


class InsecureJelly(Exception):
    """Something that may not cross the wire was offered to it, by this side or by the peer.

    `reason` says what and how to allow it; `path` says where inside the value it was met. The path grows from the
    inside out while the error leaves the encoder: each container adds its own step with `inside()`.
    """

    reason: str = ""
    path: str = ""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason

    def inside(self, step: str) -> None:
        """Note that the value lies one `step` (such as ``[3]`` or ``['name']``) deeper than `path` says so far."""
        self.path = step + self.path
        self.args: tuple[Any, ...] = (f"{self.reason} (at {self.path})",)


class ForeignReference(InsecureJelly):
    """A reference to one peer's object was offered to another peer. Nothing was sent."""


class NoSuchMethod(AttributeError):
    """The object has no method of that name which a peer may call."""

    while_dispatching = False
    """Whether an override that takes whole calls found so, rather than a method that was run."""


class CallCancelled(Exception):
    """The call was cancelled before its answer came, here or at the peer."""


class DeadlineExceeded(TimeoutError):
    """No answer came within the time that the call was given."""


class PBConnectionLost(Exception):
    """The connection ended while a call was under way. Whether the method ran is not known."""

    reason: str = ""
    """Why, in words; so is its `str`, whatever a door has in `args`."""
    sent: bool = True
    """False when the request had certainly not been handed to the transport, so it cannot have run."""

    def __init__(self, reason: object = "", *, sent: bool = True) -> None:
        super().__init__(reason)
        self.reason = str(reason)
        self.sent = sent

    def __str__(self) -> str:
        return self.reason or super().__str__()

    def before_it_was_sent(self) -> PBConnectionLost:
        """The same end, for a call that was not handed to the transport."""
        other = PBConnectionLost(self.reason, sent=False)
        other.args = self.args
        return other


class ConnectFailed(Exception):
    """No connection could be made; the cause, usually an OSError, is chained."""


class NoCommonDialect(ConnectFailed):
    """The two sides have no wire language in common."""


class LoginFailed(Exception):
    """The portal did not grant an avatar."""

    username: str | None = None
    """At the server, for its log: who the peer said it was. It does not travel."""


class UnauthorizedLogin(LoginFailed):
    """The credentials are wrong. It does not say which part of them."""


class UnprotectedLogin(UnauthorizedLogin):
    """Credentials of this kind are not for a connection that others could listen to, or answer in the peer's place.

    Raised at the client, nothing of the credentials was sent.
    """


class UnhandledCredentials(LoginFailed):
    """No checker of the portal accepts credentials of this kind."""


class TooManyLogins(LoginFailed):
    """Too many logins have failed, from this address or of this user: this one was wrong, or was not looked at."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"too many logins have failed; try again in {ceil(seconds)} s")

    @property
    def seconds(self) -> int | None:
        """After how many seconds to try again. None where the text, which is all that travels, does not say."""
        found = re.search(r"in (\d{1,9}) s$", str(self), re.ASCII)
        return int(found[1]) if found else None


class ProtocolError(Exception):
    """The rules of the conversation were broken."""


class LocalProtocolError(ProtocolError):
    """You asked for what the protocol forbids: nothing was sent."""


class RemoteProtocolError(ProtocolError):
    """The peer sent what the protocol forbids: its connection ends, or its call fails; nobody else is concerned."""


class LimitBroken(RemoteProtocolError):
    """The peer sent something over a limit that cannot be answered call by call."""

    def __init__(self, limit: str, value: int, asked: int | None = None) -> None:
        super().__init__(limit, value, asked)
        self.limit = limit
        """The name of the field of `pellucid.Limits`."""
        self.value = value
        """What the limit stands at."""
        self.asked = asked
        """What the peer wanted, where that is known."""

    def __str__(self) -> str:
        return _limit_text(self.limit, self.value, self.asked)


class Revoked(Error):
    """The facet that was called is no use any more: its owner has revoked it, or its time is over."""

    while_dispatching = False
    """As of `NoSuchMethod`."""


class RateExceeded(Error):
    """The facet that was called takes no more than so many calls a second. A later one may be taken."""

    while_dispatching = False
    """As of `NoSuchMethod`."""


class InvalidArgument(Error):
    """A call's arguments are not what the method's annotations say. The method has not run."""

    method: str = ""
    """The method, with its prefix; like the other three it is empty where it came over a PB dialect: as text alone."""
    argument: str = ""
    """Which argument, and where inside of it, as in ``jobs[3]['name']``."""
    expected: str = ""
    """What the annotation says."""
    got: str = ""
    """What came instead: its type, as a rule."""
    facts: ClassVar[tuple[str, ...]] = ("method", "argument", "expected", "got")
    while_dispatching = False
    """As of `NoSuchMethod`."""

    def __init__(self, method: str, argument: str, expected: str, got: str) -> None:
        super().__init__(f"argument {argument} of {method}: expected {expected}, got {got}")
        self.method, self.argument, self.expected, self.got = method, argument, expected, got


class DeadReferenceError(ProtocolError):
    """The reference is dead: its connection has ended, or it was released. Raised at once, nothing is sent."""


class NotAReference(Error):
    """A method of a call's result was called, and the result is not a reference."""


class LimitExceeded(Error):
    """One call asked for more than a named limit allows; the connection lives.

    It is an `Error`, so that it travels quietly and an old peer can trap it as ``pb.Error``.
    """

    limit: str = ""
    """The name of the field of `pellucid.Limits`; empty where the error came from a peer, as its text alone."""
    value: int = 0
    """What the limit stands at."""
    asked: int | None = None
    """What was asked for, where that is known."""

    def __init__(self, limit: str, value: int, asked: int | None = None) -> None:
        super().__init__(limit, value, asked)
        self.limit = limit
        self.value = value
        self.asked = asked

    def __str__(self) -> str:
        return _limit_text(self.limit, self.value, self.asked) if self.limit else super().__str__()


class TooManyCalls(LimitExceeded):
    """As many calls as the limits allow are running and waiting already; try again later."""


class TooManyReferences(LimitExceeded):
    """One side would hold more of the other's objects than the limits allow; release some."""

    while_dispatching = False
    """As of `NoSuchMethod`; of a login, too."""


class Overloaded(LimitExceeded):
    """More bytes wait to be sent to this peer than the limits allow: it reads too slowly."""


SELF_EXPLANATORY = (Error, InsecureJelly, NoSuchMethod, ProtocolError)
"""Errors about what somebody sent or called, which say all there is to know without a traceback."""


def is_refusal(error: BaseException) -> bool:
    """Whether `error` was found while a method was looked for, rather than raised by one that was run.

    So is what a login ends in that is one too many: its method is the broker's own.
    """
    return (
        isinstance(error, NoSuchMethod | InvalidArgument | RateExceeded | Revoked | TooManyReferences)
        and error.while_dispatching
    )


def told_without_traceback(error: Exception) -> Exception:
    """`error`; if it is one of ours, about what somebody sent or called, without its traceback.

    Such an error says all there is to know. Its traceback would keep alive, until the garbage collector comes by, what
    came with the message that it is about: references among it, whose owners wait to hear of their release.
    """
    if isinstance(error, SELF_EXPLANATORY):
        drop_frames(error)
    return error


def drop_frames(error: BaseException) -> None:
    """Let go of the frames that `error`, and what led to it, were raised through: they hold what was in hand there."""
    error.__traceback__ = error.__cause__ = error.__context__ = None


def _limit_text(limit: str, value: int, asked: int | None) -> str:
    over = "" if asked is None else f": {_clip_int(asked)} asked"
    return f"over Limits.{limit[:100]}={_clip_int(value)}{over}"  # of an answer, they are the peer's


def _clip_int(number: int) -> str:
    # Converting a huge int to text costs quadratic time, and the peer may have chosen it.
    return str(number) if number.bit_length() <= 1000 else f"an int of {number.bit_length()} bits"
