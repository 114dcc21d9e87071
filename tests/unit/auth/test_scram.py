"""SCRAM from end to end, with peers that cheat and others that sit between."""

from __future__ import annotations

import base64
import datetime
import hashlib
import sys
from collections.abc import Callable
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from pellucid.auth.challenge import respond
from pellucid.auth.checkers import InMemoryPasswords
from pellucid.auth.client import login
from pellucid.auth.credentials import Password, PasswordChallenge, PlainPassword
from pellucid.auth.exchange import PortalRoot
from pellucid.auth.keys import Decoys, ScramKeys
from pellucid.auth.portal import Portal
from pellucid.auth.scram import BOUND, UNBOUND, ClientExchange, ServerExchange, end_point
from pellucid.auth.throttle import LoginThrottle
from pellucid.errors import (
    LoginFailed,
    RemoteProtocolError,
    TooManyLogins,
    UnauthorizedLogin,
    UnhandledCredentials,
    UnprotectedLogin,
)
from pellucid.flavors.referenceable import Referenceable
from tests.unit.auth.coroutines import run
from tests.unit.auth.ends import OPEN, Answering, FakeLink, Naming, Reference

ALICE = Password("alice", "secret")
SALT = bytes(range(16))


def issued(*names: str) -> bytes:
    """A certificate, in DER."""
    pem = trustme.CA().issue_cert(*names).cert_chain_pems[0].bytes()
    return b"".join(base64.b64decode(line) for line in pem.splitlines() if b"-----" not in line)


CERTIFICATE, ANOTHER = issued("localhost"), issued("localhost")

PASSWORDS = InMemoryPasswords({"alice": "secret", "bøb": "pässword", "a,b=c": "x"})


def served(certificate: bytes | None = None, checker: Any = PASSWORDS, **options: Any) -> PortalRoot:
    return PortalRoot(Portal(Naming(), [checker], **options), FakeLink(certificate=certificate))


def log_in(
    root: Referenceable,
    credentials: object = ALICE,
    mind: object = None,
    *,
    certificate: bytes | None = None,
    calls: list[tuple[object, ...]] | None = None,
    protected: bool = True,
) -> object:
    link = FakeLink(protected, native=True, certificate=certificate)
    return run(login(Reference(root, calls if calls is not None else []), credentials, mind, link=link))


class Between(Referenceable):
    """Sits between a client and a server, and passes on what each says to the other, or something else."""

    def __init__(
        self,
        root: Referenceable,
        *,
        mechanisms: Callable[[Any], Any] = lambda names: names,
        first: Callable[[Any], Any] = lambda message: message,
        answer: Callable[[Any], Any] = lambda message: message,
        final: Callable[[Any], Any] = lambda message: message,
        last: Callable[[Any], Any] = lambda message: message,
    ) -> None:
        self._root = Reference(root, [])
        self._mechanisms, self._first, self._answer, self._final, self._last = mechanisms, first, answer, final, last

    async def remote_mechanisms(self) -> Any:
        return self._mechanisms(await self._root.call("mechanisms"))

    async def remote_scram(self, first: Any) -> Any:
        answered: Any = await self._root.call("scram", self._first(first))
        self._finisher = answered[1]
        return self._answer(answered[0]), self

    async def remote_finish(self, final: Any, mind: Any) -> Any:
        avatar, last = await self._finisher.call("finish", self._final(final), mind)
        return avatar, self._last(last)


# Who gets in.


@pytest.mark.parametrize("credentials", [ALICE, Password("bøb", "pässword"), Password("a,b=c", "x")])
def test_whoever_knows_the_password_gets_in(credentials: Password) -> None:
    admitted = log_in(served(), credentials, "mind")
    assert admitted == ("admitted", f"avatar of {credentials.username} with mind")


@pytest.mark.parametrize("credentials", [Password("alice", "wrong"), Password("mallory", "secret")])
def test_nobody_else_does_and_all_are_told_the_same(credentials: Password) -> None:
    with pytest.raises(UnauthorizedLogin, match=r"^wrong username or password$"):
        log_in(served(), credentials)


def test_neither_the_password_nor_a_key_nor_its_md5_response_is_sent() -> None:
    calls: list[tuple[object, ...]] = []
    log_in(served(), calls=calls)
    assert [name for name, *_ in calls] == ["mechanisms", "scram", "finish"]
    keys = PASSWORDS.scram_keys("alice")
    assert keys is not None
    sent = repr(calls)
    for secret in keys.stored_key, keys.server_key, respond(bytes(16), "secret"):
        assert base64.b64encode(secret).decode() not in sent
    assert "secret" not in sent


