from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import Any, cast

import pytest

from pellucid.auth.challenge import password_digest, respond
from pellucid.auth.checkers import ANONYMOUS, AllowAnonymous, Checker, InMemoryPasswords
from pellucid.auth.client import login
from pellucid.auth.credentials import (
    Anonymous,
    Bearer,
    Certificate,
    Password,
    PasswordChallenge,
    PeerCertificate,
    PlainPassword,
)
from pellucid.auth.exchange import PBPortalRoot, PortalRoot
from pellucid.auth.portal import Login, Portal
from pellucid.auth.scram import UNBOUND, ClientExchange
from pellucid.auth.throttle import LoginThrottle
from pellucid.errors import (
    RemoteProtocolError,
    TooManyLogins,
    UnauthorizedLogin,
    UnhandledCredentials,
    UnprotectedLogin,
)
from tests.unit.auth.coroutines import Paused, run
from tests.unit.auth.ends import (
    CHALLENGE,
    OPEN,
    PROTECTED,
    Answering,
    FakeLink,
    Naming,
    Reference,
    admit,
    counting,
    guarded,
)


def challenger_for(root: PortalRoot, username: object = "alice") -> Any:
    _, challenger = root.remote_login(username)
    return challenger


# The server's half.


def test_a_challenge_is_16_of_the_random_bytes_that_were_handed_in() -> None:
    fresh = iter([b"first challenge!", b"second challenge"])
    asked: list[int] = []

    def random_bytes(size: int) -> bytes:
        asked.append(size)
        return next(fresh)

    root = guarded(random_bytes=random_bytes)
    assert root.remote_login("alice")[0] == b"first challenge!"
    assert root.remote_login("alice")[0] == b"second challenge"
    assert asked == [16, 16]


def test_the_right_response_is_admitted() -> None:
    challenger = challenger_for(guarded())
    admitted = run(challenger.remote_respond(respond(CHALLENGE, "secret"), "mind"))
    assert admitted == ("admitted", "avatar of alice with mind")


def test_a_wrong_response_is_not_admitted() -> None:
    with pytest.raises(UnauthorizedLogin):
        run(challenger_for(guarded()).remote_respond(respond(CHALLENGE, "wrong"), None))


def test_an_unknown_user_gets_a_challenge_like_everyone() -> None:
    challenge, challenger = guarded().remote_login("mallory")
    assert (challenge, type(challenger)) == (CHALLENGE, type(challenger_for(guarded())))


@pytest.mark.parametrize("username", ["bøb", "bøb".encode()])
def test_a_username_is_text_or_its_utf_8(username: str | bytes) -> None:
    challenger = challenger_for(guarded(), username)
    admitted = run(challenger.remote_respond(respond(CHALLENGE, "pässword"), None))
    assert admitted == ("admitted", "avatar of bøb with None")


@pytest.mark.parametrize("username", [b"\xff", None, 1, ["alice"], "a" * 1025, b"a" * 1025])
def test_a_malformed_username_is_unauthorized(username: object) -> None:
    with pytest.raises(UnauthorizedLogin):
        guarded().remote_login(username)


@pytest.mark.parametrize("response", ["text", None, 1, [b"list"]])
def test_a_response_that_is_not_bytes_is_unauthorized(response: object) -> None:
    with pytest.raises(UnauthorizedLogin):
        run(challenger_for(guarded()).remote_respond(response, None))


@pytest.mark.parametrize("first", [respond(CHALLENGE, "secret"), b"wrong", None], ids=["right", "wrong", "malformed"])
def test_a_challenge_has_one_response_whatever_it_was(first: object) -> None:
    root = guarded(Portal(Naming(), [InMemoryPasswords({"alice": "secret"})]))
    challenger = challenger_for(root)
    try:
        run(challenger.remote_respond(first, None))
    except UnauthorizedLogin:
        assert first != respond(CHALLENGE, "secret")
    with pytest.raises(UnauthorizedLogin, match="log in again"):
        run(challenger.remote_respond(respond(CHALLENGE, "secret"), None))


def test_a_challenge_has_one_response_even_while_that_is_being_checked() -> None:
    class Slow:
        credentials = (PasswordChallenge,)

        async def check(self, credentials: PasswordChallenge) -> str:
            return await Paused(credentials.username)

    challenger = challenger_for(guarded(Portal(Naming(), [Slow()])))
    first = challenger.remote_respond(b"guess", None)
    first.send(None)
    with pytest.raises(UnauthorizedLogin, match="log in again"):
        run(challenger.remote_respond(b"another guess", None))
    assert run(first) == ("admitted", "avatar of alice with None")


