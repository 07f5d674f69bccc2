"""Kinds of findings about the grad norm: what it says, and whether it can be believed."""

from gradtop.catalogue.kind import Advice, Check, Kind

_CAUSES = (
    "Loss-scale underflow in fp16, or a norm that is logged without unscaling.",
    "A detached graph: no_grad, detach() or requires_grad=False in the middle of the model.",
    "Saturated activations (sigmoid, tanh, softmax) or collapsed inputs.",
    "Depth without residual connections or normalisation.",
    "A loss weight that is so small that Adam's epsilon dominates.",
)
_CHECKS = (
    Check(
        "Compare the grad norm per layer: one layer that cuts the gradient looks different from all of them "
        "being small."
    ),
    Check(
        "Log the norm after unscaling and before clipping and zero_grad, and check requires_grad of every parameter."
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
)

VANISHING = Kind(
    id="gradient_vanishing",
    needs="the grad norm in every row, and the loss",
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
        ("loss_flat", "The loss has stopped falling since it began"),
        ("below_level", "It is far below this run's own usual range, or your own floor"),
        ("after_burn_in", "It still occurs often after burn-in and warm-up"),
    ),
    causes=(
        "Single readings: a batch with almost no signal (all labels masked), or a norm read after zero_grad.",
        *_CAUSES,
    ),
    checks=_CHECKS,
    forms={"stays": Advice(_CAUSES, _CHECKS)},
    reference="public 124M GPT-2 run of llm.c: grad norm 15.4 at step 0, 2.5 at step 14, 0.3 at step 2,000, in "
    "a 700-step warm-up",
)

MEASUREMENT = Kind(
    id="measurement_suspect",
    needs="the grad norm, and the loss",
    title="Reading not trustworthy",
    meaning="The logged grad norm cannot be the norm of the gradient that trains this model.",
    severity="notice when it is only printed or logged badly; watch when it contradicts the loss",
    limits=("suspect_factor", "suspect_rows", "constant_rows", "clip_share"),
    criteria=(
        ("contradicts_loss", "The loss or the weights move more than this grad norm allows"),
        ("not_measured", "The value in the log is constant, clipped or too small to be printed"),
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
    forms={
        "printed": Advice(
            ("The norm is printed with too few digits, or the trainer does not measure it and prints 0.",),
            (
                Check("Print it with an exponent (:.3e): small norms then stay readable."),
                Check("Until then the grad norm of this log says nothing, good or bad; the loss is judged as usual."),
            ),
        ),
        "unread": Advice(
            ("zero_grad() runs before log.step(), and the logger has no hook on the optimizer.",),
            (
                Check("Give the optimizer to gradtop.Logger: it then reads the gradients just before each step."),
                Check("Or call log.step() before optimizer.zero_grad()."),
            ),
        ),
        "clipped": Advice(
            ("The norm is logged after clipping.",),
            (
                Check(
                    "Log the value that torch.nn.utils.clip_grad_norm_ returns: it is taken before clipping at {clip}.",
                    "Log the value that torch.nn.utils.clip_grad_norm_ returns: it is taken before clipping.",
                ),
            ),
        ),
    },
)
