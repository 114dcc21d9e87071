"""Runs the tests of this directory against stock Twisted of every age, each release in an environment of its own.

    python tests/interop/environments.py [RELEASE ...] [-- PYTEST_ARGUMENT ...]

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

SECONDS = 900
"""The longest that any one command may take."""


def main(arguments: list[str]) -> int:
    end = arguments.index("--") if "--" in arguments else len(arguments)
    outcomes = {release: check(release, arguments[end + 1 :]) for release in arguments[:end] or RELEASES}
    print()
    for release, outcome in outcomes.items():
        print(f"==== stock Twisted {release}: {outcome}")
    return int("FAILED" in outcomes.values())


def check(release: str, pytest_arguments: list[str]) -> str:
    """Run the tests against `release`: "passed", "FAILED", or why not."""
    python = find_python_2() if release in ON_PYTHON_2 else Path(sys.executable)
    if python is None:
        print(f"\n==== LEFT OUT: stock Twisted {release}, which needs Python 2.7 on x86-64 Linux", flush=True)
        return "LEFT OUT, for want of Python 2.7 on x86-64 Linux"
    print(f"\n==== stock Twisted {release}", flush=True)
    peer = set_up(release, python)
    # What lies in directories of its own is about the newest release alone.
    tests = [HERE] if release == RELEASES[0] else sorted(HERE.glob("test_*.py"))
    command = [sys.executable, "-m", "pytest", "-rx", *map(str, tests), *pytest_arguments]
    environment = os.environ | {"PELLUCID_PEER_PYTHON": str(peer)}
    done = subprocess.run(command, cwd=ROOT, env=environment, timeout=SECONDS, check=False)
    return "FAILED" if done.returncode else "passed"


def set_up(release: str, python: Path) -> Path:
    """The interpreter of an environment with that release of Twisted, made with `python` where it isn't there yet."""
    environment = CACHE / f"twisted-{release}"
    peer, stamp = environment / "bin" / "python", environment / "made-of.txt"
    pins = ON_PYTHON_2.get(release, ROOT / "constraints.txt").read_text()
    made_of = f"# {python.resolve()}\n{pins}"
    if stamp.exists() and stamp.read_text() == made_of:
        return peer
    print(f"setting up {environment.relative_to(ROOT)}", flush=True)
    shutil.rmtree(environment, ignore_errors=True)
    if release in ON_PYTHON_2:
        set_up_python_2(environment, python, ON_PYTHON_2[release])
    else:
        run(python, "-m", "venv", environment)
        others = [pin for pin in pins.splitlines() if not pin.lower().startswith("twisted==")]
        constraints = environment / "constraints.txt"
        constraints.write_text("\n".join(others) + "\n")
        run(peer, "-m", "pip", "install", "-qq", "--constraint", constraints, "pip", f"twisted=={release}")
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
