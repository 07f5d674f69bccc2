"""Trainings whose loss need not fall are recognised by their metrics, or taken as their user says."""

import pytest

from gradtop.config import PROFILES, Limits
from gradtop.coverage import REMEDY
from gradtop.detect import Detector
from gradtop.detect.goal import Goal, goal
from gradtop.record import Rows
from gradtop.run import Run


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["loss", "grad_norm", "lr"], None),
        (["loss", "klondike", "discount", "rewarding"], None),
        (["loss", "train/reward"], Goal("rl", "train/reward")),
        (["actor/pg_loss", "critic/vf_loss"], Goal("rl", "actor/pg_loss")),
        (["G_loss", "D_loss"], Goal("gan", "G_loss")),
        (["loss", "kl", "elbo"], Goal("vae", "elbo")),
        (["loss", "objective/kl"], Goal("rl", "objective/kl")),
        (["kl", "rewards", "loss_d"], Goal("gan", "loss_d")),
    ],
)
def test_metrics_tell_what_a_training_is_after(names: list[str], expected: Goal | None) -> None:
    assert goal(names) == expected


@pytest.mark.parametrize("profile", PROFILES)
def test_what_the_user_says_goes_before_the_names(profile: str) -> None:
    found = goal(["reward"], profile)
    expected = {"auto": Goal("rl", "reward"), "supervised": None}
    assert found == expected.get(profile, Goal(profile))
    assert goal(["loss"], profile) == (None if profile in expected else Goal(profile))


def detector(limits: Limits, *columns: str) -> Detector:
    """The rules after a loss that rises threefold and stays there, beside each of the metrics in turn."""
    run, found = Run(), Detector(limits)
    for part, column in enumerate(columns):
        steps = [float(100 * part + i) for i in range(100)]
        losses = [1.0 + i % 2 / 100 if i < 50 else 3.0 for i in range(100)]
        for seen in run.apply(Rows(steps=steps, columns={"loss": losses, column: [1.0] * 100})):
            found.feed(seen)
    return found


@pytest.mark.parametrize(
    ("profile", "column", "off"),
    [
        ("auto", "lr", ""),
        ("auto", "reward", "by its metric reward"),
        ("supervised", "reward", ""),
        ("gan", "lr", "GAN"),
    ],
)
def test_rules_for_a_loss_that_has_to_fall_are_off(profile: str, column: str, off: str) -> None:
    found = detector(Limits(profile=profile), column)
    told = {one.kind: (one.why, one.needs) for one in found.coverage()}["loss_divergence"]
    assert off in found.goal
    assert bool(found.goal) is bool(off)
    assert ("loss_divergence" in {f.kind for f in found.findings()}) is not bool(off)
    if off:
        assert told == (f"{found.goal}: the loss need not fall", f"a loss that has to fall: {REMEDY}")
    else:
        assert told[0] == ""


def test_the_surest_name_tells_however_late_it_comes() -> None:
    assert detector(Limits(), "kl", "elbo").goal == "a VAE, by its metric elbo"
    assert detector(Limits(), "elbo", "kl").goal == "a VAE, by its metric elbo"


def test_what_counts_otherwise_than_the_run_tells_what_it_is_after_too() -> None:
    seen = Detector()
    run = Run()
    for rows in (
        Rows([1, 2, 3], {"loss": [1.0, 1.0, 1.0]}),
        Rows([10, 20], {"last reward": [9.0, 11.0]}, x_kind="episode"),
    ):
        for observation in run.apply(rows):
            seen.feed(observation)
    assert seen.goal == "reinforcement learning, by its metric last reward"
