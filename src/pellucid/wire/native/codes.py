"""The numbers of the native dialect: kinds of message, and extension types of values.

They are the wire: once released, one is never given another meaning. docs/reference/protocol-native.md explains each.
"""

from __future__ import annotations

from enum import IntEnum

from ormsgpack import Ext

from pellucid.errors import RemoteProtocolError
from pellucid.wire.messages import NUMBER_BITS

__all__ = ["FEATURES", "NAME", "REQUIRED", "VERSION", "Kind", "Leaf", "Mark", "number_of", "with_number"]

NAME = "pellucid"
"""What the dialect is called in PB's negotiation."""

VERSION = 1
"""The newest version of the dialect that is spoken here."""

FEATURES: tuple[str, ...] = ()
"""Optional features of the dialect that are known here: those that both sides name are in use."""

REQUIRED = "!"
"""What the name of an option starts with where a call means something else without it."""


class Kind(IntEnum):
    """The first element of every message."""

    HELLO = 0
    CALL = 1
    SEND = 2
    """A call that wants no answer."""
    UPDATE = 3
    """A call of the receiver's copy of the sender's cacheable."""
    NOTIFY = 4
    """An update that wants no answer."""
    ANSWER = 5
    FAIL = 6
    RELEASE = 7
    RELEASE_CACHE = 8
    DROP_CACHE = 9
    CANCEL = 10
    SEEN = 11
    PING = 12
    PONG = 13
    NOT_UNDERSTOOD = 14
    BATCH = 15
    BATCH_ANSWER = 16
    COMMAND = 17
    """A command of an application's own: an s-expression as PB would send it."""


class Leaf(IntEnum):
    """Extension types whose body is the whole value."""

    INT = 1
    DECIMAL = 2
    DATETIME = 3
    DATE = 4
    TIME = 5
    TIMEDELTA = 6
    UUID = 7
    NAMED = 8
    """A class, function or module, by name."""
    PLACEHOLDER = 9
    """What stands for an object that could not cross; the body says why."""
    REMOTE = 16
    """An object of the sender's, by number."""
    LOCAL = 17
    """An object of the receiver's, by number."""
    LOCAL_NAME = 18
    """An object of the receiver's, by the name under which it is published."""
    CACHED = 19
    """A cacheable of the sender's whose copy the receiver has."""
    LOCAL_CACHE = 20
    """A cacheable of the receiver's, whose copy comes home."""
    PROMISE = 21
    """What a call that the sender made before results in."""
    BUFFER = 22
    """Bytes that came ahead of the message."""
    AGAIN = 23
    """The object that was numbered so in this message."""


class Mark(IntEnum):
    """Extension types that come first in an array, and say what the array stands for."""

    TUPLE = 32
    SET = 33
    FROZENSET = 34
    MAP = 35
    COPY = 36
    CACHE = 37
    """The body is the number of the cacheable."""
    FAILURE = 38
    SHARED = 39
    """The body is the number by which the object is met again in this message."""
    JELLY = 40
    """An object that wrote itself as an s-expression of PB's, which follows."""


def with_number(code: int, number: int) -> Ext:
    """An extension whose body is a number: big-endian, as short as it can be, and at least one byte."""
    return Ext(code, number.to_bytes((number.bit_length() + 7) >> 3 or 1, "big"))


def number_of(body: bytes) -> int:
    """The number that is the body of an extension. Raises RemoteProtocolError where it is none that a peer may use."""
    number = int.from_bytes(body, "big")
    if number.bit_length() > NUMBER_BITS:
        raise RemoteProtocolError(f"a number has more than {NUMBER_BITS} bits")
    return number
