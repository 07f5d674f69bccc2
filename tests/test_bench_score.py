"""The benchmark's measure: what counts as found, as false and as early, and the published rules of other tools."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from diagnosis.injection import INJECTIONS, injected, whole
from diagnosis.peers import PEERS, fired
from diagnosis.reading import Window
from diagnosis.replay import BLOOM, CORPUS, bloom_slowdown, bloom_spike, curves, listed, thinned
from diagnosis.score import Alarm, Outcome, Rate, Truth, peer_score, poisson_upper, quantile, score
from diagnosis.table import aligned, complaints, kinds, overview, peers, targets
from diagnosis.watch import Told, outcome, read, size, watched

from gradtop.finding import Finding, FindingState, Severity
from gradtop.record import Rows

HEALTHY = Truth("calm", steps=1000)
FAULTY = Truth("jump", ("lr_jump", "loss_divergence"), 100, 600)
WATCH, ACT, NOTE = Severity.WATCH, Severity.INTERVENE, Severity.NOTICE


def said(kind: str, step: float, severity: Severity = WATCH) -> Alarm:
    return Alarm(kind, severity, step, "a message")


def run(truth: Truth, *alarms: Alarm, primary: str = "") -> Outcome:
    return Outcome(truth, 0, alarms, primary)


def test_an_alarm_after_the_onset_finds_the_fault() -> None:
    late = run(FAULTY, said("loss_divergence", 130), said("lr_jump", 112), primary="loss_divergence")
    assert (late.found, late.delay, late.named, late.in_family) == (True, 12, False, True)
    assert not late.false_alarms


def test_an_alarm_at_the_onset_is_no_early_one() -> None:
    assert run(FAULTY, said("lr_jump", 100)).delay == 0
    early = run(FAULTY, said("lr_jump", 99))
    assert (early.found, len(early.false_alarms)) == (False, 1)


def test_another_kind_and_a_notice_do_not_find_it() -> None:
    wrong = run(FAULTY, said("oscillation", 120), said("lr_jump", 100, NOTE))
    assert (wrong.found, wrong.false_alarms) == (False, ())
    noted = run(Truth("skip", ("amp_overflow",), 50, 100), said("amp_overflow", 51, NOTE))
    assert noted.delay == 1


def test_a_fault_from_the_start_has_no_early_alarms() -> None:
    assert run(Truth("bad", ("no_learning",)), said("no_learning", 40)).delay == 40


def test_the_score_counts_each_thing_once() -> None:
    result = score(
        [
            run(HEALTHY, said("loss_spike", 5), said("loss_spike", 50, ACT), said("oscillation", 9, NOTE)),
            run(HEALTHY),
            run(FAULTY, said("lr_jump", 100), said("oscillation", 110), primary="lr_jump"),
            run(FAULTY, said("lr_jump", 20), primary="lr_jump"),
        ]
    )
    assert (result.found.some, result.found.of, result.named.some) == (1, 2, 2)
    assert (result.warnings, result.criticals) == (Rate(1, 2000), Rate(1, 2000))
    assert (result.flagged.some, result.early) == (1, Rate(1, 200))
    by_kind = {kind.kind: kind for kind in result.kinds}
    assert list(by_kind) == ["lr_jump", "loss_spike", "oscillation"]
    assert (by_kind["lr_jump"].right.some, by_kind["lr_jump"].right.of) == (1, 2)
    assert (by_kind["oscillation"].right.some, by_kind["oscillation"].right.of) == (0, 1)
    assert by_kind["lr_jump"].delays == (0,)


def test_tables_fit_and_name_what_went_wrong() -> None:
    outcomes = [run(HEALTHY, said("loss_spike", 5)), run(FAULTY, said("oscillation", 120))]
    result = score(outcomes)
    lines = [*overview(result), *kinds(result), *targets(result)]
    lines += peers([(peer_score("a rule", [(o, ()) for o in outcomes]), Rate(0, 0), result.flagged)])
    assert max(map(len, lines)) <= 100
    text = "\n".join(complaints(outcomes))
    assert "watch loss_spike at step 5 in calm, seed 0: a message" in text
    assert "jump, seed 0, onset 100: expected lr_jump, loss_divergence; said watch oscillation at step 120" in text


@pytest.mark.parametrize(("events", "bound"), [(0, 2.996), (1, 4.744), (5, 10.513), (100, 118.079)])
def test_the_poisson_bound_is_the_exact_one(events: int, bound: float) -> None:
    assert poisson_upper(events) == pytest.approx(bound, abs=1e-3)


def test_quantiles_are_values_of_the_sample() -> None:
    assert [quantile([4, 1, 3, 2], share) for share in (0.5, 0.9, 0.0)] == [2, 4, 1]
    assert math.isnan(quantile([], 0.5))
    assert aligned(("a", "b"), [("long", "1")]) == ["a     b", "-------", "long  1"]


def finding(first: float, severity: Severity, raised: float, kind: str = "loss_spike") -> Finding:
    return Finding(kind, "total", severity, FindingState.ACTIVE, first, raised, raised, 1, "")


def test_what_was_told_stays_told() -> None:
    told = Told()
    told.look((finding(10, NOTE, 10),), [10])
    told.look((finding(10, WATCH, 12),), [10, 11, 12])
    told.look((finding(10, ACT, 20),), [12, 20])
    told.look((), [20, 30])
    assert (told.alarms, told.backdated) == ((Alarm("loss_spike", ACT, 12),), 0)


def test_an_alarm_counts_from_when_it_was_told() -> None:
    told = Told()
    told.look((), [10, 11])
    told.look((finding(8, WATCH, 9),), [11, 12])
    assert (told.alarms, told.backdated) == ((Alarm("loss_spike", WATCH, 12),), 1)


def test_episodes_that_are_counted_together_are_not_a_second_alarm() -> None:
    told = Told()
    told.look((finding(10, WATCH, 12),), [12])
    told.look((finding(5, WATCH, 30),), [12, 30])
    told.look((finding(5, WATCH, 30), finding(40, WATCH, 41)), [30, 41])
    assert [alarm.step for alarm in told.alarms] == [12, 41]


def stream(rows: Sequence[Mapping[str, float]]) -> list[Rows]:
    """One block a row, with the row's place as its step."""
    return [Rows([i], {name: [value] for name, value in row.items()}) for i, row in enumerate(rows)]