def test_whether_a_user_exists_does_not_show_in_what_is_sent() -> None:
    root = served()

    def shape(username: str) -> tuple[str, list[int], str]:
        exchange = ClientExchange(Password(username, "wrong"), [UNBOUND], None)
        answer, finisher = run(root.remote_scram(exchange.first))
        fields = answer.split(",")
        with pytest.raises(UnauthorizedLogin) as refused:
            run(Reference(finisher, []).call("finish", exchange.answer(answer), None))
        return fields[1] if username != "alice" else "", [len(field) for field in fields], str(refused.value)

    (_, *alice), (salt, *mallory), (again, *_) = shape("alice"), shape("mallory"), shape("mallory")
    assert alice == mallory
    assert salt == again  # as it is for those who exist


def test_the_same_is_looked_up_whether_or_not_a_user_exists() -> None:
    class Watched:
        decoys = Decoys(bytes(32), [ScramKeys.of_password("secret", SALT, 4096)])
        asked: list[str]

        async def scram_keys(self, username: str) -> ScramKeys | None:
            self.asked.append(username)
            return PASSWORDS.scram_keys(username)

    asked: dict[str, int] = {}
    for username in "alice", "mallory":
        checker = Watched()
        checker.asked = []
        with pytest.raises(UnauthorizedLogin):
            log_in(served(checker=checker), Password(username, "wrong"))
        asked[username] = len(checker.asked)
    assert asked["alice"] == asked["mallory"] == 1


def test_a_password_that_was_changed_while_somebody_logged_in_lets_nobody_in_any_more() -> None:
    class Changing:
        decoys = Decoys(bytes(32))
        keys = ScramKeys.of_password("secret", SALT, 4096)

        def scram_keys(self, username: str) -> ScramKeys | None:
            return self.keys

    checker = Changing()
    exchange = ClientExchange(ALICE, [UNBOUND], None)
    answer, finisher = run(served(checker=checker).remote_scram(exchange.first))
    checker.keys = ScramKeys.of_password("another", SALT, 4096)
    with pytest.raises(UnauthorizedLogin):
        run(Reference(finisher, []).call("finish", exchange.answer(answer), None))


def test_an_exchange_has_one_end_whatever_that_was() -> None:
    exchange = ClientExchange(ALICE, [UNBOUND], None)
    answer, finisher = run(served().remote_scram(exchange.first))
    reference = Reference(finisher, [])
    assert run(reference.call("finish", exchange.answer(answer), None)) is not None
    with pytest.raises(UnauthorizedLogin, match="log in again"):
        run(reference.call("finish", "", None))


def test_what_was_said_in_one_exchange_is_of_no_use_in_another() -> None:
    root = served()
    exchange = ClientExchange(ALICE, [UNBOUND], None)
    final = exchange.answer(run(root.remote_scram(exchange.first))[0])
    _, finisher = run(root.remote_scram(exchange.first))
    with pytest.raises(UnauthorizedLogin):
        run(Reference(finisher, []).call("finish", final, None))


def test_exchanges_are_limited_as_all_logins_are() -> None:
    root = served(throttle=LoginThrottle(by_peer=1))
    begun = [ClientExchange(ALICE, [UNBOUND], None) for _ in range(2)]
    answers = [run(root.remote_scram(exchange.first)) for exchange in begun]
    with pytest.raises(UnauthorizedLogin):
        run(Reference(answers[0][1], []).call("finish", "", None))
    with pytest.raises(TooManyLogins) as caught:
        run(Reference(answers[1][1], []).call("finish", begun[1].answer(answers[1][0]), None))
    assert caught.value.username == "alice"


def test_a_portal_whose_checkers_keep_no_keys_has_no_scram() -> None:
    class Challenging:
        credentials = (PasswordChallenge,)

        def check(self, credentials: PasswordChallenge) -> str:
            return PASSWORDS.check(credentials)

    root = served(CERTIFICATE, checker=Challenging())
    with pytest.raises(UnhandledCredentials):
        run(root.remote_scram("n,,n=alice,r=x"))
    calls: list[tuple[object, ...]] = []
    assert log_in(root, calls=calls) is not None
    assert [name for name, *_ in calls] == ["mechanisms", "login", "respond"]


def test_a_client_that_may_use_md5_gets_in_by_scram_where_the_server_does_not_let_it() -> None:
    calls: list[tuple[object, ...]] = []
    root = Reference(PortalRoot(Portal(Naming(), [PASSWORDS]), OPEN), calls)
    assert run(login(root, ALICE, link=OPEN, allow_md5=True)) is not None
    assert [name for name, *_ in calls] == ["login", "mechanisms", "scram", "finish"]


