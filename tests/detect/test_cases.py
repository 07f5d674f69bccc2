"""Trainings that everybody meets, and what has to be said of them."""

import math
import random
from collections.abc import Callable, Iterable

import pytest
from synthetic import Row, detector, falling, records, verdict

from gradtop.detect import Detector
from gradtop.finding import FindingState, Severity
from gradtop.record import Record, RunFacts, Train
from gradtop.verdict import Verdict

DEPTH = 12
NAMES = [f"blocks.{i}.weight" for i in range(DEPTH)]
Stream = Callable[[], Iterable[Record]]


def noise(chance: random.Random, scale: float) -> float:
    return math.exp(chance.gauss(0, scale))


def plain(rows: Iterable[Row], facts: RunFacts | None = None) -> list[Record]:
    return [*([facts] if facts is not None else []), *records(list(rows))]


def facts(**train: float) -> RunFacts:
    return RunFacts(train=Train(**train))  # type: ignore[arg-type]


def run(n: int = 800, *, lr: float = 3e-4, warmup: int = 0, every: float = 1.0, **how: float) -> list[Row]:
    """A healthy run with a learning rate."""
    rows = falling(n, **how)  # type: ignore[arg-type]
    for row in rows:
        row["lr"] = lr * min(1.0, row["step"] / warmup) if warmup else lr
        row["step"] *= every
    return rows


def changed(rows: list[Row], start: int, stop: int | None = None, **factors: float) -> list[Row]:
    """The rows with some metrics multiplied from `start` to `stop`."""
    for row in rows[start:stop]:
        for name, factor in factors.items():
            row[name] *= factor
    return rows


def flat(rows: list[Row], start: int, seed: int = 1) -> list[Row]:
    """The loss does not fall any more."""
    chance = random.Random(seed)
    for row in rows[start:]:
        row["loss"] = rows[start]["loss"] * noise(chance, 0.003)
    return rows


def deep(
    rows: list[Row],
    grads: Callable[[int, int], float | None],
    updates: Callable[[int, int], float] = lambda i, layer: 1e-3,
) -> list[Row]:
    """The rows with values per layer: grad norm (None: no gradient) and update ratio by row and layer."""
    chance = random.Random(5)
    for i, row in enumerate(rows):
        for layer, name in enumerate(NAMES):
            grad = grads(i, layer)
            if grad is not None:
                row[f"grad_norm/{name}"] = grad * noise(chance, 0.1)
            row[f"weight_norm/{name}"] = 10.0 + 1e-4 * i
            row[f"update_ratio/{name}"] = updates(i, layer) * noise(chance, 0.1)
    return rows


def cosine(n: int, to: int, lr: float = 3e-4) -> list[Row]:
    rows = falling(n)
    for i, row in enumerate(rows):
        row["lr"] = lr * 0.5 * (1 + math.cos(math.pi * min(1.0, (i + 1) / to)))
    return rows


def restarts(n: int = 2400, cycle: int = 800) -> list[Row]:
    rows = falling(n, span=800.0)
    for i, row in enumerate(rows):
        phase = (i % cycle) / cycle
        row["lr"] = 0.05 * (1 + math.cos(math.pi * phase)) + 1e-5
        row["loss"] *= 1.0 + 0.2 * math.cos(math.pi * phase / 2)
    return rows


def skipped(at: Iterable[int], n: int = 800) -> list[Row]:
    """Mixed precision: the loss scale is halved where a step is skipped, and doubled again after it."""
    rows, skips = run(n), set(at)
    for i, row in enumerate(rows):
        row["skipped"], row["loss_scale"] = float(i in skips), 32768.0 if i in skips else 65536.0
        if i in skips:
            row["grad_norm"] = math.inf
    return rows


def validated(rows: list[Row], factor: Callable[[int], float]) -> list[Row]:
    for i, row in enumerate(rows):
        if i % 20 == 19:
            row["val_loss"] = row["loss"] * factor(i)
    return rows


def overfitted() -> list[Row]:
    rows = falling(1600, start=2.3, floor=0.05, span=300.0)
    return validated(rows, lambda i: 1.05 if i < 500 else 1.05 + (i - 500) / 100)


def timed(factor: Callable[[int], float]) -> list[Row]:
    chance, rows = random.Random(3), run()
    for i, row in enumerate(rows):
        row["step_time_s"] = 0.4 * factor(i) * noise(chance, 0.03)
    return rows


def growing(per_step: float) -> list[Row]:
    rows = run(3000, span=900.0)
    for i, row in enumerate(rows):
        row["rss_bytes"] = 8e9 + per_step * i
    return rows


def solved() -> list[Row]:
    chance = random.Random(2)
    return [
        {
            "step": float(i),
            "loss": 2.0 * math.exp(-i / 40) * noise(chance, 0.05) + 1e-6,
            "grad_norm": 3.0 * math.exp(-i / 40) * noise(chance, 0.2) + 1e-7,
        }
        for i in range(1200)
    ]


