"""Kinds of findings about single layers."""

from gradtop.catalogue.kind import Advice, Check, Kind

_LOSS_SUFFERS = ("loss_suffers", "The loss is near its start, or it rose")
_PERSISTS = ("persists", "It holds row after row")

IMBALANCE = Kind(
    id="layer_imbalance",
    needs="the grad norm of at least four blocks of layers, better with their weight norms, and the loss",
    title="Gradient fades over depth",
    meaning="The first layers get a gradient that is decades smaller, or larger, than that of the last ones.",
    severity="watch while the loss never left its start; notice where the model learns, or did before",
    limits=("imbalance_ratio", "imbalance_rows", "imbalance_share", "impaired_level"),
    criteria=(
        _PERSISTS,
        ("far_apart", "First and last layers are decades apart, relative to their weights"),
        _LOSS_SUFFERS,
        ("after_warmup", "It goes on after warm-up"),
    ),
    causes=(
        "Saturating activations (sigmoid, tanh) in a deep stack.",
        "Depth without residual connections or normalisation.",
        "An initialisation that is too small for the depth.",
        "A residual branch or a gate that starts near zero and does not open.",
    ),
    checks=(
        Check("Look at the grad norm per layer: where it drops from one block to the next is the place to mend."),
        Check("Replace sigmoid and tanh by ReLU, GELU or SiLU, or put a normalisation before each of them."),
        Check("Add residual connections, or initialise for the activation: He for ReLU, Xavier for tanh."),
        Check(
            "Another learning rate ({lr} now) does not help: one rate cannot suit layers that are decades apart.",
            "Another learning rate does not help: one rate cannot suit layers that are decades apart.",
        ),
    ),
    forms={
        "explodes": Advice(
            (
                "Weights that are too large for the depth: each layer multiplies the gradient.",
                "A recurrent net over long sequences without clipping or gates.",
                "Depth without normalisation.",
            ),
            (
                Check("Look at the grad norm per layer: it should stay within a decade or two from block to block."),
                Check("Scale the initialisation down with depth, e.g. residual branches by 1/sqrt(2 x layers)."),
                Check(
                    "Clip at {clip} caps the norm of all layers together: the last layers then get almost nothing.",
                    "Clipping the global norm hides this: the last layers then get almost nothing.",
                ),
                Check("Add a normalisation in each block; for recurrent nets shorten the sequences."),
            ),
        ),
    },
    reference="AutoTrainer (ICSE 2021): first over last layer below 1e-3 fades; persistence added, healthy small nets, "
    "CNNs and transformers stay within two decades",
)

DEAD = Kind(
    id="dead_layer",
    needs="the grad norm of each layer",
    title="Layers without a gradient",
    meaning="Some layers have a gradient of exactly zero, or none at all, while others have one.",
    severity="watch where they had one before; intervene for more than half of all layers; where they never had one, "
    "notice, and watch when the loss does not fall either, or for most layers where all parameters are to be trained",
    limits=("layer_rows", "never_rows", "dead_layers_most", "impaired_level", "no_learning_steps", "no_learning_fall"),
    criteria=(
        _PERSISTS,
        ("others_move", "Other layers do have a gradient"),
        ("had_gradient", "They had a gradient before"),
        _LOSS_SUFFERS,
    ),
    causes=(
        "A graph that was cut: detach(), no_grad(), .data or requires_grad_(False) from some step on.",
        "Dead ReLUs: all units of a layer are off, so nothing passes to it and to the layers before it.",
        "A branch, a head or an expert that is no longer used.",
        "A loss term that was switched off.",
    ),
    checks=(
        Check(
            "Look at what the code does at {first_step}: a schedule that freezes {layers}, a loss term that ends?",
            "Look at what the code does at {first_step}: a schedule that freezes layers, a loss term that ends?",
        ),
        Check("List the parameters with requires_grad=False, and those with p.grad None after backward()."),
        Check("Look at the activations of {layers}: all zero means dead ReLUs. LeakyReLU, GELU or a lower rate help."),
        Check(
            "If ReLUs died after too large steps, go back before {first_step} at a lower rate: {lr} → {lr_lower}.",
            "If ReLUs died after too large steps, go back before {first_step} with a third of the learning rate.",
        ),
    ),
    forms={
        "units": Advice(
            (
                "Dead ReLUs: nearly all units of a layer are off, so nothing passes to it and to the layers before it.",
                "Too large steps that pushed the biases of those units far below zero.",
                "A graph that was cut: detach(), no_grad(), .data or requires_grad_(False) from some step on.",
            ),
            (
                Check(
                    "Go back to a checkpoint before {first_step}, and train on at a lower rate: {lr} → {lr_lower}.",
                    "Go back to a checkpoint before {first_step}, and train on with a third of the learning rate.",
                ),
                Check("Use LeakyReLU, GELU or SiLU in {layers}, or a normalisation before the activation."),
                Check("Look at the activations of {layers}: dead ReLUs give zero for every input."),
                Check("If they do not, look at what the code does at {first_step}: detach(), or requires_grad=False?"),
            ),
        ),
        "never": Advice(
            (
                "Frozen on purpose, as the backbone of a fine-tune: then this is no fault.",
                "A detached graph: detach(), no_grad() or an argmax between them and the loss.",
                "Dead ReLUs since the initialisation.",
                "An unused head or branch.",
            ),
            (
                Check("If {layers} should be trained: check requires_grad, and p.grad after backward()."),
                Check(
                    "Follow the forward pass from {layers} to the loss, and look for detach(), no_grad() and argmax."
                ),
                Check("If all of them come before one layer, look at the activations of that one: are they all zero?"),
                Check("If they are frozen on purpose, mute this kind."),
            ),
        ),
    },
    reference="zero-initialised residual branches: 80 of 116 tensors without a gradient at step 0, none at step 5; "
    "fault bench: a detached block is seen after 19 steps",
)

