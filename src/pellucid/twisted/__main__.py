"""Runs a program that imports twisted.spread with pellucid in its place: python -m pellucid.twisted run PROGRAM ..."""

from __future__ import annotations

import os
import runpy
import shutil
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import NoReturn

from pellucid.twisted import install

__all__ = ["main"]

_USAGE = """\
usage: python -m pellucid.twisted run PROGRAM [ARGUMENT ...]
       python -m pellucid.twisted run -m MODULE [ARGUMENT ...]

Run a Python program with pellucid in place of twisted.spread, and otherwise as if it had been started directly.
PROGRAM is the path of a script, or a command that is installed beside this Python or found on PATH.
"""


def main(arguments: list[str]) -> None:
    """Do what the command line says. A program that comes to its end returns here; what it raises, it raises."""
    match arguments:
        case ["-h" | "--help"] | ["run", "-h" | "--help"]:
            sys.stdout.write(_USAGE)
        case ["run", "-m", module, *rest]:
            _run_module(module, rest)
        case ["run", program, *rest] if not program.startswith("-"):
            _run_script(_find(program), rest)
        case _:
            sys.stderr.write(_USAGE)
            sys.exit(2)


def _run_module(name: str, arguments: list[str]) -> None:
    _install()  # before any package around the module is imported
    try:
        known = find_spec(name)
    except ModuleNotFoundError:
        known = None
    if known is None:
        _give_up(f"there is no module {name!r}")
    sys.argv[:] = [name, *arguments]
    runpy.run_module(name, run_name="__main__", alter_sys=True)


def _run_script(path: str, arguments: list[str]) -> None:
    _install()
    source = Path(path).read_bytes()
    if b"\0" in source:
        _give_up(f"{path} is no Python program")
    sys.argv[:] = [path, *arguments]
    if not sys.flags.safe_path:
        sys.path[0] = str(Path(path).resolve().parent)  # where a script finds its own modules
    # As Python does it. runpy would take the module away at the end, when threads and atexit may still need it.
    program = ModuleType("__main__")
    program.__file__ = str(Path(path).absolute())
    sys.modules["__main__"] = program
    exec(compile(source, program.__file__, "exec", dont_inherit=True), vars(program))  # noqa: S102 - it is asked to


def _find(program: str) -> str:
    path: str | None = program
    if not Path(program).is_file():
        path = shutil.which(program, path=os.pathsep.join([sysconfig.get_path("scripts"), *os.get_exec_path()]))
    if path is None:
        _give_up(f"{program!r} is neither a file nor a command")
    return path


def _install() -> None:
    try:
        install()
    except (ModuleNotFoundError, RuntimeError) as error:
        _give_up(str(error))


def _give_up(why: str) -> NoReturn:
    sys.exit(f"python -m pellucid.twisted: {why}")


if __name__ == "__main__":
    main(sys.argv[1:])