def begun(rows: Sequence[Mapping[str, float]]) -> dict[str, tuple[float, ...]]:
    """The rules that fire, with the steps at which their alarms begin."""
    return {name: tuple(first for first, _ in spans) for name, spans in fired(PEERS, stream(rows)).items() if spans}


def falling(n: int, grad: float = 1.0) -> list[dict[str, float]]:
    """A loss that halves every 20 steps and a grad norm that moves a little."""
    return [{"loss": 8.0 * 0.5 ** (i / 20), "grad_norm": grad * (1 + 0.1 * (i % 3))} for i in range(n)]


def test_no_rule_fires_on_a_smooth_fall() -> None:
    assert begun(falling(400)) == {}


def test_a_nan_loss_fires_the_rules_that_look_at_it() -> None:
    rows = falling(200)
    rows[150]["loss"] = math.nan
    assert begun(rows) == {
        "SageMaker LossNotDecreasing": (150.0,),
        "SageMaker ExplodingTensor": (150.0,),
        "OLMo-core 6 sigma of 128": (150.0,),
        "Lightning SpikeDetection": (150.0,),
        "Composer NaNMonitor": (150.0,),
    }


def test_a_level_twice_as_high_fires_a_killed_spike_at_its_fifth_step() -> None:
    rows = [{"loss": 1.0 if i < 200 else 2.5} for i in range(210)]
    assert begun(rows)["llm-foundry KillLossSpike"] == (204.0,)


def test_ten_times_the_largest_of_the_first_losses_is_spiky() -> None:
    rows = [{"loss": {60: 12.0, 120: 119.0, 140: 121.0}.get(i, 10.0)} for i in range(150)]
    assert begun(rows)["Megatron-LM spiky loss"] == (140.0,)


def test_small_gradients_fire_every_fixed_floor() -> None:
    rows = [{"loss": 8.0 * 0.5 ** (i / 20), "grad_norm": 1e-7 * (1 + 0.1 * (i % 3))} for i in range(60)]
    assert begun(rows) == {"grad norm < 1e-6": (0.0,)}


def test_layers_fire_what_looks_at_layers() -> None:
    layers = {"grad_norm/a.weight": 1e-8, "grad_norm/a.bias": 0.5, "grad_norm/b.weight": 0.2, "update_ratio/a": 20.0}
    assert begun([layers]) == {
        "SageMaker VanishingGradient": (0.0,),
        "SageMaker WeightUpdateRatio": (0.0,),
        "AutoTrainer gradient vanish": (0.0,),
    }
    assert begun([{"grad_norm/a": 8.0, "grad_norm/b": 0.1}]) == {"AutoTrainer gradient explode": (0.0,)}
    dead = {"grad_norm/a": 0.0, "grad_norm/b": 0.0, "grad_norm/c": 0.0, "grad_norm/d": 0.1}
    assert "AutoTrainer dying ReLU" in begun([dead])


