"""A document that is rewritten whole: complete when it parses, and only what is new in it is news."""

import json
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from follower import Reading, reasons
from reading import SHARED, events_of, rows_of

from gradtop.record import End, Record, Restart, Rows, RunFacts
from gradtop.sources.follow.tail import CHUNK_BYTES
from gradtop.sources.rows.document import MAX_BYTES, Document


def state(rows: Iterable[dict[str, Any]], indent: int | None = 2, **more: Any) -> str:
    """A trainer's state, as its trainer writes it."""
    fixed = {"best_metric": None, "epoch": 1.0, "global_step": 16, "max_steps": 100, "num_train_epochs": 2}
    after: dict[str, Any] = {
        "train_batch_size": 8,
        "trial_params": None,
        "stateful_callbacks": {"TrainerControl": {"args": {}}},
    }
    return json.dumps({**fixed, **more, "log_history": list(rows), **after}, indent=indent, sort_keys=True) + "\n"


def history(first: int, last: int, loss: float = 0.0) -> list[dict[str, Any]]:
    return [
        {"epoch": step / 10, "grad_norm": 0.5, "loss": loss + 1 / step, "step": step} for step in range(first, last + 1)
    ]


def steps(records: Iterable[Record]) -> list[float]:
    return [row["step"] for row in rows_of(records)]


@pytest.mark.parametrize("indent", [2, None])
def test_the_history_is_rows_and_the_rest_is_facts(tmp_path: Path, indent: int | None) -> None:
    path = tmp_path / "trainer_state.json"
    rows = [*history(1, 3), {"eval_loss": math.nan, "epoch": 0.3, "step": 3}]
    path.write_text(state(rows, indent))
    reading = Reading(path)
    facts, *records = reading.poll()
    assert isinstance(facts, RunFacts)
    assert (facts.train.total_steps, facts.train.epochs, facts.train.micro_batch_size) == (100, 2, 8)
    assert steps(records) == [1, 2, 3, 3]
    assert math.isnan(rows_of(records)[-1]["val_loss"])
    assert all(record.lines == () for record in records if isinstance(record, Rows))
    status = reading.source.status
    assert (status.format, status.problem, status.partial, status.lines_read) == ("json", "", False, 4)


def test_the_summary_is_the_end(tmp_path: Path) -> None:
    path = tmp_path / "trainer_state.json"
    summary = {"epoch": 2.0, "step": 3, "total_flos": 1e18, "train_loss": 0.3, "train_runtime": 9.5}
    path.write_text(state([*history(1, 3), summary]))
    records = Reading(path).poll()
    assert steps(records) == [1, 2, 3]
    assert [event.step for event in events_of(records, "summary")] == [3]
    assert isinstance(records[-1], End)


@pytest.mark.parametrize("atomic", [False, True])
def test_a_rewrite_gives_only_the_new_rows(tmp_path: Path, atomic: bool) -> None:
    path = tmp_path / "trainer_state.json"
    path.write_text(state(history(1, 8)))
    reading = Reading(path)
    reading.poll()
    for last in (12, 16):
        new = tmp_path / "new" if atomic else path
        new.write_text(state(history(1, last), epoch=last / 10, global_step=last))
        os.replace(new, path)
        records = reading.poll()
        assert steps(records) == list(range(last - 3, last + 1))
        assert reasons(records) == []
    assert reading.source.status.lines_read == 16


def test_a_rewrite_in_progress_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "trainer_state.json"
    path.write_text(state(history(1, 8)))
    reading = Reading(path)
    reading.poll()
    text = state(history(1, 12), epoch=1.2)
    with path.open("w") as out:
        seen: list[Record] = []
        for start in range(0, len(text), 97):
            out.write(text[start : start + 97])
            out.flush()
            seen += reading.poll()
            assert reading.source.status.partial or start + 97 >= len(text)
    assert steps(seen) == [9, 10, 11, 12]
    assert reasons(seen) == []


def test_a_resume_from_an_earlier_state_begins_a_session(tmp_path: Path) -> None:
    path = tmp_path / "trainer_state.json"
    path.write_text(state(history(1, 8)))
    reading = Reading(path)
    reading.poll()
    # The state of a checkpoint: a beginning of what was there.
    path.write_text(state(history(1, 4)))
    assert reading.poll() == []
    path.write_text(state([*history(1, 4), *history(5, 6, loss=1.0)]))
    records = reading.poll()
    assert reasons(records) == ["resumed"]
    assert isinstance(records[0], Restart)
    assert steps(records) == [5, 6]


def test_another_run_in_the_same_file_is_another_session(tmp_path: Path) -> None:
    path = tmp_path / "trainer_state.json"
    path.write_text(state(history(1, 8)))
    reading = Reading(path)
    reading.poll()
    path.write_text(state(history(1, 9, loss=3.0), max_steps=50))
    facts, restart, *records = reading.poll()
    assert isinstance(facts, RunFacts)
    assert isinstance(restart, Restart)
    assert restart.reason in ("replaced", "truncated")
    assert steps(records) == list(range(1, 10))


def test_a_list_of_rows_is_a_document(tmp_path: Path) -> None:
    path = tmp_path / "history.json"
    path.write_text(json.dumps([{"epoch": 1, "loss": 2.5}, {"epoch": 2, "loss": math.inf}], indent=1))
    assert rows_of(Reading(path).poll()) == [{"epoch": 1, "loss": 2.5}, {"epoch": 2, "loss": math.inf}]


def test_a_document_that_never_ends_is_said(tmp_path: Path) -> None:
    path = tmp_path / "trainer_state.json"
    path.write_text(state(history(1, 8))[:-40])
    reading = Reading(path)
    assert reading.poll() == []
    assert reading.source.status.partial
    assert reading.source.finish().records == ()
    assert list(reading.source.account.rejected) == ["a document that does not end"]


@pytest.mark.parametrize(
    "text",
    [
        '{"log_history": ' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"log_history": 5}',
        '{"log_history": [1, "x", [], {}, null, {"step": 1e999, "loss": 1}]}',
        '{"log_history": [{"step": 1, "loss": ' + "9" * 5000 + "}]}",
    ],
    ids=["deep", "no list", "no rows", "digits"],
)
def test_hostile_documents_give_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "trainer_state.json"
    path.write_text(text)
    reading = Reading(path)
    assert rows_of([*reading.poll(), *reading.source.finish().records]) == []


def test_a_document_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_BYTES == 256 * 1024 * 1024
    monkeypatch.setattr("gradtop.sources.rows.document.MAX_BYTES", 1000)
    document = Document("trainer_state.json")
    assert document.take(b"{" + b" " * 2000) == []
    assert "it is not read" in document.problem
    assert not document.partial
    assert document.take(b"}") == []


def test_a_large_document_comes_in_portions(tmp_path: Path) -> None:
    path = tmp_path / "trainer_state.json"
    path.write_text(state(history(1, 6000)))
    assert path.stat().st_size > 2 * CHUNK_BYTES
    assert steps(Reading(path).poll()) == list(range(1, 6001))


def test_a_real_state_is_read_whole() -> None:
    path = SHARED / "fixtures" / "hf_v5_trainer_state.json"
    if not path.exists():
        pytest.skip(f"no real trainer state at {path}")
    records = Reading(path).poll()
    written = json.loads(path.read_text())["log_history"]
    losses = [row["loss"] for row in written if "loss" in row]
    assert [row["loss"] for row in rows_of(records) if "loss" in row] == losses
    assert [row["val_loss"] for row in rows_of(records) if "val_loss" in row] == [
        row["eval_loss"] for row in written if "eval_loss" in row
    ]
