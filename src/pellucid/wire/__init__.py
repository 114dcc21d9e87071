"""Dialects: the core's messages as bytes, and back. One folder for each wire language."""
