import random

import pytest
from layered import layered, of_layers, only
from synthetic import Row

from gradtop.finding import FindingState, Severity


def units(shares: list[float], family: str = "dead_fraction", learns: bool = True, layers: int = 3) -> list[Row]:
    """A run with these shares in layer 0, and low ones in the others."""
    random_ = random.Random(1)
    rows = layered(len(shares), families="g", learns=learns)
    for row, share in zip(rows, shares, strict=True):
        for i in range(layers):
            value = share if i == 0 else 0.2
            row[f"{family}/layers.{i}.weight"] = min(1.0, max(0.0, value + random_.gauss(0, 0.02)))
    return rows


def rising(n: int, end: float) -> list[float]:
    return [min(end, 0.2 + (end - 0.2) * i / (n / 2)) for i in range(n)]


def test_units_that_die_are_a_notice_while_the_model_learns() -> None:
    finding = only(units(rising(400, 0.8)))
    assert (finding.kind, finding.severity, finding.state) == ("dead_units", Severity.NOTICE, FindingState.ACTIVE)
    assert finding.scope == "layer:layers.0.weight"
    assert "of the units are dead in layers.0.weight, many since step" in finding.message
    assert [c.id for c in finding.criteria if c.met is False] == ["loss_suffers"]


def test_they_are_worth_watching_where_nothing_is_learned() -> None:
    finding = only(units(rising(400, 0.8), learns=False))
    assert finding.severity is Severity.WATCH
    assert finding.met == len(finding.criteria)


def test_a_loss_that_rises_as_they_die_is_worth_watching() -> None:
    rows = units(rising(600, 0.8))
    for row in rows[250:]:
        row["loss"] *= 1.6
    assert only(rows).severity is Severity.WATCH


def test_nearly_all_units_of_most_layers_mean_act() -> None:
    rows = units([0.97] * 200, learns=False, layers=1)
    assert only(rows).severity is Severity.INTERVENE


@pytest.mark.parametrize("share", [0.3, 0.6, 0.8])
def test_activations_that_are_sparse_by_design_are_no_fault(share: float) -> None:
    assert not of_layers(units([share] * 300, learns=False))


def test_it_recovers() -> None:
    finding = only(units([*rising(200, 0.8), *[0.2] * 100]))
    assert finding.state is FindingState.RECOVERED


def test_zero_gradients_stand_for_dead_units_but_not_in_embeddings() -> None:
    rows = units(rising(400, 0.9), "zero_fraction", learns=False)
    finding = only(rows)
    assert "of the gradients are zero in layers.0.weight" in finding.message
    for row in rows:
        row["zero_fraction/embed.weight"] = row.pop("zero_fraction/layers.0.weight")
    assert not of_layers(rows)


def test_nearly_all_units_are_more_than_a_share() -> None:
    rows = units(rising(400, 0.8), learns=False)
    for row in rows[100:]:
        row["dead_fraction/layers.0.weight"] = 0.9999
    assert only(rows).message.startswith("More than 99.9")


def test_rows_far_apart_begin_with_what_the_first_of_them_show() -> None:
    rows = units(rising(60, 0.8))
    for row in rows:
        row["step"] *= 100
    finding = only(rows)
    assert finding.first_step < 3000
    assert any(criterion.id == "rises" and criterion.met for criterion in finding.criteria)


def test_units_that_died_in_a_divergence_leave_a_loss_where_it_began() -> None:
    rows = units([0.95] * 300, learns=False)
    for row in rows[1:20]:
        row["loss"] *= 1000.0
    finding = only(rows)
    assert finding.severity > Severity.NOTICE
    assert any(c.id == "loss_suffers" and c.met and " since the start" in c.evidence for c in finding.criteria)