FROZEN = Kind(
    id="frozen_layer",
    needs="the update ratio of each layer, or its weight norm in full digits, and its grad norm",
    title="Layers that are not trained",
    meaning="Some layers have a gradient and do not change, while other layers do.",
    severity="watch; notice for biases and gains alone, and where they may be frozen on purpose",
    limits=("layer_rows", "accumulate_rows", "accumulate_growth"),
    criteria=(
        _PERSISTS,
        ("has_gradient", "They do have a gradient"),
        ("others_move", "Other layers change"),
        ("weights", "There are weights among them, not just biases and gains"),
    ),
    causes=(
        "Parameters that are missing from the optimizer: added or replaced after it was made.",
        "A parameter group with learning rate 0.",
        "Weights in bf16 whose updates are lost to rounding (below 2^-9 of the weight).",
        "A gradient that is next to nothing there, so that the updates are lost to rounding in fp32 as well.",
    ),
    checks=(
        Check(
            "Compare model.parameters() with those in optimizer.param_groups: {layers} should be there.",
            "Compare model.parameters() with those in optimizer.param_groups.",
        ),
        Check("Make the optimizer after the last change to the model: new heads, adapters, FSDP, .to(), tied weights."),
        Check("Print the learning rate of every parameter group; {lr} is the one of this log."),
        Check("With weights in bf16 keep fp32 master weights, or use stochastic rounding."),
    ),
    forms={
        "growing": Advice(
            (
                "Parameters that are missing from the optimizer: its zero_grad() does not reach them.",
                "A gradient that is never set to zero on purpose, over more steps than intended.",
            ),
            (
                Check("Compare model.parameters() with those in optimizer.param_groups: {layers} should be there."),
                Check("Make the optimizer after the last change to the model, or add the parameters as a group."),
                Check(
                    "The clip at {clip} shrinks all gradients by this growing norm: the others get less and less.",
                    "Clipping by the global norm would shrink all gradients by this growing norm.",
                ),
                Check("Call model.zero_grad() instead of optimizer.zero_grad() to see whether the growth ends."),
            ),
        ),
    },
    reference="fault bench: layers missing from the optimizer let the global norm grow from 0.5 to 800; "
    "a sum of n gradients grows by sqrt(n) to n",
)

UPDATE_RATIO = Kind(
    id="update_ratio",
    needs="the update ratio, of the run or of each layer",
    title="Steps of the wrong size",
    meaning="A step changes the weights by far more, or far less, than is useful.",
    severity="watch; notice while the loss falls all the same",
    limits=("update_ratio_high", "update_ratio_floor", "layer_rows", "imbalance_rows", "imbalance_share"),
    criteria=(
        _PERSISTS,
        ("out_of_range", "The ratio is far outside the usual range"),
        ("loss_suffers", "The loss does not fall"),
        ("trains", "The learning rate is above 0, and past its warm-up"),
    ),
    causes=(
        "A learning rate that is too high.",
        "Weights that are very small: an initialisation near zero, or a strong weight decay.",
        "No clipping, or an Adam epsilon that is too small for noisy gradients.",
    ),
    checks=(
        Check(
            "Lower the learning rate: {lr} → {lr_lower}. The ratio is {ratio}, 1e-4 to 1e-2 is usual.",
            "Lower the learning rate to a third. The ratio is {ratio}, 1e-4 to 1e-2 is usual.",
        ),
        Check("Compare the weight norm per layer with that at the start: did it shrink?"),
        Check(
            "A longer warm-up ({warmup} now, e.g. {warmup_longer}) helps if it happens in the first steps only.",
            "A warm-up helps if it happens in the first steps only.",
        ),
    ),
    forms={
        "still": Advice(
            (
                "Weights that the optimizer does not hold: a copy of the model is trained, or the optimizer was made "
                "from before .to(), FSDP or a new head.",
                "A step() that is not called, or that mixed precision skips every time.",
                "Weights in bf16 whose updates are lost to rounding (below 2^-9 of the weight).",
            ),
            (
                Check("Compare model.parameters() with those in optimizer.param_groups: are they the same tensors?"),
                Check("Make the optimizer after the last change to the model: new heads, .to(), FSDP, load, deepcopy."),
                Check("See that optimizer.step() is called, and that the loss scale does not skip every step."),
                Check("With weights in bf16 keep fp32 master weights."),
                Check("Leave the learning rate ({lr}) as it is: no rate moves weights whose updates are exactly 0."),
            ),
        ),
        "low": Advice(
            (
                "A learning rate that is far too low.",
                "A gradient so small that Adam's epsilon dominates, or a clip value far below the norm with SGD.",
                "Weights in bf16 whose updates are lost to rounding (below 2^-9 of the weight).",
                "Weights that have become very large.",
            ),
            (
                Check(
                    "Raise the learning rate: {lr} → {lr_higher}. The ratio is {ratio}, 1e-4 to 1e-2 is usual.",
                    "Raise the learning rate threefold. The ratio is {ratio}, 1e-4 to 1e-2 is usual.",
                ),
                Check("Compare the grad norm per element with Adam's epsilon (1e-8 by default)."),
                Check("With weights in bf16 keep fp32 master weights."),
                Check(
                    "With SGD and clip {clip}: the step is at most learning rate x clip.",
                    "With SGD and clipping: the step is at most learning rate x clip value.",
                ),
            ),
        ),
    },
    reference="cs231n: about 1e-3; a 16-layer model: 2.5e-3 without warm-up, 1.9e-5 at step 14 of a warm-up of 4,000",
)

