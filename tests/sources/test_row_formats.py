"""JSON lines as the frameworks write them: samples made from their format strings, and what they hold."""

import json
import math
from typing import Any

import pytest
from reading import events_of, read, rows_of

from gradtop.record import End, Record, Rows, RunFacts
from gradtop.sources.rows.jsonl import RowReader


def dumped(*rows: Any) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def columns(records: list[Record], *names: str) -> list[list[float]]:
    """The values of some columns, row by row; rows without one of them are left out."""
    rows = rows_of(records)
    return [[row[name] for name in names] for row in rows if all(name in row for name in names)]


LLAMA_OLD = {
    "current_steps": 10, "total_steps": 375, "loss": 1.25, "eval_loss": None, "predict_loss": None, "reward": None,
    "learning_rate": 4.9e-05, "epoch": 0.08, "percentage": 2.67, "elapsed_time": "0:00:31",
    "remaining_time": "1 day, 0:18:52",
}  # fmt: skip
LLAMA_NEW = {
    "current_steps": 10, "total_steps": 375, "loss": 1.25, "lr": 4.9e-05, "epoch": 0.08, "percentage": 2.67,
    "elapsed_time": "0:00:31", "remaining_time": "0:18:52", "throughput": 2145.3, "total_tokens": 66504,
}  # fmt: skip


@pytest.mark.parametrize("row", [LLAMA_OLD, LLAMA_NEW], ids=["old", "new"])
def test_llama_factory(row: dict[str, Any]) -> None:
    reader = RowReader()
    evaluated = {"current_steps": 20, "total_steps": 375, "loss": None, "eval_loss": 1.1, "epoch": 0.8}
    facts, *records = read(reader, dumped(row, evaluated))
    assert isinstance(facts, RunFacts)
    assert facts.train.total_steps == 375
    assert columns(records, "step", "loss", "lr", "elapsed_time") == [[10, 1.25, 4.9e-05, 31.0]]
    assert columns(records, "step", "val_loss") == [[20, 1.1]]
    # A loss that became null may be missing or not finite: it is not counted as either, and that is said.
    assert reader.account.rules["metrics row, without a null"].samples[0][0] == 2
    assert reader.account.rejected == {}


def test_mmengine_puts_validation_rows_at_the_step_of_their_epoch() -> None:
    train = [
        {"lr": 0.001, "data_time": 0.01, "grad_norm": 12.3, "loss": 2.0 / i, "time": 0.31, "epoch": (i + 1) // 2,
         "iter": 50 * i, "memory": 3456, "step": 50 * i} for i in (1, 2, 3, 4)
    ]  # fmt: skip
    head = {"env_info": "sys.platform: linux", "config": "model = dict()\nlr = 0.1\n", "seed": 0, "exp_name": "x"}
    text = dumped(head, *train[:2], {"coco/bbox_mAP": 0.3, "time": 0.1, "step": 1}, *train[2:])
    reader = RowReader()
    records = read(reader, text + dumped({"coco/bbox_mAP": 0.31, "time": 0.1, "step": 2}))
    assert columns(records, "step", "coco/bbox_mAP") == [[100, 0.3], [200, 0.31]]
    assert [row["step"] for row in rows_of(records)] == [50, 100, 100, 150, 200, 200]
    assert reader.account.rejected == {}


def test_mmcv_counts_its_iterations_within_the_epoch() -> None:
    rows = [
        {"mode": "train", "epoch": epoch, "iter": 50 * i, "lr": 0.001, "memory": 4000, "data_time": 0.1, "loss": 1.0}
        for epoch in (1, 2, 3)
        for i in (1, 2)
    ]
    reader = RowReader()
    assert [row["step"] for row in rows_of(read(reader, dumped(*rows)))] == [50, 100, 150, 200, 250, 300]
    assert "metrics row, steps of an epoch added up" in reader.account.rules


def test_detectron2_sorts_its_keys() -> None:
    row = {"data_time": 0.0084, "iteration": 19, "loss_box_reg": 0.05, "lr": 0.007, "time": 0.25, "total_loss": 1.92}
    (found,) = rows_of(read(RowReader(), dumped(row)))
    assert (found["step"], found["loss"], found["lr"], found["step_time_s"]) == (19, 1.92, 0.007, 0.25)
    assert found["loss_box_reg"] == 0.05


def test_mae_and_detr_count_epochs() -> None:
    row = {"train_lr": 1e-4, "train_loss": 0.75, "train_class_error": 3.0, "test_loss": 0.8, "epoch": 3}
    (found,) = rows_of(read(RowReader(), dumped({**row, "test_coco_eval_bbox": [0.4, 0.6], "n_parameters": 41302368})))
    assert (found["epoch"], found["loss"], found["val_loss"], found["lr"]) == (3, 0.75, 0.8, 1e-4)


