"""The native dialect: the core's messages as msgpack arrays in frames, and back.

docs/reference/protocol-native.md has the messages one by one. What a later version adds at the end of an array, or as
an option of a call, is skipped here; an option without which a call means something else says so by its name, and then
the call is refused.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

from ormsgpack import packb, unpackb

from pellucid.errors import RemoteProtocolError
from pellucid.flavors.policy import BASIC_TYPES
from pellucid.limits import Limits
from pellucid.wire.dialect import Ledger
from pellucid.wire.messages import NUMBER_BITS, Message
from pellucid.wire.native.codes import FEATURES, NAME, VERSION, Kind
from pellucid.wire.native.frames import HEADER, Deframer, frame
from pellucid.wire.native.reader import Reader
from pellucid.wire.native.reading import READ_UNKNOWN, READERS, MessageReader
from pellucid.wire.native.writing import MessageWriter

__all__ = ["NativeDialect"]

NO_FEATURES: frozenset[str] = frozenset()

_is_log_number = re.compile(r"[0-9a-f]{8}").fullmatch


class NativeDialect(MessageReader, MessageWriter):
    """Frames of msgpack."""

    name: ClassVar[str] = NAME
    chains: ClassVar[bool] = True
    answers_first: ClassVar[bool] = True
    counts_receipts: ClassVar[bool] = True

    __slots__ = (
        "_deframer",
        "_encoder",
        "_ledger",
        "_maybe_reader",
        "features",
        "greeted",
        "peer_log_number",
        "version",
    )

    def __init__(self, ledger: Ledger) -> None:
        self.greeted: bool = False
        self.version: int = VERSION
        """What both sides speak."""
        self.features: frozenset[str] = NO_FEATURES
        """The optional features that both sides know."""
        self.peer_log_number: str | None = None
        """What the peer's log calls the connection, where it has said so."""
        self._ledger = ledger
        self._deframer = Deframer(ledger.limits)
        # It is there once a message holds more than plain values; or from the start, where some of those may not cross.
        self._maybe_reader: Reader | None = None
        if not ledger.policy.types >= BASIC_TYPES:
            self._maybe_reader = self.reader_class(ledger)
        self._encoder = self.encoder_class(ledger, shares=ledger.sharing == "graph")

    def bound(self, limits: Limits) -> None:
        """Let these limits count from now on."""
        self._deframer.bound(limits)
        self._encoder.bound(limits)
        if self._maybe_reader is not None:
            self._maybe_reader.bound(limits)

    def greeting(self, log_number: str | None = None) -> bytes:
        """The version, the features and the log number, which both sides send first of all."""
        hello = [Kind.HELLO.value, VERSION, list(FEATURES)]
        return frame(packb(hello if log_number is None else [*hello, log_number]))

    # Bytes in.

    def receive_data(self, data: bytes) -> None:
        """Take in bytes from the peer; then call `next_message` until it returns None."""
        self._deframer.receive_data(data)

    @property
    def missing(self) -> int:
        """How many bytes have to come before there can be another message, as far as that is known; else 0."""
        return self._deframer.missing

    def next_message(self) -> Message | None:
        """The next message that is complete. Raises RemoteProtocolError where the stream makes no sense."""
        deframer = self._deframer
        while deframer.bodies or not deframer.is_drained:
            if deframer.bodies:
                body = deframer.bodies.pop()
                deframer.size = HEADER + len(body)
            else:
                whole = deframer.next_body()
                if whole is None:
                    return None
                body = whole
            reader = self._maybe_reader
            if reader is not None and (deframer.buffers or not reader.is_ready):
                reader.begin(deframer.buffers)
            try:
                expression: Any = unpackb(body, ext_hook=reader.take if reader is not None else self._take_first)
            except ValueError as error:
                self._reader.give_back()
                raise RemoteProtocolError(f"a message is not msgpack: {error}") from None
            if type(expression) is not list or not expression:
                self._reader.give_back()
                raise RemoteProtocolError("a message is an array that starts with its kind")
            reader = self._maybe_reader  # there is one now, where the message needed it
            if reader is not None or deframer.buffers:
                self._complete(reader, expression)
            if not self.greeted:
                self._read_hello(expression)
                if reader is not None:
                    reader.leave()
                continue
            kind = expression[0]
            # A list or a dictionary in its place could not be looked up.
            read = READERS.get(kind, READ_UNKNOWN) if type(kind) is int else READ_UNKNOWN
            message = read(self, expression)
            if reader is not None and not reader.is_plain:
                reader.leave()
            if message is not None:
                return message
        return None

    def _complete(self, reader: Reader | None, expression: list[Any]) -> None:
        """The codec is done with a message: nobody here is to keep its buffers, each of which is where it belongs."""
        self._deframer.buffers = ()
        if reader is not None:
            reader.buffers = ()
            number = expression[1] if len(expression) > 1 else None
            if type(number) is int and number.bit_length() > NUMBER_BITS:  # an extension, so there is a reader
                reader.give_back()
                raise RemoteProtocolError(f"the number of a message has more than {NUMBER_BITS} bits")
            if reader.has_jelly:
                reader.look_through(expression)

    @property
    def _reader(self) -> Reader:
        if self._maybe_reader is None:
            self._maybe_reader = self.reader_class(self._ledger)
        return self._maybe_reader

    def _take_first(self, code: int, body: bytes) -> Any:
        """What the first extensions stand for, those of the first message that has any."""
        if self._maybe_reader is None:
            self._reader.begin(self._deframer.buffers)
        return self._reader.take(code, body)

    def _read_hello(self, expression: list[Any]) -> None:
        match expression:
            case [Kind.HELLO, int(version), list(features), *more] if type(version) is int and version >= 1:
                self.version = min(version, VERSION)
                known = {name for name in features if type(name) is str}.intersection(FEATURES)
                self.features = frozenset(known) if known else NO_FEATURES
                # It goes into the log: nothing else may stand in its place, and it is no reason to hang up.
                if more and type(more[0]) is str and _is_log_number(more[0]):
                    self.peer_log_number = more[0]
                self.greeted = True
            case _:
                raise RemoteProtocolError("the peer did not say first which version it speaks")
