from __future__ import annotations

import asyncio
import inspect
import os
import sys
import threading
import warnings
from typing import Any

import pytest

import pellucid as pb
from pellucid import blocking
from pellucid.asyncio import login
from pellucid.blocking.loop import the_loop
from tests.dialects import each_dialect
from tests.unit.asyncio.door import HERE
from tests.unit.asyncio.hall import ALICE, Challenging, Hall, portal
from tests.unit.blocking.front import Calling, connected, in_loop, in_thread, interrupting, serving

pytestmark = each_dialect


class Mind(pb.Referenceable):
    def remote_echo(self, value: Any) -> Any:
        return value


def test_a_login_gives_the_avatar_which_may_call_the_mind() -> None:
    with connected(portal(Hall())) as connection:
        avatar = connection.login(ALICE, Mind())
        assert isinstance(avatar, blocking.RemoteReference)
        assert avatar.call("name") == "alice"
        assert avatar.call("greet", "hello") == "hello, alice"


def test_a_login_that_is_refused_raises_and_leaves_the_connection_of_use() -> None:
    with connected(portal(Hall())) as connection:
        with pytest.raises(pb.UnauthorizedLogin):
            connection.login(pb.credentials.Password("alice", "wrong"))
        assert connection.login(ALICE).call("name") == "alice"


def test_an_old_login_has_to_be_allowed_where_others_could_listen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login, "is_protected", lambda transport: False)
    with connected(portal(Hall(), Challenging({"alice": "secret"}), allow_md5=True)) as connection:
        with pytest.raises(pb.UnprotectedLogin):
            connection.login(ALICE)
        assert connection.login(ALICE, allow_md5=True).call("name") == "alice"


def test_a_login_ends_in_the_time_that_it_is_given() -> None:
    class Slow:
        credentials = (pb.credentials.PasswordChallenge,)

        async def check(self, credentials: Any) -> str:
            await asyncio.get_running_loop().create_future()
            return str(credentials.username)

    with connected(pb.Portal(Hall(), [Slow()])) as connection, pytest.raises(pb.DeadlineExceeded, match="no login"):
        connection.login(ALICE, timeout=0)


def test_nobody_there_is_an_error_of_connecting() -> None:
    with serving(Calling()) as server:
        (url,) = server.urls
    with pytest.raises(pb.ConnectFailed):
        blocking.connect(url)


def test_a_connection_tells_what_it_is() -> None:
    with connected(Calling()) as connection:
        assert connection.dialect in ("pellucid", "pb")
        assert connection.peer.startswith("127.0.0.1:")
        assert connection.usage["running_calls"].used == 0
        assert "READY" in repr(connection)
        assert not connection.is_closed
    assert connection.is_closed


def test_what_is_left_is_closed_and_may_be_closed_again() -> None:
    with serving(Calling()) as server, blocking.connect(*server.urls) as connection:
        connection.close()
        connection.close()
        connection.wait_closed()


def test_every_thread_and_connection_shares_one_loop() -> None:
    with connected(Calling()) as one, connected(Calling()) as two:
        one.root.call("echo")
        two.root.call("echo")
        assert in_thread(the_loop)() is the_loop()
        assert [thread.name for thread in threading.enumerate()].count("pellucid.blocking loop") == 1


def test_what_would_end_the_program_is_raised_where_it_was_asked_for_and_not_in_the_loop() -> None:
    with pytest.raises(SystemExit):
        in_loop(sys.exit)
    assert in_loop(lambda: the_loop().is_here)


def test_a_server_in_the_background_serves_plain_methods_that_block() -> None:
    class Asking(pb.Root):
        def remote_ask(self, whom: blocking.RemoteReference, value: Any) -> Any:
            return whom.call("echo", value)

    with blocking.serve(Asking(), HERE) as server, blocking.connect(*server.urls) as connection:
        assert connection.root.call("ask", Mind(), 3) == 3
        assert server.usage["connections"].used == 1
        assert server.urls[0] in repr(server)


def test_a_server_s_root_can_be_made_for_each_connection() -> None:
    made: list[blocking.Connection] = []

    class Own(pb.Root):
        def remote_number(self) -> int:
            return len(made)

    def make(connection: blocking.Connection) -> pb.Root:
        made.append(connection)
        return Own()

    with blocking.serve(make, HERE) as server, blocking.connect(*server.urls) as connection:
        assert connection.root.call("number") == 1
        assert made[0].peer == f"127.0.0.1:{in_loop(lambda: connection._line._transport.get_extra_info('sockname')[1])}"  # type: ignore[union-attr]


def test_a_portal_can_be_served() -> None:
    with blocking.serve(portal(Hall()), HERE) as server, blocking.connect(*server.urls) as connection:
        assert connection.login(ALICE).call("name") == "alice"


def test_a_method_may_close_its_own_server() -> None:
    closed = threading.Event()

    class Closing(pb.Root):
        def remote_close(self) -> None:
            server.close()
            closed.set()

    with blocking.serve(Closing(), HERE) as server, blocking.connect(*server.urls) as connection:
        connection.root.call("close")
        assert closed.is_set()
        connection.wait_closed()


def test_a_server_serves_until_it_is_interrupted() -> None:
    server = blocking.serve(Calling(), HERE)

    def use() -> None:
        with blocking.connect(*server.urls) as connection:
            connection.root.call("echo")

    with interrupting(use), pytest.raises(KeyboardInterrupt):
        server.serve_forever()
    with pytest.raises(pb.ConnectFailed):
        blocking.connect(*server.urls)


def test_a_url_that_is_taken_is_an_error_of_serving() -> None:
    with blocking.serve(Calling(), HERE) as server, pytest.raises(OSError, match=r"\S"):
        blocking.serve(Calling(), *server.urls)


@pytest.mark.parametrize("name", ["connect", "serve"])
def test_options_are_those_of_the_asyncio_door(name: str) -> None:
    ours, theirs = (inspect.signature(getattr(module, name)).parameters for module in (blocking, pb))
    assert ours == theirs


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_child_that_was_forked_is_told_so_and_can_connect_by_itself() -> None:
    with serving(Calling()) as server, blocking.connect(*server.urls) as connection:
        reading, writing = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # there are threads: that is the point
            child = os.fork()
        if not child:
            said = ""
            try:
                for blocks in (lambda: connection.root.call("echo"), connection.close, lambda: connection.usage):
                    try:
                        blocks()
                    except RuntimeError as error:
                        said += str(error) + "\n"
                with blocking.connect(*server.urls) as own:
                    said += str(own.root.call("echo", 5))
            except BaseException as error:  # noqa: BLE001 - the parent has to hear of it
                said += repr(error)
            finally:
                os.write(writing, said.encode())
                os._exit(0)
        os.close(writing)
        with os.fdopen(reading, encoding="utf-8") as pipe:
            said = pipe.read()
        os.waitpid(child, 0)
        assert said == "this belongs to the process that forked this one: connect again, here\n" * 3 + "5"
        assert connection.root.call("echo", 1) == 1