def test_a_gap_between_validation_and_training_has_to_last_for_two_evaluations() -> None:
    rows = falling(100)
    for i in (20, 40, 60):
        rows[i]["val_loss"] = 20.0
    assert begun(rows)["SageMaker Overfit"] == (40.0,)


def test_an_alarm_that_goes_on_is_one() -> None:
    rows = falling(300)
    for i in [*range(100, 110), 115, 200]:
        rows[i]["grad_norm"] = 1e-9
    assert fired(PEERS, stream(rows))["grad norm < 1e-6"] == ((100.0, 115.0), (200.0, 200.0))


def test_a_rule_that_never_stops_has_found_the_fault_but_early() -> None:
    result = peer_score("a rule", [(run(FAULTY), ((5.0, 400.0),)), (run(FAULTY), ((5.0, 99.0),)), (run(HEALTHY), ())])
    assert (result.found.some, result.early.some, result.flagged.some, result.rate) == (1, 2, 0, Rate(0, 1000))


def test_the_window_forgets_what_left_it() -> None:
    window = Window(4)
    for value in (math.inf, 1e12, 3.0, 5.0, 3.0, 5.0):
        window.add(value)
    assert window.mean == 4.0
    assert window.deviation == pytest.approx(math.sqrt(4 / 3))
    window.add(math.nan)
    assert math.isnan(window.mean)
    assert math.isnan(window.deviation)


def test_a_run_is_judged_from_its_file(tmp_path: Path) -> None:
    rows = [f'{{"step": {i}, "loss": {2.0 + 0.01 * (i % 3) if i < 80 else "NaN"}}}\n' for i in range(120)]
    path = tmp_path / "run.jsonl"
    path.write_text("".join(rows))
    judged = outcome(Truth("nan", ("nonfinite",), 80), 3, read(path))
    assert (judged.found, judged.named, judged.steady, judged.rows) == (True, True, True, 120)
    assert judged.delay is not None
    assert judged.delay <= 5
    assert judged.state_bytes > 1000
    assert judged.us_per_row > 0


def test_thinning_keeps_whole_steps() -> None:
    blocks = [Rows([1, 2, 3, 4], {"loss": [1.0, 2.0, 3.0, 4.0]}), Rows([4, 5], {"lr": [0.1, 0.2]})]
    assert [(list(r.steps), *r.columns) for r in thinned(blocks, 3) if isinstance(r, Rows)] == [
        ([1], "loss"),
        ([4], "loss"),
        ([4], "lr"),
    ]
    assert list(thinned(blocks, 1)) == blocks


def test_the_published_values_are_in_the_replay() -> None:
    rows = bloom_spike(0)
    at = {step: (loss, norm) for step, loss, norm in zip(rows.steps, *rows.columns.values(), strict=True)}
    assert all(at[step] == (loss, norm) for step, loss, norm in BLOOM)
    assert list(rows.steps) == sorted(set(rows.steps))
    times = bloom_slowdown(0).columns["step_time_s"]
    assert sum(times[400:]) / sum(times[:400]) == pytest.approx(111.1 / 105.2, abs=2e-3)


def test_the_spike_of_the_replay_is_said_to_be_one() -> None:
    alarms = watched([bloom_spike(0)])[1].alarms
    assert any(alarm.kind == "loss_spike" and 31219 <= alarm.step <= 31221 for alarm in alarms)


def test_size_counts_what_is_shared_once() -> None:
    part = [0.5] * 1000
    assert size([part, part]) < 2 * size(part)


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the recorded logs are not here")
def test_real_logs_are_found_once_each() -> None:
    assert len(curves(CORPUS)) == 25
    assert all(path.exists() for path in listed(CORPUS))
    shortest = min(curves(CORPUS), key=lambda path: path.stat().st_size)
    assert len(whole(shortest)) == 1
    doubled = next(i for i, injection in enumerate(INJECTIONS) if injection.name == "+100 % for 2 steps")
    assert injected(shortest, doubled, 0.0).kind == "loss_spike"


def test_a_folder_without_logs_has_none(tmp_path: Path) -> None:
    assert (curves(tmp_path), listed(tmp_path)) == ([], [])
