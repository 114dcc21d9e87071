"""What was measured: kept as JSON, and what is worked out from it."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.cases import CASES, Cell

__all__ = ["Measurement", "Results", "circumstances", "load"]

PACKAGES = "pellucid uvloop ormsgpack twisted foolscap pyro5 msgpack rpyc grpcio pycapnp pyopenssl".split()


@dataclass(frozen=True)
class Measurement:
    """One measurement of one cell."""

    peer: str
    case: str
    repeat: int
    cost: float
    """Seconds for one operation."""
    operations: int
    extra: dict[str, float] = field(default_factory=dict)
    size: int | None = None


@dataclass(frozen=True)
class Missing:
    """Why there is nothing."""

    peer: str
    case: str
    why: str
    size: int | None = None


@dataclass
class Results:
    """All measurements of one run."""

    made: dict[str, Any]
    """Where, when and with what."""
    options: dict[str, Any]
    measurements: list[Measurement] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)

    def save(self, file: Path) -> None:
        """Write it as JSON, a measurement a line."""
        file.parent.mkdir(parents=True, exist_ok=True)
        parts = [f'"made": {json.dumps(self.made, indent=1)}', f'"options": {json.dumps(self.options)}']
        for name, items in (("measurements", self.measurements), ("missing", self.missing)):
            lines = ",\n".join(json.dumps(_without_none(asdict(item))) for item in items)
            parts.append(f'"{name}": [\n{lines}\n]')
        file.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")

    @classmethod
    def load(cls, file: Path) -> Results:
        """Read what `save` wrote."""
        found = json.loads(file.read_text(encoding="utf-8"))
        return cls(
            found["made"],
            found["options"],
            [Measurement(**item) for item in found["measurements"]],
            [Missing(**item) for item in found["missing"]],
        )

    def costs(self, cell: Cell, size: int | None = None) -> dict[int, float]:
        """By repeat, what an operation of `cell` cost."""
        return {item.repeat: item.cost for item in self._of(cell, size)}

    def extra(self, cell: Cell, name: str) -> float | None:
        """The median of something measured besides."""
        values = [item.extra[name] for item in self._of(cell, None) if name in item.extra]
        return median(values) if values else None

    def extras(self, cell: Cell) -> dict[str, float]:
        """The medians of all that was measured besides."""
        names = dict.fromkeys(name for item in self._of(cell, None) for name in item.extra)
        return {name: value for name in names if (value := self.extra(cell, name)) is not None}

    def ratios(self, cell: Cell, reference: Cell | None = None) -> list[float]:
        """How often faster than the reference `cell` was, in each repeat that has both; above 1 is faster."""
        theirs = self.costs(reference or CASES[cell[1]].reference)
        return [theirs[repeat] / cost for repeat, cost in self.costs(cell).items() if repeat in theirs]

    def why_missing(self, cell: Cell) -> str | None:
        """Why there is no measurement of `cell`."""
        return next((item.why for item in self.missing if (item.peer, item.case) == cell), None)

    def peers(self) -> list[str]:
        """Who was asked, in that order."""
        return list(self.options["peers"])

    def _of(self, cell: Cell, size: int | None) -> Iterable[Measurement]:
        return (item for item in self.measurements if (item.peer, item.case, item.size) == (*cell, size))


def circumstances() -> dict[str, Any]:
    """The machine, the versions, the time."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
        "commit": _commit(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "compiler": platform.python_compiler(),
        # What a distribution or a host appends to the number of the release tells readers nothing.
        "system": f"{platform.system()} {platform.release().partition('-')[0]} {platform.machine()}",
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "versions": versions,
        "load": [load()],
    }


def load() -> float:
    """How many processes wanted to run in the last minute: what else the machine did, NaN where it doesn't tell."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "unknown")


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        done = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip()


def _without_none(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if value is not None}
