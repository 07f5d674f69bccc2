"""Tests of the screen look twice as often as the toolkit's own whether the app has come to rest."""

from collections.abc import Iterator

import pytest
from textual import _wait


@pytest.fixture(autouse=True, scope="session")
def _looks_often() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_wait, "SLEEP_GRANULARITY", 0.01)
        patch.setattr(_wait, "SLEEP_IDLE", 0.005)
        yield
