"""The explanation of a file shows what was made of every line, and is harmless to a terminal."""

import json
from pathlib import Path

import pytest

from gradtop.config import Profile, Settings
from gradtop.explain import explain, explain_rules, explain_run
from gradtop.record import RunFacts, Train
from gradtop.run import Run
from gradtop.sources import SourceStatus
from gradtop.sources.reader import Line
from gradtop.sources.text.profile import rules_of
from gradtop.sources.text.reader import TextReader
from gradtop.wiring import read_paths

SHARED = Path(__file__).parents[2] / "shared"


def explained(path: Path) -> list[str]:
    watching = read_paths((path,), Settings())
    watching.to_end()
    run = watching.monitor.newest()
    if len(run.sources) > 1:
        return list(explain_run(run.place, run.sources, run.joined(), run.view()))
    return list(explain(run.sources[0].status, run.sources[0].account, run.view()))


def written(folder: Path, text: str, name: str = "train.log") -> list[str]:
    path = folder / name
    path.write_text(text)
    return explained(path)


def test_names_units_and_samples_are_shown_in_columns(tmp_path: Path) -> None:
    told = written(tmp_path, "iter 100: loss 2.31, time 12.3ms\niter 200: loss 2.30, time 12.0ms\n")
    assert told[1:5] == [
        "  format    text",
        "  bytes     66 of 66 read",
        "  lines     2 read, 0 skipped, 0 rejected",
        "  steps     100 to 200, counted in steps; 2 rows",
    ]
    start = told.index("names")
    assert told[start + 1 : start + 4] == [
        "  iter → step         ×2",
        "  loss → loss         ×2",
        "  time → step_time_s  ×2         ms → s",
    ]
    assert "  key-value: 2 lines" in told
    assert "           1  iter 100: loss 2.31, time 12.3ms" in told


def test_names_that_are_not_known_come_last_and_are_kept(tmp_path: Path) -> None:
    told = written(tmp_path, '{"my_own_number": 4, "step": 1, "loss": 2.0}\n', "run.jsonl")
    start = told.index("names (as it is: no name that gradtop knows)")
    assert told[start + 1 : start + 4] == [
        "  step          → step           ×1",
        "  loss          → loss           ×1",
        "  my_own_number → my_own_number  ×1         as it is",
    ]


def test_lines_that_were_not_read_are_shown(tmp_path: Path) -> None:
    told = written(tmp_path, '{"step": 1, "loss": 2.0}\n{"step": 2, "loss": \n{"step": 3, "loss": 1.9}\n', "run.jsonl")
    assert "  lines     2 read, 0 skipped, 1 rejected" in told
    start = told.index("rejected: these look like records and cannot be read")
    assert told[start + 2] == '           2  {"step": 2, "loss":'


def test_a_log_without_a_metric_shows_the_first_lines_that_gave_nothing(tmp_path: Path) -> None:
    told = written(tmp_path, "".join(f"epoch summary {i}\n" for i in range(20)))
    assert "  steps     none: no line gave a metric" in told
    start = told.index("skipped: nothing in these lines is a metric or an event that gradtop knows")
    assert told[start + 1 :][-2:] == ["           5  epoch summary 4", "              ... and 15 more"]


def test_it_says_when_there_is_nothing_to_judge_by(tmp_path: Path) -> None:
    told = written(tmp_path, "".join(json.dumps({"step": i, "accuracy": 0.5}) + "\n" for i in range(9)), "run.jsonl")
    assert "  judged    nothing: none of the names is the loss or the grad norm" in told


def test_many_sessions_and_events_are_counted(tmp_path: Path) -> None:
    rows = "".join(
        f"Step {step}: Loss: {2 + k / 9:.3f}\nsaving checkpoint to out\n" for k in range(20) for step in range(3)
    )
    told = written(tmp_path, rows)
    assert sum(line.startswith("  session") for line in told) == 8
    assert "            ... and 12 more sessions" in told
    assert "  event     checkpoint ×60 (the first, line 2): saving checkpoint to out" in told


def test_a_crash_comes_before_other_events(tmp_path: Path) -> None:
    lines = ["Step 1: Loss: 2.0", "saving checkpoint to out", "torch.OutOfMemoryError: CUDA out of memory.", ""]
    events = [line for line in written(tmp_path, "\n".join(lines)) if line.startswith("  event")]
    assert events[0].startswith("  event     crash ×1 (line 3): ")
    assert events[1].startswith("  event     checkpoint ×1 (line 2): ")


def test_foreign_text_is_made_harmless(tmp_path: Path) -> None:
    told = written(tmp_path, "Step 1: Loss: 2.0, \x1b]0;evil\x07name=3\n\x1b[2J\x1b[Hgone\n")
    assert not any("\x1b" in line or "\x07" in line for line in told)


