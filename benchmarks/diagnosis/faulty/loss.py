"""Faults: a loss that goes up, or a gradient that does."""

from dataclasses import replace

from ..change import ForgottenRate, GradientFactor, KeptGradients, Rate, Rewound, Weights, WrongLabels
from ..models import Shape
from ..plan import CNN, TEXT, UPWARD, Plan, Schedule, Setup, faulty

BURST = "loss_spike gradient_exploding loss_divergence"
"""What a loss may be called that is thrown up for some steps."""

PLANS: tuple[Plan, ...] = (
    faulty(
        "rate_jump",
        400,
        800,
        f"lr_jump {UPWARD} update_ratio",
        "The learning rate is multiplied by twenty at step 400, and the loss goes up.",
        Setup(shape=CNN, optimizer="momentum", schedule=Schedule(lr=0.02), changes=(Rate(first=400, factor=20.0),)),
    ),
    faulty(
        "rate_forgotten",
        700,
        1100,
        f"lr_jump {UPWARD} update_ratio",
        "A resume from step 700 does not restore the schedule: the learning rate is back at ten times what it was.",
        # Without a resume it would be a warm restart to any reader of the stream: the rate is one of before.
        Setup(
            optimizer="momentum",
            schedule=Schedule(lr=0.05, kind="steps"),
            changes=(Rewound(first=710, to=699), ForgottenRate(factor=10.0)),
        ),
    ),
    faulty(
        "rate_too_high",
        0,
        600,
        # The first steps kill the ReLUs: the loss goes to that of guessing, where it began, and so never goes up.
        f"dead_units dead_layer no_learning update_ratio nonfinite {UPWARD}",
        "The learning rate is far too high from the start.",
        Setup(shape=CNN, optimizer="momentum", schedule=Schedule(lr=0.6)),
    ),
    faulty(
        "residual_rate_too_high",
        0,
        600,
        f"nonfinite {UPWARD}",
        "Ten residual layers at a hundred times the learning rate that they can take: soon nothing is finite.",
        Setup(shape=Shape(depth=10, residual=True), optimizer="momentum", schedule=Schedule(lr=0.2)),
    ),
    faulty(
        "transformer_rate_too_high",
        0,
        600,
        # Adam's steps are as large as the learning rate: weights and activations grow with it, from the first step on,
        # while the loss still falls; it stays far below that of the start.
        f"activation_growth {UPWARD} no_learning update_ratio loss_plateau",
        "A transformer whose warm-up climbs to three hundred times the learning rate that it can take.",
        replace(TEXT, optimizer="adam", clip=None, schedule=Schedule(lr=1.0, warmup=300)),
    ),
    faulty(
        "rate_rising",
        400,
        1000,
        f"{UPWARD} lr_jump update_ratio nonfinite dead_units dead_layer",
        "A scheduler with the wrong sign raises the learning rate by 1.5 % a step from step 400 on.",
        Setup(schedule=Schedule(lr=1e-3), changes=(Rate(first=400, growth=1.015),)),
    ),
    faulty(
        "labels_rot",
        400,
        1000,
        UPWARD,
        "From step 400 on ever more labels are wrong, all of them after 300 steps.",
        Setup(shape=CNN, changes=(WrongLabels(first=400, ramp=300),)),
    ),
    faulty(
        "labels_shifted",
        500,
        900,
        f"{UPWARD} no_learning",
        "The loader of labels is restarted at step 500 with another order: no label fits any more.",
        Setup(task="blobs", schedule=Schedule(lr=3e-4), changes=(WrongLabels(first=500),)),
    ),
    faulty(
        "burst",
        400,
        800,
        BURST,
        "Five batches in a row have wrong labels.",
        Setup(changes=(WrongLabels(first=400, until=405),)),
    ),
    faulty(
        "text_burst",
        400,
        700,
        BURST,
        "Five batches of a transformer's text have wrong labels.",
        replace(TEXT, changes=(WrongLabels(first=400, until=405),)),
    ),
    faulty(
        "bursts",
        300,
        1000,
        BURST,
        "Three batches with wrong labels every 80 steps.",
        Setup(shape=CNN, changes=(WrongLabels(first=300, every=80, length=3),)),
    ),
    faulty(
        "weights_hit",
        500,
        800,
        "loss_divergence loss_spike gradient_exploding",
        "The weights are damaged at step 500, and the learning rate is too small to repair them.",
        Setup(schedule=Schedule(lr=2e-3, kind="steps"), changes=(Weights(first=500, until=501, noise=1.5),)),
    ),
    faulty(
        "ascent",
        0,
        600,
        f"{UPWARD} nonfinite no_learning",
        "The sign of the step is wrong: the loss is maximised.",
        Setup(ascend=True, schedule=Schedule(lr=1e-3)),
    ),
    faulty(
        "head_grows",
        400,
        900,
        "gradient_exploding loss_divergence loss_spike nonfinite",
        "The weights of the head grow by 1.5 % a step from step 400 on, and the gradient grows over decades.",
        Setup(
            optimizer="sgd",
            schedule=Schedule(lr=0.02),
            clip=1.0,
            changes=(Weights(first=400, layers=("head",), factor=1.015),),
        ),
    ),
    faulty(
        "gradients_kept",
        400,
        800,
        "gradient_exploding loss_divergence loss_spike measurement_suspect",
        "`zero_grad` is not called from step 400 on: gradients are added up.",
        Setup(schedule=Schedule(kind="cosine"), changes=(KeptGradients(first=400),)),
    ),
    faulty(
        "gradient_scaled_up",
        400,
        800,
        "gradient_exploding measurement_suspect clip_saturation loss_divergence loss_spike",
        "Gradients are a thousand times too large from step 400 on, as if a scale was not undone.",
        Setup(optimizer="sgd", schedule=Schedule(lr=0.02), clip=5.0, changes=(GradientFactor(first=400, factor=1e3),)),
    ),
    faulty(
        "attention_grows",
        300,
        800,
        f"activation_growth {UPWARD}",
        "Queries and keys grow by 1 % a step from step 300 on, and attention with them.",
        replace(TEXT, changes=(Weights(first=300, layers=tuple(f"layers.{i}.qkv" for i in range(4)), factor=1.01),)),
    ),
    faulty(
        "edge_of_stability",
        300,
        800,
        "oscillation loss_divergence loss_spike gradient_exploding update_ratio",
        "Whole-batch descent whose learning rate passes two over the curvature: the loss goes up and down.",
        Setup(
            task="clicks",
            whole=True,
            shape=Shape(depth=0),
            optimizer="sgd",
            schedule=Schedule(lr=0.3),
            # Noise of a hundredth stands for what moves a run that rests exactly where its gradient is zero.
            changes=(Rate(first=200, growth=1.03, most=24.0), Weights(first=200, until=500, every=20, noise=0.01)),
        ),
    ),
    faulty(
        "shards_differ",
        400,
        900,
        "oscillation loss_divergence loss_spike gradient_exploding",
        "From step 400 on every second batch comes from a shard in which half of the labels are wrong.",
        Setup(batch=128, changes=(WrongLabels(first=400, every=2, share=0.5),)),
    ),
    faulty(
        "weights_shrink",
        400,
        900,
        "loss_divergence gradient_vanishing no_learning loss_spike dead_units",
        "Weight decay is a thousand times too strong from step 400 on: the weights go to zero.",
        Setup(schedule=Schedule(lr=5e-4), changes=(Weights(first=400, factor=0.98),)),
    ),
    faulty(
        "tug_of_war",
        400,
        1500,
        "loss_plateau no_learning loss_divergence oscillation",
        "From step 400 on every second step has the sign of its gradient wrong, and undoes the one before.",
        Setup(
            batch=256,
            optimizer="sgd",
            schedule=Schedule(lr=0.05),
            changes=(GradientFactor(first=400, every=2, factor=-0.97),),
        ),
    ),
)
"""All of them, as they are listed."""
