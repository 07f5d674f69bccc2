"""Where the limits of a finding are set, and the picture of it."""

from dataclasses import replace
from pathlib import Path

import pytest

from gradtop.config import Limits, Settings
from gradtop.finding import Finding, FindingState, Severity
from gradtop.record import Rows
from gradtop.run import Run
from gradtop.settings import Typed, settings_for
from gradtop.snapshot import RunSnapshot
from gradtop.view import NEWEST, FindingsView
from gradtop.view.limit import limits_of
from gradtop.view.window import window_of
from test_view_findings import SPIKE, finding, run_of, texts


def test_a_limit_is_the_default_or_says_where_it_is_set(tmp_path: Path) -> None:
    (tmp_path / "gradtop.toml").write_text("[limits]\n\nspike_z = 8\n")
    settings = settings_for([tmp_path], {})
    rows = limits_of("loss_spike", settings)
    name = f"{tmp_path.name}/gradtop.toml, line 3"
    assert [(row.name, row.value, row.origin, row.default) for row in rows] == [
        ("spike_z", "8", name, "6"),
        ("burn_in_rows", "20", "default", ""),
        ("clear_rows", "20", "default", ""),
        ("gap_rows", "3", "default", ""),
    ]
    assert rows[0].meaning.startswith("Robust deviations of the log loss above its usual range.")


def test_what_was_typed_is_named_and_what_nobody_chose_is_no_limit() -> None:
    typed = settings_for([], {}, Typed(grad_floor=1e-6))
    (floor,) = [row for row in limits_of("gradient_vanishing", typed) if row.name == "grad_floor"]
    assert (floor.value, floor.origin) == ("1e-6", "--grad-floor")
    assert "grad_floor" not in [row.name for row in limits_of("gradient_vanishing", Settings())]
    handed = limits_of("loss_spike", Settings(limits=Limits(spike_z=7.0)))[0]
    assert (handed.name, handed.origin, handed.default) == ("spike_z", "set", "6")
    assert limits_of("no such kind", Settings()) == ()


def test_the_finding_ends_with_its_limits_and_how_to_change_one() -> None:
    shown = texts(FindingsView(run_of(SPIKE), Settings()).entries(SPIKE.id))
    at = shown.index("The limits behind it, and where they are set")
    assert shown[at + 1] == "spike_z = 6  default"
    assert shown[-1] == "To change one: [limits] in gradtop.toml beside the log, e.g. spike_z = 6."


def passed(step: float, kind: str = "loss_spike") -> Finding:
    return finding(kind, Severity.NOTICE, FindingState.RECOVERED, step, step)


def test_passed_spikes_are_one_row_that_unfolds_without_losing_any() -> None:
    spikes = [passed(step) for step in range(100, 123)]
    run = run_of(SPIKE, *spikes)
    view = FindingsView(run)
    assert [(row.mark, row.title, row.when) for row in view.rows[:2]] == [
        ("●", "Loss spike", "since 310"),
        ("+", "Loss spike, 23 times", "last 122"),
    ]
    group = view.rows[1].id
    told = texts(view.entries(group))
    assert told[1] == "all are over · the first at 100, the last at 122"
    assert sum(line == "loss_spike happened." for line in told) == 23
    assert view.subject(group) == spikes[-1]
    open_ = FindingsView(run, unfolded=frozenset((group,)))
    assert {row.id for row in open_.rows[2:25]} == {spike.id for spike in spikes}
    assert {row.indent for row in open_.rows[2:25]} == {1}
    # One that is folded away is found in the row that counts it.
    assert view.index(spikes[3].id) == 1
    assert open_.index(spikes[-1].id) == 2


def test_few_and_other_kinds_stand_by_themselves() -> None:
    run = run_of(passed(1), passed(2), passed(3, "empty_batch"), passed(4, "empty_batch"), passed(5, "empty_batch"))
    assert [row.title for row in FindingsView(run).rows[:3]] == ["Empty batch, 3 times", "Loss spike", "Loss spike"]


def test_active_ones_come_first_and_both_parts_are_in_the_order_asked_for() -> None:
    worst = finding("loss_divergence", Severity.INTERVENE, step=10)
    over = [finding("stalled", Severity.INTERVENE, FindingState.RECOVERED, 5, 6), replace(passed(90), last_step=900)]
    run = run_of(*over, SPIKE, worst)
    assert [row.id for row in FindingsView(run).rows[:4]] == [worst.id, SPIKE.id, over[0].id, over[1].id]
    newest = [row.id for row in FindingsView(run, order=NEWEST).rows[:4]]
    assert newest[2:] == [over[1].id, over[0].id]
    assert FindingsView(run).counts == "2 active, 2 over"


def test_a_finding_as_text_is_plain() -> None:
    evil = replace(SPIKE, message="\x1b[31mred\x1b[0m [b]x[/b]")
    told = FindingsView(run_of(evil)).text(evil.id)
    assert told.startswith("run: Loss spike\nwatch · active · step 310 to 400")
    assert "\nred [b]x[/b]\n" in told
    assert "\x1b" not in told


def run_with(*found: Finding, **columns: list[float]) -> RunSnapshot:
    run = Run()
    n = len(next(iter(columns.values())))
    list(run.apply(Rows(steps=range(0, 10 * n, 10), columns=columns)))
    return replace(run_of(*found), view=run.view(), findings=found)


def test_the_window_holds_what_came_before_and_after() -> None:
    spike = finding("loss_spike", Severity.WATCH, FindingState.RECOVERED, 3000, 3010)
    window = window_of(run_with(spike, loss=[1.0] * 600, grad_norm=[2.0] * 600), spike)
    assert window is not None
    assert (window.label, window.value, window.onset) == ("loss", "1", 3000)
    assert (window.first_step, window.last_step) == (2600, 3400)
    assert [mark.step for mark in window.marks] == [3000, 3010]


def test_a_long_finding_is_shown_as_a_whole_with_half_its_length_beside_it() -> None:
    low = finding("gradient_vanishing", Severity.WATCH, FindingState.ACTIVE, 2000, 5990)
    window = window_of(run_with(low, loss=[1.0] * 600, grad_norm=[2.0] * 600), low)
    assert window is not None
    assert (window.label, window.log) == ("grad norm", True)
    assert (window.first_step, window.last_step) == (5, 5990)


@pytest.mark.parametrize(
    ("kind", "scope", "label"),
    [
        ("dead_layer", "layer:h.3", "grad norm of h.3"),
        ("dead_units", "layer:h.3", "loss"),
        ("nonfinite", "grad_norm", "grad norm"),
        ("memory_leak", "rss_bytes", "rss bytes"),
        ("crashed", "total", "loss"),
    ],
)
def test_the_window_shows_what_the_finding_is_about(kind: str, scope: str, label: str) -> None:
    found = replace(finding(kind, Severity.WATCH), scope=scope)
    columns = {"loss": [1.0] * 90, "grad_norm": [1.0] * 90, "grad_norm/h.3": [0.0] * 90, "rss_bytes": [1e9] * 90}
    if kind == "dead_units":
        del columns["grad_norm/h.3"]
    window = window_of(run_with(found, **columns), found)
    assert window is not None
    assert window.label == label


def test_without_a_series_there_is_no_window() -> None:
    assert window_of(None, None) is None
    assert window_of(run_with(SPIKE, tokens_per_s=[1.0] * 9), SPIKE) is None
