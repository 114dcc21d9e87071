"""Many calls made together."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any, cast

from pellucid.core.calls import Call, Maker
from pellucid.core.references import CallOptions, Prepared
from pellucid.errors import NotAReference

__all__ = ["check_prepared", "gather"]


def gather(*prepared: Prepared, return_exceptions: bool = False, timeout: float | None = None) -> Call:
    """Make calls together: ``results = await gather(*(root.prepare("echo", n) for n in range(1000)))``.

    The results come in the order of the calls, all at once. In the native dialect the calls travel as one message, and
    so do the answers; over the PB dialects they are so many calls made at a time.

    Where one of them fails, the whole fails with its error, though the others run all the same; with
    `return_exceptions` errors stand among the results instead, that of a connection that is lost as well. `timeout` is
    in seconds, for the whole: what is over then is the whole, in `DeadlineExceeded`. Cancelling the whole cancels each.

    Raises:
        DeadReferenceError, Overloaded: at once; no call was made.
        ForeignReference: at once, where the calls are not all of one connection.
        TypeError: at once; one of them is not prepared, but a call that was made, or something else.
    """
    if not prepared:
        nothing = _Nothing()
        nothing.succeed([])
        return nothing
    try:
        calling = prepared[0].reference.keeper.calling
        return calling.gather(prepared, CallOptions(timeout), takes_errors=return_exceptions)
    except AttributeError:
        check_prepared(prepared)
        raise


def check_prepared(calls: Iterable[object]) -> None:
    """Raise TypeError where one of `calls` is not prepared."""
    for each in calls:
        if not isinstance(each, Prepared):
            raise TypeError(f"gather makes calls itself, as from reference.prepare(...); {each!r} is none") from None


class _Nothing(Call):
    """No calls, made together: it is of no connection, and done."""

    def __init__(self) -> None:
        super().__init__(cast(Maker, None), "gather")

    def call(self, name: str, /, *args: Any, **kwargs: Any) -> Call:
        """As of any call whose result is no reference."""
        failed = _Nothing()
        failed.fail(NotAReference(f"{self.name!r} returned a list: it has no remote {name!r}"))
        return failed

    def __await__(self) -> Generator[Any, None, Any]:
        yield from ()
        return self.outcome()
