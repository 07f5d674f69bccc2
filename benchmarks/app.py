"""What the screen costs: time to the first picture, CPU and bytes to the terminal, beside an empty Textual app.

    python benchmarks/app.py [--file LOG] [--seconds 20]

Every figure is taken from a real pseudo-terminal of 200x50. "first line" is what says that gradtop comes, "own frame"
the first one of the app with its keys, "something true" the first one with a verdict or a reading progress in it.
Starts take turns with those of an empty app, in seconds and in processor time, which other work on the machine changes
less. "just opened" is the first minute, in which a run is looked at as if it were written. The live part appends rows
to a file that the app watches. A key is timed from its press to the bytes of what it shows, a row from its write to
those of its loss, of which every digit is another one.
"""

import fcntl
import itertools
import json
import math
import os
import pty
import re
import select
import signal
import struct
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

import click

COLUMNS, LINES = 200, 50
EMPTY_APP = """
from textual.app import App
from textual.widgets import Static
class Empty(App):
    def compose(self):
        yield Static("gradtop")
Empty().run()
"""
IDLE_S = 65.0
"""Seconds after which a run that was opened, and gets no rows, is looked at less often."""
TRUE = re.compile(rb"KEEP TRAINING|WATCH|INTERVENE|FINISHED|reading")