def test_several_logins_may_be_under_way_at_one_root() -> None:
    root = guarded()
    alice, bob = challenger_for(root, "alice"), challenger_for(root, "bøb")
    assert run(bob.remote_respond(respond(CHALLENGE, "pässword"), 2)) == ("admitted", "avatar of bøb with 2")
    assert run(alice.remote_respond(respond(CHALLENGE, "secret"), 1)) == ("admitted", "avatar of alice with 1")


def test_anonymous_logins_need_a_checker_for_them() -> None:
    assert run(guarded().remote_loginAnonymous("mind")) == ("admitted", "avatar of nobody with mind")
    with pytest.raises(UnhandledCredentials):
        run(guarded(Portal(Naming(), [InMemoryPasswords({})])).remote_loginAnonymous(None))


def test_the_logout_is_handed_to_whoever_admits() -> None:
    def logout() -> None: ...

    class Pairing:
        def request_avatar(self, avatar_id: str, mind: object) -> object:
            return "avatar", logout

    admitted: list[Login] = []
    root = PortalRoot(Portal(Pairing(), [AllowAnonymous()]), FakeLink(admit=admitted.append))
    run(root.remote_loginAnonymous(None))
    assert admitted == [Login("avatar", logout, ANONYMOUS)]


# The client's half.


def test_a_password_logs_in_without_being_sent() -> None:
    calls: list[tuple[object, ...]] = []
    avatar = run(login(Reference(guarded(), calls), Password("bøb", "pässword"), "mind", link=PROTECTED))
    assert avatar == ("admitted", "avatar of bøb with mind")
    assert calls == [("login", "bøb".encode()), ("respond", respond(CHALLENGE, "pässword"), "mind")]


def test_nobody_in_particular_logs_in_with_one_call() -> None:
    calls: list[tuple[object, ...]] = []
    avatar = run(login(Reference(guarded(), calls), Anonymous(), link=PROTECTED))
    assert avatar == ("admitted", "avatar of nobody with None")
    assert calls == [("loginAnonymous", None)]


def test_a_wrong_password_is_unauthorized() -> None:
    with pytest.raises(UnauthorizedLogin):
        run(login(Reference(guarded(), []), Password("alice", "wrong"), link=PROTECTED))


def test_credentials_that_cannot_be_sent_are_refused_before_anything_is_sent() -> None:
    peer = Answering(None)
    with pytest.raises(UnhandledCredentials) as caught:
        run(login(peer, PasswordChallenge("alice", b"", b""), link=PROTECTED))
    assert str(caught.value) == (
        "a login sends what a client has, such as Anonymous() or Password(username, password), not PasswordChallenge"
    )
    assert peer.calls == []


@pytest.mark.parametrize("size", [16, 64])
def test_a_challenge_of_any_sensible_length_is_answered(size: int) -> None:
    challenger = Answering("avatar")
    assert run(login(Answering((bytes(size), challenger)), Password("alice", "secret"), link=PROTECTED)) == "avatar"
    assert challenger.calls == [("respond", respond(bytes(size), "secret"), None)]


@pytest.mark.parametrize(
    ("challenge", "problem"),
    [("text", "a tuple"), (None, "a tuple"), (b"", "0 bytes"), (bytes(15), "15 bytes"), (bytes(65), "65 bytes")],
)
def test_an_impostors_challenge_is_not_answered(challenge: object, problem: str) -> None:
    challenger = Answering("avatar")
    with pytest.raises(RemoteProtocolError, match=problem):
        run(login(Answering((challenge, challenger)), Password("alice", "secret"), link=PROTECTED))
    assert challenger.calls == []


@pytest.mark.parametrize("answer", [None, CHALLENGE, (), (CHALLENGE,), (CHALLENGE, None), (CHALLENGE, None, None)])
def test_an_answer_that_is_no_challenge_is_a_protocol_error(answer: object) -> None:
    with pytest.raises(RemoteProtocolError, match="not with a challenge and a reference"):
        run(login(Answering(answer), Password("alice", "secret"), link=PROTECTED))


# What is taken and sent over which connection.


