"""Banana as a protocol of Twisted's, with the names of twisted.spread.banana.

The bytes are made and read by `pellucid.wire.pb.banana`, in time linear in their number, and within bounds that PB does
not have: see `Banana.limits`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, ClassVar

from twisted.internet import protocol
from twisted.persisted import styles
from twisted.python import log

from pellucid.errors import LimitBroken, LimitExceeded, RemoteProtocolError
from pellucid.limits import DEFAULT_LIMITS, Limits
from pellucid.wire.pb.banana import NEED_DATA, Decoder, Expression
from pellucid.wire.pb.banana import encode as encode_expression
from pellucid.wire.pb.vocabulary import TOKENS, WORDS

__all__ = [
    "FLOAT",
    "HIGH_BIT_SET",
    "INT",
    "LIST",
    "LONGINT",
    "LONGNEG",
    "NEG",
    "SIZE_LIMIT",
    "STRING",
    "VOCAB",
    "Banana",
    "BananaError",
    "b1282int",
    "decode",
    "encode",
    "int2b128",
    "setPrefixLimit",
]

LIST = b"\x80"
INT = b"\x81"
STRING = b"\x82"
NEG = b"\x83"
FLOAT = b"\x84"
LONGINT = b"\x85"
LONGNEG = b"\x86"
VOCAB = b"\x87"

HIGH_BIT_SET = b"\x80"
"""The smallest type byte: what is below it is a digit."""

_DEFAULT_SIZE_LIMIT = DEFAULT_LIMITS.string_bytes

SIZE_LIMIT = _DEFAULT_SIZE_LIMIT
"""Bytes in one string, and elements in one list: at most so many are sent and taken in. A program may set another."""

_prefix_limit = DEFAULT_LIMITS.prefix_digits


class BananaError(Exception):
    """An object cannot be sent, or bytes that arrived cannot be taken in."""


class _NotBanana(BananaError, NotImplementedError):
    """Bytes that mean nothing. Twisted raises NotImplementedError for most of these, and KeyError for the rest."""


def setPrefixLimit(limit: int) -> None:
    """Let the ints and lengths of all connections made from now on have up to `limit` base-128 digits."""
    global _prefix_limit
    _prefix_limit = limit


def int2b128(integer: int, stream: Callable[[bytes], object]) -> None:
    """Call `stream` with the base-128 digits of `integer`, least significant first.

    Raises:
        ValueError: it is negative.
    """
    if integer < 0:
        raise ValueError(f"{integer} is negative: its sign is told by a type byte")
    digits = bytearray()
    while integer > 0x7F:
        digits.append(integer & 0x7F)
        integer >>= 7
    digits.append(integer)
    stream(bytes(digits))


def b1282int(st: bytes) -> int:
    """The int that those base-128 digits stand for; zero where there are none."""
    return sum(digit << (7 * place) for place, digit in enumerate(st))


class Banana(protocol.Protocol, styles.Ephemeral):
    """Sends and receives expressions, once both sides have agreed on a dialect.

    Override `expressionReceived`, and `connectionReady` to hear when it may begin. An expression is bytes, an int, a
    float, or a list of expressions.
    """

    transport: Any  # zope's interfaces say nothing to a type checker

    knownDialects: ClassVar[list[bytes]] = [b"pb", b"none"]
    """What a server offers, best first, and of which a client takes the first that is offered."""

    outgoingVocabulary: ClassVar[dict[bytes, int]] = dict(TOKENS)
    incomingVocabulary: ClassVar[dict[int, bytes]] = dict(WORDS)

    limits: Limits = DEFAULT_LIMITS
    """The bounds that Twisted's Banana does not have: `nesting`, `elements` and `message_bytes`.

    The other bounds on expressions are `sizeLimit` and `prefixLimit`. The default is much larger than what programs
    send. A class or an instance may have its own, at any time: all of these count as they are at each expression.
    """

    sizeLimit = SIZE_LIMIT
    """As the module's `SIZE_LIMIT`, which counts where this has not been changed."""

    prefixLimit: int | None = None
    """Base-128 digits in an int or a length, at most; see `setPrefixLimit`. None until connected."""

    currentDialect: bytes | None = None
    """The dialect that both sides speak; None until they have agreed."""

    buffer = b""
    """Always empty: what has arrived of the next expression is the decoder's own."""

    def __init__(self, isClient: int = 1) -> None:
        self.isClient = isClient
        self.listStack: list[Any] = []
        """Always empty, as `buffer`."""
        self.outgoingSymbols: dict[bytes, int] = dict(self.outgoingVocabulary)
        self.outgoingSymbolCount = 0
        self._bounds: tuple[Limits, int, int, int | None] | None = None
        self._limits_in_force = self.limits
        self._decoder = Decoder(self.limits, None)

    def connectionMade(self) -> None:
        """Begin to agree on a dialect: a server offers those that it knows."""
        self._begin()
        self._decoder = Decoder(self.renew_limits(), None)
        if not self.isClient:
            self.sendEncoded(self.knownDialects)

    def connectionReady(self) -> None:
        """Called once a dialect has been agreed on."""

    def expressionReceived(self, lst: Any) -> None:
        """Called with each expression that arrives, once a dialect has been agreed on; override it."""
        raise NotImplementedError(f"{type(self).__qualname__} does not say what to do with an expression")

    def callExpressionReceived(self, obj: Any) -> None:
        """Called with each expression that arrives: the first one chooses the dialect."""
        if self.currentDialect:
            self.expressionReceived(obj)
        elif self.isClient:
            offered = obj if isinstance(obj, list) else []
            chosen = next((name for name in offered if name in self.knownDialects), None)
            if chosen is None:
                self._disagree("The server offers no dialect that this client knows")
            else:
                self.sendEncoded(chosen)
                self._selectDialect(chosen)
        elif obj in self.knownDialects:
            self._selectDialect(obj)
        else:
            self._disagree("The client chose a dialect that was not offered")

    def dataReceived(self, data: bytes) -> None:
        """Take in bytes.

        Raises:
            BananaError: they are not banana, or over a limit; also a NotImplementedError where they mean nothing.
        """
        self._decoder.receive_data(data)
        while (expression := self._next_expression()) is not None:
            self.callExpressionReceived(expression)

    def sendEncoded(self, obj: Any) -> None:
        """Send an expression; a tuple arrives as a list, a bool as an int.

        Raises:
            BananaError: it holds something else, or is over a limit; nothing was sent.
        """
        words = self.outgoingSymbols if self.currentDialect == b"pb" else None
        self.transport.write(_encode(obj, self.renew_limits(), words))

    def setPrefixLimit(self, limit: int) -> None:
        """Let the ints and lengths of this connection have up to `limit` base-128 digits.

        Being connected sets what the module's `setPrefixLimit` was told: call this one after that.
        """
        self.prefixLimit = limit

    def _begin(self) -> None:
        self.currentDialect = None
        self.setPrefixLimit(_prefix_limit)

    def _selectDialect(self, dialect: bytes) -> None:  # Twisted's own tests call it
        self.currentDialect = dialect
        rest = self._decoder.take_rest()
        self._decoder = Decoder(self._limits_in_force, self.incomingVocabulary if dialect == b"pb" else None)
        self._decoder.receive_data(rest)
        self.connectionReady()

    def _disagree(self, why: str) -> None:
        log.msg(f"{why}: disconnecting.")
        self.transport.loseConnection()

    def _next_expression(self) -> Expression | None:
        self.renew_limits()  # an expression may have changed them
        return _next_expression(self._decoder)

    def renew_limits(self) -> Limits:
        """Let the limits of now count, and return them; a program may have changed any of them."""
        bounds = self.limits, SIZE_LIMIT, self.sizeLimit, self.prefixLimit
        if bounds != self._bounds:
            self._bounds = bounds
            size = SIZE_LIMIT if self.sizeLimit == _DEFAULT_SIZE_LIMIT else self.sizeLimit
            digits = _prefix_limit if self.prefixLimit is None else self.prefixLimit
            self._limits_in_force = _limits(self.limits, size, digits)
            self._bound(self._limits_in_force)
        return self._limits_in_force

    def _bound(self, limits: Limits) -> None:
        self._decoder.limits = limits


