"""What the command says where something failed, and which exit code that has."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

import click

from pellucid import errors
from pellucid.cli.exits import Exit
from pellucid.cli.texts import printable
from pellucid.errors import (
    ConnectFailed,
    DeadReferenceError,
    LoginFailed,
    NoSuchMethod,
    PBConnectionLost,
    RemoteError,
    RemoteProtocolError,
)
from pellucid.flavors.serializable import qualified_name

__all__ = ["Failed", "failing", "option_errors", "type_and_text"]

# What errors of the library tell a program to write, and what is written on a command line.
_OPTIONS = {
    "tls=pellucid.TLS(authorities=...)": "--tls-authorities FILE",
    "tls=pellucid.TLS(certificate=..., key=...)": "--tls-certificate FILE --tls-key FILE",
    "login(..., allow_md5=True)": "--allow-md5",
    "(Limits.connect_seconds)": "(--timeout)",
}


# What a peer, the network or a command line is to blame for; users want no traceback of ours.
_TOLD = (OSError, *(getattr(errors, name) for name in errors.__all__))


class Failed(click.ClickException):
    """The command has failed, for a reason to be told."""

    def __init__(self, code: Exit, text: str, *, kind: str = "", detail: Mapping[str, str | None] = {}) -> None:
        super().__init__(text)
        self.code = code
        """How the command ends: click's `exit_code` is one for the whole class."""
        self.as_json = False
        """Whether to say so in JSON: `failing` knows."""
        self._kind = kind
        self._detail = detail

    def show(self, file: Any = None) -> None:
        """Say so on stderr: one line of JSON, or words."""
        if self.as_json:
            known = {"code": int(self.code), "kind": self.code.name.lower(), "type": self._kind, "text": self.message}
            click.echo(json.dumps({"error": {**known, **self._detail}}), err=True)
            return
        if traceback := self._detail.get("traceback"):
            click.echo(f"The traceback of the peer:\n{printable(traceback.rstrip())}", err=True)
        click.echo(f"pellucid: {printable(self.message)}", err=True)


@contextmanager
def failing(as_json: bool) -> Generator[None]:
    """End the command where there is an error in here that a user can do something about, in words and by a code."""
    try:
        with _in_words():
            yield
    except Failed as failed:
        failed.as_json = as_json
        raise


@contextmanager
def _in_words() -> Generator[None]:
    try:
        yield
    except BrokenPipeError:
        raise  # whoever read the output has left; click ends the command in silence
    except _TOLD as error:
        kind, text = type_and_text(error)
        code = _code(error)
        said = text or kind
        if code is Exit.FAILED and text:
            said = f"{kind}: {text}"
        if isinstance(error, NoSuchMethod):
            said += " (`pellucid describe` lists what there is, where the server tells; some ask for --login)"
        detail: dict[str, str | None] = {"text": text}
        if isinstance(error, RemoteError):
            detail["traceback"] = error.remote_traceback
        raise Failed(code, _in_options(said), kind=kind, detail=detail) from None


@contextmanager
def option_errors() -> Generator[None]:
    """What the library finds wrong with an option in here is a wrong command line."""
    try:
        yield
    except ValueError as error:
        raise click.UsageError(_in_options(str(error))) from None


def _in_options(text: str) -> str:
    """What an error of the library says, with options of the command where it tells a program what to write."""
    for written, option in _OPTIONS.items():
        text = text.replace(written, option)
    return text


def _code(error: Exception) -> Exit:
    match error:
        case ConnectFailed(__cause__=TimeoutError()):
            return Exit.TIMED_OUT
        case ConnectFailed() | PBConnectionLost() | DeadReferenceError() | RemoteProtocolError():
            return Exit.NO_CONNECTION
        case LoginFailed():
            return Exit.LOGIN_REFUSED
        case TimeoutError():
            return Exit.TIMED_OUT
        case OSError():
            return Exit.NO_CONNECTION
        case _:
            return Exit.FAILED


def type_and_text(error: Exception) -> tuple[str, str]:
    """The name of an error's class, as its owner calls it, and its text."""
    if isinstance(error, RemoteError):
        return error.remote_type.removeprefix("builtins."), error.text
    if isinstance(error, OSError) and error.strerror and error.filename is None:
        return type(error).__name__, error.strerror  # without its number
    return qualified_name(type(error)).removeprefix("builtins.").removeprefix("pellucid.errors."), str(error)
