"""Snapshots and an app for the tests of the screen; no thread polls, the tests post what is to be shown."""

import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from gradtop.finding import Criterion, Finding, FindingState, Severity
from gradtop.record import Restart, Rows, RunFacts, Train
from gradtop.run import Run
from gradtop.snapshot import RunSnapshot, RunState, Snapshot
from gradtop.sources import SourceStatus
from gradtop.ui.app import GradtopApp
from gradtop.ui.feed import SnapshotReady
from gradtop.verdict import Judgement, Verdict

NOW = 1_700_000_000.0
SIZES = [(120, 36), (80, 24), (200, 50)]
EVIL = "[/bold][@click=app.quit]x[/]\x1b]52;c;cm0gLXJm\x07\x1b[2J\u202e"


def rows(n: int = 400, start: int = 1, **more: list[float]) -> Rows:
    steps = range(start, start + n)
    columns: dict[str, list[float]] = {
        "loss": [8.0 * (i + 1) ** -0.2 for i in steps],
        "grad_norm": [0.2 + 5.0 / (i + 1) + 0.05 * math.sin(i) for i in steps],
        "lr": [1e-7 * i for i in steps],
        "time": [NOW + i for i in steps],
    }
    return Rows(steps=steps, columns=columns | more)


def finding(severity: Severity = Severity.NOTICE, step: float = 14, message: str = "A wobble at step 14.") -> Finding:
    criteria = (
        Criterion("persists", "it holds step after step", False, "1 of 1 rows"),
        Criterion("loss_flat", "the loss stopped improving", False, "8.23 → 7.43"),
        Criterion("below_level", "far below the usual range", None, "no range before 100 rows"),
        Criterion("after_burn_in", "still there after warm-up", False, "1 in 400 rows"),
    )
    causes = tuple(f"cause {i}" for i in range(40))
    return Finding(
        "gradient_vanishing",
        "total",
        severity,
        FindingState.RECOVERED,
        step,
        step,
        step,
        1,
        message,
        {},
        criteria,
        causes,
    )


def run(
    name: str = "minigpt",
    records: Sequence[Rows | Restart] | None = None,
    *,
    findings: tuple[Finding, ...] | None = None,
    **changes: Any,
) -> RunSnapshot:
    store = Run()
    list(store.apply(RunFacts(train=Train(total_steps=20000, warmup_steps=4000))))
    for record in records if records is not None else (rows(),):
        list(store.apply(record))
    found = (finding(),) if findings is None else findings
    snapshot = RunSnapshot(
        id=f"/logs/{name}",
        name=name,
        path=Path("/logs") / "x",
        state=RunState.LIVE,
        read=1.0,
        view=store.view(),
        findings=found,
        judgement=Judgement(Verdict.KEEP_TRAINING, "Nothing to act on.", found[0] if found else None),
        sources=(SourceStatus(Path("/logs/x"), "text", size=100),),
        changed_at=NOW - 2,
        rate=3.1,
        eta_s=5940.0,
    )
    return replace(snapshot, **changes)


def snapshot(*runs: RunSnapshot, notes: tuple[str, ...] = ()) -> Snapshot:
    return Snapshot(NOW, runs, notes, searching=False)


@asynccontextmanager
async def staged(
    shown: Snapshot | None, size: tuple[int, int] = (120, 36), **options: Any
) -> AsyncIterator[tuple[GradtopApp, Pilot[None]]]:
    """The app with a snapshot on the screen. Reads of the Log are done at once."""
    options = {"background": lambda work: work(), "clock": lambda: 0.0} | options
    app = GradtopApp(_never, _never_wait, **options)
    async with app.run_test(size=size) as pilot:
        if shown is not None:
            await post(app, pilot, shown)
        yield app, pilot


async def post(app: GradtopApp, pilot: Pilot[None], shown: Snapshot) -> None:
    app.post_message(SnapshotReady(shown))
    await pilot.pause()


def lines(app: GradtopApp) -> list[str]:
    """The screen as text."""
    return [strip.text for strip in app.screen._compositor.render_strips()]


def text(app: GradtopApp) -> str:
    return "\n".join(lines(app))


def _never() -> Snapshot:
    raise AssertionError("tests do not poll")


def _never_wait(timeout_s: float) -> None:
    raise AssertionError("tests do not poll")
