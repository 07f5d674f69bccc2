"""Kinds of findings about the loss over long stretches, and against the validation loss."""

from gradtop.catalogue.kind import Check, Kind

_PLATEAU = Kind(
    id="loss_plateau",
    needs="the loss and the learning rate, over 770 steps or more",
    title="Plateau",
    meaning="The loss has not fallen for the newest third of the run, at a learning rate that is still high.",
    severity="watch where the loss had fallen by 10 % before, the learning rate is known and the validation loss does "
    "not improve; else a notice; over at a new best, or when the learning rate is decayed",
    limits=("plateau_steps", "plateau_part", "plateau_fall", "plateau_lr", "profile"),
    criteria=(
        ("enough_steps", "There were enough steps at a full learning rate"),
        ("persists", "No fall of the loss for the newest third of the run"),
        ("noise_allows", "The noise is low enough to see a fall"),
        ("lr_high", "The learning rate is not decayed yet"),
        ("val_flat", "The validation loss does not improve either"),
    ),
    causes=(
        "A learning rate that is too high to go lower: the loss hovers above its floor until the rate decays.",
        "The floor of the data for this model: label noise, the entropy of the text, or too small a model.",
        "A learning rate that is too low, or a clip value that makes every step small.",
        "Dead units, or a part of the model that is not trained.",
    ),
    checks=(
        Check(
            "Decay the learning rate now, e.g. {lr} → {lr_lower}: at a plateau that often drops the loss within some "
            "hundred steps.",
            "Decay the learning rate now: at a plateau that often drops the loss within some hundred steps.",
        ),
        Check(
            "Compare the validation loss: {val_loss}. Where it stays too, further steps at this rate bring nothing.",
            "Evaluate on held-out data: where that stays too, further steps at this rate bring nothing.",
        ),
        Check(
            "If a decay does not help, the model is at its floor: stop here, or train a larger one. A fine-tune near "
            "its floor is no fault."
        ),
    ),
    reference="25 healthy language-model runs: the longest stretch without a fall of 0.1 % is 0.17 of the steps so "
    "far; of 500-step windows 57 % have none, so that no fixed window works",
)

_OVERFITTING = Kind(
    id="overfitting",
    needs="the loss, and the validation loss of five evaluations or more",
    title="Overfitting",
    meaning="The validation loss rises far above its best while the training loss stays low.",
    severity="watch for four evaluations in a row; over at a new best, or within 5 % of it",
    limits=("overfit_rise", "overfit_evaluations", "overfit_gap", "profile"),
    criteria=(
        ("persists", "The validation loss stays high for evaluation after evaluation"),
        ("above_best", "It is far above its best, more than its noise"),
        ("train_falls", "The training loss is at its best"),
        ("gap", "It is far above the training loss, for this run"),
    ),
    causes=(
        "The model memorises: too many passes over too little data.",
        "Too little regularisation for the size of the model: weight decay, dropout, augmentation.",
        "Training and validation data are of different kinds, or the evaluation changed on the way.",
        "Confident mistakes: the accuracy may still rise while the loss does.",
    ),
    checks=(
        Check("Keep the checkpoint of {best_step}, with a validation loss of {val_loss}: the later ones are worse."),
        Check("Stop early, or train on more or more varied data."),
        Check("Compare the validation accuracy: if that is what counts and it still rises, train on."),
        Check("Raise weight decay or dropout, or take a smaller model or fewer epochs."),
    ),
    reference="a fault bench of 185 runs: 5 alarms in 85 healthy runs, all of one with 64 training samples; a gap of "
    "10 % at one evaluation alarms in 80 of them",
)

_OSCILLATION = Kind(
    id="oscillation",
    needs="the loss of every step",
    title="Oscillation",
    meaning="The loss swings up and down from one row to the next, far more regularly than noise.",
    severity="watch for 10 rows in a row; a notice where it does so from the first rows on and falls",
    limits=("oscillation_correlation", "oscillation_rows", "oscillation_size", "profile"),
    criteria=(
        ("persists", "The swing goes on row after row"),
        ("swings", "Neighbouring losses lie on opposite sides of their course"),
        ("large", "The swing is large enough to matter"),
        ("loss_flat", "The loss does not fall beside it"),
    ),
    causes=(
        "A learning rate near the limit of stability: each step overshoots and the next one comes back.",
        "Momentum (or Adam's beta1) that is too high for this learning rate.",
        "Two kinds of batches in turn, two datasets or two tasks: then this is no fault.",
    ),
    checks=(
        Check(
            "Halve the learning rate, {lr} → {lr_half}: a true swing is gone within some steps.",
            "Halve the learning rate: a true swing is gone within some steps.",
        ),
        Check("Lower the momentum, or take larger batches."),
        Check("If two datasets or tasks take turns, log their losses under names of their own."),
    ),
    reference="3,179 windows of healthy runs: the 0.01 % quantile of the correlation is -0.47; at the limit of "
    "stability the loss has a period of two steps",
)

KINDS: tuple[Kind, ...] = (_PLATEAU, _OVERFITTING, _OSCILLATION)
"""The kinds of this group."""
