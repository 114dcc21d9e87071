"""What editors show to somebody who uses an interface: asked of pyright's language server, as editors do."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import pellucid

pytest.importorskip("pyright", reason="pyright is of the group types")
pytestmark = pytest.mark.timeout(300)  # it reads the library first

PROGRAM = '''\
import pellucid as pb


class Account(pb.Interface):
    async def balance(self) -> int: ...


class Bank(pb.Interface):
    async def open(self, owner: str, *, amount: int = ...) -> Account:
        """Open an account."""
        ...

    async def close(self) -> None: ...


async def main(root: pb.RemoteReference) -> None:
    bank = root.as_(Bank)
    account = await bank.open("alice")
'''


class Editor:
    """The least of an editor: it opens files that end where somebody is typing, and asks about that place."""

    def __init__(self, server: subprocess.Popen[bytes], folder: Path) -> None:
        # The library is where an installed one would be: it is known by what it says of its types.
        settings = {"extraPaths": [str(Path(pellucid.__file__).parents[1])], "reportMissingImports": False}
        (folder / "pyrightconfig.json").write_text(json.dumps(settings))
        self._folder = folder
        self._asked = 0
        self._server = server
        workspace = {"uri": folder.as_uri(), "name": folder.name}
        capabilities = {"workspace": {"workspaceFolders": True}}
        self._ask("initialize", processId=None, workspaceFolders=[workspace], capabilities=capabilities)
        self._tell("initialized")

    def completions(self, typed: str) -> set[str]:
        """The names on offer to somebody who has typed that at the end of the program."""
        return {item["label"] for item in self._ask_about("completion", typed)["items"]}

    def signature(self, typed: str) -> dict[str, Any]:
        """What is shown of the function whose arguments are typed next."""
        (shown,) = self._ask_about("signatureHelp", typed)["signatures"]
        assert isinstance(shown, dict)
        return shown

    def _ask_about(self, what: str, typed: str) -> Any:
        file = (self._folder / f"program_{self._asked}.py").as_uri()
        text = f"{PROGRAM}    {typed}"
        document = {"uri": file, "languageId": "python", "version": 1, "text": text}
        self._tell("textDocument/didOpen", textDocument=document)
        place = {"line": text.count("\n"), "character": 4 + len(typed)}
        return self._ask(f"textDocument/{what}", textDocument={"uri": file}, position=place)

    def _ask(self, method: str, **parameters: Any) -> Any:
        self._asked += 1
        self._send(id=self._asked, method=method, params=parameters)
        while True:
            message = self._receive()
            if "method" not in message and message["id"] == self._asked:
                return message["result"]
            if "method" in message and "id" in message:  # it asks in turn; this editor has nothing to say
                self._send(id=message["id"], result=None)

    def _tell(self, method: str, **parameters: Any) -> None:
        self._send(method=method, params=parameters)

    def _send(self, **message: Any) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._server.stdin is not None
        self._server.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        self._server.stdin.flush()

    def _receive(self) -> dict[str, Any]:
        assert self._server.stdout is not None
        length = 0
        while (line := self._server.stdout.readline().strip()) != b"":
            if line.lower().startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        assert length, "the language server has ended"
        message: dict[str, Any] = json.loads(self._server.stdout.read(length))
        return message


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Editor]:
    command = [sys.executable, "-m", "pyright.langserver", "--stdio"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        yield Editor(server, tmp_path_factory.mktemp("workspace"))
        server.communicate()  # it ends when its input does


def test_behind_a_view_the_methods_of_its_interface_are_on_offer(editor: Editor) -> None:
    offered = editor.completions("bank.")
    assert {name for name in offered if not name.startswith("_")} == {"open", "close"}


def test_behind_the_result_of_a_method_its_own_methods_are_on_offer(editor: Editor) -> None:
    offered = editor.completions("account.")
    assert {name for name in offered if not name.startswith("_")} == {"balance"}


def test_the_arguments_of_a_method_are_shown_and_what_it_does(editor: Editor) -> None:
    shown = editor.signature("bank.open(")
    assert shown["label"] == "(owner: str, *, amount: int = ...) -> CoroutineType[Any, Any, Account]"
    assert "Open an account." in str(shown["documentation"])


def test_all_public_names_are_on_offer_though_they_are_loaded_late(editor: Editor) -> None:
    assert set(pellucid.__all__) <= editor.completions("pb.")
