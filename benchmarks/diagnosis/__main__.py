"""How well gradtop's findings, and the rules of other tools, tell faulty trainings from healthy ones.

    python -m benchmarks.diagnosis [--tuning] [--only NAME] [--json FILE]

Trains what is not in the cache yet (small networks on the CPU), then judges every run: those of the tuning seeds, on
which limits may be chosen, and apart from them those of the held-out seeds. Real logs beside the repository are judged
as well where they are there.
"""

import hashlib
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import click
import msgspec

import gradtop.detect
from gradtop.config import Limits
from gradtop.record import Record

from . import table
from .injection import INJECTIONS, Found, injected
from .peers import PEERS, fired
from .replay import CORPUS, THINNED, Log, bloom_slowdown, bloom_spike, curves, logs, thinned
from .runs import CONFIGS, HELD_OUT_SEEDS, TUNING_SEEDS, Recorded, default_cache, recorded
from .score import Count, Outcome, PeerScore, Rate, Score, Span, Truth, peer_score, quantile, score
from .watch import outcome, read, watched

OWN = "gradtop, any alarm"
"""Its name among the peers: the same measure, whatever it says of the cause."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One run or log, judged by gradtop and by the peers."""

    outcome: Outcome
    alarms: dict[str, tuple[Span, ...]]
    """By the name of the rule."""
    group: str = ""
    """What a real log is listed with."""


def judged(truth: Truth, seed: int | None, records: Sequence[Record]) -> Judged:
    """One stream, judged by all."""
    own = outcome(truth, seed, records)
    return Judged(own, {OWN: tuple((alarm.step, alarm.step) for alarm in own.loud), **fired(PEERS, records)})


def judged_run(run: Recorded) -> Judged:
    """A run of the benchmark."""
    config = run.config
    return judged(Truth(config.name, config.kinds, config.onset or 0, config.steps), run.seed, read(run.path))


def judged_log(log: Log, every: int) -> Judged:
    """A real healthy log; its rows stand for its steps."""
    records = list(thinned(read(log.path), every))
    found = judged(Truth(log.path.name + _thinning(every)), None, records)
    truth = replace(found.outcome.truth, steps=found.outcome.rows)
    return Judged(replace(found.outcome, truth=truth), found.alarms, log.group + _thinning(every))


def _thinning(every: int) -> str:
    return f", every {every}th step" if every > 1 else ""


def section(title: str, lines: Iterable[str]) -> None:
    """Print one part of the report."""
    click.echo(f"\n{title}\n{'=' * len(title)}")
    for line in lines:
        click.echo(line)


def fingerprint() -> str:
    """What the rules were: a hash of the default limits and one of their sources."""
    folder = Path(gradtop.detect.__file__).parent
    source = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(folder.rglob("*.py"))))
    limits = hashlib.sha256(repr(Limits()).encode())
    return f"limits {limits.hexdigest()[:12]}, rules {source.hexdigest()[:12]}"


def report_runs(title: str, runs: Sequence[Judged]) -> Score:
    """The tables of one set of runs."""
    outcomes = [run.outcome for run in runs]
    result = score(outcomes)
    healthy = [o.truth.steps for o in outcomes if o.truth.healthy]
    seeds = ", ".join(map(str, dict.fromkeys(o.seed for o in outcomes)))
    faulty = len(outcomes) - len(healthy)
    what = f"{len(healthy)} healthy runs, {sum(healthy):,} steps; {faulty} faulty runs; seeds {seeds}"
    section(title, [what, "", *table.overview(result)])
    section(f"{title}: kinds (delay in steps from the onset, median and 90th percentile)", table.kinds(result))
    section(f"{title}: targets", table.targets(result))
    section(f"{title}: faulty runs", table.configurations(outcomes))
    section(f"{title}: what went wrong", table.complaints(outcomes))
    return result


def peer_scores(runs: Sequence[Judged], real: Sequence[Judged]) -> list[tuple[PeerScore, Rate, Count]]:
    """Every rule on the runs and on the whole real logs, gradtop first."""
    whole = [log for log in real if not log.group.endswith("step")]
    steps = sum(log.outcome.rows for log in whole)
    rows = []
    for name in (OWN, *(peer.name for peer in PEERS)):
        alarms = [len(log.alarms[name]) for log in whole]
        mine = peer_score(name, [(run.outcome, run.alarms[name]) for run in runs])
        rows.append((mine, Rate(sum(alarms), steps), Count(sum(map(bool, alarms)), len(alarms))))
    return rows


def report_real(real: Sequence[Judged]) -> None:
    """False alarms in real healthy logs, whole and thinned."""
    if not real:
        section("Real healthy logs", [f"skipped: there are none at {CORPUS.resolve()}"])
        return
    rows = []
    for group in sorted({log.group for log in real}):
        result = score([log.outcome for log in real if log.group == group])
        counts = (result.warnings.events, result.criticals.events)
        total = Rate(sum(counts), result.warnings.steps)
        bound = table.number(total.bound, 2)
        rows.append((group, table.of(result.flagged), f"{total.steps:,}", *map(str, counts), bound))
    lines = table.aligned(("logs", "flagged", "rows", "warnings", "criticals", "bound per 10,000"), rows)
    section("Real healthy logs", [*lines, "", *table.complaints([log.outcome for log in real])])


