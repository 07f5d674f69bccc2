"""The runs of the benchmark: small networks trained on the CPU, healthy or with a fault whose onset is known."""

import hashlib
import multiprocessing
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from .faulty import FAULTY
from .healthy import HEALTHY
from .plan import Config, Plan
from .recorder import lines

__all__ = ["CONFIGS", "HELD_OUT_SEEDS", "TUNING_SEEDS", "Config", "Recorded", "default_cache", "recorded"]

TUNING_SEEDS = (0, 1, 2, 3, 4)
"""Seeds of the runs on which limits may be chosen."""
HELD_OUT_SEEDS = (100, 101, 102, 103, 104)
"""Seeds of the runs that are looked at with limits that are fixed."""

VERSION = 1
"""Of the training code: with another number every run is recorded anew."""

_PLANS = {plan.config.name: plan for plan in (*HEALTHY, *FAULTY)}
CONFIGS: tuple[Config, ...] = tuple(plan.config for plan in _PLANS.values())
"""All configurations, the healthy ones first; names are unique."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One recorded run."""

    config: Config
    seed: int
    path: Path
    """A whole stream of the schema `gradtop/1`, JSON lines."""


def default_cache() -> Path:
    """Where recorded runs are kept: `gradtop/diagnosis` in the user's cache directory."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gradtop" / "diagnosis"


def recorded(
    cache: Path, seeds: Sequence[int], workers: int = 2, configs: Sequence[Config] = CONFIGS
) -> Iterator[Recorded]:
    """Every configuration with every seed, in that order; what the cache does not hold is trained first.

    Progress goes to stderr. Raises KeyError for a configuration that is none of `CONFIGS`.
    """
    return kept(cache, [_PLANS[config.name] for config in configs], seeds, workers)


def kept(cache: Path, plans: Sequence[Plan], seeds: Sequence[int], workers: int) -> Iterator[Recorded]:
    """The recorded runs of plans: trains what the cache does not hold, in `workers` processes."""
    cache.mkdir(parents=True, exist_ok=True)
    jobs = [(plan, seed, place(cache, plan, seed)) for plan in plans for seed in seeds]
    missing = [job for job in jobs if not job[2].exists()]
    for done, name in enumerate(_trained(missing, workers), 1):
        print(f"\rtraining {done}/{len(missing)}  {name:40}", end="", file=sys.stderr, flush=True)
    if missing:
        print(file=sys.stderr)
    for plan, seed, path in jobs:
        yield Recorded(plan.config, seed, path)


Job = tuple[Plan, int, Path]


def place(cache: Path, plan: Plan, seed: int) -> Path:
    """Where a run is kept: another setup, length or version is another file; another label is not."""
    decides = f"{VERSION} {plan.config.steps} {plan.setup!r}"
    return cache / f"{plan.config.name}-{seed}-{hashlib.sha256(decides.encode()).hexdigest()[:12]}.jsonl"


def _trained(jobs: Sequence[Job], workers: int) -> Iterator[str]:
    """Train and keep each run; its name as it is done."""
    if workers == 1 or len(jobs) < 2:
        yield from map(_train, jobs)
        return
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        yield from pool.imap_unordered(_train, jobs)


def _train(job: Job) -> str:
    """Record one run; a file of its final name is always whole."""
    plan, seed, path = job
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # Small networks are slower on more of them, and sums depend on their number.
    unfinished = path.with_suffix(f".{os.getpid()}")
    try:
        with unfinished.open("wb") as file:
            file.writelines(lines(plan, seed))
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
        torch.set_num_threads(threads)
    return f"{plan.config.name} {seed}"
