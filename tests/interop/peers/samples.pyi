from collections.abc import Callable

USERS: dict[str, str]
WORDS: list[bytes]
SAMPLES: dict[str, Callable[[], object]]
UNORDERED: set[str]

def pages_of(size: int) -> bytes: ...
def pages_are_whole(pages: list[bytes]) -> bool: ...
def describe(value: object) -> str: ...
