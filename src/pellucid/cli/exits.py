"""How the command ends: its exit codes."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["MEANINGS", "Exit"]


class Exit(IntEnum):
    """The exit codes of the command; `MEANINGS` has what they mean."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NO_CONNECTION = 3
    LOGIN_REFUSED = 4
    TIMED_OUT = 5
    NOT_INSTALLED = 6
    INTERRUPTED = 130


MEANINGS = {
    Exit.DONE: "all went well; of `serve`: it was asked to end, by Ctrl-C or SIGTERM, and has",
    Exit.FAILED: "the peer answered with an error, or what was to be served can't be",
    Exit.USAGE: "the command line is wrong; nothing was done",
    Exit.NO_CONNECTION: "no connection could be made or listened for, or it was lost",
    Exit.LOGIN_REFUSED: "the login was refused",
    Exit.TIMED_OUT: "there was no answer within `--timeout`",
    Exit.NOT_INSTALLED: "the extra `pellucid[cli]` is not installed",
    Exit.INTERRUPTED: "Ctrl-C",
}
