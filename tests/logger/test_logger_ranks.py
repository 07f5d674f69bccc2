"""The logger on several ranks, by real processes: one file, global norms, and nobody waits for the dead."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fleet import sail
from test_logger import lines, of

pytestmark = pytest.mark.timeout(60)


@dataclass(frozen=True, slots=True)
class Trained:
    """Trainings of two ranks, each in a folder by its name."""

    folder: Path
    exact: list[dict[str, Any]]
    """What a single process computes in double precision, step by step."""
    stderr: str


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADTOP_TEST_FOLDER", str(folder))
        sailed = sail("logger_duty", "trainings", 2, folder)
    assert sailed.codes == [0, 0], sailed.stderr
    assert sailed.said[0] is not None
    return Trained(folder, sailed.said[0]["exact"], sailed.stderr)


@pytest.mark.parametrize("way", ["fsdp", "ddp"])
def test_norms_are_those_of_the_whole_model(trained: Trained, way: str) -> None:
    run = trained.folder / way
    assert [path.name for path in run.iterdir()] == ["metrics.jsonl"]
    (facts,) = of(run, "run")
    assert (facts["rank"], facts["world_size"], facts["model"]["params"]) == (0, 2, 103)
    assert of(run, "layer_names")[0]["names"] == ["0", "2"]
    assert of(run, "layer_names")[0]["numel"] == [70, 33]
    sampled = of(run, "layers")
    assert [row["step"] for row in sampled] == [1, 2, 3, 4, 5, 6]
    for row, step in zip(sampled, trained.exact, strict=True):
        assert row["grad_norm"] == pytest.approx(step["grad_norm"], rel=1e-4)
        assert row["update_ratio"] == pytest.approx(step["update_ratio"], rel=1e-3)
    totals = [row["grad_norm"] for row in of(run, "metrics")]
    assert totals == pytest.approx([step["total"] for step in trained.exact], rel=1e-4)
    assert lines(run)[-1]["status"] == "finished"


def test_other_ranks_write_files_of_their_own_when_asked_to(trained: Trained) -> None:
    names = sorted(path.name for path in (trained.folder / "every_rank").iterdir())
    assert names == ["metrics.jsonl", "metrics.rank1.jsonl"]


def test_ranks_of_different_speed_sample_the_same_steps(trained: Trained) -> None:
    assert "out of step" not in trained.stderr
    assert len(of(trained.folder / "uneven", "layers")) >= 2


def test_a_logger_on_rank_0_alone_hangs_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "run"
    monkeypatch.setenv("GRADTOP_TEST_FOLDER", str(run))
    sailed = sail("logger_duty", "chief_only", 2, tmp_path)
    assert sailed.codes == [0, 0]
    assert sailed.stderr.count("gradtop: ") == 1
    assert [row["step"] for row in of(run, "metrics")] == [1, 2, 3, 4, 5, 6]


def test_a_rank_that_dies_hangs_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "run"
    monkeypatch.setenv("GRADTOP_TEST_FOLDER", str(run))
    sailed = sail("logger_duty", "deserted", 2, tmp_path)
    assert sailed.codes == [0, 9]
    assert len(of(run, "metrics")) == 8
    assert [row["step"] for row in of(run, "layers")][:2] == [1, 2]
    assert lines(run)[-1]["status"] == "finished"
