"""Both sides of one SCRAM-SHA-256 exchange (RFC 5802, RFC 7677), by the library scramp.

With the server's certificate known at both ends the exchange is bound to it: ``SCRAM-SHA-256-PLUS`` with
tls-server-end-point (RFC 5929). Whoever sits between, with a certificate of their own, gets nowhere then.
"""

from __future__ import annotations

from collections.abc import Collection
from hashlib import new
from importlib import import_module

from pellucid.auth.credentials import Password
from pellucid.auth.keys import LEAST_ITERATIONS, MECHANISM, MOST_ITERATIONS, SALT_BYTES, ScramKeys, scramp
from pellucid.errors import RemoteProtocolError, UnauthorizedLogin

__all__ = ["BOUND", "UNBOUND", "ClientExchange", "ServerExchange", "end_point"]

UNBOUND, BOUND = MECHANISM, f"{MECHANISM}-PLUS"

_MOST_CHARACTERS = 1024
"""In one message of the peer's."""

_BINDING = "tls-server-end-point"

_HASHES = frozenset({"sha224", "sha256", "sha384", "sha512"})


def end_point(certificate: bytes) -> bytes:
    """What stands for a server's certificate, given in DER: its hash, by the function that it is signed with.

    By SHA-256 where that is MD5 or SHA-1, and where none can be told. Of the last RFC 5929 says nothing, nor of
    Ed25519, which has SHA-512 in it: that is taken.
    """
    try:
        name = import_module("asn1crypto.x509").Certificate.load(certificate, strict=True).hash_algo
    except ValueError:
        name = ""
    return new(name if name in _HASHES else "sha256", certificate).digest()


class ServerExchange:
    """The server's side.

    `first` is the client's first message; `certificate` the server's own, in DER, where the connection is TLS.

    Raises:
        UnauthorizedLogin: the message is malformed, or asks for another binding than there is.
    """

    def __init__(self, first: object, certificate: bytes | None) -> None:
        self._library = scramp()
        self._first = _as_message(first)
        self._binding = None if certificate is None else (_BINDING, end_point(certificate))
        self.username = ""
        """Whom the client says it is."""
        # scramp asks for the keys of a user in the middle of reading the message that names them. As finding keys may
        # take a while, the message is read twice: the first time only for the name.
        self._read(ScramKeys(bytes(SALT_BYTES), LEAST_ITERATIONS, bytes(32), bytes(32)))

    def _read(self, keys: ScramKeys) -> None:
        def look_up(username: str) -> tuple[bytes, bytes, bytes, int]:
            self.username = username
            return keys.salt, keys.stored_key, keys.server_key, keys.iterations

        try:
            self._server = self._library.ScramMechanism(UNBOUND).make_server(look_up, self._binding)
            self._server.set_client_first(self._first)
        except self._library.ScramException as error:
            raise UnauthorizedLogin(f"SCRAM: {error}") from None

    def answer(self, keys: ScramKeys) -> str:
        """The server's first message, to a user who has these keys."""
        self._read(keys)
        message: str = self._server.get_server_first()
        return message

    def finish(self, final: object) -> str:
        """The server's final message, which proves that it has the keys, in answer to the client's.

        Raises:
            UnauthorizedLogin: the client does not know the password, or what it sent is malformed.
        """
        try:
            self._server.set_client_final(_as_message(final))
            message: str = self._server.get_server_final()
        except self._library.ScramException:
            raise UnauthorizedLogin("wrong username or password") from None
        return message


class ClientExchange:
    """The client's side.

    `offered` are the mechanisms that the server says it has; `certificate` is the server's, in DER, where the
    connection is TLS.

    Raises:
        ValueError: the name or the password has characters that SCRAM does not allow.
    """

    def __init__(self, credentials: Password, offered: Collection[str], certificate: bytes | None) -> None:
        self._library = scramp()
        # Where both ends can bind, it is done: there is no falling back. Where only this end says it can, the message
        # tells so, and a server that can too knows that somebody between has hidden it.
        name = BOUND if certificate is not None and BOUND in offered else UNBOUND
        binding = None if certificate is None else (_BINDING, end_point(certificate))
        try:
            self._client = self._library.ScramClient([name], credentials.username, credentials.password, binding)
        except self._library.ScramException as error:
            raise ValueError(f"SCRAM can't send this username or password: {error}") from None
        self.first: str = self._client.get_client_first()
        """The first message."""

    def answer(self, first: object) -> str:
        """The final message, in answer to the server's first. It takes its iterations' time.

        Raises:
            RemoteProtocolError: the server's message is malformed, or asks for too much work or too little.
        """
        message = self._checked(first)
        try:
            self._client.set_server_first(message)
            if int(self._client.iterations) > MOST_ITERATIONS:
                raise RemoteProtocolError(f"the server wants over {MOST_ITERATIONS} iterations of SCRAM")
            final: str = self._client.get_client_final()
        except self._library.ScramException as error:
            raise RemoteProtocolError(f"the server's SCRAM is malformed: {error}") from None
        return final

    def verify(self, final: object) -> None:
        """Raise RemoteProtocolError unless the server's final message proves that it has the password's keys."""
        message = self._checked(final)
        try:
            self._client.set_server_final(message)
        except self._library.ScramException:
            raise RemoteProtocolError("the server did not prove that it knows this user: an impostor's") from None

    def _checked(self, message: object) -> str:
        try:
            return _as_message(message)
        except UnauthorizedLogin as error:
            raise RemoteProtocolError(f"from the server: {error}") from None


def _as_message(message: object) -> str:
    if not isinstance(message, str) or len(message) > _MOST_CHARACTERS:
        raise UnauthorizedLogin(f"a message of SCRAM is text of at most {_MOST_CHARACTERS} characters")
    try:
        message.encode()
    except UnicodeEncodeError:
        raise UnauthorizedLogin("a message of SCRAM is text without surrogates") from None
    return message
