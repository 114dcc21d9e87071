"""Programs that import twisted.spread, run on ours: `python -m pellucid.twisted run`, and `install()`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.system.programs import SECONDS, SRC, Ended

MODULES = "banana flavors interfaces jelly pb publish util".split()

# What a program can find out about how it was started; the second file is beside it.
CURIOUS = """
import json, sys
import neighbour
main = sys.modules["__main__"]
print(json.dumps([__name__, __file__, sys.argv, sys.path[0], main.__dict__ is globals(), neighbour.__file__]))
"""

WHOSE = "from twisted.spread import pb; print(pb.__name__)"


def python(*arguments: str | Path, cwd: Path | None = None, path: str | None = None, modules: Path = SRC) -> Ended:
    """What becomes of this Python, given those arguments; `path` is its PATH, `modules` come before all others."""
    environment = {
        **os.environ,
        "PATH": path or os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(map(str, (modules, SRC))),
        "PYTHONWARNINGS": "error",
    }
    ended = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def run(*arguments: str | Path, cwd: Path | None = None, path: str | None = None, modules: Path = SRC) -> Ended:
    return python("-m", "pellucid.twisted", "run", *arguments, cwd=cwd, path=path, modules=modules)


@pytest.fixture
def curious(tmp_path: Path) -> Path:
    """A folder with a program and its neighbour."""
    folder = tmp_path / "programs"
    folder.mkdir()
    (folder / "curious.py").write_text(CURIOUS, encoding="utf-8")
    (folder / "neighbour.py").touch()
    return folder


# A program is started as if there were nothing between it and Python.

ARGUMENTS = ("-m", "--help", "run", "-x=1", "")


def test_a_script_finds_everything_as_if_it_had_been_started_directly(curious: Path) -> None:
    program = curious.relative_to(curious.parent) / "curious.py"

    ended = run(program, *ARGUMENTS, cwd=curious.parent)

    assert ended == python(program, *ARGUMENTS, cwd=curious.parent)
    assert ended.code == 0


def test_a_module_finds_everything_as_if_it_had_been_started_directly(curious: Path) -> None:
    ended = run("-m", "curious", *ARGUMENTS, cwd=curious)

    assert ended == python("-m", "curious", *ARGUMENTS, cwd=curious)
    assert ended.code == 0


def test_a_command_on_the_path_is_run_by_this_python(curious: Path) -> None:
    command = curious / "curious"
    command.write_text(f"#!/nowhere/python\n{CURIOUS}", encoding="utf-8")
    command.chmod(0o755)

    ended = run("curious", *ARGUMENTS, path=f"{curious}{os.pathsep}{os.environ['PATH']}")

    assert ended == python(command, *ARGUMENTS)
    assert ended.code == 0


def test_a_command_beside_this_python_is_found_though_it_is_not_on_the_path(tmp_path: Path) -> None:
    ended = run("twistd", "--version", path=str(tmp_path))

    assert ended == python(Path(sysconfig.get_path("scripts"), "twistd"), "--version")
    assert ended.out.startswith("twistd")


def test_the_modules_of_twisted_spread_are_ours(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        f"""
import sys
import twisted.spread.pb
from twisted.python.reflect import namedAny
from twisted.spread import jelly
from twisted.spread.util import StringPager
print(twisted.spread.pb.__name__, jelly.__name__, StringPager.__module__, namedAny("twisted.spread.flavors").__name__)
print(*(sys.modules[f"twisted.spread.{{name}}"].__name__ for name in {MODULES}))
""",
        encoding="utf-8",
    )

    ended = run(program)

    ours = [f"pellucid.twisted.{name}" for name in MODULES]
    named = [f"pellucid.twisted.{name}" for name in ("pb", "jelly", "util", "flavors")]
    assert (ended.err, ended.out.split()) == ("", named + ours)


@pytest.mark.parametrize(
    ("end", "code", "err"),
    [
        ("", 0, ""),
        ("raise SystemExit", 0, ""),
        ("raise SystemExit(3)", 3, ""),
        ("raise SystemExit('enough')", 1, "enough\n"),
        ("import os; os._exit(4)", 4, ""),
        ("import os; os.abort()", -signal.SIGABRT, None),
        ("raise KeyboardInterrupt", -signal.SIGINT, None),
    ],
)
def test_a_program_ends_as_it_would_by_itself(tmp_path: Path, end: str, code: int, err: str | None) -> None:
    program = tmp_path / "program.py"
    program.write_text(end, encoding="utf-8")

    ended = run(program)

    assert ended.code == code == python(program).code
    assert err is None or ended.err == err


def test_a_program_that_raises_shows_where(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("def fail():\n    raise KeyError('why')\nfail()\n", encoding="utf-8")

    ended = run(program)

    assert ended.code == 1
    assert f'File "{program}", line 2, in fail' in ended.err
    assert ended.err.endswith("KeyError: 'why'\n")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only where there is fork")
def test_a_program_that_becomes_a_daemon_stays_on_ours(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "news")
    reader = os.open(tmp_path / "news", os.O_RDONLY | os.O_NONBLOCK)  # it opens though nobody writes yet
    application = tmp_path / "daemon.tac"
    application.write_text(
        """
