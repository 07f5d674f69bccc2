"""What the command's processes said becomes sentences."""

from pathlib import Path

from gradtop.launch.account import Account, closing, read_account


def test_lines_of_all_processes_are_read_and_odd_ones_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "said"
    path.write_text(
        '{"pid": 1, "rank": 0, "torch": "2.13.0"}\n{"pid": 1, "stepped": true}\nodd\n[1]\n'
        '{"pid": 2, "stepped": true}\n{"pid": 2, "problem": "too old"}\n'
        '{"pid": 3, "problem": "too old"}\n'
    )
    assert read_account(path) == Account(True, True, problems=("too old",))
    assert read_account(tmp_path / "none") == Account()


def test_the_end_says_what_was_recorded() -> None:
    recorded = Account(True, True, problems=("one worker failed",))
    assert list(closing(recorded, [Path("/d/metrics.jsonl")], "CHECK")) == [
        "one worker failed",
        "recorded metrics.jsonl and output.log; for the verdict: CHECK",
    ]
    assert "a gradtop.Logger of its own" in next(closing(Account(True, own=True), [], ""))
    assert "the training ended before its steps were written" in list(closing(recorded, [], ""))[1]
    assert next(closing(Account(torch=True), [], "")).startswith("torch was imported but no optimizer stepped: only")
    assert next(closing(Account(), [], "")).startswith("no torch in this command: only its output was recorded")
