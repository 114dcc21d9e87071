"""How two sides agree on a dialect, the way Perspective Broker does.

The listening side sends the names of its dialects, best first, as one banana list. The connecting side answers with
the first of them that it speaks too, as one banana string. From then on both speak it. A side skips names that it
does not know: that is how a new dialect can be added without troubling old peers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from pellucid.errors import LimitBroken, NoCommonDialect, RemoteProtocolError
from pellucid.limits import DEFAULT_LIMITS, Limits
from pellucid.wire.pb import banana

__all__ = ["Negotiation"]

# How a TLS client begins: a handshake record, of whatever version. As banana it would be the length of a long name.
_TLS = b"\x16\x03"

# A list of names; what is deeper is none, whatever the limit on messages.
_NESTING = 2


class Negotiation:
    """One side of the agreement. Feed it bytes until `choose` gives a name, then `take_rest` for the dialect."""

    __slots__ = ("_decoder", "_limits", "_listens", "_most", "_names", "_said")

    def __init__(self, names: Sequence[str], limits: Limits, *, listens: bool) -> None:
        self._names = tuple(names)
        self._listens = listens
        self._said = b""
        # It is there once the peer says something else than most peers do.
        self._decoder: banana.Decoder | None = None
        self.bound(limits)

    def bound(self, limits: Limits) -> None:
        """Let these limits count from now on."""
        self._limits = limits
        self._most = min(limits.message_bytes, limits.negotiation_bytes)
        if self._decoder is not None:
            self._decoder.limits = self._bounds()

    def greeting(self) -> bytes:
        """What to send as soon as the connection is made."""
        return _offer(self._names) if self._listens else b""

    def receive_data(self, data: bytes) -> None:
        """Take in bytes from the peer."""
        if self._decoder is None:
            self._said += data
        else:
            self._decoder.receive_data(data)

    def choose(self) -> tuple[str, bytes] | None:
        """The dialect agreed on and what to send to say so; None while the peer has not said enough.

        Raises:
            NoCommonDialect: there is none; the connection is of no use.
            LimitBroken: it says more than `Limits.negotiation_bytes`.
            RemoteProtocolError: the peer does not speak PB.
        """
        if not self._said and self._decoder is None:
            return None
        return self._choose_at_sight() or self._choose()

    def _choose_at_sight(self) -> tuple[str, bytes] | None:
        """As `choose`, where the peer says what one says that speaks the same dialects, in one piece."""
        said = self._said
        for name in self._names if self._listens else self._names[:1]:
            expected = _choice(name) if self._listens else _offer(self._names)
            if said.startswith(expected) and len(expected) <= self._most:
                self._said = said[len(expected) :]
                return name, b"" if self._listens else _choice(name)
        return None

    def _choose(self) -> tuple[str, bytes] | None:
        if self._decoder is None:
            if self._listens and self._said.startswith(_TLS):
                raise RemoteProtocolError(
                    "the peer speaks TLS, which is not spoken here: is its URL pbs:// in place of pb://?"
                )
            self._decoder = banana.Decoder(self._bounds(), None)
            self._decoder.receive_data(self._said)
            self._said = b""
        try:
            said = self._decoder.next_expression()
        except LimitBroken as error:
            if error.limit == "message_bytes":
                raise LimitBroken("negotiation_bytes", self._most, error.asked) from None
            raise RemoteProtocolError(f"the peer does not speak of dialects: {error}") from None
        if said is banana.NEED_DATA:
            return None
        if self._listens:
            if not isinstance(said, bytes):
                raise RemoteProtocolError("the peer did not answer with the name of a dialect")
            name = said.decode(errors="backslashreplace")
            if name not in self._names:
                raise NoCommonDialect(f"the peer chose the dialect {said[:50]!r}, which was not offered")
            return name, b""
        if not isinstance(said, list):
            raise RemoteProtocolError("the peer did not offer a list of dialects")
        for offered in said:
            name = offered.decode(errors="backslashreplace") if isinstance(offered, bytes) else ""
            if name in self._names:
                return name, _choice(name)
        raise NoCommonDialect(f"the peer offers none of the dialects {', '.join(self._names)}")

    def take_rest(self) -> bytes:
        """What the peer sent after its choice: it is in the dialect already."""
        if self._decoder is not None:
            return self._decoder.take_rest()
        rest, self._said = self._said, b""
        return rest

    def _bounds(self) -> Limits:
        return replace(self._limits, message_bytes=self._most, nesting=_NESTING)


@lru_cache(maxsize=64)
def _offer(names: tuple[str, ...]) -> bytes:
    """How those dialects are offered."""
    return banana.encode([name.encode() for name in names], DEFAULT_LIMITS, None)


@lru_cache(maxsize=64)
def _choice(name: str) -> bytes:
    """How that dialect is chosen."""
    return banana.encode(name.encode(), DEFAULT_LIMITS, None)