def test_verl_writes_null_for_what_is_not_finite() -> None:
    rows = ({"step": step, "data": {"actor/pg_loss": loss, "actor/lr": 1e-6}} for step, loss in ((5, 0.25), (6, None)))
    found = rows_of(read(RowReader(), dumped(*rows)))
    assert found[0] == {"step": 5, "loss": 0.25, "lr": 1e-6}
    assert math.isnan(found[1]["loss"])


def test_maxtext_writes_its_step_as_a_float() -> None:
    row = {
        "learning/loss": 9.87, "learning/grad_norm": 1.0, "learning/raw_grad_norm": 3.4,
        "learning/current_learning_rate": 3e-05, "perf/step_time_seconds": 1.2,
        "perf/per_device_tokens_per_sec": 4567.8, "step": 10.0, "run_name": "r",
    }  # fmt: skip
    (found,) = rows_of(read(RowReader(), dumped(row)))
    assert (found["step"], found["loss"], found["grad_norm"], found["lr"]) == (10, 9.87, 3.4, 3e-05)
    assert (found["step_time_s"], found["tokens_per_s"]) == (1.2, 4567.8)


def test_levanter_wraps_its_rows() -> None:
    wrapped = [
        {"tracker": "json_logger", "event": "hparams", "hparams": {"trainer": {"num_train_steps": 10000}, "seed": 1}},
        {"tracker": "json_logger", "event": "log", "step": 10, "metrics": {"train/loss": 4.5, "grad/norm/total": 0.5}},
        {"tracker": "json_logger", "event": "summary", "summary": {"eval/loss": 3.0}},
        {"tracker": "json_logger", "event": "finish"},
    ]
    reader = RowReader()
    facts, rows, end = read(reader, dumped(*wrapped))
    assert isinstance(facts, RunFacts)
    assert facts.train.total_steps == 10000
    assert rows_of([rows]) == [{"step": 10, "loss": 4.5, "grad_norm": 0.5}]
    assert isinstance(end, End)
    assert reader.account.skipped.count == 1


def test_stable_baselines_count_steps_of_the_environment() -> None:
    row = {
        "time/fps": 3079,
        "time/iterations": 1,
        "time/total_timesteps": 2048,
        "train/loss": 0.5,
        "train/n_updates": 10,
    }
    (found,) = rows_of(read(RowReader(), dumped(row)))
    assert (found["step"], found["loss"]) == (2048, 0.5)


def test_fairseq_writes_numbers_as_strings() -> None:
    rows = (
        {"epoch": 1, "update": 0.31, "loss": "8.234", "ppl": "301.1", "wps": "51234", "num_updates": "1000",
         "lr": "0.000125", "gnorm": "1.234", "clip": "0", "loss_scale": "128", "train_wall": "32"},
        {"epoch": 1, "valid_loss": "7.9", "valid_ppl": "238.8", "valid_num_updates": "1000"},
    )  # fmt: skip
    records = read(RowReader(), dumped(*rows))
    assert columns(records, "step", "loss", "lr", "grad_norm", "loss_scale") == [[1000, 8.234, 0.000125, 1.234, 128]]
    assert columns(records, "step", "val_loss", "val_ppl") == [[1000, 7.9, 238.8]]


def test_phases_of_torchtitan_are_no_metrics() -> None:
    common = {"delta_ms": 1.5, "tid": 7, "rank": 0, "source": "training", "relative_step": 5, "time_us": 10**15}
    lines = [
        {**common, "step": 5, "log_type_name": "fwd_bwd_end", "event_name": None, "value": 12.5, "seq_id": 41},
        {**common, "step": 5, "log_type_name": "metric_value", "event_name": "loss", "value": 2.5, "time": 1795444567},
    ]
    reader = RowReader()
    assert rows_of(read(reader, dumped(*lines))) == [{"step": 5, "loss": 2.5, "time": 1795444567.0}]
    assert reader.account.skipped.count == 1


def test_clearml_writes_lists_of_values() -> None:
    def value(step: int, metric: str, variant: str, value: float) -> dict[str, Any]:
        return {"timestamp": 1795444945896, "type": "training_stats_scalar", "iter": step, "metric": metric,
                "variant": variant, "value": value}  # fmt: skip

    lines = [
        [value(0, "loss", "train", 2.0), value(0, "lr", "lr", 0.1), value(0, "loss", "validation", 2.5)],
        [value(1, "loss", "train", 1.9), value(33, ":monitor:gpu", "gpu_0_utilization", 97.0)],
        [{"type": "log", "msg": "x"}],
    ]
    reader = RowReader()
    assert rows_of(read(reader, dumped(*lines))) == [
        {"step": 0, "loss": 2.0, "lr": 0.1, "val_loss": 2.5, "time": 1795444945.896},
        {"step": 1, "loss": 1.9, "time": 1795444945.896},
    ]
    assert list(reader.account.rejected) == ["not an object: a list"]


