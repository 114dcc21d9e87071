"""Runs the tests of this directory against stock Twisted of every age, each release in an environment of its own.

    python tests/interop/environments.py [--part 1/2] [RELEASE ... | buildbot] [-- PYTEST_ARGUMENT ...]

With the newest release Twisted's own tests run too, on pellucid's Twisted door; "buildbot" stands for Buildbot's master
and worker, which then run on it. Where it is to be done in parts at the same time, each says which of how many it is.

Environments are kept under .cache/peers and made anew when what they are made of changes. Twisted 20.3.0 runs on
Python 2.7; it is left out, loudly, where there is none.
"""

# ruff: noqa: T201  # it tells the user of `make interop` what it does

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
CACHE = ROOT / ".cache" / "peers"
ON_PYTHON_2 = {"20.3.0": HERE / "twisted-20.3.0-python-2.7.txt"}
"""The releases that run on Python 2.7, and all that each needs, exactly."""

RELEASES = ("26.10.0", "24.7.0", "24.3.0", "22.10.0", "20.3.0")
"""Those that differ on the wire, the newest first."""

BUILDBOT = "buildbot"

SECONDS = 900
"""The longest that any one command may take."""


def main(arguments: list[str]) -> int:
    end = arguments.index("--") if "--" in arguments else len(arguments)
    asked, pytest_arguments = arguments[:end], arguments[end + 1 :]
    part, parts = 1, 1
    if asked[:1] == ["--part"]:
        part, parts = map(int, asked[1].split("/"))
        del asked[:2]
    names = (asked or [*RELEASES, BUILDBOT])[part - 1 :: parts]
    outcomes = {name: check(name, pytest_arguments) for name in names}
    print()
    for name, outcome in outcomes.items():
        print(f"==== {title(name)}: {outcome}")
    return int("FAILED" in outcomes.values())


def title(name: str) -> str:
    return "Buildbot" if name == BUILDBOT else f"stock Twisted {name}"


def check(name: str, pytest_arguments: list[str]) -> str:
    """Run the tests against the release of that name, or with Buildbot: "passed", "FAILED", or why not."""
    python = find_python_2() if name in ON_PYTHON_2 else Path(sys.executable)
    if python is None:
        print(f"\n==== LEFT OUT: {title(name)}, which needs Python 2.7 on x86-64 Linux", flush=True)
        return "LEFT OUT, for want of Python 2.7 on x86-64 Linux"
    print(f"\n==== {title(name)}", flush=True)
    tests = sorted(HERE.glob("test_*.py"))
    if name == RELEASES[0]:
        tests.append(HERE / "twisted_suites" / "suites.py")
    elif name == BUILDBOT:
        tests = [HERE / "buildbot" / "builds.py"]
    variable = "PELLUCID_BUILDBOT_PYTHON" if name == BUILDBOT else "PELLUCID_PEER_PYTHON"
    command = [sys.executable, "-m", "pytest", "-rx", *map(str, tests), *pytest_arguments]
    environment = os.environ | {variable: str(set_up(name, python))}
    done = subprocess.run(command, cwd=ROOT, env=environment, timeout=SECONDS, check=False)
    return "FAILED" if done.returncode else "passed"


def set_up(name: str, python: Path) -> Path:
    """The interpreter of the environment of that name, made with `python` where it isn't there yet."""
    environment = CACHE / (name if name == BUILDBOT else f"twisted-{name}")
    peer, stamp = environment / "bin" / "python", environment / "made-of.txt"
    pinned = {**ON_PYTHON_2, BUILDBOT: HERE / "buildbot" / "requirements.txt"}.get(name, ROOT / "constraints.txt")
    pins = pinned.read_text()
    made_of = f"# {python.resolve()}\n{pins}"
    if stamp.exists() and stamp.read_text() == made_of:
        return peer
    print(f"setting up {environment.relative_to(ROOT)}", flush=True)
    shutil.rmtree(environment, ignore_errors=True)
    if name in ON_PYTHON_2:
        set_up_python_2(environment, python, pinned)
    elif name == BUILDBOT:
        run(python, "-m", "venv", environment)
        run(peer, "-m", "pip", "install", "-qq", "--requirement", pinned)
    else:
        run(python, "-m", "venv", environment)
        others = [pin for pin in pins.splitlines() if not pin.lower().startswith("twisted==")]
        constraints = environment / "constraints.txt"
        constraints.write_text("\n".join(others) + "\n")
        # What ours needs, for the tests of Twisted's that run on it.
        wanted = ("pip", f"twisted=={name}", "ormsgpack")
        run(peer, "-m", "pip", "install", "-qq", "--constraint", constraints, *wanted)
    stamp.write_text(made_of)
    return peer


def set_up_python_2(environment: Path, python: Path, requirements: Path) -> None:
    """An environment without venv or a pip of its own, since Python 2.7 has no usable ones.

    Python 3's pip fetches the wheels into what a script makes Python 2 take for its user's packages.
    """
    packages = environment / "lib" / "python2.7" / "site-packages"
    wheels = (
        "--only-binary=:all: --no-deps --platform=manylinux1_x86_64 --platform=manylinux2010_x86_64 "
        "--python-version=27 --implementation=cp --abi=cp27mu"
    )
    where = ("--target", packages, "--requirement", requirements)
    run(sys.executable, "-m", "pip", "install", "-qq", *wheels.split(), *where)
    script = environment / "bin" / "python"
    script.parent.mkdir()
    script.write_text(
        f"#!/bin/sh\nexport PYTHONUSERBASE={shlex.quote(str(environment))} PYTHONDONTWRITEBYTECODE=1\n"
        f'exec {shlex.quote(str(python))} "$@"\n'
    )
    script.chmod(0o755)


def find_python_2() -> Path | None:
    """A Python 2.7 that takes the wheels: on the PATH, or pyenv's."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        return None
    question = "import sys; sys.exit(sys.version_info[:2] != (2, 7) or sys.maxunicode < 0x10ffff)"
    for candidate in pythons_2():
        answer = subprocess.run([candidate, "-c", question], capture_output=True, timeout=SECONDS, check=False)
        if answer.returncode == 0:
            return candidate
    return None


def pythons_2() -> Iterator[Path]:
    on_path = shutil.which("python2.7")
    if on_path:
        yield Path(on_path)
    if shutil.which("pyenv"):
        # Its command on the PATH refuses to run while the version is not the chosen one.
        root = run("pyenv", "root").strip()
        yield from sorted(Path(root).glob("versions/2.7.*/bin/python2.7"))


def run(*command: str | Path) -> str:
    """What a command that succeeds says."""
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=SECONDS, check=True).stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
