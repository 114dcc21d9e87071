"""Looks into what `make dist` has built, and installs it as users do: each time into an environment that is empty.

    python tests/packaging/distributions.py FOLDER [INTERPRETER]

The wheel is installed by itself, and with each of its extras alone, for which programs/ has a program that does what
the extra is for; then with all of them, and the oldest of each dependency that it says will do. The sdist is installed
too, and runs tests out of itself. INTERPRETER is what the environments are made with, else the one that runs this.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
import zipfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
ENVIRONMENTS = ROOT / ".cache" / "dist-check"
CONSTRAINTS = ROOT / "constraints.txt"
SECONDS = 300
"""The longest that any one command may take."""

CORE = {"pellucid", "ormsgpack"}
"""All that an environment holds after `pip install pellucid`."""

NOT_BY_THE_FRONT_PAGE = {"asyncio", "concurrent", "logging", "socket", "ssl", "subprocess", "threading", "uuid"}
"""What of the standard library is slow to load, or a choice that the program has not made yet."""

TESTS = ("tests/unit/test_front_page.py", "tests/unit/test_urls.py", "tests/system/test_layers.py")
"""A few that are quick, which the sdist runs out of itself."""

MILLISECONDS = 80
"""Within which `import pellucid` should be done. It is told and not checked: machines differ."""


class Environment:
    """An environment with no packages at all, not even pip: this interpreter's pip installs into it."""

    def __init__(self, name: str, interpreter: str) -> None:
        self.place = ENVIRONMENTS / name
        self.python = self.place / "bin" / "python"
        shutil.rmtree(self.place, ignore_errors=True)
        run(interpreter, "-m", "venv", "--without-pip", self.place)

    def install(self, *wanted: str, constraints: Path = CONSTRAINTS) -> None:
        pins = ("--constraint", constraints, "--build-constraint", CONSTRAINTS)
        run(sys.executable, "-m", "pip", "--python", self.place, "install", "-qq", *pins, *wanted)

    def packages(self) -> dict[str, str]:
        """What is installed: versions by name."""
        listed = run(sys.executable, "-m", "pip", "--python", self.place, "list", "--format=json")
        return {package["name"]: package["version"] for package in json.loads(listed)}

    def execute(self, *arguments: str | Path) -> str:
        """What Python prints, in an isolated mode: neither this folder nor PYTHONPATH can lend it anything."""
        return run(self.python, "-I", *arguments)


def main(arguments: list[str]) -> None:
    folder, interpreter = Path(arguments[0]), arguments[1] if len(arguments) > 1 else sys.executable
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    began = time.monotonic()
    print(f"==== {wheel.name}")
    fields = look_into_wheel(wheel)
    look_into_sdist(sdist)
    extras = sorted(fields.get_all("Provides-Extra", []))
    bare = Environment("bare", interpreter)
    bare.install(str(wheel))
    check_core(bare)
    tell_times(bare)
    for extra in extras:
        check_extra(extra, wheel, interpreter)
    check_oldest(wheel, extras, fields.get_all("Requires-Dist", []), interpreter)
    print(f"==== {sdist.name}")
    check_sdist(sdist, interpreter)
    print(f"==== all of it holds, in {time.monotonic() - began:.0f} seconds")


