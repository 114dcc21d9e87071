"""What it means when TLS fails, in the words of those who can mend it."""

from __future__ import annotations

import ssl

__all__ = ["WRONG_HOST", "why_no_client", "why_no_server"]

# OpenSSL's numbers of what is wrong with a certificate (x509_vfy.h), and its names for other errors.
WRONG_HOST = (62, 64)
_NOT_TRUSTED = (2, 19, 20, 21)
_SELF_SIGNED = 18
_NOT_YET_VALID = 9
_EXPIRED = 10

_NOT_TLS = (
    "WRONG_VERSION_NUMBER RECORD_LAYER_FAILURE HTTP_REQUEST HTTPS_PROXY_REQUEST UNKNOWN_PROTOCOL "
    "PACKET_LENGTH_TOO_LONG BAD_PACKET_LENGTH UNEXPECTED_MESSAGE"
).split()
_TOO_OLD = "UNSUPPORTED_PROTOCOL TLSV1_ALERT_PROTOCOL_VERSION VERSION_TOO_LOW NO_PROTOCOLS_AVAILABLE".split()
_NO_CERTIFICATE = "PEER_DID_NOT_RETURN_A_CERTIFICATE TLSV13_ALERT_CERTIFICATE_REQUIRED".split()
_CERTIFICATE_REFUSED = (
    "TLSV1_ALERT_UNKNOWN_CA SSLV3_ALERT_BAD_CERTIFICATE SSLV3_ALERT_CERTIFICATE_EXPIRED "
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN SSLV3_ALERT_CERTIFICATE_REVOKED SSLV3_ALERT_UNSUPPORTED_CERTIFICATE"
).split()

_NO_COMMON_VERSION = "the two sides have no version of TLS in common; pellucid's oldest is 1.2"


def why_no_server(error: Exception, host: str) -> str:
    """Why a client has no connection with TLS to the server at `host`, or none that lasted until it was greeted."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _why_not_believed(error, host)
    if not isinstance(error, OSError) or isinstance(error, ConnectionResetError | BrokenPipeError | ssl.SSLEOFError):
        # asyncio and uvloop send no alert when they refuse a client, and in TLS 1.3 the client is done by then.
        maybe = "it may ask for a certificate, refuse the one shown here, or know no TLS as new as 1.2; its log tells"
        return f"the server ended the connection in the TLS handshake, or right after it: {maybe}"
    reason = error.reason if isinstance(error, ssl.SSLError) else None
    if reason in _NOT_TLS:
        return f"what answers there does not speak TLS: is it a server for pb:// URLs? ({error})"
    if reason in _TOO_OLD:
        return f"{_NO_COMMON_VERSION} ({error})"
    if reason in _NO_CERTIFICATE:
        return f"the server asks for a certificate: tls=pellucid.TLS(certificate=..., key=...) ({error})"
    if reason in _CERTIFICATE_REFUSED:
        return f"the server refuses the certificate that this client shows ({error})"
    return str(error)


def why_no_client(error: OSError, handshake_seconds: float) -> str:
    """Why a client gets no connection with TLS to this server."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate that it shows is refused: {error.verify_message}"
    if isinstance(error, ConnectionAbortedError):  # asyncio's, and uvloop's, for a handshake that takes too long
        hint = "a client for pb:// URLs waits like that"
        return f"no TLS handshake within Limits.handshake_seconds={handshake_seconds}; {hint}"
    if not isinstance(error, ssl.SSLError):
        return "it ended the connection in the TLS handshake; it may not trust the server's certificate"
    if error.reason in _NOT_TLS:
        return f"what it sends is not TLS ({error})"
    if error.reason in _TOO_OLD:
        return f"{_NO_COMMON_VERSION} ({error})"
    if error.reason in _NO_CERTIFICATE:
        return "it shows no certificate, and has to: TLS(authorities=...) asks for one"
    if error.reason in _CERTIFICATE_REFUSED:
        return f"it refuses the server's certificate ({error})"
    return str(error)


def _why_not_believed(error: ssl.SSLCertVerificationError, host: str) -> str:
    trust = "if you trust it, name the file of its certificate: tls=pellucid.TLS(authorities=...)"
    code = error.verify_code
    if code in WRONG_HOST:
        return " ".join([f"the server's certificate is not for {host}.", *getattr(error, "__notes__", ())])
    if code in _NOT_TRUSTED:
        return f"the authority that signed the server's certificate is not trusted here; {trust}"
    if code == _SELF_SIGNED:
        return f"the server's certificate is signed by nobody but itself; {trust}"
    if code == _EXPIRED:
        return "the server's certificate, or that of an authority that signed it, has expired: renew it there"
    if code == _NOT_YET_VALID:
        return "the server's certificate is not valid yet: is the clock right, here and there?"
    return f"the server's certificate is refused: {error.verify_message}"