def test_over_an_unprotected_connection_a_server_sends_no_challenge_and_says_what_to_do() -> None:
    asked: list[int] = []

    def random_bytes(size: int) -> bytes:
        asked.append(size)
        return bytes(size)

    root = guarded(random_bytes=random_bytes, protected=False)
    with pytest.raises(UnprotectedLogin, match=r"TLS.*Portal\(\.\.\., allow_md5=True\)"):
        root.remote_login("alice")
    assert asked == []


def test_over_an_unprotected_connection_a_server_sends_a_challenge_where_that_is_allowed() -> None:
    portal = Portal(Naming(), [InMemoryPasswords({"alice": "secret"})], allow_md5=True)
    challenger = challenger_for(guarded(portal, protected=False))
    assert run(challenger.remote_respond(respond(CHALLENGE, "secret"), 1)) == ("admitted", "avatar of alice with 1")


def test_over_an_unprotected_connection_anybody_may_be_nobody() -> None:
    assert run(login(Reference(guarded(protected=False), []), Anonymous(), link=OPEN)) is not None


def test_over_an_unprotected_connection_a_client_sends_nothing_made_from_the_password_and_says_what_to_do() -> None:
    calls: list[tuple[object, ...]] = []
    old_peer = Reference(PBPortalRoot(Portal(Naming(), []), counting, admit), calls)
    with pytest.raises(UnprotectedLogin, match=r"pbs://.*allow_md5=True"):
        run(login(old_peer, Password("alice", "secret"), link=OPEN))
    assert calls == [("mechanisms",)]


def test_over_an_unprotected_connection_a_client_sends_its_response_where_that_is_allowed() -> None:
    challenger = Answering("avatar")
    peer = Answering((CHALLENGE, challenger))
    assert run(login(peer, Password("alice", "secret"), link=OPEN, allow_md5=True)) == "avatar"
    assert challenger.calls == [("respond", respond(CHALLENGE, "secret"), None)]


def test_a_portal_that_takes_no_passwords_sends_no_challenge() -> None:
    with pytest.raises(UnhandledCredentials):
        guarded(Portal(Naming(), [AllowAnonymous()])).remote_login("alice")


# How often.


def test_a_peer_that_has_failed_too_often_is_not_looked_at_and_may_try_again_later() -> None:
    link = FakeLink()
    throttle = LoginThrottle(by_peer=2, peer_seconds=6.0)
    root = PortalRoot(Portal(Naming(), [InMemoryPasswords({"alice": "secret"})], throttle=throttle), link)
    for username in "alice", "mallory":
        with pytest.raises(UnauthorizedLogin):
            run(challenger_for(root, username).remote_respond(b"wrong", None))
    with pytest.raises(TooManyLogins, match=r"^too many logins have failed; try again in 6 s$"):
        run(challenger_for(root).remote_respond(respond(CHALLENGE, "secret"), None))
    assert link.time == throttle.refused_seconds  # it was not answered before
    link.time = 6.0
    assert run(challenger_for(root).remote_respond(respond(CHALLENGE, "secret"), 1)) is not None


class Directory:
    """Knows alice, and breaks where a password has a zero in it."""

    credentials = (PlainPassword,)

    def check(self, credentials: PlainPassword) -> str:
        if "\0" in credentials.password:
            raise ValueError("embedded zero")
        if (credentials.username, credentials.password) != ("alice", "secret"):
            raise UnauthorizedLogin("no")
        return credentials.username


def by_challenge(root: PortalRoot, username: str, password: str) -> object:
    return run(challenger_for(root, username).remote_respond(respond(CHALLENGE, password), None))


def by_password(root: PortalRoot, username: str, password: str) -> object:
    return run(root.remote_loginPlain(username, password, None))


def by_scram(root: PortalRoot, username: str, password: str) -> object:
    exchange = ClientExchange(Password(username, password), [UNBOUND], None)
    answer, finisher = run(root.remote_scram(exchange.first))
    return run(cast(Any, finisher).remote_finish(exchange.answer(answer), None))


