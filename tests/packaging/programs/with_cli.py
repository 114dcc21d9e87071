"""What the extra cli is for: the command, which serves an object and calls it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

COMMAND = str(Path(sys.executable).with_name("pellucid"))


def main() -> None:
    serve = [COMMAND, "serve", "core:Echoer", "--listen", "pb://127.0.0.1:0"]
    with subprocess.Popen(serve, cwd=Path(__file__).parent, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            url = server.stdout.readline().split()[-1]
            call = [COMMAND, "call", "--json", url, "echo", "hello"]
            called = subprocess.run(call, capture_output=True, text=True, timeout=60, check=True)
        finally:
            server.terminate()
    assert json.loads(called.stdout) == "hello"
    print("serves, and calls")


main()