import os
from twisted.application.service import Application, Service
from twisted.spread import pb

class Reporter(Service):
    def startService(self):
        from twisted.internet import reactor

        self.news = open("news", "w")
        reactor.callLater(0, self.report)  # once signals are minded

    def report(self):
        print(pb.__name__, os.getpid(), file=self.news, flush=True)

    def stopService(self):
        print("stopped", file=self.news, flush=True)

application = Application("daemon")
Reporter().setServiceParent(application)
""",
        encoding="utf-8",
    )

    started = run("twistd", "--logfile=log", "--pidfile=pid", "--python=daemon.tac", cwd=tmp_path)
    assert started.code == 0, started
    os.set_blocking(reader, True)
    with os.fdopen(reader, encoding="utf-8") as news:
        module, pid = news.readline().split()
        os.kill(int(pid), signal.SIGTERM)
        rest = news.read()

    assert module == "pellucid.twisted.pb"
    assert rest == "stopped\n"


# What is wrong is told in a line.


@pytest.mark.parametrize("arguments", [(), ("run",), ("walk", "x"), ("run", "-m"), ("run", "-x", "y")], ids=str)
def test_a_command_line_that_makes_no_sense_is_answered_with_the_usage(arguments: tuple[str, ...]) -> None:
    ended = python("-m", "pellucid.twisted", *arguments)

    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("usage: python -m pellucid.twisted run PROGRAM")


@pytest.mark.parametrize("arguments", [("--help",), ("-h",), ("run", "--help")], ids=str)
def test_whoever_asks_for_help_gets_it(arguments: tuple[str, ...]) -> None:
    ended = python("-m", "pellucid.twisted", *arguments)

    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("usage: python -m pellucid.twisted run PROGRAM")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("no-such-program",), "'no-such-program' is neither a file nor a command"),
        (("-m", "no_such_module"), "there is no module 'no_such_module'"),
        (("-m", "no_such_package.module"), "there is no module 'no_such_package.module'"),
        ((sys.executable,), f"{sys.executable} is no Python program"),
    ],
    ids=["command", "module", "package", "binary"],
)
def test_a_program_that_cannot_be_run_is_named(arguments: tuple[str, ...], why: str) -> None:
    assert run(*arguments) == Ended(1, "", f"python -m pellucid.twisted: {why}\n")


def test_it_is_too_late_where_something_has_imported_twisted_spread_before(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import twisted.spread.jelly", encoding="utf-8")
    program = tmp_path / "program.py"
    program.write_text(WHOSE, encoding="utf-8")

    ended = run(program, modules=tmp_path)

    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("python -m pellucid.twisted: twisted.spread.interfaces, twisted.spread.jelly")
    assert ended.err.endswith("imported already: call pellucid.twisted.install() before that\n")


@pytest.mark.parametrize(
    "statement", ["import pellucid.twisted; pellucid.twisted.install()", "from pellucid.twisted import pb"]
)
def test_a_python_without_twisted_is_told_what_to_install(statement: str) -> None:
    code = f"import sys; sys.path.append({str(SRC)!r}); {statement}"

    ended = python("-I", "-S", "-c", code)

    assert ended.err.endswith("ModuleNotFoundError: pellucid.twisted needs Twisted: pip install 'pellucid[twisted]'\n")


# install() in a program of one's own.


def test_a_program_may_install_ours_itself_and_more_than_once() -> None:
    ended = python("-c", f"import pellucid.twisted as door; door.install(); door.install(); {WHOSE}; door.install()")

    assert ended == Ended(0, "pellucid.twisted.pb\n")


def test_nothing_is_replaced_where_it_is_too_late() -> None:
    code = """
import pellucid.twisted
from twisted.spread import util
try:
    pellucid.twisted.install()
except RuntimeError as error:
    print(error)
from twisted.spread import pb
print(pb.__name__)
"""

    ended = python("-c", code)

    assert "twisted.spread.util has been imported already" in ended.out.replace("twisted.spread.util,", "")
    assert ended.out.endswith("\ntwisted.spread.pb\n")


def test_the_package_loads_nothing_of_twisted_and_installing_leaves_the_choice_of_a_reactor() -> None:
    code = """
import sys
import pellucid.twisted
print(sorted(name for name in sys.modules if name.startswith("twisted")))
pellucid.twisted.install()
print("twisted.internet.reactor" in sys.modules)
"""

    assert python("-c", code) == Ended(0, "[]\nFalse\n")
