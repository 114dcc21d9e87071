from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed

from pellucid.errors import InsecureJelly
from pellucid.flavors.referenceable import Viewpoint
from pellucid.twisted.publish import Publishable, RemotePublished, whenReady


class Article(Publishable):
    def getStateToPublish(self) -> dict[str, Any]:
        return {"text": "news"}


class ArticleCopy(RemotePublished):
    text = ""

    def activated(self) -> None:
        self.remote.activations += 1


class Owner:
    """A reference to the owner's article."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.activations = 0
        self.answer: Deferred[Any] = Deferred()

    def callRemote(self, name: str) -> Deferred[Any]:
        self.asked.append(name)
        return self.answer


@pytest.fixture
def owner() -> Owner:
    return Owner()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def arrive(owner: Owner, **state: Any) -> ArticleCopy:
    """A copy whose first state has arrived."""
    copy = ArticleCopy()
    first = {"remote": owner, "publishedID": 7, "perspective": "None", "service": "None", "timestamp": 1.5}
    copy.setCopyableState(first | state)
    return copy


def kept(owner: Owner) -> None:
    """Leave a file behind."""
    before = Owner()
    arrive(before)
    before.answer.callback({"text": "kept"})


# The owner.


def test_what_is_sent_first_tells_where_the_state_is_and_how_old() -> None:
    article = Article(7)

    state = article.getStateToCacheAndObserveFor(None, None)

    remote = state.pop("remote")
    assert isinstance(remote, Viewpoint)
    assert (remote.perspective, remote.object) == (None, article)
    assert state == {"publishedID": 7, "perspective": "None", "service": "None", "timestamp": article.timestamp}


def test_a_perspective_and_its_service_are_named() -> None:
    service = SimpleNamespace(serviceName="press")
    perspective = SimpleNamespace(perspectiveName="reader", getService=lambda: service)

    state = Article(7).getStateToCacheAndObserveFor(perspective, None)

    assert (state["perspective"], state["service"], state["remote"].perspective) == ("reader", "press", perspective)


def test_every_perspective_is_shown_the_same_state_unless_the_class_says_otherwise() -> None:
    class Private(Article):
        def getStateToPublishFor(self, perspective: Any) -> Any:
            return {"text": f"for {perspective}"}

    assert Article(7).view_getStateToPublish("reader") == {"text": "news"}
    assert Private(7).view_getStateToPublish("reader") == {"text": "for reader"}


def test_an_article_has_to_say_what_its_state_is() -> None:
    with pytest.raises(NotImplementedError, match="Publishable does not say"):
        Publishable(7).view_getStateToPublish(None)


def test_republishing_makes_the_state_newer(monkeypatch: pytest.MonkeyPatch) -> None:
    article = Article(7)
    monkeypatch.setattr("time.time", lambda: 5.0)

    article.republish()

    assert article.timestamp == 5.0


# The receiver.


def test_without_a_file_the_owner_is_asked_for_the_state(owner: Owner) -> None:
    copy = arrive(owner)

    assert owner.asked == ["getStateToPublish"]
    assert (copy.isActivated, owner.activations) == (0, 0)

    owner.answer.callback({"text": "news"})

    assert (copy.text, copy.isActivated, owner.activations) == ("news", 1, 1)


def test_a_recent_file_spares_the_question(owner: Owner) -> None:
    kept(owner)

    copy = arrive(owner)

    assert owner.asked == []
    assert (copy.text, copy.isActivated, owner.activations) == ("kept", 1, 1)
    assert copy.remote is owner


def test_an_old_file_does_not(owner: Owner) -> None:
    kept(owner)

    copy = arrive(owner, timestamp=2.5)
    owner.answer.callback({"text": "newer"})

    assert owner.asked == ["getStateToPublish"]
    assert copy.text == "newer"
    assert arrive(Owner(), timestamp=2.5).text == "newer"


def test_the_file_is_named_after_service_perspective_and_id(owner: Owner, folder: Path) -> None:
    copy = arrive(owner, service="press", perspective="reader")
    owner.answer.callback({})

    assert copy.getFileName("bak") == "press-reader-7.bak"
    assert [file.name for file in folder.iterdir()] == ["press-reader-7.pub"]


@pytest.mark.parametrize("name", ["../../etc", "a/b", "nul\0"])
@pytest.mark.parametrize("part", ["service", "perspective", "publishedID"])
def test_a_peer_cannot_choose_a_file_in_another_directory(owner: Owner, name: str, part: str) -> None:
    with pytest.raises(InsecureJelly, match="no name for a file"):
        arrive(owner, **{part: name})

    assert owner.asked == []


def test_whoever_waits_for_the_state_is_called_once_when_it_is_there(owner: Owner) -> None:
    called: list[Any] = []
    copy = arrive(owner)
    copy.callWhenActivated(called.append)
    assert called == []

    owner.answer.callback({"text": "news"})
    assert called == [copy]

    copy.callWhenActivated(called.append)
    assert called == [copy, copy]


def test_what_is_kept_is_the_state_and_nothing_of_the_connection(owner: Owner) -> None:
    copy = arrive(owner)
    owner.answer.callback({"text": "news"})
    copy.broker = copy.luid = object()

    assert copy.__getstate__().keys() == {"publishedID", "perspective", "service", "timestamp", "text"}


def test_when_ready_waits_for_the_state(owner: Owner) -> None:
    got: list[Any] = []
    copy = arrive(owner)

    whenReady(succeed(copy)).addCallback(got.append)
    assert got == []

    owner.answer.callback({"text": "news"})
    assert got == [copy]


def test_when_ready_passes_a_failure_on() -> None:
    got: list[Any] = []

    whenReady(fail(KeyError())).addErrback(got.append)

    assert got[0].check(KeyError)
