import pytest
from layered import WEIGHTS, layered, of_layers, only
from synthetic import detector, records

from gradtop.finding import FindingState, Severity


def test_a_deep_net_whose_first_layers_have_next_to_nothing_is_found() -> None:
    finding = only(layered(200, families="gw", learns=False, decades=8.0))
    assert (finding.kind, finding.severity, finding.scope) == ("layer_imbalance", Severity.WATCH, "total")
    assert (finding.first_step, finding.raised_step) == (0, 44)
    assert finding.message.startswith("The gradient fades on its way to the input: the gradient over weight of")
    assert "decades per block, since step 0" in finding.message
    assert finding.evidence["decades_per_block"] == pytest.approx(8 / 7, abs=0.05)
    assert finding.met == len(finding.criteria)
    assert finding.caveats == ()


def test_it_is_a_notice_while_the_model_learns() -> None:
    finding = only(layered(600, families="gw", decades=8.0))
    assert finding.severity is Severity.NOTICE
    assert [c.id for c in finding.criteria if c.met is False] == ["loss_suffers"]


def test_a_gradient_that_grows_towards_the_input_is_a_form_of_its_own() -> None:
    finding = only(layered(200, families="gw", learns=False, decades=-8.0))
    assert finding.severity is Severity.WATCH
    assert "The gradient grows on its way to the input" in finding.message
    assert finding.causes[0].startswith("Weights that are too large")


def test_bare_gradients_are_judged_by_a_stricter_limit_and_it_says_so() -> None:
    assert not of_layers(layered(200, families="g", learns=False, decades=3.5))
    finding = only(layered(200, families="g", learns=False, decades=5.5))
    assert finding.caveats == ("This log has no weight norms, so bare gradients are compared, by a stricter limit.",)
    assert only(layered(200, families="gw", learns=False, decades=3.9)).kind == "layer_imbalance"


def test_two_decades_and_fewer_than_four_blocks_are_no_fault() -> None:
    assert not of_layers(layered(200, families="gw", learns=False, decades=2.0))
    rows = layered(200, families="gw", names=WEIGHTS[:3], learns=False, decades=8.0)
    assert not of_layers(rows)
    why = {one.kind: one.why for one in detector(records(rows)).coverage()}["layer_imbalance"]
    assert why == "only 3 blocks of weights: 4 are needed to speak of depth"


def test_biases_norms_and_embeddings_are_left_out() -> None:
    names = [*WEIGHTS, "embed.weight", *(name.replace("weight", "bias") for name in WEIGHTS), "layers.0.norm.weight"]
    rows = layered(200, families="gw", names=names, learns=False)
    for row in rows:
        row |= {f"grad_norm/{name}": 1e-9 for name in names[8:]}
    assert not of_layers(rows)


def test_zeros_of_the_first_steps_are_no_fade() -> None:
    rows = layered(100, families="gw", learns=False)
    for i, row in enumerate(rows[:6]):
        row |= {f"grad_norm/{name}": 0.0 if i < 3 else 1e-6 for name in WEIGHTS[:6]}
    assert not of_layers(rows)


def test_it_is_muted_in_warmup() -> None:
    rows = layered(150, families="gw", learns=False, decades=8.0)
    for i, row in enumerate(rows):
        row["lr"] = 1e-5 * (i + 1)
    early = [f for f in of_layers(rows) if f.severity > Severity.NOTICE]
    assert not early


def test_it_recovers() -> None:
    rows = layered(150, families="gw", learns=False, decades=8.0)
    after = [{**row, "step": row["step"] + 150} for row in layered(100, families="gw", learns=False)]
    finding = only(rows + after)
    assert finding.state is FindingState.RECOVERED
    assert "and no longer at step 150" in finding.message


@pytest.mark.parametrize("factor", [1e-30, 1e30])
def test_the_unit_of_the_gradient_does_not_matter(factor: float) -> None:
    rows = layered(120, families="gw", learns=False, decades=8.0)
    for row in rows:
        row |= {f"grad_norm/{name}": factor * row[f"grad_norm/{name}"] for name in WEIGHTS}
    assert only(rows).raised_step == 44


def test_layers_that_come_apart_after_the_loss_was_thrown_back_are_a_notice() -> None:
    rows = layered(600)
    for row in rows[300:]:
        row["loss"] = 4.5
        row[f"grad_norm/{WEIGHTS[0]}"] *= 1e-6
    assert [f.severity for f in of_layers(rows) if f.kind == "layer_imbalance"] == [Severity.NOTICE]
