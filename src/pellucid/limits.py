"""Every bound on what a peer can make this side hold or do, with its unit, its reason, and what happens beyond it.

The reference page of limits is made from this module: `make pages`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from math import inf
from types import MappingProxyType
from typing import Final, NamedTuple

__all__ = ["DEFAULT_LIMITS", "Limits", "Usage"]


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one connection may ask for. Make a changed copy with `dataclasses.replace`.

    Raises:
        ValueError: one of them is no number from 0 on.
    """

    string_bytes: int = 640 * 1024
    """*pb:* bytes in one string.

    A call that would send more fails with `LimitExceeded`. A peer that sends more: the connection ends. Stock Twisted
    has the same limit and takes no more, whatever is set here.
    """

    list_elements: int = 640 * 1024
    """*pb:* elements in one list.

    As `string_bytes`.
    """

    prefix_digits: int = 64
    """*pb:* base-128 digits of one number.

    An int has at most 448 bits. As `string_bytes`.
    """

    message_bytes: int = 16 * 1024 * 1024
    """*pb:* bytes in one message.

    As `string_bytes`; Twisted has no such limit. Without it a peer could make this side buffer for ever.
    """

    inline_bytes: int = 4 * 1024 * 1024
    """*native:* bytes in one message, large buffers aside.

    A call that would send more fails with `LimitExceeded`. A peer that sends more: the connection ends. A byte can
    stand for dozens in memory.
    """

    buffer_bytes: int = 128 * 1024 * 1024
    """*native:* bytes in the large buffers of one message, each piece with 64 more.

    As `inline_bytes`. Above it no further methods start for a peer that does not take what waits for it; above twice
    that a new call raises `Overloaded`.
    """

    negotiation_bytes: int = 4096
    """Bytes in what a peer says before a dialect is agreed on.

    The connection ends. Names of dialects are short, and so far nothing is known of the peer.
    """

    nesting: int = 256
    """Lists inside lists in one message.

    In the pb dialects as `message_bytes`: a list, tuple or set takes one, a dictionary two, a copy three; the message
    and its arguments take two. In the native dialect the call is refused, or fails, with `LimitExceeded`; each
    container takes one. There lists and dictionaries with nothing but plain values in them don't count: their depth is
    bounded by the codec, some 250 levels as they are sent and 1,000 as they are received. Deeper input would cost this
    side's stack.
    """

    elements: int = 1_000_000
    """*pb:* elements of all lists in one message.

    As `message_bytes`. An empty list is one byte on the wire, and dozens in memory.
    """

    expanded_elements: int = 1_000_000
    """Elements in one message, where what is shared counts each time it is met.

    The call is refused, or fails, with `LimitExceeded`. A kilobyte that refers back to itself can stand for terabytes
    once something writes it out. 128 bytes of text or binary data that come again so count as an element, and so do 16
    bytes in memory of a result that one call is given as several arguments.
    """

    odd_keys: int = 4096
    """Dictionary keys and set members in one message whose hash a peer can choose, and all that is in them.

    As `expanded_elements`. Ints beyond 64 bits, Decimals, and tuples and frozensets of two or more numbers count, and
    so do copies, with the elements of their state: three for one with a single field, or more. Enough with one hash
    would make each look-up slow. Where there are more than 1,000 in one place other numbers, and times with a zone,
    count an eighth: a peer can choose them to be in each other's way.
    """

    references_exported: int = 100_000
    """Objects of ours that the peer holds, cacheables included.

    The call or the result that would send one more fails with `TooManyReferences`. Twisted has 1,024. One connection
    holds no more logins than this either, of one avatar or of many.
    """

    references_imported: int = 100_000
    """Objects of the peer's that are held here, caches included.

    The call that would bring one more is refused, or fails, with `TooManyReferences`. A connection ends whose peer
    reads nothing and has so many more to be told of that were let go of.
    """

    unknown_messages: int = 100
    """Messages that one of the two sides has no meaning for.

    The connection ends. Each costs an answer, or a line in the log.
    """

    calls_pending: int = 100_000
    """Calls of ours that the peer has not answered.

    A further call fails with `TooManyCalls`.
    """

    kept_answers: int = 16_384
    """*native:* answers that are kept until the peer has seen them, so that it can call what they hold.

    The oldest are forgotten. A call of the peer's that refers to one fails with `Error`.
    """

    kept_bytes: int = 64 * 1024 * 1024
    """*native:* bytes of these answers, in memory, as of `running_bytes`.

    As `kept_answers`.
    """

    running_calls: int = 256
    """Methods that run at a time for the peer.

    Further calls wait, in the order made. So they do while as many logouts and other callbacks run that are async.
    """

    running_bytes: int = 256 * 1024 * 1024
    """Bytes in memory of the calls whose methods are under way: coroutines, threads, Deferreds that have not ended.

    A byte of a message is taken to stand for 16. Where it has 4 KiB or more, and no more than a hundred parts, such as
    long texts and buffers, these are looked at. Once there are as many, further calls wait, in the order made. A batch
    counts whole while one of its calls is under way. In the asyncio door the results that wait for others of their
    batch have as many bytes again: beyond that, the calls of batches that have not started are answered `TooManyCalls`.
    There, too, no more than as many bytes of results wait for a peer that does not read, and one result above it:
    beyond that, a coroutine that ends is answered `Overloaded`, though its method has run.
    """

    waiting_calls: int = 10_000
    """Calls that wait for their turn; and as many again that wait for the result of others.

    Further calls are answered `TooManyCalls`. A batch may have as many calls as may run and wait.
    """

    waiting_bytes: int = 64 * 1024 * 1024
    """Bytes in memory of the calls that wait for their turn, as of `running_bytes`; a batch counts while one waits.

    Further calls are answered `TooManyCalls`, and so are those that ask for one result of another call as an argument,
    once it was copied for as many bytes.
    """

    queued_bytes: int = 4 * 1024 * 1024
    """Bytes that wait to be sent, large buffers of the native dialect aside.

    No further methods start for the peer, and awaiting a one-way call waits for room. Beyond twice the limit a new call
    raises `Overloaded`, and where a call of the peer's would have to be refused, the connection ends instead.
    """

    paged_bytes: int = 64 * 1024 * 1024
    """Bytes of one paged transfer; a page that is no string counts as many as its call takes in memory.

    `get_all_pages` ends in `LimitExceeded`, and what was gathered is thrown away.
    """

    connect_seconds: float = 30.0
    """Seconds for look-up, TCP, TLS and negotiation together.

    Connecting fails with `ConnectFailed`, which names the limit.
    """

    handshake_seconds: float = 30.0
    """Seconds that a client has for TLS, and then for negotiation.

    The connection ends.
    """

    login_seconds: float = 60.0
    """Seconds that a client of a `Portal` has until a login is granted.

    The connection ends.
    """

    idle_seconds: float = inf
    """Seconds in which nothing is called, answered or under way in either direction.

    The connection is closed, up to a third of the time later. Signs of life don't count.
    """

    silence_seconds: int = 60
    """Seconds after which a TCP peer that has vanished without a word is given up.

    The connection ends as any lost one. In the native dialect a peer that says nothing for a third of the time is asked
    for a sign of life, and given up when it has said nothing for another third; what is on its way to it does not
    matter then. PB has no such word. There it is TCP's keep-alive, on systems that let a program set it: half of the
    time nothing comes, then five probes go unanswered, in whole seconds and so never under 6. While something is on its
    way to the peer, the system's own patience counts instead, which on Linux is some 15 minutes; give such calls a
    timeout.
    """

    close_seconds: float = 10.0
    """Seconds that closing a server waits for methods that run; and then, as whenever a connection is closed, for the
    peer to read what it was sent and to close its side.

    Methods are cancelled, or left to finish where `on_disconnect` says so; the connection is cut, and what the peer has
    not read is thrown away.
    """

    connections: float = 10_000
    """Connections of a server, those included that are still about TLS.

    A further one is cut off at once; the log says so when the server begins to.
    """

    def __post_init__(self) -> None:
        for each in fields(self):
            most = getattr(self, each.name)
            if not (isinstance(most, int | float) and most >= 0):
                raise ValueError(f"Limits.{each.name} is a number from 0 on, not {most!r}")

    def before_login(self) -> Limits:
        """These limits, lowered to what a stranger needs in order to log in.

        It is what a server that publishes a `Portal` grants until it has granted a login, unless `serve` is given
        other `limits_before_login`.
        """
        return replace(self, **{name: min(most, getattr(self, name)) for name, most in BEFORE_LOGIN.items()})


DEFAULT_LIMITS: Final = Limits()
"""Those of `serve` and `connect` where they are given none."""

BEFORE_LOGIN: Final[Mapping[str, int]] = MappingProxyType(
    {
        "string_bytes": 16 * 1024,
        "list_elements": 1024,
        "message_bytes": 64 * 1024,
        "inline_bytes": 64 * 1024,
        "buffer_bytes": 64 * 1024,
        "nesting": 32,
        "elements": 4096,
        "expanded_elements": 4096,
        "odd_keys": 64,
        "references_exported": 64,
        "references_imported": 64,
        "unknown_messages": 10,
        "calls_pending": 64,
        "kept_answers": 64,
        "kept_bytes": 1024 * 1024,
        "running_calls": 8,
        "running_bytes": 1024 * 1024,
        "waiting_calls": 64,
        "waiting_bytes": 1024 * 1024,
        "queued_bytes": 256 * 1024,
        "paged_bytes": 64 * 1024,
    }
)
"""The most of these limits that anybody has who has not logged in."""


class Usage(NamedTuple):
    """How much of one limit is used at this moment."""

    used: int
    """In the limit's own unit."""
    limit: float
    """What it stands at."""