def encode(lst: Any) -> bytes:
    """An expression as bytes, in the dialect `none`.

    Raises:
        BananaError: it holds something that is no expression, or is over a limit.
    """
    return _encode(lst, _limits(DEFAULT_LIMITS, SIZE_LIMIT, _prefix_limit), None)


def decode(st: bytes) -> Any:
    """The first of the expressions that those bytes are, in the dialect `none`.

    Raises:
        BananaError: they are not banana, or over a limit; also a NotImplementedError where they mean nothing.
        IndexError: they end within the first expression.
    """
    decoder = Decoder(_limits(DEFAULT_LIMITS, SIZE_LIMIT, _prefix_limit), None)
    decoder.receive_data(st)
    expressions = list(iter(lambda: _next_expression(decoder), None))
    if not expressions:
        raise IndexError("the bytes end within the expression")
    return expressions[0]


def _limits(limits: Limits, size: int, prefix_digits: int) -> Limits:
    # Whoever raises SIZE_LIMIT has messages in mind that are larger in all.
    scale = max(1, -(-size // _DEFAULT_SIZE_LIMIT))
    return replace(
        limits,
        string_bytes=size,
        list_elements=size,
        prefix_digits=prefix_digits,
        message_bytes=limits.message_bytes * scale,
        inline_bytes=limits.inline_bytes * scale,
        elements=limits.elements * scale,
    )


def _next_expression(decoder: Decoder) -> Expression | None:
    try:
        expression = decoder.next_expression()
    except LimitBroken as error:
        raise BananaError(str(error)) from None
    except RemoteProtocolError as error:
        raise _NotBanana(str(error)) from None
    return None if expression is NEED_DATA else expression


def _encode(expression: object, limits: Limits, tokens: dict[bytes, int] | None) -> bytes:
    try:
        return encode_expression(expression, limits, tokens)
    except LimitExceeded as error:
        raise BananaError(str(error)) from None
    except TypeError:
        refused = next(leaf for leaf in _leaves(expression) if not isinstance(leaf, (bytes, int, float)))
    kind = type(refused)
    raise BananaError(f"Banana cannot send {kind.__module__}.{kind.__qualname__} objects: {refused!r}")


def _leaves(expression: Any) -> Iterator[object]:
    """What is in the lists, in the order of sending; no deeper than the encoder has been before."""
    if isinstance(expression, (list, tuple)):
        for element in expression:
            yield from _leaves(element)
    else:
        yield expression
