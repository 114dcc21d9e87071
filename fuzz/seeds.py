"""What corpora begin with: what honest peers have said, from tests/data."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

__all__ = ["native_messages", "native_streams", "native_values", "pb_streams", "write_seeds"]

_DATA = Path(__file__).parent.parent / "tests" / "data"


def pb_streams(speakers: str = "CS") -> Iterator[tuple[str, bytes]]:
    """What each of the speakers, "C" or "S", says in each conversation, its negotiation included; and the dialect."""
    for path in sorted((_DATA / "pb").glob("*.txt")):
        lines = path.read_text().splitlines()[1:]
        for speaker in speakers:
            said = [line.split("#")[0][2:].replace("??", "00") for line in lines if line.startswith(speaker)]
            yield path.name.split(".")[1], bytes.fromhex("".join(said))


def native_messages() -> Iterator[bytes]:
    """One message each, in a frame."""
    for vector in _vectors("messages"):
        yield bytes.fromhex(vector["hex"])


def native_streams() -> Iterator[bytes]:
    """Several frames each, some of them refused."""
    for name in "streams", "refused":
        for vector in _vectors(name):
            parts = vector["stream"] if isinstance(vector["stream"], list) else [vector["stream"]]
            if all(isinstance(part, str) for part in parts):  # others are megabytes
                yield bytes.fromhex("".join(parts))
    for vector in _vectors("conversations"):
        for speaker in "client", "server":
            lines = [bytes.fromhex(line["hex"]) for line in vector["lines"] if line["from"] == speaker]
            yield b"".join(lines[1:])  # without the negotiation


def native_values() -> Iterator[bytes]:
    """One value each, without a message or a frame."""
    for vector in _vectors("values"):
        yield bytes.fromhex(vector["hex"])


def _vectors(name: str) -> list[dict[str, Any]]:
    vectors: list[dict[str, Any]] = json.loads((_DATA / "native" / f"{name}.json").read_text())["vectors"]
    return vectors


def write_seeds(target: str, folder: Path) -> None:
    """Put what a corpus of `target` begins with into `folder`."""
    for number, data in enumerate(import_module(f"fuzz.{target}").seeds()):
        (folder / f"seed-{number}").write_bytes(data)