DEAD_UNITS = Kind(
    id="dead_units",
    needs="the part of dead units of each layer, or of its zero gradients",
    title="Dead units",
    meaning="Many units of a layer give zero for every input, and more and more do.",
    severity="notice while the model learns; watch where learning suffers, intervene where nearly all units of most "
    "layers are dead as well",
    limits=(
        "dead_units_share",
        "dead_units_most",
        "dead_units_rise",
        "layer_rows",
        "dead_layers_most",
        "impaired_level",
    ),
    criteria=(
        _PERSISTS,
        ("rises", "The part of dead units has risen since the start"),
        _LOSS_SUFFERS,
    ),
    causes=(
        "Too large steps that pushed the biases of ReLUs far below zero.",
        "An initialisation with negative biases, or inputs that are not centred.",
        "Sparse activations by design: then this is no fault.",
    ),
    checks=(
        Check(
            "Lower the learning rate: {lr} → {lr_lower}; dead ReLUs do not come back by themselves.",
            "Lower the learning rate to a third; dead ReLUs do not come back by themselves.",
        ),
        Check("Use LeakyReLU, GELU or SiLU in {layers}, or a normalisation before the activation."),
        Check("Go back to a checkpoint before {first_step}: what is dead gets no gradient to recover with."),
    ),
    reference="SageMaker: 50 % dead ReLUs; one batch above 70 % flags 58 of 113 healthy models, so it has to last, to "
    "rise and to hurt",
)

ACTIVATION_GROWTH = Kind(
    id="activation_growth",
    needs="the largest attention logit, or the RMS of the activations, of each layer",
    title="Growing activations",
    meaning="Attention logits or activations have become so large that training becomes unstable.",
    severity="watch; intervene for attention logits at which runs diverge",
    limits=("attention_logit", "attention_logit_most", "activation_growth", "activation_steps", "layer_rows"),
    criteria=(
        _PERSISTS,
        ("large", "They are beyond the limit"),
        _LOSS_SUFFERS,
    ),
    causes=(
        "Query and key norms that grow without bound: a high learning rate without qk-norm.",
        "A learning rate that is too high for this width.",
    ),
    checks=(
        Check("Normalise queries and keys (qk-norm), or cap the logits, before the loss follows."),
        Check(
            "Lower the learning rate: {lr} → {lr_lower}. It slows the growth, it does not end it.",
            "Lower the learning rate to a third. It slows the growth, it does not end it.",
        ),
        Check("Keep a checkpoint of before {first_step}: a divergence by logits comes late and does not come back."),
    ),
    forms={
        "size": Advice(
            (
                "A residual stream that grows from layer to layer without a normalisation.",
                "A learning rate that is too high, or weight decay that is missing.",
                "Single channels that become huge (outlier features).",
            ),
            (
                Check("Look at {layers}: does the first of them grow, or only what follows it?"),
                Check(
                    "Lower the learning rate: {lr} → {lr_lower}, or add weight decay to {layers}.",
                    "Lower the learning rate to a third, or add weight decay.",
                ),
                Check("In fp16 the largest number is 65,504: switch to bf16 before it overflows."),
            ),
        ),
    },
    reference="Wortsman et al. 2023: runs diverge as attention logits pass about 1e4; norms grow before divergence",
)

KINDS: tuple[Kind, ...] = (IMBALANCE, DEAD, FROZEN, UPDATE_RATIO, DEAD_UNITS, ACTIVATION_GROWTH)
"""The kinds of this group."""
