from pathlib import Path

import pytest

from gradtop import origin
from gradtop.config import Settings
from gradtop.monitor import Monitor
from gradtop.origin import Located, Origin
from gradtop.record import Rows
from gradtop.snapshot import RunSnapshot

FILE = Path("train.log")


def rows(steps: list[float] | range, lines: list[int] | range, name: str = "loss", x_kind: str = "step") -> Rows:
    return Rows(steps=steps, columns={name: [1.0] * len(steps)}, lines=lines, x_kind=x_kind)


def seen(*blocks: Rows, shift: float = 0.0) -> origin.OriginView:
    found = Origin()
    found.take(blocks)
    return found.view(FILE, shift)


def test_a_step_has_its_line_and_one_without_a_row_the_last_line_before_it() -> None:
    view = seen(rows([10, 20, 30], [4, 8, 9]))
    assert view.line_of(20, "step") == Located(20, 8, True)
    assert view.line_of(25, "step") == Located(20, 8, False)
    assert view.line_of(99, "step") == Located(30, 9, False)
    assert view.line_of(1, "step") == Located(10, 4, False)
    assert view.line_of(20, "epoch") is None


def test_a_line_has_its_step_and_one_without_a_row_the_step_before_it() -> None:
    view = seen(rows([10, 20, 30], [4, 8, 9]))
    assert view.step_of(8, "step") == Located(20, 8, True)
    assert view.step_of(7, "step") == Located(10, 4, False)
    assert view.step_of(1, "step") == Located(10, 4, False)
    assert seen().step_of(1, "step") is None


def test_steps_that_a_later_session_repeats_have_its_lines() -> None:
    view = seen(rows(range(1, 11), range(1, 11)), rows(range(6, 9), range(20, 23)))
    assert view.line_of(7, "step") == Located(7, 21, True)
    assert view.line_of(3, "step") == Located(3, 3, True)
    # What the first session did after step 8 does not count any more.
    assert view.line_of(10, "step") == Located(8, 22, False)


def test_what_is_told_late_of_an_older_step_is_no_new_session() -> None:
    late = rows([3], [11], "val_loss")
    view = seen(rows(range(1, 11), range(1, 11)), late, rows([11], [12]))
    assert view.line_of(5, "step") == Located(5, 5, True)
    assert view.gave_rows(10, 12) == {10, 11, 12}


def test_of_several_lines_of_a_step_the_first_is_its_line() -> None:
    view = seen(rows([1], [1]), rows([1], [2], "grad_norm/a"), rows([2, 2], [3, 4]))
    assert view.line_of(1, "step") == Located(1, 1, True)
    assert view.line_of(2, "step") == Located(2, 3, True)


def test_line_numbers_that_go_back_are_of_another_file() -> None:
    view = seen(rows(range(1, 11), range(101, 111)), rows([11], [1]))
    assert view.line_of(5, "step") == Located(11, 1, False)
    assert view.gave_rows(1, 200) == {1}


def test_a_shifted_source_is_asked_and_answers_in_steps_of_the_run() -> None:
    view = seen(rows([0, 1, 2], [5, 6, 7]), shift=100)
    assert view.line_of(101, "step") == Located(101, 6, True)
    assert view.step_of(7, "step") == Located(102, 7, True)


def test_rows_without_lines_are_left_out() -> None:
    view = seen(rows([1, 2], []))
    assert view.line_of(1, "step") is None
    assert view.gave_rows(0, 9) == frozenset()


@pytest.mark.parametrize("block", [1, 7, 100_000])
def test_a_long_source_is_thinned_and_still_finds_a_line_near(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(origin, "MOST", 500)
    monkeypatch.setattr(origin, "MOST_LINES", 300)
    found, n = Origin(), 6000
    for start in range(0, n, block):
        stop = min(n, start + block)
        found.take([rows(range(start, stop), range(start + 1, stop + 1))])
    view = found.view(FILE)
    trail = view.trails["step"]
    assert len(trail.steps) <= 2 * 1024
    for step in (0, 1, 2999, 3001, n - 1):
        where = view.line_of(step, "step")
        assert where is not None
        assert where.line == step + 1
        assert where.step == step
    assert view.gave_rows(n - 5, n + 5) == set(range(n - 5, n + 1))


def test_where_rows_are_let_go_a_line_is_not_made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origin, "MOST", 500)
    found = Origin()
    # Every third row has a line without one behind it.
    found.take([rows(range(2000), [i + i // 3 for i in range(2000)])])
    where = found.view(FILE).line_of(801, "step")
    assert where == Located(800, 1066, False)


def test_a_source_that_counts_anew_again_and_again_keeps_its_newest_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origin, "MOST_SESSIONS", 8)
    found = Origin()
    for epoch in range(40):
        found.take([rows(range(10), range(10 * epoch + 1, 10 * epoch + 11))])
    view = found.view(FILE)
    assert len(view.trails["step"].starts) <= 8
    assert view.line_of(4, "step") == Located(4, 395, True)


def test_a_view_does_not_change_while_rows_come_in() -> None:
    found = Origin()
    found.take([rows(range(10), range(1, 11))])
    before = found.view(FILE)
    found.take([rows(range(10, 5000), range(11, 5001))])
    assert before.line_of(99, "step") == Located(9, 10, False)
    assert found.view(FILE).line_of(99, "step") == Located(99, 100, True)


def read(folder: Path) -> RunSnapshot:
    monitor = Monitor([folder], Settings())
    shown = monitor.poll()
    while monitor.backlog:
        shown = monitor.poll()
    return shown.runs[0]


def test_a_run_of_several_files_knows_the_lines_of_each(tmp_path: Path) -> None:
    loss = [3.0 - 0.01 * step for step in range(60)]
    (tmp_path / "metrics.jsonl").write_text(
        "".join(f'{{"step": {s}, "loss": {v}, "grad_norm": 1.{s}}}\n' for s, v in enumerate(loss))
    )
    (tmp_path / "train.log").write_text("start\n" + "".join(f"step {s}: loss {v:.2f}\n" for s, v in enumerate(loss)))
    run = read(tmp_path)
    lines = {origin.path.name: origin.line_of(40, "step") for origin in run.origins}
    assert lines == {"metrics.jsonl": Located(40, 41, True), "train.log": Located(40, 42, True)}
