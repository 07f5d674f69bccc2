import pytest
from reading import read, rows_of

from gradtop.sources.text.reader import TextReader

REPORT = "[Rank 0] step={}, skipped={}, lr=[1e-05, 1e-05], mom=[(0.9, 0.999)]\n"
ROW = " iteration {} | learning rate: 1.0E-05 | {}number of skipped iterations: {} |\n"


def rows(text: str, portion: int = 1000) -> list[dict[str, float]]:
    return rows_of(read(TextReader(), text, portion))


@pytest.mark.parametrize("portion", [1, 1000])
def test_reports_alone_are_the_rows(portion: int) -> None:
    found = rows("".join(REPORT.format(s, 0) for s in (10, 20, 30)), portion)
    assert found == [{"step": s, "skipped": 0, "lr": 1e-5} for s in (10, 20, 30)]


@pytest.mark.parametrize("portion", [1, 1000])
def test_a_report_that_the_row_of_its_step_repeats_is_no_row(portion: int) -> None:
    text = "".join(REPORT.format(s, 0) + ROW.format(s, "lm loss: 2.5 | ", 0) for s in (10, 20))
    assert rows(text, portion) == [{"step": s, "lr": 1e-5, "loss": 2.5, "skipped": 0} for s in (10, 20)]


def test_a_row_in_the_words_of_the_others_without_a_loss_is_a_row() -> None:
    text = ROW.format(10, "", 1) + ROW.format(20, "lm loss: 2.5 | ", 0) + ROW.format(30, "", 1)
    assert [(row["step"], row.get("loss"), row["skipped"]) for row in rows(text)] == [
        (10, None, 1),
        (20, 2.5, 0),
        (30, None, 1),
    ]


def test_at_step_0_a_report_states_settings() -> None:
    assert rows(REPORT.format(0, 0)) == []
