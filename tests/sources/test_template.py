"""Lock-on: reading by the wording of earlier lines gives what the rules give, faster and no less."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from reading import SHARED, lines_of

from gradtop.record import Record, Rows
from gradtop.sources.reader import Account, Block, Line
from gradtop.sources.text.reader import TextReader

CORPUS = SHARED / "corpus"
PROJECTS = Path(__file__).parents[1] / "data" / "projects.txt"
WITHOUT_ROWS = ("cp01", "hp06", "tb02", "tb03")
LATE = ("mg08", "tt03")
"""Logs whose rows begin behind the first 2,000 lines."""
MEGATRON = (
    " iteration {0:8d}/    5000 | consumed samples: {1:12d} | elapsed time per iteration (ms): {2:.1f} | learning rate:"
    " {3:.3E} | global batch size:    32 | lm loss: {4:.6E} | loss scale: 1.0 | grad norm: {5:.3f} |"
    " number of skipped iterations:   0 | number of nan iterations:   0 |"
)
WORDINGS = {
    "megatron": MEGATRON,
    "stamped": "[rank0]:[titan] 2026-11-23 14:{6:02d}:{7:02d},123 - root - INFO - \x1b[31mstep: {0:2d}  \x1b[32mloss:"
    " {4:7.4f}  \x1b[38;2;180;60;0mgrad_norm: {5:7.4f}  \x1b[34mtps: {1:,}  \x1b[35mmfu: {8:.2f}%\x1b[39m",
    "dict": "{{'loss': {4:.4f}, 'grad_norm': {5:.4f}, 'learning_rate': {3:.4e}, 'epoch': {9:.4f}}}",
    "json": '{{"step": {0}, "loss": {4:.5f}, "lr": {3:.3e}}}',
    "units": "step {0:05d}/05000 ({8:.2f}%) | loss: {4:.6f} | lrm: 1.00 | dt: {2:.2f}ms"
    " | tok/sec: {1:,} | mfu: {8:.2f}",
    "counters": "Epoch: [1/1]({0}/5000) loss:{4:.3f} lr:{3:.9f} epoch_Time:12.0min:",
    "constant loss": "step {0} loss 0.000 grad_norm 0.00{7}",
}


def written(wording: str, n: int, seed: int = 0) -> list[str]:
    """Lines of one wording, with what happens to values: NaN, zeros, other lengths, repeated and rewound steps."""
    rng = random.Random(seed)
    lines, step = [], 0
    for i in range(n):
        step = step - 7 if rng.random() < 0.01 else step + (rng.random() > 0.02)
        step = max(step, 0)
        loss, grad = 10 / (1 + i / 50), rng.choice((0.0, rng.random(), 10 * rng.random()))
        values = (step, 32 * step, 100 + 900 * rng.random(), 1e-4 * rng.random(), loss, grad, i // 60 % 60, i % 60)
        text = wording.format(*values, 50 * rng.random(), i / n)
        if rng.random() < 0.02:
            text = text.replace(f"{loss:.4f}", "nan").replace(f"{loss:.6E}", "NaN")
        lines.append(text)
        if rng.random() < 0.03:
            lines.append(rng.choice(("saving checkpoint at iteration 7", "", "WARNING: loss is NaN", " > building")))
    return lines


def told(records: list[Record]) -> Iterator[object]:
    """Rows one by one and everything else, so that the cut into blocks does not matter."""
    for record in records:
        if isinstance(record, Rows):
            for i, step in enumerate(record.steps):
                values = {name: repr(float(column[i])) for name, column in record.columns.items()}
                below = {name: bound for name, bound in record.below.items() if float(record.columns[name][i]) == 0.0}
                yield record.x_kind, float(step), record.lines[i], sorted(values.items()), below
        else:
            yield record


def read(lines: list[Line], portion: int, *, lock_on: bool, blocks: bool = False) -> tuple[list[object], Account]:
    reader = TextReader(lock_on=lock_on)
    records: list[Record] = []
    for at in range(0, len(lines), portion):
        some = lines[at : at + portion]
        if blocks:
            records += reader.feed_block(Block(some[0].number, len(some), b"".join(line.data + b"\n" for line in some)))
        else:
            records += reader.feed(some)
    return list(told(records + reader.finish())), reader.account


def same(lines: list[Line], portion: int, *, blocks: bool = False) -> int:
    """Compare both ways; the number of rows."""
    plain, account = read(lines, portion, lock_on=False)
    locked, other = read(lines, portion, lock_on=True, blocks=blocks)
    assert locked == plain
    assert {rule: tally.count for rule, tally in other.rules.items()} == {r: t.count for r, t in account.rules.items()}
    assert other.names == account.names
    assert (other.skipped.count, other.rejected.keys()) == (account.skipped.count, account.rejected.keys())
    return sum(isinstance(record, tuple) for record in plain)


@pytest.mark.parametrize("wording", WORDINGS)
@pytest.mark.parametrize("portion", [7, 400])
def test_a_wording_gives_the_same_rows_by_heart(wording: str, portion: int) -> None:
    for seed in range(3):
        lines = lines_of("\n".join(written(WORDINGS[wording], 400, seed)) + "\n")
        assert same(lines, portion, blocks=bool(seed % 2)) > 100


def test_several_wordings_take_turns() -> None:
    parts = [written(wording, 200, i) for i, wording in enumerate(WORDINGS.values())]
    rng = random.Random(1)
    lines = [part.pop(0) for part in rng.choices(parts, k=900) if part]
    assert same(lines_of("\n".join(lines) + "\n"), 50) > 100


def test_most_lines_are_read_by_heart(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = TextReader()
    asked: list[Line] = []
    rules = reader._read

    def ask(line: Line) -> None:
        asked.append(line)
        rules(line)

    monkeypatch.setattr(reader, "_read", ask)
    lines = [MEGATRON.format(i, 32 * i, 812.5, 1e-4, 10 / i, 0.5, 0, 0) for i in range(1, 2001)]
    (rows, *_) = (r for r in reader.feed(lines_of("\n".join(lines) + "\n")) if isinstance(r, Rows))
    assert len(asked) < 60
    assert rows.columns["step_time_s"][0] == pytest.approx(0.8125)


@pytest.mark.parametrize("name", sorted(path.name.partition("__")[0] for path in CORPUS.glob("*__*.[lto][oxu][gt]*")))
def test_real_logs_give_the_same_rows_by_heart(name: str) -> None:
    data = next(CORPUS.glob(f"{name}__*")).read_bytes()
    rows = same(lines_of(data)[: 6000 if name in LATE else 2000], 500, blocks=b"\r" not in data and b"\0" not in data)
    assert (rows > 0) == (name not in WITHOUT_ROWS)


def test_samples_of_all_projects_in_a_row() -> None:
    text = "\n".join(line for line in PROJECTS.read_text().splitlines() if line) + "\n"
    assert same(lines_of(text * 3), 100) > 300
