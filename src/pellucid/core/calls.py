"""Calls of ours that are under way, and calls of the peer's that wait for their turn."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, ItemsView, Sequence
from typing import Any, Protocol

from pellucid.core.correlation import id_of_ours
from pellucid.errors import CallCancelled, DeadlineExceeded, RemoteProtocolError, TooManyCalls
from pellucid.limits import Limits
from pellucid.wire.messages import MethodCall

__all__ = ["Admission", "Call", "Dependant", "Maker", "PendingCalls", "bytes_added", "keep", "let_go"]


class Call:
    """One invocation of a peer's method, and the promise of its answer. A door says how it is awaited."""

    __slots__ = (
        "__weakref__",
        "_dependants",
        "_done",
        "_error",
        "_noticed",
        "_timer",
        "_value",
        "_waiters",
        "call_id",
        "deadline",
        "gathers",
        "given_up",
        "is_blocked",
        "is_nameable",
        "maker",
        "name",
        "parts",
        "takes_errors",
    )

    def __init__(self, maker: Maker, name: str) -> None:
        self.maker: Maker = maker
        """What made it."""
        self.name: str = name
        """The name that is called, without prefix."""
        self.call_id: int | None = None
        """Stands for the call on its connection; None where it was not sent."""
        self.deadline: float | None = None
        """When it ends in DeadlineExceeded, by the door's clock; None where it has no such end."""
        self.is_nameable: bool = False
        """Whether the peer knows it by its number, as the promise of its result."""
        self.is_blocked: bool = False
        """Whether a call of its result waits here, so that later ones must, too."""
        self.parts: Sequence[Call] = ()
        """The calls whose results it gathers, where they are calls of their own."""
        self.gathers: int | None = None
        """How many results it gathers in one message; None where it does not."""
        self.given_up: bool = False
        """Whether it was cancelled here."""
        self.takes_errors: bool = False
        """Of many that are gathered: whether errors stand among the results, rather than one in their place."""
        self._done = False
        self._value: Any = None
        self._error: Exception | None = None
        self._noticed = False
        self._dependants: list[Dependant] | None = None
        # For doors: who is to run when the call has ended, and what ends it at its deadline.
        self._waiters: Any = None
        self._timer: Any = None

    @property
    def done(self) -> bool:
        """Whether the call has ended, in one way or another."""
        return self._done

    @property
    def correlation_id(self) -> str | None:
        """Stands for the call in logs: what `current_call().correlation_id` is in the method that it runs.

        Over the PB dialects, and where the peer is of an older version, this side alone names it so. The calls that are
        gathered in one message have the number of their place behind it, as in ``31dd1ad2-7.0``. None where the call
        was not sent, or not yet.
        """
        number = None if self.call_id is None else self.maker.door.log_number
        return None if number is None or self.call_id is None else id_of_ours(number, self.call_id)

    @property
    def is_known(self) -> bool:
        """Whether it is known what a call that depends on this one is given: a door may have that wait for more."""
        return self._done

    @property
    def error(self) -> Exception | None:
        """What the call ended in, where that is no result."""
        return self._error

    def succeed(self, value: Any) -> None:
        """The answer came. Too late it counts for nothing."""
        if not self._done:
            self._value = value
            self._done = True
            if self._dependants:
                self.maker.settle(self)
            self._wake()

    def fail(self, error: Exception) -> None:
        """The call ended without a result. Too late that counts for nothing."""
        if self.takes_errors and self.gathers is not None and not isinstance(error, CallCancelled | DeadlineExceeded):
            self.succeed([self.among_results(error)] * self.gathers)  # it is that of each, and not of the whole
        elif not self._done:
            self._error = error
            self._done = True
            if self._dependants:
                self.maker.settle(self)
            self._wake()

    def cancel(self) -> None:
        """Give the call up: whoever waits for it, or whose call does, gets `CallCancelled`.

        In the native dialect the method is cancelled, too. Over the PB dialects it runs all the same, and its answer is
        thrown away.
        """
        self.give_up()

    def give_up(self, error: Exception | None = None) -> None:
        """As `cancel`, whatever a door has that do besides; it ends in `error`, where that is given."""
        self._noticed = True
        if not self._done:
            self.given_up = True
            self.fail(error or CallCancelled(f"the call of {self.name!r} was cancelled here"))
            self.maker.gave_up(self)

    def call(self, name: str, /, *args: Any, **kwargs: Any) -> Call:
        """Call a method of the object that this call results in.

        In the native dialect it is sent now, and costs no round trip of its own; over the PB dialects it is sent when
        that object is known. Calls made this way run in the order made, and before any that is made once the result
        has been awaited. An error of this call is the error of those, too.
        """
        return self.maker.call_result(self, name, args, kwargs)

    def __await__(self) -> Generator[Any, None, Any]:
        """The result, or the error, of the method."""
        raise NotImplementedError

    @property
    def needed(self) -> bool:
        """Whether another call waits for the result of this one."""
        return any(dependant.call is not self and not dependant.call.done for dependant in self._dependants or ())

    def outcome(self) -> Any:
        """What the method returned, once the call is done; raises what the call ended in."""
        if self._error is not None:
            raise self._error
        return self._value

    def among_results(self, error: Exception) -> Any:
        """What stands among the results of calls that are gathered for one that ended in `error`."""
        return error

    def notice(self) -> None:
        """Somebody asks for the outcome: a failure is theirs now."""
        self._noticed = True

    def add_dependant(self, dependant: Dependant) -> None:
        """Have `dependant` told when the outcome, which is not known, is; before those who await it run."""
        if self._dependants is None:
            self._dependants = []
        self._dependants.append(dependant)

    def take_dependants(self) -> list[Dependant]:
        """Those to be told, in the order in which they came; none is left."""
        dependants, self._dependants = self._dependants or [], None
        return dependants

    def _wake(self) -> None:
        """Let those who await the call run: a door says how."""


