"""The order in which people look for names: `x9` before `x10`, whatever the case."""

import re
from functools import lru_cache

_NUMBER = re.compile(r"(\d{1,15})")

Natural = tuple[tuple[int, int, str], ...]
"""What names are sorted by."""


@lru_cache(maxsize=16384)
def natural(name: str) -> Natural:
    """The key of a name: its numbers by value and before letters."""
    parts = (part for part in _NUMBER.split(name.lower()) if part)
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts)
