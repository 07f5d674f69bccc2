"""Kinds of findings about single values that are none: NaN, Inf, and zeros in their place."""

from gradtop.catalogue.kind import Advice, Check, Kind

NONFINITE = Kind(
    id="nonfinite",
    needs="the loss or the grad norm",
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
        ("persists", "It goes on row after row"),
        ("not_skipped", "Skipped steps of mixed precision do not explain it"),
        ("loss_affected", "The loss itself is affected, not the grad norm alone"),
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
            "Stop and go back to a checkpoint from before {before}: weights that hold NaN never recover.",
            "Stop: it is so from the first row on, and NaN never heals. Mend the cause and start again.",
        ),
        Check(
            "Look at the batch of {first_step}, the first bad one: NaN in the inputs, only masked labels, "
            "an odd length."
        ),
        Check("Look at the layers: {first_layers}."),
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
    forms={
        "zeros": Advice(
            (
                "The loss is NaN in every step, and the trainer prints 0 (transformers: logging_nan_inf_filter).",
                "Under fp16 every step overflows and is skipped, so that nothing is trained.",
                "Every label of every batch is masked (ignore_index), e.g. by a wrong chat or response template.",
            ),
            (
                Check(
                    "Stop and go back to a checkpoint from before {before}.",
                    "Stop: it is so from the first row on, nothing has been learned. Mend the cause and start again.",
                ),
                Check("Print the loss of one batch yourself, before backward; set logging_nan_inf_filter=False."),
                Check("Count the labels of a batch that are not -100: there must be some."),
                Check("Train in bf16 or fp32 instead of fp16; it helps when the overflow is the cause."),
            ),
        ),
        "blank": Advice(
            (
                "The task is solved from the start, e.g. a toy problem or a model that knows its data.",
                "The loss is NaN in every step, and the trainer prints 0 (transformers: logging_nan_inf_filter).",
                "Every label of every batch is masked (ignore_index), e.g. by a wrong chat or response template.",
            ),
            (
                Check("Print the loss of one batch yourself, before backward; set logging_nan_inf_filter=False."),
                Check("Count the labels of a batch that are not -100: there must be some."),
                Check("Log the grad norm beside the loss: it tells these apart."),
            ),
        ),
        "recurs": Advice(
            (
                "Broken samples that come up again and again: NaN or Inf in the input, or only masked labels.",
                "A range that fp16 exceeds now and then.",
                "log, division or square root at 0 for some batches.",
            ),
            (
                Check("Look at the batches of these rows, {first_step} first: what do they have in common?"),
                Check("Skip a step whose loss is not finite, before backward: the weights have survived so far."),
                Check("Train in bf16, or run softmax and the loss in fp32; it helps when fp16's range is the cause."),
            ),
        ),
        "norm": Advice(
            (
                "The gradient overflows in fp16, or the norm is computed in a type that is too small.",
                "An operation with a finite value and an infinite slope: sqrt, log, division or norm at 0.",
                "The norm is logged before unscaling, or on a rank that does not hold all gradients.",
            ),
            (
                Check("See whether the loss moves: with an infinite norm, clipping makes every update 0 or NaN."),
                Check(
                    "Run some steps under torch.autograd.set_detect_anomaly(True): it names the operation that made it."
                ),
                Check("Log the norm per layer: one layer is infinite first."),
                Check("Clip with error_if_nonfinite=True, so that a bad step stops the run and not the weights."),
            ),
        ),
        "validation": Advice(
            (
                "An empty validation set or a mean over no label: 0/0.",
                "The evaluation runs in another precision than the training.",
                "A broken sample in the validation data.",
            ),
            (
                Check("Evaluate one batch by hand, and count its labels that are not ignored."),
                Check("Nothing to do for the training itself: its own loss is finite."),
            ),
        ),
    },
)

EMPTY = Kind(
    id="empty_batch",
    needs="the loss and the grad norm",
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
        Check("Count the labels that are not ignored in the batch of {first_step}."),
        Check(
            "Nothing to do for one of them: the step changed almost nothing. If they are frequent, filter them "
            "when data is prepared."
        ),
    ),
    reference="reproduced: one fully masked batch at step 14 gives loss 0 and grad norm 0, and nothing before "
    "or after it",
)