class Dependant(Protocol):
    """A call that waits for another one to end."""

    @property
    def call(self) -> Call:
        """The one that waits."""
        ...

    def go_on(self, promise: Call) -> None:
        """`promise` has ended."""
        ...


class Maker(Protocol):
    """What makes the calls of one connection."""

    @property
    def door(self) -> Any:
        """The door of the connection."""
        ...

    def call_result(self, promise: Call, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        """Call a method of what `promise` results in."""
        ...

    def settle(self, promise: Call) -> None:
        """`promise` has ended: tell its dependants."""
        ...

    def gave_up(self, call: Call) -> None:
        """`call` was cancelled here: the peer need not go on with it."""
        ...


class PendingCalls:
    """Calls that the peer has not answered, by id."""

    __slots__ = ("_oldest", "calls", "last_id", "limits")

    def __init__(self, limits: Limits) -> None:
        self.limits: Limits = limits
        self.calls: dict[int, Call] = {}
        """The calls, by id."""
        self.last_id: int = 0
        """The id given last; ids count up from 1."""
        self._oldest = 1

    def __len__(self) -> int:
        return len(self.calls)

    def items(self) -> ItemsView[int, Call]:
        """The calls, by id."""
        return self.calls.items()

    def new_id(self) -> int:
        """The id of the next call that wants no answer."""
        self.last_id += 1
        return self.last_id

    def enter(self, call: Call) -> int:
        """Remember `call` until it is answered, and return its id. Raises TooManyCalls where there is no room."""
        if len(self.calls) >= self.limits.calls_pending:
            raise TooManyCalls("calls_pending", self.limits.calls_pending, len(self.calls) + 1)
        self.last_id = call_id = self.last_id + 1
        self.calls[call_id] = call
        return call_id

    def abandon(self, call: Call) -> None:
        """`call` has ended here, and is still to be answered: until then nothing but its number is in use.

        A call whose error was raised holds the frames that it was raised through, and they whatever was in them. A peer
        that does not answer is not to keep that alive.
        """
        if call.call_id is not None and self.calls.get(call.call_id) is call:
            stand_in = Call(call.maker, call.name)
            stand_in.call_id, stand_in.gathers, stand_in.takes_errors = call.call_id, call.gathers, call.takes_errors
            stand_in._done = True
            self.calls[call.call_id] = stand_in

    def drop(self, call_id: int) -> None:
        """That call was not made after all."""
        self.calls.pop(call_id, None)

    def take(self, call_id: int) -> Call:
        """The call that is answered now.

        Raises:
            RemoteProtocolError: there is none of that id; it was answered before, or never made.
        """
        call = self.calls.pop(call_id, None)
        if call is None:
            raise RemoteProtocolError("the peer answered a call that is not under way")
        return call

    def has(self, call_id: int) -> bool:
        """Whether the call of that id is not answered yet."""
        return call_id in self.calls

    def any_up_to(self, call_id: int) -> bool:
        """Whether a call made no later than `call_id` is still unanswered."""
        while self._oldest <= self.last_id and self._oldest not in self.calls:
            self._oldest += 1
        return self._oldest <= call_id

    def take_all(self) -> dict[int, Call]:
        """Every unanswered call, in the order made; none is left."""
        calls = self.calls.copy()
        self.calls.clear()
        return calls


# What is kept with the peer's calls. Those of a batch came in one message, of which one may have nearly all, and whose
# values are there until the last has ended: wherever one of them is kept, the whole message counts, once.


def bytes_added(call: MethodCall, where: str) -> int:
    """Bytes that would be kept `where` with `call`, and are not yet."""
    run = call.batch
    return call.size if run is None else call.size - run.share + (0 if where in run.kept else run.size)


def keep(call: MethodCall, where: str) -> int:
    """`call` is kept `where`: the bytes that are kept more."""
    added, run = bytes_added(call, where), call.batch
    if run is not None:
        run.kept[where] = run.kept.get(where, 0) + 1
    return added


def let_go(call: MethodCall, where: str) -> int:
    """`call` is not kept `where` any more: the bytes that are kept less."""
    run = call.batch
    if run is not None:
        run.kept[where] -= 1
        if not run.kept[where]:
            del run.kept[where]
    return bytes_added(call, where)


def is_over(call: MethodCall) -> bool:
    """Whether `call`, whose turn it would be, has ended or was given up while it waited."""
    return call.ended or (call.batch is not None and call.batch.given_up)


class Admission:
    """How many of the peer's methods run at a time: the others wait in order, and beyond that are refused."""

    __slots__ = ("_waiting_bytes", "held", "limits", "queue", "running", "running_bytes")

    def __init__(self, limits: Limits) -> None:
        self.limits: Limits = limits
        self.queue: deque[MethodCall] | None = None
        """Calls that wait for their turn, where any ever did."""
        self._waiting_bytes = 0
        self.running: int = 0
        """Methods that run now."""
        self.running_bytes: int = 0
        """Bytes of the calls of those that did not end at once: see `keep_running`."""
        self.held: bool = False
        """Whether no further call may start: the peer does not read what it is sent."""

    @property
    def waiting(self) -> int:
        """How many calls wait for their turn."""
        return len(self.queue or ())

    @property
    def has_room(self) -> bool:
        """Whether a call that arrives now may run at once, and so need not `arrive` if it ends at once."""
        return not self.queue and self._may_start

    @property
    def usage(self) -> dict[str, int]:
        """How many run and wait for their turn, by the name of the limit."""
        return {
            "running_calls": self.running,
            "running_bytes": self.running_bytes,
            "waiting_calls": self.waiting,
            "waiting_bytes": self._waiting_bytes,
        }

    def arrive(self, call: MethodCall) -> bool:
        """Whether `call` may run now; otherwise it waits for `next`.

        Raises:
            TooManyCalls: there is no room to wait either.
        """
        limits = self.limits
        if (  # `has_room`, here without its calls: every call of the peer's comes this way
            not self.queue
            and self.running < limits.running_calls
            and self.running_bytes < limits.running_bytes
            and not self.held
        ):
            self.running += 1
            return True
        if self.queue is None:
            self.queue = deque()
        if len(self.queue) >= limits.waiting_calls:
            raise TooManyCalls("waiting_calls", limits.waiting_calls, len(self.queue) + 1)
        asked = self._waiting_bytes + bytes_added(call, "waiting")
        if asked > limits.waiting_bytes:
            raise TooManyCalls("waiting_bytes", limits.waiting_bytes, asked)
        self.queue.append(call)
        self._waiting_bytes += keep(call, "waiting")
        return False

    def keep_running(self, call: MethodCall) -> None:
        """The method of `call` has not ended at once."""
        self.running_bytes += call.size if call.batch is None else keep(call, "running")  # nearly all are no batch's

    def let_go_of(self, call: MethodCall) -> None:
        """And now it has."""
        self.running_bytes -= call.size if call.batch is None else let_go(call, "running")

    def end(self) -> None:
        """A method that ran has ended; ask `next` for another."""
        self.running -= 1

    def next(self) -> MethodCall | None:
        """The call whose turn it is, which counts as running now; None where none may start."""
        while self.queue and self._may_start:
            call = self.queue.popleft()
            self._waiting_bytes -= let_go(call, "waiting")
            if not is_over(call):
                self.running += 1
                return call
        return None

    def clear(self) -> None:
        """Forget the calls that wait: their caller is gone."""
        self.queue = None
        self._waiting_bytes = 0

    @property
    def _may_start(self) -> bool:
        """Whether one more method may run."""
        limits = self.limits
        return self.running < limits.running_calls and self.running_bytes < limits.running_bytes and not self.held
