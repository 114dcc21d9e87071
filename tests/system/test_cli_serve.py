"""`pellucid serve`: what it can publish, how it ends and starts anew, and what it says where it can't."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from tests.system.command import HERE, pellucid, serving, started
from tests.system.programs import SRC, Ended


@pytest.mark.parametrize("what", ["Shop", "shop", "shop_of"])
def test_a_class_an_instance_or_a_factory_is_published(what: str) -> None:
    with serving(f"shop:{what}") as url:
        assert pellucid("call", url, "add", 1, 2) == Ended(0, "3\n")


@pytest.mark.parametrize("what", ["portal", "made_later"])
def test_a_portal_is_published_or_what_makes_one(what: str) -> None:
    with serving(f"shop:{what}") as url:
        assert pellucid("call", url, "whoami", "--anonymous") == Ended(0, "nobody\n")


def test_a_module_in_this_folder_is_found(tmp_path: Path) -> None:
    (tmp_path / "here.py").write_text(
        "import pellucid as pb\nclass Here(pb.Root):\n    def remote_it(self): return 1\n"
    )
    with serving("here:Here", cwd=tmp_path, path=SRC) as url:
        assert pellucid("call", url, "it") == Ended(0, "1\n")


def test_it_listens_at_several_urls(tmp_path: Path) -> None:
    unix = f"pb+unix:{tmp_path}/shop"
    with closing(started("serve", "shop:Shop", "--listen", HERE, "--listen", unix)) as server:
        urls = server.urls()
        assert urls[1] == unix
        assert [pellucid("call", url, "add", 1).out for url in urls] == ["1\n", "1\n"]


def test_arguments_are_checked_where_that_is_asked_for() -> None:
    with serving("shop:Shop", "--listen", HERE, "--validate") as url:
        ended = pellucid("call", url, "add", "'one'")
    assert ended.code == 1
    assert "one" in ended.err
    assert "int" in ended.err


def test_programs_are_told_as_json_where_it_listens() -> None:
    with closing(started("serve", "shop:Shop", "--listen", HERE, "--json")) as server:
        (url,) = json.loads(server.line())["listening"]
        assert url.startswith("pb://127.0.0.1:")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it(number: signal.Signals) -> None:
    with closing(started("serve", "shop:Shop", "--listen", HERE)) as server:
        server.urls()
        assert server.interrupt(number) == Ended(0)


def test_methods_that_run_are_answered_before_it_ends() -> None:
    with closing(started("serve", "shop:shop", "--listen", HERE, stdin=subprocess.PIPE)) as server:
        (url,) = server.urls()
        with closing(started("call", url, "wait_for_a_line")) as caller:
            assert pellucid("call", url, "until_waited").code == 0
            server.process.send_signal(signal.SIGTERM)
            assert "once the methods that run have ended" in server.line(err=True)
            server.tell("the end")
            assert caller.wait() == Ended(0, "the end\n")
        assert server.wait().code == 0


def test_a_second_signal_ends_it_at_once() -> None:
    with closing(started("serve", "shop:shop", "--listen", HERE)) as server:
        (url,) = server.urls()
        with closing(started("call", url, "wait")) as caller:
            assert pellucid("call", url, "until_waited").code == 0
            server.process.send_signal(signal.SIGTERM)
            assert "ending" in server.line(err=True)
            assert server.interrupt(signal.SIGTERM).code == -signal.SIGTERM
            assert caller.wait().code == 3


# Starting anew.

VERSION = "import pellucid as pb\nclass Told(pb.Root):\n    def remote_version(self): return {}\n"


def test_it_starts_anew_when_a_source_file_changes(tmp_path: Path) -> None:
    module = tmp_path / "told.py"
    module.write_text(VERSION.format(1))
    with closing(started("serve", "told:Told", "--listen", HERE, "--reload", cwd=tmp_path, path=SRC)) as server:
        assert pellucid("call", server.urls()[0], "version").out == "1\n"
        module.write_text("what is this?")
        assert server.line(err=True) == "pellucid: started anew, as these have changed: told.py"
        while "waiting for a change" not in server.line(err=True):
            pass
        module.write_text(VERSION.format("22"))
        assert pellucid("call", server.urls()[0], "version").out == "22\n"
        assert server.interrupt(signal.SIGTERM).code == 0


def test_what_is_published_may_stand_behind_two_hyphens(tmp_path: Path) -> None:
    (tmp_path / "told.py").write_text(VERSION.format(1))
    with closing(started("serve", "--reload", "--listen", HERE, "--", "told:Told", cwd=tmp_path, path=SRC)) as server:
        assert pellucid("call", server.urls()[0], "version").out == "1\n"


def test_a_server_ends_with_the_process_that_would_start_it_anew(tmp_path: Path) -> None:
    (tmp_path / "told.py").write_text(VERSION.format(1))
    with closing(started("serve", "told:Told", "--listen", HERE, "--reload", cwd=tmp_path, path=SRC)) as server:
        server.urls()
        server.process.kill()
        assert server.line() == ""  # once nobody has the pipe any more


# What can't be served.


@pytest.mark.parametrize(
    ("what", "code", "said"),
    [
        ("shop", 2, "'shop' is not of the form module:object"),
        ("nowhere:Shop", 1, "there is no module 'nowhere' in this folder, or where Python looks"),
        ("shop:Store", 1, "there is no Store in the module shop"),
        ("shop:NUMBER", 1, "shop:NUMBER can't be published: a root is a Referenceable, a Portal, or a function"),
        ("shop:broken", 1, "broken can't be used: RuntimeError: there is no shop"),
    ],
)
def test_what_can_not_be_served_is_told(what: str, code: int, said: str) -> None:
    ended = pellucid("serve", what, "--listen", HERE)
    assert (ended.code, ended.out) == (code, "")
    assert said in ended.err


def test_an_error_in_the_module_is_shown_with_the_lines_of_the_module_alone(tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text("def fail():\n    return 1 / 0\n\nfail()\n")
    ended = pellucid("serve", "wrong:Root", "--listen", HERE, cwd=tmp_path, path=SRC)
    assert ended.code == 1
    assert ended.err.count("  File ") == ended.err.count("wrong.py") == 2
    assert ended.err.endswith("pellucid: wrong can't be used: ZeroDivisionError: division by zero\n")


def test_a_module_that_lacks_another_is_told_from_one_that_is_missing(tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text("import nowhere_at_all\n")
    ended = pellucid("serve", "wrong:Root", "--listen", HERE, cwd=tmp_path, path=SRC)
    assert ended.code == 1
    assert "wrong can't be used: ModuleNotFoundError: No module named 'nowhere_at_all'" in ended.err


def test_a_port_that_is_taken_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        ended = pellucid("serve", "shop:Shop", "--listen", f"pb://127.0.0.1:{sock.getsockname()[1]}")
    assert (ended.code, ended.out) == (3, "")
    assert ended.err.startswith("pellucid: can't listen at pb://127.0.0.1:")
    assert ended.err.endswith(": Address already in use\n")


def test_tls_without_a_certificate_is_told_in_words_of_the_command_line() -> None:
    ended = pellucid("serve", "shop:Shop", "--listen", "pbs://127.0.0.1:0")
    assert ended.code == 2
    assert "--tls-certificate FILE --tls-key FILE" in " ".join(ended.err.split())
