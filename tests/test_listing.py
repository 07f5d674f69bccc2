"""The list of rules is made of the catalogue, with the limits that hold and where they are set."""

import dataclasses
import json

import msgspec
import pytest

from gradtop.catalogue import KINDS, PRECEDENCE
from gradtop.config import Limits, Settings
from gradtop.listing import WIDTH, document, lines, listed, meanings

SET = Settings(
    limits=Limits(spike_z=8.0, profile="rl"),
    muted=frozenset({"loss_spike"}),
    origins={"spike_z": "logs/gradtop.toml, line 2", "mute": "--mute", "profile": "--profile"},
)


def test_every_kind_is_listed_in_order_of_precedence() -> None:
    found = [kind.id for kind in listed([])]
    assert sorted(found) == sorted(KINDS)
    assert found == sorted(found, key=PRECEDENCE.index)
    assert [kind.id for kind in listed(["loss_spike", "crashed"])] == ["crashed", "loss_spike"]


def test_every_limit_says_what_it_means() -> None:
    assert [field.name for field in dataclasses.fields(Limits) if not meanings().get(field.name)] == []


def test_the_text_has_everything_within_80_columns() -> None:
    told = list(lines(Settings(), listed([])))
    assert [line for line in told if len(line) > WIDTH] == []
    assert [line.split()[0] for line in told if line and line[0] != " "] == [kind.id for kind in listed([])]
    text = " ".join(" ".join(told).split())
    for kind in KINDS.values():
        for part in (kind.title, kind.meaning, kind.severity, kind.needs, kind.reference, *kind.causes):
            assert part in text
        for _, criterion in kind.criteria:
            assert criterion in text
        for form, advice in kind.forms.items():
            assert set(advice.causes) <= set(kind.causes) or f" form {form} cause {advice.causes[0]}" in text
    assert "{" not in text


def test_a_limit_that_was_set_says_where_and_what_it_would_be() -> None:
    told = list(lines(SET, listed(["loss_spike"])))
    assert told[0] == "profile rl, set in --profile"
    assert "  muted      listed, never counts: --mute" in told
    start = next(i for i, line in enumerate(told) if "spike_z" in line)
    assert told[start] == "  limit      spike_z = 8, set in logs/gradtop.toml, line 2; default 6: Robust"


@pytest.mark.parametrize("settings", [Settings(), SET])
def test_the_document_is_json_with_values_and_defaults(settings: Settings) -> None:
    found = json.loads(msgspec.json.encode(document(settings, listed([]))))
    assert found["schema"] == "gradtop.rules/1"
    assert found["profile"] == settings.limits.profile
    assert found["profile_set_in"] == settings.origins.get("profile")
    rules = {rule["kind"]: rule for rule in found["rules"]}
    assert list(rules) == [kind.id for kind in listed([])]
    spike = rules["loss_spike"]
    assert spike["muted"] is ("loss_spike" in settings.muted)
    limit = next(one for one in spike["limits"] if one["name"] == "spike_z")
    assert (limit["value"], limit["default"]) == (settings.limits.spike_z, 6.0)
    assert limit["set_in"] == settings.origins.get("spike_z")
    assert all(rule["criteria"] and rule["causes"] and rule["checks"] for rule in rules.values())
