"""What is logged: every event, its level, and the fields of its records. docs/how-to/logging.md tells when.

An event is written to the logger of its family, as ``login.refused`` is to ``pellucid.login``, and to no other place.
What a peer may have chosen is written on one line, and is not long.
"""

from __future__ import annotations

import logging
from enum import Enum
from logging import DEBUG, ERROR, INFO, WARNING
from typing import Any

__all__ = ["Event", "Pace", "name_of", "on_one_line"]

_CLIP = 1000
"""Characters of a text in a record: a peer chooses how many there are."""

_CONNECTION = ("connection", "peer_connection", "peer")

_CALL = (*_CONNECTION, "method", "call")


class Event(Enum):
    """What happens, by the name that a record has as its `event`. A record has those of the fields that there are."""

    SERVER_LISTENING = "server.listening", INFO, ("url",)
    SERVER_FULL = "server.full", WARNING, ("connections", "limit")
    SERVER_EXHAUSTED = "server.exhausted", ERROR, ("url", "seconds")
    SERVER_RECOVERED = "server.recovered", INFO, ("url",)
    TLS_FAILED = "tls.failed", WARNING, ("peer",)
    TLS_RENEWED = "tls.renewed", INFO, ("files",)
    TLS_KEPT = "tls.kept", ERROR, ("files",)
    CONNECTION_MADE = "connection.made", DEBUG, _CONNECTION
    CONNECTION_READY = "connection.ready", DEBUG, (*_CONNECTION, "dialect")
    CONNECTION_IDLE = "connection.idle", INFO, (*_CONNECTION, "limit")
    CONNECTION_LOST = "connection.lost", DEBUG, _CONNECTION
    CONNECTION_ABORTED = "connection.aborted", WARNING, (*_CONNECTION, "limit")
    ROOT_FAILED = "root.failed", ERROR, (*_CONNECTION, "error")
    LOGIN_GRANTED = "login.granted", INFO, (*_CONNECTION, "avatar_id")
    LOGIN_REFUSED = "login.refused", WARNING, (*_CALL, "username", "error")
    CALL_FAILED = "call.failed", ERROR, (*_CALL, "error", "limit")
    CALL_REFUSED = "call.refused", DEBUG, (*_CALL, "error", "limit")
    CALL_UNNOTICED = "call.unnoticed", ERROR, (*_CALL, "error")
    CALL_SUPPRESSED = "call.suppressed", WARNING, (*_CONNECTION, "count")
    CALLBACK_FAILED = "callback.failed", ERROR, (*_CONNECTION, "error")
    PEER_CONFUSED = "peer.confused", WARNING, _CONNECTION
    RECONNECT_CONNECTED = "reconnect.connected", INFO, (*_CONNECTION, "url")
    RECONNECT_WAITING = "reconnect.waiting", WARNING, ("url", "seconds", "error")
    RECONNECT_STOPPED = "reconnect.stopped", ERROR, ("url", "error")
    LOOP_INTERRUPTED = "loop.interrupted", ERROR, ("error",)
    LOOP_STUCK = "loop.stuck", WARNING, ()

    def __init__(self, event: str, level: int, fields: tuple[str, ...]) -> None:
        self.event = event
        """Its name."""
        self.level = level
        """That of its records, but for those of which the page says otherwise."""
        self.fields = fields
        """What its records may have as attributes, beside `event`."""
        self.logger: logging.Logger = logging.getLogger(f"pellucid.{event.partition('.')[0]}")
        """Where they go."""

    def is_heard(self, level: int | None = None) -> bool:
        """Whether anybody wants it: where records are costly to prepare, ask first."""
        return self.logger.isEnabledFor(level or self.level)

    def log(
        self,
        text: str,
        *args: object,
        level: int | None = None,
        exc_info: BaseException | None = None,
        fields: dict[str, Any] | None = None,
        **more: Any,
    ) -> None:
        """Log it: `text` with a ``%s`` for each of `args`, of which exceptions are shown by their `repr`.

        What is None of `fields` and of `more` is left out.
        """
        if self.is_heard(level):
            extra: dict[str, Any] = {"event": self.event}
            for name, value in ((fields or {}) | more).items():
                if value is not None:
                    extra[name] = on_one_line(value)
            shown = map(on_one_line, args)
            self.logger.log(level or self.level, text, *shown, exc_info=exc_info, extra=extra, stacklevel=2)


def on_one_line(value: object) -> object:
    """`value` as it goes into a record: a number as it is, all else as a text without line breaks and of some length.

    It is made now: a record may be kept, and an error's traceback would keep what the error went through.
    """
    if isinstance(value, int | float):
        return value
    if isinstance(value, str):
        text = value
    else:
        try:
            text = repr(value) if isinstance(value, BaseException) else str(value)
        except Exception:  # noqa: BLE001 - an application's, and no reason to lose the record
            text = f"<{type(value).__name__} that can't be shown>"
    if len(text) > _CLIP:
        text = f"{text[:_CLIP]}..."
    # What is no printable character may be the start of a new line, or tell a terminal what to do.
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def name_of(error: BaseException | None) -> str | None:
    """The class of `error`, by its qualified name: for the field `error` of a record."""
    return None if error is None else f"{type(error).__module__}.{type(error).__qualname__}"


class Pace:
    """How many records about its calls one peer can cause: so many at once, and so many each second from then on."""

    AT_ONCE = 100
    PER_SECOND = 10

    __slots__ = ("_left", "_since", "suppressed")

    def __init__(self, now: float) -> None:
        self._left = float(self.AT_ONCE)
        self._since = now
        self.suppressed: int = 0
        """How many there would have been beside those, and nobody was told of."""

    def allows(self, now: float) -> bool:
        """Whether there may be one more `now`, in seconds; where not, it is counted."""
        self._left = min(self.AT_ONCE, self._left + (now - self._since) * self.PER_SECOND)
        self._since = now
        if self._left < 1:
            self.suppressed += 1
            return False
        self._left -= 1
        return True
