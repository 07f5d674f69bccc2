"""Lines of the stream: strict JSON, and what the reading side makes of them."""

import json
import math
from typing import Any

import pytest

from gradtop import record
from gradtop.logger import line


def strict(raw: bytes) -> dict[str, Any]:
    """A line by a parser that refuses what JSON does not have."""

    def refuse(constant: str) -> float:
        raise AssertionError(f"not JSON: {constant}")

    assert raw.endswith(b"\n")
    assert raw.count(b"\n") == 1
    found: dict[str, Any] = json.loads(raw, parse_constant=refuse)
    return found


def test_a_row_carries_what_is_not_finite_as_words() -> None:
    row = strict(line.metrics(3, 1.25, {"loss": math.nan, "grad_norm": math.inf, "lr": -math.inf, "x": 0.1}))
    assert row == {
        "type": "metrics", "step": 3, "time": 1.25, "loss": "NaN", "grad_norm": "Infinity", "lr": "-Infinity", "x": 0.1,
    }  # fmt: skip


def test_a_metric_cannot_take_the_place_of_the_step() -> None:
    assert strict(line.metrics(3, 1.0, {"step": 9.0, "type": 1.0, "time": 2.0}))["step"] == 3


def test_layers_tell_no_gradient_from_zero_and_from_nan() -> None:
    row = strict(line.layers(7, 2.0, "n1", {"grad_norm": [None, 0.0, math.nan, 1.23456789]}))
    assert row["grad_norm"] == [None, 0.0, "NaN", 1.23457]


def test_facts_leave_out_what_is_not_known() -> None:
    facts = strict(line.run(run="a", session=2, model={"params": None}, train={"clip_norm": None, "lr_max": math.inf}))
    assert facts == {"type": "run", "schema": "gradtop/1", "run": "a", "session": 2, "train": {"lr_max": "Infinity"}}


@pytest.mark.parametrize(
    "raw",
    [
        line.run(run="a\nb\x1b[2J", session=1, host="n1", pid=3, rank=0, world_size=2, argv=["train.py", "\ud800"]),
        line.layer_names("n1", ["embed", "head"], [3, 4]),
        line.event("skipped_step", step=3, time=1.0, message="fp16 overflow", level="warning", data={"x": math.nan}),
        line.end("finished", step=None, time=5.0),
    ],
)
def test_the_reading_side_has_a_record_for_each_typed_line(raw: bytes) -> None:
    assert record.typed(strict(raw)) is not None


def test_both_sides_name_one_schema() -> None:
    assert line.SCHEMA == record.SCHEMA


def test_foreign_objects_do_not_break_an_event() -> None:
    found = strict(line.event("word", step=1, time=1.0, message="", level="info", data={"path": object, "n": 3}))
    assert found["data"]["n"] == 3