def test_wandb_history_counts_rows_only_where_there_is_no_step() -> None:
    rows = (
        {"train/loss": 2.5, "train/global_step": 500, "_step": 5, "_timestamp": 1795444567.5, "_runtime": 30},
        {"loss": 2.0, "_step": 501, "gradients/h.0.weight": {"_type": "histogram", "values": [1, 2], "bins": [0, 1]}},
    )
    assert rows_of(read(RowReader(), dumped(*rows))) == [
        {"step": 500, "loss": 2.5, "time": 1795444567.5, "_runtime": 30},
        {"step": 501, "loss": 2.0},
    ]


def test_deepspeed_counts_samples() -> None:
    (block,) = read(RowReader(), dumped({"Train/Samples/train_loss": 2.5, "Train/Samples/lr": 0.1, "_step": 512}))
    assert isinstance(block, Rows)
    assert (block.x_kind, block.steps, block.columns["loss"]) == ("samples", [512], (2.5,))


def test_rows_without_a_step_count_what_was_consumed() -> None:
    (block,) = read(RowReader(), dumped({"loss": 2.5, "tokens_seen": 4096}, {"loss": 2.0, "tokens_seen": 8192}))
    assert isinstance(block, Rows)
    assert (block.x_kind, block.steps) == ("tokens", [4096, 8192])
    # A batch has samples and tokens, too: these count nothing.
    (block,) = read(RowReader(), dumped({"loss": 2.5, "samples": 64}, {"loss": 2.0, "samples": 64}))
    assert isinstance(block, Rows)
    assert (block.x_kind, block.steps) == ("row", [1, 2])


def test_the_summary_of_a_trainer_is_its_end_and_no_loss() -> None:
    rows = [{"loss": 2.5, "epoch": 0.5, "step": 10}, {"train_runtime": 9.5, "train_loss": 0.29, "epoch": 4, "step": 10}]
    records = read(RowReader(), dumped(*rows))
    assert columns(records, "step", "loss") == [[10, 2.5]]
    (summary,) = events_of(records, "summary")
    assert (summary.step, summary.data["train_loss"]) == (10, 0.29)
    assert isinstance(records[-1], End)


def test_validations_without_a_step_stand_at_the_last_one() -> None:
    records = read(RowReader(), dumped({"step": 5, "loss": 2.0}, {"val_loss": 2.5}, {"epoch": 1, "eval_loss": 2.25}))
    assert columns(records, "step", "val_loss") == [[5, 2.5], [5, 2.25]]


def test_a_relaunch_is_no_new_epoch() -> None:
    rows = [
        {"epoch": 2, "step": 100, "loss": 1.0},
        {"epoch": 0, "step": 1, "loss": 2.0},
        {"epoch": 0, "step": 2, "loss": 2},
    ]
    assert [row["step"] for row in rows_of(read(RowReader(), dumped(*rows)))] == [100, 1, 2]


PROSE = [
    {"text": "loss 2.5 at step 3", "label": 1},
    {"step": "one", "loss": 2.5},
    {"event": "loss", "message": "loss is 2.5"},
    {"epoch": 1},
]


@pytest.mark.parametrize("row", PROSE, ids=range(len(PROSE)))
def test_objects_that_are_no_rows_give_no_metric(row: dict[str, Any]) -> None:
    records = read(RowReader(), dumped(row))
    assert not any(isinstance(record, Rows) and record.columns for record in records)


HOSTILE = [
    "[" * 100_000,
    '[{"variant": ' * 30_000,
    '{"step":1,"data":' * 30_000,
    '{"log_type_name":"metric_value","event_name":"loss","step":1,"value":{"a":1}}',
    '{"tracker":"t","event":"log","step":[],"metrics":{"loss":1}}',
    '[{"variant":"a","metric":null,"iter":"x","value":"y"}]',
    '{"train_runtime":"x","train_loss":[],"step":{}}',
]


@pytest.mark.parametrize("line", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_lines_of_trackers_are_no_rows(line: str) -> None:
    reader = RowReader()
    assert rows_of(read(reader, line + "\n")) == []
    counted = [*reader.account.rejected.values(), reader.account.skipped]
    assert sum(tally.count for tally in counted) == 1


def test_a_row_of_five_thousand_metrics_is_a_row() -> None:
    line = "{" + ",".join(f'"m{i}":1' for i in range(5_000)) + ',"step":1,"loss":2}'
    (row,) = rows_of(read(RowReader(), line + "\n"))
    assert (len(row), row["loss"]) == (5_002, 2.0)


def test_a_million_keys_are_refused_by_count() -> None:
    reader = RowReader()
    line = "{" + ",".join(f'"k{i}":1' for i in range(60_000)) + ',"step":1,"loss":2}'
    assert read(reader, line) == []
    assert list(reader.account.rejected) == ["more than 10000 values in a row"]
