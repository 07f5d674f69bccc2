"""Kinds of findings about the size of gradients and updates."""

from gradtop.catalogue.kind import Check, Kind

EXPLODING = Kind(
    id="gradient_exploding",
    needs="the grad norm before clipping, and the loss",
    title="Exploding gradient",
    meaning="The global grad norm is far above this run's own usual range, or grows over decades.",
    severity="notice for one row, and while the loss falls; watch for two of three rows, or growth over decades; "
    "intervene when the loss rises with it",
    limits=("explode_z", "explode_decades", "explode_growth_decades", "recurring_episodes", "recurring_steps"),
    criteria=(
        ("persists", "The high grad norm holds row after row"),
        ("loss_flat", "The loss is higher than before it began"),
        ("above_level", "It is far above this run's own usual range"),
        ("after_burn_in", "It goes on after burn-in and warm-up"),
    ),
    causes=(
        "A learning rate that is too high, most often right after the warm-up.",
        "No clipping, so that one batch carries the weights away.",
        "An unusual batch: bad, very long or repeated data.",
        "Attention scores or activations that grow without a normalisation, or an initialisation that is too large.",
        "A hardware error that went unnoticed.",
    ),
    checks=(
        Check(
            "The warm-up ended at {warmup_ended}: try a longer one ({warmup} now, e.g. {warmup_longer}), or a lower "
            "peak, {lr} → {lr_lower}.",
        ),
        Check(
            "Clipping at {clip} is on, so one such step does little harm; if the loss does not come back, lower the "
            "clip value or the learning rate.",
            "Clip the gradient, e.g. at 1.0, so that one bad step does not carry the weights away.",
        ),
        Check(
            "Look at the batch of {first_step}, and at the layers: {first_layers}.",
            "Look at the layer whose grad norm moved first, and at the batch of {first_step}.",
        ),
        Check(
            "If the loss rises and stays: go back to a checkpoint before {first_step} and train on with a lower "
            "learning rate, e.g. {lr} → {lr_lower}, or skip some hundred batches.",
            "If the loss rises and stays: go back to a checkpoint before {first_step} and train on with a third of the "
            "learning rate, or skip some hundred batches.",
        ),
        Check("If it returns: qk-norm or z-loss against growing logits, beta2 0.95."),
    ),
    reference="llm.c: 67 single rows above 6 deviations in 19,560 healthy steps, never two of three that are 5 times "
    "the usual; BLOOM-176B: seen 3 steps before its loss jumped",
)

CLIP_SATURATION = Kind(
    id="clip_saturation",
    needs="the grad norm before clipping, and the clip value",
    title="Clipping always on",
    meaning="Nearly every gradient is clipped to a small part of itself.",
    severity="notice; watch when the loss has not fallen since the start",
    limits=("clip_rows", "clip_often", "clip_factor"),
    criteria=(
        ("clipped", "Nearly every row is clipped"),
        ("far_above", "The usual grad norm is far above the clip value"),
        ("learning_impaired", "The loss has not fallen since the start"),
        ("after_burn_in", "It goes on after the warm-up"),
    ),
    causes=(
        "A clip value far below this model's usual grad norm.",
        "A loss that is summed where a mean is meant, or a norm that is logged before it is unscaled.",
        "Gradients that exploded early and never came back.",
    ),
    checks=(
        Check(
            "Raise the clip value ({clip} now) towards the usual grad norm of {usual_grad}, or lower the learning rate "
            "knowingly.",
            "Raise the clip value ({clip} now), or lower the learning rate knowingly.",
        ),
        Check(
            "With SGD the clip sets the step size: it is like a learning rate of {effective_lr}. Adam divides by the "
            "size of the gradient, so there it changes little.",
        ),
        Check("Verify that the loss is a mean over tokens or samples, and that the norm is logged after unscaling."),
    ),
    reference="llm.c at clip 1.0: 1.2 % of the steps are clipped; a small transformer with every step of its warm-up "
    "clipped is healthy, so the rate alone says nothing",
)

KINDS: tuple[Kind, ...] = (EXPLODING, CLIP_SATURATION)
"""The kinds of this group."""
