"""The post-mortem of a spike, on made-up streams and on the published values of a real one."""

import math
import random
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradtop.config import Limits
from gradtop.detect.perlayer import Move
from gradtop.finding import Finding, FindingState, Severity
from gradtop.history import Store
from gradtop.machine import Gpu, Machine, MachineView
from gradtop.record import Record, Rows, RunFacts, Train
from gradtop.snapshot import RunSnapshot, RunState
from gradtop.verdict import judge
from gradtop.view.incident import KINDS, incident_entries, traces_of
from gradtop.view.window import window_of

Row = Mapping[str, float]


def rows_of(rows: Iterable[Row]) -> Iterable[Rows]:
    for row in rows:
        yield Rows([row["step"]], {name: [value] for name, value in row.items() if name != "step"})


def run_of(rows: Iterable[Row], train: Train | None = None) -> RunSnapshot:
    store = Store(Limits())
    records: list[Record] = [RunFacts(train=train)] if train is not None else []
    store.apply([*records, *rows_of(rows)])
    found = store.detector.findings()
    return RunSnapshot(
        id="run", name="run", path=Path("run"), state=RunState.LIVE, read=1.0, view=store.run.view(), findings=found,
        judgement=judge(found, rows=store.detector.rows, ended=None, loading=None), sources=(), changed_at=None,
        rate=None, eta_s=None, moves=store.detector.moves,
    )  # fmt: skip


def only(run: RunSnapshot, kind: str) -> Finding:
    return max((f for f in run.findings if f.kind == kind), key=lambda f: f.severity)


def told(run: RunSnapshot, finding: Finding) -> list[str]:
    return [entry.text for entry in incident_entries(run, finding)]


def bloom() -> list[Row]:
    """The published values of one spike, after a quiet prefix and before a return that are made up."""
    random_ = random.Random(3)
    losses = (2.199, 2.220, 2.595, 2.242, 2.345, 5.098, 3.492, 3.213, 2.805)
    norms = (0.242, 0.947, 2.390, 15.886, 145.119, 960.351, 353.201, 379.330, 650.246)
    quiet = [(2.21 * math.exp(random_.gauss(0, 0.01)), 0.2 * math.exp(random_.gauss(0, 0.1))) for _ in range(200)]
    back = [(2.22 + 0.5 * 0.8**i, 0.267 + 300 * 0.55**i) for i in range(60)]
    values = [*quiet, *zip(losses, norms, strict=True), *back]
    return [{"step": 31_014.0 + i, "loss": loss, "grad_norm": norm} for i, (loss, norm) in enumerate(values)]


def test_the_published_spike_of_bloom_began_in_the_grad_norm() -> None:
    run = run_of([{**row, "lr": 6e-5} for row in bloom()], Train(clip_norm=1.0))
    lines = told(run, only(run, "loss_spike"))
    assert lines[:7] == [
        "What else moved",
        "what             before    in it    after  moved",
        "loss               2.21     5.10     2.23  at its start",
        "grad norm         0.204      960    0.270  1 step before",
        "clipped            0/50    17/17           rows above clip 1",
        "learning rate      6e-5     6e-5     6e-5  did not move",
        "grad norm moved first, at step 31,215; then loss at 31,216.",
    ]
    assert "cannot tell: loss scale, GPU, layers (not in this log)" in lines


def wavy(steady: Row) -> list[dict[str, float]]:
    """A loss with a spike at step 100, and a stream that does not care."""
    rows = [{"step": float(i), "loss": 3.0 + 0.01 * math.sin(i), **steady} for i in range(200)]
    for row in rows[100:103]:
        row["loss"] = 9.0
    return rows


def test_what_did_not_move_is_said_not_to_have() -> None:
    run = run_of(wavy({"grad_norm": 1.0}))
    lines = told(run, only(run, "loss_spike"))
    assert "grad norm          1.00     1.00     1.00  did not move" in lines
    assert "Nothing else that is logged moved with it." in lines


def test_nan_is_what_a_stream_was_in_it_and_now() -> None:
    rows = [{"step": float(i), "loss": 3.0 if i < 100 else math.nan, "grad_norm": 1.0} for i in range(130)]
    run = run_of(rows)
    lines = told(run, only(run, "nonfinite"))
    assert lines[1].split() == ["what", "before", "in", "it", "now", "moved"]
    assert "loss               3.00      NaN      NaN  at its start" in lines


