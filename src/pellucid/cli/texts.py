"""Text from a peer, on its way to a terminal."""

from __future__ import annotations

__all__ = ["printable"]

_KEPT = "\n\t"


def printable(text: str) -> str:
    """`text`, with what would do something to a terminal, rather than be shown there, escaped as Python does it."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each in _KEPT else _escaped(each) for each in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode()
