"""Findings to one verdict for the run, its primary cause and what to do next."""

from dataclasses import dataclass
from enum import StrEnum

from gradtop.finding import Finding


class Verdict(StrEnum):
    """The answer to: is this run fine, or do I have to act?"""

    KEEP_TRAINING = "keep_training"
    WATCH = "watch"
    INTERVENE = "intervene"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict of one run."""

    verdict: Verdict
    summary: str
    """One sentence: the worst finding, or that all is well, or why nothing can be said."""
    primary: Finding | None = None
    """The finding that explains the others, by precedence of the catalogue."""
    next_step: str = ""
    """What to do or look at next; empty where there is nothing to do."""
