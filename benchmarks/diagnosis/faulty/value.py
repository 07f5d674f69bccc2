"""Faults: values that are none, or are not what they are called."""

from ..change import LogOfNegative, MaskedLabels, Overflow, ScaledInputs
from ..plan import CNN, Log, Plan, Schedule, Setup, faulty

PLANS: tuple[Plan, ...] = (
    faulty(
        "log_of_negative",
        300,
        600,
        "nonfinite",
        "A term of the loss takes the logarithm of a negative number from step 300 on.",
        Setup(changes=(LogOfNegative(first=300),)),
    ),
    faulty(
        "loss_overflow",
        400,
        700,
        "nonfinite",
        "The loss overflows to infinity from step 400 on.",
        Setup(shape=CNN, optimizer="momentum", schedule=Schedule(lr=0.02), changes=(Overflow(first=400),)),
    ),
    faulty(
        "nan_batch",
        350,
        600,
        "nonfinite",
        "One batch holds NaN, and the weights are NaN from then on.",
        Setup(task="regression", changes=(ScaledInputs(first=350, until=351, factor=float("nan")),)),
    ),
    faulty(
        "nan_thinned",
        605,
        1200,
        "nonfinite",
        "One batch holds NaN in a run that logs every tenth step and no gradient norm.",
        Setup(
            schedule=Schedule(kind="cosine"),
            log=Log(every=10, norm="", layers=0),
            changes=(ScaledInputs(first=605, until=606, factor=float("nan")),),
        ),
    ),
    faulty(
        "masked_often",
        300,
        900,
        "empty_batch loss_spike",
        "From step 300 on every twelfth batch has no label that counts.",
        Setup(batch=16, changes=(MaskedLabels(first=300, every=12),)),
    ),
    faulty(
        "norm_after_zero_grad",
        0,
        600,
        "measurement_suspect",
        "The gradient norm is read after the gradients were set to zero.",
        Setup(log=Log(norm="after_zero_grad", layers=0)),
    ),
    faulty(
        "norm_after_clipping",
        0,
        800,
        "measurement_suspect clip_saturation",
        "The gradient norm is read after clipping, which always clips.",
        Setup(clip=0.1, optimizer="momentum", schedule=Schedule(lr=0.05), log=Log(norm="post_clip")),
    ),
)
"""All of them, as they are listed."""
