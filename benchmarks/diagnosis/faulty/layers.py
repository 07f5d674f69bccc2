"""Faults: layers that do not learn, learn apart, or get no gradient."""

from dataclasses import replace

from ..change import Cut, GradientFactor, Idle, StillGroup, Weights
from ..models import Shape
from ..plan import CNN, TEXT, UPWARD, Log, Plan, Schedule, Setup, faulty

PLANS: tuple[Plan, ...] = (
    faulty(
        "gradient_lost",
        300,
        900,
        "gradient_vanishing update_ratio no_learning loss_plateau measurement_suspect",
        "From step 300 on the gradient is 1e-7 of what it was, and nothing is learned.",
        Setup(optimizer="sgd", schedule=Schedule(lr=0.05), changes=(GradientFactor(first=300, factor=1e-7),)),
    ),
    faulty(
        "gradient_lost_global",
        500,
        1100,
        "gradient_vanishing no_learning loss_plateau measurement_suspect",
        "The same in a log without layers and without a learning rate.",
        Setup(
            shape=CNN,
            optimizer="sgd",
            schedule=Schedule(lr=0.1),
            log=Log(layers=0, lr=False),
            changes=(GradientFactor(first=500, factor=1e-6),),
        ),
    ),
    faulty(
        "sigmoid_stack",
        0,
        800,
        "layer_imbalance gradient_vanishing no_learning update_ratio",
        "Twenty sigmoid layers: the head is healthy and the first layers get nothing.",
        Setup(shape=Shape(depth=20, width=32, activation="sigmoid"), optimizer="sgd", schedule=Schedule(lr=0.05)),
    ),
    faulty(
        "tanh_stack",
        0,
        800,
        "layer_imbalance gradient_vanishing no_learning update_ratio",
        "Twenty tanh layers with small weights and nothing around them.",
        Setup(
            shape=Shape(depth=20, width=32, activation="tanh", gain=0.4), optimizer="sgd", schedule=Schedule(lr=0.05)
        ),
    ),
    faulty(
        "block_cut",
        300,
        700,
        "dead_layer frozen_layer",
        "The output of a hidden layer is detached from step 300 on: the layers before it get no gradient.",
        Setup(shape=Shape(depth=4), schedule=Schedule(lr=5e-4), log=Log(layers=1), changes=(Cut(first=300, layer=1),)),
    ),
    faulty(
        "transformer_cut",
        200,
        600,
        "dead_layer frozen_layer",
        "The output of a transformer's second block is detached from step 200 on.",
        replace(TEXT, changes=(Cut(first=200, layer=1),)),
    ),
    faulty(
        "trunk_cut",
        0,
        700,
        "dead_layer frozen_layer",
        "The trunk is detached before the head from the start.",
        Setup(shape=Shape(depth=3), changes=(Cut(layer=2),)),
    ),
    faulty(
        "not_in_optimizer",
        0,
        700,
        "frozen_layer gradient_exploding measurement_suspect",
        "Two layers were never given to the optimizer: their gradient is added up and their weights stand still.",
        Setup(shape=Shape(depth=4), left_out=("layers.1", "layers.2"), schedule=Schedule(lr=5e-4)),
    ),
    faulty(
        "still_group",
        300,
        800,
        "frozen_layer",
        "From step 300 on the first layers are in a parameter group with learning rate 0.",
        Setup(
            shape=Shape(depth=4),
            log=Log(layers=1),
            changes=(StillGroup(first=300, layers=("layers.0", "layers.1")),),
        ),
    ),
    faulty(
        "units_die",
        300,
        800,
        f"dead_units dead_layer no_learning gradient_vanishing {UPWARD}",
        "A step takes the biases so far down that hardly a ReLU is ever active again.",
        Setup(
            shape=Shape(depth=3),
            schedule=Schedule(lr=5e-4),
            log=Log(layers=1),
            changes=(Weights(first=300, until=301, bias=-6.0),),
        ),
    ),
    faulty(
        "units_die_at_once",
        0,
        700,
        f"dead_units dead_layer no_learning gradient_vanishing update_ratio {UPWARD}",
        "The learning rate is so high that the first steps kill the ReLUs.",
        Setup(shape=Shape(depth=4), schedule=Schedule(lr=0.5)),
    ),
    faulty(
        "stale_copy",
        400,
        1200,
        "update_ratio loss_plateau frozen_layer no_learning",
        "From step 400 on the optimizer moves a copy of the weights, and the model stands still.",
        Setup(optimizer="adamw", schedule=Schedule(lr=5e-4), changes=(Idle(first=400),)),
    ),
    faulty(
        "updates_huge",
        0,
        700,
        # One step makes the weights thirteen times as large, so that later ones are small beside them: what stays is
        # that hardly a ReLU is active.
        f"dead_units dead_layer update_ratio no_learning loss_plateau {UPWARD}",
        "A normalised net whose first step replaces the weights: the learning rate is 1.",
        Setup(shape=Shape(batch_norm=True), schedule=Schedule(lr=1.0)),
    ),
)
"""All of them, as they are listed."""