def look_into_wheel(wheel: Path) -> Message:
    """Check that it holds the package and nothing else. Returns what it says of itself."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        fields = message_from_bytes(archive.read(metadata))
    about = metadata.removesuffix("METADATA")
    package = {
        file.relative_to(ROOT / "src").as_posix()
        for file in (ROOT / "src" / "pellucid").rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    licence_and_others = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}
    same("files in the wheel", names, package | {about + name for name in licence_and_others})
    assert "pellucid/py.typed" in names, "without py.typed no type checker looks at the package"
    check_metadata(fields)
    programs = {file.stem.removeprefix("with_") for file in (HERE / "programs").glob("with_*.py")}
    same("extras, of which each has a program", set(fields.get_all("Provides-Extra", [])), programs)
    return fields


def check_metadata(fields: Message) -> None:
    """Check what a release must not say."""
    version = fields["Version"]
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.findall(r"^## \[?v?(\d[^\]\s]*)", changes, re.MULTILINE)
    assert "dev" in version or version in released, f"CHANGELOG.md has no section for {version}"


def look_into_sdist(sdist: Path) -> None:
    """Check that it is what git keeps: all that the tests need, and nothing that happened to lie about."""
    with tarfile.open(sdist) as archive:
        names = {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}
    assert "PKG-INFO" in names
    if (ROOT / ".git").exists() and shutil.which("git"):  # else this is an unpacked sdist itself
        kept = run("git", "-C", ROOT, "ls-files", "-z").split("\0")
        same("files in the sdist, beside those that git keeps", names - {"PKG-INFO"}, {name for name in kept if name})


def check_core(environment: Environment) -> None:
    """Check what comes without any extra: the core, which works, and advice about what else there is."""
    packages = environment.packages()
    same("packages that the core brings", set(packages), CORE)
    print("brings", told(packages))
    loaded = set(environment.execute("-c", "import sys, pellucid; print(*sys.modules)").split())
    same("modules of ours that the front page loads", {name for name in loaded if name.startswith("pellucid.")}, set())
    tops = {name.partition(".")[0] for name in loaded}
    same("modules that the front page should not load", tops & NOT_BY_THE_FRONT_PAGE, set())
    print("does", environment.execute(HERE / "programs" / "core.py").strip())
    check_advice(environment.python, "-m", "pellucid")
    check_advice(environment.python.with_name("pellucid"))


def check_advice(*command: str | Path) -> None:
    """Check that the command, whose libraries are an extra, says in one line how to get them."""
    ended = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert ended.returncode == 6, f"{command} ended with {ended.returncode}: {ended.stderr}"
    said = ended.stderr
    assert said.count("\n") == 1, f"{command} should say what to install in one line, and said {said}"
    assert "pip install 'pellucid[cli]'" in said, f"{command} should say what to install, and said {said}"
    print("says", said.strip())


def tell_times(environment: Environment) -> None:
    """Tell what importing costs: the best of several, beyond what it takes Python to start."""
    programs = {
        "import pellucid": "import pellucid",
        "pellucid.connect and .serve": "import pellucid; pellucid.connect, pellucid.serve",
    }
    nothing = best_time(environment, "pass")
    for title, program in programs.items():
        took = best_time(environment, program) - nothing
        wanted = f" (should be below {MILLISECONDS})" if title == "import pellucid" else ""
        print(f"takes {took * 1000:.0f} ms: {title}{wanted}")


def best_time(environment: Environment, program: str) -> float:
    """Seconds that a process with that program takes, when nothing disturbs it."""
    times: list[float] = []
    for _ in range(7):
        began = time.perf_counter()
        environment.execute("-c", program)
        times.append(time.perf_counter() - began)
    return min(times)


def check_extra(name: str, wheel: Path, interpreter: str) -> None:
    """Install the wheel with that extra alone, and do what that is for."""
    environment = Environment(name, interpreter)
    environment.install(f"{wheel}[{name}]")
    packages = environment.packages()
    brought = {package: version for package, version in packages.items() if package not in CORE}
    assert brought, f"the extra {name} brings nothing"
    print(f"[{name}] brings {told(brought)}")
    print(f"[{name}] does", environment.execute(HERE / "programs" / f"with_{name}.py").strip())


def check_oldest(wheel: Path, extras: list[str], requirements: list[str], interpreter: str) -> None:
    """Install the oldest version of each dependency that the wheel takes, and do what the extras are for."""
    found = [re.match(r"([\w.-]+)>=([\d.]+)", requirement) for requirement in requirements]
    oldest = {normal(each[1]): each[2] for each in found if each is not None}
    assert len(oldest) == len(requirements), f"not each says which version will do: {requirements}"
    newest = CONSTRAINTS.read_text().splitlines()
    pins = [pin for pin in newest if normal(pin.partition("==")[0]) not in oldest]
    environment = Environment("oldest", interpreter)
    constraints = environment.place / "constraints.txt"
    constraints.write_text("\n".join([*pins, *(f"{name}=={version}" for name, version in oldest.items())]))
    environment.install(f"{wheel}[{','.join(extras)}]", constraints=constraints)
    print("[oldest] brings", told(oldest))
    for name in extras:
        print("[oldest] does", environment.execute(HERE / "programs" / f"with_{name}.py").strip())


def normal(name: str) -> str:
    """The name of a package in the spelling that stands for all others."""
    return re.sub(r"[-_.]+", "-", name).lower()


def check_sdist(sdist: Path, interpreter: str) -> None:
    """Install it by itself; then run tests of its own on what was installed."""
    environment = Environment("sdist", interpreter)
    environment.install(str(sdist))
    same("packages that the sdist brings", set(environment.packages()), CORE)
    print("does", environment.execute(HERE / "programs" / "core.py").strip())
    unpacked = environment.place / "unpacked"
    with tarfile.open(sdist) as archive:
        archive.extractall(unpacked, filter="data")
    (tree,) = unpacked.iterdir()
    environment.install("--group", f"{tree / 'pyproject.toml'}:tests")
    tested = run(environment.python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS, cwd=tree)
    print("tests:", tested.strip().splitlines()[-1])


def same(title: str, got: set[str], wanted: set[str]) -> None:
    """Check that two sets are equal, and say in what they differ."""
    assert got == wanted, f"{title}: too many: {sorted(got - wanted)}, missing: {sorted(wanted - got)}"


def told(packages: dict[str, str]) -> str:
    return ", ".join(
        f"{name} {version}" for name, version in sorted(packages.items(), key=lambda item: item[0].lower())
    )


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """What a command that succeeds prints. Nothing that this process was told about Python reaches it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    ended = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert ended.returncode == 0, f"{' '.join(map(str, command))}\n{ended.stdout}{ended.stderr}"
    return ended.stdout


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except AssertionError as error:
        sys.exit(f"==== FAILED: {error}")
