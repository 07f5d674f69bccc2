"""Kinds of findings about mixed precision: steps that are skipped because the scaled gradient overflowed."""

from gradtop.catalogue.kind import Check, Kind

_CAUSES = (
    "A true NaN or Inf in the forward or backward pass: no loss scale helps against it.",
    "A range that fp16 exceeds: attention scores, softmax, a loss in fp16, large activations.",
    "A learning rate that is too high, so that weights and activations grow.",
)
_IN_BF16 = Check("Train in bf16 where the hardware can: it has the range of fp32 and needs no loss scale.")
_IN_FP32 = Check(
    "Run one batch of {first_step} in fp32: if NaN or Inf stays, it is a true one, and not the range of fp16."
)
_LOWER = Check(
    "Lower the learning rate, e.g. {lr} → {lr_lower}; it helps when the loss rose before {first_step}.",
    "Lower the learning rate to a third; it helps when the loss rose before {first_step}.",
)
_SCHEDULER = Check("Let the learning-rate scheduler step only when the optimizer did: a skipped step trains nothing.")

OVERFLOW = Kind(
    id="amp_overflow",
    needs="the loss scale or the number of skipped steps",
    title="Skipped step",
    meaning="A step of mixed precision was skipped because its scaled gradient overflowed, and the loss scale was "
    "lowered.",
    severity="notice: now and then it is how the loss scale finds its range",
    limits=("amp_early_steps",),
    criteria=(("frequent", "More steps are skipped than a loss scale needs to find its range"),),
    causes=("The loss scale was raised until the gradient overflowed, and is lowered again: by design.", *_CAUSES[1:]),
    checks=(_SCHEDULER,),
    reference="PyTorch's GradScaler doubles its scale every 2,000 steps and skips on overflow; DeepSpeed and Megatron "
    "every 1,000",
)

SKIP_STORM = Kind(
    id="amp_skip_storm",
    needs="the loss scale or the number of skipped steps",
    title="Storm of skipped steps",
    meaning="So many steps are skipped that the training hardly moves.",
    severity="watch from 8 of 20 steps or 5 % of 200 on; intervene when 20 in a row are skipped",
    limits=("amp_early_steps", "amp_storm_steps", "amp_storm_share", "amp_blocked_steps"),
    criteria=(
        ("frequent", "More steps are skipped than a loss scale needs to find its range"),
        ("blocked", "Every step is skipped, so nothing is trained"),
        ("after_calibration", "It goes on after the first steps, in which the scale is searched by design"),
    ),
    causes=_CAUSES,
    checks=(_IN_FP32, _IN_BF16, _LOWER, _SCHEDULER),
    reference="a GradScaler skips rarely, once every few hundred or thousand steps",
)

SCALE_COLLAPSE = Kind(
    id="amp_scale_collapse",
    needs="the loss scale",
    title="Collapsed loss scale",
    meaning="The loss scale was halved again and again, far below where it stood: every lower scale overflows as well.",
    severity="intervene",
    limits=("amp_early_steps", "amp_collapse_factor"),
    criteria=(
        ("collapsed", "The loss scale is far below its highest value, or at its end"),
        ("after_calibration", "It goes on after the first steps, in which the scale is searched by design"),
    ),
    causes=_CAUSES,
    checks=(_IN_FP32, _IN_BF16, _LOWER),
    reference="DeepSpeed gives up at its smallest scale; healthy scales move by a few powers of two",
)
