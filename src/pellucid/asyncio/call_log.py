"""What the log is told of a peer's calls."""

from __future__ import annotations

import logging

from pellucid.asyncio.current import Caller, correlation_id
from pellucid.asyncio.events import Event, Pace, name_of
from pellucid.asyncio.login import clip
from pellucid.core.broker import is_expected
from pellucid.errors import SELF_EXPLANATORY, LoginFailed, is_refusal
from pellucid.wire.messages import MethodCall

__all__ = ["CallLog"]

_REFUSED = "call of %s was refused: %s"


class CallLog:
    """Tells of calls that failed, and were refused; but not more often than one peer may fill a log."""

    __slots__ = ("_caller", "_pace", "_pace_of_logins")

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._pace = Pace(caller.loop.time())
        self._pace_of_logins = Pace(caller.loop.time())  # so that who guesses can't hide it behind other calls

    def failed(self, call: MethodCall, error: BaseException) -> None:
        """The method raised `error`, or what finds the method did."""
        if isinstance(error, LoginFailed):
            who = clip(error.username)
            claim = "" if who is None else f" as {who!r}"
            text, peer = "login from %s%s refused: %s", self._caller.peer
            cause = error.__cause__
            shown = None if isinstance(cause, LoginFailed) else cause  # a checker's own fault, that no peer is to see
            self._note(
                Event.LOGIN_REFUSED, call, text, peer, claim, str(error), error=error, username=who, exc_info=shown
            )
        elif is_refusal(error):
            # That is no news, but of a one-way call nobody else is told.
            self.refused(call, error, level=logging.DEBUG if call.wants_answer else logging.WARNING)
        elif not is_expected(error):
            text = "Peer will receive following PB traceback: %s raised %s"
            self._note(Event.CALL_FAILED, call, text, repr(call.shown_name), error, error=error, exc_info=error)

    def refused(self, call: MethodCall, error: BaseException, *, level: int | None = None) -> None:
        """The call did not run, or not to its end: its caller is at fault, as a rule."""
        self._note(Event.CALL_REFUSED, call, _REFUSED, repr(call.shown_name), error, error=error, level=level)

    def unsendable(self, call: MethodCall, error: Exception) -> None:
        """The method's result can't be sent."""
        text = "the result of %s can't be sent: %s"
        shown = None if isinstance(error, SELF_EXPLANATORY) else error  # of a hook of the application's
        self._note(Event.CALL_FAILED, call, text, repr(call.shown_name), str(error), error=error, exc_info=shown)

    def close(self) -> None:
        """Tell how many records there would have been beside those: with the next one, and at the end."""
        count = 0
        for pace in self._pace, self._pace_of_logins:
            count, pace.suppressed = count + pace.suppressed, 0
        if count:
            text = "%s records about calls of %s were suppressed: there are too many of them"
            Event.CALL_SUPPRESSED.log(text, count, self._caller.peer, fields=self._caller.fields, count=count)

    def _note(
        self,
        event: Event,
        call: MethodCall,
        text: str,
        *args: object,
        error: BaseException,
        level: int | None = None,
        exc_info: BaseException | None = None,
        username: str | None = None,
    ) -> None:
        pace = self._pace_of_logins if event is Event.LOGIN_REFUSED else self._pace
        if not event.is_heard(level) or not pace.allows(self._caller.loop.time()):
            return
        self.close()
        fields = self._caller.fields | {"method": call.shown_name, "call": correlation_id(self._caller, call)}
        fields |= {"error": name_of(error), "limit": getattr(error, "limit", None) or None, "username": username}
        event.log(text, *args, level=level, exc_info=exc_info, fields=fields)
