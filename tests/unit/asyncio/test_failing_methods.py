"""What callers and the log are told of methods that fail."""

from __future__ import annotations

import asyncio
import logging

import pytest

import pellucid as pb
from pellucid.errors import CallCancelled, InsecureJelly, NoSuchMethod, PBConnectionLost, RemoteError
from tests.dialects import each_dialect
from tests.unit.asyncio.door import LOOPS, NewLoop, on_each_loop, outcome, pair, run, turns

pytestmark = each_dialect


class Expected(pb.Error):
    pass


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise ZeroDivisionError


class Unusual(BaseException):
    """As pytest.fail raises, and what a panic in an extension that is written in Rust comes to."""


class Uncopyable(pb.Error, pb.Copyable):
    def get_state_to_copy(self) -> dict[str, object]:
        return {"secret": object()}


class Unwritable(pb.Copyable):
    def get_state_to_copy(self) -> dict[str, object]:
        raise ZeroDivisionError


class Failing(pb.Root):
    def __init__(self) -> None:
        self.correlation_ids: list[str] = []

    def raise_it(self, name: str) -> None:
        self.correlation_ids.append(pb.current_call().correlation_id)
        errors = {
            "expected": Expected("on purpose"),
            "login": pb.UnauthorizedLogin("not you"),
            "unexpected": ZeroDivisionError("by mistake"),
            "unusual": Unusual("by mistake"),
            "unspeakable": Unspeakable(),
            "uncopyable": Uncopyable(),
            "huge": Expected("x" * 100_000),
            "cancelled": asyncio.CancelledError(),
            "dead": pb.DeadReferenceError("a connection of the method's own"),
            "lost": PBConnectionLost("a connection of the method's own"),
        }
        raise errors[name]

    def remote_plain(self, name: str) -> None:
        self.raise_it(name)

    async def remote_coroutine(self, name: str) -> None:
        await turns(1)
        self.raise_it(name)

    def remote_unsendable(self) -> object:
        return object()

    async def remote_unsendable_later(self) -> object:
        return object()

    def remote_unwritable(self) -> Unwritable:
        return Unwritable()


BOTH_KINDS = pytest.mark.parametrize("kind", ["plain", "coroutine"])