def test_of_several_files_it_says_which_metric_comes_from_which(tmp_path: Path) -> None:
    rows = [{"step": i, "loss": 3 - i / 300, "lr": 1e-3 * i} for i in range(1, 41)]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    console = (f"step {row['step']}: loss {row['loss']:.4f}, grad_norm {row['lr']:.4f}\n" for row in rows)
    (tmp_path / "train.log").write_text("".join(console))
    told = explained(tmp_path)
    assert told[:4] == [
        str(tmp_path),
        "  files     2, joined by step; the most precise one with a metric gives it",
        "  steps     1 to 40, counted in steps; 40 rows",
        "  session   1: from 1 (start)",
    ]
    assert "  gives     loss ×40, lr ×40" in told
    assert "  gives     grad_norm ×40" in told
    assert told.index(str(tmp_path / "metrics.jsonl")) < told.index(str(tmp_path / "train.log"))


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    (tmp_path / "train.log").write_text("".join(f"step {i}: loss {3 - i / 100:.4f}\n" for i in range(40)))
    (tmp_path / "summary.csv").write_text("epoch,loss,accuracy\n1,2.5,0.1\n2,2.4,0.2\n3,2.3,0.3\n")
    told = explained(tmp_path)
    assert (
        "  rows      3, none counts: its rows have an epoch and no step, and no other source has the same at a step"
        in told
    )
    assert "            by epoch: accuracy" in told


def test_it_says_what_cannot_be_told_and_what_to_log(tmp_path: Path) -> None:
    rows = ({"step": i, "loss": 3 - i / 100, "reward": i} for i in range(40))
    (tmp_path / "run.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (run,) = read_paths((tmp_path,), Settings(muted=frozenset({"nonfinite"}))).to_end().runs
    told = list(explain_rules(run))
    assert max(map(len, told)) <= 80
    text = " ".join(" ".join(told).split())
    assert text.startswith("judged as reinforcement learning, by its metric reward; --profile supervised makes gradtop")
    assert "muted: nonfinite cannot tell" in text
    assert "gradient_vanishing" in text
    assert ": no grad norm in this log needs the grad norm in every row, and the loss" in text
    assert "the loss need not fall needs a loss that has to fall: --profile supervised" in text


def test_a_log_without_a_row_has_nothing_to_tell_of_rules(tmp_path: Path) -> None:
    (tmp_path / "train.log").write_text("nothing to see here\n")
    (run,) = read_paths((tmp_path / "train.log",), Settings()).to_end().runs
    assert list(explain_rules(run)) == []


@pytest.mark.parametrize("id", ["hp02", "hp06", "sb01", "bn02", "mg04", "tt03", "lt01", "ds01", "kc04", "mm01", "hf01"])
def test_recorded_logs_are_explained(id: str) -> None:
    found = sorted((SHARED / "corpus").glob(f"{id}__*"))
    if not found:
        pytest.skip(f"recorded logs are not here: {id}")
    told = explained(found[0])
    assert told[0].endswith(found[0].name)
    assert any(line.startswith("  lines") for line in told)
    assert len(told) < 120


def test_a_name_without_a_letter_is_shown_in_quotes(tmp_path: Path) -> None:
    told = written(tmp_path, '{"": 4, "step": 1, "loss": 2.0}\n', "run.jsonl")
    assert any(line.startswith('  ""   →') for line in told)


def test_long_names_keep_the_columns_and_both_ends(tmp_path: Path) -> None:
    name = "train/" + "a_very_long_name_" * 4 + "loss_7"
    told = written(tmp_path, json.dumps({"step": 1, "loss": 2.0, name: 1.0}) + "\n", "run.jsonl")
    rows = [line for line in told if " → " in line]
    assert len({line.index("→") for line in rows}) == 1
    assert len({line.index("×") for line in rows}) == 1
    assert any("train/" in line and "loss_7 →" in line for line in rows)
    assert max(map(len, rows)) <= 80


def test_a_profile_is_explained_by_the_users_own_groups() -> None:
    profile = Profile("mine", r"^it (?P<step>\d+) gn (?P<gn>\S+)", "it 7 gn 3.5", (("gn", "grad_norm"),), "x")
    reader = TextReader(rules_of([profile]))
    reader.feed([Line(1, b"it 7 gn 3.5")])
    reader.finish()
    reader.idle()
    told = list(explain(SourceStatus(Path("x"), "text"), reader.account, Run().view()))
    assert "  gn   → grad_norm  ×1" in told


def test_a_warm_up_in_epochs_is_a_fact() -> None:
    run = Run()
    list(run.apply(RunFacts(train=Train(epochs=50, warmup_epochs=3), origin={"warmup_epochs": "args.yaml"})))
    told = list(explain(SourceStatus(Path("x"), "text"), None, run.view()))
    assert "            warm-up epochs 3 (args.yaml)" in told