@dataclass
class Terminal:
    """A program on a pseudo-terminal of its own, and everything that it wrote."""

    command: Sequence[str]
    pid: int = 0
    fd: int = -1
    started: float = 0.0
    output: bytearray = field(default_factory=bytearray)

    def __enter__(self) -> "Terminal":
        self.started = time.perf_counter()
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ |= {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
            os.execv(self.command[0], list(self.command))
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        return self

    def __exit__(self, *_: object) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.close(self.fd)
        os.waitpid(self.pid, 0)

    def pump(self, seconds: float) -> None:
        """Read what it writes for a while."""
        deadline = time.perf_counter() + seconds
        while (left := deadline - time.perf_counter()) > 0:
            if select.select([self.fd], [], [], left)[0]:
                self.output += os.read(self.fd, 65536)

    def until(self, wanted: Callable[[bytes], object], limit_s: float = 30.0) -> float:
        """Seconds from the start until its output satisfies `wanted`."""
        while time.perf_counter() - self.started < limit_s:
            self.pump(0.002)
            if wanted(bytes(self.output)):
                return time.perf_counter() - self.started
        raise click.ClickException(f"nothing of the kind on the screen within {limit_s:g} s: {' '.join(self.command)}")

    def cpu_s(self) -> float:
        """Processor seconds so far of all threads that live."""
        with suppress(FileNotFoundError):
            threads = Path(f"/proc/{self.pid}/task").iterdir()
            return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9
        return self.cpu_s()  # a thread ended meanwhile

    def rss_mb(self) -> float:
        """Resident megabytes."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


@dataclass(frozen=True)
class Start:
    """A program, and what on its screen ends its start."""

    name: str
    command: Sequence[str]
    wanted: Callable[[bytes], object]

    def taken(self) -> tuple[float, float]:
        """(seconds, processor seconds) of one start."""
        with Terminal(self.command) as terminal:
            return terminal.until(self.wanted), terminal.cpu_s()


def starts(rivals: Sequence[Start], repeats: int) -> None:
    """Print the medians of starts that take turns, and how they compare with the first of them."""
    for rival in rivals:
        rival.taken()
    rounds = [[rival.taken() for rival in rivals] for _ in range(repeats)]
    for i, rival in enumerate(rivals):
        wall, cpu = (median([one[i][k] for one in rounds]) for k in (0, 1))
        times, cpu_times = (median([one[i][k] / one[0][k] for one in rounds]) for k in (0, 1))
        click.echo(f"  {rival.name:<34} {wall:6.3f} s  {times:4.2f}x   processor {cpu:6.3f} s  {cpu_times:4.2f}x")


def row(step: int, metrics: int = 3) -> str:
    """One line of a healthy run with so many metrics."""
    loss = 3 + 5 * math.exp(-step / 300) + 0.02 * math.sin(step * 1.7)
    values = {"step": step, "loss": round(loss, 4), "grad_norm": 0.4 + 0.1 * math.sin(step * 2.3), "lr": 3e-4}
    values |= {f"aux/{i:02}": round(i + math.sin(step * 0.1 + i), 5) for i in range(metrics - 3)}
    return json.dumps(values) + "\n"


def appender(path: Path, metrics: int = 3) -> Callable[[], None]:
    """A function that appends the next row of the run."""
    steps = itertools.count(path.read_bytes().count(b"\n"))

    def append() -> None:
        with path.open("a") as file:
            file.write(row(next(steps), metrics))

    return append


@dataclass
class Live:
    """A program that runs, and what it is fed `rate` times a second."""

    name: str
    command: Sequence[str]
    feed: Callable[[], None] | None = None
    rate: float = 4.0
    settle_s: float = 6.0


def measured(live: Live, seconds: float, empty_mb: float = 0) -> float:
    """Print CPU, bytes and memory of a program while it is fed; its megabytes."""
    with Terminal(live.command) as terminal:
        terminal.until(lambda output: b"gradtop" in output)
        terminal.pump(live.settle_s)
        # The first rows may lie beyond the end of the axis, which then grows: not what an update costs.
        for _ in range(3 if live.feed is not None else 0):
            fed(terminal, live)
        cpu, size, updates, began = terminal.cpu_s(), len(terminal.output), 0, time.perf_counter()
        while time.perf_counter() - began < seconds:
            updates += fed(terminal, live)
        took = time.perf_counter() - began
        used, written = (terminal.cpu_s() - cpu) / took, len(terminal.output) - size
        per_update = f"{written / updates:8,.0f} bytes/update" if updates else f"{written / took:8,.0f} bytes/s"
        size_mb = terminal.rss_mb()
        times = f"  {size_mb / empty_mb:4.2f}x" if empty_mb else ""
        click.echo(f"  {live.name:<34} {100 * used:5.2f} % of a core  {per_update}  {size_mb:6.1f} MB{times}")
        return size_mb


def fed(terminal: Terminal, live: Live) -> int:
    """Feed it once where there is something to feed, and read for the time between two; how often it was fed."""
    if live.feed is not None:
        live.feed()
    terminal.pump(1 / live.rate)
    return int(live.feed is not None)


KEYS = (
    ("cursor", b"\x1b[D", b" at "),
    ("log/linear", b"y", b""),
    ("zoom", b"+", b""),
    ("findings", b"4", b"findings"),
    ("runs", b"r", b"verdict"),
    ("help", b"?", b"help"),
    ("commands", b":", b"commands"),
)
"""(what it is, the key, what it shows); any byte where nothing is said."""


def keys(command: Sequence[str], repeats: int) -> None:
    """Print how long keys take from the press to the terminal; each is taken back again."""
    with Terminal(command) as terminal:
        terminal.until(TRUE.search)
        terminal.pump(3.0)
        for name, key, shown in KEYS:
            taken = sorted(1000 * pressed(terminal, key, shown) for _ in range(repeats))
            click.echo(f"  key: {name:<12} median {taken[repeats // 2]:4.0f} ms, worst {taken[-1]:4.0f} ms")


def pressed(terminal: Terminal, key: bytes, shown: bytes) -> float:
    """Seconds until a key shows; afterwards all is as before."""
    terminal.output.clear()
    terminal.started = time.perf_counter()
    os.write(terminal.fd, key)
    took = terminal.until(lambda output: shown in output if shown else output)
    for back in (b"\x1b", b"0"):
        terminal.pump(0.3)
        os.write(terminal.fd, back)
    terminal.pump(0.3)
    return took


def contains(part: bytes, whole: bytes) -> bool:
    """The part is in the whole."""
    return part in whole


def latency(path: Path, command: Sequence[str], rows: int, metrics: int) -> None:
    """Print how long a new row takes from the file to the terminal."""
    taken, first = [], path.read_bytes().count(b"\n")
    with Terminal(command) as terminal:
        terminal.until(TRUE.search)
        terminal.pump(3.0)
        # Only cells that change are sent: from here on the first and the last digit of the loss are new in every row.
        with path.open("a") as file:
            file.write(json.dumps({"step": first, "loss": 9.111}) + "\n")
        terminal.until(partial(contains, b"9.1"))
        for step in range(first + 1, first + 1 + rows):
            # All phases between the row, the poll and the rest after an update.
            terminal.pump(0.3 + step * 0.618 % 0.6)
            terminal.output.clear()
            terminal.started = time.perf_counter()
            loss = ".".join(str(digits) for digits in (step % 7 + 1, step % 7 * 111 + 234))
            with path.open("a") as file:
                file.write(json.dumps(json.loads(row(step, metrics)) | {"loss": float(loss)}) + "\n")
            taken.append(terminal.until(partial(contains, loss.encode())))
    taken.sort()
    p50, p99 = (1000 * taken[min(rows - 1, int(part * rows))] for part in (0.5, 0.99))
    click.echo(f"  row of {metrics} to terminal, {rows} rows: p50 {p50:.0f} ms, p99 {p99:.0f} ms (to reach: 500)")


@click.command()
@click.option(
    "--file", "log", type=click.Path(exists=True, path_type=Path), help="A log to open; default: one made here."
)
@click.option("--seconds", default=20.0, show_default=True, help="Length of each live measurement.")
@click.option("--repeats", default=5, show_default=True, help="Starts per figure.")
def main(log: Path | None, seconds: float, repeats: int) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        # The view of a user is none of a benchmark's business.
        os.environ["XDG_STATE_HOME"] = folder
        # As it is installed: compiled once, not at every start, whatever the one who measures has set.
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = str(Path(folder) / "compiled")
        live = Path(folder) / "metrics.jsonl"
        live.write_text("".join(row(step) for step in range(2000)))
        opened = [sys.executable, "-m", "gradtop", str(log or live)]
        empty = [sys.executable, "-c", EMPTY_APP]
        click.echo(f"start, {log or 'a JSONL file of 2,000 rows'}")
        said = [
            Start("empty Textual app", empty, lambda output: b"gradtop" in output),
            Start("gradtop, first line", opened, lambda output: b"gradtop" in output),
            Start("gradtop, own frame", opened, lambda output: b"quit" in output),
            Start("gradtop, something true", opened, TRUE.search),
        ]
        starts(said, repeats)
        click.echo(f"running at {COLUMNS}x{LINES}")
        size_mb = measured(Live("empty Textual app, idle", empty), seconds)
        watching = [sys.executable, "-m", "gradtop", str(live)]
        measured(Live("gradtop, no new rows, just opened", watching), seconds, size_mb)
        measured(Live("gradtop, no new rows for a minute", watching, settle_s=IDLE_S), seconds, size_mb)
        for rate in (1.0, 4.0, 10.0):
            measured(Live(f"gradtop, {rate:g} rows/s", watching, appender(live), rate), seconds, size_mb)
        wide = Path(folder) / "wide.jsonl"
        wide.write_text("".join(row(step, 60) for step in range(2000)))
        watching_wide = [sys.executable, "-m", "gradtop", str(wide)]
        measured(Live("gradtop, 5 rows/s of 60 metrics", watching_wide, appender(wide, 60), 5.0), seconds, size_mb)
        latency(live, watching, 100, 3)
        latency(wide, watching_wide, 100, 60)
        keys(watching, repeats)


if __name__ == "__main__":
    main()
