"""The one table of finding kinds: what each means, its severity policy, causes, checks and reference."""

import string
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """Something to look at or to change next."""

    text: str
    """May have fields like `{lr}`, filled with this run's own numbers."""
    otherwise: str = ""
    """What to say where a number is not known; empty: nothing."""

    @property
    def fields(self) -> tuple[str, ...]:
        """The numbers that `text` needs."""
        return tuple(name for _, name, _, _ in string.Formatter().parse(self.text) if name)

    def filled(self, numbers: Mapping[str, str]) -> str:
        """The check for a run with these numbers."""
        return self.text.format_map(numbers) if all(name in numbers for name in self.fields) else self.otherwise


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of finding."""

    id: str
    title: str
    meaning: str
    severity: str
    """When it is a notice, when it is worth watching, and when to intervene."""
    limits: tuple[str, ...]
    """Names of the fields of `Limits` that it depends on."""
    criteria: tuple[tuple[str, str], ...]
    """(id, text): the conditions of its checklist."""
    causes: tuple[str, ...]
    """Most likely first."""
    checks: tuple[Check, ...]
    reference: str
    """Where the rule comes from, or what its defaults were measured on."""


FIELDS = frozenset(
    {
        "lr", "lr_lower", "lr_higher", "first_step", "warmup", "warmup_longer",
        "clip", "floor", "below_floor", "precision", "loss", "line", "pid", "rows",
    }
)  # fmt: skip
"""The numbers of a run that checks may use; each is left out where it is not known."""

_LEVEL_PERSISTS = ("persists", "It holds row after row")
_LOSS_FLAT = ("loss_flat", "The loss has stopped improving since it began")
_AFTER_BURN_IN = ("after_burn_in", "It still occurs often after burn-in and warm-up")
_ABOVE = ("above_level", "The loss is far above this run's own usual range")

_NONFINITE = Kind(
    id="nonfinite",
    title="NaN or Inf",
    meaning="The loss or the grad norm is NaN or infinite, or reads exactly 0 row after row because the trainer "
    "hides a NaN.",
    severity="notice for single rows, for skipped steps and for early grad norms that become finite again; "
    "intervene when it stays",
    limits=(
        "nonfinite_rows",
        "nonfinite_window",
        "nonfinite_norm_rows",
        "nonfinite_early_steps",
        "zero_rows",
        "recurring_episodes",
        "recurring_steps",
    ),
    criteria=(
        ("persists", "It is non-finite row after row"),
        ("not_skipped", "No skipped step of mixed precision explains it"),
        ("loss_affected", "The loss itself is affected, so that no later step can repair the weights"),
    ),
    causes=(
        "A number range exceeded in fp16: attention scores, softmax or a large loss scale.",
        "A learning rate that is too high: the weights overflowed within a few steps.",
        "log(0), division by 0 or the square root of 0 in the loss or in a normalisation without epsilon.",
        "A batch in which every label is masked: the mean over no label is 0/0.",
        "A broken sample: NaN or Inf in the input.",
    ),
    checks=(
        Check(
            "Look at the batch of step {first_step}, the first bad one: NaN in the inputs, only masked labels, "
            "an odd length."
        ),
        Check("Stop and go back to a checkpoint from before step {first_step}: weights that hold NaN never recover."),
        Check(
            "Lower the learning rate, e.g. {lr} → {lr_lower}; it helps when the loss rose before the first bad step.",
            "Lower the learning rate to a third; it helps when the loss rose before the first bad step.",
        ),
        Check(
            "Train in bf16, or run softmax and the loss in fp32; it helps when the cause is fp16's range, not a "
            "true NaN."
        ),
        Check(
            "Run a few steps under torch.autograd.set_detect_anomaly(True): it names the operation that made the NaN."
        ),
        Check(
            "Clip the gradient and put an epsilon into every sqrt, log and division; clipping does not repair a "
            "NaN norm."
        ),
    ),
    reference="PyTorch GradScaler skips its first steps by design; transformers replaces NaN losses unless "
    "logging_nan_inf_filter is off",
)

_VANISHING = Kind(
    id="gradient_vanishing",
    title="Vanishing gradient",
    meaning="The global grad norm is far below this run's own usual range.",
    severity="notice for single readings and before a usual range exists; watch when it recurs, or stays low "
    "while the loss falls; "
    "intervene when it stays low and the loss has stopped falling",
    limits=(
        "vanish_decades",
        "vanish_rows",
        "vanish_share",
        "reference_rows",
        "reference_burn_in_rows",
        "flat_steps",
        "flat_fall",
        "update_ratio_floor",
        "adam_epsilon",
        "grad_floor",
        "decline_rows",
        "decline_decades",
        "recurring_episodes",
        "recurring_steps",
    ),
    criteria=(
        ("persists", "The low grad norm holds row after row"),
        ("loss_flat", "The loss has stopped improving since it began"),
        ("below_level", "The grad norm is far below this run's own usual range"),
        ("after_burn_in", "It still occurs often after burn-in and warm-up"),
    ),
    causes=(
        "A single reading: one batch with almost no signal (all labels masked), or a norm read after zero_grad.",
        "Loss-scale underflow in fp16, or a norm that is logged without unscaling.",
        "A detached graph: no_grad, detach() or requires_grad=False in the middle of the model.",
        "Saturated activations (sigmoid, tanh, softmax) or collapsed inputs.",
        "Depth without residual connections or normalisation.",
        "A loss weight that is so small that Adam's epsilon dominates.",
    ),
    checks=(
        Check(
            "Compare the grad norm per layer: one layer that cuts the gradient looks different from all of them "
            "being small."
        ),
        Check(
            "Log the norm after unscaling and before clipping and zero_grad, and check requires_grad of every "
            "parameter."
        ),
        Check(
            "The limit: you set --grad-floor {floor}{below_floor}. Lower it only when healthy rows fall below it; "
            "it does not help against a real fault, it hides it.",
            "The limit: gradtop compares with this run's own range; --grad-floor adds one of your own. "
            "A lower limit does not help against a real fault, it hides it.",
        ),
        Check(
            "A longer warm-up ({warmup} now, e.g. {warmup_longer}) helps when the loss jumps at full learning rate; "
            "it does not help here otherwise: warm-up makes the update small, not the gradient.",
            "A longer warm-up helps when the loss jumps at full learning rate; it does not help here otherwise: "
            "warm-up makes the update small, not the gradient.",
        ),
        Check(
            "Another peak learning rate ({lr} now, e.g. {lr_lower}) helps when units saturated after too large steps; "
            "it does not help against a cut graph or a small loss weight.",
            "Another peak learning rate helps when units saturated after too large steps; "
            "it does not help against a cut graph or a small loss weight.",
        ),
        Check(
            "Gradient scaling under mixed precision ({precision} here) helps against underflow in fp16; "
            "it does not help in bf16 or fp32, whose range is not the problem.",
            "Gradient scaling under mixed precision helps against underflow in fp16; "
            "it does not help in bf16 or fp32, whose range is not the problem.",
        ),
        Check(
            "A burn-in helps against readings of the first rows, and gradtop has one of 20; "
            "a longer one does not help when the fault stays: it only comes to light later."
        ),
    ),
    reference="public 124M GPT-2 run of llm.c: grad norm 15.4 at step 0, 2.5 at step 14, 0.3 at step 2,000, in "
    "a 700-step warm-up",
)

_SPIKE = Kind(
    id="loss_spike",
    title="Loss spike",
    meaning="The loss is suddenly far above its usual range.",
    severity="notice for one row; watch for two of three rows in a row; recovered when the loss is back",
    limits=("spike_z", "burn_in_rows", "clear_rows", "gap_rows"),
    criteria=(_LEVEL_PERSISTS, _LOSS_FLAT, _ABOVE, _AFTER_BURN_IN),
    causes=(
        "An unusual batch: bad, very long or repeated data.",
        "A learning rate near the limit of stability, or Adam's beta2 too high.",
        "Range problems of fp16, or attention scores that grow.",
        "A hardware error that went unnoticed.",
    ),
    checks=(
        Check("If it is back to normal, do nothing: single spikes are normal in long runs."),
        Check("Look at the batch of step {first_step}, and at the layer whose grad norm moved first."),
        Check(
            "If spikes repeat: learning rate {lr} → {lr_lower}, beta2 0.95, a lower clip value ({clip} now).",
            "If spikes repeat: a third of the learning rate, beta2 0.95, clip at 0.5 to 1.0, qk-norm or z-loss.",
        ),
        Check(
            "If the loss does not come back, go back to a checkpoint before step {first_step} and skip some "
            "hundred batches."
        ),
    ),
    reference="209,552 steps of 25 healthy language-model runs: 0 alarms with two of three rows; BLOOM-176B "
    "recovered in 30 iterations",
)

_DIVERGENCE = Kind(
    id="loss_divergence",
    title="Loss divergence",
    meaning="The level of the loss rose far above its best and stays there.",
    severity="intervene when it holds for a window of rows; over when the level is back near its best",
    limits=("divergence_rise", "divergence_rows", "early_divergence_factor"),
    criteria=(_LEVEL_PERSISTS, _LOSS_FLAT, _ABOVE, _AFTER_BURN_IN),
    causes=(
        "A learning rate that is too high.",
        "A resume that lost the optimizer state or the schedule.",
        "Corrupt labels or data from some point on.",
        "Growing attention or output logits without a normalisation.",
    ),
    checks=(
        Check(
            "Go back to a checkpoint before step {first_step} and train on with a lower learning rate, e.g. "
            "{lr} → {lr_lower}.",
            "Go back to a checkpoint before step {first_step} and train on with a third to a tenth of the "
            "learning rate.",
        ),
        Check("Compare the learning rate and the optimizer state before and after the last resume."),
        Check("Verify the data that was read around step {first_step}."),
        Check("If it returns at the lower rate: qk-norm, z-loss, or a longer warm-up."),
    ),
    reference="healthy runs stay within 10 % above their best; Wortsman et al. 2023, slow divergence from "
    "growing logits",
)

_NO_LEARNING = Kind(
    id="no_learning",
    title="No learning",
    meaning="The loss has not fallen since the start, although the learning rate was high enough for long enough.",
    severity="watch at most: a fine-tune near its floor looks the same",
    limits=("no_learning_steps", "no_learning_fall", "burn_in_rows"),
    criteria=(
        ("enough_steps", "There were enough steps at full learning rate"),
        ("no_fall", "The best level of the loss is still that of the first rows"),
        ("no_trend", "The loss does not fall slowly either"),
        ("noise_allows", "The noise is low enough to see a fall"),
    ),
    causes=(
        "A learning rate far too low or too high.",
        "Shuffled or constant labels.",
        "Parameters that get no gradient or are not in the optimizer.",
        "A wrong loss: wrong sign, softmax applied twice, or a constant.",
        "A fine-tune that starts near its floor: then this is no fault.",
    ),
    checks=(
        Check("Compare the loss of {loss} with chance: ln(number of classes or vocabulary size)."),
        Check("Train on one batch only: a sound set-up drives its loss to almost 0 within some hundred steps."),
        Check("List the parameters with requires_grad, and those in the optimizer; they should be the same."),
        Check(
            "Try another learning rate: {lr} → {lr_lower} and {lr_higher}.",
            "Try a third and three times the learning rate.",
        ),
    ),
    reference="fault bench: random labels, lr 1e-9, clip 1e-3 and dead ReLUs are all seen within 220 effective steps",
)

_STALLED = Kind(
    id="stalled",
    title="Stalled",
    meaning="No new row arrives although the run is not over, by its own rhythm.",
    severity="watch; silence alone is never more",
    limits=("stall_s", "stall_gaps", "stall_unknown_s"),
    criteria=(
        ("silent", "It has been silent for far longer than its usual gap"),
        ("growing", "It was growing while it was watched, or its process is alive"),
        ("not_over", "Nothing in the log says that it is over"),
    ),
    causes=(
        "An evaluation or a checkpoint that takes long.",
        "Output that is held back in a buffer.",
        "A dead data-loader worker, or a disk that is full or slow.",
        "A collective operation that waits for a lost rank.",
    ),
    checks=(
        Check(
            "See what it is doing: py-spy dump --pid {pid}.",
            "See what it is doing: py-spy dump --pid of the training process.",
        ),
        Check("Look at nvidia-smi: a collective that hangs shows 100 % utilisation and low power."),
        Check("Look at df -h and at the kernel log (dmesg)."),
        Check("If the output is only buffered: PYTHONUNBUFFERED=1."),
    ),
    reference="SageMaker's StalledTrainingRule waits 1,800 s for any job; here the run's own arrival gaps decide",
)

_CRASHED = Kind(
    id="crashed",
    title="Crashed",
    meaning="The log says that the training process died.",
    severity="intervene until rows arrive again",
    limits=(),
    criteria=(
        ("died", "The log names an error that ends a process"),
        ("not_resumed", "No rows arrived after it"),
    ),
    causes=("See the line of the log that is quoted.",),
    checks=(
        Check(
            "Read the log from line {line} on: the first error counts, later ones are its echo.",
            "Read the end of the log: the first error counts, later ones are its echo.",
        ),
        Check("Resume from the last checkpoint, once the cause is clear."),
    ),
    reference="messages of Python, PyTorch, NCCL, DeepSpeed and Slurm",
)

_EMPTY = Kind(
    id="empty_batch",
    title="Empty batch",
    meaning="Loss and grad norm are both exactly 0 for a row: the batch had nothing to learn from.",
    severity="notice; watch when it is more than 1 % of the rows",
    limits=("empty_rows", "empty_share", "gap_rows"),
    criteria=(
        ("persists", "It holds row after row"),
        ("frequent", "More than 1 % of the last 200 rows are empty"),
    ),
    causes=(
        "Every label of the batch is masked (ignore_index everywhere), so loss and gradient are 0.",
        "A batch of padding only, or an empty shard at the end of the data.",
    ),
    checks=(
        Check("Count the labels that are not ignored in the batch of step {first_step}."),
        Check(
            "Nothing to do for one of them: the step changed almost nothing. If they are frequent, filter them "
            "when data is prepared."
        ),
    ),
    reference="reproduced: one fully masked batch at step 14 gives loss 0 and grad norm 0, and nothing before "
    "or after it",
)

_MEASUREMENT = Kind(
    id="measurement_suspect",
    title="Reading not trustworthy",
    meaning="The logged grad norm cannot be the norm of the gradient that trains this model.",
    severity="notice when it is only printed or logged badly; watch when it contradicts the loss",
    limits=("suspect_factor", "suspect_rows", "constant_rows", "clip_share"),
    criteria=(
        ("contradicts_loss", "The loss falls by more than this grad norm allows"),
        ("not_measured", "The reading is constant, clipped or below print precision"),
    ),
    causes=(
        "The norm is read after zero_grad, or of other parameters than those that are trained.",
        "The norm is not unscaled, is a mean per element, or is of one rank only.",
        "The norm is logged after clipping.",
        "The norm is printed with too few digits.",
    ),
    checks=(
        Check(
            "Log the value that torch.nn.utils.clip_grad_norm_ returns: it is taken before clipping, after unscaling."
        ),
        Check("Print it with an exponent (:.3e): small norms then stay readable."),
        Check(
            "If it is logged after clipping at {clip}, log it before: behind the clip every large norm looks the same."
        ),
    ),
    reference="first-order bound: in healthy windows the loss drop is 0.07 to 0.31 of the sum of grad norm x "
    "update norm",
)

CATALOGUE = (
    _NONFINITE, _VANISHING, _SPIKE, _DIVERGENCE, _NO_LEARNING, _STALLED, _CRASHED, _EMPTY, _MEASUREMENT,
)  # fmt: skip
"""Every kind that gradtop finds."""

KINDS = {kind.id: kind for kind in CATALOGUE}
"""The catalogue by id."""

PRECEDENCE = (
    "crashed", "nonfinite", "amp_scale_collapse", "amp_skip_storm", "measurement_suspect", "lr_zero",
    "frozen_layer", "dead_layer", "lr_jump", "loss_divergence", "gradient_exploding", "loss_spike",
    "gradient_vanishing", "layer_imbalance", "update_ratio", "clip_saturation", "no_learning", "loss_plateau",
    "overfitting", "oscillation", "gpu_throttled", "gpu_starved", "throughput_drop", "memory_leak", "stalled",
    "amp_overflow", "empty_batch",
)  # fmt: skip
"""Which of several findings explains the others, first to last; it names kinds to come as well."""
