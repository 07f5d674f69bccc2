"""The logger's own word that there was no gradient to read."""

from synthetic import detector, falling, records

from gradtop.detect import Detector
from gradtop.finding import Finding, FindingState, Severity
from gradtop.record import Event, Record

SAID = Event(event="measurement_suspect", step=8, message="zero_grad() comes before log.step().", level="warning")


def stream(*events: int, layers_from: int = 10_000, n: int = 60) -> list[Record]:
    """A healthy run; the logger finds nothing at the steps `events`, and something from `layers_from` on."""
    told: list[Record] = []
    for row in falling(n):
        if row["step"] >= layers_from:
            row["grad_norm/layers.0"] = 1.0
        told += records([row])
        told += [SAID] * (int(row["step"]) in events)
    return told


def only(seen: Detector) -> Finding:
    (finding,) = seen.findings()
    return finding


def test_a_logger_that_finds_no_gradient_is_a_notice_with_what_to_do() -> None:
    finding = only(detector(stream(8, 16, 32)))
    assert (finding.kind, finding.severity, finding.state) == (
        "measurement_suspect",
        Severity.NOTICE,
        FindingState.ACTIVE,
    )
    assert (finding.first_step, finding.last_step, finding.count, finding.scope) == (8, 32, 3, "layers")
    assert finding.message == (
        "No parameter had a gradient when the logger looked, 3 times, first at step 8: "
        "the gradients are cleared before they are read."
    )
    assert "Give the optimizer to gradtop.Logger" in finding.checks[0]
    assert finding.evidence["said"] == "zero_grad() comes before log.step()."


def test_it_is_over_once_there_are_gradients() -> None:
    finding = only(detector(stream(8, layers_from=20)))
    assert finding.state is FindingState.RECOVERED
    assert "; over at step 20" in finding.message


def test_what_the_log_lacks_for_it_is_said_as_before() -> None:
    coverage = {one.kind: one.why for one in detector(stream(8)).coverage()}
    assert coverage["measurement_suspect"] == ""