@pytest.mark.parametrize(
    ("log_in", "checker", "wrong"),
    [
        (by_challenge, InMemoryPasswords({"alice": "secret"}), "wrong"),
        (by_scram, InMemoryPasswords({"alice": "secret"}), "wrong"),
        (by_password, InMemoryPasswords({"alice": "secret"}), "wrong"),
        (by_password, Directory(), "wrong"),
        (by_password, Directory(), "wr\0ng"),
    ],
    ids=["md5", "scram", "plain", "directory", "directory that breaks"],
)
def test_where_others_fail_a_user_gets_in_who_was_there_before_and_by_failures_nobody_can_tell_who_that_is(
    log_in: Callable[[PortalRoot, str, str], object], checker: Any, wrong: str
) -> None:
    link, throttle = FakeLink(), LoginThrottle(by_peer=2, peer_seconds=6.0)
    root = PortalRoot(Portal(Naming(), [checker], throttle=throttle), link)
    assert log_in(root, "alice", "secret")
    for username in "bob", "carol":
        with pytest.raises(UnauthorizedLogin):
            log_in(root, username, "wrong")
    for username in "alice", "bob":
        link.time = 0.0
        with pytest.raises(TooManyLogins, match="try again in 6 s"):
            log_in(root, username, wrong)
        assert link.time == 1.0
    assert log_in(root, "alice", "secret")


def test_challenges_asked_for_beforehand_do_not_get_around_that() -> None:
    throttle = LoginThrottle(by_peer=2)
    root = PortalRoot(Portal(Naming(), [InMemoryPasswords({"alice": "secret"})], throttle=throttle), FakeLink())
    challengers = [challenger_for(root) for _ in range(3)]
    for challenger in challengers[:2]:
        with pytest.raises(UnauthorizedLogin):
            run(challenger.remote_respond(b"wrong", None))
    with pytest.raises(TooManyLogins):
        run(challengers[2].remote_respond(respond(CHALLENGE, "secret"), None))


def test_a_login_of_a_kind_that_nobody_takes_is_no_guess() -> None:
    throttle = LoginThrottle(by_peer=2)
    root = PortalRoot(Portal(Naming(), [Tokens()], throttle=throttle), FakeLink())
    for _ in range(5):
        for attempt in (root.remote_loginAnonymous(None), root.remote_loginPlain("alice", "secret", None)):
            with pytest.raises(UnhandledCredentials):
                run(attempt)
    assert run(root.remote_loginBearer("open sesame", None)) is not None


def test_what_is_refused_says_for_the_log_whose_login_it_was() -> None:
    with pytest.raises(UnauthorizedLogin) as caught:
        run(challenger_for(guarded(), "mallory").remote_respond(b"wrong", None))
    assert caught.value.username == "mallory"


# Tokens, and certificates of clients.


class Tokens:
    credentials = (Bearer,)

    def check(self, credentials: Bearer) -> str:
        if credentials.token != "open sesame":
            raise UnauthorizedLogin("no such token")
        return "alice"


class Certificates:
    credentials = (PeerCertificate,)

    def check(self, credentials: PeerCertificate) -> str:
        return credentials.common_name or ""


CERTIFICATE = PeerCertificate(
    (("organizationName", "here"), ("commonName", "worker 1")),
    (("DNS", "worker1.example.org"), ("email", "a@example.org"), ("DNS", "w1.example.org")),
    b"der",
)


def rooted(checker: object, **link: Any) -> PortalRoot:
    return PortalRoot(Portal(Naming(), [cast(Checker, checker)]), FakeLink(**link))


def test_a_token_is_checked_by_the_application() -> None:
    calls: list[tuple[object, ...]] = []
    avatar = run(login(Reference(rooted(Tokens()), calls), Bearer("open sesame"), "mind", link=PROTECTED))
    assert avatar == ("admitted", "avatar of alice with mind")
    assert calls == [("loginBearer", "open sesame", "mind")]
    with pytest.raises(UnauthorizedLogin, match="no such token"):
        run(login(Reference(rooted(Tokens()), []), Bearer("please"), link=PROTECTED))


def test_a_token_is_neither_sent_nor_taken_where_others_could_listen() -> None:
    peer = Answering("avatar")
    with pytest.raises(UnprotectedLogin, match="TLS"):
        run(login(peer, Bearer("open sesame"), link=OPEN, allow_md5=True))
    assert peer.calls == []
    with pytest.raises(UnprotectedLogin, match="TLS"):
        run(rooted(Tokens(), protected=False).remote_loginBearer("open sesame", None))


@pytest.mark.parametrize("token", [None, b"open sesame", 1])
def test_a_token_is_text(token: object) -> None:
    with pytest.raises(UnauthorizedLogin, match="text"):
        run(rooted(Tokens()).remote_loginBearer(token, None))


