"""How files are followed: whether anything is lost, how soon a row arrives, and what waiting costs.

    python benchmarks/following.py [--programs 5000] [--runs 1000] [--seconds 20] [--settle 61]

Random programs of writers (write, split, rotate, replace, delete, truncate, turn a link, leave a hole) run against a
model. Then one run of many is written by another process, a row a second, and the time from the append to the snapshot
is measured with events and without them, beside the processor time of the loop that every front end runs.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from unittest.mock import patch

import click

from gradtop.config import Settings
from gradtop.wiring import Watching, watch_paths

sys.path.append(str(Path(__file__).parents[1] / "tests" / "sources"))
from programs import Outcome, Rows, one_program, truncations  # the tests' own model

ACTIONS = 60
WRITER = """
import sys, time
with open(sys.argv[1], "a") as out:
    for step in range(21, 100000):
        time.sleep(float(sys.argv[2]))
        out.write(f'{{"step": {step}, "loss": {time.monotonic()}}}\\n')
        out.flush()
"""


def show(kind: str, found: Iterator[tuple[bool, Outcome]]) -> None:
    """One line of the table of programs."""
    started = time.perf_counter()
    outcomes = list(found)
    took = time.perf_counter() - started
    actions, lost, doubled = (sum(getattr(o, name) for _, o in outcomes) for name in ("actions", "lost", "doubled"))
    wrong = sum(not sound for sound, _ in outcomes)
    click.echo(f"{kind:<22}{len(outcomes):>9,}{actions:>10,}{wrong:>7,}{lost:>7,}{doubled:>9,}{took:>9.1f}")


def programs(folder: Path, count: int) -> None:
    """The table of programs."""
    click.echo(f"{'programs':<22}{'number':>9}{'actions':>10}{'wrong':>7}{'lost':>7}{'doubled':>9}{'seconds':>9}")
    all_given = Outcome(ACTIONS, lost=0, doubled=0, in_order=True)
    whole = (one_program(folder, seed, ACTIONS) for seed in range(count))
    show("bytes to lines", ((found == all_given, found) for found in whole))
    show("with truncations *", (truncations(folder / f"{seed}.log", seed, ACTIONS) for seed in range(count // 5)))
    for text, name in ((False, "rows.jsonl"), (True, "rows.log")):
        through = (Rows(new_folder(folder) / name, seed, text).run(ACTIONS) for seed in range(count // 20))
        show(f"file to store, {name[5:]}", ((found == all_given, found) for found in through))
    click.echo("* what is truncated between two looks is lost; wrong is what was torn, invented or out of order\n")


def new_folder(folder: Path) -> Path:
    """A directory for one program."""
    return Path(tempfile.mkdtemp(dir=folder))


def write_runs(folder: Path, count: int) -> Path:
    """Runs that ended long ago, and one that has just begun: its file."""
    rows = "".join(f'{{"step": {step}, "loss": {5 - step / 100}}}\n' for step in range(21))
    for i in range(count):
        path = folder / f"run{i}" / "metrics.jsonl"
        path.parent.mkdir(parents=True)
        path.write_text(rows)
    return path


def follow(watching: Watching, live: Path, seconds: float) -> Iterator[float]:
    """The age of every new row when a snapshot holds it, in seconds; the loop is the app's."""
    seen, until = 20.0, time.monotonic() + seconds
    while time.monotonic() < until:
        watching.wait(1.0)
        snapshot = watching.monitor.poll()
        view = next(run.view for run in snapshot.runs if run.path == live)
        if view.last_step is not None and view.last_step > seen:
            seen = view.last_step
            yield time.monotonic() - float(view.series["loss"].values[-1])


def measure(kind: str, folder: Path, live: Path, seconds: float, settle_s: float) -> None:
    """One line of the table of latencies, `settle_s` after every open file was read: it is looked at rarely by then."""
    watching = watch_paths((folder,), Settings())
    watching.to_end()
    for _ in follow(watching, live, settle_s):
        pass
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(live), "1.03"])
    before = time.process_time()
    try:
        ages = sorted(follow(watching, live, seconds))
    finally:
        writer.kill()
        writer.wait()
    share = (time.process_time() - before) / seconds
    watching.monitor.close()
    p50, p99 = (1000 * ages[int(len(ages) * part)] for part in (0.5, 0.99))
    click.echo(f"{kind:<22}{len(ages):>9,}{p50:>10.0f}{p99:>7.0f}{100 * share:>12.2f} %   {watching.monitor.following}")


def deaf() -> AbstractContextManager[object]:
    """A machine without watches left."""
    return patch("watchdog.observers.api.BaseObserver.schedule", side_effect=OSError(28, "No space left on device"))


@click.command()
@click.option("--programs", "count", default=5000, show_default=True)
@click.option("--runs", default=1000, show_default=True)
@click.option("--seconds", default=20.0, show_default=True)
@click.option(
    "--settle", default=61.0, show_default=True, help="Seconds before; an opened file is busy for the first 60."
)
def main(count: int, runs: int, seconds: float, settle: float) -> None:
    """Print the tables."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        programs(folder, count)
        click.echo(f"{f'one live run of {runs:,}':<22}{'rows':>9}{'p50 ms':>10}{'p99':>7}{'processor':>14}")
        for kind, without in (("events", nullcontext()), ("polling", deaf())):
            live = write_runs(folder / kind, runs)
            with without:
                measure(kind, folder / kind, live, seconds, settle)


if __name__ == "__main__":
    main()
