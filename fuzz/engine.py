"""One target, under atheris: ``python -m fuzz.engine TARGET [LIBFUZZER OPTIONS...]``."""

from __future__ import annotations

import sys
from importlib import import_module
from random import Random

import atheris

from fuzz import TARGETS

__all__ = ["main"]


def main() -> None:
    """Run until something fails, or the options say that it is enough."""
    name, *options = sys.argv[1:]
    if name not in TARGETS:
        sys.exit(f"there is no target {name!r}, only {', '.join(TARGETS)}")
    with atheris.instrument_imports(include=["pellucid"]):
        target = import_module(f"fuzz.{name}")

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        mutated: bytes = target.mutate(bytes(data), most, Random(seed), atheris.Mutate)
        return mutated

    atheris.Setup([sys.argv[0], *options], target.check, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
