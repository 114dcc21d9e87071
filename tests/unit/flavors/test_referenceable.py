from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pellucid.core.references import RemoteReference
from pellucid.errors import NoSuchMethod
from pellucid.flavors.referenceable import (
    AsReferenceable,
    Avatar,
    AvatarReference,
    Referenceable,
    Root,
    Viewable,
    Viewpoint,
)
from tests.dialects import each_dialect
from tests.pair import Desk, Pair

pytestmark = each_dialect


class Board(Viewable):
    """What is said on it is seen with who said it."""

    def view_say(self, perspective: object, text: str, *, loud: bool = False) -> str:
        return f"{perspective}: {text.upper() if loud else text}"

    def remote_say(self, text: str) -> str:
        return "a viewable can't be called but through a viewpoint"


class Alice(Avatar):
    def __str__(self) -> str:
        return "Alice"

    def perspective_whoami(self) -> str:
        return "Alice"


class Plain:
    def perspective_whoami(self) -> str:
        return "no avatar by class"


class Choosy(Referenceable):
    def method_for(self, name: str) -> Callable[..., Any]:
        return lambda *args: (name, *args)


class ChoosyAvatar(Avatar):
    def method_for(self, name: str) -> Callable[..., Any]:
        return lambda: f"overridden {name}"


class AvatarAtHome(Referenceable):
    """An avatar's reference whose methods hand out a board, as seen by the avatar."""

    def __init__(self, board: Board) -> None:
        self.perspective = "Bob"
        self.board = board

    def remote_board(self) -> Board:
        return self.board


def test_a_call_runs_the_method_with_the_prefix_and_no_other() -> None:
    class Thing(Referenceable):
        def remote_name(self) -> str:
            return "thing"

        def name(self) -> str:
            return "not for peers"

    pair = Pair(Thing())
    assert pair.call(pair.root, "name") == "thing"
    with pytest.raises(NoSuchMethod, match="No such method: remote_remote_name"):
        pair.call(pair.root, "remote_name")


def test_an_overridden_method_for_dispatches_as_it_likes() -> None:
    pair = Pair(Choosy())
    assert pair.call(pair.root, "anything at all", 1) == ("anything at all", 1)


def test_a_root_is_its_own_root_object_unless_it_says_otherwise() -> None:
    root = Root()
    assert root.root_object("connection") is root


def test_a_viewable_arrives_as_seen_by_the_perspective_it_is_sent_to() -> None:
    board = Board()
    pair = Pair(AvatarAtHome(board))
    seen = pair.call(pair.root, "board")
    assert isinstance(seen, RemoteReference)
    assert pair.call(seen, "say", "hello", loud=True) == "Bob: HELLO"


def test_a_viewpoint_made_by_hand_passes_its_own_perspective() -> None:
    pair = Pair(Viewpoint("Carol", Board()))
    assert pair.call(pair.root, "say", "hi") == "Carol: hi"
    with pytest.raises(NoSuchMethod, match="view_shout"):
        pair.call(pair.root, "shout")


def test_two_viewpoints_of_one_object_by_one_perspective_are_one_object_to_the_peer() -> None:
    board = Board()
    pair = Pair(Desk())
    desk: Any = pair.server.published
    desk.kept = [[Viewpoint("Carol", board), Viewpoint("Carol", board), Viewpoint("Dave", board)]]
    first, second, third = pair.call(pair.root, "take")
    assert first is second
    assert first is not third


def test_an_avatar_is_called_by_its_own_prefix() -> None:
    pair = Pair(AvatarReference(Alice()))
    assert pair.call(pair.root, "whoami") == "Alice"
    with pytest.raises(NoSuchMethod, match="perspective_str"):
        pair.call(pair.root, "str")


def test_an_avatar_of_any_class_will_do() -> None:
    pair = Pair(AvatarReference(Plain()))
    assert pair.call(pair.root, "whoami") == "no avatar by class"


def test_an_avatar_that_overrides_method_for_is_asked() -> None:
    pair = Pair(AvatarReference(ChoosyAvatar()))
    assert pair.call(pair.root, "whatever") == "overridden whatever"


def test_an_avatar_is_one_object_to_the_peer_however_often_it_is_sent() -> None:
    alice = Alice()
    pair = Pair(Desk())
    desk: Any = pair.server.published
    desk.kept = [[AvatarReference(alice), AvatarReference(alice), AvatarReference(Alice())]]
    first, second, other = pair.call(pair.root, "take")
    assert first is second is not other


class Radio:
    def tune_to(self, station: str) -> str:
        return f"tuned to {station}"


def test_any_object_is_called_by_the_prefix_that_it_is_given() -> None:
    pair = Pair(AsReferenceable(Radio(), "tune"))
    assert pair.call(pair.root, "to", "north") == "tuned to north"
    with pytest.raises(NoSuchMethod, match="tune_off"):
        pair.call(pair.root, "off")


def test_its_own_answer_to_what_may_be_called_is_the_same() -> None:
    assert AsReferenceable(Radio(), "tune").method_for("to")("south") == "tuned to south"


def test_only_as_a_perspective_is_it_who_sees() -> None:
    alice = Alice()
    assert AsReferenceable(alice, "perspective").perspective is alice
    assert AsReferenceable(alice).perspective is None
