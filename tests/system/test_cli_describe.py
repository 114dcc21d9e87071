"""`pellucid describe` and `pellucid stubs`: what a server tells of its object, shown and written."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.command import pellucid, serving
from tests.system.programs import SRC, Ended, run

ADD = "    async def add(self, one: int, other: int = ...) -> int:\n"


@pytest.fixture(scope="module")
def shop() -> Iterator[str]:
    with serving("shop:Shop") as url:
        yield url


@pytest.fixture(scope="module")
def plain() -> Iterator[str]:
    with serving("shop:Plain") as url:
        yield url


# Describing.


def test_methods_are_shown_with_signatures_and_docstrings(shop: str) -> None:
    ended = pellucid("describe", shop)
    assert ended.code == 0
    assert ended.out.startswith("Shop\n  Sells things.\n\nadd(one: int, other: int = 0) -> int\n    The sum.\n")
    assert "\n\nbasket() -> Basket\n\nbuy() -> None\n" in ended.out


def test_programs_get_the_description_as_json(shop: str) -> None:
    told = json.loads(pellucid("describe", shop, "--json").out)
    assert (told["name"], told["doc"]) == ("Shop", "Sells things.")
    (add,) = [method for method in told["methods"] if method["name"] == "add"]
    assert (add["signature"], add["doc"], add["returns"]) == ("(one: int, other: int = 0) -> int", "The sum.", "int")
    assert [parameter["name"] for parameter in add["parameters"]] == ["one", "other"]


def test_an_avatar_is_described_to_who_has_logged_in() -> None:
    with serving("shop:portal") as url:
        ended = pellucid("describe", url, "--anonymous")
    assert ended == Ended(0, "Customer\n  Somebody who has logged in.\n\nwhoami() -> str\n")


def test_of_an_object_that_tells_nothing_it_is_said_how_it_would(plain: str) -> None:
    ended = pellucid("describe", plain)
    assert (ended.code, ended.out) == (1, "")
    assert "class Shop(pb.Described, pb.Root)" in ended.err
    assert json.loads(pellucid("describe", plain, "--json").err)["error"]["kind"] == "failed"


@pytest.mark.parametrize("command", ["describe", "stubs"])
def test_that_nobody_listens_is_told(command: str, dead_port: int) -> None:
    ended = pellucid(command, f"pb://127.0.0.1:{dead_port}")
    assert (ended.code, ended.out) == (3, "")
    assert "Traceback" not in ended.err


# Writing interfaces.


def test_an_interface_is_written_from_what_a_server_tells(shop: str) -> None:
    ended = pellucid("stubs", shop)
    assert ended.code == 0
    assert "class Shop(pb.Interface):\n" in ended.out
    assert ADD in ended.out
    ast.parse(ended.out)


def test_interfaces_are_written_from_a_module() -> None:
    ended = pellucid("stubs", "shop")
    assert ended.code == 0
    for name in "Basket", "Shop", "Plain", "Customer":
        assert f"class {name}(pb.Interface):\n" in ended.out
    assert "class Realm" not in ended.out
    assert ADD in ended.out


def test_one_class_may_be_named_and_the_file_be_chosen(tmp_path: Path) -> None:
    file = tmp_path / "basket.py"
    assert pellucid("stubs", "shop:Basket", "-o", file) == Ended(0)
    assert "class Basket(pb.Interface):\n" in file.read_text(encoding="utf-8")
    assert "class Shop" not in file.read_text(encoding="utf-8")


def test_programs_get_the_source_as_json() -> None:
    assert "class Basket(pb.Interface)" in json.loads(pellucid("stubs", "shop:Basket", "--json").out)["source"]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("nowhere", "there is no module 'nowhere'"),
        ("shop:NUMBER", "shop:NUMBER is no class"),
        ("json", "the module json has no interface, and no class that a peer may call"),
    ],
)
def test_what_nothing_can_be_written_of_is_told(source: str, said: str) -> None:
    ended = pellucid("stubs", source)
    assert (ended.code, ended.out) == (1, "")
    assert said in ended.err
    assert said in json.loads(pellucid("stubs", source, "--json").err)["error"]["text"]


def test_a_file_that_can_not_be_written_is_told(tmp_path: Path) -> None:
    file = tmp_path / "nowhere" / "shop.py"
    ended = pellucid("stubs", "shop", "-o", file)
    assert ended == Ended(1, "", f"pellucid: {file} can't be written: No such file or directory\n")


def test_what_is_written_can_be_used(shop: str, tmp_path: Path) -> None:
    (tmp_path / "use.py").write_text(
        "import sys, pellucid as pb, interface\n"
        "async def main():\n"
        "    async with pb.connect(sys.argv[1]) as connection:\n"
        "        print(await connection.root.as_(interface.Shop).add(1, 2))\n"
        "pb.run(main())\n"
    )
    assert pellucid("stubs", shop, "--output", tmp_path / "interface.py") == Ended(0)
    assert run(tmp_path / "use.py", shop, path=SRC) == Ended(0, "3\n")
