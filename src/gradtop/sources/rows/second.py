"""Streams of processes that found `metrics.jsonl` taken by another one."""

import re

_SECOND = re.compile(r"\Ametrics(?:\.rank\d+)?\.([\w-]+-\d+)\.jsonl\Z")


def second_writer(name: str) -> str:
    """The host and number of the process that such a file is named after; empty for any other file."""
    found = _SECOND.match(name)
    return found[1] if found is not None else ""