@BOTH_KINDS
@on_each_loop
async def test_an_expected_error_arrives_as_itself_and_is_not_logged(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with pair(Failing()) as both:
        error = await outcome(both.client.root.call(kind, "expected"))
        assert (type(error), error.args) == (Expected, ("on purpose",))
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@BOTH_KINDS
@on_each_loop
async def test_an_unexpected_error_is_logged_with_traceback_and_correlation_id_and_arrives_as_remote_error(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    root = Failing()
    async with pair(root) as both:
        error = await outcome(both.client.root.call(kind, "unexpected"))
        assert type(error) is RemoteError
        assert (error.remote_type, error.text) == ("builtins.ZeroDivisionError", "by mistake")
        assert error.remote_traceback is None
        (record,) = (record for record in caplog.records if record.levelno >= logging.WARNING)
        assert (record.levelno, record.name) == (logging.ERROR, "pellucid.call")
        assert record.getMessage() == (
            f"Peer will receive following PB traceback: '{kind}' raised ZeroDivisionError('by mistake')"
        )
        assert record.exc_info is not None
        assert isinstance(record.exc_info[1], ZeroDivisionError)
        told = vars(record)
        assert (told["event"], told["method"], told["peer"]) == ("call.failed", kind, both.served.peer)
        assert [told["call"]] == root.correlation_ids


@BOTH_KINDS
@on_each_loop
async def test_what_is_no_exception_is_an_answer_as_well_and_the_connection_lives(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with pair(Failing()) as both:
        root = both.client.root
        alone = await outcome(root.call(kind, "unusual"))
        (together,) = await pb.gather(root.prepare(kind, "unusual"), return_exceptions=True)
        for error in alone, together:
            assert type(error) is RemoteError
            assert (error.remote_type, error.text) == (f"{__name__}.Unusual", "by mistake")
        assert type(await outcome(root.call(kind, "expected"))) is Expected
    assert len([record for record in caplog.records if record.levelno == logging.ERROR]) == 2


@BOTH_KINDS
@on_each_loop
async def test_the_text_of_a_traceback_travels_only_where_the_server_opted_in(kind: str) -> None:
    async with pair(Failing(), unsafe_tracebacks=True) as both:
        error = await outcome(both.client.root.call(kind, "unexpected"))
        assert "raise_it" in error.remote_traceback


@BOTH_KINDS
@on_each_loop
async def test_a_refused_login_is_not_logged_with_a_traceback(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    async with pair(Failing()) as both:
        assert isinstance(await outcome(both.client.root.call(kind, "login")), pb.UnauthorizedLogin)
        (record,) = (record for record in caplog.records if record.levelno >= logging.WARNING)
        assert record.getMessage() == f"login from {both.served.peer} refused: not you"
        assert record.exc_info is None


@BOTH_KINDS
@pytest.mark.parametrize("name", ["dead", "lost"])
@on_each_loop
async def test_a_method_whose_own_connection_ended_does_not_look_as_if_this_one_had(kind: str, name: str) -> None:
    async with pair(Failing()) as both:
        assert type(await outcome(both.client.root.call(kind, name))) is RemoteError


@BOTH_KINDS
@on_each_loop
async def test_a_method_that_was_cancelled_where_it_ran_ends_in_call_cancelled_and_the_connection_lives(
    kind: str,
) -> None:
    async with pair(Failing()) as both:
        error = await outcome(both.client.root.call(kind, "cancelled"))
        assert isinstance(error, CallCancelled)
        assert isinstance(await outcome(both.client.root.call(kind, "expected")), Expected)


@BOTH_KINDS
@pytest.mark.parametrize("name", ["unspeakable", "uncopyable", "huge"])
@on_each_loop
async def test_an_error_that_cannot_be_told_in_full_is_told_in_part_and_the_connection_lives(
    kind: str, name: str
) -> None:
    async with pair(Failing(), limits=pb.Limits(string_bytes=2000)) as both:
        assert isinstance(await outcome(both.client.root.call(kind, name)), pb.Error | RemoteError)
        assert isinstance(await outcome(both.client.root.call(kind, "expected")), Expected)


@pytest.mark.parametrize("method", ["unsendable", "unsendable_later"])
@on_each_loop
async def test_a_result_that_may_not_cross_fails_the_call_and_is_logged(
    method: str, dialect: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with pair(Failing()) as both:
        with pytest.raises(InsecureJelly, match="object"):
            await both.client.root.call(method)
        (record,) = (record for record in caplog.records if record.levelno >= logging.WARNING)
        assert f"the result of '{method}' can't be sent" in record.getMessage()
        native = dialect == "pellucid"
        assert vars(record)["call"] == (f"{both.client.log_number}-1" if native else f"{both.served.log_number}-p1")
        assert record.exc_info is None  # the text says all


@on_each_loop
async def test_what_a_hook_raises_that_writes_a_result_is_told_and_logged_with_its_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with pair(Failing()) as both:
        with pytest.raises(RemoteError, match="ZeroDivisionError"):
            await both.client.root.call("unwritable")
        (record,) = (record for record in caplog.records if record.levelno >= logging.WARNING)
        assert "the result of 'unwritable' can't be sent" in record.getMessage()
        assert "in get_state_to_copy" in caplog.text


@on_each_loop
async def test_a_call_of_a_method_that_is_not_there_is_refused_quietly(caplog: pytest.LogCaptureFixture) -> None:
    async with pair(Failing()) as both:
        for name in "nothing", "raise_it", "remote_plain", "__init__", "plain ", "":
            with pytest.raises(NoSuchMethod):
                await both.client.root.call(name)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@on_each_loop
async def test_arguments_that_do_not_fit_are_an_error_of_the_call_alone() -> None:
    async with pair(Failing()) as both:
        error = await outcome(both.client.root.call("plain", 1, 2, three=4))
        assert error.remote_type == "builtins.TypeError"
        assert isinstance(await outcome(both.client.root.call("plain", "expected")), Expected)


@BOTH_KINDS
@pytest.mark.parametrize("together", [False, True], ids=["alone", "in a batch"])
@pytest.mark.parametrize("end", [SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize("new_loop", LOOPS.values(), ids=LOOPS)
def test_a_method_can_end_the_program(kind: str, together: bool, end: type[BaseException], new_loop: NewLoop) -> None:
    class Ending(pb.Root):
        def remote_plain(self) -> None:
            raise end(3)

        async def remote_coroutine(self) -> None:
            raise end(3)

        def remote_other(self) -> None:
            pass

    async def program() -> None:
        async with pair(Ending()) as both:
            root = both.client.root
            await outcome(pb.gather(root.prepare(kind), root.prepare("other")) if together else root.call(kind))
            await asyncio.Event().wait()

    with pytest.raises(end) as ended:
        run(program(), new_loop)
    assert ended.value.args == (3,)
