"""The README says what the code says."""

import re
from pathlib import Path

import pytest
import torch

import gradtop
from gradtop.catalogue import CATALOGUE
from gradtop.settings import settings_for
from gradtop.ui import keys
from gradtop.wiring import read_paths

README = Path(__file__).parents[1] / "README.md"


def kinds() -> str:
    rows = [f"| `{kind.id}` | {kind.meaning} | {kind.severity} |" for kind in CATALOGUE]
    return "\n".join(["| kind | what it means | how much it matters |", "|---|---|---|", *rows])


def between(marker: str) -> str:
    found = re.search(rf"<!-- {marker} -->\n(.*?)<!-- /{marker} -->", README.read_text(), re.DOTALL)
    assert found is not None
    return found[1].strip()


@pytest.mark.parametrize(("marker", "expected"), [("kinds", kinds()), ("keys", keys.markdown())])
def test_tables_are_those_of_the_code(marker: str, expected: str) -> None:
    assert between(marker) == expected.strip()


@pytest.mark.parametrize("marker", ["quickstart", "tests"])
def test_each_command_is_one_marked_block(marker: str) -> None:
    blocks = re.findall(rf"<!-- {marker} -->\n```bash\n(.+)\n```\n", README.read_text())
    assert len(blocks) == 1


def test_pictures_are_there() -> None:
    pictures = re.findall(r"!\[[^]]+\]\(([^)]+)\)", README.read_text())
    assert pictures
    assert all((README.parent / picture).is_file() for picture in pictures)


def test_the_profile_reads_its_own_sample_and_makes_rows_of_a_log(tmp_path: Path) -> None:
    text = between("profile").removeprefix("```toml\n").removesuffix("```")
    (tmp_path / "gradtop.toml").write_text(text)
    log = tmp_path / "train.log"
    log.write_text("".join(f"[{i}] L={2.5 - i / 100:.3f} G=0.8{i % 7}\n" for i in range(30)))
    settings = settings_for([log], {})
    assert settings.limits.clear_rows == 50
    (run,) = read_paths((tmp_path,), settings).to_end().runs
    assert {name: len(series) for name, series in run.view.series.items()} == {"loss": 30, "grad_norm": 30}


def test_the_three_lines_in_a_loop_write_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.AdamW(model.parameters())
    names = {"gradtop": gradtop, "torch": torch, "model": model, "optimizer": optimizer, "loader": torch.ones(8, 2, 4)}
    fence = "```"
    (code,) = re.findall(rf"<!-- logger -->\n{fence}python\n(.*?){fence}", README.read_text(), re.DOTALL)
    exec(compile(code, "README.md", "exec"), names)
    (run,) = read_paths((tmp_path / "logs",), settings_for([], {})).to_end().runs
    assert len(run.view.series["loss"]) == 8
    assert {"grad_norm/weight", "update_ratio/bias"} <= {name for name, _, _ in run.view.layered()}
    assert "data_time_s" in run.view.series
