"""Runs in which nothing is wrong, of the kinds that alarms are raised on in practice."""

from dataclasses import replace

from .change import Cost, GrowthInterval, MaskedLabels, Overflow, Rewound, ScaledInputs
from .models import Shape
from .plan import CNN, GRU, TEXT, Log, Plan, Schedule, Setup, healthy

HEALTHY: tuple[Plan, ...] = (
    healthy(
        "cosine_to_zero",
        1200,
        "An MLP on images; the learning rate ends at zero, as planned.",
        Setup(schedule=Schedule(kind="cosine", warmup=50), log=Log(validation=50)),
    ),
    healthy(
        "constant_rate",
        1000,
        "An MLP tells two rings apart at one learning rate, and says no more than loss and gradient norm.",
        Setup(task="circles", shape=Shape(width=24), log=Log(lr=False, facts=False, layers=0)),
    ),
    healthy(
        "linear_decay",
        900,
        "A CNN under SGD with momentum and linear decay.",
        Setup(shape=CNN, optimizer="momentum", schedule=Schedule(lr=0.02, kind="linear")),
    ),
    healthy(
        "step_decay",
        1600,
        "The learning rate falls to a tenth twice, and the gradient norm changes with it.",
        Setup(optimizer="momentum", schedule=Schedule(lr=0.05, kind="steps")),
    ),
    healthy(
        "warm_restarts",
        1200,
        "A cosine that starts anew every 300 steps.",
        Setup(task="regression", schedule=Schedule(lr=3e-3, kind="restarts", period=300, floor=0.01), batch=64),
    ),
    healthy(
        "zero_branches",
        700,
        "A transformer whose branches start at zero, in a warm-up over most of the run.",
        Setup(
            task="text",
            shape=Shape("transformer", depth=4, width=32, zero_branches=True),
            batch=8,
            optimizer="adamw",
            schedule=Schedule(lr=2e-3, warmup=450),
            clip=1.0,
        ),
    ),
    healthy(
        "label_noise",
        1200,
        "A fifth of the labels is wrong for good: the loss has a high floor.",
        Setup(label_noise=0.2, schedule=Schedule(lr=5e-4), batch=64),
    ),
    healthy(
        "tiny_batch",
        2000,
        "Batches of four: loss and gradient are mostly noise.",
        Setup(task="blobs", batch=4, schedule=Schedule(lr=5e-4)),
    ),
    healthy(
        "batch_norm",
        1000,
        "A normalised MLP, whose weights grow and whose gradient does not.",
        Setup(shape=Shape(batch_norm=True), optimizer="momentum", schedule=Schedule(lr=0.05, kind="cosine")),
    ),
    healthy(
        "frozen_backbone",
        900,
        "Only the last layers are trained, which the run says by its trainable parameters.",
        Setup(frozen=("layers.0", "layers.1"), schedule=Schedule(lr=3e-3)),
    ),
    healthy(
        "bad_batch",
        900,
        "One batch arrives with its inputs three times too large.",
        Setup(shape=CNN, changes=(ScaledInputs(first=400, until=401, factor=3.0),)),
    ),
    healthy(
        "masked_batch",
        600,
        "Every label of the batch of step 14 is masked: no loss, no gradient, for one step.",
        replace(TEXT, changes=(MaskedLabels(first=14, until=15),)),
    ),
    healthy(
        "loss_scale",
        1000,
        "Mixed precision finds its loss scale in the first steps and skips one step later.",
        Setup(scaler=True, schedule=Schedule(kind="linear"), changes=(Overflow(first=520, until=521),)),
    ),
    healthy(
        "scale_grows",
        1000,
        "The loss scale is doubled every 200 good steps, until a step has to be skipped, as it is meant to be.",
        Setup(
            shape=CNN,
            scaler=True,
            optimizer="momentum",
            schedule=Schedule(lr=0.02, kind="cosine", warmup=50),
            changes=(GrowthInterval(steps=200),),
        ),
    ),
    healthy(
        "tiny_loss",
        900,
        "The loss is weighted with 1e-5, which Adam does not mind.",
        Setup(loss_factor=1e-5, eps=1e-15, batch=64),
    ),
    healthy(
        "fine_tune",
        600,
        "A trained model is trained on, with a small learning rate.",
        Setup(shape=CNN, pretrained=400, schedule=Schedule(lr=1e-4, kind="linear", warmup=30)),
    ),
    healthy(
        "near_floor",
        800,
        "A fine-tune that starts where there is little left to learn.",
        Setup(task="blobs", label_noise=0.1, pretrained=1200, batch=16, schedule=Schedule(lr=1e-4, warmup=40)),
    ),
    healthy(
        "pauses",
        1000,
        "Every 100 steps an evaluation and a checkpoint hold the training up for two seconds.",
        Setup(
            log=Log(machine=True, validation=100, layers=0),
            changes=(Cost(first=99, every=100, pause_s=2.0),),
            schedule=Schedule(kind="cosine"),
        ),
    ),
    healthy(
        "resumed",
        800,
        "The run dies at step 260 and goes on from the checkpoint of step 200.",
        Setup(changes=(Rewound(first=260, to=200),), schedule=Schedule(kind="linear", warmup=40)),
    ),
    healthy(
        "clipped_early",
        700,
        "A transformer in whose first hundreds of steps every gradient is clipped.",
        replace(TEXT, clip=0.5, log=Log(validation=100, layers=10)),
    ),
    healthy(
        "solved",
        1500,
        "A task that can be solved: loss and gradient fall by decades, because nothing is left.",
        Setup(task="linear", shape=Shape(depth=3, width=24, activation="gelu"), schedule=Schedule(kind="cosine")),
    ),
    healthy(
        "recurrent",
        600,
        "A GRU over characters, clipped.",
        Setup(task="text", shape=GRU, batch=8, schedule=Schedule(lr=3e-3, kind="linear", warmup=30), clip=1.0),
    ),
    healthy(
        "dropout",
        1000,
        "Half of all units are dropped: a noisy loss that falls slowly.",
        Setup(shape=Shape(dropout=0.5, width=96), log=Log(validation=100)),
    ),
    healthy(
        "momentum",
        1000,
        "Ten residual layers under SGD with momentum.",
        Setup(shape=Shape(depth=10, residual=True), optimizer="momentum", schedule=Schedule(lr=2e-3, warmup=50)),
    ),
    healthy(
        "spike_recovered",
        1000,
        "One batch of outliers throws the loss up; it is back soon after.",
        Setup(
            optimizer="sgd",
            schedule=Schedule(lr=0.05),
            clip=5.0,
            changes=(ScaledInputs(first=500, until=501, factor=20.0),),
        ),
    ),
    healthy(
        "high_rate",
        1000,
        "A learning rate a little above the best: a restless loss, and a good one.",
        Setup(task="blobs", schedule=Schedule(lr=0.01)),
    ),
    healthy(
        "thinned",
        800,
        "A transformer whose log has every tenth step, and no gradient norm.",
        replace(TEXT, clip=None, log=Log(every=10, norm="", layers=0)),
    ),
    healthy(
        "negative_loss",
        1200,
        "A Gaussian likelihood, whose loss falls through zero.",
        Setup(task="linear", objective="gaussian", schedule=Schedule(kind="cosine"), batch=64),
    ),
    healthy(
        "rare_rows",
        2000,
        "Rows every fifty steps, without a learning rate.",
        Setup(task="regression", log=Log(every=50, lr=False, layers=50), schedule=Schedule(kind="linear")),
    ),
    healthy(
        "late_warm_up_end",
        1400,
        "Half of the run is warm-up, after which a deep residual MLP is at its peak rate.",
        Setup(shape=Shape(depth=10, residual=True), schedule=Schedule(lr=1e-3, warmup=700), clip=1.0),
    ),
)
"""All of them."""