# Bound to the channel.


def test_where_both_know_the_certificate_the_exchange_is_bound_to_it() -> None:
    calls: list[tuple[Any, ...]] = []
    assert log_in(served(CERTIFICATE), certificate=CERTIFICATE, calls=calls) is not None
    assert calls[1][1].startswith("p=tls-server-end-point,,")


def test_a_client_that_can_bind_says_so_to_a_server_that_can_not() -> None:
    calls: list[tuple[Any, ...]] = []
    assert log_in(served(), certificate=CERTIFICATE, calls=calls) is not None
    assert calls[1][1].startswith("y,,")


def test_a_client_that_can_not_bind_is_served_all_the_same() -> None:
    calls: list[tuple[Any, ...]] = []
    assert log_in(served(CERTIFICATE), calls=calls) is not None
    assert calls[1][1].startswith("n,,")


def test_whoever_sits_between_with_another_certificate_does_not_get_in() -> None:
    with pytest.raises(UnauthorizedLogin):
        log_in(Between(served(CERTIFICATE)), certificate=ANOTHER)


def test_whoever_sits_between_and_hides_the_binding_does_not_get_in() -> None:
    between = Between(served(CERTIFICATE), mechanisms=lambda names: [name for name in names if name != BOUND])
    with pytest.raises(UnauthorizedLogin, match="binding"):
        log_in(between, certificate=ANOTHER)


def test_whoever_hides_it_from_both_does_not_get_in() -> None:
    between = Between(
        served(CERTIFICATE),
        mechanisms=lambda names: [name for name in names if name != BOUND],
        first=lambda message: "n" + message[1:],
    )
    with pytest.raises(UnauthorizedLogin):
        log_in(between, certificate=ANOTHER)


def test_a_client_that_was_offered_the_binding_does_not_fall_back() -> None:
    tried: list[str] = []

    class Refusing(Referenceable):
        def remote_mechanisms(self) -> list[str]:
            return [BOUND, UNBOUND, "PB-MD5"]

        def remote_scram(self, first: str) -> Any:
            tried.append(first)
            raise UnhandledCredentials("no")

        def remote_login(self, username: object) -> Any:
            tried.append("md5")

    with pytest.raises(UnhandledCredentials):
        log_in(Refusing(), certificate=CERTIFICATE)
    assert [first.split(",")[0] for first in tried] == ["p=tls-server-end-point"]


def test_whoever_sits_between_can_not_have_a_client_use_md5_where_others_can_listen() -> None:
    calls: list[tuple[object, ...]] = []
    with pytest.raises(UnprotectedLogin):
        log_in(Between(served(), mechanisms=lambda names: ["PB-MD5"]), calls=calls, protected=False)
    assert calls == [("mechanisms",)]


@pytest.mark.parametrize(
    ("signed_with", "function"), [(hashes.SHA256(), "sha256"), (hashes.SHA384(), "sha384"), (hashes.SHA512(), "sha512")]
)
def test_a_certificate_is_hashed_by_the_function_that_it_is_signed_with(signed_with: Any, function: str) -> None:
    certificate = signed(signed_with)
    assert end_point(certificate) == hashlib.new(function, certificate).digest()


def test_a_certificate_of_ed25519_is_hashed_by_sha_512_which_is_part_of_that() -> None:
    certificate = signed(None)
    assert end_point(certificate) == hashlib.sha512(certificate).digest()


def test_where_no_function_can_be_told_it_is_sha_256() -> None:
    assert end_point(b"no certificate") == hashlib.sha256(b"no certificate").digest()


def signed(with_hash: Any) -> bytes:
    """A certificate that is signed so, in DER."""
    key: Any = ec.generate_private_key(ec.SECP256R1()) if with_hash else ed25519.Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(days=1))
    return builder.sign(key, with_hash).public_bytes(Encoding.DER)


# Servers that cheat.


def test_a_server_that_does_not_know_the_password_is_found_out_before_its_avatar_is_used() -> None:
    impostor = served(checker=InMemoryPasswords({"alice": "another"}))

    class Welcoming(Referenceable):
        def remote_mechanisms(self) -> list[str]:
            return [UNBOUND]

        async def remote_scram(self, first: str) -> Any:
            answer, _ = await impostor.remote_scram(first)
            return answer, self

        def remote_finish(self, final: str, mind: object) -> Any:
            return "avatar", "v=" + base64.b64encode(bytes(32)).decode()

    with pytest.raises(RemoteProtocolError, match="impostor"):
        log_in(Welcoming())


