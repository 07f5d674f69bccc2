"""What samples of the machine cost: milliseconds of one, processor time and wake-ups of a monitor, bytes of a record.

    python benchmarks/hardware.py [--devices 8] [--seconds 20]

The driver is the stand-in of the tests, compiled here: it answers at once, so that what is measured is gradtop. A real
one takes longer, in its own code. Each loop watches one run that gets a row a second, in a process of its own; "empty"
does nothing but sleep for a second. Wake-ups are voluntary context switches of all threads.
"""

import gzip
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click

sys.path.append(str(Path(__file__).parents[1] / "tests" / "hardware"))
from standin import Compiler  # the tests' own driver

WRITER = """
import sys, time
with open(sys.argv[1], "a", buffering=1) as out:
    for step in range(100000):
        out.write(f'{{"step": {step}, "loss": {5 / (step + 1)}, "time": {time.time()}}}\\n')
        time.sleep(1.0)
"""
RECORDED_S = 12.0
"""Seconds for which samples are recorded."""
LOOPS = ("empty", "monitor", "monitor and samples", "monitor and samples, no driver")


def cost_of_one(repeats: int) -> None:
    """Milliseconds of one sample, by who is asked."""
    from gradtop.hardware.answer import Wanted
    from gradtop.hardware.driver import Driver
    from gradtop.hardware.gpu import SLOW_S
    from gradtop.hardware.system import System

    driver, system = Driver(foreign=False), System()
    started = time.perf_counter()
    driver.sample(0.0)
    click.echo(f"{'the first, with its imports':<42}{1000 * (time.perf_counter() - started):>9.2f}")
    wanted = (Wanted("run", (Path(__file__),), pid=os.getpid()),)
    system.sample(0.0, wanted, ())
    second = SLOW_S / 5
    parts: tuple[tuple[str, Callable[[float], object]], ...] = (
        ("GPUs", lambda at: driver.sample(at)),
        ("host and one process", lambda at: system.sample(at, wanted, ())),
    )
    for name, ask in parts:
        taken = [_ms(ask, second * (i + 1)) for i in range(repeats)]
        most = statistics.quantiles(taken, n=10)[-1]
        click.echo(f"{name:<42}{statistics.median(taken):>9.2f}{most:>9.2f}")


def _ms(ask: Callable[[float], object], at: float) -> float:
    started = time.perf_counter()
    ask(at)
    return 1000 * (time.perf_counter() - started)


def loop(kind: str, folder: Path, seconds: float) -> None:
    """Watch for a while, and print CPU seconds and wake-ups a second."""
    from gradtop.config import Settings
    from gradtop.wiring import read_paths, watch_paths

    watching = None
    if kind != "empty":
        watching = (read_paths if kind == "monitor" else watch_paths)((folder,), Settings())
        for _ in range(4):
            watching.monitor.poll()
            watching.wait(1.0)
    began, cpu, woken = time.monotonic(), time.process_time(), _wakeups()
    while time.monotonic() - began < seconds:
        if watching is None:
            time.sleep(1.0)
        else:
            watching.monitor.poll()
            watching.wait(1.0)
    spent = time.monotonic() - began
    click.echo(f"{100 * (time.process_time() - cpu) / spent:.2f} {(_wakeups() - woken) / spent:.1f}")
    sys.stdout.flush()
    os._exit(0)


def _wakeups() -> int:
    lines = [line for task in Path("/proc/self/task").iterdir() for line in (task / "status").read_text().splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))


def recorded(run: Path, samples: Path, environment: dict[str, str]) -> tuple[float, float]:
    """Bytes of a recorded line, plain and as a part of a packed file."""
    command = [sys.executable, "-m", "gradtop", "check", "--follow", "--record", str(samples), str(run)]
    following = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(RECORDED_S)
    finally:
        following.terminate()
        following.wait()
    data = samples.read_bytes()
    n = max(1, data.count(b"\n"))
    return len(data) / n, len(gzip.compress(data)) / n


@click.command()
@click.option("--devices", default=8, show_default=True)
@click.option("--seconds", default=20.0, show_default=True)
@click.option("--repeats", default=100, show_default=True)
@click.option("--part", default="", hidden=True)
@click.option("--folder", type=click.Path(path_type=Path), hidden=True)
def main(devices: int, seconds: float, repeats: int, part: str, folder: Path) -> None:
    """Print the tables."""
    if part == "one":
        cost_of_one(repeats)
    elif part:
        loop(part, folder, seconds)
    else:
        with tempfile.TemporaryDirectory() as made:
            compare(Path(made), devices, seconds, repeats)


def compare(folder: Path, devices: int, seconds: float, repeats: int) -> None:
    """Each part in a process of its own."""
    library = Compiler(folder).library().parent
    run = folder / "run"
    run.mkdir()
    log = str(run / "metrics.jsonl")
    writer = subprocess.Popen([sys.executable, "-c", WRITER, log])
    procs = ",".join(f"{writer.pid + i}:{1000 + i}" for i in range(8))

    def driven(gpus: int) -> dict[str, str]:
        return os.environ | {"LD_LIBRARY_PATH": str(library), "GPU_DRIVER": f"gpus={gpus} procs={procs}"}

    def part(name: str, driver: bool = True) -> str:
        environment = driven(devices) if driver else dict(os.environ)
        command = [sys.executable, __file__, "--part", name, "--folder", str(run), "--seconds", str(seconds)]
        return subprocess.run(
            [*command, "--repeats", str(repeats)], env=environment, stdout=subprocess.PIPE, text=True, check=True
        ).stdout

    try:
        click.echo(f"{f'one sample, {devices} devices':<42}{'ms':>9}{'90 %':>9}\n{part('one')}")
        click.echo(f"{f'a loop, {devices} devices':<42}{'CPU %':>9}{'wakes/s':>9}")
        for kind in LOOPS:
            plain = kind.partition(",")[0]
            cpu, woken = part(plain, driver=plain == kind).split()
            click.echo(f"{kind:<42}{cpu:>9}{woken:>9}")
        click.echo(f"\n{'a recorded line':<42}{'bytes':>9}{'packed':>9}")
        for gpus in (0, 1, devices):
            plain_bytes, packed = recorded(run, folder / f"{gpus}.jsonl", driven(gpus) if gpus else dict(os.environ))
            click.echo(f"{f'{gpus} devices':<42}{plain_bytes:>9.0f}{packed:>9.0f}")
    finally:
        writer.kill()
        writer.wait()


if __name__ == "__main__":
    main()
