"""What the tests use of the msgpack package, which has no types of its own."""

from collections.abc import Callable
from typing import Any, NamedTuple

class ExtType(NamedTuple):
    code: int
    data: bytes

def packb(o: Any) -> bytes: ...
def unpackb(
    packed: bytes, *, ext_hook: Callable[[int, bytes], Any], strict_map_key: bool = True, use_list: bool = True
) -> Any: ...
