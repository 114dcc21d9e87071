"""Runs a program on pellucid's Twisted door, which speaks PB's dialects alone: ``pb_only.py PROGRAM ...``."""

from __future__ import annotations

import runpy
import sys

from pellucid.twisted import pb

pb.Broker.knownDialects = [b"pb", b"none"]
del sys.argv[0]
sys.path[0] = sys.argv[0].rpartition("/")[0]
runpy.run_path(sys.argv[0], run_name="__main__")
