from __future__ import annotations

from typing import Any

import pytest

from pellucid.errors import (
    CallCancelled,
    DeadlineExceeded,
    DeadReferenceError,
    Error,
    ForeignReference,
    InsecureJelly,
    LimitExceeded,
    LocalProtocolError,
    LoginFailed,
    NoSuchMethod,
    NotAReference,
    Overloaded,
    PBConnectionLost,
    RemoteError,
    RemoteProtocolError,
    TooManyCalls,
    TooManyReferences,
    UnauthorizedLogin,
    UnhandledCredentials,
)
from pellucid.flavors.copyable import Copyable, RemoteCopy
from pellucid.flavors.failures import FailureReport, rebuild, report
from pellucid.flavors.referenceable import Root
from pellucid.flavors.registry import Registry
from pellucid.wire.names import names_of
from tests.dialects import each_dialect, over
from tests.pair import Pair, Settings, Stranger

pytestmark = each_dialect


class Raising(Root):
    def __init__(self, error: BaseException) -> None:
        self.error = error

    def remote_fail(self) -> None:
        raise self.error


class Refusing(Root):
    """Has no method of any name, for a reason."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def method_for(self, name: str) -> Any:
        raise self.error


class Expected(Error):
    def __init__(self, code: int, *, detail: str) -> None:
        super().__init__(f"{detail} ({code})")
        self.code = code


def raised_at_the_caller(error: BaseException, **settings: Any) -> Exception:
    """What a caller gets when a method raises `error`."""
    pair = Pair(Raising(error), server=Settings(**settings))
    with pytest.raises(Exception) as caught:  # noqa: PT011 - which it is, the test asks
        pair.call(pair.root, "fail")
    return caught.value


def told_on_the_wire(error: BaseException) -> dict[str, Any]:
    """The state of the failure that a Stranger is sent."""
    ((command, _, (tag, (_, *pairs))),) = Stranger(Raising(error)).call("fail")
    assert (command, tag) == (b"error", b"twisted.spread.pb.CopyableFailure")
    return {key[1].decode(): value for key, value in pairs}


def failing(state: object) -> Exception:
    """What a caller gets when a Stranger answers with a failure of this state."""
    stranger = Stranger(listens=True)
    call: Any = stranger.side.root.call("anything")
    stranger.say([b"error", 1, [b"twisted.spread.pb.CopyableFailure", state]])
    with pytest.raises(Exception) as caught:  # noqa: PT011 - which it is, the test asks
        call.result()
    return caught.value


# At the caller.


def test_an_expected_error_arrives_as_itself_without_its_init_being_run() -> None:
    error = raised_at_the_caller(Expected(7, detail="gone"))
    assert type(error) is Expected
    assert error.args == ("gone (7)",)
    assert not hasattr(error, "code")


def test_an_exception_of_a_class_unknown_here_arrives_as_a_remote_error() -> None:
    error = raised_at_the_caller(ZeroDivisionError("division by zero"))
    assert type(error) is RemoteError
    assert (error.remote_type, error.text) == ("builtins.ZeroDivisionError", "division by zero")
    assert error.remote_parents == (
        "builtins.ZeroDivisionError",
        "builtins.ArithmeticError",
        "builtins.Exception",
        "builtins.BaseException",
        "builtins.object",
    )
    assert error.remote_traceback is None


@pytest.mark.parametrize("cls", [ZeroDivisionError, KeyError, TimeoutError, UnicodeDecodeError])
def test_an_exception_registered_here_arrives_as_itself(cls: type[Exception]) -> None:
    registry = Registry()
    registry.register_error(cls, "builtins.LookupError")
    pair = Pair(Raising(LookupError("not there")), client=Settings(registry=registry))
    with pytest.raises(cls) as caught:
        pair.call(pair.root, "fail")
    assert caught.value.args == ("not there",)


def test_an_exception_that_can_not_be_built_from_its_text_arrives_as_a_remote_error() -> None:
    class Insistent(OSError):
        def __new__(cls, code: int, text: str) -> Insistent:  # pyright: ignore[reportInconsistentConstructor]
            return super().__new__(cls, code, text)

        def __init__(self, code: int, text: str) -> None: ...

    registry = Registry()
    registry.register_error(Insistent, "builtins.LookupError")
    pair = Pair(Raising(LookupError("not there")), client=Settings(registry=registry))
    with pytest.raises(RemoteError, match="LookupError: not there"):
        pair.call(pair.root, "fail")


def test_an_error_local_to_a_function_arrives_as_a_remote_error() -> None:
    class Local(Error):
        pass

    assert type(raised_at_the_caller(Local("here"))) is RemoteError


OF_METHODS_TOO: list[type[Exception]] = [Error, LoginFailed, UnauthorizedLogin, UnhandledCredentials]
"""Our own classes that a method may raise to be understood by its caller."""


@pytest.mark.parametrize("cls", OF_METHODS_TOO)
def test_what_a_method_says_in_our_words_arrives_as_our_own_class(cls: type[Exception]) -> None:
    error = raised_at_the_caller(cls("the text"))
    assert type(error) is cls
    assert str(error) == "the text"


@pytest.mark.parametrize(
    "cls",
    [
        Error,
        InsecureJelly,
        ForeignReference,
        NoSuchMethod,
        LoginFailed,
        UnauthorizedLogin,
        UnhandledCredentials,
        LimitExceeded,
        TooManyCalls,
        TooManyReferences,
        RemoteProtocolError,
        CallCancelled,
    ],
)
def test_what_a_peers_broker_says_arrives_as_our_own_class(cls: type[Exception], dialect: str) -> None:
    made = rebuild(FailureReport("any", "the text"), cls)
    pair = Pair(Refusing(made))
    with pytest.raises(cls) as caught:
        pair.call(pair.root, "anything")
    assert type(caught.value) is cls
    assert str(caught.value) == "the text"
    # Over PB nothing tells who made it.
    raised = raised_at_the_caller(made)
    if dialect == "pb" or cls in OF_METHODS_TOO:
        assert type(raised) is cls
    else:
        assert isinstance(raised, RemoteError)
        assert (raised.remote_type, raised.text) == (names_of(cls)[0], "the text")


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (DeadReferenceError("gone"), "twisted.spread.pb.DeadReferenceError"),
        (PBConnectionLost("gone"), "twisted.spread.pb.PBConnectionLost"),
        (Overloaded("queued_bytes", 5), "pellucid.errors.Overloaded"),
        (NotAReference("gone"), "pellucid.errors.NotAReference"),
    ],
)
def test_what_happened_to_a_method_is_not_taken_for_what_happened_to_the_call(error: Exception, name: str) -> None:
    arrived = raised_at_the_caller(error)
    assert type(arrived) is RemoteError
    assert (arrived.remote_type, arrived.text) == (name, str(error))


@over("pellucid")
@pytest.mark.parametrize("cls", [DeadlineExceeded, LocalProtocolError, NotAReference, Overloaded])
def test_the_native_dialect_tells_more_of_what_a_broker_said(cls: type[Exception]) -> None:
    pair = Pair(Refusing(rebuild(FailureReport("any", "the text"), cls)))
    with pytest.raises(cls, match="the text") as caught:
        pair.call(pair.root, "anything")
    assert type(caught.value) is cls


@over("pellucid")
@pytest.mark.parametrize("cls", [LimitExceeded, TooManyCalls, TooManyReferences, Overloaded])
def test_a_limit_that_a_broker_held_is_told_with_its_numbers(cls: type[LimitExceeded]) -> None:
    pair = Pair(Refusing(cls("elements", 5, 2**70)))
    with pytest.raises(cls) as caught:
        pair.call(pair.root, "anything")
    assert (caught.value.limit, caught.value.value, caught.value.asked) == ("elements", 5, 2**70)
    raised = raised_at_the_caller(cls("elements", 5, 6))
    assert isinstance(raised, RemoteError)
    assert raised.text == "over Limits.elements=5: 6 asked"


def test_an_error_of_an_applications_own_may_have_a_limit() -> None:
    class Tired(Exception):
        limit = "patience"

    pair = Pair(Refusing(Tired("no more")))
    with pytest.raises(RemoteError, match="Tired: no more"):
        pair.call(pair.root, "anything")


def test_an_error_whose_class_guards_its_making_arrives_all_the_same() -> None:
    error = raised_at_the_caller(Guarded(1))
    assert "guarded" in str(error)
    assert isinstance(error, Guarded | RemoteError)


class Guarded(Error):
    def __new__(cls, code: int) -> Guarded:
        self = super().__new__(cls)
        self.args = (f"guarded {code}",)
        return self

    def __init__(self, code: int) -> None: ...


# Tracebacks.


@over("pb")
def test_a_traceback_stays_at_home_unless_the_server_opted_in() -> None:
    assert told_on_the_wire(KeyError("x"))["traceback"] == [b"unicode", b"Traceback unavailable\n"]


def test_where_the_server_opted_in_the_traceback_travels() -> None:
    error = raised_at_the_caller(KeyError("x"), tracebacks=True)
    assert isinstance(error, RemoteError)
    assert error.remote_traceback is not None
    assert "in remote_fail" in error.remote_traceback


def test_the_traceback_of_an_error_that_arrives_as_itself_is_a_note() -> None:
    error = raised_at_the_caller(Expected(7, detail="gone"), tracebacks=True)
    (note,) = error.__notes__
    assert note.startswith("Traceback at the peer:\nTraceback (most recent call last):")


# Texts.


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def test_an_exception_that_can_not_say_its_text_is_told_nevertheless() -> None:
    assert str(raised_at_the_caller(Mute())).endswith("Mute: <no text: __str__ raised RuntimeError>")


@pytest.mark.parametrize(
    ("text", "arrives"),
    [
        ("", ""),
        ("naïve ☃", "naïve ☃"),
        ("lone \udc80", "lone \\udc80"),
        ("list", "list"),
        ("x" * 100_000, "x" * 32_768),
    ],
    ids=["empty", "unicode", "surrogate", "word", "long"],
)
def test_any_text_is_told(text: str, arrives: str) -> None:
    error = raised_at_the_caller(ValueError(text))
    assert isinstance(error, RemoteError)
    assert error.text == arrives


def test_a_remote_error_that_passes_through_keeps_what_its_origin_said() -> None:
    origin = RemoteError("zoo.Escaped", "the lion", "Traceback at the zoo", ("zoo.Escaped", "zoo.Event"))
    arrived = raised_at_the_caller(origin)
    assert isinstance(arrived, RemoteError)
    assert vars(arrived) == vars(origin)


def test_a_remote_error_made_by_hand_is_of_its_own_class_at_least() -> None:
    told = report(RemoteError("shop.OutOfStock", "no moons left"), (), with_traceback=False)
    assert told.parents == ("shop.OutOfStock",)


def test_a_remote_error_that_passes_through_may_become_a_class_that_is_known_here() -> None:
    name = f"{Expected.__module__}.Expected"
    assert type(raised_at_the_caller(RemoteError(name, "gone"))) is Expected


def test_a_report_of_an_exception_is_its_names_and_its_text() -> None:
    told = report(KeyError("x"), ("builtins.KeyError", "builtins.Exception"), with_traceback=False)
    assert told == FailureReport("builtins.KeyError", "'x'", ("builtins.KeyError", "builtins.Exception"))


# On the wire.


@over("pb")
def test_names_on_the_wire_are_those_that_stock_peers_know() -> None:
    told = told_on_the_wire(NoSuchMethod("none"))
    assert told["type"] == b"twisted.spread.flavors.NoSuchMethod"
    assert told["parents"][1] == [b"unicode", b"twisted.spread.flavors.NoSuchMethod"]
    told = told_on_the_wire(TooManyCalls("running_calls", 1))
    assert told["type"] == b"pellucid.errors.TooManyCalls"
    assert [b"unicode", b"twisted.spread.pb.Error"] in told["parents"]


# An old peer's failures: Twisted's issues 5507, 12530 and 12452.


TYPE = [[b"unicode", b"type"], b"zoo.Escaped"]
VALUE = [[b"unicode", b"value"], [b"unicode", b"the lion"]]
PARENTS = [[b"unicode", b"parents"], [b"list", [b"unicode", b"zoo.Escaped"]]]


@over("pb")
@pytest.mark.parametrize(
    ("pairs", "text"),
    [
        ([TYPE, VALUE, PARENTS], "zoo.Escaped: the lion"),
        ([TYPE, VALUE], "zoo.Escaped: the lion"),
        ([TYPE], "zoo.Escaped"),
        ([VALUE], ": the lion"),
        ([], ""),
        ([[b"type", b"zoo.Escaped"], [b"value", b"the lion"]], "zoo.Escaped: the lion"),
        ([[b"type", b"\xff"], [b"value", 5], [b"parents", 5], [b"traceback", 5]], "\\xff"),
    ],
    ids=["all", "no parents", "type alone", "value alone", "nothing", "Python 2", "nonsense"],
)
def test_e6_a_failure_of_an_older_peer_is_taken_whatever_keys_it_lacks(pairs: list[object], text: str) -> None:
    error = failing([b"dictionary", *pairs])
    assert isinstance(error, RemoteError)
    assert str(error) == text


@over("pb")
def test_e6_a_failure_that_arrived_can_be_raised_shown_and_passed_on() -> None:
    error = failing([b"dictionary", TYPE, VALUE, PARENTS])
    assert repr(error) == "RemoteError('zoo.Escaped', 'the lion')"
    passed_on = told_on_the_wire(error)
    assert (passed_on["type"], passed_on["value"]) == (b"zoo.Escaped", [b"unicode", b"the lion"])
    assert passed_on["parents"] == [b"list", [b"unicode", b"zoo.Escaped"]]


@over("pb")
@pytest.mark.parametrize("state", [5, [b"list"], [b"None"]], ids=repr)
def test_a_failure_without_a_dictionary_fails_the_call_with_words(state: object) -> None:
    error = failing(state)
    assert isinstance(error, RemoteProtocolError)
    assert "state is not a dictionary" in str(error)


# Exceptions that are copyables themselves.


class Rich(Error, Copyable):
    def __init__(self, code: int, reason: object = None) -> None:
        super().__init__(f"code {code}")
        self.code = code
        self.reason = reason


class RichCopy(RemoteCopy, Exception):
    code: int


class NoException(RemoteCopy):
    pass


def test_an_exception_that_is_a_copyable_is_sent_with_its_state() -> None:
    registry = Registry()
    registry.register(RichCopy, Rich)
    pair = Pair(Raising(Rich(7)), client=Settings(registry=registry))
    with pytest.raises(RichCopy) as caught:
        pair.call(pair.root, "fail")
    assert caught.value.code == 7


def test_a_copy_that_is_no_exception_is_not_raised() -> None:
    registry = Registry()
    registry.register(NoException, Rich)
    pair = Pair(Raising(Rich(7)), client=Settings(registry=registry))
    with pytest.raises(RemoteProtocolError, match="failed with a NoException instead of an exception"):
        pair.call(pair.root, "fail")


def test_an_exception_whose_state_may_not_cross_is_told_in_other_words() -> None:
    error = raised_at_the_caller(Rich(7, reason=object()))
    assert isinstance(error, Error | InsecureJelly)
    assert "builtins.object objects may not cross" in str(error)


@pytest.mark.parametrize(
    "error",
    [
        RemoteError("zoo.Escaped", "x" * 700_000),
        RemoteError("zoo." + "x" * 700_000, "text"),
        RemoteError("zoo.Escaped", "text", "x" * 700_000),
        RemoteError("zoo.Escaped", "text", None, ("x" * 700_000,)),
        RemoteError("zoo.Escaped", "text", None, ("x",) * 600_000),
        type("E" * 700_000, (Exception,), {})("text"),
    ],
    ids=["text", "type", "traceback", "parent", "parents", "class"],
)
def test_an_error_is_never_too_large_to_be_told(error: Exception) -> None:
    arrived = raised_at_the_caller(error)
    assert isinstance(arrived, RemoteError)
    assert arrived.remote_type.startswith("zoo." if isinstance(error, RemoteError) else __name__)
