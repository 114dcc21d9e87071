"""What a transport, or a server, shows of its socket."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import Any

from pellucid.testing.links import os_error

__all__ = ["Address", "SimulatedSocket"]

Address = tuple[str, int] | str
"""A host and a port; or a path."""


class SimulatedSocket:
    """What a transport shows of its socket: names and options."""

    def __init__(self, name: Address, peer: Address | None = None) -> None:
        self.family = socket.AF_INET if isinstance(name, tuple) else socket.AF_UNIX
        self.type = socket.SOCK_STREAM
        self.options: dict[tuple[int, int], Any] = {}
        self.when_kept_alive: Callable[[], None] | None = None
        self._name = name
        self._peer = peer

    def getsockname(self) -> Address:
        """The address of this end."""
        return self._name

    def getpeername(self) -> Address:
        """The address of the other end. Raises OSError where there is none."""
        if self._peer is None:
            raise os_error(errno.ENOTCONN)
        return self._peer

    def setsockopt(self, level: int, option: int, value: Any) -> None:
        """Set an option; of what they do SO_KEEPALIVE is simulated, with TCP's times for it."""
        self.options[level, option] = value
        if self.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) and self.when_kept_alive is not None:
            self.when_kept_alive()

    def getsockopt(self, level: int, option: int) -> Any:
        """An option that was set, or 0."""
        return self.options.get((level, option), 0)

    def tcp_option(self, name: str, default: int) -> int:
        """The option of TCP's that is called `name`, where it was set."""
        option = getattr(socket, name, None)  # not every system has them
        return self.getsockopt(socket.IPPROTO_TCP, option) or default if option is not None else default

    def fileno(self) -> int:
        """As of a socket that is closed."""
        return -1
