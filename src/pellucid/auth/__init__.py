"""Logging in: credentials, checkers, realms and portals, and PB's exchange between them. No event loop anywhere."""

from __future__ import annotations

from pellucid.auth.checkers import ANONYMOUS, AllowAnonymous, Checker, InMemoryPasswords
from pellucid.auth.credentials import Anonymous, Password, PasswordChallenge
from pellucid.auth.exchange import Admit, Callee, PortalRoot, login
from pellucid.auth.portal import Login, Portal, Realm

__all__ = [
    "ANONYMOUS",
    "Admit",
    "AllowAnonymous",
    "Anonymous",
    "Callee",
    "Checker",
    "InMemoryPasswords",
    "Login",
    "Password",
    "PasswordChallenge",
    "Portal",
    "PortalRoot",
    "Realm",
    "login",
]
