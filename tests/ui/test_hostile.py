"""Random walks through all rooms: any keys, any sizes, hostile runs that come and go. Nothing breaks, nothing leaks."""

import math
import random
from pathlib import Path

import pytest
from rich.cells import cell_len
from staging import EVIL, NOW, finding, lines, post, rows, run, snapshot, staged
from textual.pilot import Pilot

from gradtop.finding import Severity
from gradtop.record import Restart, Rows
from gradtop.snapshot import RunSnapshot, RunState, Snapshot
from gradtop.ui import keys
from gradtop.ui.app import GradtopApp
from gradtop.ui.widgets.small import LEAST_COLUMNS, LEAST_ROWS, too_small
from gradtop.verdict import Judgement, Verdict

LONG = "layers.0.attention.self.query_key_value.weight." * 7
WIDE = "训练损失" * 80
HUGE = [1e300, -1e300, 1e-300, math.nan, math.inf, -math.inf, 0.0, -0.0, 5e-324, 1.7e308] * 5
LEFT_OUT = {"everywhere.quit", "everywhere.suspend_process"}
PRESSED = sorted({name for key in keys.TABLE if key.id not in LEFT_OUT for name in key.keys.split(",")} - {"ctrl+c"})
SIZES = [
    (1, 1),
    (2, 9),
    (500, 150),
    (40, 12),
    (80, 24),
    (120, 36),
    (200, 50),
    (LEAST_COLUMNS, LEAST_ROWS),
    (7, 60),
    (300, 3),
]


def hostile() -> list[RunSnapshot]:
    """Runs that no screen should have to show."""
    evil = finding(Severity.WATCH, 3, EVIL * 9)
    spikes = tuple(finding(step=i) for i in range(300))
    many = Rows(steps=range(3), columns={f"{EVIL} {i}/{LONG if i % 2 else WIDE}": [1.0, 2.0, 3.0] for i in range(300)})
    act = Judgement(Verdict.INTERVENE, EVIL * 20, evil, WIDE)
    return [
        run(EVIL * 20, [many], findings=(evil,), judgement=act, state=RunState.CRASHED),
        run(LONG, [Rows(steps=range(50), columns={"loss": HUGE, "grad_norm": HUGE[::-1], EVIL: HUGE})]),
        run(WIDE, [Rows(steps=[7], columns={"loss": [1.5]})], findings=()),
        run("", [], state=RunState.LOADING, read=0.5, judgement=Judgement(Verdict.UNKNOWN, "")),
        run("resumed", [rows(), Restart(reason=EVIL), rows(30, 300)], findings=spikes),
        run("steps", [Rows(steps=[-1e300, 0, 1e300], columns={"loss": [math.nan] * 3, "grad_norm": [0.0] * 3})]),
    ]  # fmt: skip


class Walk:
    """One user with bad luck."""

    def __init__(self, app: GradtopApp, pilot: Pilot[None], seed: int) -> None:
        self.app, self.pilot, self.dice, self.runs = app, pilot, random.Random(seed), hostile()
        self.done: list[str] = []

    async def step(self) -> None:
        kind = self.dice.choice(["key", "key", "keys", "size", "runs"])
        if kind == "size":
            size = self.dice.choice([*SIZES, (self.dice.randint(1, 250), self.dice.randint(1, 80))])
            self.done.append(f"size {size}")
            await self.pilot.resize_terminal(*size)
            await self.pilot.pause()
        elif kind == "runs":
            shown = self.dice.sample(self.runs, self.dice.randint(0, len(self.runs)))
            self.done.append("runs " + " ".join(str(self.runs.index(each)) for each in shown))
            await post(self.app, self.pilot, Snapshot(NOW, tuple(shown), (EVIL,), searching=False))
        else:
            pressed = self.dice.choices(PRESSED, k=1 if kind == "key" else 6)
            self.done.append("keys " + " ".join(pressed))
            for name in pressed:
                self.app.simulate_key(name)
            await self.pilot.pause()

    def look(self) -> None:
        """What is on the screen fits it, and is nothing but text."""
        width, height = self.app.size
        shown = lines(self.app)
        assert self.app.is_running
        assert len(shown) == height
        assert {cell_len(line) for line in shown} <= {width}
        assert not [ch for line in shown for ch in line if ord(ch) < 32 or ch in "\x7f\x9b\u202e\u200b"]
        assert not too_small(width, height) or not "".join(shown[1:]).strip()


async def walked(seed: int, steps: int) -> None:
    async with staged(snapshot(*hostile()), (120, 36)) as (app, pilot):
        walk = Walk(app, pilot, seed)
        for _ in range(steps):
            await walk.step()
            try:
                walk.look()
            except AssertionError as error:
                raise AssertionError("; ".join(walk.done)) from error


@pytest.fixture(autouse=True)
def _pictures_go_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("seed", range(4))
async def test_a_random_walk(seed: int) -> None:
    await walked(seed, 25)


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(100, 112))
async def test_a_long_random_walk(seed: int) -> None:
    await walked(seed, 120)


@pytest.mark.parametrize("size", [(1, 1), (LEAST_COLUMNS - 1, 50), (200, LEAST_ROWS - 1), (5, 5)])
async def test_too_small_a_screen_says_so_in_one_line_and_recovers(size: tuple[int, int]) -> None:
    async with staged(snapshot(run()), size) as (app, pilot):
        for key in ("1", "4", "6", "r", "c", "question_mark"):
            await pilot.press(key)
            await pilot.pause()
            first, *others = lines(app)
            assert first.strip() in ("gradtop needs 24x6", "24x6 needed", "too small", "small", "…")
            assert not "".join(others).strip()
        await pilot.resize_terminal(120, 36)
        await pilot.pause()
        assert "─ help" in "\n".join(lines(app))


async def test_five_thousand_metrics_are_a_run_like_any_other() -> None:
    columns = {f"metric/{i:04}": [float(i), 1.0 / (i + 1)] for i in range(5000)}
    async with staged(snapshot(run(records=[Rows(steps=range(2), columns=columns)]))) as (app, pilot):
        for key in ("1", "enter", "escape", "4", "6", "r", "colon", "escape", "1"):
            await pilot.press(key)
        await pilot.pause()
        assert "minigpt" in lines(app)[0]


async def test_a_run_that_vanishes_while_it_is_open_leaves_another_one() -> None:
    first, second = run("first"), run("second")
    async with staged(snapshot(first, second)) as (app, pilot):
        for key in ("1", "4", "6", "r", "c"):
            await pilot.press(key)
            await post(app, pilot, snapshot(second))
            assert "second" in lines(app)[0]
            await post(app, pilot, snapshot())
            assert "no run yet" in lines(app)[0]
            await post(app, pilot, snapshot(first, second))
            assert "first" in lines(app)[0]
