"""Buildbot, whose worker talks to its master over PB, with ours in neither of them, in one, in both.

Not called test_*.py: it takes an environment with Buildbot in it, so it runs when it is named, as `make interop` does.
"""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest

from tests.interop.buildbot.farm import Farm

BLOB = os.urandom(700_000)
"""Longer than two blocks of a transfer, and than the longest string of PB's."""


@pytest.fixture
def blob(farm: Farm) -> None:
    (farm.master_directory / "blob").write_bytes(BLOB)


def test_each_side_runs_on_the_pb_it_is_meant_to(farm: Farm) -> None:
    for program, role in ((farm.master, "master"), (farm.worker, "worker")):
        package = "pellucid/twisted" if role in farm.ours else "twisted/spread"
        assert re.search(rf"/{package}/pb\b", program.wait_for(r"PB is (.+)")[1])


def test_a_build_runs_its_commands_at_the_worker(farm: Farm) -> None:
    outcome = farm.build("commands")
    assert outcome.results == "success"
    assert outcome.lines("first/stdio", "o") == ["one two"]
    assert outcome.lines("second/stdio", "o") == ["é ☃ 𝄞"]
    assert outcome.lines("second/stdio", "e") == ["oops"]
    assert outcome.lines("third/stdio", "o") == ["kept"]
    assert outcome.lines("fourth/stdio", "o") == ["kept"]


def test_a_command_that_fails_fails_its_build(farm: Farm) -> None:
    outcome = farm.build("failing")
    assert outcome.results == "failure"
    assert list(outcome.logs) == ["fails/stdio"]
    assert outcome.lines("fails/stdio", "o") == ["nearly"]
    assert "program finished with exit code 7" in outcome.lines("fails/stdio", "h")


def test_a_long_log_arrives_whole(farm: Farm) -> None:
    outcome = farm.build("long")
    assert outcome.results == "success"
    assert outcome.lines("prints/stdio", "o") == [f"{n:06} " + "x" * 200 for n in range(50_000)]


@pytest.mark.usefixtures("blob")
def test_files_go_to_the_worker_and_come_back_as_they_were(farm: Farm) -> None:
    assert farm.build("files").results == "success"
    for directory in (farm.worker_directory / "files" / "build", farm.master_directory):
        assert (directory / "string").read_text() == "from a string: é ☃ 𝄞\n"
    at_worker = farm.worker_directory / "files" / "build" / "blob"
    at_master = farm.master_directory / "blob-returned"
    assert at_worker.read_bytes() == at_master.read_bytes() == BLOB
    assert at_master.stat().st_mode & 0o777 == 0o600
    assert at_master.stat().st_mtime == at_worker.stat().st_mtime


@pytest.mark.usefixtures("blob")
@pytest.mark.parametrize("name", ["tree-plain", "tree-packed"])
def test_a_directory_arrives_at_the_master_with_all_that_is_in_it(farm: Farm, name: str) -> None:
    assert farm.build("directory").results == "success"
    tree = farm.master_directory / name
    found = {path.relative_to(tree): path.read_bytes() for path in tree.rglob("*") if path.is_file()}
    assert found == {Path("deep/er/blob"): BLOB, Path("empty"): b""}


def test_an_upload_that_the_master_cannot_store_ends_in_the_masters_error(farm: Farm) -> None:
    (farm.master_directory / "directory").mkdir(exist_ok=True)
    outcome = farm.build("unwritable")
    assert outcome.results == "exception"
    assert "Is a directory" in outcome.logs["upload/err.text"]


def test_the_workers_error_is_told_at_the_master(farm: Farm) -> None:
    outcome = farm.build("unknown")
    assert outcome.results == "exception"
    assert "buildbot_worker.base.UnknownCommand" in outcome.logs["asks/err.text"]
    assert "unrecognized WorkerCommand 'no-such-command'" in outcome.logs["asks/err.text"]


def test_more_commands_than_a_stock_peer_may_have_references_run_on_one_connection(farm: Farm) -> None:
    assert farm.build("many").results == "success"


def test_a_build_that_is_stopped_stops_its_command(farm: Farm) -> None:
    outcome = farm.build("stopped")
    assert outcome.results == "cancelled"
    assert "command interrupted, attempting to kill" in outcome.lines("shell/stdio", "h")


def test_a_worker_that_the_master_cuts_off_comes_back_and_builds_again(farm: Farm) -> None:
    revision, _ = farm.send_change("dropped")
    assert farm.outcome(revision).results == "retry"
    assert farm.outcome(revision, nth=2).results == "success"


def test_a_killed_worker_comes_back_when_it_is_restarted_and_builds_again(farm: Farm) -> None:
    revision, _ = farm.send_change("killed")
    farm.master.wait_for("the flood has come")
    farm.worker.process.kill()
    assert farm.outcome(revision).results == "retry"
    farm.worker = farm.start_worker()
    assert farm.outcome(revision, nth=2).results == "success"


def test_a_worker_that_asks_to_be_shut_down_is_and_another_takes_its_place(farm: Farm) -> None:
    farm.worker.process.send_signal(signal.SIGHUP)
    assert farm.worker.wait() == 0
    farm.worker.wait_for("worker shutting down on command from master")
    farm.worker = farm.start_worker()
    assert farm.build("commands").results == "success"


def test_a_worker_keeps_its_connection_alive(farm: Farm) -> None:
    farm.worker.wait_for("Master replied to keepalive, everything's fine")


def test_a_worker_with_a_wrong_password_is_refused(farm: Farm) -> None:
    intruder = farm.start_worker(password="wrong")
    farm.master.wait_for("invalid login from user 'worker'")
    intruder.wait_for("unauthorized login; check worker name and password")
    intruder.close()
    assert "Connected to buildmaster" not in intruder.said()


def test_a_second_worker_of_the_same_name_is_turned_away_and_ends(farm: Farm) -> None:
    second = farm.start_worker()
    second.wait_for("rejecting duplicate worker")
    second.wait()
    assert "Connected to buildmaster" not in second.said()
    farm.worker.wait_for("master got a duplicate connection")


def test_a_change_sent_with_a_wrong_password_is_refused(farm: Farm) -> None:
    _, program = farm.send_change("commands", password="wrong")
    assert program.wait() != 0
    farm.master.wait_for("invalid login from user 'change'")


def test_a_developer_tries_a_patch_and_waits_for_the_build(farm: Farm, tmp_path: Path) -> None:
    patch = tmp_path / "patch"
    patch.write_bytes(b"--- a\n+++ a\n@@ -1 +1 @@\n-\xff\n+\x00\n")
    program = farm.start(
        "client",
        "buildbot",
        "try",
        "--connect=pb",
        f"--master=127.0.0.1:{farm.port}",
        "--username=try",
        "--passwd=right",
        "--repository=any",
        f"--diff={patch}",
        "--builder=commands",
        "--builder=failing",
        "--wait",
    )
    assert program.wait() == 1, program.said()
    program.wait_for(r"commands: success \(build successful\)")
    program.wait_for(r"failing: failure \(")
