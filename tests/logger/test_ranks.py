"""Sums over ranks, by real processes: right, agreed on by all or by none, and never in the way of the training."""

import sys
from pathlib import Path

import pytest
from fleet import sail

from gradtop.logger.notice import Notices
from gradtop.logger.ranks import Place, agree, place

pytestmark = pytest.mark.timeout(60)

PART = "values per layer are those of rank 0's part of the model"
GONE = "values per layer end here"


@pytest.mark.parametrize(
    ("rank", "world", "expected"),
    [
        ("3", "8", Place(3, 8)),
        (None, None, Place(0, 1)),
        ("3", None, Place(0, 1)),
        ("x", "8", Place(0, 1)),
        ("8", "8", Place(0, 1)),
    ],
)
def test_place_without_a_process_group(
    monkeypatch: pytest.MonkeyPatch, rank: str | None, world: str | None, expected: Place
) -> None:
    for name, value in (("RANK", rank), ("WORLD_SIZE", world)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    assert place() == expected


def test_one_process_needs_no_sums(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.delenv("RANK", raising=False)
    assert agree("layers", Notices()) is None
    assert not caplog.records


def test_ranks_without_a_process_group_are_told_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setitem(sys.modules, "torch._C._distributed_c10d", None)
    assert agree("layers", Notices()) is None
    assert PART in caplog.text


@pytest.mark.timeout(60)
def test_sums(tmp_path: Path) -> None:
    sailed = sail("ranks_duty", "sums", 2, tmp_path)
    for rank, said in enumerate(sailed.said):
        assert said == {
            "place": [rank, 2],
            "short": [3.0, 0.5],
            "long": True,
            "nonfinite": [True, True],
            "again": None,
            "after": [4.0],
            "astray": None,
            "alive": [True, False],
        }
    assert sailed.codes == [0, 0]
    assert sailed.stderr.count("the ranks have fallen out of step") == 1


@pytest.mark.timeout(60)
def test_different_lengths_end_the_sums_and_not_the_process(tmp_path: Path) -> None:
    sailed = sail("ranks_duty", "lengths", 2, tmp_path)
    assert sailed.codes == [0, 0]
    assert sailed.said[0] == {"left": False, "result": None, "alive": False}
    assert sailed.stderr.count("the logger of another rank has stopped: " + GONE) == 1


@pytest.mark.timeout(60)
@pytest.mark.parametrize("store", ["tcp", "file"])
def test_all_ranks_agree_or_none(tmp_path: Path, store: str) -> None:
    sailed = sail("ranks_duty", "alone", 2, tmp_path, store)
    assert sailed.said == [{"only": True, "different": True, "good": True}] * 2
    assert sailed.codes == [0, 0]
    assert sailed.stderr.count("not every rank has a Logger, with the same layers: " + PART) == 1


@pytest.mark.timeout(60)
def test_a_killed_rank_hangs_no_other(tmp_path: Path) -> None:
    sailed = sail("ranks_duty", "killed", 3, tmp_path)
    ended = {"first": [3.0], "second": None, "alive": False, "ready": True}
    assert sailed.said == [ended, ended, None]
    assert sailed.codes == [0, 0, -9]
    assert sailed.stderr.count("another rank is gone: " + GONE) == 1


@pytest.mark.timeout(60)
def test_a_rank_that_never_answers_hangs_neither_training_nor_exit(tmp_path: Path) -> None:
    sailed = sail("ranks_duty", "hung", 2, tmp_path)
    assert sailed.codes == [0, 0]
    assert sailed.said == [{"unconnected": True, "ready": False, "waited": False}, {"unconnected": True}]
    assert "another rank has not answered for 0.1 s: " + GONE in sailed.stderr
    assert "the ranks cannot reach each other" in sailed.stderr
