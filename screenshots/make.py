"""Draw the pictures of the README: the app on the recorded run that comes with gradtop.

    python screenshots/make.py

Writes a file beside this one for every row of `PICTURES`. The clock of the replay is ours, so the pictures change only
when the app does.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from gradtop.config import DARK, LIGHT, Settings
from gradtop.monitor import Monitor
from gradtop.snapshot import Snapshot
from gradtop.sources.replay import Replay, recorded_run
from gradtop.ui.app import GradtopApp
from gradtop.ui.feed import SnapshotReady
from gradtop.ui.svg import svg
from gradtop.ui.theme import BY_NAME
from gradtop.workspace import Named

FOLDER = Path(__file__).parent
SHOWN_S = 40.0
"""Seconds of the recorded run that the pictures show."""


@dataclass(frozen=True)
class Picture:
    """One file, the size of its terminal and the keys pressed before it is taken."""

    name: str
    columns: int
    lines: int
    keys: tuple[str, ...] = ()
    theme: str = DARK


PICTURES = (
    Picture("overview", 120, 36),
    Picture("checklist", 120, 36, ("c",)),
    Picture("layers", 120, 36, ("2",)),
    Picture("metrics", 120, 36, ("3",), LIGHT),
    Picture("findings", 120, 36, ("4",)),
    Picture("narrow", 80, 24),
)


def shown() -> Snapshot:
    """The recorded run, `SHOWN_S` seconds after its start."""
    at = [0.0]
    replay = Replay(recorded_run(), 1.0, lambda: at[0], lambda: at[0])
    monitor = Monitor(
        (), Settings(), sources=[(Named(recorded_run(), "demo"), replay)], now=lambda: at[0], monotonic=lambda: at[0]
    )
    monitor.poll()
    at[0] = SHOWN_S
    return monitor.poll()


async def take(picture: Picture, snapshot: Snapshot) -> None:
    """Open the app without a terminal, press the keys and write the picture."""
    settings = Settings(theme=picture.theme)
    app = GradtopApp(lambda: snapshot, lambda _: None, settings=settings, clock=lambda: 0.0)
    async with app.run_test(size=(picture.columns, picture.lines)) as pilot:
        app.post_message(SnapshotReady(snapshot))
        await pilot.pause()
        for key in picture.keys:
            await pilot.press(key)
            await pilot.pause()
        rows = app.screen._compositor.render_strips()
        document = svg(rows, picture.columns, BY_NAME[picture.theme], f"gradtop: {picture.name}")
        (FOLDER / f"{picture.name}.svg").write_text(document)


def main() -> None:
    """Write all pictures."""
    snapshot = shown()
    for picture in PICTURES:
        asyncio.run(take(picture, snapshot))
        print(f"{picture.name}.svg  {picture.columns}x{picture.lines}")


if __name__ == "__main__":
    main()
