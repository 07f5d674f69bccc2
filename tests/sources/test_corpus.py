"""Real logs of other people: what they tell beside their numbers, which `test_truth` compares."""

import pytest
from reading import SHARED, events_of, read

from gradtop.record import Rows
from gradtop.sources.text.reader import TextReader

CORPUS = SHARED / "corpus"


@pytest.mark.parametrize(
    ("name", "reason", "message"),
    [
        ("hp02", "loss_scale_minimum", "Exception: Current loss scale already at minimum"),
        ("tt13", "traceback", "RuntimeError: Triton Error [CUDA]: device-side assert triggered"),
        ("mg01", "scheduler", "slurmstepd: error: *** STEP 1809562.0 ON r6i5n1 CANCELLED"),
    ],
)
def test_deaths_are_told_once_with_their_cause(name: str, reason: str, message: str) -> None:
    path = next(CORPUS.glob(f"{name}__*"), None)
    if path is None:
        pytest.skip(f"no real log {name} at {CORPUS}")
    crashes = events_of(read(TextReader(), path.read_bytes()), "crash")
    assert [(crash.data["reason"], crash.message[: len(message)]) for crash in crashes] == [(reason, message)]


def test_steps_of_a_late_stream_fit_its_epochs() -> None:
    """The rows of this log come in bursts, long after their bars; 559 steps are an epoch."""
    path = CORPUS / "hp05__train_log.txt"
    if not path.exists():
        pytest.skip(f"no real logs at {CORPUS}")
    blocks = [r for r in read(TextReader(), path.read_bytes()) if isinstance(r, Rows)]
    pairs = [(step, epoch) for b in blocks for step, epoch in zip(b.steps, b.columns["epoch"], strict=True)]
    assert len(pairs) == 170
    assert all(abs(step - 559 * epoch) <= 0.6 for step, epoch in pairs)
