"""Logging in: credentials, checkers, realms and portals, and PB's exchange between them. No event loop anywhere."""

from __future__ import annotations

from pellucid.auth.checkers import ANONYMOUS, AllowAnonymous, Checker, InMemoryPasswords
from pellucid.auth.client import Callee, login
from pellucid.auth.credentials import (
    Anonymous,
    Bearer,
    Certificate,
    Password,
    PasswordChallenge,
    PeerCertificate,
    PlainPassword,
)
from pellucid.auth.exchange import Admit, PBPortalRoot, PortalRoot
from pellucid.auth.portal import Login, Portal, Realm
from pellucid.auth.throttle import LoginThrottle

__all__ = [
    "ANONYMOUS",
    "Admit",
    "AllowAnonymous",
    "Anonymous",
    "Bearer",
    "Callee",
    "Certificate",
    "Checker",
    "InMemoryPasswords",
    "Login",
    "LoginThrottle",
    "PBPortalRoot",
    "Password",
    "PasswordChallenge",
    "PeerCertificate",
    "PlainPassword",
    "Portal",
    "PortalRoot",
    "Realm",
    "login",
]