def test_tokens_that_are_guessed_are_limited_by_peer() -> None:
    throttle = LoginThrottle(by_peer=2, by_user=1)
    root = PortalRoot(Portal(Naming(), [Tokens()], throttle=throttle), FakeLink())
    for _ in range(2):
        with pytest.raises(UnauthorizedLogin):
            run(root.remote_loginBearer("guess", None))
    with pytest.raises(TooManyLogins):
        run(root.remote_loginBearer("open sesame", None))


def test_a_client_is_whom_its_certificate_names_and_says_nothing_of_it_itself() -> None:
    calls: list[tuple[object, ...]] = []
    root = rooted(Certificates(), peer_certificate=CERTIFICATE)
    avatar = run(login(Reference(root, calls), Certificate(), "mind", link=PROTECTED))
    assert avatar == ("admitted", "avatar of worker 1 with mind")
    assert calls == [("loginCertificate", "mind")]


def test_without_a_certificate_there_is_no_login_by_it() -> None:
    with pytest.raises(UnauthorizedLogin, match="no certificate of the client's"):
        run(login(Reference(rooted(Certificates()), []), Certificate(), link=PROTECTED))


def test_a_certificate_is_no_use_where_no_checker_takes_it() -> None:
    with pytest.raises(UnhandledCredentials):
        run(rooted(Tokens(), peer_certificate=CERTIFICATE).remote_loginCertificate(None))


def test_a_certificate_tells_its_names() -> None:
    assert CERTIFICATE.common_name == "worker 1"
    assert CERTIFICATE.names("DNS") == ("worker1.example.org", "w1.example.org")
    assert CERTIFICATE.names("URI") == ()


@pytest.mark.parametrize("names", [[], ["alice", "root"]])
def test_a_certificate_with_no_common_name_or_several_has_none_to_go_by(names: list[str]) -> None:
    assert PeerCertificate(tuple(("commonName", name) for name in names), (), b"").common_name is None


def test_tokens_and_certificates_are_offered_where_they_would_be_taken() -> None:
    assert rooted(Tokens()).remote_mechanisms() == ["BEARER"]
    assert rooted(Tokens(), protected=False).remote_mechanisms() == []
    assert rooted(Certificates(), peer_certificate=CERTIFICATE).remote_mechanisms() == ["EXTERNAL"]
    assert rooted(Certificates()).remote_mechanisms() == []


# What is sent where others could listen, whatever the credentials.


@pytest.mark.parametrize(
    "credentials",
    [Password("alice", "open sesame"), PlainPassword("alice", "open sesame"), Bearer("open sesame")],
    ids=lambda credentials: type(credentials).__name__,
)
@pytest.mark.parametrize("offers", [["PB-MD5", "PLAIN", "BEARER"], []], ids=["much", "nothing"])
def test_an_impostor_where_others_could_listen_gets_nothing_made_of_what_is_secret(
    credentials: object, offers: list[str]
) -> None:
    class Greedy:
        """Welcomes everybody, whatever is called."""

        def __init__(self) -> None:
            self.heard: list[object] = []

        async def call(self, name: str, /, *args: object) -> object:
            self.heard += args
            return offers if name == "mechanisms" else (CHALLENGE, self)

    impostor = Greedy()
    with pytest.raises(UnprotectedLogin):
        run(login(impostor, credentials, link=OPEN))
    assert impostor.heard == []


def test_by_scram_an_impostor_where_others_could_listen_gets_a_proof_and_not_the_password() -> None:
    class Impostor:
        def __init__(self) -> None:
            self.heard: list[object] = []

        async def call(self, name: str, /, *args: object) -> object:
            self.heard += args
            match name, args:
                case "mechanisms", _:
                    return ["SCRAM-SHA-256"]
                case "scram", (str() as first,):
                    return f"r={first.partition('r=')[2]}x,s={'A' * 24},i=4096", self
                case _:
                    return "avatar", "v=" + "A" * 44

    impostor = Impostor()
    with pytest.raises(RemoteProtocolError, match="impostor"):
        run(login(impostor, Password("alice", "open sesame"), link=OPEN))
    said = repr(impostor.heard)
    assert "open sesame" not in said
    for digest in password_digest("open sesame"), respond(CHALLENGE, "open sesame"):
        assert b64encode(digest).decode() not in said
        assert digest.hex() not in said
