"""How an answer sounds, which is also the name of its ink."""

from enum import StrEnum

from gradtop.verdict import Verdict


class Tone(StrEnum):
    """The colour of an answer; its word always stands beside it."""

    GOOD = "good"
    WATCH = "watch"
    ACT = "act"
    UNKNOWN = "unknown"


TONES = {
    Verdict.KEEP_TRAINING: Tone.GOOD,
    Verdict.WATCH: Tone.WATCH,
    Verdict.INTERVENE: Tone.ACT,
    Verdict.UNKNOWN: Tone.UNKNOWN,
}