def test_a_jump_of_the_learning_rate_before_it_is_named() -> None:
    rows = wavy({"loss_scale": 65536.0})
    for i, row in enumerate(rows):
        row["lr"] = 1e-4 if i < 98 else 1e-3
    run = run_of(rows)
    lines = told(run, only(run, "loss_spike"))
    assert "learning rate      1e-4    0.001    0.001  2 steps before" in lines
    assert "learning rate moved first, at step 98; then loss at 100." in lines
    assert "loss scale       65,536   65,536   65,536  did not move" in lines


def test_too_few_rows_before_it_cannot_say_what_was_usual() -> None:
    rows = [{"step": float(i), "loss": 3.0 if i < 3 else math.nan} for i in range(30)]
    run = run_of(rows)
    lines = told(run, only(run, "nonfinite"))
    assert "loss                  –      NaN      NaN  cannot tell: 3 rows before" in lines
    assert "cannot tell what moved first: there is too little before it" in lines
    assert "Nothing else that is logged moved with it." not in lines


def test_the_slow_first_step_of_a_run_does_not_lead_to_what_comes_after_it() -> None:
    times = [1.14, *(0.005 + 0.0001 * (i % 3) for i in range(29))]
    run = run_of({"step": float(i), "loss": 3.0 if i < 8 else math.nan, "step_time_s": times[i]} for i in range(30))
    lines = told(run, only(run, "nonfinite"))
    assert any(line.startswith("step time (s)") and line.endswith("did not move") for line in lines)
    assert "Nothing else that is logged moved with it." in lines


def layered(moves: Mapping[int, float]) -> RunSnapshot:
    random_ = random.Random(1)
    rows: list[Row] = []
    for i in range(200):
        factor = moves.get(i, 1.0)
        late = moves.get(i - 2, 1.0) if 100 <= i < 106 else 1.0
        row = {"step": float(i), "loss": 3.0 * math.exp(random_.gauss(0, 0.01)) * (4.0 if 102 <= i < 105 else 1.0)}
        row["grad_norm"] = math.exp(random_.gauss(0, 0.05)) * max(1.0, late)
        row["grad_norm/blocks.0"] = math.exp(random_.gauss(0, 0.1)) * late
        row["grad_norm/blocks.7"] = math.exp(random_.gauss(0, 0.1)) * factor
        row["grad_norm/head"] = math.exp(random_.gauss(0, 0.1))
        rows.append(row)
    return run_of(rows)


def test_the_layer_that_moved_first_is_named_with_how_far_and_when() -> None:
    run = layered({100: 100.0, 101: 100.0, 102: 100.0, 103: 100.0})
    lines = told(run, only(run, "loss_spike"))
    first = next(line for line in lines if "blocks.7" in line)
    assert first.startswith("blocks.7 at step 100 (2 steps before): ")
    assert "decades" in first
    assert first.endswith("σ) above its own usual")
    assert not any("layers (not in this log)" in line for line in lines)


def test_layers_that_stayed_where_they_were_are_said_to_have() -> None:
    run = layered({})
    assert "No layer was seen to leave the usual range of its own gradient around it." in told(
        run, only(run, "loss_spike")
    )


def test_moves_that_are_not_kept_any_more_are_not_said_to_be_none() -> None:
    run = layered({})
    later = tuple(Move(1000.0 + i, "head", 1, 3) for i in range(256))
    found = only(run, "loss_spike")
    assert "cannot tell: which layers moved so long ago is not kept" in told(replace(run, moves=later), found)
    assert "No layer was seen to leave the usual range of its own gradient around it." in told(
        replace(run, moves=later[:9]), found
    )


def test_layers_whose_gradients_stop_being_finite_are_named_without_a_size() -> None:
    rows = [
        {
            "step": float(i),
            "loss": 3.0 if i < 100 else math.nan,
            "grad_norm/a.0": 1.0,
            "grad_norm/a.1": 1.0 if i < 99 else math.nan,
        }
        for i in range(130)
    ]
    run = run_of(rows)
    lines = told(run, only(run, "nonfinite"))
    assert "a.1: gradients not finite from step 99 (1 step before)" in lines


def test_a_gpu_that_was_slowed_is_named_with_the_reason() -> None:
    rows = wavy({"gpu0/utilization": 0.97})
    for i, row in enumerate(rows):
        row |= {"gpu1/utilization": 0.97 if i < 100 else 0.2, "gpu1/throttle_reasons": 0.0 if i < 99 else 64.0}
    run = run_of(rows)
    lines = told(run, only(run, "loss_spike"))
    assert any(line.startswith("GPU 1 use") and line.endswith("at its start") for line in lines)
    assert any("GPU 1 slowed" in line and "1 step before: heat (hardware limit)" in line for line in lines)
    assert "GPU 1 slowed moved first" in " ".join(lines)


