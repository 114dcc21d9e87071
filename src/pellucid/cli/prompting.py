"""Where the lines of the shell come from: a terminal, with completion, or any other standard input."""

from __future__ import annotations

import asyncio
import re
import sys
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from rlcompleter import Completer as NameCompleter
from typing import Any
from weakref import WeakKeyDictionary

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from pellucid.core.describing import describe
from pellucid.core.references import RemoteReference

__all__ = ["MethodCompleter", "piped_lines", "prompt_for"]

_METHOD = re.compile(r"""(?P<target>[A-Za-z_][\w.]*)\.(?:call|prepare)\(\s*["'](?P<begun>\w*)$""")
_NAME = re.compile(r"[A-Za-z_][\w.]*$")
_SECONDS_TO_DESCRIBE = 2.0
_MOST_NAMES = 200


class MethodCompleter(Completer):
    """Completes the names of remote methods, where the peer tells them, and Python's own."""

    def __init__(self, names: dict[str, Any]) -> None:
        self._names = names
        self._python = NameCompleter(names)
        self._known: WeakKeyDictionary[RemoteReference, list[str]] = WeakKeyDictionary()

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """Those of Python's names."""
        if found := _NAME.search(document.text_before_cursor):
            for state in range(_MOST_NAMES):
                if (name := self._python.complete(found[0], state)) is None:
                    return
                yield Completion(name, -len(found[0]))

    async def get_completions_async(
        self, document: Document, complete_event: CompleteEvent
    ) -> AsyncGenerator[Completion, None]:
        """Those of remote methods after ``name.call("``, and Python's elsewhere."""
        if found := _METHOD.search(document.text_before_cursor):
            for name in await self.methods_of(found["target"]):
                if name.startswith(found["begun"]):
                    yield Completion(name, -len(found["begun"]))
            return
        for completion in self.get_completions(document, complete_event):
            yield completion

    async def methods_of(self, target: str) -> list[str]:
        """The names of the methods of what `target` names, if its owner tells them."""
        name, *attributes = target.split(".")
        thing = self._names.get(name)
        for attribute in attributes:
            thing = getattr(thing, attribute, None)
        if not isinstance(thing, RemoteReference):
            return []
        if thing not in self._known:
            try:
                told = await describe(thing, timeout=_SECONDS_TO_DESCRIBE)
            except Exception:  # noqa: BLE001 - whatever it is, there is nothing to complete
                return []
            self._known[thing] = [method.name for method in told.methods]
        return self._known[thing]


def prompt_for(completer: Completer) -> PromptSession[str]:
    """What asks for lines at a terminal. What was entered is forgotten at the end: there may be secrets in it."""
    return PromptSession(completer=completer, complete_while_typing=False)


async def piped_lines() -> AsyncIterator[str]:
    """The lines of standard input, each as soon as it is there."""
    lines: asyncio.Queue[bytes] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def read() -> None:
        # Unbuffered: a thread that waits inside a buffer's lock when the program ends would bring Python down.
        with open(sys.stdin.fileno(), "rb", buffering=0, closefd=False) as stdin:
            line = b"more"
            while line:
                line = stdin.readline()
                try:
                    loop.call_soon_threadsafe(lines.put_nowait, line)
                except RuntimeError:  # the loop is closed: nobody listens any more
                    return

    threading.Thread(target=read, daemon=True).start()
    while line := await lines.get():
        yield line.decode(errors="replace").rstrip("\r\n")
