"""Exceptions as they cross the wire: a name, a text, and nothing that runs."""

from __future__ import annotations

import traceback
from dataclasses import dataclass

from pellucid.errors import RemoteError

__all__ = ["FailureReport", "rebuild", "report"]

TEXT_CHARACTERS = 32 * 1024
"""How much of an exception's text or traceback travels: an error must never be too large to be told."""

NAME_CHARACTERS = 1000
PARENTS = 100


@dataclass(slots=True)
class FailureReport:
    """What the other side is told of an exception."""

    name: str
    """Qualified name of the class."""
    text: str
    """What `str()` gives."""
    parents: tuple[str, ...] = ()
    """Qualified names of the class and its bases, nearest first."""
    traceback: str | None = None
    """The traceback as text, only where the server opted in."""


def report(error: BaseException, names: tuple[str, ...], *, with_traceback: bool) -> FailureReport:
    """Describe `error`, whose class and bases go by `names` on the wire.

    A `RemoteError` that passes through keeps what its own origin said of it.
    """
    if isinstance(error, RemoteError):
        parents = error.remote_parents or (error.remote_type,)  # Twisted looks for a class among these alone
        return _clipped(error.remote_type, error.text, parents, error.remote_traceback)
    text = "".join(traceback.format_exception(error)) if with_traceback else None
    return _clipped(names[0], _text(error), names, text)


def rebuild(told: FailureReport, cls: type[Exception] | None) -> Exception:
    """The exception that the caller gets: a `cls` where this side knows one, else a `RemoteError`.

    ``__init__`` is not called: whatever it does, it was not written for a text from a peer.
    """
    if cls is None:
        return RemoteError(told.name, told.text, told.traceback, told.parents)
    error = _blank(cls)
    if error is None:
        return rebuild(told, None)
    error.args = (told.text,)
    if told.traceback is not None:
        error.add_note(f"Traceback at the peer:\n{told.traceback}")
    return error


def _blank(cls: type[Exception]) -> Exception | None:
    for make in (Exception.__new__, cls.__new__):  # OSError and some others insist on their own
        try:
            return make(cls)
        except TypeError:
            continue
    return None


def _clipped(name: str, text: str, parents: tuple[str, ...], traceback_text: str | None) -> FailureReport:
    return FailureReport(
        name[:NAME_CHARACTERS],
        text[:TEXT_CHARACTERS],
        tuple(parent[:NAME_CHARACTERS] for parent in parents[:PARENTS]),
        traceback_text and traceback_text[-TEXT_CHARACTERS:],
    )


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as failed:  # noqa: BLE001 - an exception's own __str__ is application code
        return f"<no text: __str__ raised {type(failed).__name__}>"
