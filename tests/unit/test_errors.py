from __future__ import annotations

import builtins
import re
from typing import ClassVar

import pytest

from pellucid import errors
from pellucid.errors import (
    DeadlineExceeded,
    Error,
    ForeignReference,
    InsecureJelly,
    LimitBroken,
    LimitExceeded,
    NoSuchMethod,
    PBConnectionLost,
    RemoteError,
    TooManyCalls,
)


def drawn_tree() -> list[tuple[str, str]]:
    """Each class of the tree in the module's docstring, and what it hangs from."""
    branches: list[str] = []
    pairs: list[tuple[str, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        drawn = re.match(r"    ([│├└─ ]*)(\w+)", line)
        if drawn:
            depth = len(drawn[1]) // 4
            branches[depth:] = [drawn[2]]
            if depth:
                pairs.append((drawn[2], branches[depth - 1]))
    return pairs


def test_the_tree_in_the_docstring_is_that_of_the_classes() -> None:
    tree = drawn_tree()
    assert sorted(name for name, _ in tree) == sorted(errors.__all__)
    for name, base in tree:
        assert issubclass(getattr(errors, name), getattr(errors, base, None) or getattr(builtins, base))


def test_a_missing_method_is_a_missing_attribute_and_a_deadline_is_a_timeout() -> None:
    assert issubclass(NoSuchMethod, AttributeError)
    assert issubclass(DeadlineExceeded, TimeoutError)


def test_an_application_may_call_its_attributes_what_it_likes() -> None:
    class Registering:
        seen: ClassVar[list[str]] = []

        def __init_subclass__(cls, **kwargs: object) -> None:
            cls.seen.append(cls.__name__)

    own = {"__module__": "zoo", "importable": False, "limit": "its own"}
    cls: type[Error] = type("ModelError", (Error, Registering), own)
    assert Registering.seen == ["ModelError"]
    assert str(cls("text")) == "text"


def test_a_remote_error_tells_its_type_and_its_text() -> None:
    error = RemoteError("zoo.Escaped", "the lion", "Traceback...", ("zoo.Escaped", "builtins.Exception"))
    assert str(error) == "zoo.Escaped: the lion"
    assert (error.remote_type, error.text, error.remote_traceback) == ("zoo.Escaped", "the lion", "Traceback...")
    assert error.remote_parents == ("zoo.Escaped", "builtins.Exception")
    assert str(RemoteError("zoo.Escaped", "")) == "zoo.Escaped"


@pytest.mark.parametrize("cls", [InsecureJelly, ForeignReference])
def test_the_path_of_an_insecure_jelly_grows_from_the_inside_out(cls: type[InsecureJelly]) -> None:
    error = cls("socket.socket objects may not cross")
    assert str(error) == "socket.socket objects may not cross"
    error.inside("['centre']")
    error.inside("[1]")
    assert error.path == "[1]['centre']"
    assert str(error) == "socket.socket objects may not cross (at [1]['centre'])"


@pytest.mark.parametrize("cls", [LimitExceeded, TooManyCalls, LimitBroken])
def test_a_limit_is_named_with_what_it_stands_at_and_what_was_asked(cls: type[LimitExceeded]) -> None:
    error = cls("string_bytes", 640, 641)
    assert str(error) == "over Limits.string_bytes=640: 641 asked"
    assert (error.limit, error.value, error.asked) == ("string_bytes", 640, 641)
    assert str(cls("calls_pending", 7)) == "over Limits.calls_pending=7"


def test_a_limit_that_a_peer_tells_of_is_its_text_alone() -> None:
    error = LimitExceeded.__new__(LimitExceeded)
    error.args = ("over Limits.string_bytes=640: 641 asked",)
    assert str(error) == "over Limits.string_bytes=640: 641 asked"
    assert (error.limit, error.value, error.asked) == ("", 0, None)


def test_a_huge_int_is_told_by_its_size() -> None:
    assert str(LimitExceeded("list_elements", 10, 2**1000)).endswith("an int of 1001 bits asked")


def test_a_lost_connection_says_whether_the_request_had_been_sent() -> None:
    assert PBConnectionLost("gone").sent
    assert not PBConnectionLost("gone", sent=False).sent
    assert not PBConnectionLost("gone").before_it_was_sent().sent


def test_a_lost_connection_tells_why_in_words_whatever_its_arguments_are() -> None:
    lost = PBConnectionLost("gone")
    lost.args = (ValueError("a failure, in PB"),)
    for each in lost, lost.before_it_was_sent():
        assert (str(each), each.reason, each.args) == ("gone", "gone", lost.args)
    assert str(PBConnectionLost()) == ""
    bare = PBConnectionLost.__new__(PBConnectionLost, "text alone")
    assert (str(bare), bare.sent) == ("text alone", True)