def sampled(at: range, every: float = 1.0) -> RunSnapshot:
    """A spike at step 100, a row a second, and samples of two GPUs at some seconds; one drops when it begins."""
    rows = wavy({})
    for i, row in enumerate(rows):
        row["time"] = 1000.0 + i
    samples = tuple(
        Machine(
            time=1000.0 + second * every,
            gpus=(
                Gpu(index=0, utilization=0.97, temperature_c=60.0),
                Gpu(
                    index=1,
                    utilization=0.96 if second * every < 98 else 0.1,
                    memory_used_bytes=40 * 2**30,
                    throttle_reasons=0x40 if 98 <= second * every < 104 else 0,
                ),
            ),
        )
        for second in at
    )
    return replace(run_of(rows), machine=MachineView(samples))


def test_samples_of_the_gpus_are_laid_beside_the_rows_by_time() -> None:
    run = sampled(range(200))
    lines = told(run, only(run, "loss_spike"))
    assert "GPU 1 use         0.960    0.100    0.100  2 steps before" in lines
    assert "GPU 0 °C           60.0     60.0     60.0  did not move" in lines
    assert "GPU 1 memory   40.0 GiB 40.0 GiB 40.0 GiB  did not move" in lines
    assert "GPU 1 slowed                               2 steps before: heat (hardware limit)" in lines
    assert "GPU 1 slowed and GPU 1 use moved first, at step 98; then loss at 100." in lines


def test_samples_that_do_not_reach_the_incident_are_said_not_to() -> None:
    late, early = sampled(range(150, 200)), sampled(range(50))
    assert "cannot tell: GPU (its first sample was taken 46s after)" in told(late, only(late, "loss_spike"))
    assert "cannot tell: GPU (its last sample was taken 51s before)" in told(early, only(early, "loss_spike"))
    run = sampled(range(200))
    timeless = replace(run, view=replace(run.view, series={"loss": run.view.series["loss"]}))
    found = told(timeless, only(run, "loss_spike"))
    assert "cannot tell: GPU (its rows have no times to find samples by)" in found


def test_rare_samples_tell_of_an_incident_between_them() -> None:
    run = sampled(range(0, 30), every=9.0)
    lines = told(run, only(run, "loss_spike"))
    assert "GPU 1 use         0.960    0.100    0.100  at its start" in lines
    assert "GPU 0 °C           60.0     60.0     60.0  did not move" in lines


def test_other_kinds_have_no_post_mortem() -> None:
    run = run_of(bloom())
    assert told(run, replace(only(run, "loss_spike"), kind="loss_plateau")) == []


HOSTILE = st.one_of(
    st.floats(), st.sampled_from([0.0, -0.0, 1e-320, 1e308, -1e308, math.nan, math.inf, -math.inf, 3.0])
)


@given(
    values=st.lists(st.tuples(HOSTILE, HOSTILE), min_size=1, max_size=60),
    kind=st.sampled_from(sorted(KINDS)),
    first=st.integers(0, 70),
    length=st.integers(0, 70),
    state=st.sampled_from(FindingState),
)
def test_no_stream_is_too_odd(
    values: list[tuple[float, float]], kind: str, first: int, length: int, state: FindingState
) -> None:
    rows = [{"step": float(i), "loss": loss, "grad_norm": norm, "lr": norm} for i, (loss, norm) in enumerate(values)]
    run = run_of(rows, Train(clip_norm=1.0))
    finding = Finding(kind, "loss", Severity.WATCH, state, first, first + length, first, 1, "")
    assert all(trace.blind or trace.label for trace in traces_of(run, finding))
    assert "" not in told(run, finding)
    window = window_of(replace(run, findings=(finding,)), finding)
    assert window is None or window.first_step <= window.last_step


@pytest.mark.parametrize("x_kind", ["epoch", "samples"])
def test_a_stream_that_counts_something_else_cannot_be_compared(x_kind: str) -> None:
    run = run_of(bloom())
    odd = replace(run.view.series["grad_norm"], x_kind=x_kind)
    run = replace(run, view=replace(run.view, series={**run.view.series, "grad_norm": odd}))
    lines = told(run, only(run, "loss_spike"))
    assert f"cannot tell: grad norm (it is logged by {x_kind}, the run by step)" in lines
