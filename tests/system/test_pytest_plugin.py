"""The fixtures, in test suites of their own: each a run of pytest in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

from tests.system.programs import SRC

SECONDS = 40

SAYS_MORE = ("CI", "BUILD_NUMBER", "PYTEST_ADDOPTS")

HEAD = """
import asyncio
import pytest
import pellucid as pb


class Thing(pb.Referenceable):
    def remote_hi(self):
        return "hi"


class Desk(pb.Root):
    def __init__(self):
        self.kept = []

    def remote_thing(self):
        return Thing()

    def remote_keep(self, thing):
        self.kept.append(thing)

    def remote_fail(self, thing):
        raise ZeroDivisionError

"""


def run(tmp_path: Path, text: str) -> tuple[dict[str, int], str]:
    """How many tests of a suite passed, failed and so on, and all that was said."""
    (tmp_path / "test_suite.py").write_text(HEAD + text, encoding="utf-8")
    # Whether or not it is installed here with its entry point: not by that, and then by its name.
    plugins = ["-p", "no:pellucid", "-p", "pellucid.pytest_plugin", "-p", "no:randomly", "-p", "no:cacheprovider"]
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-m", "pytest", *plugins, "-rA", "--tb=short", "test_suite.py"],
        cwd=tmp_path,
        # Without CI, where pytest says more, and what else would change what it says.
        env={name: value for name, value in os.environ.items() if name not in SAYS_MORE} | {"PYTHONPATH": str(SRC)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    said = ended.stdout + ended.stderr
    summary = said.strip().splitlines()[-1].strip("= ").partition(" in ")[0]
    counts = {word.rstrip("s"): int(number) for number, word in (part.split() for part in summary.split(", "))}
    return counts, said


def test_something_is_served_and_a_client_is_connected(tmp_path: Path) -> None:
    counts, said = run(
        tmp_path,
        """
def test_serve(pellucid_serve):
    async def main():
        async with pellucid_serve(Desk()) as served:
            thing = await served.root.call("thing")
            assert await thing.call("hi") == "hi"
            other = await served.connect()
            assert await (await other.root.call("thing")).call("hi") == "hi"
            assert len(served.server.connections) == 2
            url = served.url
        assert other.is_closed and served.connection.is_closed
        with pytest.raises(pb.ConnectFailed):
            await pb.connect(url)
    asyncio.run(main())


def test_two_at_a_time_with_options(pellucid_serve):
    async def main():
        limits = pb.Limits(running_calls=3)
        client = {"dialects": ["pb"]}
        async with pellucid_serve(Desk(), limits=limits) as one, pellucid_serve(Desk(), client=client) as two:
            assert one.server.usage["running_calls"].limit == 3
            assert two.connection.dialect == "pb"
            assert one.url != two.url
    asyncio.run(main())


def test_in_memory(pellucid_pair):
    async def main():
        async with pellucid_pair(Desk()) as pair:
            thing = await pair.root.call("thing")
            assert await thing.call("hi") == "hi"
            assert len(pair.served.broker.books.exports) == 1
            with pytest.raises(pb.RemoteError):
                await pair.root.call("fail", Thing())
    asyncio.run(main())


def test_code_that_blocks(pellucid_serve):
    with pellucid_serve(Desk()) as served:
        thing = served.root.call("thing")
        assert thing.call("hi") == "hi"
        assert served.connect().root.call("thing").call("hi") == "hi"
        with pytest.raises(pb.RemoteError):
            served.root.call("fail", Thing())
    assert served.connection.is_closed
""",
    )
    assert counts == {"passed": 4}, said


def test_what_is_left_fails_the_test_and_says_what_it_is(tmp_path: Path) -> None:
    counts, said = run(
        tmp_path,
        """
here = []


def test_by_the_root(pellucid_serve):
    async def main():
        async with pellucid_serve(Desk()) as served:
            thing = Thing()
            await served.root.call("keep", thing)
            await served.root.call("keep", thing)
    asyncio.run(main())


def test_by_the_module(pellucid_pair):
    async def main():
        async with pellucid_pair(Desk()) as pair:
            here.append(await pair.root.call("thing"))
    asyncio.run(main())


def test_by_the_root_of_code_that_blocks(pellucid_serve):
    with pellucid_serve(Desk()) as served:
        served.root.call("keep", Thing())


def test_of_which_it_is_said_that_it_is_no_matter(pellucid_serve, pellucid_pair):
    async def main():
        async with pellucid_serve(Desk(), leaks=False) as served, pellucid_pair(Desk(), leaks=False) as pair:
            here.append(await served.root.call("thing"))
            here.append(await pair.root.call("thing"))
    asyncio.run(main())


def test_that_fails_by_itself(pellucid_serve):
    with pellucid_serve(Desk()) as served:
        here.append(served.root.call("thing"))
        assert False
""",
    )
    assert counts == {"passed": 4, "failed": 1, "error": 3}, said
    assert "to a Thing, received 2 times at the server's end; held by a list of a Desk\n" in said
    assert "to a Thing, received once at the client's end; held by a list of module test_suite\n" in said
    assert said.count("references are held after the end of their connections:") == 3


def test_a_class_of_tests_can_have_its_own_fixtures_on_top(tmp_path: Path) -> None:
    counts, said = run(
        tmp_path,
        """
@pytest.fixture
def desk(pellucid_serve):
    with pellucid_serve(Desk()) as served:
        yield served.root


class TestDesk:
    def test_one(self, desk):
        assert desk.call("thing").call("hi") == "hi"

    def test_two(self, desk):
        desk.call("keep", 1)
""",
    )
    assert counts == {"passed": 2}, said


def test_it_loads_nothing_but_itself_where_no_test_asks_for_it() -> None:
    program = """
import json, sys, pytest
before = set(sys.modules)
import pellucid.pytest_plugin
print(json.dumps(sorted(set(sys.modules) - before)))
"""
    env = {**os.environ, "PYTHONPATH": str(SRC)}
    ended = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)

    assert json.loads(ended.stdout) == ["pellucid", "pellucid.pytest_plugin"]


def test_pytest_is_told_of_it() -> None:
    project = tomllib.loads((SRC.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (name,) = project["entry-points"]["pytest11"].values()

    plugin = import_module(name)

    assert all(hasattr(plugin, fixture) for fixture in plugin.__all__)
    assert plugin.__all__ == ["pellucid_pair", "pellucid_serve"]


def test_pellucid_itself_does_without_pytest() -> None:
    program = (
        "import sys, pellucid as pb, pellucid.blocking; pb.serve; pb.reconnecting; assert 'pytest' not in sys.modules"
    )
    env = {**os.environ, "PYTHONPATH": str(SRC)}
    subprocess.run([sys.executable, "-c", program], env=env, check=True)


def test_a_test_that_asks_for_nothing_of_it_is_left_alone(tmp_path: Path) -> None:
    counts, said = run(
        tmp_path,
        """
import sys


def test_alone():
    assert "pellucid.pytest_plugin.kit" not in sys.modules
    assert "pellucid.testing" not in sys.modules
""",
    )
    assert counts == {"passed": 1}, said


pytestmark = pytest.mark.timeout(2 * SECONDS)
