"""Tests of their own stage run when asked for, `pytest -m tmux`; generated examples are the same every time."""

import pytest
from hypothesis import settings

settings.register_profile("same every time", derandomize=True, deadline=None)
settings.load_profile("same every time")

STAGES = ("tmux", "soak", "root")
"""Marks of tests that need more than Python: deselected unless `-m` names them."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    left_out = [mark for mark in STAGES if mark not in str(config.getoption("markexpr"))]
    deselected = [item for item in items if any(item.get_closest_marker(mark) for mark in left_out)]
    if deselected:
        config.hook.pytest_deselected(items=deselected)
        items[:] = [item for item in items if item not in deselected]
