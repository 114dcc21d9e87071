"""How two sides agree on a dialect, the way Perspective Broker does.

The listening side sends the names of its dialects, best first, as one banana list. The connecting side answers with
the first of them that it speaks too, as one banana string. From then on both speak it. A side skips names that it
does not know: that is how a new dialect can be added without troubling old peers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pellucid.errors import LimitBroken, NoCommonDialect, RemoteProtocolError
from pellucid.limits import Limits
from pellucid.wire.pb import banana

__all__ = ["Negotiation"]

# A list of names; what is deeper is none, whatever the limit on messages.
_NESTING = 2


class Negotiation:
    """One side of the agreement. Feed it bytes until `choose` gives a name, then `take_rest` for the dialect."""

    def __init__(self, names: Sequence[str], limits: Limits, *, listens: bool) -> None:
        self._names = [name.encode() for name in names]
        self._listens = listens
        self._decoder = banana.Decoder(limits, None)
        self.bound(limits)

    def bound(self, limits: Limits) -> None:
        """Let these limits count from now on."""
        self._most = min(limits.message_bytes, limits.negotiation_bytes)
        self._limits = self._decoder.limits = replace(limits, message_bytes=self._most, nesting=_NESTING)

    def greeting(self) -> bytes:
        """What to send as soon as the connection is made."""
        return banana.encode(self._names, self._limits, None) if self._listens else b""

    def receive_data(self, data: bytes) -> None:
        """Take in bytes from the peer."""
        self._decoder.receive_data(data)

    def choose(self) -> tuple[str, bytes] | None:
        """The dialect agreed on and what to send to say so; None while the peer has not said enough.

        Raises:
            NoCommonDialect: there is none; the connection is of no use.
            LimitBroken: it says more than `Limits.negotiation_bytes`.
            RemoteProtocolError: the peer does not speak PB.
        """
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
            if said not in self._names:
                raise NoCommonDialect(f"the peer chose the dialect {said[:50]!r}, which was not offered")
            return said.decode(), b""
        if not isinstance(said, list):
            raise RemoteProtocolError("the peer did not offer a list of dialects")
        for name in said:
            if name in self._names and isinstance(name, bytes):
                return name.decode(), banana.encode(name, self._limits, None)
        raise NoCommonDialect(f"the peer offers none of the dialects {', '.join(n.decode() for n in self._names)}")

    def take_rest(self) -> bytes:
        """What the peer sent after its choice: it is in the dialect already."""
        return self._decoder.take_rest()
