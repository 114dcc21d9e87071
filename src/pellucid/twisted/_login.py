"""PB's login for a portal of twisted.cred: its realm, checkers and credentials, and the exchange of `pellucid.auth`."""

# The methods of an interface have no `self`:
# pyright: reportSelfClsParameterName=false

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from twisted.cred.credentials import Anonymous, IUsernameHashedPassword
from twisted.cred.portal import Portal
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import ISSLTransport
from twisted.logger import Logger, LogLevel
from twisted.python.components import registerAdapter
from zope.interface import implementer

from pellucid.auth import Login, PasswordChallenge, PBPortalRoot
from pellucid.auth.addresses import is_loopback
from pellucid.flavors.facets import Facet
from pellucid.flavors.referenceable import Avatar, Referenceable, Root
from pellucid.twisted.interfaces import Interface

if TYPE_CHECKING:
    from pellucid.twisted._connection import Broker
    from pellucid.twisted.interfaces import Interface as ICredentials
else:
    from twisted.cred.credentials import ICredentials

__all__ = ["IPBRoot", "IPerspective", "IUsernameMD5Password", "MD5Warning"]

log = Logger(namespace="pellucid")


class IPBRoot(Interface):
    """Something that has an object to publish on each connection."""

    def rootObject(broker: Any) -> Any:
        """The object to publish on the connection of `broker`."""


class IPerspective(Interface):
    """What a peer acts through once it has logged in."""

    def perspectiveMessageReceived(broker: Any, message: Any, args: Any, kwargs: Any) -> Any:
        """Do what the peer asks for, and return the answer, translated by `broker` as the arguments are."""


class IUsernameMD5Password(ICredentials):
    """A username, and the proof that the peer knows the password; see `pellucid.auth.PasswordChallenge`."""

    def checkPassword(password: Any) -> Any:
        """Whether this is the password."""

    def checkMD5Password(password: Any) -> Any:
        """Whether this is the md5 digest of the password."""


@implementer(IUsernameHashedPassword, IUsernameMD5Password)
class _HashedPassword:
    """A `PasswordChallenge`, as the checkers of twisted.cred want it."""

    def __init__(self, challenge: PasswordChallenge) -> None:
        self.username = challenge.username.encode("utf-8", "surrogatepass")
        self._challenge = challenge

    def checkPassword(self, password: bytes | str) -> bool:
        return self._challenge.matches(password)

    def checkMD5Password(self, password: bytes) -> bool:
        return self._challenge.matches_md5(password)


class _CredPortal:
    """A portal of twisted.cred, as the exchange asks one."""

    def __init__(self, portal: Portal) -> None:
        self._portal: Any = portal

    async def login(self, credentials: object, mind: object) -> Login:
        if isinstance(credentials, PasswordChallenge):
            asked: object = _HashedPassword(credentials)
        else:
            asked = Anonymous()
        _, avatar, logout = await self._portal.login(asked, mind, IPerspective)
        return Login(avatar, logout)


@implementer(IPBRoot)
class _PortalRoots:
    """Publishes a login in place of an object, where a portal guards it."""

    def __init__(self, portal: Portal) -> None:
        self._portal = _CredPortal(portal)
        self._warning = MD5Warning()

    def rootObject(self, broker: Broker) -> Referenceable:
        return _PortalRoot(self._portal, broker, self._warning)


class _PortalRoot(PBPortalRoot):
    """PB's logins, with a word in the log where others can listen to them."""

    def __init__(self, portal: _CredPortal, broker: Broker, warning: MD5Warning) -> None:
        super().__init__(portal, secrets.token_bytes, broker.admit)
        self._broker = broker
        self._warning = warning

    def remote_login(self, username: object) -> tuple[bytes, Referenceable]:
        self._warning.look_at(self._broker.transport)
        return super().remote_login(username)


class MD5Warning:
    """Warns once, in the log, of PB's md5 login over a connection that others can listen to."""

    def __init__(self) -> None:
        self._given = False

    def look_at(self, transport: Any) -> None:
        """There is such a login over `transport`."""
        if self._given or ISSLTransport.providedBy(transport):
            return
        peer: Any = transport.getPeer() if transport is not None else None
        if isinstance(peer, IPv4Address | IPv6Address) and not is_loopback(peer.host):
            self._given = True
            log.emit(
                LogLevel.warn,  # pyright: ignore[reportArgumentType]  # its constants are made at run time
                "PB's md5 login is used without TLS, with {host}: whoever listens can guess the password from it."
                " This is said once for each factory.",
                host=peer.host,
            )


@implementer(IPBRoot)
class _FacetRoots:
    """Publishes a facet as it is: a root in PB's sense is more than something that can be called."""

    def __init__(self, facet: Facet) -> None:
        self._facet = facet

    def rootObject(self, broker: Broker) -> Referenceable:
        return self._facet


registerAdapter(_PortalRoots, Portal, IPBRoot)
registerAdapter(_FacetRoots, Facet, IPBRoot)
implementer(IPBRoot)(Root)
implementer(IPerspective)(Avatar)
