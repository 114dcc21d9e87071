"""Corpora: inputs that together reach what a target can reach, a file each, kept in corpus/."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any

import pellucid

__all__ = ["CORPUS", "GROWN", "check_of", "files_of", "minimise"]

CORPUS = Path(__file__).parent / "corpus"
GROWN = Path(__file__).parent.parent / ".cache" / "fuzz"
"""Where a run puts what it finds that reaches more."""

_SOURCE = str(Path(pellucid.__file__).parent)

Arc = tuple[str, int, int]


def check_of(target: str) -> Callable[[bytes], None]:
    """What tries one input."""
    check: Callable[[bytes], None] = import_module(f"fuzz.{target}").check
    return check


def files_of(target: str) -> list[Path]:
    """The corpus of a target."""
    return sorted((CORPUS / target).glob("*"))


def minimise(target: str, most: int = 40_000) -> tuple[int, int]:
    """Let the corpus of `target` be few and small inputs that reach all that it, its seeds and past runs reach.

    No input is longer than 1,000 bytes, and all together no longer than `most`. Returns how many, and their bytes.
    """
    check = check_of(target)
    inputs = {path.read_bytes() for path in (*files_of(target), *(GROWN / target).glob("*"))}
    inputs.update(import_module(f"fuzz.{target}").seeds())
    reached: set[Arc] = set()
    kept: list[bytes] = []
    for data in sorted(inputs, key=lambda data: (len(data), data)):
        if len(data) > 1_000 or sum(map(len, kept)) + len(data) > most:
            continue
        arcs = _arcs_of(check, data)
        if not arcs <= reached:
            reached |= arcs
            kept.append(data)
    _write(CORPUS / target, kept)
    return len(kept), sum(map(len, kept))


def _write(folder: Path, inputs: Iterable[bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*"):
        path.unlink()
    for data in inputs:
        (folder / hashlib.sha256(data).hexdigest()[:12]).write_bytes(data)


def _arcs_of(check: Callable[[bytes], None], data: bytes) -> set[Arc]:
    """From which line of pellucid's to which it goes; none where the input fails, as it is no part of a corpus then."""
    arcs: set[Arc] = set()

    def enter(frame: FrameType, event: str, arg: Any) -> Any:
        if not frame.f_code.co_filename.startswith(_SOURCE):
            return None
        name, last = frame.f_code.co_filename, 0

        def step(frame: FrameType, event: str, arg: Any) -> Any:
            nonlocal last
            if event == "line":
                arcs.add((name, last, frame.f_lineno))
                last = frame.f_lineno
            return step

        return step

    sys.settrace(enter)
    try:
        check(data)
    except Exception:  # noqa: BLE001 - whatever it is
        return set()
    finally:
        sys.settrace(None)
    return arcs