def near_floor() -> list[Row]:
    chance = random.Random(4)
    return [
        {"step": float(i), "loss": 1.31 * noise(chance, 0.08), "grad_norm": 0.7 * noise(chance, 0.3), "lr": 2e-5}
        for i in range(2000)
    ]


def accumulating(i: int, layer: int) -> float:
    """Gradients of a layer that the optimizer does not know are never zeroed: they add up."""
    return 0.3 if layer < DEPTH - 2 else 0.3 * (i + 1)


def not_in_optimizer() -> list[Row]:
    rows = deep(run(), accumulating, lambda i, layer: 1e-3 if layer < DEPTH - 2 else 0.0)
    for i, row in enumerate(rows):
        row["grad_norm"] = 2.0 + 0.4 * i
    return rows


HEALTHY: dict[str, Stream] = {
    "a wobble in the warm-up": lambda: plain(changed(run(warmup=400), 13, 14, grad_norm=2e-7)),
    "a wobble without a warm-up": lambda: plain(changed(run(), 13, 14, grad_norm=2e-7)),
    "a solved task whose gradient fades": lambda: plain(solved()),
    "a fine-tune near its floor": lambda: plain(near_floor()),
    "loss times 1e-6": lambda: plain(changed(run(), 0, loss=1e-6, grad_norm=1e-6)),
    "loss times 1e4": lambda: plain(changed(run(), 0, loss=1e4, grad_norm=1e4)),
    "decayed to zero at the planned end": lambda: plain(cosine(1000, 1000), facts(total_steps=1000)),
    "warm restarts": lambda: plain(restarts()),
    "a resume that goes back 60 steps": lambda: plain([*run(400), *run(800)[340:]]),
    "one bad batch": lambda: plain(changed(run(), 400, 401, loss=3.0, grad_norm=40.0)),
    "calibration of the loss scale, and one skip later": lambda: plain(skipped([0, 1, 2, 3, 500])),
    "clipping always on, and it learns": lambda: plain(
        changed(run(), 0, grad_norm=30.0), facts(clip_norm=1.0, total_steps=800)
    ),
    "rows every 500 steps": lambda: plain(run(400, every=500.0)),
    "no grad norm at all": lambda: plain({k: v for k, v in row.items() if k != "grad_norm"} for row in run()),
    "a validation loss that follows": lambda: plain(validated(run(), lambda i: 1.1)),
    "layers of all sizes": lambda: plain(deep(run(), lambda i, layer: 0.05 * (layer + 1))),
    "steady steps, and a pause now and then": lambda: plain(timed(lambda i: 40.0 if i % 200 == 199 else 1.0)),
    "memory that is full from the start": lambda: plain(growing(0.0)),
}

