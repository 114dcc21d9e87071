"""Running what was typed at a prompt: statements of Python, with ``await`` wherever one likes."""

from __future__ import annotations

import ast
import asyncio
import inspect
import signal
import sys
import traceback
from codeop import CommandCompiler
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

__all__ = ["Statements", "error_text"]

_NAME = "<shell>"
_OURS = str(Path(__file__).parents[1])


class Statements:
    """Runs statements one after the other, all with one set of names; `_` is the last result that was not None."""

    def __init__(self, names: dict[str, Any], show: Callable[[Any], None]) -> None:
        self.names = names
        self._show = show
        self._lines: list[str] = []
        self._compile = CommandCompiler()
        self._compile.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT

    @property
    def goes_on(self) -> bool:
        """Whether what was entered so far is the beginning of a statement."""
        return bool(self._lines)

    def forget(self) -> None:
        """Forget the beginning of a statement."""
        self._lines.clear()

    def add(self, line: str) -> CodeType | None:
        """Take in a line; return the code of the statement that it ends. A block ends with an empty line.

        Raises:
            SyntaxError: it is no Python. The statement is forgotten.
        """
        self._lines.append(line)
        try:
            code = self._compile("\n".join(self._lines), _NAME, "single")
        except (SyntaxError, ValueError, OverflowError):
            self.forget()
            raise
        if code is not None:
            self.forget()
        return code

    async def run(self, code: CodeType) -> None:
        """Run a statement, and show its result. Raises what it raises.

        Ctrl-C raises KeyboardInterrupt: at once, or where the statement awaits something once that is cancelled; if
        that goes on all the same, a second Ctrl-C.
        """
        running = asyncio.ensure_future(self._run(code))
        loop, interrupted = asyncio.get_running_loop(), not code.co_flags & inspect.CO_COROUTINE

        def interrupt(number: int, frame: object) -> None:
            nonlocal interrupted
            if interrupted:
                raise KeyboardInterrupt
            interrupted = True
            loop.call_soon_threadsafe(running.cancel)

        before = signal.signal(signal.SIGINT, interrupt)
        try:
            ended = await asyncio.shield(running)
        except asyncio.CancelledError:
            if not running.done():  # it is the shell that is to end
                running.cancel()
                raise
            ended = KeyboardInterrupt() if interrupted else RuntimeError("what was awaited has been cancelled")
        finally:
            signal.signal(signal.SIGINT, before)
        if ended is not None:
            raise ended

    async def _run(self, code: CodeType) -> BaseException | None:
        # In this mode Python hands the value of an expression to the hook, whose own would write it by itself.
        before, sys.displayhook = sys.displayhook, self._keep
        try:
            result = FunctionType(code, self.names)()
            if inspect.iscoroutine(result):
                await result
        except (KeyboardInterrupt, SystemExit) as error:  # a task that raises these would end the loop
            return error
        finally:
            sys.displayhook = before
        return None

    def _keep(self, value: Any) -> None:
        if value is not None:
            self.names["_"] = value
            self._show(value)


def error_text(error: BaseException) -> str:
    """An error as Python shows it, from the line that was typed on, without what is ours below."""
    told = traceback.TracebackException.from_exception(error)
    first = next((place for place, each in enumerate(told.stack) if each.filename == _NAME), len(told.stack))
    told.stack = traceback.StackSummary.from_list(
        each for each in told.stack[first:] if not each.filename.startswith(_OURS)
    )
    told.__cause__ = told.__context__ = None
    return "".join(told.format()).rstrip()
