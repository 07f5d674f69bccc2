from typing import Any

from synthetic import Row, detector, falling, records, verdict

from gradtop.finding import FindingState, Severity
from gradtop.record import Event, Record
from gradtop.verdict import Verdict


def alarm(step: float | None = 14, line: int = 7, kind: str = "gradient_vanishing", **data: Any) -> Event:
    return Event(event="alarm", message=f"Anomaly detected: {kind}", data={"kind": kind, **data}, step=step, line=line)


def excerpt(grads: list[float]) -> list[Row]:
    return [{"step": 10 + i, "grad_norm": grad, "loss": 8.2 - 0.03 * i} for i, grad in enumerate(grads)]


WOBBLE = excerpt([2.1e-4, 1.9e-4, 2.3e-4, 2.0e-4, 5e-7, 2.0e-4])
USUAL = excerpt([2.1e-4, 1.9e-4, 2.3e-4, 2.0e-4, 1.8e-4, 2.0e-4])


def test_an_alarm_that_our_own_rule_confirms_is_noted_in_its_finding() -> None:
    (finding,) = detector([*records(WOBBLE[:5]), alarm(limit=1e-6), *records(WOBBLE[5:])]).findings()
    assert finding.message.endswith("The log's own alarm (line 7, limit 1e-6) is about this.")
    assert str(finding.evidence["log_alarm"]).startswith("line 7, limit 1e-6")
    assert finding.severity is Severity.NOTICE


def test_an_alarm_that_nothing_confirms_is_answered_with_numbers() -> None:
    streams: list[list[Record]] = [[*records(USUAL), alarm(limit=1e-6)], [alarm(limit=1e-6), *records(USUAL)]]
    for stream in streams:
        seen = detector(stream)
        (finding,) = seen.findings()
        assert (finding.kind, finding.severity, finding.first_step) == ("gradient_vanishing", Severity.NOTICE, 14)
        assert "not confirmed: grad norm 1.8e-4 is within this run's usual range" in finding.message
        assert {c.met for c in finding.criteria} == {False}
        assert finding.state is FindingState.RECOVERED
        assert verdict(seen).verdict is Verdict.KEEP_TRAINING


def test_the_answer_stays_when_the_run_goes_on() -> None:
    rows = falling(500)
    (finding,) = detector([*records(rows[:20]), alarm(), *records(rows[20:])]).findings()
    assert "not confirmed: grad norm" in finding.message


def test_an_alarm_without_numbers_cannot_be_told() -> None:
    (finding,) = detector([*records([{"step": i, "loss": 8.0 - i / 10} for i in range(20)]), alarm()]).findings()
    met = {c.id: c.met for c in finding.criteria}
    assert (met["persists"], met["below_level"], met["after_burn_in"]) == (None, None, None)
    assert met["loss_flat"] is False
    assert "cannot be judged: no grad norm in this log" in finding.message


def test_an_alarm_alone_is_listed_and_says_nothing_of_the_run() -> None:
    seen = detector([alarm()])
    (finding,) = seen.findings()
    assert finding.first_step == 14
    assert verdict(seen).verdict is Verdict.UNKNOWN


def test_an_alarm_without_a_step_is_about_the_newest() -> None:
    (finding,) = detector([*records(WOBBLE[:5]), alarm(step=None)]).findings()
    assert "is about this" in finding.message


def test_an_alarm_of_an_unknown_kind_stays_an_event() -> None:
    assert not detector([*records(USUAL), alarm(kind="phase_of_the_moon")]).findings()


def test_a_flood_of_alarms_is_one_finding() -> None:
    seen = detector([*records(USUAL), *(alarm(step=i, line=i) for i in range(20_000))])
    (finding,) = seen.findings()
    assert finding.count == 20_000


def test_other_kinds_are_answered_too() -> None:
    rows = falling(200)
    for kind, part in {
        "loss_spike": "usual",
        "loss_divergence": "at best it was around",
        "nonfinite": "grad norm",
        "no_learning": "the loss went",
        "empty_batch": "grad norm",
        "measurement_suspect": "compared with the loss",
        "crashed": "no line names an error",
    }.items():
        (finding,) = detector([*records(rows), alarm(step=150, kind=kind)]).findings()
        assert finding.kind == kind
        assert finding.severity is Severity.NOTICE
        assert part in finding.message
        assert not any(c.met for c in finding.criteria if c.id not in ("enough_steps", "noise_allows"))


def test_the_text_of_an_alarm_is_made_harmless() -> None:
    evil = Event(event="alarm", message="[red]\x1b[2Jboom", data={"kind": "gradient_vanishing"}, step=14)
    (finding,) = detector([*records(USUAL), evil]).findings()
    assert "\x1b" not in finding.message


def test_an_alarm_that_was_logged_just_before_its_row_is_about_it() -> None:
    (finding,) = detector([*records(WOBBLE[:4]), alarm(step=13), *records(WOBBLE[4:])]).findings()
    assert finding.message.endswith("The log's own alarm (line 7) is about this.")


def test_an_alarm_in_the_first_rows_is_not_refuted() -> None:
    seen = detector([*records(WOBBLE[:3]), alarm(step=12)])
    (finding,) = seen.findings()
    assert "cannot be judged: grad norm 2.3e-4, and 3 rows are too few to know what is usual" in finding.message
    assert finding.state is FindingState.ACTIVE
