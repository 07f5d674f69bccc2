"""Tests of their own stage run when asked for, `pytest -m tmux`.

Generated examples are the same every time; `pytest -m hypothesis --hypothesis-profile many` tries more of them.
"""

import gc
import os
from collections.abc import Generator, Iterator

import pytest
from hypothesis import settings
from textual.pilot import Pilot

import rest

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
def _rests_when_all_is_done() -> Iterator[None]:
    """Whether the app has come to rest does not depend on the load of the machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Pilot, "pause", rest.pause)
        patch.setattr("textual.app.wait_for_idle", rest.handled)
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
