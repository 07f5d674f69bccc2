"""The benchmark's runs: labels that make sense, streams that gradtop reads, a cache that is used, real faults."""

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from diagnosis.change import (
    Change,
    Cost,
    Crash,
    Cut,
    Idle,
    KeptGradients,
    LogOfNegative,
    MaskedLabels,
    Overflow,
    Rate,
    Rewound,
    ScaledInputs,
    StillGroup,
    Weights,
)
from diagnosis.models import Shape
from diagnosis.plan import TEXT, Log, Plan, Schedule, Setup, faulty, healthy
from diagnosis.recorder import lines
from diagnosis.runs import CONFIGS, HELD_OUT_SEEDS, TUNING_SEEDS, kept, place
from diagnosis.training import rate

from gradtop.catalogue import PRECEDENCE
from gradtop.record import End, Event, Rows, RunFacts, decode_object
from gradtop.sources.follow.file import open_source

pytestmark = pytest.mark.timeout(60)
"""The first optimizer of a process makes torch import its compiler."""

Line = dict[str, object]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """More threads only wait for each other in networks this small."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def stream(*changes: Change, steps: int = 8, setup: Setup | None = None, every: int = 1) -> list[Line]:
    setup = setup or Setup(log=Log(layers=1, every=every))
    plan = healthy("a_test", steps, "Something happens.", replace(setup, changes=changes))
    return [decode_object(line) for line in lines(plan, 1)]


def rows(found: list[Line]) -> list[dict[str, float]]:
    return [
        {name: float(str(value)) for name, value in line.items() if name != "type"}
        for line in found
        if line["type"] == "metrics"
    ]


def column(found: list[Line], name: str, layer: str) -> list[float | None]:
    """What the records per layer say of one layer."""
    (names,) = [line["names"] for line in found if line["type"] == "layer_names"]
    assert isinstance(names, list)
    at = names.index(layer)
    return [values[at] for line in found if line["type"] == "layers" and isinstance(values := line[name], list)]


def test_labels_are_of_known_kinds_and_both_sides_are_large_enough() -> None:
    assert len({config.name for config in CONFIGS}) == len(CONFIGS)
    assert sum(config.healthy for config in CONFIGS) >= 20
    assert sum(not config.healthy for config in CONFIGS) >= 30
    assert not set(TUNING_SEEDS) & set(HELD_OUT_SEEDS)
    for config in CONFIGS:
        assert 600 <= config.steps <= 2000
        assert config.what.endswith(".")
        assert set(config.kinds) <= set(PRECEDENCE)
        assert len(set(config.kinds)) == len(config.kinds)
        assert config.healthy == (not config.kinds) == (config.onset is None)
        assert config.onset is None or config.onset < config.steps


def test_a_run_is_recorded_once_and_read_by_gradtop(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    setup = Setup(log=Log(layers=2))
    plans = (
        healthy("calm", 12, "Nothing happens.", setup),
        faulty("nan", 5, 12, "nonfinite", "NaN.", replace(setup, changes=(LogOfNegative(first=5),))),
    )
    calm, nan = kept(tmp_path, plans, (7,), 1)
    assert "training 2/2" in capsys.readouterr().err
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert set(before) == {calm.path, nan.path}
    assert [run.path for run in kept(tmp_path, plans, (7,), 1)] == [calm.path, nan.path]
    assert capsys.readouterr().err == ""
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before
    assert [math.isnan(loss) for loss in losses(calm.path)] == [False] * 12
    assert [math.isnan(loss) for loss in losses(nan.path)] == [False] * 5 + [True] * 7


def test_a_run_that_is_cut_short_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = healthy("calm", 12, "Nothing happens.", Setup())

    def cut_short(plan: Plan, seed: int) -> Iterator[bytes]:
        yield next(lines(plan, seed))
        raise KeyboardInterrupt

    monkeypatch.setattr("diagnosis.runs.lines", cut_short)
    with pytest.raises(KeyboardInterrupt):
        list(kept(tmp_path, (plan,), (7,), 1))
    assert not list(tmp_path.iterdir())


def losses(path: Path) -> list[float]:
    """The losses of a recorded run that begins and ends as it should."""
    source = open_source(path)
    records = list(source.read().records)
    while batch := source.read().records:
        records += batch
    records += source.finish().records
    assert source.status.format == "gradtop"
    assert source.status.lines_rejected == 0
    assert isinstance(records[0], RunFacts)
    assert isinstance(records[-1], End)
    return [loss for block in records if isinstance(block, Rows) for loss in block.columns.get("loss", ())]


def test_a_changed_setup_is_kept_in_another_file(tmp_path: Path) -> None:
    plan = healthy("a_test", 100, "Nothing happens.", Setup())
    assert place(tmp_path, plan, 1) == place(tmp_path, replace(plan, config=replace(plan.config, what="")), 1)
    others = [replace(plan, setup=Setup(batch=33)), replace(plan, config=replace(plan.config, steps=101))]
    assert len({place(tmp_path, other, 1) for other in (plan, *others)} | {place(tmp_path, plan, 2)}) == 4


def test_a_stream_depends_on_its_seed_alone() -> None:
    plan = healthy("a_test", 6, "Nothing happens.", TEXT)
    assert list(lines(plan, 1)) == list(lines(plan, 1)) != list(lines(plan, 2))


def test_rows_of_ten_steps_have_their_mean() -> None:
    each = [row["loss"] for row in rows(stream(steps=20))]
    assert [row["loss"] for row in rows(stream(steps=20, every=10))] == pytest.approx(
        [sum(each[:10]) / 10, sum(each[10:]) / 10], rel=1e-5
    )


def test_a_masked_batch_has_neither_loss_nor_gradient() -> None:
    found = rows(stream(MaskedLabels(first=3, until=4)))
    assert [row["step"] for row in found if row["loss"] == row["grad_norm"] == 0] == [3]


@pytest.mark.parametrize("change", [ScaledInputs(first=4, factor=math.nan), Overflow(first=4)])
def test_what_is_not_finite_stays_so(change: Change) -> None:
    found = rows(stream(change, steps=7))
    assert [math.isfinite(row["loss"]) for row in found] == [True] * 4 + [False] * 3


def test_an_overflow_under_a_loss_scale_is_skipped() -> None:
    found = stream(Overflow(first=5, until=6), setup=Setup(scaler=True, log=Log(layers=1)))
    before, after = rows(found)[5:7]
    assert (before["skipped"], before["grad_norm"]) == (1, math.inf)
    assert after["loss_scale"] == before["loss_scale"] / 2
    assert column(found, "update_ratio", "head")[5] == 0


def test_a_cut_leaves_no_gradient_before_it() -> None:
    found = stream(Cut(first=4, layer=1))
    assert [norm is None for norm in column(found, "grad_norm", "layers.1")] == [False] * 4 + [True] * 4
    assert None not in column(found, "grad_norm", "layers.2")


def test_weights_that_stand_still_do_not_move() -> None:
    still = stream(StillGroup(first=4, layers=("layers.0",)))
    assert [ratio == 0 for ratio in column(still, "update_ratio", "layers.0")] == [False] * 4 + [True] * 4
    assert 0 not in column(still, "update_ratio", "head")
    idle = stream(Idle(first=4))
    assert [ratio == 0 for ratio in column(idle, "update_ratio", "head")] == [False] * 4 + [True] * 4


def test_kept_gradients_add_up() -> None:
    calm, kept = (rows(stream(*changes, steps=30))[-1] for changes in ((), (KeptGradients(first=4),)))
    assert kept["grad_norm"] > 5 * calm["grad_norm"]


def test_units_die_of_their_biases() -> None:
    found = stream(Weights(first=4, until=5, bias=-100.0), steps=8)
    assert column(found, "dead_fraction", "layers.0")[5:] == [1.0] * 3


def test_a_rewound_run_repeats_its_steps_in_a_new_session() -> None:
    found = stream(Rewound(first=5, to=2), steps=8)
    assert [row["step"] for row in rows(found)] == [0, 1, 2, 3, 4, 5, 3, 4, 5, 6, 7]
    assert [line["session"] for line in found if line["type"] == "run"] == [1, 2]


def test_a_crash_is_the_last_word() -> None:
    last = stream(Crash(first=5, words="CUDA out of memory."))[-1]
    assert (last["type"], last["event"], last["step"]) == (Event.__struct_config__.tag, "crash", 5)


def test_a_slower_step_takes_longer_on_the_clock() -> None:
    found = rows(stream(Cost(first=4, factor=10.0), setup=Setup(log=Log(machine=True, layers=0))))
    took = [b["time"] - a["time"] for a, b in pairwise(found)]
    assert max(took[:3]) < 0.1 < min(took[3:])
    assert found[5]["tokens_per_s"] < found[3]["tokens_per_s"] / 5


def test_the_rate_follows_its_schedule() -> None:
    schedule = Schedule(lr=1.0, kind="cosine", warmup=4, floor=0.1)
    assert [rate(schedule, step, 12) for step in (0, 3, 4, 8)] == pytest.approx([0.25, 1.0, 1.0, 0.55])
    assert [rate(Schedule(lr=1.0, kind="steps"), step, 100) for step in (49, 50, 75)] == [1.0, 0.1, 0.01]
    assert [rate(Schedule(lr=1.0, kind="restarts", period=10), step, 50) for step in (0, 5, 10)] == [1.0, 0.5, 1.0]
    assert [row["lr"] for row in rows(stream(Rate(first=2, factor=0.0), steps=4))] == [1e-3, 1e-3, 0.0, 0.0]


@pytest.mark.parametrize("kind", ["cnn", "gru"])
def test_every_network_learns(kind: str) -> None:
    task = "text" if kind == "gru" else "digits"
    setup = Setup(task=task, shape=Shape(kind, width=16), batch=8, schedule=Schedule(lr=1e-2), log=Log(layers=0))
    found = rows(stream(steps=60, setup=setup))
    assert sum(row["loss"] for row in found[-10:]) < 0.9 * sum(row["loss"] for row in found[:10])