@pytest.mark.parametrize(
    "last", [None, "", "v=", "e=other-error", "avatar", b"v=x", 1, "v=" + "x" * 2000, "v=\ud800"], ids=repr
)
def test_a_server_that_does_not_prove_who_it_is_is_refused(last: object) -> None:
    with pytest.raises(RemoteProtocolError):
        log_in(Between(served(), last=lambda message: last))


@pytest.mark.parametrize("answer", [None, "avatar", (), ("avatar",), ["avatar", "v=x", 1], {}])
def test_a_server_that_skips_a_step_is_refused(answer: object) -> None:
    class Skipping(Referenceable):
        def remote_mechanisms(self) -> list[str]:
            return [UNBOUND]

        def remote_scram(self, first: str) -> Any:
            return answer

    with pytest.raises(RemoteProtocolError, match="scram"):
        log_in(Skipping())

    class SkippingLater(Skipping):
        async def remote_scram(self, first: str) -> Any:
            return (await served().remote_scram(first))[0], Answer()

    class Answer(Referenceable):
        def remote_finish(self, final: str, mind: object) -> Any:
            return answer

    with pytest.raises(RemoteProtocolError, match="finish"):
        log_in(SkippingLater())


@pytest.mark.parametrize(
    "answer",
    [
        None,
        "",
        "e=other-error",
        "r=x,s=AAAA,i=4096",
        lambda message: message.replace("i=4096", "i=1"),
        lambda message: message.replace("i=4096", "i=4095"),
        lambda message: message.replace("i=4096", "i=2000001"),
        lambda message: message.replace("i=4096", "i=" + "9" * 5000),
        lambda message: message.replace("r=", "r=x"),
        lambda message: message + "," + "x=1" * 400,
    ],
    ids=["none", "empty", "error", "short salt", "1", "4095", "2000001", "huge", "nonce", "long"],
)
def test_a_server_that_asks_for_what_it_may_not_is_sent_no_proof(answer: Any) -> None:
    finals: list[object] = []
    change = answer if callable(answer) else lambda message: answer
    with pytest.raises(RemoteProtocolError):
        log_in(Between(served(), answer=change, final=finals.append))
    assert finals == []


@pytest.mark.parametrize("mechanisms", [None, "SCRAM-SHA-256", [1], {}, b"SCRAM-SHA-256"], ids=repr)
def test_mechanisms_that_are_no_list_of_names_are_a_protocol_error(mechanisms: object) -> None:
    with pytest.raises(RemoteProtocolError, match="mechanisms"):
        log_in(Between(served(), mechanisms=lambda names: mechanisms))


@pytest.mark.parametrize("credentials", [Password("a\tb", "x"), Password("alice", "\ud800"), Password("", "x")])
def test_what_scram_does_not_allow_in_a_name_or_password_is_a_value_error(credentials: Password) -> None:
    with pytest.raises(ValueError, match="SCRAM"):
        log_in(served(), credentials)


# Clients that cheat.

MESSAGES = (
    st.text() | st.from_regex(r"[nyp](=tls-[a-z-]*)?,[a-z=]*,(n=[^,]*,)?r=[a-z]*(,.*)?") | st.none() | st.binary()
)


@given(MESSAGES, MESSAGES, st.booleans())
def test_whatever_a_client_says_it_is_at_worst_refused(first: object, final: object, is_bound: bool) -> None:
    try:
        exchange = ServerExchange(first, CERTIFICATE if is_bound else None)
        exchange.answer(ScramKeys(SALT, 4096, bytes(32), bytes(32)))
        exchange.finish(final)
    except UnauthorizedLogin:
        return
    raise AssertionError("nobody has that password")


@given(MESSAGES)
def test_whatever_a_client_says_in_the_end_it_is_at_worst_refused(final: object) -> None:
    exchange = ServerExchange("n,,n=alice,r=x", None)
    exchange.answer(ScramKeys(SALT, 4096, bytes(32), bytes(32)))
    with pytest.raises(LoginFailed):
        exchange.finish(final)


def test_a_message_has_so_many_characters_and_no_more() -> None:
    ServerExchange("n,,n=" + "a" * (1024 - 9) + ",r=x", None)
    with pytest.raises(UnauthorizedLogin, match="1024"):
        ServerExchange("n,,n=" + "a" * (1024 - 8) + ",r=x", None)


# Plain passwords.


