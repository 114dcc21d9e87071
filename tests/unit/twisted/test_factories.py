"""Factories and logins of the Twisted door."""

from __future__ import annotations

import gc
from typing import Any, cast

import pytest
from twisted.cred import checkers, credentials, portal
from twisted.cred.error import UnauthorizedLogin, UnhandledCredentials
from twisted.internet import defer, error
from twisted.internet.address import IPv4Address
from twisted.internet.testing import StringTransport
from twisted.logger import LogLevel, formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from zope.interface import implementer

from pellucid.twisted import jelly, pb
from tests.unit.twisted.link import Link, outcome

pytestmark = pytest.mark.usefixtures("dialect")


class Echoer(pb.Root):
    def remote_echo(self, value: Any) -> Any:
        return value


class User(pb.Avatar):
    def __init__(self, name: Any, mind: Any) -> None:
        self.name = name
        self.mind = mind
        self.logouts = 0

    def perspective_name(self) -> Any:
        return self.name

    def perspective_ask(self) -> Any:
        return self.mind.callRemote("echo", "asked")

    def logout(self) -> None:
        self.logouts += 1


@implementer(portal.IRealm)
class Realm:
    def __init__(self) -> None:
        self.users: list[User] = []

    def requestAvatar(self, avatarId: Any, mind: Any, *interfaces: Any) -> Any:
        assert interfaces == (pb.IPerspective,)
        if avatarId is checkers.ANONYMOUS:
            return pb.IPerspective, Echoer(), lambda: None
        user = User(avatarId, mind)
        self.users.append(user)
        return pb.IPerspective, user, user.logout


class Hall:
    """A portal with one user, Alice, and a link to it."""

    def __init__(self, *, anonymous: bool = False) -> None:
        self.realm = Realm()
        users: Any = checkers.InMemoryUsernamePasswordDatabaseDontUse(alice=b"secret")
        self.portal: Any = portal.Portal(cast(Any, self.realm), [users])
        if anonymous:
            self.portal.registerChecker(cast(Any, checkers.AllowAnonymousAccess()))
        self.link = Link(self.portal)

    def login(self, name: Any, password: Any, mind: Any = None) -> Any:
        waiting = self.link.client_factory.login(credentials.UsernamePassword(name, password), mind)
        self.link.pump()
        return outcome(waiting)


def test_a_user_who_knows_the_password_gets_the_avatar_and_its_mind_can_be_called() -> None:
    hall = Hall()
    avatar = hall.login(b"alice", b"secret", Echoer())
    assert hall.link.call(avatar, "name") == b"alice"
    assert hall.link.call(avatar, "ask") == "asked"


def warnings_of(hall: Hall, times: int, host: str) -> list[str]:
    """What the log says of as many logins over a connection to that address."""
    for transport in hall.link.to_client, hall.link.to_server:
        transport.peerAddr = IPv4Address("TCP", host, 54321)
    said: list[str] = []

    def note(event: Any) -> None:
        if event.get("log_level") is LogLevel.warn:
            said.append(formatEvent(event))

    observer: Any = note
    globalLogPublisher.addObserver(observer)
    try:
        for _ in range(times):
            hall.login(b"alice", b"secret")
    finally:
        globalLogPublisher.removeObserver(observer)
    return said


def test_a_login_that_others_can_listen_to_is_warned_of_once_at_each_end() -> None:
    said = warnings_of(Hall(), 3, "198.51.100.7")
    assert len(said) == 2
    assert all("md5 login is used without TLS, with 198.51.100.7" in text for text in said)


def test_a_login_on_one_machine_is_not_warned_of() -> None:
    assert warnings_of(Hall(), 1, "127.0.0.1") == []


def test_names_and_passwords_may_be_text() -> None:
    hall = Hall()
    assert hall.link.call(hall.login("alice", "secret"), "name") == b"alice"


@pytest.mark.parametrize(("name", "password"), [(b"alice", b"wrong"), (b"bob", b"secret")])
def test_a_wrong_password_and_an_unknown_user_are_refused_alike(name: bytes, password: bytes) -> None:
    failure = Hall().login(name, password)
    assert failure.check(UnauthorizedLogin) is UnauthorizedLogin


def test_a_name_with_lone_surrogates_is_one_of_nobody() -> None:
    hall = Hall()
    root: Any = hall.link.server_factory.root
    _, challenger = root.rootObject(hall.link.server).remote_login("al\udc80ice")
    waiting = defer.Deferred.fromCoroutine(challenger.remote_respond(b"a guess", None))
    assert outcome(waiting).check(UnauthorizedLogin) is UnauthorizedLogin


def test_anyone_is_let_in_where_the_portal_says_so() -> None:
    hall = Hall(anonymous=True)
    waiting = hall.link.client_factory.login(credentials.Anonymous())
    hall.link.pump()
    assert hall.link.call(outcome(waiting), "echo", 1) == 1
    refused = Hall().link
    waiting = refused.client_factory.login(credentials.Anonymous())
    refused.pump()
    assert outcome(waiting).check(UnhandledCredentials)


@pytest.mark.parametrize("end", ["drop", "cut", "drop and cut"])
def test_l3_an_avatar_is_logged_out_once(end: str) -> None:
    hall = Hall()
    avatar = hall.login(b"alice", b"secret")
    (user,) = hall.realm.users
    assert avatar.alive
    assert user.logouts == 0
    if "drop" in end:
        del avatar
        gc.collect()
        hall.link.settle()
        assert user.logouts == 1
    if "cut" in end:
        hall.link.cut()
    assert user.logouts == 1


