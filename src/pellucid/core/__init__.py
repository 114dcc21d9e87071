"""The broker, sans-I/O: bytes in, events out; commands in, bytes out."""
