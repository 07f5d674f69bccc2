import pytest

from gradtop.sources.fields.number import Number
from gradtop.sources.fields.plan import plan_row


def planned(structured: bool = True, **fields: float) -> dict[str, float]:
    """The columns of a row with these fields."""
    numbers = [(name.replace("__", "/"), Number(value)) for name, value in fields.items()]
    plan = plan_row(numbers, structured)
    return dict(zip(plan.names, plan.values([n.value for _, n in numbers]), strict=True))


def step_of(*names: str) -> str | None:
    """The name of the field that a row with these fields counts by."""
    plan = plan_row([(name, Number(1.0)) for name in names], structured=True)
    return plan.step.raw if plan.step else None


@pytest.mark.parametrize(
    ("names", "step"),
    [
        (("iter", "step", "epoch"), "step"),
        (("iteration", "global_step"), "global_step"),
        (("batch", "iter", "loss"), "iter"),
        (("_step", "train/global_step"), "train/global_step"),
        (("_step", "loss"), "_step"),
        (("epoch", "loss"), "epoch"),
        (("loss",), None),
    ],
)
def test_of_several_counters_the_most_telling_is_the_step(names: tuple[str, ...], step: str | None) -> None:
    assert step_of(*names) == step


def test_the_canonical_name_wins_and_the_other_stays_itself() -> None:
    assert planned(total_loss=3, loss=2, aux_loss=1) == {"total_loss": 3, "loss": 2, "aux_loss": 1}
    assert planned(structured=False, total_loss=3, loss=2, aux_loss=1) == {"loss": 2, "aux_loss": 1}


def test_the_norm_before_clipping_is_preferred() -> None:
    assert planned(learning__grad_norm=1, learning__raw_grad_norm=3)["grad_norm"] == 3


def test_short_words_need_company() -> None:
    assert planned(structured=False, step=1, norm=2) == {}
    assert planned(structured=False, step=1, loss=1, norm=2) == {"loss": 1, "grad_norm": 2}


def test_throughput_is_tokens_unless_an_iteration_time_stands_beside_it() -> None:
    assert planned(throughput=2145) == {"tokens_per_s": 2145}
    numbers = [("throughput", Number(400.0)), ("iteration-time", Number(1.5))]
    assert plan_row(numbers, structured=True).names == ("tflops", "step_time_s")


def test_a_utilisation_above_one_is_a_percentage() -> None:
    assert planned(mfu=48.0) == {"mfu": 0.48}
    assert planned(mfu=0.48) == {"mfu": 0.48}


def test_copies_over_samples_are_dropped() -> None:
    plan = plan_row([("lm loss", Number(2.0)), ("lm loss vs samples", Number(2.0))], structured=True)
    assert plan.names == ("loss",)


def test_a_closing_summary_is_told_from_a_row() -> None:
    closing = [("train_runtime", Number(19.0)), ("train_loss", Number(4.3)), ("epoch", Number(2.0))]
    assert plan_row(closing, structured=True).summary
    assert not plan_row([("train_runtime", Number(3.0)), ("loss", Number(4.3))], structured=True).summary


def test_a_cost_is_a_loss_in_prose_and_may_be_money_in_data() -> None:
    assert "loss" in planned(structured=False, step=1, cost=0.7)
    assert planned(structured=True, step=1, cost=0.7) == {"cost": 0.7}
