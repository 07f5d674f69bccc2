"""Tests of their own stage run when asked for, `pytest -m tmux`.

Generated examples are the same every time; `pytest -m hypothesis --hypothesis-profile many` tries more of them.
"""

import gc
import os
from collections.abc import Generator, Iterator

import pytest
from hypothesis import settings
from textual import _wait

settings.register_profile("same every time", derandomize=True, deadline=None, max_examples=30)
settings.register_profile("many", settings.get_profile("same every time"), max_examples=200)
settings.load_profile("same every time")

# Threads of torch wait for each other by spinning: with tests side by side on a few cores that takes ten times as long.
os.environ["OMP_NUM_THREADS"] = "1"

STAGES = ("rooms", "tmux", "soak", "root", "frameworks")
"""Marks of tests that need more than Python, or minutes: deselected unless `-m` names them."""


@pytest.fixture(scope="session", autouse=True)
def _state_of_nobody(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What a user said of findings is never read or written where the tests run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _looks_often() -> Iterator[None]:
    """Whether the app has come to rest is looked at twice as often as the toolkit's own tests do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_wait, "SLEEP_GRANULARITY", 0.01)
        patch.setattr(_wait, "SLEEP_IDLE", 0.005)
        yield


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is collected stays, and is not looked through for garbage; that of tests is collected, less often."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 20, 20)
        gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    left_out = [mark for mark in STAGES if mark not in str(config.getoption("markexpr"))]
    deselected = [item for item in items if any(item.get_closest_marker(mark) for mark in left_out)]
    if deselected:
        config.hook.pytest_deselected(items=deselected)
        items[:] = [item for item in items if item not in deselected]
