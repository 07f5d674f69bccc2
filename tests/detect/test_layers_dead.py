import pytest
from layered import WEIGHTS, layered, of_layers, only
from synthetic import Row, detector, loud, records

from gradtop.finding import FindingState, Severity
from gradtop.record import Model, RunFacts


def without(rows: list[Row], layers: range, since: int, until: int | None = None, gone: bool = False) -> list[Row]:
    """The rows with gradients of 0, or none, in some layers."""
    for row in rows[since:until]:
        for i in layers:
            row[f"grad_norm/{WEIGHTS[i]}"] = 0.0
            if gone:
                del row[f"grad_norm/{WEIGHTS[i]}"]
    return rows


@pytest.mark.parametrize("gone", [False, True])
def test_a_block_that_is_cut_off_is_found_after_20_rows(gone: bool) -> None:
    finding = only(without(layered(200), range(3), 100, gone=gone))
    assert (finding.kind, finding.severity, finding.state) == ("dead_layer", Severity.WATCH, FindingState.ACTIVE)
    assert (finding.first_step, finding.raised_step, finding.scope) == (100, 119, "layers")
    what, others = ("no gradient", "do") if gone else ("a gradient of exactly 0", "have one")
    assert finding.message == (
        f"layers.0.weight, layers.1.weight and layers.2.weight have had {what} since step 100 (3 of 8 layers), "
        f"while others still {others}."
    )
    assert finding.checks[0].startswith("Look at what the code does at step 100: a schedule that freezes layers.0")
    assert [c.id for c in finding.criteria if c.met is False] == ["loss_suffers"]


def test_one_layer_is_named_in_the_scope() -> None:
    finding = only(without(layered(200), range(2, 3), 100))
    assert finding.scope == "layer:layers.2.weight"
    assert finding.message.startswith("layers.2.weight has had a gradient of exactly 0 since step 100, while")


def test_most_layers_or_a_loss_that_rises_mean_act() -> None:
    assert only(without(layered(200), range(5), 100)).severity is Severity.INTERVENE
    rows = without(layered(300), range(2), 150)
    for row in rows[150:]:
        row["loss"] *= 1.5
    finding = only(rows)
    assert finding.severity is Severity.INTERVENE
    assert finding.met == len(finding.criteria)


def test_it_is_over_when_the_gradient_is_back() -> None:
    finding = only(without(layered(250), range(2), 100, 150))
    assert (finding.state, finding.last_step, finding.met) == (FindingState.RECOVERED, 149, 0)
    assert "and have one again at step 150" in finding.message


@pytest.mark.parametrize("gone", [False, True])
def test_branches_that_begin_at_zero_and_rows_in_between_are_no_fault(gone: bool) -> None:
    assert not of_layers(without(layered(150), range(6), 0, 6))
    rows = layered(400)
    for start in range(50, 380, 20):
        without(rows, range(3), start, start + 12, gone)
    assert not of_layers(rows)


def test_a_frozen_backbone_is_a_notice_while_the_loss_falls() -> None:
    finding = only(without(layered(400), range(6), 0))
    assert (finding.severity, finding.raised_step) == (Severity.NOTICE, 59)
    assert "never had a gradient (6 of 8 layers)" in finding.message
    assert finding.causes[0].startswith("Frozen on purpose")


def test_layers_without_a_gradient_since_the_start_are_worth_watching_where_nothing_is_learned() -> None:
    (finding,) = loud(of_layers(without(layered(500, learns=False), range(6), 0)))
    assert finding.severity is Severity.WATCH
    assert finding.raised_step >= 200


def test_a_layer_with_weights_and_never_a_gradient_is_known_by_its_weights() -> None:
    finding = only(without(layered(150, families="gw"), range(2), 0, gone=True))
    assert finding.severity is Severity.NOTICE
    assert "layers.0.weight and layers.1.weight never had a gradient" in finding.message


def test_layers_that_are_logged_now_and_then_are_not_missed_in_between() -> None:
    rows = layered(600)
    for i, row in enumerate(rows):
        if i % 50:
            del row["grad_norm/layers.2.weight"]
    assert not of_layers(rows)


def test_zeros_of_a_rounded_print_are_small_gradients_unless_they_were_large() -> None:
    small = layered(300, families="g")
    for row in small:
        for name in WEIGHTS:
            row[f"grad_norm/{name}"] = round(row[f"grad_norm/{name}"] * (2e-5 if name == WEIGHTS[0] else 1), 4)
    assert not of_layers(small)
    large = layered(300, families="g")
    for row in large:
        row |= {f"grad_norm/{name}": round(row[f"grad_norm/{name}"], 4) for name in WEIGHTS}
    finding = only(without(large, range(1), 200))
    assert finding.caveats == ("Zeros of this log are rounded: the gradient is below 5e-5.",)


def test_a_row_in_which_nothing_has_a_gradient_says_nothing_of_layers() -> None:
    assert not of_layers(without(layered(200), range(8), 100))


def test_an_idle_layer_that_was_idle_before_needs_longer() -> None:
    rows = layered(400)
    without(rows, range(1), 50, 65)
    assert not of_layers(without(rows, range(1), 100, 140))
    assert of_layers(without(layered(400), range(1), 100, 140))


def test_steps_per_row_shorten_the_window() -> None:
    finding = only(without(layered(200, every=10), range(2), 100))
    assert finding.raised_step == 1040


@pytest.mark.parametrize(
    ("trainable", "layers", "severity"),
    [(1000, 6, Severity.WATCH), (200, 6, Severity.NOTICE), (1000, 2, Severity.NOTICE)],
)
def test_most_layers_without_a_gradient_ever_are_a_fault_where_all_parameters_are_to_be_trained(
    trainable: int, layers: int, severity: Severity
) -> None:
    facts = RunFacts(model=Model(params=1000, trainable=trainable))
    rows = without(layered(300), range(layers), 0)
    (finding,) = [f for f in detector([facts, *records(rows)]).findings() if f.kind == "dead_layer"]
    assert finding.severity is severity


def test_one_other_layer_is_one() -> None:
    criteria = {c.id: c for c in only(without(layered(200), range(7), 100)).criteria}
    assert criteria["others_move"].evidence == "1 other layer"


def test_dead_units_of_the_same_layers_come_first_among_the_causes() -> None:
    rows = without(layered(200), range(3), 100)
    assert only(rows).causes[0].startswith("A graph that was cut")
    for row in rows[100:]:
        row["dead_fraction/layers.2.weight"] = 1.0
    (finding,) = (f for f in of_layers(rows) if f.kind == "dead_layer")
    assert finding.causes[0].startswith("Dead ReLUs")
    assert finding.checks[0].startswith("Go back to a checkpoint before step 100")
