"""Kinds of findings about the level of the loss."""

from gradtop.catalogue.kind import Advice, Check, Kind

_LEVEL_PERSISTS = ("persists", "The loss stays high row after row")
_LOSS_FLAT = ("loss_flat", "The loss has not come down again since it began")
_AFTER_BURN_IN = ("after_burn_in", "It goes on after burn-in and warm-up")
_ABOVE = ("above_level", "The loss is far above this run's own usual range")

SPIKE = Kind(
    id="loss_spike",
    needs="the loss",
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
        Check("Wait some 50 rows: if the loss comes back, do nothing. Single spikes are normal in long runs."),
        Check(
            "Look at the batch of {first_step}, and at the layers: {first_layers}.",
            "Look at the batch of {first_step}, and at the layer whose grad norm moved first.",
        ),
        Check(
            "If spikes repeat: learning rate {lr} → {lr_lower}, beta2 0.95, a lower clip value ({clip} now).",
            "If spikes repeat: a third of the learning rate, beta2 0.95, clip at 0.5 to 1.0, qk-norm or z-loss.",
        ),
        Check(
            "If the loss does not come back, go back to a checkpoint before {first_step} and skip some hundred batches."
        ),
    ),
    reference="209,552 steps of 25 healthy language-model runs: 0 alarms with two of three rows; BLOOM-176B "
    "recovered in 30 iterations",
)

DIVERGENCE = Kind(
    id="loss_divergence",
    needs="the loss",
    title="Loss divergence",
    meaning="The level of the loss rose far above its best and stays there.",
    severity="intervene when it holds for a window of rows; over when the level is back near its best",
    limits=("divergence_rise", "divergence_rows", "divergence_apart_rows", "early_divergence_factor", "profile"),
    criteria=(_LEVEL_PERSISTS, _LOSS_FLAT, _ABOVE, _AFTER_BURN_IN),
    causes=(
        "A learning rate that is too high.",
        "A resume that lost the optimizer state or the schedule.",
        "Corrupt labels or data from some point on.",
        "Growing attention or output logits without a normalisation.",
    ),
    checks=(
        Check(
            "Go back to a checkpoint before {first_step} and train on with a lower learning rate, e.g. "
            "{lr} → {lr_lower}.",
            "Go back to a checkpoint before {first_step} and train on with a third to a tenth of the learning rate.",
        ),
        Check("Look at the layers: {first_layers}."),
        Check("Compare the learning rate and the optimizer state before and after the last resume."),
        Check("Verify the data that was read around {first_step}."),
        Check("If it returns at the lower rate: qk-norm, z-loss, or a longer warm-up."),
    ),
    forms={
        "early": Advice(
            (
                "A learning rate that is too high, or no warm-up.",
                "A wrong loss: wrong sign, or a sum where a mean is meant.",
                "Inputs that are not normalised, or an initialisation that is too large.",
            ),
            (
                Check(
                    "Stop, and start again with a lower learning rate, e.g. {lr} → {lr_lower}, or a warm-up.",
                    "Stop, and start again with a third to a tenth of the learning rate, or a warm-up.",
                ),
                Check("Clip the gradient at 1.0, so that one bad step does not carry the weights away."),
                Check("Train on one batch only: if its loss rises too, the sign or the scale of the loss is wrong."),
            ),
        ),
    },
    reference="healthy runs stay within 10 % above their best; Wortsman et al. 2023, slow divergence from "
    "growing logits",
)

NO_LEARNING = Kind(
    id="no_learning",
    needs="the loss",
    title="No learning",
    meaning="The loss has not fallen since the start, although the learning rate was high enough for long enough.",
    severity="watch at most: a fine-tune near its floor looks the same",
    limits=("no_learning_steps", "no_learning_fall", "burn_in_rows", "profile"),
    criteria=(
        ("enough_steps", "There were enough steps at a full learning rate"),
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
    reference="random labels, lr 1e-9 and dead ReLUs on handwritten digits are seen within 203 to 319 effective steps "
    "in batches of 32 or more; of 100 runs that fall by 0.7 % in 200 steps, 0 to 3 are named",
)
