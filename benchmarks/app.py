"""What the screen costs: time to the first picture, CPU and bytes to the terminal, beside an empty Textual app.

    python benchmarks/app.py [--file LOG] [--seconds 20]

Every figure is taken from a real pseudo-terminal of 200x50. "first paint" is the first frame, "something true" the
first frame with a verdict or a reading progress in it. The live part appends rows to a file that the app watches.
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


def row(step: int) -> str:
    """One line of a healthy run."""
    loss = 3 + 5 * math.exp(-step / 300) + 0.02 * math.sin(step * 1.7)
    return (
        json.dumps({"step": step, "loss": round(loss, 4), "grad_norm": 0.4 + 0.1 * math.sin(step * 2.3), "lr": 3e-4})
        + "\n"
    )


def appender(path: Path) -> Callable[[], None]:
    """A function that appends the next row of the run."""
    steps = itertools.count(path.read_bytes().count(b"\n"))

    def append() -> None:
        with path.open("a") as file:
            file.write(row(next(steps)))

    return append


def measured(name: str, command: Sequence[str], seconds: float, feed: Callable[[], None] | None, rate: float) -> None:
    """Print CPU, bytes and memory of a command while `feed` is called `rate` times a second."""
    with Terminal(command) as terminal:
        terminal.until(lambda output: b"gradtop" in output)
        terminal.pump(4.0)
        cpu, size, updates = terminal.cpu_s(), len(terminal.output), 0
        deadline = time.perf_counter() + seconds
        while time.perf_counter() < deadline:
            if feed is not None:
                feed()
                updates += 1
            terminal.pump(1 / rate)
        used, written = (terminal.cpu_s() - cpu) / seconds, len(terminal.output) - size
        per_update = f"{written / updates:8,.0f} bytes/update" if updates else f"{written / seconds:8,.0f} bytes/s"
        click.echo(f"  {name:<34} {100 * used:5.1f} % of a core  {per_update}  {terminal.rss_mb():6.1f} MB")


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
        live = Path(folder) / "metrics.jsonl"
        live.write_text("".join(row(step) for step in range(2000)))
        opened = [sys.executable, "-m", "gradtop", str(log or live)]
        empty = [sys.executable, "-c", EMPTY_APP]
        base = first_paint(empty, lambda output: b"gradtop" in output, repeats)
        click.echo(f"start, {log or 'a JSONL file of 2,000 rows'}")
        click.echo(f"  {'empty Textual app':<34} {base:6.3f} s")
        for name, wanted in (
            ("gradtop, first paint", lambda o: b"gradtop" in o),
            ("gradtop, something true", TRUE.search),
        ):
            took = first_paint(opened, wanted, repeats)
            click.echo(f"  {name:<34} {took:6.3f} s  {took / base:4.2f}x")
        click.echo(f"running at {COLUMNS}x{LINES}")
        measured("empty Textual app, idle", empty, seconds, None, 4)
        watching = [sys.executable, "-m", "gradtop", str(live)]
        measured("gradtop, no new rows", watching, seconds, None, 4)
        for rate in (1.0, 4.0, 10.0):
            measured(f"gradtop, {rate:g} rows/s", watching, seconds, appender(live), rate)
        latency(live, watching, 24)


if __name__ == "__main__":
    main()
