"""Settings and limits: frozen values with a docstring under every field."""

from collections.abc import Mapping
from dataclasses import dataclass, field

AUTO, SUPERVISED = "auto", "supervised"
PROFILES = (AUTO, SUPERVISED, "rl", "gan", "vae")
"""Kinds of training: where it is not `supervised`, the loss need not fall; `auto` goes by the names of the metrics."""

DARK, LIGHT, COLOUR_BLIND, HIGH_CONTRAST = "dark", "light", "colour-blind", "high-contrast"
THEMES = (DARK, LIGHT, COLOUR_BLIND, HIGH_CONTRAST)
"""Colours to choose from."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Thresholds of the rules. Windows count observed rows unless a name says otherwise.

    A window of rows shrinks where a row stands for several steps: `n` rows become `n / interval`, within the
    smallest number of rows that the rule can do with.
    """

    profile: str = AUTO
    """What kind of training this is: `auto` (by the names of the metrics), `supervised`, or `rl`, `gan` or `vae`, for
    which rules for a loss that has to fall are off."""
    grad_floor: float | None = None
    """A user's own floor for the grad norm (`--grad-floor`); without one only the run's own range counts."""

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
    explode_z: float = 6.0
    """Robust deviations of the log grad norm above its usual range. On 19,560 healthy steps one row above it occurs 67
    times, and never twice in three rows together with `explode_decades`."""
    explode_decades: float = 0.7
    """Decades above the usual grad norm that a high row has to have as well, so that a quiet stream is not touchy."""
    explode_growth_decades: float = 2.0
    """Decades by which the level may grow over its lowest while the loss does not fall, and one more while it does;
    healthy small networks that leave a plateau reach 1.6."""
    clip_rows: int = 100
    """Rows of which `clip_often` have to be clipped."""
    clip_often: float = 0.9
    """Part of `clip_rows`; healthy transformers have it in their first rows."""
    clip_factor: float = 10.0
    """Multiple of the clip value that the grad norm's level has to exceed, so that nearly nothing of it is left."""
    lr_zero_rows: int = 5
    """Rows in a row with a learning rate of 0 before the planned end; warm-ups and restarts touch 0 for one."""
    lr_zero_factor: float = 1e-8
    """Part of the highest learning rate so far that counts as 0; cosines to zero end at 1e-6 of it."""
    lr_jump_factor: float = 3.0
    """Factor between the learning rates of neighbouring rows, outside of ramps and restarts, that is a jump."""
    lr_jump_steps: float = 100.0
    """Steps after a jump in which what loss and grad norm do is laid to it."""
    no_learning_steps: float = 200.0
    """Effective steps (steps weighted by learning rate / peak) after which a flat loss is named."""
    no_learning_fall: float = 0.03
    """Fall of the best level from the first rows that counts as learning."""
    plateau_steps: float = 500.0
    """Steps, and effective steps, below which a flat loss is no plateau: 57 % of healthy windows of 500 are flat."""
    plateau_part: float = 0.35
    """Part of all steps so far for which the loss has to be flat; the longest stale stretch of healthy runs is 0.17."""
    plateau_fall: float = 0.001
    """Fall over that part that still counts as flat."""
    plateau_lr: float = 0.2
    """Part of the peak learning rate below which a flat loss is the end of a decay."""
    overfit_rise: float = 0.25
    """Rise of the validation loss over its best that means overfitting; healthy ones wander by 5 to 10 %."""
    overfit_evaluations: int = 4
    """Evaluations in a row that have to be that high."""
    overfit_gap: float = 1.5
    """Multiple of the training loss that the validation loss has to be, or of what it was at its best, if lower."""
    oscillation_correlation: float = -0.6
    """Correlation of neighbouring losses, a straight line taken off, below which they swing; the 0.01 % quantile of
    3,179 healthy windows is -0.47."""
    oscillation_rows: int = 64
    """Rows that the correlation is taken over."""
    oscillation_size: float = 0.02
    """Relative deviation from the line (root mean square) below which a swing does not matter."""

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

    impaired_level: float = 0.9
    """Part of the first loss above which the level of the loss counts as still near its start: learning suffers."""
    imbalance_ratio: float = 1e-3
    """Gradient over weight of the first blocks over that of the last one, and its inverse (AutoTrainer's limit)."""
    imbalance_rows: int = 50
    """Rows that the persistence of an imbalance, or of too small updates, looks back on."""
    imbalance_share: float = 0.9
    """Part of those rows that has to be so."""
    layer_rows: int = 20
    """Rows in a row that make a layer dead or frozen, or updates too large; zero-initialised branches take 5."""
    never_rows: int = 60
    """Rows after which a layer that never had a gradient is named."""
    dead_layers_most: float = 0.5
    """Part of all layers without a gradient that means: act."""
    accumulate_rows: int = 64
    """Rows after which a layer's gradient can be told to be a sum, where neither updates nor weights are logged."""
    accumulate_growth: float = 4.0
    """Factor by which it has to have grown by then; a sum of 64 unrelated gradients is 8 times one of them."""
    update_ratio_high: float = 0.1
    """Update size over weight size, of the median layer, that re-makes the weights in a few steps; 1e-3 is usual."""
    dead_units_share: float = 0.5
    """Part of a layer's units that may be dead (SageMaker's limit), where it goes on rising."""
    dead_units_most: float = 0.9
    """Part of a layer's units that counts as nearly all, rising or not."""
    dead_units_rise: float = 0.1
    """Rise of that part above its first rows that counts as rising; sparse activations by design do not rise."""
    attention_logit: float = 1e3
    """Largest attention logit that softmax copes with; stable runs stay below some hundred."""
    attention_logit_most: float = 1e4
    """Attention logit at which runs diverge (Wortsman et al. 2023)."""
    activation_growth: float = 10.0
    """Growth of a layer's activations (RMS) within `activation_steps` that no stable run shows after its start."""
    activation_steps: float = 2000.0
    """Steps that growth is measured over."""

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

    throughput_rise: float = 0.04
    """Rise of the time of a step (0.04 is 4 %) over that of the last 1,000 rows that is told; BLOOM-176B had 5.6 %."""
    throughput_rows: int = 100
    """Rows of which 80 % have to be that slow."""
    throughput_watch: float = 1.5
    """Multiple of the usual time of a step that is worth watching."""
    memory_growth: float = 0.2
    """Growth per 1,000 steps that is a leak, as a part of all memory, or of what is used where that is not known."""
    memory_from_step: float = 200.0
    """Steps from the start of a session whose allocations are no leak."""
    memory_eta_s: float = 1800.0
    """Seconds until memory is full that call for action."""
    starved_share: float = 0.3
    """Part of a step that goes into waiting for data, from which it is told."""
    starved_watch: float = 0.5
    """Part of the time that is worth watching where it was not lost from the start."""
    starved_rows: int = 100
    """Rows of which 80 % have to wait that long, or 95 % have to be below `busy_share`."""
    busy_share: float = 0.7
    """Utilisation of the busiest GPU that is low; SageMaker's LowGPUUtilization has the same."""
    throttled_rise: float = 0.1
    """Rise of the time of a step over that without throttling (0.1 is 10 %) that counts as slow."""
    throttled_rows: int = 20
    """Rows of the last `throttled_window` that have to be throttled and slow."""
    throttled_window: int = 30
    """Rows that `throttled_rows` looks back on."""

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
    theme: str = DARK
    """One of `THEMES`, until the user presses `t`."""
    keys: Mapping[str, str] = field(default_factory=dict)
    """Keys by the names of what they do, for those that the user binds anew; several keys are separated by commas."""
    origins: Mapping[str, str] = field(default_factory=dict)
    """Where a limit, `profile` or the muted kinds (`mute`) were set, by name: `gradtop.toml, line 3`, `--mute`."""