def test_a_plain_password_is_checked_against_the_keys() -> None:
    calls: list[tuple[object, ...]] = []
    assert log_in(served(), PlainPassword("alice", "secret"), "mind", calls=calls) == (
        "admitted",
        "avatar of alice with mind",
    )
    assert calls == [("loginPlain", "alice", "secret", "mind")]
    for credentials in PlainPassword("alice", "wrong"), PlainPassword("mallory", "secret"):
        with pytest.raises(UnauthorizedLogin, match=r"^wrong username or password$"):
            log_in(served(), credentials)


@pytest.mark.parametrize("username", ["alice", "mallory"])
def test_a_plain_password_costs_the_same_work_whether_or_not_the_user_exists(username: str) -> None:
    root = PortalRoot(Portal(Naming(), [PASSWORDS]), link := FakeLink())
    with pytest.raises(UnauthorizedLogin):
        run(root.remote_loginPlain(username, "wrong", None))
    assert [function.__self__.iterations for function in link.worked] == [4096]


def test_a_plain_password_may_be_for_a_checker_of_ones_own() -> None:
    class Directory:
        credentials = (PlainPassword,)

        def check(self, credentials: PlainPassword) -> str:
            if credentials.password != "hidden":
                raise UnauthorizedLogin("wrong")
            return credentials.username.title()

    root = served(checker=Directory())
    assert log_in(root, PlainPassword("alice", "hidden"), 1) == ("admitted", "avatar of Alice with 1")
    with pytest.raises(UnauthorizedLogin):
        log_in(root, PlainPassword("alice", "secret"))


def test_a_plain_password_is_not_sent_where_others_could_listen() -> None:
    peer = Answering("avatar")
    with pytest.raises(UnprotectedLogin, match="TLS"):
        run(login(peer, PlainPassword("alice", "secret"), link=OPEN, allow_md5=True))
    assert peer.calls == []


def test_a_plain_password_is_not_taken_where_others_could_listen() -> None:
    root = PortalRoot(Portal(Naming(), [PASSWORDS], allow_md5=True), OPEN)
    with pytest.raises(UnprotectedLogin, match="TLS"):
        run(root.remote_loginPlain("alice", "secret", None))


@pytest.mark.parametrize("password", [None, b"secret", 1])
def test_a_plain_password_is_text(password: object) -> None:
    with pytest.raises(UnauthorizedLogin, match="text"):
        run(served().remote_loginPlain("alice", password, None))


def test_plain_passwords_are_limited_as_all_logins_are() -> None:
    root = served(throttle=LoginThrottle(by_peer=1))
    with pytest.raises(UnauthorizedLogin):
        log_in(root, PlainPassword("alice", "wrong"))
    with pytest.raises(TooManyLogins):
        log_in(root, PlainPassword("alice", "secret"))


def test_the_repr_of_a_plain_password_hides_it() -> None:
    assert repr(PlainPassword("alice", "secret")) == "PlainPassword(username='alice')"


# What is offered.


@pytest.mark.parametrize(
    ("link", "options", "offered"),
    [
        (FakeLink(), {}, ["SCRAM-SHA-256", "PLAIN", "PB-MD5"]),
        (FakeLink(certificate=CERTIFICATE), {}, ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "PB-MD5"]),
        (OPEN, {}, ["SCRAM-SHA-256"]),
        (OPEN, {"allow_md5": True}, ["SCRAM-SHA-256", "PB-MD5"]),
    ],
)
def test_what_is_offered_depends_on_the_connection(link: FakeLink, options: Any, offered: list[str]) -> None:
    assert PortalRoot(Portal(Naming(), [PASSWORDS], **options), link).remote_mechanisms() == offered


# Where the library is not installed.


def test_without_the_library_passwords_are_for_md5(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scramp", None)
    root = served(checker=InMemoryPasswords({"alice": "secret"}))
    assert root.remote_mechanisms() == ["PB-MD5"]
    assert log_in(root) == ("admitted", "avatar of alice with None")
    with pytest.raises(UnhandledCredentials, match=r"pellucid\[scram\]"):
        log_in(root, PlainPassword("alice", "secret"))
    with pytest.raises(ImportError, match=r"pellucid\[scram\]"):
        ScramKeys.of_password("secret", SALT)


def test_a_client_without_the_library_uses_md5_where_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    root = served()
    monkeypatch.setitem(sys.modules, "scramp", None)
    calls: list[tuple[object, ...]] = []
    assert log_in(root, calls=calls) == ("admitted", "avatar of alice with None")
    assert [name for name, *_ in calls] == ["mechanisms", "login", "respond"]
    with pytest.raises(UnprotectedLogin, match=r"pellucid\[scram\]"):
        log_in(root, protected=False)
