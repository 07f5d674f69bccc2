"""Tests of their own stage run when they are asked for: `pytest -m tmux`."""

import pytest

STAGES = ("tmux", "soak", "root")
"""Marks of tests that need more than Python: deselected unless `-m` names them."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    left_out = [mark for mark in STAGES if mark not in str(config.getoption("markexpr"))]
    deselected = [item for item in items if any(item.get_closest_marker(mark) for mark in left_out)]
    if deselected:
        config.hook.pytest_deselected(items=deselected)
        items[:] = [item for item in items if item not in deselected]
