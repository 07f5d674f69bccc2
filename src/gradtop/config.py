"""Settings and limits: frozen values with a docstring under every field."""

from collections.abc import Mapping
from dataclasses import dataclass, field

AUTO, SUPERVISED = "auto", "supervised"
PROFILES = (AUTO, SUPERVISED, "rl", "gan", "vae")
"""Kinds of training: where it is not `supervised`, the loss need not fall; `auto` goes by the names of the metrics."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Thresholds of the rules. Windows count observed rows unless a name says otherwise.

    A window of rows shrinks where a row stands for several steps: `n` rows become `n / interval`, within the
    smallest number of rows that the rule can do with.
    """

    profile: str = AUTO
    """What kind of training this is, one of `PROFILES`: rules for a loss that has to fall are off for `rl`, `gan` and
    `vae`."""
    grad_floor: float | None = None
    """A user's own floor for the grad norm (`--grad-floor`); None: only the run's own range counts."""

    burn_in_rows: int = 20
    """Rows of a stream before its usual range is known; until then only drastic things are judged."""
    clear_rows: int = 20
    """Rows without the anomaly after which a raised finding has recovered."""
    gap_rows: int = 3
    """Rows of normal readings that still belong to one episode."""
    recurring_episodes: int = 3
    """Episodes within `recurring_steps` that make single readings a recurring fault."""
    recurring_steps: float = 1000.0
    """Steps in which episodes are counted together."""

    nonfinite_rows: int = 3
    """Rows with NaN or Inf among the last `nonfinite_window` that mean: act. Healthy real logs have lone ones."""
    nonfinite_window: int = 20
    """Rows that `nonfinite_rows` looks back on, and finite rows after which it has recovered."""
    nonfinite_norm_rows: int = 5
    """Rows of a non-finite grad norm beside a finite loss that are tolerated early or on skipped steps."""
    nonfinite_early_steps: float = 50.0
    """Steps from the start in which a loss scale is still being searched, so that NaN grad norms are expected."""

    empty_rows: int = 200
    """Rows that `empty_share` looks back on."""
    empty_share: float = 0.01
    """Part of the last `empty_rows` that may be empty batches before they count as recurring."""
    zero_rows: int = 5
    """Rows in a row with loss and grad norm both exactly 0 that mean a dead loss or a hidden NaN."""

    spike_z: float = 6.0
    """Robust deviations of the log loss above its usual range. On 209,552 healthy steps one row above it occurs
    22 times per 10,000 steps, two of three rows never."""
    divergence_rise: float = 0.2
    """Rise of the loss level over its best; healthy runs reach 0.10 with a raw mean."""
    divergence_rows: int = 20
    """Rows in a row for which the level has to be that high."""
    divergence_apart_rows: int = 40
    """Rows in a row whose losses are that high one by one, which counts before the level has followed them."""
    early_divergence_factor: float = 3.0
    """Multiple of the first losses that counts as diverged within the first 100 rows, in 3 of 5 rows."""
    no_learning_steps: float = 200.0
    """Effective steps (steps weighted by learning rate / peak) after which a flat loss is named."""
    no_learning_fall: float = 0.03
    """Fall of the best level from the first rows that counts as learning."""

    vanish_decades: float = 2.0
    """Decades below this run's usual grad norm that count as far below; the healthy llm.c run falls by 0.5."""
    vanish_rows: int = 50
    """Rows that persistence looks back on."""
    vanish_share: float = 0.9
    """Part of those rows that has to be low."""
    reference_rows: int = 100
    """Rows whose median is the usual grad norm, taken after warm-up and `reference_burn_in_rows`."""
    reference_burn_in_rows: int = 50
    """Rows before the usual grad norm is measured."""
    flat_steps: float = 50.0
    """Effective steps for which the loss has to be flat since the gradient fell."""
    flat_fall: float = 0.001
    """Fall of the loss that counts as an improvement, where it stands out of the noise."""
    update_ratio_floor: float = 1e-7
    """Update size over weight size below which weights do not move, at a learning rate above 0."""
    adam_epsilon: float = 1e-8
    """Adam's default epsilon: with a per-element gradient below it, the update shrinks with the gradient."""
    decline_rows: int = 5
    """Rows of steady fall of the grad norm that are named before a usual range exists."""
    decline_decades: float = 3.0
    """Decades of that fall."""

    suspect_factor: float = 3.0
    """Multiple of the first-order bound on the loss drop, sum of grad norm x update norm; healthy runs reach 0.31."""
    suspect_rows: int = 10
    """Rows in a row that a reading has to contradict the loss."""
    constant_rows: int = 50
    """Rows with exactly the same grad norm, while the loss moves, that mean it is not a measurement."""
    clip_share: float = 0.95
    """Part of the rows at the clip value (within 0.1 %) that means the norm is logged after clipping."""

    amp_early_steps: float = 50.0
    """Steps from the start of a session in which a loss scale is searched by skipping steps."""
    amp_storm_steps: float = 8.0
    """Skipped steps of 20 that are too many."""
    amp_storm_share: float = 0.05
    """Part of 200 steps that is too much; a GradScaler skips once in some hundred or thousand steps."""
    amp_blocked_steps: float = 20.0
    """Skipped steps in a row after which nothing is trained any more."""
    amp_collapse_factor: float = 1024.0
    """Fall of the loss scale below its highest value that no search explains."""

    stall_s: float = 180.0
    """Seconds of silence that are never a stall."""
    stall_gaps: float = 3.0
    """Multiple of the run's own longest usual gap between two arrivals (99th percentile)."""
    stall_unknown_s: float = 1800.0
    """Seconds of silence that count as a stall where fewer than 5 gaps were seen."""

    @property
    def vanish_factor(self) -> float:
        """`vanish_decades` as a factor."""
        return float(10.0**-self.vanish_decades)


@dataclass(frozen=True, slots=True)
class Profile:
    """A regular expression for the lines of one home-made log."""

    name: str
    """Shown by `explain`."""
    regex: str
    """Searched for in every line without what launchers and loggers put before it; its named groups are the fields."""
    sample: str
    """A line that it has to read."""
    names: tuple[tuple[str, str], ...] = ()
    """(group, metric name): for names that no group can have, such as `val/acc`."""
    origin: str = ""
    """Where it stands, for error texts: `gradtop.toml, line 3`."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How gradtop runs, as opposed to what it judges."""

    interval_s: float = 1.0
    """Seconds between two polls where events tell of new data in between; without them polling is more frequent."""
    discover_s: float = 2.0
    """Seconds between two searches for new runs."""
    limits: Limits = field(default_factory=Limits)
    profiles: tuple[Profile, ...] = ()
    """How the user's own log lines are read, before any other rule."""
    muted: frozenset[str] = frozenset()
    """Kinds of findings that are listed and never count for a verdict."""
    origins: Mapping[str, str] = field(default_factory=dict)
    """Where a limit, `profile` or the muted kinds (`mute`) were set, by name: `gradtop.toml, line 3`, `--mute`."""
