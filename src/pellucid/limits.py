"""Every bound on what a peer can make this side hold or do, with its unit and its reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["Limits", "Usage"]


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one connection may ask for. Make a changed copy with `dataclasses.replace`."""

    string_bytes: int = 640 * 1024
    """Bytes in one string. Twisted's PB refuses longer ones, so the pb dialects send no longer ones either."""

    list_elements: int = 640 * 1024
    """Elements in one list on the wire. Twisted's PB refuses longer ones, as with `string_bytes`."""

    prefix_digits: int = 64
    """Base-128 digits before a type byte: an int is at most 448 bits. Twisted's PB refuses more."""

    message_bytes: int = 16 * 1024 * 1024
    """Bytes in one message. PB itself has no bound; without one a peer could make us buffer for ever."""

    inline_bytes: int = 4 * 1024 * 1024
    """Bytes in one message of the native dialect, large buffers aside. A byte there can stand for 75 in memory."""

    buffer_bytes: int = 128 * 1024 * 1024
    """Bytes in the large buffers of one message, which travel beside it in the native dialect."""

    negotiation_bytes: int = 4096
    """Bytes in what a peer says before a dialect is agreed on: names of dialects. So far nothing is known of it."""

    nesting: int = 256
    """Levels of list inside list in one message. Deeper input would spend our stack, not theirs. In the native dialect
    it counts what is more than plain lists and dictionaries; of any it sends 255 levels at most, and takes 1,000."""

    elements: int = 1_000_000
    """Wire elements in one message. An empty list is one byte on the wire and 56 in memory."""

    expanded_elements: int = 1_000_000
    """Elements in one message with shared nodes counted each time they are met. A kilobyte of back-references can
    stand for terabytes once it is written out in tree form."""

    odd_keys: int = 4096
    """Dictionary keys and set members in one message whose hash a peer can choose, counted with all that is in them:
    ints beyond 64 bits, Decimals, tuples and frozensets of two or more numbers. Enough keys of one hash make each
    look-up a search through all of them."""

    references_exported: int = 100_000
    """Our objects that the peer may hold references to, cacheables included. Twisted's PB has 1,024."""

    references_imported: int = 100_000
    """The peer's objects that we hold references to, caches included."""

    unknown_messages: int = 100
    """Messages that one side or the other has no meaning for. Each costs an answer or a line in the log."""

    calls_pending: int = 100_000
    """Calls of ours that the peer has not answered yet."""

    kept_answers: int = 16_384
    """Answers kept in the native dialect until the peer has seen them: it may still call what a call results in."""

    kept_bytes: int = 16 * 1024 * 1024
    """Bytes, as they were sent, of the answers that are kept."""

    running_calls: int = 256
    """Methods that run at the same time for one peer; further calls wait in order."""

    waiting_calls: int = 10_000
    """Calls that wait for one of `running_calls` to end; further ones are answered `TooManyCalls`."""

    waiting_bytes: int = 16 * 1024 * 1024
    """Bytes, as they came, of the calls that wait; further ones are answered `TooManyCalls`."""

    queued_bytes: int = 4 * 1024 * 1024
    """Bytes waiting to be sent. Above it awaiting a one-way call waits for room, and the peer's further calls wait;
    above twice that a new call raises `Overloaded`."""

    paged_bytes: int = 64 * 1024 * 1024
    """Bytes that one paged transfer may gather here before it is refused."""

    connect_seconds: float = 30.0
    """Seconds for making a connection: look-up, TCP, TLS and negotiation together."""

    handshake_seconds: float = 30.0
    """Seconds a newly accepted peer has for TLS and negotiation."""

    silence_seconds: int = 60
    """Seconds after which the system gives up a TCP peer that has vanished without a word, where nothing is on its way
    to it. PB has no sign of life of its own, so this is TCP's keep-alive, where the system lets a program set it."""

    close_seconds: float = 10.0
    """Seconds that closing waits for methods that run, and then for the peer to read what it was sent."""


class Usage(NamedTuple):
    """How much of one limit is used at this moment."""

    used: int
    """In the limit's own unit."""
    limit: float
    """What it stands at."""
