"""Hostile input, guided by coverage: see README.md."""

from __future__ import annotations

__all__ = ["TARGETS"]

TARGETS = ("banana", "unjelly", "frames", "values", "server", "client", "urls", "negotiation", "oracle", "properties")
"""Each is the module of that name: its first lines say what holds for any input, and its `check` tries one."""
