"""Random programs of writers against a model: nothing is lost, doubled or torn."""

from pathlib import Path

import pytest
from programs import Outcome, Rows, one_program, truncations


def test_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    for seed in range(100):
        assert one_program(tmp_path, seed) == Outcome(60, lost=0, doubled=0, in_order=True), f"seed {seed}"


def test_with_truncations_no_line_is_torn_or_invented(tmp_path: Path) -> None:
    """What is truncated between two looks is lost; what is given was written, whole, and in order."""
    for seed in range(100):
        sound, found = truncations(tmp_path / f"{seed}.log", seed, 60)
        assert sound, f"seed {seed}"
        assert found.doubled == 0


@pytest.mark.parametrize("text", [False, True])
def test_every_row_reaches_the_store_once(tmp_path: Path, text: bool) -> None:
    for seed in range(20):
        name = "train.log" if text else "metrics.jsonl"
        (tmp_path / str(seed)).mkdir()
        found = Rows(tmp_path / str(seed) / name, seed, text).run(60)
        assert found == Outcome(60, lost=0, doubled=0, in_order=True), f"seed {seed}"
