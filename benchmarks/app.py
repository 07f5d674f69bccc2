"""What the screen costs: time to the first picture, CPU and bytes to the terminal, beside an empty Textual app.

    python benchmarks/app.py [--file LOG] [--seconds 20]

Every figure is taken from a real pseudo-terminal of 200x50. "first line" is what says that gradtop comes, "own frame"
the first one of the app with its keys, "something true" the first one with a verdict or a reading progress in it. The
live part appends rows to a file that the app watches. A key is timed from its press to the bytes of what it shows.
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
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

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
        """User and system seconds so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_mb(self) -> float:
        """Resident megabytes."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def first_paint(command: Sequence[str], wanted: Callable[[bytes], object], repeats: int) -> float:
    """Median seconds from start to a frame that satisfies `wanted`."""
    taken = []
    for _ in range(repeats):
        with Terminal(command) as terminal:
            taken.append(terminal.until(wanted))
    return sorted(taken)[repeats // 2]


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


def measured(
    name: str, command: Sequence[str], seconds: float, feed: Callable[[], None] | None, rate: float, empty_mb: float = 0
) -> float:
    """Print CPU, bytes and memory of a command while `feed` is called `rate` times a second; its megabytes."""
    with Terminal(command) as terminal:
        terminal.until(lambda output: b"gradtop" in output)
        terminal.pump(4.0)
        # The first rows may lie beyond the end of the axis, which then grows: not what an update costs.
        for _ in range(3 if feed is not None else 0):
            if feed is not None:
                feed()
            terminal.pump(0.5)
        cpu, size, updates = terminal.cpu_s(), len(terminal.output), 0
        deadline = time.perf_counter() + seconds
        while time.perf_counter() < deadline:
            if feed is not None:
                feed()
                updates += 1
            terminal.pump(1 / rate)
        used, written = (terminal.cpu_s() - cpu) / seconds, len(terminal.output) - size
        per_update = f"{written / updates:8,.0f} bytes/update" if updates else f"{written / seconds:8,.0f} bytes/s"
        size_mb = terminal.rss_mb()
        times = f"  {size_mb / empty_mb:4.2f}x" if empty_mb else ""
        click.echo(f"  {name:<34} {100 * used:5.1f} % of a core  {per_update}  {size_mb:6.1f} MB{times}")
        return size_mb


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


def latency(path: Path, command: Sequence[str], rows: int) -> None:
    """Print how long a new row takes from the file to the terminal; its step changes every digit on the screen."""
    taken = []
    steps = [int(str(digit) * length) for length in (4, 5, 6, 7) for digit in range(3, 10)][:rows]
    with Terminal(command) as terminal:
        terminal.until(TRUE.search)
        terminal.pump(3.0)
        for step in steps:
            terminal.pump(0.4 + step % 97 / 200)
            terminal.output.clear()
            terminal.started = time.perf_counter()
            with path.open("a") as file:
                file.write(row(step))
            digits = str(step)[:3].encode()
            taken.append(terminal.until(partial(contains, digits)))
    taken.sort()
    median, worst = taken[len(taken) // 2], taken[-1]
    click.echo(f"  row to terminal, {len(taken)} rows: median {1000 * median:.0f} ms, worst {1000 * worst:.0f} ms")


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
        for command, wanted in ((empty, lambda output: b"gradtop" in output), (opened, TRUE.search)):
            first_paint(command, wanted, 2)
        base = first_paint(empty, lambda output: b"gradtop" in output, repeats)
        click.echo(f"start, {log or 'a JSONL file of 2,000 rows'}")
        click.echo(f"  {'empty Textual app':<34} {base:6.3f} s")
        for name, wanted in (
            ("gradtop, first line", lambda o: b"gradtop" in o),
            ("gradtop, own frame", lambda o: b"quit" in o),
            ("gradtop, something true", TRUE.search),
        ):
            took = first_paint(opened, wanted, repeats)
            click.echo(f"  {name:<34} {took:6.3f} s  {took / base:4.2f}x")
        click.echo(f"running at {COLUMNS}x{LINES}")
        size_mb = measured("empty Textual app, idle", empty, seconds, None, 4)
        watching = [sys.executable, "-m", "gradtop", str(live)]
        measured("gradtop, no new rows", watching, seconds, None, 4, size_mb)
        for rate in (1.0, 4.0, 10.0):
            measured(f"gradtop, {rate:g} rows/s", watching, seconds, appender(live), rate, size_mb)
        wide = Path(folder) / "wide.jsonl"
        wide.write_text("".join(row(step, 60) for step in range(2000)))
        watching_wide = [sys.executable, "-m", "gradtop", str(wide)]
        measured("gradtop, 5 rows/s of 60 metrics", watching_wide, seconds, appender(wide, 60), 5.0, size_mb)
        latency(live, watching, 24)
        keys(watching, repeats)


if __name__ == "__main__":
    main()
