"""Faults: nothing is learned, or the wrong thing."""

from ..change import FewSamples, Rate, ScaledInputs, WrongLabels
from ..models import Shape
from ..plan import GRU, Log, Plan, Schedule, Setup, faulty

PLANS: tuple[Plan, ...] = (
    faulty(
        "rate_zero",
        400,
        1000,
        "lr_zero no_learning loss_plateau update_ratio frozen_layer",
        "The schedule was made for 400 steps of 1000: the learning rate is 0 from there on.",
        Setup(schedule=Schedule(kind="constant"), changes=(Rate(first=400, factor=0.0),)),
    ),
    faulty(
        "text_rate_zero",
        300,
        600,
        "lr_zero no_learning loss_plateau update_ratio frozen_layer",
        "A recurrent net whose learning rate is 0 from step 300 on, half-way.",
        Setup(task="text", shape=GRU, batch=8, schedule=Schedule(lr=3e-3), changes=(Rate(first=300, factor=0.0),)),
    ),
    faulty(
        "rate_1e-9",
        0,
        700,
        # The steps are what is too small, by construction; a loss that stays is what comes of it.
        "update_ratio no_learning",
        "The learning rate is 1e-9.",
        Setup(schedule=Schedule(lr=1e-9)),
    ),
    faulty(
        "labels_random",
        0,
        700,
        "no_learning",
        "Labels are random in every batch: there is nothing to learn.",
        Setup(changes=(WrongLabels(),)),
    ),
    faulty(
        "softmax_twice",
        0,
        800,
        "no_learning gradient_vanishing loss_plateau",
        "Softmax is taken before a loss that takes it as well.",
        Setup(objective="twice", optimizer="sgd", schedule=Schedule(lr=0.01), log=Log(layers=0)),
    ),
    faulty(
        "all_zero",
        0,
        700,
        "dead_layer no_learning update_ratio dead_units",
        "Every weight starts at zero, and all but the last bias stay there.",
        Setup(shape=Shape(gain=0.0), schedule=Schedule(lr=1e-3)),
    ),
    faulty(
        "inputs_empty",
        0,
        700,
        "no_learning dead_layer loss_plateau",
        "Preprocessing makes all inputs zero.",
        Setup(changes=(ScaledInputs(factor=0.0),), log=Log(layers=0)),
    ),
    faulty(
        "eps_one",
        0,
        800,
        "no_learning update_ratio loss_plateau",
        "Adam's epsilon is 1, against which the gradient is nothing.",
        Setup(eps=1.0, schedule=Schedule(lr=1e-3)),
    ),
    faulty(
        "clip_tiny",
        0,
        800,
        "clip_saturation no_learning update_ratio loss_plateau",
        "The gradient is clipped at 1e-3, a thousandth of its norm.",
        Setup(clip=1e-3, optimizer="sgd", schedule=Schedule(lr=0.05)),
    ),
    faulty(
        "few_samples",
        300,
        1500,
        "overfitting",
        "From step 300 on only 64 samples are trained on, and the validation loss turns.",
        Setup(schedule=Schedule(lr=1e-3), changes=(FewSamples(first=300, samples=64),), log=Log(validation=25)),
    ),
    faulty(
        "memorised",
        0,
        1200,
        "overfitting",
        "A large net on 128 samples, a third of them mislabelled.",
        Setup(shape=Shape(width=96), samples=128, label_noise=0.33, schedule=Schedule(lr=1e-3), log=Log(validation=20)),
    ),
)
"""All of them, as they are listed."""