def test_a_login_that_is_granted_when_its_client_is_gone_is_logged_out() -> None:
    hall = Hall()
    granted: Any = hall.link.server.admit
    hall.link.cut()
    user = User("late", None)

    class Login:
        avatar = user
        logout = user.logout

    granted(Login)
    assert user.logouts == 1


def test_programs_that_log_in_by_themselves_may_use_pbs_names_for_the_steps() -> None:
    hall = Hall()
    factory: Any = hall.link.client_factory
    waiting = factory._cbSendUsername(factory._root, b"alice", b"secret", None)
    hall.link.pump()
    assert hall.link.call(outcome(waiting), "name") == b"alice"


def test_k2_programs_that_reconnect_by_themselves_may_use_pbs_names_for_what_a_factory_keeps() -> None:
    factory: Any = pb.PBClientFactory()
    assert (factory._broker, factory._root) == (None, None)
    link = Link(Echoer(), factory)
    assert factory._broker is link.client
    assert link.call(factory._root, "echo", 1) == 1
    waiting = pb.PBClientFactory.getRootObject(pb.PBClientFactory())
    factory.rootObjectRequests.append(waiting)
    factory._reset()
    assert [factory._broker, factory._root, factory.rootObjectRequests] == [None, None, []]
    later = factory.getRootObject()
    assert not later.called
    factory._failAll(Failure(error.ConnectionLost()))
    assert outcome(later).check(error.ConnectionLost)
    assert not waiting.called


def test_k2_a_subclass_may_say_what_is_reset() -> None:
    class Factory(pb.PBClientFactory):
        resets = 0

        def _reset(self) -> None:
            self.resets += 1
            super()._reset()

    factory = Factory()
    factory.clientConnectionFailed(None, Failure(error.ConnectionRefusedError()))
    assert factory.resets == 2


def test_k2_the_transport_of_a_reference_and_of_a_mind_can_be_reached() -> None:
    class Transport(StringTransport):
        aborted = kept_alive = False

        def setTcpKeepAlive(self, enabled: bool) -> None:
            self.kept_alive = enabled

        def abortConnection(self) -> None:
            super().abortConnection()
            self.aborted = True

    hall = Hall()
    avatar = hall.login(b"alice", b"secret", Echoer())
    (user,) = hall.realm.users
    for reference, broker in (avatar, hall.link.client), (user.mind, hall.link.server):
        assert reference.broker is broker
        assert reference.broker.transport.getPeer() == broker.transport.getPeer()
        transport = broker.transport = Transport()
        reference.broker.transport.setTcpKeepAlive(True)
        reference.broker.transport.abortConnection()
        assert (transport.kept_alive, transport.aborted) == (True, True)
    hall.link.cut()
    assert user.mind.broker is hall.link.server


# Factories.


def test_the_root_can_be_asked_for_before_and_after_connecting() -> None:
    factory = pb.PBClientFactory()
    early = [factory.getRootObject() for _ in range(2)]
    link = Link(Echoer(), factory)
    roots = [outcome(each) for each in [*early, factory.getRootObject()]]
    assert len({id(root) for root in roots}) == 1
    assert link.call(roots[0], "echo", 1) == 1


def test_those_who_wait_for_the_root_are_told_of_a_failure_to_connect() -> None:
    factory = pb.PBClientFactory()
    waiting = [factory.getRootObject(), factory.login(credentials.Anonymous())]
    factory.clientConnectionFailed(None, Failure(error.ConnectionRefusedError()))
    for each in waiting:
        assert outcome(each).check(error.ConnectionRefusedError)


def test_a_factory_that_reconnects_keeps_those_who_wait() -> None:
    factory = pb.PBClientFactory()
    link = Link(Echoer(), factory)
    link.cut()
    waiting = factory.getRootObject()
    factory.clientConnectionLost(None, Failure(error.ConnectionLost()), reconnecting=True)
    assert not waiting.called
    Link(Echoer(), factory)
    assert outcome(waiting).alive


def test_disconnecting_closes_the_connection_there_is() -> None:
    factory = pb.PBClientFactory()
    factory.disconnect()
    link = Link(Echoer(), factory)
    factory.disconnect()
    assert link.to_server.disconnecting


def test_a_factory_hands_its_security_to_its_brokers() -> None:
    security = jelly.SecurityOptions()
    for factory in pb.PBClientFactory(security=security), pb.PBServerFactory(Echoer(), security=security):
        assert factory.buildProtocol(None).security is security
    assert pb.PBClientFactory().buildProtocol(None).security is pb.globalSecurity


@pytest.mark.parametrize("spelling", ["rootObject", "root_object"])
def test_a_root_may_give_each_connection_its_own(spelling: str) -> None:
    def each(self: Any, broker: Any) -> Any:
        assert isinstance(broker, pb.Broker)
        return Echoer()

    link = Link(type("Greeter", (pb.Root,), {spelling: each})())
    assert link.call(link.root, "echo", 1) == 1


def test_two_factories_may_use_brokers_of_their_own_class() -> None:
    class Own(pb.Broker):
        pass

    class Factory(pb.PBServerFactory):
        protocol = Own

    broker = Factory(Echoer()).buildProtocol(None)
    assert type(broker) is Own
    broker.makeConnection(StringTransport())