FAULTY: dict[str, tuple[Stream, Verdict, str]] = {
    "a deep sigmoid net": (
        lambda: plain(flat(deep(run(), lambda i, layer: 0.3 * 10.0 ** (-8 + 8 * layer / (DEPTH - 1))), 0)),
        Verdict.WATCH,
        "layer_imbalance",
    ),
    "a detached block": (
        lambda: plain(flat(deep(run(), lambda i, layer: 0.0 if i >= 300 and layer == 4 else 0.3), 300)),
        Verdict.WATCH,
        "dead_layer",
    ),
    "a block without any gradient": (
        lambda: plain(flat(deep(run(), lambda i, layer: None if i >= 300 and layer == 4 else 0.3), 300)),
        Verdict.WATCH,
        "dead_layer",
    ),
    "parameters missing from the optimizer": (lambda: plain(not_in_optimizer()), Verdict.WATCH, "frozen_layer"),
    "overflow storm": (lambda: plain(skipped(range(400, 800, 2))), Verdict.WATCH, "amp_skip_storm"),
    "a jump of the learning rate": (
        lambda: plain(changed(changed(run(), 400, lr=10.0), 410, loss=2.5, grad_norm=30.0)),
        Verdict.INTERVENE,
        "lr_jump",
    ),
    "a learning rate of zero halfway": (
        lambda: plain(flat(changed(run(), 400, lr=0.0), 400), facts(total_steps=800)),
        Verdict.WATCH,
        "lr_zero",
    ),
    "a slow divergence": (
        lambda: plain(
            {**row, "loss": row["loss"] * (1 + max(0, i - 300) / 400)} for i, row in enumerate(run(900, span=80.0))
        ),
        Verdict.INTERVENE,
        "loss_divergence",
    ),
    "a loss spike that does not recover": (
        lambda: plain(changed(run(), 400, loss=2.0)),
        Verdict.INTERVENE,
        "loss_divergence",
    ),
    "NaN from a step on": (lambda: plain(changed(run(), 400, loss=math.nan)), Verdict.INTERVENE, "nonfinite"),
    "clipping far below the norm, and it does not learn": (
        lambda: plain(flat(changed(run(), 0, grad_norm=100.0), 0), facts(clip_norm=0.01, total_steps=800)),
        Verdict.WATCH,
        "clip_saturation",
    ),
    "overfitting": (lambda: plain(overfitted()), Verdict.WATCH, "overfitting"),
    "throughput falls tenfold": (
        lambda: plain(timed(lambda i: 10.0 if i >= 500 else 1.0)),
        Verdict.WATCH,
        "throughput_drop",
    ),
    "memory that grows": (lambda: plain(growing(4e6), facts(total_steps=100_000)), Verdict.WATCH, "memory_leak"),
    "NaN in a log with rows every 500 steps": (
        lambda: plain(changed(run(400, every=500.0), 300, loss=math.nan)),
        Verdict.INTERVENE,
        "nonfinite",
    ),
    "a divergence in a log with rows every 500 steps": (
        lambda: plain(changed(run(400, every=500.0), 300, loss=2.0)),
        Verdict.INTERVENE,
        "loss_divergence",
    ),
    "a divergence in a log without grad norm": (
        lambda: plain({k: v for k, v in row.items() if k != "grad_norm"} for row in changed(run(), 400, loss=2.0)),
        Verdict.INTERVENE,
        "loss_divergence",
    ),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_training_keeps_training(name: str) -> None:
    seen = detector(HEALTHY[name]())
    loud = [(f.kind, f.message) for f in seen.findings() if f.severity > Severity.NOTICE]
    assert loud == []
    assert verdict(seen).verdict is Verdict.KEEP_TRAINING


@pytest.mark.parametrize("name", FAULTY)
def test_a_fault_is_found_and_its_cause_named(name: str) -> None:
    stream, expected, kind = FAULTY[name]
    judged = verdict(detector(stream()))
    assert judged.primary is not None
    assert (judged.verdict, judged.primary.kind) == (expected, kind), judged.summary
    assert judged.next_step


def explosion() -> Detector:
    rows = run()
    for i, row in enumerate(rows[400:]):
        row["grad_norm"] *= 10 ** (i / 50)
        row["loss"] *= 1 + i / 200
    return detector(plain(rows))


def test_an_explosion_over_decades_is_found_before_the_loss_has_diverged() -> None:
    found = {f.kind: f for f in explosion().findings() if f.severity > Severity.NOTICE}
    assert found["gradient_exploding"].severity is Severity.INTERVENE
    assert 400 <= found["gradient_exploding"].first_step < found["loss_divergence"].raised_step


def test_spikes_that_recover_are_over_and_those_that_repeat_are_listed() -> None:
    rows = run(2000)
    for at in (500, 900, 1300):
        changed(rows, at, at + 4, loss=2.0)
    seen = detector(plain(rows))
    spikes = [f for f in seen.findings() if f.kind == "loss_spike"]
    assert [(f.state, f.first_step) for f in spikes] == [(FindingState.RECOVERED, at) for at in (1301.0, 901.0, 501.0)]
    assert verdict(seen).verdict is Verdict.KEEP_TRAINING


def test_dying_units_are_named() -> None:
    rows = flat(deep(run(), lambda i, layer: 0.3), 300)
    for i, row in enumerate(rows):
        for layer, name in enumerate(NAMES):
            row[f"dead_fraction/{name}"] = min(0.97, 0.1 + max(0, i - 300) / 300) if layer == 3 else 0.1
    found = {f.kind: f for f in detector(plain(rows)).findings()}
    assert found["dead_units"].severity > Severity.NOTICE
    assert NAMES[3] in found["dead_units"].scope + found["dead_units"].message


def test_a_norm_that_is_printed_as_zero_throughout_has_not_vanished() -> None:
    rows = changed(run(), 0, grad_norm=0.0)
    seen = detector(records(rows, grad_norm=0.0005))
    assert [f.kind for f in seen.findings()] == ["measurement_suspect"]
    assert verdict(seen).verdict is Verdict.KEEP_TRAINING


def test_what_a_log_without_grad_norm_cannot_tell_is_said() -> None:
    seen = detector(HEALTHY["no grad norm at all"]())
    blind = {one.kind: one for one in seen.coverage() if one.why}
    assert blind["gradient_vanishing"].why == "no grad norm in this log"
    assert "grad norm" in blind["gradient_vanishing"].needs
    assert {"gradient_exploding", "layer_imbalance", "overfitting", "memory_leak"} <= set(blind)
    assert not {"loss_spike", "loss_divergence", "no_learning", "lr_zero"} & set(blind)


def test_the_layer_that_moved_first_is_named() -> None:
    rows = deep(changed(run(), 400, loss=2.0), lambda i, layer: 30.0 if i >= 398 and layer == 7 else 0.3)
    (finding,) = [f for f in detector(plain(rows)).findings() if f.kind == "loss_divergence"]
    assert "Look at the layers: blocks.7.weight moved first, at step 399." in finding.checks


def test_names_of_layers_do_not_make_a_run_a_gan() -> None:
    rows = [{**row, "grad_norm/decoder.generator.proj": 0.3} for row in changed(run(), 400, loss=2.0)]
    assert verdict(detector(plain(rows))).verdict is Verdict.INTERVENE