def report_injections(found: Sequence[Found]) -> None:
    """How many faults that were put into real logs were found."""
    rows = []
    for i, injection in enumerate(INJECTIONS):
        mine = [one for one in found if one.fault == i]
        delays = [one.delay for one in mine if one.delay is not None]
        named = sorted({one.kind for one in mine if one.kind})
        delay = (table.number(quantile(delays, 0.5)), table.number(quantile(delays, 0.9)))
        rows.append((injection.name, f"{len(delays)}/{len(mine)}", *delay, ", ".join(named)))
    head = ("fault", "found", "delay", "p90", "as")
    section("Faults put into the losses of real healthy logs", table.aligned(head, rows))


def report_incidents(seeds: Sequence[int]) -> None:
    """What is said of two published incidents, with other noise for each seed."""
    for title, stream in (
        ("Replay: the spike of BLOOM-176B (31214 to 31222 as published, a made-up quiet before)", bloom_spike),
        ("Replay: a slow GPU of BLOOM-176B (105.2 to 111.1 s at step 400, noise made up)", bloom_slowdown),
    ):
        alarms = {seed: watched([stream(seed)])[1].alarms for seed in seeds}
        lines = [f"seed {seed}: {'; '.join(map(table.said, told)) or 'nothing'}" for seed, told in alarms.items()]
        section(title, lines)


@click.command()
@click.option("--cache", type=click.Path(path_type=Path), help="Where recorded runs are kept.")
@click.option("--tuning", is_flag=True, help="Leave the held-out seeds alone, while limits are being chosen.")
@click.option("--seeds", default="", help="These seeds alone, such as 0,1,100.")
@click.option("--only", default="", help="Configurations whose name has this in it; nothing else.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write all results there.")
@click.option("--quick", is_flag=True, help="One seed of each set, few injections.")
@click.option("--workers", default=2, show_default=True)
def main(
    cache: Path | None, tuning: bool, seeds: str, only: str, json_file: Path | None, quick: bool, workers: int
) -> None:
    """Print the tables."""
    began = time.monotonic()
    chosen = tuple(int(seed) for seed in seeds.split(",") if seed)
    both = {"Tuning": TUNING_SEEDS, "Held out": () if tuning else HELD_OUT_SEEDS}
    sets = {name: _some(own, chosen, quick) for name, own in both.items()}
    configs = [config for config in CONFIGS if only in config.name]
    wanted = [seed for own in sets.values() for seed in own]
    recordings = list(recorded(cache or default_cache(), wanted, workers, configs))
    click.echo(f"gradtop's rules: {fingerprint()}; Python {sys.version.split()[0]}")
    click.echo(f"judging {len(recordings)} runs and {len(logs())} real logs", err=True)
    with ProcessPoolExecutor(workers) as pool:
        runs = list(pool.map(judged_run, recordings, chunksize=4))
        real = [] if only else _on_logs(pool, quick)
        found = [] if only else _on_injections(pool, 6 if quick else 60)
    results = {}
    for name, own in sets.items():
        mine = [run for run in runs if run.outcome.seed in own]
        if mine:
            results[name] = report_runs(name, mine)
            section(f"{name}: rules of other tools on the same runs", table.peers(peer_scores(mine, real)))
    if not only:
        report_real(real)
        report_injections(found)
        report_incidents((0,) if quick else TUNING_SEEDS)
    if json_file is not None:
        json_file.write_bytes(
            msgspec.json.encode({"rules": fingerprint(), "scores": results, "runs": runs, "real": real})
        )
    click.echo(f"\n{time.monotonic() - began:.0f} s")


def _some(own: Sequence[int], chosen: Sequence[int], quick: bool) -> tuple[int, ...]:
    """Of a set's own seeds those that are asked for."""
    picked = tuple(seed for seed in own if not chosen or seed in chosen)
    return picked[:1] if quick else picked


def _on_logs(pool: ProcessPoolExecutor, quick: bool) -> list[Judged]:
    """All real logs, whole and thinned."""
    tasks = [(log, every) for log in logs()[:: 8 if quick else 1] for every in THINNED]
    return list(pool.map(judged_log, *zip(*tasks, strict=True))) if tasks else []


def _on_injections(pool: ProcessPoolExecutor, each: int) -> list[Found]:
    """Every fault `each` times, at places spread over the loss curves."""
    paths = curves(CORPUS)
    tasks = [(paths[i % len(paths)], fault, (i + 0.5) / each) for fault in range(len(INJECTIONS)) for i in range(each)]
    return list(pool.map(injected, *zip(*tasks, strict=True), chunksize=4)) if paths else []


if __name__ == "__main__":
    main()
