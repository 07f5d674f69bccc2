import dataclasses
import re
from pathlib import Path

import pytest

from gradtop.catalogue import CATALOGUE, FIELDS, KINDS, PRECEDENCE, Check, Kind
from gradtop.config import Limits
from gradtop.detect import Detector

SOURCES = sorted((Path(__file__).parents[1] / "src" / "gradtop").rglob("*.py"))
WARMUP_SHRINKS_GRADIENTS = re.compile(
    r"warm-?up[^.;]*\b(?:shrinks?|keeps?|makes?|reduces?|lowers?|scales?)\b[^.;]*\bgradients?\b[^.;]*", re.IGNORECASE
)


def test_every_kind_has_a_rule_and_every_rule_a_kind() -> None:
    by_rows = {one.kind for one in Detector().coverage()}
    assert by_rows | {"stalled"} == set(KINDS)


@pytest.mark.parametrize("kind", CATALOGUE, ids=lambda kind: kind.id)
def test_an_entry_is_complete(kind: Kind) -> None:
    fields = {field.name for field in dataclasses.fields(Limits)}
    assert kind.id in PRECEDENCE
    assert set(kind.limits) <= fields
    assert all((kind.title, kind.meaning, kind.severity, kind.criteria, kind.causes, kind.checks, kind.reference))
    assert len({id for id, _ in kind.criteria}) == len(kind.criteria)
    advice = (kind.advice(), *kind.forms.values())
    assert all(each.causes and each.checks for each in advice)
    for check in (check for each in advice for check in each.checks):
        assert set(check.fields) <= FIELDS
        assert check.filled({}) or check.fields
        assert "{" not in check.filled({})
        assert "{" not in check.filled(dict.fromkeys(FIELDS, "1"))


def test_every_limit_belongs_to_a_kind_or_to_all() -> None:
    used = {name for kind in CATALOGUE for name in kind.limits}
    fields = {field.name for field in dataclasses.fields(Limits)}
    assert fields - used == set()


def test_the_four_criteria_of_a_level() -> None:
    ids = [id for id, _ in KINDS["gradient_vanishing"].criteria]
    assert ids == ["persists", "loss_flat", "below_level", "after_burn_in"]


def test_no_text_claims_that_warmup_shrinks_gradients() -> None:
    assert WARMUP_SHRINKS_GRADIENTS.search("warm-up keeps the gradients small")
    texts = [text for path in SOURCES for text in path.read_text("utf-8").split("\n")]
    texts += [re.sub(r'"\s*\n\s*f?"', "", path.read_text("utf-8")) for path in SOURCES]
    claims = [claim.group() for text in texts for claim in WARMUP_SHRINKS_GRADIENTS.finditer(text)]
    assert [claim for claim in claims if "not the gradient" not in claim] == []
    everything = " ".join(check.text for check in KINDS["gradient_vanishing"].checks)
    assert "warm-up makes the update small, not the gradient" in everything


def test_a_check_with_an_unknown_number_says_it_otherwise_or_nothing() -> None:
    check = Check("Lower {lr}.", "Lower it.")
    assert check.filled({"lr": "3e-4"}) == "Lower 3e-4."
    assert check.filled({}) == "Lower it."
    assert Check("Lower {lr}.").filled({}) == ""
    both = Check("Before {first_step}, with {lr}.", "Before {first_step}.")
    assert both.filled({"first_step": "step 3"}) == "Before step 3."
    assert both.filled({}) == ""


def test_a_form_has_advice_of_its_own() -> None:
    crashed = KINDS["crashed"]
    assert crashed.advice("out of memory") is crashed.forms["out of memory"]
    assert crashed.advice("an exception").checks == crashed.checks


def test_precedence_names_each_kind_once() -> None:
    assert len(set(PRECEDENCE)) == len(PRECEDENCE)
    assert PRECEDENCE[0] == "crashed"
